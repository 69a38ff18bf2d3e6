//! The node as its links see it.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::{Heard, Node, Write, consumer, place_of};
use crate::link::testing::messages::{Key, Message};
use crate::link::testing::plan::Break;
use crate::link::{
    CallStream, Caller, Chunk, ENDED, LinkApp, LinkState, Listening, NO_STREAM, NOT_ALLOWED,
    OutboundChannel, Peer, PeerHeartbeat, REWOUND,
};
use crate::model::{Seq, StreamName};
use crate::wire::{
    Backlog, ChannelKind, Greeting, Mark, Open, Record, Refusal, Start, Status, Subscribe, Target,
};

impl LinkApp for Node {
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        let state = self.state();
        if state.refuses {
            return Err(Refusal::new(NOT_ALLOWED, "not now"));
        }
        let key = Key::of(&open.stream, open.lane);
        let key = key.ok_or_else(|| Refusal::new(NO_STREAM, "no such stream"))?;
        let mark = state.disk.marks.get(&(place_of(peer), key));
        Ok(mark.copied().unwrap_or_default())
    }

    fn store(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let mut write = Some(Write {
            id: 0,
            peer: place_of(peer),
            key: Key::of(&open.stream, open.lane).unwrap(),
            epoch: open.epoch,
            bytes: records.iter().map(Record::encoded_len).sum(),
            records: records
                .iter()
                .map(|record| {
                    let (message, is_intact) = Message::of(record);
                    (record.header.seq, message, is_intact)
                })
                .collect(),
        });
        let (state, broken) = (Arc::clone(&self.state), self.broken);
        let mut id = 0;
        std::future::poll_fn(move |_| {
            let mut state = state.lock().unwrap();
            if let Some(mut write) = write.take() {
                state.next_write += 1;
                (id, write.id) = (state.next_write, state.next_write);
                let last = write.records.iter().map(|(seq, ..)| *seq).max().unwrap();
                state.writes.push_back(write);
                if broken == Some(Break::AckEarly) {
                    return Poll::Ready(Ok(last));
                }
            }
            state.results.remove(&id).map_or(Poll::Pending, Poll::Ready)
        })
    }

    fn subscribe(
        &self,
        peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal> {
        let mut state = self.state();
        if state.refuses {
            return Err(Refusal::new(NOT_ALLOWED, "not now"));
        }
        let peer = place_of(peer);
        let mut served = self
            .goes_to(peer)
            .filter(|key| key.kind() == ChannelKind::Deliver);
        let key = served
            .find(|key| key.name() == subscribe.stream.as_str())
            .ok_or_else(|| Refusal::new(NO_STREAM, "no such stream"))?;
        Ok(vec![state.channel(peer, key)])
    }

    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel> {
        let mut state = self.state();
        let peer = place_of(peer);
        self.goes_to(peer)
            .filter(|key| key.kind() == ChannelKind::Forward)
            .map(|key| state.channel(peer, key))
            .collect()
    }

    fn subscriptions(&self, peer: &Peer) -> Vec<Subscribe> {
        let way = Key::Down.way(self.nodes);
        let is_next = way.windows(2).any(|hop| hop == [place_of(peer), self.at]);
        if !is_next || self.state().unsubscribed {
            return Vec::new();
        }
        vec![Subscribe {
            consumer: consumer(),
            stream: Key::Down.name().parse().unwrap(),
            start: Start::Beginning,
        }]
    }

    fn read(
        &self,
        _peer: &Peer,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let mut state = self.state();
        state.reads += 1;
        let reads = state.reads;
        let key = Key::of(&channel.stream, channel.lane).unwrap();
        let held = state.held(key);
        if held.epoch != channel.epoch {
            return Err(Refusal::new(ENDED, "a new epoch has begun"));
        }
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        let skip = usize::try_from(after.0.saturating_sub(held.base)).unwrap();
        for (at, message) in held.messages.iter().enumerate().skip(skip) {
            let seq = held.base + at as u64 + 1;
            let is_left_out = self.broken == Some(Break::SkipSeq) && seq.is_multiple_of(7);
            if key.wants(message.id) && !is_left_out {
                let mut record = message.record(seq, channel.lane);
                if self.broken == Some(Break::Damage)
                    && reads.is_multiple_of(16)
                    && message.size > 0
                {
                    record.body = Bytes::from(vec![message.fill() ^ 1; message.size]);
                }
                bytes += record.encoded_len();
                let is_full = bytes > max_bytes || chunk.records.len() == max_records;
                if is_full && !chunk.records.is_empty() {
                    break;
                }
                chunk.records.push(record);
            }
            chunk.through = Seq(seq);
        }
        Ok(chunk)
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let mut state = self.state();
        let (peer, key) = (
            place_of(peer),
            Key::of(&channel.stream, channel.lane).unwrap(),
        );
        let cursor = state.cursors.get(&(peer, key)).copied();
        let held = state.held(key);
        if held.epoch != channel.epoch {
            return;
        }
        let before = cursor.filter(|mark| mark.epoch == held.epoch);
        let before = before.map_or(held.base, |mark| mark.seq.0.max(held.base));
        let count = usize::try_from(seq.0.saturating_sub(before)).unwrap();
        let skip = usize::try_from(before - held.base).unwrap();
        let of = held.messages.iter().skip(skip).take(count);
        let ids = of.map(|message| message.id).collect();
        let mark = Mark {
            epoch: held.epoch,
            seq: Seq(seq.0.max(before)),
        };
        state.cursors.insert((peer, key), mark);
        state.heard.push(Heard::Acked(peer, key, ids));
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn listen(&self, _channel: &OutboundChannel, _bell: &Arc<Notify>) -> Option<Listening> {
        None
    }

    fn backlog(&self, _channel: &OutboundChannel) -> Backlog {
        Backlog::default()
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {}

    fn peer_heartbeat(&self, _peer: &Peer, _heartbeat: PeerHeartbeat) {}

    fn notice(&self, _peer: &Peer) -> Option<Refusal> {
        None
    }

    fn linked(&self, peer: &Peer, _greeting: &Greeting, caller: Caller) {
        let heard = Heard::Linked(place_of(peer), caller);
        self.state().heard.push(heard);
    }

    fn called(&self, _peer: &Peer, _target: &Target, stream: CallStream) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.refuses {
            return Err(Refusal::new(NOT_ALLOWED, "not now"));
        }
        state.heard.push(Heard::Called(stream));
        Ok(())
    }

    fn sent(&self, _peer: &Peer, channel: &OutboundChannel) -> Seq {
        let key = Key::of(&channel.stream, channel.lane).unwrap();
        let mut state = self.state();
        let held = state.held(key);
        if held.epoch == channel.epoch {
            Seq(held.last())
        } else {
            channel.sent
        }
    }

    fn rewound(&self, _peer: &Peer, _channel: &OutboundChannel) {
        self.state().heard.push(Heard::Refused(REWOUND));
    }

    fn state(&self, _peer: &Peer, _state: &LinkState) {}

    fn refused(&self, _peer: &Peer, _stream: &StreamName, refusal: &Refusal) {
        self.state().heard.push(Heard::Refused(refusal.code));
    }
}
