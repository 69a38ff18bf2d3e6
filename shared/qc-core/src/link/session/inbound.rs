//! The receiving half of a channel: what has arrived, what is on disk, what the sender may still
//! send.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::link::codes::{FRAME, ORDER, WINDOW};
use crate::model::Seq;
use crate::wire::{Ack, Frame, MAX_FRAME, Mark, Open, RecordHeader, RecordKind, Records, Refusal};

/// How far beyond what has come a batch in pieces is given room; a read has the rest of 64 KiB.
const JOIN_STEP: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) open: Open,
    /// Whether the application has taken the channel.
    pub(super) accepted: bool,
    window: u64,
    received: Seq,
    durable: Seq,
    /// The last position that was sent as an acknowledgement.
    told: Seq,
    unacked: VecDeque<(Seq, u64)>,
    /// Bytes that have arrived and are not acknowledged, those of `begun` among them.
    pub(super) unacked_bytes: u64,
    /// The pieces of a batch that is not whole yet.
    begun: Vec<u8>,
}

impl Inbound {
    pub(super) fn new(open: Open) -> Self {
        Self {
            open,
            accepted: false,
            window: 0,
            received: Seq::ZERO,
            durable: Seq::ZERO,
            told: Seq::ZERO,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            begun: Vec::new(),
        }
    }

    pub(super) fn accept(&mut self, mark: Mark, window: u64) {
        self.accepted = true;
        self.window = window;
        if mark.epoch == self.open.epoch {
            (self.received, self.durable, self.told) = (mark.seq, mark.seq, mark.seq);
        }
    }

    /// Checks a batch or a piece of one against everything that was agreed; returns the records of a
    /// batch that is whole.
    pub(super) fn take(&mut self, frame: Frame) -> Result<Option<Records>, Refusal> {
        let piece = frame.payload.len() as u64;
        let bytes = self.begun.len() as u64 + piece;
        // a batch alone may be longer than the window, but not longer than any
        let is_alone = self.unacked_bytes == self.begun.len() as u64;
        if (!is_alone && self.unacked_bytes + piece > self.window) || bytes > MAX_FRAME as u64 {
            return Err(Refusal::new(
                WINDOW,
                format!("{bytes} bytes of {} exceed the window", self.open.stream),
            ));
        }
        if frame.header.lane != self.open.lane as u16 {
            return Err(self.out_of_order("another lane"));
        }
        self.unacked_bytes += piece;
        let count = frame.header.count;
        let Some(payload) = self.join(frame.header.more, frame.payload) else {
            return Ok(None);
        };
        let (mut last, mut odd) = (self.received, None);
        let records = decode(payload, count, |header| {
            if header.kind != RecordKind::Message {
                odd = odd.or(Some("a record that is no message"));
            } else if header.stream != self.open.channel || header.epoch != self.open.epoch {
                odd = odd.or(Some("a record of another channel or epoch"));
            } else if header.seq <= last {
                odd = odd.or(Some("a seq that does not rise"));
            }
            last = header.seq;
        })?;
        if let Some(what) = odd {
            return Err(self.out_of_order(what));
        }
        self.received = last;
        self.unacked.push_back((last, bytes));
        Ok(Some(records))
    }

    /// The payload of a whole batch, once its last piece is there. No more is allocated than has
    /// arrived and one step beyond.
    fn join(&mut self, more: bool, piece: Bytes) -> Option<Bytes> {
        if self.begun.is_empty() && !more {
            return Some(piece);
        }
        if self.begun.capacity() - self.begun.len() < piece.len() {
            // no more than has arrived, and no more than a step beyond
            let step = self.begun.len().min(JOIN_STEP);
            self.begun.reserve_exact(piece.len().max(step));
        }
        self.begun.extend_from_slice(&piece);
        (!more).then(|| Bytes::from(std::mem::take(&mut self.begun)))
    }

    /// Forgets a batch that is not whole yet; gives its bytes.
    pub(super) fn discard_begun(&mut self) -> u64 {
        let bytes = self.begun();
        self.begun = Vec::new();
        self.unacked_bytes -= bytes;
        bytes
    }

    /// Bytes of a batch that is not whole yet.
    pub(super) fn begun(&self) -> u64 {
        self.begun.len() as u64
    }

    /// Notes that everything up to `seq` is on disk; returns the bytes the sender may send instead.
    /// A seq beyond what has arrived counts as far as that.
    pub(super) fn note_durable(&mut self, seq: Seq) -> u64 {
        self.durable = self.durable.max(seq.min(self.received));
        let mut freed = 0;
        while let Some((_, bytes)) = self.unacked.pop_front_if(|(last, _)| *last <= self.durable) {
            freed += bytes;
        }
        self.unacked_bytes -= freed;
        freed
    }

    /// The acknowledgement that is due, if the sender has not been told yet.
    pub(super) fn ack_due(&mut self) -> Option<Ack> {
        (self.durable > self.told).then(|| {
            self.told = self.durable;
            self.position()
        })
    }

    /// How far this channel is on disk.
    pub(super) fn position(&self) -> Ack {
        Ack {
            channel: self.open.channel,
            mark: Mark {
                epoch: self.open.epoch,
                seq: self.durable,
            },
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unacked_bytes == 0 && self.durable == self.told
    }

    fn out_of_order(&self, what: &str) -> Refusal {
        Refusal::new(ORDER, format!("{what} in a batch of {}", self.open.stream))
    }
}

fn decode(payload: Bytes, count: u32, look: impl FnMut(&RecordHeader)) -> Result<Records, Refusal> {
    let wrong = |what: &dyn std::fmt::Display| Refusal::new(FRAME, format!("batch: {what}"));
    let records = Records::check(payload, look).map_err(|error| wrong(&error))?;
    if records.len() == 0 || records.len() != count as usize {
        return Err(wrong(&"the number of records is not as announced"));
    }
    Ok(records)
}
