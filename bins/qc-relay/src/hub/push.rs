//! Control objects on their way to the nodes below: one task that knows who lacks what, and a few calls at a
//! time.
//!
//! What a node has is in its status, and in the registry while it is away, so that only what is missing is
//! sent, at once when its link is up. A node that does not answer waits ever longer and comes after those
//! that do; what a node refuses is not sent again before its next link, unless the reason may pass by itself: a
//! full disk soon, a CA that is missing there seldom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qc_core::admin::control::{ControlDetail, ControlList, ControlNode, ControlRow, ControlState};
use qc_core::backoff::Backoff;
use qc_core::control::{Kind, Label, Mark, Object};
use qc_core::link;
use qc_core::model::{NodeName, Timestamp};
use qc_core::node::{Answer, applied, push};
use qc_core::pki::Role;
use qc_core::registry::NodeEntry;
use qc_core::service::Drain;
use qc_core::wire::{Applied, Below, Code, Refusal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Hub;

/// Calls at once. Each waits for a line and a disk elsewhere; here it is a task and a buffer.
const AT_ONCE: usize = 64;
/// How long a node that did not answer waits, first and at most.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_mins(5);
/// The same for an object that a node could not put in force, as long as its link is up.
const SELDOM: Duration = Duration::from_mins(30);
/// A list in an object that a node cannot judge: somebody may put the CA there.
const NOT_IN_FORCE: Code = Code::new(2168);
/// An object that a node's disk did not take.
const NOT_KEPT: Code = Code::new(2169);
/// How many nodes a list names of those that wait.
const NAMED: usize = 5;

/// Nodes to look at, and whether their link is new.
#[derive(Debug, Default)]
pub(super) struct Due {
    nodes: Mutex<BTreeMap<NodeName, bool>>,
    more: Notify,
}

impl Due {
    /// `node` has a new link, or said that it has something else than was known.
    pub(super) fn add(&self, node: &NodeName, is_new_link: bool) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        *nodes.entry(node.clone()).or_default() |= is_new_link;
        drop(nodes);
        self.more.notify_one();
    }

    fn take(&self) -> BTreeMap<NodeName, bool> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut nodes)
    }
}

/// The state of the task.
struct Pusher {
    hub: Hub,
    rng: fastrand::Rng,
    /// Who is to be looked at, those that answer first.
    queue: BTreeSet<(u32, NodeName)>,
    /// Who is being called.
    calls: BTreeSet<NodeName>,
    /// Who did not answer, and when it is called again.
    silent: BTreeMap<NodeName, (Backoff, Instant)>,
    /// What a node does not take, by its digest, since its link is up.
    refused: BTreeMap<NodeName, BTreeMap<[u8; 32], Refused>>,
}

/// An object that a node does not take.
#[derive(Debug, Default)]
struct Refused {
    /// If the reason may pass: how long it is left alone after each refusal.
    backoff: Option<Backoff>,
    /// And until when now; none once that is over.
    until: Option<Instant>,
}

impl Refused {
    /// It is refused again.
    fn again(&mut self, code: Code, now: Instant, rng: &mut fastrand::Rng) {
        let (first, last) = match code {
            NOT_KEPT => (FIRST, LAST),
            NOT_IN_FORCE => (LAST, SELDOM),
            _ => {
                *self = Self::default();
                return;
            }
        };
        let fresh = || Backoff::new(first, last).expect("two constants in order");
        let delay = self.backoff.get_or_insert_with(fresh).next_delay(rng);
        self.until = Some(now + delay);
    }

    fn is_left_alone(&self) -> bool {
        self.backoff.is_none() || self.until.is_some()
    }

    /// Whether its time is over; says so once.
    fn is_over(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }
}

/// A call that has ended.
struct Done {
    node: NodeName,
    object: Arc<Object>,
    answer: Result<Answer, Refusal>,
}

impl Hub {
    /// Hands control objects to the nodes below, until the end.
    pub(crate) async fn push_control(self, drain: Drain) {
        let mut objects = self.control().changed();
        let mut pusher = Pusher {
            hub: self.clone(),
            rng: fastrand::Rng::new(),
            queue: BTreeSet::new(),
            calls: BTreeSet::new(),
            silent: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((node, object)) = pusher.next()
            {
                pusher.calls.insert(node.clone());
                running.spawn(self.clone().hand_over(node, object));
            }
            let again = pusher.again();
            tokio::select! {
                () = drain.signaled() => return,
                Ok(()) = objects.changed() => pusher.everybody(),
                () = self.inner.due.more.notified() => {
                    for (node, is_new_link) in self.inner.due.take() {
                        pusher.look_at(node, is_new_link);
                    }
                }
                Some(done) = running.join_next(), if !running.is_empty() => {
                    if let Ok(done) = done {
                        pusher.ended(done);
                    }
                }
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => pusher.wake(),
            }
        }
    }

