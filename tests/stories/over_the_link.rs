//! What goes over a link beside messages: a probe through both stores, and the edge's own commands
//! from the relay's host, as far as the edge lets them.

use std::process::Command;

use qc_tests::{Ran, Site, binary, program, run, until};
use rustix::process::Signal;

/// A command of `qc-edge` on the relay's host.
fn from_the_relay(site: &Site, args: &[&str]) -> Ran {
    let mut command: Command = program(binary("qc-edge"));
    command
        .arg("--socket")
        .arg(site.path("relay.sock"))
        .args(["--node", "edge-a.site-a.acme"])
        .args(args);
    run(&mut command, b"")
}

#[test]
fn a_probe_passes_both_stores_or_says_that_it_does_not() {
    let site = Site::new();
    let (mut relay, mut edge) = (site.relay(""), site.edge_a(&site.address(), ""));
    edge.start();
    let alone = edge.ask(&["probe"]);
    alone.refused(6, "QC2232");
    relay.start();
    until("a probe comes back", || edge.ask(&["probe"]).code == 0);
    let text = edge.ask(&["probe"]).ok();
    assert!(text.starts_with("relay-1.hq.acme answers after"), "{text}");
    let probed = edge.ask(&["probe", "--json"]).data();
    for part in ["own_store_us", "link_us", "peer_store_us"] {
        assert!(probed[part].as_u64().unwrap() > 0, "{probed}");
    }
    let status = edge.status();
    assert!(
        status["links"][0]["probe_us"].as_u64() > Some(0),
        "{status}"
    );
    assert!(edge.ask(&["status"]).ok().contains(", probe "));

    // a relay that hangs is not alive, however well its socket stands
    relay.signal(Signal::STOP);
    let lost = edge.ask(&["probe", "--timeout", "20s"]);
    relay.signal(Signal::CONT);
    lost.refused(6, "QC2233");
    edge.logs(&["QC2233", "A probe of the link was lost"]);
    until("it is well again", || edge.ask(&["probe"]).code == 0);
    let status = edge.status();
    assert_ne!(
        status["links"][0]["last_error"]["code"], "QC2233",
        "{status}"
    );
}

#[test]
fn an_edge_is_asked_over_its_link_as_far_as_it_allows() {
    let site = Site::new();
    let mut relay = site.relay("");
    relay.start();
    let absent = from_the_relay(&site, &["status"]);
    absent.refused(6, "QC0610");

    // by default nothing
    let mut edge = site.edge_a(&site.address(), "");
    edge.start();
    until("the link is up", || edge.ask(&["probe"]).code == 0);
    let refused = from_the_relay(&site, &["status"]);
    refused.refused(7, "QC2231");
    assert!(
        refused.err.contains("remote is \"none\""),
        "{}",
        refused.err
    );
    edge.stop();

    // to look: the same answer as on the edge itself, and no change
    let remote = |mode: &str| {
        let config = std::fs::read_to_string(site.path("edge-a.toml")).unwrap();
        let config = match config.split_once("remote = ") {
            Some((before, after)) => {
                let (_, after) = after.split_once('\n').unwrap();
                format!("{before}remote = \"{mode}\"\n{after}")
            }
            None => config.replace("[admin]\n", &format!("[admin]\nremote = \"{mode}\"\n")),
        };
        site.write("edge-a.toml", config);
    };
    remote("read");
    edge.start();
    until("the link is up", || edge.ask(&["probe"]).code == 0);
    let there = from_the_relay(&site, &["streams", "list", "--json"]).data();
    assert_eq!(there, edge.ask(&["streams", "list", "--json"]).data());
    let text = from_the_relay(&site, &["status"]).ok();
    assert!(text.starts_with("edge-a.site-a.acme "), "{text}");
    let refused = from_the_relay(&site, &["reload"]);
    refused.refused(7, "QC0611");
    // also when there is more of the question than anybody reads
    let mut many = program(binary("qc-edge"));
    many.arg("--socket").arg(site.path("relay.sock")).args([
        "--node",
        "edge-a.site-a.acme",
        "send",
        Site::STREAM,
        "--class",
        "internal",
    ]);
    run(&mut many, &vec![b'x'; 3 << 20]).refused(7, "QC0611");
    edge.logs(&["QC0612", "relay-1.hq.acme", "/v1/reload", "allowed=false"]);
    relay.logs(&["QC0612", "edge-a.site-a.acme", "/v1/reload"]);
    edge.stop();

    // everything
    remote("all");
    edge.start();
    until("the link is up", || edge.ask(&["probe"]).code == 0);
    from_the_relay(&site, &["reload"]).ok();
    edge.logs(&["QC0021", "Reloaded"]);
    let sent = from_the_relay(&site, &["send", Site::STREAM, "--class", "internal"]);
    sent.ok();

    // there is no way to a body, and no port for any of it
    let body = from_the_relay(&site, &["dlq", "list"]).ok();
    assert!(
        body.contains("CODE") || body.contains("no dead letters"),
        "{body}"
    );
    for mut daemon in [edge, relay] {
        assert_eq!(daemon.stop(), 0);
    }
}
