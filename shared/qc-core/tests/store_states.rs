//! The store against every crash: a power cut at every operation, again in the recovery, and every
//! image that is left opened and judged.
//!
//! Built for speed (`--profile quick`) this is the full share of CI; a debug build takes a small part
//! of it and says so.
#![cfg(feature = "testing")]

use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::store::testing::lying::Lie;
use qc_core::store::testing::oracle::Rule;
use qc_core::store::testing::states::{Explored, Plan};

/// What the engine is known to do wrong. An entry that no longer happens fails the test: take it out.
const KNOWN: [(Rule, &str); 0] = [];

/// Different images to judge, and the time for it; whichever comes first.
const SHARE: (u64, Duration) = if cfg!(debug_assertions) {
    (20_000, Duration::from_secs(20))
} else {
    (1_000_000, Duration::from_mins(4))
};

#[test]
fn every_crash_is_survived() {
    let clock = SystemClock::default();
    let begun = clock.instant();
    let in_time = || clock.instant() < begun + SHARE.1;
    let mut all = Explored::default();
    let mut seeds = 0;
    while all.states() < SHARE.0 && in_time() {
        seeds += 1;
        let one = Plan::new(seeds).explore(&in_time);
        assert!(one.cuts >= 400, "a workload of {} cuts is short", one.cuts);
        all.add(one);
    }
    let seconds = clock.instant().duration_since(begun).as_secs().max(1);
    println!(
        "{} different states of {} asked for ({} after one cut, {} after a second one in recovery) in {seconds} s, \
         {} a second; {seeds} workloads, {} cuts of {} tried, {} records compared, {} opened twice and written to",
        all.states(),
        SHARE.0,
        all.distinct,
        all.doubled,
        all.states() / seconds,
        all.cuts_tried,
        all.cuts,
        all.records,
        all.written_to
    );
    println!("cuts after: {:?}", all.cuts_after);
    let broken: Vec<_> = all.broken.keys().copied().collect();
    let known: Vec<_> = KNOWN.iter().map(|(rule, _)| *rule).collect();
    let mut unknown = all.examples.clone();
    unknown.retain(|example| !known.contains(&example.rule));
    assert_eq!(broken, known, "{:?}\n{unknown:#?}", all.broken);
    assert!(
        all.states() >= SHARE.0 / 20,
        "too few states to say anything"
    );
}

fn explore_a_lie(lie: Lie) -> Explored {
    let plan = Plan {
        steps: 60,
        images: 40,
        double_one_in: 0,
        lie: Some(lie),
        ..Plan::new(1)
    };
    plan.explore(&|| true)
}

#[test]
fn a_disk_that_forgets_to_sync_is_found_out() {
    for lie in [Lie::SyncData, Lie::SyncDir] {
        let found = explore_a_lie(lie);
        let lost = found.broken.get(&Rule::Lost).copied().unwrap_or(0);
        println!(
            "{lie:?} forgotten: {lost} losses in {} states",
            found.states()
        );
        assert!(lost > 100, "{lie:?}: {:?}", found.broken);
    }
}
