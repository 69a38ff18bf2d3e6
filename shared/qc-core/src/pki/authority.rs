//! An authority with its key open: signs leaves, CAs below it and its own revocation list.

use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;

use super::certificate::{CertError, CertView};
use super::crl::{self, CrlError, Revocation};
use super::profile::{self, BACKDATE, CA_BACKDATE, CaBounds, Profile, Validity};
use super::{CertRequest, KeyError, PrivateKey, Role};
use crate::model::{Site, Tenant, Timestamp, TrustDomain};

/// The longest name of an organisation: it must fit a common name beside the rest.
pub const MAX_ORG: usize = 24;

/// The longest name of a CA.
pub const MAX_CA_NAME: usize = 24;

/// The longest DNS name.
const MAX_DNS: usize = 253;

const ROOT_LIFETIME: Duration = Duration::from_hours(20 * 365 * 24 + 5 * 24);
const ISSUING_LIFETIME: Duration = Duration::from_hours(5 * 365 * 24 + 24);
const SITE_LIFETIME: Duration = Duration::from_hours(800 * 24);
const CRL_LIFETIME: Duration = Duration::from_hours(7 * 24);
const ROOT_CRL_LIFETIME: Duration = Duration::from_hours(400 * 24);

/// Why an authority could not sign.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The authority's own certificate has ended or is about to.
    #[error("the authority {name} ended or ends at {not_after}")]
    Ended {
        /// Its name.
        name: String,
        /// Its end.
        not_after: Timestamp,
    },
    /// The authority may not sign CAs.
    #[error("{name} may not sign authorities of its own")]
    NoCas {
        /// Its name.
        name: String,
    },
    /// What is to be signed lies outside what the authority may name or which roles it may give.
    #[error("{name} may not issue this: {why}")]
    Bounds {
        /// Its name.
        name: String,
        /// What is outside.
        why: String,
    },
    /// The key in the directory does not belong to the certificate beside it.
    #[error("the key of {name} does not belong to its certificate")]
    KeyMismatch {
        /// Its name.
        name: String,
    },
    /// A certificate does not parse.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The revocation list could not be made.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// The crypto library failed.
    #[error("the crypto library failed: {0}")]
    Crypto(String),
}

/// What a new CA below another is to be.
#[derive(Debug, Clone, Default)]
pub struct CaPlan {
    /// Its name in the directory and in its certificate.
    pub name: String,
    /// The only tenant it may name.
    pub tenant: Option<Tenant>,
    /// The only site it may name; with a tenant.
    pub site: Option<Site>,
    /// The only roles it may give; empty for no bound.
    pub roles: Vec<Role>,
    /// How long it is valid, if not the usual time.
    pub lifetime: Option<Duration>,
}

