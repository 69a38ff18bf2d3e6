//! The admin API of an edge: JSON over HTTP on the unix socket.
//!
//! ```text
//! GET  /v1/status   /v1/streams   /v1/ledger   /metrics
//! GET  /v1/netdeps                                           what the network has to let through
//! GET  /v1/dlq   /v1/dlq/ID                                 dead letters, see qc_core::admin::dlq
//! POST /v1/send?stream=TENANT/NAME&class=CLASS&lane=LANE    a CloudEvents batch, answered when on disk
//! POST /v1/send/body?...                                    one event in binary mode, its body of any length
//! POST /v1/reload
//! GET  /v1/disk      POST /v1/disk/relieve                   see `qc_core::upkeep`
//! ```
//!
//! The routes of keys and control objects are merged in: `qc_core::node::key_routes`, `control_routes`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use qc_core::admin::api::{
    ConsumerRow, EDGE_STATUS_SCHEMA, EdgeStatus, LEDGER_SCHEMA, Ledger, Reply, STREAM_LIST_SCHEMA,
    StreamRow,
};
use qc_core::admin::{Problem, dlq, stopping};
use qc_core::cli::{Exit, Failure};
use qc_core::clock::Clock;
use qc_core::cloudevents::{self, Bounds};
use qc_core::door::{PourError, exhaust, pour};
use qc_core::link::DialerState;
use qc_core::model::{DataClass, Lane, StreamName};
use qc_core::node::{Control, certificate_status};
use qc_core::parts::MAX_WHOLE;
use qc_core::service::Drain;
use qc_core::store::{AppendError, NoKey, Role};
use qc_core::streams::Embedded;
use qc_core::telemetry::Metrics;
use qc_core::tls::Credentials;
use qc_core::upkeep::{self, Upkeep};
use qc_core::uplink::Monitor;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::buffer::{Buffer, EdgeIntake};
use crate::commands::netdeps::ROUTE;
use crate::connectors::Connectors;
use crate::metrics::EdgeMetrics;
use crate::netdeps::{Dependency, User};
use crate::sources::{Intake as _, IntakeError, Outcome, check_length};

/// What the API answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) buffer: Buffer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started: Instant,
    pub(crate) upkeep: Upkeep,
    pub(crate) credentials: Credentials,
    pub(crate) control: Control,
    pub(crate) connectors: Connectors,
    pub(crate) link: Option<Monitor>,
    pub(crate) netdeps: Arc<Vec<Dependency>>,
    pub(crate) disk_used: watch::Receiver<u8>,
    pub(crate) reload: mpsc::Sender<Reloaded>,
    pub(crate) drain: Drain,
    pub(crate) metrics: EdgeMetrics,
}

/// Where the outcome of a reload is reported.
pub(crate) type Reloaded = oneshot::Sender<Result<(), Failure>>;

/// What became of what was sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SendReceipt {
    /// Newly stored messages.
    pub(crate) stored: u64,
    /// Messages that were there already.
    pub(crate) duplicates: u64,
    /// The number of the last one.
    pub(crate) last_seq: u64,
}

/// The routes.
pub(crate) fn router(admin: Admin) -> Router {
    let engine = Embedded::new(admin.buffer.log().clone(), Arc::clone(&admin.clock));
    let dlq = dlq::router(dlq::Source {
        streams: Arc::new(engine),
        clock: Arc::clone(&admin.clock),
        node: admin.buffer.node().clone(),
        program: "qc-edge",
    });
    let upkeep = upkeep::router(admin.upkeep.clone());
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/streams", get(streams))
        .route("/v1/ledger", get(ledger))
        .route(ROUTE, get(netdeps))
        .route("/v1/send", post(send))
        .route("/v1/send/body", post(send_long))
        .route("/v1/reload", post(reload))
        .route("/metrics", get(metrics))
        .with_state(admin)
        .merge(dlq)
        .merge(upkeep)
}

async fn status(State(admin): State<Admin>) -> impl IntoResponse {
    let status = admin.status();
    admin.reply(EDGE_STATUS_SCHEMA, status)
}

async fn netdeps(State(admin): State<Admin>) -> impl IntoResponse {
    let rows = admin.netdeps();
    admin.reply("qc.netdeps/1", rows)
}

