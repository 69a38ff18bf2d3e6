//! The admin API of nodes and control objects.
//!
//! ```text
//! GET  /v1/registry   /v1/registry/NODE            what is remembered of the nodes below
//! POST /v1/registry/NODE/label                     {"set": {"env": "prod"}, "unset": ["ring"], "if_revision": 3}
//! POST /v1/registry/NODE/forget
//! GET  /v1/control    /v1/control/KIND?label=TEXT  control objects, and who has applied them
//! POST /v1/control                                 a control object in its own bytes
//! ```

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use qc_core::admin::Problem;
use qc_core::admin::api::Reply;
use qc_core::admin::control::{
    CONTROL_LIST_SCHEMA, CONTROL_SCHEMA, CONTROL_TAKEN_SCHEMA, ControlDetail, ControlList,
    ControlTaken,
};
use qc_core::cli::{Exit, Failure};
use qc_core::control::{Kind, Label, Rejection};
use qc_core::model::{NodeName, Timestamp};
use qc_core::registry::{LabelKey, LabelValue, NodeEntry};
use qc_core::safe_text::safe;
use serde::{Deserialize, Serialize};

use crate::hub::{Hub, NodeError};

/// The schema of a list of [`NodeRow`].
pub(crate) const NODE_LIST_SCHEMA: &str = "qc.node-list/1";
/// The schema of [`NodeRow`].
pub(crate) const NODE_SCHEMA: &str = "qc.node/1";
/// The schema of [`NodeForgotten`].
pub(crate) const NODE_FORGOTTEN_SCHEMA: &str = "qc.node-forgotten/1";

/// What is remembered of one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeRow {
    /// Its name.
    pub node: String,
    /// Its site.
    pub site: String,
    /// Its tenant.
    pub tenant: String,
    /// Its role, as its certificate said last.
    pub role: Option<String>,
    /// Whether it has a link now.
    pub linked: bool,
    /// Its software version, as it says.
    pub version: String,
    /// The address that it came from.
    pub address: String,
    /// When it was first seen here.
    pub first_seen: String,
    /// When it was heard of last.
    pub last_seen: Option<String>,
    /// How long ago that is.
    pub seen_ms: Option<u64>,
    /// When its certificate ends, as it says.
    pub cert_not_after: Option<String>,
    /// What the operator calls it.
    pub labels: BTreeMap<String, String>,
    /// The revision of its labels.
    pub label_revision: u64,
    /// The control objects that it has applied.
    pub control: Vec<NodeControl>,
}

/// One control object on a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeControl {
    /// What it is about.
    pub kind: String,
    /// Which one.
    pub label: String,
    /// The revision that is applied, or refused.
    pub revision: u64,
    /// Why it is refused, as a stable code.
    pub code: Option<String>,
    /// Why it is refused.
    pub reason: Option<String>,
}

/// Which labels change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LabelWish {
    /// Labels that the node gets.
    pub set: BTreeMap<String, String>,
    /// Keys of labels that go.
    pub unset: Vec<String>,
    /// Only if its labels have this revision.
    pub if_revision: Option<u64>,
}

/// A node that is not remembered any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeForgotten {
    /// Its name.
    pub node: String,
}

/// The routes.
pub(crate) fn router(hub: Hub) -> Router {
    Router::new()
        .route("/v1/registry", get(list))
        .route("/v1/registry/{node}", get(show))
        .route("/v1/registry/{node}/label", post(label))
        .route("/v1/registry/{node}/forget", post(forget))
        .route("/v1/control", get(objects).post(take))
        .route("/v1/control/{kind}", get(object))
        .with_state(hub)
}

async fn list(State(hub): State<Hub>) -> Json<Reply<Vec<NodeRow>>> {
    let now = hub.clock().now();
    let rows = {
        let fleet = hub.fleet();
        let entries = fleet.entries();
        entries
            .map(|(name, entry, linked)| row(name, entry, linked, now))
            .collect()
    };
    Json(Reply::new(NODE_LIST_SCHEMA, hub.node(), now, rows))
}

async fn show(
    State(hub): State<Hub>,
    Path(node): Path<String>,
) -> Result<Json<Reply<NodeRow>>, Problem> {
    let name = parse(&node)?;
    one(&hub, &name)
}

fn one(hub: &Hub, name: &NodeName) -> Result<Json<Reply<NodeRow>>, Problem> {
    let now = hub.clock().now();
    let row = {
        let fleet = hub.fleet();
        let entry = fleet.entry(name);
        entry.map(|(entry, linked)| row(name, entry, linked, now))
    };
    let row = row.ok_or_else(|| failure(&NodeError::Unknown(name.clone())))?;
    Ok(Json(Reply::new(NODE_SCHEMA, hub.node(), now, row)))
}

async fn label(
    State(hub): State<Hub>,
    Path(node): Path<String>,
    Json(wish): Json<LabelWish>,
) -> Result<Json<Reply<NodeRow>>, Problem> {
    let name = parse(&node)?;
    let changes = changes(&wish)?;
    let revision = hub.label(&name, &changes, wish.if_revision).await;
    let revision = revision.map_err(|error| failure(&error))?;
    tracing::info!(code = "QC2228", node = %name, revision, "Labels of a node.");
    one(&hub, &name)
}

/// The changes that a wish asks for; what is set and unset at once is unset.
fn changes(wish: &LabelWish) -> Result<Vec<(LabelKey, Option<LabelValue>)>, Problem> {
    let wrong = |error: &dyn std::fmt::Display| {
        Problem(Failure::new(Exit::Usage, "QC2227", error.to_string()))
    };
    let mut changes = Vec::new();
    for (key, value) in &wish.set {
        let key = key.parse().map_err(|error| wrong(&error))?;
        let value = value.parse().map_err(|error| wrong(&error))?;
        changes.push((key, Some(value)));
    }
    for key in &wish.unset {
        changes.push((key.parse().map_err(|error| wrong(&error))?, None));
    }
    Ok(changes)
}

