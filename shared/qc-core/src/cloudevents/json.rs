//! The JSON event format: one object, or an array of them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Bounds, EventError, SPEC_VERSION, is_json};
use crate::model::{AttrValue, Envelope, MAX_EXTENSIONS, Message};

/// Members of one event: the attributes, `specversion` and the data.
const MAX_MEMBERS: usize = MAX_EXTENSIONS + 16;

/// Decodes one event in structured mode.
pub fn decode(text: &[u8], bounds: &Bounds) -> Result<Message, EventError> {
    check_size_and_depth(text, bounds.bytes, bounds.depth)?;
    let members: Members<'_> = parse(text, "a JSON object")?;
    message(members)
}

/// Decodes a batch. One event that is wrong refuses the whole batch.
pub fn decode_batch(text: &[u8], bounds: &Bounds) -> Result<Vec<Message>, EventError> {
    check_size_and_depth(text, bounds.bytes, bounds.depth + 1)?;
    let events: Vec<&RawValue> = parse(text, "a JSON array")?;
    if events.len() > bounds.events {
        return Err(EventError::TooMany { max: bounds.events });
    }
    let decode_one = |raw: &RawValue| {
        let members: Members<'_> = parse(raw.get().as_bytes(), "a JSON object")?;
        message(members)
    };
    events
        .into_iter()
        .enumerate()
        .map(|(index, raw)| {
            decode_one(raw).map_err(|source| EventError::InBatch {
                index,
                source: Box::new(source),
            })
        })
        .collect()
}

/// The events as one JSON array.
pub fn encode_batch(messages: &[Message]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode(message, &mut out);
    }
    out.push(b']');
    out
}

/// Appends the event as JSON to `out`.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    encode_with(message, &[], out);
}

/// Appends the event as JSON to `out`, with string extensions that the message itself does not have
/// (a position in a stream). An extension of the message wins over one of the same name.
pub fn encode_with(message: &Message, more: &[(&str, &str)], out: &mut Vec<u8>) {
    let Message { envelope, body } = message;
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    push_text(out, "id", &envelope.id);
    push_text(out, "source", &envelope.source);
    push_text(out, "type", &envelope.kind);
    for (name, value) in [
        ("time", &envelope.time),
        ("subject", &envelope.subject),
        ("datacontenttype", &envelope.content_type),
        ("dataschema", &envelope.schema),
    ] {
        if let Some(value) = value {
            push_text(out, name, value);
        }
    }
    for (name, value) in &envelope.extensions {
        match value {
            AttrValue::String(text) => push_text(out, name, text),
            AttrValue::Boolean(flag) => push_raw(out, name, flag.to_string().as_bytes()),
            AttrValue::Integer(number) => push_raw(out, name, number.to_string().as_bytes()),
        }
    }
    for (name, value) in more {
        if !envelope.extensions.contains_key(*name) {
            push_text(out, name, value);
        }
    }
    push_data(out, envelope, body);
    out.push(b'}');
}

fn push_data(out: &mut Vec<u8>, envelope: &Envelope, body: &Bytes) {
    if body.is_empty() {
        return;
    }
    let json = is_json(envelope.content_type.as_deref());
    match std::str::from_utf8(body) {
        Ok(text) if json && is_exact_json(text) => push_raw(out, "data", body),
        Ok(text) if !json => push_text(out, "data", text),
        _ => push_raw(
            out,
            "data_base64",
            format!("\"{}\"", BASE64.encode(body)).as_bytes(),
        ),
    }
}

/// Whether `text` is one JSON value and nothing else, not even white space around it, and not nested
/// deeper than a decoder accepts inside an event.
fn is_exact_json(text: &str) -> bool {
    depth_of(text.as_bytes()) < Bounds::default().depth
        && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().len() == text.len())
}

fn push_text(out: &mut Vec<u8>, name: &str, text: &str) {
    let quoted = serde_json::to_string(text).expect("a string is always serializable");
    push_raw(out, name, quoted.as_bytes());
}

/// `name` is an attribute's name: letters, digits and `_`, so it needs no escape.
fn push_raw(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(json);
}

