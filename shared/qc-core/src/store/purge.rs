//! Taking messages or a consumer away on purpose: whoever had not come that far counts what it will not get.

use super::command::{Answer, Reply};
use super::writer::Writer;
use super::{CursorState, StreamKey};
use crate::model::Seq;

/// Room for one table record, and for a trim.
const TABLE: usize = 2048;

impl Writer {
    /// Stages the end of everything up to `seq`. A stream that does not exist has nothing to end.
    pub(super) fn stage_purge(&mut self, key: &StreamKey, seq: Seq, done: Reply<()>) {
        // what was published just now counts, and so do cursors on their way
        self.flush();
        let Some(id) = self.reads.view().by_key.get(key).copied() else {
            return drop(done.send(Ok(())));
        };
        let (behind, seq) = {
            let view = self.reads.view();
            let seq = view
                .streams
                .get(&id)
                .map_or(seq, |stream| seq.min(stream.last));
            (view.behind(id, seq, CursorState::purged_to), seq)
        };
        let cursors: usize = behind.iter().map(|(name, _)| name.len() + TABLE).sum();
        if let Err(error) = self.make_room(cursors + TABLE, true) {
            return drop(done.send(Err(error)));
        }
        for (consumer, state) in behind {
            self.put_cursor(id, consumer, state);
        }
        self.stage_trim(id, seq);
        self.staged.answer(Answer::Unit(done));
    }

    /// Stages the end of a consumer. The answer is how many messages are not kept for it any more; none
    /// if there is no such consumer.
    pub(super) fn stage_end(
        &mut self,
        key: &StreamKey,
        consumer: String,
        done: Reply<Option<u64>>,
    ) {
        // what it took just now counts
        self.flush();
        let found = {
            let view = self.reads.view();
            let id = view.by_key.get(key).copied();
            id.and_then(|id| {
                let stream = view.streams.get(&id)?;
                let state = view.cursors_of(id).find(|(name, _)| *name == consumer);
                let state = *state?.1;
                let lost = stream.lost_between(state.seq, stream.last);
                let end = state.purged_to(stream.last, lost);
                Some((
                    id,
                    end.purged - state.purged,
                    CursorState { ended: true, ..end },
                ))
            })
        };
        let Some((id, purged, end)) = found else {
            return drop(done.send(Ok(None)));
        };
        if let Err(error) = self.make_room(consumer.len() + TABLE, true) {
            return drop(done.send(Err(error)));
        }
        self.put_cursor(id, consumer, end);
        self.staged.answer(Answer::Ended(done, purged));
    }
}
