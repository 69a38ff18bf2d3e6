//! Every fuzz target under libFuzzer, with coverage: executions add up in `docs/evidence/fuzz.json`, what they
//! came to goes on in `tests/fuzz/corpus`.
//!
//! The driver is built apart, with the product's lock and an instrumentation that needs no other compiler. A
//! row of a target counts on while the sources that it runs are the same, and begins anew when they change.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use data_encoding::HEXLOWER;
use qc_core::cli::{Exit, Failure, Globals, Output, Progress, Table};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::config::parse_duration;
use qc_core::durable;
use qc_fuzz::{Target, corpus};
use serde::{Deserialize, Serialize};

use crate::CHORE;
use crate::bench::{self, Environment};
use crate::workspace::{Workspace, spell};

/// Feed every fuzz target with what covers more of it, for a while each
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long each target runs
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    time: Duration,

    /// Only this target (can be repeated)
    #[arg(long, value_name = "NAME", value_parser = named)]
    target: Vec<&'static Target>,

    /// Put the inputs that cover most in the fewest bytes into tests/fuzz/corpus
    #[arg(long)]
    keep: bool,

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

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Proof {
    schema: String,
    claim: String,
    command: String,
    environment: Environment,
    /// Over all targets.
    executions: u64,
    finds: u64,
    target: Vec<Row>,
}

/// What one target came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
    what: String,
    commit: String,
    date: Option<String>,
    /// Git's names for the sources that it runs, and for those of the targets.
    sources: String,
    executions: u64,
    seconds: u64,
    /// Blocks of code that the inputs of the last run reach.
    blocks: u64,
    /// Inputs of the last run's corpus, and their bytes.
    inputs: u64,
    bytes: u64,
    /// The most memory of a run.
    peak_rss_mb: u64,
    /// Inputs that broke it, in hex.
    finds: Vec<String>,
}

const SCHEMA: &str = "qc.evidence/1";
const CLAIM: &str = "whatever bytes come from a peer, a proxy, a file or a person: nothing panics, nothing hangs, nothing \
                     grows beyond 256 MB, and what was taken in comes out again as the same";
const FILE: &str = "docs/evidence/fuzz.json";
const DRIVER: &str = "tests/fuzz/driver";
const TARGETS: &str = "tests/fuzz/src";
/// Counters for every block, and what is compared with what: passes of the compiler, no other one.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing --cfg getrandom_backend=\"linux_getrandom\"";
/// What it is built for, which is what is shipped.
const MACHINE: &str = "x86_64-unknown-linux-gnu";
/// The most memory that any target may take.
const MOST_RSS_MB: u32 = 256;
/// How long one input may take.
const MOST_SECONDS: u32 = 5;
/// What of a corpus is kept: no more inputs than this, short ones first.
const MOST_KEPT: usize = 150;

/// Runs the targets; fails if one was broken.
pub(super) fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let globals = Globals {
        json: args.json,
        ..Globals::default()
    };
    let home = workspace.target_dir()?.join("fuzz");
    durable::create_dir_all(&home, 0o755).map_err(|error| bench::disk(&home, &error))?;
    output.note("building the driver; the first time takes some minutes");
    let driver = build(workspace, &home)?;

    let path = workspace.root().join(FILE);
    let mut proof = Proof {
        schema: SCHEMA.to_owned(),
        claim: CLAIM.to_owned(),
        command: format!("cargo xtask evidence fuzz --time {}s", args.time.as_secs()),
        environment: Environment::measure(&home, &clock)?,
        executions: 0,
        finds: 0,
        target: kept(&path),
    };
    let chosen: Vec<&Target> = match args.target.as_slice() {
        [] => Target::ALL.iter().collect(),
        some => some.to_vec(),
    };
    let mut ran = Vec::new();
    let mut progress = Progress::start(&globals, "targets", chosen.len() as u64);
    for (at, target) in chosen.iter().enumerate() {
        let mut row = fuzz(&driver, &home, target, args.time)?;
        row.commit = bench::commit(workspace);
        row.sources = sources(workspace, target);
        row.date.clone_from(&args.date);
        if args.keep && row.finds.is_empty() {
            keep(&driver, &home, target)?;
        }
        proof.add(row.clone());
        ran.push(row);
        progress.set(at as u64 + 1);
        if args.record {
            write(&proof, &path)?;
        }
    }
    proof.total();
    progress.finish(&format!("{} targets", ran.len()));
    if args.record {
        output.note(&format!("kept in {FILE}"));
    }
    output.result(SCHEMA, clock.now(), &proof, || text(&ran))?;
    judge(&ran)
}

