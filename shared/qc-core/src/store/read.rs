//! Reading: from the tail in memory, or batch by batch from the place the index names.
//!
//! A read from disk takes a window of the log at once, opens every whole batch in it and keeps them for
//! the next call, so a backlog is read sequentially whatever the caller's steps are.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use super::files::{Files, Kind};
use super::index::{Entry, IndexFile, start_of};
use super::listeners::Listeners;
use super::pages::NearPages;
use super::salvage::{self, is_bad_sector};
use super::scan::UNREADABLE;
use super::segment::{BATCH_HEADER, BatchHeader, Segment};
use super::tail::Tail;
use super::tenant::TenantKeys;
use super::view::{Place, Span, Start, View};
use super::{Backlog, Head, NoKey, ReadError, StreamKey};
use crate::model::Seq;
use crate::wire::{RECORD_HEADER, Record, RecordHeader, RecordKind};

/// Bytes read from disk at once.
const WINDOW: u64 = 256 << 10;
/// Runs whose entries are kept.
const RUNS: usize = 32;

/// Everything a read needs. Clones of the handle share it.
pub(super) struct ReadSide {
    pub(super) view: Arc<RwLock<View>>,
    pub(super) files: Arc<Files>,
    pub(super) tail: Arc<Mutex<Tail>>,
    pub(super) tenants: Arc<TenantKeys>,
    pub(super) listeners: Arc<Listeners>,
    batches: Mutex<BatchCache>,
    entries: Mutex<VecDeque<KnownRun>>,
    pages: NearPages,
}

/// The entries of a run that was looked up.
struct KnownRun {
    segment: u64,
    stream: u32,
    first: Seq,
    last: Seq,
    entries: Arc<Vec<Entry>>,
}

impl ReadSide {
    pub(super) fn new(
        view: Arc<RwLock<View>>,
        files: Arc<Files>,
        tail: Arc<Mutex<Tail>>,
        tenants: Arc<TenantKeys>,
        cache_bytes: usize,
    ) -> Self {
        Self {
            view,
            files,
            tail,
            tenants,
            listeners: Arc::default(),
            batches: Mutex::new(BatchCache::new(cache_bytes)),
            entries: Mutex::default(),
            pages: NearPages::default(),
        }
    }

    /// See [`super::Log::read`].
    pub(super) fn read(
        &self,
        stream: &StreamKey,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let (id, after) = {
            let view = self.view();
            let Some(id) = view.by_key.get(stream).copied() else {
                return Ok(Vec::new());
            };
            let trim = view
                .streams
                .get(&id)
                .map_or(Seq::ZERO, |stream| stream.trim);
            (id, after.max(trim))
        };
        if let Some(records) = self.tail().read(id, after, max_records, max_bytes) {
            return Ok(records);
        }
        let mut taken = Taken {
            records: Vec::new(),
            bytes: 0,
            max_records: max_records.max(1),
            max_bytes,
            bodies: Bodies::Open,
        };
        self.read_beyond(id, after, &mut taken)?;
        Ok(taken.records)
    }

