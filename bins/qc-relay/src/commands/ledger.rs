//! `qc-relay ledger check`

use qc_core::admin::api::{LEDGER_SCHEMA, Ledger, Reply};
use qc_core::cli::{Context, Failure, ledger_text, ledger_verdict};

/// Hold what came in against what is delivered and kept
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check that every stream balances: in = acked + pending + expired + dead-lettered + purged
    Check,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let Verb::Check = args.verb;
    let client = context.client()?;
    let reply: Reply<Ledger> = context.block_on(client.get_json("/v1/ledger"))?;
    let headers = !context.out.no_headers();
    context
        .out
        .result(LEDGER_SCHEMA, context.now(), &reply.data, || {
            ledger_text(&reply.data, headers)
        })?;
    ledger_verdict(&reply.data, "qc-relay")
}
