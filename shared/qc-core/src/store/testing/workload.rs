//! A seeded producer, consumer and operator at one log, and the history of what they were answered.
//!
//! Several appends at once, messages of zero to three kilobytes, messages sent twice, messages that
//! came over a link, cursors, trims that let segments go, reads, and restarts in the middle. The
//! history says of everything after how many operations of the disk it was asked and answered, so that
//! whoever cuts the power between two operations knows what had been promised by then.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::block_on;
use super::oracle::{Expected, Rule, Violation};
use crate::clock::ManualClock;
use crate::model::{Envelope, Epoch, Lane, Message, NodeName, Seq, Timestamp};
use crate::store::{
    AppendError, Disk, Draft, Hop, Log, LogOptions, NodeKey, OpenError, OpenReport, Outcome, Role,
    StreamKey,
};

/// Where the log stands on the disk.
pub const DIR: &str = "/log";

/// Everything that was asked of a log, and every answer.
#[derive(Default)]
pub struct History {
    /// The streams, by the numbers used below.
    pub streams: Vec<StreamKey>,
    /// Every draft that was ever handed to the log; its number stands in its body.
    pub sent: Vec<Sent>,
    /// What was asked, in order.
    pub events: Vec<Event>,
    /// How often the log was opened.
    pub opened: u32,
    /// How often it did not open.
    pub refused_to_open: u32,
    /// What the log did wrong while the workload ran.
    pub mistakes: Vec<Violation>,
}

/// One draft.
pub struct Sent {
    /// The stream it is for.
    pub stream: usize,
    /// What was handed over.
    pub draft: Draft,
    /// Operations of the disk before it was handed over.
    pub began: u64,
    /// The log said that nothing of it is there and that it may be tried again.
    pub refused: bool,
}

/// One question and its answer.
pub struct Event {
    /// What was asked.
    pub what: What,
    /// Operations of the disk before it was asked.
    pub began: u64,
    /// Operations of the disk when the log had said yes, if it did.
    pub acked: Option<u64>,
}

/// What can be asked.
pub enum What {
    /// Append `sent[first..first + count]`; the outcomes are there when it was acknowledged.
    Append {
        /// The stream.
        stream: usize,
        /// The first draft.
        first: usize,
        /// How many.
        count: usize,
        /// One a draft.
        outcomes: Vec<Outcome>,
        /// The stream's epoch at that time.
        epoch: Epoch,
    },
    /// Commit a cursor.
    Cursor {
        /// The stream.
        stream: usize,
        /// Whose.
        consumer: &'static str,
        /// Where it has come to.
        seq: Seq,
    },
    /// Trim a stream.
    Trim {
        /// The stream.
        stream: usize,
        /// Up to there.
        seq: Seq,
    },
}

/// What the workload can see of the disk below the log.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Operations so far.
    pub operations: &'a dyn Fn() -> u64,
    /// If a `sync_data` has failed: operations when one last worked before it.
    pub sync_failed: &'a dyn Fn() -> Option<u64>,
    /// Whether anything was made to fail, so that errors are no mistakes.
    pub faulty: bool,
}

/// Small segments, so that edges occur in every run.
pub fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        batch_bytes: 1 << 10,
        min_free: 0,
        control_reserve: 1 << 10,
        cache_bytes: 8 << 10,
        tail_bytes: 8 << 10,
        prepare_ahead: false,
        ..LogOptions::new(DIR)
    }
}

/// The key of every simulated node.
pub fn node_key() -> NodeKey {
    NodeKey::from_bytes([9; 32])
}

/// Opens the log on `disk`.
pub fn open(disk: Arc<dyn Disk>) -> Result<(Log, OpenReport), OpenError> {
    open_at(disk, &ManualClock::at(Timestamp::from_millis(1_000_000)))
}

/// Opens the log on `disk` for reading only: its recovery is all there is.
pub fn open_to_read(disk: Arc<dyn Disk>) -> Result<(Log, OpenReport), OpenError> {
    let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
    let options = LogOptions {
        // a reader opens a batch once
        cache_bytes: 1 << 20,
        ..options()
    };
    Log::open_to_read(disk, &options, node_key(), Arc::new(clock))
}

fn open_at(disk: Arc<dyn Disk>, clock: &ManualClock) -> Result<(Log, OpenReport), OpenError> {
    Log::open(disk, &options(), node_key(), Arc::new(clock.clone()))
}

