//! CloudEvents 1.0 at the door: JSON (one event or a batch) and HTTP headers, to and from
//! [`Message`](crate::model::Message), losing nothing.
//!
//! `data` is kept by its exact bytes and never parsed into a tree. On the way out a body that is JSON
//! goes into `data` as it is, text of another media type as a JSON string, and everything else as
//! `data_base64`, so the receiver of any form holds the same bytes.
//!
//! A decoded event has passed [`Envelope::check`] and the rules that only the specification has
//! (URIs, media types). A rule that is broken is an error that names the attribute.

mod binary;
mod json;
mod rules;

pub use binary::{HEADER_PREFIX, decode_headers, decode_value, encode_headers, encode_value};
pub use json::{decode, decode_batch, encode, encode_batch, encode_with};

use crate::model::{Envelope, EnvelopeError};

/// Media type of one event as JSON.
pub const EVENT_JSON: &str = "application/cloudevents+json";
/// Media type of a JSON array of events.
pub const BATCH_JSON: &str = "application/cloudevents-batch+json";
/// The only version of the specification that is spoken here.
pub const SPEC_VERSION: &str = "1.0";

/// What a decoder accepts at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Events in a batch.
    pub events: usize,
    /// Nested arrays and objects.
    pub depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            events: 1000,
            depth: 64,
        }
    }
}

/// Why bytes are not an event. The texts hold no part of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The text is larger than the decoder accepts.
    #[error("{bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// The length found.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Arrays and objects are nested too deep.
    #[error("nested deeper than {max} levels")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// A batch holds too many events.
    #[error("more than {max} events in one batch")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// Not JSON, or not of the shape that the media type promises.
    #[error("not {expected} (line {line}, column {column})")]
    Json {
        /// What was expected.
        expected: &'static str,
        /// Where it broke, from 1 on.
        line: usize,
        /// Where it broke, from 1 on.
        column: usize,
    },
    /// An attribute appears twice.
    #[error("the attribute '{0}' appears twice")]
    Twice(String),
    /// `specversion` is missing or is one that nobody here speaks.
    #[error("the attribute 'specversion' must be \"1.0\"")]
    SpecVersion,
    /// An attribute's value breaks a rule.
    #[error("the attribute '{name}' {reason}")]
    Attribute {
        /// The attribute.
        name: String,
        /// The rule, as the rest of the sentence.
        reason: &'static str,
    },
    /// An attribute breaks a rule of the model.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// One event of a batch is wrong.
    #[error("event {index} of the batch: {source}")]
    InBatch {
        /// Which one, from 0 on.
        index: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
}

impl EventError {
    fn attribute(name: &str, reason: &'static str) -> Self {
        Self::Attribute {
            name: crate::safe_text::safe(name, 64),
            reason,
        }
    }

    /// Whether the input is too big, rather than wrong.
    pub fn is_too_large(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::TooMany { .. } => true,
            Self::InBatch { source, .. } => source.is_too_large(),
            _ => false,
        }
    }
}

/// Checks an envelope against the model's bounds and the specification's grammar.
pub fn check(envelope: &Envelope) -> Result<(), EventError> {
    envelope.check()?;
    rules::check(envelope)
}

/// Whether `content_type` says that the body is JSON. Without one a JSON event's body is.
pub fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_none_or(rules::is_json_media_type)
}

/// `text` without its parameters, in lower case: `Text/XML; charset=utf-8` is `text/xml`.
pub fn essence(content_type: &str) -> String {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
