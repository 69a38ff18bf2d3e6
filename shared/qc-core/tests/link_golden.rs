//! The bytes of every kind of frame, as they were sent first and stay. A change here is a new
//! protocol version.
#![expect(clippy::unwrap_used, reason = "a test may fail in its helpers")]

use std::fmt::Write as _;
use std::time::Duration;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{
    Ack, Applied, Backlog, Below, Call, ChannelBacklog, ChannelKind, Code, Control, Frame,
    FrameDecoder, FrameHeader, FrameKind, Greeting, Heartbeat, MAX_CHANNELS, Mark, Open, OpenAck,
    Record, RecordHeader, RecordKind, Refusal, Start, Status, Subscribe, WireError,
};

fn greeting() -> Greeting {
    Greeting {
        version_min: 1,
        version_max: 1,
        features: 0,
        node: "edge-07.mill7.acme".parse().unwrap(),
        software: "quick-connect/0.1.0".to_owned(),
        time: Timestamp::from_millis(1_795_231_327_000),
        heartbeat: Duration::from_secs(5),
        window: 34_733_568,
        instance: 0,
    }
}

fn mark() -> Mark {
    Mark {
        epoch: Epoch(1_795_000_000_000),
        seq: Seq(240),
    }
}

fn open() -> Open {
    Open {
        channel: 2,
        kind: ChannelKind::Deliver,
        stream: "acme/alarms".parse().unwrap(),
        lane: Lane::Critical,
        epoch: Epoch(1_795_000_000_000),
        first: Seq(121),
        last: Seq(500),
        consumer: Some("mill7".parse().unwrap()),
    }
}

fn backlog() -> Backlog {
    Backlog {
        messages: 260,
        bytes: 266_240,
        oldest: Some(Timestamp::from_millis(1_795_231_300_000)),
    }
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        time: Timestamp::from_millis(1_795_231_327_000),
        sent_us: 10_000_000,
        echo_us: 9_000_000,
        held_us: 500,
        durable: vec![Ack {
            channel: 1,
            mark: mark(),
        }],
        backlog: vec![ChannelBacklog {
            channel: 2,
            backlog: backlog(),
        }],
        notice: None,
    }
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        disk_used_percent: 41,
        cert_not_after: Some(Timestamp::from_millis(1_796_440_927_000)),
        time: Timestamp::from_millis(1_795_231_327_000),
        backlog: backlog(),
        messages_in: 1000,
        messages_out: 740,
        control: None,
    }
}

/// That of a relay, which tells of control objects and of the nodes below it.
fn status_of_a_relay() -> Status {
    Status {
        control: Some(vec![Applied {
            kind: 1,
            label: "x".to_owned(),
            revision: 12,
            digest: [0xdd; 32],
            below: Some(Below {
                nodes: 43,
                applied: 41,
            }),
        }]),
        ..status()
    }
}

fn controls() -> Vec<Control> {
    let refusal = |number, reason| Refusal::new(Code::new(number), reason);
    vec![
        Control::Hello(greeting()),
        Control::Hello(Greeting {
            instance: 0x0123_4567_89ab_cdef,
            ..greeting()
        }),
        Control::Welcome(greeting()),
        Control::Close(refusal(2200, "the node is shutting down")),
        Control::Close(
            refusal(2240, "relay-1.hq.acme is drained")
                .towards(Some("relay-2.dc.example:7443".parse().unwrap())),
        ),
        Control::Heartbeat(heartbeat()),
        Control::Heartbeat(Heartbeat {
            notice: Some(refusal(2225, "two machines")),
            ..heartbeat()
        }),
        Control::Open(open()),
        Control::OpenAck(OpenAck {
            channel: 1,
            mark: mark(),
            window: 4 << 20,
        }),
        Control::Refuse(1, refusal(3301, "the disk is full")),
        Control::Ack(Ack {
            channel: 1,
            mark: mark(),
        }),
        Control::Subscribe(
            3,
            Subscribe {
                consumer: "mill7".parse().unwrap(),
                stream: "acme/alarms".parse().unwrap(),
                start: Start::End,
            },
        ),
        Control::SubscribeAck(3),
        Control::Status(status()),
        Control::Status(status_of_a_relay()),
        Control::Call(
            3,
            Call {
                target: "probe".parse().unwrap(),
                window: 262_144,
            },
        ),
        Control::CallCredit(3, 65_536),
        Control::CallEnd(3),
        Control::Received(1_234_567),
    ]
}

