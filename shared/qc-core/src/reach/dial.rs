//! A judged connection to a relay: the stream, TLS over it, and WebSocket where nothing else passes.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::websocket::{UpgradeError, WebSocket};
use super::{Reach, ReachError, Route, Target, Way, Ways};
use crate::clock::Clock;
use crate::link::{Connect, ConnectError, Distrust, Peer};
use crate::model::NodeName;
use crate::pki::{PeerRefusal, Role};
use crate::safe_text::safe;
use crate::tls::{self, Credentials, Shown};
use crate::wire::{Code, Refusal};

/// After how many direct attempts in a row that look filtered WebSocket is tried.
const FILTERED: u32 = 2;
/// For how long a relay that was reached by WebSocket only is not asked directly first.
const REMEMBER: Duration = Duration::from_hours(1);

/// When links go inside a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebSocketMode {
    /// Never.
    Never,
    /// Where the direct way is filtered.
    #[default]
    Fallback,
    /// Always.
    Always,
}

impl std::str::FromStr for WebSocketMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Self::Never),
            "fallback" => Ok(Self::Fallback),
            "always" => Ok(Self::Always),
            _ => Err("one of never, fallback, always".to_owned()),
        }
    }
}

/// Dials relays with the newest credentials.
pub struct Dial {
    /// What is shown, and whom we believe.
    pub credentials: Credentials,
    /// What a relay must be by its certificate.
    pub roles: &'static [Role],
    /// The only relay that is accepted.
    pub expected: Option<NodeName>,
    /// Opens streams.
    pub reach: Reach,
    /// When links go inside a WebSocket.
    pub websocket: WebSocketMode,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which way the links went.
    pub ways: Ways,
    remembered: Mutex<BTreeMap<String, Remembered>>,
}

/// What is remembered of a relay's address.
#[derive(Debug, Default)]
struct Remembered {
    /// What was logged last, so that a reason is said once and not at every attempt.
    said: Option<Refusal>,
    /// Direct attempts in a row that look filtered.
    filtered: u32,
    /// Until when WebSocket is tried first.
    websocket_until: Option<Instant>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dial({:?}, {:?})", self.reach, self.websocket)
    }
}

impl Dial {
    /// Dials through `reach`.
    pub fn new(credentials: Credentials, reach: Reach, clock: Arc<dyn Clock>) -> Self {
        Self {
            credentials,
            roles: tls::RELAYS,
            expected: None,
            reach,
            websocket: WebSocketMode::default(),
            clock,
            ways: Ways::default(),
            remembered: Mutex::default(),
        }
    }

    /// The longest that [`Connect::connect`] takes: the direct way and WebSocket after it.
    pub fn longest(&self) -> Duration {
        match self.websocket {
            WebSocketMode::Fallback => 2 * self.reach.deadline,
            WebSocketMode::Never | WebSocketMode::Always => self.reach.deadline,
        }
    }
}

impl Connect for Dial {
    type Stream = LinkStream;

    async fn connect(&self, address: &str) -> Result<(LinkStream, Peer), ConnectError> {
        let connected = self.dial(address).await;
        self.say(address, connected.as_ref().err());
        connected
    }

    fn distrusted(&self, stream: &LinkStream) -> Distrust {
        let distrusted = self.credentials.distrusted(Some(stream.shown.clone()));
        Box::pin(async move { tls::as_refusal(&distrusted.await) })
    }
}

/// Why one way did not lead to the relay.
enum Missed {
    /// As something on the way does that lets only ordinary HTTPS pass.
    Filtered(ConnectError),
    /// Another way would end the same.
    Final(ConnectError),
}

impl Missed {
    fn error(self) -> ConnectError {
        match self {
            Self::Filtered(error) | Self::Final(error) => error,
        }
    }
}

impl Dial {
    async fn dial(&self, address: &str) -> Result<(LinkStream, Peer), ConnectError> {
        let target: Target = address.parse().map_err(|_| {
            let refusal = Refusal::new(
                Code::new(2033),
                format!("{} is not HOST:PORT", safe(address, 200)),
            );
            refused(address, refusal)
        })?;
        match self.websocket {
            WebSocketMode::Never => self.direct(address, &target).await.map_err(Missed::error),
            WebSocketMode::Always => self.inside(address, &target).await.map_err(Missed::error),
            WebSocketMode::Fallback => self.either(address, &target).await,
        }
    }

