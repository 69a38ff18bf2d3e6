//! Two sessions without I/O under a seeded scheduler: bytes arrive in pieces of any size, the
//! connection is cut anywhere, stores commit late or lose what was not on disk. Whatever happens,
//! each message is stored once and in order, and nothing is acknowledged that is not on disk.
#![cfg_attr(
    feature = "net",
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may fail in its helpers"
    )
)]
#![cfg(feature = "net")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{
    Chunk, ENDED, Event, FORGED_ACK, FRAME, GOING_AWAY, HELLO_TIMEOUT, NOT_ASKED, Now, ORDER,
    OutboundChannel, PROTOCOL, REWOUND, SILENT, Session, SessionConfig, Side, TOO_MANY, VERSION,
    WINDOW, WRONG_NODE,
};
use qc_core::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use qc_core::wire::{
    Ack, ChannelBacklog, ChannelKind, Control, Frame, FrameDecoder, FrameHeader, FrameKind,
    Greeting, Heartbeat, MAX_CHANNELS, Mark, Open, OpenAck, Record, RecordHeader, RecordKind,
    Refusal, Start, Status, Subscribe,
};

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// Small sizes, so that every limit is met in every run.
fn config(node: &str) -> SessionConfig {
    SessionConfig {
        window: 3000,
        channel_window: 1200,
        batch_bytes: 500,
        batch_records: 3,
        ..SessionConfig::new(name(node))
    }
}

fn record(seq: u64, size: usize) -> Record {
    let mut header = RecordHeader::new(RecordKind::Message);
    header.seq = Seq(seq);
    Record {
        header,
        head: Bytes::from_static(b"h"),
        body: Bytes::from(vec![7; size]),
    }
}

/// A stream at its sender. Every fifth seq is left out by the consumer's filter.
struct Stream {
    channel: OutboundChannel,
    filtered: bool,
    sizes: Vec<usize>,
    acked: Seq,
}

impl Stream {
    fn wanted(&self, seq: u64) -> bool {
        !self.filtered || !seq.is_multiple_of(5)
    }

    fn read(&self, after: Seq, max_records: usize, max_bytes: usize) -> Chunk {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        for (at, size) in self
            .sizes
            .iter()
            .enumerate()
            .skip(usize::try_from(after.0).unwrap())
        {
            let seq = at as u64 + 1;
            if self.wanted(seq) {
                let record = record(seq, *size);
                bytes += record.encoded_len();
                let full = bytes > max_bytes || chunk.records.len() == max_records;
                if full && !chunk.records.is_empty() {
                    break;
                }
                chunk.records.push(record);
            }
            chunk.through = Seq(seq);
        }
        chunk
    }
}

type Key = (String, Lane);

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

fn key_of(channel: &OutboundChannel) -> Key {
    (channel.stream.to_string(), channel.lane)
}

fn stream(kind: ChannelKind, text: &str, lane: Lane) -> Stream {
    Stream {
        channel: OutboundChannel {
            kind,
            stream: text.parse().unwrap(),
            lane,
            epoch: Epoch(77),
            first: Seq(1),
            last: Seq::ZERO,
            after: Seq::ZERO,
            consumer: (kind == ChannelKind::Deliver).then(|| "mill7".parse().unwrap()),
        },
        filtered: kind == ChannelKind::Deliver,
        sizes: Vec::new(),
        acked: Seq::ZERO,
    }
}

fn subscribe(text: &str) -> Subscribe {
    Subscribe {
        consumer: "mill7".parse().unwrap(),
        stream: text.parse().unwrap(),
        start: Start::Beginning,
    }
}

struct World {
    rng: fastrand::Rng,
    clock: ManualClock,
    nodes: [Node; 2],
    pipes: [Vec<u8>; 2],
    connection: u32,
}

const NAMES: [&str; 2] = ["edge-1.mill7.acme", "relay-1.hub.acme"];

