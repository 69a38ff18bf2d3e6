//! Calls: byte streams in both directions beside the channels, each with a window of its own.
//!
//! A call goes through nobody's store: it lives as long as the link at most, and what it carries is for
//! the program that answers. Its bytes share the line with messages of the lane normal, piece by
//! piece in turn, so neither shuts out the other, and an alarm overtakes both.

use std::time::Instant;

use bytes::Bytes;

use super::{BROKEN, Event, OUTPUT_FOR_BATCHES, Phase, Session};
use crate::link::codes::{GOING_AWAY, NO_CALLS, TOO_MANY, WINDOW};
use crate::model::Lane;
use crate::wire::{
    CALL_WINDOW, CALLS, Call, Control, Frame, FrameHeader, FrameKind, MAX_CALL_DATA, MAX_CALLS,
    Refusal, Target,
};

/// One call, of either side.
#[derive(Debug, Default)]
pub(super) struct CallState {
    /// Whether the side that is called takes it.
    answered: bool,
    /// Bytes that the peer takes from here.
    credit: u64,
    /// Bytes that the peer may still send.
    granted: u64,
    /// Bytes that were used here and not granted again.
    used: u64,
    /// No more bytes go from here.
    ended_here: bool,
    /// No more bytes come.
    ended_there: bool,
}

impl CallState {
    fn is_over(&self) -> bool {
        self.ended_here && self.ended_there
    }
}

impl Session {
    /// Calls the peer. [`Event::Answered`] or [`Event::Refused`] follows.
    pub fn call(&mut self, target: Target) -> Result<u32, Refusal> {
        if !self.may_begin() {
            return Err(Refusal::new(GOING_AWAY, "the link ends"));
        }
        if self.peer_features & CALLS == 0 {
            let reason = format!("{} runs a version that takes no calls", self.peer);
            return Err(Refusal::new(NO_CALLS, reason));
        }
        let own = self.calls.keys().filter(|number| self.is_own(**number));
        let number = (own.count() < MAX_CALLS).then(|| self.take_number());
        let number = number
            .flatten()
            .ok_or_else(|| Refusal::new(TOO_MANY, format!("{MAX_CALLS} calls are under way")))?;
        let state = CallState {
            granted: CALL_WINDOW,
            ..CallState::default()
        };
        self.calls.insert(number, state);
        self.put(&Control::Call(
            number,
            Call {
                target,
                window: CALL_WINDOW,
            },
        ));
        Ok(number)
    }

    /// Takes a call of the peer.
    pub fn answer(&mut self, number: u32) {
        if let Some(call) = self.calls.get_mut(&number)
            && !call.answered
        {
            (call.answered, call.granted) = (true, CALL_WINDOW);
            self.put(&Control::CallCredit(number, CALL_WINDOW));
        }
    }

    /// How many bytes of a call may go now.
    pub fn call_room(&mut self, number: u32, now: Instant) -> usize {
        self.shaper.fill(now);
        let may_send = self.phase == Phase::Open
            && self.output.len() - self.written < OUTPUT_FOR_BATCHES
            && self.pace.may_send(Lane::Normal)
            // somebody waits for the answer, whatever time of the day it is
            && self.shaper.may_send(Lane::High)
            && !(self.call_was_last && self.can_read());
        let call = self.calls.get(&number);
        let call = call.filter(|call| may_send && call.answered && !call.ended_here);
        let room = call.map_or(0, |call| call.credit.min(self.piece()));
        usize::try_from(room).map_or(MAX_CALL_DATA, |room| room.min(MAX_CALL_DATA))
    }

    /// Sends bytes of a call, no more than there is room for.
    pub fn send_on_call(&mut self, number: u32, bytes: &[u8], now: Instant) {
        if bytes.is_empty() || bytes.len() > self.call_room(number, now) {
            return;
        }
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let count = bytes.len() as u64;
        call.credit -= count;
        let header = FrameHeader::control(FrameKind::CallData, number);
        header.encode(&mut self.output, |out| out.extend_from_slice(bytes));
        self.pace.on_sent(count, now);
        self.shaper.on_sent(count);
        self.call_was_last = true;
    }

