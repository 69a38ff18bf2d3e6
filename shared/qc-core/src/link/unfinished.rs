//! Long messages of which a receiver has acknowledged parts and not yet the last.
//!
//! Such a message is whole nowhere. Should the link move to another receiver now, that one gets it from
//! its first part on, though the first parts are acknowledged: both know a part again, so a receiver
//! that has some of them takes none twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use crate::model::Seq;
use crate::store::dedupe_key;
use crate::wire::{EnvelopeRef, Record};

/// After how long a message of which no part came is given up.
const ABANDONED: Duration = Duration::from_hours(1);
/// So many long messages of one stream are remembered at a time, by far more than are under way.
const MOST: usize = 512;

/// The long messages of one stream and lane that are on their way.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfinished {
    /// By (`source`, `id`).
    runs: BTreeMap<[u8; 16], Run>,
    /// Everything up to here is acknowledged.
    acked: Seq,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    /// The lowest seq of its parts.
    first: Seq,
    /// Of the last part, once that was read.
    last: Option<Seq>,
    /// When a part of it was read.
    at: Instant,
    /// It is given up, and forgotten once everything up to here is acknowledged without a part of it.
    given_up: Option<Seq>,
}

impl Run {
    fn new(first: Seq, last: Option<Seq>, at: Instant) -> Self {
        Self {
            first,
            last,
            at,
            given_up: None,
        }
    }
}

impl Unfinished {
    /// These records are on their way to a receiver.
    pub(super) fn read(&mut self, records: &[Record], now: Instant) {
        let is_part = |record: &&Record| !record.header.part_of().is_whole();
        for record in records.iter().filter(is_part) {
            // one whose head cannot be read is no message for anybody
            let Ok(envelope) = EnvelopeRef::parse(&record.head) else {
                continue;
            };
            let (seq, of) = (record.header.seq, envelope);
            let key = dedupe_key(of.source, of.id);
            let run = self.runs.entry(key);
            let run = run.or_insert_with(|| Run::new(seq, None, now));
            *run = match run.last {
                // its name is used once more
                Some(last) if last < seq => Run::new(seq, None, now),
                last => Run::new(run.first.min(seq), last, now),
            };
            if record.header.last_part {
                run.last = Some(seq);
            }
        }
        while self.runs.len() > MOST {
            let oldest = self.runs.iter().min_by_key(|(_, run)| (run.at, run.first));
            let Some(key) = oldest.map(|(key, _)| *key) else {
                break;
            };
            self.runs.remove(&key);
        }
    }

    /// Everything up to `seq` is acknowledged: what ends there is whole.
    pub(super) fn acked(&mut self, seq: Seq) {
        self.acked = self.acked.max(seq);
    }

    /// Forgets what is whole. Not before the acknowledgement that made it so is on its way to the disk: a
    /// process that knew of neither would begin in the middle of it.
    pub(super) fn forget_whole(&mut self) {
        self.runs
            .retain(|_, run| run.last.is_none_or(|last| last > self.acked));
    }

    /// A message of which no part has come for [`ABANDONED`] is given up. What is left of it may be in what
    /// waits, up to `newest`; it is waited for no longer than until that is acknowledged, as `acked` is.
    pub(super) fn give_up(&mut self, acked: Seq, newest: Seq, now: Instant) {
        self.acked(acked);
        let acked = self.acked;
        self.runs.retain(|_, run| {
            if now.saturating_duration_since(run.at) < ABANDONED {
                return true;
            }
            *run.given_up.get_or_insert(newest) > acked
        });
    }

    /// Behind which seq another receiver begins, if everything up to `after` is acknowledged and `first` is
    /// the oldest that there is: a message whose beginning is gone is whole for nobody.
    pub(super) fn begin(&self, after: Seq, first: Seq) -> Seq {
        let is_under_way =
            |run: &&Run| run.first <= after && run.last.is_none_or(|last| last > after);
        let firsts = self.runs.values().filter(is_under_way);
        let firsts = firsts.map(|run| run.first).filter(|seq| *seq >= first);
        firsts.min().map_or(after, Seq::before).min(after)
    }

    /// What the next process has to know of it, a line each.
    pub(super) fn to_text(&self) -> String {
        let line = |(key, run): (&[u8; 16], &Run)| {
            let last = run
                .last
                .map_or_else(|| "-".to_owned(), |last| last.0.to_string());
            format!("{} {} {last}\n", HEXLOWER.encode(key), run.first.0)
        };
        self.runs.iter().map(line).collect()
    }

