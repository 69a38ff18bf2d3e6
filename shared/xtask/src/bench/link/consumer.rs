//! Links of ours to a relay that take: one that reads a stream, and many that are idle.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qc_core::clock::{Clock, SystemClock};
use qc_core::link::{
    self, Chunk, Connect, ConnectError, Dialer, DialerOptions, DialerStatus, LinkApp, LinkOptions,
    LinkState, Listening, OutboundChannel, Peer, PeerHeartbeat, SessionConfig, Stop,
};
use qc_core::model::{NodeName, Seq, StreamName};
use qc_core::reach::{
    Dial, LinkStream, Names, NoProxy, Reach, Socket, SystemResolver, WebSocketMode,
};
use qc_core::tls::Credentials;
use qc_core::wire::{
    Backlog, Greeting, Mark, Open, Record, Refusal, Start, Status, Subscribe, Target,
};
use tokio::sync::{Notify, Semaphore, watch};

use super::arrivals::Arrivals;
use crate::bench::authority::Trouble;

/// A node at the far end: it takes a stream, or nothing.
pub(super) struct Taker {
    stream: Option<StreamName>,
    arrivals: Option<Arc<Arrivals>>,
    mark: Mutex<Mark>,
    up: Arc<AtomicU64>,
    is_up: AtomicBool,
    never: watch::Sender<u64>,
}

impl Taker {
    /// Takes `stream`.
    pub(super) fn of(stream: &str, arrivals: Arc<Arrivals>) -> Result<Self, Trouble> {
        Ok(Self {
            stream: Some(stream.parse()?),
            arrivals: Some(arrivals),
            ..Self::idle(Arc::default())
        })
    }

    /// Takes nothing, and counts in `up` while its link stands.
    pub(super) fn idle(up: Arc<AtomicU64>) -> Self {
        Self {
            stream: None,
            arrivals: None,
            mark: Mutex::default(),
            up,
            is_up: AtomicBool::new(false),
            never: watch::channel(0).0,
        }
    }
}

/// How a [`Taker`] gets to its relay.
pub(super) struct Way {
    pub(super) name: NodeName,
    pub(super) credentials: Credentials,
    pub(super) address: String,
    /// The window of returns.
    pub(super) spread: Duration,
    /// Handshakes at once, over all that share it.
    pub(super) places: Arc<Semaphore>,
}

/// Keeps a link up until it is dropped.
pub(super) async fn keep_up(taker: Taker, way: Way, clock: Arc<SystemClock>) {
    let options = LinkOptions::new(SessionConfig::new(way.name));
    let options = DialerOptions {
        // a place may be long in coming
        connect_timeout: Duration::from_mins(2),
        ..DialerOptions::new(vec![way.address], options).spread(way.spread)
    };
    let reach = Reach {
        names: Names::new(Arc::new(SystemResolver::default()), None),
        proxy: None,
        proxy_credentials: None,
        no_proxy: NoProxy::default(),
        socket: Socket::default(),
        deadline: Duration::from_secs(10),
    };
    let time: Arc<dyn Clock> = Arc::<SystemClock>::clone(&clock);
    let mut dial = Dial::new(way.credentials, reach, time);
    dial.websocket = WebSocketMode::Never;
    let connect = Placed {
        dial,
        places: way.places,
    };
    let (status, _) = watch::channel(DialerStatus::new(clock.now()));
    let (_stop, stopped) = watch::channel(Stop::Run);
    let dialer = Dialer {
        app: Arc::new(taker),
        connect: &connect,
        clock: clock.as_ref(),
        options,
        status,
        rng: fastrand::Rng::new(),
    };
    dialer.run(stopped).await;
}

/// Dials when there is a place.
struct Placed {
    dial: Dial,
    places: Arc<Semaphore>,
}

impl Connect for Placed {
    type Stream = LinkStream;

    async fn connect(&self, address: &str) -> Result<(LinkStream, Peer), ConnectError> {
        let _place = self.places.acquire().await;
        self.dial.connect(address).await
    }

    fn distrusted(&self, stream: &LinkStream) -> link::Distrust {
        self.dial.distrusted(stream)
    }
}

impl LinkApp for Taker {
    fn open_inbound(&self, _peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        if self.stream.as_ref() != Some(&open.stream) {
            return Err(Refusal::new(link::NOT_ASKED, "not asked for"));
        }
        Ok(*self.mark.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn store(
        &self,
        _peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let last = records.last().map_or(Seq::ZERO, |record| record.header.seq);
        if let Some(arrivals) = &self.arrivals {
            for record in &records {
                arrivals.note(&record.body);
            }
        }
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        *mark = Mark {
            epoch: open.epoch,
            seq: last,
        };
        drop(mark);
        std::future::ready(Ok(last))
    }

    fn subscribe(&self, _peer: &Peer, _: &Subscribe) -> Result<Vec<OutboundChannel>, Refusal> {
        Err(Refusal::new(link::NO_STREAM, "it serves nothing"))
    }

    fn outbound(&self, _peer: &Peer) -> Vec<OutboundChannel> {
        Vec::new()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        let subscribe = |stream: &StreamName| Subscribe {
            consumer: "bench".parse().expect("a constant"),
            stream: stream.clone(),
            start: Start::Beginning,
        };
        self.stream.iter().map(subscribe).collect()
    }

    fn read(
        &self,
        _peer: &Peer,
        _channel: &OutboundChannel,
        _after: Seq,
        _max_records: usize,
        _max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        Ok(Chunk::default())
    }

    fn acked(&self, _peer: &Peer, _channel: &OutboundChannel, _seq: Seq) {}

    fn changed(&self) -> watch::Receiver<u64> {
        self.never.subscribe()
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
        Err(Refusal::new(link::NO_TARGET, "a consumer takes no calls"))
    }

    fn sent(&self, _peer: &Peer, channel: &OutboundChannel) -> Seq {
        channel.sent
    }

    fn rewound(&self, _peer: &Peer, _channel: &OutboundChannel) {}

    fn state(&self, _peer: &Peer, state: &LinkState) {
        let is_up = !matches!(state, LinkState::Down(_));
        match (self.is_up.swap(is_up, Ordering::Relaxed), is_up) {
            (false, true) => self.up.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.up.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn refused(&self, _peer: &Peer, _stream: &StreamName, _refusal: &Refusal) {}
}
