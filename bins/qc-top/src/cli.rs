//! The command line, and what it means on this terminal.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use qc_core::cli::{ColorChoice, ExplainCommand, Globals, OutputFormat, parse_duration};
use qc_core::failure::{Exit, Failure};
use qc_core::filter::Filter;

use crate::fleet::{FIELDS, SortBy};
use crate::theme::Theme;

/// Watch the whole fleet in one terminal
///
/// Shows every node that a relay knows, the worst first. Without a terminal it prints one page of
/// text and ends. It only reads.
#[derive(Debug, Parser)]
#[command(name = "qc-top", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Ask the relay at this admin socket
    #[arg(long, value_name = "PATH", default_value = "/run/qc-relay/admin.sock")]
    pub(crate) socket: PathBuf,

    /// Print pages of text instead of a live view
    #[arg(short, long)]
    pub(crate) batch: bool,

    /// End after this many updates (0 = never; 1 with --batch or without a terminal)
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,

    /// Ask for new numbers this often
    #[arg(long, value_name = "DUR", default_value = "2s", value_parser = parse_duration)]
    pub(crate) interval: Duration,

    /// Show only nodes that pass, such as 'site=site-1* & backlog>1000 & state!=ok'
    #[arg(
        long,
        value_name = "EXPR",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) filter: String,

    /// Sort by this column
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t)]
    pub(crate) sort: SortBy,

    /// Sort the other way round
    #[arg(long)]
    pub(crate) reverse: bool,

    /// Use no character outside ASCII
    #[arg(long, env = "QC_ASCII", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) ascii: bool,

    /// Print a sentence for each change, for screen readers and simple terminals
    #[arg(long, conflicts_with = "batch")]
    pub(crate) linear: bool,

    /// Start with this view
    #[arg(long, value_name = "VIEW", value_enum, default_value_t)]
    pub(crate) view: View,

    #[command(flatten)]
    pub(crate) globals: Globals,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What it does besides watching.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Explain(ExplainCommand),
}

/// The views there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum View {
    /// Every node, the worst first
    #[default]
    Fleet,
}

/// The command line as completions and the manual need it.
pub fn command() -> clap::Command {
    // qc-top has no configuration; the flag is taken because every command takes it
    Cli::command().mut_arg("config", |arg| arg.hide(true))
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches_from(args)?)
}

/// How to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Full screen.
    Live,
    /// Pages of text, or JSON.
    Batch,
    /// Sentences.
    Linear,
}

/// What the command line asks for, checked.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    /// Updates before the end; `None` = never.
    pub(crate) count: Option<u64>,
    pub(crate) interval: Duration,
    pub(crate) filter: Filter,
    pub(crate) sort: SortBy,
    pub(crate) reverse: bool,
    pub(crate) theme: Theme,
}

/// What the program stands in: its streams and the few variables that matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) terminal: bool,
    pub(crate) no_color: bool,
    pub(crate) term: String,
    pub(crate) locale: String,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let var = |name| std::env::var(name).unwrap_or_default();
        let first_set = ["LC_ALL", "LC_CTYPE", "LANG"].map(var);
        Self {
            terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            no_color: !var("NO_COLOR").is_empty(),
            term: var("TERM"),
            locale: first_set
                .into_iter()
                .find(|v| !v.is_empty())
                .unwrap_or_default(),
        }
    }

    fn shows_unicode(&self) -> bool {
        let locale = self.locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        utf8 && self.term != "linux" && !self.term.starts_with("vt") && !self.is_dumb()
    }

    fn is_dumb(&self) -> bool {
        self.term.is_empty() || self.term == "dumb"
    }
}

