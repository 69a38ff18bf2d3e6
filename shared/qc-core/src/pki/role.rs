//! What a node may do, as an extended key usage: verifiers enforce it on every CA of the chain, so a
//! site CA that lacks a role can not hand it out.
//!
//! The sixteen OIDs lie under a UUID arc that was drawn once, `2.25.<UUID>.1` to `.16`. Issuing CAs
//! carry all sixteen from the start, so a role added later needs no new CA. A number never changes
//! its meaning.

use std::fmt;
use std::str::FromStr;

/// The UUID of the arc, e0024418-3c6f-4e67-ae72-4ba8543d72ec.
const ARC: u128 = 0xe002_4418_3c6f_4e67_ae72_4ba8_543d_72ec;

/// How many role OIDs are reserved.
const RESERVED: usize = 16;

/// The encoded content of an OID: `2.25`, 19 base-128 digits of the UUID, the role.
type Oid = [u8; 21];

const OIDS: [Oid; RESERVED] = {
    let mut oids = [oid(1); RESERVED];
    let mut rest = oids.as_mut_slice();
    let mut role = 1;
    while let Some((first, more)) = rest.split_first_mut() {
        *first = oid(role);
        role += 1;
        rest = more;
    }
    oids
};

#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses what is out of bounds; digits are masked"
)]
const fn oid(role: u8) -> Oid {
    let mut bytes = [0u8; 21];
    bytes[0] = 2 * 40 + 25;
    let mut digit = 0;
    while digit < 19 {
        let shift = 7 * (18 - digit);
        let more = if digit < 18 { 0x80 } else { 0 };
        bytes[1 + digit] = (ARC >> shift) as u8 & 0x7f | more;
        digit += 1;
    }
    bytes[20] = role;
    bytes
}

/// What the holder of a certificate is. Roles are for machines and for the operator's tools; what a
/// person may do is policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Captures and delivers at a site; only ever dials out.
    Edge = 1,
    /// A hub that accepts links.
    Relay = 2,
    /// A relay that other relays may choose as parent.
    RelayParent = 3,
    /// An operator's tool.
    Operator = 4,
    /// Reads audit and evidence.
    Auditor = 5,
    /// Invites and enrolls nodes.
    Installer = 6,
    /// Registers nodes on behalf of an authority.
    EnrollRa = 7,
    /// Signs trust bundles.
    TrustPublisher = 8,
    /// An ordinary HTTP producer or consumer, for example curl.
    Client = 9,
}

/// The text is not the name of a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a role; roles are edge, relay, relay-parent, operator, auditor, installer, enroll-ra, trust-publisher, client"
)]
pub struct UnknownRole(String);

impl Role {
    /// Every role, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::Edge,
        Self::Relay,
        Self::RelayParent,
        Self::Operator,
        Self::Auditor,
        Self::Installer,
        Self::EnrollRa,
        Self::TrustPublisher,
        Self::Client,
    ];

    /// The role as it is typed and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Relay => "relay",
            Self::RelayParent => "relay-parent",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Installer => "installer",
            Self::EnrollRa => "enroll-ra",
            Self::TrustPublisher => "trust-publisher",
            Self::Client => "client",
        }
    }

    /// The content bytes of the role's OID.
    pub fn oid(self) -> &'static [u8] {
        OIDS.get(self as usize - 1)
            .map_or(&[], |oid| oid.as_slice())
    }

    /// The role whose OID has these content bytes.
    pub fn from_oid(content: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.oid() == content)
    }

    /// Whether nodes of this role answer TLS connections under their node name.
    pub fn serves(self) -> bool {
        matches!(self, Self::Relay | Self::RelayParent)
    }

    /// All reserved OIDs, for the certificates of issuing CAs.
    pub(super) fn reserved_oids() -> impl Iterator<Item = &'static [u8]> {
        OIDS.iter().map(<[u8; 21]>::as_slice)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(crate::safe_text::safe(text, 40)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_are_fixed_for_ever() {
        let hex = data_encoding::HEXLOWER.encode(Role::Edge.oid());
        assert_eq!(hex, "6983c082a28687c6fab9cfaeb992f585a1f5e56c01");
        // decoded by hand: base-128 digits give back the UUID
        let uuid = Role::Client.oid()[1..20]
            .iter()
            .fold(0u128, |n, byte| n << 7 | u128::from(byte & 0x7f));
        assert_eq!(uuid, ARC);
        assert_eq!(Role::reserved_oids().count(), 16);
    }

    #[test]
    fn names_and_oids_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(Role::from_oid(role.oid()), Some(role));
        }
        assert!("Edge".parse::<Role>().is_err());
        assert_eq!(Role::from_oid(&OIDS[15]), None);
    }
}
