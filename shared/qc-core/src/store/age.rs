//! How old messages are when the wall clock cannot be trusted.
//!
//! A message carries the wall time of its arrival. A box without a clock boots in 1970 and is set by
//! NTP, a battery dies, somebody types a wrong year: none of that makes a message older. The log has a
//! time of its own, which goes on as long as the wall clock goes on and stands still where it jumps. An
//! *era* is wall time without a jump; the few numbers that map wall time to the log's own are a value
//! of the log. Ages are differences of the log's own time.
//!
//! Where it cannot be told in which era a message came it counts as the younger: it stays longer.

use std::time::{Duration, Instant};

use crate::model::Timestamp;

/// The registry value that holds the eras: `WALL OWN` in milliseconds, a line each.
pub(super) const CLOCK: &str = "store/clock";
/// Differences between the clocks of a machine that are no jump.
const SLACK: u64 = 60_000;
/// How much time without a process counts at most.
const UNSEEN: u64 = 7 * 86_400_000;
/// Eras that are remembered.
const KEPT: usize = 64;

/// The wall clock went from one time to another, and no such time went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// What it should have shown.
    pub from: Timestamp,
    /// What it showed.
    pub to: Timestamp,
}

/// Wall time without a jump, and the log's own time beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Era {
    /// What both showed when it began.
    wall: u64,
    own: u64,
}

/// The eras, and what the clocks showed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ages {
    /// Oldest first, never empty.
    eras: Vec<Era>,
    last: Option<(u64, Instant)>,
    /// Whether the log does not have them yet.
    pub(super) is_unsaved: bool,
}

/// What is older than an age at a certain time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline<'a> {
    ages: &'a Ages,
    now: u64,
    before: u64,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            eras: vec![Era { wall: 0, own: 0 }],
            last: None,
            is_unsaved: false,
        }
    }
}

impl Ages {
    /// The eras as an earlier process wrote them down.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let era = |line: &str| {
            let (wall, own) = line.split_once(' ')?;
            Some(Era {
                wall: wall.parse().ok()?,
                own: own.parse().ok()?,
            })
        };
        let lines = std::str::from_utf8(text).ok()?.lines();
        let eras: Vec<Era> = lines.map(era).collect::<Option<_>>()?;
        let grows = eras.windows(2).all(|two| match two {
            [a, b] => a.own <= b.own,
            _ => true,
        });
        (grows && !eras.is_empty() && eras.len() <= KEPT).then(|| Self {
            eras,
            ..Self::default()
        })
    }

    /// The eras as they are written down.
    pub(super) fn to_text(&self) -> String {
        let line = |era: &Era| format!("{} {}", era.wall, era.own);
        self.eras.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// A process begins at `now`, with messages in the log that came at these times. Time since the
    /// last of them is believed up to a week; a clock that shows less than it did has jumped.
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        accepted: impl Iterator<Item = Timestamp>,
    ) -> Option<ClockJump> {
        let now = now.as_millis();
        // that own time goes ahead of what it was must never come of a doubt
        let own = |at| self.own(at, u64::MAX, Counts::Oldest);
        let newest = accepted.map(own).max();
        let era = self.newest();
        // a log without messages and without a jump knows nothing of time
        let known = newest.or_else(|| (self.eras.len() > 1).then_some(era.own))?;
        let known = era.wall + known.max(era.own) - era.own;
        if now + SLACK < known {
            Some(self.jump(known, now))
        } else if now > known.saturating_add(UNSEEN) {
            Some(self.jump(known + UNSEEN, now))
        } else {
            None
        }
    }

    /// Looks at both clocks. Gives a jump if the wall clock made one since the last look.
    pub(super) fn look(&mut self, now: Timestamp, at: Instant) -> Option<ClockJump> {
        let now = now.as_millis();
        let (then, before) = self.last.replace((now, at))?;
        let passed = at.saturating_duration_since(before).as_millis();
        let expected = then.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        (now.abs_diff(expected) > SLACK).then(|| self.jump(expected, now))
    }

    /// The last jump that is remembered.
    pub(super) fn last_jump(&self) -> Option<ClockJump> {
        let [.., before, era] = self.eras.as_slice() else {
            return None;
        };
        Some(ClockJump {
            from: Timestamp::from_millis(before.end(era)),
            to: Timestamp::from_millis(era.wall),
        })
    }

    /// What is older than `age` at `now`; none when nothing can be.
    pub(super) fn deadline(&self, now: Timestamp, age: Duration) -> Option<Deadline<'_>> {
        let era = self.newest();
        let own = era.own + now.as_millis().saturating_sub(era.wall);
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Some(Deadline {
            ages: self,
            now: now.as_millis(),
            before: own.checked_sub(age)?,
        })
    }

    fn jump(&mut self, from: u64, to: u64) -> ClockJump {
        let era = self.newest();
        self.eras.push(Era {
            wall: to,
            own: era.own + from.saturating_sub(era.wall),
        });
        if self.eras.len() > KEPT {
            self.eras.remove(0);
        }
        self.is_unsaved = true;
        ClockJump {
            from: Timestamp::from_millis(from),
            to: Timestamp::from_millis(to),
        }
    }

    fn newest(&self) -> Era {
        self.eras.last().copied().unwrap_or(Era { wall: 0, own: 0 })
    }

    /// The log's own time when the wall clock showed `at`, which no clock had passed later than `now`.
    /// Of several eras in which it did the newest counts, or the oldest.
    fn own(&self, at: Timestamp, now: u64, counts: Counts) -> u64 {
        let at = at.as_millis();
        let ends = self.eras.iter().zip(self.eras.iter().skip(1));
        let ends = ends.map(|(era, next)| era.end(next));
        let ends = ends.chain(std::iter::once(now));
        let mut eras = self.eras.iter().zip(ends);
        let within = |(era, end): &(&Era, u64)| (era.wall..=*end).contains(&at);
        let found = match counts {
            Counts::Oldest => eras.find(within),
            Counts::Newest => eras.filter(within).last(),
        };
        let younger = || self.eras.iter().rev().find(|era| era.wall > at);
        match (found, younger()) {
            (Some((era, _)), _) => era.own + (at - era.wall),
            (None, Some(era)) => era.own,
            (None, None) => self.newest().own + at.saturating_sub(self.newest().wall),
        }
    }
}

