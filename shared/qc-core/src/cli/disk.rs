//! `disk` and `disk relieve`, and what `status` says of the store's health: the same on relay and edge.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::store_place::StorePlace;
use super::{Confirm, Context, Exit, Failure, Progress, human_bytes, human_duration};
use crate::admin::Client;
use crate::admin::api::Reply;
use crate::admin::disk::{
    DISK_SCHEMA, DiskReport, LaneRow, RELIEF_SCHEMA, ReliefAnswer, ReliefReport, ReliefStep,
    StoreHealth, Taken,
};
use crate::safe_text::safe;
use crate::upkeep::files_only;

/// Show what takes the disk, what is left, and who is refused
///
/// Exits with 4 when a lane is refused, the store has stopped or damage was found. While the daemon is
/// down its files are counted.
#[derive(Debug, Args)]
pub struct DiskCommand {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Relieve(Relieve),
}

/// Give back space without losing a message
///
/// Moves what is needed out of segments that are mostly dead, and removes files that lie ready for the
/// next segments. Appends go on meanwhile. Copies of damaged ranges in the quarantine stay.
#[derive(Debug, Args)]
struct Relieve {
    /// Say what would be given back, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl DiskCommand {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.verb {
            None => show(context),
            Some(Verb::Relieve(relieve)) => relieve.run(context),
        }
    }
}

fn show(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let report = match context.block_on(ask(&client)) {
        Ok(report) => report,
        Err(failure) if failure.code == "QC0601" => from_files(context, failure)?,
        Err(failure) => return Err(failure),
    };
    let program = context.program.name;
    context
        .out
        .result(DISK_SCHEMA, context.now(), &report, || {
            text(&report, program)
        })?;
    verdict(&report, program)
}

async fn ask(client: &Client) -> Result<DiskReport, Failure> {
    let reply: Reply<DiskReport> = client.get_json("/v1/disk").await?;
    Ok(reply.data)
}

/// What can be known of a daemon that is down; `down` is how that was found out.
fn from_files(context: &Context, down: Failure) -> Result<DiskReport, Failure> {
    let Ok(place) = StorePlace::load(context) else {
        return Err(down);
    };
    let report = files_only(place.state(), place.store.max, place.store.min_free)
        .map_err(|error| down.because(&error))?;
    let program = context.program.name;
    context.out.warn(&format!(
        "{program} is down: files were counted, what is in them is not known"
    ));
    Ok(report)
}

/// A failure unless all is well.
fn verdict(report: &DiskReport, program: &str) -> Result<(), Failure> {
    let problem = |code, message: String| Failure::new(Exit::Problems, code, message);
    if let Some(reason) = &report.stopped {
        let message = format!(
            "the store stopped after a disk error: {}",
            safe(reason, 300)
        );
        return Err(problem("QC3002", message).help("journalctl -k -n 50"));
    }
    let refused = report.lanes.iter().filter(|lane| lane.refused);
    let refused: Vec<_> = refused.map(|lane| safe(&lane.lane, 20)).collect();
    if !refused.is_empty() {
        let message = format!("messages are refused: {}", refused.join(", "));
        let failure = problem("QC3302", message);
        return Err(if report.relief_bytes.unwrap_or(0) > 0 {
            failure.help(format!("{program} disk relieve"))
        } else {
            failure.help(format!("{program} streams list    shows who is behind"))
        });
    }
    let unread = report.health.unread_segments;
    if unread > 0 {
        let message = format!("the disk gives {unread} segments of the store to nobody");
        let failure = problem("QC3311", message).help("journalctl -k -n 50");
        return Err(failure.help(format!("{program} explain QC3311")));
    }
    if report.health.unkept_ranges > 0 {
        let message = "damage was found, and there is no room to keep it aside".to_owned();
        let failure = problem("QC3310", message).help(format!("{program} disk relieve"));
        return Err(failure.help(format!("{program} explain QC3310")));
    }
    if report.health.damaged_ranges > 0 {
        let dir = safe(&report.state_dir, 200);
        let failure = problem("QC3305", "damage was found in the store".to_owned())
            .help(format!("{program} explain QC3305"))
            .help(format!("ls -l {dir}/log/quarantine"));
        return Err(failure);
    }
    Ok(())
}

