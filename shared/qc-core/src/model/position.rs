//! Where a message stands: its number in a stream, the history that number belongs to, its lane.

use std::fmt;
use std::str::FromStr;

/// The number of a message in its stream, from 1 on; 0 means "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first message.
    pub const ZERO: Self = Self(0);

    /// The number after this one. Saturates, which no disk will live to see.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number before this one; nothing is before zero.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One history of a stream. Numbers of two epochs are not comparable: a store that was lost and made
/// anew counts under another epoch (milliseconds since 1970 at its creation; a restore adds 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The four lanes of an edge's buffer, most urgent first. The numbers are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Lane {
    /// Alarms: overtakes everything.
    Critical = 0,
    /// Ahead of ordinary traffic.
    High = 1,
    /// Ordinary traffic.
    #[default]
    Normal = 2,
    /// Bulk: yields to everything.
    Low = 3,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The lane of a stored or sent number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word used in configuration and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Lane {
    type Err = super::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|lane| lane.as_str() == text)
            .ok_or_else(|| super::NameError::Form {
                text: crate::safe_text::safe(text, 40),
                form: "critical, high, normal or low",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_numbers_are_kept() {
        for (number, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane as usize, number);
            assert_eq!(lane.as_str().parse::<Lane>(), Ok(lane));
        }
        assert_eq!(Lane::from_u8(4), None);
    }
}
