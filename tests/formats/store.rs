//! A whole store of format 2, in `store-2.txt`: two starts of a node, with a damaged batch in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_core::clock::ManualClock;
use qc_core::model::{Envelope, Epoch, Lane, Message, Seq, Timestamp};
use qc_core::store::testing::block_on;
use qc_core::store::{
    Draft, Hop, Log, LogOptions, NodeKey, OpenError, OpenReport, Outcome, RealDisk, Role, StreamKey,
};

use crate::sparse::{self, Files};

/// The store as it is kept.
pub(crate) const STORE: &str = include_str!("store-2.txt");

/// The key of its node.
pub(crate) fn node_key() -> NodeKey {
    NodeKey::from_bytes(*b"the key of a store that is kept.")
}

/// Its files, unpacked once.
pub(crate) fn files() -> Files {
    sparse::decode(STORE)
}

/// One of its files.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let files = files();
    let found = files.into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{name} is kept")).1
}

fn key(role: Role, name: &str, lane: Lane) -> StreamKey {
    StreamKey {
        role,
        name: name.parse().unwrap(),
        lane,
    }
}

fn orders() -> StreamKey {
    StreamKey::hub("acme/orders".parse().unwrap())
}

fn alarms() -> StreamKey {
    StreamKey::hub("acme/alarms".parse().unwrap())
}

fn out() -> StreamKey {
    key(Role::Outbox, "acme/orders", Lane::High)
}

fn back() -> StreamKey {
    key(Role::Inbox, "umbrella/back", Lane::Normal)
}

/// Message `number`, counted over the whole store.
fn message(number: u64) -> Draft {
    let message = Message {
        envelope: Envelope::new(format!("id-{number}"), "/plant/7", "plant.reading"),
        body: format!("the body of message {number}").into(),
    };
    Draft::from_message(&message, Lane::Normal)
}

fn hop(seq: u64) -> Hop {
    Hop {
        node: "edge-07.mill7.acme".parse().unwrap(),
        lane: Lane::Low,
        epoch: Epoch(7),
        seq: Seq(seq),
    }
}

pub(crate) fn open(dir: &Path) -> Result<(Log, OpenReport), OpenError> {
    let options = LogOptions {
        segment_bytes: 16 << 10,
        min_free: 0,
        control_reserve: 1 << 10,
        prepare_ahead: false,
        scrub: false,
        ..LogOptions::new(dir.join("log"))
    };
    let clock = ManualClock::at(Timestamp::from_millis(1_795_231_327_000));
    Log::open(Arc::new(RealDisk), &options, node_key(), Arc::new(clock))
}

fn append(log: &Log, stream: &StreamKey, numbers: &[u64]) {
    let drafts = numbers.iter().map(|number| Draft {
        hop: (*stream == back()).then(|| hop(*number)),
        ..message(*number)
    });
    let outcomes = block_on(log.submit(stream, drafts.collect())).unwrap();
    assert!(
        outcomes
            .iter()
            .all(|one| matches!(one, Outcome::Stored { .. }))
    );
}

