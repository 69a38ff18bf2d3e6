//! The sending half of a channel: what was sent, what is acknowledged, how much more may go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::link::app::OutboundChannel;
use crate::link::codes::{FORGED_ACK, REWOUND};
use crate::model::{Lane, Seq};
use crate::wire::{FrameHeader, FrameKind, Mark, Open, OpenAck, Refusal};

/// Below this much room a channel waits for acknowledgements instead of sending crumbs.
const CRUMB: u64 = 16 * 1024;

#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) open: Open,
    /// Where to begin when the receiver has nothing of this epoch.
    after: Seq,
    /// The newest seq that the receiver can have of this epoch.
    most: Seq,
    /// What it is known to have had.
    had: Option<Seq>,
    /// Its answer, if it says that it has more than it can have.
    ahead: Option<OpenAck>,
    /// Whether the receiver has answered.
    pub(super) ready: bool,
    /// Whether the store may have more than was read.
    pub(super) more: bool,
    /// Everything up to here was sent or skipped.
    pub(super) read: Seq,
    /// The last seq that was really sent.
    sent: Seq,
    pub(super) acked: Seq,
    window: u64,
    in_flight: VecDeque<Sent>,
    /// What is left of a batch of which pieces were sent.
    pub(super) rest: Option<Rest>,
    pub(super) bytes_in_flight: u64,
    /// The size of a record that did not fit.
    needs: u64,
    /// A batch that has arrived and is not acknowledged, and since when that is known.
    waiting: Option<(Seq, Instant)>,
}

#[derive(Debug)]
struct Sent {
    last: Seq,
    /// 0 for seqs that were skipped behind what is in flight.
    bytes: u64,
    /// Bytes of the session when all of it had been sent, once it has.
    through: Option<u64>,
}

/// What an acknowledgement came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acked {
    /// How far everything is done now.
    pub(super) seq: Seq,
    /// Bytes that are no longer in flight.
    pub(super) freed: u64,
    /// Bytes of the session that have arrived by that.
    pub(super) through: u64,
}

/// A batch that goes in pieces.
#[derive(Debug)]
pub(super) struct Rest {
    payload: Bytes,
    count: u32,
    /// The seq of its last record.
    last: Seq,
}

impl Outbound {
    pub(super) fn new(open: Open, channel: &OutboundChannel) -> Self {
        Self {
            open,
            after: channel.after,
            most: channel.sent,
            had: channel.had,
            ahead: None,
            ready: false,
            more: true,
            read: Seq::ZERO,
            sent: Seq::ZERO,
            acked: Seq::ZERO,
            window: 0,
            in_flight: VecDeque::new(),
            rest: None,
            bytes_in_flight: 0,
            needs: 0,
            waiting: None,
        }
    }

