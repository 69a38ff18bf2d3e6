//! The segment file: a page of header, then batches of records until the end.
//!
//! ```text
//! header page, 4096 bytes
//!   0  8B  magic "QCSEGMT\n"        8 u32 format (2)    12 u32 zero
//!  16  u64 segment number          24 16B segment id (random)    40 16B store id
//!  56  u64 created, ms since 1970  64 u8 suite (1)  65 7B zero
//!  72  u64 previous segment        80 u64 its batches            88 16B its last tag
//! 104  zero up to 508             508 u32 CRC32C of 0..508
//! 512  the same block once more, so that one bad sector costs nothing
//! 1024 and 2048, each once more 512 bytes on: two slots for the wrapped data key, so that it can be wrapped anew in place
//!      0 u32 node key id    4 48B wrapped data key    52 32B key commitment
//!     84 zero up to 508   508 u32 CRC32C of 0..508, seeded with the segment number
//! batch, aligned to 8 bytes
//!   0  u32 magic "QCBA"    4 u32 payload length with tag    8 u64 batch number from 0
//!  16  u32 records        20 u8 suite (1)  21 u8 1 = the commit goes on  22 2B zero
//!  24  16B tag of the previous batch (zero for the first)
//!  40  u64 commit number of the store
//!  48  u32 CRC32C of the payload    52 u32 CRC32C of 0..52, both seeded with the segment number
//!  56  payload: sealed records, then the 16-byte tag
//! ```
//!
//! The associated data of the seal is bytes 0..48 of the batch header, the segment id and the store
//! id: a batch that is moved, replayed or spliced does not open. The checksums stand outside the seal,
//! so a scrub or a copy needs no key, and a bad tag under a good checksum means tampering. Files are
//! used again: what an earlier segment left behind carries another seed and is never taken for a batch.

use std::io;

use super::disk::DiskFile;
use super::seal::{Keyring, NodeKey, SegmentKey, TAG, WRAPPED};
use crate::model::Timestamp;
use crate::wire::Reader;

/// Where the first batch begins.
pub(super) const FIRST_BATCH: u64 = 4096;
/// Length of a batch header.
pub(super) const BATCH_HEADER: usize = 56;
/// The format this version reads and writes.
pub(super) const FORMAT: u32 = 2;
/// The longest payload that is read back: a full batch and one record of the greatest size.
pub(super) const MAX_PAYLOAD: usize = 40 << 20;
/// Bytes that sealing adds to plain records, at most.
pub(super) const SEAL_OVERHEAD: usize = BATCH_HEADER + TAG + 8;

const PAGE: usize = 4096;
const BLOCK: usize = 512;
const SLOTS: [usize; 2] = [1024, 2048];
const MAGIC: &[u8; 8] = b"QCSEGMT\n";
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"QCBA");
const SUITE_AES_256_GCM: u8 = 1;
const MORE: u8 = 1;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) id: [u8; 16],
    pub(super) store: [u8; 16],
    pub(super) created: Timestamp,
    pub(super) previous: ChainEnd,
    /// The sound slots of the wrapped key, each in its place.
    pub(super) slots: [Option<KeySlot>; 2],
}

/// The data key as one node key wraps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeySlot {
    pub(super) node_key: u32,
    pub(super) wrapped: [u8; WRAPPED],
    pub(super) commitment: [u8; 32],
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
    OtherFormat(u32),
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PAGE);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.created.as_millis().to_le_bytes());
        out.extend_from_slice(&[SUITE_AES_256_GCM, 0, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&self.previous.segment.to_le_bytes());
        out.extend_from_slice(&self.previous.batches.to_le_bytes());
        out.extend_from_slice(&self.previous.tag);
        close_block(&mut out, None);
        out.extend_from_within(..);
        for (slot, at) in self.slots.iter().zip(SLOTS) {
            out.resize(at, 0);
            match slot {
                Some(slot) => out.extend_from_slice(&slot.encode_twice(self.number)),
                None => out.resize(at + 2 * BLOCK, 0),
            }
        }
        out.resize(PAGE, 0);
        out
    }

    /// Reads the header from its page, either of the two copies.
    pub(super) fn decode(page: &[u8]) -> Result<Self, HeaderFault> {
        // a format that is not ours may be a bit that is not: the copy decides
        let first = Self::decode_at(page, 0);
        first.or_else(|fault| Self::decode_at(page, BLOCK).map_err(|_| fault))
    }

    fn decode_at(page: &[u8], at: usize) -> Result<Self, HeaderFault> {
        let damaged = |_| HeaderFault::Damaged;
        let mut r = Reader(page.get(at..at + BLOCK).ok_or(HeaderFault::Damaged)?);
        if r.array::<8>().map_err(damaged)? != *MAGIC {
            return Err(HeaderFault::NotASegment);
        }
        let format = r.u32().map_err(damaged)?;
        // another format may use another checksum: say "newer" before "damaged"
        if format > FORMAT {
            return Err(HeaderFault::OtherFormat(format));
        }
        let covered = open_block(page, at, None).ok_or(HeaderFault::Damaged)?;
        if format != FORMAT {
            return Err(HeaderFault::OtherFormat(format));
        }
        let mut r = Reader(covered.get(16..).ok_or(HeaderFault::Damaged)?);
        let mut decode = || {
            let number = r.u64()?;
            let id = r.array()?;
            let store = r.array()?;
            let created = Timestamp::from_millis(r.u64()?);
            let _suite = r.u64()?;
            let previous = ChainEnd {
                segment: r.u64()?,
                batches: r.u64()?,
                tag: r.array()?,
            };
            let slots = SLOTS.map(|at| KeySlot::decode(page, at, number));
            Ok(Self {
                number,
                id,
                store,
                created,
                previous,
                slots,
            })
        };
        decode().map_err(|_: crate::wire::WireError| HeaderFault::Damaged)
    }

    /// The node keys, any of which opens this segment.
    pub(super) fn node_keys(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().flatten().map(|slot| slot.node_key)
    }
}

