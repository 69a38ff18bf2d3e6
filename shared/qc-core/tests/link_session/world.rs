//! Two nodes under a seeded scheduler: whatever happens, each message arrives once and in order.

use std::collections::BTreeMap;
use std::time::Duration;

use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{Event, HELLO_TIMEOUT, Now, OutboundChannel, SILENT, Session};
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{ChannelKind, FrameDecoder, Mark, Open, Status, Subscribe};

use crate::parts::{Key, NAMES, Stream, key_of, name, session, stream, subscribe};

struct StoreCall {
    connection: u32,
    channel: u32,
    key: Key,
    epoch: Epoch,
    seqs: Vec<Seq>,
}

struct Node {
    session: Session,
    decoder: FrameDecoder,
    forwards: Vec<Stream>,
    served: Vec<Stream>,
    subscriptions: Vec<Subscribe>,
    numbers: BTreeMap<u32, Key>,
    receiving: BTreeMap<u32, Open>,
    stored: BTreeMap<Key, Vec<Seq>>,
    calls: Vec<StoreCall>,
}

impl Node {
    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        let key = self.numbers.get(&number)?.clone();
        self.forwards
            .iter_mut()
            .chain(&mut self.served)
            .find(|stream| key_of(&stream.channel) == key)
    }

    fn open(&mut self, mut channel: OutboundChannel, last: usize) {
        channel.last = Seq(last as u64);
        let number = self.session.open(&channel).unwrap();
        self.numbers.insert(number, key_of(&channel));
    }

    fn mark(&self, open: &Open) -> Mark {
        let stored = self.stored.get(&(open.stream.to_string(), open.lane));
        stored
            .and_then(|seqs| seqs.last())
            .map_or_else(Mark::default, |seq| Mark {
                epoch: open.epoch,
                seq: *seq,
            })
    }

    /// The store ignores what it has, as every store behind a link must.
    fn commit(&mut self, call: StoreCall, connection: u32) {
        let stored = self.stored.entry(call.key).or_default();
        for seq in call.seqs {
            if stored.last().is_none_or(|last| seq > *last) {
                stored.push(seq);
            }
        }
        if call.connection == connection {
            self.session.durable(call.channel, *stored.last().unwrap());
        }
        assert_ne!(call.epoch, Epoch(0));
    }
}

