//! What a relay remembers of every node, over its own restarts: a value of its storage's registry a node,
//! under `node/NAME`.
//!
//! The value is protobuf with fixed field numbers (`pb.rs`) and begins with the version of this format. Labels
//! are the operator's: no node says anything of its own. Bytes in, bytes out.

mod labels;
mod pb;

pub use labels::{LabelError, LabelKey, LabelValue, Labels, MAX_LABELS};

use crate::model::{NodeName, Timestamp};
use crate::pki::Role;
use crate::wire::{Applied, Code, WireError};

/// The most nodes that a relay remembers.
pub const MAX_NODES: usize = 20_000;
/// What the keys of nodes begin with.
pub const NODES: &str = "node/";
/// The version of the format that is written.
pub const VERSION: u32 = 1;

/// What is remembered of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeEntry {
    /// Its role, as its certificate said last.
    pub role: Option<Role>,
    /// When it was first seen here.
    pub first_seen: Timestamp,
    /// When it was heard of last, a few minutes late.
    pub last_seen: Option<Timestamp>,
    /// The address that it came from, without the port.
    pub address: String,
    /// Its software version, as it says.
    pub version: String,
    /// When its certificate ends, as it says.
    pub cert_not_after: Option<Timestamp>,
    /// What the operator calls it.
    pub labels: Labels,
    /// Rises with every change of the labels.
    pub label_revision: u64,
    /// The control objects that it has applied, as it says.
    pub applied: Vec<Applied>,
    /// The control objects that it does not take, with its reasons.
    pub refused: Vec<RefusedObject>,
}

/// A control object that a node does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedObject {
    /// The number of its kind.
    pub kind: u16,
    /// Which one of its kind.
    pub label: String,
    /// The revision that was refused.
    pub revision: u64,
    /// The stable code.
    pub code: Code,
    /// The reason, safe to show.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// The registry's key of a node.
pub fn key(node: &NodeName) -> String {
    format!("{NODES}{node}")
}

/// The node that a key of the registry is of.
pub fn node_of(key: &str) -> Option<NodeName> {
    key.strip_prefix(NODES)?.parse().ok()
}

impl NodeEntry {
    /// A node that is seen for the first time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            first_seen: now,
            ..Self::default()
        }
    }

    /// The entry as bytes.
    pub fn encode(&self) -> Vec<u8> {
        pb::encode(self)
    }

    /// Reads an entry, and checks every bound of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        pb::decode(bytes)
    }

    /// Puts together what two have written of the same node: the newer of what can be newer.
    pub fn merge(&mut self, there: &Self) {
        self.first_seen = self.first_seen.min(there.first_seen);
        if there.label_revision > self.label_revision {
            self.labels.clone_from(&there.labels);
            self.label_revision = there.label_revision;
        }
        if there.last_seen > self.last_seen {
            let (labels, revision, first) = (
                std::mem::take(&mut self.labels),
                self.label_revision,
                self.first_seen,
            );
            *self = Self {
                labels,
                label_revision: revision,
                first_seen: first,
                ..there.clone()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seen: u64, labels: u64, version: &str) -> NodeEntry {
        NodeEntry {
            last_seen: Some(Timestamp::from_millis(seen)),
            version: version.to_owned(),
            label_revision: labels,
            labels: [(
                "env".parse().unwrap(),
                format!("v{labels}").parse().unwrap(),
            )]
            .into(),
            ..NodeEntry::new(Timestamp::from_millis(seen / 2))
        }
    }

    #[test]
    fn of_two_writers_the_newer_facts_and_the_newer_labels_stay() {
        let mut ours = entry(100, 2, "ours");
        ours.merge(&entry(200, 1, "theirs"));
        assert_eq!((ours.version.as_str(), ours.label_revision), ("theirs", 2));
        assert_eq!(ours.labels, entry(0, 2, "").labels);
        assert_eq!(ours.first_seen, Timestamp::from_millis(50));
        let mut ours = entry(300, 1, "ours");
        ours.merge(&entry(200, 5, "theirs"));
        assert_eq!((ours.version.as_str(), ours.label_revision), ("ours", 5));
        assert_eq!(ours.labels, entry(0, 5, "").labels);
    }

    #[test]
    fn a_key_names_its_node() {
        let node: NodeName = "edge-1.mill7.acme".parse().unwrap();
        assert_eq!(key(&node), "node/edge-1.mill7.acme");
        assert_eq!(node_of(&key(&node)), Some(node));
        assert_eq!(node_of("node/"), None);
        assert_eq!(node_of("parent/edge-1.mill7.acme"), None);
    }
}
