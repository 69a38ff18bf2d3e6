//! The demo's scenario many times, each with one more SIGKILL to a process and at a moment that a seed
//! draws: the ledger must balance every time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qc_core::cli::{Exit, Failure, Globals, Output, Progress, Table};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::durable;
use serde::Serialize;

use crate::CHORE;
use crate::bench::{self, Environment};
use crate::demo::{self, Node, Pace, Profile, Struck, Told};
use crate::workspace::Workspace;

/// Run the demo's scenario many times and kill one more process each time
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    runs: u64,

    /// The seed of the first run; the next ones count on
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,

    /// Build the binaries like this
    #[arg(long, value_enum, value_name = "PROFILE", default_value_t = Profile::Quick)]
    profile: Profile,

    /// Put the runs here; those that fail stay (default: demo-kills in the target directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Keep the proof in docs/evidence, under the day that --date names
    #[arg(long, requires = "date")]
    record: bool,

    /// The day to record, such as 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = bench::parse_day)]
    date: Option<String>,

    /// Print the proof as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is kept.
#[derive(Debug, Serialize)]
struct Proof {
    schema: &'static str,
    claim: &'static str,
    command: String,
    commit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    environment: Environment,
    runs: usize,
    balanced: usize,
    /// Kills at a drawn moment, by process.
    drawn_kills: BTreeMap<&'static str, usize>,
    /// SIGKILLs of every run beside the drawn one.
    scripted_kills: [&'static str; 2],
    messages: u64,
    seconds: f64,
    run: Vec<OneRun>,
}

/// One run of the scenario.
#[derive(Debug, Serialize)]
struct OneRun {
    seed: u64,
    balanced: bool,
    #[serde(flatten)]
    killed: Option<Struck>,
    given: u64,
    taken_in_again: u64,
    delivered: u64,
    stored: u64,
    gaps: u64,
    duplicates: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

const SCHEMA: &str = "qc.evidence/1";
const CLAIM: &str = "killing any process at any moment of the demo never changes its ledger: \
                     in = delivered + stored, gaps 0, duplicates 0";

/// Runs them all; fails if one does not balance.
pub(super) fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let globals = Globals {
        json: args.json,
        ..Globals::default()
    };
    let binaries = demo::binaries(workspace, args.profile)?;
    let dir = match &args.dir {
        Some(dir) => std::path::absolute(dir).map_err(|error| bench::disk(dir, &error))?,
        None => workspace.target_dir()?.join("demo-kills"),
    };
    durable::create_dir_all(&dir, 0o755).map_err(|error| bench::disk(&dir, &error))?;
    let environment = Environment::measure(&dir, &clock)?;
    let commit = bench::commit(workspace);

    let mut progress = Progress::start(&globals, "runs", args.runs);
    let begun = clock.instant();
    let mut runs = Vec::new();
    for (done, seed) in (1..).zip(args.seed..args.seed.saturating_add(args.runs)) {
        let run = one(seed, &dir, &binaries, workspace)?;
        if !run.balanced {
            let why = run.failure.clone().unwrap_or_default();
            output.warn(&format!(
                "seed {seed} does not balance; {why} see {}/{seed}",
                dir.display()
            ));
        }
        runs.push(run);
        progress.set(done);
    }
    let balanced = runs.iter().filter(|run| run.balanced).count();
    progress.finish(&format!("{balanced} of {} balance", runs.len()));

