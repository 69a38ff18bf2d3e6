//! The lies, and what each comes to in which state.

use std::time::Duration;

use bytes::Bytes;
use qc_core::link::{FORGED_ACK, FRAME, GOING_AWAY, ORDER, PROTOCOL, SLOW, TOO_MANY, WINDOW};
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{
    Ack, Backlog, ChannelBacklog, ChannelKind, Code, Control, Frame, FrameHeader, FrameKind,
    Greeting, Heartbeat, MAX_CALL_DATA, MAX_CALLS, MAX_CHANNELS, Mark, Open, OpenAck, Refusal,
    Status,
};

use super::State::{
    self, Begun, Called, Calling, Draining, HalfBatch, Receiving, Sending, Subscribed,
};
use super::call;
use crate::pair::{ack, batch_of, frame_of, open_of};
use crate::parts::{NAMES, name, subscribe};

pub(super) fn greeting(node: &str) -> Greeting {
    Greeting {
        version_min: 1,
        version_max: 1,
        features: u64::MAX,
        node: name(node),
        software: "liar".to_owned(),
        time: Timestamp::from_millis(u64::MAX),
        heartbeat: Duration::from_mins(10),
        window: u64::MAX,
        instance: u64::MAX,
    }
}

fn open_ack(channel: u32, epoch: u64, seq: u64) -> Frame {
    frame_of(&Control::OpenAck(OpenAck {
        channel,
        mark: Mark {
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
        window: u64::MAX,
    }))
}

fn beat(durable: &[(u32, u64, u64)], backlog: &[u32]) -> Frame {
    frame_of(&Control::Heartbeat(Heartbeat {
        time: Timestamp::from_millis(u64::MAX),
        sent_us: u64::MAX,
        echo_us: u64::MAX,
        held_us: u64::MAX,
        durable: durable
            .iter()
            .map(|(channel, epoch, seq)| Ack {
                channel: *channel,
                mark: Mark {
                    epoch: Epoch(*epoch),
                    seq: Seq(*seq),
                },
            })
            .collect(),
        backlog: backlog
            .iter()
            .map(|channel| ChannelBacklog {
                channel: *channel,
                backlog: Backlog {
                    messages: u64::MAX,
                    bytes: u64::MAX,
                    oldest: Some(Timestamp::from_millis(u64::MAX)),
                },
            })
            .collect(),
        notice: None,
    }))
}

fn data(number: u32, bytes: usize) -> Frame {
    Frame {
        header: FrameHeader::control(FrameKind::CallData, number),
        payload: Bytes::from(vec![0; bytes]),
    }
}

/// A batch whose header was changed by `change`.
fn odd_batch(change: impl FnOnce(&mut FrameHeader)) -> Frame {
    let mut frame = batch_of(1, &[(77, 1)]);
    change(&mut frame.header);
    frame
}

fn piece(channel: u32, bytes: usize) -> Frame {
    Frame {
        header: FrameHeader {
            lane: Lane::Normal as u16,
            more: true,
            ..FrameHeader::control(FrameKind::Batch, channel)
        },
        payload: Bytes::from(vec![7; bytes]),
    }
}

fn open(channel: u32) -> Frame {
    frame_of(&Control::Open(open_of(channel)))
}

fn of_kind(kind: FrameKind, channel: u32, payload: &'static [u8]) -> Frame {
    Frame {
        header: FrameHeader::control(kind, channel),
        payload: Bytes::from_static(payload),
    }
}

fn many(count: usize, frame: impl Fn(u32) -> Frame) -> Vec<Frame> {
    (0..u32::try_from(count).unwrap()).map(frame).collect()
}

/// What a lie comes to: in every state but those that are named, the first of the two; `None` goes on.
pub(super) type Outcome = (Option<Code>, &'static [(State, Option<Code>)]);

pub(super) const ENDS: Option<Code> = Some(PROTOCOL);

/// Name, frames, outcome after the greeting. Before it everything but a greeting is [`PROTOCOL`], or
/// [`FRAME`] where it is no message at all.
pub(super) fn lies() -> Vec<(&'static str, Vec<Frame>, Outcome)> {
    let refuse = |number| frame_of(&Control::Refuse(number, Refusal::new(GOING_AWAY, "x")));
    let credit = |number, bytes| frame_of(&Control::CallCredit(number, bytes));
    let end = |number| frame_of(&Control::CallEnd(number));
    let sub = |number| frame_of(&Control::Subscribe(number, subscribe("acme/orders")));
    let control = |control: &Control| vec![frame_of(control)];
    let unasked = Open {
        kind: ChannelKind::Deliver,
        consumer: Some("mill7".parse().unwrap()),
        ..open_of(3)
    };
    vec![
        (
            "a second greeting",
            control(&Control::Hello(greeting(NAMES[0]))),
            (ENDS, &[]),
        ),
        (
            "the other side's greeting",
            control(&Control::Welcome(greeting(NAMES[0]))),
            (ENDS, &[]),
        ),
        (
            "an acknowledgement beyond what was sent",
            control(&ack(2, 77, 4)),
            (
                ENDS,
                &[
                    (Sending, Some(FORGED_ACK)),
                    (Begun, Some(FORGED_ACK)),
                    (Subscribed, None),
                    (Calling, None),
                ],
            ),
        ),
        (
            "an acknowledgement of everything",
            control(&ack(2, 77, u64::MAX)),
            (
                ENDS,
                &[
                    (Sending, Some(FORGED_ACK)),
                    (Begun, Some(FORGED_ACK)),
                    (Subscribed, None),
                    (Calling, None),
                ],
            ),
        ),
        (
            "an acknowledgement of another epoch",
            control(&ack(2, 78, 1)),
            (
                ENDS,
                &[
                    (Sending, Some(FORGED_ACK)),
                    (Begun, Some(FORGED_ACK)),
                    (Subscribed, None),
                    (Calling, None),
                ],
            ),
        ),
        (
            "acknowledgements that go back",
            vec![frame_of(&ack(2, 77, 2)), frame_of(&ack(2, 77, 1))],
            (
                ENDS,
                &[
                    (Sending, None),
                    (Begun, Some(FORGED_ACK)),
                    (Subscribed, None),
                    (Calling, None),
                ],
            ),
        ),
        (
            "an acknowledgement of its own channel",
            control(&ack(1, 77, 0)),
            (ENDS, &[]),
        ),
        (
            "an acknowledgement of no channel",
            control(&ack(4000, 77, 1)),
            (ENDS, &[]),
        ),
        (
            "a second answer to a channel",
            vec![open_ack(2, 77, 0)],
            (ENDS, &[(Subscribed, None), (Calling, None)]),
        ),
        (
            "an answer to its own channel",
            vec![open_ack(1, 77, 0)],
            (ENDS, &[]),
        ),
        (
            "a seq that comes again",
            vec![batch_of(1, &[(77, 5)]), batch_of(1, &[(77, 5)])],
            (
                ENDS,
                &[
                    (Receiving, Some(ORDER)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a seq that goes back",
            vec![batch_of(1, &[(77, 5), (77, 4)])],
            (
                ENDS,
                &[
                    (Receiving, Some(ORDER)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a record of another epoch",
            vec![batch_of(1, &[(78, 1)])],
            (
                ENDS,
                &[
                    (Receiving, Some(ORDER)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a seq of zero",
            vec![batch_of(1, &[(77, 0)])],
            (
                ENDS,
                &[
                    (Receiving, Some(ORDER)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "an empty batch",
            vec![batch_of(1, &[])],
            (
                ENDS,
                &[
                    (Receiving, Some(FRAME)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a batch that counts more than it has",
            vec![odd_batch(|h| h.count = u32::MAX)],
            (
                ENDS,
                &[
                    (Receiving, Some(FRAME)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a batch that counts nothing",
            vec![odd_batch(|h| h.count = 0)],
            (
                ENDS,
                &[
                    (Receiving, Some(FRAME)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a batch of another lane",
            vec![odd_batch(|h| h.lane = 0)],
            (
                ENDS,
                &[
                    (Receiving, Some(ORDER)),
                    (HalfBatch, Some(ORDER)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a batch on a channel of the receiver",
            vec![odd_batch(|h| h.channel = 2)],
            (ENDS, &[]),
        ),
        (
            "a batch on no channel",
            vec![odd_batch(|h| h.channel = 4001)],
            (ENDS, &[]),
        ),
        (
            "a batch of the session",
            vec![odd_batch(|h| h.channel = 0)],
            (ENDS, &[]),
        ),
        (
            "a batch before the answer",
            vec![open(3), batch_of(3, &[(77, 1)])],
            (ENDS, &[(Draining, None)]),
        ),
        (
            "a batch that never ends",
            many(100, |_| piece(1, 100)),
            (
                ENDS,
                &[
                    (Receiving, None),
                    (HalfBatch, None),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a batch that is longer than any",
            many(4300, |_| piece(1, 4096)),
            (
                ENDS,
                &[
                    (Receiving, Some(WINDOW)),
                    (HalfBatch, Some(WINDOW)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "batches beyond the window",
            many(20, |at| batch_of(1, &[(77, u64::from(at) + 1)])),
            (
                ENDS,
                &[
                    (Receiving, Some(WINDOW)),
                    (HalfBatch, Some(FRAME)),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        (
            "more has arrived than was sent",
            control(&Control::Received(u64::MAX)),
            (Some(FORGED_ACK), &[]),
        ),
        (
            "nothing has arrived",
            control(&Control::Received(0)),
            (None, &[]),
        ),
        (
            "less has arrived than before",
            vec![
                frame_of(&Control::Received(20)),
                frame_of(&Control::Received(19)),
            ],
            (Some(FORGED_ACK), &[(Sending, ENDS), (Begun, ENDS)]),
        ),
        (
            "a heartbeat from another time",
            vec![beat(&[], &[])],
            (None, &[]),
        ),
        (
            "a heartbeat about channels that are not there",
            vec![beat(&[], &[0, 1, 2, 3, 4000])],
            (None, &[]),
        ),
        (
            "a heartbeat that acknowledges too much",
            vec![beat(&[(2, 77, 9)], &[])],
            (
                ENDS,
                &[
                    (Sending, Some(FORGED_ACK)),
                    (Begun, Some(FORGED_ACK)),
                    (Subscribed, None),
                    (Calling, None),
                ],
            ),
        ),
        (
            "a heartbeat that acknowledges no channel",
            vec![beat(&[(4000, 1, 1)], &[])],
            (ENDS, &[]),
        ),
        (
            "a flood of heartbeats",
            many(2000, |_| beat(&[], &[])),
            (None, &[]),
        ),
        (
            "a flood of news",
            many(2000, |_| frame_of(&Control::Status(Status::default()))),
            (None, &[]),
        ),
        (
            "a channel with a number of the receiver",
            vec![open(2)],
            (ENDS, &[]),
        ),
        ("a channel twice", vec![open(3), open(3)], (ENDS, &[])),
        ("channels backwards", vec![open(9), open(7)], (ENDS, &[])),
        (
            "a channel behind the last number",
            vec![open(u32::MAX), open(1)],
            (ENDS, &[]),
        ),
        (
            "channel after channel",
            many(MAX_CHANNELS + 1, |at| open(2 * at + 3)),
            (Some(TOO_MANY), &[(Draining, None)]),
        ),
        (
            "subscription after subscription",
            many(MAX_CHANNELS + 1, |at| sub(2 * at + 3)),
            (Some(TOO_MANY), &[(Draining, None)]),
        ),
        (
            "call after call",
            many(MAX_CALLS + 9, |at| {
                frame_of(&Control::Call(2 * at + 3, call()))
            }),
            (None, &[]),
        ),
        (
            "calls without end, and no ear for the answers",
            many(30_000, |at| frame_of(&Control::Call(2 * at + 3, call()))),
            (Some(SLOW), &[]),
        ),
        (
            "streams that were not asked for",
            many(30_000, |at| {
                frame_of(&Control::Open(Open {
                    channel: 2 * at + 3,
                    ..unasked.clone()
                }))
            }),
            (Some(SLOW), &[(Draining, None)]),
        ),
        (
            "a subscription with a number of the receiver",
            vec![sub(4)],
            (ENDS, &[]),
        ),
        (
            "a subscription that was never made is granted",
            control(&Control::SubscribeAck(4000)),
            (ENDS, &[]),
        ),
        ("a refusal of nothing", vec![refuse(4000)], (ENDS, &[])),
        (
            "a refusal twice",
            vec![open(3), refuse(3), refuse(3)],
            (None, &[]),
        ),
        ("credit for no call", vec![credit(4000, 1)], (ENDS, &[])),
        (
            "credit without end",
            vec![credit(2, u64::MAX)],
            (
                ENDS,
                &[
                    (Sending, None),
                    (Begun, None),
                    (Subscribed, None),
                    (Calling, Some(WINDOW)),
                ],
            ),
        ),
        (
            "credit without end for its own call",
            vec![credit(1, u64::MAX)],
            (
                ENDS,
                &[
                    (Receiving, None),
                    (HalfBatch, None),
                    (Called, Some(WINDOW)),
                    (Draining, None),
                ],
            ),
        ),
        (
            "a flood of no credit",
            many(20_000, |_| credit(1, 0)),
            (
                ENDS,
                &[
                    (Receiving, None),
                    (HalfBatch, None),
                    (Called, None),
                    (Draining, None),
                ],
            ),
        ),
        ("bytes of no call", vec![data(4001, 1)], (ENDS, &[])),
        (
            "bytes before the answer",
            vec![data(2, 1)],
            (ENDS, &[(Sending, None), (Begun, None), (Subscribed, None)]),
        ),
        (
            "more bytes than were granted",
            many(17, |_| data(1, MAX_CALL_DATA)),
            (
                ENDS,
                &[
                    (Receiving, None),
                    (HalfBatch, None),
                    (Called, Some(WINDOW)),
                    (Draining, None),
                ],
            ),
        ),
        (
            "an end twice",
            vec![end(1), end(1)],
            (
                ENDS,
                &[(Receiving, None), (HalfBatch, None), (Draining, None)],
            ),
        ),
        (
            "bytes behind the end",
            vec![end(1), data(1, 1)],
            (
                ENDS,
                &[(Receiving, None), (HalfBatch, None), (Draining, None)],
            ),
        ),
        (
            "an end before the answer",
            vec![end(2)],
            (ENDS, &[(Sending, None), (Begun, None), (Subscribed, None)]),
        ),
        (
            "a message of the session on a channel",
            vec![of_kind(FrameKind::Heartbeat, 1, b"")],
            (Some(FRAME), &[]),
        ),
        (
            "a message of a channel without one",
            vec![of_kind(FrameKind::Ack, 0, b"")],
            (Some(FRAME), &[]),
        ),
        (
            "noise",
            vec![of_kind(
                FrameKind::Open,
                3,
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            )],
            (Some(FRAME), &[]),
        ),
        (
            "a channel without a name",
            vec![of_kind(FrameKind::Open, 3, b"")],
            (Some(FRAME), &[]),
        ),
    ]
}
