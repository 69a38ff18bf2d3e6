//! Webhook in: an HTTP listener that answers 201 when the message is on disk.
//!
//! A body may be an event in any form of CloudEvents or anything at all. With a secret, every body must be
//! signed; with a header that numbers deliveries, a repeated delivery is answered 200 and kept once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use qc_core::clock::Clock;
use qc_core::door::{
    Beginning, Defaults, Form, Limits, Problem, Published, begin_body, check_headers, discard,
    may_be_long, messages, read_body, receipts, store_long,
};
use qc_core::model::NodeName;
use qc_core::parts::MAX_WHOLE;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::settings::Size;
use super::signature::Signer;
use super::{Activity, ConnectorError, Intake, IntakeError};

/// Connections served at once; the next ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 256;
/// Time for a request's headers to arrive, and for a silent connection to be closed.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// When a sender tries again what is not taken as long as a key is destroyed.
const AGAIN: Duration = Duration::from_secs(5);
/// Time for requests in progress to end when the source stops.
const GRACE: Duration = Duration::from_secs(10);

/// `[source.NAME]` with `kind = "webhook"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The one path that is served.
    pub path: String,
    /// File with the secret that senders sign with; without it nobody signs.
    pub hmac_secret_file: Option<PathBuf>,
    /// Header with the signature.
    pub hmac_header: String,
    /// The largest body.
    pub max_body: Size,
    /// Header whose value names a delivery, so that a repeated one is kept once.
    pub dedupe_header: String,
    /// `type` of messages that do not say.
    #[serde(rename = "type")]
    pub event_type: String,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            path: "/".to_owned(),
            hmac_secret_file: None,
            hmac_header: "X-Hub-Signature-256".to_owned(),
            max_body: Size(1024 * 1024),
            dedupe_header: "Idempotency-Key".to_owned(),
            event_type: "qc.webhook".to_owned(),
        }
    }
}

/// A webhook source that is ready to serve.
#[derive(Clone)]
pub struct Webhook {
    shared: Arc<Shared>,
}

struct Shared {
    path: String,
    signer: Option<Signer>,
    signature_header: String,
    limits: Limits,
    defaults: Defaults,
    node: String,
    clock: Arc<dyn Clock>,
    activity: Activity,
}

impl Webhook {
    /// Reads the secret and checks the settings. Binding the listener is the caller's, who knows how
    /// to say that a port is in use.
    pub fn new(
        name: &str,
        config: &WebhookConfig,
        node: &NodeName,
        clock: Arc<dyn Clock>,
        activity: Activity,
    ) -> Result<Self, ConnectorError> {
        if !config.path.starts_with('/') {
            return Err(ConnectorError::setting("path", "must begin with '/'"));
        }
        let body = usize::try_from(config.max_body.0).unwrap_or(usize::MAX);
        // a signature is looked at before anything is kept, and it is over the whole body
        let (most, words) = match config.hmac_secret_file {
            Some(_) => (
                Limits::MAX_BODY as u64,
                "must be 1 byte to 16MiB with a secret",
            ),
            None => (MAX_WHOLE, "must be 1 byte to 1GiB"),
        };
        if !(1..=most).contains(&config.max_body.0) {
            return Err(ConnectorError::setting("max_body", words));
        }
        let header = |setting, name: &str| {
            http::HeaderName::try_from(name)
                .map(|name| name.as_str().to_owned())
                .map_err(|_| ConnectorError::setting(setting, "is not the name of a header"))
        };
        let signer = config
            .hmac_secret_file
            .as_deref()
            .map(Signer::from_file)
            .transpose()?;
        Ok(Self {
            shared: Arc::new(Shared {
                path: config.path.clone(),
                signer,
                signature_header: header("hmac_header", &config.hmac_header)?,
                limits: Limits {
                    body,
                    ..Limits::default()
                },
                defaults: Defaults {
                    source: format!("/{node}/{name}"),
                    kind: config.event_type.clone(),
                    id_header: header("dedupe_header", &config.dedupe_header)?,
                },
                node: node.to_string(),
                clock,
                activity,
            }),
        })
    }

    /// Serves until `stop`, then lets requests in progress end.
    pub async fn run<I: Intake>(
        self,
        listener: TcpListener,
        intake: I,
        stop: impl Future<Output = ()> + Send,
    ) {
        let app = Router::new()
            .fallback(receive::<I>)
            .layer(Extension(intake))
            .with_state(self);
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (stopping, stopped) = tokio::sync::watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                let slot = slot.expect("the semaphore is never closed");
                (listener.accept().await, slot)
            };
            tokio::select! {
                () = &mut stop => break,
                (accepted, slot) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let (app, stopped) = (app.clone(), stopped.clone());
                        connections.spawn(async move {
                            serve(stream, app, stopped).await;
                            drop(slot);
                        });
                    }
                    Err(error) => {
                        // out of file descriptors: a pause, not a spin
                        tracing::warn!(%error, "Webhook connection not accepted.");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "Webhook connection ended in a fault.");
                    }
                }
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!("Webhook requests cut off after the grace period.");
        }
    }
}

