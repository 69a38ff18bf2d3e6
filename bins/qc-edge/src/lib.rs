//! `qc-edge`: the connector and edge runtime at a site. Sources capture messages into a durable buffer,
//! one outbound link forwards them, sinks deliver what was captured here or subscribed at the relay.
//!
//! The edge listens to nobody on the WAN side; local listeners are explicit in its configuration.

mod admin;
mod app;
mod buffer;
mod cli;
mod commands;
mod config;
mod connectors;
mod feed;
mod metrics;
mod netdeps;
pub mod sinks;
pub mod sources;
mod uplink;

use std::ffi::OsString;
use std::process::ExitCode;

use qc_core::cli::{Context, Failure, Output, Program, run_main};

pub use cli::command;

/// Runs the command line `args` and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    qc_core::tls::install_crypto_provider();
    run_main::<cli::Cli>("qc-edge", args, |cli| &cli.globals, dispatch)
}

const PROGRAM: Program = Program {
    name: "qc-edge",
    schema: &config::SCHEMA,
    socket: config::DEFAULT_SOCKET,
};

fn dispatch(cli: cli::Cli, out: &Output) -> Result<(), Failure> {
    use cli::Command;
    let context = Context {
        program: PROGRAM,
        globals: cli.globals,
        socket: cli.socket,
        node: cli.node,
        out: out.clone(),
        env: std::env::vars_os().collect(),
    };
    match cli.command {
        Command::Run(args) => commands::run::run(&context, &args),
        Command::Status(args) => commands::status::run(&context, &args),
        Command::Send(args) => commands::send::run(&context, &args),
        Command::Streams(args) => commands::streams::run(&context, &args),
        Command::Ledger(verb) => verb.run(&context),
        Command::Dlq(verb) => verb.run(&context),
        Command::Control(verb) => verb.run(&context),
        Command::Key(verb) => verb.run(&context),
        Command::Disk(args) => args.run(&context),
        Command::Netdeps(args) => commands::netdeps::run(&context, &args),
        Command::Probe(verb) => verb.run(&context),
        Command::Link(verb) => verb.run(&context),
        Command::Reload(args) => commands::reload::run(&context, &args),
        Command::Config(verb) => context.config(&verb, |loaded| {
            config::EdgeConfig::from_loaded(loaded).map(drop)
        }),
        Command::Explain(verb) => verb.run(out, context.now()),
    }
}
