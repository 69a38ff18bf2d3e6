//! Two machines with one identity: noticed by links that replace each other while both are alive.
//!
//! A link that is replaced proves that its machine was alive when it takes leave in good order. A node
//! that comes back after a crash, with a new address or through a line that was cut, leaves a dead
//! link behind, which cannot; and a single such pair is a node that tried two ways to the same relay.
//! Addresses are no proof: copies of a machine often come from behind one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use qc_core::model::NodeName;

/// So many proofs within that time are two machines.
const PROOFS: usize = 2;
const WITHIN: Duration = Duration::from_mins(1);
/// How long it stays said after the last sign of it.
pub(crate) const REMEMBERED: Duration = Duration::from_mins(10);

/// What is known of nodes whose links replace each other.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    nodes: BTreeMap<NodeName, Signs>,
}

#[derive(Debug, Default)]
struct Signs {
    proofs: Vec<Instant>,
    until: Option<Instant>,
}

impl Signs {
    fn forget(&mut self, now: Instant) {
        self.proofs.retain(|at| now < *at + WITHIN);
        self.until = self.until.filter(|until| now < *until);
    }
}

impl Twins {
    /// A link of `node` replaces one. Whether it is known that two machines take turns; it stays known
    /// as long as the replaced one `was_heard` lately.
    pub(crate) fn replaced(&mut self, node: &NodeName, was_heard: bool, now: Instant) -> bool {
        self.forget(now);
        let Some(signs) = self.nodes.get_mut(node) else {
            return false;
        };
        if was_heard && signs.until.is_some() {
            signs.until = Some(now + REMEMBERED);
        }
        signs.until.is_some()
    }

    /// The replaced link of `node` had been heard lately, and has taken leave in good order. Whether
    /// that is news of two machines.
    pub(crate) fn took_leave(&mut self, node: &NodeName, now: Instant) -> bool {
        self.forget(now);
        let signs = self.nodes.entry(node.clone()).or_default();
        if signs.until.is_some() {
            return false;
        }
        signs.proofs.push(now);
        if signs.proofs.len() < PROOFS {
            return false;
        }
        signs.until = Some(now + REMEMBERED);
        true
    }

    fn forget(&mut self, now: Instant) {
        self.nodes.retain(|_, signs| {
            signs.forget(now);
            signs.until.is_some() || !signs.proofs.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::model::Timestamp;

    fn node() -> NodeName {
        "edge-1.mill7.acme".parse().unwrap()
    }

    fn clock() -> ManualClock {
        ManualClock::at(Timestamp::from_millis(1))
    }

    #[test]
    fn two_that_take_turns_are_found_at_the_second_turn() {
        let (clock, mut twins) = (clock(), Twins::default());
        assert!(!twins.replaced(&node(), true, clock.instant()));
        assert!(!twins.took_leave(&node(), clock.instant()));
        clock.advance(Duration::from_secs(30));
        assert!(!twins.replaced(&node(), true, clock.instant()));
        assert!(twins.took_leave(&node(), clock.instant()));
        // it is news once, and true until it has not been seen for a while
        for _ in 0..5 {
            clock.advance(Duration::from_mins(5));
            assert!(twins.replaced(&node(), true, clock.instant()));
            assert!(!twins.took_leave(&node(), clock.instant()));
        }
        let other = "edge-2.mill7.acme".parse().unwrap();
        assert!(!twins.replaced(&other, true, clock.instant()));
        clock.advance(REMEMBERED);
        assert!(!twins.replaced(&node(), true, clock.instant()));
        assert!(twins.nodes.is_empty());
    }

    #[test]
    fn one_that_moves_or_comes_back_is_none() {
        // a reboot elsewhere, again and again: what it leaves behind is dead and says nothing
        let (clock, mut twins) = (clock(), Twins::default());
        for _ in 0..20 {
            assert!(!twins.replaced(&node(), true, clock.instant()));
            clock.advance(Duration::from_secs(1));
        }
        // two ways to the same relay: once, and not again for long
        for _ in 0..5 {
            assert!(!twins.replaced(&node(), true, clock.instant()));
            assert!(!twins.took_leave(&node(), clock.instant()));
            clock.advance(Duration::from_mins(2));
        }
        assert!(!twins.replaced(&node(), true, clock.instant()));
    }
}
