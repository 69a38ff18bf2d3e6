//! Room on disk: the next segment, the free files it comes from, the reserve, and what is given back.
//!
//! Free files lie ready beside the segments. `free-*` were written over once, so writing into them again
//! needs no new extents and syncs two to three times faster; `reserve-*` are only allocated. One file is
//! the reserve: messages never take the last one, so cursors, trims and audit can still be written when
//! the disk is full, and what they free lets messages in again.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::disk::{DiskFile, zero_fill};
use super::files::{Files, Kind};
use super::index::{SegmentEnd, SegmentIndex};
use super::keeper::{Job, JobError};
use super::mark::is_full;
use super::repeat::Repeat;
use super::salvage::is_bad_sector;
use super::segment::{BatchPlace, ChainEnd, FIRST_BATCH, SEAL_OVERHEAD, Segment, SegmentHeader};
use super::view::{Index, SegmentView};
use super::writer::{Active, TICK, Writer};
use super::{AppendError, NodeKey, tables};

/// Free files that are kept; more are given back.
const KEEP: usize = 4;
/// The length of the very first segment.
const FIRST: u64 = 8 << 20;

/// Letters leave this part of the reserve to cursors and trims.
const LEFT_BY_LETTERS: u64 = 4;

/// A file that waits to become a segment.
pub(super) struct Free {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) length: u64,
}

/// The free files, the best last.
pub(super) struct Pool {
    ready: Vec<Free>,
    is_filling: bool,
    next_name: u64,
}

/// Whether a name is that of a free file.
pub(super) fn is_free(name: &str) -> bool {
    let stem = name.strip_suffix(".tmp");
    stem.is_some_and(|stem| stem.starts_with("free-") || stem.starts_with("reserve-"))
}

impl Pool {
    /// Takes over the free files of an earlier process. Those of another size go, and so does a second
    /// name of a segment, which a power cut in the middle of a renaming may leave on a poor file system.
    pub(super) fn adopt(
        files: &Files,
        names: &[String],
        length: u64,
        segments: &BTreeMap<u64, SegmentView>,
    ) -> io::Result<Self> {
        let mut page = vec![0; usize::try_from(FIRST_BATCH).unwrap_or(0)];
        let mut is_segment = |file: &dyn DiskFile| -> io::Result<bool> {
            let read = file.read_at(&mut page, 0)?;
            let header = SegmentHeader::decode(page.get(..read).unwrap_or_default());
            let id = header.ok().map(|header| header.id);
            let mut ids = segments.values().map(|known| known.segment.header.id);
            Ok(id.is_some_and(|id| ids.any(|known| known == id)))
        };
        let mut ready = Vec::new();
        let mut next_name = 0;
        let mut free: Vec<_> = names.iter().filter(|name| is_free(name)).collect();
        free.sort_by_key(|name| name.starts_with("free-"));
        for name in free {
            let path = files.dir.join(name);
            let number = name
                .split(['-', '.'])
                .nth(1)
                .and_then(|n| n.parse::<u64>().ok());
            next_name = next_name.max(number.unwrap_or(0) + 1);
            let file = files.disk.open(&path)?;
            let is_fit = file.size()? == length
                && match is_segment(file.as_ref()) {
                    // what cannot be read is of no use, and nothing is needed of it
                    Err(error) if is_bad_sector(&error) => false,
                    known => !known?,
                };
            if is_fit && ready.len() < KEEP {
                let file = file.into();
                ready.push(Free { path, file, length });
            } else {
                drop(file);
                files.disk.remove(&path)?;
            }
        }
        Ok(Self {
            ready,
            is_filling: false,
            next_name,
        })
    }

    /// Takes over a file that the keeper made.
    pub(super) fn filled(&mut self, filled: Result<Free, JobError>) {
        self.is_filling = false;
        // without room there is none; it is tried again when the next segment begins
        self.ready.extend(filled.ok());
    }

