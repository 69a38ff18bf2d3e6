//! A daemon as a process of its own, under real signals: this test binary runs itself again.
#![cfg(feature = "shell")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of these tests may panic like the tests"
)]

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qc_core::failure::Failure;
use qc_core::service::{Notify, Service, ServiceOptions, StateLock, run_service};
use qc_core::telemetry::{self, LogOptions};
use rustix::process::{Pid, Signal, kill_process};

/// Not a test: the daemon, when the environment names its state directory.
#[test]
#[ignore = "is run by the tests below"]
#[expect(clippy::exit, reason = "the exit code is what the tests look at")]
fn daemon() {
    let Ok(state) = std::env::var("QC_TEST_STATE") else {
        return;
    };
    let env = |name: &str| std::env::var(name).ok();
    let mut log = LogOptions::from_env_reader("qc-test", "info", 0, &env).unwrap();
    log.file = env("QC_TEST_LOG").map(Into::into);
    let log = telemetry::init(log).unwrap();
    let notify = Notify::from_env_reader(&env);
    let options = ServiceOptions { workers: 1, notify };
    let ended = run_service(options, async |service| {
        service.reopen_log_on_signal(log);
        live(service, Path::new(&state)).await
    });
    std::process::exit(ended.map_or_else(
        |failure| {
            eprintln!("{failure}");
            i32::from(failure.exit as u8)
        },
        |()| 0,
    ));
}

async fn live(service: Service, state: &Path) -> Result<(), Failure> {
    let _lock = StateLock::acquire(state)?;
    let drain = service.drain.clone();
    let stubborn = std::env::var("QC_TEST_STUBBORN").is_ok();
    service.drain.spawn("worker", async move {
        drain.signaled().await;
        if stubborn {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
    });
    let mut reload = service.signals.reload.clone();
    let notify = service.notify.clone();
    let drain = service.drain.clone();
    service.drain.spawn("reload", async move {
        loop {
            tokio::select! {
                () = drain.signaled() => return,
                _ = reload.changed() => {
                    notify.reloading();
                    notify.ready();
                }
            }
        }
    });
    service.serve_until_drained(Duration::from_mins(1)).await
}

struct Daemon {
    child: Child,
    manager: UnixDatagram,
}

impl Daemon {
    fn start(dir: &Path, stubborn: bool) -> Self {
        let mut command = command(dir);
        if stubborn {
            command.env("QC_TEST_STUBBORN", "1");
        }
        Self::start_as(dir, command)
    }

    fn start_as(dir: &Path, mut command: Command) -> Self {
        let socket = dir.join("notify");
        let _absent = std::fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        command.env("NOTIFY_SOCKET", &socket);
        let child = command.spawn().unwrap();
        let daemon = Self { child, manager };
        assert_eq!(daemon.hear(), "READY=1\n");
        daemon
    }

    fn hear(&self) -> String {
        let mut buf = [0; 256];
        let len = self.manager.recv(&mut buf).unwrap();
        String::from_utf8_lossy(&buf[..len]).into_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "daemon", "--ignored", "--nocapture"])
        .env("QC_TEST_STATE", dir.join("state"))
        .env("QC_LOG_FORMAT", "json")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[test]
fn reloads_drains_and_exits_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path(), false);
    daemon.signal(Signal::HUP);
    assert!(daemon.hear().starts_with("RELOADING=1\n"));
    assert_eq!(daemon.hear(), "READY=1\n");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.hear(), "STOPPING=1\n");
    let log = std::io::read_to_string(daemon.child.stderr.take().unwrap()).unwrap();
    let codes: Vec<_> = log
        .lines()
        .map(|line| line.contains("\"code\":\"QC001"))
        .collect();
    assert_eq!(
        codes,
        [true, true],
        "draining and drained, nothing else: {log}"
    );
    assert_eq!(daemon.code(), Some(0));
}

#[test]
fn logrotate_gets_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (log, moved) = (dir.path().join("qc.log"), dir.path().join("qc.log.1"));
    let mut command = command(dir.path());
    command.env("QC_TEST_LOG", &log);
    let daemon = Daemon::start_as(dir.path(), command);
    std::fs::rename(&log, &moved).unwrap();
    daemon.signal(Signal::USR1);
    let patience = Duration::from_millis(10);
    let reopened = (0..1000).any(|_| {
        std::thread::sleep(patience);
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("QC0016"))
    });
    assert!(reopened);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.code(), Some(0));
    assert!(std::fs::read_to_string(&log).unwrap().contains("QC0011"));
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "");
}

#[test]
fn a_second_signal_stops_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let daemon = Daemon::start(dir.path(), true);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.hear(), "STOPPING=1\n");
        daemon.signal(second);
        assert_eq!(daemon.code(), Some(code));
    }
}

#[test]
fn a_second_instance_is_refused_until_the_first_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path(), false);
    let mut second = command(dir.path()).spawn().unwrap();
    let said = BufReader::new(second.stderr.take().unwrap());
    let said: Vec<String> = said.lines().map(Result::unwrap).collect();
    assert_eq!(second.wait().unwrap().code(), Some(9));
    let pid = daemon.child.id();
    let expected = format!("error[QC1102] process {pid} already uses the state directory ");
    assert!(
        said.iter().any(|line| line.starts_with(&expected)),
        "{said:?}"
    );
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let daemon = Daemon::start(dir.path(), false);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.code(), Some(0));
}
