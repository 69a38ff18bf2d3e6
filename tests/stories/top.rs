//! A person watches the fleet in a terminal of 80 columns.

use std::path::Path;
use std::time::Duration;

use qc_tests::{Ran, Site, binary, poll, program, require, run, until};

use crate::restarts::send;

/// A tmux server of our own with one window of 80x24.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    pub(crate) fn running(dir: &Path, command: &str) -> Self {
        require("tmux", "tmux");
        let terminal = Self {
            socket: dir.join("tmux").display().to_string(),
        };
        let start = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
        ];
        // on a busy machine a new server of tmux may end before its first session stands
        let began = poll(Duration::from_secs(10), || {
            let ran = terminal.tmux(&[&start[..], &[command]].concat());
            (ran.code == 0).then_some(())
        });
        assert!(began.is_some(), "tmux does not start: {command}");
        terminal
    }

    pub(crate) fn tmux(&self, args: &[&str]) -> Ran {
        run(program("tmux").args(["-S", &self.socket]).args(args), b"")
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).out
    }

    /// The screen as soon as `test` holds for it.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str, test: impl Fn(&str) -> bool) -> String {
        let found = poll(qc_tests::PATIENCE, || {
            let screen = self.screen();
            test(&screen).then_some(screen)
        });
        found.unwrap_or_else(|| panic!("never shown: {what}\n{}", self.screen()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// The row of a node in the table, which begins with its name after the mark of a bad state.
fn line<'a>(screen: &'a str, node: &str) -> &'a str {
    let is_row = |line: &&str| {
        line.trim_start_matches(['X', '?', '!', 'D', ' '])
            .starts_with(node)
    };
    screen.lines().find(is_row).unwrap_or_default()
}

#[test]
fn qc_top_shows_both_edges_and_a_backlog_that_moves() {
    let site = Site::new();
    let mut relay = site.relay("[link]\nheartbeat = \"500ms\"\n");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    send(&edge_a, "normal", "first", 1);
    until("the stream has its consumer", || {
        !site.delivered().is_empty()
    });

    let socket = site.path("relay.sock");
    let top = binary("qc-top");
    let live = format!(
        "{} --socket {} --interval 200ms",
        top.display(),
        socket.display()
    );
    let terminal = Terminal::running(&site.path(""), &live);
    let screen = terminal.shows("both edges", |screen| {
        !line(screen, "edge-a").is_empty() && !line(screen, "edge-b").is_empty()
    });
    assert!(screen.contains("relay-1.hq"), "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    // and the receiver has said that nothing waits on it any more
    let has_all = |row: &str| row.contains("OK") && row.split_whitespace().nth(3) == Some("0");
    terminal.shows("2 nodes ok", |screen| {
        line(screen, "edge-a").contains("OK") && has_all(line(screen, "edge-b"))
    });

    // the receiver stops: what is sent waits for it, and the screen says so
    edge_b.stop();
    send(&edge_a, "normal", "wait", 137);
    let waits = terminal.shows("137 wait for edge-b", |screen| {
        line(screen, "edge-b")
            .split_whitespace()
            .any(|word| word == "137")
    });
    assert!(line(&waits, "edge-b").contains("DOWN"), "{waits}");

    let batch = |args: &[&str]| {
        let mut command = program(&top);
        command.arg("--socket").arg(&socket).args(args);
        run(&mut command, b"").ok()
    };
    let page = batch(&["-b", "-n", "1"]);
    assert!(line(&page, "edge-b").contains("137"), "{page}");
    assert!(
        line(&page, "edge-a").to_lowercase().contains("ok"),
        "{page}"
    );
    let json: serde_json::Value = serde_json::from_str(&batch(&["-o", "json"])).unwrap();
    let nodes = json["data"]["nodes"].as_array().unwrap();
    let node = |name: &str| nodes.iter().find(|node| node["name"] == name).unwrap();
    assert_eq!(node("edge-b.site-b.acme")["backlog_messages"], 137);
    assert_eq!(node("edge-b.site-b.acme")["state"], "down");
    assert_eq!(node("edge-a.site-a.acme")["state"], "ok");
    assert!(node("edge-a.site-a.acme")["cert_left_s"].as_i64().unwrap() > 13 * 86_400);

    // it comes back and the number falls
    edge_b.start();
    terminal.shows("nothing waits any more", |screen| {
        let line = line(screen, "edge-b");
        line.contains("OK") && line.split_whitespace().all(|word| word != "137")
    });
    until("all of it is delivered", || site.delivered().len() == 138);
    terminal.tmux(&["send-keys", "q"]);
    until("q ends it", || terminal.tmux(&["list-sessions"]).code != 0);
}
