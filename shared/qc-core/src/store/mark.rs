//! The durable mark: how far `fdatasync` has come, so that recovery can tell a torn tail (above the
//! mark, ordinary) from damage (below it, loud).
//!
//! Two slots of 64 bytes are written in turn, each after the sync it reports; the mark itself is not
//! synced, so it may lag behind the truth but is never ahead of it.
//!
//! ```text
//!  0 u64 segment   8 u64 end offset   16 u64 batches   24 u64 commit
//! 32 16B store id  48 u64 numbers given to messages, over all streams   56 zero   60 u32 CRC32C of 0..60
//! ```

use std::io;

use super::disk::DiskFile;
use crate::wire::Reader;

const SLOT: usize = 64;

/// A position up to which everything was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DurableMark {
    pub(super) segment: u64,
    pub(super) end: u64,
    pub(super) batches: u64,
    pub(super) commit: u64,
    /// Whose mark it is; zero when there is none.
    pub(super) store: [u8; 16],
    /// The last numbers of all streams added up: what cannot be found of it is lost.
    pub(super) given: u64,
}

impl DurableMark {
    /// Takes the file's space while there is some, so that a full disk does not keep the mark from
    /// moving. Without it the mark lags, which [`Self::write`] may tell by "storage full".
    pub(super) fn reserve(file: &dyn DiskFile) -> io::Result<()> {
        let length = 2 * SLOT as u64;
        if file.size()? >= length {
            return Ok(());
        }
        match file.allocate(length) {
            Err(error) if !is_full(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the mark into the slot whose turn it is.
    pub(super) fn write(&self, file: &dyn DiskFile) -> io::Result<()> {
        let mut slot = Vec::with_capacity(SLOT);
        for number in [self.segment, self.end, self.batches, self.commit] {
            slot.extend_from_slice(&number.to_le_bytes());
        }
        slot.extend_from_slice(&self.store);
        slot.extend_from_slice(&self.given.to_le_bytes());
        slot.resize(SLOT - 4, 0);
        let crc = crc32c::crc32c(&slot);
        slot.extend_from_slice(&crc.to_le_bytes());
        file.write_all_at(&slot, (self.commit % 2) * SLOT as u64)
    }

    /// The newer of the two slots that are sound; zero when neither is.
    pub(super) fn read(file: &dyn DiskFile) -> io::Result<Self> {
        let mut bytes = [0; 2 * SLOT];
        let read = file.read_at(&mut bytes, 0)?;
        let slots = bytes.get(..read).unwrap_or_default().chunks_exact(SLOT);
        let marks = slots.filter_map(Self::decode);
        Ok(marks.max_by_key(|mark| mark.commit).unwrap_or_default())
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let (covered, crc) = slot.split_at_checked(SLOT - 4)?;
        if crc32c::crc32c(covered).to_le_bytes() != crc {
            return None;
        }
        let mut r = Reader(covered);
        let (segment, end, batches, commit) =
            (r.u64().ok()?, r.u64().ok()?, r.u64().ok()?, r.u64().ok()?);
        Some(Self {
            segment,
            end,
            batches,
            commit,
            store: r.array().ok()?,
            given: r.u64().ok()?,
        })
    }
}

/// Whether an error says that there is no space, which passes, and not that the disk is broken.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
