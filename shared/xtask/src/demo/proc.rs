//! A supervised process: its output in a file, its end certain.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use qc_core::cli::{Exit, Failure, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::safe_text::safe;
use rustix::process::{Pid, Signal};

use super::trouble;
use crate::CHORE;
use crate::workspace::which;

/// How long a process may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Not beyond ours, however we end: killed on drop, and by the kernel (through `setpriv`) when the
    /// *thread* that started it ends. Start it on the main thread.
    WithUs,
    /// Until somebody ends it.
    Outlives,
}

/// How a process shows that it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// Its unix socket accepts a connection.
    Socket(PathBuf),
    /// Its TCP port accepts a connection.
    Port(SocketAddr),
    /// Its output since the start holds this text.
    Line(String),
}

/// A process with a name. It leads a process group, so its children end with it and the terminal's
/// Ctrl-C reaches us first.
#[derive(Debug)]
pub struct Proc {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    log_start: u64,
    lifetime: Lifetime,
    child: Child,
}

const GLANCE: Duration = Duration::from_millis(20);
const LINES_SHOWN: usize = 20;

impl Proc {
    /// Starts `program`; stdout and stderr are appended to `logs/NAME.log`.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        logs: &Path,
        lifetime: Lifetime,
    ) -> Result<Self, Failure> {
        let log = logs.join(format!("{name}.log"));
        let (child, log_start) = spawn(name, program, arguments, &log, lifetime)?;
        Ok(Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            log,
            log_start,
            lifetime,
            child,
        })
    }

    /// Starts it again as it was started, after it has ended.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.kill()?;
        let (child, start) = spawn(
            &self.name,
            &self.program,
            &self.arguments,
            &self.log,
            self.lifetime,
        )?;
        self.child = child;
        self.log_start = start;
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        let name = &self.name;
        self.child
            .try_wait()
            .map_err(|error| trouble(format!("cannot wait for {name}")).because(&error))
    }

    /// Waits until it is ready; fails with its last lines when it ends first or `limit` passes.
    pub fn wait_ready(&mut self, ready: &Ready, limit: Duration) -> Result<(), Failure> {
        let clock = SystemClock::default();
        let started = clock.instant();
        loop {
            if self.is_ready(ready) {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                let message = format!("{} ended before it was ready: {status}", self.name);
                return Err(trouble(message).detail(self.last_lines()));
            }
            if clock.instant().duration_since(started) >= limit {
                let message = format!(
                    "{} was not ready within {}",
                    self.name,
                    human_duration(limit)
                );
                return Err(Failure::new(Exit::Waiting, CHORE, message)
                    .detail(self.last_lines())
                    .help(format!("see {}", self.log.display())));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Ends it as a power cut would (SIGKILL), its children too.
    pub fn kill(&mut self) -> Result<ExitStatus, Failure> {
        self.signal(Signal::KILL);
        let name = &self.name;
        self.child
            .wait()
            .map_err(|error| trouble(format!("cannot wait for {name}")).because(&error))
    }

    /// Asks it to end (SIGTERM) and waits; after `grace` it is killed, which is a failure.
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus, Failure> {
        let clock = SystemClock::default();
        let started = clock.instant();
        self.signal(Signal::TERM);
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if clock.instant().duration_since(started) >= grace {
                self.kill()?;
                let message = format!("{} did not end within {}", self.name, human_duration(grace));
                return Err(trouble(message).detail(self.last_lines()));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Sends a signal to it and its children; nothing happens if it has ended.
    pub fn signal(&mut self, signal: Signal) {
        // reaped, its number may be another's
        if matches!(self.child.try_wait(), Ok(None)) {
            let _already_gone =
                rustix::process::kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    fn is_ready(&self, ready: &Ready) -> bool {
        match ready {
            Ready::Socket(path) => UnixStream::connect(path).is_ok(),
            Ready::Port(address) => TcpStream::connect_timeout(address, GLANCE).is_ok(),
            Ready::Line(text) => self.output().contains(text.as_str()),
        }
    }

    /// Its output since it was started.
    fn output(&self) -> String {
        let all = std::fs::read(&self.log).unwrap_or_default();
        let start = usize::try_from(self.log_start).unwrap_or(usize::MAX);
        String::from_utf8_lossy(all.get(start..).unwrap_or_default()).into_owned()
    }

    /// The end of what it wrote since it was started.
    pub(super) fn last_lines(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let from = lines.len().saturating_sub(LINES_SHOWN);
        let shown = lines
            .iter()
            .skip(from)
            .map(|line| format!("  {}", safe(line, 200)));
        shown.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::WithUs {
            let _already_gone = self.kill();
        }
    }
}

/// The child and where its part of the log begins.
fn spawn(
    name: &str,
    program: &Path,
    arguments: &[String],
    log: &Path,
    lifetime: Lifetime,
) -> Result<(Child, u64), Failure> {
    let open = || {
        let out = File::options().create(true).append(true).open(log)?;
        let start = out.metadata()?.len();
        Ok::<_, std::io::Error>((out.try_clone()?, out, start))
    };
    let (out, err, start) = open()
        .map_err(|error| trouble(format!("cannot write {}", log.display())).because(&error))?;
    let guard = if lifetime == Lifetime::WithUs {
        which("setpriv")
    } else {
        None
    };
    let mut command = if let Some(setpriv) = guard {
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0);
    let child = command.spawn().map_err(|error| {
        trouble(format!("cannot start {name} ({})", program.display())).because(&error)
    })?;
    Ok((child, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Proc {
        let arguments = ["-c".to_owned(), script.to_owned()];
        Proc::start(
            "sample",
            Path::new("/bin/sh"),
            &arguments,
            dir,
            Lifetime::WithUs,
        )
        .unwrap()
    }

    fn alive(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    fn soon(condition: impl Fn() -> bool) -> bool {
        (0..250).any(|_| {
            thread::sleep(GLANCE);
            condition()
        })
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn ready_by_a_line_of_this_start_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut proc = shell("echo up; sleep 100", dir.path());
        proc.wait_ready(&Ready::Line("up".to_owned()), LONG)
            .unwrap();
        let first = proc.pid();
        proc.restart().unwrap();
        assert!(!alive(first) && proc.pid() != first);
        proc.wait_ready(&Ready::Line("up".to_owned()), LONG)
            .unwrap();
        let log = std::fs::read_to_string(proc.log()).unwrap();
        assert_eq!(log, "up\nup\n", "a restart appends");
        let never = Ready::Socket(dir.path().join("none"));
        let failure = proc.wait_ready(&never, GLANCE).unwrap_err();
        assert_eq!(failure.exit, Exit::Waiting);
    }

    #[test]
    fn an_early_end_shows_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut proc = shell("echo no such key >&2; exit 3", dir.path());
        let failure = proc
            .wait_ready(&Ready::Line("up".to_owned()), LONG)
            .unwrap_err();
        assert!(failure.message.contains("exit status: 3"), "{failure}");
        assert!(failure.detail.contains("no such key"), "{failure}");
    }

    #[test]
    fn stops_politely_or_not() {
        use std::os::unix::process::ExitStatusExt as _;
        let dir = tempfile::tempdir().unwrap();
        let up = Ready::Line("up".to_owned());
        let mut polite = shell(
            "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done",
            dir.path(),
        );
        polite.wait_ready(&up, LONG).unwrap();
        assert!(polite.stop(LONG).unwrap().success());
        let mut deaf = shell(
            "trap '' TERM; echo up; while :; do sleep 0.05; done",
            dir.path(),
        );
        deaf.wait_ready(&up, LONG).unwrap();
        assert!(deaf.stop(Duration::from_millis(100)).is_err());
        let mut killed = shell("echo up; sleep 100", dir.path());
        killed.wait_ready(&up, LONG).unwrap();
        assert_eq!(killed.kill().unwrap().signal(), Some(9));
    }

    #[test]
    fn nothing_outlives_us() {
        let dir = tempfile::tempdir().unwrap();
        let proc = shell("sleep 100 & echo up $!; wait", dir.path());
        let child = || {
            let log = std::fs::read_to_string(proc.log()).unwrap();
            log.trim()
                .strip_prefix("up ")
                .and_then(|pid| pid.parse::<u32>().ok())
        };
        assert!(soon(|| child().is_some()));
        let (parent, child) = (proc.pid(), child().unwrap());
        assert!(alive(parent) && alive(child));
        drop(proc);
        assert!(
            soon(|| !alive(parent) && !alive(child)),
            "a drop ends the group"
        );

        let path = dir.path().to_owned();
        let leaked = thread::spawn(move || {
            let mut proc = shell("echo up; exec sleep 100", &path);
            proc.wait_ready(&Ready::Line("up".to_owned()), LONG)
                .unwrap();
            let pid = proc.pid();
            // the drop never runs, as after SIGKILL
            std::mem::forget(proc);
            pid
        });
        let pid = leaked.join().unwrap();
        assert!(
            which("setpriv").is_none() || soon(|| !alive(pid)),
            "the kernel ends it"
        );
    }
}
