//! `qc-relay tail`

use qc_core::admin::api::Reply;
use qc_core::cli::{Context, Failure, OutputFormat, human_bytes};
use qc_core::model::StreamName;
use qc_core::safe_text::safe;

use crate::admin::TailRow;

/// Show the messages of a stream as they come: attributes and sizes, never bodies
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// TENANT/NAME
    stream: StreamName,

    /// Begin after this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,

    /// Stop after this many messages
    #[arg(short = 'N', long, value_name = "COUNT")]
    limit: Option<u64>,

    /// Wait for more messages instead of stopping at the end
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    context.block_on(async {
        let (mut after, mut left) = (args.after, args.limit.unwrap_or(u64::MAX));
        while left > 0 {
            let wait = if args.follow { 10_000 } else { 0 };
            let limit = left.min(500);
            let path = format!(
                "/v1/tail?stream={}&after={after}&limit={limit}&wait_ms={wait}",
                args.stream
            );
            let reply: Reply<Vec<TailRow>> = client.get_json(&path).await?;
            for row in &reply.data {
                print(context, row)?;
                after = row.seq;
                left -= 1;
            }
            if reply.data.is_empty() && !args.follow {
                break;
            }
        }
        Ok(())
    })
}

fn print(context: &Context, row: &TailRow) -> Result<(), Failure> {
    if matches!(
        context.out.format(),
        OutputFormat::Json | OutputFormat::Jsonl
    ) {
        let json = serde_json::to_string(row).unwrap_or_default();
        return context.out.line(&json);
    }
    let line = format!(
        "{}  {}  {}  {}  {}  {}",
        row.seq,
        row.accepted,
        safe(&row.kind, 200),
        safe(&row.source, 200),
        safe(row.subject.as_deref().unwrap_or("-"), 200),
        human_bytes(row.body_bytes),
    );
    let parts = row
        .parts
        .map_or_else(String::new, |parts| format!(" in {parts} parts"));
    context.out.line(&format!("{line}{parts}"))
}
