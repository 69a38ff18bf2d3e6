//! Peers that stall, are silent, or never greet.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{
    FORGED_ACK, FRAME, HELLO_TIMEOUT, LinkState, PROTOCOL, SILENT, SLOW, Side, Stop,
};
use qc_core::model::Lane;
use qc_core::wire::{
    Ack, Call, ChannelKind, Control, FrameKind, Greeting, MAX_FRAME, MAX_GREETING, Mark, OpenAck,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::app::App;
use crate::site::{EDGE, RELAY, Site, link, until};

#[tokio::test]
async fn a_peer_that_takes_no_bytes_is_cut_off_in_bounded_memory() {
    let (a, mut b) = duplex(1024);
    let edge = App::new();
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 20_000, 1000);
    let never = watch::channel(Stop::Run).1;
    let slow = async {
        // A relay that greets, takes the channel, and then stops reading.
        let mut hello = vec![0; 1024];
        let read = b.read(&mut hello).await.unwrap();
        assert!(read > 24);
        let welcome = Control::Welcome(greeting(RELAY, Duration::from_mins(1)));
        b.write_all(&encode(&[welcome])).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        let ack = Control::OpenAck(OpenAck {
            channel: 1,
            mark: Mark::default(),
            window: 1 << 30,
        });
        b.write_all(&encode(&[ack])).await.unwrap();
        sleep(Duration::from_secs(5)).await;
    };
    let ended = tokio::select! {
        ended = link(a, Side::Dialer, Arc::clone(&edge), never) => ended,
        () = slow => panic!("the slow peer was kept"),
    };
    assert_eq!(ended.refusal.code, SLOW, "{ended:?}");
    let read = edge.bytes_read.load(Ordering::SeqCst);
    assert!((1..=1024 * 1024).contains(&read), "{read} bytes read ahead");
}

fn encode(controls: &[Control]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for control in controls {
        control.encode(&mut bytes);
    }
    bytes
}

fn greeting(node: &str, heartbeat: Duration) -> Greeting {
    Greeting {
        version_min: 1,
        version_max: 1,
        features: 0,
        node: node.parse().unwrap(),
        software: "test".to_owned(),
        time: SystemClock::default().now(),
        heartbeat,
        window: 1 << 30,
        instance: 0,
    }
}

#[tokio::test]
async fn a_silent_peer_is_stale_and_then_gone() {
    let (a, mut b) = duplex(64 * 1024);
    let relay = App::new();
    let never = watch::channel(Stop::Run).1;
    let quiet = async {
        let hello = Control::Hello(greeting(EDGE, Duration::from_millis(50)));
        b.write_all(&encode(&[hello])).await.unwrap();
        let mut sink = [0; 1024];
        while b.read(&mut sink).await.unwrap() > 0 {}
        sleep(Duration::from_secs(5)).await;
    };
    let ended = tokio::select! {
        ended = link(a, Side::Acceptor, Arc::clone(&relay), never) => ended,
        () = quiet => panic!("the silent peer was kept"),
    };
    assert_eq!(ended.refusal.code, SILENT);
    let states = relay.states.lock().unwrap().clone();
    assert!(
        matches!(
            &states[..],
            [LinkState::Up, LinkState::Stale, LinkState::Down(_)]
        ),
        "{states:?}"
    );
}

#[tokio::test]
async fn whoever_does_not_greet_is_cut_off() {
    let (a, b) = duplex(1024);
    let never = watch::channel(Stop::Run).1;
    let ended = link(a, Side::Acceptor, App::new(), never).await;
    assert_eq!(ended.refusal.code, HELLO_TIMEOUT);
    assert!(!ended.established);
    drop(b);
}

/// The header of a frame that announces so many bytes, and none of them.
fn announces(length: usize, kind: FrameKind) -> Vec<u8> {
    let mut header = u32::try_from(length).unwrap().to_le_bytes().to_vec();
    header.extend([kind as u8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let sum = crc32c::crc32c(&header);
    header.extend(sum.to_le_bytes());
    header
}

/// Peers that lie in every way come to a relay, one after the other; each is told the rule that it broke,
/// and the honest one beside them notices nothing.
#[tokio::test]
async fn a_peer_that_lies_takes_nobody_else_with_it() {
    let site = Site::start(64 * 1024);
    site.edge
        .produce(ChannelKind::Forward, "acme/up", Lane::Normal, 4000, 500);
    let hello = encode(&[Control::Hello(greeting(EDGE, Duration::from_secs(1)))]);
    let after = |lie: &[u8]| [&hello[..], lie].concat();
    let calls: Vec<_> = (0..60_000)
        .map(|at| {
            let call = Call {
                target: "nobody".parse().unwrap(),
                window: u64::MAX,
            };
            Control::Call(2 * at + 1, call)
        })
        .collect();
    let ack = Control::Ack(Ack {
        channel: 2,
        mark: Mark::default(),
    });
    for (lie, code) in [
        (announces(MAX_GREETING + 1, FrameKind::Hello), FRAME),
        (b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n".to_vec(), FRAME),
        (vec![0; 100], FRAME),
        (after(&announces(MAX_FRAME + 1, FrameKind::Batch)), FRAME),
        (
            after(&announces(usize::from(u16::MAX) << 15, FrameKind::Open)),
            FRAME,
        ),
        (after(&hello), PROTOCOL),
        (after(&encode(&[ack])), PROTOCOL),
        (after(&encode(&[Control::Received(1)])), FORGED_ACK),
        // more answers than fit into the line, and nobody reads them
        (after(&encode(&calls)), SLOW),
        // it announces what it never sends
        (after(&announces(MAX_FRAME, FrameKind::Batch)), SILENT),
    ] {
        let (a, mut b) = duplex(64 * 1024);
        let never = watch::channel(Stop::Run).1;
        let lying = async {
            let _cut_off_before_the_end = b.write_all(&lie).await;
            sleep(Duration::from_secs(20)).await;
        };
        let ended = tokio::select! {
            ended = link(a, Side::Acceptor, Arc::clone(&site.relay), never) => ended,
            () = lying => panic!("a liar was kept for 20 s, {code} was due"),
        };
        assert_eq!(
            (ended.refusal.code, ended.by_peer),
            (code, false),
            "{ended:?}"
        );
    }
    until("the honest link has carried everything", || {
        site.relay.stored("acme/up", Lane::Normal).len() == 4000
    })
    .await;
    let downs = site
        .edge
        .states
        .lock()
        .unwrap()
        .iter()
        .any(|state| matches!(state, LinkState::Down(_)));
    assert!(!downs, "the honest link went on");
}
