//! Colours and characters. Nothing is said by colour alone, so the mono theme loses nothing.

use qc_core::admin::api::NodeState;
use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// The 16 ANSI colours; without, only bold and reverse over the terminal's own colours, since
    /// crossterm resets a reversed cell when `NO_COLOR` is set and the cell names a colour.
    pub(crate) color: bool,
    /// No character outside ASCII.
    pub(crate) ascii: bool,
}

impl Theme {
    /// A node's state.
    pub(crate) fn state(self, state: NodeState) -> Style {
        match state {
            NodeState::Down | NodeState::Crit => self.bad(),
            NodeState::Warn => self.fg(Color::Yellow),
            NodeState::Drain => self.fg(Color::Cyan),
            NodeState::Stale | NodeState::Unknown => self.fg(Color::Magenta),
            NodeState::Ok => Style::new(),
        }
    }

    /// What needs an operator.
    pub(crate) fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What is in order and worth saying.
    pub(crate) fn good(self) -> Style {
        self.fg(Color::Green)
    }

    /// What is to be noticed without being bad.
    pub(crate) fn notice(self) -> Style {
        self.fg(Color::Yellow)
    }

    /// The row that the keys act on.
    #[expect(clippy::unused_self, reason = "the theme is asked for every style")]
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Titles.
    #[expect(clippy::unused_self, reason = "the theme is asked for every style")]
    pub(crate) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The steps of a little graph, from nothing to most.
    pub(crate) fn steps(self) -> &'static [char] {
        if self.ascii {
            &['_', '.', '-', '=', '*', '#']
        } else {
            &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        }
    }

    fn fg(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}
