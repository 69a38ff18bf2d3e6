//! The closing table: what went in, where it is now, and whether that adds up.

use qc_core::cli::Table;
use serde::Serialize;

/// One stream's account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The stream.
    pub stream: String,
    /// Messages that were given to site A: files dropped, lines in them, deliveries posted.
    pub given: u64,
    /// Messages that site A's edge has taken in.
    pub taken_in: u64,
    /// Of these, taken in once more: their sender gave them again, on purpose or because a crash hid
    /// the answer, when they had left site A's buffer; the relay knew them.
    pub again: u64,
    /// Messages that the relay has taken in.
    pub at_relay: u64,
    /// Messages that lie at the far end as they were given, each counted once.
    pub delivered: u64,
    /// Messages that are durable on the way and wait.
    pub stored: u64,
    /// Numbers that are missing in a store on the way.
    pub gaps: u64,
    /// What lies at the far end beyond the first of each message.
    pub duplicates: u64,
}

impl Row {
    /// `in = delivered + stored`, nothing given is missing, no gap, no duplicate.
    pub fn balances(&self) -> bool {
        let once = self.taken_in.checked_sub(self.again);
        once == Some(self.given)
            && self.delivered.checked_add(self.stored) == once
            && (self.delivered..=self.given).contains(&self.at_relay)
            && self.gaps == 0
            && self.duplicates == 0
    }
}

/// A column's header, and its number of a row.
type Column = (&'static str, fn(&Row) -> u64);

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

    /// Messages that still wait.
    pub fn waiting(&self) -> u64 {
        self.rows.iter().map(|row| row.stored).sum()
    }

    /// The table for people; each row says whether it balances.
    pub fn text(&self) -> String {
        let has_again = self.rows.iter().any(|row| row.again > 0);
        let columns: [Column; 8] = [
            (">GIVEN", |row| row.given),
            (">IN", |row| row.taken_in),
            (">AGAIN", |row| row.again),
            (">RELAY", |row| row.at_relay),
            (">DELIVERED", |row| row.delivered),
            (">STORED", |row| row.stored),
            (">GAPS", |row| row.gaps),
            (">DUPLICATES", |row| row.duplicates),
        ];
        let shown = || {
            columns
                .iter()
                .filter(|(name, _)| has_again || *name != ">AGAIN")
        };
        let names = shown().map(|(name, _)| *name);
        let header: Vec<&str> = std::iter::once("STREAM")
            .chain(names)
            .chain(["BALANCE"])
            .collect();
        let mut table = Table::new(&header);
        for row in &self.rows {
            let numbers = shown().map(|(_, of)| of(row).to_string());
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

    fn check(counts: [u64; 8], balances: bool) {
        let [
            given,
            taken_in,
            again,
            at_relay,
            delivered,
            stored,
            gaps,
            duplicates,
        ] = counts;
        let row = Row {
            stream: "acme/files".to_owned(),
            given,
            taken_in,
            again,
            at_relay,
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
        check([22, 22, 0, 22, 22, 0, 0, 0], true);
        check([22, 23, 1, 22, 22, 0, 0, 0], true);
        check([22, 21, 1, 22, 22, 0, 0, 0], false);
        check([22, 22, 0, 21, 20, 2, 0, 0], true);
        check([23, 22, 0, 22, 22, 0, 0, 0], false);
        check([22, 22, 0, 21, 22, 0, 0, 0], false);
        check([22, 22, 0, 23, 22, 0, 0, 0], false);
        check([22, 22, 0, 22, 21, 0, 0, 0], false);
        check([22, 22, 0, 22, 23, 0, 0, 0], false);
        check([22, 22, 0, 22, 22, 0, 1, 0], false);
        check([22, 22, 0, 22, 22, 0, 0, 1], false);
        check([1, 1, 0, 1, u64::MAX, 2, 0, 0], false);
        assert!(!Ledger::default().balances(), "nothing is not success");
    }
}
