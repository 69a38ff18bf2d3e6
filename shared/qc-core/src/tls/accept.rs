//! One port: a connection is a link or HTTP by the protocol its client offers first.

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{ALPN_LINK, Credentials, Shown};
use crate::pki::{PeerIdentity, PeerRefusal};

/// A connection whose handshake is done.
#[derive(Debug)]
pub enum Accepted<S> {
    /// A node's link.
    Link {
        /// The stream.
        stream: Box<TlsStream<S>>,
        /// Who dialled.
        peer: PeerIdentity,
        /// By which certificates.
        shown: Shown,
    },
    /// An HTTP client.
    Http {
        /// The stream.
        stream: Box<TlsStream<S>>,
        /// Who it is, if it showed a certificate.
        peer: Option<PeerIdentity>,
        /// By which certificates.
        shown: Option<Shown>,
    },
}

/// Why a connection was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The handshake was not done in time.
    #[error("the TLS handshake was not done within {0:?}")]
    Deadline(Duration),
    /// We do not let this peer in.
    #[error("{0}")]
    Refused(PeerRefusal),
    /// The peer did not accept us.
    #[error("{0}{hint}", hint = .0.hint_for_servers())]
    RefusedByPeer(super::PeerAlert),
    /// It broke off or did not speak TLS as we do.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

impl AcceptError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Deadline(_) => "QC2030",
            Self::Refused(refusal) => refusal.code(),
            Self::RefusedByPeer(_) => "QC2032",
            Self::Handshake(_) => "QC2031",
        }
    }
}

/// Does the handshake of an incoming connection within `deadline`, with the newest credentials.
pub async fn accept<S>(
    stream: S,
    credentials: &Credentials,
    deadline: Duration,
) -> Result<Accepted<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio::time::timeout(deadline, Box::pin(handshake(stream, credentials)))
        .await
        .unwrap_or(Err(AcceptError::Deadline(deadline)))
}

async fn handshake<S>(stream: S, credentials: &Credentials) -> Result<Accepted<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
        .await
        .map_err(AcceptError::Handshake)?;
    let is_link = start
        .client_hello()
        .alpn()
        .is_some_and(|mut offered| offered.any(|protocol| protocol == ALPN_LINK));
    let config = if is_link {
        credentials.link_server_config()
    } else {
        credentials.front_server_config(start.client_hello().certificate_authorities())
    };
    let (config, verdict) = config.map_err(|e| AcceptError::Handshake(io::Error::other(e)))?;
    let stream = start.into_stream(config).await.map_err(|error| {
        if let Some(refusal) = verdict.refusal() {
            return AcceptError::Refused(refusal);
        }
        if is_missing_certificate(&error) {
            return AcceptError::Refused(PeerRefusal::NoCertificate);
        }
        match super::peer_alert(&error) {
            Some(alert) => AcceptError::RefusedByPeer(alert),
            None => AcceptError::Handshake(error),
        }
    })?;
    let stream = Box::new(stream);
    if !is_link {
        let (peer, shown) = verdict.admitted().unzip();
        return Ok(Accepted::Http {
            stream,
            peer,
            shown,
        });
    }
    let admitted = verdict.admitted();
    let (peer, shown) = admitted.ok_or(AcceptError::Refused(PeerRefusal::NoCertificate))?;
    Ok(Accepted::Link {
        stream,
        peer,
        shown,
    })
}

fn is_missing_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    matches!(inner, Some(rustls::Error::NoCertificatesPresented))
}
