//! Invitations: a secret that lets one key become one node, once.
//!
//! ```text
//! QC1-<id>-<secret>-<pin>-<crc>
//! ```
//!
//! `id` names the record, `secret` is 128 random bits of which only the hash is kept, `pin` is the
//! hash of the root's key so that the node knows whom to trust before it says the secret, and `crc`
//! catches a typing error before any connection is made.
//!
//! A token is bound to the first key that redeems it. The binding is on disk before anything is
//! signed, so a lost reply is repaired by asking again with the same key, which gets the same
//! certificate; another key is refused and freezes the token.

mod error;
mod text;

pub use error::TokenError;
pub use text::TokenText;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::certificate::sha256;
use super::directory::DirLock;
use super::{CertRequest, Role};
use crate::durable;
use crate::model::{NodeName, Timestamp};
use crate::secret::Secret;

/// The longest life of a token.
pub const MAX_TTL: Duration = Duration::from_hours(7 * 24);

/// What a token allows, as the operator said.
#[derive(Debug, Clone)]
pub struct Token {
    /// The node that may be enrolled.
    pub node: NodeName,
    /// Its role.
    pub role: Role,
    /// Host names that its front door may have.
    pub front_dns: Vec<String>,
}

/// The record of a token, one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenRecord {
    schema: u32,
    /// Its public name.
    pub id: String,
    secret_sha256: String,
    /// The node that may be enrolled.
    pub node: String,
    /// Its role.
    pub role: String,
    /// Host names that its front door may have.
    #[serde(default)]
    pub front_dns: Vec<String>,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// When it ends, milliseconds since 1970.
    pub expires_ms: u64,
    /// Whether another key came with it: somebody else knows it.
    #[serde(default)]
    pub frozen: bool,
    /// The node's key, serial and certificate, once redeemed.
    #[serde(default)]
    pub claimed: Option<Claim>,
    /// The same for the front door.
    #[serde(default)]
    pub front_claimed: Option<Claim>,
}

/// To which key a token is bound.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    spki_sha256: String,
    serial: String,
    /// The certificate, once signed.
    pub cert: Option<String>,
}

/// What redeeming a token found.
#[derive(Debug)]
pub enum Redeemed {
    /// Bound now, or before without a certificate: sign with this serial, then call
    /// [`Tokens::keep_cert`].
    Sign {
        /// The serial on record.
        serial: [u8; 16],
    },
    /// Done before with the same key: this is its certificate in PEM.
    Again {
        /// The certificate.
        cert: String,
    },
}

/// The directory of tokens. Every change needs the directory lock.
#[derive(Debug, Clone)]
pub struct Tokens {
    dir: PathBuf,
}

