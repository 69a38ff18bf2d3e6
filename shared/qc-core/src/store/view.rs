//! What the log holds as of the last commit: streams with their index, cursors, marks, segments.
//!
//! One value of this type is the truth for readers. The writer changes it after `fdatasync` returned,
//! recovery while it reads segments, and both through the same few methods.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::segment::Segment;
use super::{Backlog, LogStats, StreamInfo, StreamKey};
use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};

/// The state behind every read.
#[derive(Default)]
pub(super) struct View {
    pub(super) streams: BTreeMap<u32, StreamView>,
    pub(super) by_key: HashMap<StreamKey, u32>,
    pub(super) cursors: BTreeMap<(u32, String), Seq>,
    pub(super) marks: BTreeMap<MarkKey, (Epoch, Seq)>,
    pub(super) origins: BTreeMap<u32, NodeName>,
    pub(super) segments: BTreeMap<u64, SegmentView>,
    pub(super) stats: LogStats,
}

/// Whose stream a mark speaks of: local stream, origin number, the peer's lane.
pub(super) type MarkKey = (u32, u32, Lane);

/// One stream: its positions and where its batches are.
pub(super) struct StreamView {
    pub(super) key: StreamKey,
    pub(super) epoch: Epoch,
    pub(super) last: Seq,
    pub(super) trim: Seq,
    pub(super) duplicates: u64,
    index: VecDeque<IndexEntry>,
    /// Messages and bytes ever indexed, the base of the prefix sums in the index.
    total: Sum,
}

/// The records of one stream in one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexEntry {
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) sum: Sum,
    pub(super) accepted: Timestamp,
    before: Sum,
}

/// A number of messages and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// One segment on disk.
pub(super) struct SegmentView {
    pub(super) segment: Arc<Segment>,
    /// Bytes the file takes.
    pub(super) length: u64,
    /// The last seq of each stream that has messages in it.
    pub(super) last: HashMap<u32, Seq>,
}

/// The index entries of one batch while it is written or read.
#[derive(Default)]
pub(super) struct BatchIndex(Vec<(u32, IndexEntry)>);

impl BatchIndex {
    /// Counts one message of `bytes` bytes; messages of a stream come in ascending order.
    pub(super) fn add(&mut self, stream: u32, seq: Seq, bytes: u64, accepted: Timestamp) {
        if let Some((_, entry)) = self.0.iter_mut().rfind(|(id, _)| *id == stream) {
            entry.last = seq;
            entry.sum.messages += 1;
            entry.sum.bytes += bytes;
            return;
        }
        let (sum, before) = (Sum { messages: 1, bytes }, Sum::default());
        let entry = IndexEntry {
            first: seq,
            last: seq,
            segment: 0,
            offset: 0,
            sum,
            accepted,
            before,
        };
        self.0.push((stream, entry));
    }

    /// The entries, now that it is known where the batch stands.
    pub(super) fn placed(
        self,
        segment: u64,
        offset: u64,
    ) -> impl Iterator<Item = (u32, IndexEntry)> {
        self.0.into_iter().map(move |(id, entry)| {
            (
                id,
                IndexEntry {
                    segment,
                    offset,
                    ..entry
                },
            )
        })
    }
}

impl View {
    /// Adds a stream or takes over what a later checkpoint says of it.
    pub(super) fn define(&mut self, id: u32, stream: StreamView) {
        let trim = stream.trim;
        if let Some(known) = self.streams.get_mut(&id) {
            known.last = known.last.max(stream.last);
        } else {
            self.by_key.insert(stream.key.clone(), id);
            self.streams.insert(id, stream);
        }
        self.trim(id, trim);
    }

