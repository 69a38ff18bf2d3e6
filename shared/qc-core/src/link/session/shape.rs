//! How much of the line a link may take, whatever the line would carry: for lines that are shared, slow
//! or paid by the byte.
//!
//! A bucket of tokens, one a byte, that fills at the rate and holds a tenth of a second of it. Alarms
//! always pass and are paid for by what comes after them, so the rate holds on the whole.

use std::time::{Duration, Instant};

use crate::model::Lane;

/// The least that a full bucket holds: one piece of a batch.
const LEAST: u64 = 4096;

/// Nanoseconds.
const SECOND: u128 = 1_000_000_000;

/// What a link may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes a second, over all lanes; none for as many as the line carries.
    pub rate: Option<u64>,
    /// The least urgent lane that is sent at all.
    pub least: Lane,
}

impl Default for Shape {
    /// No limit.
    fn default() -> Self {
        Self {
            rate: None,
            least: Lane::Low,
        }
    }
}

#[derive(Debug)]
pub(super) struct Shaper {
    shape: Shape,
    /// Bytes that may go now; below zero after an alarm or the last piece.
    tokens: i64,
    filled: Instant,
}

impl Shaper {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            shape: Shape::default(),
            tokens: 0,
            filled: now,
        }
    }

    /// Another shape holds from now on. What was sent too much is not forgotten.
    pub(super) fn set(&mut self, shape: Shape, now: Instant) {
        self.fill(now);
        self.shape = shape;
        self.fill(now);
    }

    /// Lets time pass.
    pub(super) fn fill(&mut self, now: Instant) {
        let Some(rate) = self.shape.rate else {
            (self.tokens, self.filled) = (0, now);
            return;
        };
        let passed = now.saturating_duration_since(self.filled).as_nanos();
        let came = passed.saturating_mul(u128::from(rate)) / SECOND;
        if came == 0 {
            return; // so that what comes slowly comes at all
        }
        let most = signed((rate / 10).max(LEAST));
        let tokens = self.tokens.saturating_add(signed(clamp(came)));
        // what is left of a token counts the next time
        let used = clamp(came * SECOND / u128::from(rate));
        self.filled = if tokens >= most {
            now
        } else {
            self.filled + Duration::from_nanos(used)
        };
        self.tokens = tokens.min(most);
    }

    /// How long a frame may be, so that nothing urgent waits long for what one frame has cost.
    pub(super) fn piece(&self) -> u64 {
        let rate = self.shape.rate;
        rate.map_or(u64::MAX, |rate| (rate / 10).max(LEAST))
    }

    pub(super) fn may_send(&self, lane: Lane) -> bool {
        let has_tokens = self.shape.rate.is_none() || self.tokens > 0;
        lane == Lane::Critical || (lane <= self.shape.least && has_tokens)
    }

    pub(super) fn on_sent(&mut self, bytes: u64) {
        if self.shape.rate.is_some() {
            self.tokens = self.tokens.saturating_sub(signed(bytes));
        }
    }

    /// When something may go again, if nothing may now.
    pub(super) fn opens(&self) -> Option<Instant> {
        let rate = self.shape.rate.filter(|_| self.tokens <= 0)?.max(1);
        let missing = self.tokens.unsigned_abs() + 1;
        let wait = Duration::from_micros(missing.saturating_mul(1_000_000) / rate + 1);
        Some(self.filled + wait)
    }
}

fn clamp(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn at(rate: u64) -> (Shaper, Instant) {
        let now = SystemClock::default().instant();
        let mut shaper = Shaper::new(now);
        shaper.set(
            Shape {
                rate: Some(rate),
                least: Lane::Low,
            },
            now,
        );
        (shaper, now)
    }

    /// Sends pieces as soon as it may for `seconds`; gives how many bytes that were.
    fn sent(shaper: &mut Shaper, begin: Instant, seconds: u64, piece: u64) -> u64 {
        let (mut now, mut sent) = (begin, 0);
        while now < begin + Duration::from_secs(seconds) {
            // looked at far more often than a byte comes, as a busy link does
            shaper.fill(now);
            if shaper.may_send(Lane::Normal) {
                shaper.on_sent(piece);
                sent += piece;
            } else {
                let opens = shaper.opens().unwrap();
                now = opens
                    .min(now + Duration::from_micros(700))
                    .max(now + Duration::from_micros(1));
            }
        }
        sent
    }

    #[test]
    fn the_rate_holds_whatever_the_pieces_are() {
        for (rate, piece) in [
            (8_000, 4096),
            (32_000, 500),
            (1_250_000, 16_384),
            (700, 4096),
        ] {
            let (mut shaper, now) = at(rate);
            let bytes = sent(&mut shaper, now, 100, piece);
            let most = 100 * rate + 2 * piece.max(rate / 10);
            assert!(
                bytes <= most && bytes >= 95 * rate,
                "{rate} {piece}: {bytes}"
            );
        }
    }

    #[test]
    fn an_alarm_passes_and_the_rest_pays() {
        let (mut shaper, now) = at(10_000);
        shaper.on_sent(50_000);
        assert!(shaper.may_send(Lane::Critical) && !shaper.may_send(Lane::High));
        let opens = shaper.opens().unwrap().saturating_duration_since(now);
        assert!((4.9..5.2).contains(&opens.as_secs_f64()), "{opens:?}");
        shaper.fill(now + opens);
        assert!(shaper.may_send(Lane::Low));
    }

    #[test]
    fn a_closed_lane_waits_however_much_room_there_is() {
        let now = SystemClock::default().instant();
        let mut shaper = Shaper::new(now);
        shaper.set(
            Shape {
                rate: None,
                least: Lane::High,
            },
            now,
        );
        let may = Lane::ALL.map(|lane| shaper.may_send(lane));
        assert_eq!(may, [true, true, false, false]);
        assert_eq!(shaper.opens(), None);
    }
}
