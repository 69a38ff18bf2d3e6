//! Who may publish to and read from which stream. Pure; default deny.
//!
//! A stream exists only if the configuration declares it, with its class. A node reaches a stream only
//! within its own tenant and only if a pattern names it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use qc_core::model::{DataClass, Epoch, NodeName, NodePattern, Seq, StreamName, Timestamp};
use qc_core::safe_text::safe;
use qc_core::store::{DeadNote, StreamKey};

use crate::retention::{ClassSection, Retention};

/// What the configuration says of every stream, and of every class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    streams: BTreeMap<StreamName, StreamRule>,
    classes: Vec<ClassSection>,
}

/// One declared stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamRule {
    /// Its name.
    pub name: StreamName,
    /// The class of data it holds.
    pub class: DataClass,
    /// Who may publish.
    pub publish: Vec<NodePattern>,
    /// Who may subscribe and read.
    pub subscribe: Vec<NodePattern>,
    /// How long its messages stay, and how much it holds.
    pub retention: Retention,
    /// What the parent has to do with it.
    pub uplink: Direction,
}

/// What the parent relay has to do with a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Nothing: the parent does not learn that it exists.
    #[default]
    None,
    /// What is stored here goes there.
    Send,
    /// What is stored there comes here.
    Receive,
}

/// The code of a message that may not go to the parent.
pub(crate) const STAYS: &str = "QC5004";

/// The code of a message whose class is not its stream's.
pub(crate) const WRONG_CLASS: &str = "QC5003";

impl StreamRule {
    /// Why a message that states this class is not one of the stream's, if it is not.
    pub(crate) fn misfit(&self, stated: Option<&str>) -> Option<String> {
        let class = self.class.as_str();
        if stated == Some(class) {
            return None;
        }
        let stated = safe(stated.unwrap_or("none"), 80);
        let name = &self.name;
        Some(format!(
            "{name} holds class '{class}', the message says '{stated}'"
        ))
    }

    /// The note on a message of `sender` that is a misfit, for `reason`.
    pub(crate) fn misfit_note(
        &self,
        reason: String,
        sender: Option<&NodeName>,
        at: Timestamp,
    ) -> DeadNote {
        DeadNote {
            code: WRONG_CLASS.to_owned(),
            reason,
            stream: StreamKey::hub(self.name.clone()),
            sender: sender.cloned(),
            epoch: Epoch(0),
            seq: Seq::ZERO,
            consumer: String::new(),
            at,
            attempts: 1,
        }
    }
}

/// What a node wants to do with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Add messages.
    Publish,
    /// Read messages.
    Subscribe,
}

/// Why a node may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// The configuration does not declare the stream.
    #[error("there is no stream {0} on this relay")]
    NoStream(StreamName),
    /// The caller showed no certificate.
    #[error("a client certificate is needed to {verb} {stream}")]
    NoIdentity {
        /// What was wanted.
        verb: Verb,
        /// The stream.
        stream: StreamName,
    },
    /// The node belongs to another tenant.
    #[error("{node} belongs to another tenant than {stream}")]
    OtherTenant {
        /// The node.
        node: NodeName,
        /// The stream.
        stream: StreamName,
    },
    /// No pattern names the node.
    #[error("no '{verb}' pattern of stream {stream} names {node}")]
    NoRule {
        /// What was wanted.
        verb: Verb,
        /// The node.
        node: NodeName,
        /// The stream.
        stream: StreamName,
    },
}

impl Access {
    /// Takes the declared streams; a later declaration of the same name replaces an earlier one, which
    /// the configuration check has refused before.
    pub(crate) fn new(
        streams: impl IntoIterator<Item = StreamRule>,
        classes: Vec<ClassSection>,
    ) -> Self {
        Self {
            streams: streams
                .into_iter()
                .map(|rule| (rule.name.clone(), rule))
                .collect(),
            classes,
        }
    }

