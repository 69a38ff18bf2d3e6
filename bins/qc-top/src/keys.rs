//! The keys, as one table that also prints the help pane.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
    Filter,
    Sort,
    Reverse,
    Problems,
    Freeze,
    Slower,
    Faster,
    Help,
    Back,
    Redraw,
    Suspend,
    Quit,
    QuitAndPrint,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) keys: &'static [KeyCode],
    pub(crate) control: bool,
    /// How the keys are called.
    pub(crate) label: &'static str,
    pub(crate) help: &'static str,
    pub(crate) action: Action,
}

const fn plain(
    keys: &'static [KeyCode],
    label: &'static str,
    help: &'static str,
    action: Action,
) -> Binding {
    Binding {
        keys,
        control: false,
        label,
        help,
        action,
    }
}

const fn control(
    keys: &'static [KeyCode],
    label: &'static str,
    help: &'static str,
    action: Action,
) -> Binding {
    Binding {
        keys,
        control: true,
        label,
        help,
        action,
    }
}

/// Every key there is.
pub(crate) const BINDINGS: &[Binding] = &[
    plain(
        &[KeyCode::Down, KeyCode::Char('j')],
        "Down j",
        "next node",
        Action::Down,
    ),
    plain(
        &[KeyCode::Up, KeyCode::Char('k')],
        "Up k",
        "node before",
        Action::Up,
    ),
    plain(&[KeyCode::PageDown], "PgDn", "next page", Action::PageDown),
    plain(&[KeyCode::PageUp], "PgUp", "page before", Action::PageUp),
    plain(
        &[KeyCode::Home, KeyCode::Char('g')],
        "Home g",
        "first node",
        Action::First,
    ),
    plain(
        &[KeyCode::End, KeyCode::Char('G')],
        "End G",
        "last node",
        Action::Last,
    ),
    plain(
        &[KeyCode::Char('/')],
        "/",
        "filter: site=site-1* & backlog>1000 & state!=ok",
        Action::Filter,
    ),
    plain(
        &[KeyCode::Char('!')],
        "!",
        "problems only, or all again",
        Action::Problems,
    ),
    plain(
        &[KeyCode::Char('s')],
        "s",
        "sort by the next column",
        Action::Sort,
    ),
    plain(
        &[KeyCode::Char('r')],
        "r",
        "sort the other way round",
        Action::Reverse,
    ),
    plain(
        &[KeyCode::Char('z')],
        "z",
        "freeze the page, or go on; numbers are still collected",
        Action::Freeze,
    ),
    plain(&[KeyCode::Char('+')], "+", "ask less often", Action::Slower),
    plain(&[KeyCode::Char('-')], "-", "ask more often", Action::Faster),
    plain(
        &[KeyCode::Esc],
        "Esc",
        "back; the worst node is explained again",
        Action::Back,
    ),
    plain(
        &[KeyCode::Char('?'), KeyCode::Char('h'), KeyCode::F(1)],
        "? h F1",
        "this help",
        Action::Help,
    ),
    control(
        &[KeyCode::Char('l')],
        "Ctrl-L",
        "draw the page anew",
        Action::Redraw,
    ),
    control(
        &[KeyCode::Char('z')],
        "Ctrl-Z",
        "suspend; the shell's fg comes back",
        Action::Suspend,
    ),
    control(&[KeyCode::Char('c')], "Ctrl-C", "quit", Action::Quit),
    plain(&[KeyCode::Char('q')], "q", "quit", Action::Quit),
    plain(
        &[KeyCode::Char('Q')],
        "Q",
        "quit and leave the page on the screen",
        Action::QuitAndPrint,
    ),
];

/// The hints of the last line, the most wanted first.
pub(crate) const HINTS: &[(&str, &str)] = &[
    ("?", "help"),
    ("q", "quit"),
    ("/", "filter"),
    ("!", "problems"),
    ("s", "sort"),
    ("z", "freeze"),
    ("j/k", "move"),
    ("+ -", "interval"),
];

/// What `key` does, if anything.
pub(crate) fn action(key: KeyEvent) -> Option<Action> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let bound = |binding: &&Binding| binding.control == control && binding.keys.contains(&key.code);
    BINDINGS.iter().find(bound).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_one_thing() {
        let key = |code, modifiers| action(KeyEvent::new(code, modifiers));
        assert_eq!(
            key(KeyCode::Char('z'), KeyModifiers::NONE),
            Some(Action::Freeze)
        );
        assert_eq!(
            key(KeyCode::Char('z'), KeyModifiers::CONTROL),
            Some(Action::Suspend)
        );
        assert_eq!(
            key(KeyCode::Char('G'), KeyModifiers::SHIFT),
            Some(Action::Last)
        );
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::ALT), None);
        let mut seen = Vec::new();
        for binding in BINDINGS {
            for code in binding.keys {
                assert!(
                    !seen.contains(&(binding.control, *code)),
                    "{}",
                    binding.label
                );
                seen.push((binding.control, *code));
            }
        }
    }

    #[test]
    fn every_hint_is_a_key() {
        for (label, _) in HINTS {
            for c in label.split(['/', ' ']).filter_map(|key| key.chars().next()) {
                assert!(action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)).is_some());
            }
        }
    }
}
