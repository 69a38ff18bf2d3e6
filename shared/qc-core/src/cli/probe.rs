//! `probe`: whether a message would get through, and where the time goes.

use clap::Args;

use super::{Context, Failure};
use crate::admin::api::Reply;
use crate::safe_text::safe;
use crate::uplink::{PROBE_ROUTE, PROBE_SCHEMA, Probed};

/// Send a probe through the store here, over the link, through the store there, and back
#[derive(Debug, Args)]
pub struct ProbeCommand {}

impl ProbeCommand {
    /// Asks the running daemon and prints; a probe that is lost is a failure.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let answer = client.post_json::<(), Reply<Probed>>(PROBE_ROUTE, &());
        let Reply { data, .. } = context.block_on(answer)?;
        let shown = || text(&data);
        context
            .out
            .result(PROBE_SCHEMA, context.now(), &data, shown)
    }
}

fn text(probed: &Probed) -> String {
    let ms = |us: u64| format!("{}.{:02} ms", us / 1000, us % 1000 / 10);
    format!(
        "{} answers after {}: store here {}, link {}, store there {}",
        safe(&probed.peer, 200),
        ms(probed.total_us()),
        ms(probed.own_store_us),
        ms(probed.link_us),
        ms(probed.peer_store_us),
    )
}
