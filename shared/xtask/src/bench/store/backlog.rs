//! Reading a backlog from its beginning, as a consumer that was away does: decrypted, in order, one
//! reader.

use qc_core::cli::{Failure, human_bytes};
use qc_core::clock::Clock as _;
use qc_core::model::Seq;

use super::batch::BATCH;
use super::{Bench, Findings, GIB, MIB, float, machine, trouble};
use crate::bench::raw::MESSAGE;
use crate::bench::{Bound, Figure, Of};

const GOAL: f64 = 1000.0;
/// What a consumer asks for at once.
const RECORDS: usize = 1024;
const BYTES: usize = 4 << 20;

/// Bodies read, in MB a second.
pub(super) fn measure(bench: &Bench) -> Result<Findings, Failure> {
    let size = if bench.long { 4 * GIB } else { 512 * MIB };
    let name = format!("sequential read of {}", human_bytes(size));
    let messages = size / u64::from(MESSAGE);
    let producer = bench.producer("read", 1, BATCH)?.fill(bench, messages)?;
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        warm.push(read(bench, &producer.log, &producer.streams, messages)?);
        if bench.cold {
            machine::drop_caches()
                .map_err(|error| trouble("cannot drop the machine's caches").because(&error))?;
            cold.push(read(bench, &producer.log, &producer.streams, messages)?);
        }
    }
    producer.finish(bench)?;
    let mut findings = Findings::default();
    let figure = Figure::of_rounds(format!("{name}, warm cache"), "MB/s", &warm);
    findings
        .figures
        .push(figure.wants(Of::Value, Bound::AtLeast, GOAL));
    let name = format!("{name}, cold cache");
    if cold.is_empty() {
        findings.skip(&name, "needs --cold and root");
    } else {
        findings
            .figures
            .push(Figure::of_rounds(name, "MB/s", &cold));
    }
    Ok(findings)
}

fn read(
    bench: &Bench,
    log: &qc_core::store::Log,
    streams: &[qc_core::store::StreamKey],
    messages: u64,
) -> Result<f64, Failure> {
    let stream = streams.first().expect("one stream was asked for");
    let (mut after, mut bytes, mut count) = (Seq::ZERO, 0, 0);
    let began = bench.clock.instant();
    loop {
        let records = log
            .read(stream, after, RECORDS, BYTES)
            .map_err(|error| trouble("the store refused to read").because(&error))?;
        let Some(last) = records.last() else {
            break;
        };
        after = last.header.seq;
        bytes += records.iter().map(|r| r.body.len() as u64).sum::<u64>();
        count += records.len() as u64;
    }
    let seconds = bench.clock.instant().duration_since(began).as_secs_f64();
    if count < messages {
        let message = format!("{count} messages were read where {messages} are");
        return Err(trouble(&message));
    }
    Ok(float(bytes) / 1e6 / seconds)
}
