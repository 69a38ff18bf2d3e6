//! What a node tells in its status of the control objects that it has applied.

#[cfg(feature = "pki")]
use prost::Message as _;

use super::WireError;

/// The most objects that a status tells of.
pub const MAX_APPLIED: usize = 64;
/// The longest name of one object among those of its kind.
const MAX_LABEL: usize = 40;

/// How far a node has come with one control object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The number of its kind; one that the reader does not know is of a later version.
    pub kind: u16,
    /// Which one of its kind.
    pub label: String,
    /// The revision that is applied.
    pub revision: u64,
    /// SHA-256 of what it says.
    pub digest: [u8; 32],
    /// From a relay: how far the nodes below it have come.
    pub below: Option<Below>,
}

/// Of the nodes below a relay that an object is for: how many there are, and how many have this revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Below {
    /// How many it is for.
    pub nodes: u64,
    /// How many have applied it.
    pub applied: u64,
}

/// A list as it stands in a status, for values that are stored.
#[cfg(feature = "pki")]
pub(crate) fn to_bytes(applied: &[Applied]) -> Vec<u8> {
    Control::from(applied).encode_to_vec()
}

/// The list in such bytes.
#[cfg(feature = "pki")]
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<Applied>, WireError> {
    let malformed = |_| WireError::Malformed("list of control objects");
    Control::decode(bytes).map_err(malformed)?.try_into()
}

/// The twin of a list of [`Applied`] that carries the protobuf field numbers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Control {
    #[prost(message, repeated, tag = "1")]
    applied: Vec<AppliedTwin>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct AppliedTwin {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, tag = "2")]
    label: String,
    #[prost(uint64, tag = "3")]
    revision: u64,
    #[prost(bytes = "vec", tag = "4")]
    digest: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    below: Option<BelowTwin>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct BelowTwin {
    #[prost(uint64, tag = "1")]
    nodes: u64,
    #[prost(uint64, tag = "2")]
    applied: u64,
}

impl From<&[Applied]> for Control {
    fn from(applied: &[Applied]) -> Self {
        let twin = |one: &Applied| AppliedTwin {
            kind: u32::from(one.kind),
            label: one.label.clone(),
            revision: one.revision,
            digest: one.digest.to_vec(),
            below: one.below.map(|below| BelowTwin {
                nodes: below.nodes,
                applied: below.applied,
            }),
        };
        Self {
            applied: applied.iter().map(twin).collect(),
        }
    }
}

impl TryFrom<Control> for Vec<Applied> {
    type Error = WireError;

    fn try_from(pb: Control) -> Result<Self, WireError> {
        if pb.applied.len() > MAX_APPLIED {
            return Err(WireError::Malformed("number of control objects"));
        }
        pb.applied.into_iter().map(TryInto::try_into).collect()
    }
}

impl TryFrom<AppliedTwin> for Applied {
    type Error = WireError;

    fn try_from(pb: AppliedTwin) -> Result<Self, WireError> {
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        if pb.label.len() > MAX_LABEL || !pb.label.chars().all(allowed) {
            return Err(WireError::Malformed("label of a control object"));
        }
        let number = pb.kind;
        Ok(Self {
            kind: u16::try_from(number).map_err(|_| WireError::Unknown {
                what: "kind of a control object",
                number,
            })?,
            label: pb.label,
            revision: pb.revision,
            digest: pb
                .digest
                .try_into()
                .map_err(|_| WireError::Malformed("digest of a control object"))?,
            below: pb.below.map(|below| Below {
                nodes: below.nodes,
                applied: below.applied,
            }),
        })
    }
}
