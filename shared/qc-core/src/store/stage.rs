//! Putting a commit together: numbers are given, duplicates are found, records are encoded, and nothing
//! of it can be seen until it is on disk.

use std::collections::HashMap;
use std::sync::PoisonError;

use super::view::{BatchIndex, MarkKey, StreamView};
use super::writer::{Command, FULL_RETRY, Reply, Writer, full};
use super::{AppendError, Draft, Outcome, StreamKey, tables};
use crate::model::{Epoch, NodeName, Seq};
use crate::wire::{MAX_BODY, MAX_HEAD, Origin, RecordHeader, RecordKind};

/// One commit while it is put together.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) frame: Vec<u8>,
    pub(super) records: u32,
    pub(super) messages: u64,
    pub(super) streams: Vec<(u32, StreamView)>,
    pub(super) origins: Vec<(u32, NodeName)>,
    pub(super) last: HashMap<u32, Seq>,
    pub(super) entries: BatchIndex,
    pub(super) dedupe: HashMap<([u8; 16], u32), Seq>,
    pub(super) marks: HashMap<MarkKey, (Epoch, Seq)>,
    pub(super) cursors: HashMap<(u32, String), Seq>,
    pub(super) trims: Vec<(u32, Seq)>,
    pub(super) duplicates: HashMap<u32, u64>,
    pub(super) answers: Vec<Answer>,
}

pub(super) enum Answer {
    Append(Reply<Vec<Outcome>>, Vec<Outcome>),
    Unit(Reply<()>),
}

impl Writer {
    pub(super) fn stage(&self, command: Command, staged: &mut Staged) {
        match command {
            Command::Append {
                stream,
                drafts,
                done,
            } => {
                if let Err(error) = self.may_append(&drafts) {
                    let _caller_gone = done.send(Err(error));
                    return;
                }
                let outcomes = self.stage_append(stream, drafts, staged);
                staged.answers.push(Answer::Append(done, outcomes));
            }
            Command::Cursor {
                stream,
                consumer,
                seq,
                done,
            } => {
                let id = self.stream_id(stream, staged);
                tables::put_cursor(&mut staged.frame, id, &consumer, seq);
                staged.records += 1;
                staged.cursors.insert((id, consumer), seq);
                staged.answers.push(Answer::Unit(done));
            }
            Command::Define { stream, done } => {
                self.stream_id(stream, staged);
                staged.answers.push(Answer::Unit(done));
            }
            Command::Trim { stream, seq, done } => {
                let id = self.stream_id(stream, staged);
                tables::put_trim(&mut staged.frame, id, seq);
                staged.records += 1;
                staged.trims.push((id, seq));
                staged.answers.push(Answer::Unit(done));
            }
            Command::Stop => {}
        }
    }

    fn may_append(&self, drafts: &[Draft]) -> Result<(), AppendError> {
        for (bytes, max) in drafts
            .iter()
            .flat_map(|draft| [(draft.head.len(), MAX_HEAD), (draft.body.len(), MAX_BODY)])
        {
            if bytes > max {
                return Err(AppendError::TooLarge { bytes, max });
            }
        }
        if let Some((reason, since)) = &self.full
            && self.clock.instant().saturating_duration_since(*since) < FULL_RETRY
        {
            return Err(full(reason));
        }
        Ok(())
    }

