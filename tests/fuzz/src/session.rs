//! A session against a peer that sends whatever it likes, and a program that answers in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{
    Chunk, Event, Now, OutboundChannel, Session, SessionConfig, Shape, Share, Side,
};
use qc_core::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use qc_core::wire::{
    Ack, Backlog, Call, ChannelBacklog, ChannelKind, Code, Control, Frame, FrameDecoder,
    FrameHeader, FrameKind, Greeting, Heartbeat, MAX_FRAME, Mark, Open, OpenAck, Record,
    RecordHeader, RecordKind, Refusal, Start, Status, Subscribe, Target,
};

use crate::input::Input;

const OURS: &str = "relay-1.hub.acme";
const PEERS: &str = "edge-1.mill7.acme";
const STREAMS: [&str; 3] = ["acme/orders", "acme/alarms", "other/orders"];
const LANES: [Lane; 4] = [Lane::Critical, Lane::High, Lane::Normal, Lane::Low];
/// More than the session ever lets wait: batches, answers, and one batch that is longer than a window.
const MOST_OUTPUT: usize = 3 << 20;

/// Small sizes, so that every limit is met by a short input.
fn config() -> SessionConfig {
    SessionConfig {
        window: 3000,
        channel_window: 1200,
        least_under_way: 256,
        batch_bytes: 500,
        batch_records: 3,
        ..SessionConfig::new(OURS.parse().unwrap())
    }
}

/// What stands for the world around one session.
struct World {
    session: Session,
    clock: ManualClock,
    /// Reads what the session sends, as its peer would.
    peer: FrameDecoder,
    established: bool,
    closed: bool,
    /// Channels of the peer that were taken: the last seq of each, and the bytes of batches by their last seq.
    inbound: BTreeMap<u32, (Seq, BTreeMap<Seq, u64>)>,
    /// Channels of ours: how far anything was said of them, and how far all is done.
    outbound: BTreeMap<u32, (Seq, Seq)>,
}

impl World {
    fn new(side: Side) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let peer: NodeName = PEERS.parse().unwrap();
        let session = Session::new(config(), side, peer, Now::of(&clock));
        Self {
            session,
            clock,
            peer: FrameDecoder::default(),
            established: false,
            closed: false,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
        }
    }

    fn now(&self) -> Now {
        Now::of(&self.clock)
    }

    /// Takes what has happened, and looks whether it may have.
    fn look(&mut self) {
        while let Some(event) = self.session.poll_event() {
            assert!(!self.closed, "{event:?} after the end");
            let is_end = matches!(event, Event::Closed { .. });
            assert!(
                is_end || self.established || matches!(event, Event::Established(_)),
                "{event:?} before the greeting"
            );
            self.look_at(event);
        }
        let held: usize = self
            .inbound
            .values()
            .map(|(_, batches)| batches.len())
            .sum();
        let bytes: u64 = self
            .inbound
            .values()
            .flat_map(|(_, batches)| batches.values())
            .sum();
        assert!(
            held <= 1 || bytes <= config().window,
            "{held} batches of {bytes} bytes"
        );
        assert!(self.session.to_send().len() < MOST_OUTPUT);
        let _never_panics = (
            self.session.deadline(),
            self.session.can_read(),
            self.session.is_open(),
        );
    }

    fn look_at(&mut self, event: Event) {
        match event {
            Event::Established(greeting) => {
                assert!(!self.established, "greeted twice");
                assert_eq!(greeting.node.as_str(), PEERS);
                self.established = true;
            }
            Event::Closed { .. } => self.closed = true,
            Event::Batch(channel, records) => {
                let (last, batches) = self.inbound.get_mut(&channel).unwrap();
                let mut bytes = 0;
                for record in records {
                    assert_eq!(record.header.stream, channel);
                    assert!(record.header.seq > *last, "seqs rise");
                    *last = record.header.seq;
                    bytes += record.encoded_len() as u64;
                }
                assert!(bytes > 0);
                batches.insert(*last, bytes);
            }
            Event::Acked(channel, seq) => {
                let (said, acked) = self.outbound.get_mut(&channel).unwrap();
                assert!(seq >= *acked && seq <= *said, "{seq:?} of {said:?}");
                *acked = seq;
            }
            Event::Refused(number, _) | Event::Rewound(number, _) => {
                self.inbound.remove(&number);
                self.outbound.remove(&number);
            }
            _ => {}
        }
    }

    /// The peer reads what there is. All of it are frames that it understands.
    fn deliver(&mut self, most: usize) {
        let bytes = self.session.to_send();
        let count = bytes.len().min(most.max(1));
        let bytes = bytes[..count].to_vec();
        self.session.sent(count);
        self.peer.space().extend_from_slice(&bytes);
        while let Some(frame) = self.peer.next_frame().unwrap() {
            match frame.header.kind {
                FrameKind::Batch | FrameKind::CallData => {}
                _ => {
                    let control = Control::decode(&frame).unwrap();
                    if matches!(control, Control::Hello(_) | Control::Welcome(_)) {
                        self.peer.greeted();
                    }
                }
            }
        }
    }

    fn frame(&mut self, frame: Frame) {
        let now = self.now();
        self.session.on_frame(frame, now);
    }
}

