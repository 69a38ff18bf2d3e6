//! A stolen node is revoked at headquarters: one signed object goes to every node, those that are away get it
//! when they return, and the relay remembers who has it.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use qc_tests::{Daemon, Ran, Site, binary, free_port, program, require, run, until};

const PUBLISHER: &str = "publisher.hq.acme";
const STOLEN: &str = "edge-c.site-c.acme";

/// A site with a signer, and an edge that will be stolen.
fn site() -> Site {
    let site = Site::new();
    let authority = &site.authority;
    authority.enroll_offline(PUBLISHER, "trust-publisher", &site.path("publisher"));
    authority.enroll_offline(STOLEN, "edge", &site.path("edge-c"));
    site
}

fn sign(site: &Site, signer: &str, out: &str, more: &[&str]) -> Ran {
    let (signer, out) = (site.path(signer), site.path(out));
    let (signer, out) = (signer.to_str().unwrap(), out.to_str().unwrap());
    let args = ["control", "sign", "--signer", signer, "--out", out];
    site.authority.ask(&[&args[..], more].concat())
}

fn apply(site: &Site, relay: &Daemon, file: &str) -> Ran {
    let file = site.path(file).display().to_string();
    relay.ask(&["control", "apply", &file, "--json"])
}

/// The first control object as a relay or edge lists it.
fn object(daemon: &Daemon) -> serde_json::Value {
    daemon.ask(&["control", "list", "--json"]).data()["objects"][0].clone()
}

fn node(relay: &Daemon, name: &str) -> serde_json::Value {
    relay.ask(&["node", "show", name, "--json"]).data()
}

/// How `relay` shows the object at `name`.
fn at(relay: &Daemon, name: &str) -> serde_json::Value {
    let shown = relay
        .ask(&["control", "show", "revocations", "--json"])
        .data();
    let nodes = shown["nodes"].as_array().unwrap();
    let one = nodes.iter().find(|node| node["node"] == name);
    one.unwrap_or_else(|| panic!("{shown}")).clone()
}

fn links(relay: &Daemon, count: usize) {
    until("the links are up", || {
        let up = relay.ask(&["node", "list", "--filter", "link=up", "--json"]);
        up.code == 0 && up.data().as_array().unwrap().len() == count
    });
}