/// Builds the driver and gives its path.
fn build(workspace: &Workspace, home: &Path) -> Result<PathBuf, Failure> {
    // with the versions that are shipped; what only the driver needs is added to the copy
    let lock = |dir: &str| workspace.root().join(dir).join("Cargo.lock");
    let (product, own) = (lock("."), lock(DRIVER));
    std::fs::copy(&product, &own).map_err(|error| bench::disk(&own, &error))?;
    let mut cargo = workspace.cargo();
    cargo
        // with a target named, build scripts and macros stay as they are
        .args(["build", "--release", "--target", MACHINE, "--manifest-path"])
        .arg(workspace.root().join(DRIVER).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(home.join("build"))
        .env("RUSTFLAGS", INSTRUMENTED)
        .env("RUSTC_BOOTSTRAP", "1");
    // a run of cargo inside of cargo would think that it is the outer one
    for inherited in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        cargo.env_remove(inherited);
    }
    let status = cargo.stdout(Stdio::null()).status();
    let what = spell(&cargo);
    match status {
        Ok(status) if status.success() => Ok(home
            .join("build")
            .join(MACHINE)
            .join("release/qc-fuzz-driver")),
        Ok(status) => Err(failed(format!("{what} failed: {status}"))),
        Err(error) => Err(failed(format!("cannot run {what}")).because(&error)),
    }
}

/// One run of one target, from what is kept of it.
fn fuzz(driver: &Path, home: &Path, target: &Target, time: Duration) -> Result<Row, Failure> {
    let (dir, finds) = (home.join(target.name), home.join("finds"));
    unpack(&dir, target)?;
    durable::create_dir_all(&finds, 0o755).map_err(|error| bench::disk(&finds, &error))?;
    let mut command = driving(driver, target);
    let artifact = finds.join(format!("{}-", target.name));
    command.arg(format!("-artifact_prefix={}", artifact.display()));
    command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
    command.arg(format!("-timeout={MOST_SECONDS}"));
    command.args(["-print_final_stats=1", "-reload=0", "-use_value_profile=1"]);
    command.arg(&dir);
    let mut row = Row {
        name: target.name.to_owned(),
        what: target.what.to_owned(),
        ..Row::default()
    };
    let clock = SystemClock::default();
    let began = clock.instant();
    let mut talk = Talk::default();
    let status = hear(&mut command, |line| talk.take(line))?;
    row.seconds = clock.instant().duration_since(began).as_secs();
    row.executions = talk.executions;
    (row.blocks, row.peak_rss_mb) = (talk.blocks, talk.peak_rss_mb);
    for file in files(&dir)? {
        row.inputs += 1;
        row.bytes += file.len() as u64;
    }
    if !status.success() {
        let hex = talk.artifact.and_then(|path| std::fs::read(path).ok());
        let hex = hex.map_or_else(String::new, |bytes| HEXLOWER.encode(&bytes));
        row.finds.push(format!("{hex} {}", talk.last.join(" / ")));
    }
    Ok(row)
}

/// The driver on `target`, with what holds for all that it does.
fn driving(driver: &Path, target: &Target) -> std::process::Command {
    let mut command = std::process::Command::new(driver);
    command.env("QC_FUZZ_TARGET", target.name);
    command.arg(format!("-max_len={}", target.longest));
    command.arg(format!("-rss_limit_mb={MOST_RSS_MB}"));
    command
}

/// Puts the kept inputs of `target` beside those that earlier runs left.
fn unpack(dir: &Path, target: &Target) -> Result<(), Failure> {
    durable::create_dir_all(dir, 0o755).map_err(|error| bench::disk(dir, &error))?;
    for (at, input) in corpus::kept(target).iter().enumerate() {
        let path = dir.join(format!("kept-{at:04}"));
        durable::write_atomic(&path, input, 0o644).map_err(|error| bench::disk(&path, &error))?;
    }
    Ok(())
}

