//! The one failure at the top: a stable code, an exit code, the causes, and the next command.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The documented exit codes (`man 7 qc-exit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or the condition is true.
    Ok = 0,
    /// Any failure without a code of its own.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Some of it was done; the output lists each.
    Partial = 3,
    /// The condition is not met, differences or problems were found.
    Problems = 4,
    /// Accepted, but `--wait` ran out.
    Waiting = 5,
    /// The daemon or peer cannot be reached.
    Unreachable = 6,
    /// Identity or permission refused.
    Refused = 7,
    /// Not found.
    NotFound = 8,
    /// Conflict, lock, or version skew.
    Conflict = 9,
    /// The configuration is invalid.
    Config = 10,
    /// A signature, checksum or chain is broken.
    Verification = 11,
    /// Disk or quota.
    Disk = 12,
    /// A bug.
    Bug = 70,
    /// Ended by a hang-up of the terminal.
    HungUp = 129,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// The reader of a pipe went away.
    ClosedPipe = 141,
    /// Ended by SIGTERM before it was done.
    Terminated = 143,
}

impl Exit {
    const ALL: [Self; 18] = [
        Self::Ok,
        Self::Other,
        Self::Usage,
        Self::Partial,
        Self::Problems,
        Self::Waiting,
        Self::Unreachable,
        Self::Refused,
        Self::NotFound,
        Self::Conflict,
        Self::Config,
        Self::Verification,
        Self::Disk,
        Self::Bug,
        Self::HungUp,
        Self::Interrupted,
        Self::ClosedPipe,
        Self::Terminated,
    ];

    /// The exit with this number, if one is documented.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|exit| u64::from(*exit as u8) == number)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A stable code such as `QC1004`; its number never changes meaning. `qc-X explain CODE` tells more.
pub type ErrorCode = &'static str;

/// `text` as an [`ErrorCode`] if it has the form of one: a daemon's answer carries its code as text.
pub fn known_code(text: &str) -> Option<ErrorCode> {
    static HEARD: Mutex<BTreeSet<ErrorCode>> = Mutex::new(BTreeSet::new());
    let digits = text.strip_prefix("QC")?;
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = heard.get(text) {
        return Some(code);
    }
    // Leaks each code once: six bytes, at most 10,000 of them.
    let code: ErrorCode = Box::leak(text.to_owned().into_boxed_str());
    heard.insert(code);
    Some(code)
}

/// Why a command failed, with what to do next. Reads as
/// `error[QC1004] message`, then the causes, then `help:` lines.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The stable code.
    pub code: ErrorCode,
    /// One line; names the thing that failed.
    pub message: String,
    /// More lines, shown as they are (a source excerpt with a caret).
    pub detail: String,
    /// The chain of causes, outermost first.
    pub cause: Vec<String>,
    /// Next steps, usually commands.
    pub help: Vec<String>,
}

impl Failure {
    /// A failure without cause or help.
    pub fn new(exit: Exit, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            exit,
            code,
            message: message.into(),
            detail: String::new(),
            cause: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Adds `error` and its sources as causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if self.cause.last() != Some(&text) {
                self.cause.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a next step.
    #[must_use]
    pub fn help(mut self, step: impl Into<String>) -> Self {
        self.help.push(step.into());
        self
    }

    /// Adds lines shown below the message as they are.
    #[must_use]
    pub fn detail(mut self, lines: impl Into<String>) -> Self {
        self.detail = lines.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}] {}", self.code, self.message)?;
        if !self.detail.is_empty() {
            write!(f, "\n{}", self.detail.trim_end())?;
        }
        for cause in &self.cause {
            write!(f, "\n  because {cause}")?;
        }
        for step in &self.help {
            write!(f, "\nhelp: {step}")?;
        }
        Ok(())
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_exits_come_back_from_text_and_number() {
        assert_eq!(known_code("QC3001"), Some("QC3001"));
        for bad in ["", "QC", "QC12345", "QC12x4", "XX1234"] {
            assert_eq!(known_code(bad), None);
        }
        assert_eq!(Exit::from_number(12), Some(Exit::Disk));
        assert_eq!(Exit::from_number(99), None);
    }

    #[test]
    fn every_exit_stands_in_the_manual() {
        let manual = include_str!("../../../man/qc-exit.7");
        for exit in Exit::ALL {
            let entry = format!("\n.It {}\n", exit as u8);
            assert!(manual.contains(&entry), "{exit:?}");
        }
    }

    #[test]
    fn reads_as_one_story() {
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let failure = Failure::new(
            Exit::Disk,
            "QC1101",
            "the state directory /x is not writable",
        )
        .because(&io)
        .help("chown qc-edge /x");
        assert_eq!(
            failure.to_string(),
            "error[QC1101] the state directory /x is not writable\n  \
             because permission denied\nhelp: chown qc-edge /x"
        );
    }
}