    /// Whether an answer to the channel can be the first.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.ready && self.ahead.is_none()
    }

    /// Whether the receiver says that it has more than it could have when the channel was opened; its
    /// answer is put aside then.
    pub(super) fn is_ahead(&mut self, ack: &OpenAck) -> bool {
        let is_ahead = ack.mark.epoch == self.open.epoch && ack.mark.seq > self.most;
        if is_ahead {
            self.ahead = Some(*ack);
        }
        is_ahead
    }

    /// By now it can have everything up to `most`; gives the answer that was put aside.
    pub(super) fn can_have(&mut self, most: Seq) -> Option<OpenAck> {
        self.most = self.most.max(most);
        self.ahead.take()
    }

    /// The receiver says where it stands; sending goes on from there, with at most `most` bytes under
    /// way. What it has of this epoch is acknowledged.
    pub(super) fn resume(&mut self, ack: &OpenAck, most: u64) -> Result<Seq, Refusal> {
        let is_known = ack.mark.epoch == self.open.epoch;
        let after = if is_known {
            if ack.mark.seq > self.most {
                return Err(Refusal::new(
                    REWOUND,
                    format!(
                        "the receiver has {} up to seq {}, the sender has sent it only up to {}",
                        self.open.stream, ack.mark.seq, self.most
                    ),
                ));
            }
            let lost_nothing = self.had.is_some_and(|had| had <= ack.mark.seq);
            if lost_nothing {
                // what it lacks, another receiver has
                ack.mark.seq.max(self.after)
            } else {
                ack.mark.seq
            }
        } else {
            self.after
        };
        self.ready = true;
        self.window = ack.window.min(most);
        (self.read, self.sent, self.acked) = (after, after, after);
        Ok(if is_known { ack.mark.seq } else { Seq::ZERO })
    }

    /// Takes a cumulative acknowledgement: how far everything is done now, if that is further than
    /// before, and the bytes that are no longer in flight.
    pub(super) fn ack(&mut self, mark: Mark) -> Result<Option<Acked>, Refusal> {
        if mark.epoch != self.open.epoch || mark.seq > self.sent || !self.ready {
            return Err(Refusal::new(
                FORGED_ACK,
                format!(
                    "acknowledged epoch {} seq {} of {}, sent was epoch {} seq {}",
                    mark.epoch, mark.seq, self.open.stream, self.open.epoch, self.sent
                ),
            ));
        }
        if mark.seq <= self.acked {
            return Ok(None);
        }
        self.acked = mark.seq;
        let (mut freed, mut through) = (0, 0);
        while let Some(sent) = self
            .in_flight
            .pop_front_if(|sent| sent.last <= mark.seq || sent.bytes == 0 && freed > 0)
        {
            freed += sent.bytes;
            through = sent.through.unwrap_or(0).max(through);
            self.acked = self.acked.max(sent.last);
        }
        self.bytes_in_flight -= freed;
        Ok(Some(Acked {
            seq: self.acked,
            freed,
            through,
        }))
    }

    /// How many bytes may be sent now, given what the session has left for this lane.
    pub(super) fn room(&self, session_room: u64) -> u64 {
        if !self.ready || !self.more {
            return 0;
        }
        let left = if self.bytes_in_flight == 0 {
            u64::MAX
        } else {
            self.window.saturating_sub(self.bytes_in_flight)
        };
        let room = left.min(session_room);
        let least = self.needs.max(CRUMB.min(self.window / 4)).max(1);
        if room >= least { room } else { 0 }
    }

    /// Notes that a batch up to `last` has been sent, in `bytes`.
    pub(super) fn note_sent(&mut self, last: Seq, bytes: u64) {
        self.note_begun(last, bytes);
        self.sent = last;
    }

    /// Notes that a batch up to `last` goes in pieces.
    pub(super) fn begin(&mut self, payload: Vec<u8>, count: u32, last: Seq) {
        self.note_begun(last, payload.len() as u64);
        self.rest = Some(Rest {
            payload: Bytes::from(payload),
            count,
            last,
        });
    }

    fn note_begun(&mut self, last: Seq, bytes: u64) {
        self.in_flight.push_back(Sent {
            last,
            bytes,
            through: None,
        });
        self.bytes_in_flight += bytes;
        self.read = last;
        self.needs = 0;
    }

    /// Notes that the newest batch is whole, at so many bytes of the session.
    pub(super) fn note_whole(&mut self, through: u64) {
        let batches = self.in_flight.iter_mut().rev();
        if let Some(newest) = batches.into_iter().find(|sent| sent.bytes > 0) {
            newest.through = Some(through);
        }
    }

    /// For how long the oldest batch has been there without an acknowledgement, if `received` bytes of
    /// the session have arrived.
    pub(super) fn waits(&mut self, received: u64, now: Instant) -> Option<Duration> {
        let oldest = self.in_flight.iter().find(|sent| sent.bytes > 0)?;
        if oldest.through.is_none_or(|through| through > received) {
            return None;
        }
        let since = match self.waiting {
            Some((last, since)) if last == oldest.last => since,
            _ => {
                self.waiting = Some((oldest.last, now));
                now
            }
        };
        Some(now.saturating_duration_since(since))
    }

    /// The next piece of a batch that was begun, no longer than `longest`, and its header.
    pub(super) fn next_piece(&mut self, longest: usize) -> Option<(FrameHeader, Bytes)> {
        let rest = self.rest.as_mut()?;
        let piece = rest.payload.split_to(longest.min(rest.payload.len()));
        let more = !rest.payload.is_empty();
        let header = FrameHeader {
            kind: FrameKind::Batch,
            lane: self.open.lane as u16,
            channel: self.open.channel,
            count: if more { 0 } else { rest.count },
            more,
        };
        if !more {
            self.sent = rest.last;
            self.rest = None;
        }
        Some((header, piece))
    }

    /// Notes that nothing up to `through` is to be sent. With nothing in flight that is as good as
    /// acknowledged: returns how far.
    pub(super) fn note_skipped(&mut self, through: Seq) -> Option<Seq> {
        if through <= self.read {
            return None;
        }
        self.read = through;
        match self.in_flight.back_mut() {
            None => {
                self.acked = through;
                return Some(through);
            }
            Some(sent) if sent.bytes == 0 => sent.last = through,
            Some(_) => self.in_flight.push_back(Sent {
                last: through,
                bytes: 0,
                through: None,
            }),
        }
        None
    }

    /// Notes that a record of `bytes` had no room.
    pub(super) fn note_too_big(&mut self, bytes: u64) {
        self.needs = bytes;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.in_flight.is_empty()
    }
}

