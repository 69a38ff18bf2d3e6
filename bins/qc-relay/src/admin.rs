//! The admin API of a relay: JSON over HTTP on the unix socket.
//!
//! ```text
//! GET  /v1/status   /v1/streams   /v1/fleet   /v1/ledger   /metrics
//! GET  /v1/dlq   /v1/dlq/ID                                       dead letters, see qc_core::admin::dlq
//! GET  /v1/tail?stream=TENANT/NAME&after=SEQ&limit=N&wait_ms=N    metadata, never bodies
//! POST /v1/publish?stream=TENANT/NAME                              a CloudEvents batch
//! POST /v1/publish/body?stream=TENANT/NAME                         one event in binary mode, its body of any length
//! POST /v1/reload
//! GET  /v1/disk      POST /v1/disk/relieve                         see `qc_core::upkeep`
//! GET  /v1/retention
//! ANY  /v1/nodes/NODE/v1/...                                       the API of a node below, through its link
//! GET  /v1/consumers?stream=TENANT/NAME                            POST /v1/consumers/remove
//! ```
//!
//! Merged in are the routes of keys, `qc_core::node::key_routes`, those of nodes and control objects,
//! `crate::nodes`, and those of nodes that are sent away, `crate::drain_routes`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use qc_core::admin::api::{
    CertificateStatus, FLEET_SCHEMA, LEDGER_SCHEMA, LastError, Ledger, LinkStatus,
    RELAY_STATUS_SCHEMA, RelayStatus, Reply, STREAM_LIST_SCHEMA,
};
use qc_core::admin::disk::RETENTION_SCHEMA;
use qc_core::admin::{dlq, stopping};
use qc_core::cli::{Exit, Failure};
use qc_core::cloudevents::{self, Bounds};
use qc_core::door::{self, Entry, Problem, ReadQuery};
use qc_core::model::{NodeName, Seq, StreamName, Timestamp};
use qc_core::parts::MAX_WHOLE;
use qc_core::safe_text::safe;
use qc_core::store::Outcome;
use qc_core::telemetry::Metrics;
use qc_core::upkeep::{self, Upkeep};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::hub::{EndError, Hub, Parent, seconds_left};
use crate::metrics::RelayMetrics;

/// What the API answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    /// The hub.
    pub hub: Hub,
    /// Its store.
    pub upkeep: Upkeep,
    /// The link to the parent, if one is configured.
    pub parent: Option<Parent>,
    /// Where it listens.
    pub listeners: Vec<String>,
    /// This relay's certificate, as loaded last.
    pub certificate: tokio::sync::watch::Receiver<Option<CertificateStatus>>,
    /// Reload wishes.
    pub reload: tokio::sync::mpsc::Sender<Reloaded>,
    /// Drain state.
    pub drain: qc_core::service::Drain,
    /// Metrics.
    pub metrics: RelayMetrics,
}

/// Where the outcome of a reload is reported.
pub(crate) type Reloaded = tokio::sync::oneshot::Sender<Result<(), Failure>>;

/// The routes.
pub(crate) fn router(admin: Admin) -> Router {
    let dlq = dlq::router(dlq::Source {
        streams: admin.hub.shared_streams(),
        clock: admin.hub.shared_clock(),
        node: admin.hub.node().clone(),
        program: "qc-relay",
    });
    let upkeep = upkeep::router(admin.upkeep.clone());
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/streams", get(streams))
        .route("/v1/fleet", get(fleet))
        .route("/v1/ledger", get(ledger))
        .route("/v1/retention", get(retention))
        .route("/v1/consumers", get(consumers))
        .route("/v1/consumers/remove", post(remove_consumer))
        .route("/v1/tail", get(tail))
        .route("/v1/publish", post(publish))
        .route("/v1/publish/body", post(publish_long))
        .route("/v1/reload", post(reload))
        .route("/v1/nodes/{node}/{*path}", any(of_node))
        .route("/metrics", get(metrics))
        .with_state(admin)
        .merge(dlq)
        .merge(upkeep)
}

