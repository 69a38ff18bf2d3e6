//! The record: one message, cursor or definition, on disk and in a link's batch alike.
//!
//! ```text
//!   0  u32  length of the whole record, this field included
//!   4  u8   kind            5 u8 lane         6 u16 flags (1 last part, 2 moved)
//!   8  u32  part            parts of one message count from 0
//!  12  u32  stream          number of the stream, local to the store or the session
//!  16  u64  epoch          24 u64 seq        32 u64 accepted at, ms since 1970
//!  40  u32  tenant key      0 = the body is under no tenant key
//!  44  u32  origin          number of the node it came from, 0 = this one
//!  48  u64  origin epoch   56 u64 origin seq
//!  64  16B  dedupe          digest of (source, id), zero = none
//!  80  u32  head length    84 u32 body length
//!  88  u8   seal suite      0 = body not sealed    89 3B zero    92 12B nonce
//! 104  head, then body      (the tag of a sealed body is its last 16 bytes)
//! ```
//!
//! The head holds the attributes, the body is opaque; they are separate so that "metadata goes, body
//! stays" copies nothing. Checksums and encryption are the business of the batch around it.

use bytes::{BufMut as _, Bytes};

use super::{Reader, WireError};
use crate::model::{Epoch, Lane, Part, Seq, Timestamp};

/// Length of the fixed part in bytes.
pub const RECORD_HEADER: usize = 104;
/// The longest head in bytes.
pub const MAX_HEAD: usize = 512 * 1024;
/// The longest body of one record in bytes; longer messages travel in parts.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// What a record is. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A message of a stream.
    Message = 1,
    /// The definition and state of a stream.
    Stream = 2,
    /// How far a consumer has come.
    Cursor = 3,
    /// How far a peer's stream has been taken over.
    Mark = 4,
    /// Everything up to a seq is no longer needed.
    Trim = 5,
    /// A range of seqs that is known to be lost.
    Gap = 6,
    /// The name behind an origin number.
    Origin = 7,
    /// A value of the registry.
    Value = 8,
}

impl RecordKind {
    fn from_u8(number: u8) -> Result<Self, WireError> {
        Ok(match number {
            1 => Self::Message,
            2 => Self::Stream,
            3 => Self::Cursor,
            4 => Self::Mark,
            5 => Self::Trim,
            6 => Self::Gap,
            7 => Self::Origin,
            8 => Self::Value,
            _ => {
                return Err(WireError::Unknown {
                    what: "record kind",
                    number: u32::from(number),
                });
            }
        })
    }
}

/// How a body is sealed inside the record. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum SealSuite {
    /// Not sealed beyond the batch.
    #[default]
    None = 0,
    /// AES-256-GCM under a tenant key.
    Aes256Gcm = 1,
}

/// Where a record came from, in the numbering of the node that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// The local number of the sending node; 0 is this node.
    pub node: u32,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The sender's seq.
    pub seq: Seq,
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What it is.
    pub kind: RecordKind,
    /// Its lane.
    pub lane: Lane,
    /// Part of a message in parts, from 0.
    pub part: u32,
    /// Whether this is the last part.
    pub last_part: bool,
    /// Whether it was copied forward from an older segment of the same store.
    pub moved: bool,
    /// The stream's local number.
    pub stream: u32,
    /// The stream's epoch.
    pub epoch: Epoch,
    /// Its number in the stream.
    pub seq: Seq,
    /// When this node accepted it.
    pub accepted: Timestamp,
    /// The tenant key that seals the body, 0 for none.
    pub tenant_key: u32,
    /// Where it came from.
    pub origin: Origin,
    /// Digest of (source, id), zero for none.
    pub dedupe: [u8; 16],
    /// How the body is sealed.
    pub seal: SealSuite,
    /// The nonce of the seal.
    pub nonce: [u8; 12],
}

impl RecordHeader {
    /// A header of `kind` with everything else zero or default.
    pub fn new(kind: RecordKind) -> Self {
        Self {
            kind,
            lane: Lane::default(),
            part: 0,
            last_part: true,
            moved: false,
            stream: 0,
            epoch: Epoch(0),
            seq: Seq::ZERO,
            accepted: Timestamp::default(),
            tenant_key: 0,
            origin: Origin::default(),
            dedupe: [0; 16],
            seal: SealSuite::None,
            nonce: [0; 12],
        }
    }

