//! The form of a control object, the same in a file, over a link and on disk. Little-endian; one value has one
//! encoding.
//!
//! ```text
//!  0 magic u8x4     51 43 4f 31, "QCO1": the last one is the version of this form
//!  4 length u32     of everything between here and the signature
//!  8 kind u16       1 revocations  2 trust  3 policy  4 config  5 upgrade        \
//!    label u8+n     which of its kind, a-z 0-9 -; empty where there is one        |
//!    revision u64   from 1; only ever rises                                       | what it says:
//!    domain u8+n    the trust domain it is for                                    | the digest is
//!    audience u8    so many patterns follow, each u8+n, rising; none means all    | SHA-256 of this
//!    payload u32+n  1 MiB at most                                                /
//!    created u64    ms since 1970
//!    chain u8       so many certificates follow, each u16+n: the signer's, then CAs above it
//! 8+length
//!    signature u16+n   ECDSA in DER over all bytes before it, with SHA-256 by a P-256 key and with SHA-384 by
//!                      a P-384 key
//! ```
//!
//! The signature covers a prefix of the file, so `openssl dgst` can judge it: qc-wire(7) says how.

use bytes::BufMut as _;
use rustls_pki_types::CertificateDer;

use super::kind::{Kind, Label, Mark};
use crate::model::{NodeName, NodePattern, Timestamp, TrustDomain};
use crate::pki::{self, CertView, KeyAndChain, KeyError};
use crate::wire::{Reader, WireError};

/// The longest payload.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// The most patterns of an audience.
pub const MAX_AUDIENCE: usize = 64;
/// The longest object.
pub const MAX_OBJECT: usize = MAX_PAYLOAD + 96 * 1024;

const MAGIC: &[u8; 3] = b"QCO";
const VERSION: u8 = b'1';
const MAX_CHAIN: usize = 8;
const MAX_CERT: usize = 8 * 1024;
const MAX_SIGNATURE: usize = 256;

/// What is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it is about.
    pub kind: Kind,
    /// Which one.
    pub label: Label,
    /// Greater than that of every one before.
    pub revision: u64,
    /// The trust domain it is for.
    pub domain: TrustDomain,
    /// Which nodes it is for; nobody named means all.
    pub audience: Vec<NodePattern>,
    /// What it says, by its kind.
    pub payload: Vec<u8>,
    /// When.
    pub created: Timestamp,
}

/// A control object as it was read: well-formed, and not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    draft: Draft,
    digest: [u8; 32],
    chain: Vec<CertificateDer<'static>>,
    signature: Vec<u8>,
    bytes: Vec<u8>,
}

/// What an object is made of, for whoever judges its signature.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// What was signed.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// The certificates of the signer, its own first.
    pub chain: &'a [CertificateDer<'static>],
}

/// Why bytes are not a control object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// They are something else.
    #[error("these bytes are no control object")]
    Foreign,
    /// The form is of another version.
    #[error("its form has version '{0}', and this program knows version '1'")]
    Version(char),
    /// A kind of a later version.
    #[error("its kind {0} is unknown to this version")]
    Kind(u16),
    /// Its bytes are not as drawn.
    #[error(transparent)]
    Form(#[from] WireError),
}

/// Why an object was not made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// More than an object can hold.
    #[error("the {what} is too long: {length}, and {max} at most")]
    TooLong {
        /// What.
        what: &'static str,
        /// How much there is.
        length: usize,
        /// How much there may be.
        max: usize,
    },
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Draft {
    /// Signs it. That a signer may sign this is judged by whoever reads it.
    pub fn sign(&self, signer: &KeyAndChain) -> Result<Object, SignError> {
        // a root is trusted or not; in the chain it only takes room
        let is_root = |cert: &&CertificateDer<'static>| {
            CertView::parse(cert).is_ok_and(|view| view.is_self_issued())
        };
        let chain: Vec<_> = signer
            .chain
            .iter()
            .filter(|cert| !is_root(cert))
            .cloned()
            .collect();
        let longest = chain.iter().map(|cert| cert.len()).max();
        for (what, length, max) in [
            ("payload", self.payload.len(), MAX_PAYLOAD),
            ("audience", self.audience.len(), MAX_AUDIENCE),
            ("chain", chain.len(), MAX_CHAIN),
            ("certificate", longest.unwrap_or(0), MAX_CERT),
        ] {
            if length > max {
                return Err(SignError::TooLong { what, length, max });
            }
        }
        let (mut bytes, said) = self.encode(&chain);
        let signature = signer.key.sign(&bytes)?;
        put(&mut bytes, Width::Two, &signature);
        Ok(Object {
            draft: Self {
                audience: self.sorted(),
                ..self.clone()
            },
            digest: pki::sha256(bytes.get(said).unwrap_or_default()),
            chain,
            signature,
            bytes,
        })
    }

    fn sorted(&self) -> Vec<NodePattern> {
        let mut audience = self.audience.clone();
        audience.sort();
        audience.dedup();
        audience
    }

    /// The bytes that are signed, and where in them stands what it says.
    fn encode(&self, chain: &[CertificateDer<'static>]) -> (Vec<u8>, std::ops::Range<usize>) {
        let mut out = Vec::with_capacity(self.payload.len() + 8 * 1024);
        out.put_slice(MAGIC);
        out.put_u8(VERSION);
        out.put_u32_le(0);
        let begin = out.len();
        out.put_u16_le(self.kind as u16);
        put(&mut out, Width::One, self.label.as_str().as_bytes());
        out.put_u64_le(self.revision);
        put(&mut out, Width::One, self.domain.as_str().as_bytes());
        let audience = self.sorted();
        out.put_u8(u8::try_from(audience.len()).expect("bounded before it is signed"));
        for pattern in &audience {
            put(&mut out, Width::One, pattern.as_str().as_bytes());
        }
        put(&mut out, Width::Four, &self.payload);
        let said = begin..out.len();
        out.put_u64_le(self.created.as_millis());
        out.put_u8(u8::try_from(chain.len()).expect("bounded before it is signed"));
        for cert in chain {
            put(&mut out, Width::Two, cert);
        }
        let length = u32::try_from(out.len() - begin).expect("bounded by its parts");
        if let Some(place) = out.get_mut(4..8) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        (out, said)
    }
}

