//! The link between two nodes: sans-IO session, dialer, listener.