    async fn hand_over(self, node: NodeName, object: Arc<Object>) -> Done {
        let caller = self.callers().of(&node);
        let answer = match caller {
            Some(caller) => push(&caller, &object).await,
            None => Err(Refusal::new(link::CUT, "it has no link")),
        };
        Done {
            node,
            object,
            answer,
        }
    }

    /// Control objects with how far the nodes below have come.
    pub(crate) fn control_list(&self) -> ControlList {
        let mut list = self.control().list();
        let objects = self.control().objects();
        list.objects = objects
            .iter()
            .map(|object| self.summed(object).object)
            .collect();
        list
    }

    /// One object, node by node.
    pub(crate) fn control_detail(&self, kind: Kind, label: &Label) -> Option<ControlDetail> {
        let objects = self.control().objects();
        let object = objects
            .iter()
            .find(|object| object.mark().is_of(kind, label))?;
        Some(self.summed(object))
    }

    fn summed(&self, object: &Object) -> ControlDetail {
        let nodes = self.progress(object);
        let of = |state| nodes.iter().filter(|node| node.state == state).count() as u64;
        let mut waits_for: Vec<&ControlNode> = nodes
            .iter()
            .filter(|node| node.state != ControlState::Applied)
            .collect();
        waits_for.sort_by_key(|node| std::cmp::Reverse(node.seen_ms.unwrap_or(u64::MAX)));
        let object = ControlRow {
            nodes: nodes.len() as u64,
            applied: of(ControlState::Applied),
            refused: of(ControlState::Refused),
            waiting: of(ControlState::Waiting),
            waits_for: waits_for.into_iter().take(NAMED).cloned().collect(),
            ..self.control().row(object)
        };
        ControlDetail { object, nodes }
    }

    fn progress(&self, object: &Object) -> Vec<ControlNode> {
        let (now, mark) = (self.clock().now(), object.mark());
        let fleet = self.fleet();
        let concerned = fleet
            .entries()
            .filter(|(name, entry, _)| concerns(object, name, entry));
        concerned
            .map(|(name, entry, linked)| shown(name, entry, linked, &mark, now))
            .collect()
    }

    /// How far this relay and the nodes below it have come, for its parent.
    pub(super) fn control_report(&self) -> Vec<Applied> {
        let report = |object: &Arc<Object>| {
            let nodes = self.progress(object);
            let has = nodes
                .iter()
                .filter(|node| node.state == ControlState::Applied);
            Applied {
                below: Some(Below {
                    nodes: nodes.len() as u64,
                    applied: has.count() as u64,
                }),
                ..applied(&object.mark())
            }
        };
        let objects = self.control().objects();
        // what is only handed on is not told as applied here
        let here = objects
            .iter()
            .filter(|object| !self.control().is_lacking(object));
        here.map(report).collect()
    }
}

/// Whether a node gets an object: it is for it, or for somebody below it.
fn concerns(object: &Object, name: &NodeName, entry: &NodeEntry) -> bool {
    let carries = matches!(entry.role, Some(Role::Relay | Role::RelayParent));
    carries || object.is_for(name)
}

/// What a node has of the object that `mark` is of.
fn held<'a>(entry: &'a NodeEntry, mark: &Mark) -> Option<&'a Applied> {
    let mut applied = entry.applied.iter();
    applied.find(|one| one.kind == mark.kind as u16 && one.label == mark.label.as_str())
}

/// Whether it has that one, or a newer one from elsewhere.
fn has(entry: &NodeEntry, mark: &Mark) -> bool {
    held(entry, mark).is_some_and(|held| {
        held.revision > mark.revision
            || held.revision == mark.revision && held.digest == mark.digest
    })
}

fn shown(
    name: &NodeName,
    entry: &NodeEntry,
    linked: bool,
    mark: &Mark,
    now: Timestamp,
) -> ControlNode {
    let refused = entry.refused.iter().find(|refused| {
        refused.kind == mark.kind as u16
            && refused.label == mark.label.as_str()
            && refused.revision == mark.revision
    });
    let applied = held(entry, mark);
    let below = applied.and_then(|applied| applied.below);
    let millis = |seen| u64::try_from(now.since(seen).as_millis()).unwrap_or(u64::MAX);
    let state = match refused {
        _ if has(entry, mark) => ControlState::Applied,
        Some(_) => ControlState::Refused,
        None => ControlState::Waiting,
    };
    ControlNode {
        node: name.to_string(),
        state,
        revision: applied.map(|applied| applied.revision),
        code: refused.map(|refused| refused.code.to_string()),
        reason: refused.map(|refused| refused.reason.clone()),
        linked,
        last_seen: entry.last_seen.map(|seen| seen.to_string()),
        seen_ms: entry.last_seen.map(millis),
        below_nodes: below.map(|below| below.nodes),
        below_applied: below.map(|below| below.applied),
    }
}

