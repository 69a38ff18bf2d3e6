//! A bucket of wrong guesses: it fills with bad tokens and drains with time, so that a flood of them
//! costs neither work nor log lines. Good tokens never wait for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const CAPACITY: u32 = 30;
const DRAIN: Duration = Duration::from_secs(2);

/// Counts wrong guesses.
#[derive(Debug)]
pub(super) struct Guesses(Mutex<(u32, Instant)>);

impl Guesses {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new((0, now)))
    }

    /// Counts one; `false` when there have been too many lately.
    pub(super) fn count(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, last) = *state;
        let drained = now.saturating_duration_since(last).as_secs() / DRAIN.as_secs();
        let drained = u32::try_from(drained).unwrap_or(u32::MAX);
        let last = if drained > 0 { now } else { last };
        let level = level.saturating_sub(drained);
        *state = (level.saturating_add(1).min(CAPACITY + 1), last);
        level < CAPACITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::model::Timestamp;

    #[test]
    fn a_flood_is_bounded_and_passes() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let guesses = Guesses::new(clock.instant());
        let passed = (0..100).filter(|_| guesses.count(clock.instant())).count();
        assert_eq!(passed, 30);
        clock.advance(Duration::from_secs(10));
        let passed = (0..100).filter(|_| guesses.count(clock.instant())).count();
        assert_eq!(
            passed, 4,
            "one of five drained places is taken by the overflow"
        );
    }
}
