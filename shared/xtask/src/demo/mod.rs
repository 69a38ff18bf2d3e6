//! `cargo xtask demo`: the product's whole way on one machine, with real certificates, real files, a
//! link that is cut and processes that are killed; and a ledger that must balance.
//!
//! [`scenario`] is the whole of it without the build; a demo shows it once, the evidence repeats it.

mod build;
mod chaos;
mod cut;
mod input;
mod ledger;
pub(crate) mod port;
mod post;
mod proc;
mod site;
mod story;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use qc_core::cli::{Exit, Failure, Globals, Output, Progress, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use serde::Serialize;

use crate::CHORE;
use crate::workspace::Workspace;
pub use build::{binaries, cargo_profile};
pub use cut::Cut;
pub use input::{Delivery, Input, Portion};
pub use ledger::{Ledger, Row};
pub use port::free_ports;
pub use proc::{Lifetime, Proc, Ready};
pub use site::{Node, Site};
pub use story::{Story, Struck, Told};

/// Show the product's whole way on this machine: two sites, one relay, a cut link, killed edges
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Leave everything running and print how to watch and stop it
    #[arg(long)]
    pub keep: bool,

    /// Put configuration, state and logs here (default: demo in the target directory)
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Build the binaries like this
    #[arg(long, value_enum, value_name = "PROFILE", default_value_t = Profile::Release)]
    pub profile: Profile,

    /// Give fewer messages at a faster pace
    #[arg(long)]
    pub fast: bool,

    /// Kill one more process, which one and when is drawn from this seed
    #[arg(long, value_name = "SEED")]
    pub chaos: Option<u64>,

    /// Print the ledger and the paths as JSON
    #[arg(long)]
    pub json: bool,
}

/// How the binaries are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// For a debugger
    Dev,
    /// Release speed without the long link
    Quick,
    /// As they are shipped
    Release,
}

/// How much is given, and how fast.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How often a drop folder is looked at.
    pub poll: Duration,
    /// How long a file must lie still.
    pub settle: Duration,
    /// Portions of the input.
    pub portions: usize,
    /// Time between two of them.
    pub interval: Duration,
    /// At most this many weather records.
    pub max_lines: usize,
    /// After what time a step has failed.
    pub patience: Duration,
}

impl Pace {
    /// For a person to watch: all samples in about a quarter of a minute.
    pub const SHOWN: Self = Self {
        poll: Duration::from_millis(200),
        settle: Duration::from_millis(300),
        portions: 40,
        interval: Duration::from_millis(400),
        max_lines: usize::MAX,
        patience: Duration::from_mins(1),
    };
    /// For many runs.
    pub const FAST: Self = Self {
        poll: Duration::from_millis(20),
        settle: Duration::from_millis(40),
        portions: 20,
        interval: Duration::from_millis(80),
        max_lines: 250,
        patience: Duration::from_secs(30),
    };

    /// About how long messages are under way.
    fn span(&self) -> Duration {
        let portions = u32::try_from(self.portions).unwrap_or(u32::MAX);
        self.interval.saturating_mul(portions) + Duration::from_secs(1)
    }
}

/// What a demo prints with `--json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    balanced: bool,
    #[serde(flatten)]
    told: &'a Told,
    dir: &'a Path,
    given_at: [PathBuf; 2],
    delivered_at: Vec<PathBuf>,
    logs: PathBuf,
    pids: &'a [u32],
    watch: Option<String>,
}

/// Builds, tells the story, prints the ledger.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let globals = Globals {
        json: args.json,
        ..Globals::default()
    };
    let building = clock.instant();
    output.note("build");
    let binaries = binaries(workspace, args.profile)?;
    let built = clock.instant();
    let took = human_duration(built.duration_since(building));
    output.note(&format!("{:<1$}  {took}", "build", Step::COLUMN));

    let dir = match &args.dir {
        Some(dir) => std::path::absolute(dir).map_err(|error| disk(dir, &error))?,
        None => workspace.target_dir()?.join("demo"),
    };
    let pace = if args.fast { Pace::FAST } else { Pace::SHOWN };
    let samples = workspace.root().join("tests/samples");
    let (site, told) = scenario(&dir, &binaries, &samples, &pace, args.chaos, &globals)?;
    let balanced = told.ledger.balances() && told.ledger.waiting() == 0;

    let pids = if args.keep {
        site.leave_running(&pace)?
    } else {
        Vec::new()
    };
    if !args.keep {
        site.stop()?;
    }
    let watch = args.keep.then(|| {
        let top = binaries.join("qc-top");
        format!(
            "{} --socket {}",
            top.display(),
            site.socket(Node::Relay).display()
        )
    });
    let shown = Shown {
        balanced,
        told: &told,
        dir: &dir,
        given_at: [site.drop_files(), site.drop_lines()],
        delivered_at: input::STREAMS.map(|stream| site.delivered(stream)).into(),
        logs: dir.join("logs"),
        pids: &pids,
        watch,
    };
    let time = human_duration(clock.instant().duration_since(built));
    output.result("qc.demo/1", clock.now(), &shown, || text(&shown, &time))?;
    if balanced {
        return Ok(());
    }
    Err(
        Failure::new(Exit::Problems, CHORE, "the ledger does not balance")
            .help(format!("see the logs in {}", shown.logs.display())),
    )
}

