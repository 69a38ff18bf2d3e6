//! The help pane, printed from the table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::put;
use crate::fleet::FIELDS;
use crate::keys::BINDINGS;
use crate::model::Model;

const LABEL: usize = 8;
const NAMES_A_LINE: usize = 9;

pub(super) fn help(model: &Model, area: Rect, buffer: &mut Buffer) {
    let lines = lines();
    let room = usize::from(area.height);
    let from = model
        .help
        .unwrap_or(0)
        .min(lines.len().saturating_sub(room));
    for (text, y) in lines.iter().skip(from).zip(area.y..area.y + area.height) {
        put(
            buffer,
            Rect {
                y,
                height: 1,
                ..area
            },
            text,
            Style::new(),
        );
    }
}

/// How far the pane can be scrolled on a page of `height` lines.
pub(crate) fn last_top(height: u16) -> usize {
    lines()
        .len()
        .saturating_sub(usize::from(height.saturating_sub(1)))
}

fn lines() -> Vec<String> {
    let mut lines = vec!["MARKS   X down or critical  ! warning  D draining  ? stale".to_owned()];
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    for (at, names) in names.chunks(NAMES_A_LINE).enumerate() {
        let label = if at == 0 { "FILTER" } else { "" };
        lines.push(format!("{label:<LABEL$}{}", names.join(" ")));
    }
    lines.extend(
        BINDINGS
            .iter()
            .map(|b| format!("{:<LABEL$}{}", b.label, b.help)),
    );
    lines
}
