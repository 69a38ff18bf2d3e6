//! What must be in a log after a history, and what must not. None of this is the engine's code.
//!
//! Every acknowledged record is there, byte for byte, under its number, numbers without holes, at most
//! one a dedupe key; nothing is there that was never sent or that was refused; cursors and link marks
//! stand where they were acknowledged to stand or beyond, never beyond what was asked; trims hold.

use std::collections::{BTreeMap, HashSet};

use super::block_on;
use super::workload::{History, Sent, What};
use crate::model::{Epoch, Lane, NodeName, Seq};
use crate::store::{AppendError, Draft, Log, Outcome, ReadError, StreamKey};
use crate::wire::Record;

/// What a history promised up to one moment.
pub struct Expected<'a> {
    history: &'a History,
    horizon: u64,
    streams: Vec<Stream<'a>>,
    /// Tells one set of promises from another of the same history.
    pub version: u64,
}

/// One stream's promises.
struct Stream<'a> {
    key: &'a StreamKey,
    acked: BTreeMap<u64, Promise>,
    epoch: Option<Epoch>,
    /// Trims: what was acknowledged, and the most that was asked.
    trim: (Seq, Seq),
    cursors: BTreeMap<&'static str, (Seq, Seq)>,
    marks: BTreeMap<(NodeName, Lane), (Seq, Seq)>,
}

/// What must stand under a number.
#[derive(Clone, Copy)]
enum Promise {
    /// This draft.
    Sent(usize),
    /// Some draft of this key: a later one was called a duplicate of it.
    Key([u8; 16]),
}

/// A rule that a log may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It opens unattended.
    Opens,
    /// A report of an opening tells what happened and nothing else.
    Report,
    /// Nothing panics.
    Panics,
    /// What was acknowledged is there.
    Lost,
    /// What is acknowledged is synced, and no sync is tried twice.
    Synced,
    /// On a sound disk nothing is refused and everything can be read.
    Serves,
    /// Nothing is there that was never sent, or that was refused.
    Sent,
    /// What is there is what was sent, byte for byte, under its number.
    Bytes,
    /// Numbers ascend without holes.
    Order,
    /// A key is there once.
    Once,
    /// What was trimmed is not delivered again.
    Trimmed,
    /// What the log says of its streams is what it delivers.
    Counts,
    /// Cursors, link marks and epochs stand where they were acknowledged to stand.
    Positions,
    /// A log that was reopened knows what it has and takes more.
    GoesOn,
    /// What damage has taken is reported, number by number.
    Reported,
    /// Damage takes nothing but the batch it hits.
    Untouched,
    /// A copy of what is damaged is kept.
    Quarantined,
}

/// A rule, and how it was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// How.
    pub text: String,
}

/// What is sent to a log that was reopened.
const AFTERWARDS: &[u8] = b"afterwards";

impl Violation {
    /// `rule` was broken like this.
    pub fn new(rule: Rule, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { rule, text }
    }
}

/// What was found in a log.
#[derive(Debug, Default)]
pub struct Found {
    /// Delivered and not right, or positions that are not right.
    pub wrong: Vec<Violation>,
    /// Acknowledged and not delivered, as stream and number.
    pub missing: Vec<(usize, Seq)>,
    /// What the log refused to read.
    pub unread: Vec<String>,
    /// Seqs that the log itself calls lost.
    pub lost: u64,
    /// Records that were delivered.
    pub records: u64,
}

impl<'a> Expected<'a> {
    /// What `history` promised in the first `horizon` operations of its disk.
    pub fn at(history: &'a History, horizon: u64) -> Self {
        let stream = |key| Stream {
            key,
            acked: BTreeMap::new(),
            epoch: None,
            trim: (Seq::ZERO, Seq::ZERO),
            cursors: BTreeMap::new(),
            marks: BTreeMap::new(),
        };
        let mut expected = Self {
            history,
            horizon,
            streams: history.streams.iter().map(stream).collect(),
            version: 0,
        };
        for event in &history.events {
            let asked = event.began <= horizon;
            let acked = event.acked.is_some_and(|at| at <= horizon);
            expected.version += u64::from(asked) + u64::from(acked);
            if asked {
                expected.promise(&event.what, acked);
            }
        }
        expected
    }

    /// Everything that is wrong with `log`, if it has lost nothing to damage.
    pub fn check(&self, log: &Log) -> Vec<Violation> {
        self.inspect(log).violations(true)
    }

