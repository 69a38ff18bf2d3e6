//! Why the selected or the worst node is as it is, and what to do next.

use qc_core::admin::api::NodeState;
use qc_core::cli::human_bytes;
use qc_core::model::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::put;
use crate::fleet::{Row, Snapshot};
use crate::model::Model;
use crate::text::{add, age, age_of, left, plural, skew};

pub(super) fn strip(model: &Model, area: Rect, buffer: &mut Buffer) {
    let mut lines: Vec<(String, Style)> = Vec::new();
    if let Some((since, outage)) = &model.outage {
        let time = age_of(model.now.saturating_sub(*since));
        let text = format!("no answer for {time}: {} ({})", outage.reason, outage.code);
        lines.push((text, model.theme.bad()));
        if let Some(help) = &outage.help {
            lines.push((format!("  next: {help}"), Style::new()));
        }
    }
    if let Some(snapshot) = model.snapshot() {
        let row = model.row(model.selected().unwrap_or(0));
        let explained = row.map(|row| explain(row, snapshot)).unwrap_or_default();
        lines.extend(explained.into_iter().map(|text| (text, Style::new())));
        let warnings = snapshot.warnings.iter();
        lines.extend(warnings.map(|text| (format!("relay: {text}"), model.theme.notice())));
    }
    for ((text, style), y) in lines.iter().zip(area.y..area.y + area.height) {
        put(
            buffer,
            Rect {
                y,
                height: 1,
                ..area
            },
            text,
            *style,
        );
    }
}

/// What is known of a node, the most wanted first.
pub(crate) fn explain(row: &Row, snapshot: &Snapshot) -> Vec<String> {
    let n = &row.numbers;
    let mut first = format!("{} {}", row.name, row.state());
    if let (Some(since), Some(now)) = (row.since, snapshot.at) {
        add(&mut first, format_args!(" {}", age_of(now.since(since))));
    }
    match (&row.reason, &row.code) {
        (Some(reason), Some(code)) => add(&mut first, format_args!(": {reason} ({code})")),
        (Some(reason), None) => add(&mut first, format_args!(": {reason}")),
        (None, Some(code)) => add(&mut first, format_args!(": {code}")),
        (None, None) => {}
    }
    let mut second = if n.backlog == 0 {
        "  nothing waits".to_owned()
    } else {
        format!(
            "  {} wait ({})",
            plural(n.backlog, "message"),
            human_bytes(n.backlog_bytes)
        )
    };
    if n.up > 0 || n.down > 0 {
        add(
            &mut second,
            format_args!(": {} on the node, {} for it at the relay", n.up, n.down),
        );
    }
    if n.age_ms >= 10_000 {
        add(
            &mut second,
            format_args!("; numbers are {} old", age(n.age_ms)),
        );
    }
    let mut lines = vec![first, second];
    lines.push(format!("  next: {}", next(row)));
    let mut place = format!(
        "  {} at site {}, tenant {}, version {}",
        row.role, row.site, row.tenant, row.version
    );
    if let Some(ms) = n.skew_ms {
        add(&mut place, format_args!(", clock {}", skew(ms)));
    }
    lines.push(place);
    if let (Some(end), Some(seconds)) = (row.cert_not_after, n.cert_left_s) {
        lines.push(certificate(end, seconds));
    }
    lines
}

fn certificate(end: Timestamp, seconds: i64) -> String {
    if seconds <= 0 {
        format!("  certificate expired {end}")
    } else {
        format!("  certificate until {end} ({} left)", left(seconds))
    }
}

/// The command that tells more. Commands of this release only.
fn next(row: &Row) -> String {
    let n = &row.numbers;
    let daemon = if row.role == "relay" {
        "qc-relay"
    } else {
        "qc-edge"
    };
    if n.cert_left_s.is_some_and(|left| left <= 0) {
        return format!("qc-pki list    then on {}: {daemon} status", row.name);
    }
    match n.state {
        NodeState::Ok | NodeState::Drain => {
            format!("none needed; on {}: {daemon} status", row.name)
        }
        NodeState::Down => format!(
            "on {}: systemctl status {daemon}; {daemon} status",
            row.name
        ),
        NodeState::Crit | NodeState::Warn | NodeState::Stale | NodeState::Unknown => {
            format!("on {}: {daemon} status", row.name)
        }
    }
}
