//! How much may be under way without filling the queues of the line.
//!
//! An alarm overtakes what waits at its sender, but not what waits in the network: a line of 1 Mbit/s
//! with the usual deep buffers takes seconds of bulk in advance. So lanes below critical keep no more
//! bytes under way than the line carries in its round trip and [`QUEUE`] beyond. The receiver tells how
//! many bytes have arrived, before they are on disk; the time that took says whether there is a queue.
//! On a fast line the limit grows within a few round trips beyond every window and is never felt.
//!
//! Source of the idea: S. Shalunov et al., *LEDBAT*, RFC 6817; the probing for the empty line is that of
//! N. Cardwell et al., *BBR*, 2016.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::link::codes::{FORGED_ACK, PROTOCOL};
use crate::model::Lane;
use crate::wire::Refusal;

/// How much longer than on an empty line bytes may be under way.
const QUEUE: Duration = Duration::from_millis(150);
/// Beyond this no line is limited, in bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// How long a measured round trip holds; then the line is left empty for a moment and measured again.
const REMEMBER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Pace {
    sent: u64,
    received: u64,
    /// When how many bytes had been sent.
    marks: VecDeque<Sent>,
    /// What may always be under way.
    least: u64,
    limit: u64,
    /// The round trip of an empty line, and when it was seen last.
    base: Option<Duration>,
    seen: Instant,
    /// When something has arrived last, or was the first to be under way.
    moved: Instant,
    /// The limit that holds again when everything up to here has arrived.
    resume: Option<(u64, u64)>,
    /// Whether the line was never full: then the limit doubles each round trip, later it creeps.
    is_new: bool,
    /// No second cut for what was sent before the first.
    cut: u64,
}

#[derive(Debug)]
struct Sent {
    total: u64,
    at: Instant,
}

impl Pace {
    /// The pace of a new session; `least` bytes may always be under way, and four times as many before
    /// anything is known.
    pub(super) fn new(now: Instant, least: u64) -> Self {
        Self {
            sent: 0,
            received: 0,
            marks: VecDeque::new(),
            least,
            limit: 4 * least,
            base: None,
            seen: now,
            moved: now,
            resume: None,
            is_new: true,
            cut: 0,
        }
    }

    /// Whether more of `lane` may be handed to the line.
    pub(super) fn may_send(&self, lane: Lane) -> bool {
        let under_way = self.under_way();
        lane == Lane::Critical || under_way == 0 || under_way + self.piece() <= self.limit
    }

    /// How long a frame of a batch may be, in bytes.
    pub(super) fn piece(&self) -> u64 {
        (self.limit / 16).max(self.least / 2).max(1)
    }

    /// Bytes that were sent and have not arrived, as far as is known.
    pub(super) fn under_way(&self) -> u64 {
        self.sent - self.received
    }

    /// Bytes that were sent in this session, and those of them that have arrived.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    pub(super) fn on_sent(&mut self, bytes: u64, now: Instant) {
        if self.under_way() == 0 {
            self.moved = now;
        }
        self.sent += bytes;
        let is_many = self.marks.len() > 1;
        match self.marks.back_mut() {
            // one mark a piece is enough to measure by, however small the batches are
            Some(last) if is_many && self.sent < last.total + self.least / 4 => {}
            _ => self.marks.push_back(Sent {
                total: self.sent,
                at: now,
            }),
        }
    }

    /// The peer has `total` bytes of this session.
    pub(super) fn on_received(&mut self, total: u64, now: Instant) -> Result<(), Refusal> {
        if total > self.sent {
            return Err(Refusal::new(
                FORGED_ACK,
                format!("{total} bytes have arrived, {} were sent", self.sent),
            ));
        }
        let arrived = total
            .checked_sub(self.received)
            .ok_or_else(|| Refusal::new(PROTOCOL, "fewer bytes have arrived than before"))?;
        let was_full = self.under_way() >= self.limit / 2;
        if arrived > 0 {
            self.moved = now;
        }
        self.received = total;
        let mut measured = None;
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.total <= total) {
            measured = Some(mark);
        }
        if let Some(mark) = measured {
            let round = now.saturating_duration_since(mark.at);
            let is_later = mark.total > self.cut;
            self.adjust((round, is_later), arrived, was_full, now);
        }
        Ok(())
    }

    /// What is acknowledged has arrived, whether the peer says so or not.
    pub(super) fn on_acked(&mut self, through: u64, now: Instant) {
        if through > self.received {
            let _never_more_than_was_sent = self.on_received(through.min(self.sent), now);
        }
    }

    /// For how long nothing has arrived of what is under way.
    pub(super) fn stands_since(&self, now: Instant) -> Option<Duration> {
        (self.under_way() > 0).then(|| now.saturating_duration_since(self.moved))
    }

    fn adjust(
        &mut self,
        (round, is_later): (Duration, bool),
        arrived: u64,
        was_full: bool,
        now: Instant,
    ) {
        let base = self.base.map_or(round, |base| base.min(round));
        if self.base.is_none_or(|before| round <= before) {
            self.seen = now;
        }
        if let Some((until, limit)) = self.resume {
            if self.received < until {
                return;
            }
            (self.limit, self.resume) = (limit, None);
        }
        self.base = Some(base);
        let queue = round.saturating_sub(base);
        // what waits for a slow disk at the peer with nothing else under way is no queue
        if queue > QUEUE && was_full {
            if is_later {
                let kept = (base + QUEUE / 2).as_secs_f64() / round.as_secs_f64();
                self.limit = scale(self.limit, kept).max(self.least);
                (self.cut, self.is_new) = (self.sent, false);
            }
        } else if was_full && queue < QUEUE / 2 {
            let more = if self.is_new { arrived } else { arrived / 8 };
            self.limit = (self.limit + more).min(MOST);
        }
        if now.saturating_duration_since(self.seen) > REMEMBER {
            // one piece alone, sent when all of these have arrived, sees the empty line
            self.resume = Some((self.sent + 1, self.limit));
            (self.limit, self.base, self.seen) = (0, None, now);
        }
    }
}

