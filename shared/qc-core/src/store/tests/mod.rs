//! The log against its promises, over the simulated disk: what was acknowledged is there, in order,
//! once, after every crash; what is damaged is reported and nothing else is touched.

mod damage;
mod keeping;
mod names;
mod upkeep;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::time::Duration;

use bytes::Bytes;

use super::sim::SimDisk;
use super::testing::workload::options;
use super::*;
use crate::clock::ManualClock;
use crate::model::{Envelope, Epoch, Lane, Message, NodeName, Seq, Timestamp};

const DIR: &str = "/log";

fn open(disk: &SimDisk) -> Result<(Log, OpenReport), OpenError> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    Log::open(
        Arc::new(disk.clone()),
        &options(),
        NodeKey::from_bytes([9; 32]),
        clock,
    )
}

fn key(name: &str) -> StreamKey {
    StreamKey::hub(name.parse().unwrap())
}

fn draft(id: u64, size: usize) -> Draft {
    let envelope = Envelope::new(format!("id-{id}"), "/test", "test.event");
    let body = Bytes::from(vec![u8::try_from(id % 251).unwrap(); size]);
    Draft::from_message(&Message { envelope, body }, Lane::Normal)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn append(log: &Log, stream: &StreamKey, drafts: Vec<Draft>) -> Result<Vec<Outcome>, AppendError> {
    block_on(log.append(stream, drafts))
}

fn read_all(log: &Log, stream: &StreamKey) -> Vec<(u64, Bytes)> {
    let (mut after, mut all) = (Seq::ZERO, Vec::new());
    loop {
        let records = log.read(stream, after, 7, 10_000).unwrap();
        let Some(last) = records.last() else {
            return all;
        };
        after = last.header.seq;
        all.extend(
            records
                .into_iter()
                .map(|record| (record.header.seq.0, record.body)),
        );
    }
}

#[test]
fn what_is_appended_is_read_back_after_reopening() {
    let disk = SimDisk::default();
    let (a, b) = (key("acme/a"), key("acme/b"));
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report, OpenReport::default());
    for id in 0..200 {
        append(
            &log,
            if id % 3 == 0 { &b } else { &a },
            vec![draft(id, 300)],
        )
        .unwrap();
    }
    block_on(log.commit_cursor("sink", &a, Seq(50))).unwrap();
    let before = (read_all(&log, &a), read_all(&log, &b), log.streams());
    assert!(log.stats().segments > 3, "small segments roll");
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert_eq!(
        (report.kept, report.damaged.len(), report.torn_tail),
        (200, 0, 0)
    );
    assert_eq!(
        (read_all(&log, &a), read_all(&log, &b), log.streams()),
        before
    );
    assert_eq!(log.cursor("sink", &a), Seq(50));
    assert_eq!(log.backlog(&a, Seq(50)).messages, 133 - 50);
    let next = append(&log, &a, vec![draft(1000, 1)]).unwrap();
    assert_eq!(next, vec![Outcome::Stored { seq: Seq(134) }]);
}

#[test]
fn a_message_is_known_again_after_reopening() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    let first = append(
        &log,
        &stream,
        vec![draft(1, 10), draft(2, 10), draft(1, 10)],
    )
    .unwrap();
    assert_eq!(first[2], Outcome::Duplicate { seq: Seq(1) });
    log.close();
    let (log, _) = open(&disk).unwrap();
    let again = append(&log, &stream, vec![draft(2, 10), draft(3, 10)]).unwrap();
    assert_eq!(
        again,
        vec![
            Outcome::Duplicate { seq: Seq(2) },
            Outcome::Stored { seq: Seq(3) }
        ]
    );
    assert_eq!(log.info(&stream).unwrap().messages, 3);
}

#[test]
fn positions_run_ahead_of_the_log_until_they_are_written() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    append(&log, &stream, (0..9).map(|id| draft(id, 10)).collect()).unwrap();
    let positions = Positions::new(log.clone());
    assert_eq!(positions.advance(&stream, "sink", Seq(4)), 4);
    assert_eq!(positions.advance(&stream, "sink", Seq(3)), 0);
    assert_eq!(
        (positions.of(&stream, "sink"), log.cursor("sink", &stream)),
        (Seq(4), Seq(0))
    );
    block_on(positions.flush()).unwrap();
    assert_eq!(log.cursor("sink", &stream), Seq(4));
    assert_eq!(
        positions.all(&stream),
        BTreeMap::from([("sink".to_owned(), Seq(4))])
    );
}

