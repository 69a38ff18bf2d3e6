//! How far consumers have come, ahead of the log: acknowledgements arrive often and are written seldom.
//!
//! A position that is lost in a crash is asked for again and only repeats what was acknowledged, so it
//! may lag; it is never ahead of what the consumer said.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{AppendError, CursorMove, DeadLetter, Log, Outcome, StreamKey};
use crate::model::Seq;

/// The positions of all consumers of one log.
pub struct Positions {
    log: Log,
    fresh: Mutex<BTreeMap<(StreamKey, String), Fresh>>,
}

/// What is known of a consumer and may not be in the log yet.
#[derive(Debug, Clone, Copy)]
struct Fresh {
    /// Where it stood when it was first heard of.
    from: Seq,
    seq: Seq,
    /// Whether the log has never heard of it.
    is_new: bool,
}

impl Positions {
    /// Positions over `log`, beginning with its cursors.
    pub fn new(log: Log) -> Self {
        Self {
            log,
            fresh: Mutex::default(),
        }
    }

    /// `consumer` exists from now on. If it is new it begins after `seq`, and what came before is
    /// nothing it owes. The log hears of it at once: what makes room there must know whom it waits for.
    pub fn begin(&self, stream: &StreamKey, consumer: &str, seq: Seq) {
        let mut fresh = self.fresh();
        let key = (stream.clone(), consumer.to_owned());
        fresh.entry(key).or_insert_with(|| {
            let known = self.log.cursor_state(consumer, stream);
            if known.is_none() {
                let first = CursorMove {
                    stream: stream.clone(),
                    consumer: consumer.to_owned(),
                    from: seq,
                    seq,
                    dead: 0,
                };
                // the next flush says whether it is written
                drop(self.log.submit_cursors(vec![first]));
            }
            let seq = known.map_or(seq, |known| known.seq);
            Fresh {
                from: seq,
                seq,
                is_new: known.is_none(),
            }
        });
    }

    /// `consumer` has everything of `stream` up to `seq`. Returns by how much it came forward.
    pub fn advance(&self, stream: &StreamKey, consumer: &str, seq: Seq) -> u64 {
        self.begin(stream, consumer, Seq::ZERO);
        let mut fresh = self.fresh();
        let Some(known) = fresh.get_mut(&(stream.clone(), consumer.to_owned())) else {
            return 0;
        };
        let passed = seq.0.saturating_sub(known.seq.0);
        known.seq = known.seq.max(seq);
        passed
    }

    /// The consumer that the letter names cannot take the message that it is about: the letter and
    /// the consumer's step past the message are one commit. Returns what became of the letter and by
    /// how much the consumer came forward.
    pub async fn bury(&self, letter: &DeadLetter) -> Result<(Outcome, u64), AppendError> {
        let note = &letter.note;
        let key = (note.stream.clone(), note.consumer.clone());
        self.begin(&key.0, &key.1, Seq::ZERO);
        let known = self.fresh().get(&key).copied();
        let (from, before) = known.map_or((Seq::ZERO, Seq::ZERO), |known| (known.from, known.seq));
        let moves = (note.seq > before).then(|| CursorMove {
            stream: key.0.clone(),
            consumer: key.1.clone(),
            from,
            seq: note.seq,
            dead: 1,
        });
        let moves = moves.into_iter().collect();
        let home = letter.home();
        let outcomes = self.log.bury(&home, vec![letter.draft()], moves).await?;
        let mut fresh = self.fresh();
        let mut passed = 0;
        if let Some(known) = fresh.get_mut(&key) {
            passed = note.seq.0.saturating_sub(known.seq.0);
            known.seq = known.seq.max(note.seq);
            known.is_new = false;
        }
        let outcome = outcomes.first().copied();
        Ok((outcome.ok_or(AppendError::Closed)?, passed))
    }

    /// Takes `consumer` away: nothing is kept for it any more. Returns how many messages it had not
    /// taken, or none if there is no such consumer. If it comes again it is new.
    pub async fn end(
        &self,
        stream: &StreamKey,
        consumer: &str,
    ) -> Result<Option<u64>, AppendError> {
        // what it acknowledged before is not purged
        self.flush().await?;
        let ended = {
            let mut fresh = self.fresh();
            fresh.remove(&(stream.clone(), consumer.to_owned()));
            self.log.submit_end(stream, consumer)
        };
        ended.await
    }

    /// How far `consumer` has come, zero if it never said.
    pub fn of(&self, stream: &StreamKey, consumer: &str) -> Seq {
        let fresh = self
            .fresh()
            .get(&(stream.clone(), consumer.to_owned()))
            .map(|fresh| fresh.seq);
        fresh
            .unwrap_or_default()
            .max(self.log.cursor(consumer, stream))
    }

    /// Every consumer of `stream`.
    pub fn all(&self, stream: &StreamKey) -> BTreeMap<String, Seq> {
        let mut all: BTreeMap<String, Seq> = self.log.cursors(stream).into_iter().collect();
        for ((of, consumer), fresh) in self.fresh().iter() {
            if of == stream {
                let known = all.entry(consumer.clone()).or_default();
                *known = (*known).max(fresh.seq);
            }
        }
        all
    }

    /// Writes what is new to the log, in one commit. What cannot be written now is tried at the next
    /// call.
    pub async fn flush(&self) -> Result<(), AppendError> {
        let (newer, written) = {
            let fresh = self.fresh();
            let unwritten = fresh.iter().filter(|((stream, consumer), fresh)| {
                fresh.is_new || fresh.seq > self.log.cursor(consumer, stream)
            });
            let newer = unwritten.map(|((stream, consumer), fresh)| CursorMove {
                stream: stream.clone(),
                consumer: consumer.clone(),
                from: fresh.from,
                seq: fresh.seq,
                dead: 0,
            });
            let newer: Vec<_> = newer.collect();
            if newer.is_empty() {
                return Ok(());
            }
            // queued while nobody can end one of them: an end comes before all of this or behind it
            let written = self.log.submit_cursors(newer.clone());
            (newer, written)
        };
        written.await?;
        let mut fresh = self.fresh();
        for moved in newer {
            if let Some(known) = fresh.get_mut(&(moved.stream, moved.consumer)) {
                known.is_new = false;
            }
        }
        Ok(())
    }

    fn fresh(&self) -> MutexGuard<'_, BTreeMap<(StreamKey, String), Fresh>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
