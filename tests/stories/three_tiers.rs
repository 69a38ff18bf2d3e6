//! Three tiers: an edge, the relay of its site, the relay at headquarters. The middle dies, the way up
//! is cut, and everything arrives once and in order, both ways; what may not leave the site stays.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use qc_tests::{Cable, Daemon, Site, free_port, quoted, until};

use crate::restarts::{assert_settled, assert_whole, in_order, send};

/// What the relay in the middle says of its own streams.
pub(crate) const GOES_UP: &str =
    "uplink = \"send\"\n[[class]]\nname = \"internal\"\nuplink = true\n";
const ORDERS: &str = "[[stream]]\nname = \"acme/orders\"\nclass = \"internal\"\n";

/// The relay of site A, below the one at headquarters, which it dials at `parent`.
pub(crate) struct Middle {
    port: u16,
    pub(crate) daemon: Daemon,
}

impl Middle {
    pub(crate) fn new(site: &Site, parent: &str, streams: &str) -> Self {
        let state = site.path("mid");
        let node = ("relay-2.site-a.acme", "relay", state.as_path());
        if !state.exists() {
            site.authority.enroll(&[node]);
        }
        let port = free_port();
        let more = format!("{streams}[uplink]\nrelay = [\"{parent}\"]\nheartbeat = \"1s\"\n");
        let daemon = site.relay_at("mid", port, &more);
        Self { port, daemon }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// `[[stream]]` of both relays for what comes down.
fn orders(more: &str) -> String {
    format!("{ORDERS}publish = [\"app-1.hq.acme\"]\nsubscribe = [\"*.site-a.acme\"]\n{more}")
}

#[test]
fn everything_passes_a_middle_that_dies() {
    let site = Site::new();
    fs::create_dir(site.path("orders")).unwrap();
    let up = Cable::to(site.port);
    let mut hub = site.relay(&orders(""));
    let down = orders("uplink = \"receive\"\n");
    let mut middle = Middle::new(&site, &up.address(), &format!("{GOES_UP}{down}"));
    let sink = format!(
        "[[sink]]\nname = \"orders\"\nstream = \"acme/orders\"\n[sink.file]\npath = {}\nname = \"{{seq}}\"\n",
        quoted(&site.path("orders"))
    );
    let mut edge_a = site.edge_a(&middle.address(), &sink);
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    for daemon in [&mut hub, &mut middle.daemon, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let order = |from: usize, to: usize| {
        let lines: Vec<_> = (from..=to).map(|n| format!("order-{n:04}")).collect();
        let args = ["publish", "acme/orders", "--lines"];
        hub.client()
            .ask_with(&args, lines.join("\n").as_bytes())
            .ok();
    };

    send(&edge_a, "normal", "one", 300);
    order(1, 200);
    until("some is at the other end", || !site.delivered().is_empty());
    // the middle dies in the middle of it, twice, and the edge goes on taking in
    for round in ["two", "three"] {
        middle.daemon.kill();
        send(&edge_a, "normal", round, 300);
        middle.daemon.start();
    }
    // headquarters is away: the site goes on, and the middle keeps what is for it
    up.cut();
    send(&edge_a, "normal", "four", 300);
    until("the middle has what the edge took in", || {
        let (_, ledger) = edge_a.ledger();
        let rows = ledger["rows"].as_array().unwrap();
        rows.iter().all(|row| row["pending"] == 0)
    });
    middle.daemon.kill();
    middle.daemon.start();
    let status = middle.daemon.status();
    assert!(
        status["uplink"]["backlog_messages"].as_u64() >= Some(300),
        "{status}"
    );
    up.restore();
    order(201, 400);

    until("everything is at the other end", || {
        site.delivered().len() == 1200
    });
    let delivered = in_order(&site);
    for prefix in ["one", "two", "three", "four"] {
        assert_whole(&delivered, prefix, 300);
    }
    until("every order is at the site", || {
        fs::read_dir(site.path("orders")).unwrap().count() == 400
    });
    for daemon in [&hub, &middle.daemon, &edge_a, &edge_b] {
        assert_settled(daemon);
    }
    let (_, ledger) = middle.daemon.ledger();
    let row = |stream: &str, consumer: &str| {
        let rows = ledger["rows"].as_array().unwrap();
        let one = |row: &&serde_json::Value| row["stream"] == stream && row["consumer"] == consumer;
        rows.iter()
            .find(one)
            .unwrap_or_else(|| panic!("{ledger}"))
            .clone()
    };
    assert_eq!(row(Site::STREAM, "uplink")["acked"], 1200, "{ledger}");
    assert_eq!(row("acme/orders", "edge-a.site-a.acme/inbox")["acked"], 400);

    // headquarters sees a relay, the middle sees its edge and no parent among them
    let fleet = |daemon: &Daemon| {
        let view = daemon.ask(&["fleet", "--json"]).data();
        view["nodes"].clone()
    };
    let roles = |nodes: &serde_json::Value| {
        let nodes = nodes.as_array().unwrap().iter();
        let mut roles: Vec<_> = nodes
            .map(|n| format!("{} {}", n["name"], n["role"]))
            .collect();
        roles.sort();
        roles.join(", ").replace('"', "")
    };
    let (above, below) = (roles(&fleet(&hub)), roles(&fleet(&middle.daemon)));
    assert!(above.contains("relay-2.site-a.acme relay"), "{above}");
    assert_eq!(below, "edge-a.site-a.acme edge, relay-2.site-a.acme relay");
    let text = middle.daemon.ask(&["status"]).ok();
    assert!(text.contains("uplink  up relay-1.hq.acme"), "{text}");
    let refused = middle
        .daemon
        .ask(&["consumer", "remove", Site::STREAM, "uplink", "--yes"]);
    assert!(refused.err.contains("QC3315"), "{}", refused.err);
}

#[test]
fn a_message_whose_class_may_not_leave_stays_and_is_accounted_for() {
    let site = Site::new();
    let up = Cable::to(site.port);
    let notes = |class: &str, more: &str| {
        format!(
            "[[stream]]\nname = \"acme/notes\"\nclass = \"{class}\"\npublish = [\"*.site-a.acme\"]\n{more}"
        )
    };
    let mut hub = site.relay(&notes("open", ""));
    let classes = "[[class]]\nname = \"open\"\nuplink = true\n";
    let of = |class: &str, more: &str| {
        let stream = notes(class, &format!("uplink = \"send\"\n{classes}{more}"));
        Middle::new(&site, &up.address(), &stream)
    };
    // for a while somebody has let patient data leave
    let mut middle = of("phi", "[[class]]\nname = \"phi\"\nuplink = true\n");
    up.cut();
    hub.start();
    middle.daemon.start();
    let publish = |daemon: &Daemon, lines: &str| {
        let args = ["publish", "acme/notes", "--lines"];
        daemon.ask_with(&args, lines.as_bytes()).ok();
    };
    publish(&middle.daemon, "secret-1\nsecret-2\n");
    middle.daemon.stop();
    middle = of("open", "");
    middle.daemon.start();
    publish(&middle.daemon, "note-1\nnote-2\nnote-3\n");
    up.restore();

    until("what may leave is above", || {
        let (_, ledger) = hub.ledger();
        let rows = ledger["rows"].as_array().unwrap();
        rows.iter()
            .any(|row| row["stream"] == "acme/notes" && row["in"] == 3)
    });
    sleep(Duration::from_millis(300));
    assert_settled(&middle.daemon);
    let (_, ledger) = middle.daemon.ledger();
    let rows = ledger["rows"].as_array().unwrap();
    let uplink =
        |row: &&serde_json::Value| row["consumer"] == "uplink" && row["stream"] == "acme/notes";
    let row = rows.iter().find(uplink).unwrap();
    assert_eq!(
        (&row["in"], &row["acked"], &row["dead_lettered"]),
        (&5.into(), &3.into(), &2.into()),
        "{ledger}"
    );
    let letters = middle.daemon.ask(&["dlq", "list", "--code", "QC5004"]).ok();
    assert_eq!(letters.matches("QC5004").count(), 2, "{letters}");
    assert!(
        letters.contains("class 'phi' does not go to the parent"),
        "{letters}"
    );
    // two in a row on a quiet store, and a class that is let go in between
    let classes = |middle: &Middle, open: bool| {
        let config = fs::read_to_string(site.path("mid.toml")).unwrap();
        let (on, off) = ("\"open\"\nuplink = true", "\"open\"\nuplink = false");
        let config = if open {
            config.replace(off, on)
        } else {
            config.replace(on, off)
        };
        site.write("mid.toml", config);
        middle.daemon.ask(&["reload"])
    };
    let refused = classes(&middle, false);
    refused.refused(10, "QC1020");
    assert!(
        refused
            .err
            .contains("class 'open' does not go to the parent"),
        "{}",
        refused.err
    );
    classes(&middle, true).ok();

    // nothing of it ever was on the other side
    let dead = hub.ask(&["dlq", "list"]).ok();
    assert!(!dead.contains("phi"), "{dead}");
}

#[test]
fn a_relay_that_is_no_parent_gets_nothing_and_both_sides_say_what_to_do() {
    let site = Site::new();
    let state = site.path("other");
    let node = ("relay-9.hq.acme", "relay", state.as_path());
    site.authority.enroll(&[node]);
    let port = free_port();
    let mut other = site.relay_at("other", port, "");
    let address = format!("127.0.0.1:{port}");
    let mut middle = Middle::new(&site, &address, GOES_UP);
    let mut edge_a = site.edge_a(&address, "");
    for daemon in [&mut other, &mut middle.daemon, &mut edge_a] {
        daemon.start();
    }
    let next = "qc-pki token new NODE --role relay-parent";
    middle
        .daemon
        .logs(&["QC2005", "wanted is relay-parent", next]);
    other.logs(&["QC2032", "takes as its parent only a relay-parent", next]);
    until("status says so", || {
        let link = &middle.daemon.status()["uplink"];
        link["state"] != "up" && link["last_error"]["code"] == "QC2005"
    });
    until("an edge takes it all the same", || {
        edge_a.status()["links"][0]["state"] == "up"
    });
}

/// Two relays, each the parent of the other, that send each other one stream.
#[test]
fn what_two_relays_send_to_each_other_does_not_circle() {
    let site = Site::new();
    let state = site.path("mid");
    let node = ("relay-2.site-a.acme", "relay-parent", state.as_path());
    site.authority.enroll(&[node]);
    let ring = |parent: &str| {
        format!(
            "[[class]]\nname = \"internal\"\nuplink = true\n[[stream]]\nname = \"acme/ring\"\n\
             class = \"internal\"\npublish = [\"*.*.acme\"]\nuplink = \"send\"\n\
             [uplink]\nrelay = [\"{parent}\"]\n"
        )
    };
    let port = free_port();
    let mut relays = [
        site.relay(&ring(&format!("127.0.0.1:{port}"))),
        site.relay_at("mid", port, &ring(&site.address())),
    ];
    for relay in &mut relays {
        relay.start();
    }
    let row = |relay: &Daemon| {
        let streams = relay.ask(&["streams", "list", "--json"]).data();
        let mut streams = streams.as_array().unwrap().iter();
        let ring = streams.find(|row| row["name"] == "acme/ring").unwrap();
        (ring["last_seq"].clone(), ring["duplicates"].clone())
    };
    for (turn, relay) in relays.iter().enumerate() {
        let lines: Vec<_> = (0..50).map(|n| format!("{turn}-{n}")).collect();
        let args = ["publish", "acme/ring", "--lines"];
        relay.ask_with(&args, lines.join("\n").as_bytes()).ok();
    }
    until("both have all of it", || {
        relays.iter().all(|relay| row(relay).0 == 100)
    });
    for relay in &relays {
        assert_settled(relay);
    }
    sleep(Duration::from_millis(500));
    for relay in &relays {
        // not even as a duplicate did anything come back
        assert_eq!(row(relay), (100.into(), 0.into()));
    }
}

/// What waits on a relay waits in one line; an alarm goes ahead of it, upward over a slow line and
/// downward to a reader that was away.
#[test]
fn an_alarm_goes_ahead_on_the_second_hop() {
    const BULK: usize = 3000;
    let site = Site::new();
    let mut hub = site.relay("");
    let mut middle = Middle::new(&site, &site.address(), GOES_UP);
    let config = fs::read_to_string(site.path("mid.toml")).unwrap();
    let slow = config.replace(
        "heartbeat = \"1s\"\n",
        "heartbeat = \"1s\"\nlimit = \"400kbit\"\n",
    );
    assert_ne!(config, slow);
    site.write("mid.toml", slow);
    let mut edge_a = site.edge_a(&middle.address(), "");
    for daemon in [&mut hub, &mut middle.daemon, &mut edge_a] {
        daemon.start();
    }
    let has = |relay: &Daemon, count: usize| {
        let streams = relay.ask(&["streams", "list", "--json"]).data();
        streams[0]["last_seq"].as_u64() >= Some(count as u64)
    };
    send(&edge_a, "normal", "bulk", BULK);
    until("the middle has the bulk", || has(&middle.daemon, BULK));
    let lane = [
        "send",
        Site::STREAM,
        "--class",
        "internal",
        "--lane",
        "critical",
    ];
    let alarm = [&lane[..], &["--lines", "--id", "alarm"]].concat();
    edge_a.ask_with(&alarm, b"alarm-0001").ok();
    until("everything is above", || has(&hub, BULK + 1));
    let tail = hub.ask(&["tail", Site::STREAM, "--json"]).ok();
    let place = tail.lines().position(|row| row.contains("\"alarm-1\""));
    assert!(
        place.is_some_and(|place| place < BULK / 2),
        "above it is number {place:?}"
    );
    assert_settled(&middle.daemon);
    let (_, ledger) = middle.daemon.ledger();
    let rows = ledger["rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["acked"]),
        (1, &(BULK + 1).into()),
        "{ledger}"
    );

    // a reader that comes now, and one of the middle: both have it early
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    edge_b.start();
    until("everything is delivered", || {
        site.delivered().len() == BULK + 1
    });
    let delivered = in_order(&site);
    assert_whole(&delivered, "bulk", BULK);
    let place = delivered.iter().position(|body| body.starts_with("alarm"));
    assert!(place < Some(50), "the alarm came as number {place:?}");
    assert_settled(&hub);
}