impl Tokens {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Makes a token and keeps its hash.
    pub fn create(
        &self,
        _lock: &DirLock,
        token: &Token,
        ttl: Duration,
        pin: [u8; 32],
        now: Timestamp,
    ) -> Result<(TokenText, TokenRecord), TokenError> {
        if ttl > MAX_TTL || ttl.is_zero() {
            return Err(TokenError::TooLong);
        }
        for name in &token.front_dns {
            check_host(name)?;
        }
        // whole seconds read better
        let now = Timestamp::from_millis(now.as_secs() * 1000);
        let mut random = [0u8; 16 + 5];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| TokenError::Crypto)?;
        let (secret, id) = random.split_at(16);
        let text = TokenText {
            id: BASE32_NOPAD.encode(id),
            secret: Secret::new(BASE32_NOPAD.encode(secret)),
            pin,
        };
        let record = TokenRecord {
            schema: 1,
            id: text.id.clone(),
            secret_sha256: HEXLOWER.encode(&sha256(text.secret.expose().as_bytes())),
            node: token.node.to_string(),
            role: token.role.to_string(),
            front_dns: token.front_dns.clone(),
            created_ms: now.as_millis(),
            expires_ms: now.plus(ttl).as_millis(),
            frozen: false,
            claimed: None,
            front_claimed: None,
        };
        self.write(&record)?;
        Ok((text, record))
    }

    /// The record of a token whose secret is right and whose time is not over.
    pub fn check(&self, id: &str, secret: &str, now: Timestamp) -> Result<TokenRecord, TokenError> {
        let right_form =
            id.len() == text::ID_CHARS && id.bytes().all(|c| c.is_ascii_alphanumeric());
        let record = if right_form { self.read(id)? } else { None };
        let given = HEXLOWER.encode(&sha256(secret.as_bytes()));
        let known = record.as_ref().map_or("", |r| r.secret_sha256.as_str());
        let equal =
            aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), known.as_bytes());
        let record = record
            .filter(|_| equal.is_ok())
            .ok_or(TokenError::Unknown)?;
        let at = Timestamp::from_millis(record.expires_ms);
        if now >= at {
            return Err(TokenError::Expired { id: record.id, at });
        }
        Ok(record)
    }

    /// Binds a token to the key of `request`, durably, or finds it bound to that key.
    pub fn redeem(
        &self,
        _lock: &DirLock,
        id: &str,
        secret: &str,
        front: bool,
        request: &CertRequest,
        now: Timestamp,
    ) -> Result<(Redeemed, TokenRecord), TokenError> {
        let mut record = self.check(id, secret, now)?;
        if front && record.front_dns.is_empty() {
            return Err(TokenError::NoFront { id: record.id });
        }
        if record.frozen {
            return Err(TokenError::Frozen { id: record.id });
        }
        let spki = HEXLOWER.encode(request.spki_sha256());
        let slot = if front {
            &mut record.front_claimed
        } else {
            &mut record.claimed
        };
        let redeemed = match slot {
            Some(claim) if claim.spki_sha256 != spki => {
                record.frozen = true;
                self.write(&record)?;
                return Err(TokenError::Replayed { id: record.id });
            }
            Some(Claim {
                cert: Some(cert), ..
            }) => Redeemed::Again { cert: cert.clone() },
            Some(claim) => Redeemed::Sign {
                serial: parse_serial(&claim.serial).ok_or(TokenError::Crypto)?,
            },
            None => {
                let serial = super::authority::new_serial().map_err(|_| TokenError::Crypto)?;
                *slot = Some(Claim {
                    spki_sha256: spki,
                    serial: HEXLOWER.encode(&serial),
                    cert: None,
                });
                self.write(&record)?;
                Redeemed::Sign { serial }
            }
        };
        Ok((redeemed, record))
    }

    /// Keeps the certificate that was signed for a claim, so that asking again gives the same.
    pub fn keep_cert(
        &self,
        _lock: &DirLock,
        mut record: TokenRecord,
        front: bool,
        cert: &str,
    ) -> Result<(), TokenError> {
        let slot = if front {
            &mut record.front_claimed
        } else {
            &mut record.claimed
        };
        if let Some(claim) = slot {
            claim.cert = Some(cert.to_owned());
        }
        self.write(&record)
    }

    fn read(&self, id: &str) -> Result<Option<TokenRecord>, TokenError> {
        let path = self.path(id);
        let failed = |source| TokenError::File {
            path: path.clone(),
            source,
        };
        match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidData, e))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, record: &TokenRecord) -> Result<(), TokenError> {
        let path = self.path(&record.id);
        let json = serde_json::to_vec_pretty(record).map_err(io::Error::from);
        json.and_then(|json| durable::write_atomic(&path, &json, 0o600))
            .map_err(|source| TokenError::File { path, source })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(Path::new(id).with_extension("json"))
    }
}

