//! The programs of other packages that tests call, and how they come onto a Debian machine.

use std::process::Command;

use qc_core::cli::{Exit, Failure};

use crate::CHORE;
use crate::workspace::{Workspace, spell, which};

/// A program that tests call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tool {
    /// The program.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// Who needs it.
    pub why: &'static str,
}

const fn tool(program: &'static str, package: &'static str, why: &'static str) -> Tool {
    Tool {
        program,
        package,
        why,
    }
}

/// The whole list; CI installs it, people are told what is missing.
pub(super) const TOOLS: [Tool; 14] = [
    tool("bash", "bash", "loads the completions"),
    tool("cc", "gcc", "builds aws-lc"),
    tool("curl", "curl", "publishes and reads over TLS as a stranger"),
    tool("fio", "fio", "agrees with the raw limits of the bench"),
    tool("fish", "fish", "loads the completions"),
    tool(
        "ip",
        "iproute2",
        "network namespaces and links that are cut",
    ),
    tool("mandoc", "mandoc", "judges the manual pages"),
    tool(
        "openssl",
        "openssl",
        "verifies the certificates as a stranger",
    ),
    tool("ps", "procps", "memory and CPU of the daemons"),
    tool("python3", "python3", "a stranger's client of the link"),
    tool(
        "setpriv",
        "util-linux",
        "daemons of a test die with it; runs as another user",
    ),
    tool(
        "strace",
        "strace",
        "proves that no ack leaves before its fdatasync",
    ),
    tool("tmux", "tmux", "shows qc-top on an 80x24 terminal"),
    tool("zsh", "zsh", "loads the completions"),
];

/// The tools that `present` does not know.
pub(super) fn missing(present: impl Fn(&str) -> bool) -> Vec<Tool> {
    TOOLS
        .into_iter()
        .filter(|tool| !present(tool.program))
        .collect()
}

/// What to type for `missing`.
pub(super) fn apt_line(missing: &[Tool]) -> String {
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Everything is there, or says what is not.
pub(super) fn require() -> Result<String, Failure> {
    let missing = missing(|program| which(program).is_some());
    if missing.is_empty() {
        return Ok(format!("{} programs", TOOLS.len()));
    }
    let lines = missing
        .iter()
        .map(|tool| format!("  {}: {}", tool.program, tool.why));
    let message = format!("{} programs that tests call are missing", missing.len());
    Err(Failure::new(Exit::Problems, CHORE, message)
        .detail(lines.collect::<Vec<_>>().join("\n"))
        .help(format!("as root: {}", apt_line(&missing)))
        .help("or let this do it: cargo xtask test --install"))
}

/// Installs what is missing.
pub(super) fn install(workspace: &Workspace) -> Result<String, Failure> {
    let missing = missing(|program| which(program).is_some());
    if missing.is_empty() {
        return require();
    }
    let line = apt_line(&missing);
    for arguments in ["apt-get update", &line] {
        let mut command = as_root(workspace);
        command
            .args(arguments.split(' '))
            .args(["--yes", "--quiet"]);
        command.args(["-o", "DPkg::Lock::Timeout=300"]);
        Workspace::capture(&mut command).map_err(|failure| {
            let what = format!("{} did not work", spell(&command));
            Failure::new(Exit::Problems, CHORE, what)
                .detail(failure.detail)
                .help(format!("as root: {line}"))
        })?;
    }
    require().map(|all| format!("{all}, {} of them installed now", missing.len()))
}

fn as_root(workspace: &Workspace) -> Command {
    let root = rustix::process::geteuid().is_root() || which("sudo").is_none();
    let mut command = workspace.command(if root { "env" } else { "sudo" });
    if !root {
        command.args(["--non-interactive", "env"]);
    }
    command.arg("DEBIAN_FRONTEND=noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_line_for_what_is_missing() {
        assert!(missing(|_| true).is_empty());
        let missing = missing(|program| !["fio", "ip", "ps"].contains(&program));
        let line = "apt-get install --no-install-recommends fio iproute2 procps";
        assert_eq!(apt_line(&missing), line);
    }

    #[test]
    fn one_list_sorted_by_program() {
        assert!(TOOLS.is_sorted_by_key(|tool| tool.program));
        assert!(TOOLS.iter().all(|tool| !tool.why.is_empty()));
    }
}
