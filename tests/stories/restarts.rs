//! Links break and nodes die; every message arrives, once, in the order of its lane.

use qc_tests::{Cable, Daemon, Site, until};

/// Sends `count` messages named `prefix-0001` and so on in one lane.
pub(crate) fn send(edge: &Daemon, lane: &str, prefix: &str, count: usize) {
    let lines: Vec<_> = (1..=count).map(|n| format!("{prefix}-{n:04}")).collect();
    let lines = lines.join("\n");
    let stream = Site::STREAM;
    let args = [
        "send", stream, "--class", "internal", "--lines", "--lane", lane,
    ];
    edge.ask_with(&args, lines.as_bytes()).ok();
}

/// What was delivered, in the order of delivery: the sink names its files by number.
pub(crate) fn in_order(site: &Site) -> Vec<String> {
    let files = site.delivered().into_iter();
    let mut numbered: Vec<(u64, String)> = files
        .map(|(name, body)| (name.parse().unwrap(), String::from_utf8(body).unwrap()))
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, body)| body).collect()
}

/// Every message of `prefix` was delivered once, in order.
#[track_caller]
pub(crate) fn assert_whole(delivered: &[String], prefix: &str, count: usize) {
    let of_prefix: Vec<_> = delivered
        .iter()
        .filter(|body| body.starts_with(prefix))
        .cloned()
        .collect();
    let expected: Vec<_> = (1..=count).map(|n| format!("{prefix}-{n:04}")).collect();
    assert!(of_prefix == expected, "{prefix}: {of_prefix:?}");
}

/// The ledger balances with nothing pending, lost or doubled.
#[track_caller]
pub(crate) fn assert_settled(daemon: &Daemon) {
    until("the ledger is settled", || {
        let (balanced, ledger) = daemon.ledger();
        let rows = ledger["rows"].as_array().cloned().unwrap_or_default();
        balanced && !rows.is_empty() && rows.iter().all(|row| row["pending"] == 0)
    });
    let (_, ledger) = daemon.ledger();
    for row in ledger["rows"].as_array().unwrap() {
        assert_eq!(row["gaps"], 0, "{ledger}");
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_links_and_nodes_go() {
    let site = Site::new();
    let (up, down) = (Cable::to(site.port), Cable::to(site.port));
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&up.address(), "");
    let mut edge_b = site.edge_b(&down.address(), "{seq}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let arrived = |count: usize| {
        until("all of it is delivered", || site.delivered().len() >= count);
    };

    // both lanes, with everything up
    send(&edge_a, "normal", "calm", 100);
    send(&edge_a, "high", "calmhigh", 100);
    arrived(200);

    // the link of the sender is cut: messages wait at the edge
    up.cut();
    send(&edge_a, "normal", "cut", 100);
    until("the edge shows its backlog", || {
        let status = edge_a.status();
        status["links"][0]["backlog_messages"] == 100 && status["links"][0]["state"] != "up"
    });
    up.restore();
    arrived(300);

    // the link of the receiver is cut while they flow
    send(&edge_a, "normal", "flow", 200);
    down.cut();
    send(&edge_a, "high", "flowhigh", 200);
    down.restore();
    arrived(700);

    // the relay restarts in order, and then without
    send(&edge_a, "normal", "drain", 100);
    assert_eq!(relay.stop(), 0);
    relay.start();
    send(&edge_a, "normal", "crash", 100);
    relay.kill();
    relay.start();
    arrived(900);

    // each edge dies in the middle
    send(&edge_a, "low", "sender", 100);
    edge_a.kill();
    edge_a.start();
    send(&edge_a, "normal", "receiver", 100);
    edge_b.kill();
    edge_b.start();
    arrived(1100);

    for daemon in [&relay, &edge_a, &edge_b] {
        assert_settled(daemon);
    }
    let delivered = in_order(&site);
    assert_eq!(delivered.len(), 1100, "something came twice");
    for (prefix, count) in [
        ("calm", 100),
        ("calmhigh", 100),
        ("cut", 100),
        ("flow", 200),
        ("flowhigh", 200),
        ("drain", 100),
        ("crash", 100),
        ("sender", 100),
        ("receiver", 100),
    ] {
        let exact: Vec<_> = delivered
            .iter()
            .filter(|body| body.split('-').next() == Some(prefix))
            .cloned()
            .collect();
        assert_whole(&exact, prefix, count);
    }
    // one lane is one order, across every interruption
    let of_lane = |prefixes: &[&str]| -> Vec<String> {
        let is_of = |body: &&String| prefixes.contains(&body.split('-').next().unwrap());
        let mut seen: Vec<_> = delivered.iter().filter(is_of).cloned().collect();
        seen.dedup_by_key(|body| body.split('-').next().unwrap().to_owned());
        seen.iter()
            .map(|body| body.split('-').next().unwrap().to_owned())
            .collect()
    };
    let normal = ["calm", "cut", "flow", "drain", "crash", "receiver"];
    assert_eq!(of_lane(&normal), normal);
    let high = ["calmhigh", "flowhigh"];
    assert_eq!(of_lane(&high), high);
}
