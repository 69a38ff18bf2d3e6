//! The handle to a log: append, cursors, reads. Cheap to clone; the last one to go ends the writer.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

use super::disk::Disk;
use super::recover::{OpenReport, recover};
use super::segment::{BATCH_HEADER, BatchHeader, ChainEnd};
use super::view::{IndexEntry, View};
use super::writer::{Command, RollError, Writer};
use super::{
    AppendError, Backlog, Draft, LogStats, NodeKey, OpenError, Outcome, ReadError, StreamInfo,
    StreamKey,
};
use crate::clock::Clock;
use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use crate::wire::{Record, RecordKind};

/// Sizes of a log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The directory that holds the log.
    pub dir: PathBuf,
    /// Size of a segment in bytes; a batch that is larger gets a segment of its own.
    pub segment_bytes: u64,
    /// The most bytes all segments together may take.
    pub max_bytes: u64,
    /// Bytes of the disk that are left alone.
    pub min_free: u64,
    /// Bytes at the end of a segment kept for cursors and trims when messages no longer fit.
    pub control_reserve: u64,
    /// Plain batches kept in memory for readers at the tail, in bytes.
    pub cache_bytes: usize,
    /// Whether the next segment is filled with zeros in the background.
    pub prepare_ahead: bool,
}

impl LogOptions {
    /// The defaults for a log in `dir`: 64 MiB segments, no limit but the disk.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            max_bytes: u64::MAX,
            min_free: 64 << 20,
            control_reserve: 64 << 10,
            cache_bytes: 16 << 20,
            prepare_ahead: true,
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
    view: Arc<RwLock<View>>,
    cache: Arc<Mutex<BatchCache>>,
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
        node: NodeKey,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let found = recover(disk.as_ref(), &options.dir, &node)?;
        let io = |source| OpenError::Io {
            action: "begin a segment in",
            path: options.dir.clone(),
            source,
        };
        let store = match found.store {
            Some(store) => store,
            None => super::seal::random().map_err(io)?,
        };
        let view = Arc::new(RwLock::new(found.view));
        let cache = Arc::new(Mutex::new(BatchCache::new(options.cache_bytes)));
        let (changed, watched) = watch::channel(0);
        let mut writer = Writer {
            disk,
            dir: options.dir.clone(),
            options: options.clone(),
            clock,
            node,
            store,
            view: Arc::clone(&view),
            cache: Arc::clone(&cache),
            changed,
            dedupe: found.dedupe,
            mark: found.mark,
            active: None,
            end: ChainEnd { ..found.end },
            next_segment: found.next_segment,
            next_commit: found.next_commit,
            spare: None,
            full: None,
            poisoned: None,
            may_reclaim: false,
        };
        match writer.roll(0) {
            // a full disk is a designed state: the log opens, serves reads and tries again
            Ok(()) => {}
            Err(RollError::Full(reason)) => writer.begin_full(reason),
            Err(RollError::Io(error)) => return Err(io(error)),
        }
        let (commands, queue) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("qc-store".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(io)?;
        let inner = Inner {
            commands,
            view,
            cache,
            changed: watched,
            budget: Semaphore::new(BUDGET),
            thread: Mutex::new(Some(thread)),
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            found.report,
        ))
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

    /// Records durably that `consumer` has everything up to `seq`.
    pub async fn commit_cursor(
        &self,
        consumer: &str,
        stream: &StreamKey,
        seq: Seq,
    ) -> Result<(), AppendError> {
        let (stream, consumer) = (stream.clone(), consumer.to_owned());
        self.ask(|done| Command::Cursor {
            stream,
            consumer,
            seq,
            done,
        })
        .await
    }

    /// Makes sure the stream exists, so that it has an epoch before its first message.
    pub async fn define(&self, stream: &StreamKey) -> Result<(), AppendError> {
        let stream = stream.clone();
        self.ask(|done| Command::Define { stream, done }).await
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
        let view = self.view();
        let id = view.by_key.get(stream).copied();
        let cursor = id.and_then(|id| view.cursors.get(&(id, consumer.to_owned())));
        cursor.copied().unwrap_or_default()
    }

