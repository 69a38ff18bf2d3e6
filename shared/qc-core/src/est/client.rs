//! A node's side of enrollment: one connection, the pinned root first, the secret after.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, BASE64_MIME};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::http::FRONT_HEADER;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::pki::{
    CertRequest, CertView, Enrolled, Identity, IdentityError, KeyAndChain, KeyError, PeerIdentity,
    PeerRefusal, Pending, PrivateKey, Role, TokenText, TrustAnchors, TrustError, Usage,
    certs_from_pem, certs_from_pkcs7, verify_peer,
};
use crate::safe_text::safe;
use crate::tls::front_client_config_pinned;

/// The most bytes of an answer: trust with many revocation lists.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Who wants to be enrolled, where, and with what.
#[derive(Debug)]
pub struct EnrollPlan {
    /// `https://host[:port]` of the relay or authority.
    pub url: String,
    /// The token.
    pub token: TokenText,
    /// The state directory that receives `id/` and `trust/`.
    pub state_dir: PathBuf,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// How enrollment ended.
#[derive(Debug)]
pub enum EnrollOutcome {
    /// A certificate was installed.
    Enrolled {
        /// Who this node is now.
        identity: PeerIdentity,
        /// From when its certificate is valid.
        not_before: Timestamp,
        /// Host names of its front door.
        front_dns: Vec<String>,
        /// Where it was installed.
        dir: PathBuf,
    },
    /// This token was redeemed here before; nothing was sent.
    Unchanged,
}

/// Why enrollment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The URL is not usable.
    #[error("'{url}' is not of the form https://host[:port]")]
    BadUrl {
        /// The URL, made safe.
        url: String,
    },
    /// No connection.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{host} did not answer in time")]
    Deadline {
        /// Host and port.
        host: String,
    },
    /// The server does not stand under the root that the token names.
    #[error("{host} does not stand under the root that the token names; the secret was not sent")]
    WrongPin {
        /// Host and port.
        host: String,
    },
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake with {host} failed; the secret was not sent")]
    Tls {
        /// Host and port.
        host: String,
        /// What the library said.
        #[source]
        source: std::io::Error,
    },
    /// HTTP failed.
    #[error("the conversation with {host} broke off")]
    Http {
        /// Host and port.
        host: String,
        /// What the library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server said no.
    #[error("the authority refused: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its code, made safe.
        code: String,
        /// Its reason, made safe.
        detail: String,
    },
    /// The server's answer is not usable.
    #[error("the answer is not usable: {0}")]
    BadAnswer(String),
    /// What came would not be accepted by peers.
    #[error("the certificate that came is not acceptable")]
    NotAcceptable(#[source] PeerRefusal),
    /// The trust that came is not usable here.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The identity could not be installed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The TLS library does not work.
    #[error("the TLS library does not work")]
    Library(#[from] rustls::Error),
}

/// Enrolls this node. The keys are on disk before anything is sent, so running it again after a lost
/// answer gets the same certificate.
pub async fn enroll(
    plan: &EnrollPlan,
    clock: Arc<dyn Clock>,
) -> Result<EnrollOutcome, EnrollError> {
    let cause = format!("token {}", plan.token.id);
    if Enrolled::load(&plan.state_dir).is_some_and(|enrolled| enrolled.0 == cause) {
        return Ok(EnrollOutcome::Unchanged);
    }
    let (host, port) = parse_url(&plan.url)?;
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let key = Pending::key(&plan.state_dir, "key")?;
    let talk = Box::pin(talk(plan, &host, port, &authority, key, clock, &cause));
    let timeout = tokio::time::timeout(plan.deadline, talk);
    timeout
        .await
        .unwrap_or(Err(EnrollError::Deadline { host: authority }))
}

async fn talk(
    plan: &EnrollPlan,
    host: &str,
    port: u16,
    authority: &str,
    key: PrivateKey,
    clock: Arc<dyn Clock>,
    cause: &str,
) -> Result<EnrollOutcome, EnrollError> {
    let unreachable = |source| EnrollError::Unreachable {
        host: authority.to_owned(),
        source,
    };
    let stream = connect(host, port).await.map_err(unreachable)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| EnrollError::BadUrl {
        url: safe(&plan.url, 200),
    })?;
    let (config, pin_found) = front_client_config_pinned(plan.token.pin, Arc::clone(&clock))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = stream.await.map_err(|source| match pin_found.get() {
        Some(false) => EnrollError::WrongPin {
            host: authority.to_owned(),
        },
        _ => EnrollError::Tls {
            host: authority.to_owned(),
            source,
        },
    })?;
    let http = |source: hyper::Error| EnrollError::Http {
        host: authority.to_owned(),
        source: source.into(),
    };
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let mut exchange = Exchange {
        sender,
        authority: authority.to_owned(),
        basic: BASE64
            .encode(format!("{}:{}", plan.token.id, plan.token.secret.expose()).as_bytes()),
    };
    let work = enroll_over(plan, &mut exchange, key, clock.as_ref(), cause);
    tokio::pin!(work);
    tokio::pin!(connection);
    tokio::select! {
        done = &mut work => done,
        ended = &mut connection => match ended {
            Err(error) => Err(http(error)),
            Ok(()) => work.await,
        },
    }
}

async fn enroll_over(
    plan: &EnrollPlan,
    exchange: &mut Exchange,
    key: PrivateKey,
    clock: &dyn Clock,
    cause: &str,
) -> Result<EnrollOutcome, EnrollError> {
    let (leaf, front_dns) = exchange.simple_enroll("simpleenroll", &key).await?;
    let front = if front_dns.is_empty() {
        None
    } else {
        let key = Pending::key(&plan.state_dir, "front-key")?;
        let (leaf, _) = exchange.simple_enroll("front/simpleenroll", &key).await?;
        Some((key, leaf))
    };
    let offered = exchange.trust().await?;
    let mut roots = offered.root_views();
    if !roots.any(|root| root.spki_sha256 == plan.token.pin) {
        return Err(bad("the pinned root is not among the roots"));
    }
    drop(roots);
    let trust_dir = plan.state_dir.join("trust");
    let trust = merged(&trust_dir, offered)?;
    let chain_of = |leaf: CertificateDer<'static>| -> Result<_, EnrollError> {
        let view = CertView::parse(&leaf).map_err(|e| bad(&e.to_string()))?;
        Ok(std::iter::once(leaf)
            .chain(trust.chain_above(&view))
            .collect::<Vec<_>>())
    };
    let node = KeyAndChain::new(key, chain_of(leaf)?)?;
    let judged = verify_peer(&node.chain, &trust, Usage::Client, &Role::ALL, clock.now());
    let identity = judged.map_err(EnrollError::NotAcceptable)?;
    let front = front
        .map(|(key, leaf)| Ok::<_, EnrollError>(KeyAndChain::new(key, chain_of(leaf)?)?))
        .transpose()?;
    let not_before = node.view.not_before;
    trust.save(&trust_dir)?;
    let dir = Identity { node, front }.install(&plan.state_dir, cause)?;
    Ok(EnrollOutcome::Enrolled {
        identity,
        not_before,
        front_dns,
        dir,
    })
}

