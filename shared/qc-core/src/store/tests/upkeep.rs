//! The log as it grows old: indexes, compaction, limits, keys that change, damage found late.

use super::*;
use crate::secret::Secret;

fn open_with(disk: &SimDisk, change: impl FnOnce(&mut LogOptions)) -> (Log, OpenReport) {
    let mut options = options();
    change(&mut options);
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    let key = NodeKey::from_bytes([9; 32]);
    Log::open(Arc::new(disk.clone()), &options, key, clock).unwrap()
}

fn fill(log: &Log, stream: &StreamKey, ids: std::ops::Range<u64>, size: usize) {
    for id in ids {
        append(log, stream, vec![draft(id, size)]).unwrap();
    }
}

/// Has all space given back that is to be had.
fn relieve(log: &Log) {
    let mut until = None;
    let is_done = loop_until(|| {
        let step = block_on(log.relieve_step(until)).unwrap();
        until = Some(step.until);
        step.is_done
    });
    assert!(is_done, "it never ends");
}

#[test]
fn only_the_last_segment_is_read_at_a_start_and_ids_are_still_known() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    fill(&log, &stream, 0..300, 300);
    let segments = log.stats().segments;
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert_eq!((report.kept, report.segments), (300, segments));
    assert_eq!(report.scanned, 1, "all others have an index");
    for id in [0, 7, 150, 299] {
        let again = append(&log, &stream, vec![draft(id, 300)]).unwrap();
        assert_eq!(again, vec![Outcome::Duplicate { seq: Seq(id + 1) }]);
    }
    assert_eq!(
        log.read(&stream, Seq(100), 1, 0).unwrap()[0].header.seq,
        Seq(101)
    );
    log.close();
    for name in disk.list(Path::new(DIR)).unwrap() {
        let path = Path::new(DIR).join(name);
        if path.extension().is_some_and(|ending| ending == "idx") {
            disk.remove(&path).unwrap();
        }
    }
    let (log, report) = open(&disk).unwrap();
    assert_eq!(
        (report.kept, report.scanned),
        (300, report.segments),
        "made again"
    );
    assert_eq!(read_all(&log, &stream).len(), 300);
    log.close();
    let (_, report) = open(&disk).unwrap();
    assert_eq!(report.scanned, 1);
}

#[test]
fn a_slow_stream_does_not_hold_the_disk() {
    let disk = SimDisk::default();
    let (busy, slow) = (key("acme/busy"), key("acme/slow"));
    let (log, _) = open(&disk).unwrap();
    for id in 0..600 {
        append(&log, &busy, vec![draft(id, 800)]).unwrap();
        if id % 20 == 0 {
            append(&log, &slow, vec![draft(10_000 + id, 100)]).unwrap();
        }
    }
    let before = log.stats().segments;
    block_on(log.trim(&busy, Seq(600))).unwrap();
    let is_small = loop_until(|| log.stats().segments * 4 < before);
    assert!(is_small, "{} of {before} segments", log.stats().segments);
    let bodies = |log: &Log| read_all(log, &slow);
    assert_eq!(bodies(&log).len(), 30);
    let known = append(&log, &slow, vec![draft(10_020, 100)]).unwrap();
    assert_eq!(
        known,
        vec![Outcome::Duplicate { seq: Seq(2) }],
        "moved ids are known"
    );
    let there = bodies(&log);
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert_eq!((bodies(&log), report.lost), (there, vec![]));
    assert_eq!(log.info(&slow).unwrap().messages, 30);
}

