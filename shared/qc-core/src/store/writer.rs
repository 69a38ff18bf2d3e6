//! The one thread that writes: takes everything queued, makes one commit of it, syncs once, answers.
//!
//! Numbers are given while a commit is staged and become visible only when it is durable. Room is made
//! before anything is staged, so nothing of a refused append is ever numbered or seen. A failed write or
//! sync poisons the log: what is really on disk is known only after a restart has read it.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::AppendError;
use super::age::Ages;
use super::command::{Answer, Command};
use super::commit::{Change, Staged};
use super::compact::Compaction;
use super::disk::DiskFile;
use super::files::Kind;
use super::ids::Ids;
use super::index::SegmentEnd;
use super::keeper::{Done, Job, JobError, Keeper};
use super::log::LogOptions;
use super::mark::{DurableMark, is_full};
use super::numbers::Numbers;
use super::read::ReadSide;
use super::repeat::Repeat;
use super::retain::Policies;
use super::scrub::Scrub;
use super::seal::Keyring;
use super::segment::{ChainEnd, Segment};
use super::space::Pool;
use super::usage::Account;
use super::view::{Index, View};
use crate::clock::{Clock, SystemClock};
use crate::model::Seq;

/// The most plain bytes gathered into one commit, unless a single append is larger.
const COMMIT_BYTES: usize = 4 << 20;
/// The most commands gathered into one commit.
const COMMIT_COMMANDS: usize = 4096;
/// How often the writer looks around when nothing comes in, and tries for space when there is none.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// The same while there is something to move and nobody asks for anything.
const BREATH: Duration = Duration::from_millis(5);

/// Everything the thread owns.
pub(super) struct Writer {
    pub(super) options: LogOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Keyring,
    pub(super) store: [u8; 16],
    pub(super) reads: Arc<ReadSide>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) numbers: Numbers,
    pub(super) ids: Ids,
    pub(super) policies: Policies,
    pub(super) mark: Box<dyn DiskFile>,
    pub(super) active: Option<Active>,
    /// Where the log ends: the chain the next batch goes on with.
    pub(super) end: ChainEnd,
    pub(super) next_segment: u64,
    pub(super) next_commit: u64,
    pub(super) pool: Pool,
    pub(super) keeper: Keeper,
    pub(super) staged: Staged,
    pub(super) scrub: Scrub,
    pub(super) compaction: Compaction,
    pub(super) account: Account,
    /// How old messages are, whatever the wall clock shows.
    pub(super) ages: Ages,
    pub(super) full: Option<(String, Instant)>,
    pub(super) poisoned: Option<String>,
    /// Ended segments whose index found no room on the disk.
    pub(super) unindexed: Vec<u64>,
    /// A segment whose index could not be read.
    pub(super) suspect: Option<u64>,
    pub(super) repeat: Repeat,
    /// Set by a trim: some segment may be dead now.
    pub(super) may_reclaim: bool,
    pub(super) last_tick: Instant,
}

/// How the writer waits for a command. Whoever got an answer often asks again within microseconds, and
/// waking a thread costs as much as a tenth of an `fdatasync`: after a short wait for a lone asker the
/// next one is spent awake. Among many askers a sleeper is better off: the kernel lets it run at once.
#[derive(Default)]
struct Patience {
    /// What a wait costs is the machine's time, whatever the log's clock shows.
    clock: SystemClock,
    is_awake: bool,
    /// Whether the last commit had one command.
    is_alone: bool,
}

impl Patience {
    /// What counts as a short wait.
    const SHORT: Duration = Duration::from_micros(100);
    /// Looks at the queue that a short wait takes at most, on whatever machine.
    const LOOKS: u32 = 2_000;

    fn next(
        &mut self,
        commands: &Receiver<Command>,
        at_most: Duration,
    ) -> Result<Command, RecvTimeoutError> {
        if let Ok(command) = commands.try_recv() {
            return Ok(command);
        }
        let began = self.clock.instant();
        let short = || self.clock.instant().saturating_duration_since(began) < Self::SHORT;
        let is_awake = self.is_awake && self.is_alone;
        for _ in 0..if is_awake { Self::LOOKS } else { 0 } {
            match commands.try_recv() {
                Ok(command) => return Ok(command),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if short() => std::thread::yield_now(),
                Err(TryRecvError::Empty) => break,
            }
        }
        let asleep = commands.recv_timeout(at_most);
        let was_short = short();
        self.is_awake = asleep.is_ok() && was_short;
        asleep
    }
}

/// The segment being written.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) number: u64,
    pub(super) capacity: u64,
    /// Where the next commit goes.
    pub(super) at: u64,
}

