//! A power cut under ours and under others, in one harness: each writes to an ext4 on the recorded block
//! device, the power goes right after one of its acknowledgements, the image is mounted, the server is
//! started on it, and what it has acknowledged until then is asked for.
//!
//! The device is cut, not a machine: what a server or the kernel held in memory is gone in either case, and
//! the device may also lose or tear what was not flushed. `--vm` cuts a whole machine with each of them in it
//! (see `vm`). What is not run again stays in the table with the commit that it was run at.

pub mod guest;
mod guests;
mod machine;
mod mqtt;
mod nats;
mod peers;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_core::cli::{Exit, Failure, Globals, Output, Progress, Table};
use qc_core::clock::SystemClock;
use qc_core::durable;
use serde::{Deserialize, Serialize};

use self::peers::{Kind, Peer};
use super::child::now;
use super::cut::{Aside, Cutter};
use super::device::{self, Device};
use super::disks::{Mounted, make_ext4, release};
use super::images;
use super::proof::{SOURCES, Share};
use super::vm::{self, Parts};
use super::watched::Break;
use crate::CHORE;
use crate::bench::{self, Environment};
use crate::evidence::kept::{Tally, sources, sources_at};
use crate::workspace::{Workspace, which};

/// Cut the power under the store and under the servers beside it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Power cuts of each
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    cuts: u64,

    /// Cuts of one recording; the next ones belong to another
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    each: u64,

    /// How long each server is given messages
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    seconds: u64,

    /// One more nats-server (can be repeated)
    #[arg(long, value_name = "FILE")]
    nats: Vec<PathBuf>,

    /// The store only; the others stay in the table as they are
    #[arg(long)]
    ours: bool,

    /// Each in a machine of its own: QEMU, its firmware, a kernel and busybox, unpacked here
    #[arg(long, value_name = "DIR")]
    vm: Option<PathBuf>,

    /// Break the store on purpose in the machine, and run nothing else: the run must fail
    #[arg(
        long = "break",
        value_enum,
        value_name = "HOW",
        requires = "vm",
        conflicts_with = "record"
    )]
    broken: Option<Break>,

    /// The seed that everything follows from
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,

    /// Put the disks here (default: store-power in the target directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Keep the table in docs/evidence, under the day that --date names
    #[arg(long, requires = "date")]
    record: bool,

    /// The day to record, such as 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = bench::parse_day)]
    date: Option<String>,

    /// Print the table as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    schema: String,
    claim: String,
    command: String,
    commit: String,
    /// How long each server was given messages, the cuts being somewhere in that time.
    seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    environment: Environment,
    rows: Vec<Row>,
    skipped: Vec<String>,
}

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    server: String,
    settings: String,
    /// What it was run at; none in a table of one commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// The command, where it is another than the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// Runs before that, of the same store, which are in the sums.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
    cuts: u64,
    cuts_with_loss: u64,
    starts_refused: u64,
    /// Acknowledged before the cut, over all cuts.
    acknowledged: u64,
    /// Of those, not there afterwards.
    lost: u64,
}

/// A run that a row adds to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Earlier {
    commit: String,
    command: String,
}

const SCHEMA: &str = "qc.evidence/1";
const CLAIM: &str = "a power cut takes nothing of what the store has acknowledged; what it takes of others, each as it \
                     is delivered and at its own safest setting, stands beside it";
const DISK: u64 = 96 << 20;

