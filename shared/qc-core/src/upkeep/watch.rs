//! The log lines when the store begins to refuse for want of space, when that is over, and when the wall
//! clock jumps.

use crate::store::{ClockJump, Log, LogStats};

/// What was said last. Looked at every few seconds by a daemon's sampler.
#[derive(Debug, Default)]
pub struct SpaceWatch {
    said: Vec<String>,
    jumps: u64,
}

impl SpaceWatch {
    /// Logs what has changed since the last look.
    pub fn look(&mut self, log: &Log) {
        let stats = log.stats();
        if let Some(jump) = self.jumped(&stats) {
            tracing::warn!(
                code = "QC3402",
                from = %jump.from,
                to = %jump.to,
                "The wall clock jumped; no message is older by that."
            );
        }
        let Some(refused) = self.change(&stats) else {
            return;
        };
        let left = stats.usage.left_bytes;
        let by_share = || "their share of the room is taken".to_owned();
        let reason = stats.full.unwrap_or_else(by_share);
        if refused.is_empty() {
            tracing::info!(
                code = "QC3308",
                left,
                "Space is back; all lanes are taken in."
            );
        } else {
            tracing::warn!(
                code = "QC3302",
                lanes = refused.join(", "),
                left,
                reason,
                "Space runs out; messages are refused."
            );
        }
    }

    /// The last jump of the wall clock, if there was one since the last look.
    fn jumped(&mut self, stats: &LogStats) -> Option<ClockJump> {
        let is_new = stats.jumps > self.jumps;
        self.jumps = stats.jumps;
        stats.jump.filter(|_| is_new)
    }

    /// The lanes that are refused now, if others were before.
    fn change(&mut self, stats: &LogStats) -> Option<Vec<String>> {
        let lanes = stats.usage.lanes.iter();
        let refused: Vec<_> = lanes
            .filter(|lane| lane.refused.is_some())
            .map(|lane| lane.lane.to_string())
            .collect();
        if refused == self.said {
            return None;
        }
        self.said.clone_from(&refused);
        Some(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lane, Timestamp};
    use crate::store::LaneUse;

    #[test]
    fn a_jump_is_said_once() {
        let mut watch = SpaceWatch::default();
        let jump = ClockJump {
            from: Timestamp::from_millis(1),
            to: Timestamp::from_millis(2),
        };
        let stats = |jumps| LogStats {
            jumps,
            jump: Some(jump),
            ..LogStats::default()
        };
        // one of an earlier process was said by that
        let said = [0, 1, 1, 2].map(|jumps| watch.jumped(&stats(jumps)).is_some());
        assert_eq!(said, [false, true, false, true]);
    }

    #[test]
    fn a_change_is_said_once() {
        let mut watch = SpaceWatch::default();
        let stats = |refused: &[Lane]| {
            let mut stats = LogStats::default();
            stats.usage.lanes = Lane::ALL
                .into_iter()
                .map(|lane| LaneUse {
                    lane,
                    share: 95,
                    refused: refused.contains(&lane).then(Timestamp::default),
                })
                .collect();
            stats
        };
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(watch.change(&stats(&[])), None);
        assert_eq!(watch.change(&stats(&[Lane::Low])), words(&["low"]));
        assert_eq!(watch.change(&stats(&[Lane::Low])), None);
        let both = stats(&[Lane::Low, Lane::Normal]);
        assert_eq!(watch.change(&both), words(&["normal", "low"]));
        assert_eq!(watch.change(&stats(&[])), words(&[]));
    }
}
