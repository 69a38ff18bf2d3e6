//! The command line of `qc-relay`.

use clap::{CommandFactory as _, Parser, Subcommand};
use qc_core::cli::{
    ConfigCommand, DiskCommand, DlqCommand, ExplainCommand, Globals, KeyCommand, LedgerCommand,
    LinkCommand, ProbeCommand,
};

use crate::commands::{
    consumer, control, drain, fleet, node, publish, reload, resume, retention, run, status,
    streams, tail,
};

/// The durable hub: accepts links, keeps streams, delivers
#[derive(Debug, Parser)]
#[command(
    name = "qc-relay",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub globals: Globals,

    /// Talk to the relay behind this socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "QC_RELAY_SOCKET",
        hide_env = true
    )]
    pub socket: Option<std::path::PathBuf>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Status(status::Args),
    Streams(streams::Args),
    Consumer(consumer::Args),
    Tail(tail::Args),
    Publish(publish::Args),
    Fleet(fleet::Args),
    Node(node::Args),
    Control(control::Args),
    Ledger(LedgerCommand),
    #[command(alias = "dead-letters")]
    Dlq(DlqCommand),
    Key(KeyCommand),
    Disk(DiskCommand),
    Retention(retention::Args),
    Probe(ProbeCommand),
    Link(LinkCommand),
    Drain(drain::Args),
    Resume(resume::Args),
    Reload(reload::Args),
    Config(ConfigCommand),
    Explain(ExplainCommand),
}

/// The command line as data, for completions and man pages.
pub fn command() -> clap::Command {
    Cli::command()
}
