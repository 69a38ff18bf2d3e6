//! Both streams of a command: results on stdout, everything else on stderr.
//!
//! With `--json` a result is one versioned envelope. A closed pipe ends the command quietly with
//! exit 141. Text from elsewhere must have passed [`crate::safe_text`] before it comes here.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{Exit, Failure, Globals, OutputFormat};
use crate::model::Timestamp;

/// The face to the terminal. One per process.
#[derive(Debug, Clone)]
pub struct Output {
    format: OutputFormat,
    quiet: bool,
    no_headers: bool,
    source: String,
}

#[derive(Serialize)]
struct JsonEnvelope<'a, T: Serialize + ?Sized> {
    schema: &'a str,
    generated_at: String,
    source: &'a str,
    stale_s: u64,
    data: &'a T,
    warnings: &'a [String],
}

impl Output {
    /// An output that obeys the global flags; `source` names this program or node in JSON.
    pub fn new(globals: &Globals, source: impl Into<String>) -> Self {
        Self {
            format: globals.format(),
            quiet: globals.quiet,
            no_headers: globals.no_headers,
            source: source.into(),
        }
    }

    /// Whether the result is wanted as JSON.
    pub fn is_json(&self) -> bool {
        matches!(self.format, OutputFormat::Json | OutputFormat::Jsonl)
    }

    /// The format asked for.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Prints a result: `data` as a JSON envelope of `schema` with `--json`, else the text that `text`
    /// makes (a final newline is added if it lacks one).
    pub fn result<T: Serialize + ?Sized>(
        &self,
        schema: &str,
        now: Timestamp,
        data: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.is_json() {
            let envelope = JsonEnvelope {
                schema,
                generated_at: now.to_string(),
                source: &self.source,
                stale_s: 0,
                data,
                warnings: &[],
            };
            let json = serde_json::to_string(&envelope)
                .map_err(|e| Failure::new(Exit::Bug, "QC0001", "cannot write JSON").because(&e))?;
            return self.line(&json);
        }
        let text = text();
        if text.is_empty() {
            Ok(())
        } else {
            self.raw(text.trim_end_matches('\n').as_bytes(), true)
        }
    }

    /// Prints one line of result.
    pub fn line(&self, line: &str) -> Result<(), Failure> {
        self.raw(line.as_bytes(), true)
    }

    /// Prints bytes of result as they are, with or without a final newline.
    pub fn raw(&self, bytes: &[u8], newline: bool) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| {
                if newline {
                    out.write_all(b"\n")
                } else {
                    Ok(())
                }
            })
            .and_then(|()| out.flush())
            .map_err(|error| stdout_failure(&error))
    }

    /// Prints a note on stderr unless `-q`.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            let _nobody_listens = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// Prints a warning on stderr, also with `-q`.
    pub fn warn(&self, line: &str) {
        let _nobody_listens = writeln!(io::stderr().lock(), "warning: {line}");
    }

    /// Prints the failure on stderr, as JSON with `--json`, and gives the exit code.
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        if failure.exit != Exit::ClosedPipe {
            let mut err = io::stderr().lock();
            let _nobody_listens = if self.is_json() {
                let error = serde_json::json!({
                    "schema": "qc.error/1", "code": failure.code, "exit": failure.exit as u8,
                    "message": failure.message, "detail": failure.detail,
                    "cause": failure.cause, "help": failure.help,
                });
                writeln!(err, "{error}")
            } else {
                writeln!(err, "{failure}")
            };
        }
        failure.exit.into()
    }

    /// Whether tables are to be printed without their header.
    pub fn no_headers(&self) -> bool {
        self.no_headers
    }

    /// Whether a person may be asked: stdin and stderr are terminals.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

fn stdout_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::new(Exit::ClosedPipe, "QC0002", "stdout was closed")
    } else {
        Failure::new(Exit::Other, "QC0003", "cannot write to stdout").because(error)
    }
}

/// Columns of text: two spaces between, upper-case header, never cut, no borders.
#[derive(Debug, Default)]
pub struct Table {
    header: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table; a header that begins with `>` is aligned to the right.
    pub fn new(columns: &[&'static str]) -> Self {
        Self {
            header: columns.iter().map(|c| c.trim_start_matches('>')).collect(),
            right: columns.iter().map(|c| c.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<I: IntoIterator<Item = S>, S: Into<String>>(&mut self, cells: I) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The text of the table.
    pub fn render(&self, header: bool) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            let head = self.header.get(at).map_or(0, |name| name.chars().count());
            widest.max(if header { head } else { 0 })
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let head = self
            .header
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>();
        let mut text = String::new();
        for row in header.then_some(&head).into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (at, width) in widths.iter().enumerate() {
                let cell = row.get(at).map_or("", String::as_str);
                let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
                if at > 0 {
                    line.push_str("  ");
                }
                if self.right.get(at) == Some(&true) {
                    line.push_str(&pad);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&pad);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Bytes for people: `812 B`, `1.3 GiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    for unit in UNITS {
        if tenths < 10_240 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1024;
    }
    format!("{} EiB", tenths / 10)
}

/// A duration for people, two units at most: `340ms`, `42s`, `8m21s`, `6h12m`, `3d11h`.
pub fn human_duration(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_without_trailing_spaces() {
        let mut table = Table::new(&["NODE", ">BACKLOG", "STATE"]);
        table.row(["edge-1", "5", "OK"]);
        table.row(["edge-22", "41310", ""]);
        assert_eq!(
            table.render(true),
            "NODE     BACKLOG  STATE\nedge-1         5  OK\nedge-22    41310\n"
        );
    }

    #[test]
    fn sizes_and_times_for_people() {
        for (bytes, text) in [
            (812, "812 B"),
            (1024, "1.0 KiB"),
            (1_400_000_000, "1.3 GiB"),
            (1 << 20, "1.0 MiB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
        for (secs, text) in [
            (42, "42s"),
            (501, "8m21s"),
            (22_320, "6h12m"),
            (298_800, "3d11h"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(secs)), text);
        }
    }
}
