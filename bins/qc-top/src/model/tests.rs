//! Keys and answers move the model as they should.

use super::*;
use crate::fixture::{fleet, node, options, reply, snapshot};
use qc_core::admin::api::FleetNode;

const AT: Duration = Duration::from_mins(1);

fn model() -> Model {
    let mut model = Model::new(&options(), (80, 24));
    update(&mut model, Event::Answer(Box::new(snapshot())), AT);
    model
}

fn press(model: &mut Model, keys: &str) -> Effect {
    let mut effect = Effect::None;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        let now = model.now;
        effect = update(
            model,
            Event::Key(KeyEvent::new(code, KeyModifiers::NONE)),
            now,
        );
    }
    effect
}

fn answer(model: &mut Model, nodes: Vec<FleetNode>, now: Duration) -> Effect {
    let fleet = qc_core::admin::api::Fleet { nodes, ..fleet() };
    update(
        model,
        Event::Answer(Box::new(Snapshot::new(&reply(fleet), false))),
        now,
    )
}

fn names(model: &Model) -> Vec<&str> {
    (0..model.order.len())
        .filter_map(|at| model.row(at))
        .map(|row| row.name.as_str())
        .collect()
}

#[test]
fn the_worst_comes_first() {
    let model = model();
    let worst = names(&model);
    assert_eq!(
        worst[..7],
        [
            "edge-012",
            "edge-044",
            "relay-eu-2",
            "edge-031",
            "edge-107",
            "edge-003",
            "edge-200"
        ]
    );
    assert_eq!(model.selected(), None);
}

#[test]
fn sorting_and_reversing() {
    let mut model = model();
    press(&mut model, "s"); // name
    assert_eq!(names(&model)[0], "edge-003");
    press(&mut model, "r");
    assert_eq!(names(&model)[0], "relay-eu-2");
    press(&mut model, "ss"); // site, backlog
    assert!(!model.reverse);
    assert_eq!(names(&model)[0], "edge-012");
    press(&mut model, "sssssss"); // and around again
    assert_eq!(model.sort, SortBy::Severity);
}

#[test]
fn the_selection_follows_its_node() {
    let mut model = model();
    press(&mut model, "jj");
    assert_eq!(
        model.row(model.selected().unwrap()).unwrap().name,
        "edge-044"
    );
    press(&mut model, "s");
    assert_eq!(
        model.row(model.selected().unwrap()).unwrap().name,
        "edge-044"
    );
    // its node is gone: the worst is explained again
    answer(&mut model, vec![node("edge-1", NodeState::Ok, 0)], AT);
    assert_eq!(model.selected(), None);
    press(&mut model, "k");
    assert_eq!(model.selected(), Some(0));
}

#[test]
fn the_page_follows_the_selection() {
    let mut model = model();
    press(&mut model, "G");
    assert_eq!(model.selected(), Some(213));
    assert_eq!(model.top + page_rows(model.size), 214);
    update(&mut model, Event::Resize(120, 40), AT);
    assert_eq!(model.top + page_rows(model.size), 214);
    press(&mut model, "g");
    assert_eq!((model.selected(), model.top), (Some(0), 0));
    for _ in 0..5 {
        update(
            &mut model,
            Event::Key(KeyEvent::new(KeyCode::PageDown, KeyModifiers::NONE)),
            AT,
        );
    }
    let at = model.selected().unwrap();
    assert!((model.top..model.top + page_rows(model.size)).contains(&at));
    press(&mut model, "\x1b");
    assert_eq!((model.selected(), model.top), (None, 0));
}

#[test]
fn filtering() {
    let mut model = model();
    press(&mut model, "/state!=ok & backlog>1000\n");
    assert_eq!(names(&model), ["edge-012", "edge-044", "edge-031"]);
    assert_eq!(model.prompt, None);
    // the line starts with the filter there is
    press(&mut model, "/\x08x\n");
    assert!(model.prompt.as_ref().unwrap().error.is_some());
    press(&mut model, "\x1b");
    assert_eq!(model.order.len(), 3);
    update(
        &mut model,
        Event::Key(KeyEvent::new(KeyCode::Char('/'), KeyModifiers::NONE)),
        AT,
    );
    update(
        &mut model,
        Event::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)),
        AT,
    );
    update(&mut model, Event::Paste("edge\x1b-03\n".repeat(500)), AT);
    assert!(model.prompt.as_ref().unwrap().text.len() <= MAX_FILTER);
    assert!(!model.prompt.as_ref().unwrap().text.contains('\x1b'));
    press(&mut model, "\x1b!");
    assert_eq!(model.order.len(), 3);
    press(&mut model, "/");
    update(
        &mut model,
        Event::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)),
        AT,
    );
    press(&mut model, "\n");
    assert_eq!(model.order.len(), 6, "problems only");
}

