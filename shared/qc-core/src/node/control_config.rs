//! What the owner of a node lets it take of control objects, the same on relay and edge.

use serde::Deserialize;

use crate::config::{Key, Kind, Section, Shape, de};
use crate::control;

/// `[control]`
pub const CONTROL: Section = Section {
    name: "control",
    shape: Shape::One,
    required: false,
    doc: "Control objects, which somebody with the role for it has signed and a relay hands on. What is not \
          named here is refused, whoever sends it.",
    keys: &[Key::new(
        "accept",
        Kind::List(&Kind::Enum(&[
            "revocations",
            "trust",
            "policy",
            "config",
            "upgrade",
        ])),
        "The kinds that this node takes. This version has work for revocations only.",
    )
    .default("[\"revocations\"]")],
    variants: &[],
};

/// `[control]` as it is read.
#[derive(Debug, Clone, Deserialize)]
pub struct ControlSection {
    /// The kinds that are taken.
    #[serde(deserialize_with = "de::all_parsed")]
    pub accept: Vec<control::Kind>,
}