    /// Notes that `bytes` of a call were used here: the peer may send as many again.
    pub fn used_of_call(&mut self, number: u32, bytes: usize) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.used += bytes as u64;
        if call.used >= CALL_WINDOW / 4 && !call.ended_there {
            let used = std::mem::take(&mut call.used);
            call.granted += used;
            self.put(&Control::CallCredit(number, used));
        }
    }

    /// No more bytes of a call go from here. Those of the peer may still come.
    pub fn end_call(&mut self, number: u32) {
        if let Some(call) = self.calls.get_mut(&number)
            && !call.ended_here
        {
            call.ended_here = true;
            let is_over = call.is_over();
            self.put(&Control::CallEnd(number));
            if is_over {
                self.calls.remove(&number);
            }
        }
    }

    pub(super) fn on_call(&mut self, number: u32, call: Call) -> Result<(), Refusal> {
        self.take_number_of_peer(number)?;
        let of_peer = self.calls.keys().filter(|number| !self.is_own(**number));
        if self.draining {
            let refusal = Refusal::new(GOING_AWAY, "the node ends its links");
            self.put(&Control::Refuse(number, refusal));
        } else if of_peer.count() >= MAX_CALLS {
            let refusal = Refusal::new(TOO_MANY, format!("{MAX_CALLS} calls are under way"));
            self.put(&Control::Refuse(number, refusal));
        } else {
            let state = CallState {
                credit: call.window.min(CALL_WINDOW),
                ..CallState::default()
            };
            self.calls.insert(number, state);
            self.events.push_back(Event::Called(number, call.target));
        }
        Ok(())
    }

    pub(super) fn on_call_credit(&mut self, number: u32, bytes: u64) -> Result<(), Refusal> {
        self.check_number(number)?;
        let is_own = self.is_own(number);
        let Some(call) = self.calls.get_mut(&number) else {
            return Ok(()); // it ended while this was on its way
        };
        call.credit = call.credit.saturating_add(bytes);
        if call.credit > CALL_WINDOW {
            return Err(Refusal::new(WINDOW, "more credit than a call has"));
        }
        if is_own && !std::mem::replace(&mut call.answered, true) {
            self.events.push_back(Event::Answered(number));
        }
        Ok(())
    }

    pub(super) fn on_call_data(&mut self, frame: &Frame) -> Result<(), Refusal> {
        if self.phase == Phase::Greeting {
            return Err(Refusal::new(BROKEN, "no greeting first"));
        }
        let number = frame.header.channel;
        self.check_number(number)?;
        let bytes = frame.payload.len() as u64;
        self.received += bytes;
        // nobody acknowledges a call: told at once, or the line seems to stand
        self.acks_due = true;
        let Some(call) = self.calls.get_mut(&number) else {
            return Ok(()); // it ended while this was on its way
        };
        if !call.answered || call.ended_there {
            return Err(Refusal::new(BROKEN, "bytes of a call out of turn"));
        }
        call.granted = call
            .granted
            .checked_sub(bytes)
            .ok_or_else(|| Refusal::new(WINDOW, "more bytes of a call than were granted"))?;
        // a copy: the buffer of the socket would be kept for a few bytes as long as nobody reads them
        let bytes = Bytes::copy_from_slice(&frame.payload);
        self.events.push_back(Event::CallData(number, bytes));
        Ok(())
    }

    pub(super) fn on_call_end(&mut self, number: u32) -> Result<(), Refusal> {
        self.check_number(number)?;
        let Some(call) = self.calls.get_mut(&number) else {
            return Ok(());
        };
        if !call.answered || std::mem::replace(&mut call.ended_there, true) {
            return Err(Refusal::new(BROKEN, "the end of a call out of turn"));
        }
        if call.is_over() {
            self.calls.remove(&number);
        }
        self.events.push_back(Event::CallEnded(number));
        Ok(())
    }
}