/// The side, and the bytes of a first frame; then a good greeting, which comes too late for a session that
/// has ended.
pub(crate) fn greeting(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let side = input.one_of(&[Side::Acceptor, Side::Dialer]);
    let kind = match side {
        Side::Acceptor => FrameKind::Hello,
        Side::Dialer => FrameKind::Welcome,
    };
    let mut world = World::new(side);
    let header = if input.u8() < 200 {
        FrameHeader::control(kind, 0)
    } else {
        let (kind, channel) = (input.one_of(&FrameKind::ALL), u32::from(input.u8()));
        FrameHeader::control(kind, channel)
    };
    let payload = Bytes::copy_from_slice(input.rest());
    world.frame(Frame { header, payload });
    world.look();
    assert!(
        world.established || world.closed,
        "an answer to a first frame"
    );
    assert_eq!(world.session.is_open(), world.established);
    world.deliver(usize::MAX);
    if world.closed {
        world.frame(taken(&hello(side, 1, 1)));
        world.look();
        assert!(!world.established && world.session.to_send().is_empty());
    }
}

/// The side, whether to greet first, and then one step after the other.
pub(crate) fn session(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let side = input.one_of(&[Side::Acceptor, Side::Dialer]);
    let mut world = World::new(side);
    if input.is_even() {
        world.frame(taken(&hello(side, 1, 3)));
        world.look();
        assert!(world.established);
    }
    while !input.is_empty() {
        match input.u8() % 4 {
            0 | 1 => {
                let frame = from_peer(side, &mut input);
                world.frame(frame);
            }
            2 => program(&mut world, &mut input),
            _ => rim(&mut world, &mut input),
        }
        world.look();
    }
    world.deliver(usize::MAX);
    world.session.close(refusal(&mut input));
    world.look();
    world.deliver(usize::MAX);
    assert!(world.closed && world.session.to_send().is_empty());
}

/// Time and the line.
fn rim(world: &mut World, input: &mut Input<'_>) {
    match input.u8() % 4 {
        0 => {
            world
                .clock
                .advance(Duration::from_millis(input.number() % 100_000));
            let now = world.now();
            world.session.on_tick(now);
        }
        1 => world.deliver(usize::from(input.u16())),
        2 => world.deliver(usize::MAX),
        _ => {
            let shape = Shape::default();
            let now = world.clock.instant();
            world.session.set_shape(shape, now);
            world.session.more_to_read();
            world.session.shrink();
        }
    }
}

