//! What `disk` shows: from a running daemon, or from the files of one that is down.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::Upkeep;
use crate::admin::disk::{ClockJumpRow, DiskReport, LaneRow, StoreHealth, Taken};
use crate::store::{RealDisk, Role};

/// What is known while the daemon runs.
pub(super) fn of(upkeep: &Upkeep) -> DiskReport {
    let stats = upkeep.log.stats();
    let usage = &stats.usage;
    let lanes = usage.lanes.iter().map(|lane| LaneRow {
        lane: lane.lane.to_string(),
        from_percent: lane.share,
        refused: lane.refused.is_some(),
        since: lane.refused.map(|since| since.to_string()),
        code: lane.refused.map(|_| "QC3302".to_owned()),
    });
    let relief = usage.relief;
    DiskReport {
        running: true,
        store_bytes: usage.bytes,
        store_max_bytes: usage.max_bytes,
        min_free_bytes: usage.min_free,
        left_bytes: Some(usage.left_bytes),
        full_in_s: usage.full_in.map(|time| time.as_secs()),
        reserve_bytes: Some(usage.reserve_bytes),
        lanes: lanes.collect(),
        full: stats.full.clone(),
        stopped: stats.poisoned.clone(),
        takes: takes(upkeep),
        relief_bytes: Some(relief.before.saturating_sub(relief.after)),
        health: health(upkeep),
        ..of_disk(&upkeep.dir)
    }
}

/// The file system of a state directory.
fn of_disk(dir: &Path) -> DiskReport {
    let (size, free) = RealDisk::capacity(dir).unwrap_or_default();
    DiskReport {
        state_dir: dir.display().to_string(),
        disk_bytes: size,
        disk_free_bytes: free,
        disk_used_percent: RealDisk::used_percent(dir).unwrap_or(0),
        ..DiskReport::default()
    }
}

fn takes(upkeep: &Upkeep) -> Vec<Taken> {
    let (mut waiting, mut kept, mut dead) = ((0, 0), (0, 0), (0, 0));
    for info in upkeep.log.streams() {
        let (messages, bytes) = (info.messages, info.bytes);
        if info.key.role == Role::Dead {
            dead = (dead.0 + messages, dead.1 + bytes);
            continue;
        }
        let waits = (upkeep.slowest)(&info.key).map(|seq| upkeep.log.backlog(&info.key, seq));
        let (wait, wait_bytes) = waits.map_or((0, 0), |waits| (waits.messages, waits.bytes));
        waiting = (waiting.0 + wait, waiting.1 + wait_bytes);
        kept.0 += messages.saturating_sub(wait);
        kept.1 += bytes.saturating_sub(wait_bytes);
    }
    let usage = upkeep.log.stats().usage;
    let quarantine = upkeep.log.quarantine().unwrap_or_default();
    let row = |what: &str, bytes, count| Taken {
        what: what.to_owned(),
        bytes,
        count,
    };
    vec![
        row("waiting", waiting.1, Some(waiting.0)),
        row("kept", kept.1, Some(kept.0)),
        row("dead_letters", dead.1, Some(dead.0)),
        row("unneeded", usage.dead_bytes(), None),
        row("empty", usage.unused_bytes, None),
        row("free_files", usage.free_bytes, None),
        row("reserve", usage.reserve_bytes, None),
        row("index", usage.index_bytes, None),
        row("quarantine", quarantine.bytes, Some(quarantine.files)),
    ]
}

/// How sound the store is.
pub(super) fn health(upkeep: &Upkeep) -> StoreHealth {
    let stats = upkeep.log.stats();
    let quarantine = upkeep.log.quarantine().unwrap_or_default();
    let now = upkeep.clock.now();
    StoreHealth {
        scrubbed: stats.scrubbed.map(|at| at.to_string()),
        scrub_age_s: stats.scrubbed.map(|at| now.since(at).as_secs()),
        scrub_percent: stats.scrubbing,
        damaged_ranges: quarantine.files,
        quarantine_bytes: quarantine.bytes,
        unkept_ranges: stats.waiting.len() as u64,
        unread_segments: stats.unread.len() as u64,
        clock_jump: stats.jump.map(|jump| ClockJumpRow {
            from: jump.from.to_string(),
            to: jump.to.to_string(),
        }),
        lost_messages: upkeep.log.streams().iter().map(|info| info.lost).sum(),
    }
}

/// What the files of a daemon that is down say: nobody knows what is in them.
pub fn files_only(dir: &Path, max_bytes: u64, min_free: u64) -> io::Result<DiskReport> {
    let log = dir.join("log");
    let mut found: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut count = |what, bytes: u64| {
        let sum = found.entry(what).or_default();
        *sum = (sum.0 + bytes, sum.1 + 1);
    };
    for entry in std::fs::read_dir(&log)? {
        let entry = entry?;
        let (name, file) = (entry.file_name(), entry.metadata()?);
        let ending = Path::new(&name)
            .extension()
            .and_then(|ending| ending.to_str());
        match ending {
            Some("seg") => count("segments", file.len()),
            Some("idx") => count("index", file.len()),
            Some("tmp") => count("free_files", file.len()),
            _ => {}
        }
    }
    let quarantine = std::fs::read_dir(log.join("quarantine"))
        .into_iter()
        .flatten();
    for entry in quarantine {
        count("quarantine", entry?.metadata()?.len());
    }
    let rows = ["segments", "free_files", "index", "quarantine"];
    let takes: Vec<_> = rows
        .into_iter()
        .map(|what| {
            let (bytes, files) = found.get(what).copied().unwrap_or_default();
            Taken {
                what: what.to_owned(),
                bytes,
                count: Some(files),
            }
        })
        .collect();
    let (quarantine_bytes, damaged_ranges) = found.get("quarantine").copied().unwrap_or_default();
    let store = takes.iter().map(|row| row.bytes).sum::<u64>() - quarantine_bytes;
    Ok(DiskReport {
        store_bytes: store,
        store_max_bytes: max_bytes,
        min_free_bytes: min_free,
        takes,
        health: StoreHealth {
            damaged_ranges,
            quarantine_bytes,
            ..StoreHealth::default()
        },
        ..of_disk(dir)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{Lane, Timestamp};
    use crate::store::testing::block_on;
    use crate::store::testing::sim::SimDisk;
    use crate::store::testing::workload;
    use crate::store::{Draft, StreamKey, dead_letters};

    #[test]
    fn dead_letters_are_not_what_is_kept() {
        let disk = Arc::new(SimDisk::default());
        let (log, recovered) = workload::open(disk).unwrap();
        let stream = StreamKey::hub("acme/a".parse().unwrap());
        let draft = |id: u8| Draft {
            lane: Lane::Normal,
            head: vec![1; 10].into(),
            body: vec![1; 10].into(),
            part: crate::model::Part::WHOLE,
            dedupe: [id; 16],
            hop: None,
        };
        block_on(log.append(&stream, (1..4).map(draft).collect())).unwrap();
        let letters = dead_letters(&stream.name);
        block_on(log.bury(&letters, vec![draft(8), draft(9)], Vec::new())).unwrap();
        let upkeep = Upkeep {
            log,
            recovered,
            dir: "/".into(),
            node: "edge-1.site.acme".parse().unwrap(),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000))),
            slowest: Arc::new(|_| None),
        };
        let report = of(&upkeep);
        let taken = |what: &str| {
            let row = report.takes.iter().find(|row| row.what == what);
            row.map(|row| (row.count, row.bytes > 0))
        };
        assert_eq!(taken("dead_letters"), Some((Some(2), true)));
        assert_eq!(taken("kept"), Some((Some(3), true)));
    }
}
