//! `qc-edge send`

use qc_core::admin::LongBody;
use qc_core::admin::api::{EdgeStatus, Reply};
use qc_core::cli::{Context, Failure, Input, MessageArgs};
use qc_core::cloudevents;
use qc_core::model::{DataClass, Lane, StreamName};

use crate::admin::SendReceipt;

/// Put messages into the buffer; returns when they are on disk
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stream they go to, TENANT/NAME
    stream: StreamName,

    /// The class of the data
    #[arg(long)]
    class: DataClass,

    /// The lane: critical, high, normal or low
    #[arg(long, default_value = "normal")]
    lane: Lane,

    #[command(flatten)]
    message: MessageArgs,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    // the source names the edge: the same --id from two edges is two messages
    let status: Reply<EdgeStatus> = context.block_on(client.get_json("/v1/status"))?;
    let source = format!("/{}/send", status.source);
    let input = args.message.input(&source, !client.is_remote())?;
    let Args {
        stream,
        class,
        lane,
        ..
    } = args;
    let query = format!("stream={stream}&class={class}&lane={lane}");
    let reply: Reply<SendReceipt> = context.block_on(async {
        match input {
            Input::Messages(messages) => {
                let batch = cloudevents::encode_batch(&messages);
                let path = format!("/v1/send?{query}");
                client.post_bytes(&path, batch.into()).await
            }
            Input::Long {
                envelope,
                first,
                rest,
                length,
            } => {
                let body = LongBody::new(first, rest, length);
                let path = format!("/v1/send/body?{query}");
                client.post_long(&path, &envelope, body).await
            }
        }
    })?;
    context
        .out
        .result("qc.send/1", context.now(), &reply.data, || {
            let SendReceipt {
                stored,
                duplicates,
                last_seq,
            } = reply.data;
            format!("{stream} stored {stored}, duplicates {duplicates}, last seq {last_seq}")
        })
}
