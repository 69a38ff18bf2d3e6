//! `ledger check`: the ledger as text, and the verdict over it, the same on relay and edge.

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure, Table};
use crate::admin::api::{LEDGER_SCHEMA, Ledger, LedgerRow};
use crate::safe_text::safe;

/// Hold what came in against what went on and what is kept
#[derive(Debug, Args)]
pub struct LedgerCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check that every stream balances: in = acked + pending + expired + dead-lettered + purged
    Check,
}

impl LedgerCommand {
    /// Asks the running daemon, prints, and fails unless the ledger balances.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let Verb::Check = self.verb;
        let headers = context.headers();
        let ledger = context.show("/v1/ledger", LEDGER_SCHEMA, |ledger| text(ledger, headers))?;
        verdict(&ledger, context.program.name)
    }
}

/// How a column is called and what stands in it.
type Column = (&'static str, fn(&LedgerRow) -> String);

/// The ledger as a table. What is rare has a column only where there is some of it.
fn text(ledger: &Ledger, headers: bool) -> String {
    let mut columns: Vec<Column> = vec![
        ("STREAM", |row| safe(&row.stream, 200)),
        ("CONSUMER", |row| safe(&row.consumer, 200)),
        (">IN", |row| row.received.to_string()),
        (">ACKED", |row| row.acked.to_string()),
        (">PENDING", |row| row.pending.to_string()),
    ];
    let rare: [Column; 3] = [
        (">EXPIRED", |row| row.expired.to_string()),
        (">DEAD", |row| row.dead_lettered.to_string()),
        (">PURGED", |row| row.purged.to_string()),
    ];
    let is_there = |(_, cell): &Column| ledger.rows.iter().any(|row| cell(row) != "0");
    columns.extend(rare.into_iter().filter(is_there));
    columns.extend::<[Column; 3]>([
        (">GAPS", |row| row.gaps.to_string()),
        (">REFUSED", |row| row.refused.to_string()),
        ("BALANCE", |row| {
            let word = if row.balanced { "ok" } else { "UNBALANCED" };
            word.to_owned()
        }),
    ]);
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let mut table = Table::new(&names);
    for row in &ledger.rows {
        table.row(columns.iter().map(|(_, cell)| cell(row)));
    }
    table.render(headers)
}

/// A failure unless the ledger balances.
fn verdict(ledger: &Ledger, program: &str) -> Result<(), Failure> {
    if ledger.balanced {
        return Ok(());
    }
    Err(
        Failure::new(Exit::Problems, "QC3005", "the ledger does not balance")
            .help(format!("{program} status    shows what recovery found")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_up_can_be_seen() {
        let plain = LedgerRow {
            stream: "acme/a".to_owned(),
            consumer: "sink.a".to_owned(),
            received: 5,
            acked: 5,
            ..LedgerRow::default()
        };
        let dead = LedgerRow {
            acked: 4,
            dead_lettered: 1,
            ..plain.clone()
        };
        assert_eq!(
            text(&Ledger::of(vec![plain.clone()]), true),
            "STREAM  CONSUMER  IN  ACKED  PENDING  GAPS  REFUSED  BALANCE\n\
             acme/a  sink.a     5      5        0     0        0  ok\n"
        );
        assert_eq!(
            text(&Ledger::of(vec![plain, dead]), true),
            "STREAM  CONSUMER  IN  ACKED  PENDING  DEAD  GAPS  REFUSED  BALANCE\n\
             acme/a  sink.a     5      5        0     0     0        0  ok\n\
             acme/a  sink.a     5      4        0     1     0        0  ok\n"
        );
    }
}
