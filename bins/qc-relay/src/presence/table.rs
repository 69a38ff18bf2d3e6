//! What a parent knows of the processes that are linked to it and to the relays below, and when that
//! proves that two machines have one identity.
//!
//! One machine runs one process of a node at a time: its state directory is locked. So a process that
//! was proven alive, then another one of the same node, and then the first one again, are two machines,
//! however often a node restarts, moves, or is linked twice while it moves. Every proof is an interval
//! by this relay's own clock in which the process was alive: it ends where it is heard of, and begins
//! where the answer went out that the relay which tells it had got when it saw the process live.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use qc_core::model::NodeName;

use super::{Answer, MOST, Question, Twin};

/// How long it stays said after the last sign of it, and how long a process is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_mins(10);
/// The most nodes; of more nothing is known.
const MOST_NODES: usize = 200_000;
/// The most processes of one node, and the most proofs of each.
const PROCESSES: usize = 8;
const PROOFS: usize = 8;
/// So many answers to one relay are remembered: one that went lost is asked for again soon.
const ANSWERS: usize = 16;

/// The processes of all nodes.
#[derive(Debug)]
pub(crate) struct Table {
    id: u64,
    nodes: BTreeMap<NodeName, Known>,
    /// When the last answers to each relay below went out, by their numbers.
    answered: BTreeMap<NodeName, VecDeque<(u64, Instant)>>,
    /// The number of the newest answer.
    answers: u64,
    /// Nodes with different processes at different relays.
    watched: BTreeSet<NodeName>,
}

#[derive(Debug, Default)]
struct Known {
    /// The process that is linked to each relay.
    at: BTreeMap<NodeName, u64>,
    lives: BTreeMap<u64, Life>,
    /// Two machines: where, and until when it is said.
    twins: Option<(String, Instant)>,
}

/// A proof that two machines use one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twins {
    /// The first.
    New,
    /// One more.
    Still,
}

/// What is proven of one process.
#[derive(Debug)]
struct Life {
    place: NodeName,
    /// It was alive at or before.
    since: Instant,
    /// It was alive at or after.
    until: Instant,
    proofs: VecDeque<(Instant, Instant)>,
}