impl Writer {
    /// Runs until every handle is gone or one of them said stop.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut patience = Patience::default();
        loop {
            let at_most = if self.compaction.is_under_way {
                BREATH
            } else {
                TICK
            };
            let first = match patience.next(commands, at_most) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Disconnected) => Some(Command::Stop),
                Err(RecvTimeoutError::Timeout) => None,
            };
            let is_idle = first.is_none();
            self.look_at_clock();
            self.collect();
            let (mut next, mut count, mut stop) = (first, 0, false);
            while let Some(command) = next {
                stop |= matches!(command, Command::Stop);
                self.stage(command);
                count += 1;
                let bytes = self.staged.frame.len();
                let room = bytes < COMMIT_BYTES && count < COMMIT_COMMANDS && !stop;
                next = if room { commands.try_recv().ok() } else { None };
            }
            patience.is_alone = count == 1;
            self.flush();
            if stop {
                self.keeper.stop();
                self.collect();
                return;
            }
            if let Some(segment) = self.suspect.take() {
                self.repair(segment);
            }
            if self.may_reclaim && self.poisoned.is_none() {
                self.reclaim();
            }
            let now = self.clock.instant();
            if is_idle || now.saturating_duration_since(self.last_tick) >= TICK {
                self.last_tick = now;
                self.tick();
            }
            if is_idle {
                self.staged.rest();
            }
        }
    }

    /// The first things a new process does: says what is lost, and has indexes made that are missing.
    pub(super) fn begin(&mut self, gaps: &[(u32, Seq, Seq)], unindexed: &[u64]) {
        self.begin_time();
        for (id, first, last) in gaps {
            // a gap that cannot be written now is found again at the next start
            if self.make_room(1024, true).is_err() {
                self.show(Change::Gap(*id, *first, *last));
                continue;
            }
            self.stage_gap(*id, *first, *last);
        }
        self.flush();
        for number in unindexed {
            self.ask_for_index(*number);
        }
        self.view_mut().refresh_sizes();
        self.show_damage();
        self.look_at_space();
    }

    /// What has to be looked at again and again, however busy the log is.
    fn tick(&mut self) {
        if self.poisoned.is_some() {
            return;
        }
        self.retry_when_full();
        self.repeat_definitions();
        if self.full.is_none()
            && let Some(number) = self.unindexed.pop()
        {
            self.ask_for_index(number);
        }
        self.keep_what_waits();
        self.retain();
        self.compact();
        self.scrub_on();
        self.look_at_space();
    }

    /// Writes and syncs what is staged, then answers it.
    pub(super) fn flush(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let written = match (&self.poisoned, self.staged.records) {
            (Some(reason), _) => Err(AppendError::Poisoned(reason.clone())),
            (None, 0) => Ok(()),
            (None, _) => self.write(),
        };
        match written {
            Ok(()) => {
                self.publish();
                self.staged.take_answers().for_each(Answer::done);
                self.announce();
                if self.staged.records > 0 {
                    self.write_mark();
                }
            }
            Err(error) => {
                self.staged
                    .take_answers()
                    .for_each(|answer| answer.fail(&error));
            }
        }
        self.staged.clear();
    }

    fn write(&mut self) -> Result<(), AppendError> {
        self.seal_batch(false);
        if let Some(reason) = &self.poisoned {
            // the cipher refused: what is staged lies there in the clear
            return Err(AppendError::Poisoned(reason.clone()));
        }
        let Some(active) = &mut self.active else {
            return Err(self.poison("no segment to write to"));
        };
        let began = self.clock.instant();
        let frame = &self.staged.frame;
        let written = active.file.write_all_at(frame, active.at);
        if let Err(error) = written.and_then(|()| active.file.sync_data()) {
            return Err(self.poison(&format!("write and fdatasync: {error}")));
        }
        let took = self.clock.instant().saturating_duration_since(began);
        active.at += frame.len() as u64;
        self.next_commit += 1;
        self.staged.sync_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Says how far the log is durable. Nobody waits for it: it may lag, never lead.
    fn write_mark(&mut self) {
        let Some(active) = &self.active else {
            return;
        };
        let mark = DurableMark {
            segment: active.number,
            end: active.at,
            batches: self.end.batches,
            commit: self.next_commit - 1,
            store: self.store,
            given: self.numbers.given,
        };
        if let Err(error) = mark.write(self.mark.as_ref())
            && !is_full(&error)
        {
            self.poison_by("durable mark", &error);
        }
    }

    /// Wakes those who wait for what this commit has changed.
    fn announce(&self) {
        self.changed.send_modify(|commits| *commits += 1);
        let view = self.reads.view();
        let touched = self.staged.touched.iter();
        let streams = touched.filter_map(|id| view.streams.get(id));
        self.reads.listeners.ring(streams.map(|stream| &stream.key));
    }

    /// Wakes everybody.
    fn announce_all(&self) {
        self.changed.send_modify(|commits| *commits += 1);
        self.reads.listeners.ring_all();
    }

    /// Makes the commit visible to readers.
    fn publish(&mut self) {
        let mut staged = std::mem::take(&mut self.staged);
        {
            // newest first for readers at the tail: they look there before they look at the view
            let mut tail = self
                .reads
                .tail
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            staged.tail.drain(..).for_each(|record| tail.push(record));
        }
        let reads = Arc::clone(&self.reads);
        let mut view = reads.view_mut();
        for change in staged.changes.drain(..) {
            if let Change::Gap(id, ..) = &change {
                staged.touched.push(*id);
            }
            change.apply(&mut view);
        }
        if let Some(active) = &self.active {
            for piece in staged.pieces.drain(..) {
                view.add(active.number, &piece);
                if !piece.moved {
                    staged.touched.push(piece.run.stream);
                }
            }
            if let Some(segment) = view.segments.get_mut(&active.number) {
                segment.end = SegmentEnd {
                    chain: self.end,
                    offset: active.at,
                    commit: self.next_commit - 1,
                };
            }
        }
        for (id, seq) in staged.trims.drain(..) {
            view.trim(id, seq);
            let held = view.backlog(id, seq);
            if let Some(position) = self.numbers.positions.get_mut(&id) {
                (position.messages, position.bytes) = (held.messages, held.bytes);
            }
        }
        if staged.records > 0 {
            view.stats.commits += 1;
            view.stats.records += staged.messages;
            view.stats.written_bytes += staged.frame.len() as u64;
            view.stats.last_sync_us = staged.sync_us;
            if staged.messages > 0 {
                view.stats.accepted_bytes += staged.accepted_bytes;
            }
        }
        drop(view);
        self.staged = staged;
    }

    /// Takes over what the keeper has done.
    pub(super) fn collect(&mut self) {
        while let Some(done) = self.keeper.finished() {
            match done {
                Done::Indexed(number, Ok((file, filter))) => {
                    let mut view = self.view_mut();
                    let known = view.segments.get_mut(&number);
                    // what is damaged in it and has no copy is found again only where there is no index
                    let known = known.filter(|_| !self.scrub.waits(number));
                    let is_there = known.is_some();
                    if let Some(segment) = known {
                        segment.index = Index::File(Arc::new(file));
                    }
                    view.refresh_sizes();
                    drop(view);
                    if is_there {
                        self.ids.indexed(number, filter);
                        self.merge_filters();
                    } else {
                        // it died meanwhile, and nobody else knows of the file
                        let path = self.reads.files.path(Kind::Index, number);
                        let _gone_or_found_at_the_next_start = self.reads.files.disk.remove(&path);
                    }
                    self.show_memory();
                }
                // without room the index stays in memory until there is some
                Done::Indexed(number, Err(JobError::NoRoom)) => self.unindexed.push(number),
                Done::Indexed(_, Err(JobError::Final(error))) => {
                    self.poison_by("index file", &error);
                }
                Done::Filled(Err(JobError::Final(error))) => {
                    self.poison_by("next segment", &error);
                }
                Done::Filled(filled) => self.pool.filled(filled),
                Done::Merged(segments, Ok(filter)) => {
                    self.ids.replace(&segments, filter);
                    self.merge_filters();
                    self.show_memory();
                }
                Done::Merged(_, Err(_)) => {}
                Done::Scrubbed(scrubbed) => self.scrubbed(&scrubbed),
            }
        }
    }

    fn merge_filters(&self) {
        let Some((segments, level)) = self.ids.to_merge() else {
            return;
        };
        let view = self.reads.view();
        let indexes =
            segments
                .iter()
                .filter_map(|number| match &view.segments.get(number)?.index {
                    Index::File(file) => Some((*number, Arc::clone(file))),
                    Index::Memory(_) => None,
                });
        let indexes = indexes.collect();
        drop(view);
        self.keeper.ask(Job::Merge {
            segments,
            indexes,
            level,
        });
    }

    fn show_memory(&self) {
        let ids = self.ids.bytes() as u64;
        let mut view = self.view_mut();
        let indexes = view.segments.values().map(|segment| match &segment.index {
            Index::File(file) => file.memory() as u64,
            Index::Memory(_) => 0,
        });
        view.stats.dedupe_bytes = ids + indexes.sum::<u64>();
    }

    pub(super) fn set_full(&mut self, reason: Option<String>) {
        if self.full.is_none() && reason.is_none() {
            return;
        }
        let mut view = self.view_mut();
        view.stats.full.clone_from(&reason);
        drop(view);
        self.full = reason.map(|reason| (reason, self.clock.instant()));
        self.announce_all();
    }

    /// Ends all writing for good and gives the error that says so.
    pub(super) fn poison(&mut self, reason: &str) -> AppendError {
        self.view_mut().stats.poisoned = Some(reason.to_owned());
        self.poisoned = Some(reason.to_owned());
        self.announce_all();
        AppendError::Poisoned(reason.to_owned())
    }

    /// As [`Self::poison`], where nobody waits for the error.
    pub(super) fn poison_by(&mut self, what: &str, error: &io::Error) {
        let _nobody_waits = self.poison(&format!("{what}: {error}"));
    }

    pub(super) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.reads.view_mut()
    }

    /// Applies a change that has no record of its own to the published state.
    pub(super) fn show(&self, change: Change) {
        change.apply(&mut self.view_mut());
    }
}
