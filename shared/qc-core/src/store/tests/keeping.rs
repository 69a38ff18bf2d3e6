//! What holds a log up must not hold it up for ever: letters on a full disk, streams that nobody reads,
//! free files, keys.

use super::usage::{clock, fill, open_at};
use super::*;
use crate::store::testing::fault::{Failing, Fault, FaultDisk, Operation};
use crate::store::testing::workload::node_key;

fn letter(stream: &StreamKey, seq: Seq, consumer: &str, size: usize) -> DeadLetter {
    let message = draft(seq.0, size);
    DeadLetter {
        note: DeadNote {
            code: "QC4204".to_owned(),
            reason: "the sink answered 400".to_owned(),
            stream: stream.clone(),
            sender: None,
            epoch: Epoch(1),
            seq,
            consumer: consumer.to_owned(),
            at: Timestamp::from_millis(1_000_000),
            attempts: 1,
        },
        lane: Lane::Low,
        head: message.head,
        body: message.body,
        part: crate::model::Part::WHOLE,
    }
}

/// A log whose messages have all the room, with a consumer that has taken nothing yet.
fn full(lanes: &[Lane]) -> (Log, Positions, Arc<ManualClock>, StreamKey) {
    let (disk, clock) = (SimDisk::default(), clock());
    let log = open_at(&disk, &clock, |options| {
        options.prepare_ahead = true;
        options.segment_bytes = 256 << 10;
        options.max_bytes = 4 << 20;
    });
    let (stream, positions) = (key("acme/a"), Positions::new(log.clone()));
    block_on(log.define(&stream)).unwrap();
    positions.begin(&stream, "sink", Seq::ZERO);
    block_on(positions.flush()).unwrap();
    for (at, lane) in lanes.iter().enumerate() {
        assert!(fill(&log, &clock, *lane, at as u64 * 10_000) > 0);
    }
    (log, positions, clock, stream)
}

#[test]
fn a_message_that_nobody_can_take_does_not_hold_up_a_full_log() {
    for lanes in [&[Lane::Low][..], &[Lane::Low, Lane::Critical]] {
        let (log, positions, clock, stream) = full(lanes);
        let poison = letter(&stream, Seq(1), "sink", 8000);
        let buried = block_on(positions.bury(&poison));
        assert!(buried.is_ok(), "{lanes:?}: {buried:?}");
        let state = log.cursor_state("sink", &stream).unwrap();
        assert_eq!((state.seq, state.dead), (Seq(1), 1));
        // the rest goes its way, and low is taken again without anybody's help
        let last = log.info(&stream).unwrap().last;
        positions.advance(&stream, "sink", last);
        block_on(positions.flush()).unwrap();
        block_on(log.trim(&stream, last)).unwrap();
        assert!(fill(&log, &clock, Lane::Low, 500_000) > 0, "{lanes:?}");
        let home = poison.home();
        assert_eq!(log.info(&home).unwrap().messages, 1);
    }
}

#[test]
fn letters_leave_room_for_the_steps_of_consumers() {
    let (log, positions, _clock, stream) = full(&[Lane::Low, Lane::Critical]);
    let last = log.info(&stream).unwrap().last;
    let mut kept = Seq::ZERO;
    let refused = (1..=last.0).find_map(|seq| {
        let poison = letter(&stream, Seq(seq), "sink", 8000);
        match block_on(positions.bury(&poison)) {
            Ok(_) => kept = Seq(seq),
            Err(error) => return Some(error),
        }
        None
    });
    assert!(
        matches!(refused, Some(AppendError::Full { .. })),
        "{refused:?}"
    );
    assert!(kept > Seq(4), "the reserve takes some: {kept}");
    // a letter that is there already needs only the step: it is written, and as what it is
    let again = letter(&stream, Seq(1), "sink", 8000);
    let step = CursorMove {
        stream: stream.clone(),
        consumer: "other".to_owned(),
        from: Seq::ZERO,
        seq: Seq(1),
        dead: 1,
    };
    let outcomes = block_on(log.bury(&again.home(), vec![again.draft()], vec![step])).unwrap();
    assert!(outcomes[0].is_duplicate());
    let other = log.cursor_state("other", &stream).unwrap();
    assert_eq!((other.seq, other.dead, other.acked), (Seq(1), 1, 0));
    for seq in kept.0..kept.0 + 50 {
        let step = log.commit_cursor("sink", &stream, Seq(seq));
        block_on(step).expect("positions have the reserve");
    }
}

#[test]
fn a_publishers_letter_is_refused_as_any_message_is() {
    let (log, ..) = full(&[Lane::Low]);
    let mut poison = letter(&key("acme/a"), Seq(1), "", 8000);
    poison.note.sender = "edge-1.site.acme".parse().ok();
    let refused = block_on(log.bury(&poison.home(), vec![poison.draft()], Vec::new()));
    assert!(
        matches!(refused, Err(AppendError::Full { .. })),
        "{refused:?}"
    );
}

