//! Where the workspace is, and how its tools are called.

use std::path::{Path, PathBuf};
use std::process::Command;

use qc_core::cli::{Exit, Failure};

use crate::CHORE;

/// The workspace that this run works on.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace around the current directory.
    pub fn find() -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(Exit::Other, CHORE, "cannot tell the current directory").because(&error)
        })?;
        here.ancestors()
            .find(|dir| {
                std::fs::read_to_string(dir.join("Cargo.toml"))
                    .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
            })
            .map(|dir| Self {
                root: dir.to_owned(),
            })
            .ok_or_else(|| {
                Failure::new(Exit::NotFound, CHORE, "no workspace around this directory")
                    .help("run it inside the clone: cargo xtask --help")
            })
    }

    /// The directory that holds the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A command that runs in the root.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Cargo, the one that runs this if it does.
    pub fn cargo(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        command
    }

    /// Runs `command` and gives what it wrote to stdout.
    pub fn capture(command: &mut Command) -> Result<String, Failure> {
        let what = spell(command);
        let failed = |message: String| Failure::new(Exit::Other, CHORE, message);
        let output = command
            .output()
            .map_err(|error| failed(format!("cannot run {what}")).because(&error))?;
        if !output.status.success() {
            let talk = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(failed(format!("{what} failed: {}", output.status)).detail(talk));
        }
        String::from_utf8(output.stdout)
            .map_err(|error| failed(format!("{what} does not print UTF-8")).because(&error))
    }

    /// The directory that cargo builds into.
    pub fn target_dir(&self) -> Result<PathBuf, Failure> {
        let text = Self::capture(self.cargo().args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--locked",
        ]))?;
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|value| Some(PathBuf::from(value.get("target_directory")?.as_str()?)))
            .ok_or_else(|| {
                Failure::new(
                    Exit::Other,
                    CHORE,
                    "cargo metadata names no target directory",
                )
            })
    }
}

/// The command as a person would type it.
pub fn spell(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| {
            let part = part.to_string_lossy();
            if part.contains(' ') {
                format!("'{part}'")
            } else {
                part.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The path of `program` if the search path has it.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_itself() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.root().join("shared/xtask/Cargo.toml").is_file());
        assert!(which("sh").is_some());
        assert!(which("no-such-program-anywhere").is_none());
    }

    #[test]
    fn spells_what_can_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--", "a b"]);
        assert_eq!(spell(&command), "cargo test -- 'a b'");
    }
}
