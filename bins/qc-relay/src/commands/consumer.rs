//! `qc-relay consumer`: who reads, who holds messages back, and taking one away that will not come again.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use qc_core::admin::api::Reply;
use qc_core::cli::{Context, Exit, Failure, Table, human_bytes, human_duration};
use qc_core::model::StreamName;
use qc_core::safe_text::safe;

use crate::admin::{
    CONSUMER_REMOVED_SCHEMA, CONSUMERS_SCHEMA, ConsumerInfo, ConsumerRemoved, RemoveConsumer,
};

/// Look at who reads the streams, and take away who will not come again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(List),
    Remove(Remove),
}

/// List the consumers with what waits for each
#[derive(Debug, clap::Args)]
#[command(alias = "ls")]
struct List {
    /// Only of this stream, as TENANT/NAME
    stream: Option<StreamName>,
}

/// Stop keeping messages for a consumer that will not come again
///
/// What it has not taken counts as purged in its account, and nothing waits for it any more. A consumer
/// that is connected is refused: it would begin again at once. If it comes again later, it is new.
#[derive(Debug, clap::Args)]
struct Remove {
    /// The stream, as TENANT/NAME
    stream: StreamName,

    /// The consumer, as `consumer list` shows it
    name: String,

    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::List(list) => list.run(context),
        Verb::Remove(remove) => remove.run(context),
    }
}

fn ask(context: &Context, stream: Option<&StreamName>) -> Result<Vec<ConsumerInfo>, Failure> {
    let client = context.client()?;
    // a stream's name has no character that a query would have to escape
    let query = stream.map(|stream| format!("?stream={stream}"));
    let path = format!("/v1/consumers{}", query.unwrap_or_default());
    let reply: Reply<Vec<ConsumerInfo>> = context.block_on(client.get_json(&path))?;
    Ok(reply.data)
}

impl List {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let rows = ask(context, self.stream.as_ref())?;
        let headers = !context.out.no_headers();
        context
            .out
            .result(CONSUMERS_SCHEMA, context.now(), &rows, || {
                table(&rows).render(headers)
            })
    }
}

fn table(rows: &[ConsumerInfo]) -> Table {
    let mut table = Table::new(&[
        "STREAM", "CONSUMER", "STATE", ">ACKED", ">WAITING", ">BYTES", ">OLDEST",
    ]);
    for row in rows {
        let oldest = row.oldest_s.filter(|_| row.pending > 0);
        let age = |seconds| human_duration(Duration::from_secs(seconds));
        table.row([
            safe(&row.stream, 200),
            safe(&row.name, 300),
            if row.connected { "connected" } else { "away" }.to_owned(),
            row.acked_seq.to_string(),
            row.pending.to_string(),
            human_bytes(row.pending_bytes),
            oldest.map_or_else(|| "-".to_owned(), age),
        ]);
    }
    table
}

impl Remove {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        if !self.yes {
            let rows = ask(context, Some(&self.stream))?;
            // one that is not there is the relay's to refuse
            if let Some(row) = rows.iter().find(|row| row.name == self.name) {
                confirm(context, row)?;
            }
        }
        let client = context.client()?;
        let wish = RemoveConsumer {
            stream: self.stream.to_string(),
            name: self.name.clone(),
            reason: self.reason.clone(),
        };
        let reply: Reply<ConsumerRemoved> =
            context.block_on(client.post_json("/v1/consumers/remove", &wish))?;
        context
            .out
            .result(CONSUMER_REMOVED_SCHEMA, context.now(), &reply.data, || {
                text(&reply.data)
            })
    }
}

/// The operator hears what is not kept any more, and says yes.
fn confirm(context: &Context, row: &ConsumerInfo) -> Result<(), Failure> {
    let (name, stream) = (safe(&row.name, 300), safe(&row.stream, 200));
    let waiting = row.pending;
    if context.globals.no_input || !context.out.can_ask() {
        let message = "removing a consumer wants --yes where nobody can be asked";
        return Err(Failure::new(Exit::Usage, "QC3312", message).help(format!(
            "{waiting} messages are kept for '{name}' of {stream}"
        )));
    }
    let _shown = write!(
        std::io::stderr().lock(),
        "Remove '{name}' from {stream}? {waiting} messages will no longer be kept for it. [y/N] "
    );
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "QC3307", "not confirmed"))
}

fn text(removed: &ConsumerRemoved) -> String {
    format!(
        "removed '{}' from {}; {} messages are not kept for it any more",
        safe(&removed.name, 300),
        safe(&removed.stream, 200),
        removed.purged
    )
}