async fn streams(State(admin): State<Admin>) -> impl IntoResponse {
    let rows = admin.streams();
    admin.reply(STREAM_LIST_SCHEMA, rows)
}

async fn ledger(State(admin): State<Admin>) -> Result<Json<Reply<Ledger>>, Problem> {
    let ledger = admin.buffer.ledger().await.map_err(|error| {
        Failure::new(Exit::Disk, "QC3003", "positions cannot be written").because(&error)
    })?;
    Ok(admin.reply(LEDGER_SCHEMA, ledger))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let backlog = admin.buffer.backlog().messages;
    let text = admin.metrics.encode(
        &admin.status(),
        &admin.streams(),
        admin.buffer.log(),
        backlog,
    );
    ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response()
}

#[derive(Debug, Deserialize)]
struct SendQuery {
    stream: String,
    class: String,
    #[serde(default)]
    lane: Option<String>,
}

async fn send(
    State(admin): State<Admin>,
    Query(query): Query<SendQuery>,
    body: Bytes,
) -> Result<Json<Reply<SendReceipt>>, Problem> {
    let intake = query.intake(&admin)?;
    let bounds = Bounds {
        bytes: 24 << 20,
        events: 100_000,
        ..Bounds::default()
    };
    let messages = cloudevents::decode_batch(&body, &bounds)
        .map_err(|error| Failure::new(Exit::Usage, "QC4002", "no event").because(&error))?;
    let outcomes = intake
        .submit(messages)
        .await
        .map_err(|error| not_taken(&error))?;
    let stored = outcomes
        .iter()
        .filter(|outcome| !outcome.is_duplicate())
        .count() as u64;
    let receipt = SendReceipt {
        stored,
        duplicates: outcomes.len() as u64 - stored,
        last_seq: outcomes.last().map_or(0, |outcome| outcome.seq().0),
    };
    Ok(admin.reply("qc.send/1", receipt))
}

/// How long a local sender may be silent within a body.
const BODY_DEADLINE: Duration = Duration::from_mins(5);

async fn send_long(
    State(admin): State<Admin>,
    Query(query): Query<SendQuery>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Json<Reply<SendReceipt>>, Problem> {
    let taken = take_long(&admin, &query, &headers, &mut body).await;
    if taken.is_err() {
        exhaust(body).await;
    }
    let outcome = taken?;
    let receipt = SendReceipt {
        stored: u64::from(!outcome.is_duplicate()),
        duplicates: u64::from(outcome.is_duplicate()),
        last_seq: outcome.seq().0,
    };
    Ok(admin.reply("qc.send/1", receipt))
}

async fn take_long(
    admin: &Admin,
    query: &SendQuery,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Outcome, Failure> {
    let intake = query.intake(admin)?;
    let pairs = headers.iter();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let envelope = cloudevents::decode_headers(pairs)
        .map_err(|error| Failure::new(Exit::Usage, "QC4002", "no event").because(&error))?;
    check_length(Some(body.size_hint().lower())).map_err(|error| not_taken(&error))?;
    let upload = intake.upload(envelope, MAX_WHOLE);
    let mut upload = upload
        .map_err(|error| not_taken(&error))?
        .announced(body.size_hint().lower());
    let poured = pour(body, &mut upload, BODY_DEADLINE).await;
    poured.map_err(|error| match error {
        PourError::Store(error) => not_taken(&error.into()),
        error => Failure::new(Exit::Usage, "QC0607", "the message is not whole").because(&error),
    })?;
    let finished = upload.finish().await;
    finished.map_err(|error| not_taken(&error.into()))
}

impl SendQuery {
    /// The door for what is sent.
    fn intake(&self, admin: &Admin) -> Result<EdgeIntake, Failure> {
        let usage = |error: String| Failure::new(Exit::Usage, "QC4001", error);
        let stream: StreamName = self.stream.parse().map_err(|e| usage(format!("{e}")))?;
        let class: DataClass = self.class.parse().map_err(|e| usage(format!("{e}")))?;
        let lane = self.lane.as_deref().map(str::parse).transpose();
        let lane: Lane = lane.map_err(|e| usage(format!("{e}")))?.unwrap_or_default();
        // what this node may not forward is refused at the door, not at the relay
        if stream.tenant() != admin.buffer.node().tenant() {
            let message = format!(
                "{} belongs to another tenant than {stream}",
                admin.buffer.node()
            );
            return Err(Failure::new(Exit::Refused, "QC5001", message));
        }
        Ok(admin.buffer.intake(stream, class, lane))
    }
}
fn not_taken(error: &IntakeError) -> Failure {
    let (exit, code) = match error {
        IntakeError::NotNow(error) => match error {
            AppendError::Full { .. } | AppendError::Limit { .. } => (Exit::Disk, error.code()),
            AppendError::TenantKey {
                reason: NoKey::Destroyed(_),
                ..
            } => (Exit::Refused, error.code()),
            _ => (Exit::Unreachable, error.code()),
        },
        IntakeError::Refused { code, .. } => (Exit::Refused, *code),
    };
    Failure::new(exit, code, "nothing was taken").because(error)
}

async fn reload(State(admin): State<Admin>) -> Result<Json<Reply<&'static str>>, Problem> {
    let (done, outcome) = oneshot::channel();
    let gone = || stopping("the edge");
    admin.reload.send(done).await.map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())??;
    Ok(admin.reply("qc.reload/1", "reloaded"))
}