    /// See [`super::Log::heads`]. No body is opened.
    pub(super) fn heads(
        &self,
        stream: &StreamKey,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Head>, ReadError> {
        let Some(id) = self.view().by_key.get(stream).copied() else {
            return Ok(Vec::new());
        };
        let mut taken = Taken {
            records: Vec::new(),
            bytes: 0,
            max_records: max_records.max(1),
            max_bytes,
            bodies: Bodies::Sealed,
        };
        self.read_beyond(id, after, &mut taken)?;
        let heads = taken.records.into_iter();
        Ok(heads.map(|record| self.tenants.head(record)).collect())
    }

    /// Takes what comes after `after`, from disk.
    fn read_beyond(&self, id: u32, mut after: Seq, taken: &mut Taken) -> Result<(), ReadError> {
        loop {
            let Some(place) = self.view().locate(id, after) else {
                return Ok(());
            };
            let number = place.span.segment;
            match self.read_span(id, &place, after, taken) {
                Ok(last) => after = last,
                // what was taken is taken, and the next call meets the error
                Err(_) if !taken.records.is_empty() => return Ok(()),
                // trimmed, moved or repaired since it was looked up
                Err(_) if self.has_moved(id, after, number) => {}
                Err(error) => return Err(error),
            }
            if taken.is_full() {
                return Ok(());
            }
        }
    }

    /// Records of one span as they are on disk, whatever readers at the tail see: for moving them.
    pub(super) fn read_within(
        &self,
        id: u32,
        span: Span,
        after: Seq,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let mut taken = Taken {
            records: Vec::new(),
            bytes: 0,
            max_records: usize::MAX,
            max_bytes,
            bodies: Bodies::OpenUnlessDestroyed,
        };
        let place = self.view().locate(id, after);
        if let Some(place) = place.filter(|place| place.span.segment == span.segment) {
            self.read_span(id, &place, after, &mut taken)?;
        }
        Ok(taken.records)
    }

    /// Takes the records of one span from `after` on and gives the last seq that was passed.
    fn read_span(
        &self,
        id: u32,
        place: &Place,
        after: Seq,
        taken: &mut Taken,
    ) -> Result<Seq, ReadError> {
        let number = place.span.segment;
        let mut expected = place.span.first.max(after.next());
        let entry = self.start(id, place, expected)?;
        let mut offset = entry.offset;
        while offset < place.end {
            let (plain, next) = self.batch(&place.segment, offset, place.end)?;
            let mut at = 0;
            while let Some(rest) = plain.get(at..).filter(|rest| !rest.is_empty()) {
                let (header, head, body) =
                    RecordHeader::decode(rest).map_err(|_| damaged(number, offset, "a record"))?;
                let start = at + RECORD_HEADER;
                at = start + head + body;
                let wanted = header.kind == RecordKind::Message
                    && (header.stream, header.seq) == (id, expected);
                if !wanted {
                    continue;
                }
                let record = Record {
                    header,
                    head: plain.slice(start..start + head),
                    body: plain.slice(start + head..at),
                };
                let opened = match taken.bodies {
                    Bodies::Sealed => Ok(record),
                    Bodies::Open => self.tenants.open(&place.segment.header.id, record),
                    Bodies::OpenUnlessDestroyed => {
                        let opened = self.tenants.open(&place.segment.header.id, record.clone());
                        match opened {
                            // nobody will ever read the body, but its message stays where it is
                            Err(NoKey::Destroyed(_)) => Ok(record),
                            opened => opened,
                        }
                    }
                };
                let record = opened.map_err(|reason| ReadError::TenantKey { reason })?;
                if !taken.add(record) || expected >= place.span.last {
                    return Ok(expected);
                }
                expected = expected.next();
            }
            offset = next;
        }
        Err(damaged(
            number,
            entry.offset,
            "a record of the index is not there",
        ))
    }

    fn start(&self, id: u32, place: &Place, seq: Seq) -> Result<Entry, ReadError> {
        let index = match &place.start {
            Start::At(entry) => return Ok(*entry),
            Start::Ask(index) => index,
        };
        let number = place.span.segment;
        let known = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            let mut of_stream = entries
                .iter()
                .filter(|run| (run.segment, run.stream) == (number, id));
            let holds = of_stream.find(|run| run.first <= seq && seq <= run.last);
            holds.map(|run| Arc::clone(&run.entries))
        };
        let entries = known.map_or_else(|| self.look_up(id, place, seq, index), Ok)?;
        start_of(&entries, seq)
            .ok_or_else(|| damaged(number, 0, "an entry of the index is not there"))
    }

    /// Reads the entries of a run from the index file and remembers them.
    fn look_up(
        &self,
        id: u32,
        place: &Place,
        seq: Seq,
        index: &IndexFile,
    ) -> Result<Arc<Vec<Entry>>, ReadError> {
        let span = place.span;
        let file = self.file(Kind::Index, span.segment)?;
        let entries = index
            .entries(file.as_ref(), id, seq, &self.pages)
            .map_err(|error| index_error(span.segment, error))?;
        let entries = Arc::new(entries);
        let mut known = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back(KnownRun {
            segment: span.segment,
            stream: id,
            first: span.first,
            last: span.last,
            entries: Arc::clone(&entries),
        });
        if known.len() > RUNS {
            known.pop_front();
        }
        Ok(entries)
    }

    /// When the first message after `after` was accepted.
    pub(super) fn oldest(&self, stream: &StreamKey, after: Seq) -> Backlog {
        let (mut backlog, place, id) = {
            let view = self.view();
            let Some(id) = view.by_key.get(stream).copied() else {
                return Backlog::default();
            };
            let trim = view
                .streams
                .get(&id)
                .map_or(Seq::ZERO, |stream| stream.trim);
            let after = after.max(trim);
            (view.backlog(id, after), view.locate(id, after), id)
        };
        if let Some(place) = place {
            let seq = place.span.first.max(after.next());
            // without the index the age of the whole span stands: older than the truth, never younger
            if let Ok(entry) = self.start(id, &place, seq) {
                backlog.oldest = backlog.oldest.map(|oldest| oldest.max(entry.accepted));
            }
        }
        backlog
    }

