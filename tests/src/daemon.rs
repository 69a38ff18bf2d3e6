//! A daemon as a process of its own, with a log, that can be killed and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::command::{Ran, binary, exit_code, program, run};
use super::wait::{PATIENCE, poll};

/// One node's daemon.
pub struct Daemon {
    /// `qc-relay` or `qc-edge`.
    pub program: &'static str,
    /// Its configuration.
    pub config: PathBuf,
    log: PathBuf,
    /// A program and arguments in front of it, such as strace.
    wrap: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    /// A daemon that does not run yet. Its log is beside its configuration.
    pub fn new(program: &'static str, config: &Path) -> Self {
        Self {
            program,
            config: config.to_owned(),
            log: config.with_extension("log"),
            wrap: Vec::new(),
            child: None,
        }
    }

    /// Puts a program in front of it from the next start on. It must leave the daemon the direct child.
    pub fn wrapped(&mut self, wrap: &[String]) {
        self.wrap = wrap.to_vec();
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) {
        let before = self.log_text().len();
        self.launch();
        let ready = poll(PATIENCE, || {
            let log = self.log_text();
            let news = log.get(before..).unwrap_or_default();
            (news.contains("QC0020") || self.ended().is_some()).then_some(())
        });
        let is_up = ready.is_some() && self.is_running();
        assert!(
            is_up,
            "{} does not start:\n{}",
            self.name(),
            self.log_text()
        );
    }

    /// Starts it and does not wait.
    pub fn launch(&mut self) {
        assert!(!self.is_running(), "{} runs already", self.name());
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.unwrap();
        let mut command = self.command();
        command
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log));
        self.child = Some(command.spawn().unwrap());
    }

    fn command(&self) -> Command {
        // the kernel kills it when the test's thread ends, whatever ended that
        let mut command = program("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(&self.wrap);
        command.arg(binary(self.program));
        command.arg("--config").arg(&self.config).arg("run");
        command
    }

    /// Ends it with SIGKILL, in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exit();
    }

    /// Ends it with SIGTERM and gives its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.exit()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref();
        let child = child.unwrap_or_else(|| panic!("{} does not run", self.name()));
        Pid::from_child(child)
    }

    /// Waits for its end and gives its exit code.
    pub fn exit(&mut self) -> i32 {
        let ended = poll(PATIENCE, || self.ended());
        let ended = ended.unwrap_or_else(|| panic!("{} does not end", self.name()));
        self.child = None;
        ended
    }

    /// Its exit code if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let child = self.child.as_mut()?;
        child.try_wait().unwrap().map(exit_code)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.is_some() && self.ended().is_none()
    }

    /// Its commands, for another thread than the one that starts and ends it.
    pub fn client(&self) -> Client {
        Client {
            program: self.program,
            config: self.config.clone(),
        }
    }

    /// Runs one of its commands.
    pub fn ask(&self, args: &[&str]) -> Ran {
        self.client().ask_with(args, b"")
    }

    /// Runs one of its commands with input.
    pub fn ask_with(&self, args: &[&str], input: &[u8]) -> Ran {
        self.client().ask_with(args, input)
    }

    /// The data of `status --json`.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        self.ask(&["status", "--json"]).data()
    }

    /// Whether its ledger balances, with the text of it.
    pub fn ledger(&self) -> (bool, serde_json::Value) {
        let ran = self.ask(&["ledger", "check", "--json"]);
        let reply: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_default();
        (ran.code == 0, reply["data"].clone())
    }

    /// Everything it has logged.
    pub fn log_text(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it logs a line with all of `words`.
    #[track_caller]
    pub fn logs(&self, words: &[&str]) -> String {
        self.logs_within(PATIENCE, words)
    }

    /// As [`Self::logs`], with another deadline.
    #[track_caller]
    pub fn logs_within(&self, within: Duration, words: &[&str]) -> String {
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        let line = poll(within, || {
            self.log_text().lines().find(has_all).map(str::to_owned)
        });
        line.unwrap_or_else(|| {
            let log = self.log_text();
            panic!("{} never logged {words:?}:\n{log}", self.name())
        })
    }

    fn name(&self) -> String {
        let config = self.config.file_stem().unwrap_or_default();
        format!("{} {}", self.program, config.to_string_lossy())
    }
}

/// The commands of a daemon.
#[derive(Debug, Clone)]
pub struct Client {
    program: &'static str,
    config: PathBuf,
}

impl Client {
    /// Runs one of them with input.
    pub fn ask_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = program(binary(self.program));
        command.arg("--config").arg(&self.config).args(args);
        run(&mut command, input)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _has_ended = child.kill();
            let _reaped = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log_text();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines
                .get(lines.len().saturating_sub(30)..)
                .unwrap_or_default();
            let tail = tail.join("\n    ");
            #[expect(clippy::print_stderr, reason = "libtest shows this with the failure")]
            {
                eprintln!("the end of the log of {}:\n    {tail}\n", self.name());
            }
        }
    }
}
