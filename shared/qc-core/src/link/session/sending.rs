//! The sending side: announcing streams, reading what may go, taking acknowledgements.

use std::collections::BTreeSet;
use std::time::Instant;

use super::outbound::{Outbound, share};
use super::{BROKEN, Event, OUTPUT_FOR_BATCHES, Phase, ReadPermit, Session};
use crate::link::app::{Chunk, OutboundChannel};
use crate::link::codes::{NO_PARTS, TOO_MANY};
use crate::model::{Lane, Seq};
use crate::wire::{
    Ack, Control, FrameHeader, FrameKind, MAX_CHANNELS, MAX_FRAME, MAX_PIECE, Open, OpenAck, PARTS,
    Record, RecordKind, Refusal, Subscribe,
};

/// What a session may send next.
enum Turn {
    /// The next piece of a batch of this channel.
    Piece(u32),
    /// Something new.
    Read(ReadPermit),
}

impl Session {
    /// Announces a stream to the peer; `None` when that is not possible now.
    pub fn open(&mut self, channel: &OutboundChannel) -> Option<u32> {
        if !self.may_begin() || self.outbound.len() >= MAX_CHANNELS {
            return None;
        }
        let number = self.take_number()?;
        let open = Open {
            channel: number,
            kind: channel.kind,
            stream: channel.stream.clone(),
            lane: channel.lane,
            epoch: channel.epoch,
            first: channel.first,
            last: channel.last,
            consumer: channel.consumer.clone(),
        };
        self.put(&Control::Open(open.clone()));
        self.outbound
            .insert(number, Box::new(Outbound::new(open, channel)));
        Some(number)
    }

    /// Whether so many channels more may be open.
    pub fn has_room_for(&self, more: usize) -> bool {
        self.outbound.len() + more <= MAX_CHANNELS
    }

    /// The store may have more for every outbound channel.
    pub fn more_to_read(&mut self) {
        for channel in self.outbound.values_mut() {
            channel.more = true;
        }
    }

    /// Which channel may send next: the most urgent lane first, channels of one lane in turn. Answer
    /// with [`Session::send`]. What is left of batches that go in pieces is sent in between.
    pub fn next_read(&mut self, now: Instant) -> Option<ReadPermit> {
        // answers come first: the output is never so full of batches that the peer hears none
        self.flush_acks();
        self.shaper.fill(now);
        loop {
            let turn = self.turn()?;
            self.call_was_last = false;
            match turn {
                Turn::Piece(number) => {
                    self.last_served = number;
                    self.send_piece(number, now);
                }
                Turn::Read(permit) => {
                    self.last_served = permit.channel;
                    return Some(permit);
                }
            }
        }
    }

    /// Whether [`Session::next_read`] has something to do.
    pub fn can_read(&self) -> bool {
        self.turn().is_some()
    }

