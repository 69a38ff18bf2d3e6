//! The program as it is started: in a pipe, on a terminal, and when the terminal goes away.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here fails its test"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use qc_core::admin::api::{Fleet, FleetNode, FleetTotals, NodeState, Reply};
use qc_core::clock::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

fn node(name: &str, state: NodeState, backlog_messages: u64) -> FleetNode {
    FleetNode {
        name: name.to_owned(),
        site: "site-1".to_owned(),
        tenant: "acme".to_owned(),
        role: "edge".to_owned(),
        state,
        backlog_messages,
        version: "0.1.0".to_owned(),
        ..FleetNode::default()
    }
}

/// A relay's admin socket that answers every question with the same fleet.
struct Relay {
    socket: PathBuf,
    _dir: TempDir,
}

impl Relay {
    fn start() -> Self {
        let nodes = vec![
            node("edge-1", NodeState::Ok, 0),
            node("edge-\x1b[31m\u{9b}2J\u{202e}red", NodeState::Down, 41_310),
        ];
        let reply = Reply {
            schema: "qc.fleet/1".to_owned(),
            generated_at: "2026-11-21T03:22:07Z".to_owned(),
            source: "hub".to_owned(),
            stale_s: 0,
            data: Fleet {
                relay: "hub-1".to_owned(),
                totals: FleetTotals::of(&nodes, 0, 0),
                nodes,
                ..Fleet::default()
            },
            warnings: Vec::new(),
        };
        Self::answering("200 OK", serde_json::to_string(&reply).unwrap())
    }

    fn answering(status: &'static str, body: String) -> Self {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("admin.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).is_err() {
                        break;
                    }
                    request.extend(byte);
                }
                assert!(request.starts_with(b"GET /v1/fleet HTTP/1.1\r\n"));
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
                let _gone = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { socket, _dir: dir }
    }
}

fn qc_top(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qc-top"));
    command
        .arg("--socket")
        .arg(socket)
        .env_clear()
        .env("TERM", "xterm");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn without_a_terminal_it_prints_one_page() {
    let relay = Relay::start();
    let (code, out, err) = run(&mut qc_top(&relay.socket));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.starts_with("qc-top  hub-1  2026-11-21T03:22:07Z\nnodes 2: 1 ok  1 down"),
        "{out}"
    );
    assert!(
        out.contains(r"X  edge-\x1b[31m\u{9b}2J\u{202e}red"),
        "{out}"
    );
    assert!(!out.contains('\x1b'));
}

#[test]
fn json_is_one_object_an_update() {
    let relay = Relay::start();
    let mut command = qc_top(&relay.socket);
    command.args([
        "-o",
        "json",
        "-n",
        "2",
        "--interval",
        "100ms",
        "--filter",
        "state=down",
    ]);
    let (code, out, _) = run(&mut command);
    assert_eq!((code, out.lines().count()), (0, 2));
    for line in out.lines() {
        let reply: Reply<Fleet> = serde_json::from_str(line).unwrap();
        assert_eq!(reply.schema, "qc.fleet/1");
        assert_eq!(reply.data.nodes.len(), 1);
        assert_eq!(reply.data.totals.ok, 1, "totals are the whole fleet's");
    }
}

