//! The dialer: connections that break, relays that are down, strangers.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use qc_core::backoff::Backoff;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{
    CUT, Connect, ConnectError, DRAINED, DUPLICATE, Dialer, DialerOptions, DialerState,
    DialerStatus, Distrust, LinkState, Peer, Stop,
};
use qc_core::model::Lane;
use qc_core::wire::{ChannelKind, Code, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::site::{EDGE, RELAY, link_as, options, peer, until};

/// A connection that breaks after some bytes in either direction.
struct Fragile {
    inner: DuplexStream,
    left: usize,
}

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        polled
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let allowed = bytes.len().min(self.left);
        let polled = Pin::new(&mut self.inner).poll_write(context, &bytes[..allowed]);
        if let Poll::Ready(Ok(count)) = polled {
            self.left -= count;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Connects to a relay in memory; every connection breaks, until `sturdy_after` were made.
struct Network {
    relay: Arc<App>,
    /// The relay at `better:1`, once it is there.
    better: Mutex<Option<Arc<App>>>,
    /// What each relay wants of its links, by its address.
    wanted: Mutex<BTreeMap<String, watch::Sender<Stop>>>,
    links: Mutex<JoinSet<()>>,
    attempts: Mutex<Vec<String>>,
    sturdy_after: usize,
    /// Why the relay is not trusted any more.
    distrust: watch::Sender<Option<Refusal>>,
    rng: Mutex<fastrand::Rng>,
}

impl Network {
    fn new(relay: &Arc<App>, sturdy_after: usize) -> Self {
        Self {
            relay: Arc::clone(relay),
            better: Mutex::default(),
            wanted: Mutex::default(),
            links: Mutex::default(),
            attempts: Mutex::default(),
            sturdy_after,
            distrust: watch::Sender::new(None),
            rng: Mutex::new(fastrand::Rng::with_seed(7)),
        }
    }

    /// What the relay at `address` wants of the links it has and gets.
    fn wants(&self, address: &str, stop: Stop) {
        let mut wanted = self.wanted.lock().unwrap();
        let wanted = wanted.entry(address.to_owned()).or_default();
        wanted.send_replace(stop);
    }

    /// How often `address` was tried.
    fn tried(&self, address: &str) -> usize {
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().filter(|one| *one == address).count()
    }
}

/// A drained relay's order, to go `to` another one.
fn away(to: Option<&str>) -> Stop {
    let to = to.map(|to| to.parse().unwrap());
    Stop::Leave(Refusal::new(DRAINED, "it is drained").towards(to))
}

impl Connect for Network {
    type Stream = Fragile;

    fn distrusted(&self, _stream: &Fragile) -> Distrust {
        let mut distrust = self.distrust.subscribe();
        Box::pin(async move {
            let refusal = distrust.wait_for(Option::is_some).await.unwrap();
            refusal.clone().unwrap()
        })
    }

    async fn connect(&self, address: &str) -> Result<(Fragile, Peer), ConnectError> {
        let made = {
            let mut attempts = self.attempts.lock().unwrap();
            attempts.push(address.to_owned());
            attempts.len()
        };
        match address {
            "down:1" => Err(ConnectError::Unreachable {
                address: address.to_owned(),
                source: io::ErrorKind::ConnectionRefused.into(),
            }),
            "stranger:1" => Err(ConnectError::Refused {
                address: address.to_owned(),
                refusal: Refusal::new(Code::new(2003), "not the relay it should be"),
            }),
            "full:1" => Err(ConnectError::Refused {
                address: address.to_owned(),
                refusal: Refusal::new(Code::new(2031), "the connection broke off"),
            }),
            "hanging:1" => std::future::pending().await,
            _ => {
                let (a, b) = duplex(8 * 1024);
                let better = self.better.lock().unwrap().clone();
                let relay = match (address, better) {
                    ("better:1" | "BETTER:1", Some(better)) => better,
                    ("better:1", None) => {
                        return Err(ConnectError::Unreachable {
                            address: address.to_owned(),
                            source: io::ErrorKind::ConnectionRefused.into(),
                        });
                    }
                    _ => Arc::clone(&self.relay),
                };
                // each its own node: what one has acknowledged the other has not
                let node = match address {
                    "better:1" | "BETTER:1" => "relay-2.hub.acme",
                    _ => RELAY,
                };
                let stop = {
                    let mut wanted = self.wanted.lock().unwrap();
                    wanted.entry(address.to_owned()).or_default().subscribe()
                };
                self.links.lock().unwrap().spawn(async move {
                    link_as(node, b, relay, stop).await;
                });
                let left = if made > self.sturdy_after {
                    usize::MAX
                } else {
                    self.rng.lock().unwrap().usize(100..60_000)
                };
                Ok((Fragile { inner: a, left }, peer(node)))
            }
        }
    }
}

struct Dialing {
    edge: Arc<App>,
    network: Arc<Network>,
    stop: watch::Sender<Stop>,
    status: watch::Receiver<DialerStatus>,
    task: JoinSet<()>,
}

fn dial(addresses: &[&str], edge: Arc<App>, network: Network) -> Dialing {
    dial_over(addresses, edge, network, Duration::ZERO, 1)
}

fn dial_over(
    addresses: &[&str],
    edge: Arc<App>,
    network: Network,
    reconnect_spread: Duration,
    seed: u64,
) -> Dialing {
    let options = DialerOptions {
        reconnect_spread,
        ..quick_options(addresses)
    };
    dial_with(options, edge, network, seed)
}

/// Everything in milliseconds; only who is no relay of ours is asked again after a minute.
fn quick_options(addresses: &[&str]) -> DialerOptions {
    let backoff =
        |min, max| Backoff::new(Duration::from_millis(min), Duration::from_millis(max)).unwrap();
    let addresses = addresses.iter().map(|text| (*text).to_owned()).collect();
    DialerOptions {
        connect_timeout: Duration::from_millis(100),
        backoff: backoff(2, 10),
        identity_backoff: backoff(60_000, 60_000),
        reconnect_spread: Duration::ZERO,
        prefer_after: Duration::from_millis(30),
        ..DialerOptions::new(addresses, options(EDGE))
    }
}

fn dial_with(options: DialerOptions, edge: Arc<App>, network: Network, seed: u64) -> Dialing {
    let network = Arc::new(network);
    let stop = watch::Sender::new(Stop::Run);
    let clock = SystemClock::default();
    let (status, told) = watch::channel(DialerStatus::new(clock.now()));
    let mut task = JoinSet::new();
    let (app, connect, stopped) = (Arc::clone(&edge), Arc::clone(&network), stop.subscribe());
    task.spawn(async move {
        let dialer = Dialer {
            app,
            connect: connect.as_ref(),
            clock: &clock,
            options,
            status,
            rng: fastrand::Rng::with_seed(seed),
        };
        dialer.run(stopped).await;
    });
    Dialing {
        edge,
        network,
        stop,
        status: told,
        task,
    }
}

#[tokio::test]
async fn broken_connections_lose_and_repeat_nothing() {
    let (edge, relay) = (App::new(), App::new());
    for lane in [Lane::Critical, Lane::Low] {
        edge.produce(ChannelKind::Forward, "acme/up", lane, 3000, 100);
    }
    relay.produce(ChannelKind::Forward, "acme/back", Lane::Normal, 2000, 100);
    let network = Network::new(&relay, 30);
    let mut dialing = dial(&["relay:1"], edge, network);
    let edge = Arc::clone(&dialing.edge);
    until("everything acknowledged", || {
        edge.acked("acme/up", Lane::Critical) == 3000
            && edge.acked("acme/up", Lane::Low) == 3000
            && relay.acked("acme/back", Lane::Normal) == 2000
    })
    .await;
    assert!(dialing.network.attempts.lock().unwrap().len() > 3);
    let (_, error) = dialing.status.borrow().last_error.clone().unwrap();
    assert_eq!(error.code, CUT);
    for lane in [Lane::Critical, Lane::Low] {
        assert_eq!(
            relay.stored("acme/up", lane),
            (1..=3000).collect::<Vec<_>>()
        );
    }
    assert_eq!(
        edge.stored("acme/back", Lane::Normal),
        (1..=2000).collect::<Vec<_>>()
    );
    dialing.stop.send(Stop::Drain).unwrap();
    let ended = timeout(Duration::from_secs(5), dialing.task.join_next()).await;
    ended.unwrap().unwrap().unwrap();
    assert_eq!(dialing.status.borrow().state, DialerState::Stopped);
}

#[tokio::test]
async fn the_next_relay_is_tried_when_one_fails() {
    let relay = App::new();
    let addresses = ["down:1", "hanging:1", "stranger:1", "relay:1"];
    let mut dialing = dial(&addresses, App::new(), Network::new(&relay, 0));
    let connected = |status: &DialerStatus| matches!(status.state, DialerState::Connected(_));
    let status = timeout(Duration::from_secs(5), dialing.status.wait_for(connected)).await;
    let status = status.unwrap().unwrap().clone();
    assert_eq!((status.address.as_str(), status.attempts), ("relay:1", 4));
    assert_eq!(status.last_error.unwrap().1.code, Code::new(2003));
    assert_eq!(*dialing.network.attempts.lock().unwrap(), addresses);
}

#[tokio::test]
async fn a_stranger_is_tried_again_slowly_and_a_stop_does_not_wait() {
    let mut dialing = dial(&["stranger:1"], App::new(), Network::new(&App::new(), 0));
    let waiting = |status: &DialerStatus| matches!(status.state, DialerState::Waiting(_));
    let status = timeout(Duration::from_secs(5), dialing.status.wait_for(waiting)).await;
    let status = status.unwrap().unwrap().clone();
    let DialerState::Waiting(next) = status.state else {
        panic!("{status:?}");
    };
    assert!(next.since(status.since) >= Duration::from_secs(29));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(dialing.network.attempts.lock().unwrap().len(), 1);
    dialing.stop.send(Stop::Drain).unwrap();
    let ended = timeout(Duration::from_secs(1), dialing.task.join_next()).await;
    ended.unwrap().unwrap().unwrap();
}

/// A relay that has no place just now is no stranger.
#[tokio::test]
async fn a_full_relay_is_tried_again_soon() {
    let dialing = dial(&["full:1"], App::new(), Network::new(&App::new(), 0));
    until("it was tried more than a few times", || {
        dialing.network.attempts.lock().unwrap().len() > 5
    })
    .await;
}

/// What was revoked while it was dialled gets no link, whatever it sends.
#[tokio::test]
async fn who_is_not_trusted_any_more_when_it_answers_is_not_linked_to() {
    for _ in 0..20 {
        let relay = App::new();
        relay.produce(ChannelKind::Forward, "acme/back", Lane::Normal, 10, 100);
        let network = Network::new(&relay, 0);
        let refusal = Refusal::new(Code::new(2008), "no more");
        network.distrust.send_replace(Some(refusal.clone()));
        let mut dialing = dial(&["relay:1"], App::new(), network);
        let waiting = |status: &DialerStatus| matches!(status.state, DialerState::Waiting(_));
        let status = timeout(Duration::from_secs(5), dialing.status.wait_for(waiting)).await;
        let status = status.unwrap().unwrap().clone();
        assert_eq!(status.last_error.unwrap().1, refusal);
        let states = dialing.edge.states.lock().unwrap().clone();
        assert!(!states.contains(&LinkState::Up), "{states:?}");
        assert!(dialing.edge.stored("acme/back", Lane::Normal).is_empty());
    }
}

/// A relay that is not trusted any more loses the link at once, hears why, and is not dialled again soon.
#[tokio::test]
async fn trust_that_is_lost_ends_the_link_that_stands() {
    for code in [Code::new(2008), DUPLICATE] {
        let relay = App::new();
        let mut dialing = dial(&["relay:1"], App::new(), Network::new(&relay, 0));
        let connected = |status: &DialerStatus| matches!(status.state, DialerState::Connected(_));
        let up = timeout(Duration::from_secs(5), dialing.status.wait_for(connected)).await;
        up.unwrap().unwrap();
        until("both have greeted", || {
            relay.states.lock().unwrap().contains(&LinkState::Up)
        })
        .await;
        let refusal = Refusal::new(code, "no more");
        dialing.network.distrust.send_replace(Some(refusal.clone()));
        let waiting = |status: &DialerStatus| matches!(status.state, DialerState::Waiting(_));
        let status = timeout(Duration::from_secs(1), dialing.status.wait_for(waiting)).await;
        let status = status.unwrap().unwrap().clone();
        let DialerState::Waiting(next) = status.state else {
            panic!("{status:?}");
        };
        assert!(next.since(status.since) >= Duration::from_secs(29));
        assert_eq!(status.last_error.unwrap().1, refusal);
        until("the relay has heard why", || {
            relay
                .states
                .lock()
                .unwrap()
                .contains(&LinkState::Down(refusal.clone()))
        })
        .await;
    }
}

#[tokio::test]
async fn the_preferred_relay_is_returned_to_with_nothing_sent_twice() {
    let (edge, lesser, better) = (App::new(), App::new(), App::new());
    let mut dialing = dial(
        &["better:1", "relay:1"],
        Arc::clone(&edge),
        Network::new(&lesser, 0),
    );
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 500, 100);
    until("the lesser relay has the first ones", || {
        edge.acked("acme/up", Lane::Normal) == 500
    })
    .await;
    // while it is away, trying it costs the standing link nothing
    until("it was tried more than once", || {
        let attempts = dialing.network.attempts.lock().unwrap();
        attempts.iter().filter(|a| *a == "better:1").count() > 3
    })
    .await;
    assert_eq!(dialing.status.borrow().address, "relay:1");
    let relay_links = |attempts: &[String]| attempts.iter().filter(|a| *a == "relay:1").count();
    assert_eq!(relay_links(&dialing.network.attempts.lock().unwrap()), 1);

    *dialing.network.better.lock().unwrap() = Some(Arc::clone(&better));
    let mut produced = 500;
    while better.stored("acme/up", Lane::Normal).len() < 100 {
        assert!(produced < 200_000, "never moved");
        edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 10, 100);
        produced += 10;
        sleep(Duration::from_millis(1)).await;
    }
    until("everything is acknowledged", || {
        edge.acked("acme/up", Lane::Normal) == produced
    })
    .await;
    let connected = |status: &DialerStatus| {
        status.address == "better:1" && matches!(status.state, DialerState::Connected(_))
    };
    let moved = timeout(Duration::from_secs(5), dialing.status.wait_for(connected)).await;
    moved.unwrap().unwrap();
    let both = [
        lesser.stored("acme/up", Lane::Normal),
        better.stored("acme/up", Lane::Normal),
    ]
    .concat();
    assert!(
        both.iter().copied().eq(1..=produced),
        "none lost, none twice, in order"
    );

    // it stays there, and a stop ends it
    sleep(Duration::from_millis(200)).await;
    assert_eq!(relay_links(&dialing.network.attempts.lock().unwrap()), 1);
    dialing.stop.send(Stop::Drain).unwrap();
    let ended = timeout(Duration::from_secs(5), dialing.task.join_next()).await;
    ended.unwrap().unwrap().unwrap();
}

