//! A relay sends its nodes to another one by command, under load, and takes them in again.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use qc_tests::{Daemon, Site, free_port, poll, until};

use crate::restarts::assert_settled;

const EDGE: &str = "edge-a.site-a.acme";

/// A site with a second relay, which no sink reads.
struct Two {
    site: Site,
    other: u16,
    relays: [Daemon; 2],
    edge: Daemon,
}

impl Two {
    fn new() -> Self {
        Self::with("")
    }

    /// The edge prefers the first relay, and leaves one alone for two seconds that has sent it away.
    fn with(uplink: &str) -> Self {
        let site = Site::new();
        let other = free_port();
        let state = site.path("relay2");
        let node = ("relay-2.hq.acme", "relay", state.as_path());
        site.authority.enroll(&[node]);
        let relays = [site.relay(""), site.relay_at("relay2", other, "")];
        let addresses = [site.address(), format!("127.0.0.1:{other}")];
        let addresses = addresses.each_ref().map(String::as_str);
        let edge = site.edge_by(
            &addresses,
            &format!("prefer_after = \"2s\"\nheartbeat = \"1s\"\n{uplink}"),
            "",
        );
        let mut two = Self {
            site,
            other,
            relays,
            edge,
        };
        for daemon in two.relays.iter_mut().chain([&mut two.edge]) {
            daemon.start();
        }
        two.is_at(0);
        two
    }

    fn address(&self, relay: usize) -> String {
        let port = [self.site.port, self.other][relay];
        format!("127.0.0.1:{port}")
    }

    /// Waits until the edge has its link to this relay.
    #[track_caller]
    fn is_at(&self, relay: usize) {
        until("the edge is there", || {
            let link = &self.edge.status()["links"][0];
            link["state"] == "up" && link["address"] == self.address(relay)
        });
    }

    /// The numbers of the messages that this relay has stored, in its order.
    fn stored(&self, relay: usize) -> Vec<usize> {
        let rows = self.relays[relay]
            .ask(&["tail", Site::STREAM, "--json"])
            .ok();
        let number = |row: &str| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let id = row["id"].as_str().unwrap().to_owned();
            let (from, line) = id.strip_prefix("m-").unwrap().split_once('-').unwrap();
            from.parse::<usize>().unwrap() + line.parse::<usize>().unwrap()
        };
        rows.lines().map(number).collect()
    }
}

/// Sends message after message until it is told to stop; counts them.
struct Load {
    stop: AtomicBool,
    sent: AtomicUsize,
}

