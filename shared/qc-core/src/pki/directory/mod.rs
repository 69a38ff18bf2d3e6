//! The directory of an authority's house, readable with `cat` and `openssl`:
//!
//! ```text
//! pki.json                     organisation and trust domain
//! ca/NAME/key.pem cert.pem     a CA; its key under a passphrase
//! ca/NAME/chain.pem            the CAs above it, the root last (empty for a root)
//! ca/NAME/crl.der state.json   its revocation list, and what the next one is made from
//! tokens/ID.json               invitations
//! keys/SHA256                  to whom a public key was given, one line
//! log/issuance.jsonl           everything ever issued
//! lock                         held by whoever writes
//! ```
//!
//! A daemon and a command share it: every writer takes the lock for one short act.

mod error;
mod issue;

pub use error::DirError;
pub use issue::Issued;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::authority::{MAX_CA_NAME, MAX_ORG, new_serial};
use super::crl::CrlView;
use super::log::{Issuance, IssuanceLog};
use super::{
    Authority, CaPlan, CertError, CrlError, PrivateKey, Revocation, Tokens, TrustAnchors,
    certs_from_pem, certs_to_pem, fingerprint,
};
use crate::durable;
use crate::model::{NameError, Timestamp, TrustDomain};
use crate::secret::Secret;

/// How long a writer waits for another one.
const LOCK_WAIT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct House {
    schema: u32,
    org: String,
    trust_domain: String,
}

#[derive(Serialize, Deserialize)]
struct CaState {
    schema: u32,
    crl_number: u64,
    revoked: Vec<Revocation>,
}

/// Exclusive use of the directory until dropped.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "holds the lock until dropped")] File);

/// The public files of a CA.
#[derive(Debug, Clone)]
pub struct CaFiles {
    /// Its name.
    pub name: String,
    /// Its certificate.
    pub cert: CertificateDer<'static>,
    /// The CAs above it, the root last.
    pub above: Vec<CertificateDer<'static>>,
    /// Its revocation list in DER.
    pub crl: Vec<u8>,
    /// Whether its key needs a passphrase.
    pub encrypted: bool,
}

/// The directory of an authority.
#[derive(Debug, Clone)]
pub struct PkiDir {
    path: PathBuf,
    org: String,
    domain: TrustDomain,
}

impl PkiDir {
    /// Prepares an empty directory. The same organisation and domain again are no error.
    pub fn init(path: &Path, org: &str, domain: &TrustDomain) -> Result<Self, DirError> {
        check_org(org)?;
        match Self::open(path) {
            Ok(found) if found.org == org && found.domain == *domain => return Ok(found),
            Ok(found) => {
                return Err(DirError::OtherOrganisation {
                    path: path.to_owned(),
                    org: found.org,
                    domain: found.domain.to_string(),
                });
            }
            Err(DirError::NotInitialized { .. }) => {}
            Err(error) => return Err(error),
        }
        for part in ["ca", "tokens", "keys", "log"] {
            let dir = path.join(part);
            durable::create_dir_all(&dir, 0o700).map_err(file(&dir))?;
        }
        let house = House {
            schema: 1,
            org: org.to_owned(),
            trust_domain: domain.to_string(),
        };
        write_json(&path.join("pki.json"), &house, 0o644)?;
        Self::open(path)
    }

