//! `GET /v1/control`: what a node has taken.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::Control;
use crate::admin::api::Reply;
use crate::admin::control::CONTROL_LIST_SCHEMA;

/// The route of a node that has nobody below it.
pub fn router(control: Control) -> Router {
    let list = |State(control): State<Control>| async move {
        let (node, now) = (&control.inner.node, control.inner.clock.now());
        Json(Reply::new(CONTROL_LIST_SCHEMA, node, now, control.list()))
    };
    Router::new()
        .route("/v1/control", get(list))
        .with_state(control)
}
