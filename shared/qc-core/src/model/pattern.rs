//! Which nodes are meant: a closed matcher, so that what a list of them covers can be computed.

use std::fmt;
use std::str::FromStr;

use super::{NameError, NodeName};

/// A node's name in which a label may be `*`: `*.mill7.acme`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePattern(String);

impl NodePattern {
    /// Whether it names `node`.
    pub fn matches(&self, node: &NodeName) -> bool {
        let labels = [node.node(), node.site(), node.tenant()];
        let wanted = self.0.split('.');
        wanted
            .zip(labels)
            .all(|(wanted, label)| wanted == "*" || wanted == label)
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for NodePattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // with every star replaced by a letter it must be a node's name
        let plain: Vec<_> = text
            .split('.')
            .map(|l| if l == "*" { "x" } else { l })
            .collect();
        plain.join(".").parse::<NodeName>()?;
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_parsed_at_the_door() {
        for bad in ["", "*", "*.*", "a.b.c.d", "ed*.b.c", "A.b.c"] {
            assert!(bad.parse::<NodePattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let node = "edge-1.mill7.acme".parse().unwrap();
        for (pattern, matches) in [
            ("edge-1.mill7.acme", true),
            ("*.mill7.acme", true),
            ("*.*.*", true),
            ("*.mill8.acme", false),
            ("edge-2.*.acme", false),
        ] {
            let parsed: NodePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(&node), matches, "{pattern}");
        }
    }
}