fn batch() -> Vec<u8> {
    let header = FrameHeader {
        kind: FrameKind::Batch,
        lane: Lane::High as u16,
        channel: 1,
        count: 1,
        more: false,
    };
    let mut record = RecordHeader::new(RecordKind::Message);
    (record.lane, record.stream) = (Lane::High, 1);
    (record.epoch, record.seq) = (Epoch(9), Seq(121));
    record.accepted = Timestamp::from_millis(1_795_231_327_000);
    record.dedupe = [0xdd; 16];
    let mut bytes = Vec::new();
    header.encode(&mut bytes, |out| record.encode(b"head", b"body", out));
    bytes
}

fn encode(control: &Control) -> Vec<u8> {
    let mut bytes = Vec::new();
    control.encode(&mut bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(bytes);
    decoder.next_frame()
}

const GOLDEN: &str = include_str!("link_golden.hex");

#[test]
fn the_bytes_are_those_of_version_1() {
    let mut shown = String::new();
    for control in controls() {
        let bytes = encode(&control);
        let frame = decode(&bytes).unwrap().unwrap();
        writeln!(shown, "{:?} {}", frame.header.kind, HEXLOWER.encode(&bytes)).unwrap();
        assert_eq!(Control::decode(&frame), Ok(control));
    }
    let mut data = Vec::new();
    let header = FrameHeader::control(FrameKind::CallData, 3);
    header.encode(&mut data, |out| out.extend_from_slice(b"{\"probe\":\"x\"}"));
    writeln!(shown, "CallData {}", HEXLOWER.encode(&data)).unwrap();
    let bytes = batch();
    writeln!(shown, "Batch {}", HEXLOWER.encode(&bytes)).unwrap();
    assert_eq!(shown, GOLDEN);
    let mut payload = decode(&bytes).unwrap().unwrap().payload;
    let record = Record::split_from(&mut payload).unwrap();
    assert_eq!(record.header.seq, Seq(121));
    assert!(payload.is_empty());
}

#[test]
fn every_kind_has_golden_bytes() {
    for kind in FrameKind::ALL {
        let name = format!("{kind:?} ");
        assert!(GOLDEN.lines().any(|line| line.starts_with(&name)), "{name}");
    }
}

/// A payload built from raw protobuf fields: (number, varint) and (number, text).
fn payload(kind: FrameKind, channel: u32, numbers: &[(u32, u64)], texts: &[(u32, &str)]) -> Frame {
    let mut bytes = Vec::new();
    let header = FrameHeader::control(kind, channel);
    header.encode(&mut bytes, |out| {
        for (field, value) in numbers {
            prost::encoding::uint64::encode(*field, value, out);
        }
        for (field, text) in texts {
            prost::encoding::string::encode(*field, &(*text).to_owned(), out);
        }
    });
    decode(&bytes).unwrap().unwrap()
}

#[test]
fn every_bound_is_checked() {
    let node = (4, "edge-07.mill7.acme");
    let long = "x".repeat(129);
    for (what, frame) in [
        (
            "heartbeat of 0",
            payload(FrameKind::Hello, 0, &[(1, 1), (2, 1), (7, 0)], &[node]),
        ),
        (
            "heartbeat of a day",
            payload(FrameKind::Hello, 0, &[(2, 1), (7, 86_400_000)], &[node]),
        ),
        (
            "versions upside down",
            payload(FrameKind::Hello, 0, &[(1, 3), (2, 1), (7, 100)], &[node]),
        ),
        (
            "node name",
            payload(FrameKind::Hello, 0, &[(7, 100)], &[(4, "../etc")]),
        ),
        (
            "a hello on a channel",
            payload(FrameKind::Hello, 1, &[(7, 100)], &[node]),
        ),
        ("an ack on no channel", payload(FrameKind::Ack, 0, &[], &[])),
        (
            "a code of five digits",
            payload(FrameKind::Close, 0, &[(1, 10_000)], &[]),
        ),
        (
            "a relay to go to that is none",
            payload(FrameKind::Close, 0, &[(1, 2240)], &[(3, "relay-2")]),
        ),
        (
            "a relay to go to with a page of name",
            payload(
                FrameKind::Close,
                0,
                &[(1, 2240)],
                &[(3, &format!("{}:7443", "x".repeat(254)))],
            ),
        ),
        (
            "kind",
            payload(FrameKind::Open, 1, &[(1, 3), (4, 1)], &[(2, "a/b")]),
        ),
        (
            "lane",
            payload(FrameKind::Open, 1, &[(1, 1), (3, 4), (4, 1)], &[(2, "a/b")]),
        ),
        (
            "epoch 0",
            payload(FrameKind::Open, 1, &[(1, 1)], &[(2, "a/b")]),
        ),
        (
            "stream",
            payload(FrameKind::Open, 1, &[(1, 1), (4, 1)], &[(2, "a/../b")]),
        ),
        (
            "a forward with a consumer",
            payload(
                FrameKind::Open,
                1,
                &[(1, 1), (4, 1)],
                &[(2, "a/b"), (7, "c")],
            ),
        ),
        (
            "a delivery without",
            payload(FrameKind::Open, 1, &[(1, 2), (4, 1)], &[(2, "a/b")]),
        ),
        (
            "consumer",
            payload(
                FrameKind::Subscribe,
                1,
                &[(3, 1)],
                &[(1, &long), (2, "a/b")],
            ),
        ),
        (
            "start",
            payload(FrameKind::Subscribe, 1, &[(3, 3)], &[(1, "c"), (2, "a/b")]),
        ),
        ("percent", payload(FrameKind::Status, 0, &[(2, 101)], &[])),
        (
            "text that is none",
            decode(&encode_raw(FrameKind::Close, &[0x12, 1, 0xff]))
                .unwrap()
                .unwrap(),
        ),
        ("a batch", decode(&batch()).unwrap().unwrap()),
    ] {
        assert!(Control::decode(&frame).is_err(), "{what} was taken");
    }
    let many = Control::Heartbeat(Heartbeat {
        durable: vec![
            Ack {
                channel: 1,
                mark: mark()
            };
            MAX_CHANNELS + 1
        ],
        ..Heartbeat::default()
    });
    assert!(Control::decode(&decode(&encode(&many)).unwrap().unwrap()).is_err());
    // A field of a later version is passed over.
    let newer = payload(FrameKind::Close, 0, &[(1, 2200), (99, 7)], &[(98, "new")]);
    assert_eq!(
        Control::decode(&newer),
        Ok(Control::Close(Refusal::new(Code::new(2200), "")))
    );
}

fn encode_raw(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameHeader::control(kind, 0).encode(&mut bytes, |out| out.extend_from_slice(payload));
    bytes
}

#[test]
fn text_from_a_peer_is_safe_to_show() {
    let text = format!("\u{1b}[2J{}", "x".repeat(4000));
    let frame = payload(FrameKind::Close, 0, &[(1, 2201)], &[(2, &text)]);
    let Ok(Control::Close(refusal)) = Control::decode(&frame) else {
        panic!("a long reason is cut, not refused");
    };
    assert!(refusal.reason.starts_with("\\x1b[2Jxxx"));
    assert!(refusal.reason.len() < 400);
}

proptest! {
    #[test]
    fn marks_and_windows_round_trip(
        channel in 1..u32::MAX,
        (epoch, seq, window) in any::<(u64, u64, u64)>(),
    ) {
        let mark = Mark { epoch: Epoch(epoch), seq: Seq(seq) };
        for control in [
            Control::OpenAck(OpenAck { channel, mark, window }),
            Control::Ack(Ack { channel, mark }),
        ] {
            let frame = decode(&encode(&control)).unwrap().unwrap();
            prop_assert_eq!(Control::decode(&frame), Ok(control));
        }
    }

    #[test]
    fn heartbeats_round_trip(
        numbers in any::<(u64, u64, u64, u64)>(),
        durable in proptest::collection::vec(any::<(u32, u64, u64)>(), 0..40),
        waiting in proptest::collection::vec(any::<(u32, u64, u64)>(), 0..40),
    ) {
        let control = Control::Heartbeat(Heartbeat {
            time: Timestamp::from_millis(numbers.0),
            sent_us: numbers.1,
            echo_us: numbers.2,
            held_us: numbers.3,
            durable: durable
                .into_iter()
                .map(|(channel, epoch, seq)| Ack {
                    channel,
                    mark: Mark { epoch: Epoch(epoch), seq: Seq(seq) },
                })
                .collect(),
            backlog: waiting
                .into_iter()
                .map(|(channel, messages, bytes)| ChannelBacklog {
                    channel,
                    backlog: Backlog { messages, bytes, oldest: None },
                })
                .collect(),
            notice: None,
        });
        let frame = decode(&encode(&control)).unwrap().unwrap();
        prop_assert_eq!(Control::decode(&frame), Ok(control));
    }

    #[test]
    fn any_payload_is_refused_or_decoded(
        kind in 0..FrameKind::ALL.len(),
        channel in 0..3u32,
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let mut frame = decode(&encode_raw(FrameKind::ALL[kind], &bytes)).unwrap().unwrap();
        frame.header.channel = channel;
        let _either = Control::decode(&frame);
    }
}
