//! Keys at rest: the node key wraps one random data key a segment, batches are sealed with AES-256-GCM.
//!
//! The wrapping key is HKDF-SHA-256(node key, salt = the segment's random 128-bit id), so it seals
//! exactly one value and a constant nonce is safe. A batch's nonce is its number in the segment; a
//! segment is never appended to after a restart, so no nonce returns under the same key. What belongs
//! to a segment but is written again and again (its index) is sealed under keys derived from the data
//! key with a fresh salt each time.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use crate::secret::Secret;

/// Length of an authentication tag in bytes.
pub(super) const TAG: usize = 16;
/// Length of a wrapped data key: the key and a tag.
pub(super) const WRAPPED: usize = 32 + TAG;

/// The key of a node, from a file that only its owner may read.
#[derive(Debug, Clone)]
pub struct NodeKey {
    bytes: Secret<[u8; 32]>,
    id: u32,
}

/// Why the node key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Reading or writing the file failed.
    #[error("cannot use the key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("the key file {path} is readable by others (mode {mode:03o})")]
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
    /// There is sealed data but no key.
    #[error("the key file {path} is missing, and the segments beside it are sealed with it")]
    Missing {
        /// The file.
        path: PathBuf,
    },
}

impl NodeKey {
    /// Loads the key at `path`, or makes one when `may_create` (no sealed data exists yet).
    pub fn load_or_create(path: &Path, may_create: bool) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io {
            path: path.to_owned(),
            source,
        };
        match File::open(path) {
            Ok(file) => Self::load(file, path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
            Err(_) if !may_create => Err(KeyError::Missing {
                path: path.to_owned(),
            }),
            Err(_) => {
                let bytes = random::<32>().map_err(io)?;
                if let Some(dir) = path.parent() {
                    crate::durable::create_dir_all(dir, 0o700).map_err(io)?;
                }
                let text = format!("qc-node-key 1 {}\n", data_encoding::HEXLOWER.encode(&bytes));
                crate::durable::write_atomic(path, text.as_bytes(), 0o600).map_err(io)?;
                Ok(Self::from_bytes(bytes))
            }
        }
    }

    /// A key from its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let id = digest
            .as_ref()
            .first_chunk::<4>()
            .map_or(0, |first| u32::from_le_bytes(*first));
        Self {
            bytes: Secret::new(bytes),
            id,
        }
    }

    /// A short public name of this key: the first 32 bits of its SHA-256.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn load(file: File, path: &Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io {
            path: path.to_owned(),
            source,
        };
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(256).read_to_string(&mut text).map_err(io)?;
        let bytes = text
            .trim_end()
            .strip_prefix("qc-node-key 1 ")
            .and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes
            .map(Self::from_bytes)
            .ok_or_else(|| KeyError::Content {
                path: path.to_owned(),
            })
    }

    fn wrapping_key(&self, segment: &[u8; 16]) -> LessSafeKey {
        derive(self.bytes.expose(), segment, b"qc segment key 1")
    }
}

/// The node keys that open a store: the one in use, and while it is being replaced the other one.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// Seals new segments.
    pub current: NodeKey,
    /// The key that is on its way out or in.
    pub other: Option<NodeKey>,
}

impl From<NodeKey> for Keyring {
    fn from(current: NodeKey) -> Self {
        Self {
            current,
            other: None,
        }
    }
}

impl Keyring {
    /// The key with this short name.
    pub(super) fn get(&self, id: u32) -> Option<&NodeKey> {
        [Some(&self.current), self.other.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.id() == id)
    }
}

/// The data key of one segment.
pub(super) struct SegmentKey {
    key: LessSafeKey,
    data: Secret<[u8; 32]>,
    /// Binds the data key to the header (key commitment).
    pub(super) commitment: [u8; 32],
    /// The data key as it stands in the header.
    pub(super) wrapped: [u8; WRAPPED],
}

impl SegmentKey {
    /// A new random data key for the segment with this id.
    pub(super) fn create(node: &NodeKey, segment: &[u8; 16]) -> io::Result<Self> {
        let data: [u8; 32] = random()?;
        let wrapped = wrap(&data, node, segment)?;
        Ok(Self::from_data(data, segment, wrapped))
    }

