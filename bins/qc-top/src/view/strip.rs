//! Why the selected or the worst node is as it is, and what to do next.

use qc_core::admin::api::NodeState;
use qc_core::cli::human_bytes;
use qc_core::model::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::put;
use crate::fleet::{Row, Snapshot};
use crate::model::Model;
use crate::text::{add, age, age_of, left, plural};

pub(super) fn strip(model: &Model, area: Rect, buffer: &mut Buffer) {
    let plain = |texts: Vec<String>| texts.into_iter().map(|text| (text, Style::new()));
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut lines: Vec<(String, Style)> = Vec::new();
    if let Some((since, outage)) = &model.outage {
        let time = age_of(model.now.saturating_sub(*since));
        let text = format!("no answer for {time}: {} ({})", outage.reason, outage.code);
        let why = wrap(&text, width, height - 1);
        lines.extend(why.into_iter().map(|text| (text, model.theme.bad())));
        lines.extend(plain(
            outage
                .help
                .iter()
                .map(|help| format!("  next: {help}"))
                .collect(),
        ));
    }
    if let Some(snapshot) = model.snapshot() {
        let row = model.row(model.selected().unwrap_or(0));
        if let Some(row) = row.filter(|_| lines.len() < height) {
            lines.extend(plain(
                explain(row, snapshot).lines(width, height - lines.len()),
            ));
        }
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

/// What is known of a node.
struct Explained {
    why: String,
    waits: String,
    next: String,
    more: Vec<String>,
}

impl Explained {
    /// As many lines as fit: why comes first, the next command is never left out for less.
    fn lines(self, width: usize, height: usize) -> Vec<String> {
        let mut lines = wrap(&self.why, width, height.saturating_sub(1).max(1));
        if lines.len() + 2 <= height {
            let room = height - 1 - lines.len();
            lines.extend(wrap(&self.waits, width, room));
        }
        lines.push(self.next);
        lines.extend(self.more);
        lines.truncate(height);
        lines
    }
}

/// `text` broken between words into at most `most` lines; what does not fit stays in the last.
fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let indent = "    ";
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        let needed = Span::raw(line.as_str()).width() + Span::raw(word.trim_end()).width();
        if needed > width && !line.trim().is_empty() && lines.len() + 1 < most {
            lines.push(line.trim_end().to_owned());
            indent.clone_into(&mut line);
        }
        line.push_str(word);
    }
    lines.push(line.trim_end().to_owned());
    lines
}

fn explain(row: &Row, snapshot: &Snapshot) -> Explained {
    let n = &row.numbers;
    let mut why = format!("{} {}", row.name, row.state());
    if let (Some(since), Some(now)) = (row.since, snapshot.at) {
        add(&mut why, format_args!(" {}", age_of(now.since(since))));
    }
    match (&row.reason, &row.code) {
        (Some(reason), Some(code)) => add(&mut why, format_args!(": {reason} ({code})")),
        (Some(text), None) | (None, Some(text)) => add(&mut why, format_args!(": {text}")),
        (None, None) => {}
    }
    let mut waits = if n.backlog == 0 {
        "  nothing waits".to_owned()
    } else {
        let verb = if n.backlog == 1 { "waits" } else { "wait" };
        let size = human_bytes(n.backlog_bytes);
        format!("  {} {verb} ({size})", plural(n.backlog, "message"))
    };
    if n.up > 0 || n.down > 0 {
        add(
            &mut waits,
            format_args!(": {} on the node, {} for it at the relay", n.up, n.down),
        );
    }
    if n.age_ms >= 10_000 {
        add(
            &mut waits,
            format_args!("; numbers are {} old", age(n.age_ms)),
        );
    }
    let mut more = vec![format!(
        "  {} of site {}, tenant {}, version {}",
        row.role, row.site, row.tenant, row.version
    )];
    if let (Some(end), Some(seconds)) = (row.cert_not_after, n.cert_left_s) {
        more.push(certificate(end, seconds));
    }
    Explained {
        why,
        waits,
        next: format!("  next: {}", next(row)),
        more,
    }
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
    let daemon = if row.role.starts_with("relay") {
        "qc-relay"
    } else {
        "qc-edge"
    };
    if n.cert_left_s.is_some_and(|left| left <= 0) {
        return format!("qc-pki list; on {}: {daemon} status", row.name);
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
