//! The one port: TLS first, then a link or HTTP by what the client offered.
//!
//! The accept loop never waits: a client that says nothing holds one of a bounded number of places for
//! a bounded time and nobody else, and who finds no place is closed before anything is read. Whoever
//! was let in is judged again when credentials change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::door::Caller;
use qc_core::link::{self, LinkOptions, Peer, Side, Stop};
use qc_core::pki::PeerIdentity;
use qc_core::service::Drain;
use qc_core::tls::{self, AcceptError, Accepted, Credentials, Shown};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use crate::front::{Front, Links, Place, hello};
use crate::hub::Hub;
use crate::upgrade::{self, Upgrades};

/// Time for the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// How often a client of HTTP/2 is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// How long a client without a certificate may keep one connection.
const ANONYMOUS: Duration = Duration::from_mins(5);
/// How long it may keep it after that, for what is under way.
const LEAVING: Duration = Duration::from_secs(10);
/// How often the front door tells what it held back.
const TELL: Duration = Duration::from_secs(1);

/// What a connection needs.
pub(crate) struct Listener {
    /// Where links and requests end up.
    pub hub: Hub,
    /// What is shown to clients, and whom we believe.
    pub credentials: Credentials,
    /// The HTTP routes.
    pub routes: Router,
    /// Time for a whole handshake.
    pub handshake: Duration,
    /// Who finds a place.
    pub front: Arc<Front>,
    /// How links run.
    pub link: LinkOptions,
    /// Time.
    pub clock: Arc<SystemClock>,
}

/// A node that was let in.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// Who it is.
    pub peer: PeerIdentity,
    /// By which certificates.
    pub shown: Shown,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// The place of its connection.
    pub place: Arc<Place>,
}

