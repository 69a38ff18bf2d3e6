//! `qc-relay drain`

use std::time::Duration;

use qc_core::admin::api::{DrainOrder, Drained, Reply};
use qc_core::cli::{Context, Exit, Failure, parse_duration};
use qc_core::model::{HostPort, NodeName};
use qc_core::safe_text::safe;

use crate::drain_routes::{DRAIN_ROUTE, DRAIN_SCHEMA, DrainWish};

/// How often is looked whether the links have ended.
const LOOK: Duration = Duration::from_millis(250);

/// Send nodes away, to another relay or to the next one they know, until `resume`
///
/// Their links end when everything that this relay has on disk is acknowledged, so nothing is lost or
/// sent to both. Should that take longer than 10 s, as with a disk that hangs, they end without: nothing is
/// lost then either, and what was not acknowledged goes to the other relay too. A node goes where it is told only if that relay is in its own list, and leaves this one
/// alone for its `prefer_after`. One that knows no other relay keeps what it has and asks again at least
/// once a minute. HTTP and this socket go on. An order survives a restart. Without nodes and --all, show
/// the orders that hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The nodes, as `fleet` shows them
    #[arg(value_name = "NODE")]
    nodes: Vec<NodeName>,

    /// Every node that has no order of its own, and all that come
    #[arg(long, conflicts_with = "nodes")]
    all: bool,

    /// Tell them to go to this relay
    #[arg(long, value_name = "HOST:PORT")]
    to: Option<HostPort>,

    /// Why, for them and for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Wait until their links have ended, 1m if no time is given
    #[arg(long, value_name = "DUR", num_args = 0..=1, require_equals = true, default_missing_value = "1m", value_parser = parse_duration)]
    wait: Option<Duration>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let shows = args.nodes.is_empty() && !args.all;
    if shows && (args.to.is_some() || args.reason.is_some()) {
        let message = "name the nodes that are to go, or --all";
        return Err(Failure::new(Exit::Usage, "QC2247", message).help("qc-relay fleet"));
    }
    let client = context.client()?;
    let mut drained = if shows {
        ask(context)?
    } else {
        let wish = DrainWish {
            nodes: args.nodes.iter().map(ToString::to_string).collect(),
            all: args.all,
            to: args.to.as_ref().map(ToString::to_string),
            reason: args.reason.clone(),
        };
        let reply: Reply<Drained> = context.block_on(client.post_json(DRAIN_ROUTE, &wish))?;
        reply.data
    };
    let mut left = args.wait.unwrap_or_default();
    while drained.links > 0 && !left.is_zero() {
        let step = LOOK.min(left);
        context.block_on(async {
            tokio::time::sleep(step).await;
            Ok(())
        })?;
        left -= step;
        drained = ask(context)?;
    }
    context
        .out
        .result(DRAIN_SCHEMA, context.now(), &drained, || {
            lines(&drained).join("\n")
        })?;
    if args.wait.is_some() && drained.links > 0 {
        let message = format!(
            "{} links have not ended yet; the order stands",
            drained.links
        );
        return Err(Failure::new(Exit::Waiting, "QC2244", message).help("qc-relay drain --wait=5m"));
    }
    Ok(())
}

fn ask(context: &Context) -> Result<Drained, Failure> {
    let client = context.client()?;
    let reply: Reply<Drained> = context.block_on(client.get_json(DRAIN_ROUTE))?;
    Ok(reply.data)
}

/// The orders, a line each; for `status` too.
pub(crate) fn lines(drained: &Drained) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |whom: &str, order: &DrainOrder| {
        let to = order
            .to
            .as_deref()
            .map(|to| format!(" to {}", safe(to, 300)));
        let why = order
            .reason
            .as_deref()
            .map(|why| format!(": {}", safe(why, 200)));
        let (to, why) = (to.unwrap_or_default(), why.unwrap_or_default());
        lines.push(format!(
            "drain   {whom}{to} since {}{why}",
            safe(&order.since, 40)
        ));
    };
    if let Some(all) = &drained.all {
        say("every node", all);
    }
    for node in &drained.nodes {
        say(&safe(&node.node, 200), &node.order);
    }
    if lines.is_empty() {
        lines.push("drain   nobody is sent away".to_owned());
    } else {
        lines.push(format!(
            "        {} links are left; qc-relay resume ends it",
            drained.links
        ));
    }
    lines
}
