//! What every code means: one table for `explain CODE`, sorted. A code keeps its meaning forever.

use clap::Args;
use serde::Serialize;

use super::{Exit, Failure, Output};
use crate::model::Timestamp;
use crate::safe_text::safe;

/// Explain an error or event code
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// A code such as QC1004; without one, all are listed
    code: Option<String>,
}

impl ExplainCommand {
    /// Prints the explanation.
    pub fn run(&self, out: &Output, now: Timestamp) -> Result<(), Failure> {
        let Some(asked) = &self.code else {
            return out.result("qc.codes/1", now, CODES, || {
                CODES.iter().map(Code::title_line).collect()
            });
        };
        let wanted = asked.to_ascii_uppercase();
        let found = CODES.iter().find(|code| code.code == wanted);
        let code = found.ok_or_else(|| {
            let message = format!("there is no code '{}'", safe(asked, 40));
            Failure::new(Exit::NotFound, "QC0015", message).help("list all: explain without a code")
        })?;
        out.result("qc.code/1", now, code, || code.text())
    }
}

/// A code, what it says, why it comes and what to do.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Code {
    /// Such as `QC1004`.
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// Why it comes, in a sentence or two.
    pub cause: &'static str,
    /// What to do: commands or advice, in order.
    pub fix: &'static [&'static str],
}

impl Code {
    fn title_line(&self) -> String {
        format!("{}  {}\n", self.code, self.title)
    }

    fn text(&self) -> String {
        let mut text = self.title_line();
        text.push_str(&format_section("cause", &[self.cause]));
        text.push_str(&format_section("do", self.fix));
        text
    }
}

fn format_section(name: &str, lines: &[&str]) -> String {
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        text.push_str("  ");
        text.push_str(name);
        text.push_str(&" ".repeat(7usize.saturating_sub(name.len())));
        text.push_str(line);
        text.push('\n');
    }
    text
}

const fn code(
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    fix: &'static [&'static str],
) -> Code {
    Code {
        code,
        title,
        cause,
        fix,
    }
}

const REPORT: &[&str] = &["keep the log lines around it and report them: this is a bug"];