    /// Opens a directory that was prepared before.
    pub fn open(path: &Path) -> Result<Self, DirError> {
        let file_path = path.join("pki.json");
        if !file_path.exists() {
            return Err(DirError::NotInitialized {
                path: path.to_owned(),
            });
        }
        let house: House = read_json(&file_path)?;
        let domain = house
            .trust_domain
            .parse()
            .map_err(|e: NameError| DirError::Broken {
                path: file_path,
                why: e.to_string(),
            })?;
        Ok(Self {
            path: path.to_owned(),
            org: house.org,
            domain,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The organisation.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The trust domain.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Takes the lock, waiting a while for another writer.
    pub fn lock(&self) -> Result<DirLock, DirError> {
        let path = self.path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(file(&path))?;
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(DirLock(lock)),
                Err(TryLockError::WouldBlock) if waited < LOCK_WAIT => {
                    std::thread::sleep(step);
                    waited += step;
                }
                Err(TryLockError::WouldBlock) => return Err(DirError::Locked { path }),
                Err(TryLockError::Error(source)) => return Err(DirError::File { path, source }),
            }
        }
    }

    /// The issuance log.
    pub fn log(&self) -> IssuanceLog {
        IssuanceLog::at(self.path.join("log/issuance.jsonl"))
    }

    /// The invitations.
    pub fn tokens(&self) -> Tokens {
        Tokens::at(self.path.join("tokens"))
    }

    /// The names of all CAs.
    pub fn ca_names(&self) -> Result<Vec<String>, DirError> {
        let dir = self.path.join("ca");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(file(&dir))? {
            let entry = entry.map_err(file(&dir))?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.path().join("cert.pem").exists()
                && check_ca_name(&name).is_ok()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The public files of a CA.
    pub fn ca(&self, name: &str) -> Result<CaFiles, DirError> {
        let dir = self.ca_dir(name)?;
        let cert_path = dir.join("cert.pem");
        if !cert_path.exists() {
            return Err(DirError::NoSuchCa {
                name: name.to_owned(),
                path: self.path.clone(),
            });
        }
        let broken = |path: &Path| {
            let path = path.to_owned();
            move |e: CertError| DirError::Broken {
                path,
                why: e.to_string(),
            }
        };
        let cert = certs_from_pem(&read(&cert_path)?).map_err(broken(&cert_path))?;
        let chain_path = dir.join("chain.pem");
        let chain = read(&chain_path)?;
        let above = if chain.is_empty() {
            Vec::new()
        } else {
            certs_from_pem(&chain).map_err(broken(&chain_path))?
        };
        let cert = cert.into_iter().next().ok_or_else(|| DirError::Broken {
            path: cert_path,
            why: "it holds no certificate".to_owned(),
        })?;
        Ok(CaFiles {
            name: name.to_owned(),
            cert,
            above,
            crl: read(&dir.join("crl.der"))?,
            encrypted: PrivateKey::is_encrypted(&dir.join("key.pem"))?,
        })
    }

    /// Opens a CA with its key.
    pub fn unlock(
        &self,
        name: &str,
        passphrase: Option<&Secret<String>>,
    ) -> Result<Authority, DirError> {
        let files = self.ca(name)?;
        let key = PrivateKey::load(&self.ca_dir(name)?.join("key.pem"), passphrase)?;
        let (org, domain) = (&self.org, &self.domain);
        Ok(Authority::open(
            name,
            org,
            domain,
            files.cert,
            files.above,
            key,
        )?)
    }

    /// Creates and keeps the root. Needs the lock.
    pub fn create_root(
        &self,
        _lock: &DirLock,
        name: &str,
        passphrase: Option<&Secret<String>>,
        now: Timestamp,
    ) -> Result<Authority, DirError> {
        self.check_free(name)?;
        let root = Authority::create_root(name, &self.org, &self.domain, now)?;
        self.keep(&root, None, passphrase, now)?;
        Ok(root)
    }

    /// Creates and keeps a CA below `parent`. Needs the lock.
    pub fn create_ca(
        &self,
        _lock: &DirLock,
        parent: &Authority,
        plan: &CaPlan,
        passphrase: Option<&Secret<String>>,
        now: Timestamp,
    ) -> Result<Authority, DirError> {
        self.check_free(&plan.name)?;
        let ca = parent.create_ca(plan, now)?;
        self.keep(&ca, Some(parent), passphrase, now)?;
        Ok(ca)
    }

    /// A new random serial, to be recorded before it is used.
    pub fn new_serial() -> Result<[u8; 16], DirError> {
        Ok(new_serial()?)
    }

    /// Adds serials to a CA's revocation list and signs it with the next number. Needs the lock.
    pub fn resign_crl(
        &self,
        _lock: &DirLock,
        authority: &Authority,
        add: &[Revocation],
        now: Timestamp,
    ) -> Result<CrlView, DirError> {
        let dir = self.ca_dir(authority.name())?;
        let state_path = dir.join("state.json");
        let mut state: CaState = read_json(&state_path)?;
        for revocation in add {
            if !state.revoked.iter().any(|r| r.serial == revocation.serial) {
                state.revoked.push(revocation.clone());
            }
        }
        state.crl_number += 1;
        // the number is on disk before a list with it exists, so no number is ever used twice
        write_json(&state_path, &state, 0o600)?;
        let crl = authority.sign_crl(state.crl_number, &state.revoked, now)?;
        let crl_path = dir.join("crl.der");
        durable::write_atomic(&crl_path, &crl, 0o644).map_err(file(&crl_path))?;
        parse_crl(&crl_path, &crl)
    }

    /// Whether a CA has revoked this serial.
    pub fn is_revoked(&self, ca: &str, serial: &str) -> Result<bool, DirError> {
        let state: CaState = read_json(&self.ca_dir(ca)?.join("state.json"))?;
        Ok(state.revoked.iter().any(|r| r.serial == serial))
    }

    /// What a node should trust: every root, every CA, every revocation list of this house.
    pub fn trust(&self) -> Result<TrustAnchors, DirError> {
        let mut trust = TrustAnchors::new(self.domain.clone());
        for name in self.ca_names()? {
            let ca = self.ca(&name)?;
            let path = self.path.join("ca").join(&name);
            let broken = |why: super::TrustError| DirError::Broken {
                path: path.clone(),
                why: why.to_string(),
            };
            if ca.above.is_empty() {
                trust.add_root(ca.cert).map_err(broken)?;
            } else {
                trust.add_ca(ca.cert).map_err(broken)?;
            }
            trust.add_crl(ca.crl).map_err(broken)?;
        }
        Ok(trust)
    }

    fn keep(
        &self,
        ca: &Authority,
        parent: Option<&Authority>,
        passphrase: Option<&Secret<String>>,
        now: Timestamp,
    ) -> Result<(), DirError> {
        let dir = self.ca_dir(ca.name())?;
        durable::create_dir_all(&dir, 0o700).map_err(file(&dir))?;
        ca.key().save(&dir.join("key.pem"), passphrase)?;
        let put = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            durable::write_atomic(&path, bytes, 0o644).map_err(file(&path))
        };
        put("chain.pem", certs_to_pem(ca.chain().skip(1)).as_bytes())?;
        let state = CaState {
            schema: 1,
            crl_number: 1,
            revoked: Vec::new(),
        };
        write_json(&dir.join("state.json"), &state, 0o600)?;
        put("crl.der", &ca.sign_crl(1, &[], now)?)?;
        self.log().append(Issuance {
            prev: String::new(),
            at: now.to_string(),
            ca: parent.unwrap_or(ca).name().to_owned(),
            serial: ca.view().serial.clone(),
            profile: "ca".to_owned(),
            name: ca.name().to_owned(),
            role: None,
            not_after: ca.view().not_after.to_string(),
            key: fingerprint(&ca.view().spki_sha256),
            cause: "ca create".to_owned(),
            cert: certs_to_pem([ca.cert()]),
        })?;
        // the certificate comes last: a CA exists once it is there
        put("cert.pem", certs_to_pem([ca.cert()]).as_bytes())
    }

    fn check_free(&self, name: &str) -> Result<(), DirError> {
        if self.ca_dir(name)?.join("cert.pem").exists() {
            return Err(DirError::CaExists {
                name: name.to_owned(),
            });
        }
        Ok(())
    }

    fn ca_dir(&self, name: &str) -> Result<PathBuf, DirError> {
        check_ca_name(name)?;
        Ok(self.path.join("ca").join(name))
    }
}

fn check_ca_name(name: &str) -> Result<(), DirError> {
    let ok = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (1..=MAX_CA_NAME).contains(&name.len()) && name.bytes().all(ok) && !name.starts_with('-') {
        return Ok(());
    }
    Err(DirError::BadName {
        name: crate::safe_text::safe(name, 60),
        what: "the name of a CA",
        why: format!("it must have 1 to {MAX_CA_NAME} of a-z, 0-9 and -"),
    })
}

fn check_org(org: &str) -> Result<(), DirError> {
    let ok = |c: char| c.is_ascii_alphanumeric() || " .&'-".contains(c);
    if (1..=MAX_ORG).contains(&org.len()) && org.chars().all(ok) && org.trim() == org {
        return Ok(());
    }
    Err(DirError::BadName {
        name: crate::safe_text::safe(org, 60),
        what: "the name of an organisation",
        why: format!("it must have 1 to {MAX_ORG} letters, digits, spaces or . & ' -"),
    })
}

fn parse_crl(path: &Path, crl: &[u8]) -> Result<CrlView, DirError> {
    CrlView::parse(crl).map_err(|e: CrlError| DirError::Broken {
        path: path.to_owned(),
        why: e.to_string(),
    })
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> DirError {
    let path = path.to_owned();
    move |source| DirError::File { path, source }
}

/// Reads a small file of the house.
fn read(path: &Path) -> Result<Vec<u8>, DirError> {
    std::fs::read(path).map_err(file(path))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DirError> {
    serde_json::from_slice(&read(path)?).map_err(|e| DirError::Broken {
        path: path.to_owned(),
        why: crate::safe_text::safe(&e.to_string(), 200),
    })
}

fn write_json<T: Serialize>(path: &Path, value: &T, mode: u32) -> Result<(), DirError> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|e| file(path)(io::Error::new(io::ErrorKind::InvalidData, e)))?;
    durable::write_atomic(path, &json, mode).map_err(file(path))
}
