//! Bodies under their tenant's own key, inside the seal of the batch: whoever destroys that key makes
//! the tenant's bodies unreadable, here and in every copy, and nobody else's.
//!
//! A body is sealed with AES-256-GCM under HKDF-SHA-256(tenant key, salt = the segment's random id); the
//! nonce counts the record's place in the segment, so it never returns under the same key. A record that
//! moves to another segment is opened and sealed again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey};
use aws_lc_rs::hkdf;
use bytes::Bytes;

use super::seal::nonce;
use super::{AppendError, Head};
use crate::secret::Secret;
use crate::wire::{Record, RecordHeader, SealSuite};

/// What sealing adds to a body, in bytes.
pub(super) const TAG: usize = 16;

/// A tenant's key and its number.
pub type TenantKey = (u32, Secret<[u8; 32]>);

/// Why the key of a tenant is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// It was destroyed, and what it sealed stays unreadable.
    #[error("{0}")]
    Destroyed(String),
    /// It is not at hand; it may come back.
    #[error("{0}")]
    Away(String),
}

impl NoKey {
    /// The stable code: `QC3046` or `QC3047`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Destroyed(_) => "QC3046",
            Self::Away(_) => "QC3047",
        }
    }
}

/// Where the keys of tenants come from. Asked for every commit and every read, so an answer has to be
/// quick; a key that is not given is not there.
pub trait Custody: Send + Sync {
    /// The key that seals what is new for a tenant. `Ok(None)` means the tenant has no key of its own.
    fn sealing(&self, tenant: &str) -> Result<Option<TenantKey>, NoKey>;
    /// The key with this number, for reading.
    fn opening(&self, key: u32) -> Result<Secret<[u8; 32]>, NoKey>;
}

/// No tenant has a key of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCustody;

impl Custody for NoCustody {
    fn sealing(&self, _tenant: &str) -> Result<Option<TenantKey>, NoKey> {
        Ok(None)
    }

    fn opening(&self, key: u32) -> Result<Secret<[u8; 32]>, NoKey> {
        Err(NoKey::Away(format!("tenant key {key:08x} is not here")))
    }
}

/// The keys of all tenants, each derived once for a segment.
pub(super) struct TenantKeys {
    custody: Arc<dyn Custody>,
    derived: RwLock<HashMap<Derived, Arc<LessSafeKey>>>,
    sealing: Mutex<HashMap<String, Arc<Sealing>>>,
}

/// A tenant's key and the segment another one was derived for.
type Derived = (u32, [u8; 16]);

/// Derived keys that are kept.
const DERIVED: usize = 256;

/// The key a tenant's new bodies are sealed with.
pub(super) struct Sealing {
    id: u32,
    key: Secret<[u8; 32]>,
    derived: Mutex<Option<([u8; 16], Arc<LessSafeKey>)>>,
}

impl TenantKeys {
    pub(super) fn new(custody: Arc<dyn Custody>) -> Self {
        Self {
            custody,
            derived: RwLock::default(),
            sealing: Mutex::default(),
        }
    }

