//! The one port: TLS first, then a link or HTTP by what the client offered.
//!
//! The accept loop never waits for a handshake: a client that says nothing holds one of a bounded
//! number of places for a bounded time and nobody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::door::Caller;
use qc_core::link::{self, LinkOptions, Peer, Side, Stop};
use qc_core::model::NodeName;
use qc_core::pki::PeerIdentity;
use qc_core::service::Drain;
use qc_core::tls::{self, Accepted, Credentials};
use qc_core::wire::Refusal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::hub::Hub;
use crate::upgrade::{self, Upgrades};

/// Time for the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);

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
    /// Handshakes at once.
    pub pending: usize,
    /// How links run.
    pub link: LinkOptions,
    /// Time.
    pub clock: Arc<SystemClock>,
}

/// The newest link of every node, so that a returning node replaces its own dead one.
pub(crate) type Links = Arc<Mutex<BTreeMap<NodeName, watch::Sender<Stop>>>>;

/// Accepts connections until draining begins.
pub(crate) async fn serve(socket: TcpListener, listener: Listener, drain: Drain) {
    let places = Arc::new(Semaphore::new(listener.pending));
    let listener = Arc::new(listener);
    let links = Links::default();
    let routes = listener.routes.clone().merge(upgrade::router(Upgrades {
        listener: Arc::clone(&listener),
        links: Arc::clone(&links),
        drain: drain.clone(),
    }));
    loop {
        let place = tokio::select! {
            () = drain.signaled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = drain.signaled() => return,
            accepted = socket.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(code = "QC2034", %error, "Cannot accept; trying again.");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (listener, links, until) = (Arc::clone(&listener), Arc::clone(&links), drain.clone());
        let routes = routes.clone();
        drain.spawn("connection", async move {
            let _whatever_the_kernel_says = stream.set_nodelay(true);
            let accepted = tls::accept(stream, &listener.credentials, listener.handshake).await;
            drop(place);
            match accepted {
                Ok(Accepted::Link { stream, peer }) => {
                    Box::pin(link(&listener, &links, *stream, &peer, remote, until)).await;
                }
                Ok(Accepted::Http { stream, peer }) => {
                    Box::pin(http(routes, *stream, peer, remote, until)).await;
                }
                Err(error) => refused(remote, &error),
            }
        });
    }
}

fn refused(remote: SocketAddr, error: &tls::AcceptError) {
    let (code, cause) = (error.code(), std::error::Error::source(error));
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
    peer: &PeerIdentity,
    remote: SocketAddr,
    drain: Drain,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    listener
        .hub
        .fleet()
        .admitted(&peer.name, peer.role, listener.clock.now());
    let (stop, stopped) = watch::channel(Stop::Run);
    let older = {
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(peer.name.clone(), stop.clone())
    };
    if let Some(older) = older {
        let reason = format!("{} has connected again from {remote}", peer.name);
        older.send_replace(Stop::Close(Refusal::new(link::REPLACED, reason)));
    }
    let with = Peer {
        node: peer.name.clone(),
        address: remote.to_string(),
    };
    let run = link::run(
        stream,
        &with,
        Side::Acceptor,
        &listener.hub,
        listener.clock.as_ref(),
        &listener.link,
        stopped,
    );
    tokio::pin!(run);
    tokio::select! {
        _ended = &mut run => {}
        () = drain.signaled() => {
            stop.send_replace(Stop::Drain);
            run.await;
        }
    }
    let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
    if links
        .get(&peer.name)
        .is_some_and(|newest| newest.same_channel(&stop))
    {
        links.remove(&peer.name);
    }
}

async fn http(
    routes: Router,
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    peer: Option<PeerIdentity>,
    remote: SocketAddr,
    drain: Drain,
) {
    let caller = Caller {
        node: peer.as_ref().map(|peer| peer.name.clone()),
        remote: Some(remote),
    };
    let routes = routes.layer(Extension(peer)).layer(Extension(caller));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64);
    let connection = server
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%remote, error = %error, "HTTP connection ended.");
    }
}