/// One message as an operator may see it: attributes and sizes, no body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TailRow {
    /// Its number.
    pub seq: u64,
    /// When this relay accepted it.
    pub accepted: String,
    /// `id`
    pub id: String,
    /// `source`
    pub source: String,
    /// `type`
    pub kind: String,
    /// `subject`
    pub subject: Option<String>,
    /// Its class.
    pub class: Option<String>,
    /// Length of its body.
    pub body_bytes: u64,
    /// The records that it is made of, if they are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
}

/// The schema of a list of [`ConsumerInfo`].
pub(crate) const CONSUMERS_SCHEMA: &str = "qc.consumers/1";
/// The schema of [`ConsumerRemoved`].
pub(crate) const CONSUMER_REMOVED_SCHEMA: &str = "qc.consumer-removed/1";

/// One reader of a stream and what waits for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConsumerInfo {
    /// `tenant/name`.
    pub stream: String,
    /// Its name: the node, a slash, the name it has there.
    pub name: String,
    /// Whether a link reads for it now.
    pub connected: bool,
    /// The last message it acknowledged.
    pub acked_seq: u64,
    /// Messages that are kept for it.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// How old the oldest of them is.
    pub oldest_s: Option<u64>,
}

/// Which consumer is to go, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RemoveConsumer {
    /// `tenant/name`.
    pub stream: String,
    /// Its name.
    pub name: String,
    /// Why, for the log.
    pub reason: Option<String>,
}

/// A consumer that is no more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConsumerRemoved {
    /// `tenant/name`.
    pub stream: String,
    /// Its name.
    pub name: String,
    /// Messages that are not kept for it any more.
    pub purged: u64,
}

/// What became of what was published.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PublishReceipt {
    /// Newly stored messages.
    pub stored: u64,
    /// Messages that were there already.
    pub duplicates: u64,
    /// The number of the last one.
    pub last_seq: u64,
}

async fn status(State(admin): State<Admin>) -> Json<Reply<RelayStatus>> {
    let now = admin.hub.clock().now();
    let links = admin.hub.fleet().links(now, admin.hub.clock().instant());
    let mut certificate = admin.certificate.borrow().clone();
    if let Some(certificate) = &mut certificate
        && let Some(end) = Timestamp::parse_rfc3339(&certificate.not_after)
    {
        certificate.left_s = seconds_left(end, now);
    }
    let data = RelayStatus {
        node: admin.hub.node().to_string(),
        region: admin.hub.region().map(str::to_owned),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: admin.hub.uptime_s(),
        state_dir: admin.upkeep.dir.display().to_string(),
        draining: admin.drain.is_draining(),
        drained: admin.hub.drained(),
        listeners: admin.listeners.clone(),
        store: admin.upkeep.status(admin.hub.disk_used()),
        links: links
            .into_iter()
            .map(|row| LinkStatus {
                peer: row.node.to_string(),
                address: row.address,
                state: row.state,
                since: Some(row.since.to_string()),
                last_error: row.problem.map(|problem| LastError {
                    code: problem.code.to_string(),
                    reason: problem.reason,
                    at: None,
                }),
                attempts: row.connects,
                rtt_ms: row
                    .rtt
                    .map(|rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX)),
                ..LinkStatus::default()
            })
            .collect(),
        uplink: admin.parent.as_ref().map(Parent::link_status),
        certificate,
        totals: admin.hub.fleet_view().totals,
    };
    reply(&admin, RELAY_STATUS_SCHEMA, data)
}

async fn streams(State(admin): State<Admin>) -> impl IntoResponse {
    let rows = admin.hub.stream_rows();
    reply(&admin, STREAM_LIST_SCHEMA, rows)
}

async fn fleet(State(admin): State<Admin>) -> impl IntoResponse {
    let view = admin.hub.fleet_view();
    reply(&admin, FLEET_SCHEMA, view)
}

async fn ledger(
    State(admin): State<Admin>,
) -> Result<Json<Reply<Ledger>>, qc_core::admin::Problem> {
    let ledger = admin.hub.ledger().await.map_err(|error| {
        Failure::new(Exit::Disk, error.code(), "the ledger cannot be read").because(&error)
    })?;
    Ok(reply(&admin, LEDGER_SCHEMA, ledger))
}

async fn retention(State(admin): State<Admin>) -> impl IntoResponse {
    let table = crate::retention::table(&admin.hub);
    reply(&admin, RETENTION_SCHEMA, table)
}

