//! Hostile frames do no harm, and every reason to end is in the manual.

use bytes::Bytes;
use qc_core::link::{ENDED, Event, Now};
use qc_core::wire::{
    Ack, Call, ChannelBacklog, Control, FrameKind, Heartbeat, Mark, OpenAck, Refusal, Status,
};

use crate::pair::{ack, batch_of, frame_of, open_of, receiving};
use crate::parts::subscribe;

#[test]
fn the_manual_names_every_code() {
    let manual = include_str!("../../../../man/qc-wire.7");
    let codes = include_str!("../../src/link/codes.rs");
    let numbers: Vec<&str> = codes
        .lines()
        .filter_map(|line| line.split_once("Code::new(")?.1.strip_suffix(");"))
        .collect();
    assert_eq!(numbers.len(), 26);
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
        Control::Call(
            7,
            Call {
                target: "probe".parse().unwrap(),
                window: 9,
            },
        ),
        Control::CallCredit(7, 3),
        Control::CallEnd(7),
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
            match event {
                Event::Opened(open) => pair.nodes[1].accept(open.channel, Mark::default()),
                Event::Called(number, _) => pair.nodes[1].answer(*number),
                _ => {}
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
