//! Where a dialer goes next: down its list of relays, to the one it was sent to first, and last to those
//! that have sent it away.
//!
//! A relay names only where it would like its peer to be. It counts if it is one of the list, and if it
//! has not sent this node away itself: two relays that name each other are then tried in turn, ever
//! more slowly, until one of them takes the node.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// What the relays of a list, by their places in it, have said of where to go.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Until when those that sent this node away are left alone.
    held: BTreeMap<usize, Instant>,
    /// The one that was named instead.
    wanted: Option<usize>,
    /// Until when they are not asked whether they take this node again, as long as there are others.
    quiet: Option<Instant>,
}

impl Course {
    /// The places of `count` relays, in the order in which they are to be tried.
    pub(super) fn order(&mut self, count: usize, now: Instant) -> VecDeque<usize> {
        self.held.retain(|_, until| now < *until);
        let (held, free): (Vec<_>, Vec<_>) =
            (0..count).partition(|place| self.held.contains_key(place));
        let mut order: VecDeque<usize> = free.into();
        if let Some(wanted) = self.wanted {
            to_front(&mut order, wanted);
        }
        if order.is_empty() || self.quiet.is_none_or(|until| until <= now) {
            order.extend(held);
        }
        order
    }

    /// Those that have sent this node away have said so again, and no other one took it: they are asked
    /// once more after `until`.
    pub(super) fn quiet(&mut self, until: Instant) {
        self.quiet = Some(until);
    }

    /// The relay at `from` sends this node away, to the one at `to` if it named one of the list. It is
    /// left alone until `until`; what is `left` of a round goes on accordingly. Whether that is news.
    pub(super) fn sent_away(
        &mut self,
        from: usize,
        to: Option<usize>,
        until: Instant,
        left: &mut VecDeque<usize>,
    ) -> bool {
        let is_news = self.held.insert(from, until).is_none();
        self.wanted = to.filter(|to| !self.held.contains_key(to));
        if let Some(wanted) = self.wanted {
            to_front(left, wanted);
        }
        is_news
    }

    /// Whether the relay at `place` is to be left alone for now.
    pub(super) fn is_held(&self, place: usize, now: Instant) -> bool {
        self.held.get(&place).is_some_and(|until| now < *until)
    }

    /// A link stands: wherever it was sent to, it has arrived.
    pub(super) fn arrived(&mut self) {
        (self.wanted, self.quiet) = (None, None);
    }
}

fn to_front(order: &mut VecDeque<usize>, place: usize) {
    if let Some(at) = order.iter().position(|one| *one == place)
        && let Some(place) = order.remove(at)
    {
        order.push_front(place);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::model::Timestamp;

    const HOLD: Duration = Duration::from_mins(10);

    struct Way {
        course: Course,
        clock: ManualClock,
    }

    impl Way {
        fn new() -> Self {
            Self {
                course: Course::default(),
                clock: ManualClock::at(Timestamp::from_millis(1)),
            }
        }

        fn order(&mut self, count: usize) -> Vec<usize> {
            self.course.order(count, self.clock.instant()).into()
        }

        fn away(&mut self, from: usize, to: Option<usize>, left: &[usize]) -> Vec<usize> {
            let mut left = left.iter().copied().collect();
            let until = self.clock.instant() + HOLD;
            self.course.sent_away(from, to, until, &mut left);
            left.into()
        }
    }

    #[test]
    fn goes_where_it_is_sent_and_comes_back_to_the_list() {
        let mut way = Way::new();
        assert_eq!(way.order(3), [0, 1, 2]);
        assert_eq!(way.away(0, Some(2), &[1, 2]), [2, 1]);
        assert_eq!(way.order(3), [2, 1, 0]);
        way.course.arrived();
        assert_eq!(way.order(3), [1, 2, 0]);
        assert!(way.course.is_held(0, way.clock.instant()));
        way.clock.advance(HOLD);
        assert!(!way.course.is_held(0, way.clock.instant()));
        assert_eq!(way.order(3), [0, 1, 2]);
    }

    #[test]
    fn a_relay_that_is_not_in_the_list_is_no_place_to_go() {
        let mut way = Way::new();
        assert_eq!(way.away(0, None, &[1]), [1]);
        assert_eq!(way.order(2), [1, 0]);
        // the only relay there is is asked again
        let mut way = Way::new();
        way.away(0, None, &[]);
        assert_eq!(way.order(1), [0]);
    }

    #[test]
    fn two_that_name_each_other_are_tried_once_a_round() {
        let mut way = Way::new();
        let mut asked = Vec::new();
        let mut left: Vec<usize> = way.order(2);
        while let Some(place) = (!left.is_empty()).then(|| left.remove(0)) {
            asked.push(place);
            left = way.away(place, Some(1 - place), &left);
        }
        assert_eq!(asked, [0, 1]);
        assert_eq!(way.order(2), [0, 1]);
    }

    #[test]
    fn while_the_others_are_down_those_that_send_it_away_are_asked_seldom() {
        let mut way = Way::new();
        way.away(0, None, &[]);
        assert_eq!(way.order(2), [1, 0]);
        way.course.quiet(way.clock.instant() + HOLD / 2);
        assert_eq!(way.order(2), [1]);
        assert_eq!(way.order(1), [0], "there is no other");
        way.clock.advance(HOLD / 2);
        assert_eq!(way.order(2), [1, 0]);
        // nor does it count once there was a link
        way.course.quiet(way.clock.instant() + HOLD / 4);
        way.course.arrived();
        assert_eq!(way.order(2), [1, 0]);
    }

    #[test]
    fn it_is_news_once() {
        let mut course = Course::default();
        let now = ManualClock::at(Timestamp::from_millis(1)).instant();
        let mut left = VecDeque::new();
        assert!(course.sent_away(0, None, now + HOLD, &mut left));
        assert!(!course.sent_away(0, None, now + HOLD, &mut left));
    }
}
