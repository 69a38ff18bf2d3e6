//! What all proofs of the store share: their arguments, and how a run is shared out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use qc_core::cli::{Exit, Failure, Globals, Output, Progress, Table};
use qc_core::clock::SystemClock;
use qc_core::durable;

use super::child::now;
use super::watched::Break;
use crate::CHORE;
use crate::bench::{self, Environment};
pub(super) use crate::evidence::kept::Tally;
use crate::evidence::kept::{Kept, SCHEMA, sources};
use crate::workspace::Workspace;

/// Stores at work side by side: their processes wait for the disk more than they compute.
const JOBS: u64 = 4;

/// Arguments of every proof.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many (default: the share of a test run)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: Option<u64>,

    /// The seed that everything follows from
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,

    /// Stores at work side by side
    #[arg(long, value_name = "N", default_value_t = JOBS, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,

    /// Break it on purpose: the run must fail
    #[arg(long = "break", value_enum, value_name = "HOW")]
    pub(super) broken: Option<Break>,

    /// Put the stores here (default: the proof's name in the target directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Add to the proof in docs/evidence, under the day that --date names
    #[arg(long, requires = "date", conflicts_with = "broken")]
    record: bool,

    /// The day to record, such as 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = bench::parse_day)]
    date: Option<String>,

    /// Print the proof as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// What a test run does.
    pub(super) fn share(runs: u64) -> Self {
        Self {
            runs: Some(runs),
            seed: 1,
            jobs: JOBS,
            broken: None,
            dir: None,
            record: false,
            date: None,
            json: true,
        }
    }
}

/// A proof: its words, and what does a share of it.
pub(super) struct Proof {
    pub(super) name: &'static str,
    pub(super) claim: &'static str,
    /// What `runs` counts.
    pub(super) unit: &'static str,
    /// Runs of a test run.
    pub(super) share: u64,
    /// The most runs that one store sees; the next ones begin with another.
    pub(super) chunk: u64,
    /// Whether only one may be at work.
    pub(super) alone: bool,
    /// Whether runs that are added go on where the kept ones end; otherwise they follow from another seed.
    pub(super) goes_on: bool,
    /// Why this machine cannot do it, if it cannot.
    pub(super) lacks: fn() -> Option<String>,
    pub(super) run: fn(&Share<'_>) -> Result<Tally, Failure>,
}

/// One share of a proof.
pub(super) struct Share<'a> {
    /// An empty directory on a real disk.
    pub(super) dir: &'a Path,
    pub(super) seed: u64,
    /// The number of the first run of this share, from zero.
    pub(super) first: u64,
    pub(super) runs: u64,
    pub(super) broken: Option<Break>,
}

impl Share<'_> {
    /// What all shares that follow from the same seed have in common.
    pub(super) fn of_all(&self) -> u64 {
        self.seed.wrapping_sub(self.first)
    }
}

/// What a proof of the store is a proof of.
pub(super) const SOURCES: [&str; 1] = ["shared/qc-core/src/store"];

impl Proof {
    /// Runs it, prints it, keeps it; fails if one run does.
    pub(super) fn prove(
        &self,
        args: &Args,
        workspace: &Workspace,
        output: &Output,
    ) -> Result<(), Failure> {
        if let Some(lacks) = (self.lacks)() {
            let message = format!("{} cannot run here: {lacks}", self.name);
            return Err(Failure::new(Exit::Problems, CHORE, message));
        }
        let runs = args.runs.unwrap_or(self.share);
        let globals = Globals {
            json: args.json,
            ..Globals::default()
        };
        let dir = self.directory(args, workspace)?;
        let mut kept = self.begin(args, workspace, &dir)?;
        let path = workspace
            .root()
            .join(format!("docs/evidence/{}.json", self.name));
        let (mut seed, mut first) = (args.seed, 0);
        if args.record
            && let Some(earlier) = Kept::load(&path).filter(|earlier| earlier.adds_to(&kept))
        {
            // the next runs are others than those that are kept
            let last = earlier.seeds.iter().max().copied();
            if self.goes_on {
                (seed, first) = (last.unwrap_or(seed), earlier.tally.runs);
            } else {
                seed = last.map_or(seed, |last| seed.max(last + 1));
            }
            kept.seconds = earlier.seconds;
            kept.seeds = earlier.seeds;
            kept.tally = earlier.tally;
        }
        if !kept.seeds.contains(&seed) {
            kept.seeds.push(seed);
        }
        let (begin, runs) = (first, first + runs);
        let mut progress = Progress::start(&globals, self.unit, runs - begin);
        let before = kept.clone();
        let mut tally = Tally::default();
        let began = now();
        while first < runs && tally.failures.is_empty() {
            let round = self.round(args, &dir, seed, first, runs)?;
            first += self.planned(args, first, runs).iter().sum::<u64>();
            tally.add(round);
            progress.set(first.min(runs) - begin);
            kept.tally = before.tally.clone();
            kept.tally.add(tally.clone());
            let seconds = now().duration_since(began).as_secs_f64();
            kept.seconds = before.seconds + (seconds * 10.0).round() / 10.0;
            if args.record {
                kept.write(&path)?;
            }
        }
        progress.finish(&format!("{} {}", tally.runs, self.unit));
        if args.record {
            output.note(&format!("kept in docs/evidence/{}.json", self.name));
        }
        output.result(SCHEMA, SystemClock::machine_time(), &kept, || {
            self.text(&tally, now().duration_since(began).as_secs_f64())
        })?;
        self.judge(&tally)
    }

