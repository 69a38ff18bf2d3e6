//! The local administration API: JSON over HTTP on a unix socket.
//!
//! Who may connect is decided by the socket's group and mode (0660); who did is known from the
//! kernel ([`PeerCred`]). A refusal is a [`Problem`], which the [`Client`] turns back into the
//! [`Failure`](crate::failure::Failure) that it was.

pub mod api;
mod client;
pub mod control;
pub mod disk;
#[cfg(feature = "store")]
pub mod dlq;
mod drained;
pub mod keys;
pub mod letters;
mod long_body;
mod problem;
mod remote;
mod reply;
mod server;
mod socket;

pub use client::{Client, Lines};
pub use long_body::LongBody;
pub use problem::{Problem, stopping};
pub use remote::{Remote, RemoteAdmin, ask};
pub use server::{PeerCred, serve, serve_on};
pub use socket::bind;

/// The largest request body: a message of 16 MiB in base64 and its envelope.
pub const MAX_REQUEST: usize = 24 * 1024 * 1024;

/// The routes that take one message with its attributes in headers and a body of any length; every other
/// body is in memory before its request is looked at.
pub const LONG_BODIES: [&str; 2] = ["/v1/send/body", "/v1/publish/body"];

/// The largest answer or line that a client takes.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;