    /// Which part of its message it is.
    pub fn part_of(&self) -> Part {
        Part {
            number: self.part,
            is_last: self.last_part,
        }
    }

    /// Appends the record made of this header, `head` and `body` to `out`.
    pub fn encode(&self, head: &[u8], body: &[u8], out: &mut Vec<u8>) {
        self.encode_with_room(head, body, 0, out);
    }

    /// As [`Self::encode`], with `room` zeros at the end of the body.
    pub fn encode_with_room(&self, head: &[u8], body: &[u8], room: usize, out: &mut Vec<u8>) {
        let head_len = u32::try_from(head.len()).expect("bounded by MAX_HEAD at the door");
        let body_len = u32::try_from(body.len() + room).expect("bounded by MAX_BODY at the door");
        let length = u32::try_from(RECORD_HEADER).expect("a small constant") + head_len + body_len;
        let mut fixed = [0; RECORD_HEADER];
        let mut to = fixed.as_mut_slice();
        to.put_u32_le(length);
        to.put_u8(self.kind as u8);
        to.put_u8(self.lane as u8);
        to.put_u16_le(u16::from(self.last_part) | u16::from(self.moved) << 1);
        to.put_u32_le(self.part);
        to.put_u32_le(self.stream);
        to.put_u64_le(self.epoch.0);
        to.put_u64_le(self.seq.0);
        to.put_u64_le(self.accepted.as_millis());
        to.put_u32_le(self.tenant_key);
        to.put_u32_le(self.origin.node);
        to.put_u64_le(self.origin.epoch.0);
        to.put_u64_le(self.origin.seq.0);
        to.put_slice(&self.dedupe);
        to.put_u32_le(head_len);
        to.put_u32_le(body_len);
        to.put_u8(self.seal as u8);
        to.put_slice(&[0; 3]);
        to.put_slice(&self.nonce);
        out.reserve(RECORD_HEADER + head.len() + body.len() + room);
        out.extend_from_slice(&fixed);
        out.extend_from_slice(head);
        out.extend_from_slice(body);
        out.resize(out.len() + room, 0);
    }

    /// Reads one record's header from the front of `bytes`: the header and the lengths of head and
    /// body, all checked to lie within `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize, usize), WireError> {
        let mut r = Reader(bytes);
        let length = r.u32()?;
        let kind = RecordKind::from_u8(r.u8()?)?;
        let lane_number = r.u8()?;
        let lane = Lane::from_u8(lane_number).ok_or_else(|| WireError::Unknown {
            what: "lane",
            number: u32::from(lane_number),
        })?;
        let flags = r.u16()?;
        let part = r.u32()?;
        let stream = r.u32()?;
        let epoch = Epoch(r.u64()?);
        let seq = Seq(r.u64()?);
        let accepted = Timestamp::from_millis(r.u64()?);
        let tenant_key = r.u32()?;
        let origin = Origin {
            node: r.u32()?,
            epoch: Epoch(r.u64()?),
            seq: Seq(r.u64()?),
        };
        let dedupe = r.array()?;
        let head = r.u32()? as usize;
        let body = r.u32()? as usize;
        let seal = match r.u8()? {
            0 => SealSuite::None,
            1 => SealSuite::Aes256Gcm,
            n => {
                return Err(WireError::Unknown {
                    what: "seal suite",
                    number: u32::from(n),
                });
            }
        };
        let _zero: [u8; 3] = r.array()?;
        let nonce = r.array()?;
        check_length("record head", head, MAX_HEAD)?;
        // a seal adds its tag
        let seal_room = if seal == SealSuite::None { 0 } else { 16 };
        check_length("record body", body, MAX_BODY + seal_room)?;
        if length as usize != RECORD_HEADER + head + body {
            return Err(WireError::Malformed("record length"));
        }
        if r.0.len() < head + body {
            return Err(WireError::Truncated);
        }
        let header = Self {
            kind,
            lane,
            part,
            last_part: flags & 1 == 1,
            moved: flags & 2 == 2,
            stream,
            epoch,
            seq,
            accepted,
            tenant_key,
            origin,
            dedupe,
            seal,
            nonce,
        };
        Ok((header, head, body))
    }
}

/// One decoded record; head and body share the buffer they were read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The fixed part.
    pub header: RecordHeader,
    /// The encoded attributes.
    pub head: Bytes,
    /// The payload.
    pub body: Bytes,
}

