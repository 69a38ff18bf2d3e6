//! Putting a commit together: numbers are given, duplicates are found, records are encoded and sealed,
//! and nothing of it can be seen until it is on disk.

use std::io;
use std::sync::Arc;

use super::command::{Answer, Command, Reply};
use super::commit::Change;
use super::files::Kind;
use super::ids::scoped;
use super::index::Piece;
use super::numbers::Position;
use super::segment::{BATCH_HEADER, BatchPlace, SEAL_OVERHEAD, Segment};
use super::view::{Index, StreamView};
use super::writer::Writer;
use super::{
    AppendError, CursorMove, CursorState, Draft, Limits, Outcome, StreamKey, Value, ValueError,
    tables, tenant,
};
use crate::model::{Epoch, NodeName, Seq, Timestamp};
use crate::wire::{MAX_BODY, MAX_HEAD, Origin, RECORD_HEADER, Record, RecordHeader, RecordKind};

/// Room for the definition of a stream, an origin and a mark beside the messages of an append.
const TABLES: usize = 2048;

impl Writer {
    /// Takes one command into the commit, or answers it at once.
    pub(super) fn stage(&mut self, command: Command) {
        match command {
            Command::Append {
                stream,
                drafts,
                done,
            } => self.stage_append(stream, drafts, Vec::new(), done),
            Command::Cursors { moves, done } => {
                self.with_room(cursor_bytes(&moves), done, |writer, done| {
                    for one in moves {
                        writer.stage_cursor(one);
                    }
                    Answer::Unit(done)
                });
            }
            Command::Define {
                stream,
                limits,
                done,
            } => self.with_room(TABLES, done, |writer, done| {
                let id = writer.stream_id(stream);
                writer.policies.set(id, limits);
                Answer::Unit(done)
            }),
            Command::Epoch { stream, past, done } => {
                self.with_room(TABLES, done, |writer, done| {
                    writer.stage_epoch(&stream, past);
                    Answer::Unit(done)
                });
            }
            Command::Trim { stream, seq, done } => {
                self.with_room(TABLES, done, |writer, done| {
                    let id = writer.stream_id(stream);
                    writer.stage_trim(id, seq);
                    Answer::Unit(done)
                });
            }
            Command::Purge { stream, seq, done } => self.stage_purge(&stream, seq, done),
            Command::End {
                stream,
                consumer,
                done,
            } => self.stage_end(&stream, consumer, done),
            Command::Bury {
                letters,
                drafts,
                moves,
                done,
            } => self.stage_append(letters, drafts, moves, done),
            Command::Put {
                key,
                expected,
                value,
                done,
            } => self.stage_value(key, expected, value, done),
            Command::Find { stream, keys, done } => {
                let id = self.numbers.streams.get(&stream).copied();
                let nothing = vec![None; keys.len()];
                let found = id.map_or(Ok(nothing), |id| self.find_ids(id, keys));
                let _asker_gone = done.send(found);
            }
            Command::Repair { segment } => self.repair(segment),
            Command::Rewrap { node, done } => {
                self.flush();
                let outcome = self.rewrap(node);
                let _asker_gone = done.send(outcome);
            }
            Command::RelieveStep { until, done } => {
                self.flush();
                let step = self.relieve_step(until);
                let _asker_gone = done.send(step);
            }
            Command::Stop => {}
        }
    }

    /// Stages what takes at most `bytes`, with the reserve at hand.
    fn with_room<T>(
        &mut self,
        bytes: usize,
        done: Reply<T>,
        stage: impl FnOnce(&mut Self, Reply<T>) -> Answer,
    ) {
        match self.make_room(bytes, true) {
            Ok(()) => {
                let answer = stage(self, done);
                self.staged.answers.push(answer);
            }
            Err(error) => drop(done.send(Err(error))),
        }
    }

