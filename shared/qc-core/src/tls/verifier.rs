//! The TLS library's verifier hooks, each a thin wrapper around [`Shown::judge`]. One is made per
//! connection and keeps its verdict, because the library's own error cannot carry it.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, SignatureScheme,
};

use super::Loaded;
use super::shown::{Rules, Shown};
use crate::clock::Clock;
use crate::pki::{CertView, PeerIdentity, PeerRefusal};

/// What was decided about the peer of one connection; empty until its certificate was seen.
#[derive(Debug, Clone, Default)]
pub struct Verdict(Arc<OnceLock<Result<(PeerIdentity, Shown), PeerRefusal>>>);

impl Verdict {
    /// The peer that was let in.
    pub fn identity(&self) -> Option<PeerIdentity> {
        self.admitted().map(|(peer, _)| peer)
    }

    /// The same with what it showed, to be judged again.
    pub fn admitted(&self) -> Option<(PeerIdentity, Shown)> {
        self.0.get()?.as_ref().ok().cloned()
    }

    /// Why the peer was not let in.
    pub fn refusal(&self) -> Option<PeerRefusal> {
        self.0.get()?.as_ref().err().cloned()
    }
}

/// Judges one peer by the credentials of the moment.
pub(super) struct PeerVerifier {
    pub(super) loaded: Arc<Loaded>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Rules,
    /// Whether a peer without a certificate is let in as nobody.
    pub(super) optional: bool,
    /// The roots to name to a server, where that decides what it shows.
    pub(super) hints: Option<Vec<DistinguishedName>>,
    pub(super) verdict: Verdict,
}

impl std::fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerVerifier({:?})", self.rules)
    }
}

impl PeerVerifier {
    fn judge(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        let chain = std::iter::once(leaf).chain(others);
        let chain = chain.map(|cert| cert.clone().into_owned()).collect();
        let (rules, generation) = (self.rules.clone(), self.loaded.generation);
        let shown = Shown::new(chain, rules, self.clock.now(), generation);
        let judged = shown.judge(&self.loaded.trust);
        let judged = judged.map(|peer| (peer, shown));
        let error = judged.as_ref().err().map(to_tls);
        let _only_the_first_counts = self.verdict.0.set(judged);
        error.map_or(Ok(()), Err)
    }
}

/// The alert that tells the peer as much as TLS can say.
fn to_tls(refusal: &PeerRefusal) -> Error {
    Error::InvalidCertificate(match refusal {
        PeerRefusal::NoCertificate => return Error::NoCertificatesPresented,
        PeerRefusal::UnknownCa { .. } => CertificateError::UnknownIssuer,
        PeerRefusal::Expired { .. } => CertificateError::Expired,
        PeerRefusal::NotYetValid { .. } => CertificateError::NotValidYet,
        PeerRefusal::Revoked { .. } => CertificateError::Revoked,
        PeerRefusal::WrongRole { .. } => CertificateError::ApplicationVerificationFailure,
        PeerRefusal::WrongUsage { .. } => CertificateError::InvalidPurpose,
        PeerRefusal::WrongName { .. }
        | PeerRefusal::WrongDomain { .. }
        | PeerRefusal::UnexpectedNode { .. } => CertificateError::NotValidForName,
        PeerRefusal::Malformed { .. } => CertificateError::BadEncoding,
    })
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms
}

const NO_TLS12: Error =
    Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig);

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        !self.optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.hints.as_deref()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// Believes a server only if its chain ends in a certificate of the pinned key: how a node without
/// any trust yet meets the authority that its token names.
struct PinnedVerifier {
    pin: [u8; 32],
    clock: Arc<dyn Clock>,
    matched: Arc<OnceLock<bool>>,
}

impl std::fmt::Debug for PinnedVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinnedVerifier")
    }
}

/// A client configuration that accepts only a server under the root with this key, and says in the
/// second value whether the pin was found at all once a certificate was seen.
pub fn front_client_config_pinned(
    pin: [u8; 32],
    clock: Arc<dyn Clock>,
) -> Result<(ClientConfig, Arc<OnceLock<bool>>), Error> {
    let matched = Arc::new(OnceLock::new());
    let verifier = PinnedVerifier {
        pin,
        clock,
        matched: Arc::clone(&matched),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, matched))
}

/// Looks at a server's certificates and breaks the handshake off: nothing is ever sent to it.
#[derive(Debug)]
struct Peek(Arc<OnceLock<Vec<CertificateDer<'static>>>>);

/// What a peek saw; empty if the server showed nothing.
pub(super) type Seen = Arc<OnceLock<Vec<CertificateDer<'static>>>>;

/// A configuration that can only look.
pub(super) fn peek_config() -> Result<(ClientConfig, Seen), Error> {
    let seen = Seen::default();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Peek(Arc::clone(&seen))))
        .with_no_client_auth();
    Ok((config, seen))
}

impl ServerCertVerifier for Peek {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|cert| cert.clone().into_owned()).collect();
        let _only_the_first_counts = self.0.set(chain);
        Err(Error::General("only looking".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = self.clock.now();
        let pinned = intermediates.iter().find(|cert| {
            CertView::parse(cert).is_ok_and(|view| {
                view.spki_sha256 == self.pin && view.is_ca && now <= view.not_after
            })
        });
        let _only_the_first_counts = self.matched.set(pinned.is_some());
        let root = pinned.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let bad = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
        let anchor = webpki::anchor_from_trusted_cert(root).map_err(bad)?;
        let leaf = webpki::EndEntityCert::try_from(end_entity).map_err(bad)?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis()));
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            intermediates,
            time,
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|error| {
            Error::InvalidCertificate(match error {
                webpki::Error::CertExpired { .. } => CertificateError::Expired,
                webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
                _ => CertificateError::UnknownIssuer,
            })
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}