    /// What [`Self::to_text`] made.
    pub(super) fn parse(text: &str, now: Instant) -> Self {
        let run = |line: &str| {
            let mut words = line.split(' ');
            let (key, first, last) = (words.next()?, words.next()?, words.next()?);
            let key = HEXLOWER.decode(key.as_bytes()).ok()?;
            let last = match last {
                "-" => None,
                last => Some(Seq(last.parse().ok()?)),
            };
            let run = Run::new(Seq(first.parse().ok()?), last, now);
            Some((key.try_into().ok()?, run))
        };
        Self {
            runs: text.lines().filter_map(run).take(MOST).collect(),
            acked: Seq::ZERO,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::model::Envelope;
    use crate::wire::{RecordHeader, RecordKind, encode_envelope};

    /// Part `number` of message `id` under `seq`.
    fn part(seq: u64, id: &str, number: u32, is_last: bool) -> Record {
        let mut header = RecordHeader::new(RecordKind::Message);
        (header.seq, header.part, header.last_part) = (Seq(seq), number, is_last);
        let mut head = Vec::new();
        encode_envelope(&Envelope::new(id, "/press", "scan"), &mut head);
        Record {
            header,
            head: head.into(),
            body: Bytes::new(),
        }
    }

    fn now() -> Instant {
        SystemClock::default().instant()
    }

    fn begins(runs: &Unfinished, after: u64) -> u64 {
        runs.begin(Seq(after), Seq(1)).0
    }

    #[test]
    fn another_receiver_begins_where_the_oldest_message_begins_that_is_whole_nowhere() {
        let (mut runs, now) = (Unfinished::default(), now());
        let records = [
            part(4, "small", 0, true),
            part(5, "a", 0, false),
            part(6, "b", 0, false),
            part(7, "a", 1, false),
            part(8, "a", 2, true),
            part(9, "b", 1, true),
        ];
        runs.read(&records, now);
        let all: Vec<u64> = (3..=10).map(|after| begins(&runs, after)).collect();
        assert_eq!(all, [3, 4, 4, 4, 4, 5, 9, 10]);
        // read again for another one: nothing has changed
        runs.read(&records[3..], now);
        assert_eq!(begins(&runs, 7), 4);
        runs.acked(Seq(8));
        runs.forget_whole();
        assert_eq!((begins(&runs, 8), runs.runs.len()), (5, 1));
        runs.acked(Seq(9));
        runs.forget_whole();
        assert!(runs.is_empty());
    }

    #[test]
    fn a_message_whose_beginning_is_gone_moves_nobody_back() {
        let (mut runs, now) = (Unfinished::default(), now());
        runs.read(&[part(5, "a", 0, false), part(7, "b", 0, false)], now);
        let begins = [5, 6, 8].map(|first| runs.begin(Seq(9), Seq(first)).0);
        assert_eq!(begins, [4, 6, 9]);
    }

    #[test]
    fn what_is_on_its_way_is_known_to_the_next_process() {
        let (mut runs, now) = (Unfinished::default(), now());
        let records = [
            part(5, "a", 0, false),
            part(6, "b", 0, false),
            part(8, "a", 1, true),
        ];
        runs.read(&records, now);
        let mut runs = Unfinished::parse(&runs.to_text(), now);
        assert_eq!((begins(&runs, 7), begins(&runs, 9)), (4, 5));
        runs.read(&[part(9, "b", 1, true)], now);
        assert_eq!(begins(&runs, 9), 9);
        // another message of the same name is another one
        runs.read(&[part(12, "a", 0, false)], now);
        assert_eq!(begins(&runs, 20), 11);
        let hostile = "zz 1 -\n00 5 9\n\n00000000000000000000000000000000 x -\n00000000000000000000000000000000 1\n";
        assert!(Unfinished::parse(hostile, now).is_empty());
    }

    #[test]
    fn what_nobody_ends_is_waited_for_until_what_was_there_is_acknowledged() {
        let (mut runs, now) = (Unfinished::default(), now());
        let later = now + ABANDONED;
        runs.read(&[part(5, "a", 0, false)], now);
        runs.give_up(Seq(9), Seq(9), now);
        assert_eq!(begins(&runs, 9), 4);
        // its rest may be in what waits; what comes after that changes nothing
        for (acked, newest, begin) in [(9, 20, 4), (15, 900, 4), (20, 1000, 20)] {
            runs.give_up(Seq(acked), Seq(newest), later);
            assert_eq!(begins(&runs, acked), begin, "{acked}");
        }
        // one that goes on is not given up any more
        runs.read(&[part(25, "b", 0, false)], now);
        runs.give_up(Seq(30), Seq(40), later);
        runs.read(&[part(35, "b", 1, false)], later);
        runs.give_up(Seq(50), Seq(60), later);
        assert_eq!(begins(&runs, 50), 24);
        // on an idle stream it is over at once
        runs.give_up(Seq(60), Seq(60), later + ABANDONED);
        assert_eq!(begins(&runs, 60), 60);
    }

    #[test]
    fn so_many_and_no_more() {
        let (mut runs, now) = (Unfinished::default(), now());
        let many = (0..2000).map(|id| part(100 + id, &id.to_string(), 0, false));
        runs.read(&many.collect::<Vec<_>>(), now);
        assert_eq!(runs.runs.len(), MOST);
    }
}