    fn stage_append(
        &mut self,
        key: StreamKey,
        drafts: Vec<Draft>,
        moves: Vec<CursorMove>,
        done: Reply<Vec<Outcome>>,
    ) {
        let bytes = match sizes(&drafts, self.options.batch_bytes) {
            Ok(bytes) => bytes + cursor_bytes(&moves),
            Err(error) => return drop(done.send(Err(error))),
        };
        // what lets a consumer go on gives room back, so it is not refused as a message is
        let may = if moves.is_empty() {
            self.may_append(&key, &drafts, bytes)
        } else {
            self.make_room_for_letter(bytes)
        };
        if let Err(error) = may {
            return match self.known_already(&key, &drafts, moves) {
                Some(outcomes) => self.staged.answers.push(Answer::Append(done, outcomes)),
                None => drop(done.send(Err(error))),
            };
        }
        match self.append(key, drafts) {
            Ok(outcomes) => {
                for one in moves {
                    self.stage_cursor(one);
                }
                self.staged.answers.push(Answer::Append(done, outcomes));
            }
            Err(error) => drop(done.send(Err(error))),
        }
    }

    /// The outcomes of an append that needs no room, because all of it is stored: whoever sends it again
    /// is told so, however full the store is. Steps that came with it are staged.
    fn known_already(
        &mut self,
        key: &StreamKey,
        drafts: &[Draft],
        moves: Vec<CursorMove>,
    ) -> Option<Vec<Outcome>> {
        let id = self.numbers.streams.get(key).copied()?;
        let keys = drafts.iter().map(|draft| draft.dedupe);
        let known = self.find_ids(id, keys).ok()?.into_iter();
        let outcomes: Option<Vec<_>> = known
            .zip(drafts)
            .map(|(seq, draft)| {
                let passed = || self.numbers.has_passed(id, draft).then_some(Seq::ZERO);
                seq.or_else(passed).map(|seq| Outcome::Duplicate { seq })
            })
            .collect();
        let count = outcomes.as_ref()?.len() as u64;
        if !moves.is_empty() {
            self.make_room(cursor_bytes(&moves), true).ok()?;
        }
        for one in moves {
            self.stage_cursor(one);
        }
        self.staged.changes.push(Change::Duplicates(id, count));
        outcomes
    }

    fn append(&mut self, key: StreamKey, drafts: Vec<Draft>) -> Result<Vec<Outcome>, AppendError> {
        let now = self.clock.now();
        let tenant = self.reads.tenants.sealing(key.name.tenant())?;
        // everything that can fail comes before anything is staged
        let known = self.numbers.streams.get(&key).copied();
        let mut earlier = known
            .map_or(Ok(Vec::new()), |id| {
                self.find_ids(id, drafts.iter().map(|draft| draft.dedupe))
            })?
            .into_iter();
        let id = self.stream_id(key);
        let mut outcomes = Vec::with_capacity(drafts.len());
        let (mut duplicates, mut moved_mark) = (0, None);
        for draft in drafts {
            let earlier = earlier.next().flatten();
            let mut origin = Origin::default();
            if let Some(hop) = &draft.hop {
                let node = self.origin_id(&hop.node);
                origin = Origin {
                    node,
                    epoch: hop.epoch,
                    seq: hop.seq,
                };
                let key = (id, node, hop.lane);
                if self.numbers.has_passed(id, &draft) {
                    outcomes.push(Outcome::Duplicate { seq: Seq::ZERO });
                    duplicates += 1;
                    continue;
                }
                self.numbers.marks.insert(key, (hop.epoch, hop.seq));
                moved_mark = Some((key, hop.epoch, hop.seq));
            }
            // the same message may stand twice in one append
            if let Some(seq) = earlier.or_else(|| self.claim(id, &draft)) {
                outcomes.push(Outcome::Duplicate { seq });
                duplicates += 1;
                continue;
            }
            let seq = self.put_message(id, draft, origin, now, tenant.as_deref());
            outcomes.push(Outcome::Stored { seq });
        }
        if duplicates > 0 {
            self.staged.changes.push(Change::Duplicates(id, duplicates));
        }
        if let Some((key, epoch, seq)) = moved_mark {
            self.put(|frame| tables::put_mark(frame, key, epoch, seq));
            self.staged.changes.push(Change::Mark(key, epoch, seq));
        }
        Ok(outcomes)
    }

    /// Remembers the draft's id under the number it is about to get, or gives the number it has.
    fn claim(&mut self, id: u32, draft: &Draft) -> Option<Seq> {
        let active = self.active.as_ref()?;
        let seq = self.numbers.last_of(id).next();
        let is_keyed = draft.dedupe != [0; 16];
        is_keyed.then(|| self.ids.claim(active.number, scoped(draft.dedupe, id), seq))?
    }

