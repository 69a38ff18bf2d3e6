//! The envelope in bytes: a list of attributes, each `key u8, [name], type+length, value`.
//!
//! ```text
//! count u16
//! then per attribute, in ascending key order, extensions last and by name:
//!   key  u8     1 id  2 source  3 type  4 time  5 subject  6 datacontenttype  7 dataschema  0 extension
//!   name u8+n   only for key 0
//!   type u8     0 string  1 integer (i32)  2 boolean
//!   len  u16    length of the value
//!   value
//! ```

use bytes::Bytes;

use super::{Reader, WireError};
use crate::model::{AttrValue, Envelope, MAX_ATTR_VALUE, MAX_EXTENSIONS};

const KEY_EXTENSION: u8 = 0;
const KEY_ID: u8 = 1;
const KEY_SOURCE: u8 = 2;
const KEY_TYPE: u8 = 3;
const KEY_TIME: u8 = 4;
const KEY_SUBJECT: u8 = 5;
const KEY_CONTENT_TYPE: u8 = 6;
const KEY_SCHEMA: u8 = 7;

/// The extension that counts relays.
pub(crate) const HOPS: &str = "qchops";

const TYPE_STRING: u8 = 0;
const TYPE_INTEGER: u8 = 1;
const TYPE_BOOLEAN: u8 = 2;

/// The attributes that a hop needs, borrowed from the encoded form without decoding the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeRef<'a> {
    /// `id`
    pub id: &'a str,
    /// `source`
    pub source: &'a str,
    /// `type`
    pub kind: &'a str,
    /// `dataclassification`
    pub data_class: Option<&'a str>,
    /// `qchops`: how many relays have taken it from another relay.
    pub hops: u32,
    /// Where `qchops` stands, or would.
    hops_at: (usize, usize),
}

impl<'a> EnvelopeRef<'a> {
    /// Walks the whole encoding, checks its structure and picks out these attributes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut found = Self {
            id: "",
            source: "",
            kind: "",
            data_class: None,
            hops: 0,
            hops_at: (bytes.len(), bytes.len()),
        };
        walk(bytes, |(from, to), key, name, value| {
            if key == KEY_EXTENSION && name == HOPS {
                found.hops_at = (from, to);
                if let Value::Integer(hops) = value {
                    found.hops = u32::try_from(hops).unwrap_or(0);
                }
            } else if key == KEY_EXTENSION && name > HOPS && found.hops_at.0 == bytes.len() {
                found.hops_at = (from, from);
            }
            if let Value::String(text) = value {
                match key {
                    KEY_ID => found.id = text,
                    KEY_SOURCE => found.source = text,
                    KEY_TYPE => found.kind = text,
                    KEY_EXTENSION if name == "dataclassification" => found.data_class = Some(text),
                    _ => {}
                }
            }
            Ok(())
        })?;
        if found.id.is_empty() || found.source.is_empty() || found.kind.is_empty() {
            return Err(WireError::Malformed("envelope without id, source or type"));
        }
        Ok(found)
    }

    /// The same encoding, `head`, with `hops` as its `qchops`; unchanged if it has no room for another
    /// attribute.
    pub fn with_hops(&self, head: &Bytes, hops: u32) -> Bytes {
        let (from, to) = self.hops_at;
        let count = head
            .first_chunk()
            .map_or(0, |count| u16::from_le_bytes(*count));
        let count = count + u16::from(from == to);
        let parts = (head.get(2..from), head.get(to..));
        let (Some(before), Some(behind)) = parts else {
            return head.clone();
        };
        if usize::from(count) > MAX_EXTENSIONS + 7 {
            return head.clone();
        }
        let mut out = Vec::with_capacity(head.len() + HOPS.len() + 9);
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(before);
        put_name(&mut out, HOPS);
        let hops = i32::try_from(hops).unwrap_or(i32::MAX);
        put_value(&mut out, TYPE_INTEGER, &hops.to_le_bytes());
        out.extend_from_slice(behind);
        out.into()
    }
}

