//! Whether a control object is taken: who signed it, and whether it is newer. The certificates are judged by
//! `pki::verify_peer` and nobody else.

use super::kind::{Kind, Mark};
use super::object::{Object, ObjectError};
use crate::failure::Exit;
use crate::model::NodeName;
use crate::pki::{PeerRefusal, Role, TrustAnchors, Usage, is_signed_by_leaf, verify_peer};

/// Who has signed an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its name.
    pub by: NodeName,
    /// The role by which it may.
    pub role: Role,
}

/// What becomes of an object that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is newer than what is there.
    Apply,
    /// It is what is there.
    Unchanged,
}

/// Why an object is not taken. The node stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// It is none, or damaged.
    #[error(transparent)]
    Form(#[from] ObjectError),
    /// It is for others.
    #[error("it is for the trust domain {there}, and this node belongs to {here}")]
    OtherDomain {
        /// The domain here.
        here: String,
        /// The domain it is for.
        there: String,
    },
    /// Its signer is not trusted.
    #[error("its signer is not trusted: {0}")]
    Signer(PeerRefusal),
    /// Its signer is trusted, and may not sign this.
    #[error("{kind} is to be signed by a {wanted}, and its signer is no such: {found}")]
    Role {
        /// What it is.
        kind: Kind,
        /// The role that may.
        wanted: Role,
        /// The roles of the signer.
        found: String,
    },
    /// The signature is not that of its signer over these bytes.
    #[error("its signature does not fit its bytes: it was changed, or is damaged")]
    Signature,
    /// There is a newer one.
    #[error("it is revision {offered}, and revision {held} is here")]
    Older {
        /// Its revision.
        offered: u64,
        /// The one here.
        held: u64,
    },
    /// Two objects with one revision.
    #[error("revision {revision} is here already, and says something else")]
    Fork {
        /// The revision of both.
        revision: u64,
    },
    /// Its audience does not name this node.
    #[error("it is not for {0}")]
    NotForUs(NodeName),
    /// This version does not know what to do with it.
    #[error("this version has no work for {0} yet")]
    NoWork(Kind),
    /// The owner of this node does not want it.
    #[error("[control] accept of this node does not name {0}")]
    NotAccepted(Kind),
    /// Its lists are not, or not all, in force now.
    #[error("revocation lists in it are not in force here: {0}")]
    Lists(String),
    /// There are as many objects here as can be.
    #[error("{0} control objects are here, and no more are kept")]
    TooMany(usize),
    /// The disk, or what is on it.
    #[error("it cannot be kept: {0}")]
    NotKept(String),
}

impl Rejection {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(ObjectError::Kind(_)) | Self::NoWork(_) => "QC2166",
            Self::Form(_) => "QC2160",
            Self::Signature => "QC2161",
            Self::Role { .. } => "QC2162",
            Self::Signer(refusal) => refusal.code(),
            Self::Older { .. } => "QC2163",
            Self::Fork { .. } => "QC2164",
            Self::OtherDomain { .. } | Self::NotForUs(_) => "QC2165",
            Self::NotAccepted(_) => "QC2167",
            Self::Lists(_) => "QC2168",
            Self::TooMany(_) | Self::NotKept(_) => "QC2169",
        }
    }

    /// The same, of an object that a relay hands on all the same.
    #[must_use]
    pub fn but_carried(self) -> Self {
        let more = |why| format!("{why}; it is kept and handed on to the nodes below");
        match self {
            Self::Lists(why) => Self::Lists(more(why)),
            Self::NotKept(why) => Self::NotKept(more(why)),
            other => other,
        }
    }

    /// What a command ends with that met it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Form(ObjectError::Kind(_) | ObjectError::Version(_))
            | Self::NoWork(_)
            | Self::Older { .. }
            | Self::Fork { .. } => Exit::Conflict,
            Self::Form(_) | Self::Signature | Self::Signer(_) | Self::Lists(_) => {
                Exit::Verification
            }
            Self::Role { .. }
            | Self::OtherDomain { .. }
            | Self::NotForUs(_)
            | Self::NotAccepted(_) => Exit::Refused,
            Self::TooMany(_) | Self::NotKept(_) => Exit::Disk,
        }
    }
}

/// Judges who has signed `object`. The signer's certificate counts as at the time of signing, which the object
/// says: a node that was away for a year takes what was signed meanwhile, whatever its own clock shows. Who was
/// revoked counts at no time.
pub fn judge(object: &Object, trust: &TrustAnchors) -> Result<Signed, Rejection> {
    let (says, parts) = (object.says(), object.parts());
    if says.domain != *trust.domain() {
        return Err(Rejection::OtherDomain {
            here: trust.domain().to_string(),
            there: says.domain.to_string(),
        });
    }
    let roles = says.kind.signers();
    let signer = verify_peer(parts.chain, trust, Usage::Client, roles, says.created);
    let signer = signer.map_err(|refusal| match (refusal, roles.first()) {
        (PeerRefusal::WrongRole { found, .. }, Some(wanted)) => Rejection::Role {
            kind: says.kind,
            wanted: *wanted,
            found: found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        },
        (refusal, _) => Rejection::Signer(refusal),
    })?;
    let leaf = parts.chain.first().ok_or(Rejection::Signature)?;
    if !is_signed_by_leaf(leaf, parts.signed, parts.signature) {
        return Err(Rejection::Signature);
    }
    Ok(Signed {
        by: signer.name,
        role: signer.role,
    })
}

/// What becomes of an object of which `held` is here. Revisions only rise; the same one again is no error, so
/// that an answer may be lost.
pub fn step(held: Option<&Mark>, offered: &Mark) -> Result<Step, Rejection> {
    let Some(held) = held else {
        return Ok(Step::Apply);
    };
    match offered.revision.cmp(&held.revision) {
        std::cmp::Ordering::Greater => Ok(Step::Apply),
        std::cmp::Ordering::Less => Err(Rejection::Older {
            offered: offered.revision,
            held: held.revision,
        }),
        std::cmp::Ordering::Equal if offered.digest == held.digest => Ok(Step::Unchanged),
        std::cmp::Ordering::Equal => Err(Rejection::Fork {
            revision: held.revision,
        }),
    }
}
