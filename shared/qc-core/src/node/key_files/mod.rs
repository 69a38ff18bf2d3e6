//! Where the node key comes from, and how its file changes without a moment at which the store has none.
//!
//! ```text
//! keys/node.key        the key: in the clear, or under a passphrase; mode 0600
//! keys/node.key.next   the key that is taking its place; there only while keys change
//! CREDENTIALS/qc-node.key, qc-node.key.old      instead of both: credentials of the service manager
//! CREDENTIALS/qc-node-passphrase                the passphrase, where no file is configured
//! ```
//!
//! A rotation writes the next key durably, wraps everything under it, and renames it over the key. What a
//! start does with the files that it finds is [`plan`], a table: after a crash at any step it either goes
//! on with the old key or ends the change.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroize as _;

use crate::durable;
use crate::failure::{Exit, Failure};
use crate::model::Timestamp;
use crate::pki::sealed::{self, Unopened};
use crate::secret::Secret;
use crate::store::NodeKey;

const SEALED: &str = "qc-node-key 2 ";
/// The longest key file that is read.
const MAX_FILE: u64 = 4096;
/// The longest file with a passphrase, and the shortest passphrase.
const MAX_PASSPHRASE: u64 = 1024;
const MIN_PASSPHRASE: usize = 8;

const CREDENTIAL: &str = "qc-node.key";
const OLD_CREDENTIAL: &str = "qc-node.key.old";
const PASSPHRASE_CREDENTIAL: &str = "qc-node-passphrase";

/// Why the node key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// Reading or writing a file failed.
    #[error("cannot use the key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{path} is readable by others (mode {mode:03o})")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a key.
    #[error("the key file {path} does not hold a key")]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// Another key than the one in use.
    #[error("{path} holds key {found:08x}, which is not the key in use ({in_use:08x})")]
    Another {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: u32,
        /// What it should hold.
        in_use: u32,
    },
    /// The file is longer than any that is meant to be there.
    #[error("{path} is longer than {most} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The bound.
        most: u64,
    },
    /// There is sealed data but no key.
    #[error("the key file {path} is missing, and the segments beside it are sealed with it")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The key is under a passphrase, and none is configured.
    #[error("the key file {path} is under a passphrase, and none is configured")]
    NeedsPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key file {path}")]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The file with the passphrase cannot be read.
    #[error("cannot read the passphrase file {path}")]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The passphrase is longer than it may be.
    #[error("the passphrase file {path} is longer than {MAX_PASSPHRASE} bytes")]
    LongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is shorter than it may be.
    #[error("the passphrase in {path} is shorter than {MIN_PASSPHRASE} characters")]
    ShortPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The crypto library failed.
    #[error("the crypto library failed: {0}")]
    Crypto(String),
}

impl KeyError {
    /// The failure that ends a start, with the next command.
    pub(super) fn failure(&self) -> Failure {
        let of_key = |text: &str| Failure::new(Exit::Disk, "QC3010", text).because(self);
        let of_passphrase =
            |code, text: &str| Failure::new(Exit::Refused, code, text).because(self);
        match self {
            Self::Mode { path, .. } => {
                of_key("the node key cannot be used").help(format!("chmod 600 {}", path.display()))
            }
            Self::Missing { .. } => of_key("the node key cannot be used").help(
                "bring the key back from the backup of this node; without it the store stays sealed",
            ),
            Self::Another { path, .. } => {
                of_key("the node key cannot be changed: another key is in the way")
                    .help(format!("move {} away, then: key rotate", path.display()))
            }
            Self::Io { path, .. } | Self::Content { path } | Self::TooLong { path, .. } => {
                of_key("the node key cannot be used").help(format!("ls -l {}", path.display()))
            }
            Self::NeedsPassphrase { .. } => {
                of_passphrase("QC3040", "the passphrase of the node key is missing")
                    .help("name a file with it: passphrase_file in [store]")
                    .help(format!("or give it as the systemd credential {PASSPHRASE_CREDENTIAL}"))
            }
            Self::Passphrase { path, .. } => {
                of_passphrase("QC3040", "the passphrase of the node key is missing")
                    .help(format!("ls -l {}", path.display()))
            }
            Self::ShortPassphrase { .. } | Self::LongPassphrase { .. } => {
                of_passphrase("QC3040", "the passphrase of the node key is no good").help(format!(
                    "{MIN_PASSPHRASE} characters or more in one line, in a file of at most {MAX_PASSPHRASE} bytes"
                ))
            }
            Self::WrongPassphrase { .. } => {
                of_passphrase("QC3041", "the node key does not open")
                    .help("give the passphrase that the key was sealed with; it changes with: key rotate")
            }
            Self::Crypto(_) => Failure::new(Exit::Other, "QC3010", "the node key cannot be used")
                .because(self),
        }
    }
}

