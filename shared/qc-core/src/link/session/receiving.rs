//! The receiving side: taking streams and batches, acknowledging what is on disk.

use super::inbound::Inbound;
use super::{BROKEN, Event, OUTPUT_FOR_BATCHES, Phase, Session};
use crate::link::codes::{NOT_ASKED, TOO_MANY, WINDOW};
use crate::model::Seq;
use crate::wire::{
    Ack, ChannelKind, Control, Frame, MAX_CHANNELS, Mark, Open, OpenAck, Refusal, Subscribe,
};

impl Session {
    /// Takes a channel that the peer opened: everything up to `mark` is on disk already.
    pub fn accept(&mut self, channel: u32, mark: Mark) {
        let window = self.config.channel_window;
        if let Some(inbound) = self.inbound.get_mut(&channel)
            && !inbound.accepted
        {
            inbound.accept(mark, window);
            self.put(&Control::OpenAck(OpenAck {
                channel,
                mark,
                window,
            }));
        }
    }

    /// Everything of `channel` up to `seq` is on disk. The acknowledgement goes with the next bytes.
    pub fn durable(&mut self, channel: u32, seq: Seq) {
        if let Some(inbound) = self.inbound.get_mut(&channel) {
            self.unacked_bytes -= inbound.note_durable(seq);
            self.acks_due = true;
        }
    }

    /// Asks the peer for a stream; `None` when that is not possible now.
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Option<u32> {
        if !self.may_begin() || self.subscriptions.len() >= MAX_CHANNELS {
            return None;
        }
        let number = self.take_number()?;
        self.put(&Control::Subscribe(number, subscribe.clone()));
        self.subscriptions.insert(number, subscribe);
        Some(number)
    }

    pub(super) fn on_open(&mut self, open: Open) -> Result<(), Refusal> {
        self.take_number_of_peer(open.channel)?;
        if self.draining {
            return Ok(());
        }
        if self.inbound.len() >= MAX_CHANNELS {
            return Err(Refusal::new(TOO_MANY, "too many channels"));
        }
        let asked = open.kind == ChannelKind::Forward
            || self.subscriptions.values().any(|subscription| {
                subscription.stream == open.stream
                    && Some(&subscription.consumer) == open.consumer.as_ref()
            });
        if asked {
            self.inbound
                .insert(open.channel, Box::new(Inbound::new(open.clone())));
            self.events.push_back(Event::Opened(open));
        } else {
            let refusal = Refusal::new(NOT_ASKED, format!("{} was not asked for", open.stream));
            self.put(&Control::Refuse(open.channel, refusal));
        }
        Ok(())
    }

    pub(super) fn on_batch(&mut self, frame: Frame) -> Result<(), Refusal> {
        if self.phase == Phase::Greeting {
            return Err(Refusal::new(BROKEN, "no greeting first"));
        }
        let number = frame.header.channel;
        self.check_number(number)?;
        if self.is_own(number) {
            return Err(Refusal::new(BROKEN, "a batch on a channel of the receiver"));
        }
        let bytes = frame.payload.len() as u64;
        self.received += bytes;
        let Some(inbound) = self.inbound.get_mut(&number) else {
            return Ok(()); // refused while it was on its way
        };
        if !inbound.accepted {
            return Err(Refusal::new(BROKEN, "a batch before the answer"));
        }
        if self.draining {
            return Ok(());
        }
        let of_others = self.unacked_bytes - inbound.begun();
        if of_others > 0 && self.unacked_bytes + bytes > self.config.window {
            return Err(Refusal::new(WINDOW, "more bytes than the session takes"));
        }
        let records = inbound.take(frame)?;
        self.unacked_bytes += bytes;
        if let Some(records) = records {
            self.events.push_back(Event::Batch(number, records));
        }
        Ok(())
    }

    /// Answers what has arrived: that it has, and what of it is on disk.
    pub(super) fn flush_acks(&mut self) {
        let step = self.config.least_under_way / 2;
        // one word about it waits at a time: the next one says more
        let much_arrived = self.told_waits == 0 && self.received - self.received_told >= step;
        if !(self.acks_due || much_arrived)
            || self.phase == Phase::Closed
            || self.output.len() - self.written >= OUTPUT_FOR_BATCHES
        {
            return;
        }
        self.acks_due = false;
        let due: Vec<Ack> = self
            .inbound
            .values_mut()
            .filter_map(|inbound| inbound.ack_due())
            .collect();
        for ack in due {
            self.put(&Control::Ack(ack));
        }
        self.tell_received();
    }

    /// Tells the peer how much has arrived, unless it knows.
    pub(super) fn tell_received(&mut self) {
        if self.received > self.received_told {
            self.received_told = self.received;
            self.put(&Control::Received(self.received));
            self.told_waits = self.output.len() - self.written;
        }
    }
}
