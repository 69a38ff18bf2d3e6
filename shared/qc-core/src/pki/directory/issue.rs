//! Issuing a leaf: the key is bound to its holder, the certificate is judged as a peer would judge
//! it, and the log has it on disk, before anybody gets it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::{DirError, DirLock, PkiDir, file};
use crate::durable;
use crate::model::Timestamp;
use crate::pki::authority::new_serial;
use crate::pki::{
    Authority, CertRequest, CertView, Issuance, Profile, TrustAnchors, Usage, certs_to_pem,
    fingerprint, verify_peer,
};

/// A certificate just issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: CertificateDer<'static>,
    /// Its facts.
    pub view: CertView,
    /// Whether the authority's own end cut its life by more than a tenth.
    pub clipped: bool,
}

impl PkiDir {
    /// Signs a leaf, checks that peers will accept it, and logs it, before anybody gets it. Needs
    /// the lock.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of one issue")]
    pub fn issue(
        &self,
        _lock: &DirLock,
        authority: &Authority,
        what: &Profile,
        request: &CertRequest,
        serial: Option<[u8; 16]>,
        lifetime: Duration,
        cause: &str,
        now: Timestamp,
    ) -> Result<Issued, DirError> {
        let serial = serial.map_or_else(new_serial, Ok)?;
        self.bind_key(what, request)?;
        let cert = authority.issue(what, request, &serial, lifetime, now)?;
        let view = CertView::parse(&cert)?;
        self.self_check(authority, what, &cert, now)?;
        let (name, role) = match what {
            Profile::Node { name, role } => (name.to_string(), Some(role.to_string())),
            Profile::Front { dns } => (dns.join(","), None),
        };
        self.log().append(Issuance {
            prev: String::new(),
            at: now.to_string(),
            ca: authority.name().to_owned(),
            serial: view.serial.clone(),
            profile: what.kind().to_owned(),
            name,
            role,
            not_after: view.not_after.to_string(),
            key: fingerprint(&view.spki_sha256),
            cause: cause.to_owned(),
            cert: certs_to_pem([&cert]),
        })?;
        let clipped = view.not_after.since(now) < lifetime / 10 * 9;
        Ok(Issued {
            cert,
            view,
            clipped,
        })
    }

    /// Whether the key of a request is free, or belongs to the same holder.
    pub fn check_key(&self, what: &Profile, request: &CertRequest) -> Result<(), DirError> {
        let path = self.key_path(request);
        match std::fs::read_to_string(&path) {
            Ok(holder) if holder == what.holder() => Ok(()),
            Ok(holder) => Err(DirError::KeyTaken {
                holder: crate::safe_text::safe(&holder, 260),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file(&path)(error)),
        }
    }

    fn bind_key(&self, what: &Profile, request: &CertRequest) -> Result<(), DirError> {
        let path = self.key_path(request);
        let bound = durable::write_new(&path, what.holder().as_bytes(), 0o644);
        if bound.map_err(file(&path))? {
            Ok(())
        } else {
            self.check_key(what, request)
        }
    }

    fn key_path(&self, request: &CertRequest) -> PathBuf {
        let name = data_encoding::HEXLOWER.encode(request.spki_sha256());
        self.path.join("keys").join(name)
    }

    fn self_check(
        &self,
        authority: &Authority,
        what: &Profile,
        cert: &CertificateDer<'static>,
        now: Timestamp,
    ) -> Result<(), DirError> {
        let Profile::Node { role, .. } = what else {
            return Ok(());
        };
        let mut trust = TrustAnchors::new(self.domain.clone());
        trust
            .add_root(authority.root().clone())
            .map_err(|error| DirError::Broken {
                path: self.path.clone(),
                why: error.to_string(),
            })?;
        let chain: Vec<_> = std::iter::once(cert)
            .chain(authority.chain())
            .cloned()
            .collect();
        verify_peer(&chain, &trust, Usage::Client, &[*role], now)
            .map(drop)
            .map_err(DirError::SelfCheck)
    }
}
