//! What the admin API says of keys: never a key, only short public names.

use serde::{Deserialize, Serialize};

/// The schema of [`KeyReport`].
pub const KEYS_SCHEMA: &str = "qc.keys/1";
/// The schema of [`KeyChange`].
pub const KEY_CHANGE_SCHEMA: &str = "qc.key-change/1";

/// The keys of a node's store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyReport {
    /// The node key.
    pub node: NodeKeyRow,
    /// The keys of tenants.
    pub tenants: Vec<TenantKeyRow>,
}

/// The key of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeKeyRow {
    /// Its short public name: eight hexadecimal digits.
    pub id: String,
    /// Where it comes from: `file`, `passphrase` or `credential`.
    pub source: String,
    /// The file or credential.
    pub path: String,
    /// When its file was written; nobody knows that of a credential.
    pub since: Option<String>,
    /// How long ago that was.
    pub age_s: Option<u64>,
    /// Segments that it wraps.
    pub segments: u64,
    /// Segments that another key wraps, too, or alone: a change that has not ended.
    pub other_segments: u64,
    /// Whether a copy in the clear lies in the state directory although the key is to be protected.
    pub lies_open: bool,
}

/// The key of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantKeyRow {
    /// The tenant.
    pub tenant: String,
    /// How it fares.
    pub state: TenantKeyState,
    /// The short public name of the generation that seals what is new.
    pub id: Option<String>,
    /// Its number.
    pub generation: u64,
    /// Generations that are kept, this one included.
    pub generations: u64,
    /// Who wraps it: `node`, or `exec` for a program in the tenant's custody.
    pub custody: String,
    /// When the newest generation was made, or all of them were destroyed.
    pub since: Option<String>,
    /// Why it is not at hand, or why it was destroyed.
    pub reason: Option<String>,
}

/// How the key of a tenant fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantKeyState {
    /// It seals what is new.
    InUse,
    /// It is not at hand: nothing is read or taken.
    Away,
    /// It was destroyed: what it sealed stays unreadable, and nothing is taken.
    Destroyed,
    /// It is to be made.
    Missing,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl TenantKeyState {
    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Away => "not at hand",
            Self::Destroyed => "destroyed",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// What a command asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyWish {
    /// The tenant; without one the node key is meant.
    pub tenant: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What became of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyChange {
    /// `rotated`, `created`, `destroyed` or `unchanged`.
    pub done: String,
    /// Whose key; the node's own when there is none.
    pub tenant: Option<String>,
    /// The short name of the key before.
    pub old: Option<String>,
    /// The short name of the key now.
    pub new: Option<String>,
    /// The generation of a tenant's key.
    pub generation: u64,
    /// Segments that the new node key wraps.
    pub segments: u64,
}