impl Cli {
    /// What this command line means in `around`.
    pub(crate) fn options(&self, around: &Surroundings) -> Result<Options, Failure> {
        let filter = Filter::parse(&self.filter, FIELDS).map_err(|error| {
            Failure::new(Exit::Usage, "QC6001", format!("--filter: {error}"))
                .detail(error.excerpt(&self.filter))
                .help("qc-top --filter 'site=site-1* & backlog>1000 & state!=ok'")
        })?;
        let format = self.globals.format();
        if format == OutputFormat::Openmetrics {
            let message = "qc-top has no OpenMetrics output";
            return Err(
                Failure::new(Exit::Usage, "QC6002", message).help("scrape the relay itself")
            );
        }
        if self.interval < Duration::from_millis(100) {
            let message = "--interval is shorter than 100ms";
            return Err(Failure::new(Exit::Usage, "QC6002", message));
        }
        let json = matches!(format, OutputFormat::Json | OutputFormat::Jsonl);
        let mode = if self.linear && !json {
            Mode::Linear
        } else if self.batch || json || !around.terminal {
            Mode::Batch
        } else if around.is_dumb() {
            Mode::Linear
        } else {
            Mode::Live
        };
        let count = match (self.count, mode) {
            (Some(0), _) | (None, Mode::Live | Mode::Linear) => None,
            (None, Mode::Batch) => Some(1),
            (count, _) => count,
        };
        let color = match self.globals.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => !around.no_color,
        };
        Ok(Options {
            mode,
            count,
            interval: self.interval,
            filter,
            sort: self.sort,
            reverse: self.reverse,
            theme: Theme {
                color,
                ascii: self.ascii || !around.shows_unicode(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str], around: &Surroundings) -> Result<Options, Failure> {
        let args = std::iter::once(&"qc-top").chain(args).map(OsString::from);
        parse(args).unwrap().options(around)
    }

    fn ssh() -> Surroundings {
        Surroundings {
            terminal: true,
            no_color: false,
            term: "xterm-256color".to_owned(),
            locale: "C.UTF-8".to_owned(),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_mode_follows_the_terminal() {
        for (args, around, mode, count) in [
            (&[][..], ssh(), Mode::Live, None),
            (&["-b"], ssh(), Mode::Batch, Some(1)),
            (&["-b", "-n", "0"], ssh(), Mode::Batch, None),
            (&["-n", "3"], ssh(), Mode::Live, Some(3)),
            (&["-o", "json"], ssh(), Mode::Batch, Some(1)),
            (&["--linear"], ssh(), Mode::Linear, None),
            (&[], Surroundings::default(), Mode::Batch, Some(1)),
            (
                &["--linear", "-n", "2"],
                Surroundings::default(),
                Mode::Linear,
                Some(2),
            ),
            (
                &[],
                Surroundings {
                    term: "dumb".to_owned(),
                    ..ssh()
                },
                Mode::Linear,
                None,
            ),
        ] {
            let options = options(args, &around).unwrap();
            assert_eq!((options.mode, options.count), (mode, count), "{args:?}");
        }
    }

    #[test]
    fn the_theme_follows_the_surroundings() {
        let theme = |args: &[&str], around| options(args, &around).unwrap().theme;
        assert_eq!(
            theme(&[], ssh()),
            Theme {
                color: true,
                ascii: false
            }
        );
        let no_color = Surroundings {
            no_color: true,
            ..ssh()
        };
        assert!(!theme(&[], no_color.clone()).color);
        assert!(theme(&["--color", "always"], no_color).color);
        assert!(theme(&["--ascii"], ssh()).ascii);
        assert!(
            theme(
                &[],
                Surroundings {
                    term: "linux".to_owned(),
                    ..ssh()
                }
            )
            .ascii
        );
        assert!(
            theme(
                &[],
                Surroundings {
                    locale: "C".to_owned(),
                    ..ssh()
                }
            )
            .ascii
        );
    }

    #[test]
    fn a_bad_filter_is_a_usage_error_with_a_caret() {
        let failure = options(&["--filter", "state=ok & sate=ok"], &ssh()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.detail, "  state=ok & sate=ok\n             ^");
        assert!(options(&["--interval", "5ms"], &ssh()).is_err());
        assert!(options(&["-o", "openmetrics"], &ssh()).is_err());
    }
}
