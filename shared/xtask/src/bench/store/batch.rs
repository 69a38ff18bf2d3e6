//! Batches from one producer, each round beside the raw limit or beside the same without the burden:
//! more streams, more bytes retained, a reader far behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use qc_core::cli::{Failure, human_bytes};
use qc_core::clock::Clock as _;
use qc_core::model::Seq;
use qc_core::store::{Log, StreamKey};

use super::producer::{Producer, define};
use super::{Bench, Findings, GIB, MIB};
use crate::bench::disk;
use crate::bench::raw::{self, Kind, MESSAGE, Pattern, Sample};
use crate::bench::{Bound, Figure, Of};

/// The batch of every row that has another subject than batches.
pub(super) const BATCH: u32 = 256;

/// Batches of 1, 16 and 256, each beside the raw limit of the same batch.
pub(super) fn against_raw(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    for (batch, goal) in [(1, Some(0.9)), (16, None), (BATCH, Some(0.7))] {
        let mut producer = bench.producer(&format!("batch-{batch}"), 1, batch)?;
        let (mut own, mut limit) = (Series::default(), Series::default());
        for _ in 0..bench.rounds {
            limit.add(raw_round(bench, batch, bench.time)?, batch);
            let (after, sample) = producer.round(bench, bench.time)?;
            producer = after;
            producer.trim(bench)?;
            own.add(sample, batch);
        }
        producer.finish(bench)?;
        let figure = own.against(format!("append, batch {batch}"), "raw", &limit);
        findings.figures.push(match goal {
            Some(goal) => figure.wants(Of::Ratio, Bound::AtLeast, goal),
            None => figure,
        });
        let pattern = raw_pattern(batch);
        findings.figures.push(limit.figure(pattern.name()));
    }
    Ok(findings)
}

/// The same batches spread over streams, one stream an append.
pub(super) fn over_streams(bench: &Bench) -> Result<Findings, Failure> {
    let mut all = Vec::new();
    for count in [1, 100, 10_000] {
        let producer = bench.producer(&format!("streams-{count}"), count, BATCH)?;
        define(bench, &producer.log, &producer.streams)?;
        all.push((format!("append, batch {BATCH}, {count} streams"), producer));
    }
    beside_first(bench, all, "1 stream", Some(0.8))
}

/// The same batches in a log that already holds much.
pub(super) fn with_retained(bench: &Bench) -> Result<Findings, Failure> {
    let sizes = [0, 1, 10];
    let sizes = sizes
        .get(..if bench.long { 3 } else { 2 })
        .unwrap_or(&sizes);
    let mut all = Vec::new();
    for gib in sizes {
        let producer = bench.producer(&format!("retained-{gib}"), 1, BATCH)?;
        let producer = producer.fill(bench, gib * GIB / u64::from(MESSAGE))?;
        all.push((
            format!("append, batch {BATCH}, {gib} GiB retained"),
            producer,
        ));
    }
    let mut findings = beside_first(bench, all, "0 GiB", None)?;
    if !bench.long {
        findings.skip("append with 10 GiB retained", "needs --long");
    }
    Ok(findings)
}

/// The same batches while a reader that is far behind reads at full speed.
pub(super) fn with_reader(bench: &Bench) -> Result<Findings, Failure> {
    let behind = if bench.long { GIB } else { 256 * MIB };
    let mut producer = bench
        .producer("reader", 1, BATCH)?
        .fill(bench, behind / u64::from(MESSAGE))?;
    let (mut alone, mut beside) = (Series::default(), Series::default());
    let mut read_rates = Vec::new();
    for _ in 0..bench.rounds {
        let (after, sample) = producer.round(bench, bench.time)?;
        alone.add(sample, BATCH);
        let reader = Reader {
            log: after.log.clone(),
            stream: after
                .streams
                .first()
                .expect("one stream was asked for")
                .clone(),
        };
        let stop = AtomicBool::new(false);
        let (round, read) = thread::scope(|scope| {
            let reading = scope.spawn(|| reader.run(bench, &stop));
            let round = after.round(bench, bench.time);
            stop.store(true, Ordering::Relaxed);
            (round, reading.join())
        });
        let (after, sample) = round?;
        producer = after;
        beside.add(sample, BATCH);
        let rate = read.map_err(|_| super::trouble("the reader ended in a panic"))?;
        read_rates.push(rate?);
    }
    producer.finish(bench)?;
    let behind = human_bytes(behind);
    let name = format!("append, batch {BATCH}, a reader {behind} behind");
    let mut findings = Findings::default();
    findings
        .figures
        .push(beside.against(name, "no reader", &alone));
    let name = format!("that reader, {behind} behind");
    findings
        .figures
        .push(Figure::of_rounds(name, "MB/s", &read_rates));
    Ok(findings)
}

