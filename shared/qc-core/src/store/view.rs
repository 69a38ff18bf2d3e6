//! What the log holds as of the last commit: streams with their spans, cursors, marks, segments.
//!
//! One value of this type is the truth for readers. The writer changes it after `fdatasync` returned,
//! recovery while it reads segments, and both through the same few methods.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::index::{Entry, IndexFile, Piece, Run, SegmentEnd, SegmentIndex, start_of};
use super::segment::Segment;
use super::{Backlog, CursorState, LogStats, NOBODY, StreamInfo, StreamKey, Value};
use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};

/// The state behind every read.
#[derive(Default)]
pub(super) struct View {
    pub(super) streams: BTreeMap<u32, StreamView>,
    pub(super) by_key: HashMap<StreamKey, u32>,
    pub(super) cursors: BTreeMap<(u32, String), CursorState>,
    pub(super) marks: BTreeMap<MarkKey, (Epoch, Seq)>,
    pub(super) origins: BTreeMap<u32, NodeName>,
    pub(super) values: BTreeMap<String, Value>,
    pub(super) segments: BTreeMap<u64, SegmentView>,
    pub(super) stats: LogStats,
}

/// Whose stream a mark speaks of: local stream, origin number, the peer's lane.
pub(super) type MarkKey = (u32, u32, Lane);

/// One stream: its positions and where its messages are.
pub(super) struct StreamView {
    pub(super) key: StreamKey,
    pub(super) epoch: Epoch,
    pub(super) last: Seq,
    pub(super) trim: Seq,
    pub(super) duplicates: u64,
    /// What is there, by seq; no two overlap.
    pub(super) spans: VecDeque<Span>,
    /// What was there and is lost, above the trim point: first seq to last.
    pub(super) gaps: BTreeMap<Seq, Seq>,
}

/// An unbroken range of seqs in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) segment: u64,
    pub(super) bytes: u64,
    pub(super) oldest: Timestamp,
    pub(super) newest: Timestamp,
}

/// One segment on disk.
pub(super) struct SegmentView {
    pub(super) segment: Arc<Segment>,
    /// Bytes the file takes.
    pub(super) length: u64,
    pub(super) end: SegmentEnd,
    pub(super) index: Index,
    /// Whether it holds what nobody can name, and stays for that.
    pub(super) is_held: bool,
    /// Spans that point into it, and their bytes.
    pub(super) spans: u64,
    pub(super) live: u64,
}

/// Where a segment's index is.
pub(super) enum Index {
    Memory(SegmentIndex),
    File(Arc<IndexFile>),
}

/// Where a record is found.
pub(super) struct Place {
    pub(super) span: Span,
    pub(super) segment: Arc<Segment>,
    /// Where the batches end.
    pub(super) end: u64,
    pub(super) start: Start,
}

/// The batch to begin with, or who knows it.
pub(super) enum Start {
    At(Entry),
    Ask(Arc<IndexFile>),
}

impl Span {
    fn of(run: &Run, segment: u64) -> Self {
        Self {
            first: run.first,
            last: run.last,
            segment,
            bytes: run.bytes,
            oldest: run.oldest,
            newest: run.newest,
        }
    }

    pub(super) fn messages(&self) -> u64 {
        self.last.0 + 1 - self.first.0
    }

    /// The bytes of `messages` of its messages, in proportion.
    fn share(&self, messages: u64) -> u64 {
        let share = u128::from(self.bytes) * u128::from(messages) / u128::from(self.messages());
        u64::try_from(share).unwrap_or(self.bytes)
    }

    /// The part of it from `first` to `last`.
    fn part(&self, first: Seq, last: Seq) -> Self {
        let messages = last.0 + 1 - first.0;
        Self {
            first,
            last,
            bytes: self.share(messages),
            ..*self
        }
    }
}

impl SegmentView {
    pub(super) fn new(segment: Arc<Segment>, length: u64) -> Self {
        Self {
            segment,
            length,
            end: SegmentEnd::default(),
            index: Index::Memory(SegmentIndex::default()),
            is_held: false,
            spans: 0,
            live: 0,
        }
    }
}

