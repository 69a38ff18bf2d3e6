//! The one codec for disk, link and files: envelopes, records and frames.
//!
//! Everything is little-endian and length-checked before anything is allocated. Numbers that are
//! stored or sent have explicit values and never change meaning.

mod attributes;
mod code;
mod control;
mod frame;
mod record;

pub(crate) use attributes::HOPS;
pub use attributes::{EnvelopeRef, decode_envelope, encode_envelope};
pub use code::Code;
pub use control::{
    Ack, Applied, Backlog, Below, CALL_WINDOW, CALLS, Call, ChannelBacklog, ChannelKind, Consumer,
    Control, Durable, Greeting, Heartbeat, MAX_APPLIED, MAX_CALLS, MAX_CHANNELS, MAX_STREAMS, Mark,
    Open, OpenAck, PARTS, PROTOCOL, PROTOCOL_OLDEST, Refusal, Start, Status, Subscribe, Target,
};
#[cfg(feature = "pki")]
pub(crate) use control::{applied_from_bytes, applied_to_bytes};
pub use frame::{
    FRAME_HEADER, Frame, FrameDecoder, FrameHeader, FrameKind, MAX_CALL_DATA, MAX_CONTROL,
    MAX_FRAME, MAX_GREETING, MAX_PIECE, READ_STEP,
};
pub use record::{
    MAX_BODY, MAX_HEAD, Origin, RECORD_HEADER, Record, RecordHeader, RecordKind, Records, SealSuite,
};

/// Why bytes from a disk or a peer are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end before the structure does.
    #[error("the data ends early")]
    Truncated,
    /// A length field exceeds its bound.
    #[error("{what} of {length} bytes exceeds the limit of {max}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The length that was announced.
        length: u64,
        /// The bound.
        max: u64,
    },
    /// A checksum does not match.
    #[error("the checksum of the {0} does not match")]
    Checksum(&'static str),
    /// A number without a meaning in this version.
    #[error("{what} {number} is unknown")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// Its value.
        number: u32,
    },
    /// Text that is not UTF-8, or structure that is not as drawn.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

/// Reads fixed-size fields from the front of a slice, never past its end.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }
}
