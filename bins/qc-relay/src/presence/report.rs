//! What a relay tells its parent of its links: what is new since the last answer, and who lives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use qc_core::link::Peer;
use qc_core::model::NodeName;

use super::{Alive, Answer, MOST, Question};

/// So many answers are remembered: a sign of life may be older than a few of them.
const ANSWERS: usize = 8;

/// The links here, and what of them was told.
#[derive(Debug, Default)]
pub(crate) struct Report {
    here: BTreeMap<NodeName, Here>,
    /// Nodes of which something is to be told.
    unsaid: BTreeSet<NodeName>,
    watched: BTreeSet<NodeName>,
    /// The parent's table that knows what was told.
    table: Option<u64>,
    /// The numbers of the last answers, and when they came.
    answered: VecDeque<(u64, Instant)>,
}

#[derive(Debug)]
struct Here {
    instance: u64,
    address: String,
    /// A moment at which the process was alive.
    alive: Option<Instant>,
    /// The one that was told last.
    told: Option<Instant>,
}

impl Report {
    /// A process has a link here. One of an older version has no number and is not told of.
    pub(crate) fn linked(&mut self, peer: &Peer, instance: u64) {
        if instance == 0 {
            return;
        }
        let here = Here {
            instance,
            address: peer.address.clone(),
            alive: None,
            told: None,
        };
        self.here.insert(peer.node.clone(), here);
        self.unsaid.insert(peer.node.clone());
    }

    /// The process behind a link was alive at `at`; gives its number.
    pub(crate) fn alive(&mut self, peer: &Peer, at: Instant) -> Option<u64> {
        let here = self.here.get_mut(&peer.node)?;
        if here.address != peer.address {
            return None; // a link that was replaced
        }
        here.alive = here.alive.max(Some(at));
        Some(here.instance)
    }

    /// A link has ended; whether it was the one that the node has here.
    pub(crate) fn ended(&mut self, peer: &Peer) -> bool {
        let here = self.here.get(&peer.node);
        let is_it = here.is_some_and(|here| here.address == peer.address);
        if is_it {
            self.here.remove(&peer.node);
            self.unsaid.insert(peer.node.clone());
        }
        is_it
    }

    /// What is to be told now.
    pub(crate) fn question(&mut self) -> Question {
        let mut question = Question {
            fresh: self.table.is_none(),
            ..Question::default()
        };
        while question.joined.len() < MOST && question.left.len() < MOST {
            let Some(node) = self.unsaid.pop_first() else {
                break;
            };
            match self.here.get(&node) {
                Some(here) => question.joined.push((node.to_string(), here.instance)),
                None => question.left.push(node.to_string()),
            }
        }
        for node in self.watched.iter().take(MOST) {
            let Some(here) = self.here.get_mut(node) else {
                continue;
            };
            let news = here.alive.filter(|alive| here.told < Some(*alive));
            // a heartbeat that is echoed was sent before an answer or two: it says something of the time
            // after the one that had come by then
            let since = |alive| self.answered.iter().rfind(|(_, came)| *came < alive);
            if let Some(alive) = news
                && let Some((since, _)) = since(alive)
            {
                here.told = Some(alive);
                question.alive.push(Alive {
                    node: node.to_string(),
                    instance: here.instance,
                    since: *since,
                });
            }
        }
        question
    }

    /// The parent has answered.
    pub(crate) fn answered(&mut self, answer: &Answer, now: Instant) {
        if self.table.is_some_and(|table| table != answer.table) {
            // it began anew: everything is told again, and what was said now too
            *self = Self {
                here: std::mem::take(&mut self.here),
                ..Self::default()
            };
            self.unsaid = self.here.keys().cloned().collect();
            return;
        }
        self.table = Some(answer.table);
        self.answered.push_back((answer.number, now));
        if self.answered.len() > ANSWERS {
            self.answered.pop_front();
        }
        let watched = answer.watch.iter().take(MOST);
        self.watched = watched.filter_map(|node| node.parse().ok()).collect();
    }

