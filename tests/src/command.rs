//! Programs that run and end: our own commands and the strangers that judge them.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program that has ended left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it was called.
    pub call: String,
    /// Its exit code; 128 and the signal when it was killed.
    pub code: i32,
    /// Its stdout.
    pub out: String,
    /// Its stderr.
    pub err: String,
}

impl Ran {
    /// Its stdout; the test fails when it did not succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.out
    }

    /// The `data` of its JSON answer; the test fails when it did not succeed.
    #[track_caller]
    pub fn data(self) -> serde_json::Value {
        let out = self.ok();
        let reply: serde_json::Value = serde_json::from_str(&out).unwrap();
        reply["data"].clone()
    }

    /// The test fails unless it ended with `code` and said `text` on stderr.
    #[track_caller]
    pub fn refused(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.err.contains(text), "'{text}' is missing: {self:#?}");
    }
}

/// A binary of this workspace.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let path = target.join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --workspace --bins",
        path.display()
    );
    path
}

/// A command with an environment that is the same everywhere.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    let search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    command
        .env_clear()
        .env("PATH", search)
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .stdin(Stdio::null());
    command
}

/// The test fails unless this program of another package is here; a missing one is never skipped.
pub fn require(tool: &str, package: &str) {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).any(|dir| dir.join(tool).is_file());
    assert!(
        found,
        "{tool} is missing: apt-get install --no-install-recommends {package}"
    );
}

/// Runs `command` with `input` on its stdin.
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    let call = format!("{command:?}");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{call}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // whoever does not read its input says why in its exit code
        let _closed = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran {
        call,
        code: exit_code(output.status),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// The exit code as a shell counts it.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap()
}
