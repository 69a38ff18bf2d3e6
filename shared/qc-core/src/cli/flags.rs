//! The flags that every command of every binary takes, and the spellings of their values.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::config::parse_duration;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// Columns for people
    #[default]
    Text,
    /// Columns for people, all of them
    Wide,
    /// One JSON object with a versioned schema
    Json,
    /// One JSON object a line
    Jsonl,
    /// OpenMetrics text
    Openmetrics,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Global flags, flattened into every binary's command line.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Read this configuration file
    #[arg(
        short = 'c',
        long,
        global = true,
        value_name = "FILE",
        env = "QC_CONFIG"
    )]
    pub config: Option<PathBuf>,

    /// Print results in this format
    #[arg(
        short = 'o',
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        env = "QC_OUTPUT",
        hide_env = true
    )]
    pub output: Option<OutputFormat>,

    /// Print results as JSON, same as --output json
    #[arg(long, global = true, conflicts_with = "output")]
    pub json: bool,

    /// Print tables without their header
    #[arg(long, global = true)]
    pub no_headers: bool,

    /// Print errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Log more (can be repeated)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Colour the output
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto, hide_possible_values = true)]
    pub color: ColorChoice,

    /// Never ask; fail instead
    #[arg(long, global = true, env = "QC_NO_INPUT", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub no_input: bool,

    /// Give up after this time, such as 90s or 5m
    #[arg(long, global = true, value_name = "DUR", value_parser = parse_duration, default_value = "30s")]
    pub timeout: Duration,
}

impl Globals {
    /// The format that the flags ask for.
    pub fn format(&self) -> OutputFormat {
        if self.json {
            OutputFormat::Json
        } else {
            self.output.unwrap_or_default()
        }
    }
}
