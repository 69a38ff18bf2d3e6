//! What is asked of a peer: greeting, heartbeat, honest channels.

use std::time::Duration;

use qc_core::clock::{Clock as _, ManualClock};
use qc_core::link::{
    ENDED, Event, HELLO_TIMEOUT, NOT_ASKED, Now, OutboundChannel, PROTOCOL, REWOUND, SILENT,
    Session, SessionConfig, Side, TOO_MANY, VERSION, WRONG_NODE,
};
use qc_core::model::{Epoch, Lane, Seq, Timestamp};
use qc_core::wire::{
    ChannelKind, Control, Greeting, MAX_CHANNELS, Mark, Open, OpenAck, Refusal, Status,
};

use crate::pair::{Pair, cut_frame, frame_of, open_of, receiving};
use crate::parts::{NAMES, config, name, session, stream};

#[test]
fn a_refused_channel_ends_alone() {
    let mut pair = receiving();
    pair.nodes[1].refuse(1, Refusal::new(ENDED, "enough"));
    pair.batch(1, &[(77, 1)]);
    pair.batch(1, &[(77, 2)]);
    assert_eq!(
        pair.events(1),
        [],
        "what was on its way is left to the sender"
    );
    pair.say(&Control::Open(open_of(3)));
    assert_eq!(pair.events(1), [Event::Opened(open_of(3))]);
}

#[test]
fn a_sender_that_went_back_in_time_is_noticed() {
    let mut pair = Pair::greeted();
    // it has taken in more by now; three were sent
    let channel = OutboundChannel {
        last: Seq(9),
        sent: Seq(3),
        ..stream(ChannelKind::Forward, "acme/back", Lane::Normal)
    };
    pair.nodes[1].open(&channel);
    let answer = |channel| {
        Control::OpenAck(OpenAck {
            channel,
            mark: Mark {
                epoch: Epoch(77),
                seq: Seq(4),
            },
            window: 1000,
        })
    };
    pair.say(&answer(2));
    assert_eq!(pair.events(1), [Event::Ahead(2)]);
    pair.nodes[1].may_have(2, Seq(3));
    let events = pair.events(1);
    assert!(
        matches!(&events[..], [Event::Rewound(2, refusal)] if refusal.code == REWOUND),
        "{events:?}"
    );
    assert!(pair.nodes[1].is_open());

    // under a new epoch it sends what its own books say
    let channel = OutboundChannel {
        epoch: Epoch(78),
        after: Seq(2),
        ..channel
    };
    pair.nodes[1].open(&channel);
    pair.say(&answer(4));
    let permit = pair.nodes[1].next_read(pair.clock.instant()).unwrap();
    assert_eq!((permit.channel, permit.after), (4, Seq(2)));
    assert_eq!(pair.events(1), []);

    // more was sent over another link since: it goes on behind that
    let channel = OutboundChannel {
        lane: Lane::High,
        epoch: Epoch(77),
        ..channel
    };
    pair.nodes[1].open(&channel);
    pair.say(&answer(6));
    assert_eq!(pair.events(1), [Event::Ahead(6)]);
    pair.nodes[1].may_have(6, Seq(8));
    assert_eq!(pair.events(1), [Event::Acked(6, Seq(4))]);
    pair.say(&answer(6));
    assert!(!pair.nodes[1].is_open(), "answered twice");
}

#[test]
fn a_stream_that_was_not_asked_for_is_refused() {
    let mut pair = Pair::greeted();
    pair.say(&Control::Open(Open {
        kind: ChannelKind::Deliver,
        consumer: Some("mill7".parse().unwrap()),
        ..open_of(1)
    }));
    assert_eq!(pair.events(1), []);
    pair.carry();
    let events = pair.events(0);
    // The dialer never opened it, so its own rule ends the session on the refusal.
    assert!(
        matches!(&events[..], [Event::Closed { refusal, .. }] if refusal.code == PROTOCOL),
        "{events:?}"
    );
    assert_eq!(NOT_ASKED.to_string(), "QC2214");
}

#[test]
fn greetings_are_checked() {
    let good = Greeting {
        version_min: 1,
        version_max: 3,
        features: 0,
        node: name(NAMES[0]),
        software: "test".to_owned(),
        time: Timestamp::from_millis(1),
        heartbeat: Duration::from_secs(1),
        window: 1000,
        instance: 0,
    };
    let impostor = Greeting {
        node: name("edge-2.mill7.acme"),
        ..good.clone()
    };
    let newer = Greeting {
        version_min: 2,
        ..good.clone()
    };
    for (control, code) in [
        (Control::Hello(impostor), WRONG_NODE),
        (Control::Hello(newer), VERSION),
        (Control::Welcome(good.clone()), PROTOCOL),
        (Control::Open(open_of(1)), PROTOCOL),
    ] {
        let clock = ManualClock::at(Timestamp::from_millis(1));
        let now = Now::of(&clock);
        let mut acceptor = session(1, now);
        acceptor.on_frame(frame_of(&control), now);
        let Some(Event::Closed { refusal, .. }) = acceptor.poll_event() else {
            panic!("{control:?} was taken");
        };
        assert_eq!(refusal.code, code, "{control:?}");
    }
    let mut pair = Pair::greeted();
    pair.say(&Control::Hello(good));
    assert_eq!(pair.closed(), PROTOCOL);
}

