//! The HTTP door of a node: publish into and read from streams with nothing but `curl`.
//!
//! ```text
//! POST    /v1/streams/TENANT/NAME   an event: binary (`ce-*`), structured, a batch, or any body
//! GET     /v1/streams/TENANT/NAME?after=SEQ&limit=N&wait=30s   JSON, a batch, or server-sent events
//! GET     /v1/streams/TENANT/NAME/SEQ   one message in binary mode, its body of any length
//! OPTIONS /v1/streams/TENANT/NAME   the CloudEvents webhook handshake
//! ```
//!
//! `TENANT%2FNAME` as one segment is the same stream. A request is answered 201 only after
//! [`Door::publish`] returned, which is after the bytes are on disk. Errors are problem+json of
//! RFC 9457 with the stable code; none of them shows a part of a body.
//!
//! The door knows neither certificates nor policy: the server puts a [`Caller`] into the request's
//! extensions, and the [`Door`] behind it decides.
//!
//! A body in binary mode or without attributes may be longer than a record: it is stored in parts as it
//! comes. A reader finds such a message once, at its last part, without its data and with a `dataref` to where
//! the data is.

mod body;
mod events;
mod handshake;
mod ingest;
#[cfg(feature = "store")]
mod pour;
mod problem;
mod read;
#[cfg(feature = "store")]
mod whole;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::routing::get;
use bytes::Bytes;
use http::request::Parts;

use crate::model::{Message, NodeName, Seq, StreamName};
#[cfg(feature = "store")]
use crate::{
    model::Envelope,
    parts::{Upload, Whole},
};

pub use body::{check_headers, discard, exhaust, read_body};
pub use ingest::{Defaults, Form, messages, receipts};
#[cfg(feature = "store")]
pub use ingest::{may_be_long, store_long};
#[cfg(feature = "store")]
pub use pour::{Beginning, PourError, begin_body, pour};
pub use problem::Problem;

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The node that its certificate names; `None` for a caller without one.
    pub node: Option<NodeName>,
    /// Where the connection comes from, for logs and limits, never for rights.
    pub remote: Option<SocketAddr>,
}

/// What the door takes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body, at most [`MAX_WHOLE`](crate::parts::MAX_WHOLE); of one that has to be in memory
    /// at most [`Limits::MAX_BODY`].
    pub body: usize,
    /// Events in one batch, in and out.
    pub events: usize,
    /// Bytes of bodies in one answer.
    pub answer: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Bytes of all header names and values.
    pub header_bytes: usize,
    /// Time for a body in memory to arrive, and for every 64 KiB of a longer one.
    pub deadline: Duration,
    /// The longest `wait` of a reader.
    pub wait: Duration,
    /// Requests a minute that the webhook handshake allows a sender; `None` for any number.
    pub webhook_rate: Option<u32>,
}

impl Limits {
    /// The largest body that is held in memory: the largest record.
    pub const MAX_BODY: usize = crate::wire::MAX_BODY;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            events: 1000,
            answer: 4 * 1024 * 1024,
            headers: 64,
            header_bytes: 32 * 1024,
            deadline: Duration::from_secs(30),
            wait: Duration::from_mins(1),
            webhook_rate: None,
        }
    }
}

/// The receipt for one message that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number in the stream.
    pub seq: Seq,
    /// Whether it was there already, under this very number.
    pub duplicate: bool,
}

/// What a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadQuery {
    /// Entries after this number.
    pub after: Seq,
    /// At most this many entries.
    pub limit: usize,
    /// At most this many bytes of bodies, but always one entry.
    pub max_bytes: usize,
    /// How long to wait for the first entry.
    pub wait: Duration,
}

/// A message at its place in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number; that of its last part, if it has several.
    pub seq: Seq,
    /// The message; without its body, if it came in parts.
    pub message: Message,
    /// How long its body is, if it came in parts.
    pub long: Option<Long>,
}

/// A body that is not in its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Long {
    /// Its length.
    pub bytes: u64,
    /// Its parts.
    pub parts: u32,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entries {
    /// Messages in order.
    pub entries: Vec<Entry>,
    /// Everything up to here was looked at: parts of messages that are not whole yet lie before it.
    pub through: Seq,
}

/// What stands behind the door.
pub trait Door: Clone + Send + Sync + 'static {
    /// Stores `messages`, all or none, and returns when they are on disk, one receipt for each.
    fn publish(
        &self,
        caller: &Caller,
        stream: &StreamName,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<Vec<Published>, Problem>> + Send;

    /// Entries of `stream`, in order. Waits up to `query.wait` if there are none yet; an empty answer
    /// means that the time is over.
    fn read(
        &self,
        caller: &Caller,
        stream: &StreamName,
        query: ReadQuery,
    ) -> impl Future<Output = Result<Entries, Problem>> + Send;

    /// Begins a message whose body is too long for memory. Nothing is kept when this refuses.
    #[cfg(feature = "store")]
    fn upload(
        &self,
        caller: &Caller,
        stream: &StreamName,
        envelope: Envelope,
    ) -> Result<Upload, Problem>;

    /// The message that ends at `seq`, however long it is.
    #[cfg(feature = "store")]
    fn whole(
        &self,
        caller: &Caller,
        stream: &StreamName,
        seq: Seq,
    ) -> impl Future<Output = Result<Whole, Problem>> + Send;

    /// The name of this node, for receipts.
    fn node(&self) -> String;

    /// What the door takes at most.
    fn limits(&self) -> Limits;
}

/// The routes of the door. Merge them into the server's router; a layer outside must put a
/// [`Caller`] into every request's extensions, or callers have no name.
pub fn router<D: Door>(door: D) -> Router {
    let methods = get(read::read::<D>)
        .post(ingest::publish::<D>)
        .options(handshake::options::<D>)
        .fallback(async || Problem::method_not_allowed("GET, POST, OPTIONS"));
    #[cfg(feature = "store")]
    let router = {
        let whole = get(whole::read::<D>).fallback(async || Problem::method_not_allowed("GET"));
        Router::new().route("/v1/streams/{tenant}/{name}/{seq}", whole)
    };
    #[cfg(not(feature = "store"))]
    let router = Router::new();
    router
        .route("/v1/streams/{tenant}/{name}", methods.clone())
        .route("/v1/streams/{stream}", methods)
        .with_state(door)
}

/// The stream that a request's path names.
struct Stream(StreamName);

impl<S: Send + Sync> FromRequestParts<S> for Stream {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segments) = Path::<Vec<String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
        segments
            .join("/")
            .parse()
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("the stream's name: {error}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// A header's value if it is there once and is printable ASCII.
fn header<'a>(headers: &'a http::HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// JSON as an answer's body.
fn json_answer(status: http::StatusCode, media_type: &'static str, json: Vec<u8>) -> Answer {
    let mut answer = Answer::new(Bytes::from(json).into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(media_type),
    );
    headers.insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    answer
}

/// An answer of the door.
type Answer = http::Response<axum::body::Body>;

#[cfg(test)]
mod tests;
