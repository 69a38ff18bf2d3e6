//! The durable log a node stands on.