    /// The key to seal a tenant's bodies with, if it has one.
    pub(super) fn sealing(&self, tenant: &str) -> Result<Option<Arc<Sealing>>, AppendError> {
        let given = self.custody.sealing(tenant);
        let given = given.map_err(|reason| AppendError::TenantKey {
            tenant: tenant.to_owned(),
            reason,
        })?;
        let Some((id, key)) = given else {
            return Ok(None);
        };
        let mut known = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sealing) = known.get(tenant).filter(|sealing| sealing.id == id) {
            return Ok(Some(Arc::clone(sealing)));
        }
        let sealing = Arc::new(Sealing {
            id,
            key,
            derived: Mutex::default(),
        });
        known.insert(tenant.to_owned(), Arc::clone(&sealing));
        Ok(Some(sealing))
    }

    /// Forgets every key that was derived: one of them may have been taken away.
    pub(super) fn forget(&self) {
        let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        derived.clear();
        let mut sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        sealing.clear();
    }

    /// What of a record is under no tenant's key, and whether the rest can be read.
    pub(super) fn head(&self, record: Record) -> Head {
        let is_sealed = record.header.seal != SealSuite::None;
        let tag = if is_sealed { TAG } else { 0 };
        let key = is_sealed.then(|| self.custody.opening(record.header.tenant_key));
        Head {
            header: record.header,
            head: record.head,
            body_bytes: record.body.len().saturating_sub(tag) as u64,
            no_key: key.and_then(Result::err),
        }
    }

    /// The record with its body in the clear.
    pub(super) fn open(&self, segment: &[u8; 16], mut record: Record) -> Result<Record, NoKey> {
        if record.header.seal == SealSuite::None {
            return Ok(record);
        }
        let id = record.header.tenant_key;
        // asked each time: a key that was taken away must not open anything from memory
        let key = self.custody.opening(id)?;
        let known = {
            let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
            derived.get(&(id, *segment)).map(Arc::clone)
        };
        let key = known.unwrap_or_else(|| {
            let key = Arc::new(derive(&key, segment));
            let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
            if derived.len() >= DERIVED {
                derived.clear();
            }
            derived.insert((id, *segment), Arc::clone(&key));
            key
        });
        let mut body = record.body.to_vec();
        let aad = bound_to(&record.header);
        let plain = key
            .open_in_place(nonce(counter_of(&record.header)), Aad::from(aad), &mut body)
            .map_err(|_| NoKey::Away(format!("tenant key {id:08x} does not open this body")))?
            .len();
        body.truncate(plain);
        record.body = Bytes::from(body);
        (record.header.seal, record.header.tenant_key) = (SealSuite::None, 0);
        Ok(record)
    }
}

impl Sealing {
    /// Appends the record with its body sealed.
    pub(super) fn encode(
        &self,
        header: &RecordHeader,
        head: &[u8],
        body: &[u8],
        segment: &[u8; 16],
        counter: u64,
        out: &mut Vec<u8>,
    ) {
        let derived = {
            let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
            if derived.as_ref().is_none_or(|(of, _)| of != segment) {
                *derived = Some((*segment, Arc::new(derive(&self.key, segment))));
            }
            derived.as_ref().map(|(_, key)| Arc::clone(key))
        };
        let key = derived.expect("it was derived just now");
        let mut sealed = *header;
        sealed.tenant_key = self.id;
        sealed.seal = SealSuite::Aes256Gcm;
        sealed.nonce = [0; 12];
        sealed
            .nonce
            .iter_mut()
            .zip(counter.to_le_bytes())
            .for_each(|(to, from)| *to = from);
        sealed.encode_with_room(head, body, TAG, out);
        let plain = out.len() - TAG - body.len();
        let aad = bound_to(header);
        if let Some((body, tag)) = out
            .get_mut(plain..)
            .and_then(|part| part.split_at_mut_checked(body.len()))
        {
            let made = key.seal_in_place_separate_tag(nonce(counter), Aad::from(aad), body);
            // the cipher refuses only lengths that the bound on a body rules out
            let made = made.expect("a body is shorter than the cipher's limit");
            tag.copy_from_slice(made.as_ref());
        }
    }
}

fn derive(key: &Secret<[u8; 32]>, segment: &[u8; 16]) -> LessSafeKey {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, segment).extract(key.expose());
    let okm = derived.expand(&[b"qc tenant body 1"], &AES_256_GCM);
    LessSafeKey::new(okm.expect("one block is always available").into())
}

/// A body belongs to its place in its stream and opens nowhere else.
fn bound_to(header: &RecordHeader) -> [u8; 20] {
    let mut aad = [0; 20];
    let stream = header.stream.to_le_bytes();
    let (epoch, seq) = (header.epoch.0.to_le_bytes(), header.seq.0.to_le_bytes());
    let parts = stream.iter().chain(&epoch).chain(&seq);
    aad.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    aad
}

fn counter_of(header: &RecordHeader) -> u64 {
    header
        .nonce
        .first_chunk()
        .map_or(0, |low| u64::from_le_bytes(*low))
}