#[test]
fn damage_in_an_old_segment_is_found_by_its_reader_and_becomes_a_gap() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    fill(&log, &stream, 0..200, 300);
    log.close();
    disk.corrupt(&segment_path(1), 9000, 0x40);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.damaged, vec![], "nobody has read it yet");
    let read = log.read(&stream, Seq::ZERO, 100, 1 << 20);
    assert!(
        matches!(read, Err(ReadError::Damaged { segment: 1, .. })) || read.unwrap().len() < 100,
        "never a wrong byte"
    );
    let mut after = Seq::ZERO;
    let mut there = 0;
    let finished = loop_until(|| match log.read(&stream, after, 1000, 1 << 20) {
        Ok(records) if records.is_empty() => true,
        Ok(records) => {
            there += records.len() as u64;
            after = records.last().unwrap().header.seq;
            false
        }
        Err(_) => false,
    });
    let lost = log.info(&stream).unwrap().lost;
    assert!(finished && lost > 0 && lost < 30, "{lost} lost");
    assert_eq!(there + lost, 200);
    assert_eq!(log.stats().damaged.len(), 1);
    assert_eq!(disk.list(Path::new("/log/quarantine")).unwrap().len(), 1);
    let aside = log.quarantine().unwrap();
    assert_eq!(
        (aside.files, aside.bytes),
        (1, log.stats().damaged[0].length)
    );
    let again = (0..200).filter(|id| {
        let outcome = append(&log, &stream, vec![draft(*id, 300)]).unwrap();
        matches!(outcome[0], Outcome::Stored { .. })
    });
    assert_eq!(again.count() as u64, lost, "what is lost may be sent again");
    let last = log.info(&stream).unwrap().last;
    block_on(log.commit_cursor("sink", &stream, last)).unwrap();
    block_on(log.trim(&stream, Seq(150))).unwrap();
    let state = log.cursor_state("sink", &stream).unwrap();
    assert_eq!(
        (state.acked + lost, state.lost()),
        (last.0, lost),
        "named even when trimmed"
    );
    log.close();
    let (log, report) = open(&disk).unwrap();
    let state = log.cursor_state("sink", &stream).unwrap();
    assert_eq!(state.lost(), lost, "the gap is on disk");
    assert!(report.damaged.is_empty());
}

#[test]
fn a_stream_at_its_limit_refuses_until_its_consumer_has_taken_something() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    let limits = Limits {
        max_messages: Some(10),
        ..Limits::default()
    };
    block_on(log.define_with(&stream, Some(limits))).unwrap();
    block_on(log.commit_cursor("sink", &stream, Seq::ZERO)).unwrap();
    fill(&log, &stream, 0..10, 20);
    let refused = append(&log, &stream, vec![draft(10, 20)]).unwrap_err();
    assert!(matches!(refused, AppendError::Limit { .. }), "{refused}");
    assert_eq!(
        read_all(&log, &stream).len(),
        10,
        "nothing was dropped for it"
    );
    let again = append(&log, &stream, vec![draft(3, 20)]).unwrap();
    assert_eq!(
        again,
        vec![Outcome::Duplicate { seq: Seq(4) }],
        "what is stored needs no room"
    );
    assert_eq!(log.info(&stream).unwrap().duplicates, 1);
    append(&log, &stream, vec![draft(3, 20), draft(11, 20)]).unwrap_err();
    block_on(log.commit_cursor("sink", &stream, Seq(4))).unwrap();
    fill(&log, &stream, 10..13, 20);
    let info = log.info(&stream).unwrap();
    assert!(info.messages <= 10 && info.first > Seq(1));
    let state = log.cursor_state("sink", &stream).unwrap();
    assert_eq!((state.acked, state.expired), (4, 0));
}

#[test]
fn what_expires_is_counted_for_whoever_had_not_taken_it() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    let key = NodeKey::from_bytes([9; 32]);
    let (log, _) = Log::open(
        Arc::new(disk),
        &options(),
        key,
        Arc::<ManualClock>::clone(&clock),
    )
    .unwrap();
    let limits = Limits {
        expire: Some(Duration::from_mins(1)),
        ..Limits::default()
    };
    block_on(log.define_with(&stream, Some(limits))).unwrap();
    fill(&log, &stream, 0..20, 300);
    block_on(log.commit_cursor("fast", &stream, Seq(20))).unwrap();
    block_on(log.commit_cursor("slow", &stream, Seq(5))).unwrap();
    clock.advance(Duration::from_mins(2));
    assert!(loop_until(|| log.info(&stream).unwrap().messages == 0));
    let states: BTreeMap<_, _> = log.cursor_states(&stream).into_iter().collect();
    let counts = |name: &str| (states[name].acked, states[name].expired);
    assert_eq!((counts("fast"), counts("slow")), ((20, 0), (5, 15)));
}