/// The fewest inputs that cover as much as all of them become the kept ones.
fn keep(driver: &Path, home: &Path, target: &Target) -> Result<(), Failure> {
    let (all, few) = (
        home.join(target.name),
        home.join(format!("{}.few", target.name)),
    );
    if few.exists() {
        std::fs::remove_dir_all(&few).map_err(|error| bench::disk(&few, &error))?;
    }
    durable::create_dir_all(&few, 0o755).map_err(|error| bench::disk(&few, &error))?;
    let mut command = driving(driver, target);
    command.arg("-merge=1").arg(&few).arg(&all);
    let status = hear(&mut command, |_| {})?;
    if !status.success() {
        return Err(failed(format!(
            "the corpus of {} cannot be merged: {status}",
            target.name
        )));
    }
    let mut inputs = files(&few)?;
    inputs.sort_by_key(Vec::len);
    inputs.truncate(MOST_KEPT);
    let path = corpus::file(target);
    durable::write_atomic(&path, corpus::text(target, &inputs).as_bytes(), 0o644)
        .map_err(|error| bench::disk(&path, &error))
}

/// The contents of a directory's files.
fn files(dir: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let read = || -> std::io::Result<Vec<Vec<u8>>> {
        let entries = std::fs::read_dir(dir)?;
        entries.map(|entry| std::fs::read(entry?.path())).collect()
    };
    read().map_err(|error| bench::disk(dir, &error))
}

/// Runs a command and hears each line of its stderr.
fn hear(
    command: &mut std::process::Command,
    mut each: impl FnMut(&str),
) -> Result<std::process::ExitStatus, Failure> {
    let what = spell(command);
    let broken = |error: &std::io::Error| failed(format!("cannot run {what}")).because(error);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| broken(&e))?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.map_err(|e| broken(&e))?;
            each(&String::from_utf8_lossy(&line));
        }
    }
    child.wait().map_err(|e| broken(&e))
}

/// What libFuzzer says.
#[derive(Debug, Default, PartialEq)]
struct Talk {
    executions: u64,
    blocks: u64,
    peak_rss_mb: u64,
    /// Where it put an input that broke the target.
    artifact: Option<String>,
    /// Lines that say why.
    last: Vec<String>,
}

impl Talk {
    fn take(&mut self, line: &str) {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        if let Some(found) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = number(found).unwrap_or(0);
        } else if let Some(found) = line.strip_prefix("stat::peak_rss_mb:") {
            self.peak_rss_mb = number(found).unwrap_or(0);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artifact = Some(path.trim().to_owned());
        } else if let Some((_, rest)) = line.split_once(" cov: ") {
            let blocks = rest.split_whitespace().next().and_then(number);
            self.blocks = blocks.unwrap_or(self.blocks);
        } else if line.contains("panicked at") || line.contains("ERROR: libFuzzer") {
            self.last.push(line.to_owned());
        }
    }
}

impl Proof {
    /// Adds a row to what is known of its target, unless that was another program.
    fn add(&mut self, row: Row) {
        match self.target.iter_mut().find(|known| known.name == row.name) {
            Some(known) if known.goes_on_as(&row) => {
                let (executions, seconds) = (known.executions, known.seconds);
                let peak = known.peak_rss_mb;
                *known = row;
                known.executions += executions;
                known.seconds += seconds;
                known.peak_rss_mb = peak.max(known.peak_rss_mb);
            }
            Some(known) => *known = row,
            None => self.target.push(row),
        }
        self.total();
    }

    fn total(&mut self) {
        self.executions = self.target.iter().map(|row| row.executions).sum();
        self.finds = self.target.iter().map(|row| row.finds.len() as u64).sum();
    }
}

impl Row {
    fn goes_on_as(&self, row: &Self) -> bool {
        self.sources == row.sources && !row.sources.contains("dirty") && self.finds.is_empty()
    }
}

/// What `target` runs, by git's names for it; `dirty` when it has changed since.
fn sources(workspace: &Workspace, target: &Target) -> String {
    let paths: Vec<&str> = target.sources.iter().copied().chain([TARGETS]).collect();
    let mut names = Vec::new();
    for path in &paths {
        let mut git = workspace.command("git");
        git.args(["rev-parse", &format!("HEAD:{path}")]);
        let name = Workspace::capture(&mut git);
        let name = name.map_or_else(|_| "dirty".to_owned(), |name| name.trim().to_owned());
        names.push(name.chars().take(12).collect::<String>());
    }
    let mut git = workspace.command("git");
    let changed = Workspace::capture(git.args(["status", "--porcelain", "--"]).args(&paths));
    if changed.map_or(true, |files| !files.trim().is_empty()) {
        names.push("dirty".to_owned());
    }
    names.join(" ")
}

