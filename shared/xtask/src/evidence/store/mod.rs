//! The store under real processes and real disks: kills, failing system calls, full disks, power cuts.
//!
//! Every proof runs the same workload (`workload`) as a process of its own, hears what it was told was
//! safe (`line`), and holds that against what the next process finds (`ledger`). All of it uses the
//! store as any binary does, through `qc_core::store`.

mod child;
mod cut;
mod device;
mod disks;
mod flips;
mod full;
mod images;
mod kills;
mod ledger;
mod line;
mod message;
pub mod power;
mod proof;
mod syscalls;
mod vm;
mod watched;
pub mod workload;

pub use proof::Args;

use proof::Proof;
use qc_core::cli::{Failure, Output};

use crate::workspace::Workspace;

/// The proofs of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Flips,
    Kills,
    Full,
    Syscalls,
    Images,
}

impl Which {
    /// Those of a test run, in its order; the flips have their share in the tests of qc-core.
    pub(crate) const ALL: [Self; 4] = [Self::Kills, Self::Syscalls, Self::Full, Self::Images];

    /// The verb, and the name of the file that keeps it.
    pub(crate) fn name(self) -> &'static str {
        self.proof().name
    }

    fn proof(self) -> &'static Proof {
        match self {
            Self::Flips => &flips::PROOF,
            Self::Kills => &kills::PROOF,
            Self::Full => &full::PROOF,
            Self::Images => &images::PROOF,
            Self::Syscalls => &syscalls::PROOF,
        }
    }

    /// Runs the proof as its arguments say.
    pub(super) fn prove(
        self,
        args: &Args,
        workspace: &Workspace,
        output: &Output,
    ) -> Result<(), Failure> {
        self.proof().prove(args, workspace, output)
    }

    /// The share of a test run: what it came to, or why it was skipped.
    pub(crate) fn check(self, workspace: &Workspace) -> Result<Result<String, String>, Failure> {
        self.proof().check(workspace)
    }
}
