//! Calls beside channels: windows, ends, peers that do not keep to them, and fairness.

use bytes::Bytes;
use qc_core::clock::Clock as _;
use qc_core::link::{ENDED, Event, NO_CALLS, Now, PROTOCOL, TOO_MANY, WINDOW};
use qc_core::model::Lane;
use qc_core::wire::{
    CALL_WINDOW, Call, ChannelKind, Control, Frame, FrameHeader, FrameKind, MAX_CALL_DATA,
    MAX_CALLS, Mark, Refusal, Target,
};

use crate::pair::{Pair, waiting};
use crate::parts::{record, stream};

fn target() -> Target {
    "probe".parse().unwrap()
}

fn data(number: u32, bytes: &[u8]) -> Frame {
    Frame {
        header: FrameHeader::control(FrameKind::CallData, number),
        payload: Bytes::copy_from_slice(bytes),
    }
}

/// The dialer has called the acceptor under number 1, which has answered.
fn calling() -> Pair {
    let mut pair = Pair::greeted();
    assert_eq!(pair.nodes[0].call(target()), Ok(1));
    pair.carry();
    assert_eq!(pair.events(1), [Event::Called(1, target())]);
    assert_eq!(pair.room(0), 0, "not answered yet");
    pair.nodes[1].answer(1);
    pair.carry();
    assert_eq!(pair.events(0), [Event::Answered(1)]);
    pair
}

/// Lets node `at` send what of `bytes` there is room for; gives how much that was.
fn send(pair: &mut Pair, at: usize, bytes: &[u8]) -> usize {
    let room = pair.room(at).min(bytes.len());
    let now = pair.clock.instant();
    pair.nodes[at].send_on_call(1, &bytes[..room], now);
    pair.carry();
    room
}

fn received(pair: &mut Pair, at: usize) -> Vec<u8> {
    let events = pair.events(at).into_iter();
    let bytes = events.filter_map(|event| match event {
        Event::CallData(1, bytes) => Some(bytes.to_vec()),
        _ => None,
    });
    bytes.collect::<Vec<_>>().concat()
}

#[test]
fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let mut pair = calling();
    assert_eq!(send(&mut pair, 0, b"question"), 8);
    assert_eq!(received(&mut pair, 1), b"question");
    pair.nodes[0].end_call(1);
    pair.carry();
    assert_eq!(pair.events(1), [Event::CallEnded(1)]);
    assert_eq!(pair.room(0), 0, "it has ended its way");
    assert_eq!(send(&mut pair, 1, b"answer"), 6);
    assert_eq!(received(&mut pair, 0), b"answer");
    pair.nodes[1].end_call(1);
    pair.carry();
    assert_eq!(pair.events(0), [Event::CallEnded(1)]);
    // what comes now is of a call that is over
    let now = Now::of(&pair.clock);
    pair.nodes[1].on_frame(data(1, b"late"), now);
    assert_eq!(pair.events(1), []);
}

#[test]
fn a_window_holds_until_what_came_is_used() {
    let mut pair = calling();
    let piece = vec![7; MAX_CALL_DATA];
    let mut sent = 0;
    for _ in 0..10_000 {
        sent += send(&mut pair, 0, &piece) as u64;
    }
    assert_eq!(sent, CALL_WINDOW);
    assert_eq!(received(&mut pair, 1).len() as u64, CALL_WINDOW);
    let half = usize::try_from(CALL_WINDOW / 2).unwrap();
    pair.nodes[1].used_of_call(1, half);
    pair.carry();
    let mut more = 0;
    for _ in 0..10_000 {
        more += send(&mut pair, 0, &piece);
    }
    assert_eq!(more, half);
}

#[test]
fn a_peer_that_does_not_keep_to_its_window_is_cut_off() {
    let mut pair = calling();
    let now = Now::of(&pair.clock);
    for _ in 0..=CALL_WINDOW / MAX_CALL_DATA as u64 {
        pair.nodes[1].on_frame(data(1, &[0; MAX_CALL_DATA]), now);
    }
    assert_eq!(pair.closed(), WINDOW);

    let mut pair = calling();
    pair.say(&Control::CallCredit(1, u64::MAX));
    assert_eq!(pair.closed(), WINDOW);
}

#[test]
fn bytes_and_ends_out_of_turn_break_the_protocol() {
    let opened = Control::Call(
        1,
        Call {
            target: target(),
            window: 10,
        },
    );
    let mut pair = Pair::greeted();
    pair.say(&opened);
    let now = Now::of(&pair.clock);
    pair.nodes[1].on_frame(data(1, b"before the answer"), now);
    assert_eq!(pair.closed(), PROTOCOL);

    let mut pair = calling();
    pair.say(&Control::CallEnd(1));
    pair.say(&Control::CallEnd(1));
    assert_eq!(pair.closed(), PROTOCOL);

    let mut pair = calling();
    pair.say(&Control::CallEnd(1));
    let now = Now::of(&pair.clock);
    pair.nodes[1].on_frame(data(1, b"after the end"), now);
    assert_eq!(pair.closed(), PROTOCOL);

    let mut pair = Pair::greeted();
    let now = Now::of(&pair.clock);
    pair.nodes[1].on_frame(data(1, b"of no call"), now);
    assert_eq!(pair.closed(), PROTOCOL);

    // a number of the acceptor's own
    let mut pair = Pair::greeted();
    let Control::Call(_, call) = opened else {
        panic!("it was made above")
    };
    pair.say(&Control::Call(2, call));
    assert_eq!(pair.closed(), PROTOCOL);
}

