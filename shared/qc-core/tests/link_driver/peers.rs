//! Peers that stall, are silent, or never greet.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{HELLO_TIMEOUT, LinkState, SILENT, SLOW, Side, Stop};
use qc_core::model::Lane;
use qc_core::wire::{ChannelKind, Control, Greeting, Mark, OpenAck};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::app::App;
use crate::site::{EDGE, RELAY, link};

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
