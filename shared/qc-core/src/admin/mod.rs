//! The local administration API: JSON over HTTP on a unix socket.

pub mod api;
