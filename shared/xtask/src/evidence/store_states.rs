//! Every crash of many workloads of the store on the simulated disk, judged by the oracle; what was
//! found accumulates, one part a commit, so that a long run may be ended and taken up again.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;
use qc_core::cli::{Exit, Failure, Globals, Output, Progress, Table};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::durable;
use qc_core::store::testing::lying::Lie;
use qc_core::store::testing::states::{Explored, Plan};
use serde::{Deserialize, Serialize};

use crate::CHORE;
use crate::bench::{self, Environment};
use crate::workspace::Workspace;

/// Cut the power at every operation of many workloads of the store, on a simulated disk
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on until so many different states have been judged, earlier runs counted (such as 50M)
    #[arg(long, value_name = "N", default_value = "1M", value_parser = parse_count)]
    states: u64,

    /// Threads (default: one a CPU)
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// The most states tried at one cut, before some are cut a second time
    #[arg(long, value_name = "N")]
    images: Option<usize>,

    /// Forget a sync, to see that the loss is found
    #[arg(
        long = "break",
        value_enum,
        value_name = "WHAT",
        conflicts_with = "record"
    )]
    break_: Option<Broken>,

    /// Keep the proof in docs/evidence, under the day that --date names, and go on from what is there
    #[arg(long, requires = "date")]
    record: bool,

    /// The day to record, such as 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = bench::parse_day)]
    date: Option<String>,

    /// Print the proof as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What the simulated disk forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Broken {
    /// Content is never synced
    NoSync,
    /// Names are never synced
    NoSyncDir,
}

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Proof {
    schema: String,
    claim: String,
    command: String,
    /// Different images judged, over all parts.
    states: u64,
    /// How often a rule of the oracle was broken, over all parts.
    broken: u64,
    part: Vec<Part>,
}

/// What one commit came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    commit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    environment: Environment,
    first_seed: u64,
    workloads: u64,
    operations: u64,
    cuts: u64,
    cuts_after: BTreeMap<String, u64>,
    after_one_cut: u64,
    after_two_cuts: u64,
    judged_again: u64,
    records: u64,
    seconds: f64,
    broken: BTreeMap<String, u64>,
    example: Vec<String>,
}

const SCHEMA: &str = "qc.evidence/1";
const CLAIM: &str = "whatever a power cut leaves at any operation, and a second one in the recovery: the log opens \
                     unattended, what was acknowledged is there once, in order, byte for byte, and nothing else is";
const FILE: &str = "docs/evidence/store-states.json";
const MOST_EXAMPLES: usize = 20;

/// Runs workloads until the number is reached; fails if a rule was broken.
pub(super) fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let globals = Globals {
        json: args.json,
        ..Globals::default()
    };
    if cfg!(debug_assertions) {
        output.note("this is a debug build, ten times slower: use cargo run --profile quick --package xtask");
    }
    let path = workspace.root().join(FILE);
    let mut proof = Proof::begin(args);
    if args.record && path.exists() {
        proof.part = load(&path)?.part;
    }
    let commit = bench::commit(workspace);
    let mut next_seed = proof.next_seed();
    let known = proof.part.last().is_some_and(|part| part.commit == commit);
    if !known {
        let dir = workspace.target_dir()?;
        let environment = Environment::measure(&dir, &clock)?;
        proof.part.push(Part::begin(commit, next_seed, environment));
    }

    let mut progress = Progress::start(&globals, "states", args.states);
    while proof.sum() < args.states {
        let mut plan = Plan::new(next_seed);
        plan.threads = args.threads.unwrap_or(plan.threads);
        plan.images = args.images.unwrap_or(plan.images);
        plan.lie = args.break_.map(Broken::lie);
        let begun = clock.instant();
        let found = plan.explore(&|| true);
        let seconds = clock.instant().duration_since(begun).as_secs_f64();
        if let Some(part) = proof.part.last_mut() {
            part.date.clone_from(&args.date);
            part.add(found, seconds);
        }
        proof.total();
        next_seed += 1;
        progress.set(proof.states.min(args.states));
        if args.record {
            keep(&proof, &path)?;
        }
    }
    proof.total();
    progress.finish(&format!("{} states", proof.states));
    if args.record {
        output.note(&format!("kept in {FILE}"));
    }
    output.result(SCHEMA, clock.now(), &proof, || text(&proof))?;
    if proof.broken == 0 {
        return Ok(());
    }
    let message = format!("{} times a rule of the oracle was broken", proof.broken);
    Err(Failure::new(Exit::Problems, CHORE, message)
        .help("what is known of it stands in shared/qc-core/tests/store_states.rs"))
}

impl Broken {
    fn lie(self) -> Lie {
        match self {
            Self::NoSync => Lie::SyncData,
            Self::NoSyncDir => Lie::SyncDir,
        }
    }
}