impl Load {
    fn run(&self, edge: &qc_tests::Client) {
        while !self.stop.load(Ordering::Relaxed) {
            let from = self.sent.load(Ordering::Relaxed);
            // ids are m-FROM-1 to m-FROM-50
            let id = format!("m-{from}");
            let args = [
                "send",
                Site::STREAM,
                "--class",
                "internal",
                "--lines",
                "--id",
                &id,
            ];
            edge.ask_with(&args, "x\n".repeat(50).as_bytes()).ok();
            self.sent.fetch_add(50, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_edge_moves_by_command_under_load_and_comes_back() {
    let two = Two::new();
    let load = Load {
        stop: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
    };
    let client = two.edge.client();
    let grows = |relay: usize| {
        let last =
            || two.relays[relay].ask(&["streams", "list", "--json"]).data()[0]["last_seq"].as_u64();
        let before = last();
        until("messages arrive there", || last() > before.map(|n| n + 100));
    };
    thread::scope(|scope| {
        scope.spawn(|| load.run(&client));
        grows(0);
        let to = two.address(1);
        let args = [
            "drain", EDGE, "--to", &to, "--reason", "CHG-1", "--wait", "--json",
        ];
        let drained = two.relays[0].ask(&args).data();
        assert_eq!(drained["links"], 0, "{drained}");
        assert_eq!(drained["nodes"][0]["node"], EDGE);
        two.is_at(1);
        grows(1);
        // what is preferred still sends it away
        two.edge.logs(&["QC2240", "CHG-1", &format!("go to {to}")]);
        let fleet = two.relays[0].ask(&["fleet"]).ok();
        assert!(fleet.contains("DRAIN"), "{fleet}");

        // back by command: the first takes it in again, the second sends it there
        two.relays[0].ask(&["resume"]).ok();
        let to = two.address(0);
        two.relays[1]
            .ask(&["drain", "--all", "--to", &to, "--wait"])
            .ok();
        two.is_at(0);
        grows(0);
        load.stop.store(true, Ordering::Relaxed);
    });
    assert_settled(&two.edge);
    let sent = load.sent.load(Ordering::Relaxed);
    let stored = [two.stored(0), two.stored(1)];
    assert!(stored.iter().all(|there| there.len() > 100));
    for there in &stored {
        assert!(there.is_sorted(), "each has its own in order");
    }
    let mut all = stored.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=sent), "none lost, none in both");
    for daemon in &two.relays {
        let (balanced, ledger) = daemon.ledger();
        assert!(balanced, "{ledger}");
    }
}

/// The parts of messages that this relay has.
fn parts(relay: &Daemon) -> u64 {
    let streams = relay.ask(&["streams", "list", "--json"]).data();
    streams[0]["last_seq"].as_u64().unwrap_or(0)
}

/// The edge is sent away in the middle of a long message, as it runs or over a SIGKILL: the second relay gets
/// it from its first part on, though the first has those.
#[test]
fn a_long_message_is_whole_where_the_link_has_moved_to() {
    for is_killed in [false, true] {
        let mut two = Two::with("limit = \"32Mbit\"\n");
        let mut reader = two.site.edge_b(&two.address(1), "{id}", "");
        reader.start();
        let file = two.site.path("long.bin");
        let mut random = fastrand::Rng::with_seed(5);
        let body: Vec<u8> = (0..(24 << 20) + 9).map(|_| random.u8(..)).collect();
        fs::write(&file, &body).unwrap();
        let args = ["send", Site::STREAM, "--class", "internal", "--id", "long"];
        let of_file = ["--file", file.to_str().unwrap()];
        let sent = two.edge.ask(&[&args[..], &of_file].concat()).ok();
        assert!(sent.contains("stored 1"), "{sent}");
        until("some parts are there", || parts(&two.relays[0]) > 5);
        if is_killed {
            thread::sleep(Duration::from_secs(1)); // positions are written twice a second
            two.edge.kill();
        }
        let to = two.address(1);
        let drain = ["drain", "--all", "--to", &to, "--wait"];
        two.relays[0].ask(&drain).ok();
        if is_killed {
            two.edge.start();
        }
        two.is_at(1);
        let here = parts(&two.relays[0]);
        assert!(here < 25, "it has moved before the end: {here}");
        let is_there = || fs::read(two.site.path("out/long")).ok();
        let there = poll(Duration::from_secs(90), is_there);
        let there = there.unwrap_or_else(|| panic!("{}", two.edge.status()));
        assert!(there == body, "the body has changed on its way");
        assert_eq!(parts(&two.relays[1]), 25, "each part once");
        assert_settled(&two.edge);
        for daemon in two.relays.iter().chain([&two.edge]) {
            let (balanced, ledger) = daemon.ledger();
            assert!(balanced, "{ledger}");
        }
    }
}

#[test]
fn the_only_relay_is_drained_over_a_restart_and_the_edge_comes_back() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge = site.edge_a(&site.address(), "");
    relay.start();
    edge.start();
    until("the link is up", || {
        edge.status()["links"][0]["state"] == "up"
    });
    relay
        .ask(&["drain", "--all", "--reason", "disk change", "--wait"])
        .ok();
    relay.stop();
    relay.start();
    let status = relay.ask(&["status"]).ok();
    assert!(status.contains("drain   every node since"), "{status}");
    assert!(status.contains("disk change"), "{status}");
    until("the edge knows why", || {
        let link = &edge.status()["links"][0];
        link["state"] != "up" && link["last_error"]["code"] == "QC2240"
    });
    drop_file(&site.path("drop"), "kept.txt");
    until("it waits at the edge", || {
        edge.status()["links"][0]["backlog_messages"] == 1
    });
    // HTTP goes on: reads, and what publishers send
    let path = format!("/v1/streams/{}", Site::STREAM);
    assert_eq!(site.curl(Some("app")).call(&path, &[], b"").status, 200);
    let refused = relay.ask(&["resume", EDGE]);
    refused.refused(9, "QC2245");
    relay
        .ask(&["drain", "nobody.site-a.acme"])
        .refused(8, "QC2246");
    relay
        .ask(&["drain", "--to", "relay-2:1"])
        .refused(2, "QC2247");

    let lifted = relay.ask(&["resume", "--reason", "done", "--json"]).data();
    assert_eq!(lifted["all"], serde_json::Value::Null);
    relay.ask(&["resume"]).ok();
    let came = poll(Duration::from_secs(90), || {
        (edge.status()["links"][0]["backlog_messages"] == 0).then_some(())
    });
    assert!(came.is_some(), "{}", edge.status());
}

fn drop_file(dir: &Path, name: &str) {
    fs::write(dir.join(name), "x").unwrap();
}
