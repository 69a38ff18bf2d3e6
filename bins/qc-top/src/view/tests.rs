//! Snapshots of every view in several sizes and palettes.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qc_core::admin::api::{Fleet, NodeState};
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::view;
use crate::cli::Options;
use crate::fixture::{fleet, hostile, is_calm, node, options, reply, snapshot};
use crate::fleet::Snapshot;
use crate::model::{Event, Model, Outage, update};
use crate::theme::Theme;

const COLOR: Theme = Theme {
    color: true,
    ascii: false,
};
const MONO: Theme = Theme {
    color: false,
    ascii: false,
};
const ASCII: Theme = Theme {
    color: false,
    ascii: true,
};

fn model(theme: Theme, size: (u16, u16)) -> Model {
    let mut model = Model::new(&Options { theme, ..options() }, size);
    update(
        &mut model,
        Event::Answer(Box::new(snapshot())),
        Duration::ZERO,
    );
    model
}

fn press(model: &mut Model, codes: &[KeyCode]) {
    for code in codes {
        let key = KeyEvent::new(*code, KeyModifiers::NONE);
        update(model, Event::Key(key), model.now);
    }
}

/// The page as text, and below it what is not plain: `line from..to style`.
fn picture(model: &Model) -> String {
    let (width, height) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let (mut page, mut styles) = (String::new(), String::new());
    for y in 0..height {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        writeln!(page, "{}", line.trim_end()).unwrap();
        let style = |x: u16| {
            let cell = &buffer[(x, y)];
            assert_eq!(cell.bg, Color::Reset, "the background is the terminal's");
            (cell.fg, cell.modifier)
        };
        let mut x = 0;
        while x < width {
            let from = x;
            while x < width && style(x) == style(from) {
                x += 1;
            }
            let (fg, modifier) = style(from);
            if (fg, modifier) != (Color::Reset, Modifier::empty()) {
                writeln!(styles, "{y:2} {from}..{x} {fg} {modifier:?}").unwrap();
            }
        }
    }
    assert!(is_calm(&page), "{page:?}");
    format!("{page}\n{styles}")
}

fn check(name: &str, model: &Model) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, picture(model));
    });
}

#[test]
fn the_fleet_in_every_size_and_theme() {
    for size in [(60, 15), (80, 24), (120, 40)] {
        for (word, theme) in [("color", COLOR), ("mono", MONO), ("ascii", ASCII)] {
            let mut model = model(theme, size);
            press(&mut model, &[KeyCode::Down, KeyCode::Down]);
            check(&format!("fleet_{}x{}_{word}", size.0, size.1), &model);
        }
    }
}

#[test]
fn a_tiny_terminal_gets_a_status_line() {
    check("status_line_40x5", &model(MONO, (40, 5)));
    for size in [
        (1, 1),
        (3, 2),
        (59, 40),
        (200, 14),
        (60, 15),
        (61, 20),
        (500, 100),
    ] {
        picture(&model(COLOR, size)); // any size draws
    }
}

#[test]
fn help_fits_80x24() {
    let mut model = model(MONO, (80, 24));
    press(&mut model, &[KeyCode::Char('?')]);
    let page = picture(&model);
    assert!(
        page.contains("\nQ       quit and leave the page on the screen\n"),
        "{page}"
    );
    check("help_80x24", &model);
}

#[test]
fn the_page_without_a_relay_says_why() {
    let mut model = Model::new(&options(), (80, 24));
    assert!(picture(&model).contains("WAITING"));
    let outage = Outage {
        code: "QC0601",
        reason: "qc-relay is not running: there is no socket at /run/qc-relay/admin.sock"
            .to_owned(),
        help: Some("systemctl status qc-relay".to_owned()),
    };
    update(
        &mut model,
        Event::NoAnswer(outage.clone()),
        Duration::from_secs(2),
    );
    update(&mut model, Event::Tick, Duration::from_secs(36));
    check("no_answer_ever_80x24", &model);

    let mut model = self::model(COLOR, (80, 24));
    update(&mut model, Event::NoAnswer(outage), Duration::from_secs(2));
    update(&mut model, Event::Tick, Duration::from_secs(34));
    check("no_answer_any_more_80x24", &model);
}