impl Proof {
    fn begin(args: &Args) -> Self {
        let switch = match args.break_ {
            None => "",
            Some(Broken::NoSync) => " --break no-sync",
            Some(Broken::NoSyncDir) => " --break no-sync-dir",
        };
        let images = args
            .images
            .map_or_else(String::new, |images| format!(" --images {images}"));
        Self {
            schema: SCHEMA.to_owned(),
            claim: CLAIM.to_owned(),
            command: format!(
                "cargo run --profile quick --package xtask -- evidence store-states --states {}{images}{switch}",
                args.states
            ),
            states: 0,
            broken: 0,
            part: Vec::new(),
        }
    }

    /// Seeds are never used twice: another seed is another workload with other keys, so that images of
    /// two seeds are different without being held against each other.
    fn next_seed(&self) -> u64 {
        let after = |part: &Part| part.first_seed + part.workloads;
        self.part.iter().map(after).max().unwrap_or(1)
    }

    fn sum(&self) -> u64 {
        self.part.iter().map(Part::states).sum()
    }

    fn total(&mut self) {
        self.states = self.sum();
        self.broken = self
            .part
            .iter()
            .map(|part| part.broken.values().sum::<u64>())
            .sum();
    }
}

impl Part {
    fn begin(commit: String, first_seed: u64, environment: Environment) -> Self {
        Self {
            commit,
            date: None,
            environment,
            first_seed,
            workloads: 0,
            operations: 0,
            cuts: 0,
            cuts_after: BTreeMap::new(),
            after_one_cut: 0,
            after_two_cuts: 0,
            judged_again: 0,
            records: 0,
            seconds: 0.0,
            broken: BTreeMap::new(),
            example: Vec::new(),
        }
    }

    fn states(&self) -> u64 {
        self.after_one_cut + self.after_two_cuts
    }

    fn add(&mut self, found: Explored, seconds: f64) {
        self.workloads += 1;
        self.operations += found.operations;
        self.cuts += found.cuts_tried;
        for (after, cuts) in found.cuts_after {
            *self.cuts_after.entry(after.to_owned()).or_default() += cuts;
        }
        self.after_one_cut += found.distinct;
        self.after_two_cuts += found.doubled;
        self.judged_again += found.judged_again;
        self.records += found.records;
        self.seconds = ((self.seconds + seconds) * 10.0).round() / 10.0;
        for (rule, times) in found.broken {
            *self.broken.entry(format!("{rule:?}")).or_default() += times;
        }
        let examples = found.examples.into_iter();
        self.example
            .extend(examples.map(|example| format!("{:?}: {}", example.rule, example.text)));
        self.example.truncate(MOST_EXAMPLES);
    }
}

fn load(path: &Path) -> Result<Proof, Failure> {
    let bytes = std::fs::read(path).map_err(|error| bench::disk(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("{} is not a proof of this kind", path.display());
        Failure::new(Exit::Problems, CHORE, message).because(&error)
    })
}

fn keep(proof: &Proof, path: &Path) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(proof)
        .map_err(|error| Failure::new(Exit::Other, CHORE, "cannot write JSON").because(&error))?;
    json.push(b'\n');
    durable::write_atomic(path, &json, 0o644).map_err(|error| bench::disk(path, &error))
}

fn text(proof: &Proof) -> String {
    let mut table = Table::new(&[
        "COMMIT",
        ">WORKLOADS",
        ">CUTS",
        ">STATES",
        ">TWICE CUT",
        ">BROKEN",
    ]);
    for part in &proof.part {
        table.row([
            part.commit.chars().take(12).collect(),
            part.workloads.to_string(),
            part.cuts.to_string(),
            part.states().to_string(),
            part.after_two_cuts.to_string(),
            part.broken.values().sum::<u64>().to_string(),
        ]);
    }
    let broken = proof.part.iter().flat_map(|part| &part.broken);
    let lines = broken.map(|(rule, times)| format!("rule {rule} broken {times} times\n"));
    table.render(true) + &lines.collect::<String>()
}

/// A number with `k` or `M` behind it.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    let (digits, times) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(times))
        .filter(|number| *number > 0)
        .ok_or_else(|| "a number is written 20000, 20k or 50M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (text, number) in [("7", 7), ("20k", 20_000), ("50M", 50_000_000)] {
            assert_eq!(parse_count(text), Ok(number));
        }
        for bad in ["", "0", "M", "1G", "-1", "1.5M"] {
            assert!(parse_count(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_add_up_and_seeds_go_on() {
        let args = Args {
            states: 10,
            threads: None,
            images: None,
            break_: None,
            record: false,
            date: None,
            json: false,
        };
        let mut proof = Proof::begin(&args);
        assert_eq!(proof.next_seed(), 1);
        let found = Explored {
            distinct: 5,
            doubled: 2,
            ..Explored::default()
        };
        for commit in ["a", "b"] {
            let seed = proof.next_seed();
            let mut part = Part::begin(commit.to_owned(), seed, Environment::sample());
            part.add(found.clone(), 1.0);
            part.add(found.clone(), 1.0);
            proof.part.push(part);
        }
        proof.total();
        assert_eq!((proof.next_seed(), proof.states, proof.broken), (5, 28, 0));
        let again: Proof = serde_json::from_slice(&serde_json::to_vec(&proof).unwrap()).unwrap();
        assert_eq!(again.next_seed(), 5);
    }
}
