//! How far consumers have come, ahead of the log: acknowledgements arrive often and are written seldom.
//!
//! A position that is lost in a crash is asked for again and only repeats what was acknowledged, so it
//! may lag; it is never ahead of what the consumer said.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{AppendError, Log, StreamKey};
use crate::model::Seq;

/// The positions of all consumers of one log.
pub struct Positions {
    log: Log,
    fresh: Mutex<BTreeMap<(StreamKey, String), Seq>>,
}

impl Positions {
    /// Positions over `log`, beginning with its cursors.
    pub fn new(log: Log) -> Self {
        Self {
            log,
            fresh: Mutex::default(),
        }
    }

    /// `consumer` has everything of `stream` up to `seq`. Returns by how much it came forward.
    pub fn advance(&self, stream: &StreamKey, consumer: &str, seq: Seq) -> u64 {
        let before = self.of(stream, consumer);
        let mut fresh = self.fresh();
        let known = fresh
            .entry((stream.clone(), consumer.to_owned()))
            .or_insert(before);
        *known = (*known).max(seq);
        seq.0.saturating_sub(before.0)
    }

    /// How far `consumer` has come, zero if it never said.
    pub fn of(&self, stream: &StreamKey, consumer: &str) -> Seq {
        let fresh = self
            .fresh()
            .get(&(stream.clone(), consumer.to_owned()))
            .copied();
        fresh
            .unwrap_or_default()
            .max(self.log.cursor(consumer, stream))
    }

    /// Every consumer of `stream`.
    pub fn all(&self, stream: &StreamKey) -> BTreeMap<String, Seq> {
        let mut all: BTreeMap<String, Seq> = self.log.cursors(stream).into_iter().collect();
        for ((of, consumer), seq) in self.fresh().iter() {
            if of == stream {
                let known = all.entry(consumer.clone()).or_default();
                *known = (*known).max(*seq);
            }
        }
        all
    }

    /// Writes what is new to the log. What cannot be written now is tried at the next call.
    pub async fn flush(&self) -> Result<(), AppendError> {
        let newer: Vec<_> = {
            let fresh = self.fresh();
            let unwritten = fresh
                .iter()
                .filter(|((stream, consumer), seq)| **seq > self.log.cursor(consumer, stream));
            unwritten
                .map(|((stream, consumer), seq)| (stream.clone(), consumer.clone(), *seq))
                .collect()
        };
        for (stream, consumer, seq) in newer {
            self.log.commit_cursor(&consumer, &stream, seq).await?;
        }
        Ok(())
    }

    fn fresh(&self) -> MutexGuard<'_, BTreeMap<(StreamKey, String), Seq>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
