//! A client that was written from `qc-wire(7)` alone, in another language and with none of our code, talks to a
//! relay: what it could not do would be missing from the page.

use std::path::Path;

use qc_tests::{Ran, Site, program, require, run};
use serde_json::Value;

const CLIENT: &str = "clients/wire_client.py";

/// Runs the client as `node`, whose files are in `state`, and gives what it printed.
fn client(site: &Site, state: &str, node: &str, args: &[&str], input: &str) -> (Ran, Vec<Value>) {
    let current = site.path(state).join("id/current");
    let mut command = program("python3");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(CLIENT))
        .args(["--relay", &site.address()])
        .arg("--roots")
        .arg(site.path(state).join("trust/roots.pem"))
        .arg("--chain")
        .arg(current.join("fullchain.pem"))
        .arg("--key")
        .arg(current.join("key.pem"))
        .args(["--node", node])
        .args(args);
    let ran = run(&mut command, input.as_bytes());
    let said = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let said = said.collect();
    (ran, said)
}

fn sender(site: &Site, args: &[&str], input: &str) -> (Ran, Vec<Value>) {
    client(site, "edge-a", "edge-a.site-a.acme", args, input)
}

/// The bodies that `consumer` reads, once there are `count`.
fn read(site: &Site, count: usize) -> Vec<String> {
    let count = count.to_string();
    let args = [
        "read",
        Site::STREAM,
        "--consumer",
        "stranger",
        "--count",
        &count,
    ];
    let (ran, said) = client(site, "edge-b", "edge-b.site-b.acme", &args, "");
    ran.ok();
    let messages = said.iter().filter(|said| said["event"] == "message");
    messages
        .map(|said| said["body"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn refused((ran, said): (Ran, Vec<Value>), event: &str, code: &str) {
    assert_eq!(ran.code, 1, "{ran:#?}");
    let last = said.last().unwrap();
    assert!(last["event"] == event && last["code"] == code, "{last}");
}

#[test]
fn a_stranger_with_the_manual_sends_resumes_and_reads() {
    require("python3", "python3");
    let site = Site::new();
    let mut relay = site.relay("");
    relay.start();
    let (ran, said) = sender(&site, &["greet"], "");
    ran.ok();
    assert_eq!(said[0]["peer"], "relay-1.hq.acme");
    assert_eq!(said[0]["version"], 1);
    refused(
        sender(&site, &["--versions", "7-9", "greet"], ""),
        "close",
        "QC2202",
    );
    let other = client(&site, "edge-a", "edge-x.site-a.acme", &["greet"], "");
    refused(other, "close", "QC2210");

    // 30 messages, one of them in pieces, cut behind the twelfth
    let mut lines: Vec<String> = (1..30).map(|at| format!("line {at}")).collect();
    lines.push("x".repeat(300_000));
    let text = lines.join("\n");
    let send = ["send", Site::STREAM, "--class", "internal", "--epoch"];
    let first = [&send[..], &["1795000000000"]].concat();
    let (ran, said) = sender(&site, &[&first[..], &["--cut-after", "12"]].concat(), &text);
    ran.ok();
    assert_eq!(said.last().unwrap()["event"], "cut");

    // the relay tells where to go on
    let (ran, said) = sender(&site, &first, &text);
    ran.ok();
    assert!(said[1]["seq"].as_u64().unwrap() <= 12, "{said:?}");
    assert_eq!(said.last().unwrap()["seq"], 30);
    let (ran, said) = sender(&site, &first, &text);
    ran.ok();
    assert_eq!(
        (&said[1]["epoch"], &said[1]["seq"]),
        (&1_795_000_000_000_u64.into(), &30.into())
    );
    assert_eq!(said.len(), 2, "nothing was left to send: {said:?}");

    // a sender that has forgotten its numbers sends all again, and the relay knows the messages
    let again = [&send[..], &["1795000000001"]].concat();
    let (ran, said) = sender(&site, &again, &text);
    ran.ok();
    assert_eq!(said.last().unwrap()["seq"], 30);
    assert_eq!(read(&site, 30), lines);

    // a reader that keeps no position has one at the relay
    let more = [&send[..], &["1795000000002", "--prefix", "more-"]].concat();
    sender(&site, &more, "one more").0.ok();
    assert_eq!(read(&site, 1), ["one more"]);

    let elsewhere = [
        "send",
        "acme/secrets",
        "--class",
        "internal",
        "--epoch",
        "1",
    ];
    refused(sender(&site, &elsewhere, "x"), "refuse", "QC5001");
    let (balances, ledger) = relay.ledger();
    assert!(balances, "{ledger}");
    assert_eq!(relay.stop(), 0);
}
