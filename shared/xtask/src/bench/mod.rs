//! bench
use crate::workspace::Workspace;
use qc_core::cli::{Failure, Output};
/// Bench
#[derive(Debug, clap::Args)]
pub struct Args {}
impl Args {
    pub(crate) fn json(&self) -> bool {
        false
    }
}
/// run
pub fn run(_: &Args, _: &Workspace, _: &Output) -> Result<(), Failure> {
    Ok(())
}
