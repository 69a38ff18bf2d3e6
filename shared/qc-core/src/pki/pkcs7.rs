//! PKCS#7 certs-only, the envelope in which EST carries certificates (RFC 7030, RFC 5652).
//!
//! ```text
//! ContentInfo { signedData, [0] SignedData { 1, {}, { data }, [0] { certificate.. }, {} } }
//! ```

use rustls_pki_types::CertificateDer;

use super::der::{CONTEXT_0, OBJECT_ID, SEQUENCE, SET, expect, read, tlv};

/// 1.2.840.113549.1.7.2 and .1
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const VERSION_1: &[u8] = &[0x02, 0x01, 0x01];

const MAX_CERTS: usize = 64;

/// Wraps certificates.
pub fn certs_to_pkcs7<C: AsRef<[u8]>>(certs: impl IntoIterator<Item = C>) -> Vec<u8> {
    let certs = certs.into_iter().fold(Vec::new(), |mut all, cert| {
        all.extend_from_slice(cert.as_ref());
        all
    });
    let signed_data = [
        VERSION_1.to_vec(),
        tlv(SET, &[]),
        tlv(SEQUENCE, &tlv(OBJECT_ID, DATA)),
        tlv(CONTEXT_0, &certs),
        tlv(SET, &[]),
    ]
    .concat();
    let content = [
        tlv(OBJECT_ID, SIGNED_DATA),
        tlv(CONTEXT_0, &tlv(SEQUENCE, &signed_data)),
    ]
    .concat();
    tlv(SEQUENCE, &content)
}

/// Takes the certificates out again; `None` if the envelope is not well-formed.
pub fn certs_from_pkcs7(bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let (info, []) = expect(bytes, SEQUENCE)? else {
        return None;
    };
    let (kind, rest) = expect(info.content, OBJECT_ID)?;
    if kind.content != SIGNED_DATA {
        return None;
    }
    let (explicit, _) = expect(rest, CONTEXT_0)?;
    let (signed_data, _) = expect(explicit.content, SEQUENCE)?;
    let (_version, rest) = read(signed_data.content)?;
    let (_digests, rest) = expect(rest, SET)?;
    let (_content, rest) = expect(rest, SEQUENCE)?;
    let (certs, _) = expect(rest, CONTEXT_0)?;
    let mut rest = certs.content;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (cert, more) = expect(rest, SEQUENCE)?;
        if found.len() == MAX_CERTS {
            return None;
        }
        found.push(CertificateDer::from(cert.whole.to_vec()));
        rest = more;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let certs: Vec<CertificateDer<'static>> = [b"one".as_slice(), &[7u8; 700]]
            .iter()
            .map(|content| CertificateDer::from(tlv(SEQUENCE, content)))
            .collect();
        let wrapped = certs_to_pkcs7(&certs);
        assert_eq!(certs_from_pkcs7(&wrapped), Some(certs));
        for length in 0..wrapped.len() {
            assert_eq!(certs_from_pkcs7(&wrapped[..length]), None);
        }
    }
}
