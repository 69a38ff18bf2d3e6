//! What a source or a sink has done and what holds it up, for `status` and `retries`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qc_core::model::Timestamp;
use qc_core::safe_text::safe;

/// The counters of one source or sink. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    shared: Arc<Mutex<Snapshot>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Messages taken in or delivered.
    pub done: u64,
    /// Of a source: messages that were there already.
    pub duplicates: u64,
    /// Messages refused for good: a source's error folder, a sink's dead letters.
    pub refused: u64,
    /// Attempts that failed and are repeated.
    pub retries: u64,
    /// Failed attempts since the last success; 0 when all is well.
    pub attempt: u32,
    /// When something was last done.
    pub last_done: Option<Timestamp>,
    /// The newest error and when it happened, safe to show.
    pub last_error: Option<(Timestamp, String)>,
    /// When the next attempt is due.
    pub next_try: Option<Timestamp>,
}

impl Activity {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        self.change(|s| s.clone())
    }

    /// Counts what was done; whatever held it up is over.
    pub fn done(&self, count: u64, now: Timestamp) {
        self.change(|s| {
            s.done += count;
            s.last_done = Some(now);
            s.attempt = 0;
            s.next_try = None;
        });
    }

    /// Counts messages that were there already.
    pub fn duplicates(&self, count: u64) {
        self.change(|s| s.duplicates += count);
    }

    /// Counts one that will never be accepted.
    pub fn refused(&self, reason: &str, now: Timestamp) {
        self.change(|s| {
            s.refused += 1;
            s.attempt = 0;
            s.next_try = None;
            s.last_error = Some((now, safe(reason, 300)));
        });
    }

    /// Counts a failed attempt that is repeated after `wait`.
    pub fn retrying(&self, reason: &str, now: Timestamp, wait: Duration) {
        self.change(|s| {
            s.retries += 1;
            s.attempt = s.attempt.saturating_add(1);
            s.last_error = Some((now, safe(reason, 300)));
            s.next_try = Some(now.plus(wait));
        });
    }

    fn change<T>(&self, f: impl FnOnce(&mut Snapshot) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_the_retries_but_keeps_the_last_error() {
        let activity = Activity::default();
        let now = Timestamp::from_millis(1000);
        activity.retrying("503\n", now, Duration::from_secs(2));
        activity.retrying("503\n", now, Duration::from_secs(4));
        let held = activity.snapshot();
        assert_eq!((held.retries, held.attempt), (2, 2));
        assert_eq!(held.next_try, Some(Timestamp::from_millis(5000)));
        activity.done(3, now);
        let over = activity.clone().snapshot();
        assert_eq!((over.done, over.attempt, over.next_try), (3, 0, None));
        assert_eq!(over.last_error, Some((now, "503\\n".to_owned())));
    }
}