/// Runs `steps` steps drawn from `seed`.
pub fn run(disk: &Arc<dyn Disk>, seed: u64, steps: u32, watch: Watch<'_>) -> History {
    let streams = [
        (Role::Hub, "acme/orders", Lane::Normal),
        (Role::Hub, "acme/alarms", Lane::Normal),
        (Role::Outbox, "acme/orders", Lane::High),
        (Role::Inbox, "umbrella/back", Lane::Normal),
    ];
    let key = |(role, name, lane): (_, &str, _)| StreamKey {
        role,
        name: name.parse().unwrap(),
        lane,
    };
    let mut site = Site {
        disk,
        watch,
        rng: fastrand::Rng::with_seed(seed),
        clock: ManualClock::at(Timestamp::from_millis(1_000_000)),
        history: History {
            streams: streams.map(key).into(),
            ..History::default()
        },
        last: [Seq::ZERO; 4],
        hops: [0; 4],
        log: None,
    };
    for step in 0..steps {
        // one restart stands in the middle whatever the seed says
        if !site.step(step == steps / 2) {
            break;
        }
    }
    if let Some((log, _)) = site.log.take() {
        log.close();
    }
    site.history
}

/// One consumer a stream.
const CONSUMER: &str = "sink";

struct Site<'a> {
    disk: &'a Arc<dyn Disk>,
    watch: Watch<'a>,
    rng: fastrand::Rng,
    clock: ManualClock,
    history: History,
    /// The last seq that was acknowledged, by stream.
    last: [Seq; 4],
    /// The last seq of the peer that was sent, by stream.
    hops: [u64; 4],
    /// The log, and whether a sync had failed before it was opened.
    log: Option<(Log, bool)>,
}

