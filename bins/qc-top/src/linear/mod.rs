//! One sentence for each change, appended: for screen readers, simple terminals and logs.

use std::collections::{HashMap, HashSet};
use std::thread;

use qc_core::cli::Output;
use qc_core::failure::Failure;

use crate::cli::Options;
use crate::fetch::Source;
use crate::fleet::{Row, Snapshot};
use crate::model::Outage;
use crate::text::{add, age, plural};
use crate::view;

/// Prints what is, then what changes, until there were enough updates.
pub(crate) fn run(options: &Options, source: &Source, output: &Output) -> Result<(), Failure> {
    let mut before: Option<Snapshot> = None;
    let mut silent: Option<Outage> = None;
    let mut asked = 0_u64;
    loop {
        asked += 1;
        let last = options.count == Some(asked);
        match source.fetch() {
            Ok(answer) => {
                if silent.take().is_some() {
                    output.line("The relay answers again.")?;
                }
                let now = Snapshot::new(&answer.reply, options.theme.ascii);
                for sentence in sentences(before.as_ref(), &now, options) {
                    output.line(&sentence)?;
                }
                before = Some(now);
            }
            Err(failure) if before.is_none() || last => return Err(failure),
            Err(failure) => {
                let outage = Outage::of(&failure, options.theme.ascii);
                if silent.as_ref() != Some(&outage) {
                    output.line(&format!("No answer: {} ({}).", outage.reason, outage.code))?;
                }
                silent = Some(outage);
            }
        }
        if last {
            return Ok(());
        }
        thread::sleep(options.interval);
    }
}

/// What to say about `now` to somebody who has heard `before`.
fn sentences(before: Option<&Snapshot>, now: &Snapshot, options: &Options) -> Vec<String> {
    let order = now.select(&options.filter, options.sort, options.reverse);
    let rows = order.iter().filter_map(|at| now.rows.get(*at));
    let time = now.at.map(|at| format!("{at} ")).unwrap_or_default();
    let Some(before) = before else {
        let sums = view::sums(now, true).join(", ");
        let mut said = vec![format!(
            "{time}Relay {}: {}. {sums}.",
            now.relay,
            view::counts(now).replace("  ", ", ")
        )];
        let problems = rows.filter(|row| row.state() != "OK");
        said.extend(problems.map(|row| format!("{time}{}", state(row))));
        return said;
    };
    let known: HashMap<String, &Row> = before.rows.iter().map(|row| (row.key(), row)).collect();
    let mut said = Vec::new();
    for row in rows {
        match known.get(&row.key()) {
            None => said.push(format!("{time}New: {}", state(row))),
            Some(old) if (old.state(), &old.code) != (row.state(), &row.code) => {
                said.push(format!("{time}{}", state(row)));
            }
            Some(old) => said.extend(backlog(old, row).map(|text| format!("{time}{text}"))),
        }
    }
    let present: HashSet<String> = now.rows.iter().map(Row::key).collect();
    let gone = before
        .rows
        .iter()
        .filter(|row| !present.contains(&row.key()));
    let gone = gone.filter(|row| options.filter.matches(|field| row.field(field)));
    said.extend(gone.map(|row| format!("{time}{} is gone from the fleet.", row.name)));
    said
}

/// `edge-012 is DOWN: its certificate expired (QC2003). 41310 messages wait.`
fn state(row: &Row) -> String {
    let mut text = format!("{} is {}", row.name, row.state());
    if let Some(reason) = &row.reason {
        add(
            &mut text,
            format_args!(": {}", reason.trim_end_matches('.')),
        );
    }
    if let Some(code) = &row.code {
        add(&mut text, format_args!(" ({code})"));
    }
    text.push('.');
    let n = &row.numbers;
    if n.backlog > 0 {
        let verb = if n.backlog == 1 { "waits" } else { "wait" };
        add(
            &mut text,
            format_args!(" {} {verb}", plural(n.backlog, "message")),
        );
        if let Some(ms) = n.oldest_ms {
            add(&mut text, format_args!(", the oldest for {}", age(ms)));
        }
        text.push('.');
    }
    text
}

/// A backlog that began, ended, or grew or shrank tenfold.
fn backlog(old: &Row, new: &Row) -> Option<String> {
    let (old, now) = (old.numbers.backlog, new.numbers.backlog);
    match (old, now) {
        (0, 0) => None,
        (_, 0) => Some(format!("{} has no backlog any more.", new.name)),
        _ if digits(old) != digits(now) && now >= 100 => {
            let direction = if now > old { "grew" } else { "shrank" };
            Some(format!("The backlog of {} {direction} to {now}.", new.name))
        }
        _ => None,
    }
}

fn digits(n: u64) -> u32 {
    n.checked_ilog10().map_or(0, |log| log + 1)
}

#[cfg(test)]
mod tests;
