//! The table of nodes: columns as data, dropped from the least wanted on when the page is narrow.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{put, put_right};
use crate::fleet::Row;
use crate::model::Model;
use crate::text::{add, age, count, left, rate, round_trip, skew};

#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    width: Width,
    right: bool,
    /// On pages of 110 columns and more only.
    wide: bool,
    /// Dropped in this order when the page is narrow; 0 stays.
    drop: u8,
    cell: fn(&Row, &Model) -> String,
}

#[derive(Clone, Copy)]
enum Width {
    Fixed(u16),
    /// As wide as the widest cell of the page, between these; on narrow pages at most two thirds
    /// of the second.
    Fitted(u16, u16),
}

const fn column(
    title: &'static str,
    width: Width,
    drop: u8,
    cell: fn(&Row, &Model) -> String,
) -> Column {
    Column {
        title,
        width,
        right: true,
        wide: false,
        drop,
        cell,
    }
}

const fn words(column: Column) -> Column {
    Column {
        right: false,
        ..column
    }
}

const fn wide(column: Column) -> Column {
    Column {
        wide: true,
        ..column
    }
}

const COLUMNS: &[Column] = &[
    words(column("NODE", Width::Fitted(8, 24), 0, |row, _| {
        row.name.clone()
    })),
    words(column("SITE", Width::Fitted(4, 16), 3, |row, _| {
        row.site.clone()
    })),
    words(column("STATE", Width::Fixed(5), 0, |row, _| {
        row.state().to_owned()
    })),
    column("BACKLOG", Width::Fixed(7), 0, |row, _| {
        count(row.numbers.backlog)
    }),
    words(wide(column("LAST 10m", Width::Fixed(10), 0, graph))),
    column("OLDEST", Width::Fixed(6), 0, |row, _| {
        known(row.numbers.oldest_ms, age)
    }),
    column("IN/S", Width::Fixed(5), 2, |row, _| {
        rate(row.numbers.in_per_s)
    }),
    column("OUT/S", Width::Fixed(5), 0, |row, _| {
        rate(row.numbers.out_per_s)
    }),
    column("DISK", Width::Fixed(4), 5, |row, _| {
        known(row.numbers.disk, |n| format!("{n}%"))
    }),
    wide(column("RTT", Width::Fixed(6), 0, |row, _| {
        known(row.numbers.rtt_ms, round_trip)
    })),
    column("CERT", Width::Fixed(5), 4, |row, _| {
        known(row.numbers.cert_left_s, left)
    }),
    wide(column("CLOCK", Width::Fixed(7), 0, |row, _| {
        known(row.numbers.skew_ms, skew)
    })),
    words(column("VER", Width::Fitted(3, 12), 1, |row, _| {
        row.version.clone()
    })),
];

/// Draws title line, rows and last line into `area`.
pub(super) fn table(model: &Model, area: Rect, buffer: &mut Buffer) {
    let room = usize::from(area.height.saturating_sub(2));
    let rows: Vec<(usize, &Row)> = (model.top..)
        .take(room)
        .map_while(|at| Some((at, model.row(at)?)))
        .collect();
    let columns = fit(model, &rows, area.width);
    let mut x = area.x + 1;
    for (column, width) in &columns {
        let cell = Rect::new(x, area.y, *width, 1);
        let style = model.theme.title();
        if column.right {
            put_right(buffer, cell, column.title, style);
        } else {
            put(buffer, cell, column.title, style);
        }
        x += width + 1;
    }
    let selected = model.selected();
    for ((at, row), y) in rows.iter().zip(area.y + 1..) {
        let state = model.theme.state(row.numbers.state);
        buffer.set_string(area.x, y, row.mark().to_string(), state);
        let mut x = area.x + 1;
        for (column, width) in &columns {
            let text = (column.cell)(row, model);
            let style = if column.title == "STATE" {
                state
            } else {
                Style::new()
            };
            let cell = Rect::new(x, y, *width, 1);
            if column.right {
                put_right(buffer, cell, &text, style);
            } else {
                put(buffer, cell, &text, style);
            }
            x += width + 1;
        }
        if selected == Some(*at) {
            buffer.set_style(Rect::new(area.x, y, area.width, 1), model.theme.selected());
        }
    }
    let last = Rect {
        y: area.y + area.height.saturating_sub(1),
        height: 1,
        ..area
    };
    summary(model, rows.len(), last, buffer);
}

/// The columns that fit, with their widths.
fn fit(model: &Model, rows: &[(usize, &Row)], width: u16) -> Vec<(&'static Column, u16)> {
    let measured = |column: &Column| match column.width {
        Width::Fixed(width) => width,
        Width::Fitted(least, most) => {
            let cells = rows
                .iter()
                .map(|(_, row)| Span::raw((column.cell)(row, model)).width());
            u16::try_from(cells.max().unwrap_or(0))
                .unwrap_or(most)
                .clamp(least, if width >= 110 { most } else { most * 2 / 3 })
        }
    };
    let wanted = COLUMNS.iter().filter(|column| width >= 110 || !column.wide);
    let mut columns: Vec<(&Column, u16)> =
        wanted.map(|column| (column, measured(column))).collect();
    for drop in 1..=5 {
        let needed: u16 = 1 + columns.iter().map(|(_, width)| width + 1).sum::<u16>();
        if needed <= width + 1 {
            break;
        }
        columns.retain(|(column, _)| column.drop != drop);
    }
    columns
}

fn summary(model: &Model, drawn: usize, area: Rect, buffer: &mut Buffer) {
    let Some(snapshot) = model.snapshot() else {
        return;
    };
    let passing = model.order.len();
    let after = model.top + drawn;
    let hidden = passing.saturating_sub(after);
    let rest = (after..passing).filter_map(|at| model.row(at));
    let text = if passing == 0 && !snapshot.rows.is_empty() {
        " no node passes; / changes the filter".to_owned()
    } else if passing == 0 {
        " the relay knows no node yet".to_owned()
    } else if hidden == 0 {
        String::new()
    } else {
        match rest
            .min_by_key(|row| row.numbers.state.rank())
            .map(Row::state)
        {
            Some("OK") => format!(" ... {hidden} more, all OK"),
            Some(worst) => format!(" ... {hidden} more, the worst {worst}"),
            None => String::new(),
        }
    };
    put(buffer, area, &text, Style::new());
    let mut place = match model.selected() {
        Some(at) => format!("{}/{passing}", at + 1),
        None => format!("{after}/{passing}"),
    };
    if passing < snapshot.rows.len() {
        add(&mut place, format_args!(" of {}", snapshot.rows.len()));
    }
    if passing > 0 {
        put_right(buffer, area, &place, Style::new());
    }
}

/// The backlog of the last ten minutes against its own highest.
fn graph(row: &Row, model: &Model) -> String {
    let steps = model.theme.steps();
    let minutes = model.history(&row.key());
    let most = minutes.iter().flatten().max().copied().unwrap_or(0);
    let top = u128::try_from(steps.len() - 1).unwrap_or(0);
    let step = |backlog: &Option<u64>| {
        let Some(backlog) = backlog else {
            return ' ';
        };
        // what is not nothing stands above the ground line
        let height = (u128::from(*backlog) * top).div_ceil(u128::from(most.max(1)));
        steps
            .get(usize::try_from(height).unwrap_or(0))
            .copied()
            .unwrap_or(' ')
    };
    minutes.iter().map(step).collect()
}

fn known<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}
