//! The first lines: whose fleet this is, how fresh, and its sums.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use qc_core::cli::human_bytes;
use qc_core::model::Timestamp;

use super::{join_fitting, put, put_right};
use crate::fleet::Snapshot;
use crate::model::Model;
use crate::text::{add, age, age_of, left, rate, skew};

pub(super) fn header(model: &Model, area: Rect, buffer: &mut Buffer) {
    let relay = model
        .snapshot()
        .map_or("-", |snapshot| snapshot.relay.as_str());
    let time = model.snapshot().and_then(|snapshot| snapshot.at);
    let (date, clock) = time.map_or_else(|| (String::new(), "-".to_owned()), date_and_clock);
    let (freshness, style) = freshness(model);
    let every = qc_core::cli::human_duration(model.interval);
    let filter = match (model.filter.as_str(), model.problems_only) {
        ("", false) => "-".to_owned(),
        ("", true) => "problems".to_owned(),
        (text, problems) => {
            let text = crate::fleet::clean(text, model.theme.ascii);
            if problems {
                format!("problems & {text}")
            } else {
                text
            }
        }
    };
    let rights = [
        format!("{date} {clock}  every {every}")
            .trim_start()
            .to_owned(),
        format!("{clock}  every {every}"),
        clock,
    ];
    let left = format!("qc-top  {relay}");
    let tail = format!("  {freshness}  RO");
    let total = usize::from(area.width);
    let fits = |right: &&String| left.len() + 2 + right.len() + tail.len() + 12 <= total;
    let right = rights.iter().find(fits).map_or("", String::as_str);
    let right_width = u16::try_from(right.len() + tail.len())
        .unwrap_or(u16::MAX)
        .min(area.width);
    let left_area = Rect {
        width: area.width.saturating_sub(right_width + 2),
        ..area
    };
    put(
        buffer,
        left_area,
        &format!("{left}  filter: {filter}"),
        Style::new(),
    );
    buffer.set_stringn(area.x, area.y, "qc-top", 6.min(total), model.theme.title());
    let right_area = Rect {
        x: area.x + area.width - right_width,
        width: right_width,
        ..area
    };
    let spans = vec![
        Span::raw(right),
        Span::raw("  "),
        Span::styled(freshness.as_str(), style),
        Span::raw("  RO"),
    ];
    buffer.set_line(
        right_area.x,
        right_area.y,
        &Line::from(spans),
        right_area.width,
    );
}

/// How old what is shown is, in one word and a time.
pub(super) fn freshness(model: &Model) -> (String, Style) {
    let theme = model.theme;
    let since = |then| age_of(model.now.saturating_sub(then));
    if let Some(frozen) = model.frozen {
        return (format!("FROZEN {}", since(frozen)), theme.notice());
    }
    match (&model.outage, &model.shown) {
        // counted from the last answer, for that is how old the page is
        (Some(_), Some((_, came))) => (format!("NO ANSWER {}", since(*came)), theme.bad()),
        (Some((down, _)), None) => (format!("NO ANSWER {}", since(*down)), theme.bad()),
        (None, None) => ("WAITING".to_owned(), theme.notice()),
        (None, Some((_, came))) => {
            let late = model.interval * 2 + std::time::Duration::from_secs(1);
            if model.now.saturating_sub(*came) > late {
                (format!("STALE {}", since(*came)), theme.notice())
            } else {
                ("LIVE".to_owned(), theme.good())
            }
        }
    }
}

