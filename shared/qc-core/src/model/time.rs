//! Wall-clock time as it is stored and shown: milliseconds since 1970, RFC 3339 in UTC.

use std::fmt;
use std::time::Duration;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Never used to order messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `ms` milliseconds after 1970.
    pub fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// Parses RFC 3339, as CloudEvents writes `time`.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(parsed.as_millisecond()).ok().map(Self)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds only where there are any: `2026-11-21T03:22:07Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_parses_rfc3339() {
        let time = Timestamp::from_millis(1_795_231_327_000);
        assert_eq!(time.to_string(), "2026-11-21T03:22:07Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-21T03:22:07Z"), Some(time));
        assert_eq!(
            Timestamp::parse_rfc3339("2026-11-21T04:22:07+01:00"),
            Some(time)
        );
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }
}
