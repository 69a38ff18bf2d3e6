//! Time as an argument: the wall clock for people and certificates, the monotonic clock for waiting.
//!
//! The product never orders by wall-clock time and never lets it run below a persisted floor: a
//! machine without a clock that boots in 1970 still knows the newest time it has ever trusted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Timestamp;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Wall-clock time, never below the floor.
    fn now(&self) -> Timestamp;

    /// Monotonic time for deadlines and ages.
    fn instant(&self) -> Instant;
}

/// The machine's clock with a floor.
#[derive(Debug, Default)]
pub struct SystemClock {
    floor_ms: AtomicU64,
}

impl SystemClock {
    /// A clock that never shows less than `floor`.
    pub fn with_floor(floor: Timestamp) -> Self {
        Self {
            floor_ms: AtomicU64::new(floor.as_millis()),
        }
    }

    /// Lifts the floor to `at` if that is later: call it with every time that was signed by a peer.
    pub fn raise_floor(&self, at: Timestamp) {
        self.floor_ms.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// The machine's own time, which may be below the floor.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    pub fn machine_time() -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let floor = Timestamp::from_millis(self.floor_ms.load(Ordering::Relaxed));
        Self::machine_time().max(floor)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that a test or a simulation moves by hand.
#[derive(Debug, Clone)]
pub struct ManualClock {
    state: Arc<Mutex<(Timestamp, Instant)>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
    pub fn at(now: Timestamp) -> Self {
        Self {
            state: Arc::new(Mutex::new((now, Instant::now()))),
        }
    }

    /// Sets the wall clock, as somebody or the network does; the monotonic one goes on.
    pub fn set(&self, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = now;
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (state.0.plus(by), state.1 + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn instant(&self) -> Instant {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// The minute of the day at `at` in the time zone of this machine, as its people read it off a clock; in
/// UTC where the machine has none. For times of the day in a configuration, and nothing else.
pub fn minute_of_day(at: Timestamp) -> u16 {
    let ms = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let Ok(at) = jiff::Timestamp::from_millisecond(ms) else {
        return 0;
    };
    let time = at.to_zoned(jiff::tz::TimeZone::system()).time();
    let minute = i16::from(time.hour()) * 60 + i16::from(time.minute());
    u16::try_from(minute).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_holds_and_only_rises() {
        let future = SystemClock::machine_time().plus(Duration::from_hours(24));
        let clock = SystemClock::with_floor(future);
        assert_eq!(clock.now(), future);
        clock.raise_floor(Timestamp::from_millis(1));
        assert_eq!(clock.now(), future);
        let later = future.plus(Duration::from_secs(1));
        clock.raise_floor(later);
        assert_eq!(clock.now(), later);
    }
}
