//! Messages cross, wait and overtake.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use qc_core::link::{DUPLICATE, GOING_AWAY, LinkState, NO_STREAM, REPLACED, REWOUND, Stop};
use qc_core::model::{Epoch, Lane, Seq};
use qc_core::wire::{ChannelKind, MAX_BODY, Refusal, Start, Subscribe};

use crate::app::{App, DISK_FULL};
use crate::site::{Site, until};

#[tokio::test]
async fn messages_cross_both_ways_and_a_drain_ends_well() {
    let edge = App::new();
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 5000, 100);
    edge.subscriptions.lock().unwrap().push(Subscribe {
        consumer: "mill7".parse().unwrap(),
        stream: "acme/down".parse().unwrap(),
        start: Start::Beginning,
    });
    let relay = App::new();
    relay.produce(ChannelKind::Deliver, "acme/down", Lane::Normal, 3000, 100);
    let mut site = Site::with(edge, relay, 16 * 1024);
    until("all up", || {
        site.edge.acked("acme/up", Lane::Normal) == 5000
    })
    .await;
    until("all down", || {
        site.relay.acked("acme/down", Lane::Normal) == 3000
    })
    .await;
    site.edge
        .produce(ChannelKind::Forward, "acme/new", Lane::High, 10, 100);
    until("a stream made later", || {
        site.edge.acked("acme/new", Lane::High) == 10
    })
    .await;
    until("heartbeats", || {
        site.edge.beats.load(Ordering::SeqCst) > 1 && site.relay.statuses.load(Ordering::SeqCst) > 1
    })
    .await;
    site.edge
        .produce(ChannelKind::Forward, "acme/up", Lane::Normal, 500, 100);
    site.stop.send(Stop::Drain).unwrap();
    let (dialer, acceptor) = site.ended().await;
    assert_eq!((dialer.refusal.code, dialer.by_peer), (GOING_AWAY, false));
    assert_eq!(
        (acceptor.refusal.code, acceptor.by_peer),
        (GOING_AWAY, true)
    );
    assert!(dialer.established && acceptor.established);
    let up = site.relay.stored("acme/up", Lane::Normal);
    assert_eq!(up, (1..=up.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        site.edge.acked("acme/up", Lane::Normal),
        up.len() as u64,
        "a drain leaves nothing unacknowledged"
    );
    let down = site.edge.stored("acme/down", Lane::Normal);
    assert_eq!(down, (1..=3000).collect::<Vec<_>>());
    let states = site.relay.states.lock().unwrap().clone();
    assert!(matches!(
        &states[..],
        [LinkState::Up, LinkState::Down(refusal)] if refusal.code == GOING_AWAY
    ));
}