/// A dialer and an acceptor of these versions greet each other: what holds, or why nothing does.
fn greet(dialer: (u32, u32), acceptor: (u32, u32)) -> Result<u32, String> {
    let clock = ManualClock::at(Timestamp::from_millis(1));
    let now = Now::of(&clock);
    let node = |at: usize, versions| {
        let config = SessionConfig {
            versions,
            ..config(NAMES[at])
        };
        let side = [Side::Dialer, Side::Acceptor][at];
        Session::new(config, side, name(NAMES[1 - at]), now)
    };
    let mut nodes = [node(0, dialer), node(1, acceptor)];
    let mut holds = Ok(0);
    for at in [0, 1] {
        let bytes = nodes[at].to_send().to_vec();
        nodes[at].sent(bytes.len());
        if let Some(frame) = cut_frame(&bytes) {
            nodes[1 - at].on_frame(frame, now);
        }
        match nodes[1 - at].poll_event() {
            Some(Event::Established(greeting)) => holds = holds.map(|_| greeting.version_max),
            Some(Event::Closed { refusal, .. }) => {
                assert_eq!(refusal.code, VERSION);
                holds = Err(refusal.reason);
            }
            other => panic!("{other:?}"),
        }
    }
    holds
}

#[test]
fn versions_two_apart_understand_each_other_and_a_refusal_names_the_older() {
    assert_eq!(greet((1, 3), (1, 3)), Ok(3));
    assert_eq!(greet((1, 3), (3, 5)), Ok(3));
    assert_eq!(greet((3, 5), (1, 3)), Ok(3));
    let reason = greet((1, 3), (4, 6)).unwrap_err();
    assert!(
        reason.ends_with(&format!("upgrade {}", NAMES[0])),
        "{reason}"
    );
    let reason = greet((4, 6), (1, 3)).unwrap_err();
    assert!(
        reason.ends_with(&format!("upgrade {}", NAMES[1])),
        "{reason}"
    );
}

#[test]
fn silence_is_noticed_shown_and_ended() {
    let clock = ManualClock::at(Timestamp::from_millis(1));
    let mut quiet = session(1, Now::of(&clock));
    clock.advance(Duration::from_secs(5));
    assert!(quiet.deadline() <= clock.instant());
    quiet.on_tick(Now::of(&clock));
    let Some(Event::Closed { refusal, .. }) = quiet.poll_event() else {
        panic!("still waiting for a greeting");
    };
    assert_eq!(refusal.code, HELLO_TIMEOUT);

    let mut pair = Pair::greeted();
    let mut seen = Vec::new();
    for _ in 0..30 {
        pair.clock.advance(Duration::from_secs(1));
        pair.nodes[1].on_tick(Now::of(&pair.clock));
        seen.extend(pair.events(1));
    }
    seen.retain(|event| *event != Event::HeartbeatDue);
    let [Event::Stale, Event::Closed { refusal, .. }] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(refusal.code, SILENT);

    let mut pair = Pair::greeted();
    pair.clock.advance(Duration::from_secs(13));
    pair.nodes[1].on_tick(Now::of(&pair.clock));
    assert_eq!(pair.events(1), [Event::Stale, Event::HeartbeatDue]);
    pair.say(&Control::Status(Status::default()));
    assert_eq!(
        pair.events(1),
        [Event::Fresh, Event::Status(Status::default())]
    );
}

#[test]
fn heartbeats_measure_the_way() {
    let mut pair = Pair::greeted();
    for round in 0..3 {
        for at in 0..2 {
            let now = Now::of(&pair.clock);
            pair.nodes[at].heartbeat(Vec::new(), Status::default(), None, now);
            pair.clock.advance(Duration::from_millis(20));
            pair.carry();
            pair.clock.advance(Duration::from_millis(500));
            let events = pair.events(1 - at);
            let [Event::Heartbeat(beat), Event::Status(_)] = &events[..] else {
                panic!("{events:?}");
            };
            if round + at > 0 {
                let rtt = beat.rtt.unwrap().as_secs_f64();
                assert!((rtt - 0.040).abs() < 0.001, "{rtt}");
            }
        }
    }
}

#[test]
fn too_many_channels_end_the_session() {
    let mut pair = Pair::greeted();
    for at in 0..=u32::try_from(MAX_CHANNELS).unwrap() {
        pair.say(&Control::Open(open_of(2 * at + 1)));
    }
    assert_eq!(pair.closed(), TOO_MANY);
}