#[test]
fn a_message_in_an_old_segment_ends_at_its_own_time() {
    let disk = SimDisk::default();
    let (slow, busy) = (key("acme/slow"), key("acme/busy"));
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    let node = NodeKey::from_bytes([9; 32]);
    let time = Arc::<ManualClock>::clone(&clock);
    let (log, _) = Log::open(Arc::new(disk), &options(), node, time).unwrap();
    let limits = Limits {
        expire: Some(Duration::from_hours(10)),
        ..Limits::default()
    };
    block_on(log.define_with(&slow, Some(limits))).unwrap();
    // one message an hour, all in one segment, which then ends
    for hour in 0..9 {
        fill(&log, &slow, hour..hour + 1, 20);
        clock.advance(Duration::from_hours(1));
    }
    fill(&log, &busy, 100..160, 800);
    let kept = || log.info(&slow).unwrap().messages;
    assert_eq!(kept(), 9);
    clock.advance(Duration::from_mins(61));
    assert!(loop_until(|| kept() == 8), "{} are kept", kept());
    clock.advance(Duration::from_hours(3));
    assert!(loop_until(|| kept() == 5), "{} are kept", kept());
}

#[test]
fn urgent_lanes_are_taken_longer_than_others() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open_with(&disk, |options| {
        options.max_bytes = 400 << 10;
        options.shed = Shed {
            low: 20,
            normal: 50,
            high: 60,
        };
    });
    let try_lane = |id: u64, lane: Lane| {
        let draft = Draft {
            lane,
            ..draft(id, 1000)
        };
        append(&log, &stream, vec![draft]).is_ok()
    };
    let mut taken = BTreeMap::new();
    for id in 0..400 {
        for lane in Lane::ALL {
            let count: &mut u32 = taken.entry(lane as u8).or_default();
            *count += u32::from(try_lane(id * 4 + u64::from(lane as u8), lane));
        }
    }
    let counts: Vec<u32> = taken.into_values().collect();
    assert!(
        counts.is_sorted_by(|urgent, other| urgent > other),
        "{counts:?}"
    );
}

#[test]
fn a_store_changes_its_key_while_it_runs() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    fill(&log, &stream, 0..100, 300);
    let new = NodeKey::from_bytes([7; 32]);
    block_on(log.rewrap(new.clone())).unwrap();
    fill(&log, &stream, 100..150, 300);
    log.close();
    assert!(
        matches!(open(&disk), Err(OpenError::WrongKey { .. })),
        "the old key opens nothing"
    );
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    let (log, report) = Log::open(Arc::new(disk), &options(), new, clock).unwrap();
    assert_eq!((report.kept, read_all(&log, &stream).len()), (150, 150));
}