    /// Adds the messages of one stream in one batch.
    pub(super) fn index(&mut self, id: u32, mut entry: IndexEntry) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        entry.before = stream.total;
        stream.total.messages += entry.sum.messages;
        stream.total.bytes += entry.sum.bytes;
        stream.last = stream.last.max(entry.last);
        if let Some(segment) = self.segments.get_mut(&entry.segment) {
            segment.last.insert(id, entry.last);
        }
        if entry.last > stream.trim {
            stream.index.push_back(entry);
        }
    }

    /// Records up to `seq` are no longer needed.
    pub(super) fn trim(&mut self, id: u32, seq: Seq) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.trim = stream.trim.max(seq.min(stream.last));
        while stream
            .index
            .front()
            .is_some_and(|entry| entry.last <= stream.trim)
        {
            stream.index.pop_front();
        }
    }

    /// Recounts segments and their bytes.
    pub(super) fn refresh_sizes(&mut self) {
        self.stats.segments = self.segments.len() as u64;
        self.stats.bytes = self.segments.values().map(|segment| segment.length).sum();
    }

    /// Segments other than `active` in which no stream has a message left.
    pub(super) fn dead_segments(&self, active: u64) -> Vec<u64> {
        let trimmed = |(id, last): (&u32, &Seq)| {
            self.streams
                .get(id)
                .is_none_or(|stream| *last <= stream.trim)
        };
        let old = self.segments.range(..active);
        old.filter(|(_, view)| view.last.iter().all(trimmed))
            .map(|(number, _)| *number)
            .collect()
    }

    /// The entries that hold messages after `after`, at most `max` of them.
    pub(super) fn entries_after(&self, id: u32, after: Seq, max: usize) -> Vec<IndexEntry> {
        let Some(stream) = self.streams.get(&id) else {
            return Vec::new();
        };
        let from = stream.index.partition_point(|entry| entry.last <= after);
        stream.index.range(from..).take(max).copied().collect()
    }

    /// What lies beyond `after` in a stream.
    pub(super) fn backlog(&self, id: u32, after: Seq) -> Backlog {
        let Some(stream) = self.streams.get(&id) else {
            return Backlog::default();
        };
        let after = after.max(stream.trim);
        let from = stream.index.partition_point(|entry| entry.last <= after);
        let Some(entry) = stream.index.get(from) else {
            return Backlog::default();
        };
        // inside one batch messages count exactly, bytes in proportion
        let passed = (after.0 + 1)
            .saturating_sub(entry.first.0)
            .min(entry.sum.messages);
        let share = entry.sum.bytes / entry.sum.messages.max(1) * passed;
        Backlog {
            messages: stream.total.messages - entry.before.messages - passed,
            bytes: stream.total.bytes - entry.before.bytes - share,
            oldest: Some(entry.accepted),
        }
    }

    /// Ranges between the trim point and the last seq that no batch holds.
    pub(super) fn missing(&self, id: u32) -> Vec<(Seq, Seq)> {
        let Some(stream) = self.streams.get(&id) else {
            return Vec::new();
        };
        let (mut missing, mut expected) = (Vec::new(), stream.trim.next());
        for entry in &stream.index {
            if entry.first > expected {
                missing.push((expected, Seq(entry.first.0 - 1)));
            }
            expected = entry.last.next();
        }
        if expected <= stream.last {
            missing.push((expected, stream.last));
        }
        missing
    }

    /// The public description of a stream.
    pub(super) fn info(&self, id: u32) -> Option<StreamInfo> {
        let stream = self.streams.get(&id)?;
        let backlog = self.backlog(id, stream.trim);
        Some(StreamInfo {
            key: stream.key.clone(),
            epoch: stream.epoch,
            first: stream.index.front().map_or_else(
                || stream.last.next(),
                |entry| entry.first.max(stream.trim.next()),
            ),
            last: stream.last,
            messages: backlog.messages,
            bytes: backlog.bytes,
            oldest: backlog.oldest,
            lost: (stream.last.0 - stream.trim.0).saturating_sub(backlog.messages),
            duplicates: stream.duplicates,
        })
    }
}

impl StreamView {
    pub(super) fn new(key: StreamKey, epoch: Epoch, last: Seq, trim: Seq) -> Self {
        Self {
            key,
            epoch,
            last,
            trim,
            duplicates: 0,
            index: VecDeque::new(),
            total: Sum::default(),
        }
    }
}
