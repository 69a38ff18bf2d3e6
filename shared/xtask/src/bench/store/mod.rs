//! `cargo xtask bench store`: the store through its public face, beside the raw limit of the same run.
//!
//! The raw limit is one writer that overwrites a file of zeros with as many bytes as the messages'
//! bodies have, and calls fdatasync after each batch ([`Kind::Recycled`](super::raw::Kind::Recycled)). What the store adds
//! (ids, envelopes, record headers, the seal) counts against it. Rounds are interleaved, a ratio is taken
//! round by round, and a figure is the median of its rounds.

mod backlog;
mod batch;
pub mod child;
mod cost;
mod device;
pub(super) mod machine;
mod memory;
mod messages;
mod open;
mod producer;
mod producers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use qc_core::cli::{Exit, Failure, Output, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::store::{Log, LogOptions, NodeKey, OpenReport, RealDisk};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use self::messages::{Messages, Pool, streams};
use self::producer::Producer;
use super::figure::{commit, judge};
use super::{Common, Environment, Figure, Run, Skipped, directory, disk, run_optimized};
use crate::CHORE;
use crate::workspace::Workspace;

/// Measure the store beside the raw limit of the disk
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: Common,

    /// Measure this row only; may be given again
    #[arg(long, value_name = "ROW", value_enum)]
    only: Vec<Row>,

    /// Add what takes minutes and tens of gigabytes: 10 GiB retained, 10 million records
    #[arg(long)]
    long: bool,

    /// Open and read from a cold cache too: as root, the whole machine's cache is dropped
    #[arg(long)]
    cold: bool,

    /// Measure each subject this long in each round
    #[arg(long, value_name = "DUR", default_value = "400ms", value_parser = qc_core::cli::parse_duration)]
    time: Duration,
}

/// A row of the bench, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Row {
    /// Batches of 1, 16 and 256 from one producer
    Batch,
    /// 1 to 256 producers that each wait for their own message
    Producers,
    /// 1, 100 and 10,000 streams
    Streams,
    /// With bytes retained
    Retained,
    /// With a reader far behind
    Reader,
    /// Opening after SIGKILL
    Open,
    /// Reading a backlog
    Read,
    /// Memory of a process that retains much
    Memory,
    /// Bytes written to the device, and space taken
    Device,
    /// The writer's CPU time and allocations a message
    Cost,
}

/// What the rows share.
struct Bench {
    dir: PathBuf,
    rounds: u32,
    time: Duration,
    long: bool,
    cold: bool,
    pool: Pool,
    clock: Arc<SystemClock>,
    runtime: Runtime,
}

/// What a row has come to.
#[derive(Debug, Default)]
struct Findings {
    figures: Vec<Figure>,
    skipped: Vec<Skipped>,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// How long the disk gets after each round, so that work in the background meets nobody's figures but
/// those of the round that has caused it.
const SETTLE: Duration = Duration::from_millis(200);

/// Measures the rows, prints them, and fails when a goal is not met.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return run_optimized(workspace, output);
    }
    let clock = Arc::new(SystemClock::default());
    let dir = directory(&args.common, workspace)?.join("store");
    let _left_from_before = std::fs::remove_dir_all(&dir);
    qc_core::durable::create_dir_all(&dir, 0o700).map_err(|error| disk(&dir, &error))?;
    let mut environment = Environment::measure(&dir, clock.as_ref())?;
    let bench = Bench {
        dir,
        rounds: args.common.rounds,
        time: args.time,
        long: args.long,
        cold: args.cold,
        pool: Pool::new(),
        clock,
        runtime: qc_core::service::runtime(0)?,
    };
    let mut all = Findings::default();
    for row in Row::value_variants() {
        if !args.only.is_empty() && !args.only.contains(row) {
            continue;
        }
        output.note(&format!("measuring {}", row.word()));
        let findings = row.measure(&bench)?;
        all.figures.extend(findings.figures);
        all.skipped.extend(findings.skipped);
        environment.probe(&bench.dir, bench.clock.as_ref())?;
    }
    let _space_back = std::fs::remove_dir_all(&bench.dir);
    let run = Run {
        schema: Run::SCHEMA.to_owned(),
        bench: "store".to_owned(),
        command: args.command(),
        commit: commit(workspace),
        date: args.common.date.clone(),
        environment,
        figures: all.figures,
        skipped: all.skipped,
    };
    output.result("qc.bench/1", bench.clock.now(), &run, || run.text())?;
    if let Some(path) = run.record(&args.common, workspace)? {
        output.note(&format!("recorded in {}", path.display()));
    }
    judge(&run.figures)
}

