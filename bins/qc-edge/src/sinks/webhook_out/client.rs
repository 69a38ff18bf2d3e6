//! A small HTTP/1.1 client for one URL: one connection, every step bounded, no redirects.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::guard;
use crate::sources::ConnectorError;

/// The most of an answer's body that is read; it is thrown away.
const MAX_ANSWER: usize = 64 * 1024;
/// The largest file of certificates.
const MAX_CA_FILE: u64 = 4 * 1024 * 1024;
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;

/// What matters of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
}

pub(super) struct Client {
    target: Target,
    listed: Vec<IpAddr>,
    timeout: Duration,
    connection: Option<Connection>,
}

/// The parsed URL.
struct Target {
    host: String,
    port: u16,
    authority: HeaderValue,
    path: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; ends with it.
    _driver: JoinSet<()>,
}

impl Client {
    pub(super) fn new(
        url: &str,
        ca_file: &Path,
        listed: Vec<IpAddr>,
        timeout: Duration,
    ) -> Result<Self, ConnectorError> {
        Ok(Self {
            target: Target::parse(url, ca_file)?,
            listed,
            timeout,
            connection: None,
        })
    }

    /// Posts once. A connection that went stale is replaced and the request sent again, which the
    /// receiver can tell by its id.
    pub(super) async fn post(
        &mut self,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Reply, String> {
        let timeout = self.timeout;
        let attempt = tokio::time::timeout(timeout, self.attempt(headers, body));
        if let Ok(result) = attempt.await {
            return result;
        }
        self.connection = None;
        Err(format!("no answer within {} ms", timeout.as_millis()))
    }

    async fn attempt(&mut self, headers: &HeaderMap, body: &Bytes) -> Result<Reply, String> {
        if let Some(mut connection) = self.connection.take()
            && connection.sender.ready().await.is_ok()
            && let Ok(answer) = connection
                .sender
                .send_request(self.target.request(headers, body)?)
                .await
        {
            return Ok(self.finish(connection, answer).await);
        }
        let mut connection = self.connect().await?;
        let request = self.target.request(headers, body)?;
        let answer = connection
            .sender
            .send_request(request)
            .await
            .map_err(|error| format!("the request failed: {error}"))?;
        Ok(self.finish(connection, answer).await)
    }

    /// Reads the rest of the answer, so that the connection can be used again, but not much of it.
    async fn finish(&mut self, connection: Connection, answer: Response<Incoming>) -> Reply {
        let reply = Reply {
            status: answer.status(),
            retry_after: answer
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        };
        let mut body = answer.into_body();
        let mut read = 0;
        loop {
            match body.frame().await {
                None => {
                    self.connection = Some(connection);
                    break;
                }
                Some(Ok(frame)) => {
                    read += frame.data_ref().map_or(0, Bytes::len);
                    if read > MAX_ANSWER {
                        break;
                    }
                }
                Some(Err(_)) => break,
            }
        }
        reply
    }

    async fn connect(&self) -> Result<Connection, String> {
        let target = &self.target;
        let addresses = tokio::net::lookup_host((target.host.as_str(), target.port))
            .await
            .map_err(|error| format!("cannot resolve {}: {error}", target.host))?;
        let mut last = format!("{} has no address", target.host);
        for address in addresses.take(MAX_ADDRESSES) {
            match self.connect_to(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<Connection, String> {
        if !guard::is_allowed(address.ip(), &self.listed) {
            return Err(format!(
                "QC4206 {} is a link-local or metadata address; list it in 'allow' if it is meant",
                address.ip()
            ));
        }
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| format!("{address}: {error}"))?;
        match &self.target.tls {
            None => open(stream).await,
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), stream).await;
                open(tls.map_err(|error| format!("TLS with {address}: {error}"))?).await
            }
        }
    }
}

async fn open<S>(stream: S) -> Result<Connection, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_headers(100)
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("HTTP: {error}"))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "Webhook connection broke off.");
        }
    });
    Ok(Connection {
        sender,
        _driver: driver,
    })
}

impl Target {
    fn parse(url: &str, ca_file: &Path) -> Result<Self, ConnectorError> {
        let bad = |reason: &str| ConnectorError::setting("url", reason);
        let uri: Uri = url.parse().map_err(|_| bad("is not a URL"))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("must not hold a user name or password"));
        }
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return Err(bad("has no host"));
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let tls = if https {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| bad("has no host that a certificate could name"))?;
            Some((connector(ca_file)?, name))
        } else {
            None
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host: host.to_owned(),
            port,
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| bad("is not a URL"))?,
            path: path.parse().map_err(|_| bad("is not a URL"))?,
            tls,
        })
    }

    fn request(&self, headers: &HeaderMap, body: &Bytes) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path.clone())
            .body(Full::new(body.clone()))
            .map_err(|error| error.to_string())?;
        *request.headers_mut() = headers.clone();
        let user_agent = concat!("quick-connect/", env!("CARGO_PKG_VERSION"));
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(user_agent));
        headers.insert(HOST, self.authority.clone());
        Ok(request)
    }
}

/// TLS that trusts the certificates of `ca_file` and nothing else.
fn connector(ca_file: &Path) -> Result<TlsConnector, ConnectorError> {
    let fail = |error| ConnectorError::file("cannot read the CA certificates", ca_file, error);
    let invalid =
        |reason: String| fail(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
    let mut pem = Vec::new();
    File::open(ca_file)
        .and_then(|file| file.take(MAX_CA_FILE).read_to_end(&mut pem))
        .map_err(fail)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        // a system's list may hold one that cannot be an anchor; it is of no use to anybody
        let _skipped = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(invalid("no certificate in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed_strictly() {
        let none = Path::new("/does/not/exist");
        let target = Target::parse("http://[::1]:8080/hook?x=1", none).unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 8080));
        assert_eq!(target.path, "/hook?x=1");
        assert_eq!(Target::parse("http://erp", none).unwrap().path, "/");
        for bad in [
            "",
            "erp/hook",
            "ftp://erp/",
            "http://user:pin@erp/",
            "http:///hook",
            "https://erp/",
            "http://er p/",
        ] {
            assert!(Target::parse(bad, none).is_err(), "{bad}");
        }
    }
}