/// Sends until `there` has a hundred; gives how many were sent in all.
async fn send_until_there(edge: &App, there: &App, mut sent: u64) -> u64 {
    let before = there.stored("acme/up", Lane::Normal).len();
    while there.stored("acme/up", Lane::Normal).len() < before + 100 {
        assert!(sent < 400_000, "never moved");
        edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 10, 100);
        sent += 10;
        sleep(Duration::from_millis(1)).await;
    }
    until("everything is acknowledged", || {
        edge.acked("acme/up", Lane::Normal) == sent
    })
    .await;
    sent
}

/// A relay sends the edge to another one of its list while it sends: nothing is lost, doubled or
/// overtaken, there and back.
#[tokio::test]
async fn sent_to_another_relay_and_back_nothing_is_lost_or_doubled() {
    let (edge, first, second) = (App::new(), App::new(), App::new());
    let network = Network::new(&first, 0);
    *network.better.lock().unwrap() = Some(Arc::clone(&second));
    let addresses = ["relay:1", "down:1", "BETTER:1", "stranger:1"];
    let mut dialing = dial(&addresses, Arc::clone(&edge), network);
    let sent = send_until_there(&edge, &first, 0).await;
    // there is no such host in the list, but there is one by this name
    dialing.network.wants("relay:1", away(Some("better:1")));
    let sent = send_until_there(&edge, &second, sent).await;
    let attempts = dialing.network.attempts.lock().unwrap().clone();
    let first_try = |address: &str| attempts.iter().position(|one| one == address);
    let (there, down) = (first_try("BETTER:1"), first_try("down:1"));
    // later it looks for the preferred ones again
    assert!(
        there.is_some() && down.is_none_or(|down| there < Some(down)),
        "it went straight there: {attempts:?}"
    );
    assert_eq!(dialing.status.borrow().address, "BETTER:1");

    // the relay it came from is preferred: asked again later, it still sends it away
    until("it was asked again", || {
        dialing.network.tried("relay:1") > 2
    })
    .await;
    let here = |status: &DialerStatus| status.address == "BETTER:1";
    assert!(here(&dialing.status.borrow()));
    assert_eq!(
        dialing.network.tried("BETTER:1"),
        1,
        "the standing link stands"
    );
    dialing.network.wants("relay:1", Stop::Run);
    let before = first.stored("acme/up", Lane::Normal).len();
    let sent = send_until_there(&edge, &first, sent).await;
    assert!(before > 0);
    let mut all = [
        first.stored("acme/up", Lane::Normal),
        second.stored("acme/up", Lane::Normal),
    ]
    .concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=sent), "none lost, none twice");
    dialing.stop.send(Stop::Drain).unwrap();
    let ended = timeout(Duration::from_secs(5), dialing.task.join_next()).await;
    ended.unwrap().unwrap().unwrap();
}