/// An authority with its key.
#[derive(Debug)]
pub struct Authority {
    name: String,
    org: String,
    domain: TrustDomain,
    cert: CertificateDer<'static>,
    view: CertView,
    key: PrivateKey,
    /// The authorities above it, the root last.
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// Takes an authority's parts, which must belong together.
    pub(super) fn open(
        name: &str,
        org: &str,
        domain: &TrustDomain,
        cert: CertificateDer<'static>,
        above: Vec<CertificateDer<'static>>,
        key: PrivateKey,
    ) -> Result<Self, AuthorityError> {
        let view = CertView::parse(&cert)?;
        if view.spki_sha256 != key.spki_sha256() || !view.is_ca {
            return Err(AuthorityError::KeyMismatch {
                name: name.to_owned(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            org: org.to_owned(),
            domain: domain.clone(),
            cert,
            view,
            key,
            above,
        })
    }

    /// A new self-signed root: P-384, 20 years, two levels of CAs below it.
    pub fn create_root(
        name: &str,
        org: &str,
        domain: &TrustDomain,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let key = PrivateKey::new_p384()?;
        let validity = Validity {
            not_before: Timestamp::from_millis(
                now.as_millis().saturating_sub(CA_BACKDATE.as_secs() * 1000),
            ),
            not_after: now.plus(ROOT_LIFETIME),
        };
        let bounds = CaBounds {
            path_length: 2,
            roles: None,
            permitted_dns: None,
        };
        let cn = common_name(org, name, &key);
        let params = profile::ca_params(org, &cn, &new_serial()?, validity, &bounds);
        let cert = params.self_signed(key.pair()).map_err(crypto)?;
        Self::open(name, org, domain, cert.der().clone(), Vec::new(), key)
    }

    /// A new CA below this one, with a P-256 key of its own.
    pub fn create_ca(&self, plan: &CaPlan, now: Timestamp) -> Result<Self, AuthorityError> {
        let below_root = self.is_root();
        let bound_to_site = plan.site.is_some() || plan.tenant.is_some();
        if self.view.path_length == Some(0) {
            return Err(AuthorityError::NoCas {
                name: self.name.clone(),
            });
        }
        let permitted_dns = match (&plan.site, &plan.tenant) {
            (Some(site), Some(tenant)) => Some(format!("{site}.{tenant}.{}", self.domain)),
            (None, Some(tenant)) => Some(format!("{tenant}.{}", self.domain)),
            (Some(_), None) => return Err(self.ceiling().outside("a site needs its tenant")),
            // below a bounded CA the same bound holds anyway: say so in the certificate
            (None, None) => self.view.permitted_dns.first().cloned(),
        };
        self.ceiling()
            .check_names(permitted_dns.as_deref().into_iter())?;
        self.ceiling().check_roles(&plan.roles)?;
        let bounded = !below_root && self.view.roles.len() < Role::ALL.len();
        let roles = if plan.roles.is_empty() && bounded {
            &self.view.roles
        } else {
            &plan.roles
        };
        let key = PrivateKey::new_p256()?;
        let usual = if below_root && !bound_to_site {
            ISSUING_LIFETIME
        } else {
            SITE_LIFETIME
        };
        let lifetime = plan.lifetime.unwrap_or(usual);
        let validity = self.validity(now, CA_BACKDATE, lifetime)?;
        let bounds = CaBounds {
            path_length: u8::from(below_root && !bound_to_site),
            roles: Some(roles),
            permitted_dns,
        };
        let cn = common_name(&self.org, &plan.name, &key);
        let params = profile::ca_params(&self.org, &cn, &new_serial()?, validity, &bounds);
        let cert = self.sign(&params, key.pair())?;
        let mut above = vec![self.cert.clone()];
        above.extend(self.above.iter().cloned());
        Self::open(&plan.name, &self.org, &self.domain, cert, above, key)
    }

    /// Signs a leaf for the key of a request. Only the key is taken from it.
    pub fn issue(
        &self,
        what: &Profile,
        request: &CertRequest,
        serial: &[u8; 16],
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        self.check(what)?;
        let validity = self.validity(now, BACKDATE, lifetime)?;
        let params = what.params(&self.domain, serial, validity).ok_or_else(|| {
            self.ceiling()
                .outside("a name that cannot stand in a certificate")
        })?;
        self.sign(&params, request.key())
    }

    /// Whether this authority may issue such a certificate: within its names and roles.
    pub fn check(&self, what: &Profile) -> Result<(), AuthorityError> {
        self.ceiling().check(what, &self.domain)
    }

    /// The same for an authority whose key is not open.
    pub fn may_issue(
        name: &str,
        domain: &TrustDomain,
        cert: &CertificateDer<'_>,
        what: &Profile,
    ) -> Result<(), AuthorityError> {
        let view = CertView::parse(cert)?;
        Ceiling { name, view: &view }.check(what, domain)
    }

    /// Signs this authority's revocation list.
    pub fn sign_crl(
        &self,
        number: u64,
        revoked: &[Revocation],
        now: Timestamp,
    ) -> Result<Vec<u8>, AuthorityError> {
        let lifetime = if self.is_root() {
            ROOT_CRL_LIFETIME
        } else {
            CRL_LIFETIME
        };
        Ok(crl::sign(&self.issuer()?, number, now, lifetime, revoked)?)
    }

    /// Its name in the directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own certificate.
    pub fn cert(&self) -> &CertificateDer<'static> {
        &self.cert
    }

    /// The facts of its own certificate.
    pub fn view(&self) -> &CertView {
        &self.view
    }

    /// Its own certificate and those above it, the root last.
    pub fn chain(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        std::iter::once(&self.cert).chain(&self.above)
    }

    /// The root certificate it stands under, or itself.
    pub fn root(&self) -> &CertificateDer<'static> {
        self.above.last().unwrap_or(&self.cert)
    }

