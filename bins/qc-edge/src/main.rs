//! `qc-edge`, see the library.

fn main() -> std::process::ExitCode {
    qc_edge::run(std::env::args_os())
}
