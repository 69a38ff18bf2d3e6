//! The durable hub: links, streams, delivery, HTTP ingest and read.

/// The command line, as the parser, the completions and the manual pages see it.
pub fn command() -> clap::Command {
    clap::Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
}
