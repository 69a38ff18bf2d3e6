//! `cargo xtask evidence`: proofs that take minutes, kept in `docs/evidence` beside the benches.

mod demo_kills;
mod store_states;

use clap::Subcommand;
use qc_core::cli::{Failure, Output};

use crate::workspace::Workspace;

/// Prove a promise by many runs, and keep the proof
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    evidence: Evidence,
}

#[derive(Debug, Subcommand)]
enum Evidence {
    DemoKills(demo_kills::Args),
    StoreStates(store_states::Args),
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        match &self.evidence {
            Evidence::DemoKills(args) => args.json,
            Evidence::StoreStates(args) => args.json,
        }
    }
}

/// Runs the proof that `args` names.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    match &args.evidence {
        Evidence::DemoKills(args) => demo_kills::run(args, workspace, output),
        Evidence::StoreStates(args) => store_states::run(args, workspace, output),
    }
}
