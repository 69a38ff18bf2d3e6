//! The records that were written last, kept as they came: a reader at the tail costs no disk, no key
//! and no copy.

use std::collections::VecDeque;

use super::dense::DenseMap;
use crate::model::Seq;
use crate::wire::{RECORD_HEADER, Record};

/// Recent records of all streams, up to a number of bytes; the oldest go first.
pub(super) struct Tail {
    limit: usize,
    bytes: usize,
    streams: DenseMap<VecDeque<Record>>,
    /// The stream of each record, oldest first.
    order: VecDeque<u32>,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            streams: DenseMap::default(),
            order: VecDeque::new(),
        }
    }

    /// Adds a record that is on disk now.
    pub(super) fn push(&mut self, record: Record) {
        let size = size_of(&record);
        if size > self.limit / 4 {
            // a giant would push everything else out; its stream begins anew behind it
            let gone = self.streams.remove(&record.header.stream);
            let freed: usize = gone.iter().flatten().map(size_of).sum();
            self.bytes -= freed;
            self.order.retain(|stream| *stream != record.header.stream);
            return;
        }
        self.bytes += size;
        self.order.push_back(record.header.stream);
        let records = self.streams.entry(record.header.stream).or_default();
        records.push_back(record);
        while self.bytes > self.limit {
            let Some(stream) = self.order.pop_front() else {
                break;
            };
            self.drop_first(stream);
        }
    }

    fn drop_first(&mut self, stream: u32) {
        let Some(records) = self.streams.get_mut(&stream) else {
            return;
        };
        if let Some(record) = records.pop_front() {
            self.bytes -= size_of(&record);
        }
        if records.is_empty() {
            self.streams.remove(&stream);
        }
    }

    /// Up to `max_records` records after `after`, at least one and then no more than `max_bytes`;
    /// `None` when they do not begin in here.
    pub(super) fn read(
        &self,
        stream: u32,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Option<Vec<Record>> {
        let records = self.streams.get(&stream)?;
        let first = records.front()?.header.seq;
        let skip = usize::try_from(after.next().0.checked_sub(first.0)?).ok()?;
        if records.get(skip)?.header.seq != after.next() {
            return None;
        }
        let mut bytes = 0;
        let fits = |record: &&Record| {
            let is_first = bytes == 0;
            bytes += record.encoded_len();
            is_first || bytes <= max_bytes
        };
        let wanted = records.range(skip..).take(max_records.max(1));
        Some(wanted.take_while(fits).cloned().collect())
    }

    /// Forgets everything, for instance because a key is gone.
    pub(super) fn clear(&mut self) {
        self.streams.clear();
        self.order.clear();
        self.bytes = 0;
    }
}

/// What a record takes in memory.
fn size_of(record: &Record) -> usize {
    record.encoded_len() + std::mem::size_of::<Record>() - RECORD_HEADER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{RecordHeader, RecordKind};
    use bytes::Bytes;

    fn record(stream: u32, seq: u64, size: usize) -> Record {
        Record {
            header: RecordHeader {
                stream,
                seq: Seq(seq),
                ..RecordHeader::new(RecordKind::Message)
            },
            head: Bytes::new(),
            body: Bytes::from(vec![0; size]),
        }
    }

    #[test]
    fn the_newest_stay_and_are_read_in_order() {
        let mut tail = Tail::new(10_000);
        (1..=100_u64)
            .for_each(|seq| tail.push(record(u32::from(seq % 2 == 0), seq.div_ceil(2), 300)));
        assert!(tail.bytes <= 10_000);
        let seqs = |after, max, bytes| -> Option<Vec<u64>> {
            let records = tail.read(1, Seq(after), max, bytes)?;
            Some(records.iter().map(|record| record.header.seq.0).collect())
        };
        assert_eq!(seqs(0, 10, 10_000), None, "long gone");
        assert_eq!(seqs(47, 10, 10_000), Some(vec![48, 49, 50]));
        assert_eq!(seqs(47, 2, 10_000), Some(vec![48, 49]));
        assert_eq!(seqs(47, 10, 1), Some(vec![48]), "one always");
        assert_eq!(seqs(50, 10, 10_000), None, "nothing after the last");
        tail.push(record(1, 51, 9_000));
        assert_eq!(
            tail.read(1, Seq(49), 9, 9_999),
            None,
            "a hole is never skipped"
        );
        tail.push(record(0, 51, 9_000));
        assert_eq!(
            (tail.bytes, tail.order.len()),
            (0, 0),
            "giants leave nothing behind"
        );
    }
}