fn text(report: &DiskReport, program: &str) -> String {
    let mut lines = vec![
        format!("state     {}", safe(&report.state_dir, 300)),
        format!(
            "disk      {}, {} free, {}% used",
            human_bytes(report.disk_bytes),
            human_bytes(report.disk_free_bytes),
            report.disk_used_percent
        ),
    ];
    let mut store = vec![format!("store     {}", human_bytes(report.store_bytes))];
    if report.store_max_bytes != u64::MAX {
        store.push(format!(" of {}", human_bytes(report.store_max_bytes)));
    }
    if let Some(left) = report.left_bytes {
        store.push(format!(", room for {}", human_bytes(left)));
    }
    if let Some(seconds) = report.full_in_s {
        let time = human_duration(Duration::from_secs(seconds));
        store.push(format!(", full in {time} like this"));
    }
    lines.push(store.concat());
    if let Some(reason) = &report.full {
        lines.push(format!("full      {}", safe(reason, 200)));
    }
    if let Some(reason) = &report.stopped {
        lines.push(format!("STOPPED   {} (QC3002)", safe(reason, 200)));
    }
    lines.extend(lane_lines(report));
    let takes = report.takes.iter();
    let shown = takes.filter(|taken| taken.bytes > 0 || taken.what == "waiting");
    for (at, taken) in shown.enumerate() {
        let head = if at == 0 { "holds" } else { "" };
        lines.push(format!(
            "{head:<8}{:>12}  {}",
            human_bytes(taken.bytes),
            meaning(taken)
        ));
    }
    if let Some(bytes) = report.relief_bytes {
        lines.push(if bytes == 0 {
            "relief    nothing to be had; what waits must be taken".to_owned()
        } else {
            let size = human_bytes(bytes);
            format!("relief    '{program} disk relieve' would free {size} and lose nothing")
        });
    }
    if report.running {
        for (at, line) in health_lines(&report.health).into_iter().enumerate() {
            let head = if at == 0 { "health" } else { "" };
            lines.push(format!("{head:<10}{line}"));
        }
    }
    lines.join("\n")
}

fn lane_lines(report: &DiskReport) -> Vec<String> {
    let refused: Vec<&LaneRow> = report.lanes.iter().filter(|lane| lane.refused).collect();
    let reserve = human_bytes(report.reserve_bytes.unwrap_or(0));
    if report.lanes.is_empty() {
        return Vec::new();
    }
    if refused.is_empty() {
        let last = report
            .lanes
            .iter()
            .rev()
            .filter(|lane| lane.from_percent < 100);
        let from: Vec<_> = last
            .map(|lane| format!("{} from {}%", safe(&lane.lane, 20), lane.from_percent))
            .collect();
        return vec![format!(
            "refused   nobody; {} of the room on",
            from.join(", ")
        )];
    }
    let mut lines = Vec::new();
    for (at, lane) in refused.iter().enumerate() {
        let head = if at == 0 { "REFUSED" } else { "" };
        let since = lane.since.as_deref().unwrap_or("now");
        lines.push(format!(
            "{head:<10}{:<9}from {}%, since {} ({})",
            safe(&lane.lane, 20),
            lane.from_percent,
            safe(since, 40),
            safe(lane.code.as_deref().unwrap_or_default(), 10),
        ));
    }
    lines.push(format!(
        "          acknowledgements and commands still work (reserve {reserve})"
    ));
    lines
}

fn meaning(taken: &Taken) -> String {
    let count = taken.count.unwrap_or(0);
    match taken.what.as_str() {
        "waiting" => format!("wait for somebody, {count} messages"),
        "kept" => format!("kept for a while, everybody has them, {count} messages"),
        "dead_letters" => format!("dead letters, {count} messages"),
        "unneeded" => "not needed any more, and the ends of segments".to_owned(),
        "empty" => "empty, in the segment that is being written".to_owned(),
        "free_files" => "ready for the next segments".to_owned(),
        "reserve" => "reserve for acknowledgements and commands".to_owned(),
        "index" => "index".to_owned(),
        "segments" => format!("segments, {count} files"),
        "quarantine" => format!("quarantine, {count} files"),
        other => safe(other, 40),
    }
}

