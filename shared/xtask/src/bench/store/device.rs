//! Bytes written to the device for each byte accepted, while a consumer keeps up and everything it has is
//! trimmed; and the space that segments take for each byte that is still wanted.
//!
//! The device is the one that the kernel names for the file system of the bench's directory
//! (`/sys/dev/block/MAJOR:MINOR`), and it counts sectors of 512 bytes. It counts for the whole machine, so
//! an idle time of the same length is measured first and printed: what other people write. A byte accepted
//! is one of an envelope or a body that a producer gave.

use std::path::Path;
use std::thread;
use std::time::Duration;

use qc_core::cli::{Failure, human_bytes};
use qc_core::clock::Clock as _;
use qc_core::model::Seq;
use qc_core::store::{AppendError, Log, StreamKey};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::batch::BATCH;
use super::messages::{Messages, given, streams};
use super::producer::{Producer, refused};
use super::{Bench, Findings, GIB, MIB, float, machine, settle, trouble};
use crate::bench::{Bound, Figure, Of, disk};

const GOAL: f64 = 1.15;
const CONSUMER: &str = "bench";
/// How long compaction gets before the space is looked at.
const REST: Duration = Duration::from_secs(5);

/// Write amplification where the device can be named, and the space taken.
pub(super) fn measure(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    match machine::block_stat(&bench.dir) {
        Ok(stat) => written(bench, &stat, &mut findings)?,
        Err(error) => findings.skip("bytes written per byte accepted", error.to_string()),
    }
    space(bench, &mut findings)?;
    Ok(findings)
}

/// What a trimming consumer's stream costs the device.
fn written(bench: &Bench, stat: &Path, findings: &mut Findings) -> Result<(), Failure> {
    let size = if bench.long { 8 * GIB } else { GIB };
    let name = "device";
    let log = bench.log(name)?;
    let stream = streams(1).pop().expect("one stream was asked for");
    let messages = Messages::new(&bench.pool);
    // what earlier rows have left is on the device before the count begins
    settle();
    let before = flushed(bench, stat)?;
    let began = bench.clock.instant();
    let (to_stop, stop) = watch::channel(false);
    let producer = produce(log.clone(), stream.clone(), messages, size, to_stop);
    let consumer = consume(log.clone(), stream, stop);
    let (accepted, consumed) = bench.task(async move {
        let mut consumers = JoinSet::new();
        consumers.spawn(consumer);
        (producer.await, consumers.join_all().await)
    })?;
    let accepted = accepted.map_err(|error| refused(&error))?;
    consumed.into_iter().collect::<Result<(), _>>()?;
    let after = flushed(bench, stat)?;
    let took = bench.clock.instant().duration_since(began);
    let usage = machine::disk_usage(&bench.dir.join(name)).map_err(|e| disk(&bench.dir, &e))?;
    bench.finish(&log, name)?;

    let idle_before = flushed(bench, stat)?;
    thread::sleep(took);
    let idle = flushed(bench, stat)? - idle_before;
    let figure = |name: String, unit: &str, value| Figure::of_rounds(name, unit, &[value]);
    let bytes = human_bytes(accepted);
    let written = float(after - before) / float(accepted.max(1));
    findings.figures.extend([
        figure(
            format!("written to the device for {bytes} accepted, consumer keeps up"),
            "bytes/byte",
            written,
        )
        .wants(Of::Value, Bound::AtMost, GOAL),
        figure(
            "the same device in the same time at rest".to_owned(),
            "MiB",
            float(idle) / float(MIB),
        ),
        figure(
            "space taken when all of it is trimmed".to_owned(),
            "MiB",
            float(usage) / float(MIB),
        ),
    ]);
    Ok(())
}

/// Space for each byte retained: with everything retained, and with one slow stream of ten.
fn space(bench: &Bench, findings: &mut Findings) -> Result<(), Failure> {
    let name = "space";
    let log = bench.log(name)?;
    let keys = streams(10);
    let messages = Messages::new(&bench.pool);
    let producer = Producer::new(name, log, keys, messages, BATCH);
    let producer = producer.fill(bench, 512 * MIB / 1024)?;
    let usage = |log: &Log| -> Result<f64, Failure> {
        let used = machine::disk_usage(&bench.dir.join(name)).map_err(|e| disk(&bench.dir, &e))?;
        let live: u64 = log.streams().iter().map(|stream| stream.bytes).sum();
        Ok(float(used) / float(live.max(1)))
    };
    let all = usage(&producer.log)?;
    for stream in producer.streams.iter().skip(1) {
        let last = producer
            .log
            .info(stream)
            .map_or(Seq::ZERO, |info| info.last);
        let trimmed = bench.runtime.block_on(producer.log.trim(stream, last));
        trimmed.map_err(|error| refused(&error))?;
    }
    thread::sleep(REST);
    let one = usage(&producer.log)?;
    producer.finish(bench)?;
    let figure = |name: &str, value| Figure::of_rounds(name, "bytes/byte", &[value]);
    findings.figures.extend([
        figure("space taken, 512 MiB retained", all),
        figure("space taken, nine of ten streams trimmed", one),
    ]);
    Ok(())
}

/// Bytes the device has been given, everything that waits in memory included.
fn flushed(bench: &Bench, stat: &Path) -> Result<u64, Failure> {
    rustix::fs::sync();
    machine::device_written(stat).map_err(|error| disk(&bench.dir, &error))
}

/// Appends `size` bytes of bodies and gives the bytes that were accepted.
async fn produce(
    log: Log,
    stream: StreamKey,
    mut messages: Messages,
    size: u64,
    to_stop: watch::Sender<bool>,
) -> Result<u64, AppendError> {
    let mut accepted = 0;
    while accepted < size {
        let drafts = messages.drafts(BATCH);
        let bytes: u64 = drafts.iter().map(given).sum();
        log.append(&stream, drafts).await?;
        accepted += bytes;
    }
    to_stop.send_replace(true);
    Ok(accepted)
}

/// Reads what comes, says so durably, and trims; ends when it has everything after the producer's end.
async fn consume(
    log: Log,
    stream: StreamKey,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut changed = log.changed();
    let mut after = Seq::ZERO;
    loop {
        let ended = *stop.borrow_and_update();
        let records = tokio::task::block_in_place(|| log.read(&stream, after, 4096, 8 << 20))
            .map_err(|error| trouble("the store refused to read").because(&error))?;
        if let Some(last) = records.last() {
            after = last.header.seq;
            let (cursor, trim) = tokio::join!(
                log.commit_cursor(CONSUMER, &stream, after),
                log.trim(&stream, after)
            );
            cursor.and(trim).map_err(|error| refused(&error))?;
            continue;
        }
        if ended {
            return Ok(());
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = stop.changed() => {}
        }
    }
}
