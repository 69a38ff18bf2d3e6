//! The command line of `qc-edge`.

use clap::{CommandFactory as _, Parser, Subcommand};
use qc_core::cli::{
    ConfigCommand, ControlCommand, DiskCommand, DlqCommand, ExplainCommand, Globals, KeyCommand,
    LedgerCommand, LinkCommand, ProbeCommand,
};

use qc_core::model::NodeName;

use crate::commands::{netdeps, reload, run, send, status, streams};

/// The connector and edge runtime at a site: captures, buffers, forwards, delivers
#[derive(Debug, Parser)]
#[command(
    name = "qc-edge",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,

    /// Talk to the edge behind this socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "QC_EDGE_SOCKET",
        hide_env = true
    )]
    pub(crate) socket: Option<std::path::PathBuf>,

    /// Ask this edge through the relay of this host, whose socket --socket names then
    #[arg(long, global = true, value_name = "NODE", conflicts_with = "config")]
    pub(crate) node: Option<NodeName>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Status(status::Args),
    Send(send::Args),
    Streams(streams::Args),
    Ledger(LedgerCommand),
    #[command(alias = "dead-letters")]
    Dlq(DlqCommand),
    Control(ControlCommand),
    Key(KeyCommand),
    Disk(DiskCommand),
    Netdeps(netdeps::Args),
    Probe(ProbeCommand),
    Link(LinkCommand),
    Reload(reload::Args),
    Config(ConfigCommand),
    Explain(ExplainCommand),
}

/// The command line as data, for completions and man pages.
pub fn command() -> clap::Command {
    Cli::command()
}