/// Where the key in use comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeySource {
    /// A file in the clear.
    File,
    /// A file under a passphrase.
    Passphrase,
    /// A credential of the service manager.
    Credential,
}

impl KeySource {
    /// The word used in output.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase => "passphrase",
            Self::Credential => "credential",
        }
    }
}

/// The keys that a start has at hand.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Seals from now on.
    pub(super) current: NodeKey,
    /// May still wrap some of what is there.
    pub(super) other: Option<NodeKey>,
    pub(super) source: KeySource,
    /// Whether `node.key.next` takes the place of the key once everything is wrapped under it.
    pub(super) adopt: bool,
    /// Whether there is a key in the clear although it is meant to be protected.
    pub(super) lies_open: bool,
}

/// What has taken the place of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Adopted {
    pub(super) source: KeySource,
    /// As in [`Loaded`].
    pub(super) lies_open: bool,
}

/// The places of the node key.
#[derive(Debug, Clone)]
pub(super) struct KeyFiles {
    /// `keys/` in the state directory.
    pub(super) dir: PathBuf,
    pub(super) credentials: Option<PathBuf>,
    pub(super) passphrase_file: Option<PathBuf>,
}

/// What is known of one file before anything is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Absent,
    Key(u32),
    Unusable,
}

/// What a start does with the files it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Make the first key.
    Create,
    /// Refuse: data is sealed, and there is no key.
    Missing,
    /// Refuse with the reason why the key cannot be used.
    Refuse,
    /// Use the key; there is no other.
    Use,
    /// Use the next key alone, and give it the name of the key.
    Adopt,
    /// Use the next key with the old one at hand, and end the change.
    Finish,
}

/// The table. `sealed` says whether there are segments.
fn plan(key: Slot, next: Slot, sealed: bool) -> Plan {
    match (key, next) {
        (Slot::Absent, Slot::Absent) if sealed => Plan::Missing,
        (Slot::Absent, Slot::Absent) => Plan::Create,
        // a change that had not yet begun to wrap, or a file that was spoilt later: the store says which
        // key it needs if this is not the one
        (Slot::Key(_), Slot::Absent | Slot::Unusable) => Plan::Use,
        (Slot::Key(a), Slot::Key(b)) if a != b => Plan::Finish,
        // cut off between the new name and the end of the old one, or the old one is spoilt
        (_, Slot::Key(_)) => Plan::Adopt,
        (Slot::Unusable, _) | (Slot::Absent, Slot::Unusable) => Plan::Refuse,
    }
}

impl KeyFiles {
    pub(super) fn key(&self) -> PathBuf {
        self.dir.join("node.key")
    }

    pub(super) fn next(&self) -> PathBuf {
        self.dir.join("node.key.next")
    }

