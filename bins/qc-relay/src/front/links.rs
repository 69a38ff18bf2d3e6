//! The newest link of every node, so that a returning node replaces its own dead one; and what it
//! means when the other one was not dead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use qc_core::link::{self, Ended, Stop};
use qc_core::model::NodeName;
use qc_core::wire::Refusal;
use tokio::sync::watch;

use super::ear::{Ear, Heard};
use super::twins::{Leave, Twins};

/// The links that stand.
#[derive(Default)]
pub(crate) struct Links {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    newest: BTreeMap<NodeName, Arc<Standing>>,
    twins: Twins,
}

/// One link that stands.
pub(crate) struct Standing {
    node: NodeName,
    remote: SocketAddr,
    stop: watch::Sender<Stop>,
    heard: Arc<Heard>,
    replaced: OnceLock<Replaced>,
}

/// How a link was replaced.
struct Replaced {
    by: SocketAddr,
    /// Whether its peer had been heard shortly before.
    was_heard: bool,
}

/// Two machines take turns as one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contested {
    /// What operators are told.
    pub refusal: Refusal,
    /// How long.
    pub until: Instant,
    /// Whether it was not known before.
    pub is_news: bool,
}

impl Links {
    /// A link of `node` takes over from the one there was, which is told to end. Whoever lives is heard
    /// within the time `lately`. The second value says so if two machines are known to take turns.
    pub(crate) fn enter(
        &self,
        node: &NodeName,
        remote: SocketAddr,
        lately: Duration,
        now: Instant,
    ) -> (Arc<Standing>, Option<Contested>) {
        let standing = Arc::new(Standing {
            node: node.clone(),
            remote,
            stop: watch::Sender::new(Stop::Run),
            heard: Arc::new(Heard::new(now)),
            replaced: OnceLock::new(),
        });
        let mut inner = self.lock();
        let older = inner.newest.insert(node.clone(), Arc::clone(&standing));
        let Some(older) = older else {
            return (standing, None);
        };
        let was_heard = older.heard.age(now) <= lately;
        let until = inner.twins.replaced(node, now);
        let refusal = if until.is_some() {
            let reason = format!(
                "{node} has connected again from {remote}; two machines take turns with this identity"
            );
            Refusal::new(link::DUPLICATE, reason)
        } else {
            Refusal::new(
                link::REPLACED,
                format!("{node} has connected again from {remote}"),
            )
        };
        let by = remote;
        let _only_the_first_counts = older.replaced.set(Replaced { by, was_heard });
        older.close(refusal);
        let contested = until.map(|until| Contested {
            refusal: both(older.remote, remote),
            until,
            is_news: false,
        });
        (standing, contested)
    }