/// Rounds of all producers in turn, each compared with the first one's.
fn beside_first(
    bench: &Bench,
    producers: Vec<(String, Producer)>,
    first: &str,
    last_wants: Option<f64>,
) -> Result<Findings, Failure> {
    let mut all: Vec<(String, Option<Producer>, Series)> = producers
        .into_iter()
        .map(|(name, producer)| (name, Some(producer), Series::default()))
        .collect();
    for _ in 0..bench.rounds {
        for (_, place, series) in &mut all {
            let producer = place.take().expect("put back after every round");
            let (producer, sample) = producer.round(bench, bench.time)?;
            series.add(sample, BATCH);
            *place = Some(producer);
        }
    }
    let mut findings = Findings::default();
    let mut base: Option<Series> = None;
    let count = all.len();
    for (number, (name, producer, series)) in all.into_iter().enumerate() {
        if let Some(producer) = producer {
            producer.finish(bench)?;
        }
        let figure = match &base {
            None => series.clone().figure(name),
            Some(base) => series.clone().against(name, first, base),
        };
        let goal = last_wants.filter(|_| number + 1 == count);
        findings.figures.push(match goal {
            Some(goal) => figure.wants(Of::Ratio, Bound::AtLeast, goal),
            None => figure,
        });
        base.get_or_insert(series);
    }
    Ok(findings)
}

/// One round of the raw limit: a file written with zeros before, overwritten.
pub(super) fn raw_round(bench: &Bench, batch: u32, time: Duration) -> Result<Sample, Failure> {
    raw::round(raw_pattern(batch), &bench.dir, time, bench.clock.as_ref())
        .map_err(|error| disk(&bench.dir, &error))
}

pub(super) fn raw_pattern(batch: u32) -> Pattern {
    Pattern {
        kind: Kind::Recycled,
        batch,
    }
}

/// The rounds of one subject.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) rates: Vec<f64>,
    times: Vec<Duration>,
    typical_us: Vec<f64>,
}

impl Series {
    pub(super) fn add(&mut self, sample: Sample, batch: u32) {
        self.rates.push(sample.rate(batch));
        self.typical_us.push(sample.typical_us);
        self.times.extend(sample.times);
    }

    pub(super) fn figure(mut self, name: String) -> Figure {
        Figure::of_rounds(name, "msg/s", &self.rates).with_times(&mut self.times)
    }

    pub(super) fn against(self, name: String, to: &str, other: &Self) -> Figure {
        let pairs = self.typical_us.iter().zip(&other.typical_us);
        let pairs: Vec<_> = pairs.map(|(own, other)| (*own, *other)).collect();
        let own = self.rates.clone();
        self.figure(name)
            .against(to, &own, &other.rates)
            .typically(raw::typical(&pairs))
    }
}

/// Reads a stream from its beginning, and again from there when it has come near the end.
struct Reader {
    log: Log,
    stream: StreamKey,
}

impl Reader {
    /// Bodies read until `stop`, in MB a second.
    fn run(&self, bench: &Bench, stop: &AtomicBool) -> Result<f64, Failure> {
        let began = bench.clock.instant();
        let (mut after, mut bytes) = (Seq::ZERO, 0);
        while !stop.load(Ordering::Relaxed) {
            let records = self
                .log
                .read(&self.stream, after, 1024, 4 << 20)
                .map_err(|error| super::trouble("the reader was refused").because(&error))?;
            bytes += records.iter().map(|r| r.body.len() as u64).sum::<u64>();
            after = records.last().map_or(Seq::ZERO, |record| record.header.seq);
        }
        let seconds = bench.clock.instant().duration_since(began).as_secs_f64();
        Ok(super::float(bytes) / 1e6 / seconds.max(1e-9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_pairs_its_rounds() {
        let sample = |batches, typical_us| Sample {
            batches,
            elapsed: Duration::from_secs(1),
            times: vec![Duration::from_micros(7)],
            typical_us,
        };
        let (mut own, mut raw) = (Series::default(), Series::default());
        for (batches, typical) in [(50, 200.0), (5, 200.0), (50, 200.0)] {
            own.add(sample(batches, typical), 2);
            raw.add(sample(batches * 2, typical / 2.0), 2);
        }
        let figure = own.against("x".to_owned(), "raw", &raw);
        assert!((figure.value - 100.0).abs() < 1e-9);
        let ratio = figure.ratio_to.unwrap();
        assert!((ratio.ratio - 0.5).abs() < 1e-9);
        assert!((ratio.typical.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(figure.p50_us, Some(7.0));
    }
}