    /// Reads all of `log`.
    pub fn inspect(&self, log: &Log) -> Found {
        self.inspect_with(log, 0)
    }

    /// Reads all of a log that may have damage nobody has met yet: whoever meets it is told once and
    /// reads on, at most `repairs` times a stream.
    pub fn inspect_with(&self, log: &Log, repairs: u32) -> Found {
        let mut found = Found::default();
        // all is read before any of it is judged: damage that one reader meets may be another one's
        let read = |stream: &Stream<'_>| read_through(log, stream.key, repairs);
        let read: Vec<_> = self.streams.iter().map(read).collect();
        for ((number, stream), read) in self.streams.iter().enumerate().zip(read) {
            Self::positions(stream, log, &mut found);
            match read {
                Ok(records) => self.records(number, stream, &records, log, &mut found),
                Err(error) => found.unread.push(format!("{:?}: {error}", stream.key)),
            }
        }
        found
    }

    /// Goes on with a log that was reopened: what is there is known again, what is new gets a new
    /// number. What is `gone` is not known again.
    pub fn go_on(&self, log: &Log, pick: usize, gone: &[(usize, Seq)]) -> Vec<Violation> {
        let mut wrong = Vec::new();
        let at = pick % self.streams.len();
        let stream = &self.streams[at];
        let kept = stream.acked.range(stream.trim.1.0 + 1..);
        let keyed = kept.filter_map(|(seq, promise)| match promise {
            Promise::Sent(sent) => Some((*seq, &self.history.sent[*sent].draft)),
            Promise::Key(_) => None,
        });
        let last = stream
            .acked
            .last_key_value()
            .map_or(0, |(seq, _)| *seq)
            .max(log.info(stream.key).map_or(0, |info| info.last.0));
        let again: Vec<_> = keyed
            .filter(|(seq, draft)| draft.dedupe != [0; 16] && !gone.contains(&(at, Seq(*seq))))
            .collect();
        if let Some((seq, draft)) = again.get(pick % again.len().max(1)) {
            let again = Draft {
                hop: None,
                ..(*draft).clone()
            };
            let mut answer = block_on(log.submit(stream.key, vec![again.clone()]));
            for _ in 0..20 {
                if matches!(answer, Err(AppendError::Unreadable { .. })) {
                    // an index is damaged and is made again, a moment after this answer
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    answer = block_on(log.submit(stream.key, vec![again.clone()]));
                }
            }
            let known = vec![Outcome::Duplicate { seq: Seq(*seq) }];
            if answer.as_ref().ok() != Some(&known) {
                let text = format!("{:?} {seq} sent again: {answer:?}", stream.key);
                wrong.push(Violation::new(Rule::GoesOn, text));
            }
        }
        let fresh = Draft {
            lane: Lane::Normal,
            head: bytes::Bytes::new(),
            body: bytes::Bytes::from_static(AFTERWARDS),
            part: crate::model::Part::WHOLE,
            dedupe: [0; 16],
            hop: None,
        };
        let answer = block_on(log.submit(stream.key, vec![fresh]));
        match answer.as_deref() {
            Ok([Outcome::Stored { seq }]) if seq.0 > last => {}
            _ => {
                let text = format!("{:?} after {last}: {answer:?}", stream.key);
                wrong.push(Violation::new(Rule::GoesOn, text));
            }
        }
        wrong
    }

    /// Opened once more after [`Self::go_on`]: what was new then is there.
    pub fn went_on(&self, log: &Log, pick: usize) -> Vec<Violation> {
        let stream = &self.streams[pick % self.streams.len()];
        let last = log.info(stream.key).map_or(Seq::ZERO, |info| info.last);
        let read = log.read(stream.key, Seq(last.0.saturating_sub(1)), 1, 0);
        let is_there = read.as_ref().is_ok_and(|records| {
            let mut records = records.iter();
            records.any(|record| record.header.seq == last && record.body == AFTERWARDS)
        });
        if is_there {
            return Vec::new();
        }
        let text = format!("{:?} {last:?} after going on: {read:?}", stream.key);
        vec![Violation::new(Rule::GoesOn, text)]
    }

