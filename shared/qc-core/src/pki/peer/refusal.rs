//! Why a peer is not let in: a stable code and one sentence for both sides' logs.

use std::fmt;

use super::Usage;
use crate::model::{NodeName, Timestamp};
use crate::pki::Role;

/// Why a peer is not let in. Every text in it is safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerRefusal {
    /// It sent no certificate.
    NoCertificate,
    /// No root that is trusted stands above it.
    UnknownCa {
        /// Who signed its certificate.
        issuer: String,
        /// How many roots were left out because they have ended.
        expired_roots: usize,
        /// Whether its certificate carries a node's role at all: of whatever trust domain, and not of
        /// something else on the way.
        is_node: bool,
    },
    /// Its certificate, or a CA's above it, has ended.
    Expired {
        /// Whom the leaf names.
        subject: String,
        /// When it ended.
        not_after: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// Its certificate, or a CA's above it, is not valid yet: a clock is wrong.
    NotYetValid {
        /// Whom the leaf names.
        subject: String,
        /// From when it is valid.
        not_before: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// It has none of the roles wanted, or a CA above it may not give them.
    WrongRole {
        /// The roles in its certificate.
        found: Vec<Role>,
        /// The roles wanted.
        wanted: Vec<Role>,
        /// Whether the role is there but a CA above may not give it.
        above_ceiling: bool,
    },
    /// Its certificate is not for this side of a connection.
    WrongUsage {
        /// The usage wanted.
        wanted: Usage,
    },
    /// It does not carry exactly one good name.
    WrongName {
        /// What is wrong.
        why: String,
    },
    /// Its name lies under another trust domain.
    WrongDomain {
        /// The name found.
        found: String,
        /// The domain here.
        domain: String,
    },
    /// It is a good node, but not the one that was dialled.
    UnexpectedNode {
        /// Who answered.
        found: NodeName,
        /// Who was dialled.
        wanted: NodeName,
    },
    /// Its certificate, or a CA's above it, was revoked.
    Revoked {
        /// Whom it names.
        subject: String,
        /// The serial of the leaf.
        serial: String,
    },
    /// Its certificates do not parse or do not fit together.
    Malformed {
        /// What is wrong.
        why: String,
    },
}

impl PeerRefusal {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate => "QC2001",
            Self::UnknownCa { .. } => "QC2002",
            Self::Expired { .. } => "QC2003",
            Self::NotYetValid { .. } => "QC2004",
            Self::WrongRole { .. } => "QC2005",
            Self::WrongName { .. } => "QC2006",
            Self::WrongDomain { .. } => "QC2007",
            Self::Revoked { .. } => "QC2008",
            Self::Malformed { .. } => "QC2009",
            Self::UnexpectedNode { .. } => "QC2010",
            Self::WrongUsage { .. } => "QC2011",
        }
    }
}

impl fmt::Display for PeerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("the peer sent no certificate"),
            Self::UnknownCa {
                issuer,
                expired_roots: 0,
                ..
            } => write!(f, "no trusted root stands above the issuer {issuer}"),
            Self::UnknownCa {
                issuer,
                expired_roots,
                ..
            } => write!(
                f,
                "no trusted root stands above the issuer {issuer} ({expired_roots} expired root left out)"
            ),
            Self::Expired {
                subject,
                not_after,
                now,
            } => write!(
                f,
                "the certificate of {subject} or its CA expired at {not_after}; it is {now} here"
            ),
            Self::NotYetValid {
                subject,
                not_before,
                now,
            } => write!(
                f,
                "the certificate of {subject} is valid from {not_before} but it is {now} here: one of the clocks is wrong by {} s or more",
                not_before.since(*now).as_secs()
            ),
            Self::WrongRole {
                found,
                wanted,
                above_ceiling: false,
            } => {
                let (found, wanted) = (list(found, "none"), list(wanted, "none"));
                write!(f, "the role is {found}, wanted is {wanted}")?;
                if wanted == Role::RelayParent.as_str() {
                    f.write_str(": qc-pki token new NODE --role relay-parent for it")?;
                }
                Ok(())
            }
            Self::WrongRole { wanted, .. } => write!(
                f,
                "the role {} is above the ceiling of the CA that gave it",
                list(wanted, "none")
            ),
            Self::WrongUsage { wanted } => write!(
                f,
                "the certificate is not for a TLS {}",
                match wanted {
                    Usage::Client => "client",
                    Usage::Server => "server",
                }
            ),
            Self::WrongName { why } => write!(f, "the name is not acceptable: {why}"),
            Self::WrongDomain { found, domain } => {
                write!(f, "the name {found} is not under the trust domain {domain}")
            }
            Self::UnexpectedNode { found, wanted } => {
                write!(f, "{found} answered, but {wanted} was dialled")
            }
            Self::Revoked { subject, serial } => {
                write!(
                    f,
                    "the certificate {serial} of {subject} or its CA was revoked"
                )
            }
            Self::Malformed { why } => write!(f, "the certificates are not acceptable: {why}"),
        }
    }
}

impl std::error::Error for PeerRefusal {}

fn list(roles: &[Role], none: &str) -> String {
    if roles.is_empty() {
        return none.to_owned();
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    names.join(" or ")
}