    async fn either(
        &self,
        address: &str,
        target: &Target,
    ) -> Result<(LinkStream, Peer), ConnectError> {
        let now = self.clock.instant();
        let websocket_first =
            self.remember(address, |it| it.websocket_until.is_some_and(|t| now < t));
        if websocket_first {
            if let Ok(connected) = self.inside(address, target).await {
                return Ok(connected);
            }
            self.remember(address, |it| it.websocket_until = None);
        }
        let missed = match self.direct(address, target).await {
            Err(Missed::Filtered(error)) => error,
            other => {
                self.remember(address, |it| it.filtered = 0);
                return other.map_err(Missed::error);
            }
        };
        let filtered = self.remember(address, |it| {
            it.filtered = it.filtered.saturating_add(1);
            it.filtered
        });
        if websocket_first || filtered < FILTERED {
            return Err(missed);
        }
        match self.inside(address, target).await {
            Ok(connected) => {
                let until = self.clock.instant() + REMEMBER;
                self.remember(address, |it| it.websocket_until = Some(until));
                let reason = missed.refusal().reason;
                tracing::info!(
                    code = "QC2054",
                    relay = address,
                    reason,
                    "The direct way is filtered; the link goes inside a WebSocket."
                );
                Ok(connected)
            }
            // what an HTTP server says is more than a broken handshake
            Err(Missed::Final(error)) => Err(error),
            Err(Missed::Filtered(_)) => Err(missed),
        }
    }

    async fn direct(&self, address: &str, target: &Target) -> Result<(LinkStream, Peer), Missed> {
        let end = self.clock.instant() + self.reach.deadline;
        let (stream, route) = self.open(address, target, end).await?;
        let config = self
            .credentials
            .link_client_config(self.roles, self.expected.clone());
        let (stream, peer, shown) = self.judged(stream, address, target, end, config).await?;
        let stream = LinkStream {
            shown,
            way: Bytes::Direct(stream),
        };
        Ok(self.done(address, stream, peer, route, false).await)
    }

    async fn inside(&self, address: &str, target: &Target) -> Result<(LinkStream, Peer), Missed> {
        let end = self.clock.instant() + self.reach.deadline;
        let (stream, route) = self.open(address, target, end).await?;
        let config = self
            .credentials
            .http_client_config(self.roles, self.expected.clone());
        let (stream, peer, shown) = self.judged(stream, address, target, end, config).await?;
        let left = end.saturating_duration_since(self.clock.instant());
        let upgraded = match timeout(left, WebSocket::ask(stream, target)).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(UpgradeError::Io(error))) => return Err(handshake_failed(address, &error)),
            Ok(Err(UpgradeError::Refused(error))) => {
                return Err(Missed::Final(error.into_connect(address)));
            }
            Err(_) => {
                let error = ReachError::Deadline {
                    target: target.to_string(),
                    after: self.reach.deadline,
                };
                return Err(Missed::Final(error.into_connect(address)));
            }
        };
        let stream = LinkStream {
            shown,
            way: Bytes::WebSocket(Box::new(upgraded)),
        };
        Ok(self.done(address, stream, peer, route, true).await)
    }

    async fn open(
        &self,
        address: &str,
        target: &Target,
        end: Instant,
    ) -> Result<(TcpStream, Route), Missed> {
        let opened = self.reach.open(target, self.clock.as_ref(), end).await;
        opened.map_err(|error| Missed::Final(error.into_connect(address)))
    }

    async fn judged(
        &self,
        stream: TcpStream,
        address: &str,
        target: &Target,
        end: Instant,
        config: Result<(Arc<rustls::ClientConfig>, tls::Verdict), rustls::Error>,
    ) -> Result<(Box<TlsStream<TcpStream>>, Peer, Shown), Missed> {
        let config = config.map_err(|error| {
            let refusal = Refusal::new(Code::new(2024), error.to_string());
            Missed::Final(refused(address, refusal))
        })?;
        let left = end.saturating_duration_since(self.clock.instant());
        let connected = tls::connect(stream, &target.host, config, left).await;
        let connected = connected.map_err(|error| missed(address, target, &error))?;
        let peer = Peer {
            node: connected.peer.name,
            address: address.to_owned(),
        };
        Ok((connected.stream, peer, connected.shown))
    }

    async fn done(
        &self,
        address: &str,
        stream: LinkStream,
        peer: Peer,
        route: Route,
        websocket: bool,
    ) -> (LinkStream, Peer) {
        let now = self.clock.now();
        self.reach.worked(&route, now).await;
        let way = Way {
            remote: route.remote.to_string(),
            proxy: route.proxy.map(|proxy| proxy.to_string()),
            websocket,
            address_from: route.address_from,
            at: now,
        };
        self.ways.note(address, way);
        (stream, peer)
    }

    fn say(&self, address: &str, error: Option<&ConnectError>) {
        let refusal = error.map(ConnectError::refusal);
        let is_news = self.remember(address, |it| {
            let is_news = it.said != refusal;
            it.said.clone_from(&refusal);
            is_news
        });
        if let (true, Some(refusal)) = (is_news, refusal) {
            let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
            let relay = safe(address, 200);
            tracing::warn!(code, relay, reason, "No link; trying again.");
        }
    }

    fn remember<T>(&self, address: &str, change: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut all = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(all.entry(address.to_owned()).or_default())
    }
}