/// The program around the session.
fn program(world: &mut World, input: &mut Input<'_>) {
    let number = channel(input);
    let now = world.now();
    let session = &mut world.session;
    match input.u8() % 16 {
        0 => {
            let mark = mark(input);
            session.accept(number, mark);
            // only a channel that was opened is taken; a batch on any other would not be told
            world
                .inbound
                .entry(number)
                .or_insert((Seq::ZERO, BTreeMap::new()));
        }
        1 => {
            let seq = Seq(input.number());
            session.durable(number, seq);
            if let Some((_, batches)) = world.inbound.get_mut(&number) {
                batches.retain(|last, _| *last > seq);
            }
        }
        2 => {
            let channel = OutboundChannel {
                kind: ChannelKind::Forward,
                stream: input.one_of(&STREAMS).parse().unwrap(),
                lane: input.one_of(&LANES),
                share: Share::All,
                epoch: Epoch(7),
                first: Seq(1),
                last: Seq(u64::from(input.u8())),
                sent: Seq(u64::from(input.u8())),
                had: None,
                after: Seq::ZERO,
                consumer: None,
            };
            if let Some(number) = session.open(&channel) {
                world.outbound.insert(number, (channel.last, Seq::ZERO));
            }
        }
        3..=5 => read(world, input, now),
        6 => drop(session.subscribe(subscribe(input))),
        7 => session.allow(number),
        8 => {
            let refusal = refusal(input);
            session.refuse(number, refusal);
            world.inbound.remove(&number);
            world.outbound.remove(&number);
        }
        9 => drop(session.call(target(input))),
        10 => session.answer(number),
        11 => {
            let room = session.call_room(number, now.instant);
            let bytes = vec![1; room.min(usize::from(input.u16()))];
            session.send_on_call(number, &bytes, now.instant);
        }
        12 => session.used_of_call(number, usize::from(input.u16())),
        13 => session.end_call(number),
        14 => {
            let backlog = backlogs(input);
            session.heartbeat(backlog, Status::default(), None, now);
        }
        _ if input.u8() == 0 => session.drain(),
        _ => {}
    }
}

/// Sends what the session asks for: a few records, or the word that there are none.
fn read(world: &mut World, input: &mut Input<'_>, now: Now) {
    let Some(permit) = world.session.next_read(now.instant) else {
        return;
    };
    let mut chunk = Chunk::default();
    let mut seq = permit.after;
    for _ in 0..usize::from(input.u8() % 4).min(permit.max_records) {
        seq = Seq(seq.0 + 1 + u64::from(input.u8() % 3));
        let body = vec![2; usize::from(input.u16() % 2000)];
        chunk.records.push(record(permit.channel, 7, seq, &body));
    }
    if input.is_even() {
        chunk.through = Seq(seq.0 + u64::from(input.u8()));
    }
    let (said, _) = world.outbound.get_mut(&permit.channel).unwrap();
    *said = (*said).max(seq).max(chunk.through);
    world.session.send(permit, &chunk, now.instant);
}

/// A frame of the peer, well-formed more often than not.
fn from_peer(side: Side, input: &mut Input<'_>) -> Frame {
    let channel = channel(input);
    let control = match input.u8() % 20 {
        0..=3 => return batch(channel, input),
        4 => {
            let payload = Bytes::copy_from_slice(input.bytes(300));
            let header = FrameHeader::control(FrameKind::CallData, channel);
            return Frame { header, payload };
        }
        5 => {
            let header = FrameHeader {
                kind: input.one_of(&FrameKind::ALL),
                lane: u16::from(input.u8() % 5),
                channel,
                count: u32::from(input.u8() % 3),
                more: input.u8() % 4 == 1,
            };
            let length = usize::from(input.u8());
            let payload = Bytes::copy_from_slice(input.bytes(length));
            return Frame { header, payload };
        }
        6 => hello(side, u32::from(input.u8() % 3), u32::from(input.u8() % 3)),
        7 => Control::Close(refusal(input)),
        8 => Control::Heartbeat(Heartbeat {
            time: Timestamp::from_millis(input.number()),
            sent_us: input.number(),
            echo_us: input.number(),
            held_us: input.number(),
            durable: (0..input.u8() % 4).map(|_| ack(input)).collect(),
            backlog: backlogs(input),
            notice: (input.u8().is_multiple_of(4)).then(|| refusal(input)),
        }),
        9 => {
            let kind = input.one_of(&[ChannelKind::Forward, ChannelKind::Deliver]);
            Control::Open(Open {
                channel,
                kind,
                stream: input.one_of(&STREAMS).parse().unwrap(),
                lane: input.one_of(&LANES),
                epoch: Epoch(7),
                first: Seq(input.number()),
                last: Seq(input.number()),
                consumer: (kind == ChannelKind::Deliver).then(|| "mill7".parse().unwrap()),
            })
        }
        10 => Control::OpenAck(OpenAck {
            channel,
            mark: mark(input),
            window: input.number(),
        }),
        11 => Control::Refuse(channel, refusal(input)),
        12 | 13 => Control::Ack(ack(input)),
        14 => Control::Subscribe(channel, subscribe(input)),
        15 => Control::SubscribeAck(channel),
        16 => Control::Received(input.number()),
        17 => Control::Call(
            channel,
            Call {
                target: target(input),
                window: input.number(),
            },
        ),
        18 => Control::CallCredit(channel, input.number()),
        _ => Control::CallEnd(channel),
    };
    taken(&control)
}

