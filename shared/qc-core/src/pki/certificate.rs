//! A certificate as people and the verifier look at it, and PEM in and out.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, HEXLOWER};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::Role;
use crate::model::Timestamp;
use crate::safe_text::{safe, safe_bytes};

/// The most bytes of PEM that are read from a file or a peer.
pub const MAX_PEM: usize = 256 * 1024;

/// The most certificates in one PEM file.
const MAX_CERTS: usize = 64;

/// Why bytes are not a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// Not X.509, or with bytes behind it.
    #[error("not a well-formed certificate: {0}")]
    Malformed(String),
    /// The PEM text is broken, too long, or holds nothing of the kind.
    #[error("no certificate in PEM form: {0}")]
    Pem(String),
}

/// The facts of one certificate. Every text in it is safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertView {
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number in lower-case hex.
    pub serial: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// SHA-256 of the public key (`SubjectPublicKeyInfo`).
    pub spki_sha256: [u8; 32],
    /// The DNS names.
    pub dns: Vec<String>,
    /// Names of every other kind, as `kind:value`.
    pub other_names: Vec<String>,
    /// Whether it may sign certificates.
    pub is_ca: bool,
    /// How many CAs may stand below it, if it is bounded.
    pub path_length: Option<u32>,
    /// Whether it may be used by a server.
    pub server_auth: bool,
    /// Whether it may be used by a client.
    pub client_auth: bool,
    /// The roles it carries.
    pub roles: Vec<Role>,
    /// What a CA may name, if it is bounded.
    pub permitted_dns: Vec<String>,
    /// The subject as encoded, to compare.
    pub(super) subject_der: Vec<u8>,
    /// The issuer as encoded, to compare.
    pub(super) issuer_der: Vec<u8>,
}

impl CertView {
    /// Reads a certificate that must be exactly one DER value with known, unrepeated extensions.
    pub fn parse(der: &[u8]) -> Result<Self, CertError> {
        let bad = |what: &str| CertError::Malformed(what.to_owned());
        let (rest, cert) =
            X509Certificate::from_der(der).map_err(|_| bad("the encoding is broken"))?;
        if !rest.is_empty() {
            return Err(bad("bytes behind its end"));
        }
        let time = |t: i64| Timestamp::from_millis(u64::try_from(t).unwrap_or(0) * 1000);
        let mut view = Self {
            subject: safe(&cert.subject().to_string(), 200),
            issuer: safe(&cert.issuer().to_string(), 200),
            serial: serial_hex(cert.raw_serial()),
            not_before: time(cert.validity().not_before.timestamp()),
            not_after: time(cert.validity().not_after.timestamp()),
            spki_sha256: sha256(cert.public_key().raw),
            dns: Vec::new(),
            other_names: Vec::new(),
            is_ca: cert.is_ca(),
            path_length: None,
            server_auth: false,
            client_auth: false,
            roles: Vec::new(),
            permitted_dns: Vec::new(),
            subject_der: cert.subject().as_raw().to_vec(),
            issuer_der: cert.issuer().as_raw().to_vec(),
        };
        let names = cert
            .subject_alternative_name()
            .map_err(|_| bad("its alternative names are broken"))?;
        for name in names.iter().flat_map(|ext| &ext.value.general_names) {
            match name {
                GeneralName::DNSName(dns) => view.dns.push(safe(dns, 260)),
                other => view.other_names.push(other_name(other)),
            }
        }
        let usages = cert
            .extended_key_usage()
            .map_err(|_| bad("its extended key usage is broken"))?;
        if let Some(usages) = usages {
            view.server_auth = usages.value.server_auth;
            view.client_auth = usages.value.client_auth;
            let oids = usages.value.other.iter();
            view.roles = oids.filter_map(|o| Role::from_oid(o.as_bytes())).collect();
        }
        if let Ok(Some(basic)) = cert.basic_constraints() {
            view.path_length = basic.value.path_len_constraint;
        }
        if let Ok(Some(bounds)) = cert.name_constraints() {
            for tree in bounds.value.permitted_subtrees.iter().flatten() {
                if let GeneralName::DNSName(dns) = &tree.base {
                    view.permitted_dns.push(safe(dns, 260));
                }
            }
        }
        Ok(view)
    }

    /// Whether `other` claims to have been signed by this one's subject.
    pub fn may_have_issued(&self, other: &Self) -> bool {
        self.is_ca && self.subject_der == other.issuer_der
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }
}

fn other_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(uri) => format!("uri:{}", safe(uri, 200)),
        GeneralName::IPAddress(ip) => format!("ip:{}", HEXLOWER.encode(ip)),
        GeneralName::RFC822Name(mail) => format!("email:{}", safe(mail, 200)),
        GeneralName::DirectoryName(name) => format!("dn:{}", safe(&name.to_string(), 200)),
        GeneralName::Invalid(_, bytes) => format!("invalid:{}", safe_bytes(bytes, 40)),
        _ => "other".to_owned(),
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// A serial number in lower-case hex without leading zero bytes.
pub fn serial_hex(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    HEXLOWER.encode(bytes.get(zeros..).unwrap_or_default())
}

/// A key's fingerprint as it is shown: `sha256:` and hex.
pub fn fingerprint(spki_sha256: &[u8; 32]) -> String {
    format!("sha256:{}", HEXLOWER.encode(spki_sha256))
}

/// PEM of `der` under `label`.
pub fn to_pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let base64 = BASE64.encode(der);
    let mut rest = base64.as_str();
    while let Some((line, more)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

/// PEM of several certificates, one after the other.
pub fn certs_to_pem<C: AsRef<[u8]>>(certs: impl IntoIterator<Item = C>) -> String {
    certs
        .into_iter()
        .map(|cert| to_pem("CERTIFICATE", cert.as_ref()))
        .collect()
}

/// The certificates of a PEM text, in order; at least one, at most 64.
pub fn certs_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertError> {
    if pem.len() > MAX_PEM {
        return Err(CertError::Pem("it is too long".to_owned()));
    }
    let certs = CertificateDer::pem_slice_iter(pem)
        .take(MAX_CERTS + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CertError::Pem(safe(&error.to_string(), 200)))?;
    match certs.len() {
        0 => Err(CertError::Pem("it holds none".to_owned())),
        1..=MAX_CERTS => Ok(certs),
        _ => Err(CertError::Pem("it holds too many".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_round_trips_at_every_length() {
        for length in [1usize, 47, 48, 49, 96, 200] {
            let der = vec![0x5a; length];
            let pem = to_pem("CERTIFICATE", &der);
            assert!(pem.lines().all(|line| line.len() <= 64));
            assert_eq!(certs_from_pem(pem.as_bytes()).unwrap()[0].as_ref(), der);
        }
        assert!(certs_from_pem(b"nothing").is_err());
    }

    #[test]
    fn garbage_is_refused() {
        assert!(CertView::parse(b"").is_err());
        assert!(CertView::parse(&[0x30, 0x80]).is_err());
    }
}
