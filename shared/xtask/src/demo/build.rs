//! The binaries, built as the demo wants them.

use std::path::PathBuf;

use qc_core::cli::{Exit, Failure};

use super::Profile;
use crate::CHORE;
use crate::workspace::{Workspace, spell};

/// Builds every binary of the product and gives the directory they lie in. Cargo shows its own
/// progress on stderr.
pub fn binaries(workspace: &Workspace, profile: Profile) -> Result<PathBuf, Failure> {
    let name = cargo_profile(profile);
    let mut command = workspace.cargo();
    command.args(["build", "--locked", "--profile", name]);
    for binary in BINARIES {
        command.args(["--package", binary]);
    }
    let failed = |message: String| Failure::new(Exit::Other, CHORE, message);
    let status = command
        .status()
        .map_err(|error| failed(format!("cannot run {}", spell(&command))).because(&error))?;
    if !status.success() {
        return Err(failed(format!("{} failed: {status}", spell(&command)))
            .help("a build needs Rust and a C compiler: apt-get install gcc libc6-dev"));
    }
    // the one profile whose directory has another name
    let folder = if name == "dev" { "debug" } else { name };
    let dir = workspace.target_dir()?.join(folder);
    match BINARIES.iter().find(|binary| !dir.join(binary).is_file()) {
        None => Ok(dir),
        Some(binary) => Err(failed(format!(
            "the build made no {binary} in {}",
            dir.display()
        ))),
    }
}

/// Cargo's name of the profile.
pub fn cargo_profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Dev => "dev",
        Profile::Quick => "quick",
        Profile::Release => "release",
    }
}

const BINARIES: [&str; 4] = ["qc-edge", "qc-pki", "qc-relay", "qc-top"];