    /// Sends what was read for `permit`. What does not fit is left for the next permit. Returns
    /// whether the channel has come any further.
    pub fn send(&mut self, permit: ReadPermit, chunk: &Chunk, now: Instant) -> bool {
        let Some(channel) = self.outbound.get(&permit.channel) else {
            return false;
        };
        let room = channel.room(self.session_room(channel));
        let piece = self.piece();
        let Some(channel) = self.outbound.get_mut(&permit.channel) else {
            return false;
        };
        if !channel.ready || channel.read != permit.after {
            return false;
        }
        let takes_parts = self.peer_features & PARTS != 0;
        let is_for_peer = |record: &Record| takes_parts || record.header.part_of().is_whole();
        let is_new = |record: &&Record| record.header.seq > permit.after;
        let next = chunk.records.iter().find(is_new);
        if next.is_some_and(|record| !is_for_peer(record)) {
            self.hold_parts(permit.channel);
            return false;
        }
        let (mut bytes, mut last, mut left) = (0, permit.after, None);
        let mut picked = Vec::with_capacity(chunk.records.len());
        let mut looked_at = permit.after;
        for record in &chunk.records {
            if record.header.kind == RecordKind::Message && record.header.seq > last {
                let size = record.encoded_len() as u64;
                if bytes + size > room.min(MAX_FRAME as u64) || !is_for_peer(record) {
                    left = Some(size);
                    break;
                }
                bytes += size;
                last = record.header.seq;
                picked.push(record);
            }
            looked_at = looked_at.max(record.header.seq);
        }
        if !picked.is_empty() {
            let count = u32::try_from(picked.len()).unwrap_or(u32::MAX);
            let (number, epoch) = (permit.channel, channel.open.epoch);
            let write = |out: &mut Vec<u8>| {
                for record in &picked {
                    let mut header = record.header;
                    header.stream = number;
                    header.epoch = epoch;
                    header.origin.node = 0;
                    header.encode(&record.head, &record.body, out);
                }
            };
            self.bytes_in_flight += bytes;
            if bytes <= piece {
                let header = FrameHeader {
                    kind: FrameKind::Batch,
                    lane: channel.open.lane as u16,
                    channel: number,
                    count,
                    more: false,
                };
                header.encode(&mut self.output, write);
                channel.note_sent(last, bytes);
                self.pace.on_sent(bytes, now);
                self.shaper.on_sent(bytes);
                channel.note_whole(self.pace.totals().0);
            } else {
                let mut payload = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
                write(&mut payload);
                channel.begin(payload, count, last);
            }
        }
        match left {
            None => looked_at = looked_at.max(chunk.through),
            Some(size) if picked.is_empty() => channel.note_too_big(size),
            Some(_) => {}
        }
        if let Some(acked) = channel.note_skipped(looked_at) {
            self.events.push_back(Event::Acked(permit.channel, acked));
        }
        let further = channel.read > permit.after;
        if left.is_none() && !further {
            channel.more = false;
        }
        if channel.rest.is_some() {
            self.send_piece(permit.channel, now);
        }
        further
    }

    /// The next record of a channel is a part, and the peer takes none: the channel waits for a peer that does.
    fn hold_parts(&mut self, number: u32) {
        let reason = format!(
            "{} runs a version that takes no messages in parts",
            self.peer
        );
        let refusal = Refusal::new(NO_PARTS, reason);
        self.events
            .push_back(Event::Refused(number, refusal.clone()));
        self.refuse(number, refusal);
    }

    /// How long a frame may be: so short that what is urgent waits neither for the line nor for a limit.
    pub(super) fn piece(&self) -> u64 {
        self.pace.piece().min(self.shaper.piece())
    }

    /// Sends a piece of a batch that was begun.
    fn send_piece(&mut self, number: u32, now: Instant) {
        let longest = usize::try_from(self.piece()).unwrap_or(MAX_PIECE);
        let piece = self
            .outbound
            .get_mut(&number)
            .and_then(|channel| channel.next_piece(longest.min(MAX_PIECE)));
        if let Some((header, piece)) = piece {
            header.encode(&mut self.output, |out| out.extend_from_slice(&piece));
            self.pace.on_sent(piece.len() as u64, now);
            self.shaper.on_sent(piece.len() as u64);
            if let (false, Some(channel)) = (header.more, self.outbound.get_mut(&number)) {
                channel.note_whole(self.pace.totals().0);
            }
        }
    }

    /// Grants a subscription of the peer; open a channel for it next.
    pub fn allow(&mut self, number: u32) {
        if self.subscribers.contains(&number) {
            self.put(&Control::SubscribeAck(number));
        }
    }

    pub(super) fn on_open_ack(&mut self, ack: &OpenAck) -> Result<(), Refusal> {
        self.check_own_number(ack.channel)?;
        let Some(outbound) = self.outbound.get_mut(&ack.channel) else {
            return Ok(());
        };
        if !outbound.is_unanswered() {
            return Err(Refusal::new(BROKEN, "a channel answered twice"));
        }
        if outbound.is_ahead(ack) {
            self.events.push_back(Event::Ahead(ack.channel));
        } else {
            self.resume(ack);
        }
        Ok(())
    }

