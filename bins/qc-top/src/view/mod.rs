//! The page: from the model to the cells of a frame.
//!
//! ```text
//! header        qc-top  RELAY  filter          time  every 2s  LIVE  RO
//! totals        two lines
//! tabs          the views there are; the sort order      (from 20 lines)
//! table         title line, rows, a line of how many there are
//! strip         why the selected or the worst node is as it is, and the next command
//! keys          or the filter while it is typed
//! ```
//!
//! Below 60x15 there is one status line.

mod header;
mod help;
mod strip;
mod table;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

pub(crate) use header::{counts, sums};
pub(crate) use help::last_top;

use crate::keys::HINTS;
use crate::model::Model;

/// Draws the page.
pub(crate) fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let Some(places) = Places::of((area.width, area.height)) else {
        header::status_line(model, area, buffer);
        return;
    };
    header::header(model, line(area, 0), buffer);
    if model.help.is_some() {
        help::help(model, lines(area, 1, area.height.saturating_sub(1)), buffer);
        return;
    }
    header::totals(model, lines(area, 1, 2), buffer);
    if let Some(y) = places.tabs {
        header::tabs(model, line(area, y), buffer);
    }
    for y in places.rules.into_iter().flatten() {
        put(
            buffer,
            line(area, y),
            &"-".repeat(usize::from(area.width)),
            Style::new(),
        );
    }
    table::table(model, lines(area, places.table, places.rows + 2), buffer);
    strip::strip(model, lines(area, places.strip, places.strip_lines), buffer);
    keys(model, line(area, area.height.saturating_sub(1)), buffer);
}

/// How many nodes fit on a page of `size`.
pub(crate) fn page_rows(size: (u16, u16)) -> usize {
    Places::of(size).map_or(1, |places| usize::from(places.rows))
}

/// Which line holds what.
struct Places {
    tabs: Option<u16>,
    rules: [Option<u16>; 3],
    table: u16,
    /// Rows of nodes; the table has a title line and a last line beside.
    rows: u16,
    strip: u16,
    strip_lines: u16,
}

impl Places {
    fn of((width, height): (u16, u16)) -> Option<Self> {
        if width < 60 || height < 15 {
            return None;
        }
        let tabs = (height >= 20).then_some(3);
        let top_rule = (height >= 30).then_some(4);
        let table = 3 + u16::from(tabs.is_some()) + u16::from(top_rule.is_some());
        let strip_lines = match height {
            ..20 => 2,
            20..30 => 3,
            _ => 5,
        };
        let low_rule = height >= 20; // between strip and keys
        let below = 1 + strip_lines + u16::from(low_rule) + 1;
        let rows = height - table - 2 - below;
        let strip = table + rows + 3;
        Some(Self {
            tabs,
            rules: [
                top_rule,
                Some(strip - 1),
                low_rule.then_some(strip + strip_lines),
            ],
            table,
            rows,
            strip,
            strip_lines,
        })
    }
}

fn keys(model: &Model, area: Rect, buffer: &mut Buffer) {
    if let Some(prompt) = &model.prompt {
        let text = qc_core::safe_text::safe(&prompt.text, 1000);
        let after = match &prompt.error {
            Some(error) => Span::styled(format!("   {error}"), model.theme.bad()),
            None => Span::raw("   Enter applies, Esc cancels"),
        };
        let typed = vec![
            Span::styled("filter: ", model.theme.title()),
            Span::raw(text),
            Span::styled(" ", model.theme.selected()),
        ];
        let mut spans = typed;
        spans.push(after);
        buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
        return;
    }
    let mut x = area.x;
    for (key, does) in HINTS {
        let needed = u16::try_from(key.len() + does.len() + 3).unwrap_or(u16::MAX);
        if x + needed > area.x + area.width + 2 {
            break;
        }
        let hint = Line::from(vec![
            Span::styled(*key, model.theme.title()),
            Span::raw(format!(" {does}  ")),
        ]);
        x = buffer.set_line(x, area.y, &hint, needed).0;
    }
}

fn line(area: Rect, y: u16) -> Rect {
    lines(area, y, 1)
}

fn lines(area: Rect, y: u16, height: u16) -> Rect {
    Rect::new(area.x, area.y + y, area.width, height).intersection(area)
}

/// Writes `text` from the left, with `~` where it is cut.
fn put(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    if Span::raw(text).width() > width {
        buffer.set_stringn(area.x, area.y, text, width.saturating_sub(1), style);
        buffer.set_stringn(area.x + area.width - 1, area.y, "~", 1, style);
    } else {
        buffer.set_stringn(area.x, area.y, text, width, style);
    }
}

/// Writes `text` so that it ends at the right edge of `area`.
fn put_right(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let width = u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX);
    let skip = area.width.saturating_sub(width);
    let rest = Rect::new(area.x + skip, area.y, area.width - skip, area.height);
    put(buffer, rest, text, style);
}

/// As many of `parts` as fit into `width`, the first ones first, `gap` blanks between.
fn join_fitting(parts: &[String], width: u16, gap: usize) -> String {
    let mut text = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let gap = if text.is_empty() { 0 } else { gap };
        let needed = Span::raw(text.as_str()).width() + gap + Span::raw(part.as_str()).width();
        if needed > usize::from(width) {
            break;
        }
        text.push_str(&" ".repeat(gap));
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests;
