//! A disk that fails: nothing is acknowledged that it did not take, and a restart tells the truth.

use std::collections::BTreeSet;

use qc_tests::{Site, Strace};

const PATH: &str = "/v1/streams/acme/lab-results";

/// The ids of everything a relay holds.
fn held(site: &Site) -> BTreeSet<String> {
    let page = site
        .curl(Some("app"))
        .call(&format!("{PATH}?limit=1000"), &[], b"");
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|entry| entry["event"]["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_relay_whose_disk_fails_acks_nothing_and_ends() {
    let site = Site::new();
    let mut relay = site.relay("");
    let strace = Strace::into(site.path("strace"));
    // the thread that writes the store gets on for a while
    relay.wrapped(&strace.injecting("fdatasync", "error=EIO:when=6+"));
    relay.start();

    let curl = site.curl(Some("app"));
    let mut acked = BTreeSet::new();
    let refusal = loop {
        let id = format!("event-{}", acked.len());
        let key = format!("Idempotency-Key: {id}");
        let answer = curl.call(PATH, &["-H", &key], id.as_bytes());
        if answer.status != 201 {
            break answer;
        }
        acked.insert(id);
        assert!(acked.len() < 50, "the injected error never came");
    };
    assert!(!acked.is_empty());
    assert_eq!(refusal.status, 503, "{refusal:?}");
    assert_eq!(refusal.json()["code"], "QC4015");
    assert!(refusal.header("retry-after").is_some(), "{refusal:?}");
    // it never tries its luck with a second sync of the same pages
    assert_eq!(relay.exit(), 12);
    relay.logs(&["QC3002", "Input/output error"]);

    relay.wrapped(&[]);
    relay.start();
    let held = held(&site);
    assert!(acked.is_subset(&held), "acked {acked:?}, held {held:?}");
    // the refused one may be there or not; sent again it is there once
    let id = format!("event-{}", acked.len());
    let answer = curl.call(
        PATH,
        &["-H", &format!("Idempotency-Key: {id}")],
        id.as_bytes(),
    );
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    acked.insert(id);
    assert_eq!(self::held(&site), acked);
}

#[test]
fn an_edge_whose_disk_fails_keeps_the_file() {
    let site = Site::new();
    let mut edge = site.edge_a(&site.address(), "");
    let strace = Strace::into(site.path("strace"));
    edge.wrapped(&strace.injecting("fdatasync", "error=EIO:when=4+"));
    edge.start();
    let send = |n: usize| {
        let args = ["send", Site::STREAM, "--class", "internal", "--id"];
        edge.ask_with(&[&args[..], &[&format!("m-{n}")]].concat(), b"body")
    };
    let sent = (1..50).take_while(|n| send(*n).code == 0).count();
    assert!((1..49).contains(&sent), "{sent} were taken");
    let file = site.write("drop/late.txt", "late");
    assert_eq!(edge.exit(), 12);
    assert!(file.exists(), "a file left although nothing was stored");

    edge.wrapped(&[]);
    edge.start();
    qc_tests::until("the file is taken in", || !file.exists());
    let streams = edge.ask(&["streams", "list", "--json"]).data();
    let kept = streams[0]["messages"].as_u64().unwrap();
    let (sent, one_more) = (sent as u64 + 1, sent as u64 + 2);
    assert!((sent..=one_more).contains(&kept), "{streams}");
}
