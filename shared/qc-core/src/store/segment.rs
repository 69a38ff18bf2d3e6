//! The segment file: a header, then batches of records until the end.
//!
//! ```text
//! header, 4096 bytes, the first 512 used
//!   0  8B  magic "QCSEGMT\n"        8 u32 format (1)    12 u32 zero
//!  16  u64 segment number          24 16B segment id (random)    40 16B store id
//!  56  u64 created, ms since 1970  64 u32 node key id            68 u8 suite (1)  69 3B zero
//!  72  48B wrapped data key       120 32B key commitment
//! 152  u64 previous segment       160 u64 its batches           168 16B its last tag
//! 184  zero up to 508             508 u32 CRC32C of 0..508
//! batch, aligned to 8 bytes
//!   0  u32 magic "QCBA"    4 u32 payload length with tag    8 u64 batch number from 0
//!  16  u32 records        20 u8 suite (1)  21 3B zero
//!  24  16B tag of the previous batch (zero for the first)
//!  40  u64 commit number of the store
//!  48  u32 CRC32C of the payload    52 u32 CRC32C of 0..52, both seeded with the segment number
//!  56  payload: sealed records, then the 16-byte tag
//! ```
//!
//! The associated data of the seal is bytes 0..48 of the batch header, the segment id and the store
//! id: a batch that is moved, replayed or spliced does not open. The checksums stand outside the seal,
//! so a scrub or a copy needs no key, and a bad tag under a good checksum means tampering.

use std::io;

use super::disk::DiskFile;
use super::seal::{NodeKey, SegmentKey, TAG, WRAPPED};
use crate::model::Timestamp;
use crate::wire::Reader;

/// Where the first batch begins.
pub(super) const FIRST_BATCH: u64 = 4096;
/// Length of a batch header.
pub(super) const BATCH_HEADER: usize = 56;
/// The format this version writes; newer ones are refused.
pub(super) const FORMAT: u32 = 1;
/// The longest payload that is read back: a full batch and one record of the greatest size.
pub(super) const MAX_PAYLOAD: usize = 40 << 20;

const HEADER_USED: usize = 512;
const MAGIC: &[u8; 8] = b"QCSEGMT\n";
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"QCBA");
const SUITE_AES_256_GCM: u8 = 1;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) id: [u8; 16],
    pub(super) store: [u8; 16],
    pub(super) created: Timestamp,
    pub(super) node_key: u32,
    pub(super) wrapped: [u8; WRAPPED],
    pub(super) commitment: [u8; 32],
    pub(super) previous: ChainEnd,
}

/// Where a segment ended, as its successor remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ChainEnd {
    pub(super) segment: u64,
    pub(super) batches: u64,
    pub(super) tag: [u8; TAG],
}

/// Why a header is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    NotASegment,
    Newer(u32),
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(FIRST_BATCH).unwrap_or(HEADER_USED));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.created.as_millis().to_le_bytes());
        out.extend_from_slice(&self.node_key.to_le_bytes());
        out.extend_from_slice(&[SUITE_AES_256_GCM, 0, 0, 0]);
        out.extend_from_slice(&self.wrapped);
        out.extend_from_slice(&self.commitment);
        out.extend_from_slice(&self.previous.segment.to_le_bytes());
        out.extend_from_slice(&self.previous.batches.to_le_bytes());
        out.extend_from_slice(&self.previous.tag);
        out.resize(HEADER_USED - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(usize::try_from(FIRST_BATCH).unwrap_or(HEADER_USED), 0);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let damaged = |_| HeaderFault::Damaged;
        let used = bytes.get(..HEADER_USED).ok_or(HeaderFault::Damaged)?;
        let (covered, crc) = used.split_at(HEADER_USED - 4);
        let mut r = Reader(covered);
        if r.array::<8>().map_err(damaged)? != *MAGIC {
            return Err(HeaderFault::NotASegment);
        }
        let format = r.u32().map_err(damaged)?;
        // a newer format may use another checksum: say "newer" before "damaged"
        if format > FORMAT {
            return Err(HeaderFault::Newer(format));
        }
        if crc32c::crc32c(covered).to_le_bytes() != crc {
            return Err(HeaderFault::Damaged);
        }
        let mut decode = || {
            let _zero = r.u32()?;
            let number = r.u64()?;
            let id = r.array()?;
            let store = r.array()?;
            let created = Timestamp::from_millis(r.u64()?);
            let node_key = r.u32()?;
            let _suite = r.u32()?;
            let wrapped = r.array()?;
            let commitment = r.array()?;
            let previous = ChainEnd {
                segment: r.u64()?,
                batches: r.u64()?,
                tag: r.array()?,
            };
            Ok(Self {
                number,
                id,
                store,
                created,
                node_key,
                wrapped,
                commitment,
                previous,
            })
        };
        decode().map_err(|_: crate::wire::WireError| HeaderFault::Damaged)
    }
}

/// One open segment: its file, its key, its place in the chain.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) file: Box<dyn DiskFile>,
    key: SegmentKey,
}

/// The plain part of a batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) payload: u32,
    pub(super) number: u64,
    pub(super) records: u32,
    pub(super) previous_tag: [u8; TAG],
    pub(super) commit: u64,
    payload_crc: u32,
}

