//! A peer that frames well and means ill: every state of a session against every way to lie in it.
//!
//! The table says what each lie comes to. A lie about what was never agreed ends the session with the
//! code of the rule that was broken; what may still be on its way from before is no lie and changes
//! nothing. Nothing that is not true is ever taken for acknowledged.

use std::time::Duration;

use bytes::Bytes;
use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{
    Event, FORGED_ACK, FRAME, GOING_AWAY, HELLO_TIMEOUT, Now, ORDER, PROTOCOL, SILENT, SLOW,
    TOO_MANY, WINDOW, WRONG_NODE,
};
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{
    Ack, Backlog, CALL_WINDOW, Call, ChannelBacklog, ChannelKind, Code, Control, Frame,
    FrameHeader, FrameKind, Greeting, Heartbeat, MAX_CALL_DATA, MAX_CALLS, MAX_CHANNELS, Mark,
    Open, OpenAck, Refusal, Status,
};

use crate::pair::{Pair, ack, batch_of, begun, frame_of, open_of, receiving, sending};
use crate::parts::{NAMES, name, session, subscribe};

/// What an acceptor is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has greeted.
    Fresh,
    /// Both have greeted.
    Greeted,
    /// It receives on channel 1.
    Receiving,
    /// And half a batch has come.
    HalfBatch,
    /// It has sent seqs 1 to 3 on channel 2.
    Sending,
    /// It has sent the first piece of them.
    Begun,
    /// It has a subscription, number 2.
    Subscribed,
    /// It is called, number 1, and has answered.
    Called,
    /// It calls, number 2, and has no answer.
    Calling,
    /// It drains, having received on channel 1.
    Draining,
}

use State::{
    Begun, Called, Calling, Draining, Fresh, Greeted, HalfBatch, Receiving, Sending, Subscribed,
};

const STATES: [State; 10] = [
    Fresh, Greeted, Receiving, HalfBatch, Sending, Begun, Subscribed, Called, Calling, Draining,
];

fn fresh() -> Pair {
    let mut pair = Pair::greeted();
    pair.nodes[1] = session(1, Now::of(&pair.clock));
    pair
}

fn call() -> Call {
    Call {
        target: "probe".parse().unwrap(),
        window: CALL_WINDOW,
    }
}

fn in_state(state: State) -> Pair {
    match state {
        Fresh => fresh(),
        Greeted => Pair::greeted(),
        Receiving => receiving(),
        HalfBatch => {
            let mut pair = receiving();
            pair.piece(1, &[7; 60]);
            pair
        }
        Sending => sending(),
        Begun => begun(),
        Subscribed => {
            let mut pair = Pair::greeted();
            assert_eq!(pair.nodes[1].subscribe(subscribe("acme/down")), Some(2));
            pair
        }
        Called => {
            let mut pair = Pair::greeted();
            pair.say(&Control::Call(1, call()));
            pair.nodes[1].answer(1);
            pair.events(1);
            pair
        }
        Calling => {
            let mut pair = Pair::greeted();
            assert_eq!(pair.nodes[1].call(call().target), Ok(2));
            pair
        }
        Draining => {
            let mut pair = receiving();
            pair.nodes[1].drain();
            pair.events(1);
            pair
        }
    }
}