impl Pusher {
    /// A node that is to be called, and with what.
    fn next(&mut self) -> Option<(NodeName, Arc<Object>)> {
        let objects = self.hub.control().objects();
        while let Some((_, node)) = self.queue.pop_first() {
            if self.calls.contains(&node) {
                continue; // it is looked at again after its call
            }
            if let Some(object) = self.missing(&node, &objects) {
                return Some((node, object));
            }
            self.silent.remove(&node);
        }
        None
    }

    fn missing(&self, node: &NodeName, objects: &[Arc<Object>]) -> Option<Arc<Object>> {
        let _has_link = self.hub.callers().of(node)?;
        let refused = self.refused.get(node);
        let fleet = self.hub.fleet();
        let (entry, _) = fleet.entry(node)?;
        let is_missing = |object: &&Arc<Object>| {
            let mark = object.mark();
            let refused = refused.and_then(|refused| refused.get(&mark.digest));
            let is_refused = refused.is_some_and(Refused::is_left_alone);
            concerns(object, node, entry) && !has(entry, &mark) && !is_refused
        };
        objects.iter().find(is_missing).cloned()
    }

    fn look_at(&mut self, node: NodeName, is_new_link: bool) {
        if is_new_link {
            self.silent.remove(&node);
            self.refused.remove(&node);
        }
        // one that is being called is looked at again after that
        let waits = self.silent.contains_key(&node) || self.calls.contains(&node);
        if !waits {
            // of whom nothing is heard, nothing is expected: others first
            let rank = u32::from(self.hub.fleet().is_silent(&node));
            self.queue.insert((rank, node));
        }
    }

    fn everybody(&mut self) {
        let linked = self.hub.callers().nodes();
        for node in linked {
            self.look_at(node, false);
        }
    }

    fn ended(&mut self, done: Done) {
        let Done {
            node,
            object,
            answer,
        } = done;
        let (mark, now) = (object.mark(), self.hub.clock().now());
        self.calls.remove(&node);
        let refusal = match answer {
            Ok(answer) => answer.refusal(),
            // an older version, for which a new link is to be waited for
            Err(refusal) if matches!(refusal.code, link::NO_CALLS | link::NO_TARGET) => {
                Some(refusal)
            }
            Err(refusal) => {
                self.is_silent(node, &mark, &refusal);
                return;
            }
        };
        self.silent.remove(&node);
        match refusal {
            None => self.hub.fleet().applied(&node, &mark),
            Some(refusal) => {
                let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
                tracing::warn!(code, %node, object = %mark, reason, "A node refuses a control object.");
                self.hub.fleet().refused(&node, &mark, &refusal, now);
                let refused = self.refused.entry(node.clone()).or_default();
                let refused = refused.entry(mark.digest).or_default();
                refused.again(refusal.code, Instant::now(), &mut self.rng);
            }
        }
        self.queue.insert((0, node));
    }

    fn is_silent(&mut self, node: NodeName, mark: &Mark, refusal: &Refusal) {
        let reason = refusal.reason.as_str();
        tracing::debug!(code = "QC2235", %node, object = %mark, reason, "No answer; it is called again.");
        let fresh = || Backoff::new(FIRST, LAST).expect("two constants in order");
        let (backoff, until) = self
            .silent
            .entry(node)
            .or_insert_with(|| (fresh(), Instant::now()));
        *until = Instant::now() + backoff.next_delay(&mut self.rng);
    }

    /// When somebody who did not answer, or could not take something, is called again.
    fn again(&self) -> Option<Instant> {
        let waits = self
            .silent
            .iter()
            .filter(|(node, _)| !self.is_on_its_way(node));
        let silent = waits.map(|(_, (_, until))| *until);
        let refused = self.refused.values().flat_map(BTreeMap::values);
        silent
            .chain(refused.filter_map(|refused| refused.until))
            .min()
    }

    fn is_on_its_way(&self, node: &NodeName) -> bool {
        let attempts = self
            .silent
            .get(node)
            .map_or(0, |(backoff, _)| backoff.attempt());
        self.calls.contains(node) || self.queue.contains(&(attempts, node.clone()))
    }

