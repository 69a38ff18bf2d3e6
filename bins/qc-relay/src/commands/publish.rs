//! `qc-relay publish`

use qc_core::admin::api::{RelayStatus, Reply};
use qc_core::cli::{Context, Failure, MessageArgs};
use qc_core::cloudevents;
use qc_core::model::StreamName;

use crate::admin::PublishReceipt;

/// Publish to a stream of this relay, as its local operator
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// TENANT/NAME
    stream: StreamName,

    #[command(flatten)]
    message: MessageArgs,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let status: Reply<RelayStatus> = context.block_on(client.get_json("/v1/status"))?;
    let messages = args
        .message
        .messages(&format!("/{}/publish", status.source))?;
    let path = format!("/v1/publish?stream={}", args.stream);
    let batch = cloudevents::encode_batch(&messages);
    let reply: Reply<PublishReceipt> = context.block_on(client.post_bytes(&path, batch.into()))?;
    context
        .out
        .result("qc.publish/1", context.now(), &reply.data, || {
            let PublishReceipt {
                stored,
                duplicates,
                last_seq,
            } = reply.data;
            format!(
                "{} stored {stored}, duplicates {duplicates}, last seq {last_seq}",
                args.stream
            )
        })
}
