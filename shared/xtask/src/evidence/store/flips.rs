//! Every bit of a full segment, turned one at a time, on the simulated disk: the store is opened, all of it
//! is read, and what is gone, what is called gone and what is kept aside must be what was hit.
//!
//! The runs of a proof are the bits of one filled store after the other, so a run that is ended goes on at
//! the next bit. The same harness with every other kind of damage is `store_damage` in the tests of qc-core.

use std::collections::BTreeMap;
use std::ops::Range;

use qc_core::cli::Failure;
use qc_core::store::testing::damage::{Damage, Store};

use super::proof::{Proof, Share, Tally};
use super::watched::Break;

pub(super) const PROOF: Proof = Proof {
    name: "store-flips",
    claim: "whichever bit of a full segment turns: the store opens by itself, or says that its format or key is another; \
            no wrong byte is delivered, nothing but the batch that is hit is lost, what is lost is named by number, a copy of \
            the damaged bytes is kept, and the next opening finds the same and nothing new",
    unit: "flips",
    share: BITS,
    chunk: 1 << 15,
    alone: true,
    goes_on: true,
    lacks: || None,
    run,
};

/// Bytes of the segment.
const SEGMENT: u64 = 64 << 10;
/// Flips of one store: every bit of its full segment.
const BITS: u64 = 8 * SEGMENT;

#[expect(clippy::unnecessary_wraps, reason = "what a proof's run looks like")]
fn run(share: &Share<'_>) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let (mut first, end) = (share.first, share.first + share.runs);
    while first < end && tally.failures.is_empty() {
        let store = first / BITS;
        let bits = first % BITS..(end - store * BITS).min(BITS);
        first += bits.end - bits.start;
        flip(
            share.of_all().wrapping_add(store),
            bits,
            share.broken,
            &mut tally,
        );
    }
    Ok(tally)
}

/// Flips these bits of the full segment of the store that follows from `seed`.
fn flip(seed: u64, bits: Range<u64>, broken: Option<Break>, tally: &mut Tally) {
    let (mut store, other) = (Store::filled(seed, SEGMENT), Store::filled(!seed, SEGMENT));
    if broken == Some(Break::OtherBit) {
        store.damage_elsewhere(BITS / 2);
    }
    let path = store.full_segment();
    let damages: Vec<Damage> = bits.map(Damage::Flip).collect();
    let tried = store.try_all(&path, &damages, &other);
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    for ((part, _), flips) in &tried.cases {
        tally.runs += flips;
        *by.entry(part).or_default() += flips;
    }
    for (part, flips) in by {
        *tally.by.entry(part.to_owned()).or_default() += flips;
    }
    tally.count("lost something", tried.losses);
    let broken = tried.broken.iter().map(|(case, times)| {
        let (part, _, rule) = case;
        let example = tried.examples.get(case).map_or("", String::as_str);
        format!("{rule:?} broken {times} times in {part}: {example}")
    });
    tally.failures.extend(broken);
}
