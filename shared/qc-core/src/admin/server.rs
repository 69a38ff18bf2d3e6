//! Serving the API: bounded requests, a deadline for slow peers, an end with the drain.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service as _;

use super::{LONG_BODIES, MAX_REQUEST, Problem, Remote, socket};
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::model::NodeName;
use crate::safe_text::safe;

const CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Who is at the other end of a request, told by the kernel; a request extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCred {
    /// The user.
    pub uid: u32,
    /// The user's primary group.
    pub gid: u32,
    /// The process, where the kernel knows it.
    pub pid: Option<i32>,
}

/// Serves `router` at `path` (mode 0660, owned by `group`) until `drain` begins; then the socket
/// file goes away and answers under way get two seconds.
pub fn serve(
    path: &Path,
    router: Router,
    drain: &Drain,
    group: Option<&str>,
) -> Result<(), Failure> {
    let listener = socket::bind(path, group)?;
    let (path, until) = (path.to_owned(), drain.clone());
    drain.spawn("admin", async move {
        accept(listener, router, &until).await;
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::debug!(%error, "The admin socket was gone already.");
        }
    });
    Ok(())
}

/// Serves `router` on a listener that someone else bound, until `drain` begins.
pub fn serve_on(listener: UnixListener, router: Router, drain: &Drain) {
    let until = drain.clone();
    drain.spawn("admin", async move {
        accept(listener, router, &until).await;
    });
}

async fn accept(listener: UnixListener, router: Router, drain: &Drain) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = drain.signaled() => return,
            accepted = next(&listener, &free) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (router, until) = (router.clone(), drain.clone());
                drain.spawn("admin connection", async move {
                    converse_locally(stream, router, &until).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(code = "QC0606", %error, "Cannot accept on the admin socket.");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn next(
    listener: &UnixListener,
    free: &Arc<Semaphore>,
) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, _unnamed) = listener.accept().await?;
    Ok((stream, permit))
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// A process of this machine.
    Local(PeerCred),
    /// The node at the other end of a link, and what it may.
    Node(NodeName, Remote),
}

async fn converse_locally(stream: UnixStream, router: Router, drain: &Drain) {
    let peer = match stream.peer_cred() {
        Ok(cred) => PeerCred {
            uid: cred.uid(),
            gid: cred.gid(),
            pid: cred.pid(),
        },
        Err(error) => {
            tracing::warn!(code = "QC0606", %error, "A peer of the admin socket has no identity.");
            return;
        }
    };
    converse(stream, Asker::Local(peer), router, drain).await;
}

/// Answers requests until the other side has no more, or the end begins.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    asker: Asker,
    router: Router,
    drain: &Drain,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (router, asker) = (router.clone(), asker.clone());
        async move { Ok::<_, Infallible>(answer(router, asker, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(64)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            // An endless answer, such as a tail, ends here.
            tokio::time::timeout(LAST_WORDS, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, ?asker, "An admin connection ended early.");
    }
}

/// Takes the whole body first: no handler waits for a peer that stalls.
async fn answer(router: Router, asker: Asker, request: Request<Incoming>) -> Response {
    let (mut head, body) = request.into_parts();
    let refused = if let Asker::Node(node, remote) = &asker {
        let refused = remote.refuses(&head.method, head.uri.path());
        let (path, allowed) = (safe(head.uri.path(), 200), refused.is_none());
        // everybody who comes over a link leaves a line, what is asked for included
        tracing::info!(code = "QC0612", %node, method = %head.method, path, allowed, "Asked over the link.");
        refused
    } else {
        None
    };
    let is_long = LONG_BODIES.contains(&head.uri.path());
    if let (true, Asker::Local(peer)) = (is_long, &asker) {
        // its handler reads it bit by bit, with a deadline of its own
        head.extensions.insert(*peer);
        return call(router, Request::from_parts(head, Body::new(body))).await;
    }
    let body = Limited::new(body, MAX_REQUEST).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => {
            let message = format!("the request body is broken or larger than {MAX_REQUEST} bytes");
            let failure = Failure::new(Exit::Usage, "QC0607", message).because(&*error);
            return Problem(failure).into_response();
        }
        Err(_elapsed) => {
            let failure = Failure::new(Exit::Usage, "QC0607", "the request body came too slowly");
            return Problem(failure).into_response();
        }
    };
    // only now: an answer to half a question would be lost with the connection
    if let Some(failure) = refused {
        return Problem(failure).into_response();
    }
    if let Asker::Local(peer) = asker {
        head.extensions.insert(peer);
    }
    call(router, Request::from_parts(head, Body::from(body))).await
}

async fn call(mut router: Router, request: Request<Body>) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
