//! The one thread that writes: takes everything queued, makes one batch of it, syncs once, answers.
//!
//! Numbers are given while a batch is staged and become visible only when it is durable. A batch that
//! cannot be placed (disk full) is dropped whole, so nothing of a refused append is ever seen. A failed
//! write or sync poisons the log: what is really on disk is known only after a restart has read it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::disk::{Disk, DiskFile};
use super::log::{BatchCache, LogOptions};
use super::mark::{DurableMark, is_full};
use super::recover::{SPARE_NAME, segment_name};
use super::segment::{BATCH_HEADER, ChainEnd, FIRST_BATCH, Segment};
use super::spare::Spare;
use super::stage::Staged;
use super::view::{SegmentView, View};
use super::{AppendError, Draft, NodeKey, Outcome, StreamKey, tables};
use crate::clock::Clock;
use crate::model::Seq;

/// The most plain bytes gathered into one batch, unless a single append is larger.
const BATCH_BYTES: usize = 4 << 20;
/// The most commands gathered into one batch.
const BATCH_COMMANDS: usize = 4096;
/// How long to wait before space is tried for again.
pub(super) const FULL_RETRY: Duration = Duration::from_millis(250);

/// What the handles send to the writer.
pub(super) enum Command {
    Append {
        stream: StreamKey,
        drafts: Vec<Draft>,
        done: Reply<Vec<Outcome>>,
    },
    Cursor {
        stream: StreamKey,
        consumer: String,
        seq: Seq,
        done: Reply<()>,
    },
    Define {
        stream: StreamKey,
        done: Reply<()>,
    },
    Trim {
        stream: StreamKey,
        seq: Seq,
        done: Reply<()>,
    },
    Stop,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, AppendError>>;

/// Everything the thread owns.
pub(super) struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) node: NodeKey,
    pub(super) store: [u8; 16],
    pub(super) view: Arc<RwLock<View>>,
    pub(super) cache: Arc<Mutex<BatchCache>>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) dedupe: HashMap<([u8; 16], u32), Seq>,
    pub(super) mark: Box<dyn DiskFile>,
    pub(super) active: Option<Active>,
    pub(super) end: ChainEnd,
    pub(super) next_segment: u64,
    pub(super) next_commit: u64,
    pub(super) spare: Option<Spare>,
    pub(super) full: Option<(String, Instant)>,
    pub(super) poisoned: Option<String>,
    /// Set by a trim: some segment may be dead now.
    pub(super) may_reclaim: bool,
}

/// The segment being written.
pub(super) struct Active {
    segment: Arc<Segment>,
    number: u64,
    capacity: u64,
    at: u64,
}