impl Object {
    /// Reads an object, which must be all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, ObjectError> {
        bounded("control object", bytes.len(), MAX_OBJECT)?;
        let mut reader = Reader(bytes);
        let magic: [u8; 3] = reader.array().map_err(|_| ObjectError::Foreign)?;
        if magic != *MAGIC {
            return Err(ObjectError::Foreign);
        }
        let version = reader.u8()?;
        if version != VERSION {
            return Err(ObjectError::Version(char::from(version)));
        }
        let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let body = reader.bytes(length)?;
        let signature = field(&mut reader, Width::Two, "signature", MAX_SIGNATURE)?.to_vec();
        if !reader.0.is_empty() {
            return Err(WireError::Malformed("end").into());
        }
        let mut reader = Reader(body);
        let number = reader.u16()?;
        let label = text(&mut reader, "label")?;
        let revision = reader.u64()?;
        let domain = text(&mut reader, "trust domain")?;
        let count = usize::from(reader.u8()?);
        bounded("audience", count, MAX_AUDIENCE)?;
        let mut audience: Vec<NodePattern> = Vec::new();
        for _ in 0..count {
            let pattern = text(&mut reader, "audience")?;
            // one value has one encoding: what is not in order was not made by us
            if audience.last().is_some_and(|last| *last >= pattern) {
                return Err(WireError::Malformed("order of the audience").into());
            }
            audience.push(pattern);
        }
        let payload = field(&mut reader, Width::Four, "payload", MAX_PAYLOAD)?.to_vec();
        let said = body.len() - reader.0.len();
        let digest = pki::sha256(body.get(..said).unwrap_or_default());
        let created = Timestamp::from_millis(reader.u64()?);
        let count = usize::from(reader.u8()?);
        bounded("chain", count, MAX_CHAIN)?;
        let mut chain = Vec::new();
        for _ in 0..count {
            let cert = field(&mut reader, Width::Two, "certificate", MAX_CERT)?;
            chain.push(CertificateDer::from(cert.to_vec()));
        }
        if !reader.0.is_empty() || revision == 0 {
            return Err(WireError::Malformed("body").into());
        }
        // last, so that what is said of a later kind is said of something whole
        let kind = Kind::from_number(number).ok_or(ObjectError::Kind(number))?;
        Ok(Self {
            draft: Draft {
                kind,
                label,
                revision,
                domain,
                audience,
                payload,
                created,
            },
            digest,
            chain,
            signature,
            bytes: bytes.to_vec(),
        })
    }

    /// The object as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub fn says(&self) -> &Draft {
        &self.draft
    }

    /// What a node that applied it has come to.
    pub fn mark(&self) -> Mark {
        Mark {
            kind: self.draft.kind,
            label: self.draft.label.clone(),
            revision: self.draft.revision,
            digest: self.digest,
        }
    }

    /// Whether it is for `node`.
    pub fn is_for(&self, node: &NodeName) -> bool {
        let audience = &self.draft.audience;
        audience.is_empty() || audience.iter().any(|pattern| pattern.matches(node))
    }

    /// What its signature is over, and whose it is.
    pub fn parts(&self) -> Parts<'_> {
        let signed = self.bytes.len() - self.signature.len() - 2;
        Parts {
            signed: self.bytes.get(..signed).unwrap_or_default(),
            signature: &self.signature,
            chain: &self.chain,
        }
    }
}

/// How many bytes a length has.
#[derive(Clone, Copy)]
enum Width {
    One,
    Two,
    Four,
}

fn put(out: &mut Vec<u8>, width: Width, bytes: &[u8]) {
    let length = bytes.len();
    match width {
        Width::One => out.put_u8(u8::try_from(length).expect("bounded by its type")),
        Width::Two => out.put_u16_le(u16::try_from(length).expect("bounded before it is signed")),
        Width::Four => out.put_u32_le(u32::try_from(length).expect("bounded before it is signed")),
    }
    out.put_slice(bytes);
}

fn field<'a>(
    reader: &mut Reader<'a>,
    width: Width,
    what: &'static str,
    max: usize,
) -> Result<&'a [u8], WireError> {
    let length = match width {
        Width::One => usize::from(reader.u8()?),
        Width::Two => usize::from(reader.u16()?),
        Width::Four => usize::try_from(reader.u32()?).unwrap_or(usize::MAX),
    };
    bounded(what, length, max)?;
    reader.bytes(length)
}

fn text<T: std::str::FromStr>(reader: &mut Reader<'_>, what: &'static str) -> Result<T, WireError> {
    let bytes = field(reader, Width::One, what, usize::from(u8::MAX))?;
    let text = std::str::from_utf8(bytes).map_err(|_| WireError::Malformed(what))?;
    text.parse().map_err(|_| WireError::Malformed(what))
}

fn bounded(what: &'static str, length: usize, max: usize) -> Result<(), WireError> {
    if length > max {
        let (length, max) = (length as u64, max as u64);
        return Err(WireError::TooLong { what, length, max });
    }
    Ok(())
}