    /// The share of a test run: what it came to, or why this machine cannot do it.
    pub(super) fn check(&self, workspace: &Workspace) -> Result<Result<String, String>, Failure> {
        if let Some(lacks) = (self.lacks)() {
            return Ok(Err(lacks));
        }
        let args = Args::share(self.share);
        let dir = self.directory(&args, workspace)?;
        let mut tally = Tally::default();
        let mut first = 0;
        while first < self.share && tally.failures.is_empty() {
            let round = self.round(&args, &dir, args.seed, first, self.share)?;
            first += self.planned(&args, first, self.share).iter().sum::<u64>();
            tally.add(round);
        }
        self.judge(&tally)?;
        let counts = tally
            .counts
            .iter()
            .map(|(name, count)| format!(", {count} {name}"));
        let skipped = tally
            .skipped
            .iter()
            .map(|what| format!(", SKIPPED: {what}"));
        let rest: String = counts.chain(skipped).collect();
        Ok(Ok(format!("{} {}{rest}", tally.runs, self.unit)))
    }

    fn directory(&self, args: &Args, workspace: &Workspace) -> Result<PathBuf, Failure> {
        let dir = match &args.dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| bench::disk(dir, &error))?,
            None => workspace.target_dir()?.join(self.name),
        };
        durable::create_dir_all(&dir, 0o755).map_err(|error| bench::disk(&dir, &error))?;
        Ok(dir)
    }

    fn begin(&self, args: &Args, workspace: &Workspace, dir: &Path) -> Result<Kept, Failure> {
        let broken = args
            .broken
            .map_or_else(String::new, |how| format!(" --break {}", how.word()));
        let runs = args.runs.unwrap_or(self.share);
        Ok(Kept {
            schema: SCHEMA.to_owned(),
            claim: self.claim.to_owned(),
            unit: self.unit.to_owned(),
            command: format!(
                "cargo xtask evidence {} --runs {runs} --seed {}{broken}",
                self.name, args.seed
            ),
            commit: bench::commit(workspace),
            sources: sources(workspace, &SOURCES),
            date: args.date.clone(),
            environment: Environment::measure(dir, &SystemClock::default())?,
            seeds: Vec::new(),
            seconds: 0.0,
            tally: Tally::default(),
        })
    }

    /// How many runs each job of the round after `first` gets.
    fn planned(&self, args: &Args, first: u64, runs: u64) -> Vec<u64> {
        let jobs = if self.alone { 1 } else { args.jobs };
        let mut left = runs - first;
        let even = left.div_ceil(jobs);
        let mut planned = Vec::new();
        for _ in 0..jobs {
            let share = self.chunk.min(even).min(left);
            if share > 0 {
                planned.push(share);
            }
            left -= share;
        }
        planned
    }

    /// One share for each job, side by side.
    fn round(
        &self,
        args: &Args,
        dir: &Path,
        seed: u64,
        first: u64,
        runs: u64,
    ) -> Result<Tally, Failure> {
        let shares = self.planned(args, first, runs);
        let done: Vec<_> = std::thread::scope(|scope| {
            let mut begin = first;
            let mut jobs = Vec::new();
            for share in shares {
                let own = dir.join(format!("{seed}-{begin}"));
                let from = begin;
                jobs.push(scope.spawn(move || self.share_in(&own, seed, from, share, args.broken)));
                begin += share;
            }
            jobs.into_iter().map(|job| job.join().ok()).collect()
        });
        let mut tally = Tally::default();
        for share in done {
            let share = share.ok_or_else(|| super::child::failed("a harness ended in a panic"))?;
            tally.add(share?);
        }
        Ok(tally)
    }

    /// Does one share in a directory that stays only if something went wrong.
    fn share_in(
        &self,
        dir: &Path,
        seed: u64,
        first: u64,
        runs: u64,
        broken: Option<Break>,
    ) -> Result<Tally, Failure> {
        let disk = |error: std::io::Error| bench::disk(dir, &error);
        if dir.exists() {
            super::disks::release(dir).map_err(disk)?;
            std::fs::remove_dir_all(dir).map_err(disk)?;
        }
        durable::create_dir_all(dir, 0o755).map_err(disk)?;
        let share = Share {
            dir,
            seed: seed.wrapping_mul(0x9e37_79b9).wrapping_add(first),
            first,
            runs,
            broken,
        };
        let mut tally = (self.run)(&share)?;
        if tally.failures.is_empty() {
            std::fs::remove_dir_all(dir).map_err(disk)?;
        }
        for failure in &mut tally.failures {
            *failure = format!("seed {seed}, {} {first} and on: {failure}", self.unit);
        }
        Ok(tally)
    }

    fn judge(&self, tally: &Tally) -> Result<(), Failure> {
        if !tally.failures.is_empty() {
            let message = format!("{} found {} faults", self.name, tally.failures.len());
            return Err(
                Failure::new(Exit::Problems, CHORE, message).detail(tally.failures.join("\n"))
            );
        }
        if tally.runs == 0 {
            let message = format!("{} counted no run", self.name);
            return Err(
                Failure::new(Exit::Problems, CHORE, message).detail(tally.skipped.join("\n"))
            );
        }
        Ok(())
    }

    fn text(&self, tally: &Tally, seconds: f64) -> String {
        let mut table = Table::new(&[self.unit, ">COUNT"]);
        for (name, count) in &tally.by {
            table.row([name.clone(), count.to_string()]);
        }
        let mut text = table.render(true);
        for (name, count) in &tally.counts {
            let _never_fails = writeln!(text, "{count} {name}");
        }
        for (name, millis) in &tally.slowest_ms {
            let _never_fails = writeln!(text, "slowest {name}: {millis} ms");
        }
        for what in &tally.skipped {
            let _never_fails = writeln!(text, "SKIPPED, in no count: {what}");
        }
        let (runs, faults) = (tally.runs, tally.failures.len());
        let _never_fails = writeln!(
            text,
            "{runs} {}, {faults} faults, {seconds:.0} s",
            self.unit
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(chunk: u64, alone: bool) -> Proof {
        Proof {
            name: "test",
            claim: "",
            unit: "runs",
            share: 1,
            chunk,
            alone,
            goes_on: false,
            lacks: || None,
            run: |_| Ok(Tally::default()),
        }
    }

    #[test]
    fn runs_are_shared_out() {
        let args = Args::share(10);
        assert_eq!(proof(100, false).planned(&args, 0, 11), [3, 3, 3, 2]);
        assert_eq!(proof(4, false).planned(&args, 0, 20), [4, 4, 4, 4]);
        assert_eq!(proof(4, false).planned(&args, 16, 20), [1, 1, 1, 1]);
        assert_eq!(proof(4, false).planned(&args, 10, 11), [1]);
        assert_eq!(proof(100, true).planned(&args, 3, 11), [8]);
    }

    #[test]
    fn sums_add_up_and_nothing_is_no_success() {
        let mut tally = Tally::default();
        tally.count("acked", 2);
        tally.skip("mkfs.xfs");
        let mut other = tally.clone();
        other.runs = 3;
        other.slowest("open", 4);
        tally.add(other);
        assert_eq!((tally.runs, tally.counts["acked"]), (3, 4));
        assert_eq!(tally.skipped, ["mkfs.xfs"]);
        assert!(proof(1, true).judge(&tally).is_ok());
        assert!(proof(1, true).judge(&Tally::default()).is_err());
        tally.failures.push("LOST".to_owned());
        assert!(proof(1, true).judge(&tally).is_err());
    }
}
