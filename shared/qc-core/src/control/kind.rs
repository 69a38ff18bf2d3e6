//! What a control object is about, and how far a node has come with it.

use std::fmt;
use std::str::FromStr;

use crate::pki::Role;

/// What a control object is for. The numbers are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// Revocation lists of authorities.
    Revocations = 1,
    /// A trust bundle.
    Trust = 2,
    /// What may be where.
    Policy = 3,
    /// Configuration.
    Config = 4,
    /// Another version of the software.
    Upgrade = 5,
}

/// The text is not the name of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a kind of control object; kinds are revocations, trust, policy, config, upgrade"
)]
pub struct UnknownKind(String);

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 5] = [
        Self::Revocations,
        Self::Trust,
        Self::Policy,
        Self::Config,
        Self::Upgrade,
    ];

    /// The kind as it is typed and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revocations => "revocations",
            Self::Trust => "trust",
            Self::Policy => "policy",
            Self::Config => "config",
            Self::Upgrade => "upgrade",
        }
    }

    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }

    /// Who may sign it.
    pub fn signers(self) -> &'static [Role] {
        match self {
            Self::Revocations | Self::Trust => &[Role::TrustPublisher],
            Self::Policy | Self::Config | Self::Upgrade => &[Role::Operator],
        }
    }

    /// Whether this version can do what it asks for.
    pub fn has_work(self) -> bool {
        matches!(self, Self::Revocations)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(crate::safe_text::safe(text, 40)))
    }
}

/// Which object of its kind, where there are several: `a-z 0-9 -`, at most 40; empty where there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Label(Box<str>);

impl Label {
    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        if text.len() <= 40 && text.chars().all(allowed) {
            return Ok(Self(text.into()));
        }
        let text = crate::safe_text::safe(text, 80);
        Err(format!(
            "'{text}' is no name of a-z, 0-9 and - with 40 at most"
        ))
    }
}

/// How far a node has come with one object: what it applied last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What it is about.
    pub kind: Kind,
    /// Which one.
    pub label: Label,
    /// Its revision.
    pub revision: u64,
    /// SHA-256 of what it says, whoever signed it and when.
    pub digest: [u8; 32],
}

impl Mark {
    /// Whether `other` is another state of the same object.
    pub fn is_of(&self, kind: Kind, label: &Label) -> bool {
        self.kind == kind && self.label == *label
    }
}

/// `revocations`, or `policy site-a` where there are several of a kind.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.label.as_str().is_empty() {
            ""
        } else {
            " "
        };
        write!(
            f,
            "{}{gap}{} revision {}",
            self.kind, self.label, self.revision
        )
    }
}