impl BatchHeader {
    /// Bytes from this batch's begin to the next one's.
    pub(super) fn span(&self) -> u64 {
        (BATCH_HEADER as u64 + u64::from(self.payload)).next_multiple_of(8)
    }

    /// Reads a header that belongs to segment `number`; `None` for anything else.
    pub(super) fn decode(bytes: &[u8], segment: u64) -> Option<Self> {
        let mut r = Reader(bytes.get(..BATCH_HEADER)?);
        let magic = r.u32().ok()?;
        let payload = r.u32().ok()?;
        let header = Self {
            payload,
            number: r.u64().ok()?,
            records: r.u32().ok()?,
            previous_tag: {
                let _suite = r.u32().ok()?;
                r.array().ok()?
            },
            commit: r.u64().ok()?,
            payload_crc: r.u32().ok()?,
        };
        let crc = r.u32().ok()?;
        let sound = magic == BATCH_MAGIC
            && (TAG..=MAX_PAYLOAD).contains(&(payload as usize))
            && crc == seeded_crc(segment, bytes.get(..52)?);
        sound.then_some(header)
    }
}

/// Why a batch that has a sound header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchFault {
    Short,
    Checksum,
    Seal,
}

impl BatchFault {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Short => "the batch ends early",
            Self::Checksum => "the checksum does not match",
            Self::Seal => "the checksum matches but the seal does not: wrong key or tampering",
        }
    }
}

impl Segment {
    /// Opens a segment whose header was read; `None` when the key does not fit.
    pub(super) fn open(
        file: Box<dyn DiskFile>,
        header: SegmentHeader,
        node: &NodeKey,
    ) -> Option<Self> {
        let key = SegmentKey::unwrap(node, &header.id, &header.wrapped, &header.commitment)?;
        Some(Self { header, file, key })
    }

    /// Writes the header of a new segment; the caller syncs.
    pub(super) fn begin(
        file: Box<dyn DiskFile>,
        number: u64,
        store: [u8; 16],
        created: Timestamp,
        node: &NodeKey,
        previous: ChainEnd,
    ) -> io::Result<Self> {
        let id = super::seal::random()?;
        let key = SegmentKey::create(node, &id)?;
        let header = SegmentHeader {
            number,
            id,
            store,
            created,
            node_key: node.id(),
            wrapped: key.wrapped,
            commitment: key.commitment,
            previous,
        };
        file.write_all_at(&header.encode(), 0)?;
        Ok(Self { header, file, key })
    }

    /// Turns `frame` (room for a header, then plain records) into a batch in place and gives its tag.
    pub(super) fn seal_batch(
        &self,
        frame: &mut Vec<u8>,
        number: u64,
        records: u32,
        previous_tag: [u8; TAG],
        commit: u64,
    ) -> Option<[u8; TAG]> {
        let plain = frame.len().checked_sub(BATCH_HEADER)?;
        let payload = u32::try_from(plain + TAG).ok()?;
        let mut header = Vec::with_capacity(BATCH_HEADER);
        header.extend_from_slice(&BATCH_MAGIC.to_le_bytes());
        header.extend_from_slice(&payload.to_le_bytes());
        header.extend_from_slice(&number.to_le_bytes());
        header.extend_from_slice(&records.to_le_bytes());
        header.extend_from_slice(&[SUITE_AES_256_GCM, 0, 0, 0]);
        header.extend_from_slice(&previous_tag);
        header.extend_from_slice(&commit.to_le_bytes());
        let aad = self.associated_data(&header);
        let tag = self
            .key
            .seal(number, &aad, frame.get_mut(BATCH_HEADER..)?)?;
        frame.extend_from_slice(&tag);
        let crc = seeded_crc(self.header.number, frame.get(BATCH_HEADER..)?);
        header.extend_from_slice(&crc.to_le_bytes());
        let crc = seeded_crc(self.header.number, &header);
        header.extend_from_slice(&crc.to_le_bytes());
        frame.get_mut(..BATCH_HEADER)?.copy_from_slice(&header);
        frame.resize(frame.len().next_multiple_of(8), 0);
        Some(tag)
    }

    /// Checks and opens the batch in `frame` (header and payload); the plain records come back with
    /// the batch's tag.
    pub(super) fn open_batch(
        &self,
        header: &BatchHeader,
        frame: &mut [u8],
    ) -> Result<(usize, [u8; TAG]), BatchFault> {
        let end = BATCH_HEADER + header.payload as usize;
        let (head, payload) = frame
            .get_mut(..end)
            .ok_or(BatchFault::Short)?
            .split_at_mut(BATCH_HEADER);
        if seeded_crc(self.header.number, payload) != header.payload_crc {
            return Err(BatchFault::Checksum);
        }
        let tag = *payload.last_chunk::<TAG>().ok_or(BatchFault::Short)?;
        let aad = self.associated_data(head.get(..48).ok_or(BatchFault::Short)?);
        let plain = self
            .key
            .open(header.number, &aad, payload)
            .ok_or(BatchFault::Seal)?;
        Ok((plain, tag))
    }

    fn associated_data(&self, batch_header: &[u8]) -> [u8; 80] {
        let mut aad = [0; 80];
        let parts = batch_header
            .iter()
            .chain(&self.header.id)
            .chain(&self.header.store);
        aad.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        aad
    }
}

/// CRC32C that begins with the segment's number, so a stale batch of a recycled file never validates.
fn seeded_crc(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}