    /// The key of a stream by its number.
    pub fn key(&self, stream: usize) -> &'a StreamKey {
        self.streams[stream].key
    }

    fn promise(&mut self, what: &What, was_acked: bool) {
        match what {
            What::Append {
                stream,
                first,
                count,
                outcomes,
                epoch,
            } => {
                let stream = &mut self.streams[*stream];
                for number in *first..first + count {
                    let draft = &self.history.sent[number].draft;
                    if let Some(hop) = &draft.hop {
                        let mark = stream
                            .marks
                            .entry((hop.node.clone(), hop.lane))
                            .or_default();
                        mark.0 = if was_acked {
                            mark.0.max(hop.seq)
                        } else {
                            mark.0
                        };
                        mark.1 = mark.1.max(hop.seq);
                    }
                    let outcome = outcomes.get(number - first).filter(|_| was_acked);
                    match outcome {
                        Some(Outcome::Stored { seq }) => {
                            stream.acked.insert(seq.0, Promise::Sent(number));
                            stream.epoch = Some(*epoch);
                        }
                        Some(Outcome::Duplicate { seq }) if *seq != Seq::ZERO => {
                            let promise = Promise::Key(draft.dedupe);
                            stream.acked.entry(seq.0).or_insert(promise);
                        }
                        _ => {}
                    }
                }
            }
            What::Cursor {
                stream,
                consumer,
                seq,
            } => {
                let cursor = self.streams[*stream].cursors.entry(consumer).or_default();
                let acked = if was_acked { *seq } else { Seq::ZERO };
                *cursor = (cursor.0.max(acked), cursor.1.max(*seq));
            }
            What::Trim { stream, seq } => {
                let trim = &mut self.streams[*stream].trim;
                let acked = if was_acked { *seq } else { Seq::ZERO };
                *trim = (trim.0.max(acked), trim.1.max(*seq));
            }
        }
    }

    fn positions(stream: &Stream<'_>, log: &Log, found: &mut Found) {
        for (consumer, (acked, asked)) in &stream.cursors {
            let at = log.cursor(consumer, stream.key);
            if at < *acked || at > *asked {
                found.breaks(Rule::Positions, format!(
                    "cursor {consumer} of {:?} stands at {at:?}, committed {acked:?}, asked {asked:?}",
                    stream.key
                ));
            }
        }
        for ((node, lane), (acked, asked)) in &stream.marks {
            let at = log
                .mark(stream.key, node, *lane)
                .map_or(Seq::ZERO, |(_, seq)| seq);
            if at < *acked || at > *asked {
                found.breaks(Rule::Positions, format!(
                    "mark of {node} in {:?} stands at {at:?}, acknowledged {acked:?}, asked {asked:?}",
                    stream.key
                ));
            }
        }
    }

    fn records(
        &self,
        number: usize,
        stream: &Stream<'_>,
        records: &[Record],
        log: &Log,
        found: &mut Found,
    ) {
        let mut keys = HashSet::with_capacity(records.len());
        let mut expected = stream.acked.range(stream.trim.1.0 + 1..).peekable();
        let (mut before, mut trimmed) = (Seq::ZERO, 0);
        for record in records {
            let seq = record.header.seq;
            if seq <= stream.trim.0 {
                let (key, trim) = (stream.key, stream.trim.0);
                let text = format!("{key:?} {seq:?} is delivered, trimmed is up to {trim:?}");
                found.breaks(Rule::Trimmed, text);
                trimmed += 1;
                continue;
            }
            if seq <= before {
                let text = format!("{:?} {seq:?} comes after {before:?}", stream.key);
                found.breaks(Rule::Order, text);
            }
            before = before.max(seq);
            while let Some((missing, _)) = expected.next_if(|(acked, _)| **acked < seq.0) {
                found.missing.push((number, Seq(*missing)));
            }
            let promise = expected.next_if(|(acked, _)| **acked == seq.0);
            let promise = promise.map(|(_, promise)| promise);
            if let Err((rule, why)) = self.record(number, record, promise) {
                found.breaks(rule, format!("{:?} {seq:?} {why}", stream.key));
            }
            let key = record.header.dedupe;
            if key != [0; 16] && !keys.insert(key) {
                let text = "is there twice under one key";
                found.breaks(Rule::Once, format!("{:?} {seq:?} {text}", stream.key));
            }
        }
        let rest = expected.map(|(seq, _)| (number, Seq(*seq)));
        found.missing.extend(rest);
        found.records += records.len() as u64;
        let Some(info) = log.info(stream.key) else {
            if !stream.acked.is_empty() {
                found.breaks(Rule::Lost, format!("{:?} is gone", stream.key));
            }
            return;
        };
        found.lost += info.lost;
        if stream.epoch.is_some_and(|epoch| epoch != info.epoch) {
            let text = format!("{:?} has another epoch", stream.key);
            found.breaks(Rule::Positions, text);
        }
        let holes = records[trimmed..]
            .windows(2)
            .map(|pair| {
                pair[1]
                    .header
                    .seq
                    .0
                    .saturating_sub(pair[0].header.seq.0 + 1)
            })
            .sum::<u64>();
        if holes > info.lost {
            let text = "has holes that it does not own up to";
            found.breaks(Rule::Order, format!("{:?} {text}", stream.key));
        }
        // a trim that was asked and not answered may hold or not
        let has = (records.len() - trimmed) as u64;
        let beyond = |record: &&Record| record.header.seq > stream.trim.1;
        let at_least = records.iter().filter(beyond).count() as u64;
        if !(at_least..=has).contains(&info.messages) {
            let (key, says) = (stream.key, info.messages);
            let text = format!("{key:?} says {says} messages, has {at_least} to {has}");
            found.breaks(Rule::Counts, text);
        }
    }

    fn record(
        &self,
        stream: usize,
        record: &Record,
        promise: Option<&Promise>,
    ) -> Result<(), (Rule, String)> {
        let bytes = |why: &str| Err((Rule::Bytes, why.to_owned()));
        let number = record
            .body
            .first_chunk()
            .map(|number| u64::from_le_bytes(*number));
        let number = number.and_then(|number| usize::try_from(number).ok());
        let sent = number.and_then(|number| self.history.sent.get(number));
        let sent = sent.filter(|sent| sent.began <= self.horizon);
        let sent = sent.ok_or_else(|| (Rule::Sent, "was never sent".to_owned()))?;
        let Sent { draft, .. } = sent;
        if sent.stream != stream {
            return bytes("belongs to another stream");
        }
        if draft.head != record.head || draft.body != record.body {
            return bytes("differs from what was sent");
        }
        if draft.dedupe != record.header.dedupe || draft.lane != record.header.lane {
            return bytes("has another key or lane than was sent");
        }
        if sent.refused {
            let why = "was refused and is there all the same".to_owned();
            return Err((Rule::Sent, why));
        }
        match promise {
            Some(Promise::Sent(promised)) if number != Some(*promised) => bytes(&format!(
                "is number {number:?}, acknowledged was {promised}"
            )),
            Some(Promise::Key(key)) if *key != draft.dedupe => {
                bytes("has another key than its duplicate")
            }
            _ => Ok(()),
        }
    }
}