impl View {
    /// Adds a stream or takes over what a later checkpoint says of it.
    pub(super) fn define(&mut self, id: u32, stream: StreamView) {
        let trim = stream.trim;
        if let Some(known) = self.streams.get_mut(&id) {
            known.epoch = known.epoch.max(stream.epoch);
            known.last = known.last.max(stream.last);
            known.duplicates = known.duplicates.max(stream.duplicates);
        } else {
            self.by_key.insert(stream.key.clone(), id);
            self.streams.insert(id, stream);
        }
        self.trim(id, trim);
    }

    /// Adds the messages of one stream in one batch of a segment that is being written.
    pub(super) fn add(&mut self, segment: u64, piece: &Piece) {
        let mut joins = true;
        if let Some(view) = self.segments.get_mut(&segment)
            && let Index::Memory(index) = &mut view.index
        {
            joins = index.add(piece);
        }
        let run = &piece.run;
        if piece.moved {
            self.splice(run, segment);
            return;
        }
        let Some(stream) = self.streams.get_mut(&run.stream) else {
            return;
        };
        stream.last = stream.last.max(run.last);
        if run.last <= stream.trim {
            return;
        }
        let owner = self.segments.get_mut(&segment);
        match stream.spans.back_mut() {
            Some(span) if joins && span.segment == segment && span.last.next() == run.first => {
                span.last = run.last;
                span.bytes += run.bytes;
                span.newest = run.newest;
                if let Some(owner) = owner {
                    owner.live += run.bytes;
                }
            }
            _ => self.insert(run.stream, Span::of(run, segment)),
        }
    }

    /// Adds a run of a segment that was read; what an older segment holds of it already stays there.
    pub(super) fn add_read(&mut self, segment: u64, run: &Run) {
        let Some(stream) = self.streams.get_mut(&run.stream) else {
            return;
        };
        stream.last = stream.last.max(run.last);
        let whole = Span::of(run, segment);
        let mut first = run.first.max(stream.trim.next());
        let mut free = Vec::new();
        let overlaps = stream
            .spans
            .iter()
            .skip(stream.spans.partition_point(|s| s.last < first));
        for known in overlaps.take_while(|known| known.first <= run.last) {
            if first < known.first {
                free.push(whole.part(first, Seq(known.first.0 - 1)));
            }
            first = known.last.next();
        }
        if first <= run.last {
            free.push(whole.part(first, run.last));
        }
        for span in free {
            self.insert(run.stream, span);
        }
    }

    /// Puts the copy of a range in the place of what was there.
    fn splice(&mut self, run: &Run, segment: u64) {
        let Some(stream) = self.streams.get(&run.stream) else {
            return;
        };
        let (first, last) = (run.first.max(stream.trim.next()), run.last);
        if first <= last {
            self.cut(run.stream, first, last);
            self.insert(run.stream, Span::of(run, segment).part(first, last));
        }
    }