#[test]
fn a_hop_is_taken_over_once() {
    let disk = SimDisk::default();
    let (stream, edge): (_, NodeName) = (key("acme/a"), "edge-1.site.acme".parse().unwrap());
    let hop = |seq| Draft {
        hop: Some(Hop {
            node: edge.clone(),
            lane: Lane::Low,
            epoch: Epoch(7),
            seq: Seq(seq),
        }),
        dedupe: [0; 16],
        ..draft(seq, 20)
    };
    let (log, _) = open(&disk).unwrap();
    append(&log, &stream, vec![hop(1), hop(2)]).unwrap();
    log.close();
    let (log, _) = open(&disk).unwrap();
    assert_eq!(
        log.mark(&stream, &edge, Lane::Low),
        Some((Epoch(7), Seq(2)))
    );
    let outcomes = append(&log, &stream, vec![hop(1), hop(2), hop(3)]).unwrap();
    assert!(matches!(
        outcomes[..],
        [
            Outcome::Duplicate { .. },
            Outcome::Duplicate { .. },
            Outcome::Stored { seq: Seq(3) }
        ]
    ));
}

#[test]
fn trimmed_segments_go_and_everything_else_stays() {
    let disk = SimDisk::default();
    let (a, slow) = (key("acme/a"), key("acme/slow"));
    let (log, _) = open(&disk).unwrap();
    append(&log, &slow, vec![draft(9999, 10)]).unwrap();
    for id in 0..300 {
        append(&log, &a, vec![draft(id, 300)]).unwrap();
    }
    let many = log.stats().segments;
    block_on(log.trim(&a, Seq(290))).unwrap();
    let freed = loop_until(|| log.stats().segments < many / 2);
    assert!(
        freed && log.stats().segments >= 2,
        "of {many} segments the slow stream pins one"
    );
    assert_eq!(read_all(&log, &a).first().unwrap().0, 291);
    assert_eq!(read_all(&log, &slow).len(), 1);
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert_eq!((report.kept, report.lost), (11, vec![]));
    assert_eq!(log.info(&a).unwrap().first, Seq(291));
    assert_eq!(
        append(&log, &a, vec![draft(777, 1)]).unwrap()[0].seq(),
        Seq(301)
    );
}

/// Runs a seeded workload until the disk stops, crashes it, reopens, and holds the result against
/// what was acknowledged.
fn crash_once(seed: u64, stop_after: Option<u64>) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut disk = SimDisk::default();
    let streams = [key("acme/a"), key("acme/b")];
    let mut acked: BTreeMap<(usize, u64), u64> = BTreeMap::new();
    let mut trimmed = [0; 2];
    let mut next_id = 0;
    if let Some(n) = stop_after {
        disk.stop_after(n);
    }
    let mut first_round_operations = 0;
    for round in 0..2 {
        let Ok((log, report)) = open(&disk) else {
            disk = disk.crash(&mut rng);
            continue;
        };
        assert!(
            report.damaged.is_empty() && report.lost.is_empty(),
            "seed {seed}: {report:?}"
        );
        check(&log, &streams, &acked, trimmed, seed);
        for _ in 0..25 {
            let at = rng.usize(0..2);
            if rng.u8(..) < 30 {
                let upto = log
                    .info(&streams[at])
                    .map_or(0, |info| rng.u64(0..=info.last.0));
                // an unanswered trim may have reached the disk all the same
                trimmed[at] = trimmed[at].max(upto);
                if block_on(log.trim(&streams[at], Seq(upto))).is_err() {
                    break;
                }
                continue;
            }
            let drafts: Vec<_> = (0..rng.u64(1..6))
                .map(|n| (next_id + n, rng.usize(0..1500)))
                .collect();
            next_id += drafts.len() as u64;
            let made = drafts.iter().map(|(id, size)| draft(*id, *size)).collect();
            let Ok(outcomes) = append(&log, &streams[at], made) else {
                break;
            };
            for (outcome, (id, _)) in outcomes.iter().zip(&drafts) {
                acked.insert((at, outcome.seq().0), *id);
            }
        }
        log.close();
        if round == 0 {
            first_round_operations = disk.operations();
        }
        disk = disk.crash(&mut rng);
    }
    let (log, report) = open(&disk).unwrap();
    assert!(
        report.damaged.is_empty() && report.lost.is_empty(),
        "seed {seed}: {report:?}"
    );
    check(&log, &streams, &acked, trimmed, seed);
    first_round_operations
}

