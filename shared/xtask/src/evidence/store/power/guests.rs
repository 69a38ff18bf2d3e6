//! Power cuts of a whole machine under the servers of somebody else: see `vm` for what is modelled.
//!
//! As with ours, one disk lives through all cuts of a share, and the server works in the machine until enough is
//! acknowledged. An acknowledgement counts once its line has come over the serial line. The next boot starts the
//! server on what is there and asks it for those messages; then it begins anew in another directory, so that
//! each message is judged once.

use std::collections::BTreeSet;
use std::time::Duration;

use qc_core::cli::Failure;

use super::guest;
use super::machine::{Moment, Rig};
use super::peers::Peer;
use crate::evidence::store::child::failed;
use crate::evidence::store::line::Line;
use crate::evidence::store::proof::{Share, Tally};
use crate::evidence::store::vm::{OTHER, Parts};

/// What the sums are called.
pub(super) const ACKNOWLEDGED: &str = "acknowledged before the cuts";
pub(super) const LOST: &str = "lost";
pub(super) const WITH_LOSS: &str = "cuts with loss";
pub(super) const REFUSED: &str = "starts refused";

/// Cuts the power of a machine with `peer` in it as often as `share` says.
pub(super) fn cuts(peer: &Peer, share: &Share<'_>, parts: &Parts) -> Result<Tally, Failure> {
    let io = |error: std::io::Error| failed("cannot run a machine").because(&error);
    let mut rig = Rig::new(share, parts, Some(&peer.program)).map_err(io)?;
    let mut tally = Tally::default();
    let mut acked = BTreeSet::new();
    for start in 0..=share.runs {
        let last = start == share.runs;
        let bound = acked.last().map_or(0, |number| number + 1);
        let args = guest::Args::new(peer, OTHER, start, bound, last);
        let moment = Moment::working(0, &mut rig.random);
        let mut said = Said::default();
        let mut hear = |line: &Line| {
            said.take(line);
            if last {
                said.checked.then_some(Duration::ZERO)
            } else {
                moment.has_come(line, said.acked.len() as u64)
            }
        };
        let cut = rig.boot(&args.words(), &mut hear, &mut tally).map_err(io)?;
        if let Some(why) = cut.silent {
            let why = said.wrong.unwrap_or(why);
            return Err(failed(format!("a machine with {}: {why}", peer.version())));
        }
        if start > 0 {
            said.judge(&acked, &mut tally);
        }
        if !last {
            tally.runs += 1;
            tally.by(cut.fate.words());
            tally.count(ACKNOWLEDGED, said.acked.len() as u64);
        }
        acked = said.acked;
    }
    Ok(tally)
}

/// What was heard of one start of the machine.
#[derive(Debug, Default)]
struct Said {
    /// Of the start before.
    present: BTreeSet<u64>,
    refused: Option<String>,
    checked: bool,
    acked: BTreeSet<u64>,
    wrong: Option<String>,
}

impl Said {
    fn take(&mut self, line: &Line) {
        match line {
            Line::Found { number, .. } => {
                self.present.insert(*number);
            }
            Line::OpenFailed(why) => self.refused = Some(why.clone()),
            Line::Checked => self.checked = true,
            Line::Acked { number, .. } => {
                self.acked.insert(*number);
            }
            Line::Wrong(what) => self.wrong = Some(what.clone()),
            _ => {}
        }
    }

    /// Holds what is there against what was acknowledged before the cut.
    fn judge(&self, acked: &BTreeSet<u64>, tally: &mut Tally) {
        let lost = acked.difference(&self.present).count() as u64;
        tally.count(LOST, lost);
        tally.count(WITH_LOSS, u64::from(lost > 0));
        tally.count(REFUSED, u64::from(self.refused.is_some()));
        if let Some(why) = &self.refused {
            tally.by(&format!("would not start: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_lost() {
        let mut tally = Tally::default();
        let acked = BTreeSet::from([0, 1, 2]);
        let mut said = Said::default();
        let seq = 0;
        for line in [
            Line::Found { number: 0, seq },
            Line::Found { number: 2, seq },
            // it was sent, and its acknowledgement was not heard
            Line::Found { number: 3, seq },
            Line::Checked,
        ] {
            said.take(&line);
        }
        said.judge(&acked, &mut tally);
        assert_eq!((tally.counts[LOST], tally.counts[WITH_LOSS]), (1, 1));
        said.judge(&BTreeSet::from([0, 2]), &mut tally);
        assert_eq!((tally.counts[LOST], tally.counts[WITH_LOSS]), (1, 1));
        let mut said = Said::default();
        said.take(&Line::OpenFailed("ended".to_owned()));
        said.judge(&acked, &mut tally);
        assert_eq!((tally.counts[LOST], tally.counts[REFUSED]), (4, 1));
        assert_eq!(tally.by["would not start: ended"], 1);
    }
}