/// Cuts, prints, keeps; fails if ours lost anything.
pub(crate) fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    if let Some(lacks) = device::lacks() {
        let message = format!("store-power cannot run here: {lacks}");
        return Err(Failure::new(Exit::Problems, CHORE, message));
    }
    let dir = match &args.dir {
        Some(dir) => std::path::absolute(dir).map_err(|error| bench::disk(dir, &error))?,
        None => workspace.target_dir()?.join("store-power"),
    };
    let io = |error: std::io::Error| bench::disk(&dir, &error);
    durable::create_dir_all(&dir, 0o755).map_err(io)?;
    let environment = Environment::measure(&dir, &SystemClock::default())?;
    let parts = args.vm.as_deref().map(parts).transpose()?;
    let (peers, skipped) = if args.ours || args.broken.is_some() {
        (Vec::new(), Vec::new())
    } else {
        peers(args, &dir).map_err(io)?
    };
    for what in &skipped {
        output.warn(&format!("SKIPPED: {what}"));
    }
    let globals = Globals {
        json: args.json,
        ..Globals::default()
    };
    let rounds = args.cuts.div_ceil(args.each);
    let mut progress = Progress::start(&globals, "recordings", rounds * (peers.len() as u64 + 1));
    let mut faults = Vec::new();
    let mut details = String::new();
    let mut kept = Kept {
        schema: SCHEMA.to_owned(),
        claim: CLAIM.to_owned(),
        command: command(args),
        commit: bench::commit(workspace),
        seconds: args.seconds,
        date: args.date.clone(),
        environment,
        rows: Vec::new(),
        skipped,
    };
    let evidence = workspace.root().join("docs/evidence");
    let added = args.ours || parts.is_some();
    for place in 0..=peers.len() {
        let peer = place.checked_sub(1).and_then(|at| peers.get(at));
        let mut row = Row::default();
        let mut sums = Tally::default();
        for round in 0..rounds {
            let own = dir.join(format!("{place}-{round}"));
            if own.exists() {
                release(&own).map_err(io)?;
                std::fs::remove_dir_all(&own).map_err(io)?;
            }
            durable::create_dir_all(&own, 0o755).map_err(io)?;
            let share = Share {
                dir: &own,
                seed: args.seed.wrapping_mul(0x9e37_79b9).wrapping_add(round),
                first: round * args.each,
                runs: args.each.min(args.cuts - round * args.each),
                broken: args.broken,
            };
            let (one, tally) = match (peer, &parts) {
                (None, Some(parts)) => {
                    let tally = machine::cuts(&share, parts)?;
                    (Row::ours(&tally, Some(parts)), tally)
                }
                (None, None) => {
                    let tally = images::after_acks(&share)?;
                    (Row::ours(&tally, None), tally)
                }
                (Some(peer), Some(parts)) => {
                    let tally = guests::cuts(peer, &share, parts)?;
                    (Row::theirs(peer, &tally, parts), tally)
                }
                (Some(peer), None) => {
                    let row = beside(peer, &share, args.seconds).map_err(io)?;
                    (row, Tally::default())
                }
            };
            row.add(&one);
            faults.extend(tally.failures.clone());
            sums.add(tally);
            std::fs::remove_dir_all(&own).map_err(io)?;
            progress.set(place as u64 * rounds + round + 1);
        }
        details.push_str(&row.details(&sums));
        if args.record && added {
            // an hour's run that is ended keeps what it has come to
            let table = kept.with(&row, &evidence.join("store-power.json"), &stays(workspace))?;
            keep(&table, &evidence)?;
        }
        kept.rows.push(row);
    }
    progress.finish(&format!("{} servers", kept.rows.len()));
    if args.record && !added {
        keep(&kept, &evidence)?;
    }
    if args.record {
        output.note("kept in docs/evidence/store-power.json and store-power.md");
    }
    output.result(SCHEMA, SystemClock::machine_time(), &kept, || {
        text(&kept.rows) + &details
    })?;
    if faults.is_empty() {
        return Ok(());
    }
    let message = format!("the store has {} faults after power cuts", faults.len());
    Err(Failure::new(Exit::Problems, CHORE, message).detail(faults.join("\n")))
}

fn command(args: &Args) -> String {
    let mut text = format!(
        "cargo xtask evidence store-power --cuts {} --each {}",
        args.cuts, args.each
    );
    if args.ours {
        text.push_str(" --ours");
    }
    match args.vm {
        Some(_) => text.push_str(" --vm DIR"),
        None if args.ours => {}
        None => {
            let _never_fails = write!(text, " --seconds {}", args.seconds);
        }
    }
    let _never_fails = write!(text, " --seed {}", args.seed);
    text + &" --nats FILE".repeat(args.nats.len())
}

/// Whether what a commit was run with is the store of today.
fn stays(workspace: &Workspace) -> impl Fn(&str) -> bool {
    let today = sources(workspace, &SOURCES);
    move |commit| sources_at(workspace, commit, &SOURCES).is_some_and(|then| then == today)
}

/// What a machine is made of, or how to get it.
fn parts(root: &Path) -> Result<Parts, Failure> {
    Parts::find(root).map_err(|error| {
        let message = format!("{} holds no machine", root.display());
        Failure::new(Exit::Problems, CHORE, message)
            .because(&error)
            .help(format!("make one: {}", vm::HOW))
    })
}