#[test]
fn a_revocation_reaches_every_node_and_those_that_return() {
    let site = site();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    let mut edge_c = site.edge("edge-c", &site.address(), "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b, &mut edge_c] {
        daemon.start();
    }
    links(&relay, 3);
    assert_eq!(edge_b.stop(), 0);
    links(&relay, 2);

    // the machine is stolen: its certificate goes on the list, the list into an object
    let revoke = ["revoke", STOLEN, "--cause", "key-compromise"];
    site.authority.ask(&revoke).ok();
    let signed = sign(&site, "publisher", "one.qco", &["--json"]).data();
    assert_eq!(
        (&signed["revision"], &signed["state"]),
        (&1.into(), &"signed".into())
    );
    let again = sign(&site, "publisher", "one.qco", &["--json"]).data();
    assert_eq!(
        (&again["revision"], &again["state"]),
        (&1.into(), &"unchanged".into())
    );

    let began = Instant::now();
    let taken = apply(&site, &relay, "one.qco").data();
    assert_eq!(
        (&taken["state"], &taken["signer"]),
        (&"applied".into(), &PUBLISHER.into())
    );
    edge_c.logs_within(Duration::from_secs(2), &["QC2008", "Link down", "revoked"]);
    until("the other one has acknowledged", || {
        at(&relay, "edge-a.site-a.acme")["state"] == "applied"
    });
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    let text = relay.ask(&["control", "list"]).ok();
    assert!(text.starts_with("revocations rev 1: "), "{text}");
    assert!(
        text.contains(" of 3 nodes, waiting: ") && text.contains("edge-b.site-b.acme (last seen "),
        "{text}"
    );

    // on the edge: the list is on disk and in force, and told
    let there = object(&edge_a);
    assert_eq!(
        (&there["revision"], &there["signer"]),
        (&1.into(), &PUBLISHER.into())
    );
    let status = edge_a.ask(&["status"]).ok();
    assert!(
        status.contains("control revocations revision 1"),
        "{status}"
    );
    let mut trust = program(binary("qc-pki"));
    let shown = run(
        trust
            .args(["trust", "show", "--trust"])
            .arg(site.path("edge-a/trust")),
        b"",
    )
    .ok();
    assert!(shown.contains("(1 revoked)"), "{shown}");

    // again is no error; what is changed or older is one, and the node stays as it is
    assert_eq!(apply(&site, &relay, "one.qco").data()["state"], "unchanged");
    let mut bytes = fs::read(site.path("one.qco")).unwrap();
    bytes[60] ^= 1; // in the first list
    site.write("changed.qco", &bytes);
    apply(&site, &relay, "changed.qco").refused(11, "QC2161");
    site.write("nothing.qco", b"hello");
    apply(&site, &relay, "nothing.qco").refused(11, "QC2160");
    site.authority
        .ask(&["crl", "resign", "--ca", "issuing-hq"])
        .ok();
    sign(&site, "publisher", "two.qco", &["--revision", "1"]).refused(9, "QC2164");
    let second = sign(&site, "publisher", "two.qco", &["--json"]).data();
    assert_eq!(second["revision"], 2);
    assert_eq!(apply(&site, &relay, "two.qco").data()["state"], "applied");
    apply(&site, &relay, "one.qco").refused(9, "QC2163");
    sign(&site, "edge-a", "no.qco", &["--revision", "9"]).refused(7, "QC2162");
    until("the next one is there, too", || {
        object(&edge_a)["revision"] == 2
    });

    // who returns gets it at once, also from a relay that was killed meanwhile
    relay
        .ask(&[
            "node",
            "label",
            "edge-b.site-b.acme",
            "env=prod",
            "ring=canary",
        ])
        .ok();
    assert_eq!(edge_a.stop(), 0);
    links(&relay, 0);
    sleep(Duration::from_millis(2500)); // what is known of a node is written once a second
    relay.kill();
    relay.start();
    let there = object(&relay);
    assert_eq!(there["revision"], 2, "{there}");
    let away = node(&relay, "edge-b.site-b.acme");
    assert_eq!(
        (&away["linked"], &away["labels"]["env"]),
        (&false.into(), &"prod".into())
    );
    assert!(away["seen_ms"].as_u64() > Some(0), "{away}");
    assert_eq!(at(&relay, "edge-b.site-b.acme")["state"], "waiting");
    assert_eq!(
        at(&relay, "edge-a.site-a.acme")["state"],
        "applied",
        "it is remembered"
    );
    let fleet = relay.ask(&["fleet"]).ok();
    assert!(fleet.contains("last seen "), "{fleet}");
    edge_b.start();
    until("it has what it missed", || {
        at(&relay, "edge-b.site-b.acme")["state"] == "applied"
    });
    assert_eq!(object(&edge_b)["revision"], 2);
    // and keeps it over its own death
    edge_b.kill();
    edge_b.start();
    assert_eq!(object(&edge_b)["revision"], 2);
    for mut daemon in [edge_b, edge_c, relay] {
        assert_eq!(daemon.stop(), 0);
    }
}

#[test]
fn a_node_is_labelled_found_and_forgotten() {
    let site = Site::new();
    let (mut relay, mut edge) = (site.relay(""), site.edge_a(&site.address(), ""));
    relay.start();
    edge.start();
    links(&relay, 1);
    let name = "edge-a.site-a.acme";
    let label =
        |more: &[&str]| relay.ask(&[&["node", "label", name][..], more, &["--json"]].concat());
    assert_eq!(
        label(&["env=prod", "ring=canary"]).data()["label_revision"],
        1
    );
    assert_eq!(
        label(&["env=prod"]).data()["label_revision"],
        1,
        "nothing new"
    );
    let changed = label(&["ring-", "--if-revision", "1"]).data();
    assert_eq!(
        (&changed["label_revision"], &changed["labels"]["ring"]),
        (&2.into(), &serde_json::Value::Null)
    );
    label(&["ring=x", "--if-revision", "1"]).refused(9, "QC2239");
    label(&["Ring=x"]).refused(2, "a-z");
    let client = relay.client();
    let list = |filter: &str| {
        let args = ["node", "list", "--filter", filter, "--json"];
        client.ask_with(&args, b"").data()
    };
    assert_eq!(list("label.env=pr* & role=edge & seen<1m")[0]["node"], name);
    assert_eq!(list("label.env!=prod"), serde_json::json!([]));
    relay
        .ask(&["node", "list", "--filter", "colour=red"])
        .refused(2, "QC3061");
    relay
        .ask(&["node", "show", "edge-x.site-a.acme"])
        .refused(8, "QC2226");

    // one that is here cannot be forgotten, and one that is forgotten stays so until it comes again
    relay
        .ask(&["node", "forget", name, "--yes"])
        .refused(9, "QC2238");
    assert_eq!(edge.stop(), 0);
    links(&relay, 0);
    relay.ask(&["node", "forget", name]).refused(2, "QC3312");
    relay.ask(&["node", "forget", name, "--yes"]).ok();
    relay
        .ask(&["node", "forget", name, "--yes"])
        .refused(8, "QC2226");
    relay
        .ask(&["node", "forget", name, "--yes", "--if-exists"])
        .ok();
    relay.kill();
    relay.start();
    assert_eq!(list(""), serde_json::json!([]));
    edge.start();
    links(&relay, 1);
    assert_eq!(node(&relay, name)["labels"], serde_json::json!({}));
}

