//! A power cut, seen from below the file system: every write and every flush of the block device under
//! the store is written down, and images are made of what can be on the disk when the power goes.
//!
//! An image is a beginning of the log: all writes before the last flush, and of those after it a random
//! part, some of them torn in sectors of 512 bytes. It is mounted for real, so that the journal of the
//! file system does its part, a process opens the store, and the ledger as of that moment judges. The
//! workload reads the number of the device's events before it says a line, so an acknowledgement binds
//! exactly those images that were cut after it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use qc_core::cli::Failure;

use super::child::{Heard, PATIENCE, Stamped, Start, failed, verify};
use super::device::{self, Device, Event};
use super::disks::{Mounted, make_ext4};
use super::ledger::Ledger;
use super::line::Line;
use super::proof::{Proof, Share, Tally};
use super::workload::Mode;

pub(super) const PROOF: Proof = Proof {
    name: "store-images",
    claim: "whatever of the writes since the last flush a power cut leaves on the disk, whole or torn: the file system \
            mounts, the store opens by itself, and every message acknowledged until then is there",
    unit: "images",
    share: 300,
    chunk: 75,
    alone: false,
    lacks: device::lacks,
    run,
};

const DISK: u64 = 24 << 20;
const SECTOR: usize = 512;
/// Processes that work on the device, one after the other, each ending hard.
const STARTS: u64 = 3;
/// Acknowledgements of each.
const ACKS: u64 = 250;
/// File systems beside ext4 that the goal names; the images are of ext4.
const OTHERS: [&str; 2] = ["xfs", "btrfs"];

fn disk(error: &std::io::Error) -> Failure {
    failed("cannot use a small file system").because(error)
}

/// What is done with the writes since the last flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    None,
    All,
    Half,
    Most,
    Torn,
}

impl Fate {
    const ALL: [Self; 5] = [Self::None, Self::All, Self::Half, Self::Most, Self::Torn];

    fn words(self) -> &'static str {
        match self {
            Self::None => "none of the unflushed writes",
            Self::All => "all of the unflushed writes",
            Self::Half => "half of the unflushed writes, drawn",
            Self::Most => "nine of ten unflushed writes, drawn",
            Self::Torn => "half of the sectors of the unflushed writes, drawn",
        }
    }

    /// Whether a sector of an unflushed write gets to the disk; `whole` was drawn for the write.
    fn keeps(self, whole: u32, random: &mut fastrand::Rng) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Half => whole < 50,
            Self::Most => whole < 90,
            Self::Torn => random.bool(),
        }
    }
}

/// What was written down of one device.
struct Recording {
    /// The file system before the first write.
    base: PathBuf,
    bytes: File,
    events: Vec<Event>,
    lines: Vec<Stamped>,
    start: Start,
}

fn run(share: &Share<'_>) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let recording = match record(share)? {
        Ok(recording) => recording,
        Err(faults) => {
            tally.failures = faults;
            return Ok(tally);
        }
    };
    judge(share, recording, &mut tally)?;
    for name in OTHERS {
        tally.skip(&format!("images of {name}: only ext4 is made"));
    }
    Ok(tally)
}

/// Lets the workload run on a device that writes everything down.
fn record(share: &Share<'_>) -> Result<Result<Recording, Vec<String>>, Failure> {
    let io = |error: std::io::Error| disk(&error);
    let names = ["base", "image", "device", "mount", "log"];
    let [base, image, file, mount, log] = names.map(|name| share.dir.join(name));
    make_ext4(&base, DISK).map_err(io)?;
    std::fs::copy(&base, &image).map_err(io)?;
    let mut start = Start::new(&mount.join("store"), share.seed);
    start.stamps = Some(Device::stamps(&log));
    start.broken = share.broken;
    let mut ledger = Ledger::default();
    let mut lines = Vec::new();
    let device = Device::serve(&image, &file, Some(&log)).map_err(io)?;
    let mounted = Mounted::loop_on(&device.file, &mount).map_err(io)?;
    for _ in 0..STARTS {
        let mut child = start.start(Mode::Work, &ledger, &[])?;
        let enough = ledger.acked + ACKS;
        let mut killed = false;
        loop {
            match child.hear_stamped(PATIENCE) {
                Ok((stamp, line)) => {
                    if line == Line::Checked {
                        ledger.judge();
                    }
                    ledger.take(&line);
                    lines.push((stamp, line));
                }
                Err(Heard::End) => break,
                Err(_) => {
                    ledger.fault("hangs on the device".to_owned());
                    break;
                }
            }
            if ledger.acked >= enough && !killed {
                child.kill();
                killed = true;
            }
        }
        if !killed {
            ledger.fault("ended by itself on the device".to_owned());
        }
    }
    // what comes later is the unmounting, which no power cut has
    let events = device.events();
    drop(mounted);
    drop(device);
    let faults = ledger.faults();
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    start.stamps = None;
    start.broken = None;
    Ok(Ok(Recording {
        base,
        bytes: File::open(&log).map_err(io)?,
        events,
        lines,
        start,
    }))
}

