//! `qc-pki`: certificates.

use std::process::ExitCode;

fn main() -> ExitCode {
    qc_pki::run(std::env::args_os())
}
