//! Private keys and their files: PKCS#8, a CA's under a passphrase that plain `openssl pkey` knows
//! how to use, so that a disaster does not depend on this program.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pkcs8::PrivateKeyInfo;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rustls_pki_types::pem::{self, SectionKind};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::certificate::{sha256, to_pem};
use super::sealed::{self, Unopened};
use crate::durable;
use crate::secret::Secret;

const MAX_KEY_FILE: u64 = 64 * 1024;

/// Why a key could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Group or others may read the key.
    #[error("the key file {path} has mode {mode:o}: others than its owner can read it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The content is not a key.
    #[error("{path} holds no PKCS#8 private key")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("the key {path} is encrypted and no passphrase was given")]
    NeedsPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase does not open {path}")]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The crypto library failed.
    #[error("the crypto library failed: {0}")]
    Crypto(String),
}

/// A private key with its public half.
pub struct PrivateKey(KeyPair);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", super::fingerprint(&self.spki_sha256()))
    }
}

impl PrivateKey {
    /// A new P-256 key.
    pub fn new_p256() -> Result<Self, KeyError> {
        Self::generate(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// A new P-384 key.
    pub fn new_p384() -> Result<Self, KeyError> {
        Self::generate(&rcgen::PKCS_ECDSA_P384_SHA384)
    }

    fn generate(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<Self, KeyError> {
        KeyPair::generate_for(algorithm)
            .map(Self)
            .map_err(|error| KeyError::Crypto(error.to_string()))
    }

    /// SHA-256 of the public key (`SubjectPublicKeyInfo`).
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.0.subject_public_key_info())
    }

    /// Its ECDSA signature of `message` in DER: with SHA-256 by a P-256 key, with SHA-384 by a P-384 key.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signed = self.0.sign(message);
        signed.map_err(|error| KeyError::Crypto(error.to_string()))
    }

    /// The key for TLS.
    pub fn to_tls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialized_der().to_vec()))
    }

    /// Whether the file holds a key under a passphrase.
    pub fn is_encrypted(path: &Path) -> Result<bool, KeyError> {
        Ok(read_section(path)?.0 == Kind::Encrypted)
    }

    /// Reads a key file that only its owner may read.
    pub fn load(path: &Path, passphrase: Option<&Secret<String>>) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed {
            path: path.to_owned(),
        };
        let (kind, der) = read_section(path)?;
        let plain = match kind {
            Kind::Plain => der,
            Kind::Encrypted => {
                let passphrase = passphrase.ok_or_else(|| KeyError::NeedsPassphrase {
                    path: path.to_owned(),
                })?;
                let wrong = || KeyError::WrongPassphrase {
                    path: path.to_owned(),
                };
                let opened = sealed::open(der.expose(), passphrase);
                let opened = opened.map_err(|why| match why {
                    Unopened::Malformed => malformed(),
                    Unopened::Passphrase => wrong(),
                })?;
                PrivateKeyInfo::try_from(opened.expose().as_slice()).map_err(|_| wrong())?;
                opened
            }
        };
        let der = PrivatePkcs8KeyDer::from(plain.expose().as_slice());
        KeyPair::try_from(&der).map(Self).map_err(|_| malformed())
    }

    /// Writes the key durably with mode 0600, under a passphrase if one is given.
    pub fn save(&self, path: &Path, passphrase: Option<&Secret<String>>) -> Result<(), KeyError> {
        let pem = Secret::new(self.to_pem(passphrase)?);
        durable::write_atomic(path, pem.expose().as_bytes(), 0o600).map_err(|source| {
            KeyError::File {
                path: path.to_owned(),
                source,
            }
        })
    }

    fn to_pem(&self, passphrase: Option<&Secret<String>>) -> Result<String, KeyError> {
        let der = self.0.serialized_der();
        let Some(passphrase) = passphrase else {
            return Ok(to_pem("PRIVATE KEY", der));
        };
        let sealed = sealed::seal(der, passphrase).map_err(KeyError::Crypto)?;
        Ok(to_pem("ENCRYPTED PRIVATE KEY", &sealed))
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    Plain,
    Encrypted,
}

fn read_section(path: &Path) -> Result<(Kind, Secret<Vec<u8>>), KeyError> {
    let failed = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    let malformed = || KeyError::Malformed {
        path: path.to_owned(),
    };
    let meta = std::fs::metadata(path).map_err(failed)?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    if meta.len() > MAX_KEY_FILE {
        return Err(malformed());
    }
    let text = Secret::new(std::fs::read(path).map_err(failed)?);
    let mut rest = text.expose().as_slice();
    while let Ok(Some((section, der))) = pem::from_buf(&mut rest) {
        if section == SectionKind::PrivateKey {
            return Ok((Kind::Plain, Secret::new(der)));
        }
    }
    encrypted_section(text.expose())
        .map(|der| (Kind::Encrypted, Secret::new(der)))
        .ok_or_else(malformed)
}

/// The PEM reader of the TLS library does not know this label.
fn encrypted_section(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, body) = text.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let (body, _) = body.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    let base64: String = body.split_ascii_whitespace().collect();
    data_encoding::BASE64.decode(base64.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let key = PrivateKey::new_p384().unwrap();
        key.save(&path, None).unwrap();
        assert!(!PrivateKey::is_encrypted(&path).unwrap());
        let again = PrivateKey::load(&path, None).unwrap();
        assert_eq!(again.spki_sha256(), key.spki_sha256());

        let pass = Secret::new("correct horse".to_owned());
        key.save(&path, Some(&pass)).unwrap();
        assert!(PrivateKey::is_encrypted(&path).unwrap());
        let again = PrivateKey::load(&path, Some(&pass)).unwrap();
        assert_eq!(again.spki_sha256(), key.spki_sha256());
        assert!(matches!(
            PrivateKey::load(&path, None),
            Err(KeyError::NeedsPassphrase { .. })
        ));
        let wrong = Secret::new("wrong".to_owned());
        assert!(matches!(
            PrivateKey::load(&path, Some(&wrong)),
            Err(KeyError::WrongPassphrase { .. })
        ));
    }

    #[test]
    fn a_readable_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        PrivateKey::new_p256().unwrap().save(&path, None).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = PrivateKey::load(&path, None).unwrap_err();
        assert!(error.to_string().contains("mode 640"), "{error}");
    }
}
