//! Binary mode of the HTTP binding: attributes in `ce-` headers, the body as it is.
//!
//! Header values are text only, so the types of extensions are lost on this way, as in every
//! implementation; the few that the specification types as integers come back as integers.

use std::borrow::Cow;

use super::{EventError, SPEC_VERSION};
use crate::model::{AttrValue, Envelope};

/// What an attribute's header name begins with.
pub const HEADER_PREFIX: &str = "ce-";

/// Documented extensions that are whole numbers.
const INTEGERS: [&str; 3] = ["severitynumber", "sampledrate", "qchops"];

/// Reads the attributes from an HTTP request's headers. Names must be in lower case, as HTTP
/// libraries hand them out; headers that are not attributes are skipped.
pub fn decode_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Envelope, EventError> {
    let mut envelope = Envelope::default();
    let mut version = None;
    for (header, value) in headers {
        if header == "content-type" {
            let text = std::str::from_utf8(value)
                .map_err(|_| EventError::attribute("datacontenttype", "is not a media type"))?;
            set(
                &mut envelope.content_type,
                "datacontenttype",
                text.trim().to_owned(),
            )?;
            continue;
        }
        let Some(name) = header.strip_prefix(HEADER_PREFIX) else {
            continue;
        };
        let text = decode_value(name, value)?;
        match name {
            "specversion" => set(&mut version, name, text)?,
            "id" => set_text(&mut envelope.id, name, text)?,
            "source" => set_text(&mut envelope.source, name, text)?,
            "type" => set_text(&mut envelope.kind, name, text)?,
            "time" => set(&mut envelope.time, name, text)?,
            "subject" => set(&mut envelope.subject, name, text)?,
            "dataschema" => set(&mut envelope.schema, name, text)?,
            "datacontenttype" => {
                return Err(EventError::attribute(
                    name,
                    "must be sent as the Content-Type header",
                ));
            }
            _ => {
                let value = typed(name, text)?;
                if envelope.extensions.insert(name.to_owned(), value).is_some() {
                    return Err(EventError::Twice(crate::safe_text::safe(name, 64)));
                }
            }
        }
    }
    if version.as_deref() != Some(SPEC_VERSION) {
        return Err(EventError::SpecVersion);
    }
    super::check(&envelope)?;
    Ok(envelope)
}

/// The headers of an event in binary mode, `content-type` included when the event has one.
pub fn encode_headers(envelope: &Envelope) -> Vec<(Cow<'static, str>, String)> {
    let mut headers = vec![
        (Cow::Borrowed("ce-specversion"), SPEC_VERSION.to_owned()),
        (Cow::Borrowed("ce-id"), encode_value(&envelope.id)),
        (Cow::Borrowed("ce-source"), encode_value(&envelope.source)),
        (Cow::Borrowed("ce-type"), encode_value(&envelope.kind)),
    ];
    for (name, value) in [
        ("ce-time", &envelope.time),
        ("ce-subject", &envelope.subject),
        ("ce-dataschema", &envelope.schema),
    ] {
        if let Some(value) = value {
            headers.push((Cow::Borrowed(name), encode_value(value)));
        }
    }
    if let Some(content_type) = &envelope.content_type {
        headers.push((Cow::Borrowed("content-type"), content_type.clone()));
    }
    for (name, value) in &envelope.extensions {
        let text = match value {
            AttrValue::String(text) => encode_value(text),
            AttrValue::Boolean(flag) => flag.to_string(),
            AttrValue::Integer(number) => number.to_string(),
        };
        headers.push((Cow::Owned(format!("{HEADER_PREFIX}{name}")), text));
    }
    headers
}

/// Percent-encodes what the HTTP binding asks for: space, `"`, `%` and all that is not printable ASCII.
pub fn encode_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '!'..='~') && !matches!(c, '"' | '%') {
            encoded.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            encoded.push('%');
            encoded.push(hex_digit(byte >> 4));
            encoded.push(hex_digit(byte & 15));
        }
    }
    encoded
}

/// Decodes a header's value: a quoted string is unquoted, then one round of percent-decoding. What is
/// then not UTF-8 is refused.
pub fn decode_value(name: &str, value: &[u8]) -> Result<String, EventError> {
    let ascii = value
        .iter()
        .all(|b| *b == b' ' || *b == b'\t' || b.is_ascii_graphic());
    if !ascii {
        return Err(EventError::attribute(
            name,
            "has bytes that must be percent-encoded in a header",
        ));
    }
    let value = unquote(value.trim_ascii())
        .ok_or_else(|| EventError::attribute(name, "is a quoted string that does not end"))?;
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = bytes.next().zip(bytes.next());
        let byte = digits
            .and_then(|(high, low)| Some(hex_value(high)? << 4 | hex_value(low)?))
            .ok_or_else(|| {
                EventError::attribute(name, "has a '%' without two hexadecimal digits")
            })?;
        decoded.push(byte);
    }
    String::from_utf8(decoded)
        .map_err(|_| EventError::attribute(name, "is not UTF-8 after percent-decoding"))
}

/// The inside of a quoted string of RFC 7230; any other value as it is; `None` if it has no end.
fn unquote(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(inside) = value.strip_prefix(b"\"") else {
        return Some(Cow::Borrowed(value));
    };
    let mut unquoted = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return bytes.next().is_none().then_some(Cow::Owned(unquoted)),
            b'\\' => unquoted.push(bytes.next()?),
            other => unquoted.push(other),
        }
    }
    None
}

fn typed(name: &str, text: String) -> Result<AttrValue, EventError> {
    if !INTEGERS.contains(&name) {
        return Ok(AttrValue::String(text));
    }
    text.parse()
        .map(AttrValue::Integer)
        .map_err(|_| EventError::attribute(name, "must be a 32-bit whole number"))
}

fn set(slot: &mut Option<String>, name: &str, text: String) -> Result<(), EventError> {
    match slot.replace(text) {
        None => Ok(()),
        Some(_) => Err(EventError::Twice(name.to_owned())),
    }
}

fn set_text(slot: &mut String, name: &str, text: String) -> Result<(), EventError> {
    if !slot.is_empty() {
        return Err(EventError::Twice(name.to_owned()));
    }
    *slot = text;
    Ok(())
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16)
        .expect("a nibble is a digit")
        .to_ascii_uppercase()
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