/// No relay sends an edge where its own list does not: it takes the next one.
#[tokio::test]
async fn a_relay_that_is_not_in_the_list_is_not_gone_to() {
    let (edge, first, next) = (App::new(), App::new(), App::new());
    let network = Network::new(&first, 0);
    *network.better.lock().unwrap() = Some(Arc::clone(&next));
    let dialing = dial(&["relay:1", "better:1"], Arc::clone(&edge), network);
    let sent = send_until_there(&edge, &first, 0).await;
    dialing
        .network
        .wants("relay:1", away(Some("evil.example:443")));
    send_until_there(&edge, &next, sent).await;
    assert_eq!(dialing.network.tried("evil.example:443"), 0);
}

/// The only relay is drained: what the edge has waits, and it comes back. It asks ever more slowly.
#[tokio::test]
async fn a_drained_relay_without_another_is_come_back_to() {
    let (edge, relay) = (App::new(), App::new());
    let dialing = dial(&["relay:1"], Arc::clone(&edge), Network::new(&relay, 0));
    let sent = send_until_there(&edge, &relay, 0).await;
    dialing.network.wants("relay:1", away(None));
    let refused = |status: &DialerStatus| {
        let error = status.last_error.as_ref();
        matches!(status.state, DialerState::Waiting(_))
            && error.is_some_and(|(_, refusal)| refusal.code == DRAINED)
    };
    until("it was sent away, and refused at the door", || {
        dialing.network.tried("relay:1") == 2 && refused(&dialing.status.borrow())
    })
    .await;
    edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 10, 100);
    let DialerState::Waiting(next) = dialing.status.borrow().state else {
        panic!("it waits");
    };
    // the kit's slow wait is a minute: it does not hammer at the door
    let since = dialing.status.borrow().since;
    assert!(next.since(since) >= Duration::from_secs(29));
    assert_eq!(relay.stored("acme/up", Lane::Normal).len() as u64, sent);
}

