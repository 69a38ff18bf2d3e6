//! `cargo xtask test`: the one test command, for people and for CI.
//!
//! Cheap steps come first. The first failure stops the run and says how to repeat that step alone.

mod steps;
mod tools;

use std::time::Duration;

use qc_core::cli::{Exit, Failure, Output, Table, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use serde::Serialize;

use crate::CHORE;
use crate::workspace::Workspace;

/// Run every check: format, house rules, clippy, each feature alone, all tests
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Install the Debian packages that tests need, instead of naming them
    #[arg(long)]
    install: bool,

    /// Leave out the single features and the stories that run the binaries
    #[arg(long)]
    quick: bool,

    /// Print the steps as JSON; what the tools say goes to stderr
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a step came to.
#[derive(Debug, Clone, Serialize)]
struct Row {
    step: &'static str,
    result: &'static str,
    seconds: f64,
    note: String,
}

/// Runs the steps in order and prints their table.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let mut rows = Vec::new();
    let mut failed = None;
    for step in steps::plan(args.install, args.quick) {
        if !args.json {
            output.note(&format!("== {}: {}", step.name, step.repeat));
        }
        let started = clock.instant();
        let outcome = (step.run)(workspace, args.json);
        let time = clock.instant().duration_since(started);
        let (result, note) = match outcome {
            Ok(steps::Done::Passed(note)) => ("ok", note),
            Ok(steps::Done::Skipped(why)) => ("skipped", why),
            Err(failure) => {
                failed = Some(failure.help(format!("repeat this step: {}", step.repeat)));
                ("FAILED", String::new())
            }
        };
        rows.push(Row {
            step: step.name,
            result,
            seconds: seconds(time),
            note,
        });
        if failed.is_some() {
            break;
        }
    }
    report(output, &rows)?;
    failed.map_or(Ok(()), Err)
}

fn report(output: &Output, rows: &[Row]) -> Result<(), Failure> {
    let total = Duration::from_secs_f64(rows.iter().map(|row| row.seconds).sum());
    output.result("qc.xtask.test/1", SystemClock::machine_time(), rows, || {
        let mut table = Table::new(&["STEP", "RESULT", ">SECONDS", "NOTE"]);
        for row in rows {
            let seconds = format!("{:.1}", row.seconds);
            table.row([
                row.step.to_owned(),
                row.result.to_owned(),
                seconds,
                row.note.clone(),
            ]);
        }
        format!("{}total {}", table.render(true), human_duration(total))
    })
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

fn failure(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Problems, CHORE, message)
}