    fn name(&mut self, files: &Files, kind: &str) -> PathBuf {
        self.next_name += 1;
        files.dir.join(format!("{kind}-{}.tmp", self.next_name))
    }

    fn filled_ones(&self) -> usize {
        let is_filled = |free: &&Free| {
            let name = free.path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("free-"))
        };
        self.ready.iter().filter(is_filled).count()
    }

    /// Whether one more is being made.
    pub(super) fn is_filling(&self) -> bool {
        self.is_filling
    }

    pub(super) fn bytes(&self) -> u64 {
        self.ready.iter().map(|free| free.length).sum()
    }

    /// Of that, what is not the reserve.
    pub(super) fn spare_bytes(&self) -> u64 {
        self.ready.iter().skip(1).map(|free| free.length).sum()
    }
}

impl Writer {
    /// Makes sure that `bytes` can be staged. `is_control` may use the reserve.
    pub(super) fn make_room(&mut self, bytes: usize, is_control: bool) -> Result<(), AppendError> {
        if let Some(reason) = &self.poisoned {
            return Err(AppendError::Poisoned(reason.clone()));
        }
        let span = bytes as u64;
        let reserve = if is_control {
            0
        } else {
            self.options.control_reserve
        };
        let has_reserve = is_control || !self.pool.ready.is_empty();
        let staged = self.staged.frame.len() as u64;
        let fits = |active: &Active| active.at + staged + span + reserve <= active.capacity;
        if has_reserve && self.active.as_ref().is_some_and(fits) {
            return Ok(());
        }
        self.flush();
        if let Some(reason) = &self.poisoned {
            return Err(AppendError::Poisoned(reason.clone()));
        }
        let made = if self.active.as_ref().is_some_and(fits) {
            self.make_reserve()
        } else {
            self.roll(span, is_control)
        };
        match made {
            Ok(()) => {
                if !is_control {
                    self.set_full(None);
                }
                Ok(())
            }
            Err(RollError::Full(reason)) => {
                self.set_full(Some(reason.clone()));
                Err(full(&reason))
            }
            Err(RollError::Io(error)) => Err(self.poison(&format!("new segment: {error}"))),
        }
    }

    /// Makes sure that a letter and the step that it allows can be staged. It may use the reserve as
    /// cursors do, but leaves them enough of it.
    pub(super) fn make_room_for_letter(&mut self, bytes: usize) -> Result<(), AppendError> {
        let ordinary = match self.is_known_full() {
            Some(error) => Err(error),
            None => self.make_room(bytes, false),
        };
        match ordinary {
            Err(AppendError::Full { .. }) => {
                let left = usize::try_from(self.options.segment_bytes / LEFT_BY_LETTERS);
                self.make_room(bytes.saturating_add(left.unwrap_or(usize::MAX)), true)
            }
            ordinary => ordinary,
        }
    }

    fn make_reserve(&mut self) -> Result<(), RollError> {
        if self.pool.ready.is_empty() {
            let free = self.create_free(self.options.segment_bytes)?;
            self.pool.ready.push(free);
        }
        Ok(())
    }

