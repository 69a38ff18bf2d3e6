//! The store on a disk that has damaged its files: every bit, every length, every sector, every swap.
//!
//! Built for speed (`--profile quick`) this is every bit of a full 64 KiB segment and of every other
//! file; a debug build takes a small part of it and says so.
#![cfg(feature = "testing")]

use qc_core::store::testing::damage::{Case, Damage, Store, Tried};
use qc_core::store::testing::oracle::Rule;
use qc_core::store::{KeyError, NodeKey};

/// Something that the engine is known to do wrong, and the cases in which it does.
type Known = (&'static str, fn(&Case) -> bool);

/// What the engine is known to do wrong. What no longer happens fails the test: take it out.
const KNOWN: [Known; 9] = [
    (
        "a damaged header takes its whole segment, not the header alone",
        |(part, kind, rule)| {
            part.contains("header") && *kind != "foreign" && *rule == Rule::Untouched
        },
    ),
    (
        "messages after the last checkpoint that damage takes are missing from OpenReport::lost and StreamInfo::lost: \
         only the damaged range is named",
        |(part, _, rule)| {
            let last = part.starts_with("last segment") || part == "durable.mark";
            last && matches!(rule, Rule::Counts | Rule::Reported)
        },
    ),
    (
        "the numbers of such messages are given again to others",
        |(part, _, rule)| {
            let last = part.starts_with("last segment") || part == "durable.mark";
            last && *rule == Rule::GoesOn
        },
    ),
    (
        "damage to the last batch of a full segment is reported and cut off, without a copy in the quarantine",
        |(part, kind, rule)| {
            part == "full segment, records" && *kind == "flip" && *rule == Rule::Quarantined
        },
    ),
    (
        "damage to the batch that names a stream takes the stream's messages up to the next segment",
        |(part, _, rule)| part == "full segment, first records" && *rule == Rule::Untouched,
    ),
    (
        "a sector with a batch's header, once more or elsewhere, makes recovery pass over every sound batch after it",
        |(part, kind, rule)| {
            let moved = matches!(*kind, "duplicate" | "swap");
            moved && part.ends_with(" records") && *rule == Rule::Untouched
        },
    ),
    (
        "a segment of another store under the same node key is taken over as one's own",
        |(_, kind, rule)| {
            let foreign = [
                Rule::Bytes,
                Rule::Counts,
                Rule::GoesOn,
                Rule::Reported,
                Rule::Untouched,
            ];
            *kind == "foreign" && foreign.contains(rule)
        },
    ),
    (
        "where two segments have changed places all is set aside, and what had been there is not counted as lost",
        |(_, kind, rule)| {
            let all = [Rule::Counts, Rule::GoesOn, Rule::Lost, Rule::Reported];
            *kind == "exchanged" && all.contains(rule)
        },
    ),
    (
        "a last segment that is gone is not missed, although the durable mark speaks of it",
        |(part, kind, rule)| {
            part.starts_with("last segment") && *kind == "gone" && *rule == Rule::Report
        },
    ),
];

/// Every so-manieth flip and cut is tried.
const ONE_IN: usize = if cfg!(debug_assertions) { 61 } else { 1 };

#[test]
fn damage_is_found_reported_and_kept_apart() {
    let (store, other) = (Store::filled(1, 64 << 10), Store::filled(2, 64 << 10));
    let mut all = Tried::default();
    for path in store.files() {
        let (flips, used) = store.flips(&path);
        let mut damages = store.coarse(&path);
        let many = damages.len();
        // behind the last segment's records there is one byte like the other
        let full = path == store.full_segment();
        let one_in = |bit: usize| {
            if full || bit < used {
                ONE_IN
            } else {
                16 * ONE_IN
            }
        };
        damages.retain(|damage| match damage {
            Damage::Cut(length) => {
                let length = usize::try_from(*length).unwrap();
                length % one_in(8 * length) == 0
            }
            _ => true,
        });
        let cuts_left_out = many - damages.len();
        let flips: Vec<_> = flips.into_iter().enumerate().collect();
        let many = flips.len();
        let chosen = flips.into_iter().filter(|(bit, _)| {
            let one_in = if full || *bit < used {
                ONE_IN
            } else {
                16 * ONE_IN
            };
            bit % one_in == 0
        });
        let before = damages.len();
        damages.extend(chosen.map(|(_, flip)| flip));
        println!(
            "{}: {} of {many} flips, {before} other damages, {cuts_left_out} cuts left out",
            path.display(),
            damages.len() - before
        );
        all.add(store.try_all(&path, &damages, &other));
    }
    for ((part, kind), times) in &all.cases {
        println!("{times:8} {kind:10} {part}");
    }
    println!(
        "{} times something acknowledged was lost, {} times the log said that its format or key is another",
        all.losses, all.refused
    );
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
fn a_damaged_key_file_is_no_key_or_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.key");
    let id = NodeKey::load_or_create(&path, true).unwrap().id();
    let sound = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(bytes).unwrap();
        NodeKey::load_or_create(&path, true)
    };
    let (mut refused, mut others) = (0, 0);
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match load(&bytes) {
            Err(KeyError::Content { .. } | KeyError::Io { .. }) => refused += 1,
            // the log then says that its segments need another key
            Ok(key) if key.id() != id => others += 1,
            // white space at the end is no part of the key
            Ok(_) => assert_eq!(bit / 8, sound.len() - 1, "bit {bit}"),
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    assert!(refused > 100 && others > 100, "{refused} {others}");
    for length in 0..sound.len() - 1 {
        assert!(load(&sound[..length]).is_err(), "{length} bytes");
    }
}
