//! What each kind of certificate says. Nothing of it comes from a request.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};

use super::Role;
use super::der::{OBJECT_ID, SEQUENCE, tlv};
use crate::model::{NodeName, Timestamp, TrustDomain};

/// How long a leaf is valid.
pub const LEAF_LIFETIME: Duration = Duration::from_hours(14 * 24);

/// How far before its issue a leaf is valid, for peers whose clock is behind.
pub const BACKDATE: Duration = Duration::from_mins(5);

/// The same for authorities.
pub(super) const CA_BACKDATE: Duration = Duration::from_hours(1);

/// How long before its issuer every certificate ends.
const CLIP: Duration = Duration::from_mins(1);

/// id-kp-serverAuth and id-kp-clientAuth. They stand first in every list, so stock verifiers find
/// them before they meet an OID of ours.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// The time that a node survives without its authority: leaves are renewed at half their life.
pub fn outage_budget(lifetime: Duration) -> Duration {
    lifetime / 2
}

/// The kind of a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A node on links: named under the trust domain, with a role.
    Node {
        /// Its name.
        name: NodeName,
        /// Its role.
        role: Role,
    },
    /// A listener for ordinary clients: host names, no role, useless on links.
    Front {
        /// The host names.
        dns: Vec<String>,
    },
}

impl Profile {
    /// `node` or `front`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Node { .. } => "node",
            Self::Front { .. } => "front",
        }
    }

    /// Who holds the key: `edge-07.mill7.acme` or `front a.example,b.example`.
    pub fn holder(&self) -> String {
        match self {
            Self::Node { name, .. } => name.to_string(),
            Self::Front { dns } => format!("front {}", dns.join(",")),
        }
    }

    /// The certificate to sign for this profile; `None` if a name cannot stand in a certificate.
    pub(super) fn params(
        &self,
        domain: &TrustDomain,
        serial: &[u8; 16],
        validity: Validity,
    ) -> Option<CertificateParams> {
        let mut params = base(serial, validity);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        match self {
            Self::Node { name, role } => {
                // a common name has at most 64 characters; the DNS name is what counts
                let label = if name.as_str().len() <= 64 {
                    name.as_str()
                } else {
                    name.node()
                };
                params.distinguished_name.push(DnType::CommonName, label);
                let dns = name.dns_name(domain).try_into().ok()?;
                params.subject_alt_names = vec![SanType::DnsName(dns)];
                let server = role.serves().then_some(SERVER_AUTH);
                let usages = server.into_iter().chain([CLIENT_AUTH, role.oid()]);
                params.custom_extensions.push(extended_key_usage(usages));
            }
            Self::Front { dns } => {
                let first = dns.first()?;
                let label = first.get(..64).unwrap_or(first);
                params.distinguished_name.push(DnType::CommonName, label);
                for name in dns {
                    let name = name.as_str().try_into().ok()?;
                    params.subject_alt_names.push(SanType::DnsName(name));
                }
                params
                    .custom_extensions
                    .push(extended_key_usage([SERVER_AUTH]));
            }
        }
        Some(params)
    }
}

/// From when until when, and whether the issuer's own end cut it short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    /// `lifetime` from `now`, ending before the issuer does; `None` if the issuer is at its end.
    pub(super) fn within(
        now: Timestamp,
        backdate: Duration,
        lifetime: Duration,
        issuer_ends: Timestamp,
    ) -> Option<Self> {
        let latest = Timestamp::from_millis(
            issuer_ends
                .as_millis()
                .saturating_sub(u64::try_from(CLIP.as_millis()).unwrap_or(0)),
        );
        let back = u64::try_from(backdate.as_millis()).unwrap_or(0);
        let validity = Self {
            not_before: Timestamp::from_millis(now.as_millis().saturating_sub(back)),
            not_after: now.plus(lifetime).min(latest),
        };
        (now < validity.not_after).then_some(validity)
    }
}

/// What a CA may do.
#[derive(Debug, Clone)]
pub(super) struct CaBounds<'a> {
    pub(super) path_length: u8,
    /// `None` for a root, which carries no extended key usage.
    pub(super) roles: Option<&'a [Role]>,
    pub(super) permitted_dns: Option<String>,
}

/// The certificate of a CA with this common name.
pub(super) fn ca_params(
    org: &str,
    common_name: &str,
    serial: &[u8; 16],
    validity: Validity,
    bounds: &CaBounds<'_>,
) -> CertificateParams {
    let mut params = base(serial, validity);
    params
        .distinguished_name
        .push(DnType::OrganizationName, org);
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(bounds.path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if let Some(roles) = bounds.roles {
        params.use_authority_key_identifier_extension = true;
        let stock = [SERVER_AUTH, CLIENT_AUTH].into_iter();
        // an unbounded CA carries every reserved OID, so that a role added later needs no new CA
        let usages = if roles.is_empty() {
            extended_key_usage(stock.chain(Role::reserved_oids()))
        } else {
            extended_key_usage(stock.chain(roles.iter().map(|role| role.oid())))
        };
        params.custom_extensions.push(usages);
    }
    if let Some(dns) = &bounds.permitted_dns {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(dns.clone())],
            excluded_subtrees: Vec::new(),
        });
    }
    params
}

fn base(serial: &[u8; 16], validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = date(rcgen::date_time_ymd(1970, 1, 1), validity.not_before);
    params.not_after = date(rcgen::date_time_ymd(1970, 1, 1), validity.not_after);
    params
}

/// The library's own list cannot hold the 128-bit arc of our roles.
fn extended_key_usage<'a>(oids: impl IntoIterator<Item = &'a [u8]>) -> CustomExtension {
    let list: Vec<u8> = oids
        .into_iter()
        .flat_map(|oid| tlv(OBJECT_ID, oid))
        .collect();
    CustomExtension::from_oid_content(&[2, 5, 29, 37], tlv(SEQUENCE, &list))
}

/// A moment in the certificate library's type, cut to whole seconds. Generic because that type
/// has no name here.
pub(super) fn date<D: std::ops::Add<Duration, Output = D>>(epoch: D, time: Timestamp) -> D {
    epoch + Duration::from_secs(time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_clipped_to_the_issuer() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let day = Duration::from_hours(24);
        let full = Validity::within(now, BACKDATE, LEAF_LIFETIME, now.plus(day * 100)).unwrap();
        assert_eq!(full.not_after, now.plus(LEAF_LIFETIME));
        assert_eq!(now.since(full.not_before), BACKDATE);
        let clipped = Validity::within(now, BACKDATE, LEAF_LIFETIME, now.plus(day)).unwrap();
        assert_eq!(
            clipped.not_after,
            now.plus(Duration::from_mins(24 * 60 - 1))
        );
        let issuer_ends = now.plus(Duration::from_secs(59));
        assert_eq!(
            Validity::within(now, BACKDATE, LEAF_LIFETIME, issuer_ends),
            None
        );
    }
}