impl Found {
    /// Every rule that is broken; what cannot be read breaks one only where `unread_counts`.
    pub fn violations(self, unread_counts: bool) -> Vec<Violation> {
        let mut all = self.wrong;
        if unread_counts {
            let unread = self.unread.into_iter();
            all.extend(unread.map(|text| Violation::new(Rule::Serves, text)));
            let lost = |(stream, seq)| format!("stream {stream} {seq:?} is lost");
            let missing = self.missing.into_iter().map(lost);
            all.extend(missing.map(|text| Violation::new(Rule::Lost, text)));
            if self.lost > 0 {
                let text = format!("the log calls {} messages lost", self.lost);
                all.push(Violation::new(Rule::Counts, text));
            }
        }
        all
    }

    fn breaks(&mut self, rule: Rule, text: String) {
        self.wrong.push(Violation { rule, text });
    }
}

/// Every message of a stream.
pub fn read_all(log: &Log, stream: &StreamKey) -> Result<Vec<Record>, ReadError> {
    read_through(log, stream, 0)
}

/// Every message of a stream, through at most `repairs` places that are damaged.
fn read_through(log: &Log, stream: &StreamKey, mut repairs: u32) -> Result<Vec<Record>, ReadError> {
    let (mut after, mut all) = (Seq::ZERO, Vec::new());
    loop {
        let records = match log.read(stream, after, 100, 1 << 20) {
            Err(ReadError::Damaged { .. }) if repairs > 0 => {
                repairs -= 1;
                // the repair is done when whatever was asked after it is answered
                let _answered = block_on(log.commit_cursors(Vec::new()));
                continue;
            }
            records => records?,
        };
        let Some(last) = records.last() else {
            return Ok(all);
        };
        after = last.header.seq;
        all.extend(records);
    }
}
