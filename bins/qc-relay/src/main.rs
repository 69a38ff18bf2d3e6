//! `qc-relay`, see the library.

fn main() -> std::process::ExitCode {
    qc_relay::run(std::env::args_os())
}
