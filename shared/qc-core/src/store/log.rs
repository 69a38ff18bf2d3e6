//! The handle to a log: append, cursors, reads. Cheap to clone; the last one to go ends the writer.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::age::{Ages, CLOCK};
use super::command::{Command, Reply};
use super::commit::Staged;
use super::compact::Compaction;
use super::disk::Disk;
use super::files::Files;
use super::keeper::Keeper;
use super::numbers::Numbers;
use super::read::ReadSide;
use super::recover::recover;
use super::repeat::Repeat;
use super::report::OpenReport;
use super::retain::Policies;
use super::scrub::{SCRUBBED, SCRUBBING, Scrub};
use super::space::{Pool, RollError};
use super::tail::Tail;
use super::tenant::TenantKeys;
use super::usage::{Account, Quarantine};
use super::view::View;
use super::writer::Writer;
use super::{
    AppendError, Backlog, CursorMove, CursorState, Custody, Draft, Head, Keyring, Limits, Listener,
    LogStats, NOBODY, NoCustody, NodeKey, OpenError, Outcome, ReadError, ReliefStep, Shed,
    StreamInfo, StreamKey, Value, ValueError,
};
use crate::clock::Clock;
use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use crate::wire::Record;

/// Sizes of a log.
#[derive(Clone)]
pub struct LogOptions {
    /// The directory that holds the log.
    pub dir: PathBuf,
    /// Size of a segment in bytes; a batch that is larger gets a segment of its own.
    pub segment_bytes: u64,
    /// The most bytes all segments together may take.
    pub max_bytes: u64,
    /// Plain bytes after which a batch is sealed and the next one begins in the same commit: what a
    /// reader of one record has to open.
    pub batch_bytes: usize,
    /// The most bytes of dead letters that are kept for publishers. What a consumer cannot take is kept
    /// beyond it: it was stored before.
    pub dead_bytes: u64,
    /// Bytes of the disk that are left alone.
    pub min_free: u64,
    /// Bytes at the end of a segment kept for cursors and trims when messages no longer fit.
    pub control_reserve: u64,
    /// Records kept in memory for readers at the tail, in bytes.
    pub tail_bytes: usize,
    /// Batches kept in the clear for readers of a backlog, in bytes.
    pub cache_bytes: usize,
    /// Whether indexes, the next segment and the scrub are the work of a thread of their own.
    pub prepare_ahead: bool,
    /// Whether everything is read again once a day.
    pub scrub: bool,
    /// Which lane is refused from which share of `max_bytes` on.
    pub shed: Shed,
    /// Where the keys of tenants come from.
    pub custody: Arc<dyn Custody>,
}

impl LogOptions {
    /// The defaults for a log in `dir`: 32 MiB segments, which is what a start has to read at most, and
    /// no limit but the disk.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 32 << 20,
            max_bytes: u64::MAX,
            batch_bytes: 128 << 10,
            dead_bytes: u64::MAX,
            min_free: 64 << 20,
            control_reserve: 64 << 10,
            tail_bytes: 16 << 20,
            cache_bytes: 4 << 20,
            prepare_ahead: true,
            scrub: true,
            shed: Shed::default(),
            custody: Arc::new(NoCustody),
        }
    }
}

/// One node's durable log.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    commands: Sender<Command>,
    reads: Arc<ReadSide>,
    changed: watch::Receiver<u64>,
    /// Bytes of appends under way, so that a slow disk slows the callers and not the memory.
    budget: Semaphore,
    thread: Mutex<Option<JoinHandle<()>>>,
}

const BUDGET: usize = 64 << 20;

