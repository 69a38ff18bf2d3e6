//! The content of a simulated file, in pages that copies share until they are written.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// Size of a page. A copy of a file that changes one byte costs one page.
const PAGE: usize = 4096;

/// Bytes of a file; a clone shares every page.
#[derive(Clone, Default)]
pub(super) struct Pages {
    content: Vec<Arc<Page>>,
    length: u64,
    /// Pages that cannot be read until they are written as a whole.
    bad: BTreeSet<usize>,
}

/// One page; what lies beyond the end of the file is zero.
struct Page {
    bytes: [u8; PAGE],
    digest: OnceLock<[u8; 16]>,
}

impl Clone for Page {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes,
            digest: OnceLock::new(),
        }
    }
}

impl Pages {
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let rest = self.length.saturating_sub(offset);
        let wanted = buffer
            .len()
            .min(usize::try_from(rest).unwrap_or(usize::MAX));
        let (mut done, mut at) = (0, usize::try_from(offset).unwrap());
        while done < wanted {
            let within = at % PAGE;
            let step = (PAGE - within).min(wanted - done);
            let page = &self.content[at / PAGE];
            buffer[done..done + step].copy_from_slice(&page.bytes[within..within + step]);
            (done, at) = (done + step, at + step);
        }
        wanted
    }

    /// Has the pages from `from` to `to` fail.
    pub(super) fn spoil(&mut self, from: u64, to: u64) {
        let page = |at| usize::try_from(at).unwrap() / PAGE;
        let all = page(from)..page(to.min(self.length) + PAGE as u64 - 1);
        self.bad.extend(all);
    }

    /// Whether `length` bytes at `offset` meet a page that fails.
    pub(super) fn fails(&self, offset: u64, length: usize) -> bool {
        let from = usize::try_from(offset).unwrap();
        let to = (from + length).min(usize::try_from(self.length).unwrap());
        from < to
            && self
                .bad
                .range(from / PAGE..to.div_ceil(PAGE))
                .next()
                .is_some()
    }

    /// Whether a write of `length` bytes at `offset` has to read a page first that fails.
    pub(super) fn fails_to_write(&self, offset: u64, length: usize) -> bool {
        let from = usize::try_from(offset).unwrap();
        let to = from + length;
        let is_partial = |at: usize| !at.is_multiple_of(PAGE) && self.bad.contains(&(at / PAGE));
        length > 0 && (is_partial(from) || is_partial(to))
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        let first = usize::try_from(offset).unwrap().div_ceil(PAGE);
        let whole = first..usize::try_from(end).unwrap() / PAGE;
        self.bad.retain(|page| !whole.contains(page));
        if end > self.length {
            self.set_len(end);
        }
        let (mut done, mut at) = (0, usize::try_from(offset).unwrap());
        while done < bytes.len() {
            let within = at % PAGE;
            let step = (PAGE - within).min(bytes.len() - done);
            self.page(at / PAGE)[within..within + step].copy_from_slice(&bytes[done..done + step]);
            (done, at) = (done + step, at + step);
        }
    }

    pub(super) fn set_len(&mut self, length: u64) {
        let size = usize::try_from(length).unwrap();
        self.content.resize_with(size.div_ceil(PAGE), zero);
        self.bad.retain(|page| *page < size.div_ceil(PAGE));
        let within = size % PAGE;
        if length < self.length && within > 0 {
            self.page(size / PAGE)[within..].fill(0);
        }
        self.length = length;
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.length).unwrap()];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Length and every byte in 16 bytes; pages that were not written since are not read again.
    pub(super) fn digest(&self) -> [u8; 16] {
        let mut all = Vec::with_capacity(8 + 16 * self.content.len());
        all.extend_from_slice(&self.length.to_le_bytes());
        for page in &self.content {
            all.extend_from_slice(page.digest.get_or_init(|| digest(&page.bytes)));
        }
        digest(&all)
    }

    fn page(&mut self, at: usize) -> &mut [u8; PAGE] {
        let page = Arc::make_mut(&mut self.content[at]);
        page.digest.take();
        &mut page.bytes
    }
}

/// The first half of SHA-256.
pub(super) fn digest(bytes: &[u8]) -> [u8; 16] {
    let full = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    *full.as_ref().first_chunk().unwrap()
}

/// The page of zeros, of which there is one.
fn zero() -> Arc<Page> {
    static ZERO: OnceLock<Arc<Page>> = OnceLock::new();
    let zero = ZERO.get_or_init(|| {
        Arc::new(Page {
            bytes: [0; PAGE],
            digest: OnceLock::new(),
        })
    });
    Arc::clone(zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_bytes() {
        let mut rng = fastrand::Rng::with_seed(5);
        let (mut pages, mut plain) = (Pages::default(), Vec::<u8>::new());
        for _ in 0..2000 {
            let before = (pages.clone(), plain.clone());
            let at = rng.usize(0..20_000);
            if rng.u8(..) < 40 {
                pages.set_len(at as u64);
                plain.resize(at, 0);
            } else {
                let bytes: Vec<u8> = (0..rng.usize(1..9000)).map(|_| rng.u8(..)).collect();
                pages.write(&bytes, at as u64);
                if plain.len() < at + bytes.len() {
                    plain.resize(at + bytes.len(), 0);
                }
                plain[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            assert_eq!(pages.to_vec(), plain);
            assert_eq!(before.0.to_vec(), before.1, "a clone stays what it was");
            assert_eq!(pages.digest() == before.0.digest(), plain == before.1);
        }
    }
}