    fn put_message(
        &mut self,
        id: u32,
        draft: Draft,
        origin: Origin,
        now: Timestamp,
        tenant: Option<&tenant::Sealing>,
    ) -> Seq {
        let position = self.numbers.positions.get_mut(&id);
        let (epoch, seq) = position.map_or((Epoch(0), Seq(1)), |position| {
            position.last = position.last.next();
            self.numbers.given += 1;
            (position.epoch, position.last)
        });
        let header = RecordHeader {
            lane: draft.lane,
            stream: id,
            epoch,
            seq,
            part: draft.part.number,
            last_part: draft.part.is_last,
            accepted: now,
            origin,
            dedupe: draft.dedupe,
            ..RecordHeader::new(RecordKind::Message)
        };
        let bytes = self.put_record(&header, &draft.head, &draft.body, tenant);
        if let Some(position) = self.numbers.positions.get_mut(&id) {
            position.messages += 1;
            position.bytes += bytes;
        }
        self.staged.messages += 1;
        self.staged.accepted_bytes += (draft.head.len() + draft.body.len()) as u64;
        // a body under its tenant's key is opened for each reader, so that taking the key away tells
        if tenant.is_none() {
            let Draft { head, body, .. } = draft;
            self.staged.tail.push(Record { header, head, body });
        }
        seq
    }

    /// Encodes one message into the batch and its index; gives its bytes.
    pub(super) fn put_record(
        &mut self,
        header: &RecordHeader,
        head: &[u8],
        body: &[u8],
        tenant: Option<&tenant::Sealing>,
    ) -> u64 {
        let (segment, place) = self
            .active
            .as_ref()
            .map_or(([0; 16], 0), |active| (active.segment.header.id, active.at));
        let batch = self.begin_batch();
        let before = self.staged.frame.len();
        match tenant {
            Some(tenant) => {
                let counter = place + before as u64;
                tenant.encode(
                    header,
                    head,
                    body,
                    &segment,
                    counter,
                    &mut self.staged.frame,
                );
            }
            None => header.encode(head, body, &mut self.staged.frame),
        }
        let bytes = (self.staged.frame.len() - before) as u64;
        let mut piece = Piece::of(
            header.stream,
            header.seq,
            bytes,
            header.accepted,
            header.moved,
        );
        piece.offset = place + batch as u64;
        if !self
            .staged
            .pieces
            .last_mut()
            .is_some_and(|last| last.join(&piece))
        {
            self.staged.pieces.push(piece);
        }
        self.end_record();
        bytes
    }

    /// Encodes a record that is not a message into the batch.
    pub(super) fn put(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.begin_batch();
        encode(&mut self.staged.frame);
        self.end_record();
    }

    /// The place of the batch that the next record belongs to. One that is full is sealed first, as a
    /// part of a commit that goes on.
    fn begin_batch(&mut self) -> usize {
        if self.staged.batch.is_some_and(|start| {
            self.staged.frame.len() - start >= self.options.batch_bytes + BATCH_HEADER
        }) {
            self.seal_batch(true);
        }
        let staged = &mut self.staged;
        *staged
            .batch
            .get_or_insert_with(|| Segment::begin_batch(&mut staged.frame))
    }

    fn end_record(&mut self) {
        self.staged.records += 1;
        self.staged.batch_records += 1;
    }

    /// Seals the batch that is being filled, if there is one; `more` of the same commit may follow.
    pub(super) fn seal_batch(&mut self, more: bool) {
        let Some(start) = self.staged.batch.take() else {
            return;
        };
        let records = std::mem::take(&mut self.staged.batch_records);
        let Some(active) = &self.active else {
            self.poison("no segment to seal for");
            return;
        };
        let frame = &mut self.staged.frame;
        let place = BatchPlace {
            records,
            end: &self.end,
            commit: self.next_commit,
            more,
        };
        let tag = active.segment.seal_batch(frame, start, &place);
        match tag {
            Some(tag) => {
                self.end.batches += 1;
                self.end.tag = tag;
            }
            None => drop(self.poison("the cipher refused")),
        }
    }