/// The servers of this machine, each twice, and those that are not there.
fn peers(args: &Args, dir: &Path) -> std::io::Result<(Vec<Peer>, Vec<String>)> {
    let (mut peers, mut skipped) = (Vec::new(), Vec::new());
    let mut both = |program: PathBuf, kind| {
        peers.extend([false, true].map(|safest| Peer {
            program: program.clone(),
            kind,
            safest,
        }));
    };
    for (name, kind) in [("nats-server", Kind::Nats), ("mosquitto", Kind::Mosquitto)] {
        let system = Path::new("/usr/sbin").join(name);
        match which(name).or_else(|| system.is_file().then_some(system)) {
            Some(program) => both(program, kind),
            None => skipped.push(format!("{name} is not installed (Debian package {name})")),
        }
    }
    for program in &args.nats {
        both(program.clone(), Kind::Nats);
    }
    let mut able = Vec::new();
    for peer in peers {
        if peer.takes_its_settings(dir)? {
            able.push(peer);
        } else {
            skipped.push(format!(
                "{} does not take {}",
                peer.version(),
                peer.settings()
            ));
        }
    }
    Ok((able, skipped))
}

/// One recording of a peer, and its cuts.
fn beside(peer: &Peer, share: &Share<'_>, seconds: u64) -> std::io::Result<Row> {
    let names = ["base", "image", "device", "mount", "log", "config"];
    let [base, image, file, mount, log, config] = names.map(|name| share.dir.join(name));
    make_ext4(&base, DISK)?;
    std::fs::copy(&base, &image)?;
    let mut acks: Vec<(usize, u64)> = Vec::new();
    let events = {
        let device = Device::serve(&image, &file, Some(&log))?;
        let mounted = Mounted::loop_on(&device.file, &mount)?;
        let data = mount.join("data");
        std::fs::create_dir(&data)?;
        let server = peer.start(&data, &config)?;
        let until = now() + Duration::from_secs(seconds);
        peer.publish(&server, until, &mut |number| {
            acks.push((device.happened(), number));
        })?;
        let events = device.events();
        drop(server);
        drop(mounted);
        events
    };
    let mut random = fastrand::Rng::with_seed(share.seed);
    let mut last: Vec<usize> = (0..share.runs)
        .map(|_| random.usize(0..acks.len().max(1)))
        .collect();
    last.sort_unstable();
    let mut cutter = Cutter::new(&base, &log, events)?;
    let aside = Aside::new(share, DISK)?;
    let image = aside.image();
    let mut row = Row {
        server: peer.version(),
        settings: peer.settings().to_owned(),
        ..Row::default()
    };
    for last in last {
        let known = acks.get(..=last).unwrap_or_default();
        let cut = known.last().map_or(0, |(events, _)| *events);
        cutter.image(cut, &image, &mut random)?;
        let bound = known
            .iter()
            .map(|(_, number)| number + 1)
            .max()
            .unwrap_or(0);
        let mounted = Mounted::cached(&image, &mount)?;
        let data = mount.join("data");
        // a cut before the directory was safe leaves none: an operator would make it again
        std::fs::create_dir_all(&data)?;
        row.cuts += 1;
        row.acknowledged += known.len() as u64;
        let asked = peer
            .start(&data, &config)
            .and_then(|server| peer.present(&server, bound));
        let present = asked.unwrap_or_else(|_| {
            row.starts_refused += 1;
            std::collections::BTreeSet::new()
        });
        let lost = known
            .iter()
            .filter(|(_, number)| !present.contains(number))
            .count() as u64;
        row.lost += lost;
        row.cuts_with_loss += u64::from(lost > 0);
        drop(mounted);
    }
    Ok(row)
}

impl Row {
    /// Ours from the proof with images, which stops at its first fault.
    fn ours(tally: &Tally, parts: Option<&Parts>) -> Self {
        let count = |name: &str| tally.counts.get(name).copied().unwrap_or(0);
        Self {
            server: format!("qc store {}", env!("CARGO_PKG_VERSION")),
            settings: parts.map_or_else(
                || "default, the only one".to_owned(),
                |parts| in_machine("default", parts),
            ),
            cuts: tally.runs,
            cuts_with_loss: u64::from(!tally.failures.is_empty()),
            acknowledged: count(guests::ACKNOWLEDGED),
            lost: u64::from(!tally.failures.is_empty()),
            ..Self::default()
        }
    }

