//! The HTTP face of an enrollment server.
//!
//! ```text
//! GET  /.well-known/est/cacerts               CAs, PKCS#7 in base64
//! POST /.well-known/est/simpleenroll          HTTP Basic id:secret, PKCS#10 in base64
//! POST /.well-known/est/front/simpleenroll    the same token, for the front door
//! POST /.well-known/est/simplereenroll        client certificate, PKCS#10 in base64
//! GET  /qc/v1/crl/CA.der                      a revocation list
//! GET  /qc/v1/trust                           what a node should trust, as JSON
//! ```
//!
//! Who the client is comes as the request extension `Option<PeerIdentity>`, put there by whoever did
//! the TLS handshake.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use data_encoding::{BASE64, BASE64_MIME};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::{EstRefusal, EstService};
use crate::pki::{
    CsrRefusal, DirError, MAX_CSR, PeerIdentity, TokenError, certs_to_pem, certs_to_pkcs7,
};

/// Names the host names of the front door in an answer to `simpleenroll`.
pub(super) const FRONT_HEADER: HeaderName = HeaderName::from_static("qc-front-dns");

const MAX_BODY: usize = 2 * MAX_CSR;
const MAX_DRAINED: usize = 1024 * 1024;
const BODY_DEADLINE: Duration = Duration::from_secs(10);
const CERTS_ONLY: &str = "application/pkcs7-mime; smime-type=certs-only";

type Service = Arc<EstService>;

/// The routes, to be served alone or beside others.
pub fn router(service: Arc<EstService>) -> Router {
    Router::new()
        .route("/.well-known/est/cacerts", get(ca_certs))
        .route("/.well-known/est/simpleenroll", post(enroll_node))
        .route("/.well-known/est/front/simpleenroll", post(enroll_front))
        .route("/.well-known/est/simplereenroll", post(renew))
        .route("/qc/v1/crl/{file}", get(crl))
        .route("/qc/v1/trust", get(trust))
        .with_state(service)
}

async fn ca_certs(State(service): State<Service>) -> Response {
    certs_only(&certs_to_pkcs7(service.ca_certs()))
}

async fn enroll_node(state: State<Service>, request: Request) -> Response {
    enroll(state, request, false).await
}

async fn enroll_front(state: State<Service>, request: Request) -> Response {
    enroll(state, request, true).await
}

async fn enroll(State(service): State<Service>, request: Request, front: bool) -> Response {
    let credentials = basic(request.headers());
    let csr = body(request.into_body()).await;
    let Some((id, secret)) = credentials else {
        return problem(&EstRefusal::NoCredentials);
    };
    let csr = match csr {
        Ok(csr) => csr,
        Err(refusal) => return problem(&refusal),
    };
    let work = move || service.enroll(&id, &secret, &csr, front);
    match blocking(work).await {
        Ok((cert, record)) => {
            let mut response = certs_only(&certs_to_pkcs7([cert]));
            let names = HeaderValue::from_str(&record.front_dns.join(","));
            if let (Ok(names), false) = (names, record.front_dns.is_empty()) {
                response.headers_mut().insert(FRONT_HEADER, names);
            }
            response
        }
        Err(refusal) => problem(&refusal),
    }
}

async fn renew(State(service): State<Service>, request: Request) -> Response {
    let peer = request.extensions().get::<Option<PeerIdentity>>();
    let peer = peer.cloned().flatten();
    let csr = body(request.into_body()).await;
    let Some(peer) = peer else {
        return problem(&EstRefusal::NoPeer);
    };
    let csr = match csr {
        Ok(csr) => csr,
        Err(refusal) => return problem(&refusal),
    };
    match blocking(move || service.renew(&peer, &csr)).await {
        Ok(cert) => certs_only(&certs_to_pkcs7([cert])),
        Err(refusal) => problem(&refusal),
    }
}

async fn crl(State(service): State<Service>, Path(file): Path<String>) -> Response {
    let found = blocking(move || {
        let Some(ca) = file.strip_suffix(".der") else {
            return Ok(None);
        };
        service.crl(ca).map_err(EstRefusal::Server)
    });
    match found.await {
        Ok(Some(crl)) => ([(CONTENT_TYPE, "application/pkix-crl")], crl).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(refusal) => problem(&refusal),
    }
}

async fn trust(State(service): State<Service>) -> Response {
    match blocking(move || service.trust().map_err(EstRefusal::Server)).await {
        Ok(trust) => axum::Json(json!({
            "schema": "qc.trust/1",
            "trust_domain": trust.domain().as_str(),
            "roots": trust.roots().map(|c| certs_to_pem([c])).collect::<Vec<_>>(),
            "cas": trust.cas().map(|c| certs_to_pem([c])).collect::<Vec<_>>(),
            "crls": trust.crls().map(|crl| BASE64.encode(crl)).collect::<Vec<_>>(),
        }))
        .into_response(),
        Err(refusal) => problem(&refusal),
    }
}

/// Disk and signatures do not belong on the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EstRefusal> + Send + 'static,
) -> Result<T, EstRefusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(EstRefusal::Server(DirError::Broken {
            path: "pki".into(),
            why: "the work was broken off".to_owned(),
        }))
    })
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 256 {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_ascii_uppercase(), secret.to_ascii_uppercase()))
}

/// The request in DER (sent in base64) or PEM. It is read before any answer, even one that does not
/// need it: over HTTP/2 an early answer to a client that still sends looks like a broken stream.
async fn body(body: Body) -> Result<Vec<u8>, EstRefusal> {
    let bytes = tokio::time::timeout(BODY_DEADLINE, read_bounded(body))
        .await
        .map_err(|_| CsrRefusal::Malformed("it did not arrive in time"))??;
    if bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    let base64: Vec<u8> = bytes
        .into_iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let decoded = BASE64.decode(&base64);
    Ok(decoded.map_err(|_| CsrRefusal::Malformed("it is not base64"))?)
}

/// Keeps at most `MAX_BODY` bytes; what is longer is read on for a while and forgotten.
async fn read_bounded(mut body: Body) -> Result<Vec<u8>, CsrRefusal> {
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| CsrRefusal::Malformed("it broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len();
        if seen > MAX_DRAINED {
            break;
        }
        if seen <= MAX_BODY {
            kept.extend_from_slice(&data);
        }
    }
    if seen > MAX_BODY {
        return Err(CsrRefusal::TooLong);
    }
    Ok(kept)
}

fn certs_only(pkcs7: &[u8]) -> Response {
    let headers = [
        (CONTENT_TYPE, CERTS_ONLY),
        (
            HeaderName::from_static("content-transfer-encoding"),
            "base64",
        ),
    ];
    (headers, BASE64_MIME.encode(pkcs7)).into_response()
}

fn problem(refusal: &EstRefusal) -> Response {
    if let EstRefusal::Server(error) = refusal {
        tracing::error!(
            code = refusal.code(),
            error = error as &dyn std::error::Error,
            "Could not issue a certificate."
        );
    } else if let EstRefusal::Token(TokenError::Replayed { id }) = refusal {
        tracing::warn!(
            code = refusal.code(),
            token = id,
            "A token came a second time with another key. It is frozen."
        );
    }
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("refused"),
        "status": status.as_u16(),
        "code": refusal.code(),
        "detail": refusal.to_string(),
    });
    let json = [(CONTENT_TYPE, "application/problem+json")];
    let mut response = (status, json, problem.to_string()).into_response();
    let extra = match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Basic realm=\"enrollment token\"")),
        StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, "60")),
        _ => None,
    };
    if let Some((name, value)) = extra {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
