//! Saying a repeated thing once, then once a minute with a count.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;

const KEYS: usize = 4096;

/// Decides which of many equal refusals are logged, key by key, such as a peer and a code.
pub struct RateLimit<K> {
    clock: Arc<dyn Clock>,
    every: Duration,
    said: Mutex<HashMap<K, Said>>,
}

struct Said {
    at: Instant,
    silent: u64,
}

impl<K> std::fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> RateLimit<K> {
    /// Once a minute for each key.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            every: Duration::from_mins(1),
            said: Mutex::default(),
        }
    }

    /// `Some(n)` if this occurrence of `key` is to be logged, where `n` counts those that were not
    /// since the last that was; `None` if it is to be counted in silence.
    pub fn pass(&self, key: K) -> Option<u64> {
        let now = self.clock.instant();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = said.get_mut(&key) {
            if now.saturating_duration_since(before.at) < self.every {
                before.silent += 1;
                return None;
            }
            before.at = now;
            return Some(std::mem::take(&mut before.silent));
        }
        if said.len() >= KEYS {
            let every = self.every;
            said.retain(|_, before| now.saturating_duration_since(before.at) < every);
            if said.len() >= KEYS {
                return None; // a flood of keys is not worth a line each
            }
        }
        said.insert(key, Said { at: now, silent: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::Timestamp;

    #[test]
    fn first_then_once_a_minute_with_a_count() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let limit = RateLimit::new(Arc::new(clock.clone()));
        assert_eq!(limit.pass("a"), Some(0));
        assert_eq!((limit.pass("a"), limit.pass("a")), (None, None));
        assert_eq!(limit.pass("b"), Some(0));
        clock.advance(Duration::from_secs(61));
        assert_eq!(limit.pass("a"), Some(2));
        assert_eq!(limit.pass("a"), None);
    }

    #[test]
    fn a_flood_of_keys_stays_bounded() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let limit = RateLimit::new(Arc::new(clock.clone()));
        let passed = (0..10_000).filter(|key| limit.pass(*key).is_some()).count();
        assert_eq!(passed, KEYS);
        clock.advance(Duration::from_secs(61));
        assert_eq!(limit.pass(10_001), Some(0));
    }
}
