//! A store that is brought back from an older copy: nothing new is stuck or passed over, whatever
//! numbers it gets; what is lost is only what nobody has any more.

use std::path::Path;
use std::process::Command;

use qc_tests::{Site, until};

use crate::restarts::{assert_whole, in_order, send};

/// Copies a state directory as `cp` does.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// Puts a copy in the place of a state directory.
fn bring_back(copied: &Path, state: &Path) {
    std::fs::remove_dir_all(state).unwrap();
    copy(copied, state);
}

#[test]
fn an_edge_that_went_back_in_time_loses_nothing_new() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let arrived = |count: usize| until("it is delivered", || site.delivered().len() == count);
    send(&edge_a, "normal", "before", 100);
    arrived(100);
    edge_a.stop();
    copy(&site.path("edge-a"), &site.path("copy"));
    edge_a.start();
    send(&edge_a, "normal", "after", 100);
    arrived(200);

    // the relay has 200; the edge knows of 100, and takes in 250 before it is linked again
    edge_a.stop();
    relay.stop();
    bring_back(&site.path("copy"), &site.path("edge-a"));
    edge_a.start();
    send(&edge_a, "normal", "fresh", 200);
    // a restart in between does not make it look sent
    edge_a.kill();
    edge_a.start();
    send(&edge_a, "normal", "newest", 50);
    relay.start();
    arrived(450);
    let delivered = in_order(&site);
    for (prefix, count) in [
        ("before", 100),
        ("after", 100),
        ("fresh", 200),
        ("newest", 50),
    ] {
        assert_whole(&delivered, prefix, count);
    }
    edge_a.logs(&["QC2213", "a new epoch begins", Site::STREAM]);
    until("nothing waits", || {
        edge_a.status()["links"][0]["backlog_messages"] == 0
    });
    // it goes on under the new epoch, after a restart too
    edge_a.kill();
    edge_a.start();
    send(&edge_a, "normal", "later", 50);
    arrived(500);
    assert_eq!(edge_a.log_text().matches("a new epoch begins").count(), 1);
}

#[test]
fn a_relay_that_went_back_in_time_gets_again_what_is_kept_and_passes_on_what_is_new() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let arrived = |count: usize| until("it is delivered", || site.delivered().len() == count);
    send(&edge_a, "normal", "before", 100);
    arrived(100);
    relay.stop();
    copy(&site.path("relay"), &site.path("copy"));
    relay.start();
    send(&edge_a, "normal", "after", 100);
    arrived(200);

    // both edges are ahead of it: one has sent, the other has received what it does not know
    relay.stop();
    bring_back(&site.path("copy"), &site.path("relay"));
    relay.start();
    send(&edge_a, "normal", "new", 150);
    arrived(350);
    let delivered = in_order(&site);
    for (prefix, count) in [("before", 100), ("after", 100), ("new", 150)] {
        assert_whole(&delivered, prefix, count);
    }
    relay.logs(&["QC2213", "a new epoch begins", Site::STREAM]);
    let streams = relay.ask(&["streams", "list", "--json"]).data();
    assert_eq!(streams[0]["last_seq"], 350, "{streams}");
}