/// The relay is drained and the other one down: that one is dialled again and again, and the drained one is
/// not asked each time.
#[tokio::test]
async fn a_drained_relay_is_asked_seldom_while_the_other_one_is_down() {
    let (edge, relay) = (App::new(), App::new());
    let options = DialerOptions {
        prefer_after: Duration::from_mins(1),
        ..quick_options(&["relay:1", "better:1"])
    };
    let dialing = dial_with(options, Arc::clone(&edge), Network::new(&relay, 0), 1);
    let sent = send_until_there(&edge, &relay, 0).await;
    dialing.network.wants("relay:1", away(None));
    until("the other one was dialled again and again", || {
        dialing.network.tried("better:1") > 20
    })
    .await;
    assert_eq!(
        dialing.network.tried("relay:1"),
        2,
        "its link, and at the door"
    );
    // and the other one is linked to as soon as it is there
    let other = App::new();
    *dialing.network.better.lock().unwrap() = Some(Arc::clone(&other));
    send_until_there(&edge, &other, sent).await;
}

/// Two relays that send an edge to each other: it asks both once, and then slowly.
#[tokio::test]
async fn two_relays_that_name_each_other_are_not_run_between() {
    let network = Network::new(&App::new(), 0);
    *network.better.lock().unwrap() = Some(App::new());
    network.wants("relay:1", away(Some("better:1")));
    network.wants("better:1", away(Some("relay:1")));
    let mut dialing = dial(&["relay:1", "better:1"], App::new(), network);
    let waiting = |status: &DialerStatus| matches!(status.state, DialerState::Waiting(_));
    let status = timeout(Duration::from_secs(5), dialing.status.wait_for(waiting)).await;
    let status = status.unwrap().unwrap().clone();
    let DialerState::Waiting(next) = status.state else {
        panic!("{status:?}");
    };
    assert!(next.since(status.since) >= Duration::from_secs(29));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(
        *dialing.network.attempts.lock().unwrap(),
        ["relay:1", "better:1"]
    );
}