#[test]
fn freshness_is_told_apart() {
    let mut model = model(MONO, (80, 24));
    let header = |model: &Model| picture(model).lines().next().unwrap_or_default().to_owned();
    assert!(header(&model).ends_with("LIVE  RO"));
    update(&mut model, Event::Tick, Duration::from_secs(8));
    assert!(header(&model).ends_with("STALE 8s  RO"));
    press(&mut model, &[KeyCode::Char('z')]);
    update(&mut model, Event::Tick, Duration::from_secs(20));
    assert!(header(&model).ends_with("FROZEN 12s  RO"));
}

#[test]
fn a_filter_that_fails_says_where() {
    let mut model = model(COLOR, (80, 24));
    press(
        &mut model,
        &"/sate=ok".chars().map(KeyCode::Char).collect::<Vec<_>>(),
    );
    press(&mut model, &[KeyCode::Enter]);
    check("filter_error_80x24", &model);
}

#[test]
fn few_and_no_nodes() {
    let few = |nodes| {
        let mut model = Model::new(&options(), (80, 24));
        let fleet = Fleet { nodes, ..fleet() };
        let snapshot = Snapshot::new(&reply(fleet), false);
        update(
            &mut model,
            Event::Answer(Box::new(snapshot)),
            Duration::ZERO,
        );
        picture(&model)
    };
    assert!(few(Vec::new()).contains("the relay knows no node yet"));
    let two = few(vec![
        node("edge-1", NodeState::Ok, 0),
        node("edge-2", NodeState::Ok, 5),
    ]);
    assert!(two.contains("2/2") && !two.contains("more"), "{two}");
}

#[test]
fn a_hostile_node_acts_on_nothing() {
    for theme in [COLOR, ASCII] {
        for size in [(60, 15), (80, 24), (120, 40), (40, 4)] {
            let mut model = Model::new(&Options { theme, ..options() }, size);
            let mut fleet = fleet();
            fleet.relay.push_str("\x1b[2J");
            fleet.nodes = vec![
                hostile(),
                node("wide-漢字漢字漢字漢字漢字漢字漢字", NodeState::Crit, 1),
            ];
            let snapshot = Snapshot::new(&reply(fleet), theme.ascii);
            update(
                &mut model,
                Event::Answer(Box::new(snapshot)),
                Duration::ZERO,
            );
            let page = picture(&model); // checks that it is calm
            assert!(!theme.ascii || page.is_ascii());
        }
    }
}

/// Counts what goes to the terminal.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Vec<u8>>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_line_can_carry_it() {
    for theme in [COLOR, MONO] {
        let line = Line::default();
        let area = Rect::new(0, 0, 80, 24);
        let viewport = TerminalOptions {
            viewport: Viewport::Fixed(area),
        };
        let backend = CrosstermBackend::new(line.clone());
        let mut terminal = Terminal::with_options(backend, viewport).unwrap();
        crossterm::style::force_color_output(true);
        let mut model = model(theme, (80, 24));
        let mut sent = |model: &Model| {
            terminal.draw(|frame| view(model, frame)).unwrap();
            let bytes = std::mem::take(&mut *line.0.lock().unwrap());
            let text = String::from_utf8_lossy(&bytes);
            // a reset between ESC[7m and the text would kill the highlight
            assert!(theme.color || !text.contains("38;5"), "{text:?}");
            assert!(
                !text.contains("\x1b[;m") && !text.contains("\x1b[m"),
                "{text:?}"
            );
            bytes.len()
        };
        let first = sent(&model);
        assert!(first <= 4096, "the first page takes {first} bytes");

        // two seconds later, every number on the page is another
        let mut fleet = fleet();
        fleet.generated_at = "2026-11-21T03:22:09Z".to_owned();
        for (node, n) in fleet.nodes.iter_mut().zip(1_u32..) {
            node.in_per_s += f64::from(n % 7 + 1);
            node.out_per_s += f64::from(n % 5 + 1);
            node.backlog_messages += u64::from(n);
        }
        let snapshot = Snapshot::new(&reply(fleet), false);
        update(
            &mut model,
            Event::Answer(Box::new(snapshot)),
            Duration::from_secs(2),
        );
        let next = sent(&model);
        assert!(next <= 1024, "an update takes {next} bytes");
        press(&mut model, &[KeyCode::Down]);
        let moved = sent(&model);
        eprintln!("{theme:?}: first page {first}, update {next}, move {moved} bytes");
        assert!(moved <= 1024, "moving takes {moved} bytes");
    }
}
