//! Whole links over in-memory byte streams: two drivers, a dialer, connections that break, peers
//! that stall, stores that are full.
#![cfg_attr(
    feature = "net",
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may fail in its helpers"
    )
)]
#![cfg(feature = "net")]

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use qc_core::backoff::Backoff;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{
    CUT, Chunk, Connect, ConnectError, Dialer, DialerOptions, DialerState, DialerStatus, Ended,
    GOING_AWAY, HELLO_TIMEOUT, LinkApp, LinkOptions, LinkState, NO_STREAM, OutboundChannel, Peer,
    PeerHeartbeat, REPLACED, SILENT, SLOW, SessionConfig, Side, Stop, run,
};
use qc_core::model::{Epoch, Lane, Seq, StreamName};
use qc_core::wire::{
    Backlog, ChannelKind, Code, Control, Greeting, MAX_BODY, Mark, Open, OpenAck, Record,
    RecordHeader, RecordKind, Refusal, Start, Status, Subscribe,
};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const EDGE: &str = "edge-1.mill7.acme";
const RELAY: &str = "relay-1.hub.acme";
const DISK_FULL: Code = Code::new(3301);

type Key = (String, Lane);

/// A node with streams to send and a store that takes its time.
struct App {
    streams: Mutex<BTreeMap<Key, (OutboundChannel, Vec<Record>)>>,
    subscriptions: Mutex<Vec<Subscribe>>,
    stored: Arc<Mutex<BTreeMap<Key, Vec<u64>>>>,
    arrivals: Arc<Mutex<Vec<Lane>>>,
    acked: Mutex<BTreeMap<Key, Seq>>,
    states: Mutex<Vec<LinkState>>,
    refusals: Mutex<Vec<Code>>,
    beats: AtomicUsize,
    statuses: AtomicUsize,
    bytes_read: AtomicUsize,
    full: AtomicBool,
    changed: watch::Sender<u64>,
}

impl App {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            streams: Mutex::default(),
            subscriptions: Mutex::default(),
            stored: Arc::default(),
            arrivals: Arc::default(),
            acked: Mutex::default(),
            states: Mutex::default(),
            refusals: Mutex::default(),
            beats: AtomicUsize::new(0),
            statuses: AtomicUsize::new(0),
            bytes_read: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            changed: watch::Sender::new(0),
        })
    }

    fn produce(&self, kind: ChannelKind, stream: &str, lane: Lane, count: u64, size: usize) {
        let mut streams = self.streams.lock().unwrap();
        let (channel, records) = streams.entry((stream.to_owned(), lane)).or_insert_with(|| {
            let channel = OutboundChannel {
                kind,
                stream: stream.parse().unwrap(),
                lane,
                epoch: Epoch(5),
                first: Seq(1),
                last: Seq::ZERO,
                after: Seq::ZERO,
                consumer: (kind == ChannelKind::Deliver).then(|| "mill7".parse().unwrap()),
            };
            (channel, Vec::new())
        });
        for _ in 0..count {
            channel.last = channel.last.next();
            let mut header = RecordHeader::new(RecordKind::Message);
            (header.seq, header.lane) = (channel.last, lane);
            records.push(Record {
                header,
                head: Bytes::from_static(b"h"),
                body: Bytes::from(vec![1; size]),
            });
        }
        drop(streams);
        self.changed.send_modify(|commits| *commits += 1);
    }

    fn stored(&self, stream: &str, lane: Lane) -> Vec<u64> {
        let stored = self.stored.lock().unwrap();
        stored
            .get(&(stream.to_owned(), lane))
            .cloned()
            .unwrap_or_default()
    }

    fn acked(&self, stream: &str, lane: Lane) -> u64 {
        let acked = self.acked.lock().unwrap();
        acked.get(&(stream.to_owned(), lane)).map_or(0, |seq| seq.0)
    }
}

impl LinkApp for App {
    fn open_inbound(&self, _peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        let stored = self.stored(open.stream.as_str(), open.lane);
        Ok(stored.last().map_or_else(Mark::default, |seq| Mark {
            epoch: open.epoch,
            seq: Seq(*seq),
        }))
    }

