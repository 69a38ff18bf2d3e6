//! Probes the link upward: each minute by itself, and when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use super::{Monitor, Probed, probe};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::model::NodeName;
use crate::streams::Streams;

/// The route that probes.
pub const PROBE_ROUTE: &str = "/v1/probe";
/// The schema of a [`Probed`].
pub const PROBE_SCHEMA: &str = "qc.probe/1";
/// How often a link is probed that nobody asks about.
const EVERY: Duration = Duration::from_mins(1);

/// Sends probes. Clones share the link.
#[derive(Clone)]
pub struct Prober {
    /// The link.
    pub monitor: Monitor,
    /// The store here.
    pub streams: Arc<dyn Streams>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// This node.
    pub node: NodeName,
}

impl Prober {
    /// Sends a probe and tells the monitor how it went.
    pub(super) async fn once(&self) -> Result<Probed, Failure> {
        let caller = self.monitor.caller().ok_or_else(|| {
            let message = "there is no link to probe";
            Failure::new(Exit::Unreachable, "QC2232", message)
        })?;
        let mark = fastrand::u64(..);
        let probed = probe(self.streams.as_ref(), &caller, self.clock.as_ref(), mark).await;
        self.monitor.probed(&caller, &probed);
        probed
    }

    /// Probes each minute, not all nodes in the same second, until the end.
    pub async fn run(self, drain: Drain) {
        let mut wait = EVERY.mul_f64(fastrand::f64());
        loop {
            tokio::select! {
                () = drain.signaled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = EVERY;
            if self.monitor.caller().is_some() {
                // the monitor has the outcome
                let _told = self.once().await;
            }
        }
    }
}