fn message(members: Members<'_>) -> Result<Message, EventError> {
    let mut envelope = Envelope::default();
    let mut data = None;
    let mut base64 = None;
    let mut version = None;
    for (name, raw) in members.0 {
        let raw: &RawValue = raw;
        if raw.get() == "null" && name != "data" {
            continue; // an attribute that is null is an attribute that is not there
        }
        match name.as_ref() {
            "specversion" => version = Some(text_of("specversion", raw)?),
            "id" => envelope.id = text_of("id", raw)?,
            "source" => envelope.source = text_of("source", raw)?,
            "type" => envelope.kind = text_of("type", raw)?,
            "time" => envelope.time = Some(text_of("time", raw)?),
            "subject" => envelope.subject = Some(text_of("subject", raw)?),
            "datacontenttype" => envelope.content_type = Some(text_of("datacontenttype", raw)?),
            "dataschema" => envelope.schema = Some(text_of("dataschema", raw)?),
            "data" => data = Some(raw),
            "data_base64" => base64 = Some(text_of("data_base64", raw)?),
            _ => {
                let value = extension_of(&name, raw)?;
                envelope.extensions.insert(name.into_owned(), value);
            }
        }
    }
    if version.as_deref() != Some(SPEC_VERSION) {
        return Err(EventError::SpecVersion);
    }
    super::check(&envelope)?;
    let body = body_of(envelope.content_type.as_deref(), data, base64)?;
    Ok(Message { envelope, body })
}

fn body_of(
    content_type: Option<&str>,
    data: Option<&RawValue>,
    base64: Option<String>,
) -> Result<Bytes, EventError> {
    match (data, base64) {
        (Some(_), Some(_)) => Err(EventError::attribute(
            "data_base64",
            "must not stand beside 'data'",
        )),
        (None, Some(text)) => BASE64
            .decode(text.as_bytes())
            .map(Bytes::from)
            .map_err(|_| EventError::attribute("data_base64", "is not base64 (RFC 4648)")),
        (Some(raw), None) if is_json(content_type) => {
            Ok(Bytes::copy_from_slice(raw.get().as_bytes()))
        }
        (Some(raw), None) if raw.get() == "null" => Ok(Bytes::new()),
        (Some(raw), None) => serde_json::from_str::<String>(raw.get())
            .map(Bytes::from)
            .map_err(|_| {
                EventError::attribute(
                    "data",
                    "must be a JSON string, because 'datacontenttype' is not JSON",
                )
            }),
        (None, None) => Ok(Bytes::new()),
    }
}

fn text_of(name: &str, raw: &RawValue) -> Result<String, EventError> {
    serde_json::from_str(raw.get()).map_err(|_| EventError::attribute(name, "must be a string"))
}

fn extension_of(name: &str, raw: &RawValue) -> Result<AttrValue, EventError> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => text_of(name, raw).map(AttrValue::String),
        Some(b't') => Ok(AttrValue::Boolean(true)),
        Some(b'f') => Ok(AttrValue::Boolean(false)),
        Some(b'-' | b'0'..=b'9') => text.parse().map(AttrValue::Integer).map_err(|_| {
            EventError::attribute(name, "is a number that is not a 32-bit whole number")
        }),
        _ => Err(EventError::attribute(
            name,
            "must be a string, a 32-bit whole number or a boolean",
        )),
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], expected: &'static str) -> Result<T, EventError> {
    serde_json::from_slice(text).map_err(|error| {
        // the parser's own words may quote the input; a repeated name is the one that we chose
        let words = error.to_string();
        match words
            .strip_prefix(TWICE)
            .and_then(|rest| rest.split(' ').next())
        {
            Some(name) => EventError::Twice(name.to_owned()),
            None => EventError::Json {
                expected,
                line: error.line(),
                column: error.column(),
            },
        }
    })
}

const TWICE: &str = "attribute twice: ";

/// The members of an object in their order, each value as the bytes it was written in.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for MembersVisitor<'a> {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'a, str>, &'a RawValue)> = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if members.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            if members.iter().any(|(known, _)| *known == name) {
                let shown = crate::safe_text::safe(&name, 64).replace(' ', "_");
                return Err(A::Error::custom(format!("{TWICE}{shown} ")));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Members(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom("an array"))
    }
}

fn check_size_and_depth(text: &[u8], max: usize, depth: usize) -> Result<(), EventError> {
    if text.len() > max {
        return Err(EventError::TooLarge {
            bytes: text.len(),
            max,
        });
    }
    if depth_of(text) > depth {
        return Err(EventError::TooDeep { max: depth });
    }
    Ok(())
}

/// The deepest nesting of brackets outside strings; of any bytes, JSON or not.
fn depth_of(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
