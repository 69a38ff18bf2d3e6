//! Which messages are known already, by digest of (`source`, `id`), for as long as their segment lives.
//!
//! The ids of a segment that has no index file yet are in a table in memory. Every indexed segment has
//! them sorted on disk and a *blocked Bloom filter* in memory: 16 bits an id, the eight that are set in one
//! cache line, which says "surely new" to all but about one in eleven hundred new ids; what is left is
//! looked up on disk and the answer is exact. Eight filters of a size are merged into one, so the number
//! of filters grows with the logarithm of the store. Ten million ids take 20 MiB.
//!
//! Source: F. Putze, P. Sanders, J. Singler, *Cache-, hash- and space-efficient Bloom filters*, 2007.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::model::Seq;

/// The digest of a message, made the stream's own.
pub(super) type Id = [u8; 16];

/// The ids of one segment.
pub(super) type IdMap = HashMap<Id, Seq, Spread>;

/// Hashes an id, which is a digest already: its leading half, spread with a number that nobody outside
/// this process knows, so that chosen ids cannot be made to collide.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    key: u64,
}

impl Default for Spread {
    fn default() -> Self {
        static KEY: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
        Self { key: *KEY | 1 }
    }
}

impl BuildHasher for Spread {
    type Hasher = SpreadHasher;

    fn build_hasher(&self) -> SpreadHasher {
        SpreadHasher {
            key: self.key,
            hash: 0,
        }
    }
}

/// See [`Spread`].
pub(super) struct SpreadHasher {
    key: u64,
    hash: u64,
}

impl Hasher for SpreadHasher {
    fn write(&mut self, bytes: &[u8]) {
        let leading = bytes
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first));
        let product = u128::from(leading ^ self.key) * u128::from(self.key);
        let folded = (product ^ (product >> 64)) & u128::from(u64::MAX);
        self.hash = u64::try_from(folded).unwrap_or(0);
    }

    // the length of an array says nothing
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// Bits of filter an id takes.
const BITS_PER_ID: usize = 16;
/// Bits that are set for an id.
const PROBES: u32 = 8;
/// Filters of a size that are merged into one.
const MERGE: usize = 8;

/// One id in one stream: the same message may stand in many.
pub(super) fn scoped(dedupe: [u8; 16], stream: u32) -> Id {
    let mut id = dedupe;
    let mixed = u64::from(stream).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id.iter_mut()
        .zip(mixed.to_le_bytes())
        .for_each(|(byte, mix)| *byte ^= mix);
    id
}

/// The part of an id by which ids are sorted and spread.
pub(super) fn leading(id: &Id) -> u64 {
    id.first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

fn trailing(id: &Id) -> u64 {
    id.last_chunk().map_or(0, |last| u64::from_be_bytes(*last))
}

/// A line of the filter, as long as a line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Block([u64; 8]);

/// Says of an id that it is surely not among those it was made of.
pub(super) struct Filter {
    blocks: Vec<Block>,
    /// The segments whose ids it knows, ascending.
    pub(super) segments: Vec<u64>,
    /// How often it was merged.
    level: u32,
}

impl Filter {
    /// Bytes of one block in a file.
    pub(super) const BLOCK: usize = 64;

    /// An empty filter with room for `ids`.
    pub(super) fn with_room(ids: usize, segments: Vec<u64>, level: u32) -> Self {
        let blocks = (ids * BITS_PER_ID).div_ceil(512).max(1);
        Self {
            blocks: vec![Block([0; 8]); blocks],
            segments,
            level,
        }
    }

    /// Adds an id.
    pub(super) fn insert(&mut self, id: &Id) {
        let at = self.block_of(id);
        if let Some(block) = self.blocks.get_mut(at) {
            for bit in bits(id) {
                if let Some(word) = block.0.get_mut((bit / 64) as usize) {
                    *word |= 1 << (bit % 64);
                }
            }
        }
    }

    fn may_hold(&self, id: &Id) -> bool {
        let block = self.blocks.get(self.block_of(id));
        block.is_some_and(|block| {
            bits(id).all(|bit| {
                let word = block.0.get((bit / 64) as usize).copied().unwrap_or(0);
                word & (1 << (bit % 64)) != 0
            })
        })
    }

    fn block_of(&self, id: &Id) -> usize {
        // the leading half as a fraction of the number of blocks
        let at = (u128::from(leading(id)) * self.blocks.len() as u128) >> 64;
        usize::try_from(at).unwrap_or(0)
    }

    fn bytes(&self) -> usize {
        self.blocks.capacity() * Self::BLOCK
    }

    /// The blocks as they stand in a file.
    pub(super) fn encode(&self) -> impl Iterator<Item = [u8; Self::BLOCK]> {
        self.blocks.iter().map(|block| {
            let mut bytes = [0; Self::BLOCK];
            let words = block.0.iter().flat_map(|word| word.to_le_bytes());
            bytes
                .iter_mut()
                .zip(words)
                .for_each(|(to, from)| *to = from);
            bytes
        })
    }

    /// The filter of `segment` from its blocks.
    pub(super) fn decode<'a>(blocks: impl Iterator<Item = &'a [u8]>, segment: u64) -> Self {
        let decode = |bytes: &[u8]| {
            let mut words = [0; 8];
            let chunks = bytes.chunks_exact(8).map(|chunk| chunk.first_chunk::<8>());
            words.iter_mut().zip(chunks).for_each(|(word, chunk)| {
                *word = chunk.map_or(u64::MAX, |chunk| u64::from_le_bytes(*chunk));
            });
            Block(words)
        };
        Self {
            blocks: blocks.map(decode).collect(),
            segments: vec![segment],
            level: 0,
        }
    }
}

