//! A pair of sessions that have greeted each other.

use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{Chunk, Event, Now, OutboundChannel, Session};
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{
    Ack, ChannelKind, Control, Frame, FrameDecoder, FrameHeader, FrameKind, Greeting, Mark, Open,
    OpenAck, RecordHeader, RecordKind,
};

use crate::parts::{record, session, stream};

/// A pair of sessions that have greeted each other, and the bytes between them carried at once.
pub(crate) struct Pair {
    pub(crate) nodes: [Session; 2],
    pub(crate) decoders: [FrameDecoder; 2],
    pub(crate) clock: ManualClock,
}

impl Pair {
    fn fresh() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let now = Now::of(&clock);
        Self {
            nodes: [session(0, now), session(1, now)],
            decoders: [FrameDecoder::default(), FrameDecoder::default()],
            clock,
        }
    }

    pub(crate) fn greeted() -> Self {
        let mut pair = Self::fresh();
        pair.carry();
        for node in &mut pair.nodes {
            assert!(matches!(node.poll_event(), Some(Event::Established(_))));
        }
        pair
    }

    /// As [`Pair::greeted`], and the dialer is of a version without features.
    pub(crate) fn without_features() -> Self {
        let mut pair = Self::fresh();
        let bytes = pair.nodes[0].to_send().to_vec();
        pair.nodes[0].sent(bytes.len());
        let Control::Hello(greeting) = Control::decode(&cut_frame(&bytes).unwrap()).unwrap() else {
            panic!("a dialer greets first")
        };
        pair.say(&Control::Hello(Greeting {
            features: 0,
            ..greeting
        }));
        pair.carry();
        pair.events(1);
        pair
    }

    pub(crate) fn carry(&mut self) {
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

    /// How many bytes node `at` may send on call 1.
    pub(crate) fn room(&mut self, at: usize) -> usize {
        let now = self.clock.instant();
        self.nodes[at].call_room(1, now)
    }

    /// Lets the peer of the acceptor say `control`.
    pub(crate) fn say(&mut self, control: &Control) {
        let now = Now::of(&self.clock);
        self.nodes[1].on_frame(frame_of(control), now);
    }

    pub(crate) fn batch(&mut self, channel: u32, records: &[(u64, u64)]) {
        let frame = batch_of(channel, records);
        let now = Now::of(&self.clock);
        self.nodes[1].on_frame(frame, now);
    }

    /// A piece of a batch from the peer of the acceptor, and not its last.
    pub(crate) fn piece(&mut self, channel: u32, payload: &[u8]) {
        let header = FrameHeader {
            lane: Lane::Normal as u16,
            more: true,
            ..FrameHeader::control(FrameKind::Batch, channel)
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes, |out| out.extend_from_slice(payload));
        let now = Now::of(&self.clock);
        self.nodes[1].on_frame(cut_frame(&bytes).unwrap(), now);
    }

    pub(crate) fn events(&mut self, at: usize) -> Vec<Event> {
        std::iter::from_fn(|| self.nodes[at].poll_event()).collect()
    }

    /// The code with which the acceptor ended the session.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> qc_core::wire::Code {
        match self.events(1).pop() {
            Some(Event::Closed { refusal, by_peer }) => {
                assert!(!by_peer);
                refusal.code
            }
            other => panic!("not closed: {other:?}"),
        }
    }
}

pub(crate) fn frame_of(control: &Control) -> Frame {
    let mut bytes = Vec::new();
    control.encode(&mut bytes);
    cut_frame(&bytes).unwrap()
}

pub(crate) fn cut_frame(bytes: &[u8]) -> Option<Frame> {
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(bytes);
    decoder.next_frame().unwrap()
}

pub(crate) fn batch_of(channel: u32, records: &[(u64, u64)]) -> Frame {
    let header = FrameHeader {
        kind: FrameKind::Batch,
        lane: Lane::Normal as u16,
        channel,
        count: u32::try_from(records.len()).unwrap(),
        more: false,
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

pub(crate) fn open_of(channel: u32) -> Open {
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
pub(crate) fn receiving() -> Pair {
    let mut pair = Pair::greeted();
    pair.say(&Control::Open(open_of(1)));
    assert_eq!(pair.events(1), [Event::Opened(open_of(1))]);
    pair.nodes[1].accept(1, Mark::default());
    pair
}

/// The acceptor's channel 2 on which it has sent seqs 1 to 3 to the dialer.
pub(crate) fn sending() -> Pair {
    let mut pair = begun();
    // the rest of the batch goes, and nothing comes after it
    let now = pair.clock.instant();
    let permit = pair.nodes[1].next_read(now).unwrap();
    pair.nodes[1].send(permit, &Chunk::default(), now);
    pair
}

/// The frames that wait to be sent by the acceptor.
pub(crate) fn waiting(pair: &mut Pair) -> Vec<Frame> {
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(pair.nodes[1].to_send());
    std::iter::from_fn(|| decoder.next_frame().unwrap()).collect()
}

/// As [`sending`], and of the batch of seqs 1 to 3 one piece was sent.
pub(crate) fn begun() -> Pair {
    let mut pair = Pair::greeted();
    let channel = OutboundChannel {
        last: Seq(3),
        ..stream(ChannelKind::Forward, "acme/back", Lane::Normal)
    };
    assert_eq!(pair.nodes[1].open(&channel), Some(2));
    pair.say(&Control::OpenAck(OpenAck {
        channel: 2,
        mark: Mark::default(),
        window: 10_000,
    }));
    let permit = pair.nodes[1].next_read(pair.clock.instant()).unwrap();
    let chunk = Chunk {
        records: (1..=3).map(|seq| record(seq, 10)).collect(),
        through: Seq::ZERO,
    };
    pair.nodes[1].send(permit, &chunk, pair.clock.instant());
    pair
}

pub(crate) fn ack(channel: u32, epoch: u64, seq: u64) -> Control {
    Control::Ack(Ack {
        channel,
        mark: Mark {
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
    })
}