/// The part of a session's window that `lane` may fill, so that bulk never shuts out an alarm.
pub(super) fn share(window: u64, lane: Lane) -> u64 {
    match lane {
        Lane::Critical => window,
        Lane::High => window - window / 8,
        Lane::Normal | Lane::Low => window - window / 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::app::Share;
    use crate::model::Epoch;
    use crate::wire::ChannelKind;

    fn channel() -> Outbound {
        known(None, 0)
    }

    /// A channel whose receiver had this much, while others have everything up to `after`.
    fn known(had: Option<u64>, after: u64) -> Outbound {
        let open = Open {
            channel: 1,
            kind: ChannelKind::Forward,
            stream: "acme/orders".parse().unwrap(),
            lane: Lane::Normal,
            epoch: Epoch(9),
            first: Seq(1),
            last: Seq(100),
            consumer: None,
        };
        let channel = OutboundChannel {
            kind: open.kind,
            stream: open.stream.clone(),
            lane: open.lane,
            share: Share::All,
            epoch: open.epoch,
            first: open.first,
            last: open.last,
            sent: Seq(90),
            had: had.map(Seq),
            after: Seq(after),
            consumer: None,
        };
        Outbound::new(open, &channel)
    }

    fn mark(epoch: u64, seq: u64) -> Mark {
        Mark {
            epoch: Epoch(epoch),
            seq: Seq(seq),
        }
    }

    fn acked(answer: Result<Option<Acked>, Refusal>) -> Option<(Seq, u64)> {
        answer.unwrap().map(|acked| (acked.seq, acked.freed))
    }

    fn answered(mark: Mark) -> OpenAck {
        OpenAck {
            channel: 1,
            mark,
            window: 1000,
        }
    }

    #[test]
    fn resumes_where_the_receiver_stands() {
        assert_eq!(
            channel().resume(&answered(mark(9, 40)), u64::MAX),
            Ok(Seq(40))
        );
        assert_eq!(
            channel().resume(&answered(mark(8, 40)), u64::MAX),
            Ok(Seq(0))
        );
        assert_eq!(
            channel().resume(&answered(mark(9, 90)), u64::MAX),
            Ok(Seq(90))
        );
        // there are a hundred, but ninety were sent: it has others
        let rewound = channel()
            .resume(&answered(mark(9, 91)), u64::MAX)
            .unwrap_err();
        assert_eq!(rewound.code, REWOUND);
    }

    #[test]
    fn what_was_sent_meanwhile_over_another_link_the_receiver_can_have() {
        let ahead = answered(mark(9, 95));
        let mut channel = channel();
        assert!(
            !channel.is_ahead(&answered(mark(9, 90))) && !channel.is_ahead(&answered(mark(8, 95)))
        );
        assert!(channel.is_unanswered() && channel.is_ahead(&ahead) && !channel.is_unanswered());
        assert_eq!(channel.can_have(Seq(96)), Some(ahead));
        assert_eq!(channel.can_have(Seq(1)), None);
        assert_eq!(channel.resume(&ahead, u64::MAX), Ok(Seq(95)));
    }

    #[test]
    fn what_another_receiver_has_goes_only_to_one_that_lost_some() {
        for (had, after, says, begins) in [
            (Some(40), 70, 40, 70),
            (Some(40), 70, 45, 70),
            (Some(40), 30, 45, 45),
            (Some(40), 70, 39, 39),
            (None, 70, 39, 39),
        ] {
            let mut channel = known(had, after);
            let acked = channel.resume(&answered(mark(9, says)), u64::MAX);
            assert_eq!(acked, Ok(Seq(says)));
            assert_eq!(channel.read, Seq(begins), "{had:?} {after} {says}");
        }
    }

    #[test]
    fn only_what_was_sent_can_be_acknowledged() {
        let mut channel = channel();
        assert_eq!(channel.ack(mark(9, 0)).unwrap_err().code, FORGED_ACK);
        channel.resume(&answered(mark(0, 0)), u64::MAX).unwrap();
        channel.note_sent(Seq(3), 300);
        channel.note_sent(Seq(5), 200);
        assert_eq!(channel.ack(mark(9, 6)).unwrap_err().code, FORGED_ACK);
        assert_eq!(channel.ack(mark(8, 3)).unwrap_err().code, FORGED_ACK);
        assert_eq!(acked(channel.ack(mark(9, 4))), Some((Seq(4), 300)));
        assert_eq!(acked(channel.ack(mark(9, 4))), None);
        assert_eq!(acked(channel.ack(mark(9, 5))), Some((Seq(5), 200)));
        assert!(channel.is_settled());
    }

    #[test]
    fn what_is_skipped_counts_as_done_in_its_turn() {
        let mut channel = channel();
        channel.resume(&answered(mark(0, 0)), u64::MAX).unwrap();
        assert_eq!(channel.note_skipped(Seq(2)), Some(Seq(2)));
        channel.note_sent(Seq(3), 300);
        assert_eq!(channel.note_skipped(Seq(7)), None);
        assert_eq!(channel.note_skipped(Seq(9)), None);
        assert_eq!(acked(channel.ack(mark(9, 3))), Some((Seq(9), 300)));
        assert!(channel.is_settled());
    }

    #[test]
    fn a_record_larger_than_the_window_goes_alone() {
        let mut channel = channel();
        channel.resume(&answered(mark(0, 0)), u64::MAX).unwrap();
        assert_eq!(channel.room(5000), 5000);
        channel.note_sent(Seq(1), 100);
        assert_eq!(channel.room(5000), 900);
        channel.note_too_big(4000);
        assert_eq!(channel.room(5000), 0);
        channel.ack(mark(9, 1)).unwrap();
        assert_eq!(channel.room(5000), 5000);
    }
}
