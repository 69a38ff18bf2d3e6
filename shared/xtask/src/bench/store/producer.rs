//! One producer that awaits each batch, as a task of the runtime that the product uses.
//!
//! It makes the next batch while the store writes the last one, and its time is the sum of the times
//! from handing a batch over to its receipt: the store's part and nothing else.

use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Exit, Failure};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::model::Seq;
use qc_core::store::{AppendError, Log, StreamKey};
use tokio::task::JoinSet;

use super::messages::Messages;
use super::{Bench, settle};
use crate::CHORE;
use crate::bench::figure::percentile;
use crate::bench::raw::Sample;

/// The producer with its log, between two rounds.
pub(super) struct Producer {
    name: String,
    pub(super) log: Log,
    pub(super) streams: Vec<StreamKey>,
    messages: Messages,
    batch: u32,
    turn: usize,
}

impl Producer {
    /// A producer for the log of this name.
    pub(super) fn new(
        name: &str,
        log: Log,
        streams: Vec<StreamKey>,
        messages: Messages,
        batch: u32,
    ) -> Self {
        Self {
            name: name.to_owned(),
            log,
            streams,
            messages,
            batch,
            turn: 0,
        }
    }

    /// Appends for `time`, then lets the disk come to rest.
    pub(super) fn round(self, bench: &Bench, time: Duration) -> Result<(Self, Sample), Failure> {
        let clock = Arc::clone(&bench.clock);
        let (this, sample) = bench.task(async move {
            let mut this = self;
            let sample = this.append(time, &clock).await;
            (this, sample)
        })?;
        settle();
        Ok((this, sample.map_err(|error| refused(&error))?))
    }

    /// Appends `messages` messages; nobody takes the time.
    pub(super) fn fill(self, bench: &Bench, messages: u64) -> Result<Self, Failure> {
        let (this, filled) = bench.task(async move {
            let mut this = self;
            let filled = this.append_count(messages).await;
            (this, filled)
        })?;
        settle();
        filled.map_err(|error| refused(&error))?;
        Ok(this)
    }

    /// Declares all of it of no further use.
    pub(super) fn trim(&self, bench: &Bench) -> Result<(), Failure> {
        for stream in &self.streams {
            let last = self.log.info(stream).map_or(Seq::ZERO, |info| info.last);
            let trimmed = bench.runtime.block_on(self.log.trim(stream, last));
            trimmed.map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// Ends its log and gives the space back.
    pub(super) fn finish(self, bench: &Bench) -> Result<(), Failure> {
        bench.finish(&self.log, &self.name)
    }

    async fn append(&mut self, time: Duration, clock: &SystemClock) -> Result<Sample, AppendError> {
        let mut sample = Sample::default();
        let mut drafts = self.messages.drafts(self.batch);
        let until = clock.instant() + time;
        loop {
            let began = clock.instant();
            if began >= until {
                break;
            }
            let receipt = self.log.submit(self.stream(), drafts);
            drafts = self.messages.drafts(self.batch);
            receipt.await?;
            let took = clock.instant().duration_since(began);
            sample.elapsed += took;
            sample.times.push(took);
            sample.batches += 1;
            self.turn += 1;
        }
        sample.typical_us = percentile(&mut sample.times, 50);
        Ok(sample)
    }

    async fn append_count(&mut self, messages: u64) -> Result<(), AppendError> {
        for _ in 0..messages.div_ceil(u64::from(self.batch)) {
            let drafts = self.messages.drafts(self.batch);
            self.log.append(self.stream(), drafts).await?;
            self.turn += 1;
        }
        Ok(())
    }

    /// The stream whose turn it is.
    fn stream(&self) -> &StreamKey {
        self.streams
            .get(self.turn % self.streams.len())
            .expect("a producer has streams")
    }
}

/// Makes every stream exist before the time is taken, many in one commit.
pub(super) fn define(bench: &Bench, log: &Log, streams: &[StreamKey]) -> Result<(), Failure> {
    let (log, streams) = (log.clone(), streams.to_vec());
    let defined = bench.task(async move {
        let mut tasks = JoinSet::new();
        for stream in streams {
            let log = log.clone();
            tasks.spawn(async move { log.define(&stream).await });
        }
        tasks.join_all().await
    })?;
    defined
        .into_iter()
        .collect::<Result<(), _>>()
        .map_err(|error| refused(&error))
}

/// The store said no: a figure would mean nothing.
pub(super) fn refused(error: &AppendError) -> Failure {
    Failure::new(Exit::Other, CHORE, "the store refused the bench").because(error)
}
