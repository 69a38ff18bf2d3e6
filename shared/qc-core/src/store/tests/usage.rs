//! What an operator is told of space: who is refused, what is left, what can be given back, and how far
//! the reading of everything has come.

use super::*;
use crate::clock::Clock as _;
use crate::store::scrub::SCRUBBING;

pub(super) fn open_at(
    disk: &SimDisk,
    clock: &Arc<ManualClock>,
    change: impl FnOnce(&mut LogOptions),
) -> Log {
    let mut options = options();
    change(&mut options);
    let key = NodeKey::from_bytes([9; 32]);
    let clock = Arc::<ManualClock>::clone(clock);
    Log::open(Arc::new(disk.clone()), &options, key, clock)
        .unwrap()
        .0
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)))
}

/// Appends in one lane until it is refused, while time goes on. Returns how many were taken.
pub(super) fn fill(log: &Log, clock: &ManualClock, lane: Lane, from: u64) -> u64 {
    let stream = key("acme/a");
    for id in 0..10_000 {
        if id % 8 == 0 {
            clock.advance(Duration::from_millis(250));
        }
        let draft = Draft {
            lane,
            ..draft(from + id, 8000)
        };
        match append(log, &stream, vec![draft]) {
            Ok(_) => {}
            Err(AppendError::Full { .. }) => return id,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{lane} was never refused");
}

fn refused(log: &Log) -> Vec<Lane> {
    let lanes = log.stats().usage.lanes.into_iter();
    let refused = lanes.filter(|lane| lane.refused.is_some());
    refused.map(|lane| lane.lane).collect()
}

/// Fills a log lane by lane, the least urgent first, and frees it again.
fn fills_in_order(disk: &SimDisk, change: impl FnOnce(&mut LogOptions)) {
    let clock = clock();
    let log = open_at(disk, &clock, |options| {
        options.prepare_ahead = true;
        options.segment_bytes = 256 << 10;
        change(options);
    });
    assert!(loop_until(|| log.stats().usage.left_bytes > 0));
    let left = log.stats().usage.left_bytes;
    assert!(left < 16 << 20, "{left}");
    let mut taken = Vec::new();
    for (at, lane) in [Lane::Low, Lane::Normal, Lane::High]
        .into_iter()
        .enumerate()
    {
        taken.push(fill(&log, &clock, lane, at as u64 * 10_000));
        let all = [Lane::High, Lane::Normal, Lane::Low];
        let is_so = loop_until(|| refused(&log) == all[2 - at..]);
        let stats = log.stats();
        assert!(is_so, "{lane} {taken:?} {:?} {:?}", stats.usage, stats.full);
    }
    assert!(taken.iter().all(|count| *count > 0), "{taken:?}");
    assert!(
        fill(&log, &clock, Lane::Critical, 90_000) > 0,
        "an alarm still goes"
    );
    assert!(loop_until(|| refused(&log).len() == 4));
    let usage = log.stats().usage;
    let since = |usage: &Usage| usage.lanes.last().unwrap().refused;
    let low = since(&usage);
    assert!(
        low > usage.lanes[0]
            .refused
            .map(|_| Timestamp::from_millis(1_000_000))
    );
    assert!(low < usage.lanes[0].refused, "low first: {usage:?}");
    clock.advance(Duration::from_secs(1));
    let (commits, again) = (log.stats().commits, key("acme/a"));
    block_on(log.commit_cursor("sink", &again, Seq(1))).expect("positions have the reserve");
    assert!(log.stats().commits > commits);
    assert_eq!(since(&log.stats().usage), low, "it is the same refusal");
    assert!(usage.reserve_bytes > 0 && usage.is_crowded());
    let stream = key("acme/a");
    let last = log.info(&stream).unwrap().last;
    block_on(log.commit_cursor("sink", &stream, last)).unwrap();
    block_on(log.trim(&stream, last)).unwrap();
    assert!(loop_until(|| refused(&log).is_empty()), "it ends by itself");
    assert!(fill(&log, &clock, Lane::Low, 200_000) > 0);
}

#[test]
fn the_least_urgent_lane_is_refused_first_at_the_limit_of_the_log() {
    fills_in_order(&SimDisk::default(), |options| options.max_bytes = 16 << 20);
}

#[test]
fn the_least_urgent_lane_is_refused_first_on_a_small_disk() {
    let disk = SimDisk::default();
    disk.set_capacity(Some(16 << 20));
    fills_in_order(&disk, |_| {});
}

#[test]
fn a_reading_of_everything_goes_on_after_a_restart_and_has_an_end() {
    let (disk, clock) = (SimDisk::default(), clock());
    let stream = key("acme/a");
    let log = open_at(&disk, &clock, |options| options.scrub = false);
    for id in 0..300 {
        append(&log, &stream, vec![draft(id, 300)]).unwrap();
    }
    let segments = log.stats().segments;
    assert!(segments > 6, "{segments}");
    log.close();

    let log = open_at(&disk, &clock, |_| {});
    let saved = loop_until(|| {
        clock.advance(Duration::from_secs(31));
        log.value(SCRUBBING).is_some() && log.stats().scrubbing >= Some(50)
    });
    assert!(saved, "the place is written down");
    let first = log.stats().scrubbed_bytes;
    assert_eq!(log.stats().scrubbed, None);
    log.close();

    let log = open_at(&disk, &clock, |_| {});
    let finished = loop_until(|| {
        clock.advance(Duration::from_secs(2));
        // what comes meanwhile does not put off the end
        for id in 0..20 {
            let id = clock.now().as_millis() + id;
            append(&log, &stream, vec![draft(id, 300)]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
        log.stats().scrubbed.is_some()
    });
    assert!(finished, "{:?}", log.stats().scrubbing);
    let second = log.stats().scrubbed_bytes;
    assert!(
        second > 0 && second * 2 < first * 3,
        "{first}, then {second}"
    );
    assert!(log.value(SCRUBBING).is_none());
    assert!(loop_until(|| log.stats().scrubbing.is_none()));
}

#[test]
fn space_comes_back_step_by_step() {
    let (disk, clock) = (SimDisk::default(), clock());
    let (busy, slow) = (key("acme/busy"), key("acme/slow"));
    let log = open_at(&disk, &clock, |_| {});
    for id in 0..60 {
        append(&log, &busy, vec![draft(id, 800)]).unwrap();
        append(&log, &slow, vec![draft(10_000 + id, 400)]).unwrap();
    }
    block_on(log.trim(&busy, Seq(60))).unwrap();
    let before = log.stats().bytes;
    let (mut until, mut steps) = (None, 0);
    let bytes = loop {
        let step = block_on(log.relieve_step(until)).unwrap();
        steps += 1;
        // others have their turn
        append(&log, &busy, vec![draft(500 + steps, 10)]).unwrap();
        until = Some(step.until);
        if step.is_done {
            break step.bytes;
        }
        assert!(steps < 100, "it never ends");
    };
    assert!(steps > 1 && bytes < before, "{steps} {bytes} {before}");
    assert_eq!(read_all(&log, &slow).len(), 60);
}

#[test]
fn a_reading_that_left_something_does_not_end_as_sound() {
    let (disk, clock) = (SimDisk::default(), clock());
    let stream = key("acme/a");
    let log = open_at(&disk, &clock, |options| options.scrub = false);
    for id in 0..200 {
        append(&log, &stream, vec![draft(id, 300)]).unwrap();
    }
    log.close();
    let path = segment_path(2);
    let (length, content) = (disk.length(&path), disk.content(&path));
    let log = open_at(&disk, &clock, |_| {});
    // nothing of the second segment can be read: it may be the disk or its cable
    disk.spoil(&path, 0, length);
    let goes_on = |is_so: &dyn Fn() -> bool| {
        loop_until(|| {
            clock.advance(Duration::from_secs(2));
            std::thread::sleep(Duration::from_millis(20));
            is_so()
        })
    };
    let has_begun = goes_on(&|| log.stats().scrubbing.is_some());
    let has_ended = goes_on(&|| log.stats().scrubbing.is_none());
    assert!(has_begun && has_ended, "{:?}", log.stats().scrubbing);
    let stats = log.stats();
    assert_eq!((stats.scrubbed, stats.unread), (None, vec![2]));
    assert_eq!(stats.poisoned, None);
    assert_eq!(log.info(&stream).unwrap().lost, 0, "nothing is given up");
    // it answers again: within the hour everything is read, and only then it is sound
    disk.put(&path, &content, 0);
    clock.advance(Duration::from_hours(1));
    assert!(goes_on(&|| log.stats().scrubbed.is_some()));
    assert!(log.stats().unread.is_empty());
    assert_eq!(read_all(&log, &stream).len(), 200);
}
