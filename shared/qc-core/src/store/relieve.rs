//! Giving back space in small steps: between two of them appends get their turn.

use super::compact::WORTH_RELIEF;
use super::writer::Writer;
use super::{AppendError, ReliefStep};

impl Writer {
    /// Moves a little of what is needed out of the emptiest segment before `until`, and gives back what
    /// nothing is needed of; at the end free files go, too.
    pub(super) fn relieve_step(&mut self, until: Option<u64>) -> Result<ReliefStep, AppendError> {
        let active = self.active.as_ref().map_or(0, |active| active.number);
        let until = until.map_or(active, |until| until.min(active));
        self.reclaim();
        let emptiest = self.emptiest(&self.reads.view(), WORTH_RELIEF, until);
        let moved = emptiest.map_or(Ok(0), |number| self.move_from(number))?;
        self.reclaim();
        // a free file that is just being made would come back at once
        let is_done = emptiest.is_none() && !self.pool.is_filling();
        if is_done {
            self.drop_free(true);
            self.view_mut().refresh_sizes();
            self.look_at_space();
        }
        Ok(ReliefStep {
            until,
            bytes: self.used_bytes(),
            has_moved: moved > 0,
            is_done,
        })
    }
}