impl KeySlot {
    fn encode_twice(&self, segment: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * BLOCK);
        out.extend_from_slice(&self.node_key.to_le_bytes());
        out.extend_from_slice(&self.wrapped);
        out.extend_from_slice(&self.commitment);
        close_block(&mut out, Some(segment));
        out.extend_from_within(..);
        out
    }

    fn decode(page: &[u8], at: usize, segment: u64) -> Option<Self> {
        let copy = open_block(page, at, Some(segment));
        let mut r = Reader(copy.or_else(|| open_block(page, at + BLOCK, Some(segment)))?);
        Some(Self {
            node_key: r.u32().ok()?,
            wrapped: r.array().ok()?,
            commitment: r.array().ok()?,
        })
    }
}

/// Fills a block up with zeros and ends it with its checksum.
fn close_block(block: &mut Vec<u8>, seed: Option<u64>) {
    block.resize(BLOCK - 4, 0);
    let crc = seed.map_or_else(|| crc32c::crc32c(block), |seed| seeded_crc(seed, block));
    block.extend_from_slice(&crc.to_le_bytes());
}

/// The content of a block whose checksum is sound.
fn open_block(page: &[u8], at: usize, seed: Option<u64>) -> Option<&[u8]> {
    let (covered, crc) = page.get(at..at + BLOCK)?.split_at_checked(BLOCK - 4)?;
    let found = seed.map_or_else(|| crc32c::crc32c(covered), |seed| seeded_crc(seed, covered));
    (found.to_le_bytes() == crc).then_some(covered)
}

/// One segment: who it is and its key. The file is asked for where it is needed.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
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
    /// Whether the next batch is of the same commit.
    pub(super) more: bool,
    payload_crc: u32,
}

/// Where a batch stands that is being sealed.
pub(super) struct BatchPlace<'a> {
    pub(super) records: u32,
    /// What comes before it.
    pub(super) end: &'a ChainEnd,
    pub(super) commit: u64,
    pub(super) more: bool,
}

impl BatchHeader {
    /// Header and payload.
    pub(super) fn size(&self) -> usize {
        BATCH_HEADER + self.payload as usize
    }

    /// Bytes from this batch's begin to the next one's.
    pub(super) fn span(&self) -> u64 {
        (self.size() as u64).next_multiple_of(8)
    }