fn kept(path: &Path) -> Vec<Row> {
    let proof = std::fs::read(path).ok();
    let proof = proof.and_then(|bytes| serde_json::from_slice::<Proof>(&bytes).ok());
    let mut rows = proof.map_or_else(Vec::new, |proof| proof.target);
    rows.retain(|row| Target::named(&row.name).is_some());
    rows
}

fn write(proof: &Proof, path: &Path) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(proof)
        .map_err(|error| failed("cannot write JSON".to_owned()).because(&error))?;
    json.push(b'\n');
    durable::write_atomic(path, &json, 0o644).map_err(|error| bench::disk(path, &error))
}

fn judge(ran: &[Row]) -> Result<(), Failure> {
    let finds: Vec<String> = ran
        .iter()
        .flat_map(|row| {
            row.finds
                .iter()
                .map(move |find| format!("{}: {find}", row.name))
        })
        .collect();
    if !finds.is_empty() {
        return Err(failed(format!("{} inputs broke their target", finds.len()))
            .detail(finds.join("\n"))
            .help("mend it, and keep the line in tests/fuzz/found with a word about it"));
    }
    let silent = ran
        .iter()
        .find(|row| row.executions == 0 || row.blocks < 10);
    match silent {
        Some(row) => Err(failed(format!("{} ran nothing", row.name))),
        None => Ok(()),
    }
}

fn text(ran: &[Row]) -> String {
    let mut table = Table::new(&[
        "TARGET",
        ">EXECUTIONS",
        ">A SECOND",
        ">BLOCKS",
        ">INPUTS",
        ">RSS MB",
        ">FINDS",
    ]);
    for row in ran {
        table.row([
            row.name.clone(),
            row.executions.to_string(),
            (row.executions / row.seconds.max(1)).to_string(),
            row.blocks.to_string(),
            row.inputs.to_string(),
            row.peak_rss_mb.to_string(),
            row.finds.len().to_string(),
        ]);
    }
    table.render(true)
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::Problems, CHORE, message)
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

fn named(name: &str) -> Result<&'static Target, String> {
    Target::named(name).ok_or_else(|| {
        let names: Vec<&str> = Target::ALL.iter().map(|target| target.name).collect();
        format!("the targets are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sources: &str, executions: u64) -> Row {
        Row {
            name: "frames".to_owned(),
            sources: sources.to_owned(),
            executions,
            blocks: 50,
            ..Row::default()
        }
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let mut talk = Talk::default();
        for line in [
            "#2\tINITED cov: 15 ft: 16 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#4096\tpulse  cov: 1204 ft: 3016 corp: 90/2Kb lim: 43 exec/s: 2048 rss: 41Mb",
            "thread '<unnamed>' panicked at tests/fuzz/src/frames.rs:52:9:",
            "artifact_prefix='x'; Test unit written to /tmp/frames-crash-00ff",
            "stat::number_of_executed_units: 123456",
            "stat::peak_rss_mb:              44",
        ] {
            talk.take(line);
        }
        assert_eq!(
            (talk.executions, talk.blocks, talk.peak_rss_mb),
            (123_456, 1204, 44)
        );
        assert_eq!(talk.artifact.as_deref(), Some("/tmp/frames-crash-00ff"));
        assert_eq!(talk.last.len(), 1);
    }

    #[test]
    fn rows_add_up_until_their_sources_change() {
        let mut proof = Proof {
            schema: SCHEMA.to_owned(),
            claim: String::new(),
            command: String::new(),
            environment: Environment::sample(),
            executions: 0,
            finds: 0,
            target: Vec::new(),
        };
        for (sources, executions, sum) in
            [("a", 5, 5), ("a", 7, 12), ("b", 3, 3), ("b dirty", 4, 4)]
        {
            proof.add(row(sources, executions));
            assert_eq!(proof.executions, sum, "{sources}");
        }
        let mut broken = row("b dirty", 1);
        broken.finds.push("00".to_owned());
        assert!(judge(&[row("a", 1)]).is_ok());
        assert!(judge(&[broken]).is_err());
        assert!(judge(&[row("a", 0)]).is_err());
    }

    #[test]
    fn every_target_names_sources_that_are_there() {
        let workspace = Workspace::find().unwrap();
        for target in &Target::ALL {
            for source in target.sources.iter().chain([&TARGETS, &DRIVER]) {
                assert!(
                    workspace.root().join(source).exists(),
                    "{}: {source}",
                    target.name
                );
            }
            assert_eq!(named(target.name).unwrap().name, target.name);
        }
        assert!(named("frame").unwrap_err().contains("frames, control"));
    }
}