/// The API of a node below, through its link.
async fn of_node(
    State(admin): State<Admin>,
    Path((node, path)): Path<(String, String)>,
    mut request: Request,
) -> Result<Response, qc_core::admin::Problem> {
    let no_node = || {
        let message = format!("'{}' is no node's name", safe(&node, 200));
        Failure::new(Exit::Usage, "QC4001", message)
    };
    let name: NodeName = node.parse().map_err(|_| no_node())?;
    let query = request.uri().query();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    *request.uri_mut() = format!("/{path}{query}").parse().map_err(|_| no_node())?;
    let (method, shown) = (
        request.method().to_string(),
        safe(request.uri().path(), 200),
    );
    tracing::info!(code = "QC0612", node = %name, method, path = shown, "Asking over the link.");
    Ok(admin.hub.ask(&name, request).await?)
}

#[derive(Debug, Deserialize)]
struct ConsumerQuery {
    stream: Option<String>,
}

async fn consumers(
    State(admin): State<Admin>,
    Query(query): Query<ConsumerQuery>,
) -> Result<Json<Reply<Vec<ConsumerInfo>>>, Problem> {
    let stream = query.stream.as_deref().map(parse_stream).transpose()?;
    let rows = admin.hub.consumers(stream.as_ref());
    Ok(reply(&admin, CONSUMERS_SCHEMA, rows))
}

async fn remove_consumer(
    State(admin): State<Admin>,
    Json(wish): Json<RemoveConsumer>,
) -> Result<Json<Reply<ConsumerRemoved>>, qc_core::admin::Problem> {
    let (stream, name) = (safe(&wish.stream, 200), safe(&wish.name, 300));
    let unknown = || {
        let message = format!("stream {stream} has no consumer '{name}'");
        Failure::new(Exit::NotFound, "QC3314", message)
            .help(format!("qc-relay consumer list {stream}"))
    };
    let parsed: StreamName = wish.stream.parse().map_err(|_| unknown())?;
    let ended = admin.hub.end_consumer(&parsed, &wish.name).await;
    let purged = ended.map_err(|error| match &error {
        EndError::Unknown { .. } => unknown(),
        EndError::Uplink(_) => {
            let message = format!("stream {stream} is kept for the parent relay");
            Failure::new(Exit::Refused, "QC3315", message)
                .help("set uplink = \"none\" for the [[stream]], then qc-relay reload")
                .help("qc-relay explain QC3315")
        }
        EndError::Connected { .. } => {
            let message = format!("consumer '{name}' of stream {stream} is connected");
            Failure::new(Exit::Refused, "QC3313", message)
                .help("take its [[sink]] out of edge.toml and restart the edge, or stop the edge")
                .help("qc-relay explain QC3313")
        }
        EndError::Store(store) => {
            Failure::new(Exit::Disk, store.code(), "the consumer was not removed").because(store)
        }
    })?;
    let reason = safe(wish.reason.as_deref().unwrap_or_default(), 200);
    tracing::warn!(code = "QC3309", %stream, consumer = name, purged, reason, "Consumer removed.");
    let removed = ConsumerRemoved {
        stream,
        name,
        purged,
    };
    Ok(reply(&admin, CONSUMER_REMOVED_SCHEMA, removed))
}

#[derive(Debug, Deserialize)]
struct TailQuery {
    stream: String,
    #[serde(default)]
    after: u64,
    #[serde(default = "default_limit")]
    limit: usize,
    #[serde(default)]
    wait_ms: u64,
}

fn default_limit() -> usize {
    100
}

async fn tail(
    State(admin): State<Admin>,
    Query(query): Query<TailQuery>,
) -> Result<Json<Reply<Vec<TailRow>>>, Problem> {
    let stream = parse_stream(&query.stream)?;
    let mut ask = ReadQuery {
        after: Seq(query.after),
        limit: query.limit.clamp(1, 1000),
        max_bytes: 4 << 20,
        wait: Duration::from_millis(query.wait_ms.min(60_000)),
    };
    let until = Instant::now() + ask.wait;
    // the answer has no place for how far it came: only one with rows, or from the end, is one
    let entries = loop {
        let (entries, through) = tokio::select! {
            entries = admin.hub.entries(&stream, ask) => entries?,
            () = admin.drain.signaled() => break Vec::new(),
        };
        if !entries.is_empty() || through == ask.after {
            break entries;
        }
        ask.after = through;
        ask.wait = until.saturating_duration_since(Instant::now());
    };
    let rows = entries.into_iter().map(row).collect();
    Ok(reply(&admin, "qc.tail/1", rows))
}

