//! What a node trusts, as files in one directory:
//!
//! ```text
//! domain        the trust domain, one line
//! roots.pem     the roots
//! cas.pem       CAs below them that are known (peers send theirs, too)
//! crl/*.der     revocation lists, one per CA
//! ```
//!
//! Stock verifiers neither look at a root's end nor at a list's number, so both are judged here: an
//! expired root is not used, and of two lists of one CA the higher number wins, in whatever order
//! they come.

use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::certificate::{CertError, CertView, certs_from_pem, certs_to_pem};
use super::crl::{self, CrlError, CrlView, MAX_CRL};
use crate::durable;
use crate::model::{NameError, Timestamp, TrustDomain};

/// The most revocation lists that a trust directory may hold.
pub const MAX_CRLS: usize = 1024;

/// Why trust could not be loaded or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be used.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no root at all, with which nobody would be believed.
    #[error("{path} holds no root")]
    NoRoot {
        /// The file.
        path: PathBuf,
    },
    /// The domain file holds no domain.
    #[error("{path} holds no trust domain")]
    Domain {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// A certificate does not parse.
    #[error("{path} holds a broken certificate")]
    Cert {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CertError,
    },
    /// A certificate given as a root or CA is none.
    #[error("{subject} is not the certificate of an authority")]
    NotCa {
        /// Whom it names.
        subject: String,
    },
    /// A revocation list does not parse.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// A list older than the one held.
    #[error("revocation list {offered} of {issuer} is older than number {held}, which is held")]
    Rollback {
        /// Whose list.
        issuer: String,
        /// The number held.
        held: u64,
        /// The number offered.
        offered: u64,
    },
    /// Trust of another organisation.
    #[error("it is for the trust domain {there}, but this node belongs to {here}")]
    OtherDomain {
        /// The domain here.
        here: String,
        /// The domain offered.
        there: String,
    },
    /// A list that none of the known CAs has signed.
    #[error("the revocation list of {issuer} is not signed by a CA that is known here")]
    ForeignCrl {
        /// Who it claims to be from.
        issuer: String,
    },
}

/// A file among the revocation lists that cannot be used.
#[derive(Debug)]
pub struct BadList {
    /// The file.
    pub path: PathBuf,
    /// Of what was read.
    pub sha256: Option<[u8; 32]>,
    /// Why.
    pub error: TrustError,
}

struct Root {
    view: CertView,
    cert: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
}

struct HeldCrl {
    view: CrlView,
    der: Vec<u8>,
    list: CertRevocationList<'static>,
}

/// Roots, known CAs and revocation lists under one trust domain.
pub struct TrustAnchors {
    domain: TrustDomain,
    roots: Vec<Root>,
    cas: Vec<(CertView, CertificateDer<'static>)>,
    crls: Vec<HeldCrl>,
}

impl std::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustAnchors")
            .field("domain", &self.domain)
            .field("roots", &self.roots.len())
            .field("cas", &self.cas.len())
            .field("crls", &self.crls.len())
            .finish()
    }
}

impl TrustAnchors {
    /// Trust in nobody under `domain`.
    pub fn new(domain: TrustDomain) -> Self {
        Self {
            domain,
            roots: Vec::new(),
            cas: Vec::new(),
            crls: Vec::new(),
        }
    }

    /// Loads a trust directory. One without a root is refused, and so are lists that no known CA
    /// signed; of two lists of one CA the higher number is taken.
    pub fn load(dir: &Path) -> Result<Self, TrustError> {
        let (trust, bad) = Self::load_usable(dir)?;
        match bad.into_iter().next() {
            Some(bad) => Err(bad.error),
            None => Ok(trust),
        }
    }

