//! The batch that gives a stream its name is damaged: nothing of it is mistaken for another stream's.

use super::*;

/// Flips a bit of the batch at `offset` in the newest segment.
fn damage(disk: &SimDisk, offset: usize) {
    let newest = newest(disk);
    disk.corrupt(&newest, offset + 80, 1);
}

fn newest(disk: &SimDisk) -> Arc<Path> {
    let paths = disk.paths().into_iter();
    let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "seg"));
    segments.max().unwrap()
}

/// A clock that a test moves, so that the writer's ticks are counted.
fn open_with(disk: &SimDisk, clock: &ManualClock) -> (Log, OpenReport) {
    let key = NodeKey::from_bytes([9; 32]);
    let disk = Arc::new(disk.clone());
    Log::open(disk, &options(), key, Arc::new(clock.clone())).unwrap()
}

#[test]
fn a_name_stands_in_two_places() {
    let (disk, clock) = (
        SimDisk::default(),
        ManualClock::at(Timestamp::from_millis(1_000_000)),
    );
    let (a, b) = (key("acme/a"), key("acme/b"));
    let (log, _) = open_with(&disk, &clock);
    append(&log, &a, vec![draft(1, 100)]).unwrap();
    for id in 2..12 {
        clock.advance(Duration::from_millis(300));
        append(&log, &a, vec![draft(id, 100)]).unwrap();
    }
    append(&log, &b, vec![draft(99, 100)]).unwrap();
    block_on(log.commit_cursor("sink", &a, Seq(5))).unwrap();
    let epoch = log.info(&a).unwrap().epoch;
    log.close();
    damage(&disk, 4096);
    let (log, report) = open(&disk).unwrap();
    let lost: Vec<_> = report
        .lost
        .iter()
        .map(|lost| (&lost.stream, lost.first, lost.last))
        .collect();
    assert_eq!(lost, [(&a, Seq(1), Seq(1))]);
    let kept: Vec<u64> = read_all(&log, &a).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(kept, (2..12).collect::<Vec<_>>());
    assert_eq!(
        (log.cursor("sink", &a), log.info(&a).unwrap().epoch),
        (Seq(5), epoch)
    );
    assert_eq!(read_all(&log, &b).len(), 1);
}

#[test]
fn what_has_lost_its_name_is_kept_aside_and_its_number_is_nobody_elses() {
    let (disk, clock) = (
        SimDisk::default(),
        ManualClock::at(Timestamp::from_millis(1_000_000)),
    );
    let (a, b) = (key("acme/a"), key("umbrella/b"));
    let (log, _) = open_with(&disk, &clock);
    append(&log, &b, vec![draft(99, 100)]).unwrap();
    let offset = 4096 + {
        let content = disk.content(&newest(&disk));
        let payload = u32::from_le_bytes(content[4100..4104].try_into().unwrap());
        (56 + payload as usize).next_multiple_of(8)
    };
    for id in 1..10 {
        append(&log, &a, vec![draft(id, 100)]).unwrap();
    }
    block_on(log.commit_cursor("sink", &a, Seq(9))).unwrap();
    log.close();
    // the writer had no time to say the name again
    let segment = newest(&disk);
    damage(&disk, offset);
    let before = disk.content(&segment);

    let (log, report) = open(&disk).unwrap();
    let whats: Vec<_> = report.damaged.iter().map(|damage| damage.what).collect();
    assert!(
        whats.contains(&"messages of a stream whose name is lost"),
        "{report:?}"
    );
    assert_eq!(report.lost, [], "no other stream has lost anything");
    let copy = disk
        .paths()
        .into_iter()
        .find(|path| path.to_string_lossy().contains("-0-"));
    let copy = disk.content(&copy.expect("a copy from the header on"));
    assert_eq!(copy, before[..copy.len()]);
    assert!(copy.len() > offset + 9 * 100);
    assert_eq!(read_all(&log, &b).len(), 1);
    // streams are declared again, in another order
    let c = key("third/c");
    append(&log, &c, vec![draft(7, 10)]).unwrap();
    append(&log, &a, vec![draft(8, 10)]).unwrap();
    for stream in [&a, &c] {
        assert_eq!(log.cursor("sink", stream), Seq::ZERO);
        assert_eq!(read_all(&log, stream).len(), 1);
    }
    log.close();
    for _ in 0..2 {
        let (log, report) = open(&disk).unwrap();
        assert!(
            report.damaged.iter().all(|damage| damage.known),
            "{report:?}"
        );
        assert_eq!((read_all(&log, &a).len(), read_all(&log, &c).len()), (1, 1));
        assert_eq!(read_all(&log, &b).len(), 1);
        log.close();
    }
}
