//! Enrollment over secure transport (RFC 7030), served and asked; stricter inside than the RFC.
//!
//! A token pins the root's key: the node accepts only a server under that root, in one connection,
//! and says the secret only after that. Ordinary clients (`curl`, `openssl`, other EST clients) work
//! as well.

mod client;
mod http;
mod limit;
mod service;

pub use client::{EnrollError, EnrollOutcome, EnrollPlan, enroll};
pub use http::router;
pub use service::{EstRefusal, EstService};
