//! The bytes of the kept store, file by file: each is read and written again by this version, with the keys
//! and nonces that are in it, and must be the same.

use qc_core::store::NodeKey;
use qc_core::store::testing::golden;

use crate::sparse;
use crate::store::{file, files, node_key};

/// The damaged batch of the first segment, by the name of its copy.
fn damaged() -> std::ops::Range<usize> {
    let files = files();
    let mut copies = files
        .iter()
        .filter_map(|(name, _)| name.strip_suffix(".damaged"));
    let mut numbers = copies
        .next()
        .unwrap()
        .rsplit('-')
        .map(|number| number.parse().unwrap());
    let (length, offset): (usize, usize) = (numbers.next().unwrap(), numbers.next().unwrap());
    offset..offset + length
}

#[track_caller]
fn same(kept: &[u8], again: &[u8], but: std::ops::Range<usize>) {
    assert_eq!(kept.len(), again.len());
    let differs = |at: &usize| kept[*at] != again[*at] && !but.contains(at);
    let first = (0..kept.len()).find(differs);
    assert_eq!(first, None, "the first byte that is written otherwise");
}

#[test]
fn segments_are_written_as_they_always_were() {
    let first = file("log/0000000000000001.seg");
    same(
        &first,
        &golden::segment_again(&first, &node_key()),
        damaged(),
    );
    let second = file("log/0000000000000002.seg");
    same(&second, &golden::segment_again(&second, &node_key()), 0..0);
}

#[test]
fn a_damaged_batch_is_kept_aside_as_it_is() {
    let (range, first) = (damaged(), file("log/0000000000000001.seg"));
    let copies = files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".damaged"));
    let copies: Vec<_> = copies.map(|(_, bytes)| bytes).collect();
    assert_eq!(copies, [first[range].to_vec()]);
}

#[test]
fn a_header_with_two_keys_is_written_as_it_always_was() {
    let other = NodeKey::from_bytes(*b"another key, on its way in here.");
    let segment = file("log/0000000000000001.seg");
    let page = golden::header_under_both(&segment, &node_key(), &other);
    let kept = sparse::decode(include_str!("header-2.txt"));
    same(&kept[0].1, &page, 0..0);
    assert_ne!(page, segment[..4096], "there is a second slot in it");
    for key in [node_key(), other] {
        let opened = [&page, &segment[4096..]].concat();
        same(&golden::segment_again(&opened, &key)[..4096], &page, 0..0);
    }
}

#[test]
fn an_index_is_written_as_it_always_was() {
    let (segment, index) = (
        file("log/0000000000000001.seg"),
        file("log/0000000000000001.idx"),
    );
    same(
        &index,
        &golden::index_again(&segment, &index, &node_key()),
        0..0,
    );
}

#[test]
fn the_durable_mark_is_written_as_it_always_was() {
    let mark = file("log/durable.mark");
    same(&mark, &golden::mark_again(&mark), 0..0);
}

/// A byte that turns is noticed by the tests above.
#[test]
fn a_change_is_noticed() {
    let (segment, index) = (
        file("log/0000000000000001.seg"),
        file("log/0000000000000001.idx"),
    );
    let mut other = segment.clone();
    other[4096 + 60] ^= 1;
    assert!(golden::segment_again(&other, &node_key()) != other);
    assert!(golden::index_again(&other, &index, &node_key()) != index);
}

#[test]
#[ignore = "makes the header page of a new format; what is kept is never written again"]
fn keep_a_header() {
    let other = NodeKey::from_bytes(*b"another key, on its way in here.");
    let segment = file("log/0000000000000001.seg");
    let page = golden::header_under_both(&segment, &node_key(), &other);
    let files = vec![("header".to_owned(), page)];
    let text = sparse::encode("a header page with two keys, format 2", &files);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/formats/header-new.txt");
    std::fs::write(path, text).unwrap();
}
