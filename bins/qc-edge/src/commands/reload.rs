//! `qc-edge reload`

use qc_core::admin::api::Reply;
use qc_core::cli::{Context, Failure};

/// Read certificates and trust again, and check the configuration, without a restart
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let reply: Reply<String> = context.block_on(client.post_json("/v1/reload", &()))?;
    context
        .out
        .result("qc.reload/1", context.now(), &reply.data, || {
            reply.data.clone()
        })
}
