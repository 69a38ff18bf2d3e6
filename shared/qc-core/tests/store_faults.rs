//! The store on a disk on which the n-th operation fails, for every n and every error.
//!
//! Built for speed (`--profile quick`) every n is tried; a debug build tries a part and says so.
#![cfg(feature = "testing")]

use qc_core::store::testing::faults::{Case, Plan};

/// Something that the engine is known to do wrong, and the cases in which it does.
type Known = (&'static str, fn(&Case) -> bool);

/// What the engine is known to do wrong. What no longer happens fails the test: take it out.
const KNOWN: [Known; 0] = [];

#[test]
fn every_fault_is_survived() {
    let plan = Plan {
        seed: 3,
        steps: 60,
        one_in: if cfg!(debug_assertions) { 8 } else { 1 },
        threads: std::thread::available_parallelism().map_or(1, Into::into),
    };
    let tried = plan.run();
    println!(
        "{} runs over a workload of {} operations: {} met their fault, {} acknowledgements; {} runs left out\n{:?}",
        tried.runs, tried.operations, tried.struck, tried.acked, tried.left_out, tried.counts
    );
    assert!(tried.operations >= 400 && tried.struck * 10 > tried.runs * 9);
    let unknown: Vec<_> = tried
        .examples
        .iter()
        .filter(|(case, _)| !KNOWN.iter().any(|(_, is)| is(case)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    for (what, is) in KNOWN {
        let times: u64 = tried
            .broken
            .iter()
            .filter(|(case, _)| is(case))
            .map(|(_, times)| times)
            .sum();
        println!("known, {times} times: {what}");
        // a part of the runs may miss what a few of them show
        assert!(times > 0 || plan.one_in > 1, "no longer happens: {what}");
    }
}