impl Table {
    /// An empty one with this number.
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            nodes: BTreeMap::new(),
            answered: BTreeMap::new(),
            answers: 0,
            watched: BTreeSet::new(),
        }
    }

    /// The process `instance` of `node` has a link to `relay`.
    pub(crate) fn joined(&mut self, relay: &NodeName, node: &NodeName, instance: u64) {
        if instance == 0 || (self.nodes.len() >= MOST_NODES && !self.nodes.contains_key(node)) {
            return;
        }
        let known = self.nodes.entry(node.clone()).or_default();
        known.at.insert(relay.clone(), instance);
        if known.is_ambiguous() {
            self.watched.insert(node.clone());
        }
    }

    /// `node` has no link to `relay` any more.
    pub(crate) fn left(&mut self, relay: &NodeName, node: &NodeName) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.at.remove(relay);
            if !known.is_ambiguous() {
                self.watched.remove(node);
            }
            if known.at.is_empty() && known.lives.is_empty() && known.twins.is_none() {
                self.nodes.remove(node);
            }
        }
    }

    /// The process `instance` of `node`, linked to `relay`, was alive between two moments. What that says
    /// of two machines.
    pub(crate) fn alive(
        &mut self,
        relay: &NodeName,
        node: &NodeName,
        instance: u64,
        (from, to): (Instant, Instant),
    ) -> Option<Twins> {
        if !self.watched.contains(node) {
            return None;
        }
        let known = self.nodes.get_mut(node)?;
        known.forget(to);
        let life = known.lives.entry(instance).or_insert_with(|| Life {
            place: relay.clone(),
            since: to,
            until: from,
            proofs: VecDeque::new(),
        });
        life.place.clone_from(relay);
        (life.since, life.until) = (life.since.min(to), life.until.max(from));
        life.proofs.push_back((from, to));
        if life.proofs.len() > PROOFS {
            life.proofs.pop_front();
        }
        let other = known.lives_beside(instance)?;
        let place = &other.place;
        let reason =
            format!("two machines use its identity, one linked to {relay}, one to {place}");
        // one of which no more is heard has ended
        let until = to.min(other.until) + REMEMBERED;
        let is_known = known.twins.is_some();
        known.twins = Some((reason, until));
        Some(if is_known { Twins::Still } else { Twins::New })
    }

    /// Two machines use the identity of `node`: what is said of it, and until when.
    pub(crate) fn twins(&self, node: &NodeName, now: Instant) -> Option<(&str, Instant)> {
        let (reason, until) = self.nodes.get(node)?.twins.as_ref()?;
        (now < *until).then_some((reason, *until))
    }

    /// Takes what `relay` tells, and answers. The nodes that turned out to be two, or still are, are added
    /// to `found`.
    pub(crate) fn told(
        &mut self,
        relay: &NodeName,
        question: &Question,
        now: Instant,
        found: &mut Vec<(NodeName, Twins)>,
    ) -> Answer {
        let parse = |node: &String| node.parse::<NodeName>().ok();
        if question.fresh {
            self.forget_relay(relay);
        }
        for (node, instance) in &question.joined {
            if let Some(node) = parse(node) {
                self.joined(relay, &node, *instance);
            }
        }
        for node in question.left.iter().filter_map(parse) {
            self.left(relay, &node);
        }
        for alive in &question.alive {
            // without an answer before, nobody knows since when
            if let (Some(from), Some(node)) =
                (self.answered(relay, alive.since), parse(&alive.node))
                && let Some(twins) = self.alive(relay, &node, alive.instance, (from, now))
            {
                found.push((node, twins));
            }
        }
        self.answer_goes_out(relay, now);
        let of_relay = |node: &&NodeName| {
            let known = self.nodes.get(*node);
            known.is_some_and(|known| known.at.contains_key(relay))
        };
        let watched = self.watched.iter().filter(of_relay);
        let twins = watched.clone().filter_map(|node| {
            let (reason, until) = self.twins(node, now)?;
            Some(Twin {
                node: node.to_string(),
                reason: reason.to_owned(),
                left_s: until.saturating_duration_since(now).as_secs(),
            })
        });
        Answer {
            table: self.id,
            number: self.answers,
            twins: twins.take(MOST).collect(),
            watch: watched.map(ToString::to_string).take(MOST).collect(),
        }
    }

    /// When the answer with this number went out to `relay`.
    fn answered(&self, relay: &NodeName, number: u64) -> Option<Instant> {
        let mut answers = self.answered.get(relay)?.iter();
        let answer = answers.find(|(answer, _)| *answer == number);
        answer.map(|(_, at)| *at)
    }

    fn answer_goes_out(&mut self, relay: &NodeName, now: Instant) {
        self.answers += 1;
        let answered = self.answered.entry(relay.clone()).or_default();
        answered.push_back((self.answers, now));
        if answered.len() > ANSWERS {
            answered.pop_front();
        }
    }

    /// `relay` begins to tell anew.
    fn forget_relay(&mut self, relay: &NodeName) {
        self.answered.remove(relay);
        for known in self.nodes.values_mut() {
            known.at.remove(relay);
        }
        let nodes = &self.nodes;
        let still = |node: &NodeName| nodes.get(node).is_some_and(Known::is_ambiguous);
        self.watched.retain(still);
    }
}

impl Known {
    /// Whether different processes are linked to different relays.
    fn is_ambiguous(&self) -> bool {
        let mut instances = self.at.values();
        let first = instances.next();
        instances.any(|instance| Some(instance) != first)
    }

    /// A process that was alive within the life of `instance`, or within whose life that was.
    fn lives_beside(&self, instance: u64) -> Option<&Life> {
        let life = self.lives.get(&instance)?;
        let within = |one: &Life, other: &Life| {
            let mut proofs = one.proofs.iter();
            proofs.any(|(from, to)| other.since <= *from && *to <= other.until)
        };
        let mut others = self.lives.iter().filter(|(number, _)| **number != instance);
        let found = others.find(|(_, other)| within(other, life) || within(life, other));
        found.map(|(_, other)| other)
    }