#[test]
fn letters_of_publishers_have_a_limit_and_those_of_consumers_do_not() {
    let (disk, clock) = (SimDisk::default(), clock());
    let log = open_at(&disk, &clock, |options| options.dead_bytes = 3000);
    let (stream, positions) = (key("acme/a"), Positions::new(log.clone()));
    for id in 0..9 {
        append(&log, &stream, vec![draft(id, 1000)]).unwrap();
    }
    let publish = |seq, of: &StreamKey| {
        let mut dead = letter(of, Seq(seq), "", 1000);
        dead.note.sender = "edge-1.site.acme".parse().ok();
        block_on(log.bury(&dead.home(), vec![dead.draft()], Vec::new()))
    };
    assert!(publish(100, &stream).is_ok() && publish(101, &stream).is_ok());
    for of in [&stream, &key("other/b")] {
        // one limit for all tenants: it is the disk that is limited
        let refused = publish(102, of).unwrap_err();
        assert!(matches!(refused, AppendError::Limit { .. }), "{refused}");
    }
    let again = publish(100, &stream).unwrap();
    assert!(again[0].is_duplicate(), "what is kept is known");
    for seq in 1..9 {
        let poison = letter(&stream, Seq(seq), "sink", 1000);
        block_on(positions.bury(&poison)).expect("a consumer goes on");
    }
    assert_eq!(log.cursor_state("sink", &stream).unwrap().dead, 8);
}

#[test]
fn a_clock_that_jumps_ends_no_message() {
    const YEAR: u64 = 365 * 86_400_000;
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let limits = Limits {
        // a week is believed of each of the two starts ten years ahead
        expire: Some(Duration::from_hours(15 * 24)),
        ..Limits::default()
    };
    let mut held = 0;
    // right, ten years ahead, not set at all, right again; each within a process and over a restart
    let today = 1_795_000_000_000;
    for (turn, year) in [0, 10 * YEAR, 0, 10 * YEAR].into_iter().enumerate() {
        let now = today + year + turn as u64 * 1_000_000;
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(now)));
        let log = open_at(&disk, &clock, |_| {});
        block_on(log.define_with(&stream, Some(limits.clone()))).unwrap();
        for set in [5000, now + 20 * YEAR, now + 60_000] {
            clock.set(Timestamp::from_millis(set));
            append(&log, &stream, vec![draft(held, 300)]).unwrap();
            held += 1;
            clock.advance(Duration::from_mins(10));
            std::thread::sleep(Duration::from_millis(600));
            let kept = log.info(&stream).unwrap().messages;
            assert_eq!(kept, held, "turn {turn}, set to {set}");
        }
        assert!(log.stats().jumps >= 3, "{:?}", log.stats().jumps);
        log.close();
    }
    // and what is really over its time goes
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(today)));
    let log = open_at(&disk, &clock, |_| {});
    block_on(log.define_with(&stream, Some(limits))).unwrap();
    clock.advance(Duration::from_hours(16 * 24));
    assert!(loop_until(|| log.info(&stream).unwrap().messages == 0));
}

#[test]
fn a_free_file_that_cannot_be_written_stays_a_free_file() {
    let disk = FaultDisk::new(Arc::new(SimDisk::default()), None);
    let clock = clock();
    let mut options = options();
    options.segment_bytes = 64 << 10;
    options.scrub = false;
    let (log, _) = Log::open(Arc::new(disk.clone()), &options, node_key(), clock.clone()).unwrap();
    let stream = key("acme/a");
    append(&log, &stream, vec![draft(0, 20_000)]).unwrap();
    // the stream's name is said once more in a tick, and nothing is written by itself after that
    for id in 1000..1003 {
        clock.advance(Duration::from_secs(1));
        append(&log, &stream, vec![draft(id, 10)]).unwrap();
    }
    let files = || {
        let names = disk.list(Path::new(DIR)).unwrap();
        names.iter().filter(|name| space::is_free(name)).count()
    };
    let before = files();
    assert!(before > 0);
    // the next segment's header is the first thing that is written
    disk.fail(Some(Failing {
        operation: Operation::Write,
        nth: 0,
        fault: Fault::Enospc,
        sticky: true,
    }));
    for attempt in 0..12 {
        let refused = append(&log, &stream, vec![draft(1 + attempt, 40_000)]);
        assert!(
            matches!(refused, Err(AppendError::Full { .. })),
            "{refused:?}"
        );
        clock.advance(Duration::from_secs(1));
    }
    disk.fail(None);
    assert!(files() <= before + 1, "{before} became {}", files());
    append(&log, &stream, vec![draft(100, 40_000)]).unwrap();
}

#[test]
fn a_free_file_is_under_no_earlier_key() {
    let (disk, clock) = (SimDisk::default(), clock());
    let log = open_at(&disk, &clock, |_| {});
    let stream = key("acme/a");
    for id in 0..60 {
        append(&log, &stream, vec![draft(id, 800)]).unwrap();
    }
    block_on(log.trim(&stream, Seq(60))).unwrap();
    let free = || {
        let paths = disk.paths();
        let free = paths
            .iter()
            .filter(|path| path.to_string_lossy().contains("/free-"));
        free.map(|path| disk.content(path)).collect::<Vec<_>>()
    };
    assert!(loop_until(|| !free().is_empty()), "{:?}", disk.paths());
    block_on(log.rewrap(NodeKey::from_bytes([7; 32]))).unwrap();
    let left = free();
    assert!(!left.is_empty());
    for content in left {
        let header = segment::SegmentHeader::decode(&content);
        assert!(header.is_err(), "a free file still holds a wrapped key");
    }
}