#[tokio::test]
async fn the_largest_message_crosses_between_small_ones() {
    let edge = App::new();
    for size in [10, MAX_BODY, 10, MAX_BODY, MAX_BODY, 10] {
        edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 1, size);
        edge.produce(ChannelKind::Forward, "acme/other", Lane::Normal, 50, 5000);
    }
    let site = Site::with(edge, App::new(), 256 * 1024);
    until("all up", || {
        site.edge.acked("acme/up", Lane::Normal) == 6
            && site.edge.acked("acme/other", Lane::Normal) == 300
    })
    .await;
    assert_eq!(
        site.relay.stored("acme/up", Lane::Normal),
        (1..=6).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_reason_reaches_the_other_side() {
    let mut site = Site::start(4096);
    until("up", || !site.relay.states.lock().unwrap().is_empty()).await;
    let refusal = Refusal::new(REPLACED, "a newer link took over");
    site.stop.send(Stop::Close(refusal.clone())).unwrap();
    let (dialer, acceptor) = site.ended().await;
    assert_eq!((dialer.refusal, dialer.by_peer), (refusal.clone(), false));
    assert_eq!((acceptor.refusal, acceptor.by_peer), (refusal, true));
}

#[tokio::test]
async fn a_full_disk_refuses_and_later_takes_everything() {
    let site = Site::start(16 * 1024);
    site.relay.full.store(true, Ordering::SeqCst);
    site.edge
        .produce(ChannelKind::Forward, "acme/up", Lane::Normal, 2000, 200);
    until("refused on both sides", || {
        let codes = |app: &App| app.refusals.lock().unwrap().contains(&DISK_FULL);
        codes(&site.edge) && codes(&site.relay)
    })
    .await;
    assert_eq!(site.edge.acked("acme/up", Lane::Normal), 0);
    site.relay.full.store(false, Ordering::SeqCst);
    until("all up", || {
        site.edge.acked("acme/up", Lane::Normal) == 2000
    })
    .await;
    assert_eq!(
        site.relay.stored("acme/up", Lane::Normal),
        (1..=2000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_refused_subscription_is_tried_again() {
    let edge = App::new();
    edge.subscriptions.lock().unwrap().push(Subscribe {
        consumer: "mill7".parse().unwrap(),
        stream: "acme/down".parse().unwrap(),
        start: Start::Beginning,
    });
    let site = Site::with(edge, App::new(), 4096);
    until("refused", || {
        site.edge.refusals.lock().unwrap().contains(&NO_STREAM)
    })
    .await;
    site.relay
        .produce(ChannelKind::Deliver, "acme/down", Lane::Normal, 10, 10);
    until("all down", || {
        site.relay.acked("acme/down", Lane::Normal) == 10
    })
    .await;
}

#[tokio::test]
async fn an_alarm_overtakes_the_backlog() {
    let edge = App::new();
    edge.produce(ChannelKind::Forward, "acme/alarm", Lane::Critical, 0, 0);
    edge.produce(ChannelKind::Forward, "acme/bulk", Lane::Low, 20_000, 1000);
    let site = Site::with(edge, App::new(), 4096);
    until("bulk flows", || {
        !site.relay.arrivals.lock().unwrap().is_empty()
    })
    .await;
    let before = site.relay.arrivals.lock().unwrap().len();
    site.edge
        .produce(ChannelKind::Forward, "acme/alarm", Lane::Critical, 1, 100);
    until("the alarm", || {
        site.edge.acked("acme/alarm", Lane::Critical) == 1
    })
    .await;
    let arrivals = site.relay.arrivals.lock().unwrap().clone();
    let place = arrivals
        .iter()
        .position(|lane| *lane == Lane::Critical)
        .unwrap();
    // Ahead of it is at most a window that is in the store's hands and a batch on its way.
    assert!(place >= before && place < before + 5500, "{before} {place}");
}

/// A sender whose store was brought back from an older state, and took in more before it was linked
/// again: nothing of that is stuck or passed over, whatever numbers it got.
#[tokio::test]
async fn a_restored_sender_begins_a_new_epoch() {
    let (edge, relay) = (App::new(), App::new());
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 120, 10);
    let site = Site::with(Arc::clone(&edge), Arc::clone(&relay), 64 * 1024);
    until("all is there", || {
        edge.acked("acme/up", Lane::Normal) == 120
    })
    .await;
    drop(site);

    // as of when it had 50 and knew of 40 that they were acknowledged; 150 more came since
    let restored = App::restored("acme/up", Lane::Normal, 50, 40);
    restored.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 150, 10);
    let _site = Site::with(Arc::clone(&restored), Arc::clone(&relay), 64 * 1024);
    until("all of its own is acknowledged", || {
        restored.acked("acme/up", Lane::Normal) == 200
    })
    .await;
    let expected: Vec<u64> = (1..=120).chain(41..=200).collect();
    assert_eq!(relay.stored("acme/up", Lane::Normal), expected);
    assert_eq!(*restored.refusals.lock().unwrap(), [REWOUND]);
    let mark = relay.marks.lock().unwrap()[&("acme/up".to_owned(), Lane::Normal)];
    assert_eq!((mark.epoch, mark.seq), (Epoch(6), Seq(200)));
}

/// A receiver whose store was brought back from an older state gets again what it lost, as far as it is
/// kept, although it was acknowledged.
#[tokio::test]
async fn a_restored_receiver_gets_again_what_it_lost() {
    let (edge, relay) = (App::new(), App::new());
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 120, 10);
    let site = Site::with(Arc::clone(&edge), Arc::clone(&relay), 64 * 1024);
    until("all is there", || {
        edge.acked("acme/up", Lane::Normal) == 120
    })
    .await;
    drop(site);

    let key = ("acme/up".to_owned(), Lane::Normal);
    relay
        .stored
        .lock()
        .unwrap()
        .insert(key.clone(), (1..=30).collect());
    relay.marks.lock().unwrap().get_mut(&key).unwrap().seq = Seq(30);
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 30, 10);
    let _site = Site::with(Arc::clone(&edge), Arc::clone(&relay), 64 * 1024);
    until("the new is there", || {
        edge.acked("acme/up", Lane::Normal) == 150
    })
    .await;
    assert_eq!(
        relay.stored("acme/up", Lane::Normal),
        (1..=150).collect::<Vec<_>>()
    );
    assert!(edge.refusals.lock().unwrap().is_empty());
}

/// A greeting tells the process, a heartbeat that it lived and what it should know of itself.
#[tokio::test]
async fn a_notice_is_told_as_long_as_it_holds() {
    let (edge, relay) = (App::new(), App::new());
    let _site = Site::with(Arc::clone(&edge), Arc::clone(&relay), 64 * 1024);
    until("echoes came", || relay.echoes.load(Ordering::SeqCst) > 1).await;
    assert_eq!(*relay.instances.lock().unwrap(), [77]);
    let newest = |app: &App| app.noticed.lock().unwrap().last().cloned().flatten();
    assert_eq!(newest(&edge), None);
    let notice = Refusal::new(DUPLICATE, "two machines use its identity");
    *relay.notice.lock().unwrap() = Some(notice.clone());
    until("it is told", || newest(&edge).as_ref() == Some(&notice)).await;
    *relay.notice.lock().unwrap() = None;
    until("it is over", || newest(&edge).is_none()).await;
}