    /// The domain it names nodes under.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Whether it signed itself.
    pub fn is_root(&self) -> bool {
        self.above.is_empty()
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    fn validity(
        &self,
        now: Timestamp,
        backdate: Duration,
        lifetime: Duration,
    ) -> Result<Validity, AuthorityError> {
        Validity::within(now, backdate, lifetime, self.view.not_after).ok_or_else(|| {
            AuthorityError::Ended {
                name: self.name.clone(),
                not_after: self.view.not_after,
            }
        })
    }

    fn ceiling(&self) -> Ceiling<'_> {
        Ceiling {
            name: &self.name,
            view: &self.view,
        }
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, AuthorityError> {
        Issuer::from_ca_cert_der(&self.cert, self.key.pair()).map_err(crypto)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let cert = params.signed_by(key, &self.issuer()?).map_err(crypto)?;
        Ok(cert.der().clone())
    }
}

/// What an authority's certificate lets it issue.
struct Ceiling<'a> {
    name: &'a str,
    view: &'a CertView,
}

impl Ceiling<'_> {
    fn check(&self, what: &Profile, domain: &TrustDomain) -> Result<(), AuthorityError> {
        match what {
            Profile::Node { name, role } => {
                let dns = name.dns_name(domain);
                if dns.len() > MAX_DNS {
                    return Err(self.outside("the DNS name is longer than 253 characters"));
                }
                self.check_names(std::iter::once(dns.as_str()))?;
                self.check_roles(&[*role])
            }
            Profile::Front { dns } => self.check_names(dns.iter().map(String::as_str)),
        }
    }

    fn check_names<'n>(
        &self,
        mut names: impl Iterator<Item = &'n str>,
    ) -> Result<(), AuthorityError> {
        let permitted = &self.view.permitted_dns;
        let inside = |name: &str, bound: &str| {
            name == bound
                || name
                    .strip_suffix(bound)
                    .is_some_and(|rest| rest.ends_with('.'))
        };
        let outside = names.find(|name| {
            !permitted.is_empty() && !permitted.iter().any(|bound| inside(name, bound))
        });
        outside.map_or(Ok(()), |name| {
            let bounds = permitted.join(", ");
            Err(self.outside(&format!("the name {name} is outside of {bounds}")))
        })
    }

    fn check_roles(&self, roles: &[Role]) -> Result<(), AuthorityError> {
        if self.view.is_self_issued() {
            return Ok(());
        }
        let missing = roles.iter().find(|role| !self.view.roles.contains(role));
        missing.map_or(Ok(()), |role| {
            Err(self.outside(&format!("the role {role} is above its ceiling")))
        })
    }

    fn outside(&self, why: &str) -> AuthorityError {
        AuthorityError::Bounds {
            name: self.name.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// A random 128-bit serial.
pub(super) fn new_serial() -> Result<[u8; 16], AuthorityError> {
    let mut serial = [0u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|e| AuthorityError::Crypto(e.to_string()))?;
    // never a leading zero byte: its hex always has 32 digits
    if let Some(first) = serial.first_mut() {
        *first |= 0x40;
    }
    Ok(serial)
}

/// Unique per key: stock verifiers look up a revocation list by this name alone.
fn common_name(org: &str, name: &str, key: &PrivateKey) -> String {
    let spki = key.spki_sha256();
    let id = data_encoding::HEXUPPER.encode(spki.get(..4).unwrap_or_default());
    format!("{org} QC {name} k-{id}")
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used as a function name in map_err"
)]
fn crypto(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Crypto(error.to_string())
}
