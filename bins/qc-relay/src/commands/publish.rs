//! `qc-relay publish`

use qc_core::admin::LongBody;
use qc_core::admin::api::{RelayStatus, Reply};
use qc_core::cli::{Context, Failure, Input, MessageArgs};
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
    let source = format!("/{}/publish", status.source);
    let input = args.message.input(&source, !client.is_remote())?;
    let stream = &args.stream;
    let reply: Reply<PublishReceipt> = context.block_on(async {
        match input {
            Input::Messages(messages) => {
                let batch = cloudevents::encode_batch(&messages);
                let path = format!("/v1/publish?stream={stream}");
                client.post_bytes(&path, batch.into()).await
            }
            Input::Long {
                envelope,
                first,
                rest,
                length,
            } => {
                let body = LongBody::new(first, rest, length);
                let path = format!("/v1/publish/body?stream={stream}");
                client.post_long(&path, &envelope, body).await
            }
        }
    })?;
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
