//! The twin of an entry that carries the protobuf field numbers, which never change their meaning.

use std::collections::BTreeMap;

use prost::Message as _;

use super::labels::{Labels, MAX_LABELS};
use super::{NodeEntry, RefusedObject, VERSION};
use crate::model::Timestamp;
use crate::pki::Role;
use crate::safe_text::safe;
use crate::wire::{Code, MAX_APPLIED, WireError, applied_from_bytes, applied_to_bytes};

/// The longest value that is read.
const MAX_ENTRY: usize = 64 << 10;
/// The longest address and version that are kept, in characters.
const MAX_SHORT: usize = 64;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Node {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint32, tag = "2")]
    role: u32,
    #[prost(uint64, tag = "3")]
    first_seen_ms: u64,
    #[prost(uint64, tag = "4")]
    last_seen_ms: u64,
    #[prost(string, tag = "5")]
    address: String,
    #[prost(string, tag = "6")]
    version: String,
    #[prost(uint64, tag = "7")]
    cert_not_after_ms: u64,
    #[prost(btree_map = "string, string", tag = "8")]
    labels: BTreeMap<String, String>,
    #[prost(uint64, tag = "9")]
    label_revision: u64,
    /// As in field 10 of a status.
    #[prost(bytes = "vec", tag = "10")]
    applied: Vec<u8>,
    #[prost(message, repeated, tag = "11")]
    refused: Vec<Refused>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Refused {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, tag = "2")]
    label: String,
    #[prost(uint64, tag = "3")]
    revision: u64,
    #[prost(uint32, tag = "4")]
    code: u32,
    #[prost(string, tag = "5")]
    reason: String,
    #[prost(uint64, tag = "6")]
    at_ms: u64,
}

pub(super) fn encode(entry: &NodeEntry) -> Vec<u8> {
    let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_millis);
    let labels = entry.labels.iter();
    let refused = |refused: &RefusedObject| Refused {
        kind: u32::from(refused.kind),
        label: refused.label.clone(),
        revision: refused.revision,
        code: u32::from(refused.code.number()),
        reason: refused.reason.clone(),
        at_ms: refused.at.as_millis(),
    };
    let node = Node {
        format: VERSION,
        role: entry.role.map_or(0, |role| role as u32),
        first_seen_ms: entry.first_seen.as_millis(),
        last_seen_ms: millis(entry.last_seen),
        address: entry.address.clone(),
        version: entry.version.clone(),
        cert_not_after_ms: millis(entry.cert_not_after),
        labels: labels
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        label_revision: entry.label_revision,
        applied: applied_to_bytes(&entry.applied),
        refused: entry.refused.iter().map(refused).collect(),
    };
    node.encode_to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<NodeEntry, WireError> {
    if bytes.len() > MAX_ENTRY {
        return Err(WireError::TooLong {
            what: "entry of a node",
            length: bytes.len() as u64,
            max: MAX_ENTRY as u64,
        });
    }
    let node = Node::decode(bytes).map_err(|_| WireError::Malformed("entry of a node"))?;
    if node.format != VERSION {
        return Err(WireError::Unknown {
            what: "version of a node's entry",
            number: node.format,
        });
    }
    let time = |ms: u64| (ms > 0).then(|| Timestamp::from_millis(ms));
    if node.labels.len() > MAX_LABELS {
        return Err(WireError::Malformed("entry of a node"));
    }
    let label = |(key, value): (String, String)| {
        let malformed = |_| WireError::Malformed("label of a node");
        Ok((
            key.parse().map_err(malformed)?,
            value.parse().map_err(malformed)?,
        ))
    };
    let labels: Result<Labels, WireError> = node.labels.into_iter().map(label).collect();
    let mut roles = Role::ALL.into_iter();
    // what a node has, it tells again, and what it refuses, too: neither costs it what only stands here
    let refused = node.refused.into_iter().take(MAX_APPLIED);
    let refused = refused.filter_map(|one| RefusedObject::try_from(one).ok());
    Ok(NodeEntry {
        // a role of a later version is none that can be shown
        role: roles.find(|role| *role as u32 == node.role),
        first_seen: Timestamp::from_millis(node.first_seen_ms),
        last_seen: time(node.last_seen_ms),
        address: safe(&node.address, MAX_SHORT),
        version: safe(&node.version, MAX_SHORT),
        cert_not_after: time(node.cert_not_after_ms),
        labels: labels?,
        label_revision: node.label_revision,
        applied: applied_from_bytes(&node.applied).unwrap_or_default(),
        refused: refused.collect(),
    })
}

impl TryFrom<Refused> for RefusedObject {
    type Error = WireError;

    fn try_from(pb: Refused) -> Result<Self, WireError> {
        let number = pb.kind;
        Ok(Self {
            kind: u16::try_from(number).map_err(|_| WireError::Unknown {
                what: "kind of a control object",
                number,
            })?,
            label: safe(&pb.label, MAX_SHORT),
            revision: pb.revision,
            code: Code::from_wire(pb.code)?,
            reason: safe(&pb.reason, MAX_REASON),
            at: Timestamp::from_millis(pb.at_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Applied;
    use proptest::prelude::*;

    #[test]
    fn a_later_version_is_told_from_damage() {
        let later = Node {
            format: 2,
            ..Node::default()
        }
        .encode_to_vec();
        assert!(matches!(
            decode(&later),
            Err(WireError::Unknown { number: 2, .. })
        ));
        for bytes in [&b""[..], b"\xff\xff", &[0; 40]] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn lists_of_objects_that_cannot_be_read_cost_no_label() {
        let one = |kind| Refused {
            kind,
            ..Refused::default()
        };
        let node = Node {
            format: VERSION,
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            label_revision: 3,
            applied: applied_to_bytes(&vec![Applied::default(); MAX_APPLIED + 1]),
            refused: vec![one(u32::MAX); MAX_APPLIED + 1],
            ..Node::default()
        };
        let entry = decode(&node.encode_to_vec()).unwrap();
        assert_eq!((entry.labels.len(), entry.label_revision), (1, 3));
        assert!(entry.applied.is_empty() && entry.refused.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(entry) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&entry)), Ok(entry));
            }
        }

        #[test]
        fn an_entry_is_read_as_it_was_written(
            times in any::<[u64; 4]>(), role in 0_usize..10, revision in any::<u64>(),
            digest in any::<[u8; 32]>(), labels in proptest::collection::btree_map("[a-z0-9_-]{1,40}", "[A-Za-z0-9./:@+_-]{1,80}", 0..5),
        ) {
            let labels = labels.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap()));
            let applied = Applied { kind: 1, label: "x-1".to_owned(), revision, digest, below: None };
            let entry = NodeEntry {
                role: Role::ALL.get(role).copied(),
                first_seen: Timestamp::from_millis(times[0]),
                last_seen: Some(Timestamp::from_millis(times[1].max(1))),
                address: "192.0.2.7".to_owned(),
                version: "0.1.0".to_owned(),
                cert_not_after: Some(Timestamp::from_millis(times[2].max(1))),
                labels: labels.collect(),
                label_revision: revision,
                refused: vec![RefusedObject {
                    kind: 1, label: String::new(), revision, code: Code::new(2168),
                    reason: "why".to_owned(), at: Timestamp::from_millis(times[3]),
                }],
                applied: vec![applied],
            };
            prop_assert_eq!(decode(&encode(&entry)), Ok(entry));
        }
    }
}