    fn stage_cursor(&mut self, moved: CursorMove) {
        let CursorMove {
            stream,
            consumer,
            from,
            seq,
            dead,
        } = moved;
        let id = self.stream_id(stream);
        let seq = seq.min(self.numbers.last_of(id));
        let state = {
            let view = self.reads.view();
            let cursor = (id, consumer.clone());
            let known = self.staged.cursors.get(&cursor);
            let known = known.or_else(|| view.cursors.get(&cursor)).copied();
            let lost = |from, to| {
                let stream = view.streams.get(&id);
                stream.map_or(0, |stream| stream.lost_between(from, to))
            };
            // whoever was taken away and comes again is new
            let known = known.filter(|state| !state.ended);
            // what came before a consumer was first heard of was never meant for it
            let state = known.unwrap_or_else(|| CursorState::starting_at(from.min(seq)));
            state.moved_to(seq, dead, lost(state.seq, seq))
        };
        self.put_cursor(id, consumer, state);
    }

    pub(super) fn put_cursor(&mut self, id: u32, consumer: String, state: CursorState) {
        self.put(|frame| tables::put_cursor(frame, id, &consumer, &state));
        self.staged.cursors.insert((id, consumer.clone()), state);
        self.staged
            .changes
            .push(Change::Cursor(id, consumer, state));
    }

    pub(super) fn stage_trim(&mut self, id: u32, seq: Seq) {
        let seq = seq.min(self.numbers.last_of(id));
        self.put(|frame| tables::put_trim(frame, id, seq));
        self.staged.trims.push((id, seq));
        self.may_reclaim = true;
    }

    pub(super) fn stage_gap(&mut self, id: u32, first: Seq, last: Seq) {
        if let Some(position) = self.numbers.positions.get_mut(&id) {
            self.numbers.given += last.0.saturating_sub(position.last.0);
            position.last = position.last.max(last);
        }
        self.put(|frame| tables::put_gap(frame, id, first, last));
        self.staged.changes.push(Change::Gap(id, first, last));
    }

    fn stage_value(
        &mut self,
        key: String,
        expected: Option<Seq>,
        value: Option<(Vec<u8>, Timestamp)>,
        done: tokio::sync::oneshot::Sender<Result<Value, ValueError>>,
    ) {
        let bytes = value.as_ref().map_or(0, |(bytes, _)| bytes.len()) + key.len() + TABLES;
        if let Err(error) = self.make_room(bytes, true) {
            return drop(done.send(Err(ValueError::Store(error))));
        }
        let there = self
            .staged
            .value(&key)
            .unwrap_or_else(|| self.reads.view().values.get(&key).cloned());
        let revision = there.as_ref().map_or(Seq::ZERO, |value| value.revision);
        if expected.is_some_and(|expected| expected != revision) {
            return drop(done.send(Err(ValueError::Conflict { there })));
        }
        let now = Seq(self.clock.now().as_millis());
        let revision = now.max(self.numbers.revision.next());
        self.numbers.revision = revision;
        let new = value.map(|(bytes, until)| Value {
            revision,
            until,
            bytes: bytes.into(),
        });
        self.put(|frame| tables::put_value(frame, &key, revision, new.as_ref()));
        let answer = new.clone().unwrap_or(Value {
            revision,
            ..Value::default()
        });
        self.staged.changes.push(Change::Value(key, new));
        self.staged.answers.push(Answer::Value(done, answer));
    }

    /// Under which numbers messages stand that are known by these digests already. What was lost is not
    /// known.
    fn find_ids(
        &mut self,
        id: u32,
        keys: impl IntoIterator<Item = [u8; 16]>,
    ) -> Result<Vec<Option<Seq>>, AppendError> {
        let mut found = Vec::new();
        for key in keys {
            let known = scoped(key, id);
            let is_keyed = key != [0; 16];
            let recent = self.ids.find_recent(&known).filter(|_| is_keyed);
            if !is_keyed || recent.is_some() {
                found.push(recent);
                continue;
            }
            let indexed = self.ids.find_indexed(&known, |segment, id| {
                let answer = self.probe(segment, id);
                answer.map_err(|error| (segment, error))
            });
            let seq = indexed.map_err(|(segment, error)| {
                // it is read again as soon as this commit is done
                self.suspect = Some(segment);
                let reason = format!("the index of segment {segment}: {error}");
                AppendError::Unreadable { reason }
            })?;
            let is_lost = seq.is_some_and(|seq| {
                let view = self.reads.view();
                view.streams
                    .get(&id)
                    .is_some_and(|stream| stream.is_lost(seq))
            });
            found.push(seq.filter(|_| !is_lost));
        }
        Ok(found)
    }