    /// Unwraps the data key of a header; `None` when the node key is not the one that wrapped it or
    /// the header was tampered with.
    pub(super) fn unwrap(
        node: &NodeKey,
        segment: &[u8; 16],
        wrapped: &[u8; WRAPPED],
        commitment: &[u8; 32],
    ) -> Option<Self> {
        let mut data = *wrapped;
        let wrapping = node.wrapping_key(segment);
        let plain = wrapping
            .open_in_place(nonce(0), Aad::from(segment), &mut data)
            .ok()?;
        let data: [u8; 32] = <[u8; 32]>::try_from(&*plain).ok()?;
        let key = Self::from_data(data, segment, *wrapped);
        (key.commitment == *commitment).then_some(key)
    }

    /// Wraps the data key under another node key, for the header.
    pub(super) fn wrap(&self, node: &NodeKey, segment: &[u8; 16]) -> io::Result<[u8; WRAPPED]> {
        wrap(self.data.expose(), node, segment)
    }

    /// A key for something that belongs to this segment, fresh with every `salt`.
    pub(super) fn derive(&self, salt: &[u8; 16], purpose: &[u8]) -> LessSafeKey {
        derive(self.data.expose(), salt, purpose)
    }

    /// Seals `payload` in place; the tag is returned.
    pub(super) fn seal(&self, batch: u64, aad: &[u8], payload: &mut [u8]) -> Option<[u8; TAG]> {
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(batch), Aad::from(aad), payload)
            .ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Opens `payload` (ciphertext and tag) in place and gives the plaintext's length.
    pub(super) fn open(&self, batch: u64, aad: &[u8], payload: &mut [u8]) -> Option<usize> {
        self.key
            .open_in_place(nonce(batch), Aad::from(aad), payload)
            .ok()
            .map(|plain| plain.len())
    }

    fn from_data(data: [u8; 32], segment: &[u8; 16], wrapped: [u8; WRAPPED]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &data).expect("32 bytes are an AES-256 key");
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        digest.update(b"qc segment commitment 1");
        digest.update(segment);
        digest.update(&data);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(digest.finish().as_ref());
        Self {
            key: LessSafeKey::new(key),
            data: Secret::new(data),
            commitment,
            wrapped,
        }
    }
}

/// Random bytes from the operating system's generator. They come without the half tenth of a second
/// that the crypto library takes to gather its own when a process first asks it.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        match rustix::rand::getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(filled) => rest = rest.get_mut(filled..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

fn wrap(data: &[u8; 32], node: &NodeKey, segment: &[u8; 16]) -> io::Result<[u8; WRAPPED]> {
    let mut wrapped = [0; WRAPPED];
    let (plain, tag) = wrapped.split_at_mut(32);
    plain.copy_from_slice(data);
    let sealed = node
        .wrapping_key(segment)
        .seal_in_place_separate_tag(nonce(0), Aad::from(segment), plain)
        .map_err(|_| io::Error::other("cannot wrap a data key"))?;
    tag.copy_from_slice(sealed.as_ref());
    Ok(wrapped)
}

fn derive(secret: &[u8], salt: &[u8; 16], purpose: &[u8]) -> LessSafeKey {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let info = [purpose];
    let okm = derived.expand(&info, &AES_256_GCM);
    LessSafeKey::new(okm.expect("one block is always available").into())
}

pub(super) fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    if let Some(low) = bytes.first_chunk_mut::<8>() {
        *low = counter.to_le_bytes();
    }
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_data_key_opens_only_under_its_node_key_and_segment() {
        let (node, other) = (NodeKey::from_bytes([1; 32]), NodeKey::from_bytes([2; 32]));
        let key = SegmentKey::create(&node, &[7; 16]).unwrap();
        let unwrap = |node, segment: &[u8; 16], commitment: &[u8; 32]| {
            SegmentKey::unwrap(node, segment, &key.wrapped, commitment).is_some()
        };
        assert!(unwrap(&node, &[7; 16], &key.commitment));
        assert!(!unwrap(&other, &[7; 16], &key.commitment));
        assert!(!unwrap(&node, &[8; 16], &key.commitment));
        assert!(!unwrap(&node, &[7; 16], &[0; 32]));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/node.key");
        assert!(matches!(
            NodeKey::load_or_create(&path, false),
            Err(KeyError::Missing { .. })
        ));
        let id = NodeKey::load_or_create(&path, true).unwrap().id();
        assert_eq!(NodeKey::load_or_create(&path, false).unwrap().id(), id);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            NodeKey::load_or_create(&path, true),
            Err(KeyError::Mode { mode: 0o640, .. })
        ));
    }
}