async fn serve(stream: TcpStream, app: Router, mut stopped: tokio::sync::watch::Receiver<bool>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(64 * 1024);
    let builder = builder.http1_only();
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "Webhook connection broke off.");
    }
}

async fn receive<I: Intake>(
    State(webhook): State<Webhook>,
    Extension(intake): Extension<I>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = webhook.take(&intake, &parts, body).await;
    answer.unwrap_or_else(|problem| {
        let shared = &webhook.shared;
        if problem.status != StatusCode::NOT_FOUND && problem.retry_after.is_none() {
            shared.activity.refused(&problem.detail, shared.clock.now());
        }
        problem.into_response()
    })
}

impl Webhook {
    async fn take<I: Intake>(
        &self,
        intake: &I,
        request: &Parts,
        body: Body,
    ) -> Result<Response, Problem> {
        let shared = &*self.shared;
        let headers = &request.headers;
        check_headers(headers, &shared.limits)?;
        if request.uri.path() != shared.path {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "QC4018",
                "Nothing here",
                "no webhook has this path",
            ));
        }
        if request.method != Method::POST {
            return Err(Problem::method_not_allowed("POST"));
        }
        if shared.signer.is_none() && may_be_long(headers, &body, &shared.limits) {
            let mut body = body;
            match begin_body(&mut body, shared.limits.deadline).await? {
                Beginning::All(whole) => self.take_short(intake, headers, whole).await,
                Beginning::Part(begun) => self.take_long(intake, headers, begun, body).await,
            }
        } else {
            let body = read_body(headers, body, &shared.limits).await?;
            self.take_short(intake, headers, body).await
        }
    }

    /// Takes a body that is in memory.
    async fn take_short<I: Intake>(
        &self,
        intake: &I,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, Problem> {
        let shared = &*self.shared;
        if let Some(signer) = &shared.signer {
            let signed = headers
                .get(&shared.signature_header)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|signature| signer.verify(signature, &body));
            if !signed {
                return Err(Problem::unauthenticated(
                    "the signature is missing or does not match the body",
                ));
            }
        }
        let (messages, form) = messages(headers, body, &shared.defaults, &shared.limits)?;
        let count = messages.len();
        let outcomes = if count == 0 {
            Vec::new()
        } else {
            let submitted = intake.submit(messages).await;
            submitted.map_err(|error| self.problem(&error))?
        };
        let published: Vec<Published> = outcomes
            .iter()
            .map(|outcome| Published {
                seq: outcome.seq(),
                duplicate: outcome.is_duplicate(),
            })
            .collect();
        let duplicates = published.iter().filter(|p| p.duplicate).count() as u64;
        shared.activity.duplicates(duplicates);
        shared
            .activity
            .done(count as u64 - duplicates, shared.clock.now());
        Ok(receipts(&published, form, &shared.node))
    }

    /// Takes a body that does not fit into memory.
    async fn take_long<I: Intake>(
        &self,
        intake: &I,
        headers: &HeaderMap,
        begun: Bytes,
        mut body: Body,
    ) -> Result<Response, Problem> {
        let shared = &*self.shared;
        let begin = |envelope| {
            let begun = intake.upload(envelope, shared.limits.body as u64);
            begun.map_err(|error| self.problem(&error))
        };
        let (defaults, limits) = (&shared.defaults, &shared.limits);
        match store_long(headers, begun, &mut body, defaults, limits, begin).await {
            Ok(published) => {
                let again = u64::from(published.duplicate);
                shared.activity.duplicates(again);
                shared.activity.done(1 - again, shared.clock.now());
                Ok(receipts(&[published], Form::One, &shared.node))
            }
            Err(problem) => {
                discard(headers, body).await;
                Err(not_gone(problem))
            }
        }
    }

    fn problem(&self, error: &IntakeError) -> Problem {
        let now = self.shared.clock.now();
        match error {
            IntakeError::NotNow(cause) => {
                let wait = cause.retry_after().unwrap_or_default();
                let activity = &self.shared.activity;
                activity.retrying(&error.to_string(), now, wait);
                not_gone(Problem::from(cause))
            }
            IntakeError::Refused { code, reason } => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                code,
                "The event cannot be accepted",
                reason,
            ),
        }
    }
}

/// To a sender "gone" means the subscription; a new key may be made for the tenant.
fn not_gone(problem: Problem) -> Problem {
    if problem.status != StatusCode::GONE {
        return problem;
    }
    let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "Not taken now");
    Problem::new(status, problem.code, title, problem.detail).retry_after(AGAIN)
}

#[cfg(test)]
mod tests;
