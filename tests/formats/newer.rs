//! A store that another version has written is refused, and not a byte of it is changed.

use std::path::Path;

use qc_core::store::OpenError;

use crate::sparse;
use crate::store::{open, unpacked};

/// Says that every segment, or its index, has format `format`.
fn pretend(dir: &Path, end: &str, copies: &[usize], format: u32) {
    let mut changed = 0;
    for (name, mut bytes) in sparse::take(dir) {
        if name.ends_with(end) {
            for at in copies {
                bytes[at + 8..at + 12].copy_from_slice(&format.to_le_bytes());
            }
            std::fs::write(dir.join(name), bytes).unwrap();
            changed += 1;
        }
    }
    assert!(changed > 0, "there is a file {end}");
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    for last_only in [false, true] {
        let (_dir, path) = unpacked();
        let end = if last_only { "2.seg" } else { ".seg" };
        pretend(&path, end, &[0, 512], 3);
        let before = sparse::take(&path);
        for _ in 0..2 {
            match open(&path).map(drop) {
                Err(OpenError::NewerFormat {
                    found: 3, known: 2, ..
                }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(sparse::take(&path) == before, "not a byte is changed");
    }
}

#[test]
fn an_index_of_another_format_is_made_again() {
    let (_dir, path) = unpacked();
    pretend(&path, ".idx", &[0], 9);
    let (log, report) = open(&path).unwrap();
    assert_eq!(report.scanned, 2, "{report:?}");
    assert!(log.stats().poisoned.is_none());
    log.close();
    let (_log, report) = open(&path).unwrap();
    assert!(report.scanned < report.segments, "{report:?}");
}