async fn forget(
    State(hub): State<Hub>,
    Path(node): Path<String>,
) -> Result<Json<Reply<NodeForgotten>>, Problem> {
    let name = parse(&node)?;
    hub.forget(&name).await.map_err(|error| failure(&error))?;
    tracing::warn!(code = "QC2229", node = %name, "A node is forgotten.");
    let node = name.to_string();
    let now = hub.clock().now();
    let data = NodeForgotten { node };
    Ok(Json(Reply::new(
        NODE_FORGOTTEN_SCHEMA,
        hub.node(),
        now,
        data,
    )))
}

async fn objects(State(hub): State<Hub>) -> Json<Reply<ControlList>> {
    let now = hub.clock().now();
    Json(Reply::new(
        CONTROL_LIST_SCHEMA,
        hub.node(),
        now,
        hub.control_list(),
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WhichQuery {
    label: String,
}

async fn object(
    State(hub): State<Hub>,
    Path(kind): Path<String>,
    Query(query): Query<WhichQuery>,
) -> Result<Json<Reply<ControlDetail>>, Problem> {
    let wrong = |error: String| Problem(Failure::new(Exit::Usage, "QC2166", error));
    let kind: Kind = kind.parse().map_err(|error| wrong(format!("{error}")))?;
    let label: Label = query.label.parse().map_err(wrong)?;
    let detail = hub.control_detail(kind, &label).ok_or_else(|| {
        let gap = if label.as_str().is_empty() { "" } else { " " };
        let message = format!("there is no control object {kind}{gap}{label} here");
        let none = Failure::new(Exit::NotFound, "QC2170", message);
        Problem(none.help("qc-relay control list"))
    })?;
    let now = hub.clock().now();
    Ok(Json(Reply::new(CONTROL_SCHEMA, hub.node(), now, detail)))
}

async fn take(State(hub): State<Hub>, body: Bytes) -> Result<Json<Reply<ControlTaken>>, Problem> {
    let taken = hub.control().take(body.to_vec(), "its operator").await;
    let taken = taken.map_err(|rejection| rejected(&rejection))?;
    let data = ControlTaken {
        kind: taken.mark.kind.to_string(),
        label: taken.mark.label.to_string(),
        revision: taken.mark.revision,
        state: taken.outcome.as_str().to_owned(),
        signer: taken.signer.to_string(),
    };
    let now = hub.clock().now();
    Ok(Json(Reply::new(
        CONTROL_TAKEN_SCHEMA,
        hub.node(),
        now,
        data,
    )))
}

fn rejected(rejection: &Rejection) -> Problem {
    let message = format!("the control object is not taken: {rejection}");
    let failure = Failure::new(rejection.exit(), rejection.code(), message);
    let help = format!("qc-relay explain {}", rejection.code());
    Problem(failure.help("qc-pki control show FILE").help(help))
}

fn failure(error: &NodeError) -> Problem {
    let message = error.to_string();
    Problem(match error {
        NodeError::Unknown(_) => {
            Failure::new(Exit::NotFound, "QC2226", message).help("qc-relay node list")
        }
        NodeError::Linked(node) => Failure::new(Exit::Conflict, "QC2238", message).help(format!(
            "qc-pki revoke {node}    if it is not to come again"
        )),
        NodeError::Changed { .. } => {
            Failure::new(Exit::Conflict, "QC2239", message).help("qc-relay node show NODE")
        }
        NodeError::TooMany => Failure::new(Exit::Usage, "QC2227", message),
        NodeError::Foreign(_) => Failure::new(Exit::Conflict, "QC2237", message),
        NodeError::Store(store) => {
            Failure::new(Exit::Disk, store.code(), "the registry is not written").because(store)
        }
    })
}

fn parse(node: &str) -> Result<NodeName, Problem> {
    node.parse().map_err(|_| {
        let message = format!("'{}' is no node's name", safe(node, 200));
        Problem(Failure::new(Exit::Usage, "QC4001", message))
    })
}

fn row(name: &NodeName, entry: &NodeEntry, linked: bool, now: Timestamp) -> NodeRow {
    let kind = |number: u16| {
        Kind::from_number(number).map_or_else(|| number.to_string(), |kind| kind.to_string())
    };
    let applied = entry.applied.iter().map(|one| NodeControl {
        kind: kind(one.kind),
        label: one.label.clone(),
        revision: one.revision,
        ..NodeControl::default()
    });
    let refused = entry.refused.iter().map(|one| NodeControl {
        kind: kind(one.kind),
        label: one.label.clone(),
        revision: one.revision,
        code: Some(one.code.to_string()),
        reason: Some(one.reason.clone()),
    });
    let labels = entry.labels.iter();
    let millis = |seen| u64::try_from(now.since(seen).as_millis()).unwrap_or(u64::MAX);
    NodeRow {
        node: name.to_string(),
        site: name.site().to_owned(),
        tenant: name.tenant().to_owned(),
        role: entry.role.map(|role| role.to_string()),
        linked,
        version: entry.version.clone(),
        address: entry.address.clone(),
        first_seen: entry.first_seen.to_string(),
        last_seen: entry.last_seen.map(|seen| seen.to_string()),
        seen_ms: entry.last_seen.map(millis),
        cert_not_after: entry.cert_not_after.map(|end| end.to_string()),
        labels: labels
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        label_revision: entry.label_revision,
        control: applied.chain(refused).collect(),
    }
}
