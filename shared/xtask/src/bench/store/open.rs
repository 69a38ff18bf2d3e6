//! Opening after SIGKILL: a child fills the log and is killed in the middle of appending, then the time
//! of `Log::open` is taken here. For each further round the same log is opened by another child, and that
//! one is killed as well.

use std::time::Duration;

use qc_core::cli::Failure;
use qc_core::clock::Clock as _;

use super::child::{Args, Then};
use super::{Bench, Findings, machine, open_log, trouble};
use crate::bench::raw::MESSAGE;
use crate::bench::{Bound, Figure, Of};

/// How long the child goes on appending before it is killed.
const GOES_ON: Duration = Duration::from_millis(100);
const GIGABYTE: u64 = 1_000_000_000;

/// A log that a process was killed over.
struct Size {
    name: &'static str,
    messages: u64,
    goal_ms: f64,
}

/// 1 GB, and 10 million records when there is time.
pub(super) fn measure(bench: &Bench) -> Result<Findings, Failure> {
    let gigabyte = Size {
        name: "1 GB",
        messages: GIGABYTE / u64::from(MESSAGE),
        goal_ms: 50.0,
    };
    let records = Size {
        name: "10 million records",
        messages: 10_000_000,
        goal_ms: 500.0,
    };
    let mut findings = Findings::default();
    one_size(bench, &gigabyte, &mut findings)?;
    if bench.long {
        one_size(bench, &records, &mut findings)?;
    } else {
        findings.skip("open after SIGKILL, 10 million records", "needs --long");
    }
    Ok(findings)
}

fn one_size(bench: &Bench, size: &Size, findings: &mut Findings) -> Result<(), Failure> {
    let name = format!("open after SIGKILL, {}", size.name);
    let dir = bench.dir.join("open");
    let mut child = Args {
        dir: dir.clone(),
        messages: size.messages,
        without_keys: false,
        dry: false,
        then: Then::Append,
    };
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        warm.push(killed(bench, &child, size.messages)?);
        child.messages = 1;
        if bench.cold {
            kill(&child)?;
            machine::drop_caches()
                .map_err(|error| trouble("cannot drop the machine's caches").because(&error))?;
            cold.push(opened(bench, &child, size.messages)?);
        }
    }
    std::fs::remove_dir_all(&dir).map_err(|error| crate::bench::disk(&dir, &error))?;
    let figure = |name: String, rounds: &[f64]| {
        Figure::of_rounds(name, "ms", rounds).wants(Of::Value, Bound::AtMost, size.goal_ms)
    };
    findings
        .figures
        .push(figure(format!("{name}, warm cache"), &warm));
    if cold.is_empty() {
        findings.skip(&format!("{name}, cold cache"), "needs --cold and root");
    } else {
        findings
            .figures
            .push(figure(format!("{name}, cold cache"), &cold));
    }
    Ok(())
}

/// Kills a child over the log, then takes the time of opening it.
fn killed(bench: &Bench, child: &Args, least: u64) -> Result<f64, Failure> {
    kill(child)?;
    opened(bench, child, least)
}

fn kill(child: &Args) -> Result<(), Failure> {
    let mut process = child.start()?;
    std::thread::sleep(GOES_ON);
    process.kill()?;
    Ok(())
}

/// The time of opening, in milliseconds. A log that lacks what was acknowledged voids the row.
fn opened(bench: &Bench, child: &Args, least: u64) -> Result<f64, Failure> {
    let began = bench.clock.instant();
    let (log, report) = open_log(&child.dir, &bench.clock)?;
    let took = bench.clock.instant().duration_since(began);
    log.close();
    if report.kept < least || !report.damaged.is_empty() {
        let message = format!(
            "the log holds {} messages where {least} were acknowledged",
            report.kept
        );
        return Err(trouble(&message).detail(report.lines().join("\n")));
    }
    Ok(took.as_secs_f64() * 1000.0)
}
