//! Pages of text for scripts and pipes, and the same as JSON. Nothing is cut.

use std::thread;

use qc_core::admin::api::FleetNode;
use qc_core::cli::{Output, OutputFormat, Table, human_bytes};
use qc_core::failure::{Exit, Failure};
use serde::Deserialize as _;
use serde_json::Value;

use crate::cli::Options;
use crate::fetch::{Answer, Source};
use crate::fleet::{Row, Snapshot};
use crate::text::{add, age, left, rate, round_trip, skew};
use crate::view;

/// How a page of text is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// All columns.
    pub(crate) wide: bool,
    /// Header and title lines.
    pub(crate) headers: bool,
}

impl Shape {
    /// What the global flags ask for.
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            wide: output.format() == OutputFormat::Wide,
            headers: !output.no_headers(),
        }
    }
}

/// Prints pages until there are enough. The first question must be answered; later ones may fail,
/// as long as the last does not.
pub(crate) fn run(options: &Options, source: &Source, output: &Output) -> Result<(), Failure> {
    let mut printed = 0_u64;
    let mut asked = 0_u64;
    loop {
        asked += 1;
        let last = options.count == Some(asked);
        match source.fetch() {
            Ok(answer) if output.is_json() => output.line(&json(&answer, options)?)?,
            Ok(answer) => {
                let snapshot = Snapshot::new(&answer.reply, options.theme.ascii);
                let order = snapshot.select(&options.filter, options.sort, options.reverse);
                let gap = if printed > 0 { "\n" } else { "" };
                let page = page(&snapshot, &order, Shape::of(output));
                output.raw(format!("{gap}{page}").as_bytes(), false)?;
            }
            Err(failure) if printed == 0 || last => return Err(failure),
            Err(failure) => {
                output.warn(&failure.message);
                thread::sleep(options.interval);
                continue;
            }
        }
        printed += 1;
        if last {
            return Ok(());
        }
        thread::sleep(options.interval);
    }
}

/// The page of `snapshot` with the rows of `order`.
pub(crate) fn page(snapshot: &Snapshot, order: &[usize], shape: Shape) -> String {
    let mut text = String::new();
    if shape.headers {
        let time = snapshot
            .at
            .map_or_else(|| "-".to_owned(), |at| at.to_string());
        let region = snapshot
            .region
            .as_ref()
            .map(|region| format!("  region {region}"));
        add(
            &mut text,
            format_args!(
                "qc-top  {}{}  {time}\n",
                snapshot.relay,
                region.unwrap_or_default()
            ),
        );
        let totals = &snapshot.totals;
        let rates = format!(
            "in {}/s  out {}/s",
            rate(totals.in_per_s),
            rate(totals.out_per_s)
        );
        add(
            &mut text,
            format_args!("{}  {rates}\n", view::counts(snapshot)),
        );
        text.push_str(&view::sums(snapshot, true).join("  "));
        text.push('\n');
        for warning in &snapshot.warnings {
            add(&mut text, format_args!("relay: {warning}\n"));
        }
        text.push('\n');
    }
    let rows = order.iter().filter_map(|at| snapshot.rows.get(*at));
    let mut table = if shape.wide {
        Table::new(&[
            "", "NODE", "SITE", "TENANT", "ROLE", "STATE", "CODE", ">BACKLOG", ">BYTES", ">UP",
            ">DOWN", ">OLDEST", ">IN/S", ">OUT/S", ">DISK", ">RTT", ">CERT", ">CLOCK", ">AGE",
            "VER", "REASON",
        ])
    } else {
        Table::new(&[
            "", "NODE", "SITE", "STATE", ">BACKLOG", ">OLDEST", ">IN/S", ">OUT/S", ">DISK",
            ">CERT", "VER",
        ])
    };
    for row in rows {
        table.row(if shape.wide { wide(row) } else { narrow(row) });
    }
    text.push_str(&table.render(shape.headers));
    text
}

fn narrow(row: &Row) -> Vec<String> {
    let n = &row.numbers;
    vec![
        row.mark().to_string(),
        row.name.clone(),
        row.site.clone(),
        row.state().to_owned(),
        n.backlog.to_string(),
        known(n.oldest_ms, age),
        rate(n.in_per_s),
        rate(n.out_per_s),
        known(n.disk, |n| format!("{n}%")),
        known(n.cert_left_s, left),
        row.version.clone(),
    ]
}

fn wide(row: &Row) -> Vec<String> {
    let n = &row.numbers;
    vec![
        row.mark().to_string(),
        row.name.clone(),
        row.site.clone(),
        row.tenant.clone(),
        row.role.clone(),
        row.state().to_owned(),
        row.code.clone().unwrap_or_else(|| "-".to_owned()),
        n.backlog.to_string(),
        human_bytes(n.backlog_bytes).replace(' ', ""),
        n.up.to_string(),
        n.down.to_string(),
        known(n.oldest_ms, age),
        rate(n.in_per_s),
        rate(n.out_per_s),
        known(n.disk, |n| format!("{n}%")),
        known(n.rtt_ms, round_trip),
        known(n.cert_left_s, left),
        known(n.skew_ms, skew),
        age(n.age_ms),
        row.version.clone(),
        row.reason.clone().unwrap_or_default(),
    ]
}

fn known<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// The answer as it came, with the nodes that pass, in order. Its totals are those of the whole
/// fleet. Only ASCII, so that no name acts on a terminal.
fn json(answer: &Answer, options: &Options) -> Result<String, Failure> {
    let broken = |error: serde_json::Error| {
        Failure::new(Exit::Bug, "QC0001", "cannot write JSON").because(&error)
    };
    let mut reply: Value = serde_json::from_str(&answer.raw).map_err(broken)?;
    if let Some(Value::Array(nodes)) = reply.pointer_mut("/data/nodes") {
        let snapshot = Snapshot::new(&answer.reply, false);
        let order = snapshot.select(&options.filter, options.sort, options.reverse);
        let mut kept = Vec::with_capacity(order.len());
        for at in order {
            kept.extend(nodes.get_mut(at).map(Value::take));
        }
        debug_assert!(kept.iter().all(|node| FleetNode::deserialize(node).is_ok()));
        *nodes = kept;
    }
    serde_json::to_string(&reply)
        .map(|json| ascii(&json))
        .map_err(broken)
}

/// JSON with everything outside printable ASCII spelled out, which only occurs within strings.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if (' '..='~').contains(&c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                add(&mut out, format_args!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
