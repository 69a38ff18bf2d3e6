//! What the admin socket answers about nodes that are sent away.
//!
//! ```text
//! GET  /v1/drain      who is to go, and how many links are left
//! POST /v1/drain      {"nodes": [...] | "all": true, "to": "HOST:PORT", "reason": "..."}
//! POST /v1/resume     {"nodes": [...] | "all": true, "reason": "..."}
//! ```

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use qc_core::admin::Problem;
use qc_core::admin::api::{Drained, Reply};
use qc_core::cli::{Exit, Failure};
use qc_core::model::NodeName;
use qc_core::safe_text::safe;
use qc_core::store::AppendError;
use serde::{Deserialize, Serialize};

use crate::hub::Hub;
use crate::hub::drains::{MOST, Order, Whom};

/// The route of orders to go.
pub(crate) const DRAIN_ROUTE: &str = "/v1/drain";
/// The route that lifts them.
pub(crate) const RESUME_ROUTE: &str = "/v1/resume";
/// The schema of a [`Drained`].
pub(crate) const DRAIN_SCHEMA: &str = "qc.drain/1";
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

/// Who is to go, where to, and why; or who may come again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DrainWish {
    /// These nodes.
    pub nodes: Vec<String>,
    /// Every node without an order of its own; of those to be lifted, every order.
    pub all: bool,
    /// The relay to go to.
    pub to: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The routes.
pub(crate) fn router(hub: Hub) -> Router {
    Router::new()
        .route(DRAIN_ROUTE, get(show).post(drain))
        .route(RESUME_ROUTE, post(resume))
        .with_state(hub)
}

async fn show(State(hub): State<Hub>) -> Json<Reply<Drained>> {
    reply(&hub)
}

async fn drain(
    State(hub): State<Hub>,
    Json(wish): Json<DrainWish>,
) -> Result<Json<Reply<Drained>>, Problem> {
    let whom = wish.whom()?;
    let to = wish.to.as_deref().map(|to| {
        let wrong = |_| usage(format!("'{}' is not HOST:PORT", safe(to, 200)));
        to.parse().map_err(wrong)
    });
    let order = Order {
        to: to.transpose()?,
        reason: wish.reason(),
        since: hub.clock().now(),
    };
    if let Whom::Nodes(nodes) = &whom {
        let unknown = nodes.iter().find(|node| !hub.fleet().knows(node));
        if let Some(unknown) = unknown {
            let message = format!("no node {unknown} is known here; nothing was changed");
            return Err(Problem(
                Failure::new(Exit::NotFound, "QC2246", message).help("qc-relay fleet"),
            ));
        }
        if hub.drained_nodes() + nodes.len() > MOST {
            let message = format!("at most {MOST} nodes have an order of their own");
            return Err(Problem(
                Failure::new(Exit::Usage, "QC4001", message).help("qc-relay drain --all"),
            ));
        }
    }
    let done = hub.drain_nodes(&whom, &order).await;
    done.map_err(|error| not_kept(&error))?;
    let to = order.to.map(|to| to.to_string()).unwrap_or_default();
    let reason = order.reason.unwrap_or_default();
    tracing::warn!(
        code = "QC2240",
        nodes = whom.shown(),
        to,
        reason,
        "Nodes are sent away."
    );
    Ok(reply(&hub))
}

async fn resume(
    State(hub): State<Hub>,
    Json(wish): Json<DrainWish>,
) -> Result<Json<Reply<Drained>>, Problem> {
    let whom = wish.whom()?;
    if matches!(whom, Whom::Nodes(_)) && hub.is_drained() {
        let message = "every node is sent away here; a single one cannot be taken in again";
        return Err(Problem(
            Failure::new(Exit::Conflict, "QC2245", message).help("qc-relay resume"),
        ));
    }
    let lifted = hub.resume_nodes(&whom).await;
    let lifted = lifted.map_err(|error| not_kept(&error))?;
    let reason = wish.reason().unwrap_or_default();
    if lifted {
        tracing::warn!(
            code = "QC2242",
            nodes = whom.shown(),
            reason,
            "Nodes are taken in again."
        );
    }
    Ok(reply(&hub))
}

fn reply(hub: &Hub) -> Json<Reply<Drained>> {
    let drained = hub.drained().unwrap_or_default();
    let now = hub.clock().now();
    Json(Reply::new(DRAIN_SCHEMA, hub.node(), now, drained))
}

fn usage(message: String) -> Problem {
    Problem(Failure::new(Exit::Usage, "QC4001", message))
}

fn not_kept(error: &AppendError) -> Problem {
    Problem(Failure::new(Exit::Disk, error.code(), "the order was not kept").because(error))
}

impl DrainWish {
    fn whom(&self) -> Result<Whom, Problem> {
        match (self.all, self.nodes.as_slice()) {
            (true, []) => Ok(Whom::All),
            (true, _) | (false, []) => Err(usage("name nodes, or else all of them".to_owned())),
            (false, names) => {
                let parse = |name: &String| {
                    let wrong = |error| usage(format!("'{}': {error}", safe(name, 200)));
                    name.parse().map_err(wrong)
                };
                let nodes: Result<Vec<NodeName>, Problem> = names.iter().map(parse).collect();
                nodes.map(Whom::Nodes)
            }
        }
    }

    fn reason(&self) -> Option<String> {
        let reason = self.reason.as_deref().map(|why| safe(why, MAX_REASON));
        reason.filter(|why| !why.is_empty())
    }
}

impl Whom {
    fn shown(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Nodes(nodes) => {
                let names: Vec<_> = nodes.iter().map(NodeName::as_str).collect();
                safe(&names.join(" "), 500)
            }
        }
    }
}
