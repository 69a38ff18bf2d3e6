//! Waiting between attempts: exponential with full jitter, so that a fleet does not return in step.

use std::time::Duration;

/// The shape of a retry delay. Parsed once: a value of this type is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    /// A backoff from `min` up to `max`; `None` unless `0 < min <= max`.
    pub fn new(min: Duration, max: Duration) -> Option<Self> {
        (!min.is_zero() && min <= max).then_some(Self {
            min,
            max,
            attempt: 0,
        })
    }

    /// The delay before the next attempt: between half and the whole of `min * 2^attempt`, at most
    /// `max`.
    pub fn next_delay(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let ceiling = self
            .min
            .saturating_mul(1u32 << self.attempt.min(20))
            .min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        let half = ceiling / 2;
        half + half.mul_f64(rng.f64())
    }

    /// Attempts since the last success.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_stays_bounded_and_resets() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut backoff = Backoff::new(min, max).unwrap();
        let first = backoff.next_delay(&mut rng);
        assert!(first >= min / 2 && first <= min);
        for _ in 0..40 {
            assert!(backoff.next_delay(&mut rng) <= max);
        }
        assert!(backoff.next_delay(&mut rng) >= max / 2);
        backoff.reset();
        assert!(backoff.next_delay(&mut rng) <= min);
        assert_eq!(Backoff::new(max, min), None);
        assert_eq!(Backoff::new(Duration::ZERO, min), None);
    }
}
