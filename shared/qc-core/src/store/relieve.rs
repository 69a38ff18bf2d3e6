//! Giving back space that nothing needs, in small steps: between two of them appends get their turn.

use super::compact::WORTH_RELIEF;
use super::writer::Writer;
use super::{AppendError, Relief, ReliefStep};

impl Writer {
    /// What space could be had without losing anything.
    pub(super) fn relief(&self) -> Relief {
        let (before, free_files) = (self.used_bytes(), self.pool.spare_bytes());
        let active = self.active.as_ref().map_or(0, |active| active.number);
        let view = self.reads.view();
        let movable = self.movable(&view, WORTH_RELIEF, active);
        let unneeded = movable.map(|(_, segment)| segment.length.saturating_sub(segment.live));
        let dead = unneeded.sum();
        Relief {
            before,
            free_files,
            dead,
            after: before.saturating_sub(free_files).saturating_sub(dead),
        }
    }

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
            self.drop_free();
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
