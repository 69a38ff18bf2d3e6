//! `qc-edge status`

use std::time::Duration;

use qc_core::admin::api::{
    ConnectorStatus, EDGE_STATUS_SCHEMA, EdgeStatus, LinkState, LinkStatus, LinkWay,
};
use qc_core::cli::{Context, Failure, Table, health_lines, human_bytes, human_duration};
use qc_core::safe_text::safe;

/// Show how the edge fares: link, buffer, certificate, sources, sinks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<(), Failure> {
    let shown = context.show("/v1/status", EDGE_STATUS_SCHEMA, text);
    shown.map(drop)
}

fn text(status: &EdgeStatus) -> String {
    let mut lines = vec![format!(
        "{}  {}  up {}{}",
        safe(&status.node, 200),
        status.version,
        human_duration(Duration::from_secs(status.uptime_s)),
        if status.draining { "  DRAINING" } else { "" }
    )];
    for link in &status.links {
        lines.push(link_line(link));
        let is_up = matches!(link.state, LinkState::Up | LinkState::Stalled);
        lines.extend(link.way.as_ref().filter(|_| is_up).map(way_line));
        if let Some(error) = &link.last_error {
            let reason = safe(&error.reason, 300);
            let at = error.at.as_deref().unwrap_or_default();
            lines.push(format!("        last error {} {reason} ({at})", error.code));
        }
    }
    if status.links.is_empty() {
        lines.push("link    none configured".to_owned());
    }
    lines.push(format!(
        "buffer  {} streams, {} segments, {}, disk {}%  ({})",
        status.store.streams,
        status.store.segments,
        human_bytes(status.store.bytes),
        status.store.disk_used_percent.unwrap_or(0),
        status.state_dir
    ));
    let health = health_lines(&status.store.health);
    let about = health.iter().chain(&status.store.recovered);
    lines.extend(about.map(|line| format!("        {line}")));
    if let Some(certificate) = &status.certificate {
        let left = Duration::from_secs(u64::try_from(certificate.left_s).unwrap_or(0));
        lines.push(format!(
            "cert    until {} ({} left), issuer {}",
            certificate.not_after,
            human_duration(left),
            safe(&certificate.issuer, 200)
        ));
    }
    let mut table = Table::new(&[
        "CONNECTOR",
        "KIND",
        "STREAM",
        "STATE",
        ">DONE",
        ">RETRIES",
        "LAST ERROR",
    ]);
    for (side, connectors) in [("source", &status.sources), ("sink", &status.sinks)] {
        for connector in connectors {
            table.row(row(side, connector));
        }
    }
    let mut text = lines.join("\n");
    if status.sources.len() + status.sinks.len() > 0 {
        text.push('\n');
        text.push_str(&table.render(true));
    }
    text
}

fn link_line(link: &LinkStatus) -> String {
    let state = format!("{:?}", link.state).to_lowercase();
    let peer = if link.peer.is_empty() {
        &link.address
    } else {
        &link.peer
    };
    let acked = link.acked_ms.map_or_else(String::new, |ms| {
        format!(", acked {} ago", human_duration(Duration::from_millis(ms)))
    });
    let next = link
        .next_try_s
        .map_or_else(String::new, |s| format!(", next try in {s}s"));
    format!(
        "link    {state} {}  sent {}, received {}, {} wait{acked}{next}",
        safe(peer, 200),
        link.sent,
        link.received,
        link.backlog_messages
    )
}

/// `        by http://proxy:3128 at 10.0.0.8:3128, in a WebSocket, since ...`
fn way_line(way: &LinkWay) -> String {
    let proxy = way.proxy.as_deref();
    let by = proxy.map_or_else(
        || "direct".to_owned(),
        |proxy| format!("by {}", safe(proxy, 200)),
    );
    let websocket = if way.websocket {
        ", in a WebSocket"
    } else {
        ""
    };
    let age = way.address_age_s.map_or_else(String::new, |s| {
        let age = human_duration(Duration::from_secs(s));
        format!(", address of {age} ago: its name cannot be looked up")
    });
    let (remote, since) = (safe(&way.remote, 200), safe(&way.since, 40));
    format!("        {by} to {remote}{websocket}{age}, since {since}")
}

fn row(side: &str, connector: &ConnectorStatus) -> [String; 7] {
    let error = connector.last_error.as_ref();
    [
        format!("{side} {}", connector.name),
        connector.kind.clone(),
        safe(&connector.stream, 200),
        format!("{:?}", connector.state).to_lowercase(),
        connector.processed.to_string(),
        connector.retries.to_string(),
        error
            .map(|error| safe(&error.reason, 200))
            .unwrap_or_default(),
    ]
}
