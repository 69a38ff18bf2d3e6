//! The qc-top binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    qc_top::run(std::env::args_os())
}
