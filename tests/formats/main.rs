//! The formats on disk, as they were written once and stay: golden bytes of every part, and a whole store of
//! each format that this version must open, read and go on with. How one is added stands in `README.md`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails here fails its test"
)]

mod bytes;
mod control;
mod link;
mod newer;
mod parts;
mod records;
mod sparse;
mod store;