/// Makes the images of a recording in ascending order, mounts and judges each.
fn judge(share: &Share<'_>, recording: Recording, tally: &mut Tally) -> Result<(), Failure> {
    let io = |error: std::io::Error| disk(&error);
    let Recording {
        base,
        bytes,
        events,
        lines,
        mut start,
    } = recording;
    let mut random = fastrand::Rng::with_seed(share.seed);
    let total = events.len();
    // the first process has to be there; the last image is always one of them
    let begin = lines
        .iter()
        .find(|(_, line)| matches!(line, Line::Opening { .. }));
    let begin = begin
        .map_or(0, |(stamp, _)| usize::try_from(*stamp).unwrap_or(0))
        .min(total);
    let mut cuts = draw_cuts(&events, begin, share.runs, &mut random);
    cuts.sort_unstable();

    let safe = File::options().write(true).open(&base).map_err(io)?;
    // what is judged on them has happened already, so they need no disk below them
    let memory = tempdir(share)?;
    let (image, mount) = (memory.join("image"), share.dir.join("cut"));
    start.dir = mount.join("store");
    let (mut flushed, mut said) = (0, 0);
    let mut known = Ledger::default();
    for cut in cuts {
        let before = events.get(..cut).unwrap_or_default();
        let last = before
            .iter()
            .rposition(|event| *event == Event::Flush)
            .map_or(0, |at| at + 1);
        for event in events.get(flushed..last).unwrap_or_default() {
            apply(*event, &bytes, &safe, |_| true).map_err(io)?;
        }
        flushed = flushed.max(last);
        while let Some((stamp, line)) = lines.get(said) {
            if usize::try_from(*stamp).unwrap_or(usize::MAX) > cut {
                break;
            }
            if binds(line) {
                known.take(line);
            }
            said += 1;
        }
        let fate = *random.choice(&Fate::ALL).unwrap_or(&Fate::None);
        std::fs::copy(&base, &image).map_err(io)?;
        let target = File::options().write(true).open(&image).map_err(io)?;
        let loose = before.get(last..).unwrap_or_default();
        for event in loose {
            let whole = random.u32(..100);
            let mut draw = random.fork();
            apply(*event, &bytes, &target, |_| fate.keeps(whole, &mut draw)).map_err(io)?;
        }
        drop(target);
        let mut ledger = known.clone();
        {
            let mounted = Mounted::cached(&image, &mount).map_err(io)?;
            verify(&mut start, &mut ledger)?;
            drop(mounted);
        }
        let faults = ledger.faults().into_iter();
        let place = format!(
            "cut at event {cut} of {total}, {} unflushed, {}",
            loose.len(),
            fate.words()
        );
        tally
            .failures
            .extend(faults.map(|fault| format!("{place}: {fault}")));
        tally.runs += 1;
        tally.by(fate.words());
        tally.count("records compared", ledger.compared);
        tally.count("unflushed writes at the cuts", loose.len() as u64);
        tally.count("images with unflushed writes", u64::from(!loose.is_empty()));
        if !tally.failures.is_empty() {
            break;
        }
    }
    let flushes = events
        .iter()
        .filter(|event| **event == Event::Flush)
        .count();
    tally.count("acknowledged messages", known.acked);
    tally.count("writes of the device", (total - flushes) as u64);
    tally.count("flushes of the device", flushes as u64);
    std::fs::remove_dir_all(&memory).map_err(io)
}

