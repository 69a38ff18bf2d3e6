//! Build chores, one verb each: `cargo xtask gen | tidy | test | demo | bench | evidence`.
//!
//! Nobody links this crate but its own three-line binary. The modules are public so that a chore is
//! also a test: the drift of generated files and the house rules are checked by `cargo test`, and
//! there is no second checker.

pub mod bench;
pub mod demo;
pub mod evidence;
pub mod generate;
pub mod test;
pub mod tidy;
pub mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use qc_core::cli::{Exit, Failure, Globals, Output};

/// The code of every failure of a chore; what matters is the message.
pub(crate) const CHORE: &str = "QC0090";

/// Do a build chore
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Bench(bench::Args),
    Demo(demo::Args),
    Evidence(evidence::Args),
    Gen(generate::Args),
    #[command(hide = true)]
    StorePeer(evidence::store::power::guest::Args),
    #[command(hide = true)]
    StoreWorkload(evidence::store::workload::Args),
    Test(test::Args),
    Tidy(tidy::Args),
}

/// Runs the chore that `args` names.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _nobody_listens = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            }
            .into();
        }
    };
    let json = match &cli.verb {
        // these have no workspace, and their output is a protocol
        Verb::StorePeer(args) => return evidence::store::power::guest::run(args),
        Verb::StoreWorkload(args) => return evidence::store::workload::run(args),
        Verb::Bench(args) => args.json(),
        Verb::Demo(args) => args.json,
        Verb::Evidence(args) => args.json(),
        Verb::Test(args) => args.json,
        Verb::Gen(_) | Verb::Tidy(_) => false,
    };
    let globals = Globals {
        json,
        ..Globals::default()
    };
    let output = Output::new(&globals, "xtask");
    match dispatch(&cli.verb, &output) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => output.fail(&failure),
    }
}

fn dispatch(verb: &Verb, output: &Output) -> Result<(), Failure> {
    let workspace = workspace::Workspace::find()?;
    match verb {
        Verb::Bench(args) => bench::run(args, &workspace, output),
        Verb::Demo(args) => demo::run(args, &workspace, output),
        Verb::Evidence(args) => evidence::run(args, &workspace, output),
        Verb::Gen(args) => generate::run(args, &workspace, output),
        // never come here, see `run`
        Verb::StorePeer(_) | Verb::StoreWorkload(_) => Ok(()),
        Verb::Test(args) => test::run(args, &workspace, output),
        Verb::Tidy(args) => tidy::run(args, &workspace, output),
    }
}