    /// A link has ended. It says so if that is a proof of two machines that take turns as its node.
    pub(crate) fn leave(&self, left: &Standing, ended: &Ended, now: Instant) -> Option<Contested> {
        let mut inner = self.lock();
        let newest = inner.newest.get(&left.node);
        if newest.is_some_and(|newest| newest.stop.same_channel(&left.stop)) {
            inner.newest.remove(&left.node);
        }
        let replaced = left.replaced.get()?;
        let code = ended.refusal.code;
        let by_us = !ended.by_peer && (code == link::REPLACED || code == link::DUPLICATE);
        let lived = by_us && replaced.was_heard && left.heard.took_leave();
        if !lived {
            return None;
        }
        match inner.twins.took_leave(&left.node, now) {
            Leave::Nothing => None,
            Leave::Twins { until, is_news } => Some(Contested {
                refusal: both(left.remote, replaced.by),
                until,
                is_news,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What operators are told of a node with two machines.
fn both(one: SocketAddr, other: SocketAddr) -> Refusal {
    let reason =
        format!("two machines take turns with its identity, the newest from {one} and {other}");
    Refusal::new(link::DUPLICATE, reason)
}

impl Standing {
    /// Tells the link to end now, for this reason.
    pub(crate) fn close(&self, refusal: Refusal) {
        self.stop.send_replace(Stop::Close(refusal));
    }

    /// Tells the link to end when it can.
    pub(crate) fn drain(&self) {
        self.stop.send_replace(Stop::Drain);
    }

    /// Tells the link to send its peer away when everything is acknowledged.
    pub(crate) fn leave(&self, refusal: Refusal) {
        self.stop.send_if_modified(|stop| {
            // what ends it at once stays
            let may = !matches!(stop, Stop::Close(_));
            if may {
                *stop = Stop::Leave(refusal);
            }
            may
        });
    }

    /// When somebody wants it to end.
    pub(crate) fn stopped(&self) -> watch::Receiver<Stop> {
        self.stop.subscribe()
    }

    /// Its stream, with somebody who listens.
    pub(crate) fn listen_to<S, C>(&self, stream: S, clock: Arc<C>) -> Ear<S, C> {
        Ear {
            stream,
            heard: Arc::clone(&self.heard),
            clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::model::Timestamp;

    const LATELY: Duration = Duration::from_secs(10);

    struct Place {
        links: Links,
        clock: ManualClock,
    }

    impl Place {
        fn new() -> Self {
            Self {
                links: Links::default(),
                clock: ManualClock::at(Timestamp::from_millis(1)),
            }
        }

        fn enter(&self, remote: &str) -> (Arc<Standing>, Option<Contested>) {
            let node = "edge-1.mill7.acme".parse().unwrap();
            let now = self.clock.instant();
            self.links
                .enter(&node, remote.parse().unwrap(), LATELY, now)
        }

        /// What `left` was told, after which it ends, in good order if it `lives`.
        fn told(&self, left: &Standing, lives: bool) -> (Refusal, Option<Contested>) {
            let Stop::Close(refusal) = left.stop.borrow().clone() else {
                panic!("it was not told to end")
            };
            if lives {
                left.heard.leave();
            }
            let ended = Ended {
                refusal: refusal.clone(),
                by_peer: false,
                established: true,
            };
            let news = self.links.leave(left, &ended, self.clock.instant());
            (refusal, news)
        }
    }

    #[test]
    fn two_that_live_are_told_of_each_other() {
        let place = Place::new();
        let (mut older, contested) = place.enter("192.0.2.1:40000");
        assert_eq!(contested, None);
        let mut codes = Vec::new();
        for turn in 0..4 {
            place.clock.advance(Duration::from_secs(1));
            let remote = ["192.0.2.9:5000", "192.0.2.1:40001"][turn % 2];
            let (newer, contested) = place.enter(remote);
            assert_eq!(contested.is_some(), turn >= 2, "{turn}");
            let (refusal, news) = place.told(&older, true);
            assert!(refusal.reason.contains(remote), "{refusal:?}");
            assert_eq!(
                news.map(|it| it.is_news),
                [None, Some(true), Some(false), Some(false)][turn],
                "{turn}"
            );
            codes.push(refusal.code);
            older = newer;
        }
        assert_eq!(
            codes,
            [
                link::REPLACED,
                link::REPLACED,
                link::DUPLICATE,
                link::DUPLICATE
            ]
        );
    }

    #[test]
    fn the_dead_are_replaced_without_a_word_of_two() {
        let place = Place::new();
        let (mut older, _) = place.enter("192.0.2.1:40000");
        for (turn, lives) in [(0, false), (1, false), (2, true), (3, false)] {
            // the third is alive and was not heard: what it says had been on its way for long
            place
                .clock
                .advance(LATELY * 2 * u32::from(turn == 2) + Duration::from_secs(1));
            let (newer, contested) = place.enter("198.51.100.1:40000");
            assert_eq!(contested, None);
            assert_eq!(place.told(&older, lives).1, None);
            older = newer;
        }
    }

    #[test]
    fn only_the_newest_stands() {
        let place = Place::new();
        let (older, _) = place.enter("192.0.2.1:1");
        let (newer, _) = place.enter("192.0.2.1:2");
        place.told(&older, true);
        assert_eq!(place.links.lock().newest.len(), 1);
        newer.close(Refusal::new(link::GOING_AWAY, "x"));
        place.told(&newer, true);
        assert!(place.links.lock().newest.is_empty());
    }
}
