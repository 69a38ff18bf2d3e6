//! A disk that is full and a disk that fails, both for real: a small ext4 on a loop device is filled,
//! freed and filled again; and the block device under another one returns EIO in the middle of the work.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use qc_core::cli::Failure;

use super::child::{Child, Heard, PATIENCE, Start, failed, now, verify};
use super::device::{self, Device};
use super::disks::{Mounted, make_ext4};
use super::ledger::Ledger;
use super::line::Line;
use super::proof::{Proof, Share, Tally};
use super::workload::Mode;

pub(super) const PROOF: Proof = Proof {
    name: "store-full",
    claim: "a full disk stops acknowledgements and nothing else: positions and trims still go through (the workload \
            tries five times), nothing is \
            lost, the store opens, and it goes on within 2 s of space coming back; after an EIO of the device \
            nothing is acknowledged in that process, and nothing acknowledged is lost",
    unit: "cycles",
    share: 3,
    chunk: 10,
    alone: true,
    goes_on: false,
    lacks: device::lacks,
    run,
};

/// From space to the first acknowledgement.
const SOON: Duration = Duration::from_secs(2);
/// Nothing acknowledged for so long, and something refused: the disk is full.
const QUIET: Duration = Duration::from_millis(300);
/// How long filling the rest of the disk may take.
const FILL: Duration = Duration::from_secs(30);
const DISK: u64 = 20 << 20;
const BALLAST: u64 = 6 << 20;

/// Devices that fail in one cycle, each at another moment.
const DEVICES: u64 = 4;

fn disk(error: &std::io::Error) -> Failure {
    failed("cannot use a small file system").because(error)
}

fn run(share: &Share<'_>) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let (image, mount) = (share.dir.join("image"), share.dir.join("mount"));
    make_ext4(&image, DISK).map_err(|error| disk(&error))?;
    let mut start = Start::new(&mount.join("store"), share.seed);
    start.kind.scale = 12;
    start.segment = 512 << 10;
    start.broken = share.broken;
    let mut full = Full {
        mounted: Mounted::loop_on(&image, &mount).map_err(|error| disk(&error))?,
        ballast: mount.join("ballast"),
        start,
        ledger: Ledger::default(),
        tally: Tally::default(),
    };
    full.refill_ballast().map_err(|error| disk(&error))?;
    let mut child = full.begin()?;
    for cycle in 0..share.runs {
        if let Some(child) = &mut child {
            full.cycle(child)?;
        }
        // every other time the process dies on the full disk, and the next one has to start there
        if cycle % 2 == 0
            && let Some(mut last) = child.take()
        {
            last.kill();
            last.finish(&mut full.ledger)?;
            full.tally.count("starts on a full disk", 1);
            child = full.begin()?;
        }
        full.collect(cycle);
        for device in 0..DEVICES {
            let name = format!("eio-{cycle}-{device}");
            let seed = share.seed.wrapping_add(cycle * DEVICES + device);
            let faults = eio(&share.dir.join(name), seed, share, &mut full.tally)?;
            full.tally.failures.extend(faults);
        }
        if !full.tally.failures.is_empty() {
            break;
        }
        full.tally.runs += 1;
        full.tally
            .by("ext4 on a loop device: filled, freed, filled, trimmed");
    }
    if let Some(mut child) = child {
        child.kill();
        child.finish(&mut full.ledger)?;
    }
    verify(&mut full.start, &mut full.ledger)?;
    full.collect(share.runs);
    tally.add(full.tally);
    tally.count("acknowledged messages", full.ledger.acked);
    tally.count("refusals", full.ledger.refused);
    tally.count("records compared", full.ledger.compared);
    Ok(tally)
}

struct Full {
    mounted: Mounted,
    ballast: std::path::PathBuf,
    start: Start,
    ledger: Ledger,
    tally: Tally,
}

impl Full {
    fn begin(&mut self) -> Result<Option<Child>, Failure> {
        let mut child = self.start.start(Mode::Fill, &self.ledger, &[])?;
        Ok(child.recovered(&mut self.ledger).then_some(child))
    }

    /// Fill, free, fill, trim, fill.
    fn cycle(&mut self, child: &mut Child) -> Result<(), Failure> {
        if !self.fill(child) {
            return Ok(());
        }
        self.control(child, "control", "a position");
        std::fs::remove_file(&self.ballast).map_err(|error| disk(&error))?;
        self.resumes(child, "after a file went", now());
        if !self.fill(child) {
            return Ok(());
        }
        self.control(child, "control", "a position");
        let trimmed = now();
        self.control(child, "trim", "a trim");
        self.resumes(child, "after a trim", trimmed);
        self.refill_ballast().map_err(|error| disk(&error))?;
        self.fill(child);
        self.control(child, "trim", "a trim");
        self.fill(child);
        Ok(())
    }

