//! Joining without a network: a request file out, a response file back, both PEM with a few
//! `key: value` lines above it, so that `cat` shows what travels and `openssl` reads the rest.
//!
//! ```text
//! qc-request: 1                      qc-response: 1
//! node: edge-07.mill7.acme           node: edge-07.mill7.acme
//! role: edge                         trust-domain: qc.internal
//! -----BEGIN CERTIFICATE REQUEST     -----BEGIN CERTIFICATE (leaf, CAs, root last)
//!                                    -----BEGIN X509 CRL (one per CA)
//! ```

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::certificate::{MAX_PEM, certs_from_pem, certs_to_pem, to_pem};
use super::{CertError, CertRequest, CertView, CsrRefusal, Role, TrustAnchors, TrustError};
use crate::model::{NodeName, TrustDomain};

/// Why a file is not a request or response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A line is missing or wrong.
    #[error("the line '{key}:' is missing or wrong")]
    Line {
        /// Which line.
        key: &'static str,
    },
    /// The request in it is refused.
    #[error(transparent)]
    Csr(#[from] CsrRefusal),
    /// A certificate in it is broken.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// The trust that comes with it is broken.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The file is too long.
    #[error("it is longer than {MAX_PEM} bytes")]
    TooLong,
}

/// A request to join, as it travels.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The node that asks.
    pub node: NodeName,
    /// The role it asks for; the signer decides.
    pub role: Role,
    /// The key, proven.
    pub request: CertRequest,
}

impl JoinRequest {
    /// The text of a request file.
    pub fn write(node: &NodeName, role: Role, csr: &[u8]) -> String {
        let pem = to_pem("CERTIFICATE REQUEST", csr);
        format!("qc-request: 1\nnode: {node}\nrole: {role}\n{pem}")
    }

    /// Reads a request file.
    pub fn parse(text: &[u8]) -> Result<Self, RequestError> {
        let head = Head::parse(text, "qc-request")?;
        Ok(Self {
            node: head.get("node")?.parse().map_err(|_| wrong("node"))?,
            role: head.get("role")?.parse().map_err(|_| wrong("role"))?,
            request: CertRequest::parse_pem(text)?,
        })
    }
}

/// The answer to a request: certificate, chain and trust.
#[derive(Debug)]
pub struct JoinResponse {
    /// The node it is for.
    pub node: NodeName,
    /// Its certificate.
    pub cert: CertificateDer<'static>,
    /// The CAs above it, the root last.
    pub chain: Vec<CertificateDer<'static>>,
    /// What it shall trust.
    pub trust: TrustAnchors,
}

impl JoinResponse {
    /// The text of a response file.
    pub fn write(
        node: &NodeName,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        trust: &TrustAnchors,
    ) -> String {
        let mut text = format!(
            "qc-response: 1\nnode: {node}\ntrust-domain: {}\n",
            trust.domain()
        );
        text.push_str(&certs_to_pem(std::iter::once(cert).chain(chain)));
        for crl in trust.crls() {
            text.push_str(&to_pem("X509 CRL", crl));
        }
        text
    }

    /// Reads a response file. The root in it is believed only as far as the reader believes the
    /// stick; who wants more compares its words.
    pub fn parse(text: &[u8]) -> Result<Self, RequestError> {
        let head = Head::parse(text, "qc-response")?;
        let node = head.get("node")?.parse().map_err(|_| wrong("node"))?;
        let domain: TrustDomain = head
            .get("trust-domain")?
            .parse()
            .map_err(|_| wrong("trust-domain"))?;
        let mut certs = certs_from_pem(text)?.into_iter();
        let cert = certs
            .next()
            .ok_or_else(|| CertError::Pem("it holds none".to_owned()))?;
        let chain: Vec<_> = certs.collect();
        let mut trust = TrustAnchors::new(domain);
        for ca in &chain {
            if CertView::parse(ca)?.is_self_issued() {
                trust.add_root(ca.clone())?;
            } else {
                trust.add_ca(ca.clone())?;
            }
        }
        for crl in CertificateRevocationListDer::pem_slice_iter(text) {
            let crl = crl.map_err(|_| CertError::Pem("a revocation list is broken".to_owned()))?;
            match trust.add_crl(crl.to_vec()) {
                // a list of a CA that is not part of this node's chain
                Ok(()) | Err(TrustError::ForeignCrl { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self {
            node,
            cert,
            chain,
            trust,
        })
    }
}

struct Head<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Head<'a> {
    fn parse(text: &'a [u8], first: &'static str) -> Result<Self, RequestError> {
        if text.len() > MAX_PEM {
            return Err(RequestError::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| wrong(first))?;
        let head = text.split("-----BEGIN").next().unwrap_or_default();
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let head = Self(lines.map(|(k, v)| (k.trim(), v.trim())).collect());
        if head.get(first)? == "1" {
            Ok(head)
        } else {
            Err(wrong(first))
        }
    }

    fn get(&self, key: &'static str) -> Result<&'a str, RequestError> {
        let found = self.0.iter().find(|(k, _)| *k == key);
        found.map(|(_, value)| *value).ok_or_else(|| wrong(key))
    }
}

fn wrong(key: &'static str) -> RequestError {
    RequestError::Line { key }
}