/// The whole scenario in `dir`: a world of its own is made, and everything in it happens. The nodes
/// still run when it returns.
pub fn scenario(
    dir: &Path,
    binaries: &Path,
    samples: &Path,
    pace: &Pace,
    chaos: Option<u64>,
    globals: &Globals,
) -> Result<(Site, Told), Failure> {
    let input = Input::load(samples, pace.portions, pace.max_lines)?;
    let site = Site::create(dir, binaries, pace)?;
    let progress = Step::start(globals, "CA and certificates", 0);
    site.found()?;
    site.start(Node::Relay)?;
    site.enroll_at_relay(Node::EdgeA)?;
    site.enroll_at_relay(Node::EdgeB)?;
    progress.finish("relay enrolled by qc-pki, both edges by the relay");

    let progress = Step::start(globals, "three processes", 0);
    site.start(Node::EdgeA)?;
    site.start(Node::EdgeB)?;
    progress.finish("relay, edge-a at site A, edge-b at site B");

    let told = Story::new(&site, &input, pace, globals, chaos).tell()?;
    Ok((site, told))
}

/// One step of the story: its progress, and a closing remark in the second column.
struct Step {
    progress: Progress,
    pad: usize,
}

impl Step {
    const COLUMN: usize = 22;

    fn start(globals: &Globals, label: &str, total: u64) -> Self {
        Self {
            progress: Progress::start(globals, label, total.max(1)),
            pad: Self::COLUMN.saturating_sub(label.len()),
        }
    }

    fn set(&mut self, done: u64) {
        self.progress.set(done);
    }

    fn finish(self, remark: &str) {
        self.progress
            .finish(&format!("{:1$}{remark}", "", self.pad));
    }
}

fn text(shown: &Shown<'_>, time: &str) -> String {
    let told = shown.told;
    let ledger = &told.ledger;
    let count = |of: fn(&Row) -> u64| -> u64 { ledger.rows.iter().map(of).sum() };
    let (taken_in, delivered) = (count(|row| row.taken_in), count(|row| row.delivered));
    let again = match count(|row| row.again) {
        0 => String::new(),
        again => format!(" - {again} again"),
    };
    let mut lines = vec![
        String::new(),
        ledger.text(),
        format!(
            "in {taken_in}{again} = delivered {delivered} + stored {}, gaps {}, duplicates {}: {}",
            count(|row| row.stored),
            count(|row| row.gaps),
            count(|row| row.duplicates),
            if shown.balanced {
                "it balances"
            } else {
                "IT DOES NOT BALANCE"
            }
        ),
        "Every delivered file and line was compared with its original.".to_owned(),
    ];
    if told.known_again > 0 {
        lines.push(
            "One webhook delivery was posted twice: answered as known, kept once.".to_owned(),
        );
    }
    if !again.is_empty() {
        lines.push("AGAIN: given once more after a crash, and known to the relay.".to_owned());
    }
    if let Some(struck) = &told.chance {
        let at = human_duration(Duration::from_millis(struck.after_ms));
        lines.push(format!(
            "Chance killed {} after {at}, during: {}.",
            struck.node, struck.during
        ));
    }
    let paths = [
        ("given to site A", "site-a"),
        ("lies at site B", "site-b"),
        ("state directories", "state"),
        ("CA", "pki"),
        ("configuration", "config"),
        ("logs", "logs"),
    ];
    lines.push(String::new());
    for (what, folder) in paths {
        lines.push(format!("{what:<18} {}", shown.dir.join(folder).display()));
    }
    lines.push(String::new());
    if let Some(watch) = &shown.watch {
        let pids: Vec<String> = shown.pids.iter().rev().map(ToString::to_string).collect();
        lines.push("Everything still runs, also what is dropped at site A:".to_owned());
        for folder in &shown.given_at {
            lines.push(format!("drop   {}", folder.display()));
        }
        lines.push(format!("watch  {watch}"));
        lines.push(format!("stop   kill {}", pids.join(" ")));
    } else {
        lines.push(format!(
            "Done in {time}; every process was stopped. --keep leaves them running."
        ));
    }
    lines.join("\n")
}

/// A failure of the demo's own files.
fn disk(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Disk,
        CHORE,
        format!("the demo cannot use {}", path.display()),
    )
    .because(error)
}

fn trouble(message: String) -> Failure {
    Failure::new(Exit::Other, CHORE, message)
}