    /// Listens until nothing is acknowledged any more.
    fn fill(&mut self, child: &mut Child) -> bool {
        let (mut acked, mut at) = (self.ledger.acked, now());
        let (deadline, refused) = (at + FILL, self.ledger.refused);
        loop {
            let heard = child.hear(PATIENCE);
            let time = now();
            match heard {
                Heard::Line(line) => self.ledger.take(&line),
                Heard::End | Heard::Nothing => {
                    self.ledger
                        .fault("the process ended or hung on a full disk".to_owned());
                    return false;
                }
            }
            if self.ledger.acked > acked {
                (acked, at) = (self.ledger.acked, time);
            } else if self.ledger.refused > refused && time.duration_since(at) > QUIET {
                return true;
            }
            if time > deadline {
                self.ledger.fault(
                    "the disk never became full, or acknowledgements never stopped".to_owned(),
                );
                return false;
            }
        }
    }

    /// Gives an order that must go through although the disk is full.
    fn control(&mut self, child: &mut Child, order: &str, what: &str) {
        child.order(order);
        loop {
            match child.hear(PATIENCE) {
                Heard::Line(Line::Checked) => return,
                // refused together with the messages of its batch; the workload tries again
                Heard::Line(Line::ControlRefused(_)) => {
                    self.tally
                        .count("positions and trims that took more than one try", 1);
                }
                Heard::Line(line) => {
                    if let Line::Committed { .. } | Line::Trimmed { .. } = line {
                        self.tally.count("positions and trims on a full disk", 1);
                    }
                    self.ledger.take(&line);
                }
                Heard::End | Heard::Nothing => {
                    self.ledger
                        .fault(format!("no answer to {what} on a full disk"));
                    return;
                }
            }
        }
    }

    /// Space is back since `since`: the next acknowledgement comes soon.
    fn resumes(&mut self, child: &mut Child, after: &str, since: Instant) {
        let acked = self.ledger.acked;
        while self.ledger.acked == acked {
            let waited = now().duration_since(since);
            if waited > SOON * 3 {
                break;
            }
            match child.hear(Duration::from_millis(100)) {
                Heard::Line(line) => self.ledger.take(&line),
                Heard::End => break,
                Heard::Nothing => {}
            }
        }
        let waited = now().duration_since(since);
        if self.ledger.acked == acked || waited > SOON {
            self.ledger.fault(format!(
                "no acknowledgement within {} ms {after}",
                waited.as_millis()
            ));
        }
        let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.tally.slowest(&format!("resume {after}"), millis);
    }

    /// Takes space away again, as much as there is up to a bound.
    fn refill_ballast(&self) -> std::io::Result<()> {
        let size = BALLAST.min(self.mounted.free()? * 3 / 4);
        let file = File::create(&self.ballast)?;
        rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            size.max(4096),
        )?;
        file.sync_all()
    }

    fn collect(&mut self, cycle: u64) {
        for fault in self.ledger.faults() {
            self.tally.failures.push(format!("cycle {cycle}: {fault}"));
        }
    }
}

/// One store on a device that begins to fail in the middle of the work, and is sound again after that.
fn eio(
    dir: &Path,
    seed: u64,
    share: &Share<'_>,
    tally: &mut Tally,
) -> Result<Vec<String>, Failure> {
    let io = |error: std::io::Error| disk(&error);
    std::fs::create_dir(dir).map_err(io)?;
    let [image, file, mount] = ["image", "device", "mount"].map(|name| dir.join(name));
    make_ext4(&image, DISK).map_err(io)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut start = Start::new(&mount.join("store"), seed);
    start.broken = share.broken;
    let mut ledger = Ledger::default();
    {
        let device = Device::serve(&image, &file, None).map_err(io)?;
        let mounted = Mounted::loop_on(&device.file, &mount).map_err(io)?;
        let mut child = start.start(Mode::Work, &ledger, &[])?;
        if child.recovered(&mut ledger) && child.acknowledged(&mut ledger, 200) {
            device.fail_after(random.u32(..60));
            let before = ledger.acked;
            hear_out(&mut child, &mut ledger, share, tally);
            tally.count(
                "acknowledged between the order to fail and the failure",
                ledger.acked - before,
            );
        }
        child.kill();
        child.finish(&mut ledger)?;
        drop(child);
        drop(mounted);
    }
    // the device is sound again, and has what it took
    let mounted = Mounted::loop_on(&image, &mount).map_err(io)?;
    start.broken = None;
    verify(&mut start, &mut ledger)?;
    drop(mounted);
    tally.by("EIO from the block device under ext4");
    tally.count("acknowledged messages", ledger.acked);
    Ok(ledger
        .faults()
        .into_iter()
        .map(|fault| format!("EIO: {fault}"))
        .collect())
}

/// Listens until the store has stopped or, when it is deaf on purpose, for a while.
fn hear_out(child: &mut Child, ledger: &mut Ledger, share: &Share<'_>, tally: &mut Tally) {
    let deadline = now() + Duration::from_secs(if share.broken.is_some() { 2 } else { 20 });
    let mut stopped = false;
    loop {
        match child.hear(Duration::from_millis(500)) {
            Heard::Line(line) => {
                if let Line::SyncFailed(_) = line {
                    tally.count("failed fdatasyncs", 1);
                }
                stopped |= matches!(line, Line::Stopped(_));
                ledger.take(&line);
            }
            // every producer has tried some more, and ended
            Heard::End => return,
            Heard::Nothing => {}
        }
        if now() > deadline {
            if !stopped {
                ledger.fault("the device failed, and the store did not stop".to_owned());
            }
            return;
        }
    }
}
