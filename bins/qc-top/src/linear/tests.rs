//! Sentences: each change is said once, and a calm fleet is silent.

use super::*;
use crate::fixture::{fleet, hostile, is_calm, node, options, reply};
use qc_core::admin::api::{Fleet, FleetNode, NodeState};

fn told(before: Option<Vec<FleetNode>>, now: Vec<FleetNode>) -> String {
    let take = |nodes| {
        Snapshot::new(
            &reply(Fleet {
                nodes,
                generated_at: String::new(),
                ..fleet()
            }),
            false,
        )
    };
    sentences(before.map(take).as_ref(), &take(now), &options()).join("\n")
}

#[test]
fn says_what_is_then_what_changes() {
    let first = told(None, fleet().nodes);
    assert!(
        first.contains("Relay hub-eu-1: nodes 214: 208 ok, 2 warn, 1 crit"),
        "{first}"
    );
    assert!(first.contains(
        "edge-012 is DOWN: its certificate expired 2026-11-20 21:10:21Z (QC2003). \
         41310 messages wait, the oldest for 6h12m."
    ));
    let e = |state, backlog| vec![node("e", state, backlog)];
    for (before, now, text) in [
        (e(NodeState::Ok, 0), e(NodeState::Ok, 0), ""),
        (
            e(NodeState::Ok, 0),
            e(NodeState::Down, 1),
            "e is DOWN. 1 message waits, the oldest for 42s.",
        ),
        (
            e(NodeState::Ok, 5),
            e(NodeState::Ok, 0),
            "e has no backlog any more.",
        ),
        (e(NodeState::Ok, 0), e(NodeState::Ok, 99), ""),
        (
            e(NodeState::Ok, 99),
            e(NodeState::Ok, 101),
            "The backlog of e grew to 101.",
        ),
        (
            e(NodeState::Ok, 1000),
            e(NodeState::Ok, 999),
            "The backlog of e shrank to 999.",
        ),
        (Vec::new(), e(NodeState::Ok, 0), "New: e is OK."),
        (e(NodeState::Ok, 0), Vec::new(), "e is gone from the fleet."),
    ] {
        assert_eq!(told(Some(before), now), text);
    }
}

#[test]
fn a_hostile_node_acts_on_nothing() {
    assert!(is_calm(&told(None, vec![hostile()])));
    assert!(is_calm(&told(Some(Vec::new()), vec![hostile()])));
    assert!(is_calm(&told(Some(vec![hostile()]), Vec::new())));
}