/// Which era counts where several may be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Oldest,
    Newest,
}

impl Era {
    /// What the wall clock showed last in it, when `next` came after it.
    fn end(&self, next: &Self) -> u64 {
        self.wall + next.own.saturating_sub(self.own)
    }
}

impl Deadline<'_> {
    /// Whether what was accepted then is over its time.
    pub(super) fn is_over(&self, accepted: Timestamp) -> bool {
        self.ages.own(accepted, self.now, Counts::Newest) < self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    const YEAR: u64 = 365 * 86_400_000;
    /// Some day in 2026.
    const TODAY: u64 = 1_795_000_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// A log that notes the clock as the store does: at its start, and at every look.
    struct Node {
        ages: Ages,
        clock: ManualClock,
        accepted: Vec<Timestamp>,
        jumps: usize,
    }

    impl Node {
        fn new(ms: u64) -> Self {
            let mut node = Self {
                ages: Ages::default(),
                clock: ManualClock::at(at(ms)),
                accepted: Vec::new(),
                jumps: 0,
            };
            node.start(ms);
            node
        }

        /// The process was away, and the clock shows `ms` now.
        fn start(&mut self, ms: u64) {
            self.clock = ManualClock::at(at(ms));
            let mut ages = Ages::parse(self.ages.to_text().as_bytes()).unwrap();
            let jump = ages.begin(at(ms), self.accepted.iter().copied());
            self.jumps += usize::from(jump.is_some());
            self.ages = ages;
            self.look();
        }

        fn look(&mut self) {
            let jump = self.ages.look(self.clock.now(), self.clock.instant());
            self.jumps += usize::from(jump.is_some());
        }

        fn set(&mut self, ms: u64) {
            self.clock.set(at(ms));
            self.look();
        }

        fn pass(&mut self, time: Duration) {
            self.clock.advance(time);
            self.look();
        }

        /// Takes a message in; gives its place.
        fn take(&mut self) -> usize {
            self.accepted.push(self.clock.now());
            self.accepted.len() - 1
        }

        /// The message's age is between the two.
        fn check(&self, message: usize, least: Duration, most: Duration) {
            let over = |age| {
                let deadline = self.ages.deadline(self.clock.now(), age);
                deadline.is_some_and(|deadline| deadline.is_over(self.accepted[message]))
            };
            assert!(!over(most), "{message} is older than {most:?}: {self:?}");
            let second = Duration::from_secs(1);
            let is_younger = least > second && !over(least.saturating_sub(second));
            assert!(!is_younger, "{message} is younger than {least:?}: {self:?}");
        }
    }

    impl std::fmt::Debug for Node {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?} at {:?}", self.ages.eras, self.clock.now())
        }
    }

    #[test]
    fn time_that_goes_by_is_age() {
        let mut node = Node::new(TODAY);
        let first = node.take();
        node.pass(3 * DAY);
        node.check(first, 3 * DAY, 3 * DAY);
        // a clock that is set by seconds, and one that is off for three days
        node.set(node.clock.now().as_millis() + 50_000);
        node.start(node.clock.now().as_millis() + 3 * 86_400_000);
        node.check(first, 6 * DAY, 6 * DAY + Duration::from_mins(1));
        assert_eq!((node.jumps, node.ages.last_jump()), (0, None));
    }

    #[test]
    fn a_box_without_a_clock_boots_in_1970_and_is_set_by_the_network() {
        let mut node = Node::new(TODAY);
        let before = node.take();
        node.pass(HOUR);
        let last = node.take();
        for boot in 1..4_u32 {
            node.start(10_000);
            let early = node.take();
            node.pass(HOUR);
            node.check(early, HOUR, HOUR);
            node.set(TODAY + u64::from(boot) * YEAR);
            node.pass(HOUR);
            // of two boots in 1970 nobody knows which one a message came in: it stays longer
            node.check(early, 2 * HOUR, 2 * HOUR);
            node.check(last, boot * 2 * HOUR, boot * 2 * HOUR);
            node.check(before, (1 + boot * 2) * HOUR, (1 + boot * 2) * HOUR);
            let late = node.take();
            node.check(late, Duration::ZERO, Duration::ZERO);
        }
        assert_eq!(node.jumps, 6, "two a boot");
    }

    #[test]
    fn ten_years_forward_and_back_again_are_no_age() {
        let mut node = Node::new(TODAY);
        let before = node.take();
        node.pass(HOUR);
        node.set(TODAY + 10 * YEAR);
        let forward = ClockJump {
            from: at(TODAY + 3_600_000),
            to: at(TODAY + 10 * YEAR),
        };
        assert_eq!(node.ages.last_jump(), Some(forward));
        let meanwhile = node.take();
        node.pass(HOUR);
        node.check(before, 2 * HOUR, 2 * HOUR);
        node.check(meanwhile, HOUR, HOUR);
        node.set(TODAY + 2 * 3_600_000);
        node.pass(HOUR);
        let after = node.take();
        node.start(node.clock.now().as_millis() + 3_600_000);
        node.check(before, 4 * HOUR, 4 * HOUR);
        node.check(meanwhile, 3 * HOUR, 3 * HOUR);
        node.check(after, HOUR, HOUR);
        node.pass(30 * DAY);
        node.check(meanwhile, 30 * DAY + 3 * HOUR, 30 * DAY + 3 * HOUR);
        assert_eq!(node.jumps, 2);
    }

    #[test]
    fn ten_years_back_are_no_age_either() {
        let mut node = Node::new(TODAY);
        let before = node.take();
        node.pass(HOUR);
        node.set(TODAY - 10 * YEAR);
        let after = node.take();
        node.pass(HOUR);
        node.check(before, 2 * HOUR, 2 * HOUR);
        node.check(after, HOUR, HOUR);
        node.start(node.clock.now().as_millis() + 1000);
        node.check(before, 2 * HOUR, 2 * HOUR + Duration::from_secs(1));
        assert_eq!(node.jumps, 1);
    }

    #[test]
    fn a_battery_that_dies_while_nobody_looks_is_a_week_at_most() {
        let mut node = Node::new(TODAY);
        let before = node.take();
        node.start(TODAY + 10 * YEAR);
        node.check(before, 7 * DAY, 7 * DAY);
        // and not another week at every start
        node.start(TODAY + 10 * YEAR + 1000);
        node.check(before, 7 * DAY, 7 * DAY + Duration::from_secs(1));
        assert_eq!(node.jumps, 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgetting_keeps_messages() {
        let mut node = Node::new(TODAY);
        let first = node.take();
        for turn in 0..500 {
            node.set(if turn % 2 == 0 { 5000 } else { TODAY + turn });
            let taken = node.take();
            node.pass(HOUR);
            node.check(taken, HOUR, HOUR);
            node.check(
                first,
                Duration::ZERO,
                u32::try_from(turn + 1).unwrap() * HOUR,
            );
        }
        assert!(node.ages.eras.len() <= KEPT);
        assert!(node.ages.to_text().len() < 4096);
        assert_eq!(Ages::parse(b"1 2\n3 1"), None);
        assert_eq!(Ages::parse(b""), None);
        assert_eq!(Ages::parse(b"rubbish"), None);
    }
}
