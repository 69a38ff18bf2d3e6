//! A node: what it has on disk, what it has in memory only, and the `LinkApp` around both.

mod app;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::messages::{Key, Message};
use super::plan::Break;
use crate::link::{CallStream, Caller, OutboundChannel, Peer, Share};
use crate::model::{Epoch, Seq};
use crate::wire::{ChannelKind, Code, Consumer, Mark, Refusal};

/// What a store says that has no room.
pub(super) const DISK_FULL: Code = Code::new(3302);

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
            share: Share::All,
            epoch: held.epoch,
            first: Seq(held.base + 1),
            last: Seq(held.last()),
            sent: Seq(held.last()),
            had: None,
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
