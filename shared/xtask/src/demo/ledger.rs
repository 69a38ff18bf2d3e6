//! The closing table: what went in, where it is now, and whether that adds up.

use qc_core::cli::Table;
use serde::Serialize;

/// One stream's account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The stream.
    pub stream: String,
    /// Messages that were acknowledged to their source.
    pub taken_in: u64,
    /// Messages that arrived at the far end, each counted once.
    pub delivered: u64,
    /// Messages that are durable somewhere on the way.
    pub stored: u64,
    /// Numbers that are missing between the first and the last that arrived.
    pub gaps: u64,
    /// Arrivals beyond the first of a message.
    pub duplicates: u64,
}

impl Row {
    /// `in = delivered + stored`, no gap, no duplicate.
    pub fn balances(&self) -> bool {
        self.delivered.checked_add(self.stored) == Some(self.taken_in)
            && self.gaps == 0
            && self.duplicates == 0
    }
}

/// The accounts of all streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// One row a stream.
    pub rows: Vec<Row>,
}

impl Ledger {
    /// Every row balances, and something went through at all.
    pub fn balances(&self) -> bool {
        self.rows.iter().all(Row::balances) && self.rows.iter().any(|row| row.delivered > 0)
    }

    /// The table for people; each row says whether it balances.
    pub fn text(&self) -> String {
        let mut table = Table::new(&[
            "STREAM",
            ">IN",
            ">DELIVERED",
            ">STORED",
            ">GAPS",
            ">DUPLICATES",
            "BALANCE",
        ]);
        for row in &self.rows {
            let counts = [
                row.taken_in,
                row.delivered,
                row.stored,
                row.gaps,
                row.duplicates,
            ];
            let numbers = counts.map(|count| count.to_string());
            let balance = if row.balances() { "ok" } else { "BROKEN" };
            let cells = std::iter::once(row.stream.clone()).chain(numbers);
            table.row(cells.chain([balance.to_owned()]));
        }
        table.render(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: [u64; 5], balances: bool) {
        let [taken_in, delivered, stored, gaps, duplicates] = counts;
        let row = Row {
            stream: "acme/files".to_owned(),
            taken_in,
            delivered,
            stored,
            gaps,
            duplicates,
        };
        let ledger = Ledger { rows: vec![row] };
        assert_eq!(ledger.balances(), balances, "{}", ledger.text());
        assert_eq!(ledger.text().contains("BROKEN"), !balances);
    }

    #[test]
    fn adds_up_or_not() {
        check([22, 22, 0, 0, 0], true);
        check([22, 20, 2, 0, 0], true);
        check([22, 21, 0, 0, 0], false);
        check([22, 23, 0, 0, 0], false);
        check([22, 22, 0, 1, 0], false);
        check([22, 22, 0, 0, 1], false);
        check([1, u64::MAX, 2, 0, 0], false);
        assert!(!Ledger::default().balances(), "nothing is not success");
    }
}
