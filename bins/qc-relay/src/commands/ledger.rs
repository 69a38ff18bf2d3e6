//! `qc-relay ledger check`

use qc_core::admin::api::{LEDGER_SCHEMA, Ledger, Reply};
use qc_core::cli::{Exit, Failure, Table};
use qc_core::safe_text::safe;

use super::{Context, block_on};

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
    let reply: Reply<Ledger> = block_on(client.get_json("/v1/ledger"))?;
    let headers = !context.out.no_headers();
    context
        .out
        .result(LEDGER_SCHEMA, context.now(), &reply.data, || {
            let mut table = Table::new(&[
                "STREAM", "CONSUMER", ">IN", ">ACKED", ">PENDING", ">GAPS", ">REFUSED", "",
            ]);
            for row in &reply.data.rows {
                table.row([
                    safe(&row.stream, 200),
                    safe(&row.consumer, 200),
                    row.received.to_string(),
                    row.acked.to_string(),
                    row.pending.to_string(),
                    row.gaps.to_string(),
                    row.refused.to_string(),
                    if row.balanced {
                        "ok".to_owned()
                    } else {
                        "UNBALANCED".to_owned()
                    },
                ]);
            }
            table.render(headers)
        })?;
    if reply.data.balanced {
        return Ok(());
    }
    let message = "the ledger does not balance";
    Err(Failure::new(Exit::Problems, "QC3005", message)
        .help("qc-relay status    shows what recovery found"))
}
