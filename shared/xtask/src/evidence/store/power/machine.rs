//! Power cuts of a whole machine: see `vm` for what is modelled.
//!
//! One store lives through all cuts of a share. Each time the machine boots on the disk that the last cut
//! left, recovers, works until it has acknowledged enough, and loses its power at a moment that is drawn, one
//! in four times while it still recovers. What is on the disk then is mounted and opened here, and judged by
//! the same ledger as everywhere; the next boot begins with the disk as it was before that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_core::cli::Failure;

use super::DISK;
use super::guests::ACKNOWLEDGED;
use crate::evidence::store::child::{Start, failed, verify};
use crate::evidence::store::cut::{Cutter, Fate};
use crate::evidence::store::device::Event;
use crate::evidence::store::disks::{Mounted, make_ext4};
use crate::evidence::store::ledger::Ledger;
use crate::evidence::store::line::Line;
use crate::evidence::store::proof::{Share, Tally};
use crate::evidence::store::vm::{self, Machine, Parts};
use crate::evidence::store::workload::Mode;

/// Acknowledgements before a cut, at most.
const ACKS: u64 = 300;
/// How long nothing may be heard of a machine that has booted.
const PATIENCE: Duration = Duration::from_mins(1);

/// A machine and its disk, from one cut to the next.
pub(super) struct Rig<'a> {
    parts: &'a Parts,
    /// The part of the first file system that is the same for every start.
    common: Vec<u8>,
    dir: &'a Path,
    pub(super) random: fastrand::Rng,
}

/// What was done to the disk at a cut.
pub(super) struct Cut {
    pub(super) fate: Fate,
    /// Why the machine was heard no more before the moment had come.
    pub(super) silent: Option<String>,
}

impl<'a> Rig<'a> {
    /// With an empty disk, and `other` in the machine beside this program.
    pub(super) fn new(
        share: &Share<'a>,
        parts: &'a Parts,
        other: Option<&Path>,
    ) -> std::io::Result<Self> {
        let rig = Self {
            parts,
            common: parts.ramdisk(other)?,
            dir: share.dir,
            random: fastrand::Rng::with_seed(share.seed),
        };
        make_ext4(&rig.file("base"), DISK)?;
        Ok(rig)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A copy of the disk as the last cut has left it.
    fn after(&self) -> PathBuf {
        self.file("after")
    }

    /// Boots with this program on `words`, lets `hear` listen until it says how long the power stays on, and
    /// takes the power away.
    pub(super) fn boot(
        &mut self,
        words: &[String],
        hear: &mut dyn FnMut(&Line) -> Option<Duration>,
        tally: &mut Tally,
    ) -> std::io::Result<Cut> {
        let names = ["base", "image", "log", "ramdisk"];
        let [base, image, log, ramdisk] = names.map(|name| self.file(name));
        std::fs::copy(&base, &image)?;
        let _none_at_first = std::fs::remove_file(&log);
        vm::put_together(&[&self.common, &vm::arguments(words)], &ramdisk)?;
        let mut machine = Machine::start(self.parts, &ramdisk, &image, &log)?;
        let silent = loop {
            match machine.hear(PATIENCE) {
                Ok(line) => {
                    if let Some(wait) = hear(&line) {
                        std::thread::sleep(wait);
                        break None;
                    }
                }
                Err(error) => break Some(format!("the machine ends or hangs: {error}")),
            }
        };
        for line in machine.cut()? {
            // the power is off already
            let _no_moment = hear(&line);
        }
        let boot = machine.boot.unwrap_or_default();
        tally.slowest("boot", u64::try_from(boot.as_millis()).unwrap_or(u64::MAX));
        drop(machine);

        let events = vm::events(&log)?;
        let flushes = events.iter().filter(|event| **event == Event::Flush);
        let (all, flushes) = (events.len(), flushes.count());
        tally.count("writes of the disk", (all - flushes) as u64);
        tally.count("flushes of the disk", flushes as u64);
        let mut cutter = Cutter::new(&base, &log, events)?;
        let (fate, loose) = cutter.image(all, &self.after(), &mut self.random)?;
        std::fs::copy(self.after(), &base)?;
        tally.count("unflushed writes at the cuts", loose as u64);
        Ok(Cut { fate, silent })
    }
}

/// Cuts the power of a machine with the store in it as often as `share` says.
pub(super) fn cuts(share: &Share<'_>, parts: &Parts) -> Result<Tally, Failure> {
    let io = |error: std::io::Error| failed("cannot run a machine").because(&error);
    let mut rig = Rig::new(share, parts, None).map_err(io)?;
    let mount = share.dir.join("mount");
    let mut start = Start::new(Path::new("/disk/store"), share.seed);
    let (mut ledger, mut tally) = (Ledger::default(), Tally::default());
    for number in 0..share.runs {
        start.dir = "/disk/store".into();
        start.broken = share.broken;
        let words = start.arguments(Mode::Work, &ledger);
        start.starts += 1;
        let acked = ledger.acked;
        let moment = Moment::draw(number > 0, acked, &mut rig.random);
        let mut hear = |line: &Line| {
            take(line, &mut ledger);
            moment.has_come(line, ledger.acked)
        };
        let cut = rig.boot(&words, &mut hear, &mut tally).map_err(io)?;
        if let Some(why) = cut.silent {
            ledger.fault(why);
        }
        tally.count(ACKNOWLEDGED, ledger.acked);
        {
            let mounted = Mounted::cached(&rig.after(), &mount).map_err(io)?;
            start.dir = mount.join("store");
            start.broken = None;
            verify(&mut start, &mut ledger)?;
            drop(mounted);
        }
        tally.runs += 1;
        tally.by(cut.fate.words());
        tally.by(moment.words());
        let place = format!("cut {number}, {}, {}", moment.words(), cut.fate.words());
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
pub(super) enum Moment {
    /// So long after the store began to open.
    Opening(Duration),
    /// So long after so many acknowledgements.
    Working(u64, Duration),
}

impl Moment {
    fn draw(is_there: bool, acked: u64, random: &mut fastrand::Rng) -> Self {
        if is_there && random.u32(..4) == 0 {
            Self::Opening(Duration::from_millis(random.u64(..400)))
        } else {
            Self::working(acked, random)
        }
    }

    /// One in the work, after more than the `acked` acknowledgements that there are.
    pub(super) fn working(acked: u64, random: &mut fastrand::Rng) -> Self {
        let enough = acked + random.u64(20..ACKS);
        Self::Working(enough, Duration::from_millis(random.u64(..40)))
    }

    /// Whether it has come with `line`, the acknowledgements being `acked` by then: how long to wait still.
    pub(super) fn has_come(self, line: &Line, acked: u64) -> Option<Duration> {
        match self {
            Self::Opening(wait) => matches!(line, Line::Opening { .. }).then_some(wait),
            Self::Working(enough, wait) => (acked >= enough).then_some(wait),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Opening(_) => "power cut while it opens",
            Self::Working(..) => "power cut while it works",
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
