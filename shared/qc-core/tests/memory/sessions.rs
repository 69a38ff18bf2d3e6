//! A whole session, fed by its decoder as a link feeds it, before and after the greeting.

use std::time::Duration;

use bytes::Bytes;
use qc_core::clock::ManualClock;
use qc_core::link::{Event, Now, Session, SessionConfig, Side};
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{
    Call, ChannelKind, Control, FrameDecoder, FrameHeader, FrameKind, Greeting, MAX_CALL_DATA,
    MAX_CHANNELS, Mark, Open, RecordHeader, RecordKind,
};

use crate::{BEYOND, Turn};

const OURS: &str = "relay-1.hub.acme";
const PEERS: &str = "edge-1.mill7.acme";
/// What a channel that the peer has opened may cost beyond its frame: one of 1024 at most.
const CHANNEL: usize = 640;

/// What stands around that: slots of queues, counts of buffers that are shared.
const SLOTS: usize = 1024;

/// A session and its decoder, and how much they have received since they were counted.
struct Link {
    session: Session,
    decoder: FrameDecoder,
    now: Now,
    received: usize,
    /// Batches that a store has not taken yet.
    waiting: Vec<qc_core::wire::Records>,
    calls: Vec<Bytes>,
    closed: bool,
}

impl Link {
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let now = Now::of(&clock);
        let config = SessionConfig::new(OURS.parse().unwrap());
        Self {
            session: Session::new(config, Side::Acceptor, PEERS.parse().unwrap(), now),
            decoder: FrameDecoder::default(),
            now,
            received: 0,
            waiting: Vec::new(),
            calls: Vec::new(),
            closed: false,
        }
    }

    fn greeted() -> Self {
        let mut link = Self::new();
        let greeting = Greeting {
            version_min: 1,
            version_max: 1,
            features: 1,
            node: PEERS.parse().unwrap(),
            software: "x".to_owned(),
            time: Timestamp::from_millis(1),
            heartbeat: Duration::from_secs(5),
            window: 1 << 20,
            instance: u64::MAX,
        };
        link.take(&encoded(&Control::Hello(greeting)));
        assert!(link.session.is_open());
        link.received = 0;
        link
    }

    /// As the driver: reads, decodes, and hands on what has come; the peer reads every answer.
    fn take(&mut self, mut bytes: &[u8]) {
        self.received += bytes.len();
        while !bytes.is_empty() && !self.closed {
            let space = self.decoder.space();
            let count = (space.capacity() - space.len()).min(bytes.len());
            let (now, later) = bytes.split_at(count);
            space.extend_from_slice(now);
            bytes = later;
            loop {
                match self.decoder.next_frame() {
                    Ok(Some(frame)) => self.session.on_frame(frame, self.now),
                    Ok(None) => break,
                    Err(_) => self.closed = true,
                }
                self.events();
                if self.closed {
                    break;
                }
            }
            let answers = self.session.to_send().len();
            self.session.sent(answers);
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Established(_) => self.decoder.greeted(),
                Event::Opened(open) => self.session.accept(open.channel, Mark::default()),
                Event::Batch(_, records) => self.waiting.push(records),
                Event::Called(number, _) => self.session.answer(number),
                Event::CallData(_, bytes) => self.calls.push(bytes),
                Event::Closed { .. } => self.closed = true,
                _ => {}
            }
        }
    }
}

fn encoded(control: &Control) -> Vec<u8> {
    let mut bytes = Vec::new();
    control.encode(&mut bytes);
    bytes
}

fn open(channel: u32) -> Vec<u8> {
    encoded(&Control::Open(Open {
        channel,
        kind: ChannelKind::Forward,
        stream: "acme/orders".parse().unwrap(),
        lane: Lane::Normal,
        epoch: Epoch(7),
        first: Seq(1),
        last: Seq(9),
        consumer: None,
    }))
}

/// Frames that a peer sends, one after the other, and what must hold behind each.
#[track_caller]
fn check(
    turn: &Turn,
    what: &str,
    mut link: Link,
    frames: impl Iterator<Item = Vec<u8>>,
    each: usize,
) {
    let frames: Vec<Vec<u8>> = frames.collect();
    let count = turn.count();
    for (at, frame) in frames.iter().enumerate() {
        link.take(frame);
        let most = link.received + BEYOND + SLOTS + (at + 1).min(MAX_CHANNELS) * each;
        assert!(
            count.most() <= most,
            "{what}: {} for {}",
            count.most(),
            link.received
        );
    }
    assert!(link.received > 0);
}

