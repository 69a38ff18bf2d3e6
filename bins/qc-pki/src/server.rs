//! The HTTPS server of `serve`: accepts, judges client certificates, answers until told to stop.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use qc_core::pki::PeerIdentity;
use qc_core::tls::{Accepted, Credentials, accept};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

const HANDSHAKE: Duration = Duration::from_secs(5);
const HEADERS: Duration = Duration::from_secs(10);
/// A whole connection: enrolling takes a few requests.
const CONNECTION: Duration = Duration::from_mins(2);
const GRACE: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 256;

/// Serves `router` until `stop` says so, then lets running requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    credentials: Credentials,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let place = tokio::select! {
            place = place => place,
            () = stopped(&mut stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // out of descriptors, most likely: wait for some to come back
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (router, credentials, stop) = (router.clone(), credentials.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            let whole = Box::pin(connection(stream, router, credentials, stop));
            let _too_slow = tokio::time::timeout(CONNECTION, whole).await;
        });
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    let _cut_off = tokio::time::timeout(GRACE, finished).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // an error means that nobody can say stop any more, which is the same
    let _sender_gone = stop.wait_for(|stop| *stop).await.is_err();
}

async fn connection(
    stream: TcpStream,
    router: Router,
    credentials: Credentials,
    mut stop: watch::Receiver<bool>,
) {
    let (stream, peer) = match accept(stream, &credentials, HANDSHAKE).await {
        Ok(Accepted::Http { stream, peer, .. }) => (stream, peer),
        Ok(Accepted::Link { .. }) => return,
        Err(error) => {
            tracing::info!(code = error.code(), %error, "Did not accept a connection.");
            return;
        }
    };
    let router = router.layer(Extension::<Option<PeerIdentity>>(peer));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    let service = TowerToHyperService::new(router);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection broke off.");
    }
}
