//! The store on a disk that has damaged its files: every bit, length, sector and swap, and every page that fails.
//!
//! Built for speed (`--profile quick`) this is four bits of every byte of a full 64 KiB segment (all
//! eight with `--ignored`), every bit of the durable mark, and a part of the bits and lengths of all
//! other files; how many are left out is printed by file. A debug build takes a small part of that.
#![cfg(feature = "testing")]

use std::path::Path;
use std::sync::Arc;

use qc_core::store::testing::damage::{Case, Damage, Store, Tried};
use qc_core::store::testing::oracle::Rule;

/// Something that the engine is known to do wrong, and the cases in which it does.
type Known = (&'static str, fn(&Case) -> bool);

/// What the engine is known to do wrong. What no longer happens fails the test: take it out.
const KNOWN: [Known; 1] = [(
    "where the last segment and the one before it, or the durable mark, have changed places nothing is \
     left that says what stood there: both are set aside, and their messages are neither counted nor are \
     their numbers kept",
    |(part, kind, rule)| {
        let known = [Rule::Counts, Rule::GoesOn, Rule::Lost, Rule::Reported];
        let is_last = part.ends_with("segment, from the header on") || part == "durable.mark";
        *kind == "exchanged" && is_last && known.contains(rule)
    },
)];

/// In a debug build every so-manieth of what is tried otherwise.
const DEBUG: usize = if cfg!(debug_assertions) { 61 } else { 1 };

/// Every so-manieth flip and cut is tried, `used` bits of the file being no zeros at its end.
fn one_in(store: &Store, path: &Arc<Path>, used: usize, damage: &Damage) -> usize {
    let end = path.extension().and_then(|end| end.to_str());
    let is_last = store.last_segment().as_ref() == Some(path);
    let bits = match damage {
        Damage::Flip(bit) => *bit,
        Damage::Cut(length) => 8 * *length,
        _ => return 1,
    };
    let is_flip = matches!(damage, Damage::Flip(_));
    let many = match end {
        Some("mark") => 1,
        Some("seg") if !is_last && is_flip => 2,
        // behind the last segment's records there is one byte like the other
        Some("seg") if is_last && bits >= used as u64 => 128,
        Some("seg") => 8,
        Some("idx") => 16,
        // a free file
        _ => 512,
    };
    many * DEBUG
}

/// All flips of the full segment are a matter of minutes, and of `xtask evidence store-flips`.
#[test]
fn damage_is_found_reported_and_kept_apart() {
    let (store, other) = (Store::filled(1, 64 << 10), Store::filled(2, 64 << 10));
    let mut all = Tried::default();
    for path in store.files() {
        let (flips, used) = store.flips(&path);
        let coarse = store.coarse(&path);
        let (cuts, mut damages): (Vec<_>, Vec<_>) = coarse
            .into_iter()
            .partition(|damage| matches!(damage, Damage::Cut(_)));
        let others = damages.len();
        let mut left_out = Vec::new();
        for (what, many) in [("flips", flips), ("cuts", cuts)] {
            let before = (damages.len(), many.len());
            let chosen = many.into_iter().enumerate().filter(|(number, damage)| {
                // not always the same bit of a byte
                let number = number + number / 8;
                number % one_in(&store, &path, used, damage) == 0
            });
            damages.extend(chosen.map(|(_, damage)| damage));
            let tried = damages.len() - before.0;
            left_out.push(format!("{tried} {what}, {} left out", before.1 - tried));
        }
        println!(
            "{}: {}, {others} other damages",
            path.display(),
            left_out.join(", ")
        );
        all.add(store.try_all(&path, &damages, &other));
    }
    for ((part, kind), times) in &all.cases {
        println!("{times:8} {kind:10} {part}");
    }
    println!("{} times something acknowledged was lost", all.losses);
    let unknown: Vec<_> = all
        .examples
        .iter()
        .filter(|(case, _)| !KNOWN.iter().any(|(_, is)| is(case)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    for (what, is) in KNOWN {
        let broken = all.broken.iter().filter(|(case, _)| is(case));
        let times: u64 = broken.map(|(_, times)| times).sum();
        println!("known, {times} times: {what}");
        assert!(times > 0, "no longer happens: {what}");
    }
}

#[test]
fn damaged_bytes_are_kept_whatever_interrupts_it() {
    let store = Store::filled(1, 16 << 10);
    let last = store.last_segment().unwrap();
    let (_, used) = store.flips(&last);
    // in the last batches: what stands there is cut off once it is kept
    let bits = (4096 * 8..used as u64).step_by(1501);
    let damages: Vec<_> = bits.map(Damage::Flip).collect();
    let (recoveries, wrong) = store.cut_in_recovery(&last, &damages);
    println!(
        "{recoveries} recoveries after a cut in a recovery from {} damages",
        damages.len()
    );
    assert!(recoveries > 500, "{recoveries}");
    assert!(
        wrong.is_empty(),
        "{} times, such as {:#?}",
        wrong.len(),
        wrong.first()
    );
}
