//! `qc-edge streams list`

use qc_core::admin::api::{STREAM_LIST_SCHEMA, StreamRow};
use qc_core::cli::{Context, Failure, Table, human_bytes};
use qc_core::safe_text::safe;

/// Look at the streams in the buffer
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the streams with their consumers
    #[command(alias = "ls")]
    List,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let Verb::List = args.verb;
    let text = |rows: &Vec<StreamRow>| table(rows).render(context.headers());
    let shown = context.show("/v1/streams", STREAM_LIST_SCHEMA, text);
    shown.map(drop)
}

fn table(rows: &[StreamRow]) -> Table {
    let mut table = Table::new(&["STREAM", "LANE", ">LAST", ">KEPT", ">BYTES", "CONSUMERS"]);
    for row in rows {
        table.row([
            safe(&row.name, 200),
            row.lane.clone().unwrap_or_else(|| "-".to_owned()),
            row.last_seq.to_string(),
            row.messages.to_string(),
            human_bytes(row.bytes),
            row.consumers_text(),
        ]);
    }
    table
}