#[tokio::test]
async fn a_stop_ends_a_link_to_a_lesser_relay() {
    let mut dialing = dial(
        &["down:1", "relay:1"],
        App::new(),
        Network::new(&App::new(), 0),
    );
    let connected = |status: &DialerStatus| matches!(status.state, DialerState::Connected(_));
    let up = timeout(Duration::from_secs(5), dialing.status.wait_for(connected)).await;
    up.unwrap().unwrap();
    dialing.stop.send(Stop::Drain).unwrap();
    let ended = timeout(Duration::from_secs(5), dialing.task.join_next()).await;
    ended.unwrap().unwrap().unwrap();
    assert_eq!(dialing.status.borrow().state, DialerState::Stopped);
}

#[tokio::test]
async fn lost_links_are_dialled_again_at_different_moments_of_the_window() {
    let window = Duration::from_secs(10);
    let mut waits = Vec::new();
    for seed in 0..40 {
        let (edge, network) = (App::new(), Network::new(&App::new(), 100));
        edge.produce(ChannelKind::Forward, "acme/up", Lane::Normal, 1000, 1000);
        let mut dialing = dial_over(&["relay:1"], Arc::clone(&edge), network, window, seed);
        let waiting = |status: &DialerStatus| matches!(status.state, DialerState::Waiting(_));
        let status = timeout(Duration::from_secs(5), dialing.status.wait_for(waiting)).await;
        let status = status.unwrap().unwrap().clone();
        let DialerState::Waiting(next) = status.state else {
            panic!("{status:?}");
        };
        let was_up = edge.states.lock().unwrap().contains(&LinkState::Up);
        if was_up {
            waits.push(next.since(status.since));
        }
    }
    assert!(waits.len() > 20, "most were up: {}", waits.len());
    assert!(waits.iter().all(|wait| *wait <= window), "{waits:?}");
    let early = waits.iter().filter(|wait| **wait < window / 2).count();
    let share = early * 100 / waits.len();
    assert!(
        (25..=75).contains(&share),
        "{share} % in the first half: {waits:?}"
    );
}

#[test]
fn a_fleet_returns_over_the_whole_window() {
    let window = Duration::from_secs(20);
    let options = DialerOptions::new(Vec::new(), options(EDGE)).spread(window);
    assert_eq!(options.reconnect_spread, window);
    // while the relay is away an edge asks about once in the window, so it does not matter when in it
    // the relay returns
    let mut rng = fastrand::Rng::with_seed(3);
    let mut backoff = options.backoff;
    let waits: Vec<_> = (0..50).map(|_| backoff.next_delay(&mut rng)).collect();
    assert!(waits.iter().all(|wait| *wait <= window));
    assert!(waits[20..].iter().all(|wait| *wait >= window / 2));
    let short = DialerOptions::new(Vec::new(), crate::site::options(EDGE)).spread(Duration::ZERO);
    let mut backoff = short.backoff;
    assert!((0..50).all(|_| backoff.next_delay(&mut rng) <= Duration::from_secs(1)));
}
