//! Memory of a process that retains much: a child, so that nothing of the bench is in it. It is looked
//! at after it has filled the log, and after another one has opened the same log; and the same without
//! ids shows what knowing duplicates costs.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use qc_core::cli::{Failure, human_bytes};

use super::child::{Args, Then};
use super::{Bench, Findings, GIB, MIB, float, machine, trouble};
use crate::bench::raw::MESSAGE;
use crate::bench::{Bound, Figure, Of, disk};

const GOAL_MIB: f64 = 64.0;
/// For 10 million ids.
const DEDUPE_GOAL_MIB: f64 = 24.0;
const TEN_MILLION: u64 = 10_000_000;
/// Work in the background ends, buffers go back.
const REST: Duration = Duration::from_secs(2);

/// RSS with 1 GiB retained, or 10.
pub(super) fn measure(bench: &Bench) -> Result<Findings, Failure> {
    let retained = if bench.long { 10 * GIB } else { GIB };
    let messages = retained / u64::from(MESSAGE);
    let dir = bench.dir.join("memory");
    let run = |messages, without_keys| {
        resident(&Args {
            dir: dir.clone(),
            messages,
            without_keys,
            dry: false,
            then: Then::Hold,
        })
    };
    let empty = run(0, false)?;
    clear(&dir)?;
    let filled = run(messages, false)?;
    let opened = run(0, false)?;
    clear(&dir)?;
    let unkeyed = run(messages, true)?;
    clear(&dir)?;

    let retained = human_bytes(retained);
    let mib = |bytes: u64| float(bytes) / float(MIB);
    let figure = |name: String, bytes| Figure::of_rounds(name, "MiB", &[mib(bytes)]);
    let goal = |figure: Figure| figure.wants(Of::Value, Bound::AtMost, GOAL_MIB);
    let dedupe = figure(
        format!("memory to know {messages} ids"),
        filled.saturating_sub(unkeyed),
    );
    let mut findings = Findings::default();
    findings.figures.extend([
        figure("RSS with an empty log".to_owned(), empty),
        goal(figure(format!("RSS after filling {retained}"), filled)),
        goal(figure(format!("RSS after opening {retained}"), opened)),
        if messages >= TEN_MILLION {
            dedupe.wants(Of::Value, Bound::AtMost, DEDUPE_GOAL_MIB)
        } else {
            dedupe
        },
    ]);
    if !bench.long {
        findings.skip(
            "RSS with 10 GiB retained, memory of 10 million ids",
            "needs --long",
        );
    }
    Ok(findings)
}

/// RSS of a child at rest.
fn resident(child: &Args) -> Result<u64, Failure> {
    let mut process = child.start()?;
    thread::sleep(REST);
    let resident = machine::resident(process.pid())
        .map_err(|error| trouble("cannot read the child's memory").because(&error))?;
    process.kill()?;
    Ok(resident)
}

fn clear(dir: &PathBuf) -> Result<(), Failure> {
    std::fs::remove_dir_all(dir).map_err(|error| disk(dir, &error))
}