fn refused(address: &str, refusal: Refusal) -> ConnectError {
    ConnectError::Refused {
        address: safe(address, 200),
        refusal,
    }
}

/// A handshake that failed: by what is on the way, or between the two nodes.
fn missed(address: &str, target: &Target, error: &tls::ConnectError) -> Missed {
    if let tls::ConnectError::Refused(PeerRefusal::UnknownCa {
        issuer,
        is_node: false,
        ..
    }) = error
    {
        let inspected = ReachError::Inspected {
            target: target.to_string(),
            why: format!(
                "what answers shows a certificate of '{issuer}' that is no node's; \
                 exempt the relay from TLS inspection, or correct the address"
            ),
        };
        return Missed::Final(inspected.into_connect(address));
    }
    if let tls::ConnectError::Deadline(_) = error {
        // the same words at every attempt, so that they are said once
        let why = "a connection was made, and then TLS was not answered in time";
        return Missed::Filtered(refused(address, Refusal::new(Code::new(2030), why)));
    }
    let number = error.code().trim_start_matches("QC").parse();
    let refusal = Refusal::new(Code::new(number.unwrap_or_default()), error.to_string());
    let told = match std::error::Error::source(error) {
        Some(cause) => Refusal::new(
            refusal.code,
            format!("{}: {}", refusal.reason, safe(&cause.to_string(), 200)),
        ),
        None => refusal,
    };
    let told = refused(address, told);
    match error {
        tls::ConnectError::Refused(_) | tls::ConnectError::BadHost(_) => Missed::Final(told),
        tls::ConnectError::Deadline(_)
        | tls::ConnectError::Handshake(_)
        | tls::ConnectError::RefusedByPeer(_) => Missed::Filtered(told),
    }
}

/// In TLS 1.3 a relay's refusal of our certificate comes with the first read.
fn handshake_failed(address: &str, error: &io::Error) -> Missed {
    let refusal = match tls::peer_alert(error) {
        Some(alert) => Refusal::new(crate::link::NOT_ADMITTED, alert.to_string()),
        None => Refusal::new(
            Code::new(2031),
            format!("the connection was lost before the link: {error}"),
        ),
    };
    Missed::Filtered(refused(address, refusal))
}

/// A judged connection.
#[derive(Debug)]
pub struct LinkStream {
    /// What the other side showed.
    shown: Shown,
    way: Bytes,
}

/// How its bytes travel.
#[derive(Debug)]
enum Bytes {
    /// TLS with the link in it.
    Direct(Box<TlsStream<TcpStream>>),
    /// TLS with a WebSocket with the link in it.
    WebSocket(Box<WebSocket<Box<TlsStream<TcpStream>>>>),
}

impl AsyncRead for LinkStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Bytes::Direct(stream) => Pin::new(stream).poll_read(context, buffer),
            Bytes::WebSocket(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().way {
            Bytes::Direct(stream) => Pin::new(stream).poll_write(context, bytes),
            Bytes::WebSocket(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Bytes::Direct(stream) => Pin::new(stream).poll_flush(context),
            Bytes::WebSocket(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Bytes::Direct(stream) => Pin::new(stream).poll_shutdown(context),
            Bytes::WebSocket(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
