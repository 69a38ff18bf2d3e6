//! Many producers that each wait for their own message: tasks of one runtime, and the store makes the
//! batches of what they hand in meanwhile.

use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::Failure;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::store::{AppendError, Log, StreamKey};
use tokio::task::JoinSet;

use super::batch::{BATCH, Series, raw_pattern, raw_round};
use super::messages::{Messages, streams};
use super::producer::{define, refused};
use super::{Bench, Findings, settle};
use crate::bench::figure::percentile;
use crate::bench::raw::Sample;
use crate::bench::{Bound, Of};

const GOAL: f64 = 150_000.0;

/// 1, 16, 64 and 256 producers, beside the raw limit of a batch of 256.
pub(super) fn measure(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let streams = streams(1);
    for count in [1, 16, 64, 256] {
        let name = format!("producers-{count}");
        let log = bench.log(&name)?;
        define(bench, &log, &streams)?;
        let stream = streams.first().expect("one stream was asked for");
        let (mut own, mut limit) = (Series::default(), Series::default());
        for _ in 0..bench.rounds {
            limit.add(raw_round(bench, BATCH, bench.time)?, BATCH);
            own.add(round(bench, &log, stream, count)?, 1);
        }
        bench.finish(&log, &name)?;
        let name = format!("append, {count} producers, one message each");
        // a batch of the raw limit and a message of ours are no typical pair: rates only
        let rates = own.rates.clone();
        let figure = own
            .figure(name)
            .against(raw_pattern(BATCH).name(), &rates, &limit.rates);
        findings.figures.push(if count == 256 {
            figure.wants(Of::Value, Bound::AtLeast, GOAL)
        } else {
            figure
        });
    }
    Ok(findings)
}

/// All producers at once, for the time of a round.
fn round(bench: &Bench, log: &Log, stream: &StreamKey, count: u32) -> Result<Sample, Failure> {
    let (log, stream) = (log.clone(), stream.clone());
    let (clock, time) = (Arc::clone(&bench.clock), bench.time);
    let messages: Vec<_> = (0..count).map(|_| Messages::new(&bench.pool)).collect();
    let round = bench.task(async move {
        let began = clock.instant();
        let mut tasks = JoinSet::new();
        for messages in messages {
            let (log, stream, clock) = (log.clone(), stream.clone(), Arc::clone(&clock));
            tasks.spawn(async move { produce(&log, &stream, messages, time, &clock).await });
        }
        let all = tasks.join_all().await;
        (clock.instant().duration_since(began), all)
    })?;
    settle();
    let (elapsed, all) = round;
    let mut sample = Sample {
        elapsed,
        ..Sample::default()
    };
    for times in all {
        sample.times.extend(times.map_err(|error| refused(&error))?);
    }
    sample.batches = u32::try_from(sample.times.len()).unwrap_or(u32::MAX);
    sample.typical_us = percentile(&mut sample.times, 50);
    Ok(sample)
}

/// One producer: the time from each append to its acknowledgement.
async fn produce(
    log: &Log,
    stream: &StreamKey,
    mut messages: Messages,
    time: Duration,
    clock: &SystemClock,
) -> Result<Vec<Duration>, AppendError> {
    let mut times = Vec::new();
    let until = clock.instant() + time;
    loop {
        let drafts = messages.drafts(1);
        let began = clock.instant();
        if began >= until {
            return Ok(times);
        }
        log.append(stream, drafts).await?;
        times.push(clock.instant().duration_since(began));
    }
}
