//! The numbers that the writer gives: of streams, of origins, of messages, ahead of what readers see.

use std::collections::HashMap;

use super::dense::DenseMap;
use super::view::{MarkKey, StreamView, View};
use super::{Draft, StreamKey};
use crate::model::{Epoch, NodeName, Seq, Timestamp};

/// The writer's own positions, ahead of what readers see by the commit that is under way.
pub(super) struct Numbers {
    pub(super) streams: HashMap<StreamKey, u32>,
    pub(super) positions: DenseMap<Position>,
    pub(super) next_stream: u32,
    pub(super) origins: HashMap<NodeName, u32>,
    pub(super) next_origin: u32,
    pub(super) marks: HashMap<MarkKey, (Epoch, Seq)>,
    /// The last numbers of all streams added up.
    pub(super) given: u64,
    /// The newest revision of any value: a value that was deleted and made anew is another one.
    pub(super) revision: Seq,
}

/// Where a stream stands for the writer.
pub(super) struct Position {
    pub(super) epoch: Epoch,
    pub(super) last: Seq,
    /// What the stream holds, as far as limits are concerned.
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Numbers {
    /// The positions as recovery found them; `taken` are the highest numbers of a stream and of an origin
    /// that may ever have been given.
    pub(super) fn of(view: &View, taken: (u32, u32)) -> Self {
        let position = |(id, stream): (&u32, &StreamView)| {
            let held = view.backlog(*id, stream.trim);
            let position = Position {
                epoch: stream.epoch,
                last: stream.last,
                messages: held.messages,
                bytes: held.bytes,
            };
            (*id, position)
        };
        Self {
            given: view.streams.values().map(|stream| stream.last.0).sum(),
            revision: (view.values.values().map(|value| value.revision).max()).unwrap_or_default(),
            next_stream: taken.0 + 1,
            next_origin: taken.1 + 1,
            streams: view.by_key.clone(),
            positions: view.streams.iter().map(position).collect(),
            origins: view
                .origins
                .iter()
                .map(|(id, name)| (name.clone(), *id))
                .collect(),
            marks: view.marks.iter().map(|(key, at)| (*key, *at)).collect(),
        }
    }

    /// The last number that was given in a stream.
    pub(super) fn last_of(&self, id: u32) -> Seq {
        self.positions.get(&id).map_or(Seq::ZERO, |at| at.last)
    }

    /// A new epoch for a stream whose epoch is `past` or earlier, and the last number of the one before.
    pub(super) fn begin_epoch(
        &mut self,
        id: u32,
        past: Epoch,
        now: Timestamp,
    ) -> Option<(Epoch, Seq)> {
        let position = self.positions.get_mut(&id)?;
        (position.epoch <= past).then(|| {
            position.epoch = Epoch(now.as_millis().max(past.0.saturating_add(1)));
            (position.epoch, position.last)
        })
    }

    /// Whether the node that a draft comes from has handed over what came after it.
    pub(super) fn has_passed(&self, id: u32, draft: &Draft) -> bool {
        let mark = draft.hop.as_ref().and_then(|hop| {
            let node = self.origins.get(&hop.node)?;
            let mark = self.marks.get(&(id, *node, hop.lane))?;
            Some((hop, mark))
        });
        mark.is_some_and(|(hop, (epoch, seq))| *epoch == hop.epoch && hop.seq <= *seq)
    }
}
