//! A peer that frames well and means ill: every state of a session against every way to lie in it.
//!
//! The table says what each lie comes to. A lie about what was never agreed ends the session with the
//! code of the rule that was broken; what may still be on its way from before is no lie and changes
//! nothing. Nothing that is not true is ever taken for acknowledged.

mod lies;

use std::time::Duration;

use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{Event, FRAME, HELLO_TIMEOUT, Now, PROTOCOL, SILENT, WRONG_NODE};
use qc_core::model::{Seq, Timestamp};
use qc_core::wire::{CALL_WINDOW, Call, Code, Control, Frame, FrameKind, Heartbeat};

use self::lies::{ENDS, greeting, lies};
use crate::pair::{Pair, ack, begun, frame_of, open_of, receiving, sending};
use crate::parts::{NAMES, session, subscribe};

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
