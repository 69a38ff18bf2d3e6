//! How long a relay keeps: by stream, by class, and no longer than the configuration says so.

use std::time::Duration;

use qc_tests::{Daemon, Site, holds_for, until};

const PATH: &str = "/v1/streams/acme/lab-results";

/// One more stream of a relay.
fn stream(name: &str, class: &str, keys: &str) -> String {
    format!("[[stream]]\nname = \"acme/{name}\"\nclass = \"{class}\"\n{keys}\n")
}

fn row(relay: &Daemon, name: &str) -> serde_json::Value {
    let table = relay.ask(&["retention", "show", "--json"]).data();
    let mut rows = table["streams"].as_array().unwrap().iter();
    let found = rows.find(|row| row["stream"] == name);
    found.unwrap_or_else(|| panic!("{name}: {table}")).clone()
}

#[test]
fn a_stream_that_is_full_says_so_until_its_limit_is_raised() {
    let site = Site::new();
    let limited = |messages: u32| {
        let relay = site.relay("");
        let text = std::fs::read_to_string(&relay.config).unwrap();
        let stream = format!("name = \"{}\"\n", Site::STREAM);
        let most = format!("{stream}max_messages = {messages}\n");
        site.write("relay.toml", text.replace(&stream, &most));
        relay
    };
    let mut relay = limited(3);
    relay.start();
    // a consumer that takes nothing any more
    let mut edge = site.edge_b(&site.address(), "{seq}", "");
    edge.start();
    let consumer = "edge-b.site-b.acme/inbox";
    until("the edge is a consumer", || {
        let rows = relay.ask(&["streams", "list", "--json"]).data();
        rows[0]["consumers"][0]["name"] == consumer
    });
    // the ledger writes positions before it counts
    assert!(relay.ledger().0);
    edge.kill();

    let curl = site.curl(Some("app"));
    for _ in 0..3 {
        assert_eq!(curl.call(PATH, &[], b"x").status, 201);
    }
    let full = curl.call(PATH, &[], b"x");
    assert_eq!(full.status, 507, "{full:?}");
    assert_eq!(full.json()["code"], "QC3303");
    assert!(full.header("retry-after").is_some(), "{full:?}");
    let held = row(&relay, Site::STREAM);
    assert_eq!(held["messages"], 3);
    assert_eq!(held["next"], format!("waits for {consumer}"));
    assert!(
        relay
            .ask(&["explain", "QC3303"])
            .ok()
            .contains("raise max_messages")
    );

    // an edge learns the same code over its link, and keeps what it has
    let mut sender = site.edge_a(&site.address(), "");
    sender.start();
    sender
        .ask_with(&["send", Site::STREAM, "--class", "internal"], b"waits")
        .ok();
    sender.logs(&["QC3303"]);
    relay.logs(&["QC3303", "edge-a.site-a.acme"]);
    let error = sender.status()["links"][0]["last_error"].clone();
    assert_eq!(error["code"], "QC3303", "{error}");
    assert_eq!(sender.status()["links"][0]["backlog_messages"], 1);

    limited(10);
    relay.ask(&["reload"]).ok();
    assert_eq!(curl.call(PATH, &[], b"x").status, 201);
    until("what waited is taken", || {
        sender.status()["links"][0]["backlog_messages"] == 0
    });
}

#[test]
fn a_consumer_that_will_not_come_again_is_taken_away() {
    let site = Site::new();
    let mut relay = site.relay("");
    relay.start();
    let mut edge = site.edge_b(&site.address(), "{seq}", "");
    edge.start();
    let name = "edge-b.site-b.acme/inbox";
    let shown = || {
        relay
            .ask(&["consumer", "list", Site::STREAM, "--json"])
            .data()
    };
    until("the edge is a consumer", || shown()[0]["name"] == name);
    assert_eq!(shown()[0]["connected"], true);

    let remove = ["consumer", "remove", Site::STREAM, name];
    let asked = relay.ask(&remove);
    asked.refused(2, "wants --yes where nobody can be asked");
    let sure = [&remove[..], &["--yes", "--reason", "site B is closed"]].concat();
    let connected = relay.ask(&sure);
    assert!(connected.err.contains("QC3313"), "{connected:?}");
    assert!(connected.err.contains("help: "), "{connected:?}");

    // the ledger writes positions before it counts
    assert!(relay.ledger().0);
    edge.kill();
    until("the link is down", || shown()[0]["connected"] == false);
    let curl = site.curl(Some("app"));
    for _ in 0..3 {
        assert_eq!(curl.call(PATH, &[], b"x").status, 201);
    }
    let text = relay.ask(&["consumer", "list"]).ok();
    assert!(text.contains(name) && text.contains("away"), "{text}");
    let removed = relay.ask(&sure).ok();
    assert!(
        removed.contains("3 messages are not kept for it any more"),
        "{removed}"
    );
    relay.logs(&["QC3309", name, "site B is closed"]);
    let again = relay.ask(&sure);
    assert!(again.err.contains("QC3314"), "{again:?}");

    // it stays away and its account stays, over a crash, too
    relay.kill();
    relay.start();
    assert_eq!(
        relay
            .ask(&["consumer", "list", "--json"])
            .data()
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let (balanced, ledger) = relay.ledger();
    let mut rows = ledger["rows"].as_array().unwrap().iter();
    let row = rows.find(|row| row["consumer"] == name).unwrap();
    assert!(
        balanced && row["purged"] == 3 && row["pending"] == 0,
        "{ledger}"
    );
}

#[test]
fn a_class_is_a_ceiling_and_a_limit_ends_with_its_stream() {
    let site = Site::new();
    let class = "[[class]]\nname = \"phi\"\nkeep = \"3d\"\nexpire = \"30d\"\n";
    let greedy = stream("scans", "phi", "keep = \"90d\"");
    let refused = site
        .relay(&format!("{class}{greedy}"))
        .ask(&["config", "check"]);
    refused.refused(10, "'keep' is 90d, but class 'phi' allows 3d at most");
    assert!(refused.err.contains("relay.toml:") && refused.err.contains("leave it out"));

    let modest = stream("scans", "phi", "");
    let short = |name| stream(name, "internal", "expire = \"3s\"");
    let mut relay = site.relay(&format!(
        "{class}{modest}{}{}",
        short("stays"),
        short("goes")
    ));
    relay.start();
    let scans = row(&relay, "acme/scans");
    let keep = serde_json::json!({"limit": "keep", "value": 259_200, "from": "class"});
    assert_eq!(scans["limits"][0], keep);
    let text = relay.ask(&["retention", "show"]).ok();
    assert!(
        text.contains("3d00h class") && text.contains("7d00h default"),
        "{text}"
    );

    for name in ["stays", "goes"] {
        let args = ["publish", &format!("acme/{name}")];
        relay.ask_with(&args, b"x").ok();
    }
    site.relay(&format!("{class}{modest}{}", short("stays")));
    relay.ask(&["reload"]).ok();
    until("what is declared expires", || {
        row(&relay, "acme/stays")["messages"] == 0
    });
    let more = Duration::from_secs(1);
    holds_for(
        more,
        "what is not declared any more keeps what it has",
        || {
            let gone = row(&relay, "acme/goes");
            gone["messages"] == 1 && gone["class"].is_null()
        },
    );
}
