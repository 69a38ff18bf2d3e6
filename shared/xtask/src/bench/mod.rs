//! `cargo xtask bench`: figures that mean something elsewhere.
//!
//! A figure is printed and recorded with the machine it was measured on ([`Environment`]: file
//! system, fdatasync time, CPU, kernel) and, where one exists, with its ratio to a raw limit or a peer
//! measured in the same run ([`Figure::ratio_to`]). A bench that writes to tmpfs or overlay is void.
//! Another bench is a module here that fills a [`Run`]; [`raw::limit`] gives it the raw limit to
//! stand beside.

mod authority;
mod environment;
mod figure;
mod fio;
pub mod ingest;
pub mod link;
pub mod raw;
pub mod store;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Subcommand;
use qc_core::cli::{Exit, Failure, Output};
use qc_core::durable;

use crate::CHORE;
use crate::workspace::Workspace;
pub use environment::Environment;
pub(crate) use figure::commit;
pub use figure::{Bound, Figure, Goal, Of, Ratio, Run, Skipped};

/// Measure speed, each figure beside a raw limit of the same run
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    Ingest(ingest::Args),
    Link(link::Args),
    Raw(raw::Args),
    Store(store::Args),
    /// What a row of the store's bench runs as a process of its own
    #[command(hide = true)]
    StoreChild(store::child::Args),
}

/// What every bench takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Write the bench's files here (default: bench in the target directory)
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Repeat everything this often and take medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Keep the figures in docs/evidence, under the day that --date names
    #[arg(long, requires = "date")]
    pub record: bool,

    /// The day to record, such as 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub date: Option<String>,

    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        match &self.bench {
            Bench::Ingest(args) => args.common.json,
            Bench::Link(args) => args.common.json,
            Bench::Raw(args) => args.common.json,
            Bench::Store(args) => args.common.json,
            Bench::StoreChild(_) => false,
        }
    }
}

/// Runs the bench that `args` names.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    match &args.bench {
        Bench::Ingest(args) => ingest::run(args, workspace, output),
        Bench::Link(args) => link::run(args, workspace, output),
        Bench::Raw(args) => raw::run(args, workspace, output),
        Bench::Store(args) => store::run(args, workspace, output),
        Bench::StoreChild(args) => store::child::run(args, output),
    }
}

/// The bench's directory, made if it is missing.
pub fn directory(common: &Common, workspace: &Workspace) -> Result<PathBuf, Failure> {
    let dir = match &common.dir {
        Some(dir) => dir.clone(),
        None => workspace.target_dir()?.join("bench"),
    };
    durable::create_dir_all(&dir, 0o755).map_err(|error| disk(&dir, &error))?;
    Ok(dir)
}

/// The same bench by an xtask built with optimization: what a bench does itself is part of its figures.
fn run_optimized(workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    output.note("building the bench with optimization");
    let failed = |what: &str| Failure::new(Exit::Other, CHORE, format!("{what} failed"));
    let built = workspace
        .cargo()
        .args([
            "build",
            "--locked",
            "--profile",
            "quick",
            "--package",
            "xtask",
        ])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err(failed("the build of the bench"));
    }
    let bench = workspace.target_dir()?.join("quick/xtask");
    let status = Command::new(bench)
        .args(std::env::args_os().skip(1))
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(failed("the bench")),
    }
}

/// A failure of the bench's own disk.
pub(crate) fn disk(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the bench cannot use {}", path.display());
    Failure::new(Exit::Disk, CHORE, message).because(error)
}

pub(crate) fn parse_day(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let digits =
        |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    match parts.as_slice() {
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            Ok(text.to_owned())
        }
        _ => Err("a day is written 2026-11-21".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        assert_eq!(parse_day("2026-11-21").as_deref(), Ok("2026-11-21"));
        for bad in ["", "today", "21.11.2026", "2026-11-1", "2026-11-21-1"] {
            assert!(parse_day(bad).is_err(), "{bad}");
        }
    }
}
