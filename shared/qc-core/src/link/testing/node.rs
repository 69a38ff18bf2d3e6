//! A node: what it has on disk, what it has in memory only, and the `LinkApp` around both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::watch;

use super::plan::Break;
use crate::link::{
    CallStream, Caller, Chunk, LinkApp, LinkState, NO_STREAM, NOT_ALLOWED, OutboundChannel, Peer,
    PeerHeartbeat,
};
use crate::model::{Epoch, Lane, Seq, StreamName};
use crate::wire::{
    Backlog, ChannelKind, Code, Consumer, Mark, Open, Record, RecordHeader, RecordKind, Refusal,
    Start, Status, Subscribe, Target,
};

/// What a store says that has no room.
pub(super) const DISK_FULL: Code = Code::new(3302);

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

    fn name(self) -> &'static str {
        match self {
            Self::Alarms | Self::Bulk => "acme/up",
            Self::Back => "acme/back",
            Self::Down => "acme/down",
        }
    }

    fn lane(self) -> Lane {
        match self {
            Self::Alarms => Lane::Critical,
            Self::Bulk => Lane::Low,
            Self::Back | Self::Down => Lane::Normal,
        }
    }

    fn kind(self) -> ChannelKind {
        match self {
            Self::Down => ChannelKind::Deliver,
            _ => ChannelKind::Forward,
        }
    }

    /// Whether who is sent this stream wants that message.
    pub(super) fn wants(self, id: u64) -> bool {
        self != Self::Down || !id.is_multiple_of(5)
    }

    fn of(stream: &StreamName, lane: Lane) -> Option<Self> {
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
    fn record(self, seq: u64, lane: Lane) -> Record {
        let mut header = RecordHeader::new(RecordKind::Message);
        (header.seq, header.lane) = (Seq(seq), lane);
        Record {
            header,
            head: Bytes::copy_from_slice(&self.id.to_le_bytes()),
            body: Bytes::from(vec![self.fill(); self.size]),
        }
    }

    fn fill(self) -> u8 {
        (self.id % 251) as u8
    }

    /// What a record says it is, and whether all of it says so.
    fn of(record: &Record) -> (Self, bool) {
        let head = record.head.first_chunk::<8>();
        let message = Self {
            id: head.map_or(u64::MAX, |id| u64::from_le_bytes(*id)),
            size: record.body.len(),
        };
        let is_intact = record.head.len() == 8 && record.body.iter().all(|b| *b == message.fill());
        (message, is_intact)
    }
}

/// A stream on disk.
#[derive(Debug)]
pub(super) struct Held {
    epoch: Epoch,
    /// Everything up to here is trimmed.
    base: u64,
    messages: VecDeque<Message>,
    /// What it has ever held, for as long as that is kept.
    ids: BTreeSet<u64>,
}

impl Held {
    fn last(&self) -> u64 {
        self.base + self.messages.len() as u64
    }
}

/// What survives a crash.
#[derive(Debug, Default)]
struct Disk {
    streams: BTreeMap<Key, Held>,
    /// How far a peer's stream is here, in the peer's numbers.
    marks: BTreeMap<(usize, Key), Mark>,
    /// How far a peer has a stream of ours. Written now and then.
    cursors: BTreeMap<(usize, Key), Mark>,
}

/// Records that a link has handed to the store.
#[derive(Debug)]
struct Write {
    id: u64,
    peer: usize,
    key: Key,
    epoch: Epoch,
    records: Vec<(Seq, Message, bool)>,
    bytes: usize,
}

/// What a node heard that somebody else has to judge.
#[derive(Debug)]
pub(super) enum Heard {
    /// A peer has these.
    Acked(usize, Key, Vec<u64>),
    /// A message was put on disk.
    Stored(Key, u64, bool),
    /// A channel or subscription was refused.
    Refused(Code),
    /// A peer calls.
    Called(CallStream),
    /// A link is up: calls can be made.
    Linked(usize, Caller),
}

/// A node, on disk and in memory.
#[derive(Debug, Default)]
pub(super) struct State {
    disk: Disk,
    cursors: BTreeMap<(usize, Key), Mark>,
    writes: VecDeque<Write>,
    next_write: u64,
    results: BTreeMap<u64, Result<Seq, Refusal>>,
    pub(super) heard: Vec<Heard>,
    /// What the store and the owner of the node do just now.
    pub(super) is_full: bool,
    pub(super) refuses: bool,
    pub(super) unsubscribed: bool,
    reads: u64,
}

/// The program around the links of one node.
#[derive(Debug)]
pub(super) struct Node {
    at: usize,
    /// Nodes in the row.
    nodes: usize,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    broken: Option<Break>,
}

pub(super) fn name_of(node: usize) -> &'static str {
    [
        "edge-1.mill7.acme",
        "relay-1.mill7.acme",
        "relay-2.hub.acme",
    ][node]
}

fn place_of(peer: &Peer) -> usize {
    (0..3)
        .find(|at| name_of(*at) == peer.node.to_string())
        .unwrap()
}

