//! Two stories of whole daemons, told longer than a test run has time for: a line that breaks in every
//! way, and a relay in the middle that is away for ten minutes.
//!
//! The story is the test of that name in `tests/stories`; it does the judging, and writes down what it
//! has seen where the environment says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_core::cli::{Exit, Failure, Output};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::config::parse_duration;
use qc_core::durable;
use serde::{Deserialize, Serialize};

use super::kept::{SCHEMA, sources};
use crate::CHORE;
use crate::bench::{self, Environment};
use crate::demo::{self, Profile};
use crate::workspace::Workspace;

/// Arguments of both.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long (default: what the story is about)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    time: Option<Duration>,

    /// The seed that the faults follow from
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,

    /// Build the binaries like this
    #[arg(long, value_enum, value_name = "PROFILE", default_value_t = Profile::Quick)]
    profile: Profile,

    /// Put the nodes here (default: the proof's name in the target directory)
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

/// A story that proves something.
pub(super) struct Story {
    name: &'static str,
    test: &'static str,
    claim: &'static str,
    time: Duration,
}

pub(super) const CHAOS: Story = Story {
    name: "link-chaos",
    test: "bad_lines::everything_crosses_lines_that_break_in_every_way",
    claim: "edge, relay and consumer under load, on lines that are cut, reset, half open, stalled, slow or change \
            bits: every message arrives once and in order, and messages flow again within two seconds of the \
            line being well",
    time: Duration::from_mins(30),
};

pub(super) const TIERS: Story = Story {
    name: "link-tiers",
    test: "bad_lines::nothing_is_lost_while_the_middle_is_away",
    claim: "the relay between an edge and headquarters is killed under load and stays away: nothing is lost, \
            doubled or out of order, and the ledgers of all nodes balance",
    time: Duration::from_mins(10),
};

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Proof {
    schema: String,
    claim: String,
    command: String,
    commit: String,
    sources: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    environment: Environment,
    /// What the story has seen.
    seen: serde_json::Value,
}

const SOURCES: [&str; 5] = [
    "shared/qc-core/src/link",
    "shared/qc-core/src/wire",
    "shared/qc-core/src/reach",
    "shared/qc-core/src/tls",
    "bins",
];

impl Story {
    /// Tells it, and keeps what it has seen; fails when the test does.
    pub(super) fn prove(
        &self,
        args: &Args,
        workspace: &Workspace,
        output: &Output,
    ) -> Result<(), Failure> {
        let dir = match &args.dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| bench::disk(dir, &error))?,
            None => workspace.target_dir()?.join(self.name),
        };
        durable::create_dir_all(&dir, 0o755).map_err(|error| bench::disk(&dir, &error))?;
        let time = args.time.unwrap_or(self.time);
        let environment = Environment::measure(&dir, &SystemClock::default())?;
        let seen = dir.join("seen.json");
        let _of_an_earlier_run = std::fs::remove_file(&seen);
        self.tell(workspace, &dir, &seen, time, args)?;
        let proof = Proof {
            schema: SCHEMA.to_owned(),
            claim: self.claim.to_owned(),
            command: format!(
                "cargo xtask evidence {} --time {}s --seed {} --profile {}",
                self.name,
                time.as_secs(),
                args.seed,
                demo::cargo_profile(args.profile)
            ),
            commit: bench::commit(workspace),
            sources: sources(workspace, &SOURCES),
            date: args.date.clone(),
            environment,
            seen: read(&seen)?,
        };
        if args.record {
            let path = workspace
                .root()
                .join(format!("docs/evidence/{}.json", self.name));
            let mut json = serde_json::to_vec_pretty(&proof).map_err(|error| {
                Failure::new(Exit::Other, CHORE, "cannot write JSON").because(&error)
            })?;
            json.push(b'\n');
            durable::write_atomic(&path, &json, 0o644)
                .map_err(|error| bench::disk(&path, &error))?;
            output.note(&format!("kept in docs/evidence/{}.json", self.name));
        }
        let now = SystemClock::default().now();
        output.result(SCHEMA, now, &proof, || format!("{:#}\n", proof.seen))
    }

    fn tell(
        &self,
        workspace: &Workspace,
        dir: &Path,
        seen: &Path,
        time: Duration,
        args: &Args,
    ) -> Result<(), Failure> {
        let failed = |what: &str| Failure::new(Exit::Problems, CHORE, format!("{what} failed"));
        let profile = demo::cargo_profile(args.profile);
        let build = [
            "build",
            "--locked",
            "--profile",
            profile,
            "--workspace",
            "--bins",
        ];
        let built = workspace.cargo().args(build).status();
        if !built.is_ok_and(|status| status.success()) {
            return Err(failed("the build of the binaries"));
        }
        let told = workspace
            .cargo()
            .args([
                "test",
                "--locked",
                "--profile",
                profile,
                "--package",
                "qc-tests",
            ])
            .args([
                "--test",
                "stories",
                "--",
                "--exact",
                "--nocapture",
                self.test,
            ])
            .env("TMPDIR", dir)
            .env("QC_STORY_SECONDS", time.as_secs().to_string())
            .env("QC_STORY_SEED", args.seed.to_string())
            .env("QC_STORY_SEEN", seen)
            .stdout(std::process::Stdio::null())
            .status();
        if told.is_ok_and(|status| status.success()) {
            Ok(())
        } else {
            Err(failed(self.name)
                .help("the story's words are above; it is tests/stories/bad_lines.rs"))
        }
    }
}

/// A story that was not told leaves nothing: a test that does not exist is no success.
fn read(seen: &Path) -> Result<serde_json::Value, Failure> {
    let nothing = || Failure::new(Exit::Problems, CHORE, "the story has written nothing down");
    let bytes = std::fs::read(seen).map_err(|error| nothing().because(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| nothing().because(&error))
}