#[test]
fn failures_have_their_exit_codes() {
    let nobody = TempDir::new().unwrap();
    let (code, out, err) = run(&mut qc_top(&nobody.path().join("admin.sock")));
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.starts_with("error[QC0601]"), "{err}");

    let (code, _, err) = run(qc_top(nobody.path()).args(["--filter", "sate=ok"]));
    assert_eq!(code, 2);
    assert!(err.contains("\n  sate=ok\n  ^\n"), "{err}");

    let skewed = r#"{"schema":"qc.fleet/9","generated_at":"","source":"","data":{}}"#;
    let relay = Relay::answering("200 OK", skewed.to_owned());
    assert_eq!(run(&mut qc_top(&relay.socket)).0, 9);
    let relay = Relay::answering("403 Forbidden", "\x1b[31mno".to_owned());
    let (code, _, err) = run(&mut qc_top(&relay.socket));
    assert_eq!(code, 7);
    assert!(!err.contains('\x1b'), "{err:?}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let relay = Relay::start();
    let mut command = qc_top(&relay.socket);
    let mut child = command
        .args(["-b", "-n", "0", "--interval", "100ms"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(exit_code(&mut child), 141);
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(err, "");
}

/// A terminal of 80x24 that somebody looks at.
struct Terminal {
    keys: Option<File>,
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
    child: Child,
}

impl Terminal {
    fn start(command: &mut Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let other: OwnedFd = line.try_clone().unwrap().into();
        let child = command
            .stdin(OwnedFd::from(line))
            .stdout(other)
            .spawn()
            .unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()); // closes our ends of the line
        let master = File::from(master);
        let mut out = master.try_clone().unwrap();
        let (send, bytes) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read) = out.read(&mut buffer) {
                if read == 0 || send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(24, 80, 0);
        Self {
            keys: Some(master),
            screen,
            bytes,
            child,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    fn wait_for(&mut self, what: &str, seen: impl Fn(&vt100::Screen) -> bool) {
        let start = SystemClock::default().instant();
        while !seen(self.screen.screen()) {
            match self.bytes.recv_timeout(Duration::from_millis(50)) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(50)),
            }
            let page = self.screen.screen().contents();
            assert!(start.elapsed() < PATIENCE, "never seen: {what}\n{page}");
        }
    }

    fn wait_for_page(&mut self) {
        self.wait_for("the page", |screen| screen.contents().contains("LIVE  RO"));
    }

    /// The end must leave the terminal as it was.
    fn ended(&mut self) -> i32 {
        let code = exit_code(&mut self.child);
        self.wait_for("the old screen", |s| {
            !s.alternate_screen() && !s.hide_cursor()
        });
        code
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

fn exit_code(child: &mut Child) -> i32 {
    let start = SystemClock::default().instant();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(start.elapsed() < PATIENCE, "still runs");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn keys_move_the_highlight_even_without_colour() {
    let relay = Relay::start();
    let mut terminal = Terminal::start(qc_top(&relay.socket).env("NO_COLOR", "1"));
    terminal.wait_for_page();
    assert!(terminal.screen.screen().alternate_screen());
    terminal.press("j");
    let inverse = |row| {
        move |s: &vt100::Screen| (0..80).all(|x| s.cell(row, x).is_some_and(vt100::Cell::inverse))
    };
    terminal.wait_for("the first row in reverse", inverse(5));
    terminal.press("j");
    terminal.wait_for("the second row in reverse", inverse(6));
    let plain = |s: &vt100::Screen| {
        (0..24).all(|y| {
            (0..80).all(|x| {
                s.cell(y, x)
                    .is_none_or(|c| c.fgcolor() == vt100::Color::Default)
            })
        })
    };
    assert!(plain(terminal.screen.screen()));
    terminal.press("\x0c"); // Ctrl-L
    terminal.press("?");
    terminal.wait_for("the help", |s| {
        s.contents().contains("leave the page on the screen")
    });
    terminal.press("?/state=down\r");
    terminal.wait_for("one node", |s| s.contents().contains("1/1 of 2"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn signals_restore_the_terminal() {
    let relay = Relay::start();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut terminal = Terminal::start(&mut qc_top(&relay.socket));
        terminal.wait_for_page();
        terminal.signal(signal);
        assert_eq!(terminal.ended(), code);
    }
}

#[test]
fn a_stopped_view_draws_anew_when_it_goes_on() {
    let relay = Relay::start();
    let mut terminal = Terminal::start(&mut qc_top(&relay.socket));
    terminal.wait_for_page();
    terminal.signal(Signal::STOP);
    terminal
        .screen
        .process(b"\x1b[?1049l\x1b[2J the shell was here");
    terminal.signal(Signal::CONT);
    terminal.wait_for("the page again", |s| {
        s.alternate_screen()
            && s.contents().contains("[1 Fleet]")
            && !s.contents().contains("shell")
    });
    terminal.press("Q");
    assert_eq!(terminal.ended(), 0);
    terminal.wait_for("the page left behind", |s| {
        s.contents().contains("nodes 2: 1 ok  1 down")
    });
}

/// Without a controlling terminal no SIGHUP comes, as when it is ignored.
#[test]
fn it_leaves_when_the_line_is_gone() {
    let relay = Relay::start();
    let mut terminal = Terminal::start(&mut qc_top(&relay.socket));
    terminal.wait_for_page();
    let (_nobody, empty) = mpsc::channel();
    terminal.bytes = empty; // the reading thread ends with the next page, and the master closes
    terminal.keys = None;
    assert_eq!(exit_code(&mut terminal.child), 129);
}

#[test]
fn an_unreachable_relay_is_named_on_the_page() {
    let nobody = TempDir::new().unwrap();
    let mut terminal = Terminal::start(&mut qc_top(&nobody.path().join("admin.sock")));
    terminal.wait_for("why there is nothing", |s| {
        s.contents().contains("NO ANSWER") && s.contents().contains("(QC0601)")
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}
