//! The Site kit: a small real site for a test, made of the binaries as they are shipped.
//!
//! A [`Site`] is a temporary directory with an authority of its own, enrolled nodes, configuration
//! files and daemons as processes with logs. Nothing in it is a stand-in: certificates come from
//! `qc-pki`, links are TLS on loopback, a kill is SIGKILL. Everything that waits has a deadline and
//! says what it waited for; every process dies with its test.
//!
//! The binaries are taken from the target directory of the test executable, so they have to be there:
//! `cargo build --workspace --bins`, which `cargo xtask test` does.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails in the kit fails its test"
)]

mod authority;
mod cable;
mod command;
mod curl;
mod daemon;
mod ports;
mod proxies;
mod site;
pub mod trace;
mod wait;

pub use authority::Authority;
pub use cable::{Cable, Direction, Weather};
pub use command::{Ran, binary, program, require, run};
pub use curl::{Answer, Curl};
pub use daemon::{Client, Daemon};
pub use ports::free_port;
pub use proxies::OnTheWay;
pub use site::{Site, quoted};
pub use trace::Strace;
pub use wait::{PATIENCE, holds_for, poll, until};
