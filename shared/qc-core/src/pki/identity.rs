//! A node's own identity on disk:
//!
//! ```text
//! id/gen-0001/{key,cert,chain}.pem [front-key.pem front-cert.pem front-chain.pem] [enrolled]
//! id/current -> gen-0001            one rename switches key and certificate together
//! id/pending/{key,front-key}.pem    keys made before a certificate was asked for
//! ```

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;

use super::certificate::{CertError, CertView, MAX_PEM, certs_from_pem, certs_to_pem};
use super::{KeyError, PrivateKey};
use crate::durable;

/// Why the identity could not be loaded or installed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none yet.
    #[error("{dir} holds no identity")]
    Missing {
        /// The state directory.
        dir: PathBuf,
    },
    /// A file cannot be used.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate file is broken.
    #[error("{path} is broken")]
    Cert {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: CertError,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Key and certificate do not belong together.
    #[error("the key {key} does not belong to the certificate beside it")]
    Mismatch {
        /// The key file.
        key: PathBuf,
    },
}

/// A key with the certificate for it and the CAs above.
#[derive(Debug)]
pub struct KeyAndChain {
    /// The private key.
    pub key: PrivateKey,
    /// The leaf, then the CAs above it, the root last if it is known.
    pub chain: Vec<CertificateDer<'static>>,
    /// The facts of the leaf.
    pub view: CertView,
}

impl KeyAndChain {
    /// Puts parts together that belong together.
    pub fn new(
        key: PrivateKey,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, IdentityError> {
        let memory = || PathBuf::from("key.pem");
        let cert_error = |source| IdentityError::Cert {
            path: PathBuf::from("cert.pem"),
            source,
        };
        let leaf = chain
            .first()
            .ok_or_else(|| cert_error(CertError::Pem("it holds none".to_owned())))?;
        let view = CertView::parse(leaf).map_err(cert_error)?;
        if view.spki_sha256 != key.spki_sha256() {
            return Err(IdentityError::Mismatch { key: memory() });
        }
        Ok(Self { key, chain, view })
    }

    fn load(dir: &Path, prefix: &str) -> Result<Self, IdentityError> {
        let path = |name: &str| dir.join(format!("{prefix}{name}.pem"));
        let mut chain = read_certs(&path("cert"))?;
        chain.extend(read_certs(&path("chain"))?);
        let key = PrivateKey::load(&path("key"), None)?;
        Self::new(key, chain).map_err(|error| match error {
            IdentityError::Mismatch { .. } => IdentityError::Mismatch { key: path("key") },
            IdentityError::Cert { source, .. } => IdentityError::Cert {
                path: path("cert"),
                source,
            },
            other => other,
        })
    }

    fn save(&self, dir: &Path, prefix: &str) -> Result<(), IdentityError> {
        let path = |name: &str| dir.join(format!("{prefix}{name}.pem"));
        self.key.save(&path("key"), None)?;
        let put = |path: PathBuf, pem: String| {
            durable::write_atomic(&path, pem.as_bytes(), 0o644)
                .map_err(|source| IdentityError::File { path, source })
        };
        put(path("cert"), certs_to_pem(self.chain.iter().take(1)))?;
        put(path("chain"), certs_to_pem(self.chain.iter().skip(1)))?;
        // for curl and others that want leaf and CAs in one file
        put(path("fullchain"), certs_to_pem(self.chain.iter()))
    }
}

/// A node's identity: for links, and for ordinary clients if it has a front door.
#[derive(Debug)]
pub struct Identity {
    /// The node's key and certificate.
    pub node: KeyAndChain,
    /// The front door's.
    pub front: Option<KeyAndChain>,
}

impl Identity {
    /// Loads the current identity below a state directory.
    pub fn load(state_dir: &Path) -> Result<Self, IdentityError> {
        let current = state_dir.join("id/current");
        if !current.join("cert.pem").exists() {
            return Err(IdentityError::Missing {
                dir: state_dir.to_owned(),
            });
        }
        let front = current.join("front-cert.pem").exists();
        Ok(Self {
            node: KeyAndChain::load(&current, "")?,
            front: front
                .then(|| KeyAndChain::load(&current, "front-"))
                .transpose()?,
        })
    }

    /// Installs this identity as the next generation and switches to it by one rename. `cause` says
    /// where it came from and is kept beside it.
    pub fn install(&self, state_dir: &Path, cause: &str) -> Result<PathBuf, IdentityError> {
        let id = state_dir.join("id");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::File { path, source }
        };
        durable::create_dir_all(&id, 0o700).map_err(failed(&id))?;
        let name = format!("gen-{:04}", next_generation(&id).map_err(failed(&id))?);
        let dir = id.join(&name);
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(failed(&dir))?;
        self.node.save(&dir, "")?;
        if let Some(front) = &self.front {
            front.save(&dir, "front-")?;
        }
        let enrolled = dir.join("enrolled");
        durable::write_atomic(&enrolled, cause.as_bytes(), 0o644).map_err(failed(&enrolled))?;
        let aside = id.join(".current.new");
        let _left_from_a_crash = std::fs::remove_file(&aside);
        symlink(&name, &aside)
            .and_then(|()| File::open(&dir)?.sync_all())
            .and_then(|()| durable::sync_dir(&id))
            .and_then(|()| std::fs::rename(&aside, id.join("current")))
            .and_then(|()| durable::sync_dir(&id))
            .map_err(failed(&id))?;
        Pending::discard(state_dir);
        Ok(dir)
    }
}

fn next_generation(id: &Path) -> io::Result<u32> {
    let mut newest = 0;
    for entry in std::fs::read_dir(id)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix("gen-"));
        newest = newest.max(number.and_then(|n| n.parse().ok()).unwrap_or(0));
    }
    Ok(newest + 1)
}

/// How the current identity came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled(pub String);

impl Enrolled {
    /// What [`Identity::install`] kept, if there is a current identity.
    pub fn load(state_dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(state_dir.join("id/current/enrolled")).ok()?;
        Some(Self(text))
    }
}

/// Keys that wait for their certificate. They are on disk before anybody is asked, so that a lost
/// answer can be asked for again.
#[derive(Debug)]
pub struct Pending;

impl Pending {
    /// The waiting key of this name, made if there is none.
    pub fn key(state_dir: &Path, name: &str) -> Result<PrivateKey, IdentityError> {
        let dir = state_dir.join("id/pending");
        durable::create_dir_all(&dir, 0o700).map_err(|source| IdentityError::File {
            path: dir.clone(),
            source,
        })?;
        let path = dir.join(format!("{name}.pem"));
        if path.exists() {
            return Ok(PrivateKey::load(&path, None)?);
        }
        let key = PrivateKey::new_p256()?;
        key.save(&path, None)?;
        Ok(key)
    }

    /// The waiting key of this name, if there is one.
    pub fn existing(state_dir: &Path, name: &str) -> Result<Option<PrivateKey>, IdentityError> {
        let path = state_dir.join(format!("id/pending/{name}.pem"));
        if path.exists() {
            Ok(Some(PrivateKey::load(&path, None)?))
        } else {
            Ok(None)
        }
    }

    /// Forgets waiting keys.
    pub fn discard(state_dir: &Path) {
        let _none_or_left = std::fs::remove_dir_all(state_dir.join("id/pending"));
    }
}

fn read_certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let failed = |source| IdentityError::File {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if usize::try_from(length).map_or(true, |length| length > MAX_PEM) {
        return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    let pem = std::fs::read(path).map_err(failed)?;
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    certs_from_pem(&pem).map_err(|source| IdentityError::Cert {
        path: path.to_owned(),
        source,
    })
}