    /// A server beside it in a machine.
    fn theirs(peer: &Peer, tally: &Tally, parts: &Parts) -> Self {
        let count = |name: &str| tally.counts.get(name).copied().unwrap_or(0);
        Self {
            server: peer.version(),
            settings: in_machine(peer.settings(), parts),
            cuts: tally.runs,
            cuts_with_loss: count(guests::WITH_LOSS),
            starts_refused: count(guests::REFUSED),
            acknowledged: count(guests::ACKNOWLEDGED),
            lost: count(guests::LOST),
            ..Self::default()
        }
    }

    fn add(&mut self, more: &Self) {
        self.server.clone_from(&more.server);
        self.settings.clone_from(&more.settings);
        self.cuts += more.cuts;
        self.cuts_with_loss += more.cuts_with_loss;
        self.starts_refused += more.starts_refused;
        self.acknowledged += more.acknowledged;
        self.lost += more.lost;
    }

    fn share(&self) -> String {
        let lost = u32::try_from(self.lost).unwrap_or(u32::MAX);
        let all = u32::try_from(self.acknowledged.max(1)).unwrap_or(u32::MAX);
        format!("{:.1} %", f64::from(lost) * 100.0 / f64::from(all))
    }

    /// What else was counted, a line each.
    fn details(&self, tally: &Tally) -> String {
        let by = tally.by.iter().chain(&tally.counts);
        let lines = by.map(|(name, count)| format!("{}: {count} {name}\n", self.server));
        let slowest = tally.slowest_ms.iter();
        let slowest =
            slowest.map(|(name, millis)| format!("{}: slowest {name} {millis} ms\n", self.server));
        lines.chain(slowest).collect()
    }

    /// The runs that its sums are of, if they are not the table's.
    fn runs(&self) -> Vec<Earlier> {
        let mut runs = self.earlier.clone();
        if let (Some(commit), Some(command)) = (self.commit.clone(), self.command.clone()) {
            runs.push(Earlier { commit, command });
        }
        runs
    }
}

fn in_machine(settings: &str, parts: &Parts) -> String {
    format!("{settings}; a whole machine: {}", parts.words())
}

impl Kept {
    /// The table that is there with one more row of this run. A row that is there is added to, if it is of
    /// a commit whose store `stays` what it was and of other commands; otherwise it begins anew.
    fn with(&self, row: &Row, path: &Path, stays: &dyn Fn(&str) -> bool) -> Result<Self, Failure> {
        let mut table = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let message = format!("{} is no table of power cuts", path.display());
                Failure::new(Exit::Problems, CHORE, message).because(&error)
            })?,
            Err(_) => Self {
                rows: Vec::new(),
                ..self.clone()
            },
        };
        let mut row = row.clone();
        row.commit = Some(self.commit.clone());
        row.command = Some(self.command.clone());
        let same =
            |known: &&mut Row| (&known.server, &known.settings) == (&row.server, &row.settings);
        match table.rows.iter_mut().find(same) {
            Some(known) => {
                let runs = known.runs();
                let adds = |run: &Earlier| stays(&run.commit) && run.command != self.command;
                if !runs.is_empty() && runs.iter().all(adds) {
                    row.add(&known.clone());
                    row.earlier = runs;
                }
                *known = row;
            }
            None => table.rows.push(row),
        }
        for what in &self.skipped {
            if !table.skipped.contains(what) {
                table.skipped.push(what.clone());
            }
        }
        Ok(table)
    }
}

fn text(rows: &[Row]) -> String {
    let heads = [
        "SERVER",
        "SETTINGS",
        ">CUTS",
        ">WITH LOSS",
        ">WOULD NOT START",
        ">ACKNOWLEDGED",
        ">LOST",
        ">SHARE",
    ];
    let mut table = Table::new(&heads);
    for row in rows {
        table.row(cells(row));
    }
    table.render(true)
}

fn cells(row: &Row) -> [String; 8] {
    [
        row.server.clone(),
        row.settings.clone(),
        row.cuts.to_string(),
        row.cuts_with_loss.to_string(),
        row.starts_refused.to_string(),
        row.acknowledged.to_string(),
        row.lost.to_string(),
        row.share(),
    ]
}

