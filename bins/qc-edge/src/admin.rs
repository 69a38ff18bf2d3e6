//! The admin API of an edge: JSON over HTTP on the unix socket.
//!
//! ```text
//! GET  /v1/status   /v1/streams   /v1/ledger   /metrics
//! GET  /v1/netdeps                                           what the network has to let through
//! GET  /v1/dlq   /v1/dlq/ID                                 dead letters, see qc_core::admin::dlq
//! POST /v1/send?stream=TENANT/NAME&class=CLASS&lane=LANE    a CloudEvents batch, answered when on disk
//! POST /v1/reload
//! GET  /v1/disk      POST /v1/disk/relieve                   see `qc_core::upkeep`
//! ```
//!
//! The routes of keys are merged in: `qc_core::node::key_routes`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use qc_core::admin::api::{
    ConsumerRow, EDGE_STATUS_SCHEMA, EdgeStatus, LEDGER_SCHEMA, LastError, Ledger, LinkState,
    LinkStatus, LinkWay, Reply, STREAM_LIST_SCHEMA, StreamRow,
};
use qc_core::admin::{Problem, dlq, stopping};
use qc_core::cli::{Exit, Failure};
use qc_core::clock::Clock;
use qc_core::cloudevents::{self, Bounds};
use qc_core::link::{DialerState, DialerStatus};
use qc_core::model::{DataClass, Lane, StreamName};
use qc_core::node::certificate_status;
use qc_core::reach::Ways;
use qc_core::safe_text::safe;
use qc_core::service::Drain;
use qc_core::store::{AppendError, NoKey, Role};
use qc_core::streams::Embedded;
use qc_core::telemetry::Metrics;
use qc_core::tls::Credentials;
use qc_core::upkeep::{self, Upkeep};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::buffer::Buffer;
use crate::commands::netdeps::ROUTE;
use crate::connectors::Connectors;
use crate::metrics::EdgeMetrics;
use crate::netdeps::{Dependency, User};
use crate::sources::{Intake as _, IntakeError};
use crate::uplink::Seen;

/// What the API answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) buffer: Buffer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started: Instant,
    pub(crate) upkeep: Upkeep,
    pub(crate) credentials: Credentials,
    pub(crate) connectors: Connectors,
    pub(crate) link: Option<watch::Receiver<DialerStatus>>,
    pub(crate) seen: Seen,
    pub(crate) ways: Ways,
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
    let usage = |error: String| Failure::new(Exit::Usage, "QC4001", error);
    let stream: StreamName = query.stream.parse().map_err(|e| usage(format!("{e}")))?;
    let class: DataClass = query.class.parse().map_err(|e| usage(format!("{e}")))?;
    let lane = query.lane.as_deref().map(str::parse).transpose();
    let lane: Lane = lane.map_err(|e| usage(format!("{e}")))?.unwrap_or_default();
    // what this node may not forward is refused at the door, not at the relay
    if stream.tenant() != admin.buffer.node().tenant() {
        let message = format!(
            "{} belongs to another tenant than {stream}",
            admin.buffer.node()
        );
        return Err(Failure::new(Exit::Refused, "QC5001", message).into());
    }
    let bounds = Bounds {
        bytes: 24 << 20,
        events: 100_000,
        ..Bounds::default()
    };
    let messages = cloudevents::decode_batch(&body, &bounds)
        .map_err(|error| Failure::new(Exit::Usage, "QC4002", "no event").because(&error))?;
    let outcomes = admin
        .buffer
        .intake(stream, class, lane)
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
                .map(|link| self.link_status(&link.borrow()))
                .collect(),
            certificate: Some(certificate_status(&self.credentials, now)),
            sources: self.connectors.sources(self.clock.as_ref()),
            sinks: self.connectors.sinks(self.clock.as_ref()),
        }
    }

    fn link_status(&self, dialer: &DialerStatus) -> LinkStatus {
        let (now, seen) = (self.clock.now(), self.seen.now());
        let mut last_error = dialer.last_error.as_ref().map(|(at, refusal)| LastError {
            code: refusal.code.to_string(),
            reason: refusal.reason.clone(),
            at: Some(at.to_string()),
        });
        let (state, peer, next_try_s) = match &dialer.state {
            DialerState::Connected(peer) => {
                let state = if seen.stale {
                    LinkState::Stalled
                } else {
                    LinkState::Up
                };
                // a link that is up may still have a stream that the relay does not take
                if let Some((at, stream, refusal)) = seen.refusal {
                    last_error = Some(LastError {
                        code: refusal.code.to_string(),
                        reason: format!("{stream}: {}", refusal.reason),
                        at: Some(at.to_string()),
                    });
                }
                (state, peer.node.to_string(), None)
            }
            DialerState::Connecting => (LinkState::Connecting, String::new(), None),
            DialerState::Waiting(until) => (
                LinkState::Waiting,
                String::new(),
                Some(until.since(now).as_secs()),
            ),
            DialerState::Stopped => (LinkState::Down, String::new(), None),
        };
        LinkStatus {
            peer,
            address: safe(&dialer.address, 200),
            state,
            way: self.ways.of(&dialer.address).map(|way| LinkWay {
                remote: way.remote,
                proxy: way.proxy,
                websocket: way.websocket,
                address_age_s: way.address_from.map(|at| now.since(at).as_secs()),
                since: way.at.to_string(),
            }),
            since: Some(dialer.since.to_string()),
            last_error,
            attempts: u64::from(dialer.attempts),
            next_try_s,
            rtt_ms: seen
                .rtt
                .map(|rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX)),
            acked_ms: seen
                .acked
                .map(|at| u64::try_from(now.since(at).as_millis()).unwrap_or(0)),
            acked_seq: None,
            sent: seen.sent,
            received: seen.received,
            backlog_messages: self.buffer.backlog().messages,
        }
    }

    fn netdeps(&self) -> Vec<Dependency> {
        let link = self.link.as_ref().map(|link| link.borrow().clone());
        let is_up = |relay: &String| {
            link.as_ref().is_some_and(|link| {
                link.address == *relay && matches!(link.state, DialerState::Connected(_))
            })
        };
        let now = self.clock.now();
        let last_used = |user: &User| match user {
            User::Links(relays) if relays.iter().any(is_up) => Some(now),
            User::Links(relays) => {
                let ways = relays.iter().filter_map(|relay| self.ways.of(relay));
                ways.map(|way| way.at).max()
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
