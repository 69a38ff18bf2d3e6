//! What the link upward answers on the admin socket.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::{
    LIMIT_ROUTE, LINK_ROUTE, LINK_SCHEMA, LimitWish, PROBE_ROUTE, PROBE_SCHEMA, Prober, Steer,
};
use crate::admin::Problem;
use crate::admin::api::Reply;
use crate::failure::{Exit, Failure};

/// The link upward, for its routes.
struct Uplink {
    prober: Prober,
    steer: Steer,
}

type Shared = State<Arc<Uplink>>;

/// `POST /v1/probe`, `GET /v1/link`, `POST /v1/link/limit`.
pub fn router(prober: Prober, steer: Steer) -> Router {
    let probe = |State(uplink): Shared| async move {
        let probed = uplink.prober.once().await.map_err(Problem)?;
        Ok::<_, Problem>(uplink.reply(PROBE_SCHEMA, probed))
    };
    let show =
        |State(uplink): Shared| async move { uplink.reply(LINK_SCHEMA, uplink.steer.view()) };
    let limit = |State(uplink): Shared, Json(wish): Json<LimitWish>| async move {
        uplink.steer.hold(&wish).map_err(|(key, why)| {
            Problem(Failure::new(Exit::Usage, "QC2060", format!("{key}: {why}")))
        })?;
        Ok::<_, Problem>(uplink.reply(LINK_SCHEMA, uplink.steer.view()))
    };
    Router::new()
        .route(PROBE_ROUTE, post(probe))
        .route(LINK_ROUTE, get(show))
        .route(LIMIT_ROUTE, post(limit))
        .with_state(Arc::new(Uplink { prober, steer }))
}

impl Uplink {
    fn reply<T: Serialize>(&self, schema: &str, data: T) -> Json<Reply<T>> {
        let prober = &self.prober;
        let now = prober.clock.now();
        Json(Reply::new(schema, &prober.node, now, data))
    }
}
