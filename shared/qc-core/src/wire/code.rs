//! Stable codes as they travel: a number that shows as `QC2201` and never changes meaning.

use std::fmt;

use super::WireError;

/// A stable code of four digits. Ranges belong to areas: 20 TLS and identity, 22 the link, 30 the
/// store, 33 the disk, 50 policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// The code with this number; at most four digits, checked when it arrives from a peer.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number without the letters.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether it speaks of TLS or identity (`QC20xx`, `QC21xx`): trying again soon will not help. A
    /// handshake that took too long or broke off (`QC2030`, `QC2031`) says nothing of either: so ends
    /// who finds no place at a busy relay's door.
    pub const fn is_identity(self) -> bool {
        matches!(self.0, 2000..=2029 | 2032..=2199)
    }

    pub(crate) fn from_wire(number: u32) -> Result<Self, WireError> {
        u16::try_from(number)
            .ok()
            .filter(|number| *number <= 9999)
            .map(Self)
            .ok_or(WireError::Unknown {
                what: "code",
                number,
            })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QC{:04}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_broke_off_is_no_matter_of_identity() {
        for number in [2001, 2008, 2029, 2032, 2100, 2199] {
            assert!(Code::new(number).is_identity(), "{number}");
        }
        for number in [1999, 2030, 2031, 2200] {
            assert!(!Code::new(number).is_identity(), "{number}");
        }
    }

    #[test]
    fn shows_four_digits_and_refuses_more() {
        assert_eq!(Code::new(2201).to_string(), "QC2201");
        assert_eq!(Code::new(7).to_string(), "QC0007");
        assert_eq!(Code::from_wire(9999), Ok(Code::new(9999)));
        assert!(Code::from_wire(10_000).is_err());
        assert!(Code::from_wire(u32::MAX).is_err());
    }
}