/// A line about reading everything again, and one about damage if there is some.
pub fn health_lines(health: &StoreHealth) -> Vec<String> {
    let age = |seconds| match seconds {
        0 => "just now".to_owned(),
        _ => format!("{} ago", human_duration(Duration::from_secs(seconds))),
    };
    let read = match (health.scrub_percent, health.scrub_age_s) {
        (Some(percent), Some(seconds)) => {
            format!("read again {}, and now {percent}%", age(seconds))
        }
        (Some(percent), None) => format!("being read again, {percent}%"),
        (None, Some(seconds)) => format!("read again {}", age(seconds)),
        (None, None) => "never read again yet".to_owned(),
    };
    let (ranges, lost) = (health.damaged_ranges, health.lost_messages);
    let (waiting, unread) = (health.unkept_ranges, health.unread_segments);
    let mut lines = if (ranges, lost, waiting, unread) == (0, 0, 0, 0) {
        vec![format!("{read}, no damage")]
    } else {
        vec![read]
    };
    if (ranges, lost) != (0, 0) {
        let size = human_bytes(health.quarantine_bytes);
        lines.push(format!(
            "DAMAGED ranges: {ranges} ({size} in quarantine), messages lost: {lost} (QC3305)"
        ));
    }
    if waiting > 0 {
        lines.push(format!(
            "DAMAGED in place, no room for a copy: {waiting} ranges (QC3310)"
        ));
    }
    if unread > 0 {
        lines.push(format!(
            "UNREADABLE and not repaired: {unread} segments (QC3311)"
        ));
    }
    if let Some(jump) = &health.clock_jump {
        // to the second, so that both fit into a line
        let time = |text: &str| safe(text.get(..19).unwrap_or(text), 40);
        let (from, to) = (time(&jump.from), time(&jump.to));
        lines.push(format!("the clock jumped from {from} to {to} (QC3402)"));
    }
    lines
}

impl Relieve {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let before = context.block_on(ask(&client))?;
        let relief = before.relief_bytes.unwrap_or(0);
        let report = |dry_run, after| ReliefReport {
            dry_run,
            before_bytes: before.store_bytes,
            after_bytes: after,
            freed_bytes: before.store_bytes.saturating_sub(after),
        };
        if self.dry_run || relief == 0 {
            let report = report(
                self.dry_run,
                before.store_bytes - relief.min(before.store_bytes),
            );
            self.print(context, &report)?;
            let program = context.program.name;
            return if relief == 0 {
                Ok(())
            } else {
                let failure = Failure::new(Exit::Problems, "QC3304", "space can be given back");
                Err(failure.help(format!("{program} disk relieve --yes")))
            };
        }
        self.confirm(context, relief)?;
        let after = work(context, &client, before.store_bytes, relief)?;
        self.print(context, &report(false, after))
    }

    fn print(&self, context: &Context, report: &ReliefReport) -> Result<(), Failure> {
        context
            .out
            .result(RELIEF_SCHEMA, context.now(), report, || {
                let would = if self.dry_run { "would free" } else { "freed" };
                if report.freed_bytes == 0 {
                    return "nothing to give back".to_owned();
                }
                format!(
                    "{would} {}: the store takes {} instead of {}; no message is lost",
                    human_bytes(report.freed_bytes),
                    human_bytes(report.after_bytes),
                    human_bytes(report.before_bytes)
                )
            })
    }

    fn confirm(&self, context: &Context, relief: u64) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let size = human_bytes(relief);
        let confirm = Confirm {
            question: &format!("Free about {size} without losing a message?"),
            word: None,
            what: "giving back space",
            flags: "--yes",
            unasked: "QC3306",
            refused: "QC3307",
        };
        let program = context.program.name;
        let asked = confirm.ask(&context.globals, &context.out);
        asked.map_err(|failure| failure.help(format!("{program} disk relieve --dry-run")))
    }
}

