//! Simulated worlds of links, seed after seed, judged by the oracle; what they came to adds up, so that
//! a long run may be ended and taken up again.

use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use qc_core::cli::{Exit, Failure, Globals, Output, Progress, Table};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::config::parse_duration;
use qc_core::link::testing::{Break, Explored, Plan};

use super::kept::{Kept, SCHEMA, Tally, sources};
use super::store_states::parse_count;
use crate::CHORE;
use crate::bench::{self, Environment};
use crate::workspace::Workspace;

/// Let seeds do to two and three linked nodes whatever can happen, on a simulated line, disk and clock
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on until so many seeds with a fault were tried, earlier runs counted (such as 1M)
    #[arg(long, value_name = "N", default_value = "20k", value_parser = parse_count)]
    seeds: u64,

    /// Begin with this seed, to see again what was found there
    #[arg(
        long,
        value_name = "SEED",
        default_value_t = 1,
        conflicts_with = "record"
    )]
    seed: u64,

    /// End after this time, wherever it is
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    time: Option<Duration>,

    /// Threads (default: one a CPU)
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Break a rule on purpose: the run must fail
    #[arg(
        long = "break",
        value_enum,
        value_name = "RULE",
        conflicts_with = "record"
    )]
    broken: Option<Broken>,

    /// Add to the proof in docs/evidence, under the day that --date names
    #[arg(long, requires = "date")]
    record: bool,

    /// The day to record, such as 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = bench::parse_day)]
    date: Option<String>,

    /// Print the proof as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Broken {
    /// A store acknowledges before anything is on disk
    AckBeforeDurable,
    /// A store keeps what comes again
    NoDedupe,
    /// A sender leaves out numbers
    SkipSeq,
    /// A store changes the order of two messages
    Swap,
    /// A sender's disk has changed a body
    Damage,
    /// A sender forgets what nobody has acknowledged
    TrimEarly,
    /// A program takes a call that was cut for one that has ended
    HalfCall,
    /// Nobody dials again
    NoRedial,
    /// A bit turns and is in no count
    Stranger,
    /// A node takes more than it has promised to
    Greedy,
}

impl From<Broken> for Break {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::AckBeforeDurable => Self::AckEarly,
            Broken::NoDedupe => Self::NoDedupe,
            Broken::SkipSeq => Self::SkipSeq,
            Broken::Swap => Self::Swap,
            Broken::Damage => Self::Damage,
            Broken::TrimEarly => Self::TrimEarly,
            Broken::HalfCall => Self::HalfCall,
            Broken::NoRedial => Self::NoRedial,
            Broken::Stranger => Self::Stranger,
            Broken::Greedy => Self::Greedy,
        }
    }
}

const NAME: &str = "link-sim";
const CLAIM: &str = "whatever happens to lines, disks, nodes, programs and clocks: what was accepted arrives once, in \
                     order, byte for byte, nothing else does, nothing is acknowledged that is not on disk, memory \
                     stays within the windows, a call ends whole or as an error, and the same seed gives the same trace";
/// What is proved: the link, what it speaks, and the waiting between attempts.
const SOURCES: [&str; 2] = ["shared/qc-core/src/link", "shared/qc-core/src/wire"];
/// Seeds between two writes of the file.
const SLICE: u64 = 2_000;
/// One world of so many is run twice, and the traces compared.
const AGAIN: u64 = 100;

