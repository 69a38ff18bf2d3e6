//! Streams, the ways that they go, and messages that say themselves what they are.

use std::fmt;

use bytes::Bytes;

use crate::model::{Lane, Seq, StreamName};
use crate::wire::{ChannelKind, Record, RecordHeader, RecordKind};

/// A stream and its lane: one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// From the edge to the last node.
    Alarms,
    /// The same stream, with what is not urgent.
    Bulk,
    /// From the first relay to the edge, unasked.
    Back,
    /// From the last node to the edge, for a consumer whose filter leaves out every fifth.
    Down,
}

impl Key {
    pub(super) const ALL: [Self; 4] = [Self::Alarms, Self::Bulk, Self::Back, Self::Down];
    pub(super) const COUNT: usize = Self::ALL.len();

    pub(super) fn place(self) -> usize {
        self as usize
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alarms | Self::Bulk => "acme/up",
            Self::Back => "acme/back",
            Self::Down => "acme/down",
        }
    }

    pub(super) fn lane(self) -> Lane {
        match self {
            Self::Alarms => Lane::Critical,
            Self::Bulk => Lane::Low,
            Self::Back | Self::Down => Lane::Normal,
        }
    }

    pub(super) fn kind(self) -> ChannelKind {
        match self {
            Self::Down => ChannelKind::Deliver,
            _ => ChannelKind::Forward,
        }
    }

    /// Whether who is sent this stream wants that message.
    pub(super) fn wants(self, id: u64) -> bool {
        self != Self::Down || !id.is_multiple_of(5)
    }

    pub(super) fn of(stream: &StreamName, lane: Lane) -> Option<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|key| key.lane() == lane)
            .find(|key| key.name() == stream.as_str())
    }

    /// Where it is accepted, and the nodes that it passes after that, in a row of `nodes`.
    pub(super) fn way(self, nodes: usize) -> Vec<usize> {
        match self {
            Self::Alarms | Self::Bulk => (0..nodes).collect(),
            Self::Back => vec![1, 0],
            Self::Down => (0..nodes).rev().collect(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.lane().as_str())
    }
}

/// A message. Its content follows from it, so that anybody can tell whether it came as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) size: usize,
}

impl Message {
    pub(super) fn record(self, seq: u64, lane: Lane) -> Record {
        let mut header = RecordHeader::new(RecordKind::Message);
        (header.seq, header.lane) = (Seq(seq), lane);
        Record {
            header,
            head: Bytes::copy_from_slice(&self.id.to_le_bytes()),
            body: Bytes::from(vec![self.fill(); self.size]),
        }
    }

    pub(super) fn fill(self) -> u8 {
        (self.id % 251) as u8
    }

    /// What a record says it is, and whether all of it says so.
    pub(super) fn of(record: &Record) -> (Self, bool) {
        let head = record.head.first_chunk::<8>();
        let message = Self {
            id: head.map_or(u64::MAX, |id| u64::from_le_bytes(*id)),
            size: record.body.len(),
        };
        let is_intact = record.head.len() == 8 && record.body.iter().all(|b| *b == message.fill());
        (message, is_intact)
    }
}
