//! Why an authority's directory could not be used, one variant a remedy.

use std::io;
use std::path::PathBuf;

use crate::pki::{AuthorityError, CertError, KeyError, LogError, PeerRefusal};

/// Why the directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// There is no authority here.
    #[error("{path} holds no authority")]
    NotInitialized {
        /// The directory.
        path: PathBuf,
    },
    /// There is one already, of another name.
    #[error("{path} already belongs to {org} under {domain}")]
    OtherOrganisation {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        org: String,
        /// Its trust domain.
        domain: String,
    },
    /// No CA of this name.
    #[error("there is no CA named '{name}' in {path}")]
    NoSuchCa {
        /// The name.
        name: String,
        /// The directory.
        path: PathBuf,
    },
    /// There is a CA of this name with other properties.
    #[error("a CA named '{name}' exists and is not the same")]
    CaExists {
        /// The name.
        name: String,
    },
    /// A name that is not allowed.
    #[error("'{name}' cannot be {what}: {why}")]
    BadName {
        /// The name, made safe.
        name: String,
        /// What it was to be.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// Another process held the lock for too long.
    #[error("another process holds the lock {path}")]
    Locked {
        /// The lock file.
        path: PathBuf,
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
    /// A file is not what was written.
    #[error("{path} is broken: {why}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A key could not be opened or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The authority would not or could not sign.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What was signed would not be accepted by a peer, so it was not given out.
    #[error("the certificate would be refused by peers, so it was not given out")]
    SelfCheck(#[source] PeerRefusal),
    /// The key of a request belongs to somebody else already.
    #[error("this key was certified for {holder} before; a key has one holder")]
    KeyTaken {
        /// Whose it is.
        holder: String,
    },
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A certificate does not parse.
    #[error(transparent)]
    Cert(#[from] CertError),
}
