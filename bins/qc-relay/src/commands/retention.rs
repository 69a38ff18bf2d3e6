//! `qc-relay retention show`

use std::time::Duration;

use qc_core::admin::disk::{LimitRow, RETENTION_SCHEMA, Retention, RetentionRow};
use qc_core::cli::{Context, Failure, Table, human_bytes, human_duration};
use qc_core::safe_text::safe;

/// See how long streams keep their messages
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what every stream keeps, by whose word, and what goes next
    Show,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let Verb::Show = args.verb;
    let text = |kept: &Retention| table(&kept.streams).render(context.headers());
    let shown = context.show("/v1/retention", RETENTION_SCHEMA, text);
    shown.map(drop)
}

fn table(rows: &[RetentionRow]) -> Table {
    let mut table = Table::new(&[
        "STREAM", "CLASS", "KEEP", "EXPIRE", "MOST", ">HOLDS", ">OLDEST", "NEXT",
    ]);
    for row in rows {
        let class = row.class.as_deref().map(|class| safe(class, 200));
        let oldest = row.oldest_s.filter(|_| row.messages > 0);
        table.row([
            safe(&row.stream, 200),
            class.unwrap_or_else(|| "-".to_owned()),
            limit(row, "keep", age),
            limit(row, "expire", age),
            most(row),
            row.messages.to_string(),
            oldest.map_or_else(|| "-".to_owned(), age),
            match row.next_in_s {
                Some(0) => format!("now: {}", safe(&row.next, 200)),
                Some(seconds) => format!("in {}: {}", age(seconds), safe(&row.next, 200)),
                None => safe(&row.next, 200),
            },
        ]);
    }
    table
}

fn age(seconds: u64) -> String {
    human_duration(Duration::from_secs(seconds))
}

fn limit(row: &RetentionRow, name: &str, show: fn(u64) -> String) -> String {
    let found = row.limits.iter().find(|limit| limit.limit == name);
    let said = |limit: &LimitRow| format!("{} {}", show(limit.value), safe(&limit.from, 20));
    found.map_or_else(|| "-".to_owned(), said)
}

fn most(row: &RetentionRow) -> String {
    let value = |name: &str| row.limits.iter().find(|limit| limit.limit == name);
    let messages = value("max_messages").map(|limit| format!("{} messages", limit.value));
    let bytes = value("max_bytes").map(|limit| human_bytes(limit.value));
    let both: Vec<_> = messages.into_iter().chain(bytes).collect();
    if both.is_empty() {
        "-".to_owned()
    } else {
        both.join(", ")
    }
}
