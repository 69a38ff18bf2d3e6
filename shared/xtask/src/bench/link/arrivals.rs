//! What has come to a consumer, each message counted once, with the time of each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use qc_core::clock::{Clock as _, SystemClock};

use super::feed::DIGITS;

/// The messages of one round at the consumer.
#[derive(Debug)]
pub(super) struct Arrivals {
    clock: Arc<SystemClock>,
    round: Mutex<Round>,
}

#[derive(Debug, Default)]
struct Round {
    had: Vec<Option<Instant>>,
    count: u64,
    again: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Different messages.
    pub(super) count: u64,
    /// When the first came.
    pub(super) first: Instant,
    /// When the last came.
    pub(super) last: Instant,
}

impl Arrivals {
    pub(super) fn new(clock: &Arc<SystemClock>) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            round: Mutex::default(),
        })
    }

    /// Notes a message; one whose number came before does not count.
    pub(super) fn note(&self, body: &[u8]) {
        let now = self.clock.instant();
        let number = body.get(..DIGITS).and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            text.parse::<usize>().ok()
        });
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = number {
            if round.had.len() <= number {
                round.had.resize(number + 1, None);
            }
            if let Some(place) = round.had.get_mut(number)
                && place.replace(now).is_some()
            {
                round.again += 1;
                return;
            }
        }
        round.count += 1;
        round.first.get_or_insert(now);
        round.last = Some(now);
    }

    /// Begins a round.
    pub(super) fn begin(&self) {
        *self.round.lock().unwrap_or_else(PoisonError::into_inner) = Round::default();
    }

    /// Waits until there are `wanted`, at most `limit` after the last of them that came.
    pub(super) async fn all(&self, wanted: u64, limit: Duration) -> Result<Seen, String> {
        let began = self.clock.instant();
        loop {
            {
                let round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
                if round.count >= wanted
                    && let (Some(first), Some(last)) = (round.first, round.last)
                {
                    let count = round.count;
                    return Ok(Seen { count, first, last });
                }
                let quiet = round.last.unwrap_or(began).max(began);
                if self.clock.instant().saturating_duration_since(quiet) > limit {
                    return Err(format!(
                        "{} of {wanted} messages have come, {} of them again, and then none for {} s",
                        round.count,
                        round.again,
                        limit.as_secs()
                    ));
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The time of each message under way, of those that both lists have.
    pub(super) fn since(&self, sent: Vec<(u64, Instant)>) -> Vec<Duration> {
        let round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let sent: BTreeMap<u64, Instant> = sent.into_iter().collect();
        let came = sent.into_iter().filter_map(|(number, at)| {
            let number = usize::try_from(number).ok()?;
            let came = (*round.had.get(number)?)?;
            Some(came.saturating_duration_since(at))
        });
        came.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_once() {
        let arrivals = Arrivals::new(&Arc::new(SystemClock::default()));
        for body in [
            "000000000000a",
            "000000000002b",
            "000000000002b",
            "no number",
        ] {
            arrivals.note(body.as_bytes());
        }
        let long_ago = arrivals.clock.instant();
        assert_eq!(arrivals.since(vec![(0, long_ago), (1, long_ago)]).len(), 1);
        let runtime = qc_core::service::runtime(1).unwrap();
        let limit = Duration::from_millis(20);
        assert_eq!(runtime.block_on(arrivals.all(3, limit)).unwrap().count, 3);
        let missing = runtime.block_on(arrivals.all(4, limit)).unwrap_err();
        assert!(
            missing.contains("3 of 4 messages have come, 1 of them again"),
            "{missing}"
        );
        arrivals.begin();
        let none = runtime.block_on(arrivals.all(1, limit)).unwrap_err();
        assert!(none.starts_with("0 of 1"), "{none}");
    }
}
