//! Keys at rest: the node key wraps one random data key a segment, batches are sealed with AES-256-GCM.
//!
//! The wrapping key is HKDF-SHA-256(node key, salt = the segment's random 128-bit id), so it seals
//! exactly one value and a constant nonce is safe. A batch's nonce is its number in the segment; a
//! segment is never appended to after a restart, so no nonce returns under the same key. What belongs
//! to a segment but is written again and again (its index) is sealed under keys derived from the data
//! key with a fresh salt each time.

use std::io;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use crate::secret::Secret;

/// Length of an authentication tag in bytes.
pub(super) const TAG: usize = 16;
/// Length of a wrapped data key: the key and a tag.
pub(super) const WRAPPED: usize = 32 + TAG;

const TEXT: &str = "qc-node-key 1 ";

/// The key of a node, or any other key that does nothing but wrap keys. Where it comes from is none of
/// the store's business.
#[derive(Debug, Clone)]
pub struct NodeKey {
    bytes: Secret<[u8; 32]>,
    id: u32,
}

/// A key of 32 bytes, sealed under another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrappedKey {
    /// Fresh for each wrapping, so that one wrapping key seals exactly one value.
    pub salt: [u8; 16],
    /// The sealed key and its tag.
    pub sealed: [u8; WRAPPED],
}

impl NodeKey {
    /// A new random key.
    pub fn random() -> io::Result<Self> {
        random().map(Self::from_bytes)
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

    /// The key as its file has it: `qc-node-key 1` and 64 hexadecimal digits.
    pub fn to_text(&self) -> Secret<String> {
        let hex = Secret::new(data_encoding::HEXLOWER.encode(self.bytes.expose()));
        Secret::new(format!("{TEXT}{}\n", hex.expose()))
    }

    /// Reads what [`Self::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let hex = text.trim_end().strip_prefix(TEXT)?;
        let bytes = Secret::new(data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?);
        Some(Self::from_bytes(bytes.expose().as_slice().try_into().ok()?))
    }

    /// Seals a key that belongs to `whose`.
    pub fn wrap(&self, key: &Secret<[u8; 32]>, whose: &[u8]) -> io::Result<WrappedKey> {
        let salt = random()?;
        let wrapping = derive(self.bytes.expose(), &salt, b"qc tenant key 1");
        let sealed = seal_key(&wrapping, key.expose(), whose)?;
        Ok(WrappedKey { salt, sealed })
    }

    /// Opens what [`Self::wrap`] sealed; `None` when this is another key, or the owner another one.
    pub fn unwrap(&self, wrapped: &WrappedKey, whose: &[u8]) -> Option<Secret<[u8; 32]>> {
        let wrapping = derive(self.bytes.expose(), &wrapped.salt, b"qc tenant key 1");
        let mut key = Secret::new(wrapped.sealed);
        let plain = wrapping
            .open_in_place(nonce(0), Aad::from(whose), key.expose_mut())
            .ok()?;
        <[u8; 32]>::try_from(&*plain).ok().map(Secret::new)
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
    pub fn get(&self, id: u32) -> Option<&NodeKey> {
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
        let data = Secret::new(random()?);
        let wrapped = wrap(data.expose(), node, segment)?;
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
        let mut opened = Secret::new(*wrapped);
        let wrapping = node.wrapping_key(segment);
        let plain = wrapping
            .open_in_place(nonce(0), Aad::from(segment), opened.expose_mut())
            .ok()?;
        let data = Secret::new(<[u8; 32]>::try_from(&*plain).ok()?);
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

    fn from_data(data: Secret<[u8; 32]>, segment: &[u8; 16], wrapped: [u8; WRAPPED]) -> Self {
        let key =
            UnboundKey::new(&AES_256_GCM, data.expose()).expect("32 bytes are an AES-256 key");
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        digest.update(b"qc segment commitment 1");
        digest.update(segment);
        digest.update(data.expose());
        let mut commitment = [0; 32];
        commitment.copy_from_slice(digest.finish().as_ref());
        Self {
            key: LessSafeKey::new(key),
            data,
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
    seal_key(&node.wrapping_key(segment), data, segment)
}

fn seal_key(wrapping: &LessSafeKey, key: &[u8; 32], aad: &[u8]) -> io::Result<[u8; WRAPPED]> {
    let mut wrapped = [0; WRAPPED];
    let (plain, tag) = wrapped.split_at_mut(32);
    plain.copy_from_slice(key);
    let sealed = wrapping
        .seal_in_place_separate_tag(nonce(0), Aad::from(aad), plain)
        .map_err(|_| io::Error::other("cannot wrap a key"))?;
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
    fn a_wrapped_key_opens_for_its_owner_and_under_its_key() {
        let (node, other) = (NodeKey::from_bytes([1; 32]), NodeKey::from_bytes([2; 32]));
        let key = Secret::new([7; 32]);
        let wrapped = node.wrap(&key, b"acme").unwrap();
        assert_ne!(wrapped, node.wrap(&key, b"acme").unwrap());
        assert_eq!(node.unwrap(&wrapped, b"acme").unwrap().expose(), &[7; 32]);
        assert!(node.unwrap(&wrapped, b"other").is_none());
        assert!(other.unwrap(&wrapped, b"acme").is_none());
    }

    #[test]
    fn the_text_of_a_key_is_the_key() {
        let key = NodeKey::random().unwrap();
        let text = key.to_text();
        let again = NodeKey::from_text(text.expose()).unwrap();
        assert_eq!(again.bytes.expose(), key.bytes.expose());
        assert_eq!(again.id(), key.id());
        for bad in ["", "qc-node-key 1 ", "qc-node-key 1 00", "qc-node-key 2 x"] {
            assert!(NodeKey::from_text(bad).is_none(), "{bad}");
        }
    }
}