fn keep(kept: &Kept, dir: &Path) -> Result<(), Failure> {
    let failed = |message: String| Failure::new(Exit::Disk, CHORE, message);
    let mut json = serde_json::to_vec_pretty(kept)
        .map_err(|error| failed("cannot write JSON".to_owned()).because(&error))?;
    json.push(b'\n');
    for (name, bytes) in [
        ("store-power.json", json),
        ("store-power.md", markdown(kept).into_bytes()),
    ] {
        let path = dir.join(name);
        durable::write_atomic(&path, &bytes, 0o644)
            .map_err(|error| failed(format!("cannot write {}", path.display())).because(&error))?;
    }
    Ok(())
}

fn markdown(kept: &Kept) -> String {
    let mut text = format!("# Power cuts, side by side\n\n{}.\n\n", kept.claim);
    text.push_str("| server | settings | cuts | with loss | would not start | acknowledged | lost | share |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in &kept.rows {
        let _never_fails = writeln!(text, "| {} |", cells(row).join(" | "));
    }
    for what in &kept.skipped {
        let _never_fails = writeln!(text, "\nSkipped: {what}.");
    }
    for row in &kept.rows {
        let runs: Vec<String> = row
            .runs()
            .iter()
            .map(|run| format!("`{}`, commit {}", run.command, run.commit))
            .collect();
        if !runs.is_empty() {
            let (server, settings) = (&row.server, &row.settings);
            let _never_fails = writeln!(text, "\n{server}, {settings}: {}.", runs.join("; "));
        }
    }
    let (command, commit) = (&kept.command, &kept.commit);
    let date = kept.date.as_deref().unwrap_or("not recorded");
    let _never_fails = write!(
        text,
        "\n*Acknowledged* and *lost* are sums over the cuts. All others: `{command}`, commit {commit}, {date};\n\
         the block device under an ext4 is cut as in `store-images`, right after an acknowledgement. Others were given\n\
         messages for {} s in each recording, less than the kernel waits until it writes pages by itself: of a\n\
         longer run a server that does not sync loses the newest part, not all.\n\n\
         *A whole machine* loses its power after the next 20 to 300 acknowledgements, which its serial line has\n\
         told by then. What is there is what the next boot's server gives; others begin anew after that, in a new\n\
         directory, while ours goes on and is held to everything since its beginning, in one cut of four before\n\
         it is open again.\n",
        kept.seconds
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_and_print() {
        let mut row = Row::default();
        let one = Row {
            server: "nats-server v2".to_owned(),
            settings: "default".to_owned(),
            cuts: 2,
            cuts_with_loss: 1,
            acknowledged: 400,
            lost: 100,
            ..Row::default()
        };
        row.add(&one);
        row.add(&one);
        assert_eq!(
            (row.cuts, row.lost, row.share().as_str()),
            (4, 200, "25.0 %")
        );
        assert!(text(&[row]).contains("nats-server v2"));
    }

    #[test]
    fn runs_add_up_while_the_store_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store-power.json");
        let row = Row {
            server: "qc store".to_owned(),
            cuts: 10,
            acknowledged: 100,
            ..Row::default()
        };
        let run = |commit: &str, command: &str| {
            let kept = Kept {
                schema: SCHEMA.to_owned(),
                claim: CLAIM.to_owned(),
                command: command.to_owned(),
                commit: commit.to_owned(),
                seconds: 8,
                date: None,
                environment: Environment::sample(),
                rows: Vec::new(),
                skipped: vec!["a server".to_owned()],
            };
            let table = kept.with(&row, &path, &|commit| commit != "old").unwrap();
            keep(&table, dir.path()).unwrap();
            let [row] = table.rows.as_slice() else {
                panic!("{:?}", table.rows)
            };
            assert_eq!(table.skipped, ["a server"]);
            (row.cuts, row.runs().len())
        };
        assert_eq!(run("old", "--seed 1"), (10, 1));
        // of another store
        assert_eq!(run("new", "--seed 2"), (10, 1));
        assert_eq!(run("new", "--seed 3"), (20, 2));
        assert_eq!(run("newer", "--seed 4"), (30, 3));
        let said = std::fs::read_to_string(dir.path().join("store-power.md")).unwrap();
        assert!(
            said.contains("`--seed 2`, commit new; `--seed 3`, commit new"),
            "{said}"
        );
        // the same draws again are no more cuts
        assert_eq!(run("newer", "--seed 3"), (10, 1));
    }
}