    let proof = Proof {
        schema: SCHEMA,
        claim: CLAIM,
        command: format!(
            "cargo xtask evidence demo-kills --runs {} --seed {} --profile {}",
            args.runs,
            args.seed,
            demo::cargo_profile(args.profile)
        ),
        commit,
        date: args.date.clone(),
        environment,
        balanced,
        drawn_kills: Node::ALL
            .map(|node| (node.name(), runs.iter().filter(|run| run.hit(node)).count()))
            .into(),
        scripted_kills: [Node::EdgeA.name(), Node::EdgeB.name()],
        messages: runs.iter().map(|run| run.given).sum(),
        seconds: clock.instant().duration_since(begun).as_secs_f64().round(),
        runs: runs.len(),
        run: runs,
    };
    if args.record {
        let name = "docs/evidence/demo-kills.json";
        keep(&proof, &workspace.root().join(name))?;
        output.note(&format!("kept in {name}"));
    }
    output.result(SCHEMA, clock.now(), &proof, || text(&proof))?;
    if balanced == proof.runs {
        return Ok(());
    }
    let message = format!(
        "{} of {} runs do not balance",
        proof.runs - balanced,
        proof.runs
    );
    Err(Failure::new(Exit::Problems, CHORE, message)
        .help("repeat one: cargo xtask demo --fast --profile quick --chaos SEED"))
}

/// One run; its directory stays if it fails.
fn one(seed: u64, dir: &Path, binaries: &Path, workspace: &Workspace) -> Result<OneRun, Failure> {
    let clock = SystemClock::default();
    let begun = clock.instant();
    let dir = dir.join(seed.to_string());
    let samples = workspace.root().join("tests/samples");
    let silent = Globals {
        quiet: true,
        ..Globals::default()
    };
    let told = demo::scenario(&dir, binaries, &samples, &Pace::FAST, Some(seed), &silent)
        .and_then(|(site, told)| site.stop().map(|()| told));
    let seconds = clock.instant().duration_since(begun).as_secs_f64();
    let run = OneRun::of(seed, (seconds * 10.0).round() / 10.0, told);
    if run.balanced {
        std::fs::remove_dir_all(&dir).map_err(|error| bench::disk(&dir, &error))?;
    }
    Ok(run)
}

impl OneRun {
    fn of(seed: u64, seconds: f64, told: Result<Told, Failure>) -> Self {
        let (told, failure) = match told {
            Ok(told) => (told, None),
            Err(failure) => (Told::default(), Some(failure.to_string())),
        };
        let count = |of: fn(&demo::Row) -> u64| told.ledger.rows.iter().map(of).sum();
        Self {
            seed,
            balanced: told.ledger.balances() && told.ledger.waiting() == 0,
            given: count(|row| row.given),
            taken_in_again: count(|row| row.again),
            delivered: count(|row| row.delivered),
            stored: count(|row| row.stored),
            gaps: count(|row| row.gaps),
            duplicates: count(|row| row.duplicates),
            killed: told.chance,
            seconds,
            failure,
        }
    }

    fn hit(&self, node: Node) -> bool {
        self.killed
            .as_ref()
            .is_some_and(|killed| killed.node == node.name())
    }
}

fn keep(proof: &Proof, path: &Path) -> Result<(), Failure> {
    let failed = |message: String| Failure::new(Exit::Disk, CHORE, message);
    let mut json = serde_json::to_vec_pretty(proof)
        .map_err(|error| failed("cannot write JSON".to_owned()).because(&error))?;
    json.push(b'\n');
    durable::write_atomic(path, &json, 0o644)
        .map_err(|error| failed(format!("cannot write {}", path.display())).because(&error))
}

fn text(proof: &Proof) -> String {
    let mut table = Table::new(&["DRAWN KILL", ">RUNS", ">BALANCED"]);
    for node in Node::ALL {
        let hit = proof.run.iter().filter(|run| run.hit(node));
        let balanced = hit.clone().filter(|run| run.balanced).count();
        table.row([
            node.name().to_owned(),
            hit.count().to_string(),
            balanced.to_string(),
        ]);
    }
    format!(
        "{}{} of {} runs balance, {} messages, {} s\n",
        table.render(true),
        proof.balanced,
        proof.runs,
        proof.messages,
        proof.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_never_balances() {
        let failed = Err(Failure::new(Exit::Other, CHORE, "edge-a ended by itself"));
        let run = OneRun::of(7, 1.0, failed);
        assert!(!run.balanced);
        assert!(run.failure.unwrap().contains("edge-a ended"));
        assert!(
            !OneRun::of(7, 1.0, Ok(Told::default())).balanced,
            "nothing is no success"
        );
    }
}
