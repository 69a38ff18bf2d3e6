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
const REMEMBERED: Duration = Duration::from_mins(10);

/// What is known of nodes whose links replace each other.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    nodes: BTreeMap<NodeName, Signs>,
}

/// What it means that a replaced link has taken leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Nothing yet.
    Nothing,
    /// Two machines take turns.
    Twins {
        /// How long that stays said.
        until: Instant,
        /// Whether it was not known.
        is_news: bool,
    },
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
    /// A link of `node` replaces one. Until when it is known that two machines take turns, if it is.
    pub(crate) fn replaced(&mut self, node: &NodeName, now: Instant) -> Option<Instant> {
        self.forget(now);
        self.nodes.get(node)?.until
    }

    /// The replaced link of `node` had been heard lately, and has taken leave in good order: only that
    /// makes it known that two machines take turns, and keeps it known.
    pub(crate) fn took_leave(&mut self, node: &NodeName, now: Instant) -> Leave {
        self.forget(now);
        let signs = self.nodes.entry(node.clone()).or_default();
        let is_known = signs.until.is_some();
        if !is_known {
            signs.proofs.push(now);
            if signs.proofs.len() < PROOFS {
                return Leave::Nothing;
            }
        }
        let until = now + REMEMBERED;
        signs.until = Some(until);
        Leave::Twins {
            until,
            is_news: !is_known,
        }
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

    fn is_known(twins: &mut Twins, clock: &ManualClock) -> bool {
        twins.replaced(&node(), clock.instant()).is_some()
    }

    /// Whether a leave is news of two; nothing if it speaks of none.
    fn is_news(twins: &mut Twins, clock: &ManualClock) -> Option<bool> {
        match twins.took_leave(&node(), clock.instant()) {
            Leave::Nothing => None,
            Leave::Twins { is_news, .. } => Some(is_news),
        }
    }

    #[test]
    fn two_that_take_turns_are_found_at_the_second_turn() {
        let (clock, mut twins) = (clock(), Twins::default());
        assert!(!is_known(&mut twins, &clock));
        assert_eq!(twins.took_leave(&node(), clock.instant()), Leave::Nothing);
        clock.advance(Duration::from_secs(30));
        assert!(!is_known(&mut twins, &clock));
        assert_eq!(is_news(&mut twins, &clock), Some(true));
        // it is news once, and true until it has not been seen for a while
        for _ in 0..5 {
            clock.advance(Duration::from_mins(5));
            assert!(is_known(&mut twins, &clock));
            assert_eq!(is_news(&mut twins, &clock), Some(false));
        }
        let other = "edge-2.mill7.acme".parse().unwrap();
        assert_eq!(twins.replaced(&other, clock.instant()), None);
        clock.advance(REMEMBERED);
        assert!(!is_known(&mut twins, &clock));
        assert!(twins.nodes.is_empty());
    }

    #[test]
    fn what_is_known_ends_where_nobody_takes_leave() {
        let (clock, mut twins) = (clock(), Twins::default());
        for _ in 0..2 {
            twins.took_leave(&node(), clock.instant());
        }
        // one of the two is switched off; the other has a bad line and comes back every minute
        for _ in 1..10 {
            clock.advance(Duration::from_mins(1));
            assert!(is_known(&mut twins, &clock));
        }
        clock.advance(Duration::from_mins(1));
        assert!(!is_known(&mut twins, &clock));
    }

    #[test]
    fn one_that_moves_or_comes_back_is_none() {
        // a reboot elsewhere, again and again: what it leaves behind is dead and says nothing
        let (clock, mut twins) = (clock(), Twins::default());
        for _ in 0..20 {
            assert!(!is_known(&mut twins, &clock));
            clock.advance(Duration::from_secs(1));
        }
        // two ways to the same relay: once, and not again for long
        for _ in 0..5 {
            assert!(!is_known(&mut twins, &clock));
            assert_eq!(is_news(&mut twins, &clock), None);
            clock.advance(Duration::from_mins(2));
        }
        assert!(!is_known(&mut twins, &clock));
    }
}
