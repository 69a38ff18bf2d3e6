//! `qc-relay status`

use qc_core::admin::api::{RELAY_STATUS_SCHEMA, RelayStatus};
use qc_core::cli::{
    Context, Failure, Table, health_lines, human_bytes, human_duration, uplink_lines,
};
use qc_core::safe_text::safe;
use std::time::Duration;

/// Show how the relay fares: store, links, certificate
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<(), Failure> {
    let shown = context.show("/v1/status", RELAY_STATUS_SCHEMA, text);
    shown.map(drop)
}

fn text(status: &RelayStatus) -> String {
    let mut lines = vec![
        format!(
            "{}  {}  up {}{}",
            safe(&status.node, 200),
            status.version,
            human_duration(Duration::from_secs(status.uptime_s)),
            if status.draining { "  DRAINING" } else { "" }
        ),
        format!("listen  {}", status.listeners.join(", ")),
        format!(
            "store   {} streams, {} segments, {}, disk {}%  ({})",
            status.store.streams,
            status.store.segments,
            human_bytes(status.store.bytes),
            status.store.disk_used_percent.unwrap_or(0),
            status.state_dir
        ),
    ];
    let health = health_lines(&status.store.health);
    let about = health.iter().chain(&status.store.recovered);
    lines.extend(about.map(|line| format!("        {line}")));
    let drained = status.drained.iter();
    lines.extend(drained.flat_map(super::drain::lines));
    let uplink = status.uplink.iter();
    lines.extend(uplink.flat_map(|link| uplink_lines("uplink", link)));
    if let Some(certificate) = &status.certificate {
        let left = Duration::from_secs(u64::try_from(certificate.left_s).unwrap_or(0));
        lines.push(format!(
            "cert    until {} ({} left), issuer {}",
            certificate.not_after,
            human_duration(left),
            safe(&certificate.issuer, 200)
        ));
    }
    let mut table = Table::new(&["NODE", "LINK", "SINCE", ">RTT", "LAST REFUSAL"]);
    for link in &status.links {
        let refusal = link.last_error.as_ref();
        table.row([
            safe(&link.peer, 200),
            format!("{:?}", link.state).to_lowercase(),
            link.since.clone().unwrap_or_default(),
            link.rtt_ms
                .map_or_else(|| "-".to_owned(), |rtt| format!("{rtt}ms")),
            refusal
                .map(|r| format!("{} {}", r.code, safe(&r.reason, 200)))
                .unwrap_or_default(),
        ]);
    }
    let mut text = lines.join("\n");
    if !status.links.is_empty() {
        text.push('\n');
        text.push_str(&table.render(true));
    }
    text
}
