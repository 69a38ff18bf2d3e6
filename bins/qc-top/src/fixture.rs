//! A fleet for tests: 214 nodes, a few of them in each kind of trouble.

use qc_core::admin::api::{Fleet, FleetNode, FleetTotals, NodeState, Reply};

use crate::cli::{Mode, Options};
use crate::fleet::{FIELDS, Snapshot, SortBy};
use crate::theme::Theme;

const DAY: i64 = 86_400;

pub(crate) fn options() -> Options {
    Options {
        mode: Mode::Live,
        count: None,
        interval: std::time::Duration::from_secs(2),
        filter: qc_core::filter::Filter::parse("", FIELDS).unwrap(),
        sort: SortBy::Severity,
        reverse: false,
        theme: Theme {
            color: true,
            ascii: false,
        },
    }
}

pub(crate) fn snapshot() -> Snapshot {
    Snapshot::new(&reply(fleet()), false)
}

pub(crate) fn reply(data: Fleet) -> Reply<Fleet> {
    Reply {
        schema: "qc.fleet/1".to_owned(),
        generated_at: data.generated_at.clone(),
        source: data.relay.clone(),
        stale_s: 0,
        data,
        warnings: Vec::new(),
    }
}

pub(crate) fn node(name: &str, state: NodeState, backlog: u64) -> FleetNode {
    FleetNode {
        name: name.to_owned(),
        site: format!("site-{}", name.rsplit('-').next().unwrap_or("x")),
        tenant: "acme".to_owned(),
        role: "edge".to_owned(),
        state,
        backlog_messages: backlog,
        backlog_bytes: backlog * 28_000,
        up_messages: backlog,
        oldest_ms: (backlog > 0).then_some(42_000),
        in_per_s: 12.0,
        out_per_s: 11.6,
        disk_used_percent: Some(11),
        cert_not_after: Some("2026-12-01T03:22:07Z".to_owned()),
        cert_left_s: Some(10 * DAY),
        clock_skew_ms: Some(30),
        rtt_ms: Some(21),
        version: "0.4.2".to_owned(),
        last_seen: Some("2026-11-21T03:22:06Z".to_owned()),
        age_ms: 400,
        ..FleetNode::default()
    }
}

pub(crate) fn fleet() -> Fleet {
    let text = |text: &str| Some(text.to_owned());
    let mut nodes = vec![
        FleetNode {
            code: text("QC2003"),
            reason: text("its certificate expired 2026-11-20 21:10:21Z"),
            since: text("2026-11-20T21:10:22Z"),
            oldest_ms: Some(22_320_000),
            in_per_s: 2.0,
            out_per_s: 0.0,
            cert_not_after: text("2026-11-20T21:10:21Z"),
            cert_left_s: Some(-22_306),
            rtt_ms: None,
            age_ms: 22_000,
            ..node("edge-012", NodeState::Down, 41_310)
        },
        FleetNode {
            code: text("QC3301"),
            reason: text("the disk is 91% full, sources of low priority are paused"),
            since: text("2026-11-21T03:21:40Z"),
            disk_used_percent: Some(91),
            up_messages: 9_000,
            down_messages: 22,
            ..node("edge-044", NodeState::Crit, 9_022)
        },
        FleetNode {
            cert_left_s: Some(2 * DAY),
            ..node("edge-031", NodeState::Warn, 1_544)
        },
        FleetNode {
            clock_skew_ms: Some(-2_100),
            version: "0.4.1".to_owned(),
            ..node("edge-107", NodeState::Warn, 310)
        },
        FleetNode {
            role: "relay".to_owned(),
            site: "dc-fra".to_owned(),
            in_per_s: 901.0,
            ..node("relay-eu-2", NodeState::Stale, 88)
        },
        FleetNode {
            version: "0.4.3".to_owned(),
            ..node("edge-003", NodeState::Drain, 36)
        },
    ];
    nodes.extend((0..208).map(|n| node(&format!("edge-{:03}", 200 + n), NodeState::Ok, 0)));
    Fleet {
        relay: "hub-eu-1".to_owned(),
        region: text("eu-de"),
        generated_at: "2026-11-21T03:22:07Z".to_owned(),
        uptime_s: 3_600,
        totals: FleetTotals::of(&nodes, 0, 0),
        nodes,
    }
}

/// A node that tries to act on the terminal with every text it has, and whose numbers are absurd.
pub(crate) fn hostile() -> FleetNode {
    let evil = |text: &str| format!("{text}\x1b[31m\x1b]0;owned\x07\u{9b}2J\u{202e}\r\nX");
    FleetNode {
        name: evil("n"),
        site: evil("s"),
        tenant: evil("t"),
        role: evil("r"),
        version: evil("v"),
        code: Some(evil("c")),
        reason: Some(evil("why")),
        since: Some(evil("2026")),
        cert_not_after: Some(evil("2026")),
        backlog_messages: u64::MAX,
        backlog_bytes: u64::MAX,
        up_messages: u64::MAX,
        down_messages: u64::MAX,
        oldest_ms: Some(u64::MAX),
        in_per_s: f64::MAX,
        out_per_s: -0.5,
        disk_used_percent: Some(u8::MAX),
        cert_left_s: Some(i64::MIN),
        clock_skew_ms: Some(i64::MIN),
        rtt_ms: Some(u64::MAX),
        age_ms: u64::MAX,
        ..node("x", NodeState::Down, 1)
    }
}

/// Whether nothing in `text` acts on a terminal, beside ends of lines.
pub(crate) fn is_calm(text: &str) -> bool {
    text.chars()
        .all(|c| c == '\n' || !(c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)))
}
