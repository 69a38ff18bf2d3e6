//! Asking a local daemon, with every way it can fail told apart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::problem::failure_from;
use super::{LongBody, MAX_ANSWER};
use crate::cloudevents;
use crate::failure::{Exit, Failure};
use crate::model::{Envelope, NodeName};
use crate::safe_text::safe;

/// A client of one daemon's socket. Each request is a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    /// The daemon's program, which is also the name of its unit.
    daemon: &'static str,
    socket: PathBuf,
    timeout: Duration,
    /// What stands before every path.
    prefix: String,
}

/// Lines of an answer that comes bit by bit; see [`Client::get_lines`].
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
    ended: bool,
    _connection: JoinSet<()>,
}

impl Client {
    /// A client of `daemon`, such as `qc-relay`, at `socket`, that waits at most `timeout` for an answer.
    pub fn new(daemon: &'static str, socket: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self {
            daemon,
            socket: socket.into(),
            timeout,
            prefix: String::new(),
        }
    }

    /// The same for `node`, which is asked through the relay behind the socket.
    #[must_use]
    pub fn of_node(self, node: &NodeName) -> Self {
        let prefix = format!("/v1/nodes/{node}");
        Self { prefix, ..self }
    }

    /// Whether another node is asked through the relay behind the socket: what it is asked has to fit into
    /// memory.
    pub fn is_remote(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// The socket that this client connects to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Gets `path` as JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let body = self.whole(Method::GET, path, None).await?;
        self.parse(path, &body)
    }

    /// Gets `path` as text.
    pub async fn get_text(&self, path: &str) -> Result<String, Failure> {
        let body = self.whole(Method::GET, path, None).await?;
        String::from_utf8(body.into()).map_err(|error| self.nonsense(path).because(&error))
    }

    /// Posts `request` as JSON to `path`; the answer is JSON, too (an empty one reads as `null`).
    pub async fn post_json<Q: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        request: &Q,
    ) -> Result<T, Failure> {
        let request = serde_json::to_vec(request).map_err(|error| {
            Failure::new(Exit::Bug, "QC0001", "cannot write JSON").because(&error)
        })?;
        let body = self.whole(Method::POST, path, Some(request.into())).await?;
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        self.parse(path, body)
    }

    /// Posts `body`, which is JSON already, to `path`.
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let body = self.whole(Method::POST, path, Some(body)).await?;
        self.parse(path, &body)
    }

    /// Posts a message whose body may be long to `path`, its attributes in headers. Waits as long as the
    /// body comes, however slowly; the timeout holds for a daemon that takes nothing more of it.
    pub async fn post_long<T: DeserializeOwned>(
        &self,
        path: &str,
        envelope: &Envelope,
        body: LongBody,
    ) -> Result<T, Failure> {
        let mut request = self.request(Method::POST, path);
        for (name, value) in cloudevents::encode_headers(envelope) {
            request = request.header(&*name, value);
        }
        let progress = body.progress();
        let request = request.body(body).map_err(|error| {
            Failure::new(Exit::Usage, "QC4002", "an attribute cannot be a header").because(&error)
        })?;
        let exchange = async {
            let (response, _connection) = self.exchange(path, request).await?;
            let status = response.status();
            let body = self.collect(path, response).await?;
            Ok::<_, Failure>((status, body))
        };
        let mut exchange = std::pin::pin!(exchange);
        loop {
            let before = progress.bytes.load(Ordering::Relaxed);
            let answer = self.in_time(path, exchange.as_mut()).await;
            let is_moving = progress.bytes.load(Ordering::Relaxed) > before
                || progress.is_starved.load(Ordering::Relaxed);
            match answer {
                Err(_) if is_moving => {}
                Err(silent) => return Err(silent),
                Ok(answer) => match answer? {
                    (status, body) if status.is_success() => return self.parse(path, &body),
                    (status, body) => return Err(failure_from(status, &body)),
                },
            }
        }
    }

    /// Gets `path` line by line, for as long as the daemon sends; the timeout holds for the start of
    /// the answer only.
    pub async fn get_lines(&self, path: &str) -> Result<Lines, Failure> {
        let (response, connection) = self
            .in_time(path, self.send(Method::GET, path, None))
            .await??;
        let status = response.status();
        if !status.is_success() {
            let body = self.in_time(path, self.collect(path, response)).await??;
            return Err(failure_from(status, &body));
        }
        Ok(Lines {
            body: response.into_body(),
            buffer: BytesMut::new(),
            ended: false,
            _connection: connection,
        })
    }

    async fn whole(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Bytes, Failure> {
        let exchange = async {
            let (response, _connection) = self.send(method, path, body).await?;
            let status = response.status();
            let body = self.collect(path, response).await?;
            Ok::<_, Failure>((status, body))
        };
        match self.in_time(path, exchange).await?? {
            (status, body) if status.is_success() => Ok(body),
            (status, body) => Err(failure_from(status, &body)),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<(Response<Incoming>, JoinSet<()>), Failure> {
        let mut request = self.request(method, path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| {
                let message = format!("'{}' is not a path of the API", safe(path, 200));
                Failure::new(Exit::Bug, "QC0604", message).because(&error)
            })?;
        self.exchange(path, request).await
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, "localhost")
    }

    async fn exchange<B>(
        &self,
        path: &str,
        request: Request<B>,
    ) -> Result<(Response<Incoming>, JoinSet<()>), Failure>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let broken = |error: hyper::Error| self.nonsense(path).because(&error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut driver = JoinSet::new(); // ends with the answer's owner
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "The admin connection ended early.");
            }
        });
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((response, driver))
    }

    async fn collect(&self, path: &str, response: Response<Incoming>) -> Result<Bytes, Failure> {
        match Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
        {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(self.nonsense(path).because(&*error)),
        }
    }

    async fn in_time<T>(&self, path: &str, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::time::timeout(self.timeout, work).await.map_err(|_| {
            let message = format!(
                "{} did not answer {} within {} ms",
                self.daemon,
                safe(path, 200),
                self.timeout.as_millis()
            );
            Failure::new(Exit::Unreachable, "QC0602", message)
                .help(format!("journalctl -u {} -n 50", self.daemon))
        })
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| self.nonsense(path).because(&error))
    }

    fn nonsense(&self, path: &str) -> Failure {
        let message = format!(
            "{} gave no valid answer to {}",
            self.daemon,
            safe(path, 200)
        );
        Failure::new(Exit::Unreachable, "QC0604", message)
            .help("compare the versions of the command and the daemon")
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let daemon = self.daemon;
        let socket = safe(&self.socket.display().to_string(), 200);
        match error.kind() {
            io::ErrorKind::NotFound => Failure::new(
                Exit::Unreachable,
                "QC0601",
                format!("{daemon} is not running: there is no socket at {socket}"),
            )
            .help(format!("systemctl status {daemon}")),
            io::ErrorKind::ConnectionRefused => Failure::new(
                Exit::Unreachable,
                "QC0601",
                format!("{daemon} is not running: nobody answers at {socket}"),
            )
            .help(format!("systemctl status {daemon}")),
            io::ErrorKind::PermissionDenied => Failure::new(
                Exit::Refused,
                "QC0603",
                format!("you may not use the admin socket {socket}"),
            )
            .help(format!("ls -l {socket}"))
            .help("become a member of its group, or run this as root"),
            _ => Failure::new(
                Exit::Unreachable,
                "QC0601",
                format!("cannot connect to {socket}"),
            )
            .because(error)
            .help(format!("systemctl status {daemon}")),
        }
    }
}

impl Lines {
    /// The next line without its end, `None` after the last. A line over [`MAX_ANSWER`] bytes is an
    /// error. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut searched = 0;
        loop {
            let found = self.buffer.get(searched..).and_then(|new| {
                let at = new.iter().position(|byte| *byte == b'\n');
                at.map(|at| searched + at)
            });
            if let Some(end) = found {
                let line = self.buffer.split_to(end + 1);
                return text(line.get(..end).unwrap_or_default()).map(Some);
            }
            if self.ended {
                let rest = self.buffer.split();
                return if rest.is_empty() {
                    Ok(None)
                } else {
                    text(&rest).map(Some)
                };
            }
            searched = self.buffer.len();
            if searched > MAX_ANSWER {
                return Err(broken("a line of the answer is too long"));
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    return Err(broken("the daemon ended the answer early").because(&error));
                }
            }
        }
    }
}

fn text(line: &[u8]) -> Result<String, Failure> {
    match std::str::from_utf8(line) {
        Ok(line) => Ok(line.to_owned()),
        Err(error) => Err(broken("the answer is not UTF-8").because(&error)),
    }
}

fn broken(message: &str) -> Failure {
    Failure::new(Exit::Unreachable, "QC0604", message)
}