    /// The parent has not answered: what was to be told is told again.
    pub(crate) fn not_answered(&mut self, question: &Question) {
        let joined = question.joined.iter().map(|(node, _)| node);
        let nodes = joined.chain(&question.left);
        self.unsaid
            .extend(nodes.filter_map(|node| node.parse().ok()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::model::Timestamp;

    const EDGE: &str = "edge-1.mill7.acme";

    fn peer(address: &str) -> Peer {
        Peer {
            node: EDGE.parse().unwrap(),
            address: address.to_owned(),
        }
    }

    fn answer(table: u64, number: u64, watch: &[&str]) -> Answer {
        Answer {
            table,
            number,
            watch: watch.iter().map(|node| (*node).to_owned()).collect(),
            twins: Vec::new(),
        }
    }

    fn joined(instance: u64) -> Vec<(String, u64)> {
        vec![(EDGE.to_owned(), instance)]
    }

    fn alive(instance: u64, since: u64) -> Vec<Alive> {
        vec![Alive {
            node: EDGE.to_owned(),
            instance,
            since,
        }]
    }

    #[test]
    fn what_is_new_is_told_once_and_life_only_of_the_watched() {
        let clock = ManualClock::at(Timestamp::from_millis(1));
        let mut report = Report::default();
        report.linked(&peer("a:1"), 7);
        let first = report.question();
        assert_eq!((first.fresh, first.joined.clone()), (true, joined(7)));
        report.not_answered(&first);
        assert_eq!(report.question().joined, joined(7));
        report.answered(&answer(1, 1, &[]), clock.instant());
        assert_eq!(report.question(), Question::default());

        // it lived before the first answer, and nobody knows since when
        report.alive(&peer("a:1"), clock.instant());
        report.answered(&answer(1, 2, &[EDGE]), clock.instant());
        assert_eq!(report.question().alive, []);
        clock.advance(Duration::from_secs(1));
        report.alive(&peer("a:1"), clock.instant());
        assert_eq!(report.question().alive, alive(7, 2));
        report.answered(&answer(1, 3, &[EDGE]), clock.instant());
        assert_eq!(report.question().alive, [], "that is no news");
    }

    #[test]
    fn a_sign_of_life_that_is_older_than_the_last_answer_is_told_since_the_one_before() {
        // both heartbeats go at one time, so the echo of one is always a period old when it comes; and
        // the parent is told once a period
        let clock = ManualClock::at(Timestamp::from_millis(1));
        let (mut report, period) = (Report::default(), Duration::from_secs(10));
        report.linked(&peer("a:1"), 7);
        let (mut sent, mut told) = (clock.instant(), Vec::new());
        for number in 1..=6 {
            clock.advance(period / 2);
            told.push(report.question().alive);
            report.answered(&answer(1, number, &[EDGE]), clock.instant());
            clock.advance(period / 2);
            report.alive(&peer("a:1"), sent);
            sent = clock.instant();
        }
        let expected = [
            vec![],
            vec![],
            alive(7, 1),
            alive(7, 2),
            alive(7, 3),
            alive(7, 4),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_end_of_a_replaced_link_is_not_that_of_the_node() {
        let mut report = Report::default();
        report.linked(&peer("a:1"), 7);
        report.linked(&peer("a:2"), 8);
        let now = ManualClock::at(Timestamp::from_millis(1)).instant();
        assert_eq!(report.alive(&peer("a:1"), now), None);
        assert!(!report.ended(&peer("a:1")));
        assert_eq!(report.question().joined, joined(8));
        assert!(report.ended(&peer("a:2")));
        assert_eq!(report.question().left, [EDGE]);
    }

    #[test]
    fn a_parent_that_began_anew_hears_everything_again() {
        let now = ManualClock::at(Timestamp::from_millis(1)).instant();
        let mut report = Report::default();
        report.linked(&peer("a:1"), 7);
        report.question();
        report.answered(&answer(1, 1, &[]), now);
        report.question();
        report.answered(&answer(2, 1, &[]), now);
        let again = report.question();
        assert_eq!((again.fresh, again.joined), (true, joined(7)));
    }

    #[test]
    fn nobody_is_told_of_who_has_no_number() {
        let mut report = Report::default();
        report.linked(&peer("a:1"), 0);
        assert_eq!(report.question().joined, []);
    }
}