/// Runs worlds until the number is reached; fails if a rule was broken.
pub(super) fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let globals = Globals {
        json: args.json,
        ..Globals::default()
    };
    if cfg!(debug_assertions) {
        output.note("this is a debug build, ten times slower: use cargo run --profile quick --package xtask");
    }
    let dir = workspace.target_dir()?;
    let mut kept = Kept {
        schema: SCHEMA.to_owned(),
        claim: CLAIM.to_owned(),
        unit: "seeds with a fault".to_owned(),
        command: format!(
            "cargo run --profile quick --package xtask -- evidence {NAME} --seeds {}",
            args.seeds
        ),
        commit: bench::commit(workspace),
        sources: sources(workspace, &SOURCES),
        date: args.date.clone(),
        environment: Environment::measure(&dir, &clock)?,
        seeds: vec![args.seed, args.seed],
        seconds: 0.0,
        tally: Tally::default(),
    };
    let path = workspace.root().join(format!("docs/evidence/{NAME}.json"));
    if args.record
        && let Some(earlier) = Kept::load(&path).filter(|earlier| earlier.adds_to(&kept))
    {
        (kept.seeds, kept.seconds, kept.tally) = (earlier.seeds, earlier.seconds, earlier.tally);
    }
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let begun = clock.instant();
    let before = kept.seconds;
    let seconds = || clock.instant().duration_since(begun).as_secs_f64();
    let in_time = || args.time.is_none_or(|time| seconds() < time.as_secs_f64());
    let mut progress = Progress::start(&globals, "seeds", args.seeds);
    while kept.tally.runs < args.seeds && kept.tally.failures.is_empty() && in_time() {
        let plan = Plan {
            broken: args.broken.map(Break::from),
            ..Plan::new(kept.seeds.last().copied().unwrap_or(1))
        };
        let found = plan.explore(SLICE.min(args.seeds - kept.tally.runs), threads, &in_time);
        kept.seeds = vec![args.seed, found.next_seed];
        repeat(&plan, found.next_seed, &mut kept.tally);
        kept.tally.add(tally(&found));
        kept.seconds = before + (seconds() * 10.0).round() / 10.0;
        progress.set(kept.tally.runs.min(args.seeds));
        if args.record {
            kept.write(&path)?;
        }
    }
    progress.finish(&format!("{} seeds", kept.tally.runs));
    if args.record {
        output.note(&format!("kept in docs/evidence/{NAME}.json"));
    }
    output.result(SCHEMA, clock.now(), &kept, || text(&kept))?;
    if kept.tally.failures.is_empty() && kept.tally.runs > 0 {
        return Ok(());
    }
    let message = format!("{NAME} found {} faults", kept.tally.failures.len());
    Err(Failure::new(Exit::Problems, CHORE, message)
        .detail(kept.tally.failures.join("\n"))
        .help("see one again: cargo xtask evidence link-sim --seed SEED --seeds 1"))
}

/// The same seed twice: some of those from `plan` on.
fn repeat(plan: &Plan, until: u64, tally: &mut Tally) {
    for seed in (plan.seed..until).filter(|seed| seed % AGAIN == 0) {
        let plan = Plan { seed, ..*plan };
        if plan.run().trace != plan.run().trace {
            let text = format!("seed {seed}: the second trace is another one");
            tally.failures.push(text);
        }
        tally.count("seeds run twice with the same trace", 1);
    }
}

fn tally(found: &Explored) -> Tally {
    let mut tally = Tally {
        runs: found.counted,
        ..Tally::default()
    };
    for (fault, (times, worlds)) in &found.faults {
        tally.by.insert(format!("{fault:?}"), *worlds);
        tally.count("faults", *times);
    }
    for (name, count) in [
        ("seeds without a fault, in no other sum", found.idle),
        ("messages stored behind a link", found.stored),
        ("acknowledgements held against a disk", found.acks),
        ("connections", found.connections),
        ("calls that ended whole", found.calls.0),
        ("calls that ended with an error", found.calls.1),
        ("simulated hours", found.time_s / 3600),
    ] {
        tally.count(name, count);
    }
    tally.slowest(
        "from the last fault until all had arrived, simulated",
        found.slowest_ms,
    );
    let examples = found.examples.iter();
    tally.failures = examples
        .map(|broken| format!("seed {}: {:?}: {}", broken.seed, broken.rule, broken.text))
        .collect();
    tally
}

fn text(kept: &Kept) -> String {
    let mut table = Table::new(&["FAULT", ">SEEDS"]);
    for (name, count) in &kept.tally.by {
        table.row([name.clone(), count.to_string()]);
    }
    let mut lines = String::new();
    for (name, count) in &kept.tally.counts {
        let _never_fails = writeln!(lines, "{count} {name}");
    }
    for (name, millis) in &kept.tally.slowest_ms {
        let _never_fails = writeln!(lines, "slowest {name}: {millis} ms");
    }
    format!(
        "{}{lines}{} seeds, {} faults found, {:.0} s\n",
        table.render(true),
        kept.tally.runs,
        kept.tally.failures.len(),
        kept.seconds
    )
}