    /// Loads what there is, or makes the first key.
    pub(super) fn load(&self, sealed: bool) -> Result<Loaded, KeyError> {
        let io = |source| KeyError::Io {
            path: self.dir.clone(),
            source,
        };
        durable::sweep(&self.dir).map_err(io)?;
        if let Some(loaded) = self.by_credential()? {
            return Ok(loaded);
        }
        let passphrase = self.passphrase()?;
        // one that cannot be read now may be needed: it is not taken for one that is spoilt
        let look = |path: &Path| match read_key(path, passphrase.as_ref()) {
            Err(error @ (KeyError::Io { .. } | KeyError::Mode { .. })) => Err(error),
            found => Ok(found),
        };
        let (key, next) = (look(&self.key())?, look(&self.next())?);
        let slot = |found: &Result<Option<Found>, KeyError>| match found {
            Ok(None) => Slot::Absent,
            Ok(Some(found)) => Slot::Key(found.key.id()),
            Err(_) => Slot::Unusable,
        };
        let is_protected = passphrase.is_some();
        let loaded = |found: Found, other, adopt| Loaded {
            lies_open: is_protected && found.source == KeySource::File,
            current: found.key,
            other,
            source: found.source,
            adopt,
        };
        let missing = || KeyError::Missing { path: self.key() };
        match plan(slot(&key), slot(&next), sealed) {
            Plan::Create => {
                let key = NodeKey::random().map_err(io)?;
                self.write(&self.key(), &key, passphrase.as_ref())?;
                let source = source_of(passphrase.as_ref());
                Ok(loaded(Found { key, source }, None, false))
            }
            Plan::Missing => Err(missing()),
            Plan::Refuse => Err(key.err().or_else(|| next.err()).unwrap_or_else(missing)),
            Plan::Use => Ok(loaded(key?.ok_or_else(missing)?, None, false)),
            Plan::Adopt => Ok(loaded(next?.ok_or_else(missing)?, None, true)),
            Plan::Finish => {
                let old = key?.map(|old| old.key);
                Ok(loaded(next?.ok_or_else(missing)?, old, true))
            }
        }
    }

    fn by_credential(&self) -> Result<Option<Loaded>, KeyError> {
        let Some(current) = self.credential(CREDENTIAL)? else {
            return Ok(None);
        };
        let beside = match self.passphrase() {
            Ok(passphrase) => read_key(&self.key(), passphrase.as_ref()).unwrap_or_default(),
            Err(_) => None,
        };
        let lies_open = beside
            .as_ref()
            .is_some_and(|beside| beside.source == KeySource::File);
        let old = self.credential(OLD_CREDENTIAL)?;
        let other = old.or_else(|| beside.map(|beside| beside.key));
        Ok(Some(Loaded {
            other: other.filter(|other| other.id() != current.id()),
            current,
            source: KeySource::Credential,
            adopt: false,
            lies_open,
        }))
    }

    fn credential(&self, name: &str) -> Result<Option<NodeKey>, KeyError> {
        let Some(dir) = &self.credentials else {
            return Ok(None);
        };
        let path = dir.join(name);
        let Some(bytes) = read(&path, false, MAX_FILE)? else {
            return Ok(None);
        };
        parse_credential(bytes.expose())
            .map(Some)
            .ok_or(KeyError::Content { path })
    }

    /// The passphrase, if there is one: from the file that was configured, else from the credential.
    fn passphrase(&self) -> Result<Option<Secret<String>>, KeyError> {
        let of_credential = || {
            let path = self.credentials.as_ref()?.join(PASSPHRASE_CREDENTIAL);
            path.exists().then_some(path)
        };
        let configured = self.passphrase_file.clone();
        let Some(path) = configured.clone().or_else(of_credential) else {
            return Ok(None);
        };
        let is_credential = self
            .credentials
            .as_ref()
            .is_some_and(|dir| path.starts_with(dir));
        let failed = |path, source| KeyError::Passphrase { path, source };
        let bytes = match read(&path, !is_credential, MAX_PASSPHRASE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(failed(path, io::ErrorKind::NotFound.into())),
            Err(KeyError::Io { path, source }) => return Err(failed(path, source)),
            Err(KeyError::TooLong { path, .. }) => return Err(KeyError::LongPassphrase { path }),
            Err(error) => return Err(error),
        };
        let Ok(text) = std::str::from_utf8(bytes.expose()) else {
            let source = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
            return Err(failed(path, source));
        };
        let line = text.lines().next().unwrap_or_default();
        if line.chars().count() < MIN_PASSPHRASE {
            return Err(KeyError::ShortPassphrase { path });
        }
        Ok(Some(Secret::new(line.to_owned())))
    }

