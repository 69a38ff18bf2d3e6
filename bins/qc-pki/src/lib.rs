//! Certificates: create CAs, enroll nodes, sign requests offline.
//!
//! Every act works on plain files and needs no daemon; `serve` does the same acts for nodes that
//! come over the network.

mod cli;
mod commands;
mod failure;
mod passphrase;
mod server;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use qc_core::cli::{Exit, Output};

pub use cli::command;

/// Runs the command line `args` (the program's name first) to its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    qc_core::tls::install_crypto_provider();
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _nobody_listens = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    let out = Output::new(&cli.globals, "qc-pki");
    match commands::run(&cli, &out) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => out.fail(&failure),
    }
}
