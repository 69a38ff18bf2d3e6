//! A bound on what is logged of strangers: a few lines of every code, then a count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The time for which lines are counted.
const WINDOW: Duration = Duration::from_secs(5);

/// What was said lately.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    windows: BTreeMap<&'static str, Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    said: u32,
    held_back: u64,
}

impl Quiet {
    /// Whether a line of `code` may be logged, of which `lines` may be in a window.
    pub(crate) fn may_say(&mut self, code: &'static str, lines: u32, now: Instant) -> bool {
        let window = self.windows.entry(code).or_insert(Window {
            began: now,
            said: 0,
            held_back: 0,
        });
        if window.said < lines {
            window.said += 1;
            return true;
        }
        window.held_back += 1;
        false
    }

    /// Closes the windows that are over, and tells how many lines each has held back.
    pub(crate) fn held_back(&mut self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut told = Vec::new();
        self.windows.retain(|code, window| {
            let goes_on = now.saturating_duration_since(window.began) < WINDOW;
            if !goes_on && window.held_back > 0 {
                told.push((*code, window.held_back));
            }
            goes_on
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::model::Timestamp;

    #[test]
    fn a_flood_is_a_few_lines_and_a_count() {
        let clock = ManualClock::at(Timestamp::from_millis(1));
        let mut quiet = Quiet::default();
        let mut said = 0;
        for _ in 0..1000 {
            said += u32::from(quiet.may_say("QC2030", 5, clock.instant()));
        }
        assert_eq!(said, 5);
        // another reason is not silenced by it
        assert!(quiet.may_say("QC2008", 5, clock.instant()));
        assert_eq!(quiet.held_back(clock.instant()), []);
        clock.advance(WINDOW);
        assert_eq!(quiet.held_back(clock.instant()), [("QC2030", 995)]);
        assert!(quiet.may_say("QC2030", 5, clock.instant()));
    }
}