/// Every code that has an explanation.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    // QC00xx: the process and its command line
    code("QC0001", "cannot write JSON", "A result could not be put into JSON.", REPORT),
    code("QC0002", "stdout was closed", "The reader of a pipe went away; the command stopped.", &["nothing, if that was meant, as with: | head"]),
    code("QC0003", "cannot write to stdout", "The place that stdout leads to refused the bytes, often a full disk.", &["df -h"]),
    code("QC0004", "a task panicked", "A part of the daemon met a bug. The daemon drained and stopped so that nothing half-done stays.", REPORT),
    code("QC0005", "stopped before draining ended", "A second SIGTERM or SIGINT came while tasks were ending. What was acknowledged is on disk.", &["nothing; the next start recovers"]),
    code("QC0006", "a bug", "The program met a state that its authors held impossible.", REPORT),
    code("QC0007", "the command line is wrong", "An option or argument is unknown, missing or has a wrong value.", &["run the command with --help"]),
    code("QC0008", "cannot install signal handlers", "The kernel refused.", REPORT),
    code("QC0009", "cannot start worker threads", "The limit of threads or memory is reached.", &["systemctl show -p TasksMax,MemoryMax UNIT", "ulimit -u"]),
    code("QC0010", "draining", "The daemon was asked to stop. It takes nothing new and ends what it began.", &["nothing"]),
    code("QC0011", "drained", "Every task ended in time.", &["nothing"]),
    code("QC0012", "a task did not end in time", "A peer or disk did not answer while draining. What was acknowledged is on disk.", &["look for the task's name in the log before"]),
    code("QC0013", "the log options are wrong", "QC_LOG or QC_LOG_FORMAT has a value that is not understood.", &["QC_LOG=info", "QC_LOG_FORMAT=text"]),
    code("QC0014", "cannot open the log file", "Its directory is missing or this user may not write there.", &["ls -ld DIRECTORY"]),
    code("QC0015", "no such code", "The code has no explanation in this version.", &["explain (without a code) lists all"]),
    code("QC0016", "log reopened", "SIGUSR1 asked for it, usually logrotate after it moved the file.", &["nothing"]),
    // QC06xx: the admin socket
    code("QC0601", "the daemon is not running", "Nobody answers on the admin socket.", &["systemctl status UNIT", "journalctl -u UNIT -n 50"]),
    code("QC0602", "the daemon did not answer in time", "It is busy, hangs on a disk, or the answer takes longer than --timeout.", &["repeat with --timeout 5m", "journalctl -u UNIT -n 50"]),
    code("QC0603", "you may not use the admin socket", "The socket is for root and its group.", &["ls -l SOCKET", "usermod -aG GROUP USER, then log in again"]),
    code("QC0604", "no valid answer from the daemon", "The daemon ended the connection or speaks another version.", &["compare: version of the command and of the daemon"]),
    code("QC0605", "the admin socket's group could not be set", "The group is missing, or this user may not give files to it. The socket stays with the daemon's own group.", &["groupadd --system qc-admin"]),
    code("QC0606", "the admin socket could not take a connection", "Usually too many open files.", &["ulimit -n"]),
    code("QC0607", "the request body was not taken", "It is too large, broken, or came too slowly.", &["send less at once"]),
    // QC10xx: configuration
    code("QC1000", "the configuration is refused", "See the errors listed with it.", &["config check"]),
    code("QC1001", "the configuration cannot be read", "The file or its drop-in directory is missing, unreadable, too large or not text.", &["config sample prints a file to start from"]),
    code("QC1002", "not valid TOML", "The file breaks the syntax of TOML at the place shown.", &["strings want quotes; tables begin with [name]"]),
    code("QC1003", "missing or unknown schema version", "Every file begins with schema = 1; a newer number needs a newer program.", &["put schema = 1 in the first line"]),
    code("QC1004", "unknown key or section", "The schema has no such name there; often a typing mistake or the wrong section.", &["config explain SECTION"]),
    code("QC1005", "wrong type", "The value is of another type, such as text in place of a number.", &["config explain SECTION"]),
    code("QC1006", "value not allowed", "The type is right, the value is out of range or misspelt.", &["config explain SECTION"]),
    code("QC1007", "a key or section is missing", "The schema wants it and has no default for it.", &["config explain SECTION"]),
    code("QC1008", "two entries have one name", "Entries of an array of tables are told apart by name.", &["rename one, or move one into a drop-in to override the other"]),
    code("QC1009", "not exactly one sub-table", "The sub-table selects the type, so there must be exactly one.", &["config explain SECTION"]),
    code("QC1010", "a wrong override in the environment", "A variable QC_SECTION_KEY has a value that its key does not take.", &["systemctl show -p Environment UNIT"]),
    code("QC1011", "the configuration does not fit together", "Each key is right by itself, together they are not.", &["read the cause shown with it"]),
    code("QC1012", "no such section", "config explain was asked for a name that the schema does not have.", &["config explain (without a name) lists all"]),
    // QC11xx: state directory, locks, ports
    code("QC1101", "the state directory cannot be used", "It cannot be created, written or made private, or another file is in its place.", &["ls -ld DIRECTORY", "install -d -m 0700 -o USER DIRECTORY"]),
    code("QC1102", "another process uses the state directory", "One state directory belongs to one process at a time.", &["ps -fp PID", "systemctl status UNIT"]),
    code("QC1103", "the port is in use", "Another process listens on the address.", &["ss -ltnp 'sport = :PORT'"]),
    code("QC1104", "the port needs a privilege", "Ports below 1024 are for privileged processes.", &["choose a port above 1023", "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit"]),
    code("QC1105", "the address is not on this machine", "No interface has the address to listen on.", &["ip -brief address"]),
    code("QC1106", "cannot listen", "The kernel refused the address for the reason shown.", &["read the cause shown with it"]),
    code("QC1107", "another daemon answers on the admin socket", "The socket's path is taken by a living daemon.", &["ss -xlp"]),
    code("QC1108", "cannot create the admin socket", "The directory is missing or not writable, or the path is longer than 100 bytes.", &["ls -ld DIRECTORY"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_unique_and_complete() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        for code in CODES {
            assert_eq!(crate::failure::known_code(code.code), Some(code.code));
            assert!(
                !code.title.is_empty() && !code.fix.is_empty(),
                "{}",
                code.code
            );
            assert!(code.cause.ends_with('.'), "{}", code.code);
        }
    }

    #[test]
    fn reads_as_advice() {
        let code = CODES.iter().find(|code| code.code == "QC1103").unwrap();
        assert_eq!(
            code.text(),
            "QC1103  the port is in use\n  cause  Another process listens on the address.\n  \
             do     ss -ltnp 'sport = :PORT'\n"
        );
    }
}