    /// Reads a header that belongs to segment `number`; `None` for anything else.
    pub(super) fn decode(bytes: &[u8], segment: u64) -> Option<Self> {
        let bytes = bytes.get(..BATCH_HEADER)?;
        let mut r = Reader(bytes);
        if r.u32().ok()? != BATCH_MAGIC {
            return None;
        }
        let payload = r.u32().ok()?;
        let (number, records) = (r.u64().ok()?, r.u32().ok()?);
        let [_suite, more, _, _] = r.array().ok()?;
        let header = Self {
            payload,
            number,
            records,
            previous_tag: r.array().ok()?,
            commit: r.u64().ok()?,
            more: more == MORE,
            payload_crc: r.u32().ok()?,
        };
        let crc = r.u32().ok()?;
        let sound = (TAG..=MAX_PAYLOAD).contains(&(payload as usize))
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
    /// Opens the segment behind a header that was read; `None` when no key fits.
    pub(super) fn open(header: SegmentHeader, keys: &Keyring) -> Option<Self> {
        let key = header.slots.iter().flatten().find_map(|slot| {
            let node = keys.get(slot.node_key)?;
            SegmentKey::unwrap(node, &header.id, &slot.wrapped, &slot.commitment)
        })?;
        Some(Self { header, key })
    }

    /// A new segment, not yet on disk.
    pub(super) fn new(
        number: u64,
        store: [u8; 16],
        created: Timestamp,
        node: &NodeKey,
        previous: ChainEnd,
    ) -> io::Result<Self> {
        let id = super::seal::random()?;
        let key = SegmentKey::create(node, &id)?;
        let slot = KeySlot {
            node_key: node.id(),
            wrapped: key.wrapped,
            commitment: key.commitment,
        };
        let header = SegmentHeader {
            number,
            id,
            store,
            created,
            previous,
            slots: [Some(slot), None],
        };
        Ok(Self { header, key })
    }

    /// Wraps the data key under `node` in the free slot of the file, and then empties the others. The
    /// key can be unwrapped at every moment in between.
    pub(super) fn rewrap(&self, file: &dyn DiskFile, node: &NodeKey) -> io::Result<()> {
        let mut page = vec![0; PAGE];
        let read = file.read_at(&mut page, 0)?;
        let header = SegmentHeader::decode(page.get(..read).unwrap_or_default())
            .map_err(|_| io::Error::other("the segment header is damaged"))?;
        let is_new = |slot: &KeySlot| slot.node_key == node.id();
        let there = header
            .slots
            .iter()
            .position(|slot| slot.is_some_and(|slot| is_new(&slot)));
        let free = header.slots.iter().position(Option::is_none);
        let place = there.or(free).unwrap_or(0);
        if there.is_none() {
            let slot = KeySlot {
                node_key: node.id(),
                wrapped: self.key.wrap(node, &self.header.id)?,
                commitment: self.key.commitment,
            };
            let at = SLOTS.get(place).copied().unwrap_or(PAGE);
            file.write_all_at(&slot.encode_twice(self.header.number), at as u64)?;
            file.sync_data()?;
        }
        let others = SLOTS
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        for (_, at) in others {
            file.write_all_at(&[0; 2 * BLOCK], *at as u64)?;
        }
        file.sync_data()
    }

    /// Appends the header's place to `frame`, for a batch to come.
    pub(super) fn begin_batch(frame: &mut Vec<u8>) -> usize {
        let start = frame.len();
        frame.resize(start + BATCH_HEADER, 0);
        start
    }

    /// Turns what stands in `frame` from `start` on (room for a header, then plain records) into a
    /// batch in place and gives its tag.
    pub(super) fn seal_batch(
        &self,
        frame: &mut Vec<u8>,
        start: usize,
        place: &BatchPlace<'_>,
    ) -> Option<[u8; TAG]> {
        let BatchPlace {
            records,
            end,
            commit,
            more,
        } = *place;
        let body = start + BATCH_HEADER;
        let plain = frame.len().checked_sub(body)?;
        let payload = u32::try_from(plain + TAG).ok()?;
        let mut header = [0; BATCH_HEADER];
        let parts: [&[u8]; 7] = [
            &BATCH_MAGIC.to_le_bytes(),
            &payload.to_le_bytes(),
            &end.batches.to_le_bytes(),
            &records.to_le_bytes(),
            &[SUITE_AES_256_GCM, if more { MORE } else { 0 }, 0, 0],
            &end.tag,
            &commit.to_le_bytes(),
        ];
        put(&mut header, 0, &parts.concat())?;
        let aad = self.associated_data(header.get(..48)?);
        let tag = self.key.seal(end.batches, &aad, frame.get_mut(body..)?)?;
        frame.extend_from_slice(&tag);
        let crc = seeded_crc(self.header.number, frame.get(body..)?);
        put(&mut header, 48, &crc.to_le_bytes())?;
        let crc = seeded_crc(self.header.number, header.get(..52)?);
        put(&mut header, 52, &crc.to_le_bytes())?;
        frame.get_mut(start..body)?.copy_from_slice(&header);
        frame.resize(frame.len().next_multiple_of(8), 0);
        Some(tag)
    }

    /// Checks and opens the batch in `frame` (header and payload); the length of the plain records
    /// comes back with the batch's tag.
    pub(super) fn open_batch(
        &self,
        header: &BatchHeader,
        frame: &mut [u8],
    ) -> Result<(usize, [u8; TAG]), BatchFault> {
        let (head, payload) = frame
            .get_mut(..header.size())
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

    /// Whether the checksum of a batch is right; needs no key.
    pub(super) fn checksum(&self, header: &BatchHeader, frame: &[u8]) -> bool {
        let payload = frame.get(BATCH_HEADER..header.size());
        payload.is_some_and(|bytes| seeded_crc(self.header.number, bytes) == header.payload_crc)
    }

    /// The key of the segment itself, for what is derived from it.
    pub(super) fn key(&self) -> &SegmentKey {
        &self.key
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

fn put(to: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    to.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// CRC32C that begins with the segment's number, so a stale batch of a recycled file never validates.
pub(super) fn seeded_crc(segment: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), bytes)
}
