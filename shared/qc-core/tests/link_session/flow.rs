//! Acknowledgements, windows, turns: what flows and when.

use std::time::Duration;

use qc_core::clock::Clock as _;
use qc_core::link::{
    Chunk, Event, FORGED_ACK, FRAME, GOING_AWAY, NO_PARTS, Now, ORDER, OutboundChannel, PROTOCOL,
    WINDOW,
};
use qc_core::model::{Epoch, Lane, Seq};
use qc_core::wire::{
    Ack, ChannelKind, Control, FrameDecoder, FrameKind, Heartbeat, Mark, OpenAck, Refusal, Status,
};

use crate::pair::{Pair, ack, begun, cut_frame, open_of, receiving, sending, waiting};
use crate::parts::{record, stream};

#[test]
fn an_acknowledgement_waits_for_the_disk() {
    let mut pair = receiving();
    pair.nodes[1].to_send();
    let sent = pair.nodes[1].to_send().len();
    pair.nodes[1].sent(sent);
    pair.batch(1, &[(77, 1), (77, 2)]);
    let said = waiting(&mut pair);
    let [arrived] = &said[..] else {
        panic!("nothing is on disk yet: {said:?}");
    };
    assert_eq!(arrived.header.kind, FrameKind::Received);
    let sent = pair.nodes[1].to_send().len();
    pair.nodes[1].sent(sent);
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
fn a_peer_that_has_it_and_does_not_say_so_is_noticed() {
    let mut pair = sending();
    let pass = |pair: &mut Pair, seconds| {
        for _ in 0..seconds {
            pair.clock.advance(Duration::from_secs(1));
            let now = Now::of(&pair.clock);
            pair.say(&Control::Status(Status::default()));
            pair.nodes[1].on_tick(now);
        }
        let mut events = pair.events(1);
        events.retain(|event| matches!(event, Event::Unacked | Event::Acking));
        events
    };
    assert_eq!(pass(&mut pair, 9), [], "it may still be on its way");
    assert_eq!(pass(&mut pair, 3), [Event::Unacked], "nothing arrives");
    let frames = waiting(&mut pair).into_iter();
    let batches = frames.filter(|frame| frame.header.kind == FrameKind::Batch);
    let sent = batches.map(|frame| frame.payload.len() as u64).sum();
    pair.say(&Control::Received(sent));
    assert_eq!(pass(&mut pair, 9), [Event::Acking]);
    assert_eq!(pass(&mut pair, 3), [Event::Unacked], "nothing is on disk");
    pair.say(&ack(2, 77, 3));
    assert_eq!(pass(&mut pair, 1), [Event::Acking]);
}

#[test]
fn a_drain_waits_for_acknowledgements_and_begins_nothing() {
    let mut pair = sending();
    pair.nodes[1].drain();
    assert_eq!(pair.events(1), []);
    assert_eq!(pair.nodes[1].next_read(pair.clock.instant()), None);
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
fn a_drain_sends_the_rest_of_a_batch_that_was_begun() {
    let mut pair = begun();
    let pieces = |pair: &mut Pair| -> Vec<bool> {
        let frames = waiting(pair).into_iter();
        let batches = frames.filter(|frame| frame.header.kind == FrameKind::Batch);
        batches.map(|frame| frame.header.more).collect()
    };
    assert_eq!(pieces(&mut pair), [true]);
    pair.nodes[1].drain();
    assert_eq!(pair.events(1), []);
    assert!(pair.nodes[1].can_read(), "there is a rest");
    assert_eq!(pair.nodes[1].next_read(pair.clock.instant()), None);
    let all = pieces(&mut pair);
    assert!(all.len() > 2 && !all.last().unwrap(), "{all:?}");
    pair.say(&ack(2, 77, 3));
    assert_eq!(pair.events(1), [Event::Acked(2, Seq(3)), Event::Drained]);
}

#[test]
fn a_drain_does_not_wait_for_the_rest_of_a_batch_of_the_peer() {
    let mut pair = receiving();
    pair.piece(1, &[7; 60]);
    assert_eq!(pair.events(1), []);
    pair.nodes[1].drain();
    assert_eq!(pair.events(1), [Event::Drained]);
    pair.piece(1, &[7; 60]);
    assert!(
        pair.nodes[1].is_open(),
        "what is still on its way is left to the peer"
    );
}

#[test]
fn a_heartbeat_tells_of_the_smallest_piece() {
    let mut pair = receiving();
    let sent = pair.nodes[1].to_send().len();
    pair.nodes[1].sent(sent);
    pair.piece(1, &[7; 60]);
    assert!(pair.nodes[1].to_send().is_empty());
    let now = Now::of(&pair.clock);
    pair.nodes[1].heartbeat(Vec::new(), Status::default(), None, now);
    let told = waiting(&mut pair)
        .iter()
        .any(|frame| Control::decode(frame).is_ok_and(|control| control == Control::Received(60)));
    assert!(told);
}

#[test]
fn one_batch_of_a_lane_is_begun_at_a_time() {
    let mut pair = begun();
    let other = stream(ChannelKind::Forward, "acme/other", Lane::Normal);
    let number = pair.nodes[1].open(&other).unwrap();
    pair.say(&Control::OpenAck(OpenAck {
        channel: number,
        mark: Mark::default(),
        window: 10_000,
    }));
    let now = pair.clock.instant();
    // the first batch goes to its end before the other channel may read
    assert_eq!(
        pair.nodes[1].next_read(now).map(|permit| permit.channel),
        Some(number)
    );
    let batches = waiting(&mut pair).into_iter();
    let last = batches
        .filter(|frame| frame.header.kind == FrameKind::Batch)
        .last();
    assert!(!last.unwrap().header.more);
}

#[test]
fn the_urgent_lane_goes_first_and_equals_take_turns() {
    let mut pair = Pair::greeted();
    let lanes = [Lane::Low, Lane::Normal, Lane::Normal, Lane::Critical];
    for (at, lane) in lanes.into_iter().enumerate() {
        let text = format!("acme/s{at}");
        let number = pair.nodes[1]
            .open(&stream(ChannelKind::Forward, &text, lane))
            .unwrap();
        pair.say(&Control::OpenAck(OpenAck {
            channel: number,
            mark: Mark::default(),
            window: 4096,
        }));
    }
    let mut turns = Vec::new();
    let mut quiet = 0;
    while let Some(permit) = pair.nodes[1].next_read(pair.clock.instant()) {
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
        pair.nodes[1].send(permit, &chunk, pair.clock.instant());
    }
    assert_eq!(turns[..6], [8, 4, 6, 4, 6, 4]);
    assert_eq!(*turns.last().unwrap(), 2);
    assert_eq!(quiet, 4);
}

/// The acceptor sends a whole message and then two parts of another.
fn sending_parts(mut pair: Pair) -> (Pair, Vec<Event>) {
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
    let mut records: Vec<_> = (1..=3).map(|seq| record(seq, 10)).collect();
    records[1].header.last_part = false;
    records[2].header.part = 1;
    let now = pair.clock.instant();
    while let Some(permit) = pair.nodes[1].next_read(now) {
        let later = records.iter();
        let later = later.filter(|record| record.header.seq > permit.after);
        let chunk = Chunk {
            records: later.cloned().collect(),
            through: Seq(3),
        };
        pair.nodes[1].send(permit, &chunk, now);
    }
    let events = pair.events(1);
    (pair, events)
}

#[test]
fn parts_go_only_to_a_peer_that_takes_them() {
    let seqs = |pair: &mut Pair| -> Vec<u32> {
        let batches = waiting(pair).into_iter();
        let batches = batches.filter(|frame| frame.header.kind == FrameKind::Batch);
        batches.map(|frame| frame.header.count).collect()
    };
    let (mut pair, events) = sending_parts(Pair::greeted());
    assert_eq!(events, []);
    assert_eq!(seqs(&mut pair).iter().sum::<u32>(), 3);

    let (mut pair, events) = sending_parts(Pair::without_features());
    assert_eq!(
        seqs(&mut pair),
        [1],
        "what is whole goes, and nothing of the rest"
    );
    let [Event::Refused(2, refusal)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(refusal.code, NO_PARTS);
    let said = waiting(&mut pair).into_iter();
    let refused = said.filter_map(|frame| Control::decode(&frame).ok());
    let refused: Vec<_> = refused
        .filter(|control| matches!(control, Control::Refuse(2, _)))
        .collect();
    assert_eq!(refused.len(), 1, "the peer hears of it");
}