    /// The plain records of the batch at `offset`, and where the next one begins.
    fn batch(&self, segment: &Segment, offset: u64, end: u64) -> Result<(Bytes, u64), ReadError> {
        let number = segment.header.number;
        if let Some(batch) = self.batches().get(number, offset) {
            return Ok(batch);
        }
        let file = self.file(Kind::Segment, number)?;
        let io = |source| ReadError::Io {
            segment: number,
            source,
        };
        let sound = |bytes: &[u8]| BatchHeader::decode(bytes, number);
        let mut window = vec![0; usize::try_from(WINDOW.min(end - offset)).unwrap_or(0)];
        let mut read = salvage::read(file.as_ref(), &mut window, offset).map_err(io)?;
        window.truncate(read.bytes);
        let is_unread = |read: &salvage::Salvaged, size: usize| {
            let end = offset + size as u64;
            read.unread.iter().any(|part| part.0 < end)
        };
        if is_unread(&read, BATCH_HEADER) {
            return Err(damaged(number, offset, UNREADABLE));
        }
        let first = sound(&window).ok_or_else(|| damaged(number, offset, "the batch header"))?;
        if first.size() > window.len() {
            window.resize(first.size(), 0);
            read = salvage::read(file.as_ref(), &mut window, offset).map_err(io)?;
            window.truncate(read.bytes);
        }
        if is_unread(&read, first.size()) {
            return Err(damaged(number, offset, UNREADABLE));
        }
        let mut opened = Vec::new();
        let mut at = 0;
        while let Some(bytes) = window.get_mut(at..)
            && let Some(header) = sound(bytes)
            && header.size() <= bytes.len()
        {
            match segment.open_batch(&header, bytes) {
                Ok((plain, _)) => {
                    let next = at + usize::try_from(header.span()).unwrap_or(usize::MAX);
                    opened.push((at, at + BATCH_HEADER, at + BATCH_HEADER + plain, next));
                    at = next;
                }
                Err(fault) if at == 0 => return Err(damaged(number, offset, fault.as_str())),
                Err(_) => break,
            }
        }
        let window = Bytes::from(window);
        let opened: Vec<_> = opened
            .into_iter()
            .map(|(start, from, to, next)| {
                let batch = (window.slice(from..to), offset + next as u64);
                ((number, offset + start as u64), batch)
            })
            .collect();
        let wanted = opened.first().map(|(_, batch)| batch.clone());
        self.batches().put(&window, opened);
        wanted.ok_or_else(|| damaged(number, offset, "the batch ends early"))
    }

    /// Forgets every plain byte, for instance because a key is gone.
    pub(super) fn forget_plain(&self) {
        self.tenants.forget();
        self.batches().clear();
        self.tail().clear();
    }

    /// A segment has another content, or none.
    pub(super) fn forget_segment(&self, number: u64) {
        self.files.forget(number);
        self.pages.forget(number);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|run| run.segment != number);
    }

    fn has_moved(&self, id: u32, after: Seq, from: u64) -> bool {
        let view = self.view();
        let now = view.locate(id, after);
        now.is_none_or(|place| place.span.segment != from || !view.segments.contains_key(&from))
    }

    fn file(&self, kind: Kind, number: u64) -> Result<Arc<dyn super::DiskFile>, ReadError> {
        let io = |source| ReadError::Io {
            segment: number,
            source,
        };
        self.files.get(kind, number).map_err(io)
    }

    pub(super) fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view_mut(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batches(&self) -> std::sync::MutexGuard<'_, BatchCache> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records on their way to the caller, up to the caller's bounds.
struct Taken {
    records: Vec<Record>,
    bytes: usize,
    max_records: usize,
    max_bytes: usize,
    bodies: Bodies,
}

/// What becomes of bodies under a tenant's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bodies {
    /// They are opened, or it is an error.
    Open,
    /// The same, but one whose key was destroyed is taken as it is.
    OpenUnlessDestroyed,
    /// They are taken as they are.
    Sealed,
}