impl Record {
    /// Takes one record from the front of `bytes` without copying.
    pub fn split_from(bytes: &mut Bytes) -> Result<Self, WireError> {
        let (header, head_len, body_len) = RecordHeader::decode(bytes)?;
        let mut record = bytes.split_to(RECORD_HEADER + head_len + body_len);
        let body = record.split_off(RECORD_HEADER + head_len);
        let head = record.split_off(RECORD_HEADER);
        Ok(Self { header, head, body })
    }

    /// Length of the encoded record in bytes.
    pub fn encoded_len(&self) -> usize {
        RECORD_HEADER + self.head.len() + self.body.len()
    }
}

/// The records of a batch, each of them checked, cut out when they are taken: in memory a short record is
/// longer than on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    payload: Bytes,
    count: usize,
}

impl Records {
    /// Checks every record of `payload` and shows its header to `look`.
    pub fn check(payload: Bytes, mut look: impl FnMut(&RecordHeader)) -> Result<Self, WireError> {
        let (mut rest, mut count) = (&*payload, 0);
        while !rest.is_empty() {
            let (header, head, body) = RecordHeader::decode(rest)?;
            look(&header);
            count += 1;
            rest = rest.get(RECORD_HEADER + head + body..).unwrap_or_default();
        }
        Ok(Self { payload, count })
    }

    /// Length of those that are left, encoded.
    pub fn encoded_len(&self) -> usize {
        self.payload.len()
    }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.count = self.count.checked_sub(1)?;
        let record = Record::split_from(&mut self.payload);
        Some(record.expect("every record was checked"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Records {}

fn check_length(what: &'static str, length: usize, max: usize) -> Result<(), WireError> {
    if length > max {
        return Err(WireError::TooLong {
            what,
            length: length as u64,
            max: max as u64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_every_truncation() {
        let header = RecordHeader {
            lane: Lane::Critical,
            part: 3,
            last_part: false,
            stream: 7,
            epoch: Epoch(11),
            seq: Seq(13),
            accepted: Timestamp::from_millis(17),
            tenant_key: 19,
            origin: Origin {
                node: 23,
                epoch: Epoch(29),
                seq: Seq(31),
            },
            dedupe: [37; 16],
            seal: SealSuite::Aes256Gcm,
            nonce: [41; 12],
            ..RecordHeader::new(RecordKind::Message)
        };
        let mut bytes = Vec::new();
        header.encode(b"head", b"body!", &mut bytes);
        assert_eq!(bytes.len(), RECORD_HEADER + 9);
        for cut in 0..bytes.len() {
            assert!(RecordHeader::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut buffer = Bytes::from([bytes.as_slice(), b"next"].concat());
        let record = Record::split_from(&mut buffer).unwrap();
        assert_eq!(record.header, header);
        assert_eq!(
            (&record.head[..], &record.body[..]),
            (&b"head"[..], &b"body!"[..])
        );
        assert_eq!(&buffer[..], b"next");
    }

    #[test]
    fn records_of_a_batch_are_checked_at_once_and_taken_one_by_one() {
        let mut payload = Vec::new();
        for seq in [4, 7] {
            let mut header = RecordHeader::new(RecordKind::Message);
            header.seq = Seq(seq);
            header.encode(b"head", b"body", &mut payload);
        }
        let (mut seen, whole) = (Vec::new(), Bytes::from(payload));
        let mut records = Records::check(whole.clone(), |header| seen.push(header.seq)).unwrap();
        assert_eq!((seen, records.len()), (vec![Seq(4), Seq(7)], 2));
        assert_eq!(records.next().map(|record| record.header.seq), Some(Seq(4)));
        assert_eq!((records.len(), records.encoded_len()), (1, 112));
        assert_eq!(
            records.next().map(|record| record.body),
            Some(Bytes::from("body"))
        );
        assert_eq!(records.next(), None);
        for cut in 1..whole.len() {
            let begun = Records::check(whole.slice(..cut), |_| {});
            assert_eq!(begun.is_ok(), cut == 112, "cut at {cut}");
        }
    }

    #[test]
    fn a_hostile_length_allocates_nothing() {
        let mut bytes = Vec::new();
        RecordHeader::new(RecordKind::Message).encode(b"", b"", &mut bytes);
        bytes[84..88].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            RecordHeader::decode(&bytes),
            Err(WireError::TooLong { .. })
        ));
    }
}
