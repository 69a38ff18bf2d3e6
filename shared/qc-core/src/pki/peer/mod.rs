//! The one judge of other nodes' certificates.
//!
//! Chain to a root that has not ended, with role and TLS usage on every CA of the way; exactly one
//! name, under the trust domain; not revoked. Everything that connects asks here.

mod refusal;
#[cfg(test)]
mod tests;

use std::fmt;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter,
    KeyUsage, RequiredEkuNotFoundContext, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

pub use refusal::PeerRefusal;

use super::{CertView, Role, TrustAnchors};
use crate::model::{NodeName, Timestamp};

/// The most certificates a peer may send.
const MAX_CHAIN: usize = 8;

/// In which place of a TLS connection the peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// It dialled.
    Client,
    /// It was dialled.
    Server,
}

/// Who the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its name.
    pub name: NodeName,
    /// Its role.
    pub role: Role,
    /// The serial of its certificate, in hex.
    pub serial: String,
    /// SHA-256 of its public key.
    pub spki_sha256: [u8; 32],
    /// When its certificate ends.
    pub not_after: Timestamp,
}

/// Judges the certificates that a peer sent, the leaf first. `roles` are those that may come in; the
/// first that the peer has is its role.
pub fn verify_peer(
    chain: &[CertificateDer<'_>],
    trust: &TrustAnchors,
    usage: Usage,
    roles: &[Role],
    now: Timestamp,
) -> Result<PeerIdentity, PeerRefusal> {
    let (leaf, intermediates) = chain.split_first().ok_or(PeerRefusal::NoCertificate)?;
    let malformed = |why: &dyn fmt::Display| PeerRefusal::Malformed {
        why: crate::safe_text::safe(&why.to_string(), 200),
    };
    if chain.len() > MAX_CHAIN {
        return Err(malformed(&format!("more than {MAX_CHAIN} were sent")));
    }
    let view = CertView::parse(leaf).map_err(|e| malformed(&e))?;
    let end_entity = EndEntityCert::try_from(leaf).map_err(|e| malformed(&e))?;
    let role = roles.iter().find(|role| view.roles.contains(role)).copied();

    // the chain is judged first, so that an expired or foreign certificate is called that even if its
    // role is wrong as well
    let needs = Needs {
        usage,
        role: role.map(Role::oid),
    };
    verify_chain(&end_entity, intermediates, trust, &needs, &view, roles, now)?;
    let role = role.ok_or_else(|| PeerRefusal::WrongRole {
        found: view.roles.clone(),
        wanted: roles.to_vec(),
        above_ceiling: false,
    })?;
    Ok(PeerIdentity {
        name: name_of(&view, trust)?,
        role,
        serial: view.serial,
        spki_sha256: view.spki_sha256,
        not_after: view.not_after,
    })
}

/// Whether `signature` is that of the key in the certificate `leaf` over `message`, as
/// [`PrivateKey::sign`](super::PrivateKey::sign) makes them. Whose key that is says [`verify_peer`].
pub fn is_signed_by_leaf(leaf: &CertificateDer<'_>, message: &[u8], signature: &[u8]) -> bool {
    use webpki::aws_lc_rs::{ECDSA_P256_SHA256, ECDSA_P384_SHA384};
    let Ok(leaf) = EndEntityCert::try_from(leaf) else {
        return false;
    };
    let mut known = [ECDSA_P256_SHA256, ECDSA_P384_SHA384].into_iter();
    known.any(|algorithm| leaf.verify_signature(algorithm, message, signature).is_ok())
}

fn verify_chain(
    leaf: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    trust: &TrustAnchors,
    needs: &Needs,
    view: &CertView,
    roles: &[Role],
    now: Timestamp,
) -> Result<(), PeerRefusal> {
    let (anchors, expired_roots) = trust.anchors(now);
    let crls = trust.revocation_lists();
    // a CA without a list here is judged without one; a list past its date still counts
    let revocation = RevocationOptionsBuilder::new(&crls).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Ignore)
            .build()
    });
    let sent = intermediates.iter().map(AsRef::<[u8]>::as_ref);
    let known = sent.chain(trust.cas().map(AsRef::<[u8]>::as_ref));
    let known: Vec<CertificateDer<'_>> = known
        .map(CertificateDer::from)
        .filter(|cert| !is_self_issued(cert))
        .collect();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis()));
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &known,
        time,
        needs,
        revocation,
        None,
    )
    .map(drop)
    .map_err(|error| refusal(&error, view, needs, roles, expired_roots, now))
}

