//! A power cut, seen from below the file system: every write and every flush of the block device under
//! the store is written down, and images are made of what can be on the disk when the power goes.
//!
//! An image is a beginning of the log: all writes before the last flush, and of those after it a random
//! part, some of them torn in sectors of 512 bytes. It is mounted for real, so that the journal of the
//! file system does its part, a process opens the store, and the ledger as of that moment judges. The
//! workload reads the number of the device's events before it says a line, so an acknowledgement binds
//! exactly those images that were cut after it.

use qc_core::cli::Failure;

use super::child::{Heard, PATIENCE, Stamped, Start, failed, verify};
use super::cut::{Aside, Cutter};
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
    goes_on: false,
    lacks: device::lacks,
    run,
};

const DISK: u64 = 24 << 20;
/// Processes that work on the device, one after the other, each ending hard.
const STARTS: u64 = 3;
/// Acknowledgements of each.
const ACKS: u64 = 250;
/// File systems beside ext4 that the goal names; the images are of ext4.
const OTHERS: [&str; 2] = ["xfs", "btrfs"];

fn disk(error: &std::io::Error) -> Failure {
    failed("cannot use a small file system").because(error)
}

/// What was written down of one device.
struct Recording {
    cutter: Cutter,
    lines: Vec<Stamped>,
    start: Start,
}

fn run(share: &Share<'_>) -> Result<Tally, Failure> {
    let mut tally = cuts(share, draw_cuts)?;
    for name in OTHERS {
        tally.skip(&format!("images of {name}: only ext4 is made"));
    }
    Ok(tally)
}

/// The same with the power going right after an acknowledgement, whichever: what the store is beside
/// others.
pub(super) fn after_acks(share: &Share<'_>) -> Result<Tally, Failure> {
    cuts(share, |recording, runs, random| {
        let acked = |line: &&Stamped| matches!(line.1, Line::Acked { .. });
        let stamps = recording
            .lines
            .iter()
            .filter(acked)
            .map(|(stamp, _)| *stamp);
        let stamps: Vec<_> = stamps
            .filter_map(|stamp| usize::try_from(stamp).ok())
            .collect();
        (0..runs)
            .filter_map(|_| random.choice(&stamps).copied())
            .collect()
    })
}

type Draw = fn(&Recording, u64, &mut fastrand::Rng) -> Vec<usize>;

fn cuts(share: &Share<'_>, draw: Draw) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    match record(share)? {
        Ok(recording) => judge(share, recording, draw, &mut tally)?,
        Err(faults) => tally.failures = faults,
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
        cutter: Cutter::new(&base, &log, events).map_err(io)?,
        lines,
        start,
    }))
}

/// Makes the images of a recording in ascending order, mounts and judges each.
fn judge(
    share: &Share<'_>,
    recording: Recording,
    draw: Draw,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let io = |error: std::io::Error| disk(&error);
    let mut random = fastrand::Rng::with_seed(share.seed);
    let mut cuts = draw(&recording, share.runs, &mut random);
    cuts.sort_unstable();
    let Recording {
        mut cutter,
        lines,
        mut start,
    } = recording;
    let total = cutter.events().len();

    let aside = Aside::new(share, DISK).map_err(io)?;
    let (image, mount) = (aside.image(), share.dir.join("cut"));
    start.dir = mount.join("store");
    let mut said = 0;
    let mut known = Ledger::default();
    for cut in cuts {
        while let Some((stamp, line)) = lines.get(said) {
            if usize::try_from(*stamp).unwrap_or(usize::MAX) > cut {
                break;
            }
            if binds(line) {
                known.take(line);
            }
            said += 1;
        }
        let made = cutter.image(cut, &image, &mut random);
        let (fate, loose) = made.map_err(io)?;
        let mut ledger = known.clone();
        tally.count("acknowledged before the cuts", known.acked);
        {
            let mounted = Mounted::cached(&image, &mount).map_err(io)?;
            verify(&mut start, &mut ledger)?;
            drop(mounted);
        }
        let faults = ledger.faults().into_iter();
        let place = format!(
            "cut at event {cut} of {total}, {} unflushed, {}",
            loose,
            fate.words()
        );
        tally
            .failures
            .extend(faults.map(|fault| format!("{place}: {fault}")));
        tally.runs += 1;
        tally.by(fate.words());
        tally.count("records compared", ledger.compared);
        tally.count("unflushed writes at the cuts", loose as u64);
        tally.count("images with unflushed writes", u64::from(loose > 0));
        if !tally.failures.is_empty() {
            break;
        }
    }
    let flushes = cutter
        .events()
        .iter()
        .filter(|event| **event == Event::Flush)
        .count();
    tally.count("acknowledged messages", known.acked);
    tally.count("writes of the device", (total - flushes) as u64);
    tally.count("flushes of the device", flushes as u64);
    Ok(())
}

/// Where the power goes: three of four times while something is unflushed, and once at the very end.
fn draw_cuts(recording: &Recording, runs: u64, random: &mut fastrand::Rng) -> Vec<usize> {
    let events = recording.cutter.events();
    // the first process has to be there
    let opening = |line: &&Stamped| matches!(line.1, Line::Opening { .. });
    let begin = recording
        .lines
        .iter()
        .find(opening)
        .map_or(0, |(stamp, _)| *stamp);
    let begin = usize::try_from(begin).unwrap_or(0).min(events.len());
    between(events, begin, runs, random)
}

fn between(events: &[Event], begin: usize, runs: u64, random: &mut fastrand::Rng) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let cuts = between(&events, 1, 400, &mut random);
        assert_eq!(cuts.first(), Some(&6));
        assert!(cuts.iter().all(|cut| (1..=6).contains(cut)));
        let open = cuts.iter().filter(|cut| [2, 4, 5].contains(*cut)).count();
        assert!((280..380).contains(&open), "{open} of 400");
    }
}