impl Writer {
    /// Runs until every handle is gone or one of them said stop.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let first = match commands.recv_timeout(FULL_RETRY) {
                Ok(command) => command,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.retry_when_full();
                    continue;
                }
            };
            let mut staged = Staged {
                frame: vec![0; BATCH_HEADER],
                ..Staged::default()
            };
            let mut stop = false;
            let mut next = Some(first);
            let mut count = 0;
            while let Some(command) = next {
                stop |= matches!(command, Command::Stop);
                self.stage(command, &mut staged);
                count += 1;
                let room = staged.frame.len() < BATCH_BYTES && count < BATCH_COMMANDS && !stop;
                next = if room { commands.try_recv().ok() } else { None };
            }
            self.commit(staged);
            if stop {
                return;
            }
        }
    }

    fn commit(&mut self, staged: Staged) {
        let written = if staged.records == 0 {
            Ok(None)
        } else if let Some(error) = &self.poisoned {
            Err(AppendError::Poisoned(error.clone()))
        } else {
            self.write(staged.frame, staged.records, staged.messages > 0)
                .map(Some)
        };
        match written {
            Ok(place) => {
                let published = Staged {
                    frame: Vec::new(),
                    answers: Vec::new(),
                    ..staged
                };
                self.publish(published, place);
                for answer in staged.answers {
                    answer.done();
                }
                self.changed.send_modify(|commits| *commits += 1);
                if self.may_reclaim {
                    self.reclaim();
                }
            }
            Err(error) => staged
                .answers
                .into_iter()
                .for_each(|answer| answer.fail(&error)),
        }
    }

    /// Places the batch and syncs it. Returns its segment and offset.
    fn write(
        &mut self,
        mut frame: Vec<u8>,
        records: u32,
        has_messages: bool,
    ) -> Result<(u64, u64), AppendError> {
        let span = (frame.len() as u64 + 64).next_multiple_of(8);
        self.make_room(span, has_messages)?;
        let poison = |writer: &mut Self, what: &str, error: &io::Error| {
            let reason = format!("{what}: {error}");
            writer.poison(&reason);
            AppendError::Poisoned(reason)
        };
        let Some(active) = &mut self.active else {
            return Err(full("no segment"));
        };
        let (number, offset) = (active.number, active.at);
        let plain = (frame.len() <= self.options.cache_bytes / 4)
            .then(|| Bytes::copy_from_slice(frame.get(BATCH_HEADER..).unwrap_or_default()));
        let sealed = active.segment.seal_batch(
            &mut frame,
            self.end.batches,
            records,
            self.end.tag,
            self.next_commit,
        );
        let Some(tag) = sealed else {
            return Err(poison(
                self,
                "seal",
                &io::Error::other("the cipher refused"),
            ));
        };
        let file = active.segment.file.as_ref();
        if let Err(error) = file.write_all_at(&frame, offset) {
            return Err(poison(self, "write", &error));
        }
        let began = self.clock.instant();
        if let Err(error) = file.sync_data() {
            return Err(poison(self, "fdatasync", &error));
        }
        let sync_us = self
            .clock
            .instant()
            .saturating_duration_since(began)
            .as_micros();
        active.at += frame.len() as u64;
        self.end = ChainEnd {
            segment: number,
            batches: self.end.batches + 1,
            tag,
        };
        let mark = DurableMark {
            segment: number,
            end: active.at,
            batches: self.end.batches,
            commit: self.next_commit,
        };
        // the mark only lags when this fails; what it reports is already on disk
        if let Err(error) = mark.write(self.mark.as_ref())
            && !is_full(&error)
        {
            self.poison(&format!("durable mark: {error}"));
        }
        self.next_commit += 1;
        if let Some(plain) = plain {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.put(number, offset, plain);
        }
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.stats.last_sync_us = u64::try_from(sync_us).unwrap_or(u64::MAX);
        Ok((number, offset))
    }

    fn make_room(&mut self, span: u64, has_messages: bool) -> Result<(), AppendError> {
        let reserve = if has_messages {
            self.options.control_reserve
        } else {
            0
        };
        let fits = |active: &Active| active.at + span + reserve <= active.capacity;
        if self.active.as_ref().is_some_and(fits) {
            if self.full.is_some() {
                self.set_full(None);
            }
            return Ok(());
        }
        match self.roll(span) {
            Ok(()) => {
                self.set_full(None);
                Ok(())
            }
            Err(RollError::Full(reason)) => {
                self.set_full(Some(reason.clone()));
                Err(full(&reason))
            }
            Err(RollError::Io(error)) => {
                let reason = format!("new segment: {error}");
                self.poison(&reason);
                Err(AppendError::Poisoned(reason))
            }
        }
    }

    /// Begins the next segment: header and checkpoint are durable under its name before this returns.
    pub(super) fn roll(&mut self, span: u64) -> Result<(), RollError> {
        let mut checkpoint = vec![0; BATCH_HEADER];
        let (records, used) = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            let used: u64 = view.segments.values().map(|segment| segment.length).sum();
            (tables::put_checkpoint(&view, &mut checkpoint), used)
        };
        let needed = FIRST_BATCH
            + (checkpoint.len() as u64 + 64).next_multiple_of(8)
            + span
            + self.options.control_reserve;
        let capacity = self.options.segment_bytes.max(needed);
        if used.saturating_add(capacity) > self.options.max_bytes {
            let limit = self.options.max_bytes;
            return Err(RollError::Full(format!(
                "the configured size of {limit} bytes is used up"
            )));
        }
        let file = match self.take_spare(capacity) {
            Some(file) => file,
            None => self.create_segment_file(capacity)?,
        };
        let previous = self.end;
        let (number, now) = (self.next_segment, self.clock.now());
        let segment = Segment::begin(file, number, self.store, now, &self.node, previous)?;
        let mut end = ChainEnd {
            segment: number,
            batches: 0,
            tag: [0; 16],
        };
        let mut at = FIRST_BATCH;
        if records > 0 {
            let tag = segment.seal_batch(&mut checkpoint, 0, records, end.tag, self.next_commit);
            end.tag = tag.ok_or_else(|| io::Error::other("the cipher refused"))?;
            end.batches = 1;
            segment.file.write_all_at(&checkpoint, at)?;
            at += checkpoint.len() as u64;
        }
        segment.file.sync_data()?;
        self.disk.rename(
            &self.dir.join(SPARE_NAME),
            &self.dir.join(segment_name(number)),
        )?;
        self.disk.sync_dir(&self.dir)?;
        let segment = Arc::new(segment);
        self.next_segment += 1;
        self.end = end;
        self.active = Some(Active {
            segment: Arc::clone(&segment),
            number,
            capacity,
            at,
        });
        {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            let last = HashMap::new();
            view.segments.insert(
                number,
                SegmentView {
                    segment,
                    length: capacity,
                    last,
                },
            );
            view.refresh_sizes();
        }
        if self.options.prepare_ahead {
            let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
            self.spare = Some(Spare::prepare(disk, dir, self.options.segment_bytes));
        }
        self.reclaim();
        Ok(())
    }

    fn create_segment_file(&self, capacity: u64) -> Result<Box<dyn DiskFile>, RollError> {
        let available = self.disk.available(&self.dir)?;
        if available < capacity.saturating_add(self.options.min_free) {
            let free = available;
            return Err(RollError::Full(format!("the disk has {free} bytes left")));
        }
        let path = self.dir.join(SPARE_NAME);
        if self
            .disk
            .list(&self.dir)?
            .iter()
            .any(|name| name == SPARE_NAME)
        {
            self.disk.remove(&path)?;
        }
        let file = self.disk.create(&path).map_err(RollError::from_create)?;
        if let Err(error) = file.allocate(capacity) {
            drop(file);
            self.disk.remove(&path)?;
            return Err(RollError::from_create(error));
        }
        Ok(file)
    }

    fn take_spare(&mut self, capacity: u64) -> Option<Box<dyn DiskFile>> {
        let file = self.spare.take()?.finish()?;
        (file.size().ok()? >= capacity).then_some(file)
    }

    /// Makes the commit visible to readers.
    fn publish(&mut self, staged: Staged, place: Option<(u64, u64)>) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.origins.extend(staged.origins);
        for (id, stream) in staged.streams {
            view.define(id, stream);
        }
        if let Some((segment, offset)) = place {
            for (id, entry) in staged.entries.placed(segment, offset) {
                view.index(id, entry);
            }
            view.stats.commits += 1;
            view.stats.records += staged.messages;
        }
        for (id, count) in staged.duplicates {
            if let Some(stream) = view.streams.get_mut(&id) {
                stream.duplicates += count;
            }
        }
        view.cursors.extend(staged.cursors);
        view.marks.extend(staged.marks);
        for (id, seq) in staged.trims {
            view.trim(id, seq);
            self.may_reclaim = true;
        }
        drop(view);
        self.dedupe.extend(staged.dedupe);
    }

    /// Removes segments in which nothing is needed any more. What a crash leaves of this is done again.
    pub(super) fn reclaim(&mut self) {
        self.may_reclaim = false;
        let Some(active) = self.active.as_ref().map(|active| active.number) else {
            return;
        };
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let dead = view.dead_segments(active);
        if dead.is_empty() {
            return;
        }
        for number in dead {
            if self
                .disk
                .remove(&self.dir.join(segment_name(number)))
                .is_ok()
            {
                view.segments.remove(&number);
            }
        }
        view.refresh_sizes();
        self.dedupe
            .retain(|(_, id), seq| view.streams.get(id).is_none_or(|stream| *seq > stream.trim));
        drop(view);
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            self.poison(&format!("directory sync: {error}"));
        }
    }

    /// Starts in the full state, which a later attempt may leave.
    pub(super) fn begin_full(&mut self, reason: String) {
        self.set_full(Some(reason));
    }

    fn retry_when_full(&mut self) {
        if self.full.is_some() && self.poisoned.is_none() {
            self.reclaim();
            let _still_full = self.make_room(self.options.segment_bytes / 2, true);
            self.changed.send_modify(|commits| *commits += 1);
        }
    }

    fn set_full(&mut self, reason: Option<String>) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.stats.full.clone_from(&reason);
        self.full = reason.map(|reason| (reason, self.clock.instant()));
    }

    fn poison(&mut self, reason: &str) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.stats.poisoned = Some(reason.to_owned());
        self.poisoned = Some(reason.to_owned());
        drop(view);
        self.changed.send_modify(|commits| *commits += 1);
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
