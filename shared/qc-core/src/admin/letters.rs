//! Dead letters as the admin API shows them: why, where, the attributes, never a body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The schema of [`DeadLetters`].
pub const DEAD_LETTERS_SCHEMA: &str = "qc.dead-letters/1";
/// The schema of [`DeadLetterMeta`].
pub const DEAD_LETTER_SCHEMA: &str = "qc.dead-letter/1";

/// A page of dead letters, newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetters {
    /// The letters.
    pub letters: Vec<DeadLetterRow>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// One dead letter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetterRow {
    /// Its name on this node: tenant and number.
    pub id: String,
    /// When the message was given up.
    pub at: String,
    /// Why, as a stable code.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// The stream it was in or was sent to.
    pub stream: String,
    /// On which side of the node: `hub`, `out`, `in`.
    pub side: String,
    /// The lane.
    pub lane: String,
    /// The history that `seq` counts in.
    pub epoch: u64,
    /// Its number; 0 when it never had one.
    pub seq: u64,
    /// The node that sent it, if it was refused on its way in; `epoch` and `seq` are that node's.
    pub sender: Option<String>,
    /// Who could not take it; none if it was refused on its way in.
    pub consumer: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// `id` of the message.
    pub event_id: String,
    /// `source` of the message.
    pub event_source: String,
    /// `type` of the message.
    pub event_type: String,
    /// The class that it states.
    pub class: Option<String>,
    /// The length of its body.
    pub body_bytes: u64,
    /// Its number, if it is a part of a longer message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Why nobody can read the body, with the code: its key is destroyed, or not at hand.
    pub body_unreadable: Option<String>,
}

/// One dead letter with all its attributes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetterMeta {
    /// Why and where.
    pub letter: DeadLetterRow,
    /// The attributes of the message as it came.
    pub attributes: BTreeMap<String, serde_json::Value>,
}
