//! The ledger as text, and the verdict over it: the same on relay and edge.

use super::{Exit, Failure, Table};
use crate::admin::api::Ledger;
use crate::safe_text::safe;

/// The ledger as a table.
pub fn ledger_text(ledger: &Ledger, headers: bool) -> String {
    let mut table = Table::new(&[
        "STREAM", "CONSUMER", ">IN", ">ACKED", ">PENDING", ">GAPS", ">REFUSED", "BALANCE",
    ]);
    for row in &ledger.rows {
        table.row([
            safe(&row.stream, 200),
            safe(&row.consumer, 200),
            row.received.to_string(),
            row.acked.to_string(),
            row.pending.to_string(),
            row.gaps.to_string(),
            row.refused.to_string(),
            if row.balanced {
                "ok".to_owned()
            } else {
                "UNBALANCED".to_owned()
            },
        ]);
    }
    table.render(headers)
}

/// A failure unless the ledger balances.
pub fn ledger_verdict(ledger: &Ledger, program: &str) -> Result<(), Failure> {
    if ledger.balanced {
        return Ok(());
    }
    Err(
        Failure::new(Exit::Problems, "QC3005", "the ledger does not balance")
            .help(format!("{program} status    shows what recovery found")),
    )
}
