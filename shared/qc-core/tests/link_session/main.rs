//! Two sessions without I/O under a seeded scheduler: bytes arrive in pieces of any size, the
//! connection is cut anywhere, stores commit late or lose what was not on disk. Whatever happens,
//! each message is stored once and in order, and nothing is acknowledged that is not on disk.
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

mod calls;
mod flow;
mod hostile;
mod pair;
mod parts;
mod peers;
mod world;