    fn wake(&mut self) {
        let now = Instant::now();
        // who has no link any more comes by itself
        let callers = self.hub.callers();
        self.silent.retain(|node, _| callers.of(node).is_some());
        self.refused.retain(|node, _| callers.of(node).is_some());
        drop(callers);
        let mut due = Vec::new();
        for (node, refused) in &mut self.refused {
            let over = refused.values_mut().map(|refused| refused.is_over(now));
            if over.fold(false, |any, is_over| any | is_over) {
                due.push(node.clone());
            }
        }
        for node in due {
            self.look_at(node, false);
        }
        let over = self.silent.iter().filter(|(_, (_, until))| *until <= now);
        let over: Vec<_> = over
            .map(|(node, (backoff, _))| (backoff.attempt(), node.clone()))
            .collect();
        self.queue.extend(
            over.into_iter()
                .filter(|(_, node)| !self.calls.contains(node)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::registry::RefusedObject;

    fn mark(revision: u64, digest: u8) -> Mark {
        Mark {
            kind: Kind::Revocations,
            label: Label::default(),
            revision,
            digest: [digest; 32],
        }
    }

    fn entry(held: Option<&Mark>) -> NodeEntry {
        NodeEntry {
            applied: held.into_iter().map(applied).collect(),
            ..NodeEntry::new(Timestamp::from_millis(1))
        }
    }

    #[test]
    fn a_node_lacks_what_is_newer_or_says_something_else() {
        let offered = mark(5, 1);
        for (held, is_there) in [
            (None, false),
            (Some(mark(4, 1)), false),
            (Some(mark(5, 1)), true),
            (Some(mark(5, 2)), false),
            (Some(mark(6, 2)), true),
            (
                Some(Mark {
                    label: "x".parse().unwrap(),
                    ..mark(5, 1)
                }),
                false,
            ),
            (
                Some(Mark {
                    kind: Kind::Policy,
                    ..mark(5, 1)
                }),
                false,
            ),
        ] {
            assert_eq!(has(&entry(held.as_ref()), &offered), is_there, "{held:?}");
        }
    }

    #[test]
    fn a_refusal_of_an_older_revision_says_nothing_of_this_one() {
        let (name, now) = (
            "edge-1.a.acme".parse().unwrap(),
            Timestamp::from_millis(9_000),
        );
        let refused = |revision| NodeEntry {
            refused: vec![RefusedObject {
                kind: 1,
                label: String::new(),
                revision,
                code: Code::new(2167),
                reason: "no".to_owned(),
                at: now,
            }],
            last_seen: Some(Timestamp::from_millis(2_000)),
            ..entry(Some(&mark(3, 1)))
        };
        let state = |entry: &NodeEntry| shown(&name, entry, true, &mark(5, 1), now);
        let row = state(&refused(5));
        assert_eq!(
            (row.state, row.code.as_deref()),
            (ControlState::Refused, Some("QC2167"))
        );
        assert_eq!((row.revision, row.seen_ms), (Some(3), Some(7_000)));
        assert_eq!(state(&refused(4)).state, ControlState::Waiting);
        assert_eq!(
            state(&entry(Some(&mark(5, 1)))).state,
            ControlState::Applied
        );
    }

    #[test]
    fn a_full_disk_is_asked_again_soon_a_missing_ca_seldom_and_an_owner_never() {
        let (mut rng, mut now) = (fastrand::Rng::with_seed(1), Instant::now());
        let mut waits = |code, times: usize| {
            let mut refused = Refused::default();
            let mut waits = Vec::new();
            for _ in 0..times {
                refused.again(Code::new(code), now, &mut rng);
                assert!(refused.is_left_alone());
                assert!(!refused.is_over(now), "not at once");
                let Some(until) = refused.until else {
                    return Vec::new();
                };
                waits.push(until - now);
                now = until;
                assert!(refused.is_over(now));
                assert!(!refused.is_over(now), "it is told once");
                assert!(!refused.is_left_alone());
            }
            waits
        };
        let full = waits(2169, 20);
        assert!(
            full[0] <= 2 * FIRST && full.iter().all(|wait| *wait <= LAST),
            "{full:?}"
        );
        let no_ca = waits(2168, 20);
        assert!(no_ca.iter().all(|wait| *wait <= SELDOM), "{no_ca:?}");
        assert!(no_ca.iter().any(|wait| *wait > LAST), "{no_ca:?}");
        assert!(waits(2167, 1).is_empty());
    }
}