    /// Loads a trust directory without the lists that cannot be used, and tells which those are.
    pub fn load_usable(dir: &Path) -> Result<(Self, Vec<BadList>), TrustError> {
        let domain_path = dir.join("domain");
        let domain = read(&domain_path, 1024)?;
        let domain = String::from_utf8_lossy(&domain);
        let domain = domain.trim().parse().map_err(|source| TrustError::Domain {
            path: domain_path,
            source,
        })?;
        let mut trust = Self::new(domain);
        let roots = dir.join("roots.pem");
        for cert in read_certs(&roots)? {
            trust.add_root(cert)?;
        }
        if trust.roots.is_empty() {
            return Err(TrustError::NoRoot { path: roots });
        }
        let cas = dir.join("cas.pem");
        if cas.exists() {
            for cert in read_certs(&cas)? {
                trust.add_ca(cert)?;
            }
        }
        let mut bad = Vec::new();
        let crl_dir = dir.join("crl");
        if crl_dir.is_dir() {
            let failed = |source| TrustError::File {
                path: crl_dir.clone(),
                source,
            };
            for entry in std::fs::read_dir(&crl_dir).map_err(failed)?.take(MAX_CRLS) {
                let path = entry.map_err(failed)?.path();
                // a file under another name is not looked at: it may be on its way to a good one
                let is_pem = match path.extension().and_then(|e| e.to_str()) {
                    Some("der" | "crl") => false,
                    Some("pem") => true,
                    _ => continue,
                };
                if let Err((error, sha256)) = trust.add_list_file(&path, is_pem) {
                    bad.push(BadList {
                        path,
                        sha256,
                        error,
                    });
                }
            }
        }
        Ok((trust, bad))
    }

    fn add_list_file(
        &mut self,
        path: &Path,
        is_pem: bool,
    ) -> Result<(), (TrustError, Option<[u8; 32]>)> {
        let bytes = read(path, MAX_CRL).map_err(|error| (error, None))?;
        let sha256 = super::certificate::sha256(&bytes);
        let der = if is_pem { pem_crl(&bytes) } else { Ok(bytes) };
        match der.and_then(|der| self.add_crl(der)) {
            // an older list in the directory is not an error: the newer one is used
            Ok(()) | Err(TrustError::Rollback { .. }) => Ok(()),
            Err(error) => Err((error, Some(sha256))),
        }
    }

    /// Writes everything into a trust directory.
    pub fn save(&self, dir: &Path) -> Result<(), TrustError> {
        durable::create_dir_all(dir, 0o755).map_err(|source| TrustError::File {
            path: dir.to_owned(),
            source,
        })?;
        let put = |path: PathBuf, bytes: &[u8]| {
            durable::write_atomic(&path, bytes, 0o644)
                .map_err(|source| TrustError::File { path, source })
        };
        put(dir.join("domain"), format!("{}\n", self.domain).as_bytes())?;
        put(dir.join("roots.pem"), certs_to_pem(self.roots()).as_bytes())?;
        put(dir.join("cas.pem"), certs_to_pem(self.cas()).as_bytes())?;
        self.save_lists(dir, |_| true)
    }