fn check(
    log: &Log,
    streams: &[StreamKey; 2],
    acked: &BTreeMap<(usize, u64), u64>,
    trimmed: [u64; 2],
    seed: u64,
) {
    for (at, stream) in streams.iter().enumerate() {
        let there: BTreeMap<u64, Bytes> = read_all(log, stream).into_iter().collect();
        for ((_, seq), id) in acked.range((at, trimmed[at] + 1)..(at + 1, 0)) {
            let body = there
                .get(seq)
                .unwrap_or_else(|| panic!("seed {seed}: {stream:?} {seq} is lost"));
            assert!(
                body.iter().all(|byte| u64::from(*byte) == id % 251),
                "seed {seed}: {seq} differs"
            );
        }
        let seqs: Vec<_> = there.keys().collect();
        assert!(
            seqs.windows(2).all(|pair| *pair[0] + 1 == *pair[1]),
            "seed {seed}: holes"
        );
    }
}

#[test]
fn nothing_acknowledged_is_lost_at_any_crash_point() {
    let mut cuts = 0;
    for seed in 0..8 {
        let operations = crash_once(seed, None);
        for stop in 0..operations {
            crash_once(seed, Some(stop));
            cuts += 1;
        }
    }
    assert!(cuts > 300, "the workload is long enough to cut: {cuts}");
}

#[test]
fn damage_below_the_mark_is_reported_and_the_rest_is_kept() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    for id in 0..20 {
        append(&log, &stream, vec![draft(id, 200)]).unwrap();
    }
    log.close();
    let path = segment_path(1);
    let used = disk
        .content(&path)
        .iter()
        .rposition(|byte| *byte != 0)
        .unwrap();
    disk.corrupt(&path, usize::midpoint(4096, used), 0x10);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert_eq!(report.lost.len(), 1);
    let lost = report.lost[0].last.0 - report.lost[0].first.0 + 1;
    assert_eq!(
        (report.kept + lost, log.info(&stream).unwrap().lost),
        (20, lost)
    );
    assert_eq!(read_all(&log, &stream).len() as u64, 20 - lost);
    let copies = disk.list(Path::new("/log/quarantine")).unwrap();
    assert_eq!(copies.len(), 1, "the damaged bytes are kept aside");
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert!(report.damaged.iter().all(|damage| damage.known));
    assert_eq!(
        log.info(&stream).unwrap().lost,
        lost,
        "a loss is counted once"
    );
}

#[test]
fn a_lost_tail_that_was_durable_is_damage_and_a_torn_one_is_not() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    for id in 0..10 {
        append(&log, &stream, vec![draft(id, 100)]).unwrap();
    }
    log.close();
    let content = disk.content(&segment_path(1));
    let used = content.iter().rposition(|byte| *byte != 0).unwrap();
    let mut torn = 0;
    for seed in 0..20 {
        let disk = disk.crash(&mut fastrand::Rng::with_seed(0));
        let (log, _) = open(&disk).unwrap();
        disk.stop_after(1);
        append(&log, &stream, vec![draft(99, 5000)]).expect_err("written, not synced");
        let crashed = disk.crash(&mut fastrand::Rng::with_seed(seed));
        let (_, report) = open(&crashed).unwrap();
        assert_eq!(report.damaged, vec![], "never acknowledged, so no damage");
        torn += u64::from(report.torn_tail > 0);
    }
    assert!(torn > 0, "a commit was cut off in some of them");

    disk.corrupt(&segment_path(1), used - 30, 0xff);
    let (_, report) = open(&disk).unwrap();
    assert_eq!((report.kept, report.damaged.len()), (9, 1), "{report:?}");
}

/// Nothing was stored before, so no segment begins with a checkpoint: the first commit of all may be
/// torn in whichever segment it stands.
#[test]
fn a_torn_first_commit_is_no_damage_however_often_the_store_was_opened_before() {
    let mut torn = 0;
    for earlier in 0..3 {
        let disk = SimDisk::default();
        for _ in 0..earlier {
            let (log, _) = open(&disk).unwrap();
            log.close();
        }
        for (stop, seed) in (1..12).flat_map(|stop| (0..40).map(move |seed| (stop, seed))) {
            let disk = disk.crash(&mut fastrand::Rng::with_seed(0));
            let (log, _) = open(&disk).unwrap();
            disk.stop_after(stop);
            let drafts = (0..4).map(|id| draft(id, 900)).collect();
            if append(&log, &key("acme/a"), drafts).is_ok() {
                break;
            }
            let crashed = disk.crash(&mut fastrand::Rng::with_seed(seed));
            let (_, report) = open(&crashed).unwrap();
            assert_eq!(report.damaged, vec![], "{earlier} {stop} {seed}");
            torn += u64::from(report.torn_tail > 0);
        }
    }
    assert!(torn > 10, "a commit was cut off in some of them: {torn}");
}

