//! What an operator calls a node beside its name: `env=prod`, `ring=canary`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::safe_text::safe;

/// The most labels of a node.
pub const MAX_LABELS: usize = 32;

/// Labels by their key.
pub type Labels = BTreeMap<LabelKey, LabelValue>;

/// Why a text is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The key.
    #[error("'{0}' is no key of a label: 1 to 40 of a-z, 0-9, - and _")]
    Key(String),
    /// The value.
    #[error("'{0}' is no value of a label: 1 to 80 of letters, digits and - _ . / : @ +")]
    Value(String),
}

/// The key of a label: 1 to 40 of `a-z 0-9 - _`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(Box<str>);

/// The value of a label: 1 to 80 of `A-Z a-z 0-9 - _ . / : @ +`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(Box<str>);

impl LabelKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LabelValue {
    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for LabelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LabelKey {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
        if (1..=40).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text.into()));
        }
        Err(LabelError::Key(safe(text, 80)))
    }
}

impl FromStr for LabelValue {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let allowed = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+')
        };
        if (1..=80).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text.into()));
        }
        Err(LabelError::Value(safe(text, 80)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_parsed_at_the_door() {
        for key in ["env", "a", "site-type", "x_1"] {
            assert!(key.parse::<LabelKey>().is_ok(), "{key}");
        }
        for key in ["", "Env", "a.b", "a=b", "a b", "ä", &"k".repeat(41)] {
            assert!(key.parse::<LabelKey>().is_err(), "{key}");
        }
        for value in ["prod", "v1.2+3", "a@b", "10:20/x", "A"] {
            assert!(value.parse::<LabelValue>().is_ok(), "{value}");
        }
        for value in ["", "a b", "a=b", "\u{1b}[1m", "*", &"v".repeat(81)] {
            assert!(value.parse::<LabelValue>().is_err(), "{value}");
        }
    }
}