    /// Writes those of the revocation lists into a trust directory that `which` wants, durably.
    pub fn save_lists(&self, dir: &Path, which: impl Fn(&[u8]) -> bool) -> Result<(), TrustError> {
        let crl_dir = dir.join("crl");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TrustError::File { path, source }
        };
        durable::create_dir_all(&crl_dir, 0o755).map_err(failed(&crl_dir))?;
        for crl in self.crls.iter().filter(|crl| which(&crl.der)) {
            let id = super::certificate::sha256(&crl.view.issuer_der);
            let id = data_encoding::HEXLOWER.encode(id.get(..8).unwrap_or_default());
            let path = crl_dir.join(format!("{id}.der"));
            durable::write_atomic(&path, &crl.der, 0o644).map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Adds a root.
    pub fn add_root(&mut self, cert: CertificateDer<'static>) -> Result<(), TrustError> {
        let view = view_of_ca(&cert)?;
        let not_ca = || TrustError::NotCa {
            subject: view.subject.clone(),
        };
        let anchor = webpki::anchor_from_trusted_cert(&cert).map_err(|_| not_ca())?;
        let anchor = anchor.to_owned();
        if !self.roots.iter().any(|root| root.cert == cert) {
            self.roots.push(Root { view, cert, anchor });
        }
        Ok(())
    }

    /// Adds a CA below a root.
    pub fn add_ca(&mut self, cert: CertificateDer<'static>) -> Result<(), TrustError> {
        let view = view_of_ca(&cert)?;
        if !self.cas.iter().any(|(_, known)| *known == cert) {
            self.cas.push((view, cert));
        }
        Ok(())
    }

    /// Adds a revocation list, which one of the roots or CAs must have signed. A number lower than
    /// the one held is refused.
    pub fn add_crl(&mut self, der: Vec<u8>) -> Result<(), TrustError> {
        let view = CrlView::parse(&der)?;
        let signed = |cert: &CertificateDer<'_>| crl::is_signed_by(&der, cert);
        if !self.roots().any(signed) && !self.cas().any(signed) {
            return Err(TrustError::ForeignCrl {
                issuer: view.issuer,
            });
        }
        let at = self
            .crls
            .iter()
            .position(|held| held.view.issuer_der == view.issuer_der);
        let list = OwnedCertRevocationList::from_der(&der)
            .map_err(|_| CrlError::Malformed("the encoding is broken"))?;
        let list = CertRevocationList::Owned(list);
        let new = HeldCrl { view, der, list };
        match at.and_then(|at| self.crls.get_mut(at)) {
            Some(held) if new.view.number < held.view.number => Err(TrustError::Rollback {
                issuer: new.view.issuer,
                held: held.view.number,
                offered: new.view.number,
            }),
            Some(held) => {
                *held = new;
                Ok(())
            }
            None => {
                self.crls.push(new);
                Ok(())
            }
        }
    }

    /// Adds everything of `other` that is not older than what is held.
    pub fn merge(&mut self, other: &Self) -> Result<(), TrustError> {
        if self.domain != other.domain {
            return Err(TrustError::OtherDomain {
                here: self.domain.to_string(),
                there: other.domain.to_string(),
            });
        }
        other.roots().try_for_each(|c| self.add_root(c.clone()))?;
        other.cas().try_for_each(|c| self.add_ca(c.clone()))?;
        for crl in other.crls() {
            match self.add_crl(crl.to_vec()) {
                Ok(()) | Err(TrustError::Rollback { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps every list of `held` that is newer than what is here or alone: a list that was in force
    /// does not lose its force because its file went away or an older one took its place. Tells whose.
    pub fn keep_lists(&mut self, held: &Self) -> Vec<String> {
        let mut kept = Vec::new();
        for list in &held.crls {
            let of_it = |here: &&HeldCrl| here.view.issuer_der == list.view.issuer_der;
            let here = self.crls.iter().find(of_it);
            let is_newer = here.is_none_or(|here| here.view.number < list.view.number);
            // that of a CA which is not trusted any more is not kept
            if is_newer && self.add_crl(list.der.clone()).is_ok() {
                kept.push(list.view.issuer.clone());
            }
        }
        kept
    }

    /// Whether a root or CA of `held` is not here any more.
    pub fn lacks_any_of(&self, held: &Self) -> bool {
        let is_root = |cert| self.roots().any(|root| root == cert);
        let is_ca = |cert| self.cas().any(|ca| ca == cert);
        !held.roots().all(is_root) || !held.cas().all(is_ca)
    }

    /// Whether both are the same certificates and lists under the same domain.
    pub fn is_same(&self, other: &Self) -> bool {
        self.domain == other.domain
            && self.roots().eq(other.roots())
            && self.cas().eq(other.cas())
            && self.crls().eq(other.crls())
    }

    /// The known CAs above a certificate, nearest first, the root last.
    pub fn chain_above(&self, leaf: &CertView) -> Vec<CertificateDer<'static>> {
        let cas = self.cas.iter().map(|(view, cert)| (view, cert));
        let roots = self.roots.iter().map(|root| (&root.view, &root.cert));
        let known: Vec<_> = cas.chain(roots).collect();
        let (mut below, mut chain) = (leaf, Vec::new());
        while !below.is_self_issued() && chain.len() < 8 {
            let Some((view, cert)) = known.iter().find(|(view, _)| view.may_have_issued(below))
            else {
                break;
            };
            chain.push((*cert).clone());
            below = view;
        }
        chain
    }

    /// The trust domain.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The roots, also expired ones.
    pub fn roots(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.roots.iter().map(|root| &root.cert)
    }

    /// The facts of the roots.
    pub fn root_views(&self) -> impl Iterator<Item = &CertView> {
        self.roots.iter().map(|root| &root.view)
    }

    /// The CAs below the roots.
    pub fn cas(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.cas.iter().map(|(_, cert)| cert)
    }

    /// The facts of the CAs below the roots.
    pub fn ca_views(&self) -> impl Iterator<Item = &CertView> {
        self.cas.iter().map(|(view, _)| view)
    }

    /// The revocation lists in DER.
    pub fn crls(&self) -> impl Iterator<Item = &[u8]> {
        self.crls.iter().map(|crl| crl.der.as_slice())
    }

    /// The facts of the revocation lists.
    pub fn crl_views(&self) -> impl Iterator<Item = &CrlView> {
        self.crls.iter().map(|crl| &crl.view)
    }

    /// Whether any held list names this serial, for sessions that were judged before the list came.
    pub fn has_revoked(&self, serial: &str) -> bool {
        let mut revoked = self.crls.iter().flat_map(|crl| &crl.view.revoked);
        revoked.any(|listed| listed == serial)
    }

    /// Roots that have not ended, and how many have.
    pub(super) fn anchors(&self, now: Timestamp) -> (Vec<TrustAnchor<'static>>, usize) {
        let live = self.roots.iter().filter(|root| now <= root.view.not_after);
        let live: Vec<_> = live.map(|root| root.anchor.clone()).collect();
        let expired = self.roots.len() - live.len();
        (live, expired)
    }

    pub(super) fn revocation_lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.crls.iter().map(|crl| &crl.list).collect()
    }
}

/// A revocation list in DER from the bytes of a file, which may be PEM.
pub fn list_from_file(bytes: Vec<u8>) -> Result<Vec<u8>, TrustError> {
    let is_pem = bytes.starts_with(b"-----BEGIN");
    let der = if is_pem { pem_crl(&bytes)? } else { bytes };
    CrlView::parse(&der)?;
    Ok(der)
}

fn view_of_ca(cert: &CertificateDer<'_>) -> Result<CertView, TrustError> {
    let view = CertView::parse(cert).map_err(|source| TrustError::Cert {
        path: PathBuf::from("trust"),
        source,
    })?;
    if view.is_ca {
        Ok(view)
    } else {
        Err(TrustError::NotCa {
            subject: view.subject,
        })
    }
}

fn pem_crl(pem: &[u8]) -> Result<Vec<u8>, TrustError> {
    use rustls_pki_types::CertificateRevocationListDer;
    use rustls_pki_types::pem::PemObject as _;
    let crl = CertificateRevocationListDer::from_pem_slice(pem)
        .map_err(|_| CrlError::Malformed("no X509 CRL in PEM form"))?;
    Ok(crl.to_vec())
}

fn read(path: &Path, max: usize) -> Result<Vec<u8>, TrustError> {
    let failed = |source| TrustError::File {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if usize::try_from(length).map_or(true, |length| length > max) {
        return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    std::fs::read(path).map_err(failed)
}

fn read_certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let pem = read(path, super::MAX_PEM)?;
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    certs_from_pem(&pem).map_err(|source| TrustError::Cert {
        path: path.to_owned(),
        source,
    })
}