/// Where the power goes: three of four times while something is unflushed, and once at the very end.
fn draw_cuts(events: &[Event], begin: usize, runs: u64, random: &mut fastrand::Rng) -> Vec<usize> {
    let unflushed: Vec<usize> = (begin.max(1)..=events.len())
        .filter(|cut| events.get(cut - 1) != Some(&Event::Flush))
        .collect();
    let mut cuts = vec![events.len()];
    for _ in 1..runs {
        let anywhere = random.usize(begin..=events.len());
        let open = random
            .choice(&unflushed)
            .copied()
            .filter(|_| random.u32(..4) > 0);
        cuts.push(open.unwrap_or(anywhere));
    }
    cuts
}

/// Whether a line says what was asked or answered; what an opening showed in between is left out.
fn binds(line: &Line) -> bool {
    matches!(
        line,
        Line::Sending { .. }
            | Line::Acked { .. }
            | Line::Committing { .. }
            | Line::Committed { .. }
            | Line::Trimming { .. }
            | Line::Trimmed { .. }
    )
}

/// Writes to `image` those sectors of an event that `keeps` lets through.
fn apply(
    event: Event,
    bytes: &File,
    image: &File,
    mut keeps: impl FnMut(usize) -> bool,
) -> std::io::Result<()> {
    let Event::Write { offset, length, at } = event else {
        return Ok(());
    };
    let mut written = vec![0; length];
    bytes.read_exact_at(&mut written, at)?;
    for (number, sector) in written.chunks(SECTOR).enumerate() {
        if keeps(number) {
            image.write_all_at(sector, offset + (number * SECTOR) as u64)?;
        }
    }
    Ok(())
}

/// A directory for the images: in memory where there is some.
fn tempdir(share: &Share<'_>) -> Result<PathBuf, Failure> {
    let memory = Path::new("/dev/shm");
    let roomy =
        rustix::fs::statvfs(memory).is_ok_and(|stat| stat.f_bavail * stat.f_frsize > 8 * DISK);
    let name = format!("qc-store-images-{}-{}", std::process::id(), share.seed);
    let dir = if roomy {
        memory.join(name)
    } else {
        share.dir.join(name)
    };
    std::fs::create_dir(&dir).map_err(|error| disk(&error))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_write_leaves_whole_sectors() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let options = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(dir.path().join(name));
            options.unwrap()
        };
        let (bytes, image) = (file("log"), file("image"));
        bytes.write_all_at(&[7; 3 * SECTOR], 0).unwrap();
        image.set_len(8 * SECTOR as u64).unwrap();
        let event = Event::Write {
            offset: 2 * SECTOR as u64,
            length: 3 * SECTOR,
            at: 0,
        };
        apply(event, &bytes, &image, |sector| sector != 1).unwrap();
        apply(Event::Flush, &bytes, &image, |_| true).unwrap();
        let found = std::fs::read(dir.path().join("image")).unwrap();
        let sectors: Vec<u8> = found
            .chunks(SECTOR)
            .map(|sector| sector[SECTOR - 1])
            .collect();
        assert_eq!(sectors, [0, 0, 7, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn most_cuts_leave_something_unflushed() {
        let write = Event::Write {
            offset: 0,
            length: 512,
            at: 0,
        };
        let events = [
            Event::Flush,
            write,
            Event::Flush,
            write,
            write,
            Event::Flush,
        ];
        let mut random = fastrand::Rng::with_seed(1);
        let cuts = draw_cuts(&events, 1, 400, &mut random);
        assert_eq!(cuts.first(), Some(&6));
        assert!(cuts.iter().all(|cut| (1..=6).contains(cut)));
        let open = cuts.iter().filter(|cut| [2, 4, 5].contains(*cut)).count();
        assert!((280..380).contains(&open), "{open} of 400");
    }

    #[test]
    fn fates_keep_what_they_say() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut kept =
            |fate: Fate, whole| (0..100).filter(|_| fate.keeps(whole, &mut random)).count();
        assert_eq!(kept(Fate::None, 0), 0);
        assert_eq!(kept(Fate::All, 99), 100);
        assert_eq!((kept(Fate::Half, 49), kept(Fate::Half, 50)), (100, 0));
        assert_eq!((kept(Fate::Most, 89), kept(Fate::Most, 90)), (100, 0));
        assert!((20..80).contains(&kept(Fate::Torn, 0)));
    }
}