fn session(at: usize, now: Now) -> Session {
    let side = [Side::Dialer, Side::Acceptor][at];
    Session::new(config(NAMES[at]), side, name(NAMES[1 - at]), now)
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
        while let Some(permit) = node.session.next_read() {
            let stream = node.stream(permit.channel).unwrap();
            let chunk = stream.read(permit.after, permit.max_records, permit.max_bytes);
            if node.session.send(permit, &chunk) && self.rng.bool() {
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
                    node.session.heartbeat(Vec::new(), Status::default(), now);
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
                Event::Refused(_, refusal) => panic!("refused: {refusal}"),
                Event::Drained => panic!("nobody drains"),
                Event::Subscribed(_)
                | Event::Heartbeat(_)
                | Event::Status(_)
                | Event::Stale
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
    for seed in 0..1000 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        world.finish();
    }
}

/// A pair of sessions that have greeted each other, and the bytes between them carried at once.
struct Pair {
    nodes: [Session; 2],
    decoders: [FrameDecoder; 2],
    clock: ManualClock,
}

impl Pair {
    fn greeted() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let now = Now::of(&clock);
        let mut pair = Self {
            nodes: [session(0, now), session(1, now)],
            decoders: [FrameDecoder::default(), FrameDecoder::default()],
            clock,
        };
        pair.carry();
        for node in &mut pair.nodes {
            assert!(matches!(node.poll_event(), Some(Event::Established(_))));
        }
        pair
    }

    fn carry(&mut self) {
        for _ in 0..3 {
            for at in 0..2 {
                let bytes = self.nodes[at].to_send().to_vec();
                self.nodes[at].sent(bytes.len());
                self.decoders[1 - at].space().extend_from_slice(&bytes);
                while let Some(frame) = self.decoders[1 - at].next_frame().unwrap() {
                    self.nodes[1 - at].on_frame(frame, Now::of(&self.clock));
                    self.decoders[1 - at].greeted();
                }
            }
        }
    }

    /// Lets the peer of the acceptor say `control`.
    fn say(&mut self, control: &Control) {
        let now = Now::of(&self.clock);
        self.nodes[1].on_frame(frame_of(control), now);
    }

    fn batch(&mut self, channel: u32, records: &[(u64, u64)]) {
        let frame = batch_of(channel, records);
        let now = Now::of(&self.clock);
        self.nodes[1].on_frame(frame, now);
    }

    fn events(&mut self, at: usize) -> Vec<Event> {
        std::iter::from_fn(|| self.nodes[at].poll_event()).collect()
    }

    /// The code with which the acceptor ended the session.
    #[track_caller]
    fn closed(&mut self) -> qc_core::wire::Code {
        match self.events(1).pop() {
            Some(Event::Closed { refusal, by_peer }) => {
                assert!(!by_peer);
                refusal.code
            }
            other => panic!("not closed: {other:?}"),
        }
    }
}

fn frame_of(control: &Control) -> Frame {
    let mut bytes = Vec::new();
    control.encode(&mut bytes);
    cut_frame(&bytes).unwrap()
}

fn cut_frame(bytes: &[u8]) -> Option<Frame> {
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(bytes);
    decoder.next_frame().unwrap()
}

fn batch_of(channel: u32, records: &[(u64, u64)]) -> Frame {
    let header = FrameHeader {
        kind: FrameKind::Batch,
        lane: Lane::Normal as u16,
        channel,
        count: u32::try_from(records.len()).unwrap(),
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes, |out| {
        for (epoch, seq) in records {
            let mut header = RecordHeader::new(RecordKind::Message);
            header.stream = channel;
            header.epoch = Epoch(*epoch);
            header.seq = Seq(*seq);
            header.encode(b"h", &[0; 100], out);
        }
    });
    cut_frame(&bytes).unwrap()
}

fn open_of(channel: u32) -> Open {
    Open {
        channel,
        kind: ChannelKind::Forward,
        stream: "acme/orders".parse().unwrap(),
        lane: Lane::Normal,
        epoch: Epoch(77),
        first: Seq(1),
        last: Seq(9),
        consumer: None,
    }
}