fn greeting(node: &str) -> Greeting {
    Greeting {
        version_min: 1,
        version_max: 1,
        features: u64::MAX,
        node: name(node),
        software: "liar".to_owned(),
        time: Timestamp::from_millis(u64::MAX),
        heartbeat: Duration::from_mins(10),
        window: u64::MAX,
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
type Outcome = (Option<Code>, &'static [(State, Option<Code>)]);

const ENDS: Option<Code> = Some(PROTOCOL);

/// Name, frames, outcome after the greeting. Before it everything but a greeting is [`PROTOCOL`], or
/// [`FRAME`] where it is no message at all.
fn lies() -> Vec<(&'static str, Vec<Frame>, Outcome)> {
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

/// Gives the frames to the acceptor, which answers what is asked as a program would, and takes what it
/// says from it only if somebody `hears`. What it came to.
fn tell(pair: &mut Pair, frames: &[Frame], hears: bool) -> Option<Code> {
    for frame in frames {
        let now = Now::of(&pair.clock);
        pair.nodes[1].on_frame(frame.clone(), now);
        for event in pair.events(1) {
            match event {
                Event::Closed { refusal, by_peer } => {
                    assert!(!by_peer);
                    return Some(refusal.code);
                }
                Event::Acked(2, seq) => assert!(seq <= Seq(3), "{seq} was never sent"),
                _ => {}
            }
        }
        let waiting = pair.nodes[1].to_send().len();
        assert!(waiting <= 1024 * 1024 + 64 * 1024, "{waiting} bytes wait");
        if hears {
            pair.nodes[1].sent(waiting);
        }
    }
    None
}

#[test]
fn every_lie_in_every_state_comes_to_what_the_table_says() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (lie, frames, (usual, others)) in lies() {
        for state in STATES {
            let expected = if state == Fresh {
                let first = &frames[0];
                match (first.header.kind, usual) {
                    // it is the first greeting then
                    (FrameKind::Hello, _) => continue,
                    (FrameKind::Batch | FrameKind::CallData, _) => ENDS,
                    (_, Some(FRAME)) => usual,
                    _ => ENDS,
                }
            } else {
                let other = others.iter().find(|(other, _)| *other == state);
                other.map_or(usual, |(_, expected)| *expected)
            };
            let mut pair = in_state(state);
            let came = tell(&mut pair, &frames, false);
            tried += 1;
            if came != expected {
                wrong.push(format!("{state:?}, {lie}: {came:?}, not {expected:?}"));
            }
            assert_eq!(pair.nodes[1].is_open(), came.is_none(), "{state:?}, {lie}");
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried > 550, "{tried}");
}

#[test]
fn a_greeting_that_is_a_lie_ends_the_session() {
    for node in ["edge-2.mill7.acme", NAMES[1]] {
        let mut pair = fresh();
        let hello = frame_of(&Control::Hello(greeting(node)));
        assert_eq!(tell(&mut pair, &[hello], true), Some(WRONG_NODE), "{node}");
    }
    // one with every number at its end is none
    let mut pair = fresh();
    let hello = frame_of(&Control::Hello(greeting(NAMES[0])));
    assert_eq!(tell(&mut pair, &[hello], true), None);
    assert!(pair.nodes[1].is_open());
}

/// Whatever a peer has begun, when it says nothing more it is given up in time.
#[test]
fn silence_ends_every_state() {
    for state in STATES {
        let mut pair = in_state(state);
        let begin = pair.clock.instant();
        let mut ended = None;
        for _ in 0..100 {
            pair.clock.advance(Duration::from_secs(1));
            let now = Now::of(&pair.clock);
            pair.nodes[1].on_tick(now);
            let closed = pair.events(1).into_iter().find_map(|event| match event {
                Event::Closed { refusal, .. } => Some(refusal.code),
                _ => None,
            });
            if closed.is_some() {
                ended = closed;
                break;
            }
        }
        let took = pair.clock.instant() - begin;
        let (code, within) = match state {
            Fresh => (HELLO_TIMEOUT, 6),
            _ => (SILENT, 31),
        };
        assert_eq!(ended, Some(code), "{state:?}");
        assert!(took <= Duration::from_secs(within), "{state:?}: {took:?}");
    }
}

/// Lie after lie in any order, between frames that are right, with and without an ear for the answers.
#[test]
fn lies_in_any_order_do_no_harm() {
    let lies = lies();
    let short: Vec<_> = lies
        .iter()
        .filter(|(_, frames, _)| frames.len() < 50)
        .collect();
    let (mut ended, mut survived) = (0, 0);
    for seed in 0..3000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pair = in_state(STATES[rng.usize(0..STATES.len())]);
        let hears = rng.bool();
        let mut code = None;
        for _ in 0..40 {
            let (_, frames, _) = short[rng.usize(0..short.len())];
            // one of its frames alone is something else again
            let at = rng.usize(0..frames.len());
            let some = if rng.bool() {
                &frames[at..=at]
            } else {
                &frames[..]
            };
            code = tell(&mut pair, some, hears);
            if code.is_some() {
                break;
            }
            survived += 1;
            pair.nodes[1].durable(1, Seq(rng.u64(0..9)));
            let now = Now::of(&pair.clock);
            pair.nodes[1].on_tick(now);
            pair.clock.advance(Duration::from_millis(rng.u64(0..900)));
        }
        if let Some(code) = code {
            assert_eq!(code.number() / 100, 22, "seed {seed}: {code}");
            ended += 1;
        }
    }
    assert!(ended > 2000 && survived > 500, "{ended} {survived}");
}

/// A dialer is lied to as well, before and after the greeting.
#[test]
fn a_dialer_is_not_taken_in_either() {
    let clock = ManualClock::at(Timestamp::from_millis(1));
    let now = Now::of(&clock);
    for (lie, code) in [
        (Control::Hello(greeting(NAMES[1])), PROTOCOL),
        (Control::Welcome(greeting("relay-2.hub.acme")), WRONG_NODE),
        (Control::Welcome(greeting(NAMES[0])), WRONG_NODE),
        (Control::Open(open_of(2)), PROTOCOL),
        (ack(1, 1, 1), PROTOCOL),
        (Control::Received(0), PROTOCOL),
        (Control::Heartbeat(Heartbeat::default()), PROTOCOL),
    ] {
        let mut dialer = session(0, now);
        dialer.on_frame(frame_of(&lie), now);
        let Some(Event::Closed { refusal, by_peer }) = dialer.poll_event() else {
            panic!("{lie:?} was taken");
        };
        assert_eq!((refusal.code, by_peer), (code, false), "{lie:?}");
    }
}