#[test]
fn a_key_may_change_at_any_moment_of_a_power_cut() {
    let (old, new) = (NodeKey::from_bytes([9; 32]), NodeKey::from_bytes([7; 32]));
    let stream = key("acme/a");
    for stop in 0..60 {
        let disk = SimDisk::default();
        let (log, _) = open(&disk).unwrap();
        fill(&log, &stream, 0..60, 300);
        disk.stop_after(stop);
        let _cut_off_or_not = block_on(log.rewrap(new.clone()));
        log.close();
        let crashed = disk.crash(&mut fastrand::Rng::with_seed(stop));
        let keys = Keyring {
            current: new.clone(),
            other: Some(old.clone()),
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
        let (log, report) = Log::open(Arc::new(crashed), &options(), keys, clock).unwrap();
        assert_eq!(
            (report.kept, report.damaged),
            (60, vec![]),
            "stopped after {stop}"
        );
        block_on(log.rewrap(new.clone())).unwrap();
        assert_eq!(read_all(&log, &stream).len(), 60);
    }
}

/// Keys of tenants that can be taken away.
#[derive(Default)]
struct Safe(std::sync::Mutex<BTreeMap<u32, [u8; 32]>>);

impl Custody for Safe {
    fn sealing(&self, tenant: &str) -> Result<Option<TenantKey>, NoKey> {
        let id = u32::from(tenant == "acme") + 1;
        self.opening(id).map(|key| Some((id, key)))
    }

    fn opening(&self, key: u32) -> Result<Secret<[u8; 32]>, NoKey> {
        let keys = self.0.lock().unwrap();
        keys.get(&key)
            .map(|key| Secret::new(*key))
            .ok_or_else(|| NoKey::Destroyed(format!("no key {key}")))
    }
}

#[test]
fn a_tenant_whose_key_is_gone_is_unreadable_and_others_are_not() {
    let disk = SimDisk::default();
    let safe = Arc::new(Safe::default());
    safe.0.lock().unwrap().extend([(1, [1; 32]), (2, [2; 32])]);
    let (acme, other) = (key("acme/a"), key("other/a"));
    let custody: Arc<dyn Custody> = Arc::<Safe>::clone(&safe);
    let (log, _) = open_with(&disk, |options| options.custody = Arc::clone(&custody));
    fill(&log, &acme, 0..40, 300);
    fill(&log, &other, 0..40, 300);
    log.close();
    let (log, _) = open_with(&disk, |options| options.custody = custody);
    assert_eq!(
        (read_all(&log, &acme).len(), read_all(&log, &other).len()),
        (40, 40)
    );
    safe.0.lock().unwrap().remove(&2);
    log.forget_plain();
    let read = log.read(&acme, Seq::ZERO, 10, 10_000);
    assert!(matches!(read, Err(ReadError::TenantKey { .. })), "{read:?}");
    let refused = append(&log, &acme, vec![draft(50, 10)]).unwrap_err();
    assert!(matches!(refused, AppendError::TenantKey { .. }) && refused.is_retryable());
    assert_eq!(read_all(&log, &other).len(), 40);
    safe.0.lock().unwrap().insert(2, [2; 32]);
    assert_eq!(read_all(&log, &acme).len(), 40, "the key came back");
}

/// The same, where a key that is not there may come back.
struct Lent(Arc<Safe>);

impl Custody for Lent {
    fn sealing(&self, tenant: &str) -> Result<Option<TenantKey>, NoKey> {
        let away = |reason: NoKey| NoKey::Away(reason.to_string());
        self.0.sealing(tenant).map_err(away)
    }

    fn opening(&self, key: u32) -> Result<Secret<[u8; 32]>, NoKey> {
        let away = |reason: NoKey| NoKey::Away(reason.to_string());
        self.0.opening(key).map_err(away)
    }
}

#[test]
fn a_tenant_whose_key_is_away_does_not_hold_the_space_of_others() {
    let disk = SimDisk::default();
    let safe = Arc::new(Safe::default());
    safe.0.lock().unwrap().extend([(1, [1; 32]), (2, [2; 32])]);
    let custody: Arc<dyn Custody> = Arc::new(Lent(Arc::clone(&safe)));
    let (log, _) = open_with(&disk, |options| options.custody = custody);
    let (acme, other, busy) = (key("acme/a"), key("other/a"), key("other/busy"));
    for id in 0..40 {
        // each of the two stands in segments of its own, and a smaller share of acme's is needed
        let (slow, size) = if id < 20 { (&acme, 100) } else { (&other, 400) };
        fill(&log, slow, 10_000 + id..10_001 + id, size);
        fill(&log, &busy, 100 * id..100 * id + 4, 800);
    }
    safe.0.lock().unwrap().remove(&2);
    log.forget_plain();
    block_on(log.trim(&busy, Seq(160))).unwrap();
    let before = log.stats().segments;
    relieve(&log);
    let after = log.stats().segments;
    assert!(after < before, "{after} of {before} segments");
    assert_eq!(read_all(&log, &other).len(), 20);
    safe.0.lock().unwrap().insert(2, [2; 32]);
    assert_eq!(read_all(&log, &acme).len(), 20, "nothing of it was touched");
}

#[test]
fn nothing_is_moved_out_of_a_segment_that_cannot_go() {
    let disk = SimDisk::default();
    let safe = Arc::new(Safe::default());
    safe.0.lock().unwrap().extend([(1, [1; 32]), (2, [2; 32])]);
    let custody: Arc<dyn Custody> = Arc::new(Lent(Arc::clone(&safe)));
    let (log, _) = open_with(&disk, |options| options.custody = custody);
    let (acme, other, busy) = (key("acme/a"), key("other/a"), key("other/busy"));
    for id in 0..40 {
        fill(&log, &other, 10_000 + id..10_001 + id, 100);
        fill(&log, &acme, 20_000 + id..20_001 + id, 100);
        fill(&log, &busy, 100 * id..100 * id + 4, 800);
    }
    safe.0.lock().unwrap().remove(&2);
    log.forget_plain();
    block_on(log.trim(&busy, Seq(160))).unwrap();
    let before = log.stats().written_bytes;
    relieve(&log);
    let written = log.stats().written_bytes - before;
    assert_eq!(written, 0, "copies that free nothing");
    safe.0.lock().unwrap().insert(2, [2; 32]);
    assert_eq!(read_all(&log, &acme).len(), 40);
}

#[test]
fn a_value_changes_only_from_the_revision_that_was_seen() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk).unwrap();
    let put = |expected: Option<Seq>, text: Option<&str>| {
        let value = text.map(|text| (text.as_bytes().to_vec(), Timestamp::default()));
        block_on(log.put("registry/edge-1", expected, value))
    };
    let first = put(Some(Seq::ZERO), Some("a")).unwrap();
    assert!(matches!(
        put(Some(Seq::ZERO), Some("b")),
        Err(ValueError::Conflict { there: Some(_) })
    ));
    let second = put(Some(first.revision), Some("b")).unwrap();
    assert!(second.revision > first.revision);
    log.close();
    let (log, _) = open(&disk).unwrap();
    assert_eq!(log.value("registry/edge-1").unwrap().bytes, "b");
    assert_eq!(log.values("registry/").len(), 1);
    block_on(log.put("registry/edge-1", None, None)).unwrap();
    log.close();
    let (log, _) = open(&disk).unwrap();
    assert_eq!(log.value("registry/edge-1"), None);
}