#[test]
fn one_call_too_many_is_refused_alone() {
    let mut pair = Pair::greeted();
    for _ in 0..MAX_CALLS {
        pair.nodes[0].call(target()).unwrap();
    }
    assert_eq!(pair.nodes[0].call(target()).unwrap_err().code, TOO_MANY);
    pair.carry();
    assert_eq!(pair.events(1).len(), MAX_CALLS);
    // a peer that does not count
    let number = 2 * u32::try_from(MAX_CALLS).unwrap() + 1;
    let call = Call {
        target: target(),
        window: 10,
    };
    // one that ends makes room
    pair.nodes[0].refuse(1, Refusal::new(ENDED, "given up"));
    pair.carry();
    assert_eq!(pair.nodes[0].call(target()), Ok(number));
    pair.carry();
    pair.events(1);
    pair.say(&Control::Call(number + 2, call));
    assert_eq!(pair.events(1), []);
    let refused = waiting(&mut pair);
    let told = Control::decode(refused.last().unwrap()).unwrap();
    assert!(
        matches!(told, Control::Refuse(at, refusal) if at == number + 2 && refusal.code == TOO_MANY)
    );
}

#[test]
fn a_peer_of_an_older_version_is_not_called() {
    let mut pair = Pair::without_features();
    assert_eq!(pair.nodes[1].call(target()).unwrap_err().code, NO_CALLS);
    assert_eq!(waiting(&mut pair), []);
}

/// On a line that takes one piece at a time, a call and a backlog share it, and an alarm passes both.
#[test]
fn a_call_and_a_backlog_take_turns_and_an_alarm_passes_both() {
    let mut pair = calling();
    for (stream_name, lane, count) in [
        ("acme/bulk", Lane::Normal, 200),
        ("acme/alarms", Lane::Critical, 1),
    ] {
        let mut wanted = stream(ChannelKind::Forward, stream_name, lane);
        wanted.last = qc_core::model::Seq(count);
        pair.nodes[0].open(&wanted).unwrap();
    }
    pair.carry();
    for event in pair.events(1) {
        if let Event::Opened(open) = event {
            pair.nodes[1].accept(open.channel, Mark::default());
        }
    }
    pair.carry();
    let piece = vec![7; MAX_CALL_DATA];
    let (mut order, now) = (Vec::new(), pair.clock.instant());
    let (mut bulk, mut alarm_after) = (0, None);
    while order.len() < 40 {
        let before = pair.nodes[0].to_send().len();
        let room = pair.room(0);
        pair.nodes[0].send_on_call(1, &piece[..room], now);
        if room > 0 {
            order.push('c');
        }
        let turn = pair.nodes[0].next_read(now);
        if let Some(permit) = turn {
            let is_alarm = permit.channel == 5;
            let first = permit.after.0 + 1;
            let records = (first..first + 4).map(|seq| record(seq, 100)).collect();
            let chunk = qc_core::link::Chunk {
                records,
                through: qc_core::model::Seq::ZERO,
            };
            if is_alarm && permit.after.0 == 0 {
                alarm_after = Some(order.len());
            }
            if !is_alarm {
                bulk += 1;
                order.push('b');
            }
            let chunk = if is_alarm {
                qc_core::link::Chunk {
                    records: chunk
                        .records
                        .into_iter()
                        .take(usize::from(first == 1))
                        .collect(),
                    ..chunk
                }
            } else {
                chunk
            };
            pair.nodes[0].send(permit, &chunk, now);
        }
        if pair.nodes[0].to_send().len() == before {
            // the line is full: what is under way arrives and is used
            pair.carry();
            for event in pair.events(1) {
                match event {
                    Event::CallData(number, bytes) => {
                        pair.nodes[1].used_of_call(number, bytes.len());
                    }
                    Event::Batch(number, records) => {
                        let last = records.last().unwrap().header.seq;
                        pair.nodes[1].durable(number, last);
                    }
                    _ => {}
                }
            }
            pair.carry();
            pair.events(0);
        }
    }
    let calls = order.len() - bulk;
    assert!(
        alarm_after.is_some_and(|at| at <= 2),
        "{alarm_after:?} {order:?}"
    );
    assert!(calls >= 10 && bulk >= 5, "{order:?}");
}