    /// Begins the next segment: header and checkpoint are durable under its name before this returns.
    pub(super) fn roll(&mut self, span: u64, is_control: bool) -> Result<(), RollError> {
        let now = self.clock.now();
        let (number, store) = (self.next_segment, self.store);
        let segment = Segment::new(number, store, now, &self.keys.current, self.end)?;
        let mut end = ChainEnd {
            segment: number,
            batches: 0,
            tag: [0; 16],
        };
        let checkpoint = self.checkpoint(&segment, &mut end)?;
        let needed = FIRST_BATCH
            + checkpoint.len() as u64
            + (span + SEAL_OVERHEAD as u64).next_multiple_of(8)
            + self.options.control_reserve;
        let capacity = self.options.segment_bytes.max(needed);
        let write = |free: &Free| {
            free.file.write_all_at(&segment.header.encode(), 0)?;
            match checkpoint.as_slice() {
                [] => Ok(()),
                checkpoint => free.file.write_all_at(checkpoint, FIRST_BATCH),
            }
        };
        let mut free = self.take_free(needed, capacity, is_control)?;
        let mut written = write(&free);
        if written.as_ref().is_err_and(is_bad_sector) {
            // the disk takes nothing in this file any more: once, another one takes its place
            self.reads.files.disk.remove(&free.path)?;
            free = self.take_free(needed, capacity, is_control)?;
            written = write(&free);
        }
        if let Err(error) = written {
            self.give_back(free);
            return Err(error.into());
        }
        // from here on an error is final, whatever it says: what is on disk is not known
        free.file.sync_data().map_err(RollError::Io)?;
        let files = Arc::clone(&self.reads.files);
        let path = files.path(Kind::Segment, number);
        let named = files.disk.rename(&free.path, &path);
        named
            .and_then(|()| files.disk.sync_dir(&files.dir))
            .map_err(RollError::Io)?;
        files.put(Kind::Segment, number, Arc::clone(&free.file));
        let segment = Arc::new(segment);
        self.next_segment += 1;
        self.end = end;
        self.repeat = Repeat::default();
        let at = FIRST_BATCH + checkpoint.len() as u64;
        let before = self.active.replace(Active {
            segment: Arc::clone(&segment),
            file: free.file,
            number,
            capacity: free.length,
            at,
        });
        {
            let mut view = self.view_mut();
            let mut shown = SegmentView::new(segment, free.length);
            shown.end = SegmentEnd {
                chain: end,
                offset: at,
                commit: self.next_commit - 1,
            };
            view.segments.insert(number, shown);
            view.stats.written_bytes += at;
            view.refresh_sizes();
        }
        self.ids.expect(number);
        if let Some(before) = before {
            self.ask_for_index(before.number);
        }
        self.reclaim();
        self.restock();
        Ok(())
    }

    fn checkpoint(&self, segment: &Segment, end: &mut ChainEnd) -> Result<Vec<u8>, RollError> {
        let refused = || io::Error::other("the cipher refused");
        let mut frame = Vec::new();
        let mut start = Segment::begin_batch(&mut frame);
        let mut is_sealed = true;
        // durable before the next commit, and none of it
        let commit = self.next_commit - 1;
        let mut seal = |frame: &mut Vec<u8>, records: u32| {
            let place = BatchPlace {
                records,
                end,
                commit,
                more: false,
            };
            match segment.seal_batch(frame, start, &place) {
                Some(tag) => {
                    end.tag = tag;
                    end.batches += 1;
                }
                None => is_sealed = false,
            }
            start = Segment::begin_batch(frame);
        };
        let left = tables::put_checkpoint(&self.reads.view(), &mut frame, &mut seal);
        if left > 0 {
            seal(&mut frame, left);
        }
        frame.truncate(start);
        is_sealed.then_some(frame).ok_or_else(|| refused().into())
    }

    /// Has the index of a segment that has ended written, unless nothing in it is needed.
    pub(super) fn ask_for_index(&mut self, number: u64) {
        if self.scrub.waits(number) {
            return;
        }
        let ids = self.ids.of(number);
        let (segment, index, end) = {
            let view = self.reads.view();
            let Some(ended) = view.segments.get(&number) else {
                return;
            };
            let index: SegmentIndex = match &ended.index {
                Index::Memory(index) => index.clone(),
                Index::File(_) => return,
            };
            if ended.spans == 0 {
                self.may_reclaim = true;
                return;
            }
            (Arc::clone(&ended.segment), index, ended.end)
        };
        self.keeper.ask(Job::Index {
            segment,
            index,
            ids,
            end,
        });
        self.collect();
    }