    fn store(
        &self,
        _peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let key = (open.stream.to_string(), open.lane);
        let (stored, arrivals) = (Arc::clone(&self.stored), Arc::clone(&self.arrivals));
        let full = self.full.load(Ordering::SeqCst);
        async move {
            sleep(Duration::from_millis(2)).await;
            if full {
                return Err(Refusal::new(DISK_FULL, "the disk is full"));
            }
            let mut stored = stored.lock().unwrap();
            let seqs = stored.entry(key.clone()).or_default();
            for record in records {
                let seq = record.header.seq.0;
                if seqs.last().is_none_or(|last| seq > *last) {
                    seqs.push(seq);
                    arrivals.lock().unwrap().push(key.1);
                }
            }
            Ok(Seq(*seqs.last().unwrap()))
        }
    }

    fn subscribe(&self, _peer: &Peer, subscribe: &Subscribe) -> Result<OutboundChannel, Refusal> {
        let streams = self.streams.lock().unwrap();
        streams
            .values()
            .find(|(channel, _)| channel.stream == subscribe.stream)
            .map(|(channel, _)| channel.clone())
            .ok_or_else(|| Refusal::new(NO_STREAM, "no such stream"))
    }

    fn outbound(&self, _peer: &Peer) -> Vec<OutboundChannel> {
        let streams = self.streams.lock().unwrap();
        streams
            .values()
            .filter(|(channel, _)| channel.kind == ChannelKind::Forward)
            .map(|(channel, _)| channel.clone())
            .collect()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        self.subscriptions.lock().unwrap().clone()
    }

    fn read(
        &self,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let streams = self.streams.lock().unwrap();
        let (_, records) = &streams[&(channel.stream.to_string(), channel.lane)];
        let mut bytes = 0;
        let records: Vec<Record> = records
            .iter()
            .skip(usize::try_from(after.0).unwrap())
            .take(max_records)
            .take_while(|record| {
                bytes += record.encoded_len();
                bytes == record.encoded_len() || bytes <= max_bytes
            })
            .cloned()
            .collect();
        let bytes: usize = records.iter().map(Record::encoded_len).sum();
        self.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        Ok(Chunk {
            records,
            through: Seq::ZERO,
        })
    }

