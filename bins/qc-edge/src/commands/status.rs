//! `qc-edge status`

use std::time::Duration;

use qc_core::admin::api::{ConnectorStatus, EDGE_STATUS_SCHEMA, EdgeStatus};
use qc_core::cli::{
    Context, Failure, Table, control_lines, health_lines, human_bytes, human_duration, uplink_lines,
};
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
        lines.extend(uplink_lines("link", link));
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
    let about = &status.control;
    if !about.objects.is_empty() || about.last_refusal.is_some() {
        lines.extend(control_lines(about));
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
