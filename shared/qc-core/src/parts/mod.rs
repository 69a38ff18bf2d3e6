//! Messages that are longer than a record: a run of records, the *parts*, each stored, sent, acknowledged
//! and judged as any other.
//!
//! A body up to [`Sizes::record`] is one record, as it always was. A longer one is cut by [`Upload`]: every part
//! carries the whole head, so whoever decides by class, tenant or type decides alike for each and
//! remembers nothing. All parts but the last have the same length, so a part's place in the body follows from
//! its number. The body of the last part ends in a [`Trailer`]:
//!
//! ```text
//! - 48  u8   version of the trailer (1)      7B zero
//! - 40  u64  bytes of the whole message, little-endian
//! - 32  32B  SHA-256 of the whole message
//! ```
//!
//! A part is known again by (`source`, `id`) and its number ([`part_key`](crate::store::part_key)); a sender that
//! repeats a message after a crash has the parts that are there recognised and adds the rest. A
//! part is handed to the log only after the one before it is on disk, so the parts of a message rise in
//! their stream whatever failed meanwhile and whoever else sends the same message.
//!
//! Between the parts of a message others may stand, also parts of other messages. Whoever puts one together goes by
//! (`source`, `id`) and tells with a stable code what does not fit.

#[cfg(feature = "store")]
mod upload;
#[cfg(feature = "store")]
mod whole;

use bytes::Bytes;

use crate::model::Envelope;
use crate::wire::{HOPS, MAX_BODY, Reader, WireError};

#[cfg(feature = "store")]
pub use upload::{Submit, Upload};
#[cfg(feature = "store")]
pub use whole::{Whole, WholeError};

/// How long parts and whole bodies may be. Small under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The longest body of a message in one record.
    pub record: usize,
    /// The length of every part of a longer one but the last.
    pub part: usize,
    /// The longest body of a message.
    pub whole: u64,
}

impl Sizes {
    /// What the product cuts.
    pub const PRODUCT: Self = Self {
        record: MAX_BODY,
        part: 1 << 20,
        whole: 1 << 30,
    };
}

/// The longest body of a message, in parts or not.
pub const MAX_WHOLE: u64 = Sizes::PRODUCT.whole;

/// The end of the last part: what all of them make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Bytes of the whole body.
    pub total: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl Trailer {
    /// Its length in bytes.
    pub const LEN: usize = 48;
    const VERSION: u8 = 1;

    #[cfg(any(test, feature = "store"))]
    fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (version, rest) = bytes.split_at_mut(8);
        let (total, sha256) = rest.split_at_mut(8);
        version.copy_from_slice(&[Self::VERSION, 0, 0, 0, 0, 0, 0, 0]);
        total.copy_from_slice(&self.total.to_le_bytes());
        sha256.copy_from_slice(&self.sha256);
        bytes
    }

    /// Takes the body of a last part apart: its share of the message, and the trailer, which claims no more
    /// than a message may have.
    pub fn split(body: &Bytes) -> Result<(Bytes, Self), WireError> {
        let at = body.len().checked_sub(Self::LEN);
        let at = at.ok_or(WireError::Truncated)?;
        let mut reader = Reader(body.get(at..).unwrap_or_default());
        let version = reader.u8()?;
        if version != Self::VERSION {
            return Err(WireError::Unknown {
                what: "version of the trailer of a message in parts",
                number: u32::from(version),
            });
        }
        let _zero: [u8; 7] = reader.array()?;
        let total = reader.u64()?;
        let sha256 = reader.array()?;
        if total > MAX_WHOLE {
            return Err(WireError::TooLong {
                what: "message in parts",
                length: total,
                max: MAX_WHOLE,
            });
        }
        if total < at as u64 {
            return Err(WireError::Malformed("total of a message in parts"));
        }
        Ok((body.slice(..at), Self { total, sha256 }))
    }
}

/// Where part `number`, which is not the last, stands in the body of its message, as all of them have its
/// length; none if that is beyond what a message may have.
pub fn offset(number: u32, length: usize) -> Option<u64> {
    let length = length as u64;
    let offset = u64::from(number).checked_mul(length)?;
    (offset.checked_add(length)? <= MAX_WHOLE).then_some(offset)
}

/// Whether two parts say that they are of one message: everything must be the same but `time`, which a
/// sender may well make anew when it repeats itself, and `qchops`, as parts may come by different ways.
pub fn is_same(one: &Envelope, other: &Envelope) -> bool {
    let lasting = |envelope: &Envelope| {
        let mut lasting = Envelope {
            time: None,
            ..envelope.clone()
        };
        lasting.extensions.remove(HOPS);
        lasting
    };
    lasting(one) == lasting(other)
}

const _: () = assert!(Sizes::PRODUCT.part + Trailer::LEN <= MAX_BODY);

#[cfg(test)]
mod tests;