    fn insert(&mut self, id: u32, span: Span) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let at = stream
            .spans
            .partition_point(|other| other.first < span.first);
        stream.spans.insert(at, span);
        self.count(&span, 1);
    }

    fn count(&mut self, span: &Span, sign: i64) {
        if let Some(owner) = self.segments.get_mut(&span.segment) {
            owner.spans = owner.spans.saturating_add_signed(sign);
            owner.live = if sign < 0 {
                owner.live.saturating_sub(span.bytes)
            } else {
                owner.live + span.bytes
            };
        }
    }

    /// Records up to `seq` are no longer needed.
    pub(super) fn trim(&mut self, id: u32, seq: Seq) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // while a log is read, its end is known last
        stream.last = stream.last.max(seq);
        stream.trim = stream.trim.max(seq);
        let trim = stream.trim;
        while let Some((first, last)) = stream.gaps.first_key_value().map(|(a, b)| (*a, *b))
            && first <= trim
        {
            stream.gaps.remove(&first);
            if last > trim {
                stream.gaps.insert(trim.next(), last);
            }
        }
        while let Some(span) = stream.spans.front().copied()
            && span.first <= trim
        {
            let owner = self.segments.get_mut(&span.segment);
            if span.last <= trim {
                stream.spans.pop_front();
                if let Some(owner) = owner {
                    owner.spans = owner.spans.saturating_sub(1);
                    owner.live = owner.live.saturating_sub(span.bytes);
                }
            } else if let Some(front) = stream.spans.front_mut() {
                *front = span.part(trim.next(), span.last);
                if let Some(owner) = owner {
                    owner.live = owner.live.saturating_sub(span.bytes - front.bytes);
                }
            }
        }
    }

    /// Recounts segments and their bytes.
    pub(super) fn refresh_sizes(&mut self) {
        self.stats.segments = self.segments.len() as u64;
        self.stats.bytes = self.segments.values().map(SegmentView::bytes).sum();
        self.stats.live_bytes = self.segments.values().map(|segment| segment.live).sum();
    }

    /// How many index files there are, and their bytes.
    pub(super) fn index_files(&self) -> (u64, u64) {
        let segments = self.segments.values();
        segments.fold((0, 0), |(files, bytes), segment| match &segment.index {
            Index::Memory(_) => (files, bytes),
            Index::File(file) => (files + 1, bytes + file.length),
        })
    }

    /// Segments other than `active` in which no stream has a message left.
    pub(super) fn dead_segments(&self, active: u64) -> Vec<u64> {
        let old = self.segments.range(..active);
        old.filter(|(_, view)| view.spans == 0 && !view.is_held)
            .map(|(number, _)| *number)
            .collect()
    }

    /// Where the first message after `after` is, if there is one.
    pub(super) fn locate(&self, id: u32, after: Seq) -> Option<Place> {
        let stream = self.streams.get(&id)?;
        let at = stream.spans.partition_point(|span| span.last <= after);
        let span = *stream.spans.get(at)?;
        let seq = span.first.max(after.next());
        let owner = self.segments.get(&span.segment)?;
        let start = match &owner.index {
            Index::Memory(index) => Start::At(start_of(index.entries(id, seq)?, seq)?),
            Index::File(file) => Start::Ask(Arc::clone(file)),
        };
        Some(Place {
            span,
            segment: Arc::clone(&owner.segment),
            end: owner.end.offset,
            start,
        })
    }

    /// The entries of a run whose index is in memory.
    pub(super) fn entries_in_memory(&self, id: u32, seq: Seq) -> Option<&[Entry]> {
        let at = self
            .streams
            .get(&id)?
            .spans
            .partition_point(|span| span.last < seq);
        let span = self.streams.get(&id)?.spans.get(at)?;
        match &self.segments.get(&span.segment)?.index {
            Index::Memory(index) => index.entries(id, seq),
            Index::File(_) => None,
        }
    }

    /// Takes a range out of a stream: it is lost.
    pub(super) fn cut(&mut self, id: u32, first: Seq, last: Seq) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let from = stream.spans.partition_point(|span| span.last < first);
        let to = stream.spans.partition_point(|span| span.first <= last);
        let old: Vec<Span> = stream.spans.drain(from..to).collect();
        for span in old {
            self.count(&span, -1);
            if span.first < first {
                self.insert(id, span.part(span.first, Seq(first.0 - 1)));
            }
            if span.last > last {
                self.insert(id, span.part(last.next(), span.last));
            }
        }
    }

    /// Has spans of a segment end where runs of it end, so that no reader walks from one to another.
    pub(super) fn split<'a>(&mut self, segment: u64, runs: impl Iterator<Item = &'a Run>) {
        for run in runs {
            let Some(stream) = self.streams.get(&run.stream) else {
                continue;
            };
            let at = stream.spans.partition_point(|span| span.last < run.first);
            let span = stream.spans.get(at).copied();
            let inside = |span: &Span| span.segment == segment && span.first < run.first;
            if let Some(span) = span.filter(inside) {
                self.cut(run.stream, span.first, span.last);
                let before = span.part(span.first, Seq(run.first.0 - 1));
                self.insert(run.stream, before);
                self.insert(run.stream, span.part(run.first, span.last));
            }
        }
    }

    /// What lies beyond `after` in a stream. The age is that of the first span's first message.
    pub(super) fn backlog(&self, id: u32, after: Seq) -> Backlog {
        let Some(stream) = self.streams.get(&id) else {
            return Backlog::default();
        };
        let from = stream.spans.partition_point(|span| span.last <= after);
        let mut sum = Backlog::default();
        for span in stream.spans.range(from..) {
            // inside one span messages count exactly, bytes in proportion
            let part = span.part(span.first.max(after.next()), span.last);
            sum.messages += part.messages();
            sum.bytes += part.bytes;
            sum.oldest = sum.oldest.or(Some(span.oldest));
        }
        sum
    }

    /// Ranges between the trim point and the last seq that no span holds and no gap explains.
    pub(super) fn missing(&self, id: u32) -> Vec<(Seq, Seq)> {
        let Some(stream) = self.streams.get(&id) else {
            return Vec::new();
        };
        let spans = stream.spans.iter().map(|span| (span.first, span.last));
        let gaps = stream.gaps.iter().map(|(first, last)| (*first, *last));
        let mut known: Vec<_> = spans.chain(gaps).collect();
        known.sort_unstable();
        let (mut missing, mut expected) = (Vec::new(), stream.trim.next());
        for (first, last) in known {
            if first > expected {
                missing.push((expected, Seq(first.0 - 1)));
            }
            expected = expected.max(last.next());
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
        let first = stream.spans.front();
        Some(StreamInfo {
            key: stream.key.clone(),
            epoch: stream.epoch,
            first: first.map_or_else(|| stream.last.next(), |span| span.first),
            last: stream.last,
            messages: backlog.messages,
            bytes: backlog.bytes,
            oldest: backlog.oldest,
            lost: stream.lost_after(Seq::ZERO),
            duplicates: stream.duplicates,
        })
    }

    /// The cursors of one stream: of those who are to get what is in it.
    pub(super) fn cursors_of(&self, id: u32) -> impl Iterator<Item = (&str, &CursorState)> {
        let of_stream = self
            .cursors
            .range((id, String::new())..(id + 1, String::new()));
        let of_stream = of_stream.map(|((_, consumer), state)| (consumer.as_str(), state));
        of_stream.filter(|(consumer, state)| *consumer != NOBODY && !state.ended)
    }
}