/// Asks for step after step; whoever stops in between loses nothing.
fn work(context: &Context, client: &Client, before: u64, relief: u64) -> Result<u64, Failure> {
    let mut progress = Progress::start(&context.globals, "disk relieve", relief);
    let mut step = ReliefStep::default();
    loop {
        let answer = context.block_on(async {
            let reply: Reply<ReliefAnswer> = client.post_json("/v1/disk/relieve", &step).await?;
            Ok(reply.data)
        })?;
        let freed = before.saturating_sub(answer.store_bytes);
        progress.set(freed.min(relief));
        if answer.done {
            progress.finish(&format!("{} freed", human_bytes(freed)));
            return Ok(answer.store_bytes);
        }
        step.until = Some(answer.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::disk::ClockJumpRow;

    fn report() -> DiskReport {
        let taken = |what: &str, bytes, count| Taken {
            what: what.to_owned(),
            bytes,
            count,
        };
        let lane = |lane: &str, from_percent, refused: bool| LaneRow {
            lane: lane.to_owned(),
            from_percent,
            refused,
            since: refused.then(|| "2026-11-21T12:13:15.123Z".to_owned()),
            code: refused.then(|| "QC3302".to_owned()),
        };
        DiskReport {
            state_dir: "/var/lib/qc-edge".to_owned(),
            running: true,
            disk_bytes: 40 << 30,
            disk_free_bytes: 200 << 20,
            disk_used_percent: 100,
            store_bytes: 39 << 30,
            store_max_bytes: 40 << 30,
            left_bytes: Some(700 << 20),
            full_in_s: Some(4000),
            reserve_bytes: Some(1 << 30),
            lanes: vec![
                lane("critical", 100, false),
                lane("high", 99, false),
                lane("normal", 98, true),
                lane("low", 95, true),
            ],
            takes: vec![
                taken("waiting", 36 << 30, Some(41_310)),
                taken("kept", 0, Some(0)),
                taken("reserve", 1 << 30, None),
                taken("quarantine", 0, Some(0)),
            ],
            relief_bytes: Some(3 << 30),
            health: StoreHealth {
                scrub_age_s: Some(11_520),
                ..StoreHealth::default()
            },
            ..DiskReport::default()
        }
    }

    #[test]
    fn the_whole_story_fits_into_80_columns() {
        let text = text(&report(), "qc-edge");
        assert_eq!(
            text,
            "state     /var/lib/qc-edge\n\
             disk      40.0 GiB, 200.0 MiB free, 100% used\n\
             store     39.0 GiB of 40.0 GiB, room for 700.0 MiB, full in 1h06m like this\n\
             REFUSED   normal   from 98%, since 2026-11-21T12:13:15.123Z (QC3302)\n          \
             low      from 95%, since 2026-11-21T12:13:15.123Z (QC3302)\n          \
             acknowledgements and commands still work (reserve 1.0 GiB)\n\
             holds       36.0 GiB  wait for somebody, 41310 messages\n             \
             1.0 GiB  reserve for acknowledgements and commands\n\
             relief    'qc-edge disk relieve' would free 3.0 GiB and lose nothing\n\
             health    read again 3h12m ago, no damage"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn a_jump_of_the_clock_is_shown() {
        let health = StoreHealth {
            clock_jump: Some(ClockJumpRow {
                from: "1970-01-01T01:00:00.000Z".to_owned(),
                to: "2026-11-21T12:13:15.123Z".to_owned(),
            }),
            ..StoreHealth::default()
        };
        let lines = health_lines(&health);
        let line = "the clock jumped from 1970-01-01T01:00:00 to 2026-11-21T12:13:15 (QC3402)";
        assert_eq!(lines, ["never read again yet, no damage", line]);
    }

    #[test]
    fn problems_are_an_exit_code_with_a_next_step() {
        let failure = verdict(&report(), "qc-edge").unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Problems, "QC3302"));
        assert!(failure.to_string().contains("low"), "{failure}");
        assert!(failure.to_string().contains("qc-edge disk relieve"));
        let mut damaged = report();
        damaged.lanes.clear();
        assert!(verdict(&damaged, "qc-edge").is_ok());
        damaged.health.damaged_ranges = 2;
        damaged.health.lost_messages = 7;
        let failure = verdict(&damaged, "qc-edge").unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Problems, "QC3305"));
        damaged.health.unkept_ranges = 3;
        let failure = verdict(&damaged, "qc-edge").unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Problems, "QC3310"));
        damaged.health.unread_segments = 4;
        let failure = verdict(&damaged, "qc-edge").unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Problems, "QC3311"));
        let text = text(&damaged, "qc-edge");
        assert!(
            text.contains("no room for a copy: 3 ranges (QC3310)"),
            "{text}"
        );
        assert!(text.contains("not repaired: 4 segments (QC3311)"), "{text}");
        assert!(text.contains("DAMAGED ranges: 2 (0 B in quarantine), messages lost: 7"));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn a_name_from_elsewhere_cannot_write_to_the_terminal() {
        let mut report = report();
        report.state_dir = "/x\x1b[2J".to_owned();
        report.full = Some("\x1b]0;x\x07".to_owned());
        assert!(!text(&report, "qc-edge").contains('\x1b'));
    }
}