    /// Makes the key that takes the place of `old`, which is the key in use, durable beside it; or finds the
    /// one that an earlier attempt has made. Overwrites no key that may be needed.
    pub(super) fn prepare_next(&self, old: &NodeKey) -> Result<NodeKey, KeyError> {
        let passphrase = self.passphrase()?;
        // a start must be able to open both: the passphrase may have changed since the old one was sealed
        match read_key(&self.key(), passphrase.as_ref()) {
            Ok(Some(found)) if found.key.id() == old.id() => {}
            Ok(Some(found)) => return Err(another(self.key(), &found.key, old)),
            Err(error @ KeyError::NeedsPassphrase { .. }) => return Err(error),
            Ok(None) | Err(_) => self.write(&self.key(), old, passphrase.as_ref())?,
        }
        let io = |source| KeyError::Io {
            path: self.next(),
            source,
        };
        // one that does not open stays, too: nobody knows what it wraps
        if let Some(begun) = read_key(&self.next(), passphrase.as_ref())?
            && begun.key.id() != old.id()
        {
            // its name may not be durable yet
            durable::sync_dir(&self.dir).map_err(io)?;
            return Ok(begun.key);
        }
        let mut key = NodeKey::random().map_err(io)?;
        while key.id() == old.id() {
            key = NodeKey::random().map_err(io)?;
        }
        self.write(&self.next(), &key, passphrase.as_ref())?;
        Ok(key)
    }

    /// Gives `new`, which is the key in use, the name of the key; the old one is overwritten. Called again
    /// after it failed, it goes on from where it came to.
    pub(super) fn adopt_next(&self, new: &NodeKey) -> Result<Adopted, KeyError> {
        let (key, next) = (self.key(), self.next());
        let io = |source| KeyError::Io {
            path: self.key(),
            source,
        };
        let passphrase = self.passphrase()?;
        let source = match read_key(&next, passphrase.as_ref()) {
            Ok(Some(found)) if found.key.id() == new.id() => found.source,
            Ok(Some(found)) => return Err(another(next, &found.key, new)),
            unopened => {
                let named = read_key(&key, passphrase.as_ref()).unwrap_or_default();
                if let (Ok(None), Some(named)) = (unopened, named)
                    && named.key.id() == new.id()
                {
                    // an attempt before gave it the name; that becomes durable, and the old one goes
                    durable::sweep(&self.dir).map_err(io)?;
                    return Ok(Adopted::new(named.source, passphrase.as_ref()));
                }
                // lost, or under a passphrase of another time
                self.write(&next, new, passphrase.as_ref())?;
                source_of(passphrase.as_ref())
            }
        };
        durable::replace(&next, &key).map_err(io)?;
        Ok(Adopted::new(source, passphrase.as_ref()))
    }

    /// Where a key of this source lies.
    pub(super) fn place(&self, source: KeySource) -> PathBuf {
        match (source, &self.credentials) {
            (KeySource::Credential, Some(dir)) => dir.join(CREDENTIAL),
            _ => self.key(),
        }
    }

    /// When the file of the key was written.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let meta = std::fs::metadata(self.key()).ok()?;
        let seconds = u64::try_from(meta.mtime()).ok()?;
        Some(Timestamp::from_millis(seconds * 1000))
    }

    fn write(
        &self,
        path: &Path,
        key: &NodeKey,
        passphrase: Option<&Secret<String>>,
    ) -> Result<(), KeyError> {
        let io = |source| KeyError::Io {
            path: path.to_owned(),
            source,
        };
        let plain = key.to_text();
        let text = match passphrase {
            None => plain,
            Some(passphrase) => {
                let frame = sealed::seal(plain.expose().as_bytes(), passphrase);
                let frame = frame.map_err(KeyError::Crypto)?;
                Secret::new(format!(
                    "{SEALED}{}\n",
                    data_encoding::BASE64.encode(&frame)
                ))
            }
        };
        durable::create_dir_all(&self.dir, 0o700).map_err(io)?;
        durable::write_atomic(path, text.expose().as_bytes(), 0o600).map_err(io)
    }
}