/// Appends the encoding of `envelope`, which must have passed [`Envelope::check`].
pub fn encode_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    let optional = [
        (KEY_TIME, &envelope.time),
        (KEY_SUBJECT, &envelope.subject),
        (KEY_CONTENT_TYPE, &envelope.content_type),
        (KEY_SCHEMA, &envelope.schema),
    ];
    let set = optional.iter().filter(|(_, value)| value.is_some()).count();
    let count = u16::try_from(3 + set + envelope.extensions.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for (key, value) in [
        (KEY_ID, &envelope.id),
        (KEY_SOURCE, &envelope.source),
        (KEY_TYPE, &envelope.kind),
    ] {
        out.push(key);
        put_value(out, TYPE_STRING, value.as_bytes());
    }
    for (key, value) in optional {
        if let Some(value) = value {
            out.push(key);
            put_value(out, TYPE_STRING, value.as_bytes());
        }
    }
    for (name, value) in &envelope.extensions {
        put_name(out, name);
        match value {
            AttrValue::String(text) => put_value(out, TYPE_STRING, text.as_bytes()),
            AttrValue::Integer(number) => put_value(out, TYPE_INTEGER, &number.to_le_bytes()),
            AttrValue::Boolean(truth) => put_value(out, TYPE_BOOLEAN, &[u8::from(*truth)]),
        }
    }
}

/// Decodes an envelope and checks it against CloudEvents and the bounds of the product.
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope, WireError> {
    let mut envelope = Envelope::default();
    walk(bytes, |_place, key, name, value| {
        let text = |what| match value {
            Value::String(text) => Ok(text.to_owned()),
            Value::Integer(_) | Value::Boolean(_) => Err(WireError::Malformed(what)),
        };
        match key {
            KEY_ID => envelope.id = text("id")?,
            KEY_SOURCE => envelope.source = text("source")?,
            KEY_TYPE => envelope.kind = text("type")?,
            KEY_TIME => envelope.time = Some(text("time")?),
            KEY_SUBJECT => envelope.subject = Some(text("subject")?),
            KEY_CONTENT_TYPE => envelope.content_type = Some(text("datacontenttype")?),
            KEY_SCHEMA => envelope.schema = Some(text("dataschema")?),
            KEY_EXTENSION => {
                let value = match value {
                    Value::String(text) => AttrValue::String(text.to_owned()),
                    Value::Integer(number) => AttrValue::Integer(number),
                    Value::Boolean(truth) => AttrValue::Boolean(truth),
                };
                envelope.extensions.insert(name.to_owned(), value);
            }
            other => {
                return Err(WireError::Unknown {
                    what: "attribute",
                    number: u32::from(other),
                });
            }
        }
        Ok(())
    })?;
    envelope
        .check()
        .map_err(|_| WireError::Malformed("envelope"))?;
    Ok(envelope)
}

#[derive(Clone, Copy)]
enum Value<'a> {
    String(&'a str),
    Integer(i32),
    Boolean(bool),
}