impl SegmentView {
    /// How much of the file is still needed, in percent.
    pub(super) fn share(&self) -> u64 {
        self.live.saturating_mul(100) / self.length.max(1)
    }

    /// Bytes of the segment and its index on disk.
    fn bytes(&self) -> u64 {
        let index = match &self.index {
            Index::Memory(_) => 0,
            Index::File(file) => file.length,
        };
        self.length + index
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
            spans: VecDeque::new(),
            gaps: BTreeMap::new(),
        }
    }

    /// Seqs beyond `after` that are lost.
    pub(super) fn lost_after(&self, after: Seq) -> u64 {
        self.lost_between(after, self.last)
    }

    /// Seqs after `after` up to `last` that are lost.
    pub(super) fn lost_between(&self, after: Seq, last: Seq) -> u64 {
        let within = |(from, to): (&Seq, &Seq)| {
            let (from, to) = ((*from).max(after.next()), (*to).min(last));
            (to.0 + 1).saturating_sub(from.0)
        };
        self.gaps.iter().map(within).sum()
    }

    /// Whether a message was there and is lost.
    pub(super) fn is_lost(&self, seq: Seq) -> bool {
        let before = self.gaps.range(..=seq).next_back();
        before.is_some_and(|(_, last)| seq <= *last)
    }
}