/// What is trusted already stays; nothing older replaces it.
fn merged(dir: &Path, offered: TrustAnchors) -> Result<TrustAnchors, TrustError> {
    if !dir.join("domain").exists() {
        return Ok(offered);
    }
    let mut trust = TrustAnchors::load(dir)?;
    trust.merge(&offered)?;
    Ok(trust)
}

fn parse_url(url: &str) -> Result<(String, u16), EnrollError> {
    let bad = || EnrollError::BadUrl {
        url: safe(url, 200),
    };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme_str() != Some("https") || !matches!(uri.path(), "" | "/") {
        return Err(bad());
    }
    let host = uri.host().ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    if let Ok(address) = host.parse() {
        return TcpStream::connect(SocketAddr::new(address, port)).await;
    }
    TcpStream::connect((host, port)).await
}

fn bad(why: &str) -> EnrollError {
    EnrollError::BadAnswer(safe(why, 200))
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize)]
struct TrustAnswer {
    trust_domain: String,
    roots: Vec<String>,
    cas: Vec<String>,
    crls: Vec<String>,
}

/// Requests over the one connection.
struct Exchange {
    sender: http1::SendRequest<Full<Bytes>>,
    authority: String,
    basic: String,
}

impl Exchange {
    async fn simple_enroll(
        &mut self,
        path: &str,
        key: &PrivateKey,
    ) -> Result<(CertificateDer<'static>, Vec<String>), EnrollError> {
        let csr = CertRequest::create(key)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/.well-known/est/{path}"))
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, format!("Basic {}", self.basic))
            .header(CONTENT_TYPE, "application/pkcs10")
            .body(Full::new(Bytes::from(BASE64_MIME.encode(&csr))));
        let (answer, body) = self.ask(request).await?;
        let names = answer
            .headers()
            .get(FRONT_HEADER)
            .and_then(|v| v.to_str().ok());
        let names = names
            .unwrap_or_default()
            .split(',')
            .filter(|n| !n.is_empty());
        let names = names.map(|name| safe(name, 260)).collect();
        let base64: Vec<u8> = body
            .into_iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let pkcs7 = BASE64
            .decode(&base64)
            .map_err(|_| bad("it is not base64"))?;
        let certs = certs_from_pkcs7(&pkcs7).ok_or_else(|| bad("it is not PKCS#7 certs-only"))?;
        let ours = certs.into_iter().find(|cert| {
            CertView::parse(cert).is_ok_and(|view| view.spki_sha256 == key.spki_sha256())
        });
        let ours = ours.ok_or_else(|| bad("it holds no certificate for our key"))?;
        Ok((ours, names))
    }

    async fn trust(&mut self) -> Result<TrustAnchors, EnrollError> {
        let request = Request::builder()
            .uri("/qc/v1/trust")
            .header(HOST, &self.authority)
            .body(Full::new(Bytes::new()));
        let (_, body) = self.ask(request).await?;
        let answer: TrustAnswer = serde_json::from_slice(&body).map_err(|e| bad(&e.to_string()))?;
        let domain = answer.trust_domain.parse();
        let mut trust = TrustAnchors::new(domain.map_err(|_| bad("its trust domain"))?);
        let certs = |pem: &String| certs_from_pem(pem.as_bytes()).map_err(|e| bad(&e.to_string()));
        for pem in &answer.roots {
            certs(pem)?
                .into_iter()
                .try_for_each(|c| trust.add_root(c))?;
        }
        for pem in &answer.cas {
            certs(pem)?.into_iter().try_for_each(|c| trust.add_ca(c))?;
        }
        for crl in &answer.crls {
            let der = BASE64.decode(crl.as_bytes());
            trust.add_crl(der.map_err(|_| bad("a revocation list is not base64"))?)?;
        }
        Ok(trust)
    }

    async fn ask(
        &mut self,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<(Response<()>, Bytes), EnrollError> {
        let host = self.authority.clone();
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| EnrollError::Http {
            host: host.clone(),
            source,
        };
        let request = request.map_err(|e| broken(e.into()))?;
        let answer: Response<Incoming> = self
            .sender
            .send_request(request)
            .await
            .map_err(|e| broken(e.into()))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(broken)?.to_bytes();
        if head.status.is_success() {
            return Ok((Response::from_parts(head, ()), body));
        }
        let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            code: String::new(),
            detail: head.status.to_string(),
        });
        Err(EnrollError::Refused {
            status: head.status.as_u16(),
            code: safe(&problem.code, 20),
            detail: safe(&problem.detail, 300),
        })
    }
}