fn walk<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut((usize, usize), u8, &'a str, Value<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut reader = Reader(bytes);
    let count = reader.u16()?;
    if usize::from(count) > MAX_EXTENSIONS + 7 {
        return Err(WireError::Malformed("envelope with too many attributes"));
    }
    let mut last = None;
    for _ in 0..count {
        let from = bytes.len() - reader.0.len();
        let key = reader.u8()?;
        let name = if key == KEY_EXTENSION {
            let length = reader.u8()?;
            utf8(reader.bytes(usize::from(length))?)?
        } else {
            ""
        };
        // one order, so that no attribute is there twice, to be read as the one here and the other there
        let place = (key.wrapping_sub(1), name); // the key of extensions is 0, and they are last
        if last.is_some_and(|last| place <= last) {
            return Err(WireError::Malformed("order of attributes"));
        }
        last = Some(place);
        let kind = reader.u8()?;
        let length = usize::from(reader.u16()?);
        if length > MAX_ATTR_VALUE {
            return Err(WireError::TooLong {
                what: "attribute",
                length: length as u64,
                max: MAX_ATTR_VALUE as u64,
            });
        }
        let raw = reader.bytes(length)?;
        let value = match (kind, raw) {
            (TYPE_STRING, text) => Value::String(utf8(text)?),
            (TYPE_INTEGER, &[a, b, c, d]) => Value::Integer(i32::from_le_bytes([a, b, c, d])),
            (TYPE_BOOLEAN, &[truth @ (0 | 1)]) => Value::Boolean(truth == 1),
            _ => return Err(WireError::Malformed("attribute value")),
        };
        each((from, bytes.len() - reader.0.len()), key, name, value)?;
    }
    if reader.0.is_empty() {
        Ok(())
    } else {
        Err(WireError::Malformed("envelope with trailing bytes"))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::Malformed("attribute that is not UTF-8"))
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(KEY_EXTENSION);
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

fn put_value(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_envelope() -> impl Strategy<Value = Envelope> {
        let text = "[ -~é漢]{1,40}";
        let value = prop_oneof![
            "[ -~]{0,40}".prop_map(AttrValue::String),
            any::<i32>().prop_map(AttrValue::Integer),
            any::<bool>().prop_map(AttrValue::Boolean),
        ];
        (
            text,
            text,
            text,
            proptest::option::of(Just("2026-11-21T03:22:07.123456Z".to_owned())),
            proptest::option::of(text),
            proptest::collection::btree_map("x[a-z0-9]{0,19}", value, 0..8),
        )
            .prop_map(|(id, source, kind, time, subject, extensions)| Envelope {
                time,
                subject: subject.clone(),
                content_type: subject.map(|_| "application/json".to_owned()),
                extensions,
                ..Envelope::new(id, source, kind)
            })
    }

    proptest! {
        #[test]
        fn round_trips(envelope in any_envelope()) {
            let mut bytes = Vec::new();
            encode_envelope(&envelope, &mut bytes);
            prop_assert_eq!(decode_envelope(&bytes).unwrap(), envelope.clone());
            let view = EnvelopeRef::parse(&bytes).unwrap();
            prop_assert_eq!((view.id, view.source), (envelope.id.as_str(), envelope.source.as_str()));
        }

        #[test]
        fn a_hop_is_counted_in_its_place(
            envelope in any_envelope(),
            was in proptest::option::of(prop_oneof![
                Just(AttrValue::Integer(7)),
                Just(AttrValue::Integer(-1)),
                Just(AttrValue::String("x".to_owned())),
            ]),
            others in 0..3_usize,
        ) {
            let mut envelope = envelope;
            // extensions that come before it by their names, and behind
            for name in ["partitionkey", "traceparent"].iter().take(others) {
                envelope.extensions.insert((*name).to_owned(), AttrValue::Boolean(true));
            }
            let hops = u32::from(was == Some(AttrValue::Integer(7))) * 7;
            if let Some(was) = was {
                envelope.extensions.insert(HOPS.to_owned(), was);
            }
            let encoded = |envelope: &Envelope| {
                let mut bytes = Vec::new();
                encode_envelope(envelope, &mut bytes);
                Bytes::from(bytes)
            };
            let bytes = encoded(&envelope);
            let view = EnvelopeRef::parse(&bytes).unwrap();
            prop_assert_eq!(view.hops, hops);
            let counted = view.with_hops(&bytes, hops + 1);
            let number = AttrValue::Integer(i32::try_from(hops + 1).unwrap());
            envelope.extensions.insert(HOPS.to_owned(), number);
            prop_assert_eq!(counted, encoded(&envelope));
        }

        #[test]
        fn any_bytes_are_refused_or_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = decode_envelope(&bytes);
        }

        #[test]
        fn an_attribute_that_is_there_twice_is_refused(envelope in any_envelope(), key in 0..=7u8) {
            let mut bytes = Vec::new();
            encode_envelope(&envelope, &mut bytes);
            let count = u16::from_le_bytes([bytes[0], bytes[1]]) + 2;
            bytes[..2].copy_from_slice(&count.to_le_bytes());
            for value in [b"a", b"b"] {
                bytes.push(key);
                if key == KEY_EXTENSION {
                    bytes.extend_from_slice(b"\x12dataclassification");
                }
                put_value(&mut bytes, TYPE_STRING, value);
            }
            prop_assert!(decode_envelope(&bytes).is_err());
            prop_assert!(EnvelopeRef::parse(&bytes).is_err());
        }

        #[test]
        fn every_truncation_is_refused(envelope in any_envelope(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode_envelope(&envelope, &mut bytes);
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(decode_envelope(&bytes).is_err());
        }
    }
}
