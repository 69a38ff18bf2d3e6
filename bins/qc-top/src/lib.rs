//! The live view of the whole fleet in one terminal; in scripts the same as text or JSON.
//!
//! ```text
//! relay's admin socket -> fetch -> fleet::Snapshot -> model::update -> view -> terminal
//!                                        |-> page, JSON (batch)    |-> sentences (linear)
//! ```
//!
//! Everything that came from a node passes [`fleet::Snapshot`], which keeps safe text only.

use std::ffi::OsString;
use std::process::ExitCode;

use qc_core::cli::Output;
use qc_core::clock::SystemClock;
use qc_core::failure::Failure;

mod app;
mod batch;
mod cli;
mod fetch;
#[cfg(test)]
mod fixture;
mod fleet;
mod keys;
mod linear;
mod model;
mod terminal;
mod text;
mod theme;
mod view;

pub use cli::command;

/// Runs the program with `args` and gives its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(141),
            };
        }
    };
    let output = Output::new(&cli.globals, "qc-top");
    let done = start(&cli, &output);
    done.unwrap_or_else(|failure| output.fail(&failure))
}

fn start(cli: &cli::Cli, output: &Output) -> Result<ExitCode, Failure> {
    if let Some(cli::Command::Explain(verb)) = &cli.command {
        let done = verb.run(output, SystemClock::machine_time());
        return done.map(|()| ExitCode::SUCCESS);
    }
    let options = cli.options(&cli::Surroundings::of_process())?;
    let source = fetch::Source::open(&cli.socket, cli.globals.timeout)?;
    match options.mode {
        cli::Mode::Live => app::run(&options, source, output),
        cli::Mode::Batch => batch::run(&options, &source, output).map(|()| ExitCode::SUCCESS),
        cli::Mode::Linear => linear::run(&options, &source, output).map(|()| ExitCode::SUCCESS),
    }
}