#[test]
fn a_frozen_page_stands_while_numbers_are_collected() {
    let mut model = model();
    press(&mut model, "z");
    answer(&mut model, vec![node("edge-1", NodeState::Ok, 7)], AT * 2);
    assert_eq!(model.snapshot().unwrap().rows.len(), 214);
    assert_eq!(model.history("edge-1.site-1.acme")[9], Some(7));
    press(&mut model, "z");
    assert_eq!(model.snapshot().unwrap().rows.len(), 1);
}

#[test]
fn history_holds_ten_minutes_of_nodes_that_are_there() {
    let mut model = model();
    for minute in 0..30_u32 {
        for second in [0, 20, 40] {
            let at = Duration::from_secs(u64::from(minute) * 60 + second);
            answer(
                &mut model,
                vec![node("edge-1", NodeState::Ok, u64::from(minute) + second)],
                at,
            );
        }
    }
    let history = model.history("edge-1.site-1.acme");
    assert_eq!((history[0], history[9]), (Some(60), Some(69)));
    assert_eq!(model.history.len(), 1);
    model.now += Duration::from_mins(5);
    assert_eq!(model.history("edge-1.site-1.acme")[4..6], [Some(69), None]);
    model.now += Duration::from_hours(30);
    assert_eq!(model.history("edge-1.site-1.acme"), [None; HISTORY_MINUTES]);
}

#[test]
fn rates_of_counters_survive_a_restart_of_the_relay() {
    let mut model = model();
    let with = |dedup| {
        let mut fleet = fleet();
        fleet.totals.dedup = dedup;
        Event::Answer(Box::new(Snapshot::new(&reply(fleet), false)))
    };
    update(&mut model, with(24), AT + Duration::from_secs(2));
    assert!((model.dedup_per_s - 12.0).abs() < 1e-9);
    update(&mut model, with(0), AT + Duration::from_secs(4));
    assert!(model.dedup_per_s.abs() < 1e-9);
}

#[test]
fn an_outage_begins_once_and_ends_with_an_answer() {
    let mut model = model();
    let outage = || Outage {
        code: "QC0601",
        reason: "gone".to_owned(),
        help: None,
    };
    update(&mut model, Event::NoAnswer(outage()), AT * 2);
    update(&mut model, Event::NoAnswer(outage()), AT * 3);
    assert_eq!(model.outage.as_ref().unwrap().0, AT * 2);
    assert!(model.snapshot().is_some());
    answer(&mut model, Vec::new(), AT * 4);
    assert_eq!(model.outage, None);
}

#[test]
fn keys_reach_the_rim() {
    let mut model = model();
    assert_eq!(
        press(&mut model, "+"),
        Effect::Interval(Duration::from_secs(5))
    );
    assert_eq!(
        press(&mut model, "--"),
        Effect::Interval(Duration::from_secs(1))
    );
    assert_eq!(press(&mut model, "-"), Effect::None);
    assert_eq!(press(&mut model, "+++++++"), Effect::None);
    assert_eq!(model.interval, Duration::from_mins(1));
    assert_eq!(press(&mut model, "?q"), Effect::Quit);
    assert_eq!(press(&mut model, "Q"), Effect::QuitAndPrint);
    let suspend = Event::Key(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL));
    assert_eq!(update(&mut model, suspend, AT), Effect::Suspend);
    assert_eq!(update(&mut model, Event::Continued, AT), Effect::Redraw);
    assert_eq!(
        update(&mut model, Event::Leave(143), AT),
        Effect::Leave(143)
    );
}

#[test]
fn help_scrolls_on_a_small_page_and_any_other_key_leaves_it() {
    let mut model = model();
    update(&mut model, Event::Resize(60, 15), AT);
    press(&mut model, "?j");
    assert_eq!(model.help, Some(1));
    press(&mut model, &"j".repeat(100));
    assert_eq!(model.help, Some(last_top(15)));
    press(&mut model, "x");
    assert!(model.help.is_some(), "a key without meaning does nothing");
    press(&mut model, "s");
    assert_eq!((model.help, model.sort), (None, SortBy::Severity));
}

#[test]
fn a_count_of_updates_ends_the_view() {
    let mut model = Model::new(
        &Options {
            count: Some(2),
            ..options()
        },
        (80, 24),
    );
    assert_eq!(answer(&mut model, Vec::new(), AT), Effect::None);
    assert_eq!(answer(&mut model, Vec::new(), AT), Effect::QuitAndPrint);
}