fn row((accepted, entry): (Timestamp, Entry)) -> TailRow {
    let class = entry.message.envelope.data_class().map(str::to_owned);
    TailRow {
        seq: entry.seq.0,
        accepted: accepted.to_string(),
        class,
        id: entry.message.envelope.id,
        source: entry.message.envelope.source,
        kind: entry.message.envelope.kind,
        subject: entry.message.envelope.subject,
        body_bytes: entry
            .long
            .map_or(entry.message.body.len() as u64, |long| long.bytes),
        parts: entry.long.map(|long| long.parts),
    }
}

#[derive(Debug, Deserialize)]
struct StreamQuery {
    stream: String,
}

/// How long a local sender may be silent within a body.
const BODY_DEADLINE: Duration = Duration::from_mins(5);

async fn publish_long(
    State(admin): State<Admin>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Json<Reply<PublishReceipt>>, Problem> {
    let stream = parse_stream(&query.stream)?;
    let most = usize::try_from(MAX_WHOLE).unwrap_or(usize::MAX);
    let limits = door::Limits {
        body: most,
        deadline: BODY_DEADLINE,
        ..door::Limits::default()
    };
    let defaults = door::Defaults {
        source: format!("/{}/publish", admin.hub.node()),
        kind: door::Defaults::KIND.to_owned(),
        id_header: door::Defaults::ID_HEADER.to_owned(),
    };
    let begin = |envelope| admin.hub.upload_locally(&stream, envelope);
    let begun = Bytes::new();
    let stored = door::store_long(&headers, begun, &mut body, &defaults, &limits, begin).await;
    if stored.is_err() {
        door::exhaust(body).await;
    }
    let published = stored?;
    let receipt = PublishReceipt {
        stored: u64::from(!published.duplicate),
        duplicates: u64::from(published.duplicate),
        last_seq: published.seq.0,
    };
    Ok(reply(&admin, "qc.publish/1", receipt))
}

async fn publish(
    State(admin): State<Admin>,
    Query(query): Query<StreamQuery>,
    body: Bytes,
) -> Result<Json<Reply<PublishReceipt>>, Problem> {
    let stream = parse_stream(&query.stream)?;
    let bounds = Bounds {
        bytes: 24 << 20,
        events: 100_000,
        ..Bounds::default()
    };
    let messages = cloudevents::decode_batch(&body, &bounds)
        .map_err(|error| Problem::malformed_event(error.to_string()))?;
    let outcomes = admin.hub.publish_locally(&stream, messages).await?;
    let stored = |outcome: &&Outcome| matches!(outcome, Outcome::Stored { .. });
    let stored = outcomes.iter().filter(stored).count() as u64;
    let receipt = PublishReceipt {
        stored,
        duplicates: outcomes.len() as u64 - stored,
        last_seq: outcomes.last().map_or(0, |outcome| outcome.seq().0),
    };
    Ok(reply(&admin, "qc.publish/1", receipt))
}

async fn reload(
    State(admin): State<Admin>,
) -> Result<Json<Reply<&'static str>>, qc_core::admin::Problem> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let gone = || stopping("the relay");
    admin.reload.send(done).await.map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())??;
    Ok(reply(&admin, "qc.reload/1", "reloaded"))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.refresh(&admin.hub, &admin.upkeep.log);
    let headers = [(CONTENT_TYPE, Metrics::CONTENT_TYPE)];
    (headers, admin.metrics.encode()).into_response()
}

fn parse_stream(text: &str) -> Result<StreamName, Problem> {
    text.parse()
        .map_err(|error| Problem::bad_request(format!("the stream's name: {error}")))
}

fn reply<T>(admin: &Admin, schema: &str, data: T) -> Json<Reply<T>> {
    let now = admin.hub.clock().now();
    Json(Reply::new(schema, admin.hub.node(), now, data))
}