impl Adopted {
    fn new(source: KeySource, passphrase: Option<&Secret<String>>) -> Self {
        Self {
            source,
            lies_open: passphrase.is_some() && source == KeySource::File,
        }
    }
}

fn another(path: PathBuf, found: &NodeKey, in_use: &NodeKey) -> KeyError {
    KeyError::Another {
        path,
        found: found.id(),
        in_use: in_use.id(),
    }
}

fn source_of(passphrase: Option<&Secret<String>>) -> KeySource {
    if passphrase.is_some() {
        KeySource::Passphrase
    } else {
        KeySource::File
    }
}

/// A key and how its file had it.
#[derive(Debug)]
struct Found {
    key: NodeKey,
    source: KeySource,
}

fn read_key(path: &Path, passphrase: Option<&Secret<String>>) -> Result<Option<Found>, KeyError> {
    let content = || KeyError::Content {
        path: path.to_owned(),
    };
    let Some(bytes) = read(path, true, MAX_FILE)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| content())?;
    let Some(frame) = text.trim_end().strip_prefix(SEALED) else {
        let key = NodeKey::from_text(text).ok_or_else(content)?;
        let source = KeySource::File;
        return Ok(Some(Found { key, source }));
    };
    let frame = data_encoding::BASE64.decode(frame.as_bytes());
    let frame = frame.map_err(|_| content())?;
    let wrong = || KeyError::WrongPassphrase {
        path: path.to_owned(),
    };
    let passphrase = passphrase.ok_or_else(|| KeyError::NeedsPassphrase {
        path: path.to_owned(),
    })?;
    let plain = sealed::open(&frame, passphrase).map_err(|why| match why {
        Unopened::Malformed => content(),
        Unopened::Passphrase => wrong(),
    })?;
    let plain = std::str::from_utf8(plain.expose()).map_err(|_| wrong())?;
    let key = NodeKey::from_text(plain).ok_or_else(wrong)?;
    let source = KeySource::Passphrase;
    Ok(Some(Found { key, source }))
}

/// A small file with a secret; `None` when it is not there. One of our own is for nobody else to read.
fn read(path: &Path, is_own: bool, most: u64) -> Result<Option<Secret<Vec<u8>>>, KeyError> {
    let io = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    #[cfg(test)]
    durable::faults::call(path).map_err(io)?;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io)?,
    };
    // what the service manager hands over has the mode that it chose, in a directory of its own
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    if is_own && mode & 0o077 != 0 {
        return Err(KeyError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Secret::new(Vec::new());
    let read = file.take(most + 1).read_to_end(bytes.expose_mut());
    if read.map_err(io)? as u64 > most {
        return Err(KeyError::TooLong {
            path: path.to_owned(),
            most,
        });
    }
    Ok(Some(bytes))
}

/// A key as people make one: its file, 64 hexadecimal digits, or 32 bytes.
fn parse_credential(bytes: &[u8]) -> Option<NodeKey> {
    parse_bytes(bytes).map(NodeKey::from_bytes).or_else(|| {
        let text = std::str::from_utf8(bytes).ok()?;
        NodeKey::from_text(text)
    })
}

/// 32 bytes as they are, or as 64 hexadecimal digits with white space around them.
pub(super) fn parse_bytes(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        return Some(raw);
    }
    let hex = bytes.trim_ascii();
    let mut decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(hex).ok()?;
    let key = <[u8; 32]>::try_from(decoded.as_slice()).ok();
    decoded.zeroize();
    key
}
