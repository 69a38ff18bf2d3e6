//! What two nodes must agree on, and what two binaries must do alike.
//!
//! Formats always live here; a mechanism enters when a second binary needs it; product flows live
//! in the binaries. The modules are layers, and a module uses only the rows above it:
//!
//! | layer | modules | feature |
//! |---|---|---|
//! | 0 words | [`model`], [`clock`], [`backoff`], [`secret`], [`safe_text`], [`durable`], [`failure`], [`filter`] | - |
//! | 1 pure | [`wire`], [`cloudevents`] | - |
//! | 2 machinery | `store`, `streams`, `parts`, `pki`, `control`, `registry`, `drain` | `store`, `pki`, `net` or `shell` |
//! | 3 network | `tls`, `est`, `link`, `reach`, `admin`, `door` | `net` |
//! | 4 shell | `config`, `telemetry`, `service`, `node`, `upkeep`, `uplink`, `cli` | `shell`, `cli` |
//!
//! This crate never reads the environment and never prints, except through `cli::Output`.
#![deny(missing_docs)]

pub mod backoff;
pub mod clock;
pub mod cloudevents;
pub mod durable;
pub mod failure;
pub mod filter;
pub mod model;
pub mod parts;
pub mod safe_text;
pub mod secret;
pub mod wire;

#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "store")]
pub mod streams;

#[cfg(feature = "pki")]
pub mod control;
#[cfg(feature = "pki")]
pub mod pki;
#[cfg(feature = "pki")]
pub mod registry;

#[cfg(any(feature = "net", feature = "shell"))]
pub mod drain;

#[cfg(feature = "net")]
pub mod admin;
#[cfg(feature = "net")]
pub mod door;
#[cfg(feature = "net")]
pub mod est;
#[cfg(feature = "net")]
pub mod link;
#[cfg(feature = "net")]
pub mod reach;
#[cfg(feature = "net")]
pub mod tls;

#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
pub mod service;
#[cfg(feature = "shell")]
pub mod telemetry;

#[cfg(all(feature = "net", feature = "shell", feature = "store"))]
pub mod node;
#[cfg(all(feature = "net", feature = "shell", feature = "store"))]
pub mod upkeep;
#[cfg(all(feature = "net", feature = "shell", feature = "store"))]
pub mod uplink;

#[cfg(feature = "cli")]
pub mod cli;