#[test]
fn before_the_greeting() {
    let turn = Turn::take();
    let frame = |kind, length: usize| {
        let mut bytes = Vec::new();
        FrameHeader::control(kind, 0)
            .encode(&mut bytes, |out| out.resize(out.len() + length, 0x0a));
        bytes
    };
    for kind in FrameKind::ALL {
        check(
            &turn,
            "the longest",
            Link::new(),
            [frame(kind, 4096)].into_iter(),
            0,
        );
        check(
            &turn,
            "longer",
            Link::new(),
            [frame(kind, 70_000)].into_iter(),
            0,
        );
        check(
            &turn,
            "many",
            Link::new(),
            (0..2000).map(|_| frame(kind, 10)),
            0,
        );
    }
}

#[test]
fn batches_of_the_shortest_records() {
    let turn = Turn::take();
    let mut link = Link::greeted();
    link.take(&open(1));
    let mut seq = 0;
    let batches = (0..20).map(|_| {
        let mut bytes = Vec::new();
        let header = FrameHeader {
            kind: FrameKind::Batch,
            lane: Lane::Normal as u16,
            channel: 1,
            count: 2000,
            more: false,
        };
        header.encode(&mut bytes, |out| {
            for _ in 0..2000 {
                seq += 1;
                let mut record = RecordHeader::new(RecordKind::Message);
                (record.stream, record.epoch, record.seq) = (1, Epoch(7), Seq(seq));
                record.encode(b"", b"", out);
            }
        });
        bytes
    });
    check(&turn, "short records", link, batches, 0);
}

#[test]
fn batches_in_pieces_and_counts_that_lie() {
    let turn = Turn::take();
    for (piece, count) in [(1, 3000), (65_536, 200)] {
        let mut link = Link::greeted();
        link.take(&open(1));
        let pieces = (0..count).map(|_| {
            let mut bytes = Vec::new();
            let header = FrameHeader {
                kind: FrameKind::Batch,
                lane: Lane::Normal as u16,
                channel: 1,
                count: 0,
                more: true,
            };
            header.encode(&mut bytes, |out| out.resize(out.len() + piece, 0));
            bytes
        });
        check(&turn, "pieces without an end", link, pieces, 0);
    }
    let mut link = Link::greeted();
    link.take(&open(1));
    let header = FrameHeader {
        kind: FrameKind::Batch,
        lane: Lane::Normal as u16,
        channel: 1,
        count: u32::MAX,
        more: false,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes, |out| out.extend_from_slice(&[0; 200]));
    check(
        &turn,
        "four thousand million records",
        link,
        [bytes].into_iter(),
        0,
    );
}

#[test]
fn control_messages_of_every_kind() {
    let turn = Turn::take();
    for kind in FrameKind::ALL {
        for entry in [
            &[0x2a, 0][..],
            &[0x2a, 2, 8, 1, 0x32, 2, 8, 1],
            &[0x32, 0],
            &[0x12, 1, b'x'],
        ] {
            for entries in [1024, 16_000] {
                let mut bytes = Vec::new();
                let channel = u32::from(kind as u8 > 4);
                let header = FrameHeader::control(kind, channel);
                header.encode(&mut bytes, |out| {
                    for _ in 0..entries {
                        out.extend_from_slice(entry);
                    }
                });
                check(&turn, "entries", Link::greeted(), [bytes].into_iter(), 0);
            }
        }
    }
}

#[test]
fn channels_cost_a_fixed_sum() {
    let turn = Turn::take();
    let channels = (0..1500).map(|at| open(2 * at + 1));
    check(&turn, "channels", Link::greeted(), channels, CHANNEL);
}

#[test]
fn calls() {
    let turn = Turn::take();
    let begin = |number| {
        let call = Call {
            target: "probe".parse().unwrap(),
            window: 1 << 20,
        };
        encoded(&Control::Call(number, call))
    };
    let data = |number| {
        let mut bytes = Vec::new();
        let header = FrameHeader::control(FrameKind::CallData, number);
        header.encode(&mut bytes, |out| out.resize(out.len() + MAX_CALL_DATA, 1));
        bytes
    };
    check(
        &turn,
        "calls",
        Link::greeted(),
        (0..500).map(|at| begin(2 * at + 1)),
        0,
    );
    let mut link = Link::greeted();
    link.take(&begin(1));
    check(&turn, "bytes of a call", link, (0..100).map(|_| data(1)), 0);
}