/// Accepts connections until draining begins.
pub(crate) async fn serve(socket: TcpListener, listener: Listener, drain: Drain) {
    let listener = Arc::new(listener);
    let links = Arc::new(Links::default());
    let routes = listener.routes.clone().merge(upgrade::router(Upgrades {
        listener: Arc::clone(&listener),
        links: Arc::clone(&links),
        drain: drain.clone(),
    }));
    let mut tell = interval(TELL);
    loop {
        let accepted = tokio::select! {
            () = drain.signaled() => return,
            accepted = socket.accept() => accepted,
            _ = tell.tick() => {
                listener.front.tell();
                continue;
            }
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if listener.front.may_say("QC2034") {
                    tracing::warn!(code = "QC2034", %error, "Cannot accept; trying again.");
                }
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = listener.front.arrive(remote) else {
            continue;
        };
        let came = Came {
            place,
            remote,
            listener: Arc::clone(&listener),
            links: Arc::clone(&links),
            drain: drain.clone(),
        };
        let routes = routes.clone();
        drain.spawn("connection", async move {
            let began = came.listener.clock.instant();
            let whole = came.listener.handshake;
            if timeout(whole, hello::arrived(&stream)).await.is_err() {
                refused(
                    &came.listener.front,
                    came.remote,
                    &AcceptError::Deadline(whole),
                );
                return;
            }
            let left = whole.saturating_sub(came.listener.clock.instant() - began);
            Box::pin(came.serve(stream, left, routes)).await;
        });
    }
}

/// A connection that has a place, and what it may need.
struct Came {
    place: Place,
    remote: SocketAddr,
    listener: Arc<Listener>,
    links: Arc<Links>,
    drain: Drain,
}

impl Came {
    async fn serve(mut self, stream: TcpStream, left: Duration, routes: Router) {
        let _whatever_the_kernel_says = stream.set_nodelay(true);
        let accepted = tls::accept(stream, &self.listener.credentials, left).await;
        self.place.shook_hands();
        let Self {
            mut place,
            remote,
            listener,
            links,
            drain,
        } = self;
        match accepted {
            Ok(Accepted::Link {
                stream,
                peer,
                shown,
            }) => {
                let admitted = Admitted {
                    peer,
                    shown,
                    remote,
                    place: Arc::new(place),
                };
                // boxed, it has one place in memory instead of one in every future on its way
                Box::pin(link(&listener, &links, stream, admitted, drain)).await;
            }
            Ok(Accepted::Http {
                stream,
                peer,
                shown,
            }) => {
                if peer.is_none() && !place.is_anonymous(remote) {
                    return;
                }
                let place = Arc::new(place);
                let admitted = peer.zip(shown).map(|(peer, shown)| Admitted {
                    peer,
                    shown,
                    remote,
                    place: Arc::clone(&place),
                });
                Box::pin(http(&listener, routes, *stream, admitted, remote, drain)).await;
                drop(place);
            }
            Err(error) => {
                // it had all the time there is, the wait for its first byte too
                let error = match error {
                    AcceptError::Deadline(_) => AcceptError::Deadline(listener.handshake),
                    other => other,
                };
                refused(&listener.front, remote, &error);
            }
        }
    }
}

fn refused(front: &Front, remote: SocketAddr, error: &AcceptError) {
    let (code, cause) = (error.code(), std::error::Error::source(error));
    front.handshake_failed(code);
    if !front.may_say(code) {
        return;
    }
    let cause = cause.map(|cause| qc_core::safe_text::safe(&cause.to_string(), 200));
    let cause = cause.unwrap_or_default();
    let reason = qc_core::safe_text::safe(&error.to_string(), 300);
    tracing::warn!(code, %remote, reason, cause, "Connection refused.");
}

/// Runs a link whose peer was judged, until it ends.
pub(crate) async fn link<S>(
    listener: &Listener,
    links: &Links,
    stream: S,
    admitted: Admitted,
    drain: Drain,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Admitted {
        peer,
        shown,
        remote,
        place: _held,
    } = admitted;
    let clock = &listener.clock;
    // revoked during its handshake: the link that its name has may be a healthy one
    if let Err(refusal) = listener.credentials.judge_again(&shown) {
        let (code, reason) = (refusal.code(), refusal.to_string());
        tracing::warn!(code, node = %peer.name, %remote, reason, "No longer trusted; it gets no link.");
        return;
    }
    listener.front.linked(remote);
    let fleet = || listener.hub.fleet();
    fleet().admitted(&peer.name, peer.role, clock.now());
    let with = Peer {
        node: peer.name.clone(),
        address: remote.to_string(),
    };
    // before it is asked who is sent away: an order that comes in between is heard
    let mut orders = listener.hub.drains_changed();
    if let Some(refusal) = listener.hub.sends_away(&peer.name) {
        let (hub, closed) = (&listener.hub, watch::channel(Stop::Leave(refusal)).1);
        let side = Side::Acceptor;
        let farewell = link::run(
            stream,
            &with,
            side,
            hub,
            clock.as_ref(),
            &listener.link,
            closed,
        );
        Box::pin(farewell).await;
        return;
    }
    let lately = 2 * listener.link.session.heartbeat;
    let (standing, contested) = links.enter(&peer.name, remote, lately, clock.instant());
    if let Some(contested) = contested {
        fleet().contested(
            &peer.name,
            contested.refusal,
            clock.instant(),
            contested.until,
        );
    }
    let run = link::run(
        standing.listen_to(stream, Arc::clone(clock)),
        &with,
        Side::Acceptor,
        &listener.hub,
        clock.as_ref(),
        &listener.link,
        standing.stopped(),
    );
    tokio::pin!(run);
    let distrusted = listener.credentials.distrusted(Some(shown));
    tokio::pin!(distrusted);
    let mut is_draining = false;
    let ended = loop {
        tokio::select! {
            biased;
            refusal = &mut distrusted => {
                let (code, reason) = (refusal.code(), refusal.to_string());
                tracing::warn!(code, node = %peer.name, %remote, reason, "No longer trusted; its link ends.");
                standing.close(tls::as_refusal(&refusal));
                break run.await;
            }
            ended = &mut run => break ended,
            Ok(()) = orders.changed() => if let Some(refusal) = listener.hub.sends_away(&peer.name) {
                standing.leave(refusal);
            },
            () = drain.signaled(), if !is_draining => {
                standing.drain();
                is_draining = true;
            }
        }
    };
    if let Some(contested) = links.leave(&standing, &ended, clock.instant()) {
        let refusal = contested.refusal;
        if contested.is_news {
            let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
            tracing::warn!(code, node = %peer.name, reason, "Two machines use one identity.");
        }
        fleet().contested(&peer.name, refusal, clock.instant(), contested.until);
    }
}

async fn http(
    listener: &Listener,
    routes: Router,
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    admitted: Option<Admitted>,
    remote: SocketAddr,
    drain: Drain,
) {
    let peer = admitted.as_ref().map(|admitted| admitted.peer.clone());
    let shown = admitted.as_ref().map(|admitted| admitted.shown.clone());
    let is_anonymous = peer.is_none();
    let caller = Caller {
        node: peer.as_ref().map(|peer| peer.name.clone()),
        remote: Some(remote),
    };
    let routes = routes
        .layer(Extension(peer))
        .layer(Extension(admitted))
        .layer(Extension(caller));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(64);
    let connection = server
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let distrusted = listener.credentials.distrusted(shown);
    tokio::pin!(distrusted);
    let over = sleep(ANONYMOUS);
    tokio::pin!(over);
    let (mut is_leaving, mut is_draining) = (false, false);
    let ended = loop {
        tokio::select! {
            biased;
            refusal = &mut distrusted => {
                let (code, reason) = (refusal.code(), refusal.to_string());
                tracing::warn!(code, %remote, reason, "No longer trusted; its connection is closed.");
                return;
            }
            ended = &mut connection => break ended,
            () = drain.signaled(), if !is_draining => {
                connection.as_mut().graceful_shutdown();
                is_draining = true;
            }
            () = &mut over, if is_anonymous => {
                if is_leaving {
                    tracing::debug!(%remote, "HTTP connection cut; its time is over.");
                    return;
                }
                connection.as_mut().graceful_shutdown();
                over.as_mut().reset(tokio::time::Instant::now() + LEAVING);
                is_leaving = true;
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%remote, error = %error, "HTTP connection ended.");
    }
}
