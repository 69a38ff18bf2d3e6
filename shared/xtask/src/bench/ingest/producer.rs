//! The producers: links that always have something to send, up to so many messages ahead of the
//! relay's acknowledgements.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qc_core::cli::{Exit, Failure};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{
    self, Chunk, LinkApp, LinkOptions, LinkState, Listening, OutboundChannel, Peer, PeerHeartbeat,
    SessionConfig, Share, Side, Stop,
};
use qc_core::model::{AttrValue, Envelope, Epoch, Lane, NodeName, Seq, StreamName};
use qc_core::tls::{self, Connected, Credentials};
use qc_core::wire::{
    Backlog, ChannelKind, Greeting, Mark, Open, Record, RecordHeader, RecordKind, Refusal, Status,
    Subscribe, Target, encode_envelope,
};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use crate::CHORE;
use crate::bench::raw::MESSAGE;

/// How often a link that was turned away comes again, and when.
const TRIES: u32 = 200;
const AGAIN: Duration = Duration::from_millis(50);

/// What one round has shown.
pub(in crate::bench) struct Round {
    /// Messages acknowledged a second, after warming up.
    pub(in crate::bench) rate: f64,
    /// Messages acknowledged in all, warming up included.
    pub(in crate::bench) all_messages: f64,
    /// The same as a count.
    pub(in crate::bench) count: u64,
    /// From the moment a message was handed to the link to its acknowledgement, sampled.
    pub(in crate::bench) times: Vec<Duration>,
}

/// Runs all links for `warm_up + time`.
pub(in crate::bench) fn round(
    relay: SocketAddr,
    edges: &[(NodeName, Credentials)],
    in_flight: u64,
    warm_up: Duration,
    time: Duration,
    clock: &Arc<SystemClock>,
) -> Result<Round, Failure> {
    let runtime = qc_core::service::runtime(0)?;
    runtime.block_on(async {
        let (stop, _) = watch::channel(Stop::Run);
        let mut producers = Vec::new();
        let mut links = tokio::task::JoinSet::new();
        for (name, credentials) in edges {
            let producer = Arc::new(Producer::new(name.clone(), in_flight, Arc::clone(clock)));
            producers.push(Arc::clone(&producer));
            let (credentials, address) = (credentials.clone(), relay.to_string());
            let (clock, stopped) = (Arc::clone(clock), stop.subscribe());
            links.spawn(
                async move { run(&producer, &credentials, &address, &clock, stopped).await },
            );
        }
        tokio::time::sleep(warm_up).await;
        let acked = || {
            producers
                .iter()
                .map(|p| p.acked.load(Ordering::Relaxed))
                .sum::<u64>()
        };
        let (began, before) = (clock.instant(), acked());
        tokio::time::sleep(time).await;
        let (after, ended) = (acked(), clock.instant());
        stop.send_replace(Stop::Drain);
        while let Some(outcome) = links.join_next().await {
            let outcome = outcome.map_err(|error| trouble(&error.to_string()))?;
            outcome.map_err(|reason| trouble(&reason))?;
        }
        let times = producers.iter().flat_map(|producer| {
            std::mem::take(
                &mut *producer
                    .times
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            )
        });
        let seconds = ended.saturating_duration_since(began).as_secs_f64();
        Ok(Round {
            rate: count(after - before) / seconds,
            all_messages: count(acked()),
            count: acked(),
            times: times.collect(),
        })
    })
}

fn trouble(reason: &str) -> Failure {
    Failure::new(
        Exit::Other,
        CHORE,
        format!("a link of the bench broke: {reason}"),
    )
}

fn count(messages: u64) -> f64 {
    f64::from(u32::try_from(messages).unwrap_or(u32::MAX))
}

async fn run(
    producer: &Producer,
    credentials: &Credentials,
    address: &str,
    clock: &SystemClock,
    stop: watch::Receiver<Stop>,
) -> Result<(), String> {
    // of one address the relay takes a few strangers at a time: as every node, come again
    let mut tries = 0;
    let connected = loop {
        match connect(credentials, address).await {
            Ok(connected) => break connected,
            Err(reason) if tries == TRIES => return Err(reason),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(AGAIN).await;
    };
    let peer = Peer {
        node: connected.peer.name,
        address: address.to_owned(),
    };
    let options = LinkOptions::new(SessionConfig::new(producer.name.clone()));
    let ended = link::run(
        *connected.stream,
        &peer,
        Side::Dialer,
        producer,
        clock,
        &options,
        stop,
    )
    .await;
    if ended.refusal.code == link::GOING_AWAY {
        Ok(())
    } else {
        Err(ended.refusal.to_string())
    }
}

async fn connect(credentials: &Credentials, address: &str) -> Result<Connected<TcpStream>, String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let config = credentials
        .link_client_config(tls::RELAYS, None)
        .map_err(|error| error.to_string())?;
    tls::connect(stream, "127.0.0.1", config, Duration::from_secs(10))
        .await
        .map_err(|error| error.to_string())
}

/// One link's endless stream.
struct Producer {
    name: NodeName,
    epoch: Epoch,
    in_flight: u64,
    clock: Arc<SystemClock>,
    head: Vec<u8>,
    /// Where the id's digits stand in `head`.
    digits: usize,
    body: Bytes,
    acked: AtomicU64,
    sent: Mutex<VecDeque<(u64, Instant)>>,
    times: Mutex<Vec<Duration>>,
    changed: watch::Sender<u64>,
}

