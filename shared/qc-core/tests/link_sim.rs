//! The link under everything that a seed can do to it: two nodes or three, with the real driver at every
//! end, on a simulated line, disk and clock.
//!
//! The share of a test run; `cargo xtask evidence link-sim` goes on from there.
#![cfg(all(feature = "net", feature = "testing"))]

use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::testing::{Break, Fault, Plan};

/// Worlds that count, and the time for them. Seeds of evidence are others.
const SHARE: (u64, Duration) = (2000, Duration::from_mins(4));
const THREADS: usize = 2;
/// Behind the greeting and the first frames a debug build cuts at one byte in so many.
const STRIDE: usize = if cfg!(debug_assertions) { 7 } else { 1 };
const FIRST: usize = 1200;

#[test]
fn whatever_happens_each_message_arrives_once_and_in_order() {
    let clock = SystemClock::default();
    let begun = clock.instant();
    let in_time = || clock.instant() < begun + SHARE.1;
    let all = Plan::new(1 << 40).explore(SHARE.0, THREADS, &in_time);
    let seconds = clock.instant().duration_since(begun).as_secs_f64();
    println!(
        "{} worlds in {seconds:.0} s and {} without a fault; {} messages stored, {} acknowledgements, {} connections, \
         {} calls whole and {} cut; {} h simulated, {} ms at most until all had arrived",
        all.counted,
        all.idle,
        all.stored,
        all.acks,
        all.connections,
        all.calls.0,
        all.calls.1,
        all.time_s / 3600,
        all.slowest_ms,
    );
    println!("faults (and worlds with them): {:?}", all.faults);
    assert!(
        all.broken.is_empty(),
        "{:?}\n{:#?}",
        all.broken,
        all.examples
    );
    assert!(all.counted >= SHARE.0, "{} worlds in time", all.counted);
    for fault in Fault::ALL {
        let (_, worlds) = all.faults.get(&fault).copied().unwrap_or_default();
        assert!(worlds >= SHARE.0 / 40, "{fault:?} in {worlds} worlds only");
    }
    assert!(all.stored > 100 * SHARE.0 && all.calls.0 > SHARE.0 && all.calls.1 > SHARE.0 / 10);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let runs = |seed| [Plan::new(seed).run(), Plan::new(seed).run()];
    let mut traces: Vec<u64> = (0..40)
        .map(|seed| {
            let [one, other] = runs(seed);
            assert_eq!(one, other, "seed {seed}");
            one.trace
        })
        .collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 40, "every seed is another world");
}

/// A session ends behind any byte of it, in either direction, and all goes on where it was.
#[test]
fn a_session_that_is_cut_behind_any_byte_goes_on() {
    let whole = |seed| Plan {
        cut: Some((0, usize::MAX)),
        ..Plan::new(seed)
    };
    let (mut cuts, mut again) = (0, 0);
    for seed in [3, 4] {
        let run = whole(seed).run();
        assert_eq!((run.connections, run.broken.len()), (1, 0), "{run:?}");
        for direction in [0, 1] {
            let bytes = usize::try_from(run.carried[direction]).unwrap();
            assert!(bytes > 800, "{:?}", run.carried);
            for byte in (0..bytes).filter(|byte| *byte < FIRST || byte.is_multiple_of(STRIDE)) {
                let plan = Plan {
                    cut: Some((direction, byte)),
                    ..whole(seed)
                };
                let run = plan.run();
                assert!(
                    run.broken.is_empty(),
                    "seed {seed} byte {byte} of {direction}: {:?}",
                    run.broken
                );
                assert!(run.carried[direction] <= byte as u64, "{run:?}");
                cuts += 1;
                again += u64::from(run.connections > 1);
            }
        }
    }
    println!("{cuts} cuts, {again} of them before everything had arrived");
    assert!(again > cuts * 9 / 10, "{again} of {cuts}");
}

/// The oracle is worth what it finds.
#[test]
fn every_rule_that_is_broken_on_purpose_is_found() {
    for (broken, rule) in Break::ALL {
        let plan = Plan {
            broken: Some(broken),
            ..Plan::new(1)
        };
        let found = plan.explore(60, THREADS, &|| true);
        let times = found.broken.get(&rule).copied().unwrap_or(0);
        println!("{broken:?}: {:?}", found.broken);
        assert!(times > 0, "{broken:?}: {:?}", found.broken);
    }
}
