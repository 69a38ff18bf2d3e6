//! `qc-relay resume`

use qc_core::admin::api::{Drained, Reply};
use qc_core::cli::{Context, Failure};
use qc_core::model::NodeName;

use super::drain::lines;
use crate::drain_routes::{DRAIN_SCHEMA, DrainWish, RESUME_ROUTE};

/// Take nodes in again that were sent away: all, or the named ones
///
/// They come back by themselves: one that knows no other relay within a minute, one that prefers this
/// relay after its `prefer_after`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these nodes
    #[arg(value_name = "NODE")]
    nodes: Vec<NodeName>,

    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let wish = DrainWish {
        nodes: args.nodes.iter().map(ToString::to_string).collect(),
        all: args.nodes.is_empty(),
        to: None,
        reason: args.reason.clone(),
    };
    let reply: Reply<Drained> = context.block_on(client.post_json(RESUME_ROUTE, &wish))?;
    let drained = reply.data;
    context
        .out
        .result(DRAIN_SCHEMA, context.now(), &drained, || {
            lines(&drained).join("\n")
        })
}
