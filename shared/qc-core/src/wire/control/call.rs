//! Calls: a byte stream in both directions between two nodes, for what is no message.

use std::fmt;
use std::str::FromStr;

use crate::model::NameError;
use crate::safe_text::safe;
use crate::wire::WireError;

/// The bit of [`Greeting::features`](super::Greeting::features) of a node that takes calls.
pub const CALLS: u64 = 1;
/// The most calls that one side may have made and not ended.
pub const MAX_CALLS: usize = 64;
/// The most bytes of a call that either side takes before it has used them.
pub const CALL_WINDOW: u64 = 256 * 1024;
/// The longest target.
const MAX_TARGET: usize = 200;

/// What is called at the other node, such as `admin`: 1 to 200 of `a-z 0-9 - _ . / :`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(Box<str>);

impl Target {
    /// The target as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Target {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_TARGET {
            return Err(NameError::Length {
                label: safe(text, 80),
                max: MAX_TARGET,
            });
        }
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.' | '/' | ':');
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(NameError::Alphabet {
                label: safe(text, 80),
                found,
                allowed: "a-z, 0-9, -, _, ., / and :",
            });
        }
        Ok(Self(text.into()))
    }
}

/// A node asks its peer for a byte stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is called.
    pub target: Target,
    /// How many bytes of the answer the caller takes at first.
    pub window: u64,
}

/// The twin of [`Call`] that carries the protobuf field numbers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct CallTwin {
    #[prost(string, tag = "1")]
    target: String,
    #[prost(uint64, tag = "2")]
    window: u64,
}

impl From<&Call> for CallTwin {
    fn from(call: &Call) -> Self {
        Self {
            target: call.target.as_str().to_owned(),
            window: call.window,
        }
    }
}

impl TryFrom<CallTwin> for Call {
    type Error = WireError;

    fn try_from(pb: CallTwin) -> Result<Self, WireError> {
        let target = pb.target.parse();
        Ok(Self {
            target: target.map_err(|_| WireError::Malformed("call target"))?,
            window: pb.window,
        })
    }
}