    fn take_free(
        &mut self,
        needed: u64,
        capacity: u64,
        is_control: bool,
    ) -> Result<Free, RollError> {
        let kept = usize::from(!is_control);
        let is_first = self.active.is_none() && self.pool.ready.is_empty();
        if is_first && self.options.prepare_ahead && capacity <= self.options.segment_bytes {
            // nothing lies ready yet: a short segment is written over at once, and while it is filled
            // the keeper makes the next one
            let free = self.create_free(needed.max(capacity.min(FIRST)))?;
            if let Err(error) = zero_fill(free.file.as_ref(), free.length) {
                self.give_back(free);
                return Err(error.into());
            }
            return Ok(free);
        }
        if capacity > self.options.segment_bytes {
            if self.pool.ready.len() < kept {
                self.make_reserve()?;
            }
            return self.create_free(capacity);
        }
        while self.pool.ready.len() <= kept {
            let free = self.create_free(capacity)?;
            self.pool.ready.insert(0, free);
        }
        let best = self.pool.ready.pop();
        best.ok_or_else(|| RollError::Full("no segment is left".to_owned()))
    }

    /// Takes a file back that did not become a segment; one of another size is of no use.
    fn give_back(&mut self, free: Free) {
        if free.length == self.options.segment_bytes {
            self.pool.ready.push(free);
        } else {
            drop(free.file);
            // the next start finds what stays here by mistake
            let _not_needed = self.reads.files.disk.remove(&free.path);
        }
    }

    fn create_free(&mut self, length: u64) -> Result<Free, RollError> {
        self.check_space(length)?;
        let files = Arc::clone(&self.reads.files);
        let path = self.pool.name(&files, "reserve");
        let file = files.disk.create(&path).map_err(RollError::from_create)?;
        if let Err(error) = file.allocate(length) {
            drop(file);
            files.disk.remove(&path)?;
            return Err(RollError::from_create(error));
        }
        let file = file.into();
        Ok(Free { path, file, length })
    }

    /// Whether a file of `length` bytes may be made.
    fn check_space(&self, length: u64) -> Result<(), RollError> {
        let used = self.used_bytes();
        let limit = self.options.max_bytes;
        if used.saturating_add(length) > limit {
            return Err(RollError::Full(format!(
                "the configured size of {limit} bytes is used up"
            )));
        }
        let files = &self.reads.files;
        let free = files.disk.available(&files.dir)?;
        if free < length.saturating_add(self.options.min_free) {
            return Err(RollError::Full(format!("the disk has {free} bytes left")));
        }
        Ok(())
    }

    /// Bytes of segments, indexes and free files.
    pub(super) fn used_bytes(&self) -> u64 {
        self.reads.view().stats.bytes + self.pool.bytes()
    }

    /// Sees to it that free files lie ready: the reserve, and one written over for the next segment.
    pub(super) fn restock(&mut self) {
        if self.pool.ready.is_empty() {
            // a full disk shows when a message comes
            let _full = self.make_reserve();
        }
        if !self.options.prepare_ahead || self.pool.is_filling {
            return;
        }
        let is_stocked = self.pool.filled_ones() > 0 && self.pool.ready.len() > 1;
        if !is_stocked && self.check_space(self.options.segment_bytes).is_ok() {
            self.pool.is_filling = true;
            let path = self.pool.name(&self.reads.files, "free");
            let length = self.options.segment_bytes;
            self.keeper.ask(Job::Fill { path, length });
        }
    }

    /// Gives back free files until only the reserve is left.
    pub(super) fn drop_free(&mut self) {
        let disk = Arc::clone(&self.reads.files.disk);
        let mut place = 0;
        self.pool.ready.retain(|free| {
            place += 1;
            place == 1 || disk.remove(&free.path).is_err()
        });
    }

