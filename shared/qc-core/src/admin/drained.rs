//! What the admin API says of nodes that a relay sends away, as JSON.

use serde::{Deserialize, Serialize};

/// Nodes that a relay sends away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drained {
    /// The order for every node without one of its own.
    pub all: Option<DrainOrder>,
    /// The orders for single nodes.
    pub nodes: Vec<DrainedNode>,
    /// Links that stand with nodes that are to go.
    pub links: u64,
}

/// Why nodes are sent away, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainOrder {
    /// The relay that they are told to go to: `HOST:PORT`.
    pub to: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: String,
}

/// A node that is sent away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainedNode {
    /// Its name.
    pub node: String,
    /// Its order.
    #[serde(flatten)]
    pub order: DrainOrder,
}
