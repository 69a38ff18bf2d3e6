//! Dialling, and the reasons for which the other side may close.
//!
//! In TLS 1.3 the client is done before the server has judged its certificate: a refusal arrives as
//! an alert on the first read. [`peer_alert`] gives that alert its name, in the handshake or after.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Shown;
use super::verifier::{Verdict, peek_config};
use crate::pki::{PeerIdentity, PeerRefusal};

/// A connection to a node that was judged.
#[derive(Debug)]
pub struct Connected<S> {
    /// The stream.
    pub stream: Box<TlsStream<S>>,
    /// Who answered.
    pub peer: PeerIdentity,
    /// By which certificates.
    pub shown: Shown,
}

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The handshake was not done in time.
    #[error("the TLS handshake was not done within {0:?}")]
    Deadline(Duration),
    /// We do not accept who answered.
    #[error("{0}")]
    Refused(PeerRefusal),
    /// Who answered does not accept us.
    #[error("{0}")]
    RefusedByPeer(PeerAlert),
    /// The host is no name or address.
    #[error("'{0}' is neither a host name nor an address")]
    BadHost(String),
    /// It broke off or did not speak TLS as we do.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

impl ConnectError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Deadline(_) => "QC2030",
            Self::Refused(refusal) => refusal.code(),
            Self::RefusedByPeer(_) => "QC2032",
            Self::BadHost(_) => "QC2033",
            Self::Handshake(_) => "QC2031",
        }
    }
}

/// Does the handshake of an outgoing connection within `deadline`. `host` is only for proxies on the
/// way that route by name; who answered is decided by the certificate.
pub async fn connect<S>(
    stream: S,
    host: &str,
    (config, verdict): (Arc<ClientConfig>, Verdict),
    deadline: Duration,
) -> Result<Connected<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::BadHost(crate::safe_text::safe(host, 80)))?;
    let handshake = TlsConnector::from(config).connect(name, stream);
    let stream = match tokio::time::timeout(deadline, handshake).await {
        Err(_) => return Err(ConnectError::Deadline(deadline)),
        Ok(Err(error)) => {
            return Err(if let Some(refusal) = verdict.refusal() {
                ConnectError::Refused(refusal)
            } else if let Some(alert) = peer_alert(&error) {
                ConnectError::RefusedByPeer(alert)
            } else {
                ConnectError::Handshake(error)
            });
        }
        Ok(Ok(stream)) => Box::new(stream),
    };
    let admitted = verdict.admitted();
    let (peer, shown) = admitted.ok_or(ConnectError::Refused(PeerRefusal::NoCertificate))?;
    Ok(Connected {
        stream,
        peer,
        shown,
    })
}

/// The certificates that a TLS server shows, the leaf first. They are looked at, not believed, and
/// the handshake is broken off.
pub async fn peek<S>(stream: S, host: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::BadHost(crate::safe_text::safe(host, 80)))?;
    let failed = |e: rustls::Error| ConnectError::Handshake(io::Error::other(e));
    let (config, seen) = peek_config().map_err(failed)?;
    let broken_off = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    match (seen.get(), broken_off) {
        (Some(chain), _) => Ok(chain.clone()),
        (None, Err(error)) => Err(ConnectError::Handshake(error)),
        (None, Ok(_)) => Err(ConnectError::Refused(PeerRefusal::NoCertificate)),
    }
}

/// The other side closed with this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAlert(AlertDescription);

impl PeerAlert {
    /// What a server has to add: only one whose role can be the reason gets a next step.
    pub(super) fn hint_for_servers(self) -> &'static str {
        if self.0 == AlertDescription::AccessDenied {
            "; a relay takes as its parent only a relay-parent: \
             qc-pki token new NODE --role relay-parent for this one"
        } else {
            ""
        }
    }
}

impl fmt::Display for PeerAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer refused us: ")?;
        f.write_str(match self.0 {
            AlertDescription::CertificateRevoked => "our certificate is revoked",
            AlertDescription::CertificateExpired => {
                "our certificate has expired or is not valid yet by its clock"
            }
            AlertDescription::UnknownCA => "it does not know the CA of our certificate",
            AlertDescription::AccessDenied => "our role is not admitted there",
            AlertDescription::UnsupportedCertificate => {
                "our certificate is not for this side of a connection"
            }
            AlertDescription::BadCertificate => "the name in our certificate is not acceptable",
            AlertDescription::CertificateRequired => "it wants a certificate from us",
            AlertDescription::DecodeError | AlertDescription::DecryptError => {
                "it could not read or verify our certificate"
            }
            AlertDescription::NoApplicationProtocol => "it does not speak our protocol",
            AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
            AlertDescription::HandshakeFailure => "no TLS parameters in common",
            other => return write!(f, "TLS alert {other:?}"),
        })
    }
}

/// The alert in an error of a TLS stream, in the handshake or on a later read or write, by which the peer
/// refuses us. That it could not make sense of what arrived is none: a line that changes bytes says
/// nothing of who we are, and is to be tried again soon.
pub fn peer_alert(error: &io::Error) -> Option<PeerAlert> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) if !is_of_the_line(*alert) => Some(PeerAlert(*alert)),
        _ => None,
    }
}

fn is_of_the_line(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadRecordMac
            | AlertDescription::RecordOverflow
            | AlertDescription::UnexpectedMessage
            | AlertDescription::IllegalParameter
            | AlertDescription::InternalError
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_changes_bytes_is_no_refusal() {
        let alert = |alert| peer_alert(&io::Error::other(rustls::Error::AlertReceived(alert)));
        for of_the_line in [
            AlertDescription::BadRecordMac,
            AlertDescription::RecordOverflow,
            AlertDescription::UnexpectedMessage,
            AlertDescription::IllegalParameter,
        ] {
            assert_eq!(alert(of_the_line), None, "{of_the_line:?}");
        }
        for refusal in [
            AlertDescription::CertificateRevoked,
            AlertDescription::UnknownCA,
            AlertDescription::DecodeError,
        ] {
            assert_eq!(alert(refusal), Some(PeerAlert(refusal)), "{refusal:?}");
        }
    }
}