    fn acked(&self, _peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let mut acked = self.acked.lock().unwrap();
        acked.insert((channel.stream.to_string(), channel.lane), seq);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn backlog(&self, _channel: &OutboundChannel) -> Backlog {
        Backlog {
            messages: 3,
            ..Backlog::default()
        }
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {
        self.statuses.fetch_add(1, Ordering::SeqCst);
    }

    fn peer_heartbeat(&self, _peer: &Peer, _heartbeat: PeerHeartbeat) {
        self.beats.fetch_add(1, Ordering::SeqCst);
    }

    fn state(&self, _peer: &Peer, state: &LinkState) {
        self.states.lock().unwrap().push(state.clone());
    }

    fn refused(&self, _peer: &Peer, _stream: &StreamName, refusal: &Refusal) {
        self.refusals.lock().unwrap().push(refusal.code);
    }
}

fn options(node: &str) -> LinkOptions {
    LinkOptions {
        write_timeout: Duration::from_millis(500),
        drain_timeout: Duration::from_secs(5),
        retry: (Duration::from_millis(20), Duration::from_millis(50)),
        ..LinkOptions::new(SessionConfig {
            heartbeat: Duration::from_millis(100),
            hello_timeout: Duration::from_millis(300),
            ..SessionConfig::new(node.parse().unwrap())
        })
    }
}

fn peer(node: &str) -> Peer {
    Peer {
        node: node.parse().unwrap(),
        address: "memory".to_owned(),
    }
}

async fn link<S>(stream: S, side: Side, app: Arc<App>, stop: watch::Receiver<Stop>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (this, other) = match side {
        Side::Dialer => (EDGE, RELAY),
        Side::Acceptor => (RELAY, EDGE),
    };
    let clock = SystemClock::default();
    run(
        stream,
        &peer(other),
        side,
        app.as_ref(),
        &clock,
        &options(this),
        stop,
    )
    .await
}

/// Two nodes and the link between them.
struct Site {
    edge: Arc<App>,
    relay: Arc<App>,
    stop: watch::Sender<Stop>,
    ends: JoinSet<(Side, Ended)>,
}

impl Site {
    fn start(buffer: usize) -> Self {
        Self::with(App::new(), App::new(), buffer)
    }

    fn with(edge: Arc<App>, relay: Arc<App>, buffer: usize) -> Self {
        let (a, b) = duplex(buffer);
        let stop = watch::Sender::new(Stop::Run);
        let mut ends = JoinSet::new();
        let (app, stopped) = (Arc::clone(&edge), stop.subscribe());
        ends.spawn(async move { (Side::Dialer, link(a, Side::Dialer, app, stopped).await) });
        let (app, never) = (Arc::clone(&relay), watch::channel(Stop::Run).1);
        ends.spawn(async move { (Side::Acceptor, link(b, Side::Acceptor, app, never).await) });
        Self {
            edge,
            relay,
            stop,
            ends,
        }
    }

    /// How the dialer's and the acceptor's end ended.
    async fn ended(&mut self) -> (Ended, Ended) {
        let both = async {
            let mut ends = [None, None];
            while let Some(end) = self.ends.join_next().await {
                let (side, ended) = end.unwrap();
                ends[side as usize] = Some(ended);
            }
            ends.map(Option::unwrap)
        };
        let [dialer, acceptor] = timeout(Duration::from_secs(20), both).await.unwrap();
        (dialer, acceptor)
    }
}

async fn until(what: &'static str, condition: impl Fn() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

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
    links: Mutex<JoinSet<()>>,
    attempts: Mutex<Vec<String>>,
    sturdy_after: usize,
    rng: Mutex<fastrand::Rng>,
}

impl Network {
    fn new(relay: &Arc<App>, sturdy_after: usize) -> Self {
        Self {
            relay: Arc::clone(relay),
            links: Mutex::default(),
            attempts: Mutex::default(),
            sturdy_after,
            rng: Mutex::new(fastrand::Rng::with_seed(7)),
        }
    }
}

impl Connect for Network {
    type Stream = Fragile;

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
            "hanging:1" => std::future::pending().await,
            _ => {
                let (a, b) = duplex(8 * 1024);
                let relay = Arc::clone(&self.relay);
                let never = watch::channel(Stop::Run).1;
                self.links.lock().unwrap().spawn(async move {
                    link(b, Side::Acceptor, relay, never).await;
                });
                let left = if made > self.sturdy_after {
                    usize::MAX
                } else {
                    self.rng.lock().unwrap().usize(100..60_000)
                };
                Ok((Fragile { inner: a, left }, peer(RELAY)))
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
    let network = Arc::new(network);
    let stop = watch::Sender::new(Stop::Run);
    let clock = SystemClock::default();
    let (status, told) = watch::channel(DialerStatus::new(clock.now()));
    let mut task = JoinSet::new();
    let (app, connect, stopped) = (Arc::clone(&edge), Arc::clone(&network), stop.subscribe());
    let addresses = addresses.iter().map(|text| (*text).to_owned()).collect();
    task.spawn(async move {
        let backoff = |min, max| {
            Backoff::new(Duration::from_millis(min), Duration::from_millis(max)).unwrap()
        };
        let dialer = Dialer {
            app: app.as_ref(),
            connect: connect.as_ref(),
            clock: &clock,
            options: DialerOptions {
                connect_timeout: Duration::from_millis(100),
                backoff: backoff(2, 10),
                identity_backoff: backoff(60_000, 60_000),
                ..DialerOptions::new(addresses, options(EDGE))
            },
            status,
            rng: fastrand::Rng::with_seed(1),
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