    /// Every consumer of a stream that has a cursor.
    pub fn cursors(&self, stream: &StreamKey) -> Vec<(String, Seq)> {
        let view = self.view();
        let Some(id) = view.by_key.get(stream).copied() else {
            return Vec::new();
        };
        let of_stream = view
            .cursors
            .range((id, String::new())..(id + 1, String::new()));
        of_stream
            .map(|((_, consumer), seq)| (consumer.clone(), *seq))
            .collect()
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

    /// What lies beyond `after` in a stream.
    pub fn backlog(&self, stream: &StreamKey, after: Seq) -> Backlog {
        let view = self.view();
        view.by_key
            .get(stream)
            .map(|id| view.backlog(*id, after))
            .unwrap_or_default()
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

    /// Up to `max_records` messages after `after`, in order; at least one if there is one, then no more
    /// than `max_bytes`. Blocks for the disk when the batch is not in memory.
    pub fn read(
        &self,
        stream: &StreamKey,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        const ENTRIES: usize = 64;
        let mut records = Vec::new();
        let (mut bytes, mut after) = (0, after);
        loop {
            let (id, entries) = {
                let view = self.view();
                let Some(id) = view.by_key.get(stream).copied() else {
                    return Ok(records);
                };
                let after = after.max(view.streams.get(&id).map_or(Seq::ZERO, |s| s.trim));
                (id, view.entries_after(id, after, ENTRIES))
            };
            if entries.is_empty() {
                return Ok(records);
            }
            for entry in entries {
                let mut plain = self.batch(&entry)?;
                while !plain.is_empty() {
                    let record =
                        Record::split_from(&mut plain).map_err(|_| damaged(&entry, "a record"))?;
                    let header = &record.header;
                    let wanted = header.kind == RecordKind::Message && header.stream == id;
                    if !wanted || header.seq <= after {
                        continue;
                    }
                    let size = record.encoded_len();
                    if !records.is_empty()
                        && (records.len() >= max_records || bytes + size > max_bytes)
                    {
                        return Ok(records);
                    }
                    (bytes, after) = (bytes + size, header.seq);
                    records.push(record);
                }
                after = after.max(entry.last);
            }
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

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), AppendError>>) -> Command,
    ) -> Result<(), AppendError> {
        let (done, receipt) = oneshot::channel();
        self.inner
            .commands
            .send(command(done))
            .map_err(|_| AppendError::Closed)?;
        receipt.await.map_err(|_| AppendError::Closed)?
    }

    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.inner
            .view
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The plain records of one batch, from memory or from disk.
    fn batch(&self, entry: &IndexEntry) -> Result<Bytes, ReadError> {
        let cached = {
            let cache = self
                .inner
                .cache
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            cache.get(entry.segment, entry.offset)
        };
        if let Some(plain) = cached {
            return Ok(plain);
        }
        let segment = self
            .view()
            .segments
            .get(&entry.segment)
            .map(|view| Arc::clone(&view.segment));
        // trimmed and removed since the entry was looked up: nothing is left to read there
        let Some(segment) = segment else {
            return Ok(Bytes::new());
        };
        let io = |source| ReadError::Io {
            segment: entry.segment,
            source,
        };
        let mut head = [0; BATCH_HEADER];
        let read = segment.file.read_at(&mut head, entry.offset).map_err(io)?;
        let header = BatchHeader::decode(head.get(..read).unwrap_or_default(), entry.segment)
            .ok_or_else(|| damaged(entry, "the batch header"))?;
        let mut frame = vec![0; BATCH_HEADER + header.payload as usize];
        segment.file.read_at(&mut frame, entry.offset).map_err(io)?;
        let (plain, _) = segment
            .open_batch(&header, &mut frame)
            .map_err(|fault| damaged(entry, fault.as_str()))?;
        let plain = Bytes::from(frame).slice(BATCH_HEADER..BATCH_HEADER + plain);
        let mut cache = self
            .inner
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.put(entry.segment, entry.offset, plain.clone());
        Ok(plain)
    }
}

fn damaged(entry: &IndexEntry, what: &'static str) -> ReadError {
    ReadError::Damaged {
        segment: entry.segment,
        offset: entry.offset,
        what,
    }
}

/// The batches that were written or read last, by place, up to a number of bytes.
pub(super) struct BatchCache {
    limit: usize,
    bytes: usize,
    batches: HashMap<(u64, u64), Bytes>,
    order: VecDeque<(u64, u64)>,
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

    fn get(&self, segment: u64, offset: u64) -> Option<Bytes> {
        self.batches.get(&(segment, offset)).cloned()
    }

    pub(super) fn put(&mut self, segment: u64, offset: u64, plain: Bytes) {
        let size = plain.len();
        if size > self.limit || self.batches.contains_key(&(segment, offset)) {
            return;
        }
        while self.bytes + size > self.limit {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.bytes -= self.batches.remove(&oldest).map_or(0, |batch| batch.len());
        }
        self.bytes += size;
        self.order.push_back((segment, offset));
        self.batches.insert((segment, offset), plain);
    }
}
