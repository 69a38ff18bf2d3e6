//! Pages of text and JSON: what they show, how often, and that nothing hostile passes.

use super::*;
use crate::fixture::{fleet, hostile, is_calm, options, reply};
use crate::fleet::FIELDS;
use qc_core::filter::Filter;

const SHAPE: Shape = Shape {
    wide: false,
    headers: true,
};

fn problems() -> Options {
    Options {
        filter: Filter::parse("state!=ok", FIELDS).unwrap(),
        ..options()
    }
}

fn page_of(shape: Shape) -> String {
    let snapshot = Snapshot::new(&reply(fleet()), false);
    let options = problems();
    page(
        &snapshot,
        &snapshot.select(&options.filter, options.sort, false),
        shape,
    )
}

#[test]
fn pages_of_text() {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("batch", page_of(SHAPE));
        insta::assert_snapshot!("batch_wide", page_of(Shape { wide: true, ..SHAPE }));
    });
    let bare = page_of(Shape {
        headers: false,
        ..SHAPE
    });
    assert_eq!(bare.lines().count(), 6);
}

#[test]
fn a_hostile_node_acts_on_nothing() {
    let mut fleet = fleet();
    fleet.nodes.push(hostile());
    let answer = reply(fleet);
    let snapshot = Snapshot::new(&answer, false);
    let order = snapshot.select(&options().filter, options().sort, false);
    for wide in [false, true] {
        assert!(is_calm(&page(&snapshot, &order, Shape { wide, ..SHAPE })));
    }
    let raw = serde_json::to_string(&answer).unwrap();
    let json = json(&Answer { raw, reply: answer }, &options()).unwrap();
    assert!(json.chars().all(|c| (' '..='~').contains(&c)));
    let back: Value = serde_json::from_str(&json).unwrap();
    let names = back["data"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["name"]);
    assert!(
        names
            .into_iter()
            .any(|name| *name == hostile().name.as_str()),
        "the same after reading"
    );
}

#[test]
fn json_keeps_what_this_version_does_not_know() {
    let raw = r#"{"schema":"qc.fleet/1","generated_at":"t","source":"hub","new":1,
        "data":{"relay":"hub","nodes":[{"name":"b","state":"ok","mood":"\ud83d\ude00"},
        {"name":"a","state":"hibernating"},{"name":"c","state":"down"}]}}"#;
    let answer = Answer::parse(raw.to_owned()).unwrap();
    let json = json(&answer, &options()).unwrap();
    assert_eq!(
        json,
        r#"{"schema":"qc.fleet/1","generated_at":"t","source":"hub","new":1,"data":{"relay":"hub","nodes":[{"name":"c","state":"down"},{"name":"a","state":"hibernating"},{"name":"b","state":"ok","mood":"\ud83d\ude00"}]}}"#
    );
}