struct World {
    rng: fastrand::Rng,
    clock: ManualClock,
    nodes: [Node; 2],
    pipes: [Vec<u8>; 2],
    connection: u32,
    /// Batches that came in pieces.
    pieces: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let node = |at: usize, forwards, served, subscriptions| Node {
            session: session(at, Now::of(&clock)),
            decoder: FrameDecoder::default(),
            forwards,
            served,
            subscriptions,
            numbers: BTreeMap::new(),
            receiving: BTreeMap::new(),
            stored: BTreeMap::new(),
            calls: Vec::new(),
        };
        let edge = node(
            0,
            vec![
                stream(ChannelKind::Forward, "acme/up", Lane::Critical),
                stream(ChannelKind::Forward, "acme/up", Lane::Low),
            ],
            Vec::new(),
            vec![subscribe("acme/down")],
        );
        let relay = node(
            1,
            vec![stream(ChannelKind::Forward, "acme/back", Lane::Normal)],
            vec![stream(ChannelKind::Deliver, "acme/down", Lane::Normal)],
            Vec::new(),
        );
        Self {
            rng: fastrand::Rng::with_seed(seed),
            nodes: [edge, relay],
            pipes: [Vec::new(), Vec::new()],
            connection: 0,
            pieces: 0,
            clock,
        }
    }

    fn step(&mut self) {
        let at = self.rng.usize(0..2);
        match self.rng.u32(0..100) {
            0..20 => self.produce(at),
            20..50 => self.carry(at),
            50..70 => self.commit(at),
            70..95 => self.send(at),
            95..99 => self.pass_time(),
            _ => self.cut(),
        }
        for at in 0..2 {
            self.settle(at);
        }
    }

    fn produce(&mut self, at: usize) {
        let count = self.rng.usize(1..4);
        let node = &mut self.nodes[at];
        let mut streams: Vec<_> = node.forwards.iter_mut().chain(&mut node.served).collect();
        let stream = self.rng.usize(0..streams.len());
        for _ in 0..count {
            let size = match self.rng.u32(0..20) {
                0 => 2000,
                _ => self.rng.usize(0..150),
            };
            streams[stream].sizes.push(size);
        }
        node.session.more_to_read();
    }

    /// Moves some bytes from `at` to the other node.
    fn carry(&mut self, at: usize) {
        let bytes = self.nodes[at].session.to_send();
        let taken = self.rng.usize(0..=bytes.len());
        self.pipes[at].extend_from_slice(&bytes[..taken]);
        self.nodes[at].session.sent(taken);
        let arrived = self.rng.usize(0..=self.pipes[at].len());
        let now = Now::of(&self.clock);
        let receiver = &mut self.nodes[1 - at];
        receiver
            .decoder
            .space()
            .extend(self.pipes[at].drain(..arrived));
        while let Some(frame) = receiver.decoder.next_frame().unwrap() {
            self.pieces += u64::from(frame.header.more);
            receiver.session.on_frame(frame, now);
            receiver.decoder.greeted();
        }
    }

    fn commit(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let count = self.rng.usize(0..=node.calls.len());
        for call in node.calls.drain(..count).collect::<Vec<_>>() {
            node.commit(call, self.connection);
        }
    }

    fn send(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        while let Some(permit) = node.session.next_read(self.clock.instant()) {
            let stream = node.stream(permit.channel).unwrap();
            let chunk = stream.read(permit.after, permit.max_records, permit.max_bytes);
            if node.session.send(permit, &chunk, self.clock.instant()) && self.rng.bool() {
                return;
            }
        }
    }

    fn pass_time(&mut self) {
        self.clock
            .advance(Duration::from_millis(self.rng.u64(0..4000)));
        let now = Now::of(&self.clock);
        for node in &mut self.nodes {
            node.session.on_tick(now);
        }
    }

    /// The connection is gone, and perhaps one node's machine with it.
    fn cut(&mut self) {
        self.connection += 1;
        let now = Now::of(&self.clock);
        for at in 0..2 {
            let node = &mut self.nodes[at];
            node.session = session(at, now);
            node.decoder = FrameDecoder::default();
            node.numbers.clear();
            node.receiving.clear();
            self.pipes[at].clear();
            if self.rng.bool() {
                node.calls.clear();
            }
        }
    }

    fn settle(&mut self, at: usize) {
        while let Some(event) = self.nodes[at].session.poll_event() {
            let node = &mut self.nodes[at];
            match event {
                Event::Established(greeting) => {
                    assert_eq!(greeting.node, name(NAMES[1 - at]));
                    for wanted in node.subscriptions.clone() {
                        node.session.subscribe(wanted).unwrap();
                    }
                    let forwards: Vec<_> = node
                        .forwards
                        .iter()
                        .map(|stream| (stream.channel.clone(), stream.sizes.len()))
                        .collect();
                    for (channel, last) in forwards {
                        node.open(channel, last);
                    }
                }
                Event::Subscribe(number, _) => {
                    node.session.allow(number);
                    let stream = &node.served[0];
                    let (channel, last) = (stream.channel.clone(), stream.sizes.len());
                    node.open(channel, last);
                }
                Event::Opened(open) => {
                    let mark = node.mark(&open);
                    node.session.accept(open.channel, mark);
                    node.receiving.insert(open.channel, open);
                }
                Event::Batch(channel, records) => {
                    let open = &node.receiving[&channel];
                    node.calls.push(StoreCall {
                        connection: self.connection,
                        channel,
                        key: (open.stream.to_string(), open.lane),
                        epoch: open.epoch,
                        seqs: records.iter().map(|record| record.header.seq).collect(),
                    });
                }
                Event::Acked(number, seq) => {
                    let stream = node.stream(number).unwrap();
                    stream.acked = stream.acked.max(seq);
                    self.check_durable(at, number, seq);
                }
                Event::HeartbeatDue => {
                    let now = Now::of(&self.clock);
                    node.session
                        .heartbeat(Vec::new(), Status::default(), None, now);
                }
                Event::Closed { refusal, .. } if refusal.code == SILENT => {
                    self.cut();
                    return;
                }
                Event::Closed { refusal, .. } if refusal.code == HELLO_TIMEOUT => {
                    self.cut();
                    return;
                }
                Event::Closed { refusal, .. } => panic!("closed: {refusal}"),
                Event::Refused(_, refusal) | Event::Rewound(_, refusal) => {
                    panic!("refused: {refusal}")
                }
                Event::Drained => panic!("nobody drains"),
                Event::Called(..)
                | Event::Answered(_)
                | Event::CallData(..)
                | Event::CallEnded(_) => panic!("nobody calls"),
                Event::Subscribed(_)
                | Event::Heartbeat(_)
                | Event::Status(_)
                | Event::Stale
                | Event::Unacked
                | Event::Acking
                | Event::Fresh => {}
            }
        }
    }

    /// The promise: everything acknowledged is on the other node's disk.
    fn check_durable(&mut self, at: usize, number: u32, seq: Seq) {
        let stream = self.nodes[at].stream(number).unwrap();
        let key = key_of(&stream.channel);
        let expected: Vec<Seq> = (1..=seq.0).filter(|s| stream.wanted(*s)).map(Seq).collect();
        let nothing = Vec::new();
        let stored = self.nodes[1 - at].stored.get(&key).unwrap_or(&nothing);
        assert!(
            stored.starts_with(&expected),
            "acknowledged {seq}, stored {stored:?}"
        );
    }

    fn check_complete(&self) {
        for at in 0..2 {
            let node = &self.nodes[at];
            for stream in node.forwards.iter().chain(&node.served) {
                let last = stream.sizes.len() as u64;
                let expected: Vec<Seq> =
                    (1..=last).filter(|s| stream.wanted(*s)).map(Seq).collect();
                let key = key_of(&stream.channel);
                let stored = self.nodes[1 - at].stored.get(&key).cloned();
                assert_eq!(stored.unwrap_or_default(), expected, "{key:?}");
                assert_eq!(stream.acked.0, last, "{key:?}");
            }
        }
    }

    fn finish(&mut self) {
        for round in 0.. {
            for at in 0..2 {
                self.nodes[at].session.more_to_read();
                self.send(at);
                self.carry(at);
                self.commit(at);
                self.settle(at);
            }
            let done = self.nodes.iter().all(|node| {
                let mut streams = node.forwards.iter().chain(&node.served);
                streams.all(|stream| stream.acked.0 == stream.sizes.len() as u64)
            });
            if done {
                return self.check_complete();
            }
            assert!(round < 20_000, "no progress");
        }
    }
}

#[test]
fn every_message_arrives_once_and_in_order_whatever_happens() {
    let mut pieces = 0;
    for seed in 0..1000 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        world.finish();
        pieces += world.pieces;
    }
    assert!(pieces > 10_000, "{pieces} pieces");
}