#[test]
fn a_newer_format_is_refused_before_anything_is_changed() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk).unwrap();
    append(&log, &key("acme/a"), vec![draft(1, 10)]).unwrap();
    log.close();
    disk.corrupt(&segment_path(1), 8, 2 ^ 0x63);
    let (log, _) = open(&disk).unwrap();
    log.close();
    disk.corrupt(&segment_path(1), 8 + 512, 2 ^ 0x63);
    let before = disk.content(&segment_path(1));
    let Err(error) = open(&disk) else {
        panic!("a newer format was opened")
    };
    assert!(matches!(error, OpenError::NewerFormat { found: 99, .. }));
    assert_eq!(disk.content(&segment_path(1)), before);
}

#[test]
fn a_full_disk_refuses_and_resumes_by_itself() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    disk.set_capacity(Some(250 << 10));
    let mut stored = 0;
    let refused = loop {
        match append(&log, &stream, vec![draft(stored, 1000)]) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Full { .. }) && refused.is_retryable());
    assert!(stored > 40 && log.stats().full.is_some());
    block_on(log.commit_cursor("sink", &stream, Seq(10))).expect("cursors have a reserve");
    assert_eq!(read_all(&log, &stream).len() as u64, stored);
    disk.set_capacity(None);
    let (resumed, mut tries) = (loop_until(|| log.stats().full.is_none()), 0);
    assert!(resumed, "space is noticed without an append");
    while append(&log, &stream, vec![draft(9000 + tries, 1000)]).is_err() {
        tries += 1;
        assert!(tries < 100);
    }
    assert_eq!(read_all(&log, &stream).len() as u64, stored + 1);
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimDisk::default();
    let stream = key("acme/a");
    let (log, _) = open(&disk).unwrap();
    append(&log, &stream, vec![draft(1, 10)]).unwrap();
    disk.stop_after(1);
    let error = append(&log, &stream, vec![draft(2, 10)]).unwrap_err();
    assert!(matches!(error, AppendError::Poisoned(_)), "{error}");
    disk.stop_after(u64::MAX / 2);
    let error = append(&log, &stream, vec![draft(3, 10)]).unwrap_err();
    assert!(
        matches!(error, AppendError::Poisoned(_)),
        "never again in this process"
    );
    assert_eq!(read_all(&log, &stream).len(), 1);
}

#[test]
fn no_plaintext_is_on_disk() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk).unwrap();
    let body = Bytes::from_static(b"the patient's name is");
    let message = Message {
        envelope: Envelope::new("1", "/ward-7", "t"),
        body,
    };
    append(
        &log,
        &key("acme/wards"),
        vec![Draft::from_message(&message, Lane::High)],
    )
    .unwrap();
    log.close();
    let content = disk.content(&segment_path(1));
    for plain in [&b"patient"[..], b"ward-7", b"acme/wards"] {
        assert!(!content.windows(plain.len()).any(|window| window == plain));
    }
}

#[test]
fn many_streams_and_large_messages() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk).unwrap();
    let big = key("acme/big");
    append(&log, &big, vec![draft(1, 100 << 10)]).expect("larger than a segment");
    let names: Vec<_> = (0..50).map(|n| key(&format!("acme/s{n}"))).collect();
    block_on(async {
        let all = names
            .iter()
            .map(|name| log.append(name, vec![draft(5, 20)]));
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
    });
    assert_eq!(log.streams().len(), 51);
    let too_large = Draft {
        body: Bytes::from(vec![0; crate::wire::MAX_BODY + 1]),
        ..draft(3, 0)
    };
    assert!(matches!(
        append(&log, &big, vec![too_large]),
        Err(AppendError::TooLarge { .. })
    ));
    assert_eq!(read_all(&log, &big)[0].1.len(), 100 << 10);
}

fn segment_path(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("{number:016}.seg"))
}

fn loop_until(mut condition: impl FnMut() -> bool) -> bool {
    for _ in 0..200 {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
