//! What a message costs at batch 256: time on a CPU of the thread `qc-store`, which writes, and
//! allocations of the whole process beyond those of making the messages.
//!
//! Nothing in this tree may replace the allocator, so valgrind counts: four children, two sizes, with and
//! without appending, and the slopes tell the cost of one message without that of a start.

use std::path::Path;
use std::process::Command;

use qc_core::cli::Failure;

use super::batch::BATCH;
use super::child::{Args, Then};
use super::{Bench, Findings, float, machine, trouble};
use crate::bench::Figure;
use crate::workspace::which;

/// Messages of the two sizes that valgrind counts for.
const FEW: u64 = 10 * 256;
const MANY: u64 = 60 * 256;
const ALLOCATIONS: &str = "allocations a message, batch 256";

/// CPU time of the writer, and allocations.
pub(super) fn measure(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    findings.figures.push(writer_cpu(bench)?);
    if which("valgrind").is_none() {
        let why =
            "valgrind is not installed; as root: apt-get install --no-install-recommends valgrind";
        findings.skip(ALLOCATIONS, why);
    } else {
        findings.figures.push(allocations(bench)?);
    }
    Ok(findings)
}

fn writer_cpu(bench: &Bench) -> Result<Figure, Failure> {
    let cpu = || {
        machine::writer_cpu()
            .map_err(|error| trouble("cannot read the writer's CPU time").because(&error))
    };
    // a thread names itself: after the first batch it has done so
    let mut producer = bench.producer("cost", 1, BATCH)?.fill(bench, 1)?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        let before = cpu()?;
        let (after, sample) = producer.round(bench, bench.time)?;
        let messages = u64::from(sample.batches) * u64::from(BATCH);
        rounds.push(float(cpu()? - before) / float(messages.max(1)));
        after.trim(bench)?;
        producer = after;
    }
    producer.finish(bench)?;
    let name = "writer's CPU a message, batch 256";
    Ok(Figure::of_rounds(name, "ns", &rounds))
}

fn allocations(bench: &Bench) -> Result<Figure, Failure> {
    let dir = bench.dir.join("allocations");
    let run = |messages, dry| {
        let _left_from_before = std::fs::remove_dir_all(&dir);
        let args = Args {
            dir: dir.clone(),
            messages,
            without_keys: false,
            dry,
            then: Then::End,
        };
        count(&args, &bench.dir.join("valgrind.log"))
    };
    let appended = slope(run(FEW, false)?, run(MANY, false)?);
    let made = slope(run(FEW, true)?, run(MANY, true)?);
    Ok(Figure::of_rounds(ALLOCATIONS, "", &[appended - made]))
}

/// What one message adds from the small run to the large one.
fn slope(few: u64, many: u64) -> f64 {
    (float(many) - float(few)) / float(MANY - FEW)
}

/// Allocations of a child from its start to its end.
fn count(child: &Args, log: &Path) -> Result<u64, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| trouble("cannot tell where this program is").because(&error))?;
    let output = Command::new("valgrind")
        .args(["--leak-check=no", "--undef-value-errors=no"])
        .arg(format!("--log-file={}", log.display()))
        .arg(program)
        .args(child.words())
        .output()
        .map_err(|error| trouble("cannot run valgrind").because(&error))?;
    let report = std::fs::read_to_string(log).unwrap_or_default();
    let counted = parse_allocations(&report).filter(|_| output.status.success());
    counted.ok_or_else(|| {
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        trouble("valgrind did not count").detail(format!("{talk}{report}"))
    })
}

/// The number in `total heap usage: 1,234 allocs, ...`.
fn parse_allocations(report: &str) -> Option<u64> {
    let (_, rest) = report.split_once("total heap usage: ")?;
    let (number, _) = rest.split_once(" allocs")?;
    number.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_summary() {
        let report =
            "==1== HEAP SUMMARY:\n==1==   total heap usage: 1,234,567 allocs, 3 frees, 9 bytes\n";
        assert_eq!(parse_allocations(report), Some(1_234_567));
        assert_eq!(parse_allocations("==1== killed\n"), None);
    }

    #[test]
    fn a_start_costs_no_message() {
        let start = 5000;
        let reached = slope(start + 3 * FEW, start + 3 * MANY);
        assert!((reached - 3.0).abs() < 1e-9);
    }
}