#[test]
fn space_comes_back_when_it_is_asked_for() {
    let disk = SimDisk::default();
    let (busy, slow) = (key("acme/busy"), key("acme/slow"));
    let (log, _) = open(&disk).unwrap();
    for id in 0..60 {
        append(&log, &busy, vec![draft(id, 800)]).unwrap();
        append(&log, &slow, vec![draft(10_000 + id, 400)]).unwrap();
    }
    block_on(log.trim(&busy, Seq(60))).unwrap();
    let said = || log.stats().usage.relief;
    assert!(loop_until(|| said().dead > 0), "{:?}", said());
    let (before, promised) = (log.stats().bytes, said());
    relieve(&log);
    let after = log.stats().bytes;
    assert!(after < before, "{before}, then {after}; {promised:?}");
    assert_eq!(read_all(&log, &slow).len(), 60);
}

#[test]
fn bodies_of_a_destroyed_key_are_in_nobodys_way() {
    let disk = SimDisk::default();
    let (busy, slow) = (key("other/busy"), key("acme/slow"));
    let safe = Arc::new(Safe::default());
    safe.0.lock().unwrap().extend([(1, [1; 32]), (2, [2; 32])]);
    let custody: Arc<dyn Custody> = Arc::<Safe>::clone(&safe);
    let (log, _) = open_with(&disk, |options| options.custody = Arc::clone(&custody));
    for id in 0..60 {
        append(&log, &busy, vec![draft(id, 800)]).unwrap();
        append(&log, &slow, vec![draft(10_000 + id, 400)]).unwrap();
    }
    safe.0.lock().unwrap().remove(&2);
    log.forget_plain();
    block_on(log.trim(&busy, Seq(60))).unwrap();
    let before = log.stats().bytes;
    relieve(&log);
    assert!(log.stats().bytes < before);
    log.close();
    let (log, report) = open_with(&disk, |options| options.custody = custody);
    assert_eq!((report.kept, report.damaged), (60, vec![]));
    assert_eq!(log.backlog(&slow, Seq::ZERO).messages, 60);
    let read = log.read(&slow, Seq::ZERO, 10, 10_000);
    assert!(matches!(read, Err(ReadError::TenantKey { .. })), "{read:?}");
}
