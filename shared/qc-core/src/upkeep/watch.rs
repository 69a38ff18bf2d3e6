//! The log lines when the store begins to refuse for want of space, when that is over, when damage is
//! found, and when the wall clock jumps.

use crate::store::{ClockJump, Log, LogStats};

/// What was said last. Looked at every few seconds by a daemon's sampler.
#[derive(Debug, Default)]
pub struct SpaceWatch {
    said: Vec<String>,
    /// Damage that was told of, what waits for room, and what nobody can read.
    damage: (usize, usize, Vec<u64>),
    jumps: u64,
}

impl SpaceWatch {
    /// Logs what has changed since the last look.
    pub fn look(&mut self, log: &Log) {
        let stats = log.stats();
        for (code, line) in self.damage(&stats) {
            tracing::error!(code, line, "The store is damaged.");
        }
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

    /// A line and its code for what was found since the last look.
    fn damage(&mut self, stats: &LogStats) -> Vec<(&'static str, String)> {
        let (told, waiting, unread) = &self.damage;
        let new = stats.damaged.iter().skip(*told);
        let mut lines: Vec<_> = new.map(|damage| ("QC3305", damage.line())).collect();
        if stats.waiting.len() > *waiting {
            let line = "damage stays in its segments until there is room for a copy";
            lines.push(("QC3310", format!("{}: {line}", stats.waiting.len())));
        }
        let new = stats
            .unread
            .iter()
            .filter(|number| !unread.contains(number));
        lines.extend(new.map(|number| {
            let line = format!("segment {number} can be neither read nor repaired");
            ("QC3311", line)
        }));
        self.damage = (
            stats.damaged.len(),
            stats.waiting.len(),
            stats.unread.clone(),
        );
        lines
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
    use crate::store::{Aside, Damage, LaneUse};

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

    #[test]
    fn damage_is_said_once() {
        let mut watch = SpaceWatch::default();
        let damage = Damage {
            segment: 7,
            offset: 4096,
            length: 100,
            what: "checksum",
            known: false,
            aside: Aside::NoRoom,
        };
        let mut stats = LogStats {
            damaged: vec![damage.clone()],
            waiting: vec![damage],
            unread: vec![9],
            ..LogStats::default()
        };
        let codes = |said: Vec<(&'static str, String)>| -> Vec<_> {
            said.into_iter().map(|(code, _)| code).collect()
        };
        let said = watch.damage(&stats);
        assert!(said[0].1.contains("segment 7 offset 4096"), "{said:?}");
        assert_eq!(codes(said), ["QC3305", "QC3310", "QC3311"]);
        assert!(watch.damage(&stats).is_empty());
        stats.unread.push(11);
        assert_eq!(codes(watch.damage(&stats)), ["QC3311"]);
        (stats.waiting, stats.unread) = (Vec::new(), Vec::new());
        assert!(watch.damage(&stats).is_empty());
    }
}