/// The frame of a message. On channel 0, where most do not belong, it still is one.
fn taken(control: &Control) -> Frame {
    let mut bytes = Vec::new();
    control.encode(&mut bytes);
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(&bytes);
    decoder.next_frame().unwrap().unwrap()
}

/// Records of a channel, or a piece of them.
fn batch(channel: u32, input: &mut Input<'_>) -> Frame {
    let mut payload = Vec::new();
    let (mut seq, mut count) = (input.number(), 0);
    for _ in 0..input.u8() % 5 {
        seq = seq.wrapping_add(u64::from(input.u8() % 4));
        let body = vec![3; usize::from(input.u16() % 900)];
        let epoch = if input.u8() == 9 { 8 } else { 7 };
        let record = record(channel, epoch, Seq(seq), &body);
        record
            .header
            .encode(&record.head, &record.body, &mut payload);
        count += 1;
    }
    let keep = match input.u8() {
        0 => usize::from(input.u16()),
        _ => payload.len(),
    };
    payload.truncate(keep.min(MAX_FRAME));
    let more = input.u8() % 8 == 1 && !payload.is_empty();
    let header = FrameHeader {
        kind: FrameKind::Batch,
        lane: input.one_of(&LANES) as u16,
        channel,
        count: if more { 0 } else { count },
        more,
    };
    let payload = Bytes::from(payload);
    Frame { header, payload }
}

fn record(channel: u32, epoch: u64, seq: Seq, body: &[u8]) -> Record {
    let mut header = RecordHeader::new(RecordKind::Message);
    (header.stream, header.epoch, header.seq) = (channel, Epoch(epoch), seq);
    Record {
        header,
        head: Bytes::from_static(b"h"),
        body: Bytes::copy_from_slice(body),
    }
}

fn hello(side: Side, version_min: u32, version_max: u32) -> Control {
    let greeting = Greeting {
        version_min: version_min.min(version_max),
        version_max,
        features: u64::from(version_max > 0),
        node: PEERS.parse().unwrap(),
        software: "peer/1".to_owned(),
        time: Timestamp::from_millis(5),
        heartbeat: Duration::from_secs(1),
        window: 2500,
        instance: 0,
    };
    match side {
        Side::Acceptor => Control::Hello(greeting),
        Side::Dialer => Control::Welcome(greeting),
    }
}

fn channel(input: &mut Input<'_>) -> u32 {
    match input.u8() {
        0xff => u32::MAX,
        small => u32::from(small % 12),
    }
}

fn mark(input: &mut Input<'_>) -> Mark {
    Mark {
        epoch: Epoch(input.one_of(&[7, 7, 7, 8, 0])),
        seq: Seq(input.number()),
    }
}

fn ack(input: &mut Input<'_>) -> Ack {
    Ack {
        channel: channel(input),
        mark: mark(input),
    }
}

fn refusal(input: &mut Input<'_>) -> Refusal {
    Refusal::new(Code::new(2200 + u16::from(input.u8() % 40)), "because")
}

fn subscribe(input: &mut Input<'_>) -> Subscribe {
    Subscribe {
        consumer: "mill7".parse().unwrap(),
        stream: input.one_of(&STREAMS).parse().unwrap(),
        start: input.one_of(&[Start::Beginning, Start::End]),
    }
}

fn target(input: &mut Input<'_>) -> Target {
    input.one_of(&["probe", "admin"]).parse().unwrap()
}

fn backlogs(input: &mut Input<'_>) -> Vec<ChannelBacklog> {
    let one = |input: &mut Input<'_>| ChannelBacklog {
        channel: channel(input),
        backlog: Backlog {
            messages: input.number(),
            bytes: input.number(),
            oldest: None,
        },
    };
    (0..input.u8() % 3).map(|_| one(input)).collect()
}
