//! What an enrollment server does with a request, apart from HTTP. Every call blocks on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::limit::Guesses;
use crate::clock::Clock;
use crate::model::NameError;
use crate::pki::{
    Authority, AuthorityError, CertRequest, CrlView, CsrRefusal, DirError, Issued, KeyAndChain,
    LEAF_LIFETIME, PeerIdentity, PkiDir, PrivateKey, Profile, Redeemed, Role, TokenError,
    TokenRecord, TrustAnchors, UnknownRole, certs_from_pem, certs_to_pem,
};
use crate::secret::Secret;

/// Why a request is not granted.
#[derive(Debug, thiserror::Error)]
pub enum EstRefusal {
    /// The request itself.
    #[error(transparent)]
    Csr(#[from] CsrRefusal),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No credentials came with it.
    #[error("credentials are missing: HTTP Basic with the token's id and secret")]
    NoCredentials,
    /// Renewal without a client certificate.
    #[error("renewal needs the current certificate as client certificate")]
    NoPeer,
    /// Renewal with a revoked certificate.
    #[error("the certificate {serial} is revoked")]
    Revoked {
        /// Its serial.
        serial: String,
    },
    /// The key is an authority's.
    #[error("this key belongs to an authority")]
    CaKey,
    /// The key was certified for somebody else before.
    #[error(transparent)]
    KeyTaken(DirError),
    /// Too many wrong guesses.
    #[error("too many wrong tokens; try again later")]
    TooMany,
    /// The authority may not issue this.
    #[error(transparent)]
    Bounds(AuthorityError),
    /// The server failed; the reason is for its own log.
    #[error("the authority could not do its work")]
    Server(#[source] DirError),
}

impl EstRefusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Csr(CsrRefusal::TooLong) => 413,
            Self::Csr(_) | Self::CaKey => 400,
            Self::KeyTaken(_) => 409,
            Self::NoCredentials | Self::Token(TokenError::Unknown) => 401,
            Self::Token(TokenError::Replayed { .. } | TokenError::Frozen { .. }) => 409,
            Self::Token(TokenError::NoFront { .. }) => 404,
            Self::Token(TokenError::Crypto | TokenError::File { .. }) | Self::Server(_) => 500,
            Self::Token(_) | Self::NoPeer | Self::Revoked { .. } | Self::Bounds(_) => 403,
            Self::TooMany => 429,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Csr(_) => "QC2110",
            Self::CaKey => "QC2111",
            Self::NoCredentials => "QC2112",
            Self::NoPeer => "QC2113",
            Self::Revoked { .. } => "QC2114",
            Self::KeyTaken(_) => "QC2118",
            Self::TooMany => "QC2115",
            Self::Bounds(_) => "QC2116",
            Self::Server(_) => "QC2117",
            Self::Token(error) => error.code(),
        }
    }
}

/// An authority at work for nodes that come over the network.
pub struct EstService {
    dir: PkiDir,
    authority: Authority,
    clock: Arc<dyn Clock>,
    guesses: Guesses,
}

impl std::fmt::Debug for EstService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EstService({})", self.authority.name())
    }
}

impl EstService {
    /// Opens the CA `ca` of an authority's directory.
    pub fn open(
        pki_dir: &Path,
        ca: &str,
        passphrase: Option<&Secret<String>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, DirError> {
        let dir = PkiDir::open(pki_dir)?;
        let authority = dir.unlock(ca, passphrase)?;
        let guesses = Guesses::new(clock.instant());
        Ok(Arc::new(Self {
            dir,
            authority,
            clock,
            guesses,
        }))
    }

    /// The authority that signs.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What nodes should trust.
    pub fn trust(&self) -> Result<TrustAnchors, DirError> {
        self.dir.trust()
    }

    /// The CAs of `cacerts`: this authority and those above it.
    pub fn ca_certs(&self) -> Vec<CertificateDer<'static>> {
        self.authority.chain().cloned().collect()
    }