impl Site<'_> {
    /// Whether there is a log to go on with.
    fn step(&mut self, restart: bool) -> bool {
        self.clock.advance(Duration::from_millis(300));
        let Some(log) = self.log() else {
            return false;
        };
        match self.rng.u8(0..100) {
            _ if restart => self.restart(),
            0..64 => self.produce(&log),
            64..75 => self.consume(&log),
            75..88 => self.trim(&log),
            88..97 => self.read(&log),
            _ => self.restart(),
        }
        let stopped = log.stats().poisoned.is_some();
        // go on for a while with a log that has stopped: it must not acknowledge anything
        if stopped && self.rng.u8(..) < 100 {
            self.restart();
        }
        true
    }

    fn log(&mut self) -> Option<Log> {
        if self.log.is_none() {
            // what fails once does not fail twice
            for _ in 0..2 {
                let failed_before = (self.watch.sync_failed)().is_some();
                match open_at(Arc::clone(self.disk), &self.clock) {
                    Ok((log, report)) => {
                        self.history.opened += 1;
                        let damage = !report.damaged.is_empty() || !report.lost.is_empty();
                        if damage && !self.watch.faulty {
                            let text = format!("damage on a sound disk: {report:?}");
                            self.mistake(Rule::Report, &text);
                        }
                        self.log = Some((log, failed_before));
                        break;
                    }
                    Err(error) => {
                        self.history.refused_to_open += 1;
                        if !self.watch.faulty {
                            self.mistake(Rule::Opens, &error.to_string());
                        }
                    }
                }
            }
        }
        self.log.as_ref().map(|(log, _)| log.clone())
    }

    fn restart(&mut self) {
        if let Some((log, _)) = self.log.take() {
            log.close();
        }
    }

    fn produce(&mut self, log: &Log) {
        let mut asked = Vec::new();
        for _ in 0..self.rng.u8(1..=3) {
            let stream = self.rng.usize(0..4);
            let first = self.history.sent.len();
            let count = self.rng.usize(1..=3);
            let drafts: Vec<_> = (first..first + count)
                .map(|number| self.draft(stream, number))
                .collect();
            let (key, began) = (&self.history.streams[stream], (self.watch.operations)());
            let receipt = log.submit(key, drafts);
            asked.push((stream, first, count, began, receipt));
        }
        for (stream, first, count, began, receipt) in asked {
            let answer = block_on(receipt);
            let acked = answer.is_ok().then(|| (self.watch.operations)());
            if let Err(error) = &answer {
                self.refused(error);
                let refused = matches!(error, AppendError::Full { .. });
                for sent in &mut self.history.sent[first..first + count] {
                    sent.refused = refused;
                }
            }
            let outcomes = answer.unwrap_or_default();
            let newest = outcomes.iter().map(|outcome| outcome.seq()).max();
            self.last[stream] = self.last[stream].max(newest.unwrap_or_default());
            let info = log.info(&self.history.streams[stream]);
            let what = What::Append {
                stream,
                first,
                count,
                outcomes,
                epoch: info.map_or(Epoch(0), |info| info.epoch),
            };
            self.note(began, acked, what);
        }
    }

    fn draft(&mut self, stream: usize, number: usize) -> Draft {
        let earlier = self.history.sent.len().saturating_sub(40)..self.history.sent.len();
        let twice = self.rng.u8(..) < 30 && !earlier.is_empty();
        let id = if twice {
            self.rng.usize(earlier)
        } else {
            number
        };
        let size = match self.rng.u8(..) {
            0..40 => self.rng.usize(0..20),
            40..220 => self.rng.usize(20..400),
            _ => self.rng.usize(400..3000),
        };
        let mut body = (number as u64).to_le_bytes().to_vec();
        body.resize_with(8 + size, || self.rng.u8(..));
        let envelope = Envelope::new(format!("id-{id}"), "/plant/7", "plant.reading");
        let message = Message {
            envelope,
            body: Bytes::from(body),
        };
        let mut draft = Draft::from_message(&message, Lane::Normal);
        if stream == 3 {
            let back = self.rng.u8(..) < 30;
            self.hops[stream] += u64::from(!back);
            draft.hop = Some(peer_hop(self.hops[stream]));
        }
        if self.rng.u8(..) < 40 {
            draft.dedupe = [0; 16];
        }
        self.history.sent.push(Sent {
            stream,
            draft: draft.clone(),
            began: (self.watch.operations)(),
            refused: false,
        });
        draft
    }

    fn consume(&mut self, log: &Log) {
        let stream = self.rng.usize(0..4);
        let committed = log.cursor(CONSUMER, &self.history.streams[stream]);
        let seq = Seq(self
            .rng
            .u64(committed.0..=self.last[stream].0.max(committed.0)));
        let began = (self.watch.operations)();
        let key = self.history.streams[stream].clone();
        let answer = block_on(log.commit_cursor(CONSUMER, &key, seq));
        let consumer = CONSUMER;
        let what = What::Cursor {
            stream,
            consumer,
            seq,
        };
        self.answered(began, &answer, what);
    }

    fn trim(&mut self, log: &Log) {
        for stream in 0..self.history.streams.len() {
            let seq = Seq(self.last[stream].0.saturating_sub(self.rng.u64(0..12)));
            let key = self.history.streams[stream].clone();
            let began = (self.watch.operations)();
            let answer = block_on(log.trim(&key, seq));
            self.answered(began, &answer, What::Trim { stream, seq });
        }
    }

    fn read(&mut self, log: &Log) {
        let found = Expected::at(&self.history, u64::MAX).inspect(log);
        let unread_counts = !self.watch.faulty;
        let mistakes = found.violations(unread_counts);
        for Violation { rule, text } in mistakes {
            self.mistake(rule, &text);
        }
    }

    fn answered(&mut self, began: u64, answer: &Result<(), AppendError>, what: What) {
        if let Err(error) = answer {
            self.refused(error);
        }
        let acked = answer.is_ok().then(|| (self.watch.operations)());
        self.note(began, acked, what);
    }

    fn refused(&mut self, error: &AppendError) {
        if matches!(error, AppendError::Closed) {
            self.mistake(Rule::Panics, "the writer is gone");
        } else if !self.watch.faulty {
            self.mistake(Rule::Serves, &format!("refused: {error}"));
        }
    }

    fn note(&mut self, began: u64, acked: Option<u64>, what: What) {
        let failed_before = self.log.as_ref().is_none_or(|(_, failed)| *failed);
        // one that was asked before the last sync that worked may have been answered by that
        let failed = (self.watch.sync_failed)().is_some_and(|last_sync| began >= last_sync);
        if acked.is_some() && !failed_before && failed && asked_late(&what) {
            self.mistake(
                Rule::Synced,
                "acknowledged after a failed sync of the same log",
            );
        }
        self.history.events.push(Event { what, began, acked });
    }

    fn mistake(&mut self, rule: Rule, text: &str) {
        let text = format!("after {} answers: {text}", self.history.events.len());
        self.history.mistakes.push(Violation { rule, text });
    }
}

/// Whether an acknowledgement means that something new is durable; duplicates may be known from before.
fn asked_late(what: &What) -> bool {
    match what {
        What::Append { outcomes, .. } => outcomes
            .iter()
            .any(|outcome| matches!(outcome, Outcome::Stored { .. })),
        What::Cursor { .. } | What::Trim { .. } => true,
    }
}

/// The one peer, and a position in its stream.
fn peer_hop(seq: u64) -> Hop {
    Hop {
        node: peer(),
        lane: Lane::Low,
        epoch: Epoch(7),
        seq: Seq(seq),
    }
}

fn peer() -> NodeName {
    "edge-1.site.acme".parse().unwrap()
}