    fn forget(&mut self, now: Instant) {
        self.twins.take_if(|(_, until)| *until <= now);
        self.lives.retain(|_, life| now < life.until + REMEMBERED);
        while self.lives.len() >= PROCESSES {
            let oldest = self.lives.iter().min_by_key(|(_, life)| life.until);
            let Some(oldest) = oldest.map(|(number, _)| *number) else {
                return;
            };
            self.lives.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Alive;
    use super::*;
    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::model::Timestamp;

    const PERIOD: Duration = Duration::from_secs(10);

    struct Parent {
        table: Table,
        clock: ManualClock,
        found: Vec<(NodeName, Twins)>,
        /// The last answer that each relay got.
        got: BTreeMap<String, u64>,
    }

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn edge() -> NodeName {
        name("edge-1.mill7.acme")
    }

    impl Parent {
        fn new() -> Self {
            Self {
                table: Table::new(1),
                clock: ManualClock::at(Timestamp::from_millis(1)),
                found: Vec::new(),
                got: BTreeMap::new(),
            }
        }

        /// A relay tells what it has after some time: who joined, who lived since.
        fn told(&mut self, relay: &str, joined: Option<u64>, alive: Option<u64>) -> Answer {
            let answer = self.told_in_vain(relay, joined, alive);
            self.got.insert(relay.to_owned(), answer.number);
            answer
        }

        /// The same, and the answer is lost.
        fn told_in_vain(&mut self, relay: &str, joined: Option<u64>, alive: Option<u64>) -> Answer {
            self.clock.advance(PERIOD / 2);
            let process = |instance| (edge().to_string(), instance);
            let lives = |instance| Alive {
                node: edge().to_string(),
                instance,
                since: self.got.get(relay).copied().unwrap_or_default(),
            };
            let question = Question {
                fresh: false,
                joined: joined.map(process).into_iter().collect(),
                left: Vec::new(),
                alive: alive.map(lives).into_iter().collect(),
            };
            let now = self.clock.instant();
            self.table
                .told(&name(relay), &question, now, &mut self.found)
        }

        fn left(&mut self, relay: &str) {
            let question = Question {
                left: vec![edge().to_string()],
                ..Question::default()
            };
            let now = self.clock.instant();
            self.table
                .told(&name(relay), &question, now, &mut self.found);
        }
    }

    const ONE: &str = "relay-1.hq.acme";
    const TWO: &str = "relay-2.hq.acme";

    #[test]
    fn two_that_live_are_found_within_a_few_answers_and_both_relays_are_told() {
        let mut parent = Parent::new();
        parent.told(ONE, Some(1), None);
        assert_eq!(parent.told(TWO, Some(2), None).watch, [edge().to_string()]);
        assert_eq!(parent.told(ONE, None, None).watch, [edge().to_string()]);
        for _ in 0..8 {
            parent.told(TWO, None, Some(2));
            parent.told(ONE, None, Some(1));
        }
        // what goes on is said as long as it goes on
        let still = parent.found.split_off(1);
        assert_eq!(parent.found, [(edge(), Twins::New)]);
        assert!(still.len() > 2, "{still:?}");
        assert!(still.iter().all(|found| *found == (edge(), Twins::Still)));
        for relay in [ONE, TWO] {
            let twins = parent.told(relay, None, None).twins;
            assert_eq!(twins.len(), 1);
            assert!(
                twins[0].reason.contains(ONE) && twins[0].reason.contains(TWO),
                "{twins:?}"
            );
        }
        // it is said for a while, and no longer
        let began = parent.clock.instant();
        parent.clock.advance(REMEMBERED);
        assert!(
            parent
                .table
                .twins(&edge(), parent.clock.instant())
                .is_none()
        );
        assert!(parent.table.twins(&edge(), began).is_some());
    }

    #[test]
    fn of_two_one_ends_and_it_is_said_no_longer_than_a_while_after_that() {
        let mut parent = Parent::new();
        parent.told(ONE, Some(1), None);
        parent.told(TWO, Some(2), None);
        for _ in 0..4 {
            parent.told(TWO, None, Some(2));
            parent.told(ONE, None, Some(1));
        }
        let ended = parent.clock.instant();
        let said_until = |parent: &Parent| {
            let said = parent.table.twins(&edge(), parent.clock.instant());
            said.map(|(_, until)| until)
        };
        while parent.clock.instant() < ended + REMEMBERED / 2 {
            parent.told(ONE, None, Some(1));
            parent.told(TWO, None, None);
        }
        assert!(said_until(&parent).is_some_and(|until| until <= ended + REMEMBERED));
        let left_s = parent.told(ONE, None, Some(1)).twins[0].left_s;
        assert!(left_s < REMEMBERED.as_secs() / 2, "{left_s}");
        while parent.clock.instant() < ended + REMEMBERED {
            parent.told(ONE, None, Some(1));
        }
        assert_eq!(said_until(&parent), None);
    }

    #[test]
    fn a_lost_answer_proves_nothing_and_hides_nothing() {
        // the process was seen alive before the answer that was lost: it may have ended before that went
        let mut parent = Parent::new();
        parent.told(ONE, Some(1), None);
        parent.told(TWO, Some(2), None);
        parent.told(ONE, None, Some(1));
        parent.told_in_vain(ONE, None, None);
        parent.told(TWO, None, Some(2));
        parent.told(TWO, None, Some(2));
        parent.told(ONE, None, Some(1));
        assert_eq!(parent.found, []);
        // two are found although every second answer is lost
        for _ in 0..8 {
            parent.told_in_vain(TWO, None, Some(2));
            parent.told(TWO, None, Some(2));
            parent.told_in_vain(ONE, None, Some(1));
            parent.told(ONE, None, Some(1));
        }
        assert_eq!(parent.found.first(), Some(&(edge(), Twins::New)));
    }

    #[test]
    fn one_machine_that_moves_and_restarts_is_never_two() {
        let mut parent = Parent::new();
        for turn in 0..10_u64 {
            let (from, to) = if turn % 2 == 0 {
                (ONE, TWO)
            } else {
                (TWO, ONE)
            };
            // its old link still stands at one relay, as it looks from there, for a while
            parent.told(from, Some(turn + 1), None);
            parent.told(from, None, Some(turn + 1));
            // it restarts: the old process is not heard any more, wherever it is still shown
            parent.told(to, Some(turn + 2), None);
            for _ in 0..3 {
                parent.told(from, None, None);
                parent.told(to, None, Some(turn + 2));
            }
            if turn % 3 == 0 {
                parent.left(from);
            }
        }
        assert_eq!(parent.found, []);
    }

    #[test]
    fn one_process_with_two_links_is_one() {
        let mut parent = Parent::new();
        for _ in 0..5 {
            assert_eq!(parent.told(ONE, Some(1), Some(1)).watch, [""; 0]);
            assert_eq!(parent.told(TWO, Some(1), Some(1)).watch, [""; 0]);
        }
        assert_eq!(parent.found, []);
    }

    #[test]
    fn what_may_have_been_one_after_the_other_is_no_proof() {
        let (mut parent, node) = (Parent::new(), edge());
        let at = |seconds| parent.clock.instant() + Duration::from_secs(seconds);
        let proofs = [
            (1, (at(0), at(10))),
            (2, (at(5), at(15))),
            // the first may have ended at 5, and the second begun then
            (1, (at(9), at(20))),
            (2, (at(14), at(25))),
        ];
        parent.table.joined(&name(ONE), &node, 1);
        parent.table.joined(&name(TWO), &node, 2);
        for (instance, between) in proofs {
            let relay = name([ONE, TWO][usize::try_from(instance - 1).unwrap()]);
            let twins = parent.table.alive(&relay, &node, instance, between);
            assert_eq!(twins, None, "{instance}");
        }
        // at 30 the first lives, and all of a proof of the second lies between 10 and 30
        let later = (at(30), at(35));
        let twins = parent.table.alive(&name(ONE), &node, 1, later);
        assert_eq!(twins, Some(Twins::New));
    }

    #[test]
    fn a_relay_that_begins_anew_or_tells_first_proves_nothing() {
        let mut parent = Parent::new();
        parent.told(ONE, Some(1), Some(1));
        parent.told(TWO, Some(2), Some(2));
        parent.told(ONE, None, Some(1));
        parent.clock.advance(PERIOD);
        let now = parent.clock.instant();
        let question = Question {
            fresh: true,
            ..Question::default()
        };
        let answer = parent
            .table
            .told(&name(TWO), &question, now, &mut parent.found);
        assert_eq!((answer.watch.len(), answer.twins.len()), (0, 0));
        assert!(parent.table.watched.is_empty());
    }
}