    fn probe(&self, segment: u64, id: &[u8; 16]) -> io::Result<Option<Seq>> {
        let index = match self
            .reads
            .view()
            .segments
            .get(&segment)
            .map(|view| &view.index)
        {
            Some(Index::File(index)) => Arc::clone(index),
            Some(Index::Memory(_)) | None => return Ok(None),
        };
        let file = self.reads.files.get(Kind::Index, segment)?;
        index.find(file.as_ref(), id)
    }

    fn stream_id(&mut self, key: StreamKey) -> u32 {
        if let Some(id) = self.numbers.streams.get(&key) {
            return *id;
        }
        let id = self.numbers.next_stream;
        self.numbers.next_stream += 1;
        let epoch = Epoch(self.clock.now().as_millis().max(1));
        let stream = StreamView::new(key.clone(), epoch, Seq::ZERO, Seq::ZERO);
        self.put(|frame| tables::put_stream(frame, id, &stream));
        self.numbers.streams.insert(key, id);
        let position = Position {
            epoch,
            last: Seq::ZERO,
            messages: 0,
            bytes: 0,
        };
        self.numbers.positions.insert(id, position);
        self.staged.changes.push(Change::Stream(id, stream));
        self.repeat.streams.push(id);
        id
    }

    /// Numbers go on, under an epoch that was never before: whoever compares them with what it has of
    /// an earlier one compares nothing.
    fn stage_epoch(&mut self, key: &StreamKey, past: Epoch) {
        let Some(id) = self.numbers.streams.get(key).copied() else {
            return;
        };
        let Some((epoch, last)) = self.numbers.begin_epoch(id, past, self.clock.now()) else {
            return;
        };
        let stream = StreamView::new(key.clone(), epoch, last, Seq::ZERO);
        self.put(|frame| tables::put_stream(frame, id, &stream));
        self.staged.changes.push(Change::Stream(id, stream));
    }

    fn origin_id(&mut self, name: &NodeName) -> u32 {
        if let Some(id) = self.numbers.origins.get(name) {
            return *id;
        }
        let id = self.numbers.next_origin;
        self.numbers.next_origin += 1;
        self.put(|frame| tables::put_origin(frame, id, name));
        self.numbers.origins.insert(name.clone(), id);
        self.staged.changes.push(Change::Origin(id, name.clone()));
        self.repeat.origins.push(id);
        id
    }

    /// The stream's limits, as the configuration has them now.
    pub(super) fn limits_of(&self, key: &StreamKey) -> Option<(u32, &Limits)> {
        let id = self.numbers.streams.get(key)?;
        self.policies.of(*id).map(|limits| (*id, limits))
    }
}

/// The bytes that steps of consumers take at most.
fn cursor_bytes(moves: &[CursorMove]) -> usize {
    /// A step's numbers, and the definition of a stream that nobody has heard of.
    const STEP: usize = 2 * RECORD_HEADER + 64;
    let bytes = |one: &CursorMove| one.consumer.len() + one.stream.name.as_str().len() + STEP;
    moves.iter().map(bytes).sum::<usize>() + SEAL_OVERHEAD
}

/// The bytes that an append takes at most.
fn sizes(drafts: &[Draft], batch_bytes: usize) -> Result<usize, AppendError> {
    let mut bytes = TABLES;
    for draft in drafts {
        for (size, max) in [(draft.head.len(), MAX_HEAD), (draft.body.len(), MAX_BODY)] {
            if size > max {
                return Err(AppendError::TooLarge { bytes: size, max });
            }
        }
        // an origin may be new with every message
        let origin = draft
            .hop
            .as_ref()
            .map_or(0, |hop| RECORD_HEADER + hop.node.as_str().len());
        bytes += RECORD_HEADER + draft.head.len() + draft.body.len() + tenant::TAG + origin;
    }
    // each batch adds its header and tag; the largest records have one of their own
    Ok(bytes + (bytes / batch_bytes.max(1) + 2) * SEAL_OVERHEAD)
}