impl Admin {
    fn status(&self) -> EdgeStatus {
        let now = self.clock.now();
        let up = self.clock.instant().saturating_duration_since(self.started);
        EdgeStatus {
            node: self.buffer.node().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: up.as_secs(),
            state_dir: self.upkeep.dir.display().to_string(),
            draining: self.drain.is_draining(),
            store: self.upkeep.status(*self.disk_used.borrow()),
            links: self
                .link
                .iter()
                .map(|link| link.status(self.buffer.upward().messages))
                .collect(),
            certificate: Some(certificate_status(&self.credentials, now)),
            sources: self.connectors.sources(self.clock.as_ref()),
            sinks: self.connectors.sinks(self.clock.as_ref()),
            control: self.control.list(),
        }
    }

    fn netdeps(&self) -> Vec<Dependency> {
        let link = self.link.as_ref().map(Monitor::dialer);
        let is_up = |relay: &String| {
            link.as_ref().is_some_and(|link| {
                link.address == *relay && matches!(link.state, DialerState::Connected(_))
            })
        };
        let now = self.clock.now();
        let last_used = |user: &User| match user {
            User::Links(relays) if relays.iter().any(is_up) => Some(now),
            User::Links(relays) => {
                let way = |relay: &String| self.link.as_ref()?.last_way(relay);
                relays.iter().filter_map(way).max()
            }
            user => self.connectors.last_done(user),
        };
        let row = |one: &Dependency| Dependency {
            last_used: last_used(&one.user).map(|at| at.to_string()),
            ..one.clone()
        };
        self.netdeps.iter().map(row).collect()
    }

    fn streams(&self) -> Vec<StreamRow> {
        let row = |info: qc_core::store::StreamInfo| {
            let consumer = |name: String| {
                let at = self.buffer.positions().of(&info.key, &name);
                let pending = self.buffer.log().backlog(&info.key, at).messages;
                ConsumerRow {
                    name,
                    acked_seq: at.0,
                    pending,
                }
            };
            StreamRow {
                name: info.key.name.to_string(),
                lane: (info.key.role == Role::Outbox).then(|| info.key.lane.to_string()),
                epoch: info.epoch.0,
                first_seq: info.first.0,
                last_seq: info.last.0,
                messages: info.messages,
                bytes: info.bytes,
                oldest: info.oldest.map(|oldest| oldest.to_string()),
                consumers: self
                    .buffer
                    .consumers_of(&info.key)
                    .into_iter()
                    .map(consumer)
                    .collect(),
                class: None,
                received: info.last.0,
                duplicates: info.duplicates,
                refused: 0,
            }
        };
        self.buffer.log().streams().into_iter().map(row).collect()
    }

    fn reply<T>(&self, schema: &str, data: T) -> Json<Reply<T>> {
        let now = self.clock.now();
        Json(Reply::new(schema, self.buffer.node(), now, data))
    }
}
