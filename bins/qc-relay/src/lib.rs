//! `qc-relay`: the durable hub. It accepts links of edges, keeps streams, decides who may publish and
//! read, delivers to subscribers, and speaks CloudEvents over HTTP on the same port.

mod admin;
mod app;
mod circles;
mod cli;
mod commands;
mod config;
mod drain_routes;
mod front;
mod hub;
mod listener;
mod metrics;
mod nodes;
mod presence;
mod retention;
mod upgrade;

use std::ffi::OsString;
use std::process::ExitCode;

use qc_core::cli::{Context, Failure, Output, Program, run_main};

pub use cli::command;

/// Runs the command line `args` and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    qc_core::tls::install_crypto_provider();
    run_main::<cli::Cli>("qc-relay", args, |cli| &cli.globals, dispatch)
}

const PROGRAM: Program = Program {
    name: "qc-relay",
    schema: &config::SCHEMA,
    socket: config::DEFAULT_SOCKET,
};

fn dispatch(cli: cli::Cli, out: &Output) -> Result<(), Failure> {
    use cli::Command;
    let context = Context {
        program: PROGRAM,
        globals: cli.globals,
        socket: cli.socket,
        node: None,
        out: out.clone(),
        env: std::env::vars_os().collect(),
    };
    match cli.command {
        Command::Run(args) => commands::run::run(&context, &args),
        Command::Status(args) => commands::status::run(&context, &args),
        Command::Streams(args) => commands::streams::run(&context, &args),
        Command::Consumer(args) => commands::consumer::run(&context, &args),
        Command::Tail(args) => commands::tail::run(&context, &args),
        Command::Publish(args) => commands::publish::run(&context, &args),
        Command::Fleet(args) => commands::fleet::run(&context, &args),
        Command::Node(args) => commands::node::run(&context, &args),
        Command::Control(args) => commands::control::run(&context, &args),
        Command::Ledger(verb) => verb.run(&context),
        Command::Dlq(verb) => verb.run(&context),
        Command::Key(verb) => verb.run(&context),
        Command::Disk(args) => args.run(&context),
        Command::Retention(args) => commands::retention::run(&context, &args),
        Command::Probe(verb) => verb.run(&context),
        Command::Link(verb) => verb.run(&context),
        Command::Drain(args) => commands::drain::run(&context, &args),
        Command::Resume(args) => commands::resume::run(&context, &args),
        Command::Reload(args) => commands::reload::run(&context, &args),
        Command::Config(verb) => context.config(&verb, |loaded| {
            config::RelayConfig::from_loaded(loaded).map(drop)
        }),
        Command::Explain(verb) => verb.run(out, context.now()),
    }
}