impl Node {
    pub(super) fn new(at: usize, nodes: usize, broken: Option<Break>) -> Self {
        Self {
            at,
            nodes,
            state: Arc::default(),
            changed: watch::Sender::new(0),
            broken,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A producer of this node hands in a message; whether it was accepted.
    pub(super) fn produce(&self, key: Key, message: Message) -> bool {
        let mut state = self.state();
        if state.is_full {
            return false;
        }
        let held = state.held(key);
        held.messages.push_back(message);
        held.ids.insert(message.id);
        true
    }

    /// Writes that wait for the disk, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.state();
        let bytes = state.writes.iter().map(|write| write.bytes).sum();
        (state.writes.len(), bytes)
    }

    /// The disk has done the oldest `count` writes.
    pub(super) fn commit(&self, count: usize) {
        let mut state = self.state();
        for _ in 0..count {
            if let Some(write) = state.writes.pop_front() {
                let id = write.id;
                let result = state.apply(write, self.broken);
                state.results.insert(id, result);
            }
        }
    }

    /// Positions of consumers are written down, and what everybody has is trimmed.
    pub(super) fn tidy(&self) {
        let mut state = self.state();
        state.disk.cursors = state.cursors.clone();
        let everything = self.broken == Some(Break::TrimEarly);
        for key in Key::ALL {
            let way = key.way(self.nodes);
            let here = way.iter().position(|node| *node == self.at);
            let Some(next) = here.and_then(|here| way.get(here + 1)) else {
                continue;
            };
            let cursor = state.cursors.get(&(*next, key)).copied();
            let held = state.held(key);
            let until = match cursor {
                _ if everything => held.last(),
                Some(mark) if mark.epoch == held.epoch => mark.seq.0,
                _ => 0,
            };
            while held.base < until && held.messages.pop_front().is_some() {
                held.base += 1;
            }
        }
    }

    /// The machine dies: of what was being written the first `done` are there, and nobody knows.
    pub(super) fn crash(&self, done: usize) {
        let mut state = self.state();
        for _ in 0..done {
            if let Some(write) = state.writes.pop_front() {
                let _nobody_hears = state.apply(write, self.broken);
            }
        }
        state.writes.clear();
        state.results.clear();
        state.cursors = state.disk.cursors.clone();
        state
            .heard
            .retain(|heard| matches!(heard, Heard::Stored(..)));
    }

    /// A stream begins a new epoch: what is kept has other numbers.
    pub(super) fn begin_epoch(&self, key: Key) {
        let mut state = self.state();
        let held = state.held(key);
        held.epoch = Epoch(held.epoch.0 + 1);
        held.base = 0;
    }

    /// The streams that go on from here to `peer`.
    fn goes_to(&self, peer: usize) -> impl Iterator<Item = Key> {
        let (at, nodes) = (self.at, self.nodes);
        Key::ALL.into_iter().filter(move |key| {
            let way = key.way(nodes);
            way.windows(2).any(|hop| hop == [at, peer])
        })
    }
}

fn consumer() -> Consumer {
    "mill7".parse().unwrap()
}

impl State {
    fn held(&mut self, key: Key) -> &mut Held {
        self.disk.streams.entry(key).or_insert_with(|| Held {
            epoch: Epoch(1),
            base: 0,
            messages: VecDeque::new(),
            ids: BTreeSet::new(),
        })
    }

    /// A stream as it is announced to `peer`.
    fn channel(&mut self, peer: usize, key: Key) -> OutboundChannel {
        let cursor = self.cursors.get(&(peer, key)).copied();
        let held = self.held(key);
        let after = cursor.filter(|mark| mark.epoch == held.epoch);
        OutboundChannel {
            kind: key.kind(),
            stream: key.name().parse().unwrap(),
            lane: key.lane(),
            epoch: held.epoch,
            first: Seq(held.base + 1),
            last: Seq(held.last()),
            after: after.map_or(Seq(held.base), |mark| mark.seq.max(Seq(held.base))),
            consumer: (key.kind() == ChannelKind::Deliver).then(consumer),
        }
    }

    /// Puts a write on disk, as every store behind a link must: what it has it leaves out.
    fn apply(&mut self, write: Write, broken: Option<Break>) -> Result<Seq, Refusal> {
        if self.is_full {
            return Err(Refusal::new(DISK_FULL, "the disk is full"));
        }
        let place = (write.peer, write.key);
        let mark = self.disk.marks.get(&place).copied().unwrap_or_default();
        let known = (mark.epoch == write.epoch).then_some(mark.seq);
        let mut records = write.records;
        if broken == Some(Break::Swap) && records.len() > 1 {
            records.swap(0, 1);
        }
        let last = records.iter().map(|(seq, ..)| *seq).max().unwrap();
        for (seq, message, is_intact) in records {
            let dedupes = broken != Some(Break::NoDedupe);
            let is_known = known.is_some_and(|known| seq <= known);
            let held = self.held(write.key);
            if dedupes && (is_known || held.ids.contains(&message.id)) {
                continue;
            }
            held.ids.insert(message.id);
            held.messages.push_back(message);
            self.heard
                .push(Heard::Stored(write.key, message.id, is_intact));
        }
        let seq = known.map_or(last, |known| known.max(last));
        let mark = Mark {
            epoch: write.epoch,
            seq,
        };
        self.disk.marks.insert(place, mark);
        Ok(seq)
    }
}

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

    fn subscribe(&self, peer: &Peer, subscribe: &Subscribe) -> Result<OutboundChannel, Refusal> {
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
        Ok(state.channel(peer, key))
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
            return Err(Refusal::new(crate::link::ENDED, "a new epoch has begun"));
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

    fn backlog(&self, _channel: &OutboundChannel) -> Backlog {
        Backlog::default()
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {}

    fn peer_heartbeat(&self, _peer: &Peer, _heartbeat: PeerHeartbeat) {}

    fn linked(&self, peer: &Peer, caller: Caller) {
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

    fn state(&self, _peer: &Peer, _state: &LinkState) {}

    fn refused(&self, _peer: &Peer, _stream: &StreamName, refusal: &Refusal) {
        self.state().heard.push(Heard::Refused(refusal.code));
    }
}