const DIGITS: usize = 12;

impl Producer {
    fn new(name: NodeName, in_flight: u64, clock: Arc<SystemClock>) -> Self {
        let epoch = Epoch(clock.now().as_millis());
        let id = format!("{epoch}-{}", "0".repeat(DIGITS));
        let mut head = Vec::new();
        let mut envelope = Envelope::new(id, format!("/{name}/bench"), "qc.bench");
        let class = AttrValue::String("bench".to_owned());
        envelope
            .extensions
            .insert("dataclassification".to_owned(), class);
        encode_envelope(&envelope, &mut head);
        let zeros = "0".repeat(DIGITS);
        let digits = head
            .windows(DIGITS)
            .position(|part| part == zeros.as_bytes());
        Self {
            name,
            epoch,
            in_flight,
            clock,
            head,
            digits: digits.unwrap_or_default(),
            body: std::iter::repeat_with(|| fastrand::u8(..))
                .take(MESSAGE as usize)
                .collect(),
            acked: AtomicU64::new(0),
            sent: Mutex::default(),
            times: Mutex::default(),
            changed: watch::channel(0).0,
        }
    }

    fn record(&self, seq: u64) -> Record {
        let mut head = self.head.clone();
        let digits = format!("{seq:0DIGITS$}");
        if let Some(place) = head.get_mut(self.digits..self.digits + DIGITS) {
            place.copy_from_slice(digits.as_bytes());
        }
        let header = RecordHeader {
            epoch: self.epoch,
            seq: Seq(seq),
            accepted: self.clock.now(),
            ..RecordHeader::new(RecordKind::Message)
        };
        Record {
            header,
            head: head.into(),
            body: self.body.clone(),
        }
    }
}

impl LinkApp for Producer {
    fn open_inbound(&self, _peer: &Peer, _open: &Open) -> Result<Mark, Refusal> {
        Err(Refusal::new(link::NOT_ASKED, "a producer takes nothing"))
    }

    fn store(
        &self,
        _peer: &Peer,
        _open: &Open,
        _records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        std::future::ready(Err(Refusal::new(
            link::NOT_ASKED,
            "a producer takes nothing",
        )))
    }

    fn subscribe(&self, _peer: &Peer, _: &Subscribe) -> Result<Vec<OutboundChannel>, Refusal> {
        Err(Refusal::new(link::NO_STREAM, "a producer serves nothing"))
    }

    fn outbound(&self, _peer: &Peer) -> Vec<OutboundChannel> {
        let stream: StreamName = "bench/ingest".parse().expect("a constant");
        let acked = self.acked.load(Ordering::Relaxed);
        vec![OutboundChannel {
            kind: ChannelKind::Forward,
            stream,
            lane: Lane::Normal,
            share: Share::All,
            epoch: self.epoch,
            first: Seq(1),
            last: Seq(acked + self.in_flight),
            sent: Seq(acked + self.in_flight),
            had: None,
            after: Seq(acked),
            consumer: None,
        }]
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        Vec::new()
    }

    fn read(
        &self,
        _peer: &Peer,
        _channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let end = self.acked.load(Ordering::Relaxed) + self.in_flight;
        let room = u64::try_from(max_bytes / (MESSAGE as usize + 200))
            .unwrap_or(1)
            .max(1);
        let most = u64::try_from(max_records).unwrap_or(u64::MAX).min(room);
        let last = end.min(after.0.saturating_add(most));
        let records: Vec<_> = (after.0 + 1..=last).map(|seq| self.record(seq)).collect();
        if !records.is_empty() {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push_back((last, self.clock.instant()));
        }
        Ok(Chunk {
            records,
            through: Seq::ZERO,
        })
    }

    fn acked(&self, _peer: &Peer, _channel: &OutboundChannel, seq: Seq) {
        self.acked.fetch_max(seq.0, Ordering::Relaxed);
        let now = self.clock.instant();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|(last, _)| *last <= seq.0) {
            if let Some((_, at)) = sent.pop_front() {
                times.push(now.saturating_duration_since(at));
            }
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn listen(&self, _channel: &OutboundChannel, _bell: &Arc<Notify>) -> Option<Listening> {
        None
    }

    fn backlog(&self, _channel: &OutboundChannel) -> Backlog {
        Backlog::default()
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {}

    fn peer_heartbeat(&self, _peer: &Peer, _heartbeat: PeerHeartbeat) {}

    fn notice(&self, _peer: &Peer) -> Option<Refusal> {
        None
    }

    fn linked(&self, _peer: &Peer, _greeting: &Greeting, _caller: link::Caller) {}

    fn called(
        &self,
        _peer: &Peer,
        _target: &Target,
        _stream: link::CallStream,
    ) -> Result<(), Refusal> {
        Err(Refusal::new(link::NO_TARGET, "a producer takes no calls"))
    }

    fn sent(&self, _peer: &Peer, channel: &OutboundChannel) -> Seq {
        channel.sent
    }

    fn rewound(&self, _peer: &Peer, _channel: &OutboundChannel) {}

    fn state(&self, _peer: &Peer, _state: &LinkState) {}

    fn refused(&self, _peer: &Peer, _stream: &StreamName, _refusal: &Refusal) {}
}