impl Taken {
    /// Adds a record; says whether there is room for another one.
    fn add(&mut self, record: Record) -> bool {
        let size = record.encoded_len();
        if !self.records.is_empty() && self.bytes + size > self.max_bytes {
            self.bytes = usize::MAX;
            return false;
        }
        self.bytes += size;
        self.records.push(record);
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.max_records || self.bytes > self.max_bytes
    }
}

fn damaged(segment: u64, offset: u64, what: &'static str) -> ReadError {
    ReadError::Damaged {
        segment,
        offset,
        what,
    }
}

fn index_error(segment: u64, source: io::Error) -> ReadError {
    // what the disk cannot read of an index is made again, as what is damaged is
    if source.kind() == io::ErrorKind::InvalidData || is_bad_sector(&source) {
        return damaged(segment, 0, "its index");
    }
    ReadError::Io { segment, source }
}

/// A batch in the clear and where the next one begins.
type Batch = (Bytes, u64);

/// Where a batch stands: its segment and offset.
type At = (u64, u64);

/// The batches that were read last, by place, up to a number of bytes of memory.
struct BatchCache {
    limit: usize,
    bytes: usize,
    batches: HashMap<At, Batch>,
    order: VecDeque<Held>,
}

/// Batches that share their memory, and what of it goes when they go.
struct Held {
    bytes: usize,
    batches: Vec<At>,
}

impl BatchCache {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            batches: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn get(&self, segment: u64, offset: u64) -> Option<Batch> {
        self.batches.get(&(segment, offset)).cloned()
    }

    /// Keeps the batches of a window that are not there yet. Each would hold all of the window: where they
    /// are the smaller part of it, or it is too large, they are copied.
    fn put(&mut self, window: &Bytes, batches: Vec<(At, Batch)>) {
        let known = &self.batches;
        let new: Vec<_> = batches
            .into_iter()
            .filter(|(at, _)| !known.contains_key(at))
            .collect();
        let bytes: usize = new.iter().map(|(_, batch)| batch.0.len()).sum();
        if window.len() <= self.limit && bytes * 2 >= window.len() {
            self.hold(window.len(), new);
            return;
        }
        for (at, (plain, next)) in new {
            let copy = (Bytes::copy_from_slice(&plain), next);
            self.hold(plain.len(), vec![(at, copy)]);
        }
    }

    fn hold(&mut self, bytes: usize, batches: Vec<(At, Batch)>) {
        if bytes > self.limit {
            return;
        }
        while self.bytes + bytes > self.limit {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
            for at in oldest.batches {
                self.batches.remove(&at);
            }
        }
        self.bytes += bytes;
        self.order.push_back(Held {
            bytes,
            batches: batches.iter().map(|(at, _)| *at).collect(),
        });
        self.batches.extend(batches);
    }

    fn clear(&mut self) {
        *self = Self::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of memory that a cache holds, each window once.
    fn pinned(cache: &BatchCache, windows: &[Bytes]) -> usize {
        let inside =
            |window: &Bytes, plain: &Bytes| window.as_ptr_range().contains(&plain.as_ptr());
        let held = |window: &&Bytes| {
            cache
                .batches
                .values()
                .any(|(plain, _)| inside(window, plain))
        };
        let shared: usize = windows.iter().filter(held).map(Bytes::len).sum();
        let own = cache.batches.values().map(|(plain, _)| plain);
        let own = own.filter(|plain| !windows.iter().any(|window| inside(window, plain)));
        shared + own.map(Bytes::len).sum::<usize>()
    }

    #[test]
    fn a_cache_holds_no_more_memory_than_its_limit() {
        const WINDOW: usize = 1000;
        for (step, whole) in [(100, true), (100, false), (900, false)] {
            let mut cache = BatchCache::new(5 * WINDOW);
            let mut windows = Vec::new();
            // as somebody reads who goes backwards: of each window only the beginning is new
            for number in (0..200_u64).rev() {
                let window = Bytes::from(vec![1; WINDOW]);
                let ends = if whole { WINDOW / step } else { 1 };
                let batches = (0..ends).map(|at| {
                    let plain = window.slice(at * step..(at + 1) * step);
                    ((1, number * 1000 + at as u64), (plain, 0))
                });
                cache.put(&window, batches.collect());
                windows.push(window);
            }
            let held = pinned(&cache, &windows);
            assert!(held <= 5 * WINDOW, "{step} {whole}: {held} bytes");
            assert!(
                held >= 4 * WINDOW && cache.bytes >= held,
                "{step} {whole}: {held}"
            );
            assert_eq!(cache.get(1, 0).unwrap().0.len(), step);
        }
    }
}