    /// Removes segments in which nothing is needed any more, or makes free files of them. What a crash
    /// leaves of this is done again.
    pub(super) fn reclaim(&mut self) {
        self.may_reclaim = false;
        let Some(active) = self.active.as_ref().map(|active| active.number) else {
            return;
        };
        let mut dead = self.reads.view().dead_segments(active);
        dead.retain(|number| !self.scrub.waits(*number));
        if dead.is_empty() {
            return;
        }
        let files = Arc::clone(&self.reads.files);
        let mut free = Vec::new();
        for number in dead {
            let path = files.path(Kind::Segment, number);
            let length = self
                .reads
                .view()
                .segments
                .get(&number)
                .map_or(0, |dead| dead.length);
            let is_whole = length == self.options.segment_bytes;
            let gone = if is_whole && self.pool.ready.len() + free.len() < KEEP {
                let kept = self.pool.name(&files, "free");
                let file = files.get(Kind::Segment, number);
                file.and_then(|file| {
                    files.disk.rename(&path, &kept)?;
                    free.push(Free {
                        path: kept,
                        file,
                        length,
                    });
                    Ok(())
                })
            } else {
                files.disk.remove(&path)
            };
            if gone.is_err() {
                continue;
            }
            self.reads.forget_segment(number);
            let mut view = self.view_mut();
            let index = view.segments.remove(&number).map(|dead| dead.index);
            drop(view);
            if let Some(Index::File(_)) = index {
                // the next start finds what stays here by mistake
                let _not_needed = files.disk.remove(&files.path(Kind::Index, number));
            }
            self.ids.forget(number);
        }
        // the old names must be gone for good before the files get another content
        if let Err(error) = files.disk.sync_dir(&files.dir) {
            self.poison_by("directory sync", &error);
            return;
        }
        self.pool.ready.append(&mut free);
        self.view_mut().refresh_sizes();
    }

    pub(super) fn retry_when_full(&mut self) {
        if self.full.is_some() {
            self.reclaim();
            let half = usize::try_from(self.options.segment_bytes / 2).unwrap_or(1 << 20);
            if self.make_room(half.min(1 << 20), false).is_ok() {
                self.set_full(None);
            }
        }
    }

    /// Whether the last attempt to get space was so recent that another one is not worth it.
    pub(super) fn is_known_full(&self) -> Option<AppendError> {
        let (reason, since) = self.full.as_ref()?;
        let now = self.clock.instant();
        (now.saturating_duration_since(*since) < TICK).then(|| full(reason))
    }

    /// Wraps every data key under `node`, which seals all new segments from now on. What lies in files
    /// that wait to become segments has no key any more.
    pub(super) fn rewrap(&mut self, node: NodeKey) -> Result<(), AppendError> {
        let segments: Vec<_> = {
            let view = self.reads.view();
            view.segments
                .values()
                .map(|view| Arc::clone(&view.segment))
                .collect()
        };
        self.keys.other = Some(std::mem::replace(&mut self.keys.current, node));
        for segment in segments {
            let file = self.reads.files.get(Kind::Segment, segment.header.number);
            let node = &self.keys.current;
            if let Err(error) = file.and_then(|file| segment.rewrap(file.as_ref(), node)) {
                return Err(self.poison(&format!("key rotation: {error}")));
            }
        }
        let header = vec![0; usize::try_from(FIRST_BATCH).unwrap_or(0)];
        for free in &self.pool.ready {
            let wiped = free.file.write_all_at(&header, 0);
            if let Err(error) = wiped.and_then(|()| free.file.sync_data()) {
                return Err(self.poison(&format!("key rotation: {error}")));
            }
        }
        self.keys.other = None;
        Ok(())
    }
}

/// Why no new segment could be begun.
pub(super) enum RollError {
    Full(String),
    Io(io::Error),
}

impl RollError {
    fn from_create(error: io::Error) -> Self {
        if is_full(&error) {
            Self::Full(format!("the disk is full: {error}"))
        } else {
            Self::Io(error)
        }
    }
}

impl From<io::Error> for RollError {
    fn from(error: io::Error) -> Self {
        Self::from_create(error)
    }
}

pub(super) fn full(reason: &str) -> AppendError {
    AppendError::Full {
        reason: reason.to_owned(),
        retry_after: Duration::from_secs(2),
    }
}
