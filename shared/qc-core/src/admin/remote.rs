//! The API over a link: served to the node at the other end, and asked of it. No port is opened for it.
//!
//! Whether a node may be asked like that is for its own configuration to say, and nobody else's.

use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::server::{Asker, converse};
use super::{MAX_ANSWER, MAX_REQUEST};
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::link::{CallStream, Caller, NO_TARGET, Peer};
use crate::model::NodeName;
use crate::safe_text::safe;
use crate::wire::{Refusal, Target};

/// What a node calls at its peer to get there.
const TARGET: &str = "admin";
/// How long the other node may take for one answer.
const PATIENCE: Duration = Duration::from_mins(5);

/// What the node at the other end of a link may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remote {
    /// Nothing.
    #[default]
    None,
    /// Look.
    Read,
    /// Everything that the socket's group may.
    All,
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "read" => Ok(Self::Read),
            "all" => Ok(Self::All),
            _ => Err("one of none, read, all".to_owned()),
        }
    }
}

impl Remote {
    /// Why a request is not answered, if it is not. Nobody gets any further than to this node: the
    /// owners of those below have let its relay in, and no other.
    pub(super) fn refuses(self, method: &Method, path: &str) -> Option<Failure> {
        if path.starts_with("/v1/nodes") {
            let message = "a node is not asked through another one that is asked over its link";
            return Some(Failure::new(Exit::Refused, "QC0611", message));
        }
        let is_look = matches!(*method, Method::GET | Method::HEAD);
        let may = match self {
            Self::None => false,
            Self::Read => is_look,
            Self::All => true,
        };
        (!may).then(|| {
            let message = "this node does not let itself be changed over its link";
            Failure::new(Exit::Refused, "QC0611", message)
                .help("on the node: remote = \"all\" in [admin], then restart it")
        })
    }
}

/// The API of this node for the other end of its links.
#[derive(Clone)]
pub struct RemoteAdmin {
    /// What may be done.
    pub remote: Remote,
    /// The API.
    pub router: Router,
    /// The end.
    pub drain: Drain,
}

impl RemoteAdmin {
    /// Answers the call of `peer` if it is for the API: whether it was.
    pub fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        if target.as_str() != TARGET {
            let reason = format!("there is no '{target}' here");
            return Err(Refusal::new(NO_TARGET, reason));
        }
        if self.remote == Remote::None {
            let reason =
                "this node is not administered over its link: remote is \"none\" in its [admin]";
            return Err(Refusal::new(NO_TARGET, reason));
        }
        let asker = Asker::Node(peer.node.clone(), self.remote);
        let (router, until) = (self.router.clone(), self.drain.clone());
        self.drain.spawn("remote admin", async move {
            converse(stream, asker, router, &until).await;
        });
        Ok(())
    }
}

/// Asks the API of `node`, at the other end of the link of `caller`, and gives its answer.
pub async fn ask(
    caller: &Caller,
    node: &NodeName,
    request: Request<Body>,
) -> Result<Response, Failure> {
    let path = safe(request.uri().path(), 200);
    let exchange = exchange(caller, node, request);
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| {
            let message = format!(
                "{node} did not answer {path} within {} s",
                PATIENCE.as_secs()
            );
            Failure::new(Exit::Unreachable, "QC0602", message)
        })?
}

async fn exchange(
    caller: &Caller,
    node: &NodeName,
    request: Request<Body>,
) -> Result<Response, Failure> {
    let target = TARGET.parse().expect("a constant of the right alphabet");
    let stream = caller.call(target).await.map_err(|refusal| {
        let code = crate::failure::known_code(&refusal.code.to_string()).unwrap_or("QC0610");
        let message = format!("{node} cannot be asked: {}", refusal.reason);
        Failure::new(Exit::Refused, code, message)
    })?;
    let broken = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("{node} gave no valid answer");
        Failure::new(Exit::Unreachable, "QC0604", message).because(error)
    };
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST).collect().await;
    let body = body.map_err(|error| broken(&*error))?.to_bytes();
    let mut asked = Request::builder()
        .method(head.method)
        .uri(head.uri)
        .header(header::HOST, "localhost");
    if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
        asked = asked.header(header::CONTENT_TYPE, kind);
    }
    let asked = asked
        .body(Full::new(body))
        .map_err(|error| broken(&error))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let mut driver = JoinSet::new(); // ends with this exchange
    driver.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "A call ended early.");
        }
    });
    let answer = sender.send_request(asked).await;
    let (head, body) = answer.map_err(|error| broken(&error))?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| broken(&*error))?.to_bytes();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, kind.clone());
    }
    Ok(response)
}