#[test]
fn an_object_goes_through_the_relay_of_a_site_as_far_as_owners_let_it() {
    let site = site();
    let middle = ("relay-2.site-a.acme", "relay", site.path("mid"));
    site.authority.enroll(&[(middle.0, middle.1, &middle.2)]);
    let port = free_port();
    let uplink = format!("[uplink]\nrelay = [\"{}\"]\n", site.address());
    let mut hub = site.relay("");
    let mut mid = site.relay_at("mid", port, &uplink);
    let below = format!("127.0.0.1:{port}");
    let mut edge_a = site.edge_a(&below, "");
    let mut edge_b = site.edge_b(&below, "{seq}", "[control]\naccept = []\n");
    for daemon in [&mut hub, &mut mid, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    links(&hub, 1);
    links(&mid, 2);
    site.authority.ask(&["revoke", STOLEN]).ok();
    // for the edges of one site only: the relay between carries it
    let only = ["--for", "*.site-a.acme", "--for", "*.site-b.acme"];
    sign(&site, "publisher", "one.qco", &only).ok();
    let taken = apply(&site, &hub, "one.qco").data();
    assert_eq!(taken["state"], "carried");
    until("it is at the edge", || object(&edge_a)["revision"] == 1);
    until("the owner's no is told", || {
        at(&mid, "edge-b.site-b.acme")["state"] == "refused"
    });
    let refused = at(&mid, "edge-b.site-b.acme");
    assert_eq!(refused["code"], "QC2167", "{refused}");
    let own = edge_b.ask(&["control", "list"]).ok();
    assert!(
        own.contains("QC2167") && own.contains("relay-2.site-a.acme"),
        "{own}"
    );
    assert!(object(&edge_b).is_null());
    let text = mid.ask(&["control", "list"]).ok();
    assert!(
        text.contains("1 of 2 nodes") && text.contains("edge-b.site-b.acme (refused: QC2167)"),
        "{text}"
    );
    until("headquarters hears of those below", || {
        let relay = at(&hub, "relay-2.site-a.acme");
        relay["state"] == "applied" && relay["below_applied"] == 1 && relay["below_nodes"] == 2
    });
    // the middle is restarted and still has it
    mid.kill();
    mid.start();
    assert_eq!(object(&mid)["revision"], 1);
    links(&hub, 1);
}

#[test]
fn openssl_judges_a_control_object() {
    require("openssl", "openssl");
    let site = site();
    sign(&site, "publisher", "one.qco", &[]).ok();
    let bytes = fs::read(site.path("one.qco")).unwrap();
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
    let end = 8 + usize::try_from(length).unwrap();
    let signed = site.write("signed", &bytes[..end]);
    let signature = site.write("signature", &bytes[end + 2..]);
    let mut key = program("openssl");
    key.args(["x509", "-noout", "-pubkey", "-in"]);
    let key = run(key.arg(site.path("publisher/id/current/cert.pem")), b"").ok();
    let key = site.write("key.pem", key);
    let judged = |signed: &std::path::Path| {
        let mut openssl = program("openssl");
        openssl.args(["dgst", "-sha256", "-verify"]).arg(&key);
        openssl.arg("-signature").arg(&signature).arg(signed);
        run(&mut openssl, b"")
    };
    let out = judged(&signed).ok();
    assert!(out.contains("Verified OK"), "{out}");
    let mut other = bytes[..end].to_vec();
    other[40] ^= 1;
    assert_ne!(judged(&site.write("other", other)).code, 0);
}
