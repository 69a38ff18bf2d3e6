//! Bytes under a passphrase: PBES2 with scrypt and AES-256-CBC in the frame of an encrypted PKCS#8 key,
//! so that a key of a CA opens with plain `openssl pkey`, and a node key is protected the same way.

use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::der::Encode as _;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;

use crate::secret::Secret;

/// OpenSSL 3.0 refuses N of 2^15 and above.
const SCRYPT_LOG_N: u8 = if cfg!(test) { 4 } else { 14 };

/// Why sealed bytes did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// They are not in the frame.
    Malformed,
    /// The passphrase is another one.
    Passphrase,
}

/// Seals `plain`; the frame comes back as DER.
pub fn seal(plain: &[u8], passphrase: &Secret<String>) -> Result<Vec<u8>, String> {
    let (mut salt, mut iv) = ([0u8; 16], [0u8; 16]);
    for bytes in [&mut salt, &mut iv] {
        aws_lc_rs::rand::fill(bytes).map_err(|error| error.to_string())?;
    }
    let cost = scrypt::Params::new(SCRYPT_LOG_N, 8, 5, 32).map_err(|error| error.to_string())?;
    let parameters =
        Parameters::scrypt_aes256cbc(cost, &salt, &iv).map_err(|error| error.to_string())?;
    let sealed = parameters.encrypt(passphrase.expose(), plain);
    let sealed = sealed.map_err(|error| error.to_string())?;
    let frame = EncryptedPrivateKeyInfo {
        encryption_algorithm: EncryptionScheme::from(parameters),
        encrypted_data: &sealed,
    };
    frame.to_der().map_err(|error| error.to_string())
}

/// Opens what [`seal`] or `openssl` made. There is no checksum: once in 256 times a wrong passphrase
/// gives nonsense, so the caller has to know what it expects.
pub fn open(frame: &[u8], passphrase: &Secret<String>) -> Result<Secret<Vec<u8>>, Unopened> {
    let frame = EncryptedPrivateKeyInfo::try_from(frame).map_err(|_| Unopened::Malformed)?;
    let opened = frame
        .encryption_algorithm
        .decrypt(passphrase.expose(), frame.encrypted_data);
    opened.map(Secret::new).map_err(|_| Unopened::Passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_passphrase_opens() {
        let (right, wrong) = (
            Secret::new("correct horse".to_owned()),
            Secret::new("wrong".to_owned()),
        );
        let frame = seal(b"thirty-two bytes", &right).unwrap();
        assert_ne!(frame, seal(b"thirty-two bytes", &right).unwrap());
        assert_eq!(open(&frame, &right).unwrap().expose(), b"thirty-two bytes");
        let other = open(&frame, &wrong).map(|plain| plain.expose().clone());
        assert_ne!(other, Ok(b"thirty-two bytes".to_vec()));
        let cut = open(frame.get(..20).unwrap(), &right).map(drop);
        assert_eq!(cut, Err(Unopened::Malformed));
    }
}
