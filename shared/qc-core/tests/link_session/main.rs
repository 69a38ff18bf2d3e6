//! The protocol without I/O: what two sessions say to each other, rule by rule, and what a session makes
//! of a peer that lies. What happens to whole links under everything that can go wrong is `link_sim.rs`.
#![cfg_attr(
    feature = "net",
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may fail in its helpers"
    )
)]
#![cfg(feature = "net")]

mod byzantine;
mod calls;
mod flow;
mod hostile;
mod pair;
mod parts;
mod peers;