/// `bytes` times `share`, which is between 0 and 1.
fn scale(bytes: u64, share: f64) -> u64 {
    let thousandths = (share * 1000.0).clamp(0.0, 1000.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    let thousandths = thousandths as u64;
    bytes / 1000 * thousandths + bytes % 1000 * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::model::Timestamp;

    fn instant() -> Instant {
        ManualClock::at(Timestamp::from_millis(1)).instant()
    }

    /// A line with a delay each way and a queue as long as it gets.
    struct Line {
        pace: Pace,
        began: Instant,
        now: Instant,
        bytes_per_s: u64,
        delay: Duration,
        /// When the last byte handed over has left the queue.
        free_at: Instant,
        arriving: VecDeque<(Instant, u64)>,
        longest_queue: Duration,
        carried: u64,
    }

    impl Line {
        fn new(bytes_per_s: u64, delay: Duration) -> Self {
            let now = instant();
            Self {
                pace: Pace::new(now, 8 * 1024),
                began: now,
                now,
                bytes_per_s,
                delay,
                free_at: now,
                arriving: VecDeque::new(),
                longest_queue: Duration::ZERO,
                carried: 0,
            }
        }

        /// Bulk without end, for a time; the longest queue after the first ten seconds is noted.
        fn run(&mut self, time: Duration) {
            let until = self.now + time;
            while self.now < until {
                while self.pace.may_send(Lane::Low) {
                    let bytes = self.pace.piece().min(256 * 1024);
                    self.pace.on_sent(bytes, self.now);
                    let takes = Duration::from_nanos(bytes * 1_000_000_000 / self.bytes_per_s);
                    self.free_at = self.free_at.max(self.now) + takes;
                    self.carried += bytes;
                    self.arriving
                        .push_back((self.free_at + 2 * self.delay, self.carried));
                    if self.now > self.began + Duration::from_secs(10) {
                        let queue = self.free_at.saturating_duration_since(self.now);
                        self.longest_queue = self.longest_queue.max(queue);
                    }
                }
                let Some((at, total)) = self.arriving.pop_front() else {
                    panic!("nothing is under way");
                };
                self.now = at;
                self.pace.on_received(total, at).unwrap();
            }
        }

        /// Percent of what the line could have carried.
        fn used(&self) -> u128 {
            let took = self.now.duration_since(self.began).as_millis();
            u128::from(self.carried) * 100_000 / (u128::from(self.bytes_per_s) * took)
        }
    }

    #[test]
    fn a_slow_line_is_full_and_its_queue_is_short() {
        for (what, bits, delay, bound) in [
            ("1 Mbit/s", 1_000_000, 20, 400),
            ("256 kbit/s", 256_000, 40, 700),
            // after each look at the empty line a whole round trip's worth leaves at once
            ("10 Mbit/s over a satellite", 10_000_000, 300, 800),
            ("50 Mbit/s", 50_000_000, 15, 400),
        ] {
            let mut line = Line::new(bits / 8, Duration::from_millis(delay));
            line.run(Duration::from_mins(5));
            assert!(line.used() > 90, "{what}: {} % are used", line.used());
            let longest = line.longest_queue.as_millis();
            assert!(longest < bound, "{what}: a queue of {longest} ms");
        }
    }

    #[test]
    fn a_fast_line_is_not_limited() {
        let mut line = Line::new(1_000_000_000, Duration::from_micros(100));
        line.run(Duration::from_secs(1));
        assert!(line.pace.limit > 4 * 1024 * 1024, "{}", line.pace.limit);
        assert!(line.used() > 95, "{}", line.used());
    }

    #[test]
    fn a_line_that_becomes_slower_is_noticed() {
        let mut line = Line::new(10_000_000, Duration::from_millis(10));
        line.run(Duration::from_secs(20));
        line.bytes_per_s = 125_000;
        line.run(Duration::from_secs(20));
        (line.longest_queue, line.began) = (Duration::ZERO, line.now);
        line.run(Duration::from_mins(1));
        assert!(
            line.longest_queue < Duration::from_millis(450),
            "{:?}",
            line.longest_queue
        );
    }

    #[test]
    fn an_urgent_lane_never_waits_and_forgery_is_noticed() {
        let now = instant();
        let mut pace = Pace::new(now, 8 * 1024);
        pace.on_sent(MOST, now);
        assert!(pace.may_send(Lane::Critical) && !pace.may_send(Lane::High));
        assert_eq!(
            pace.on_received(MOST + 1, now).unwrap_err().code,
            FORGED_ACK
        );
        pace.on_received(100, now).unwrap();
        assert_eq!(pace.on_received(99, now).unwrap_err().code, PROTOCOL);
    }

    #[test]
    fn small_batches_do_not_fill_the_memory() {
        let now = instant();
        let mut pace = Pace::new(now, 8 * 1024);
        (0..100_000).for_each(|_| pace.on_sent(100, now));
        assert!(pace.marks.len() < 6000, "{}", pace.marks.len());
    }
}