pub(super) fn totals(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(snapshot) = model.snapshot() else {
        return;
    };
    let wide = area.width >= 110;
    let gap = if wide { 3 } else { 2 };
    let sum = &snapshot.totals;
    let (rate_in, rate_out) = (rate(sum.in_per_s), rate(sum.out_per_s));
    let mut first = vec![
        counts(snapshot),
        format!("in {rate_in}/s"),
        format!("out {rate_out}/s"),
        format!("dedup {}/s", rate(model.dedup_per_s)),
        format!("refused {}/s", rate(model.refused_per_s)),
    ];
    let both = first
        .iter()
        .take(3)
        .map(|part| part.len() + gap)
        .sum::<usize>()
        - gap;
    if both > usize::from(area.width) {
        // every state at once: closer together there is room for the rates
        first = vec![
            counts(snapshot).replace("  ", " "),
            format!("in {rate_in} out {rate_out}/s"),
        ];
    }
    put(
        buffer,
        area,
        &join_fitting(&first, area.width, gap),
        Style::new(),
    );
    let second = sums(snapshot, wide);
    let below = Rect {
        y: area.y + 1,
        height: 1,
        ..area
    };
    put(
        buffer,
        below,
        &join_fitting(&second, area.width, gap),
        Style::new(),
    );
}

/// `nodes 214: 208 ok  3 warn  1 crit  1 drain  1 down`
pub(crate) fn counts(snapshot: &Snapshot) -> String {
    let totals = &snapshot.totals;
    let mut text = format!("nodes {}: {} ok", snapshot.rows.len(), totals.ok);
    for (n, word) in [
        (totals.warn, "warn"),
        (totals.crit, "crit"),
        (totals.drain, "drain"),
        (totals.stale, "stale"),
        (totals.down, "down"),
    ] {
        if n > 0 {
            add(&mut text, format_args!("  {n} {word}"));
        }
    }
    text
}

/// `backlog 52310 (1.3 GiB)`, `oldest 6h12m edge-012`, certificates, clocks.
pub(crate) fn sums(snapshot: &Snapshot, wide: bool) -> Vec<String> {
    let totals = &snapshot.totals;
    let mut parts = vec![if totals.backlog_messages == 0 {
        "backlog 0".to_owned()
    } else {
        format!(
            "backlog {} ({})",
            totals.backlog_messages,
            human_bytes(totals.backlog_bytes)
        )
    }];
    if let Some((row, ms)) = snapshot.oldest() {
        parts.push(format!("oldest {} {}", age(ms), row.name));
    }
    let expired = snapshot.expired_certificates();
    if expired > 0 {
        parts.push(format!("certs expired {expired}"));
    }
    if let Some((row, seconds)) = snapshot.next_certificate() {
        let name = if wide {
            format!(" {}", row.name)
        } else {
            String::new()
        };
        parts.push(format!("next cert {}{name}", left(seconds)));
    }
    if let Some((row, ms)) = snapshot.worst_clock() {
        let name = if wide {
            format!(" {}", row.name)
        } else {
            String::new()
        };
        parts.push(format!("clock max {}{name}", skew(ms)));
    }
    parts
}

pub(super) fn tabs(model: &Model, area: Rect, buffer: &mut Buffer) {
    put(buffer, area, " [1 Fleet]", model.theme.title());
    let arrow = if model.reverse { '^' } else { 'v' };
    let sort = format!("sort: {} {arrow}", model.sort.as_str());
    put_right(buffer, area, &sort, Style::new());
}

/// All of it in one line, for a terminal that holds no page.
pub(super) fn status_line(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (fresh, _) = freshness(model);
    let mut text = fresh;
    if let Some(snapshot) = model.snapshot() {
        add(
            &mut text,
            format_args!(" {} {}", snapshot.relay, counts(snapshot)),
        );
        for part in sums(snapshot, false) {
            text.push_str("  ");
            text.push_str(&part);
        }
    } else if let Some((_, outage)) = &model.outage {
        add(
            &mut text,
            format_args!(": {} ({})", outage.reason, outage.code),
        );
    }
    Paragraph::new(text)
        .wrap(Wrap { trim: true })
        .render(area, buffer);
}

/// `2026-11-21` and `03:22:07Z`.
fn date_and_clock(time: Timestamp) -> (String, String) {
    let whole = Timestamp::from_millis(time.as_secs() * 1000).to_string();
    match whole.split_once('T') {
        Some((date, clock)) => (date.to_owned(), clock.to_owned()),
        None => ("-".to_owned(), whole),
    }
}
