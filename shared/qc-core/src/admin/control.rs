//! Control objects as the admin API shows them: what a node has taken, and at a relay who has taken it too.

use serde::{Deserialize, Serialize};

use super::api::LastError;

/// The schema of [`ControlList`].
pub const CONTROL_LIST_SCHEMA: &str = "qc.control-list/1";
/// The schema of [`ControlDetail`].
pub const CONTROL_SCHEMA: &str = "qc.control/1";
/// The schema of [`ControlTaken`].
pub const CONTROL_TAKEN_SCHEMA: &str = "qc.control-taken/1";

/// The control objects of a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlList {
    /// The kinds that its owner lets it take.
    pub accept: Vec<String>,
    /// The newest object of each kind and label.
    pub objects: Vec<ControlRow>,
    /// The newest one that it did not take, since it started.
    pub last_refusal: Option<LastError>,
}

/// One control object that a node has taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlRow {
    /// What it is about: `revocations`.
    pub kind: String,
    /// Which one of its kind; empty where there is one.
    pub label: String,
    /// Its revision.
    pub revision: u64,
    /// When it was signed.
    pub created: String,
    /// Who has signed it.
    pub signer: String,
    /// SHA-256 of what it says, in hex.
    pub digest: String,
    /// Its length.
    pub bytes: u64,
    /// Whom it is for; empty means all.
    pub audience: Vec<String>,
    /// Whether it is in force on this node, and not only carried.
    pub in_force: bool,
    /// Nodes below that it is for.
    pub nodes: u64,
    /// Of these, those that have applied it.
    pub applied: u64,
    /// Of these, those that refuse it.
    pub refused: u64,
    /// Of these, those that it has not reached.
    pub waiting: u64,
    /// A few of those, the ones longest not seen first.
    pub waits_for: Vec<ControlNode>,
}

/// One object, node by node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlDetail {
    /// The object.
    pub object: ControlRow,
    /// The nodes below that it is for.
    pub nodes: Vec<ControlNode>,
}

/// How far one node has come with an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlNode {
    /// The node.
    pub node: String,
    /// How far.
    pub state: ControlState,
    /// The revision that it has, if it has any.
    pub revision: Option<u64>,
    /// Why not, as a stable code.
    pub code: Option<String>,
    /// Why not.
    pub reason: Option<String>,
    /// Whether it has a link now.
    pub linked: bool,
    /// When it was last heard of.
    pub last_seen: Option<String>,
    /// How long ago that is.
    pub seen_ms: Option<u64>,
    /// If it is a relay: nodes below it that the object is for.
    pub below_nodes: Option<u64>,
    /// Of these, those that have applied this revision.
    pub below_applied: Option<u64>,
}

/// How far a node has come with an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlState {
    /// It is in force there.
    Applied,
    /// It does not take it.
    Refused,
    /// It has not got it yet.
    Waiting,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What became of an object that was given to a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlTaken {
    /// What it is about.
    pub kind: String,
    /// Which one of its kind.
    pub label: String,
    /// Its revision.
    pub revision: u64,
    /// `applied`, `unchanged`, or `carried`: kept for others.
    pub state: String,
    /// Who has signed it.
    pub signer: String,
}
