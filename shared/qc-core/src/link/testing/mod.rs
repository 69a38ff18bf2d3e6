//! What the link is tested with: nodes, lines and time that a seed moves, and an oracle that is none of
//! the engine's code.
//!
//! Two nodes, or three in a row, with the real driver, session and calls at every end; the line, the
//! store, the programs and the clocks are simulated. Nothing waits and nothing is random but by the
//! seed, so the same seed gives the same bytes on every line.
//!
//! This module stands behind the feature `testing`, which is for tests and `cargo xtask` only: no
//! binary that is shipped may name it, and `cargo xtask tidy` holds that. It may panic where a test may.
//!
//! ```text
//! pipe      one direction of a connection: slow, stalled, deaf, cut after any byte, with a bit that turns
//! messages  streams, the ways that they go, and messages that say themselves what they are
//! node      what a node has on disk and in memory, and the `LinkApp` around it
//! calls     programs that ask and answer over calls, and know what a whole answer is
//! faults    what can happen, and what of it a seed lets happen
//! oracle    what was accepted, where it must arrive, and what nobody may do
//! world     nodes, connections and time under a seeded scheduler
//! plan      a seed, or many of them: what they came to
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test apparatus: where an assumption of the apparatus is broken the test ends"
)]

mod calls;
mod faults;
mod messages;
mod node;
mod oracle;
mod pipe;
mod plan;
mod world;

pub use faults::Fault;
pub use oracle::{Rule, Violation};
pub use plan::{Break, Explored, Plan, Run};

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Polls a future once; nobody is woken, because everything is polled again.
fn poll_once<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
