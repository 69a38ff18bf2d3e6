//! The parts that `cargo xtask demo` is made of: build, supervised processes, free ports, a cable that
//! can be cut, and a ledger that must balance.
//!
//! The scenario stands above them and knows the product's commands; nothing here does.

mod build;
mod cut;
mod ledger;
mod port;
mod proc;

use std::path::PathBuf;

use clap::ValueEnum;

pub use build::{binaries, cargo_profile};
pub use cut::Cut;
pub use ledger::{Ledger, Row};
pub use port::free_ports;
pub use proc::{Lifetime, Proc, Ready};

/// Show the product's whole way on this machine: two sites, one relay, a cut link, a killed edge
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Leave everything running and print how to watch it
    #[arg(long)]
    pub keep: bool,

    /// Put configuration, state and logs here (default: .demo in the workspace)
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Build the binaries like this
    #[arg(long, value_enum, value_name = "PROFILE", default_value_t = Profile::Release)]
    pub profile: Profile,

    /// Print the ledger as JSON
    #[arg(long)]
    pub json: bool,
}

/// How the binaries are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Release speed without the long link
    Quick,
    /// As they are shipped
    Release,
}
