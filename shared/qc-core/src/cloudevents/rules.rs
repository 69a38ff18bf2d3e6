//! The grammar that CloudEvents asks of its attributes, beyond what the model checks.

use super::{EventError, essence};
use crate::model::Envelope;

pub(super) fn check(envelope: &Envelope) -> Result<(), EventError> {
    if !is_uri_reference(&envelope.source) {
        return Err(EventError::attribute("source", "is not a URI reference"));
    }
    if envelope.schema.as_deref().is_some_and(|uri| !is_uri(uri)) {
        return Err(EventError::attribute(
            "dataschema",
            "is not an absolute URI",
        ));
    }
    if envelope.subject.as_deref() == Some("") {
        return Err(EventError::attribute("subject", "must not be empty"));
    }
    if let Some(media_type) = &envelope.content_type
        && !is_media_type(media_type)
    {
        return Err(EventError::attribute(
            "datacontenttype",
            "is not a media type",
        ));
    }
    Ok(())
}

pub(super) fn is_json_media_type(content_type: &str) -> bool {
    let essence = essence(content_type);
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}

/// The characters of RFC 3986, with `%` only before two hexadecimal digits.
fn is_uri_reference(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit())),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            other => other.is_ascii_graphic(),
        };
        if !fine {
            return false;
        }
    }
    !text.is_empty()
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && is_uri_reference(text)
}

/// `type/subtype` of RFC 2046; parameters are kept as they are, in printable ASCII.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*'`|~%".contains(&b))
    };
    let bare = text.split(';').next().unwrap_or_default().trim_end();
    let printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    printable
        && bare
            .split_once('/')
            .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_uris_and_media_types_from_other_text() {
        for (text, reference, absolute) in [
            ("/sensors/tn-1234567/alerts", true, false),
            ("https://github.com/cloudevents", true, true),
            ("urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true, true),
            ("mailto:cncf-wg-serverless@lists.cncf.io", true, true),
            ("cloudevents/spec/pull/123?a=%20#b", true, false),
            ("two words", false, false),
            ("http://a/%2", false, false),
            ("http://a/é", false, false),
            ("1:x", true, false),
            ("", false, false),
        ] {
            assert_eq!(
                (is_uri_reference(text), is_uri(text)),
                (reference, absolute),
                "{text}"
            );
        }
        for (text, media_type, json) in [
            ("application/json", true, true),
            ("application/vnd.a+JSON; charset=utf-8", true, true),
            ("text/xml", true, false),
            ("text/json", true, true),
            ("text", false, false),
            ("text/", false, false),
            ("a b/c", false, false),
        ] {
            assert_eq!(
                (is_media_type(text), is_json_media_type(text)),
                (media_type, json),
                "{text}"
            );
        }
    }
}
