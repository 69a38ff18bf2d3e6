//! Whole links over in-memory byte streams: two drivers, a dialer, connections that break, peers
//! that stall, stores that are full.
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

mod app;
mod calls;
mod cuts;
mod dialing;
mod messages;
mod peers;
mod site;
mod slow;
