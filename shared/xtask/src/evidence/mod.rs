//! `cargo xtask evidence`: proofs that take minutes, kept in `docs/evidence` beside the benches.

mod demo_kills;
mod fuzz;
mod kept;
mod link_sim;
mod link_story;
pub mod store;
mod store_states;

use clap::Subcommand;
use qc_core::cli::{Failure, Output};

use crate::workspace::Workspace;
use store::Which;

/// Prove a promise by many runs, and keep the proof
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    evidence: Evidence,
}

#[derive(Debug, Subcommand)]
enum Evidence {
    DemoKills(demo_kills::Args),
    Fuzz(fuzz::Args),
    LinkSim(link_sim::Args),
    /// Break the lines between edge, relay and consumer for a time, under load
    LinkChaos(link_story::Args),
    /// Take the relay in the middle away for ten minutes, under load
    LinkTiers(link_story::Args),
    StoreStates(store_states::Args),
    /// Turn every bit of a segment, one at a time
    StoreFlips(store::Args),
    /// Cut the power under a store's disk, as images of what can be on it then
    StoreImages(store::Args),
    /// Kill a process that works in a store, again and again
    StoreKills(store::Args),
    StorePower(store::power::Args),
    /// Let the n-th system call of a store fail, for every n
    StoreSyscalls(store::Args),
    /// Fill the disk under a store, free it and fill it again; then let the device fail
    StoreFull(store::Args),
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        match &self.evidence {
            Evidence::DemoKills(args) => args.json,
            Evidence::Fuzz(args) => args.json,
            Evidence::LinkSim(args) => args.json,
            Evidence::LinkChaos(args) | Evidence::LinkTiers(args) => args.json,
            Evidence::StoreStates(args) => args.json,
            Evidence::StoreFlips(args)
            | Evidence::StoreFull(args)
            | Evidence::StoreImages(args)
            | Evidence::StoreKills(args)
            | Evidence::StoreSyscalls(args) => args.json,
            Evidence::StorePower(args) => args.json,
        }
    }
}

/// Runs the proof that `args` names.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    match &args.evidence {
        Evidence::DemoKills(args) => demo_kills::run(args, workspace, output),
        Evidence::Fuzz(args) => fuzz::run(args, workspace, output),
        Evidence::LinkSim(args) => link_sim::run(args, workspace, output),
        Evidence::LinkChaos(args) => link_story::CHAOS.prove(args, workspace, output),
        Evidence::LinkTiers(args) => link_story::TIERS.prove(args, workspace, output),
        Evidence::StoreStates(args) => store_states::run(args, workspace, output),
        Evidence::StoreFlips(args) => Which::Flips.prove(args, workspace, output),
        Evidence::StoreFull(args) => Which::Full.prove(args, workspace, output),
        Evidence::StorePower(args) => store::power::run(args, workspace, output),
        Evidence::StoreSyscalls(args) => Which::Syscalls.prove(args, workspace, output),
        Evidence::StoreImages(args) => Which::Images.prove(args, workspace, output),
        Evidence::StoreKills(args) => Which::Kills.prove(args, workspace, output),
    }
}