fn bits(id: &Id) -> impl Iterator<Item = u32> {
    let hash = trailing(id);
    let start = u32::try_from(hash & 0xffff_ffff).unwrap_or(0);
    let step = u32::try_from(hash >> 32).unwrap_or(0) | 1;
    (0..PROBES).map(move |n| (start.wrapping_add(n.wrapping_mul(step)) >> 7) % 512)
}

/// Everything that is known of ids.
#[derive(Default)]
pub(super) struct Ids {
    /// Of segments without an index file.
    recent: BTreeMap<u64, Arc<IdMap>>,
    /// Of all others, oldest segments first.
    filters: Vec<Filter>,
}

impl Ids {
    /// Looks an id up among those of segments without an index file.
    pub(super) fn find_recent(&self, id: &Id) -> Option<Seq> {
        self.recent
            .values()
            .rev()
            .find_map(|ids| ids.get(id).copied())
    }

    /// Looks an id up among all others; `probe` asks the index file of one segment.
    pub(super) fn find_indexed<E>(
        &self,
        id: &Id,
        mut probe: impl FnMut(u64, &Id) -> Result<Option<Seq>, E>,
    ) -> Result<Option<Seq>, E> {
        let likely = self
            .filters
            .iter()
            .rev()
            .filter(|filter| filter.may_hold(id));
        for segment in likely.flat_map(|filter| filter.segments.iter().rev()) {
            if let Some(seq) = probe(*segment, id)? {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// Remembers an id of the segment that is being written, or gives the number under which that
    /// segment has it already.
    pub(super) fn claim(&mut self, segment: u64, id: Id, seq: Seq) -> Option<Seq> {
        let ids = self.recent.entry(segment).or_default();
        // a shared table belongs to a segment that has ended
        match Arc::make_mut(ids).entry(id) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(free) => {
                free.insert(seq);
                None
            }
        }
    }

    /// Remembers an id of a segment, whatever it says of it so far.
    pub(super) fn insert(&mut self, segment: u64, id: Id, seq: Seq) {
        let ids = self.recent.entry(segment).or_default();
        Arc::make_mut(ids).insert(id, seq);
    }

    /// A segment begins that will hold about as many ids as the one before: its table need not grow.
    pub(super) fn expect(&mut self, segment: u64) {
        let before = self.recent.last_key_value().map_or(0, |(_, ids)| ids.len());
        let ids = IdMap::with_capacity_and_hasher(before, Spread::default());
        self.recent.insert(segment, Arc::new(ids));
    }

    /// The ids of a segment, for its index file.
    pub(super) fn of(&self, segment: u64) -> Arc<IdMap> {
        self.recent
            .get(&segment)
            .map(Arc::clone)
            .unwrap_or_default()
    }

    /// Takes over all ids of a segment that was read.
    pub(super) fn put(&mut self, segment: u64, ids: IdMap) {
        if !ids.is_empty() {
            self.recent.insert(segment, Arc::new(ids));
        }
    }

    /// The segment has an index file now, and this is its filter.
    pub(super) fn indexed(&mut self, segment: u64, filter: Filter) {
        self.recent.remove(&segment);
        self.replace(&[segment], filter);
    }

    /// Puts `filter` in the place of those that know `segments`.
    pub(super) fn replace(&mut self, segments: &[u64], mut filter: Filter) {
        let mut alive = Vec::new();
        self.filters.retain(|old| {
            let gone = old
                .segments
                .iter()
                .all(|segment| segments.contains(segment));
            if gone {
                alive.extend_from_slice(&old.segments);
            }
            !gone
        });
        if segments.len() > 1 {
            // what was forgotten while the filter was made stays forgotten
            filter.segments = alive;
        }
        if filter.segments.is_empty() {
            return;
        }
        let first = filter.segments.first().copied();
        let at = self
            .filters
            .partition_point(|other| other.segments.first().copied() < first);
        self.filters.insert(at, filter);
    }

    /// The segments whose filters should become one.
    pub(super) fn to_merge(&self) -> Option<(Vec<u64>, u32)> {
        let levels = self.filters.chunk_by(|a, b| a.level == b.level);
        let mut ripe = levels.filter(|same| same.len() >= MERGE);
        let same = ripe.next()?.get(..MERGE)?;
        let segments = same.iter().flat_map(|filter| filter.segments.clone());
        let level = same.first().map_or(0, |filter| filter.level);
        Some((segments.collect(), level + 1))
    }

    /// The segment is gone.
    pub(super) fn forget(&mut self, segment: u64) {
        self.recent.remove(&segment);
        for filter in &mut self.filters {
            filter.segments.retain(|known| *known != segment);
        }
        self.filters.retain(|filter| !filter.segments.is_empty());
    }

    /// Bytes that filters and tables take.
    pub(super) fn bytes(&self) -> usize {
        let filters: usize = self.filters.iter().map(Filter::bytes).sum();
        // an entry of a hash table is the pair and one byte of control
        let entry = size_of::<(Id, Seq)>() + 1;
        let recent = self
            .recent
            .values()
            .map(|ids| ids.capacity() * 8 / 7 * entry);
        filters + recent.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Id {
        super::super::dedupe_key("/s", &n.to_string())
    }

    #[test]
    fn a_filter_never_denies_and_seldom_errs() {
        let mut filter = Filter::with_room(100_000, vec![1], 0);
        (0..100_000).for_each(|n| filter.insert(&id(n)));
        assert!((0..100_000).all(|n| filter.may_hold(&id(n))));
        let wrong = (100_000..300_000)
            .filter(|n| filter.may_hold(&id(*n)))
            .count();
        assert!(wrong < 300, "{wrong} of 200,000 new ids would be looked up");
        let bits = filter.bytes() * 8 / 100_000;
        assert!(bits <= 17, "{bits} bits an id");
        let blocks: Vec<_> = filter.encode().collect();
        let again = Filter::decode(blocks.iter().map(|block| &block[..]), 1);
        assert!((0..100_000).all(|n| again.may_hold(&id(n))));
    }

    #[test]
    fn filters_are_merged_by_eight_and_forget_their_segments() {
        let mut ids = Ids::default();
        for segment in 1..=8 {
            assert_eq!(ids.to_merge(), None);
            let mut filter = Filter::with_room(1, vec![segment], 0);
            filter.insert(&id(segment));
            ids.indexed(segment, filter);
        }
        let (segments, level) = ids.to_merge().unwrap();
        assert_eq!(
            (segments.as_slice(), level),
            (&[1, 2, 3, 4, 5, 6, 7, 8][..], 1)
        );
        ids.forget(3);
        let mut merged = Filter::with_room(8, segments.clone(), level);
        (1..=8).for_each(|n| merged.insert(&id(n)));
        ids.replace(&segments, merged);
        let mut asked = Vec::new();
        let found = ids.find_indexed(&id(5), |segment, _| {
            asked.push(segment);
            Ok::<_, ()>((segment == 5).then_some(Seq(50)))
        });
        assert_eq!(found, Ok(Some(Seq(50))));
        assert_eq!(
            asked,
            vec![8, 7, 6, 5],
            "the newest first, the forgotten never"
        );
        (1..=8).for_each(|segment| ids.forget(segment));
        assert_eq!(ids.find_indexed(&id(5), |_, _| Err(())), Ok(None));
    }

    #[test]
    fn one_message_is_another_in_another_stream() {
        assert_ne!(scoped(id(1), 1), scoped(id(1), 2));
    }
}
