//! Where a value came from, and how an error points at its place.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use super::Source;
use crate::failure::{ErrorCode, Exit, Failure};

const SHOWN_PROBLEMS: usize = 50;
const SHOWN_WIDTH: usize = 100;

/// Where the value of a key comes from; shows as `file:line`, `env NAME` or `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File {
        /// Its name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Env(String),
    /// The schema.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Where a key stands, before it is shown.
#[derive(Debug, Clone)]
pub(super) enum Place {
    File { file: usize, span: Range<usize> },
    Env(String),
    Default,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(super) code: ErrorCode,
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) meant: Option<&'static str>,
    pub(super) help: Option<String>,
    /// Whether the source line must not be shown.
    pub(super) hide: bool,
}

impl Problem {
    /// Shows no source line: a secret may stand in it, where it does not belong.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hide = true;
        self
    }

    /// Says what to do instead of where to read about the section.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All problems as one failure, in the order of the files.
pub(super) fn failure(sources: &[Source], mut problems: Vec<Problem>) -> Failure {
    problems.sort_by_key(|problem| match &problem.place {
        Place::File { file, span } => (*file, span.start),
        Place::Env(_) | Place::Default => (usize::MAX, 0),
    });
    let count = problems.len();
    let mut shown = problems.iter().take(SHOWN_PROBLEMS).map(|problem| {
        (
            problem,
            headline(sources, problem),
            excerpt(sources, problem),
        )
    });
    let Some((first, message, mut detail)) = shown.next() else {
        return Failure::new(Exit::Config, "QC1000", "the configuration is refused");
    };
    let failure = Failure::new(Exit::Config, first.code, message);
    let help_of = |problem: &Problem| problem.help.clone();
    if count == 1 {
        return match help_of(first) {
            Some(help) => failure.detail(detail).help(help),
            None => failure.detail(detail),
        };
    }
    push_help(&mut detail, help_of(first));
    for (problem, message, excerpt) in shown {
        let _infallible = write!(detail, "\nerror[{}] {message}\n{excerpt}", problem.code);
        push_help(&mut detail, help_of(problem));
    }
    let _infallible = write!(detail, "\n{count} errors");
    if count > SHOWN_PROBLEMS {
        let _infallible = write!(detail, ", the first {SHOWN_PROBLEMS} are shown");
    }
    failure.detail(detail)
}

fn push_help(text: &mut String, help: Option<String>) {
    if let Some(help) = help {
        let _infallible = writeln!(text, "help: {help}");
    }
}

fn headline(sources: &[Source], problem: &Problem) -> String {
    match &problem.place {
        Place::File { file, span } => match sources.get(*file) {
            Some(source) => {
                let (line, column) = source.position(span.start);
                format!("{}:{line}:{column}: {}", source.name, problem.message)
            }
            None => problem.message.clone(),
        },
        Place::Env(name) => format!("environment {name}: {}", problem.message),
        Place::Default => problem.message.clone(),
    }
}

/// The source line with a caret below, in ASCII, each with a final newline.
fn excerpt(sources: &[Source], problem: &Problem) -> String {
    let meant = problem
        .meant
        .map(|word| format!("did you mean '{word}'?"))
        .unwrap_or_default();
    let located = match &problem.place {
        Place::File { file, span } if !problem.hide => {
            sources.get(*file).map(|source| (source, span))
        }
        _ => None,
    };
    let Some((source, span)) = located else {
        return if meant.is_empty() {
            meant
        } else {
            meant + "\n"
        };
    };
    let (line, column) = source.position(span.start);
    let text = source.text.split('\n').nth(line - 1).unwrap_or_default();
    let text: Vec<char> = text.trim_end().chars().map(plain).collect();
    let from = (column - 1).min(text.len());
    let marked = source.text.get(span.clone()).map_or(1, |marked| {
        marked
            .split('\n')
            .next()
            .unwrap_or_default()
            .trim_end()
            .chars()
            .count()
    });
    // A long line is shown around the mark.
    let skip = if text.len() > SHOWN_WIDTH {
        from.saturating_sub(SHOWN_WIDTH / 2)
    } else {
        0
    };
    let shown: String = text.iter().skip(skip).take(SHOWN_WIDTH).collect();
    let carets = marked.clamp(1, (SHOWN_WIDTH + skip).saturating_sub(from).max(1));
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let (pad, mark) = (" ".repeat(from - skip), "^".repeat(carets));
    let space = if meant.is_empty() { "" } else { " " };
    format!("{number} | {shown}\n{gutter} | {pad}{mark}{space}{meant}\n")
}

fn plain(c: char) -> char {
    match c {
        '\t' => ' ',
        ' '..='~' => c,
        _ => '?',
    }
}
