//! The bytes of every record kind, in `records.txt`: one line each, its name and its bytes in hex.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use qc_core::store::testing::golden;

const RECORDS: &str = include_str!("records.txt");

fn kept() -> Vec<(&'static str, Vec<u8>)> {
    let lines = RECORDS.lines().filter(|line| !line.starts_with('#'));
    let record = |line: &'static str| {
        let (name, hex) = line.split_once(": ").unwrap();
        (name, HEXLOWER.decode(hex.as_bytes()).unwrap())
    };
    lines.map(record).collect()
}

#[test]
fn records_are_written_as_they_always_were() {
    let kept = kept();
    let mut written = golden::records();
    let records: Vec<_> = written.iter().map(|(_, bytes)| bytes.clone()).collect();
    written.push(("the state they come to", golden::checkpoint(&records)));
    let mut new = String::new();
    for (name, bytes) in &written {
        let hex = HEXLOWER.encode(bytes);
        match kept.iter().find(|(known, _)| known == name) {
            Some((_, known)) => assert_eq!(HEXLOWER.encode(known), hex, "{name}"),
            None => writeln!(new, "{name}: {hex}").unwrap(),
        }
    }
    assert!(new.is_empty(), "new in records.txt:\n{new}");
    assert_eq!(
        kept.len(),
        written.len(),
        "what was written once is still written"
    );
}

#[test]
fn every_kind_of_record_that_is_read_is_kept_here() {
    let kept: Vec<_> = kept().into_iter().map(|(_, bytes)| bytes).collect();
    let kinds: BTreeSet<u8> = kept
        .iter()
        .filter_map(|bytes| golden::kind_of(bytes))
        .collect();
    for kind in 0..=u8::MAX {
        let mut record = kept[0].clone();
        record[4] = kind;
        let is_read = golden::kind_of(&record).is_some();
        assert_eq!(is_read, kinds.contains(&kind), "kind {kind}");
    }
}