/// A root that came along in the chain: it is an anchor or nothing, and as an intermediate it would
/// only blur the reason of a refusal.
fn is_self_issued(cert: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(cert).is_ok_and(|cert| cert.subject() == cert.issuer())
}

fn refusal(
    error: &webpki::Error,
    view: &CertView,
    needs: &Needs,
    roles: &[Role],
    expired_roots: usize,
    now: Timestamp,
) -> PeerRefusal {
    let moment = |time: &UnixTime| Timestamp::from_millis(time.as_secs().saturating_mul(1000));
    let subject = view.subject.clone();
    let unknown = || PeerRefusal::UnknownCa {
        issuer: view.issuer.clone(),
        expired_roots,
        is_node: !view.roles.is_empty(),
    };
    match error {
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => unknown(),
        // what many a device and middlebox shows: one certificate that has signed itself
        webpki::Error::CaUsedAsEndEntity
            if view.subject == view.issuer && view.roles.is_empty() =>
        {
            unknown()
        }
        webpki::Error::CertExpired { not_after, .. } => PeerRefusal::Expired {
            subject,
            not_after: moment(not_after),
            now,
        },
        webpki::Error::CertNotValidYet { not_before, .. } => PeerRefusal::NotYetValid {
            subject,
            not_before: moment(not_before),
            now,
        },
        webpki::Error::CertRevoked => PeerRefusal::Revoked {
            subject,
            serial: view.serial.clone(),
        },
        webpki::Error::RequiredEkuNotFoundContext(_) if !needs.usage_of(view) => {
            PeerRefusal::WrongUsage {
                wanted: needs.usage,
            }
        }
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
            PeerRefusal::WrongRole {
                found: view.roles.clone(),
                wanted: roles.to_vec(),
                above_ceiling: needs.role.is_some(),
            }
        }
        webpki::Error::NameConstraintViolation => PeerRefusal::WrongName {
            why: "it lies outside of what its CA may name".to_owned(),
        },
        other => PeerRefusal::Malformed {
            why: crate::safe_text::safe(&other.to_string(), 200),
        },
    }
}

/// Exactly one DNS name and no name of another kind: a CA bound by DNS names can put anything into a
/// URI, so a URI is not believed.
fn name_of(view: &CertView, trust: &TrustAnchors) -> Result<NodeName, PeerRefusal> {
    let wrong = |why: String| Err(PeerRefusal::WrongName { why });
    if let Some(other) = view.other_names.first() {
        return wrong(format!("it also names {other}"));
    }
    let [dns] = view.dns.as_slice() else {
        return wrong(format!("it has {} DNS names, not one", view.dns.len()));
    };
    let suffix = format!(".{}", trust.domain());
    if !dns.ends_with(&suffix) {
        return Err(PeerRefusal::WrongDomain {
            found: dns.clone(),
            domain: trust.domain().to_string(),
        });
    }
    NodeName::from_dns_name(dns, trust.domain()).or_else(|e| wrong(e.to_string()))
}

/// The usages that the leaf and every CA above it must carry.
struct Needs {
    usage: Usage,
    role: Option<&'static [u8]>,
}

/// id-kp-serverAuth and id-kp-clientAuth
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

impl Needs {
    fn usage_oid(&self) -> &'static [u8] {
        match self.usage {
            Usage::Client => CLIENT_AUTH,
            Usage::Server => SERVER_AUTH,
        }
    }

    fn usage_of(&self, view: &CertView) -> bool {
        match self.usage {
            Usage::Client => view.client_auth,
            Usage::Server => view.server_auth,
        }
    }
}

impl ExtendedKeyUsageValidator for Needs {
    fn validate(&self, present: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let usage = KeyPurposeId::new(self.usage_oid());
        let role = self.role.map(KeyPurposeId::new);
        let (mut has_usage, mut has_role) = (false, role.is_none());
        for id in present {
            let id = id?;
            has_usage |= id == usage;
            has_role |= role == Some(id);
        }
        if has_usage && has_role {
            return Ok(());
        }
        Err(webpki::Error::RequiredEkuNotFoundContext(
            RequiredEkuNotFoundContext {
                required: KeyUsage::required(self.role.unwrap_or_else(|| self.usage_oid())),
                present: Vec::new(),
            },
        ))
    }
}