impl Args {
    /// The line that repeats the run.
    fn command(&self) -> String {
        let mut line = format!(
            "cargo xtask bench store --rounds {} --time {}",
            self.common.rounds,
            human_duration(self.time)
        );
        for row in &self.only {
            line.push_str(" --only ");
            line.push_str(&row.word());
        }
        for (given, flag) in [(self.long, " --long"), (self.cold, " --cold")] {
            line.push_str(if given { flag } else { "" });
        }
        line
    }
}

impl Row {
    fn word(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn measure(self, bench: &Bench) -> Result<Findings, Failure> {
        match self {
            Self::Batch => batch::against_raw(bench),
            Self::Producers => producers::measure(bench),
            Self::Streams => batch::over_streams(bench),
            Self::Retained => batch::with_retained(bench),
            Self::Reader => batch::with_reader(bench),
            Self::Open => open::measure(bench),
            Self::Read => backlog::measure(bench),
            Self::Memory => memory::measure(bench),
            Self::Device => device::measure(bench),
            Self::Cost => cost::measure(bench),
        }
    }
}

impl Findings {
    fn skip(&mut self, name: &str, why: impl Into<String>) {
        self.skipped.push(Skipped {
            name: name.to_owned(),
            why: why.into(),
        });
    }
}

impl Bench {
    /// An empty log of this name.
    fn log(&self, name: &str) -> Result<Log, Failure> {
        Ok(open_log(&self.dir.join(name), &self.clock)?.0)
    }

    /// A producer on an empty log.
    fn producer(&self, name: &str, count: u32, batch: u32) -> Result<Producer, Failure> {
        let messages = Messages::new(&self.pool);
        let log = self.log(name)?;
        Ok(Producer::new(name, log, streams(count), messages, batch))
    }

    /// Ends the log in `dir` and gives its space back.
    fn finish(&self, log: &Log, name: &str) -> Result<(), Failure> {
        log.close();
        let dir = self.dir.join(name);
        std::fs::remove_dir_all(&dir).map_err(|error| disk(&dir, &error))?;
        settle();
        Ok(())
    }

    /// Runs a future as a task of the runtime, as the product does.
    fn task<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(future, self.runtime.handle());
        let ended = self.runtime.block_on(tasks.join_next());
        ended
            .expect("one task was started")
            .map_err(|error| trouble("a task of the bench ended in a panic").because(&error))
    }
}

/// Waits until the disk is at rest.
fn settle() {
    thread::sleep(SETTLE);
}

/// Opens the log in `dir` as a daemon does, with the daemon's sizes.
fn open_log(dir: &Path, clock: &Arc<SystemClock>) -> Result<(Log, OpenReport), Failure> {
    let options = LogOptions::new(dir);
    let key = NodeKey::from_bytes([7; 32]);
    qc_core::durable::create_dir_all(dir, 0o700).map_err(|error| disk(dir, &error))?;
    let clock = Arc::<SystemClock>::clone(clock);
    Log::open(Arc::new(RealDisk), &options, key, clock)
        .map_err(|error| trouble("the log does not open").because(&error))
}

fn trouble(what: &str) -> Failure {
    Failure::new(Exit::Other, CHORE, what)
}

/// A count as a number to reckon with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}