    /// The answer to [`Event::Ahead`]: everything up to `most` may have been sent to the peer by now, over
    /// whichever link.
    pub fn may_have(&mut self, channel: u32, most: Seq) {
        let outbound = self.outbound.get_mut(&channel);
        if let Some(ack) = outbound.and_then(|outbound| outbound.can_have(most)) {
            self.resume(&ack);
        }
    }

    /// A channel goes on where the receiver stands, or ends if nobody can stand there.
    fn resume(&mut self, ack: &OpenAck) {
        let Some(outbound) = self.outbound.get_mut(&ack.channel) else {
            return;
        };
        match outbound.resume(ack, self.config.channel_window) {
            Ok(acked) if acked > Seq::ZERO => {
                self.events.push_back(Event::Acked(ack.channel, acked));
            }
            Ok(_) => {}
            Err(refusal) => {
                self.events
                    .push_back(Event::Rewound(ack.channel, refusal.clone()));
                self.refuse(ack.channel, refusal);
            }
        }
    }

    pub(super) fn on_ack(&mut self, ack: Ack, now: Instant) -> Result<(), Refusal> {
        self.check_own_number(ack.channel)?;
        let Some(outbound) = self.outbound.get_mut(&ack.channel) else {
            return Ok(());
        };
        if let Some(acked) = outbound.ack(ack.mark)? {
            self.bytes_in_flight -= acked.freed;
            self.pace.on_acked(acked.through, now);
            self.events.push_back(Event::Acked(ack.channel, acked.seq));
        }
        Ok(())
    }

    pub(super) fn on_subscribe(
        &mut self,
        number: u32,
        subscribe: Subscribe,
    ) -> Result<(), Refusal> {
        self.take_number_of_peer(number)?;
        if self.draining {
            return Ok(());
        }
        if self.subscribers.len() >= MAX_CHANNELS {
            return Err(Refusal::new(TOO_MANY, "too many subscriptions"));
        }
        self.subscribers.insert(number);
        self.events.push_back(Event::Subscribe(number, subscribe));
        Ok(())
    }

    /// What goes next, if there is anything and the line takes it.
    fn turn(&self) -> Option<Turn> {
        if self.phase != Phase::Open || self.output.len() - self.written >= OUTPUT_FOR_BATCHES {
            return None;
        }
        let (may_begin, last) = (self.may_begin(), self.last_served);
        let with_rest = self.outbound.values().filter(|other| other.rest.is_some());
        let begun: BTreeSet<Lane> = with_rest.map(|other| other.open.lane).collect();
        let room = |channel: &Outbound| match &channel.rest {
            Some(_) => u64::MAX,
            // one batch of a lane at a time is held in memory
            None if may_begin && !begun.contains(&channel.open.lane) => {
                channel.room(self.session_room(channel))
            }
            None => 0,
        };
        let (number, room, channel) = self
            .outbound
            .iter()
            .filter(|(_, channel)| {
                let lane = channel.open.lane;
                self.pace.may_send(lane) && self.shaper.may_send(lane)
            })
            .map(|(number, channel)| (*number, room(channel), channel))
            .filter(|(_, room, _)| *room > 0)
            .min_by_key(|(number, _, channel)| (channel.open.lane, *number <= last, *number))?;
        if channel.rest.is_some() {
            return Some(Turn::Piece(number));
        }
        Some(Turn::Read(ReadPermit {
            channel: number,
            after: channel.read,
            max_records: self.config.batch_records,
            max_bytes: usize::try_from(room)
                .unwrap_or(usize::MAX)
                .min(self.config.batch_bytes),
        }))
    }

    fn session_room(&self, channel: &Outbound) -> u64 {
        if self.bytes_in_flight == 0 {
            u64::MAX
        } else {
            share(self.peer_window, channel.open.lane).saturating_sub(self.bytes_in_flight)
        }
    }
}
