//! Links inside a WebSocket: `GET /.qc/link` on the one port, for edges whose way lets only ordinary
//! HTTPS pass. Who may is decided as for every link, by the certificate of the connection; what comes
//! out of the upgrade is run as every link is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Extension, Router};
use http::{Method, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use qc_core::door::{Caller, Problem};
use qc_core::reach::websocket::{PATH, WebSocket, answer};
use qc_core::service::Drain;
use qc_core::tls;

use crate::front::Links;
use crate::listener::{Admitted, Listener, link};

/// What an upgraded connection needs.
#[derive(Clone)]
pub(crate) struct Upgrades {
    pub(crate) listener: Arc<Listener>,
    pub(crate) links: Arc<Links>,
    pub(crate) drain: Drain,
}

/// The one route.
pub(crate) fn router(upgrades: Upgrades) -> Router {
    Router::new().route(PATH, any(upgrade)).with_state(upgrades)
}

async fn upgrade(
    State(upgrades): State<Upgrades>,
    Extension(admitted): Extension<Option<Admitted>>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
) -> Response {
    let admitted = match may_link(admitted) {
        Ok(admitted) => admitted,
        Err(problem) => {
            let remote = caller.remote.map(|remote| remote.to_string());
            let (remote, reason) = (remote.unwrap_or_default(), &problem.detail);
            if upgrades.listener.front.may_say("QC2056") {
                tracing::warn!(code = problem.code, remote, reason, "Connection refused.");
            }
            return problem.into_response();
        }
    };
    let pending = request.extensions_mut().remove::<OnUpgrade>();
    let is_plain = *request.method() == Method::GET && request.version() == Version::HTTP_11;
    let headers = match (answer(request.headers()), pending) {
        (Ok(headers), Some(pending)) if is_plain => {
            start(upgrades, admitted, pending);
            headers
        }
        (Err(why), _) => return not_an_upgrade(why),
        _ => return not_an_upgrade("an upgrade is a GET of HTTP/1.1"),
    };
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    *response.headers_mut() = headers;
    response
}

fn may_link(admitted: Option<Admitted>) -> Result<Admitted, Problem> {
    let Some(admitted) = admitted else {
        let detail = "no node certificate came with this connection; if the caller is an edge, \
                      something on its way ends TLS and must let this relay through unopened";
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "QC2056",
            "A link needs a node certificate",
            detail,
        ));
    };
    let peer = &admitted.peer;
    if tls::may_link(peer.role) {
        return Ok(admitted);
    }
    let detail = format!("{} has the role {}", peer.name, peer.role);
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "QC2056",
        "Only edges and relays have links",
        detail,
    ))
}

fn not_an_upgrade(why: &str) -> Response {
    let title = "This is where links are asked for";
    Problem::new(StatusCode::BAD_REQUEST, "QC2057", title, why).into_response()
}

fn start(upgrades: Upgrades, admitted: Admitted, pending: OnUpgrade) {
    let until = upgrades.drain.clone();
    upgrades.drain.clone().spawn("connection", async move {
        let upgraded = tokio::select! {
            upgraded = pending => upgraded,
            () = until.signaled() => return,
        };
        let Ok(upgraded) = upgraded else {
            tracing::debug!(remote = %admitted.remote, "Gone before its upgrade.");
            return;
        };
        let stream = WebSocket::accepted(TokioIo::new(upgraded)).await;
        let Upgrades {
            listener, links, ..
        } = &upgrades;
        Box::pin(link(listener, links, stream, admitted, until)).await;
    });
}
