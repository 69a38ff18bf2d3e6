//! One commit while it is put together: its bytes, and what it changes once they are on disk.

use std::collections::HashMap;

use super::command::Answer;
use super::index::Piece;
use super::view::{MarkKey, StreamView, View};
use super::{CursorState, Value};
use crate::model::{Epoch, NodeName, Seq};
use crate::wire::Record;

/// One commit while it is put together.
#[derive(Default)]
pub(super) struct Staged {
    /// Sealed batches, and the one that is being filled.
    pub(super) frame: Vec<u8>,
    /// Where the batch that is being filled begins, and its records.
    pub(super) batch: Option<usize>,
    pub(super) batch_records: u32,
    pub(super) records: u32,
    pub(super) messages: u64,
    pub(super) accepted_bytes: u64,
    pub(super) pieces: Vec<Piece>,
    /// Streams in which there is more to read by this commit; some may stand here twice.
    pub(super) touched: Vec<u32>,
    pub(super) changes: Vec<Change>,
    /// Where cursors stand by this commit.
    pub(super) cursors: HashMap<(u32, String), CursorState>,
    pub(super) trims: Vec<(u32, Seq)>,
    pub(super) tail: Vec<Record>,
    pub(super) answers: Vec<Answer>,
    pub(super) sync_us: u64,
}

/// What a commit changes beside messages.
pub(super) enum Change {
    Stream(u32, StreamView),
    Origin(u32, NodeName),
    Mark(MarkKey, Epoch, Seq),
    Cursor(u32, String, CursorState),
    Gap(u32, Seq, Seq),
    Value(String, Option<Value>),
    Duplicates(u32, u64),
}

impl Change {
    pub(super) fn apply(self, view: &mut View) {
        match self {
            Self::Stream(id, stream) => view.define(id, stream),
            Self::Origin(id, name) => drop(view.origins.insert(id, name)),
            Self::Mark(key, epoch, seq) => drop(view.marks.insert(key, (epoch, seq))),
            Self::Cursor(id, consumer, state) => drop(view.cursors.insert((id, consumer), state)),
            Self::Gap(id, first, last) => {
                if let Some(stream) = view.streams.get_mut(&id) {
                    stream.gaps.insert(first, last);
                    stream.last = stream.last.max(last);
                }
            }
            Self::Value(key, Some(value)) => drop(view.values.insert(key, value)),
            Self::Value(key, None) => drop(view.values.remove(&key)),
            Self::Duplicates(id, count) => {
                if let Some(stream) = view.streams.get_mut(&id) {
                    stream.duplicates += count;
                }
            }
        }
    }
}

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0 && self.answers.is_empty() && self.changes.is_empty()
    }

    /// Has `answer` given when the commit is on disk.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    pub(super) fn take_answers(&mut self) -> impl Iterator<Item = Answer> {
        std::mem::take(&mut self.answers).into_iter()
    }

    /// Empties it and keeps its memory, unless a giant has passed.
    pub(super) fn clear(&mut self) {
        const KEEP: usize = 6 << 20;
        self.frame.clear();
        self.frame.shrink_to(KEEP);
        (self.batch, self.batch_records) = (None, 0);
        (self.records, self.messages, self.accepted_bytes) = (0, 0, 0);
        self.pieces.clear();
        self.touched.clear();
        self.changes.clear();
        self.cursors.clear();
        self.trims.clear();
        self.tail.clear();
        self.answers.clear();
    }

    /// Gives back memory that a busy time has left.
    pub(super) fn rest(&mut self) {
        const REST: usize = 256 << 10;
        self.frame.shrink_to(REST);
        self.tail.shrink_to(REST / size_of::<Record>());
    }
}

impl Staged {
    /// What this commit has made of a value so far, if it has touched it.
    #[expect(
        clippy::option_option,
        reason = "untouched and deleted are not the same"
    )]
    pub(super) fn value(&self, key: &str) -> Option<Option<Value>> {
        self.changes.iter().rev().find_map(|change| match change {
            Change::Value(of, value) if of == key => Some(value.clone()),
            _ => None,
        })
    }
}