    /// The declared streams by name.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamRule> {
        self.streams.values()
    }

    /// The rule of a declared stream.
    pub(crate) fn stream(&self, name: &StreamName) -> Option<&StreamRule> {
        self.streams.get(name)
    }

    /// The classes that the configuration limits.
    pub(crate) fn classes(&self) -> &[ClassSection] {
        &self.classes
    }

    /// Why a message that states this class does not go to the parent, if it does not. What no
    /// `[[class]]` lets go stays.
    pub(crate) fn stays(&self, stated: Option<&str>) -> Option<String> {
        let Some(stated) = stated else {
            return Some("a message without a class does not go to the parent".to_owned());
        };
        let mut classes = self.classes.iter();
        let may = classes.any(|class| class.uplink && class.name.as_str() == stated);
        (!may).then(|| format!("class '{}' does not go to the parent", safe(stated, 80)))
    }

    /// Decides whether `node` may do `verb` on `stream`, and names the stream's rule if so.
    pub(crate) fn check(
        &self,
        node: Option<&NodeName>,
        verb: Verb,
        stream: &StreamName,
    ) -> Result<&StreamRule, Denied> {
        let node = node
            .ok_or_else(|| Denied::NoIdentity {
                verb,
                stream: stream.clone(),
            })?
            .clone();
        // another tenant learns not even whether the stream exists
        if node.tenant() != stream.tenant() {
            return Err(Denied::OtherTenant {
                node,
                stream: stream.clone(),
            });
        }
        let rule = self
            .streams
            .get(stream)
            .ok_or_else(|| Denied::NoStream(stream.clone()))?;
        let patterns = match verb {
            Verb::Publish => &rule.publish,
            Verb::Subscribe => &rule.subscribe,
        };
        if patterns.iter().any(|pattern| pattern.matches(&node)) {
            return Ok(rule);
        }
        Err(Denied::NoRule {
            verb,
            node,
            stream: stream.clone(),
        })
    }
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "send" => Ok(Self::Send),
            "receive" => Ok(Self::Receive),
            _ => Err("one of none, send, receive".to_owned()),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::store::Limits;

    fn access() -> Access {
        let patterns = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let rule = StreamRule {
            name: "acme/lab".parse().unwrap(),
            class: "phi".parse().unwrap(),
            publish: patterns(&["*.mill7.acme"]),
            subscribe: patterns(&["edge-1.dock2.acme", "*.hq.*"]),
            retention: Retention::of(&Limits::default(), None),
            uplink: Direction::None,
        };
        let class = |name: &str, uplink| ClassSection {
            name: name.parse().unwrap(),
            keep: None,
            expire: None,
            uplink,
        };
        Access::new([rule], vec![class("phi", false), class("internal", true)])
    }

    fn check(node: &str, verb: Verb, stream: &str) -> bool {
        let node: NodeName = node.parse().unwrap();
        access()
            .check(Some(&node), verb, &stream.parse().unwrap())
            .is_ok()
    }

    #[test]
    fn only_what_is_named_is_allowed() {
        assert!(check("edge-9.mill7.acme", Verb::Publish, "acme/lab"));
        assert!(!check("edge-9.mill7.acme", Verb::Subscribe, "acme/lab"));
        assert!(check("edge-1.dock2.acme", Verb::Subscribe, "acme/lab"));
        assert!(!check("edge-2.dock2.acme", Verb::Subscribe, "acme/lab"));
        assert!(!check("edge-9.mill7.acme", Verb::Publish, "acme/other"));
    }

    #[test]
    fn tenants_are_apart_whatever_a_pattern_says() {
        assert!(check("app.hq.acme", Verb::Subscribe, "acme/lab"));
        assert!(!check("app.hq.rival", Verb::Subscribe, "acme/lab"));
    }

    #[test]
    fn only_a_class_that_is_let_go_goes_to_the_parent() {
        let stays = |class| access().stays(class);
        assert_eq!(stays(Some("internal")), None);
        for class in ["phi", "unheard-of", "intern", "internal2", "INTERNAL"] {
            let why = stays(Some(class)).unwrap();
            assert!(why.contains(class), "{why}");
        }
        assert!(stays(None).unwrap().contains("without a class"));
    }

    #[test]
    fn nobody_without_a_name() {
        let access = access();
        let denied = access.check(None, Verb::Publish, &"acme/lab".parse().unwrap());
        assert!(matches!(denied, Err(Denied::NoIdentity { .. })));
    }
}
