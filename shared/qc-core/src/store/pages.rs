//! Sealed pages: how a file that is written once and read at any place is laid out.
//!
//! The plain content is cut into pages of 4096 bytes, each sealed on its own with its number as nonce
//! under a key that is used for this one file. A page on disk is `ciphertext | 16B tag | u32 CRC32C`,
//! the checksum over the sealed bytes and seeded with the segment number.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey};

use super::disk::DiskFile;
use super::seal::{TAG, nonce};
use super::segment::seeded_crc;

/// Plain bytes of a page.
pub(super) const PAGE: usize = 4096;
/// Bytes of a page on disk.
pub(super) const SEALED_PAGE: usize = PAGE + TAG + 4;

/// Records of one size, packed into pages so that none crosses an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// The page it begins with.
    pub(super) page: u32,
    /// Its records.
    pub(super) count: u32,
}

impl Table {
    /// Appends `records` of `SIZE` bytes to `plain`, which ends at a page's edge before and after.
    pub(super) fn write<const SIZE: usize>(
        plain: &mut Vec<u8>,
        records: impl Iterator<Item = [u8; SIZE]>,
    ) -> Self {
        let page = page_count(plain.len());
        let mut count = 0;
        for record in records {
            if plain.len() % PAGE + SIZE > PAGE {
                plain.resize(plain.len().next_multiple_of(PAGE), 0);
            }
            plain.extend_from_slice(&record);
            count += 1;
        }
        plain.resize(plain.len().next_multiple_of(PAGE), 0);
        Self { page, count }
    }

    /// The pages of a table of records of `size` bytes.
    pub(super) fn pages(self, size: usize) -> u32 {
        let per_page = PAGE / size;
        u32::try_from((self.count as usize).div_ceil(per_page)).unwrap_or(u32::MAX)
    }
}

/// The number of pages in `bytes`.
pub(super) fn page_count(bytes: usize) -> u32 {
    u32::try_from(bytes / PAGE).unwrap_or(u32::MAX)
}

/// The sealed pages of one file.
pub(super) struct Pages {
    pub(super) key: LessSafeKey,
    /// Binds the pages to their segment.
    pub(super) id: [u8; 16],
    pub(super) seed: u64,
    /// Where the first page begins in the file.
    pub(super) at: u64,
    pub(super) count: u32,
}

impl Pages {
    /// Seals `plain`, a whole number of pages.
    pub(super) fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(plain.len() / PAGE * SEALED_PAGE);
        for (number, page) in plain.chunks_exact(PAGE).enumerate() {
            let start = out.len();
            out.extend_from_slice(page);
            let sealed = out.get_mut(start..)?;
            let tag = self
                .key
                .seal_in_place_separate_tag(nonce(number as u64), Aad::from(&self.id), sealed)
                .ok()?;
            out.extend_from_slice(tag.as_ref());
            let crc = seeded_crc(self.seed, out.get(start..)?);
            out.extend_from_slice(&crc.to_le_bytes());
        }
        Some(out)
    }

    /// The plain bytes of `count` pages from `first` on.
    pub(super) fn read(&self, file: &dyn DiskFile, first: u32, count: u32) -> io::Result<Vec<u8>> {
        if first.checked_add(count).is_none_or(|end| end > self.count) {
            return Err(damaged());
        }
        let mut sealed = vec![0; count as usize * SEALED_PAGE];
        let at = self.at + u64::from(first) * SEALED_PAGE as u64;
        if file.read_at(&mut sealed, at)? != sealed.len() {
            return Err(damaged());
        }
        let mut plain = Vec::with_capacity(count as usize * PAGE);
        for (number, page) in sealed.chunks_exact_mut(SEALED_PAGE).enumerate() {
            let number = u64::from(first) + number as u64;
            plain.extend_from_slice(self.open(number, page).ok_or_else(damaged)?);
        }
        Ok(plain)
    }

    fn open<'a>(&self, number: u64, page: &'a mut [u8]) -> Option<&'a [u8]> {
        let (sealed, crc) = page.split_at_mut_checked(PAGE + TAG)?;
        if seeded_crc(self.seed, sealed).to_le_bytes() != crc {
            return None;
        }
        self.key
            .open_in_place(nonce(number), Aad::from(&self.id), sealed)
            .ok()
            .map(|plain| &*plain)
    }

    /// Record `at` of a table, from a page that was opened lately if it was.
    pub(super) fn record<const SIZE: usize>(
        &self,
        file: &dyn DiskFile,
        table: Table,
        at: u32,
        near: &NearPages,
    ) -> io::Result<[u8; SIZE]> {
        let per_page = u32::try_from(PAGE / SIZE).unwrap_or(1);
        let number = table.page.checked_add(at / per_page).ok_or_else(damaged)?;
        let page = match near.get(self.seed, number) {
            Some(page) => page,
            None => near.put(self.seed, number, self.read(file, number, 1)?),
        };
        record_of(&page, (at % per_page) as usize).ok_or_else(damaged)
    }

    /// All records of a table from `at` on, `count` of them.
    pub(super) fn records<const SIZE: usize>(
        &self,
        file: &dyn DiskFile,
        table: Table,
        at: u32,
        count: u32,
    ) -> io::Result<Vec<[u8; SIZE]>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let per_page = u32::try_from(PAGE / SIZE).unwrap_or(1);
        let end = at.checked_add(count).filter(|end| *end <= table.count);
        let end = end.ok_or_else(damaged)?;
        let (first, last) = (at / per_page, (end - 1) / per_page);
        let page = table.page.checked_add(first).ok_or_else(damaged)?;
        let plain = self.read(file, page, last - first + 1)?;
        let mut records = Vec::with_capacity(count as usize);
        for number in at..end {
            let page = plain
                .chunks_exact(PAGE)
                .nth((number / per_page - first) as usize);
            let record = page.and_then(|page| record_of(page, (number % per_page) as usize));
            records.push(record.ok_or_else(damaged)?);
        }
        Ok(records)
    }
}

/// Pages that are kept in the clear.
const NEAR: usize = 32;

/// Pages of indexes that were opened lately, by segment: whoever looks up one run mostly needs the page of
/// the run before.
#[derive(Default)]
pub(super) struct NearPages(Mutex<VecDeque<NearPage>>);

/// Segment, page, and what stands there.
type NearPage = (u64, u32, Arc<Vec<u8>>);

impl NearPages {
    fn get(&self, segment: u64, page: u32) -> Option<Arc<Vec<u8>>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = known.iter().filter(|(s, p, _)| (*s, *p) == (segment, page));
        found.next().map(|(.., plain)| Arc::clone(plain))
    }

    fn put(&self, segment: u64, page: u32, plain: Vec<u8>) -> Arc<Vec<u8>> {
        let plain = Arc::new(plain);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back((segment, page, Arc::clone(&plain)));
        if known.len() > NEAR {
            known.pop_front();
        }
        plain
    }

    /// The index of a segment is another one, or gone.
    pub(super) fn forget(&self, segment: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, ..)| *of != segment);
    }
}

/// Record `at` of a page.
pub(super) fn record_of<const SIZE: usize>(page: &[u8], at: usize) -> Option<[u8; SIZE]> {
    page.get(at * SIZE..(at + 1) * SIZE)?.try_into().ok()
}

/// What a page that does not open is reported as.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a page of the index is damaged")
}
