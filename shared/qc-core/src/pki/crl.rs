//! Revocation lists: one per authority, its number only ever rises.

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevocationReason,
    RevokedCertParams, SerialNumber,
};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::profile::date;
use crate::model::Timestamp;

/// The most bytes of a list: about 100,000 entries.
pub(super) const MAX_CRL: usize = 8 * 1024 * 1024;

/// One revoked certificate, as the authority's state file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The serial in lower-case hex.
    pub serial: String,
    /// When it was revoked, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether the key is thought to be in wrong hands.
    pub key_compromise: bool,
}

/// Why bytes are not a usable revocation list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not a well-formed list, or with bytes behind it.
    #[error("the revocation list is malformed: {0}")]
    Malformed(&'static str),
    /// It could not be signed.
    #[error("the revocation list could not be signed: {0}")]
    Sign(String),
}

/// The facts of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlView {
    /// Who signed it.
    pub issuer: String,
    /// Its number.
    pub number: u64,
    /// When it was signed.
    pub this_update: Timestamp,
    /// When the next one is due.
    pub next_update: Option<Timestamp>,
    /// The serials on it, in lower-case hex.
    pub revoked: Vec<String>,
    pub(super) issuer_der: Vec<u8>,
}

impl CrlView {
    /// Reads a list that must be exactly one DER value with a number.
    pub fn parse(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL {
            return Err(CrlError::Malformed("it is too long"));
        }
        let (rest, crl) = CertificateRevocationList::from_der(der)
            .map_err(|_| CrlError::Malformed("the encoding is broken"))?;
        if !rest.is_empty() {
            return Err(CrlError::Malformed("bytes behind its end"));
        }
        let number = crl
            .crl_number()
            .ok_or(CrlError::Malformed("it has no number"))?;
        let number =
            u64::try_from(number).map_err(|_| CrlError::Malformed("its number is out of range"))?;
        let time = |t: i64| Timestamp::from_millis(u64::try_from(t).unwrap_or(0) * 1000);
        Ok(Self {
            issuer: crate::safe_text::safe(&crl.issuer().to_string(), 200),
            number,
            this_update: time(crl.last_update().timestamp()),
            next_update: crl.next_update().map(|t| time(t.timestamp())),
            revoked: crl
                .iter_revoked_certificates()
                .map(|entry| super::serial_hex(entry.raw_serial()))
                .collect(),
            issuer_der: crl.issuer().as_raw().to_vec(),
        })
    }
}

/// Whether `crl` carries the signature of the CA certificate `issuer`.
pub(super) fn is_signed_by(crl: &[u8], issuer: &[u8]) -> bool {
    let Ok((_, crl)) = CertificateRevocationList::from_der(crl) else {
        return false;
    };
    let Ok((_, issuer)) = x509_parser::certificate::X509Certificate::from_der(issuer) else {
        return false;
    };
    crl.issuer().as_raw() == issuer.subject().as_raw()
        && crl.verify_signature(issuer.public_key()).is_ok()
}

/// Signs the list of `revoked` serials.
pub(super) fn sign(
    issuer: &Issuer<'_, &KeyPair>,
    number: u64,
    now: Timestamp,
    lifetime: Duration,
    revoked: &[Revocation],
) -> Result<Vec<u8>, CrlError> {
    let epoch = || rcgen::date_time_ymd(1970, 1, 1);
    let revoked_certs = revoked.iter().map(|entry| {
        let serial = data_encoding::HEXLOWER_PERMISSIVE
            .decode(entry.serial.as_bytes())
            .map_err(|_| CrlError::Sign(format!("'{}' is not a serial", entry.serial)))?;
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: date(epoch(), Timestamp::from_millis(entry.at_ms)),
            reason_code: entry
                .key_compromise
                .then_some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        })
    });
    let params = CertificateRevocationListParams {
        this_update: date(epoch(), now),
        next_update: date(epoch(), now.plus(lifetime)),
        crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect::<Result<_, CrlError>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params
        .signed_by(issuer)
        .map(|crl| crl.der().to_vec())
        .map_err(|error| CrlError::Sign(error.to_string()))
}