fn parse_serial(hex: &str) -> Option<[u8; 16]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// A host name in lower case, as a certificate may carry it; no wildcard, no address.
fn check_host(name: &str) -> Result<(), TokenError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = name
        .split('.')
        .all(|l| l.bytes().all(|c| c.is_ascii_digit()));
    if name.len() <= 253 && name.split('.').all(label) && !numeric {
        return Ok(());
    }
    Err(TokenError::BadHost {
        name: crate::safe_text::safe(name, 80),
    })
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.node, self.role)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PkiDir, PrivateKey};
    use super::*;

    fn request() -> CertRequest {
        let key = PrivateKey::new_p256().unwrap();
        CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap()
    }

    fn house() -> (tempfile::TempDir, PkiDir) {
        let dir = tempfile::tempdir().unwrap();
        let house = PkiDir::init(dir.path(), "acme", &"qc.internal".parse().unwrap()).unwrap();
        (dir, house)
    }

    fn token() -> Token {
        Token {
            node: "edge-07.mill7.acme".parse().unwrap(),
            role: Role::Edge,
            front_dns: Vec::new(),
        }
    }

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn every_single_typing_error_is_caught() {
        let (_dir, house) = house();
        let lock = house.lock().unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let made = house.tokens().create(&lock, &token(), DAY, [7; 32], now);
        let text = made.unwrap().0.reveal().expose().clone();
        let parsed: TokenText = text.to_lowercase().parse().unwrap();
        assert_eq!(parsed.pin, [7; 32]);
        for at in 0..text.len() {
            for wrong in ["A", "Q", "2", ""] {
                let mut typed = text.clone();
                typed.replace_range(at..=at, wrong);
                assert!(typed == text || typed.parse::<TokenText>().is_err(), "{at}");
            }
        }
    }

    #[test]
    fn a_token_is_bound_to_its_first_key() {
        let (_dir, house) = house();
        let (lock, tokens) = (house.lock().unwrap(), house.tokens());
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (text, _) = tokens.create(&lock, &token(), DAY, [7; 32], now).unwrap();
        let secret = text.secret.expose();
        let wrong = tokens.redeem(&lock, &text.id, "no", false, &request(), now);
        assert!(matches!(wrong, Err(TokenError::Unknown)));

        let ours = request();
        let (first, _) = tokens
            .redeem(&lock, &text.id, secret, false, &ours, now)
            .unwrap();
        let Redeemed::Sign { serial } = first else {
            panic!("fresh")
        };
        // crash before signing: the same serial again
        let (again, record) = tokens
            .redeem(&lock, &text.id, secret, false, &ours, now)
            .unwrap();
        assert!(matches!(again, Redeemed::Sign { serial: s } if s == serial));
        tokens.keep_cert(&lock, record, false, "PEM").unwrap();
        let (again, _) = tokens
            .redeem(&lock, &text.id, secret, false, &ours, now)
            .unwrap();
        assert!(matches!(again, Redeemed::Again { cert } if cert == "PEM"));

        let other = tokens.redeem(&lock, &text.id, secret, false, &request(), now);
        assert!(matches!(other, Err(TokenError::Replayed { .. })));
        let ours = tokens.redeem(&lock, &text.id, secret, false, &ours, now);
        assert!(matches!(ours, Err(TokenError::Frozen { .. })));
    }

    #[test]
    fn time_ends_a_token_and_bounds_its_life() {
        let (_dir, house) = house();
        let (lock, tokens) = (house.lock().unwrap(), house.tokens());
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (text, _) = tokens.create(&lock, &token(), DAY, [7; 32], now).unwrap();
        let late = tokens.check(&text.id, text.secret.expose(), now.plus(DAY));
        assert!(matches!(late, Err(TokenError::Expired { .. })));
        let long = tokens.create(&lock, &token(), MAX_TTL + DAY, [7; 32], now);
        assert!(matches!(long, Err(TokenError::TooLong)));
        let mut bad = token();
        bad.front_dns = vec!["*.example.com".to_owned()];
        let bad = tokens.create(&lock, &bad, DAY, [7; 32], now);
        assert!(matches!(bad, Err(TokenError::BadHost { .. })));
    }
}