    /// The revocation list of a CA in DER; `None` if there is no such CA.
    pub fn crl(&self, ca: &str) -> Result<Option<Vec<u8>>, DirError> {
        match self.dir.ca(ca) {
            Ok(files) => Ok(Some(files.crl)),
            Err(DirError::NoSuchCa { .. } | DirError::BadName { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Signs this CA's revocation list again when the one on disk is older than a day.
    pub fn refresh_crl(&self) -> Result<bool, DirError> {
        let now = self.clock.now();
        let crl = self.dir.ca(self.authority.name())?.crl;
        let fresh = CrlView::parse(&crl)
            .is_ok_and(|crl| now.since(crl.this_update) < Duration::from_hours(24));
        if fresh {
            return Ok(false);
        }
        let lock = self.dir.lock()?;
        self.dir.resign_crl(&lock, &self.authority, &[], now)?;
        Ok(true)
    }

    /// The life of the certificates it signs.
    pub fn lifetime(&self) -> Duration {
        LEAF_LIFETIME
    }

    /// Signs a fresh front certificate for a server of its own, with the whole chain.
    pub fn own_front(&self, dns: Vec<String>) -> Result<KeyAndChain, DirError> {
        let key = PrivateKey::new_p256()?;
        let request = CertRequest::create(&key).map(|csr| CertRequest::parse(&csr));
        let broken = |why: String| DirError::Broken {
            path: self.dir.path().to_owned(),
            why,
        };
        let request = request?.map_err(|e| broken(e.to_string()))?;
        let issued = self.issue(&Profile::Front { dns }, &request, None, "serve")?;
        let mut chain = vec![issued.cert];
        chain.extend(self.ca_certs());
        KeyAndChain::new(key, chain).map_err(|e| broken(e.to_string()))
    }

    /// Redeems a token for the key of a request; gives the certificate and the token's record.
    pub fn enroll(
        &self,
        id: &str,
        secret: &str,
        csr: &[u8],
        front: bool,
    ) -> Result<(CertificateDer<'static>, TokenRecord), EstRefusal> {
        let request = parse_request(csr)?;
        self.refuse_ca_keys(&request)?;
        let (tokens, now) = (self.dir.tokens(), self.clock.now());
        // everything that can be wrong is found before the token is bound to a key
        let record = match tokens.check(id, secret, now) {
            Err(TokenError::Unknown) if !self.guesses.count(self.clock.instant()) => {
                return Err(EstRefusal::TooMany);
            }
            checked => checked?,
        };
        let what = profile_of(&record, front).map_err(EstRefusal::Server)?;
        if !(front && record.front_dns.is_empty()) {
            self.authority.check(&what).map_err(EstRefusal::Bounds)?;
        }
        self.dir.check_key(&what, &request).map_err(server)?;
        let lock = self.dir.lock().map_err(server)?;
        let (redeemed, record) = tokens.redeem(&lock, id, secret, front, &request, now)?;
        let serial = match redeemed {
            Redeemed::Again { cert } => {
                let certs = certs_from_pem(cert.as_bytes()).map_err(|e| server(e.into()))?;
                let cert = certs.into_iter().next().ok_or(TokenError::Crypto)?;
                return Ok((cert, record));
            }
            Redeemed::Sign { serial } => serial,
        };
        let cause = format!("token {id}");
        let issued = self
            .dir
            .issue(
                &lock,
                &self.authority,
                &what,
                &request,
                Some(serial),
                LEAF_LIFETIME,
                &cause,
                now,
            )
            .map_err(server)?;
        let pem = certs_to_pem([&issued.cert]);
        tokens.keep_cert(&lock, record.clone(), front, &pem)?;
        Ok((issued.cert, record))
    }

    /// Signs a new certificate for a node that shows its current one: same name, same role.
    pub fn renew(
        &self,
        peer: &PeerIdentity,
        csr: &[u8],
    ) -> Result<CertificateDer<'static>, EstRefusal> {
        let request = parse_request(csr)?;
        self.refuse_ca_keys(&request)?;
        let ca = self.authority.name();
        if self.dir.is_revoked(ca, &peer.serial).map_err(server)? {
            return Err(EstRefusal::Revoked {
                serial: peer.serial.clone(),
            });
        }
        let what = Profile::Node {
            name: peer.name.clone(),
            role: peer.role,
        };
        self.authority.check(&what).map_err(EstRefusal::Bounds)?;
        self.dir.check_key(&what, &request).map_err(server)?;
        let issued = self.issue(&what, &request, None, "renewal");
        issued.map(|issued| issued.cert).map_err(server)
    }

    fn issue(
        &self,
        what: &Profile,
        request: &CertRequest,
        serial: Option<[u8; 16]>,
        cause: &str,
    ) -> Result<Issued, DirError> {
        let lock = self.dir.lock()?;
        let now = self.clock.now();
        let ca = &self.authority;
        self.dir
            .issue(&lock, ca, what, request, serial, LEAF_LIFETIME, cause, now)
    }

    fn refuse_ca_keys(&self, request: &CertRequest) -> Result<(), EstRefusal> {
        let trust = self.dir.trust().map_err(server)?;
        let mut keys = trust.root_views().chain(trust.ca_views());
        if keys.any(|ca| ca.spki_sha256 == *request.spki_sha256()) {
            return Err(EstRefusal::CaKey);
        }
        Ok(())
    }
}

fn server(error: DirError) -> EstRefusal {
    match error {
        taken @ DirError::KeyTaken { .. } => EstRefusal::KeyTaken(taken),
        error => EstRefusal::Server(error),
    }
}

/// DER, or PEM for people who forgot `-outform DER`.
fn parse_request(csr: &[u8]) -> Result<CertRequest, CsrRefusal> {
    if csr.starts_with(b"-----BEGIN") {
        CertRequest::parse_pem(csr)
    } else {
        CertRequest::parse(csr)
    }
}

fn profile_of(record: &TokenRecord, front: bool) -> Result<Profile, DirError> {
    let broken = |why: String| DirError::Broken {
        path: format!("tokens/{}.json", record.id).into(),
        why,
    };
    if front {
        return Ok(Profile::Front {
            dns: record.front_dns.clone(),
        });
    }
    let name = record.node.parse();
    let role: Result<Role, UnknownRole> = record.role.parse();
    Ok(Profile::Node {
        name: name.map_err(|e: NameError| broken(e.to_string()))?,
        role: role.map_err(|e| broken(e.to_string()))?,
    })
}
