//! Power cuts of a whole machine: see `vm` for what is modelled.
//!
//! One store lives through all cuts of a share. Each time the machine boots on the disk that the last cut
//! left, recovers, works until it has acknowledged enough, and loses its power at a moment that is drawn, one
//! in four times while it still recovers. What is on the disk then is mounted and opened here, and judged by
//! the same ledger as everywhere; the next boot begins with the disk as it was before that.

use std::path::Path;
use std::time::Duration;

use qc_core::cli::Failure;

use crate::evidence::store::child::{Start, failed, verify};
use crate::evidence::store::cut::Cutter;
use crate::evidence::store::device::Event;
use crate::evidence::store::disks::{Mounted, make_ext4};
use crate::evidence::store::ledger::Ledger;
use crate::evidence::store::line::Line;
use crate::evidence::store::proof::{Share, Tally};
use crate::evidence::store::vm::{self, Machine, Parts};
use crate::evidence::store::workload::Mode;

const DISK: u64 = 24 << 20;
/// Acknowledgements before a cut, at most.
const ACKS: u64 = 300;
/// How long nothing may be heard of a machine that has booted.
const PATIENCE: Duration = Duration::from_mins(1);

/// Cuts the power of a machine as often as `share` says.
pub(super) fn cuts(share: &Share<'_>, parts: &Parts) -> Result<Tally, Failure> {
    let io = |error: std::io::Error| failed("cannot run a machine").because(&error);
    let names = ["base", "image", "after", "log", "mount", "ramdisk"];
    let [base, image, after, log, mount, ramdisk] = names.map(|name| share.dir.join(name));
    make_ext4(&base, DISK).map_err(io)?;
    let mut start = Start::new(Path::new("/disk/store"), share.seed);
    let program = std::fs::canonicalize(&start.program).map_err(io)?;
    let common = parts.ramdisk(&program).map_err(io)?;
    let mut random = fastrand::Rng::with_seed(share.seed);
    let (mut ledger, mut tally) = (Ledger::default(), Tally::default());
    for number in 0..share.runs {
        std::fs::copy(&base, &image).map_err(io)?;
        let _none_at_first = std::fs::remove_file(&log);
        start.dir = "/disk/store".into();
        start.broken = share.broken;
        let words = start.arguments(Mode::Work, &ledger);
        start.starts += 1;
        vm::put_together(&[&common, &vm::arguments(&words)], &ramdisk).map_err(io)?;
        let mut machine = Machine::start(parts, &ramdisk, &image, &log).map_err(io)?;
        let moment = Moment::draw(number > 0, &ledger, &mut random);
        let acked = ledger.acked;
        until(moment, &mut machine, &mut ledger);
        for line in machine.cut().map_err(io)? {
            take(&line, &mut ledger);
        }
        let boot = machine.boot.unwrap_or_default();
        tally.slowest("boot", u64::try_from(boot.as_millis()).unwrap_or(u64::MAX));
        drop(machine);

        let events = vm::events(&log).map_err(io)?;
        let writes = events
            .iter()
            .filter(|event| **event != Event::Flush)
            .count();
        tally.count("writes of the disk", writes as u64);
        tally.count("flushes of the disk", (events.len() - writes) as u64);
        let all = events.len();
        let mut cutter = Cutter::new(&base, &log, events).map_err(io)?;
        let (fate, loose) = cutter.image(all, &after, &mut random).map_err(io)?;
        std::fs::copy(&after, &base).map_err(io)?;
        tally.count("acknowledged before the cuts", ledger.acked);
        tally.count("unflushed writes at the cuts", loose as u64);
        {
            let mounted = Mounted::cached(&after, &mount).map_err(io)?;
            start.dir = mount.join("store");
            start.broken = None;
            verify(&mut start, &mut ledger)?;
            drop(mounted);
        }
        tally.runs += 1;
        tally.by(fate.words());
        tally.by(moment.words());
        let place = format!("cut {number}, {}, {}", moment.words(), fate.words());
        let faults = ledger.faults().into_iter();
        tally
            .failures
            .extend(faults.map(|fault| format!("{place}: {fault}")));
        if !tally.failures.is_empty() {
            break;
        }
        tally.count("acknowledged messages", ledger.acked - acked);
    }
    tally.count("records compared", ledger.compared);
    Ok(tally)
}

/// When the power goes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the store began to open.
    Opening(Duration),
    /// So long after so many acknowledgements.
    Working(u64, Duration),
}

impl Moment {
    fn draw(is_there: bool, ledger: &Ledger, random: &mut fastrand::Rng) -> Self {
        if is_there && random.u32(..4) == 0 {
            Self::Opening(Duration::from_millis(random.u64(..400)))
        } else {
            let enough = ledger.acked + random.u64(20..ACKS);
            Self::Working(enough, Duration::from_millis(random.u64(..40)))
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Opening(_) => "power cut while it opens",
            Self::Working(..) => "power cut while it works",
        }
    }
}

/// Hears a machine until the moment has come.
fn until(moment: Moment, machine: &mut Machine, ledger: &mut Ledger) {
    loop {
        let line = match machine.hear(PATIENCE) {
            Ok(line) => line,
            Err(error) => {
                ledger.fault(format!("the machine ends or hangs: {error}"));
                return;
            }
        };
        take(&line, ledger);
        match moment {
            Moment::Opening(wait) if matches!(line, Line::Opening { .. }) => {
                std::thread::sleep(wait);
                return;
            }
            Moment::Working(enough, wait) if ledger.acked >= enough => {
                std::thread::sleep(wait);
                return;
            }
            _ => {}
        }
    }
}

fn take(line: &Line, ledger: &mut Ledger) {
    match line {
        Line::Checked => ledger.judge(),
        Line::OpenFailed(why) => ledger.fault(format!("does not start: {why}")),
        line => ledger.take(line),
    }
}
