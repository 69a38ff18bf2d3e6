//! A certificate request from outside, of which only the public key is believed.
//!
//! Names, extensions and flags that a request asks for are never read: what a certificate says is
//! decided by the authority's profile.

use rcgen::SubjectPublicKeyInfo;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::certificate::sha256;
use super::der;

/// The most bytes of a request.
pub const MAX_CSR: usize = 16 * 1024;

/// Why a request is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrRefusal {
    /// Longer than any honest request.
    #[error("the request is longer than {MAX_CSR} bytes")]
    TooLong,
    /// Not PKCS#10, or with bytes behind its end.
    #[error("the request is not well-formed PKCS#10: {0}")]
    Malformed(&'static str),
    /// Not signed by the key that it carries.
    #[error("the request is not signed by its own key")]
    BadSignature,
    /// A key that is too weak or of an unknown kind.
    #[error("the key is {found}; allowed are P-256, P-384, Ed25519 and RSA of 3072 bits or more")]
    KeyPolicy {
        /// The kind found.
        found: String,
    },
}

/// The public key of a request whose holder proved to have the private one.
#[derive(Debug, Clone)]
pub struct CertRequest {
    key: SubjectPublicKeyInfo,
    spki_sha256: [u8; 32],
}

impl CertRequest {
    /// Checks a request in DER: form, signature, key policy.
    pub fn parse(bytes: &[u8]) -> Result<Self, CsrRefusal> {
        if bytes.len() > MAX_CSR {
            return Err(CsrRefusal::TooLong);
        }
        if !der::is_one_sequence(bytes) {
            return Err(CsrRefusal::Malformed("not one DER value"));
        }
        let (rest, csr) = X509CertificationRequest::from_der(bytes)
            .map_err(|_| CsrRefusal::Malformed("the encoding is broken"))?;
        if !rest.is_empty() {
            return Err(CsrRefusal::Malformed("bytes behind its end"));
        }
        let spki = &csr.certification_request_info.subject_pki;
        check_policy(spki)?;
        csr.verify_signature()
            .map_err(|_| CsrRefusal::BadSignature)?;
        let key = SubjectPublicKeyInfo::from_der(spki.raw).map_err(|_| unknown_key(spki))?;
        Ok(Self {
            key,
            spki_sha256: sha256(spki.raw),
        })
    }

    /// Checks a request in PEM.
    pub fn parse_pem(pem: &[u8]) -> Result<Self, CsrRefusal> {
        if pem.len() > 2 * MAX_CSR {
            return Err(CsrRefusal::TooLong);
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem)
            .map_err(|_| CsrRefusal::Malformed("no CERTIFICATE REQUEST in PEM form"))?;
        Self::parse(&der)
    }

    /// SHA-256 of the public key.
    pub fn spki_sha256(&self) -> &[u8; 32] {
        &self.spki_sha256
    }

    pub(super) fn key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }

    /// The request for our own key: no names, because the authority would not read them.
    pub fn create(key: &super::PrivateKey) -> Result<Vec<u8>, super::KeyError> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .serialize_request(key.pair())
            .map(|csr| csr.der().to_vec())
            .map_err(|error| super::KeyError::Crypto(error.to_string()))
    }
}

fn check_policy(spki: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Result<(), CsrRefusal> {
    let refuse = |found: String| Err(CsrRefusal::KeyPolicy { found });
    let curve = spki.algorithm.parameters.as_ref().map(|p| p.data);
    match spki.parsed() {
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= 3072 => Ok(()),
        Ok(PublicKey::RSA(rsa)) => refuse(format!("RSA of {} bits", rsa.key_size())),
        Ok(PublicKey::EC(_)) if curve == Some(P256) || curve == Some(P384) => Ok(()),
        Ok(PublicKey::EC(_)) => refuse("of another elliptic curve".to_owned()),
        _ if spki.algorithm.algorithm.as_bytes() == ED25519 => Ok(()),
        _ => Err(unknown_key(spki)),
    }
}

fn unknown_key(spki: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> CsrRefusal {
    CsrRefusal::KeyPolicy {
        found: format!("of kind {}", spki.algorithm.algorithm),
    }
}

/// 1.2.840.10045.3.1.7
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

#[cfg(test)]
mod tests {
    use super::super::PrivateKey;
    use super::*;

    #[test]
    fn our_own_requests_are_accepted() {
        let key = PrivateKey::new_p256().unwrap();
        let csr = CertRequest::create(&key).unwrap();
        let request = CertRequest::parse(&csr).unwrap();
        assert_eq!(request.spki_sha256(), &key.spki_sha256());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let key = PrivateKey::new_p256().unwrap();
        let mut csr = CertRequest::create(&key).unwrap();
        csr.push(0);
        assert!(matches!(
            CertRequest::parse(&csr),
            Err(CsrRefusal::Malformed(_))
        ));
    }

    #[test]
    fn no_flipped_byte_is_accepted_and_none_panics() {
        let key = PrivateKey::new_p256().unwrap();
        let csr = CertRequest::create(&key).unwrap();
        for at in 0..csr.len() {
            let mut bent = csr.clone();
            bent[at] ^= 0x01;
            if let Ok(request) = CertRequest::parse(&bent) {
                // only the unused-bits or algorithm parameters may bend without breaking the proof
                assert_eq!(request.spki_sha256(), &key.spki_sha256(), "byte {at}");
            }
        }
    }
}