    fn stage_append(
        &self,
        key: StreamKey,
        drafts: Vec<Draft>,
        staged: &mut Staged,
    ) -> Vec<Outcome> {
        let now = self.clock.now();
        let id = self.stream_id(key, staged);
        let (epoch, mut last) = self.position(id, staged);
        let mut outcomes = Vec::with_capacity(drafts.len());
        let mut moved_mark = None;
        for draft in drafts {
            let mut origin = Origin::default();
            if let Some(hop) = draft.hop {
                let node = self.origin_id(hop.node, staged);
                origin = Origin {
                    node,
                    epoch: hop.epoch,
                    seq: hop.seq,
                };
                let key = (id, node, hop.lane);
                let mark = staged.marks.get(&key).copied().or_else(|| self.mark(key));
                if mark.is_some_and(|(epoch, seq)| epoch == hop.epoch && hop.seq <= seq) {
                    outcomes.push(Outcome::Duplicate { seq: Seq::ZERO });
                    *staged.duplicates.entry(id).or_default() += 1;
                    continue;
                }
                staged.marks.insert(key, (hop.epoch, hop.seq));
                moved_mark = Some(key);
            }
            let known = (draft.dedupe, id);
            let is_keyed = draft.dedupe != [0; 16];
            let earlier = staged
                .dedupe
                .get(&known)
                .or_else(|| self.dedupe.get(&known))
                .copied();
            if let Some(seq) = earlier.filter(|_| is_keyed) {
                outcomes.push(Outcome::Duplicate { seq });
                *staged.duplicates.entry(id).or_default() += 1;
                continue;
            }
            last = last.next();
            let before = staged.frame.len();
            let header = RecordHeader {
                lane: draft.lane,
                stream: id,
                epoch,
                seq: last,
                accepted: now,
                origin,
                dedupe: draft.dedupe,
                ..RecordHeader::new(RecordKind::Message)
            };
            header.encode(&draft.head, &draft.body, &mut staged.frame);
            staged.records += 1;
            staged.messages += 1;
            if is_keyed {
                staged.dedupe.insert(known, last);
            }
            let bytes = (staged.frame.len() - before) as u64;
            staged.entries.add(id, last, bytes, now);
            outcomes.push(Outcome::Stored { seq: last });
        }
        staged.last.insert(id, last);
        if let Some(key) = moved_mark
            && let Some((epoch, seq)) = staged.marks.get(&key).copied()
        {
            tables::put_mark(&mut staged.frame, key, epoch, seq);
            staged.records += 1;
        }
        outcomes
    }

    fn position(&self, id: u32, staged: &Staged) -> (Epoch, Seq) {
        let new = staged
            .streams
            .iter()
            .find(|(new, _)| *new == id)
            .map(|(_, stream)| stream.epoch);
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let known = view.streams.get(&id);
        let epoch = new
            .or_else(|| known.map(|stream| stream.epoch))
            .unwrap_or_default();
        let committed = known.map_or(Seq::ZERO, |stream| stream.last);
        (epoch, staged.last.get(&id).copied().unwrap_or(committed))
    }

    fn mark(&self, key: MarkKey) -> Option<(Epoch, Seq)> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.marks.get(&key).copied()
    }

    fn stream_id(&self, key: StreamKey, staged: &mut Staged) -> u32 {
        if let Some((id, _)) = staged.streams.iter().find(|(_, stream)| stream.key == key) {
            return *id;
        }
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = view.by_key.get(&key) {
            return *id;
        }
        let newest = view.streams.last_key_value().map_or(0, |(id, _)| *id);
        let id = newest + 1 + u32::try_from(staged.streams.len()).unwrap_or(0);
        let epoch = Epoch(self.clock.now().as_millis().max(1));
        let stream = StreamView::new(key, epoch, Seq::ZERO, Seq::ZERO);
        tables::put_stream(&mut staged.frame, id, &stream);
        staged.records += 1;
        staged.streams.push((id, stream));
        id
    }

    fn origin_id(&self, name: NodeName, staged: &mut Staged) -> u32 {
        if let Some((id, _)) = staged.origins.iter().find(|(_, known)| *known == name) {
            return *id;
        }
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, _)) = view.origins.iter().find(|(_, known)| **known == name) {
            return *id;
        }
        let newest = view.origins.last_key_value().map_or(0, |(id, _)| *id);
        let id = newest + 1 + u32::try_from(staged.origins.len()).unwrap_or(0);
        tables::put_origin(&mut staged.frame, id, &name);
        staged.records += 1;
        staged.origins.push((id, name));
        id
    }
}

impl Answer {
    // a caller that is gone does not change what is on disk
    pub(super) fn done(self) {
        match self {
            Self::Append(reply, outcomes) => drop(reply.send(Ok(outcomes))),
            Self::Unit(reply) => drop(reply.send(Ok(()))),
        }
    }

    pub(super) fn fail(self, error: &AppendError) {
        match self {
            Self::Append(reply, _) => drop(reply.send(Err(error.clone()))),
            Self::Unit(reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}
