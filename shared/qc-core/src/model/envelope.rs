//! The message: a CloudEvents 1.0 envelope and a body.
//!
//! Attributes are checked once, by [`Envelope::check`], against the specification's rules and
//! this product's bounds. Extensions keep their CloudEvents type, so a round trip loses nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Lane, Timestamp};

/// The most extension attributes one message may carry.
pub const MAX_EXTENSIONS: usize = 64;
/// The longest attribute value in bytes.
pub const MAX_ATTR_VALUE: usize = 4096;
/// The longest attribute name in bytes.
const MAX_ATTR_NAME: usize = 64;
/// The longest `id` in bytes, so that (`source`, `id`) stays cheap to carry everywhere.
const MAX_ID: usize = 256;

/// The value of an extension attribute, in the types of CloudEvents that JSON tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttrValue {
    /// A JSON boolean.
    Boolean(bool),
    /// A 32-bit whole number.
    Integer(i32),
    /// Text, and every type that CloudEvents writes as text (URI, timestamp, binary).
    String(String),
}

/// The attributes of a message. Policy reads these and never the body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// `id`: with `source` it names the message once and for all.
    pub id: String,
    /// `source`: a URI reference of the producer.
    pub source: String,
    /// `type` of the event, for example `com.example.order.created`.
    pub kind: String,
    /// `time`: when it happened, RFC 3339, kept as it was written.
    pub time: Option<String>,
    /// `subject` within the source.
    pub subject: Option<String>,
    /// `datacontenttype`: the media type of the body.
    pub content_type: Option<String>,
    /// `dataschema`: a URI.
    pub schema: Option<String>,
    /// Every other attribute by its lower-case name.
    pub extensions: BTreeMap<String, AttrValue>,
}

/// A whole message: envelope and body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The attributes.
    pub envelope: Envelope,
    /// The payload, opaque to this product.
    pub body: Bytes,
}

/// Why an envelope is refused at the door.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A required attribute is missing or empty.
    #[error("the attribute '{0}' is required and must not be empty")]
    Missing(&'static str),
    /// An attribute is longer than its bound.
    #[error("the attribute '{name}' has {length} bytes; at most {max} are allowed")]
    TooLong {
        /// The attribute.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// An extension's name breaks the rule `[a-z0-9]{1,64}` or is reserved.
    #[error("'{0}' is not an attribute name: lower-case letters and digits only")]
    Name(String),
    /// A value has control characters, which CloudEvents forbids.
    #[error("the attribute '{0}' has control characters")]
    Control(String),
    /// `time` is not RFC 3339.
    #[error("the attribute 'time' is not an RFC 3339 time")]
    Time,
    /// More than [`MAX_EXTENSIONS`] extensions.
    #[error("{0} extension attributes; at most {MAX_EXTENSIONS} are allowed")]
    TooMany(usize),
}

impl Envelope {
    /// An envelope with the three attributes every producer must choose.
    pub fn new(id: impl Into<String>, source: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            kind: kind.into(),
            ..Self::default()
        }
    }

    /// Checks every rule of CloudEvents 1.0 and every bound of this product.
    pub fn check(&self) -> Result<(), EnvelopeError> {
        for (name, value, max) in [
            ("id", &self.id, MAX_ID),
            ("source", &self.source, MAX_ATTR_VALUE),
            ("type", &self.kind, MAX_ATTR_VALUE),
        ] {
            if value.is_empty() {
                return Err(EnvelopeError::Missing(name));
            }
            check_value(name, value, max)?;
        }
        for (name, value) in [
            ("time", &self.time),
            ("subject", &self.subject),
            ("datacontenttype", &self.content_type),
            ("dataschema", &self.schema),
        ] {
            if let Some(value) = value {
                check_value(name, value, MAX_ATTR_VALUE)?;
            }
        }
        if self
            .time
            .as_ref()
            .is_some_and(|time| Timestamp::parse_rfc3339(time).is_none())
        {
            return Err(EnvelopeError::Time);
        }
        if self.extensions.len() > MAX_EXTENSIONS {
            return Err(EnvelopeError::TooMany(self.extensions.len()));
        }
        for (name, value) in &self.extensions {
            check_extension_name(name)?;
            if let AttrValue::String(text) = value {
                check_value(name, text, MAX_ATTR_VALUE)?;
            }
        }
        Ok(())
    }

    /// The text of a string extension, if it is there.
    pub fn extension(&self, name: &str) -> Option<&str> {
        match self.extensions.get(name)? {
            AttrValue::String(text) => Some(text),
            AttrValue::Boolean(_) | AttrValue::Integer(_) => None,
        }
    }

    /// `dataclassification`, the data class as the producer stated it.
    pub fn data_class(&self) -> Option<&str> {
        self.extension("dataclassification")
    }

    /// The lane that `severitynumber` asks for: 17 and above (error, fatal) is critical, 13 and above
    /// (warning) high. Without it the source's own setting counts.
    pub fn lane(&self) -> Option<Lane> {
        match self.extensions.get("severitynumber")? {
            AttrValue::Integer(17..) => Some(Lane::Critical),
            AttrValue::Integer(13..) => Some(Lane::High),
            AttrValue::Integer(1..) => Some(Lane::Normal),
            _ => None,
        }
    }
}