impl Log {
    /// Opens the log, recovering whatever an earlier process left.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: &LogOptions,
        keys: impl Into<Keyring>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (writer, changed, report) = Self::recovered(disk, options, keys.into(), clock)?;
        let (reads, dir) = (Arc::clone(&writer.reads), options.dir.clone());
        let (commands, queue) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("qc-store".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|source| OpenError::Io {
                action: "start the writer of",
                path: dir,
                source,
            })?;
        Ok((Self::of(commands, reads, changed, Some(thread)), report))
    }

    /// Does all that [`Self::open`] does but start the thread: what can be read is read, and nothing that
    /// is asked for is done.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn open_to_read(
        disk: Arc<dyn Disk>,
        options: &LogOptions,
        keys: impl Into<Keyring>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (writer, changed, report) = Self::recovered(disk, options, keys.into(), clock)?;
        let (commands, _nobody_listens) = std::sync::mpsc::channel();
        let reads = Arc::clone(&writer.reads);
        Ok((Self::of(commands, reads, changed, None), report))
    }

    fn of(
        commands: Sender<Command>,
        reads: Arc<ReadSide>,
        changed: watch::Receiver<u64>,
        thread: Option<JoinHandle<()>>,
    ) -> Self {
        let inner = Inner {
            commands,
            reads,
            changed,
            budget: Semaphore::new(BUDGET),
            thread: Mutex::new(thread),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Recovers the log and begins its next segment: everything before the first command.
    fn recovered(
        disk: Arc<dyn Disk>,
        options: &LogOptions,
        keys: Keyring,
        clock: Arc<dyn Clock>,
    ) -> Result<(Writer, watch::Receiver<u64>, OpenReport), OpenError> {
        let mut options = options.clone();
        // the reserve, the next segment and the one in use are always there
        options.segment_bytes = options.segment_bytes.min(options.max_bytes / 4);
        let files = Arc::new(Files::new(disk, &options.dir));
        let found = recover(&files, &keys)?;
        let io = |source| OpenError::Io {
            action: "begin a segment in",
            path: options.dir.clone(),
            source,
        };
        let store = match found.store {
            Some(store) => store,
            None => super::seal::random().map_err(io)?,
        };
        let segments = &found.view.segments;
        let pool =
            Pool::adopt(&files, &found.names, options.segment_bytes, segments).map_err(io)?;
        // an earlier process may have ended before its renamings were durable
        files.disk.sync_dir(&options.dir).map_err(io)?;
        let numbers = Numbers::of(&found.view, found.taken);
        let scrubbed = found
            .view
            .values
            .get(SCRUBBED)
            .map(|value| value.revision.0);
        let scrubbed = scrubbed.map(Timestamp::from_millis);
        let scrubbing = found.view.values.get(SCRUBBING).cloned();
        let ages = found.view.values.get(CLOCK);
        let ages = ages.and_then(|value| Ages::parse(&value.bytes));
        let mut view = found.view;
        view.stats.scrubbed = scrubbed;
        let view = Arc::new(RwLock::new(view));
        let tail = Arc::new(Mutex::new(Tail::new(options.tail_bytes)));
        let tenants = Arc::new(TenantKeys::new(Arc::clone(&options.custody)));
        let reads = ReadSide::new(view, Arc::clone(&files), tail, tenants, options.cache_bytes);
        let reads = Arc::new(reads);
        let (changed, watched) = watch::channel(0);
        let now = clock.instant();
        let mut writer = Writer {
            keeper: Keeper::start(files, options.prepare_ahead).map_err(io)?,
            options: options.clone(),
            clock,
            keys,
            store,
            reads: Arc::clone(&reads),
            changed,
            numbers,
            ids: found.ids,
            policies: Policies::default(),
            mark: found.mark,
            active: None,
            end: found.end,
            next_segment: found.next_segment,
            next_commit: found.next_commit,
            pool,
            staged: Staged::default(),
            scrub: Scrub::since(scrubbed, scrubbing.as_ref(), &found.report.damaged),
            compaction: Compaction::default(),
            account: Account::default(),
            ages: ages.unwrap_or_default(),
            full: None,
            poisoned: None,
            may_reclaim: false,
            unindexed: Vec::new(),
            suspect: None,
            repeat: Repeat::default(),
            last_tick: now,
        };
        match writer.roll(0, true) {
            // a full disk is a designed state: the log opens, serves reads and tries again
            Ok(()) => {}
            Err(RollError::Full(reason)) => writer.set_full(Some(reason)),
            Err(RollError::Io(error)) => return Err(io(error)),
        }
        writer.begin(&found.gaps, &found.unindexed);
        Ok((writer, watched, found.report))
    }

    /// Appends to a stream, which begins with its first append. All of it is durable when this returns
    /// `Ok`, none of it when it returns an error.
    pub async fn append(
        &self,
        stream: &StreamKey,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Outcome>, AppendError> {
        let bytes: usize = drafts
            .iter()
            .map(|draft| draft.head.len() + draft.body.len())
            .sum();
        let permits = u32::try_from(bytes.clamp(1, BUDGET)).unwrap_or(u32::MAX);
        let _held = self
            .inner
            .budget
            .acquire_many(permits)
            .await
            .map_err(|_| AppendError::Closed)?;
        self.submit(stream, drafts).await
    }

    /// Queues an append now, in call order, and gives a future for its receipt. The caller bounds how
    /// much is under way.
    pub fn submit(
        &self,
        stream: &StreamKey,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Outcome>, AppendError>> + Send + 'static + use<> {
        let (done, receipt) = oneshot::channel();
        let sent = self.inner.commands.send(Command::Append {
            stream: stream.clone(),
            drafts,
            done,
        });
        async move {
            sent.map_err(|_| AppendError::Closed)?;
            receipt.await.map_err(|_| AppendError::Closed)?
        }
    }

    /// Records durably that `consumer` has everything up to `seq`. A consumer that is new began at the
    /// beginning.
    pub async fn commit_cursor(
        &self,
        consumer: &str,
        stream: &StreamKey,
        seq: Seq,
    ) -> Result<(), AppendError> {
        let moved = CursorMove {
            stream: stream.clone(),
            consumer: consumer.to_owned(),
            from: Seq::ZERO,
            seq,
            dead: 0,
        };
        self.commit_cursors(vec![moved]).await
    }

    /// Records durably how far consumers have come, all in one commit.
    pub async fn commit_cursors(&self, moves: Vec<CursorMove>) -> Result<(), AppendError> {
        self.submit_cursors(moves).await
    }

    /// As [`Self::commit_cursors`], queued before this returns.
    pub(super) fn submit_cursors(
        &self,
        moves: Vec<CursorMove>,
    ) -> impl Future<Output = Result<(), AppendError>> + Send + 'static + use<> {
        self.queue(|done| Command::Cursors { moves, done })
    }

    /// Appends dead letters and records the steps of consumers that they let go on, in one commit.
    pub async fn bury(
        &self,
        letters: &StreamKey,
        drafts: Vec<Draft>,
        moves: Vec<CursorMove>,
    ) -> Result<Vec<Outcome>, AppendError> {
        let letters = letters.clone();
        self.ask(|done| Command::Bury {
            letters,
            drafts,
            moves,
            done,
        })
        .await
    }

    /// Takes a consumer away, queued before this returns: nothing is kept for it any more. Answers how
    /// many messages it had not taken; none if there is no such consumer.
    pub(super) fn submit_end(
        &self,
        stream: &StreamKey,
        consumer: &str,
    ) -> impl Future<Output = Result<Option<u64>, AppendError>> + Send + 'static + use<> {
        let (stream, consumer) = (stream.clone(), consumer.to_owned());
        self.queue(|done| Command::End {
            stream,
            consumer,
            done,
        })
    }

    /// Takes everything up to `seq` away. Consumers that had not come that far count what they will
    /// not get as purged.
    pub async fn purge(&self, stream: &StreamKey, seq: Seq) -> Result<(), AppendError> {
        let stream = stream.clone();
        self.ask(|done| Command::Purge { stream, seq, done }).await
    }

    /// Makes sure the stream exists, so that it has an epoch before its first message.
    pub async fn define(&self, stream: &StreamKey) -> Result<(), AppendError> {
        self.define_with(stream, None).await
    }

    /// As [`Self::define`], and from now on these limits hold for it, until the process ends.
    pub async fn define_with(
        &self,
        stream: &StreamKey,
        limits: Option<Limits>,
    ) -> Result<(), AppendError> {
        let stream = stream.clone();
        self.ask(|done| Command::Define {
            stream,
            limits,
            done,
        })
        .await
    }

    /// Begins a new epoch of a stream whose epoch is `past`, or of an older one; its numbers go on. What
    /// is stored keeps the epoch that it has.
    pub async fn begin_epoch(&self, stream: &StreamKey, past: Epoch) -> Result<(), AppendError> {
        let stream = stream.clone();
        self.ask(|done| Command::Epoch { stream, past, done }).await
    }

    /// Changes a value of the registry, or deletes it. With `expected` only if that is the revision
    /// that is there (zero: none). `until` zero means for ever.
    pub async fn put(
        &self,
        key: &str,
        expected: Option<Seq>,
        value: Option<(Vec<u8>, Timestamp)>,
    ) -> Result<Value, ValueError> {
        let (done, receipt) = oneshot::channel();
        let key = key.to_owned();
        let sent = self.inner.commands.send(Command::Put {
            key,
            expected,
            value,
            done,
        });
        sent.map_err(|_| AppendError::Closed)?;
        receipt.await.map_err(|_| AppendError::Closed)?
    }

    /// A value of the registry.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.view().values.get(key).cloned()
    }

    /// The values whose keys begin with `prefix`.
    pub fn values(&self, prefix: &str) -> Vec<(String, Value)> {
        let view = self.view();
        let from = view.values.range(prefix.to_owned()..);
        let with = from.take_while(|(key, _)| key.starts_with(prefix));
        with.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Wraps all data keys under another node key, which seals from now on. When this returns the old
    /// key opens nothing any more.
    pub async fn rewrap(&self, node: NodeKey) -> Result<(), AppendError> {
        self.ask(|done| Command::Rewrap { node, done }).await
    }

    /// Gives back a little of what space can be had without losing anything, so that others get their turn
    /// in between. The first step says how far it goes; it is handed to the next ones. How much it is in
    /// all stands in [`Usage::relief`](super::Usage::relief).
    pub async fn relieve_step(&self, until: Option<u64>) -> Result<ReliefStep, AppendError> {
        self.ask(|done| Command::RelieveStep { until, done }).await
    }

    /// Counts what lies in the quarantine; reads a directory.
    pub fn quarantine(&self) -> std::io::Result<Quarantine> {
        let files = &self.inner.reads.files;
        Quarantine::count(files.disk.as_ref(), &files.dir)
    }

    /// Forgets every message in memory that was opened, because the key to some of it is gone.
    pub fn forget_plain(&self) {
        self.inner.reads.forget_plain();
    }

    /// Every node that a message was ever taken over from.
    pub fn origins(&self) -> Vec<NodeName> {
        self.view().origins.values().cloned().collect()
    }

    /// Declares everything up to `seq` of no further use; its space comes back segment by segment.
    pub async fn trim(&self, stream: &StreamKey, seq: Seq) -> Result<(), AppendError> {
        let stream = stream.clone();
        self.ask(|done| Command::Trim { stream, seq, done }).await
    }

    /// How far `consumer` has come, zero if it never said.
    pub fn cursor(&self, consumer: &str, stream: &StreamKey) -> Seq {
        self.cursor_state(consumer, stream).unwrap_or_default().seq
    }

    /// How far `consumer` has come and what became of everything until there.
    pub fn cursor_state(&self, consumer: &str, stream: &StreamKey) -> Option<CursorState> {
        let view = self.view();
        let id = view.by_key.get(stream).copied()?;
        let state = view.cursors.get(&(id, consumer.to_owned())).copied();
        state.filter(|state| !state.ended)
    }

    /// Every consumer of a stream that has a cursor.
    pub fn cursors(&self, stream: &StreamKey) -> Vec<(String, Seq)> {
        let states = self.cursor_states(stream).into_iter();
        states
            .map(|(consumer, state)| (consumer, state.seq))
            .collect()
    }

    /// The same, with what became of everything.
    pub fn cursor_states(&self, stream: &StreamKey) -> Vec<(String, CursorState)> {
        let view = self.view();
        let Some(id) = view.by_key.get(stream).copied() else {
            return Vec::new();
        };
        let of_stream = view.cursors_of(id);
        of_stream
            .map(|(consumer, state)| (consumer.to_owned(), *state))
            .collect()
    }

    /// The books that are closed: of consumers that were taken away, and of what ended in a stream
    /// while it had none.
    pub(crate) fn closed_states(&self, stream: &StreamKey) -> Vec<(String, CursorState)> {
        let view = self.view();
        let Some(id) = view.by_key.get(stream).copied() else {
            return Vec::new();
        };
        let books = view
            .cursors
            .range((id, String::new())..(id + 1, String::new()));
        let closed = books.filter(|((_, name), state)| name == NOBODY || state.ended);
        closed
            .map(|((_, name), state)| (name.clone(), *state))
            .collect()
    }

    /// Seqs of a stream after `after` that damage has taken.
    pub fn lost_after(&self, stream: &StreamKey, after: Seq) -> u64 {
        let view = self.view();
        let id = view.by_key.get(stream);
        let stream = id.and_then(|id| view.streams.get(id));
        stream.map_or(0, |stream| stream.lost_after(after))
    }

    /// How far the `lane` of `node`'s stream has been taken over into `stream`, in the node's own
    /// numbering.
    pub fn mark(&self, stream: &StreamKey, node: &NodeName, lane: Lane) -> Option<(Epoch, Seq)> {
        let view = self.view();
        let id = view.by_key.get(stream)?;
        let node = view
            .origins
            .iter()
            .find(|(_, name)| *name == node)
            .map(|(number, _)| *number)?;
        view.marks.get(&(*id, node, lane)).copied()
    }

    /// The number by which records name `node` as their origin, if it ever was one.
    pub fn origin(&self, node: &NodeName) -> Option<u32> {
        let view = self.view();
        let mut origins = view.origins.iter();
        let found = origins.find(|(_, name)| *name == node);
        found.map(|(number, _)| *number)
    }

    /// What lies beyond `after` in a stream.
    pub fn backlog(&self, stream: &StreamKey, after: Seq) -> Backlog {
        self.inner.reads.oldest(stream, after)
    }

    /// The state of one stream.
    pub fn info(&self, stream: &StreamKey) -> Option<StreamInfo> {
        let view = self.view();
        view.by_key.get(stream).and_then(|id| view.info(*id))
    }

    /// The state of every stream, by name.
    pub fn streams(&self) -> Vec<StreamInfo> {
        let view = self.view();
        let mut streams: Vec<_> = view
            .streams
            .keys()
            .filter_map(|id| view.info(*id))
            .collect();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        streams
    }

    /// When a message was accepted here.
    pub fn accepted(&self, stream: &StreamKey, seq: Seq) -> Option<Timestamp> {
        let before = Seq(seq.0.checked_sub(1)?);
        let records = self.read(stream, before, 1, 0).ok()?;
        let record = records.first().filter(|record| record.header.seq == seq)?;
        Some(record.header.accepted)
    }

    /// Size and state of the log.
    pub fn stats(&self) -> LogStats {
        self.view().stats.clone()
    }

    /// Counts commits and changes of state; wakes whoever waits for more to read.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changed.clone()
    }

    /// Rings `bell` when there may be more of `stream` to read, as long as the listener is kept.
    pub fn listen(&self, stream: &StreamKey, bell: &Arc<Notify>) -> Listener {
        self.inner.reads.listeners.listen(stream, bell)
    }

    /// Up to `max_records` messages after `after`, in order; at least one if there is one, then no more
    /// than `max_bytes`. Blocks for the disk when the batch is not in memory.
    pub fn read(
        &self,
        stream: &StreamKey,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let read = self.inner.reads.read(stream, after, max_records, max_bytes);
        self.ask_for_repair(&read);
        read
    }

    /// Under which numbers of a stream the messages and parts stand that are known by `keys`; one that ended
    /// may be found, too.
    pub async fn find(
        &self,
        stream: &StreamKey,
        keys: Vec<[u8; 16]>,
    ) -> Result<Vec<Option<Seq>>, AppendError> {
        let stream = stream.clone();
        self.ask(|done| Command::Find { stream, keys, done }).await
    }

    /// As [`Self::read`], without bodies: no tenant's key is needed.
    pub fn heads(
        &self,
        stream: &StreamKey,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Head>, ReadError> {
        let read = self
            .inner
            .reads
            .heads(stream, after, max_records, max_bytes);
        self.ask_for_repair(&read);
        read
    }

    /// Whoever asks again finds the rest, and a gap where the damage was.
    fn ask_for_repair<T>(&self, read: &Result<T, ReadError>) {
        if let Err(ReadError::Damaged { segment, .. }) = read {
            let segment = *segment;
            let _closing = self.inner.commands.send(Command::Repair { segment });
        }
    }

    /// Writes what is queued and ends the writer.
    pub fn close(&self) {
        let _already_ended = self.inner.commands.send(Command::Stop);
        let thread = self
            .inner
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _panic_was_logged = thread.join();
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, AppendError> {
        self.queue(command).await
    }

    /// Queues a question now and gives a future for its answer.
    fn queue<T, C: FnOnce(Reply<T>) -> Command>(
        &self,
        command: C,
    ) -> impl Future<Output = Result<T, AppendError>> + use<T, C> {
        let (done, receipt) = oneshot::channel();
        let sent = self.inner.commands.send(command(done));
        async move {
            sent.map_err(|_| AppendError::Closed)?;
            receipt.await.map_err(|_| AppendError::Closed)?
        }
    }

    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.inner.reads.view()
    }
}