/// The store again, with the keys of today.
fn fill(dir: &Path) {
    let (log, _) = open(dir).unwrap();
    let segment = dir.join("log/0000000000000001.seg");
    append(&log, &orders(), &[1, 2, 3]);
    append(&log, &alarms(), &[4, 5]);
    append(&log, &out(), &[6]);
    append(&log, &back(), &[7, 8]);
    block_on(log.define(&StreamKey::hub("acme/empty".parse().unwrap()))).unwrap();
    let before = std::fs::read(&segment).unwrap();
    append(&log, &alarms(), &[9, 10]);
    let after = std::fs::read(&segment).unwrap();
    append(&log, &orders(), &[11, 12]);
    append(&log, &alarms(), &[13]);
    block_on(log.commit_cursor("sink", &orders(), Seq(4))).unwrap();
    block_on(log.trim(&orders(), Seq(2))).unwrap();
    let for_ever = |bytes: &str| Some((bytes.as_bytes().to_vec(), Timestamp::default()));
    block_on(log.put("kept/value", None, for_ever("as it was"))).unwrap();
    block_on(log.put("gone/value", None, for_ever("not for long"))).unwrap();
    block_on(log.put("gone/value", None, None)).unwrap();
    log.close();
    // the disk damages the second batch of the alarms
    let at = before.iter().zip(&after).position(|(a, b)| a != b).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[at + 100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (log, report) = open(dir).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    append(&log, &out(), &[14, 15]);
    log.close();
}

/// Everything that was put into it is there.
fn check(log: &Log, report: &OpenReport) {
    let there = |stream: &StreamKey, seqs: &[u64], numbers: &[u64]| {
        let records = log.read(stream, Seq::ZERO, 100, 1 << 20).unwrap();
        let expected: Vec<_> = numbers.iter().map(|number| message(*number)).collect();
        let found: Vec<_> = records.iter().map(|record| record.header.seq.0).collect();
        assert_eq!(found, seqs, "{stream:?}");
        for (record, sent) in records.iter().zip(&expected) {
            assert_eq!((&record.head, &record.body), (&sent.head, &sent.body));
            assert_eq!(record.header.dedupe, sent.dedupe);
        }
    };
    there(&orders(), &[3, 4, 5], &[3, 11, 12]);
    there(&alarms(), &[1, 2, 5], &[4, 5, 13]);
    there(&out(), &[1, 2, 3], &[6, 14, 15]);
    there(&back(), &[1, 2], &[7, 8]);
    assert_eq!(log.streams().len(), 5, "{:?}", log.streams());
    assert_eq!(log.info(&alarms()).unwrap().lost, 2);
    assert_eq!(log.cursor("sink", &orders()), Seq(4));
    let Hop {
        node, lane, epoch, ..
    } = hop(0);
    assert_eq!(log.mark(&back(), &node, lane), Some((epoch, Seq(8))));
    assert_eq!(&log.value("kept/value").unwrap().bytes[..], b"as it was");
    assert!(log.value("gone/value").is_none());
    assert!(
        report.damaged.iter().all(|damage| damage.known),
        "{report:?}"
    );
    let lost: Vec<_> = report
        .lost
        .iter()
        .map(|lost| (lost.first.0, lost.last.0))
        .collect();
    assert_eq!(lost, [(3, 4)], "{report:?}");
}

/// A kept store in a directory of its own.
pub(crate) fn unpacked() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    sparse::put(&files(), &path);
    (dir, path)
}

#[test]
fn a_store_of_format_2_is_opened_read_and_gone_on_with() {
    let (_dir, path) = unpacked();
    let text = std::fs::read_to_string(path.join("keys/node.key")).unwrap();
    let key = NodeKey::from_text(&text).unwrap();
    assert_eq!(key.id(), node_key().id(), "the key file is read, too");
    let (log, report) = open(&path).unwrap();
    check(&log, &report);
    let again = block_on(log.submit(&orders(), vec![message(3)])).unwrap();
    assert_eq!(again, [Outcome::Duplicate { seq: Seq(3) }], "ids are known");
    append(&log, &orders(), &[16]);
    log.close();
    let (log, _) = open(&path).unwrap();
    let newest = log.read(&orders(), Seq(5), 10, 1 << 20).unwrap();
    assert_eq!(newest.len(), 1, "{newest:?}");
    assert_eq!(
        (newest[0].header.seq, &newest[0].body),
        (Seq(6), &message(16).body)
    );
}

#[test]
fn its_indexes_are_not_needed() {
    let (_dir, path) = unpacked();
    std::fs::remove_file(path.join("log/0000000000000001.idx")).unwrap();
    let (log, report) = open(&path).unwrap();
    check(&log, &report);
}

#[test]
#[ignore = "makes the kept store of a new format; what is kept is never written again"]
fn keep_a_store() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let key = data_encoding::HEXLOWER.encode(b"the key of a store that is kept.");
    let key = (
        "keys/node.key".to_owned(),
        format!("qc-node-key 1 {key}\n").into_bytes(),
    );
    sparse::put(&vec![key], dir.path());
    let text = sparse::encode(
        "a store of format 2, see README.md",
        &sparse::take(dir.path()),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats/store-new.txt");
    std::fs::write(&path, text).unwrap();
}
