//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use qc_core::cli::{ExplainCommand, Globals};

use crate::commands::{
    ca, control, crl, enroll, init, install, list, request, revoke, serve, show, sign, token,
    trust, verify,
};

/// Certificates: create CAs, enroll nodes, sign requests offline
#[derive(Debug, Parser)]
#[command(name = "qc-pki", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a root for an organisation
    Init(init::Args),
    /// Create authorities below the root
    #[command(subcommand)]
    Ca(ca::Command),
    /// Serve enrollment, revocation lists and trust to nodes
    Serve(serve::Args),
    /// Invite nodes
    #[command(subcommand)]
    Token(token::Command),
    /// Enroll this node with a token
    Enroll(enroll::Args),
    /// Ask for a certificate without a network
    #[command(subcommand)]
    Request(request::Command),
    /// Sign requests that came by file
    Sign(sign::Args),
    /// Install a signed response on this node
    Install(install::Args),
    /// List what was issued
    List(list::Args),
    /// Show a certificate by name, serial, file or host:port
    Show(show::Args),
    /// Judge a chain as a peer would
    Verify(verify::Args),
    /// Revoke a certificate by name or serial
    Revoke(revoke::Args),
    /// Revocation lists
    #[command(subcommand)]
    Crl(crl::Command),
    /// Signed objects that relays hand on to the nodes
    #[command(subcommand)]
    Control(control::Command),
    /// What nodes trust
    #[command(subcommand)]
    Trust(trust::Command),
    Explain(ExplainCommand),
}

/// Where an authority lives.
#[derive(Debug, Args)]
pub(crate) struct HouseArg {
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = HOUSE)]
    pub(crate) dir: PathBuf,
}

const HOUSE: &str = "/var/lib/qc-pki";

impl HouseArg {
    /// The flag as a next command needs it: nothing for the usual directory.
    pub(crate) fn flag(&self) -> String {
        if self.dir == Path::new(HOUSE) {
            return String::new();
        }
        format!(" --dir {}", self.dir.display())
    }
}

/// Where a node lives.
#[derive(Debug, Args)]
pub(crate) struct NodeArg {
    /// The node's state directory
    #[arg(long, value_name = "DIR", default_value = "/var/lib/qc-edge")]
    pub(crate) dir: PathBuf,
}

/// The whole command line, for completions and man pages.
pub fn command() -> clap::Command {
    Cli::command()
}
