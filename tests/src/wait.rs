//! Waiting: for a condition, with a deadline, in small steps.

use std::thread::sleep;
use std::time::{Duration, Instant};

use qc_core::clock::{Clock as _, SystemClock};

/// The time within which anything on this machine happens, however busy it is.
pub const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// The value of `look` as soon as it has one; `None` when `within` is over.
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + within;
    loop {
        if let Some(value) = look() {
            return Some(value);
        }
        if now() >= deadline {
            return None;
        }
        sleep(STEP);
    }
}

/// Waits until `condition` holds; the test fails with `what` when it does not within [`PATIENCE`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let came = poll(PATIENCE, || condition().then_some(()));
    assert!(came.is_some(), "waited {PATIENCE:?} in vain: {what}");
}

/// Looks again and again for a time; the test fails with `what` when `condition` does not hold once.
pub fn holds_for(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let broken = poll(time, || (!condition()).then_some(()));
    assert!(broken.is_none(), "did not hold for {time:?}: {what}");
}

/// Monotonic time.
pub(crate) fn now() -> Instant {
    SystemClock::default().instant()
}
