//! A state directory that was copied, started twice against two relays below one parent: everybody says
//! so. One edge that fails over again and again: nobody says anything.

use std::path::Path;
use std::process::Command;

use qc_tests::{Cable, Daemon, Site, free_port, until};

const EDGE: &str = "edge-a.site-a.acme";
const QUICK: &str = "heartbeat = \"300ms\"\n";

/// Headquarters and two relays below it.
struct Below {
    site: Site,
    hub: Daemon,
    relays: [(u16, Daemon); 2],
}

impl Below {
    fn new() -> Self {
        let site = Site::new();
        let mut hub = site.relay(&format!("[link]\n{QUICK}"));
        hub.start();
        let relay = |name: &str, node: &str| {
            let state = site.path(name);
            site.authority.enroll(&[(node, "relay", &state)]);
            let port = free_port();
            let more = format!(
                "[link]\n{QUICK}[uplink]\nrelay = [\"{}\"]\n{QUICK}",
                site.address()
            );
            let mut daemon = site.relay_at(name, port, &more);
            daemon.start();
            (port, daemon)
        };
        let relays = [
            relay("north", "relay-2.site-a.acme"),
            relay("south", "relay-3.site-a.acme"),
        ];
        Self { site, hub, relays }
    }

    fn address(&self, relay: usize) -> String {
        format!("127.0.0.1:{}", self.relays[relay].0)
    }

    /// Every node's row that says that there are two.
    fn alarms(&self) -> usize {
        let relays = self.relays.iter().map(|(_, daemon)| daemon);
        let all = relays.chain([&self.hub]);
        all.filter(|relay| relay.log_text().contains("QC2225"))
            .count()
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

fn says_two(link: &serde_json::Value) -> bool {
    link["last_error"]["code"] == "QC2225"
}

#[test]
fn a_copy_on_another_relay_is_noticed_by_both_relays_and_both_edges() {
    let below = Below::new();
    copy(&below.site.path("edge-a"), &below.site.path("copy"));
    let mut edges = [
        below.site.edge("edge-a", &below.address(0), QUICK),
        below.site.edge("copy", &below.address(1), QUICK),
    ];
    for edge in &mut edges {
        edge.start();
    }
    for ((_, relay), edge) in below.relays.iter().zip(&edges) {
        relay.logs(&["QC2225", EDGE, "relay-2.site-a.acme", "relay-3.site-a.acme"]);
        until("fleet says so", || {
            let fleet = relay.ask(&["fleet", "--json"]).data();
            let nodes = fleet["nodes"].as_array().unwrap();
            let row = nodes.iter().find(|row| row["name"] == EDGE);
            row.is_some_and(|row| row["state"] == "crit" && row["code"] == "QC2225")
        });
        until("the relay's status says so", || {
            let status = relay.status();
            let mut links = status["links"].as_array().unwrap().iter();
            links.any(|link| link["peer"] == EDGE && says_two(link))
        });
        edge.logs(&["QC2225"]);
        until("the edge's status says so", || {
            let link = &edge.status()["links"][0];
            link["state"] == "up" && says_two(link)
        });
    }
    below.hub.logs(&["QC2225", EDGE]);
    assert_eq!(below.relays[0].1.status()["uplink"]["state"], "up");
}

#[test]
fn one_edge_that_fails_over_ten_times_is_nobodys_twin() {
    let below = Below::new();
    let cable = Cable::to(below.relays[0].0);
    let addresses = [cable.address(), below.address(1)];
    let addresses = addresses.each_ref().map(String::as_str);
    let uplink = format!("prefer_after = \"300ms\"\n{QUICK}");
    let mut edge = below.site.edge_by(&addresses, &uplink, "");
    edge.start();
    let at = |edge: &Daemon, relay: usize| {
        until("it is linked there", || {
            let link = &edge.status()["links"][0];
            link["state"] == "up" && link["address"] == addresses[relay]
        });
    };
    at(&edge, 0);
    for turn in 0..10 {
        cable.cut();
        at(&edge, 1);
        if turn % 3 == 2 {
            // a new process on the same machine
            edge.kill();
            edge.start();
            at(&edge, 1);
        }
        cable.restore();
        at(&edge, 0);
    }
    assert_eq!(below.alarms(), 0);
    assert!(!edge.log_text().contains("QC2225"));
}