fn check_value(name: &str, value: &str, max: usize) -> Result<(), EnvelopeError> {
    if value.len() > max {
        return Err(EnvelopeError::TooLong {
            name: name.to_owned(),
            length: value.len(),
            max,
        });
    }
    if value.chars().any(char::is_control) {
        return Err(EnvelopeError::Control(name.to_owned()));
    }
    Ok(())
}

fn check_extension_name(name: &str) -> Result<(), EnvelopeError> {
    const RESERVED: [&str; 10] = [
        "id",
        "source",
        "type",
        "specversion",
        "time",
        "subject",
        "datacontenttype",
        "dataschema",
        "data",
        "database64",
    ];
    let alphabet = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name.is_empty() || name.len() > MAX_ATTR_NAME || !alphabet || RESERVED.contains(&name) {
        return Err(EnvelopeError::Name(crate::safe_text::safe(name, 80)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Envelope {
        Envelope::new("1", "/site-a/lab", "com.example.result")
    }

    #[test]
    fn the_required_attributes_are_required() {
        assert_eq!(valid().check(), Ok(()));
        for (missing, envelope) in [
            ("id", Envelope::new("", "/s", "t")),
            ("source", Envelope::new("1", "", "t")),
            ("type", Envelope::new("1", "/s", "")),
        ] {
            assert_eq!(envelope.check(), Err(EnvelopeError::Missing(missing)));
        }
    }

    #[test]
    fn bounds_hold() {
        let mut long = valid();
        long.id = "x".repeat(257);
        assert!(matches!(
            long.check(),
            Err(EnvelopeError::TooLong { max: 256, .. })
        ));
        let mut control = valid();
        control.subject = Some("a\u{1b}[31m".to_owned());
        assert_eq!(
            control.check(),
            Err(EnvelopeError::Control("subject".to_owned()))
        );
        let mut time = valid();
        time.time = Some("noon".to_owned());
        assert_eq!(time.check(), Err(EnvelopeError::Time));
        for name in ["Upper", "with-dash", "data", ""] {
            let mut bad = valid();
            bad.extensions
                .insert(name.to_owned(), AttrValue::Boolean(true));
            assert!(matches!(bad.check(), Err(EnvelopeError::Name(_))), "{name}");
        }
    }

    #[test]
    fn severity_chooses_the_lane() {
        for (number, lane) in [
            (1, Some(Lane::Normal)),
            (12, Some(Lane::Normal)),
            (13, Some(Lane::High)),
            (17, Some(Lane::Critical)),
            (24, Some(Lane::Critical)),
            (0, None),
        ] {
            let mut envelope = valid();
            envelope
                .extensions
                .insert("severitynumber".to_owned(), AttrValue::Integer(number));
            assert_eq!(envelope.lane(), lane, "{number}");
        }
    }
}
