//! The payload of the kind `revocations`: one or more lists, each length u32 and DER.
//!
//! Each list carries the signature of its authority and a number of its own, and is judged by these like one
//! that came as a file. The object around them says that all of a node's fleet shall have them.

use bytes::BufMut as _;

use crate::pki::{MAX_CRLS, TrustAnchors, TrustError};
use crate::wire::{Reader, WireError};

/// What became of the lists of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Lists that are newer than what was there.
    pub newer: usize,
    /// Lists that are there, or older than what is there.
    pub known: usize,
    /// Why the others cannot be used.
    pub refused: Vec<String>,
}

/// The payload that holds `lists`.
pub fn pack<L: AsRef<[u8]>>(lists: impl IntoIterator<Item = L>) -> Vec<u8> {
    let mut out = Vec::new();
    for list in lists {
        let list = list.as_ref();
        out.put_u32_le(u32::try_from(list.len()).unwrap_or(u32::MAX));
        out.put_slice(list);
    }
    out
}

/// The lists in a payload.
pub fn lists(payload: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    let mut reader = Reader(payload);
    let mut lists = Vec::new();
    while !reader.0.is_empty() {
        if lists.len() >= MAX_CRLS {
            return Err(WireError::Malformed("number of revocation lists"));
        }
        let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        lists.push(reader.bytes(length)?);
    }
    if lists.is_empty() {
        return Err(WireError::Malformed("payload without a revocation list"));
    }
    Ok(lists)
}

/// Adds `lists` to `trust`. A number that is lower than the one held takes nothing back, and one list that
/// cannot be used does not hold up the others.
pub fn take(lists: &[&[u8]], trust: &mut TrustAnchors) -> Taken {
    let mut taken = Taken::default();
    for list in lists {
        let is_held = trust.crls().any(|held| held == *list);
        match trust.add_crl(list.to_vec()) {
            Ok(()) if is_held => taken.known += 1,
            Ok(()) => taken.newer += 1,
            Err(TrustError::Rollback { .. }) => taken.known += 1,
            Err(error) => taken.refused.push(error.to_string()),
        }
    }
    taken
}