/// A dialer's channel 1 that the acceptor has taken.
fn receiving() -> Pair {
    let mut pair = Pair::greeted();
    pair.say(&Control::Open(open_of(1)));
    assert_eq!(pair.events(1), [Event::Opened(open_of(1))]);
    pair.nodes[1].accept(1, Mark::default());
    pair
}

/// The acceptor's channel 2 on which it has sent seqs 1 to 3 to the dialer.
fn sending() -> Pair {
    let mut pair = Pair::greeted();
    let channel = OutboundChannel {
        last: Seq(3),
        ..stream(ChannelKind::Forward, "acme/back", Lane::Normal).channel
    };
    assert_eq!(pair.nodes[1].open(&channel), Some(2));
    pair.say(&Control::OpenAck(OpenAck {
        channel: 2,
        mark: Mark::default(),
        window: 10_000,
    }));
    let permit = pair.nodes[1].next_read().unwrap();
    let chunk = Chunk {
        records: (1..=3).map(|seq| record(seq, 10)).collect(),
        through: Seq::ZERO,
    };
    pair.nodes[1].send(permit, &chunk);
    pair
}

fn ack(channel: u32, epoch: u64, seq: u64) -> Control {
    Control::Ack(Ack {
        channel,
        mark: Mark {
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
    })
}

#[test]
fn an_acknowledgement_waits_for_the_disk() {
    let mut pair = receiving();
    pair.nodes[1].to_send();
    let sent = pair.nodes[1].to_send().len();
    pair.nodes[1].sent(sent);
    pair.batch(1, &[(77, 1), (77, 2)]);
    assert!(pair.nodes[1].to_send().is_empty(), "nothing is on disk yet");
    pair.nodes[1].durable(1, Seq(1));
    let bytes = pair.nodes[1].to_send().to_vec();
    assert_eq!(
        Control::decode(&cut_frame(&bytes).unwrap()).unwrap(),
        ack(1, 77, 1)
    );
    pair.nodes[1].sent(bytes.len());
    // A store that claims more than has arrived is believed as far as that.
    pair.nodes[1].durable(1, Seq(99));
    let bytes = pair.nodes[1].to_send().to_vec();
    assert_eq!(
        Control::decode(&cut_frame(&bytes).unwrap()).unwrap(),
        ack(1, 77, 2)
    );
}

#[test]
fn forged_acknowledgements_end_the_session() {
    for forged in [ack(2, 77, 4), ack(2, 78, 1), ack(2, 0, 0)] {
        let mut pair = sending();
        pair.say(&forged);
        assert_eq!(pair.closed(), FORGED_ACK, "{forged:?}");
    }
    let mut pair = sending();
    pair.say(&Control::Heartbeat(Heartbeat {
        durable: vec![Ack {
            channel: 2,
            mark: Mark {
                epoch: Epoch(77),
                seq: Seq(4),
            },
        }],
        ..Heartbeat::default()
    }));
    assert_eq!(pair.closed(), FORGED_ACK);
    let mut pair = sending();
    pair.say(&ack(2, 77, 3));
    assert_eq!(pair.events(1), [Event::Acked(2, Seq(3))]);
}

#[test]
fn broken_batches_end_the_session() {
    for (records, code) in [
        (&[(77, 2), (77, 2)][..], ORDER),
        (&[(77, 2), (77, 1)], ORDER),
        (&[(77, 0)], ORDER),
        (&[(76, 1)], ORDER),
        (&[], FRAME),
    ] {
        let mut pair = receiving();
        pair.batch(1, records);
        assert_eq!(pair.closed(), code, "{records:?}");
    }
    let mut pair = receiving();
    pair.batch(1, &[(77, 5)]);
    pair.batch(1, &[(77, 5)]);
    assert_eq!(pair.closed(), ORDER);
    for channel in [3, 2, 4] {
        let mut pair = receiving();
        pair.batch(channel, &[(77, 1)]);
        assert_eq!(pair.closed(), PROTOCOL, "channel {channel}");
    }
    let mut pair = Pair::greeted();
    pair.say(&Control::Open(open_of(1)));
    pair.events(1);
    pair.batch(1, &[(77, 1)]);
    assert_eq!(pair.closed(), PROTOCOL, "before the answer");
}

#[test]
fn the_window_holds() {
    let mut pair = receiving();
    for seq in 1..=5 {
        pair.batch(1, &[(77, seq)]);
    }
    assert_eq!(pair.events(1).len(), 5);
    pair.batch(1, &[(77, 6)]);
    assert_eq!(pair.closed(), WINDOW);
    let mut pair = receiving();
    for seq in 1..=40 {
        pair.batch(1, &[(77, seq)]);
        pair.nodes[1].durable(1, Seq(seq));
    }
    assert_eq!(pair.events(1).len(), 40);
}

#[test]
fn a_refused_channel_ends_alone() {
    let mut pair = receiving();
    pair.nodes[1].refuse(1, Refusal::new(ENDED, "enough"));
    pair.batch(1, &[(77, 1)]);
    pair.batch(1, &[(77, 2)]);
    assert_eq!(
        pair.events(1),
        [],
        "what was on its way is left to the sender"
    );
    pair.say(&Control::Open(open_of(3)));
    assert_eq!(pair.events(1), [Event::Opened(open_of(3))]);
}

#[test]
fn a_sender_that_went_back_in_time_is_noticed() {
    let mut pair = Pair::greeted();
    let channel = OutboundChannel {
        last: Seq(3),
        ..stream(ChannelKind::Forward, "acme/back", Lane::Normal).channel
    };
    pair.nodes[1].open(&channel);
    pair.say(&Control::OpenAck(OpenAck {
        channel: 2,
        mark: Mark {
            epoch: Epoch(77),
            seq: Seq(4),
        },
        window: 1000,
    }));
    let events = pair.events(1);
    assert!(
        matches!(&events[..], [Event::Refused(2, refusal)] if refusal.code == REWOUND),
        "{events:?}"
    );
    assert!(pair.nodes[1].is_open());
}

#[test]
fn a_stream_that_was_not_asked_for_is_refused() {
    let mut pair = Pair::greeted();
    pair.say(&Control::Open(Open {
        kind: ChannelKind::Deliver,
        consumer: Some("mill7".parse().unwrap()),
        ..open_of(1)
    }));
    assert_eq!(pair.events(1), []);
    pair.carry();
    let events = pair.events(0);
    // The dialer never opened it, so its own rule ends the session on the refusal.
    assert!(
        matches!(&events[..], [Event::Closed { refusal, .. }] if refusal.code == PROTOCOL),
        "{events:?}"
    );
    assert_eq!(NOT_ASKED.to_string(), "QC2214");
}

#[test]
fn greetings_are_checked() {
    let good = Greeting {
        version_min: 1,
        version_max: 3,
        features: 0,
        node: name(NAMES[0]),
        software: "test".to_owned(),
        time: Timestamp::from_millis(1),
        heartbeat: Duration::from_secs(1),
        window: 1000,
    };
    let impostor = Greeting {
        node: name("edge-2.mill7.acme"),
        ..good.clone()
    };
    let newer = Greeting {
        version_min: 2,
        ..good.clone()
    };
    for (control, code) in [
        (Control::Hello(impostor), WRONG_NODE),
        (Control::Hello(newer), VERSION),
        (Control::Welcome(good.clone()), PROTOCOL),
        (Control::Open(open_of(1)), PROTOCOL),
    ] {
        let clock = ManualClock::at(Timestamp::from_millis(1));
        let now = Now::of(&clock);
        let mut acceptor = session(1, now);
        acceptor.on_frame(frame_of(&control), now);
        let Some(Event::Closed { refusal, .. }) = acceptor.poll_event() else {
            panic!("{control:?} was taken");
        };
        assert_eq!(refusal.code, code, "{control:?}");
    }
    let mut pair = Pair::greeted();
    pair.say(&Control::Hello(good));
    assert_eq!(pair.closed(), PROTOCOL);
}

#[test]
fn silence_is_noticed_shown_and_ended() {
    let clock = ManualClock::at(Timestamp::from_millis(1));
    let mut quiet = session(1, Now::of(&clock));
    clock.advance(Duration::from_secs(5));
    assert!(quiet.deadline() <= clock.instant());
    quiet.on_tick(Now::of(&clock));
    let Some(Event::Closed { refusal, .. }) = quiet.poll_event() else {
        panic!("still waiting for a greeting");
    };
    assert_eq!(refusal.code, HELLO_TIMEOUT);

    let mut pair = Pair::greeted();
    let mut seen = Vec::new();
    for _ in 0..30 {
        pair.clock.advance(Duration::from_secs(1));
        pair.nodes[1].on_tick(Now::of(&pair.clock));
        seen.extend(pair.events(1));
    }
    seen.retain(|event| *event != Event::HeartbeatDue);
    let [Event::Stale, Event::Closed { refusal, .. }] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(refusal.code, SILENT);

    let mut pair = Pair::greeted();
    pair.clock.advance(Duration::from_secs(13));
    pair.nodes[1].on_tick(Now::of(&pair.clock));
    assert_eq!(pair.events(1), [Event::Stale, Event::HeartbeatDue]);
    pair.say(&Control::Status(Status::default()));
    assert_eq!(
        pair.events(1),
        [Event::Fresh, Event::Status(Status::default())]
    );
}

#[test]
fn heartbeats_measure_the_way() {
    let mut pair = Pair::greeted();
    for round in 0..3 {
        for at in 0..2 {
            let now = Now::of(&pair.clock);
            pair.nodes[at].heartbeat(Vec::new(), Status::default(), now);
            pair.clock.advance(Duration::from_millis(20));
            pair.carry();
            pair.clock.advance(Duration::from_millis(500));
            let events = pair.events(1 - at);
            let [Event::Heartbeat(beat), Event::Status(_)] = &events[..] else {
                panic!("{events:?}");
            };
            if round + at > 0 {
                let rtt = beat.rtt.unwrap().as_secs_f64();
                assert!((rtt - 0.040).abs() < 0.001, "{rtt}");
            }
        }
    }
}

#[test]
fn a_drain_waits_for_acknowledgements_and_begins_nothing() {
    let mut pair = sending();
    pair.nodes[1].drain();
    assert_eq!(pair.events(1), []);
    assert_eq!(pair.nodes[1].next_read(), None);
    pair.say(&ack(2, 77, 3));
    assert_eq!(pair.events(1), [Event::Acked(2, Seq(3)), Event::Drained]);
    pair.nodes[1].close(Refusal::new(GOING_AWAY, "bye"));
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(pair.nodes[1].to_send());
    let mut last = None;
    while let Some(frame) = decoder.next_frame().unwrap() {
        last = Control::decode(&frame).ok();
    }
    assert_eq!(last, Some(Control::Close(Refusal::new(GOING_AWAY, "bye"))));
}

#[test]
fn the_urgent_lane_goes_first_and_equals_take_turns() {
    let mut pair = Pair::greeted();
    let lanes = [Lane::Low, Lane::Normal, Lane::Normal, Lane::Critical];
    for (at, lane) in lanes.into_iter().enumerate() {
        let text = format!("acme/s{at}");
        let number = pair.nodes[1]
            .open(&stream(ChannelKind::Forward, &text, lane).channel)
            .unwrap();
        pair.say(&Control::OpenAck(OpenAck {
            channel: number,
            mark: Mark::default(),
            window: 4096,
        }));
    }
    let mut turns = Vec::new();
    let mut quiet = 0;
    while let Some(permit) = pair.nodes[1].next_read() {
        turns.push(permit.channel);
        let chunk = if turns.len() <= 6 && permit.channel != 8 {
            Chunk {
                records: vec![record(permit.after.0 + 1, 10)],
                through: Seq::ZERO,
            }
        } else {
            quiet += 1;
            Chunk::default()
        };
        pair.nodes[1].send(permit, &chunk);
    }
    assert_eq!(turns[..6], [8, 4, 6, 4, 6, 4]);
    assert_eq!(*turns.last().unwrap(), 2);
    assert_eq!(quiet, 4);
}

#[test]
fn too_many_channels_end_the_session() {
    let mut pair = Pair::greeted();
    for at in 0..=u32::try_from(MAX_CHANNELS).unwrap() {
        pair.say(&Control::Open(open_of(2 * at + 1)));
    }
    assert_eq!(pair.closed(), TOO_MANY);
}

#[test]
fn the_manual_names_every_code() {
    let manual = include_str!("../../../man/qc-wire.7");
    let codes = include_str!("../src/link/codes.rs");
    let numbers: Vec<&str> = codes
        .lines()
        .filter_map(|line| line.split_once("Code::new(")?.1.strip_suffix(");"))
        .collect();
    assert_eq!(numbers.len(), 20);
    for number in numbers {
        let item = format!(".It QC{number}\n");
        assert!(manual.contains(&item), "{number} is missing");
    }
}

/// Random kinds around random, mutated and valid payloads, all with valid checksums.
#[test]
fn fifty_thousand_hostile_frames_do_no_harm() {
    let mut rng = fastrand::Rng::with_seed(42);
    let valid: Vec<Control> = vec![
        Control::Open(open_of(3)),
        Control::OpenAck(OpenAck {
            channel: 2,
            mark: Mark::default(),
            window: 1,
        }),
        Control::Refuse(2, Refusal::new(ENDED, "x")),
        Control::Subscribe(5, subscribe("acme/orders")),
        Control::SubscribeAck(2),
        Control::Heartbeat(Heartbeat {
            durable: vec![Ack {
                channel: 2,
                mark: Mark::default(),
            }],
            backlog: vec![ChannelBacklog {
                channel: 1,
                backlog: qc_core::wire::Backlog::default(),
            }],
            ..Heartbeat::default()
        }),
        Control::Status(Status::default()),
        ack(2, 77, 1),
    ];
    let mut pair = receiving();
    let (mut closed, mut taken) = (0, 0);
    for _ in 0..50_000 {
        let mut frame = match rng.u32(0..4) {
            0 => batch_of(1, &[(77, rng.u64(0..4)), (77, rng.u64(0..9))]),
            _ => frame_of(&valid[rng.usize(0..valid.len())]),
        };
        let mut payload = frame.payload.to_vec();
        for _ in 0..rng.u32(0..4) {
            match rng.u32(0..3) {
                0 if !payload.is_empty() => {
                    let at = rng.usize(0..payload.len());
                    payload[at] ^= 1 << rng.u32(0..8);
                }
                1 => payload.truncate(rng.usize(0..=payload.len())),
                _ => payload.extend((0..rng.usize(0..20)).map(|_| rng.u8(..))),
            }
        }
        frame.payload = Bytes::from(payload);
        if rng.u32(0..4) == 0 {
            frame.header.kind = FrameKind::ALL[rng.usize(0..FrameKind::ALL.len())];
        }
        if rng.u32(0..4) == 0 {
            frame.header.channel = rng.u32(0..12);
        }
        let now = Now::of(&pair.clock);
        pair.nodes[1].on_frame(frame, now);
        let events = pair.events(1);
        for event in &events {
            if let Event::Opened(open) = event {
                pair.nodes[1].accept(open.channel, Mark::default());
            }
        }
        match events.last() {
            Some(Event::Closed { refusal, by_peer }) => {
                let area = refusal.code.number() / 100;
                assert!(*by_peer || area == 22, "{refusal}");
                closed += 1;
                pair = receiving();
            }
            Some(_) => taken += 1,
            None => {}
        }
    }
    assert!(closed > 1000 && taken > 1000, "{closed} {taken}");
}
