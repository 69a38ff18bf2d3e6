//! A node's store as an operator sees it and cares for it: `disk`, `disk relieve`, its part of `status`
//! and its metrics. The same on relay and edge; what differs is who must have a message.

mod metrics;
mod report;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};

use crate::admin::Problem;
use crate::admin::api::{Reply, StoreStatus};
use crate::admin::disk::{DISK_SCHEMA, DiskReport, RELIEF_STEP_SCHEMA, ReliefAnswer, ReliefStep};
use crate::clock::Clock;
use crate::failure::{Exit, Failure};
use crate::model::{NodeName, Seq};
use crate::node::NodeState;
use crate::store::{Log, OpenReport, StreamKey};

pub use metrics::StoreMetrics;
pub use report::files_only;
pub use watch::SpaceWatch;

/// How long one request gives back space; then the asker hears how far it came.
const TURN: Duration = Duration::from_millis(500);

/// The wait for what the store has begun by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// How far the slowest consumer of a stream has come; none when nobody must have its messages.
pub type Slowest = Arc<dyn Fn(&StreamKey) -> Option<Seq> + Send + Sync>;

/// A node's store and what is known around it. Clones share it.
#[derive(Clone)]
pub struct Upkeep {
    /// The store.
    pub log: Log,
    /// What recovery found when it was opened.
    pub recovered: OpenReport,
    /// The state directory.
    pub dir: PathBuf,
    /// The node.
    pub node: NodeName,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who must have what.
    pub slowest: Slowest,
}

/// The routes `GET /v1/disk` and `POST /v1/disk/relieve`.
pub fn router(upkeep: Upkeep) -> Router {
    Router::new()
        .route("/v1/disk", get(disk))
        .route("/v1/disk/relieve", post(relieve))
        .with_state(upkeep)
}

async fn disk(State(upkeep): State<Upkeep>) -> Json<Reply<DiskReport>> {
    let report = upkeep.disk();
    upkeep.reply(DISK_SCHEMA, report)
}

async fn relieve(
    State(upkeep): State<Upkeep>,
    Json(step): Json<ReliefStep>,
) -> Result<Json<Reply<ReliefAnswer>>, Problem> {
    let began = upkeep.clock.instant();
    let mut until = step.until;
    loop {
        let step = upkeep.log.relieve_step(until).await.map_err(|error| {
            Failure::new(Exit::Disk, error.code(), "no space was given back").because(&error)
        })?;
        until = Some(step.until);
        let took = upkeep.clock.instant().saturating_duration_since(began);
        if step.is_done || took >= TURN {
            let answer = ReliefAnswer {
                until: step.until,
                store_bytes: step.bytes,
                done: step.is_done,
            };
            return Ok(upkeep.reply(RELIEF_STEP_SCHEMA, answer));
        }
        if !step.has_moved {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Upkeep {
    /// The store of `node` in `dir`; `slowest` says who must have what.
    pub fn of(
        node: &NodeState,
        dir: &Path,
        clock: Arc<dyn Clock>,
        slowest: impl Fn(&StreamKey) -> Option<Seq> + Send + Sync + 'static,
    ) -> Self {
        Self {
            log: node.log.clone(),
            recovered: node.report.clone(),
            dir: dir.to_owned(),
            node: node.name.clone(),
            clock,
            slowest: Arc::new(slowest),
        }
    }

    /// The disk, the store on it, and who is refused.
    pub fn disk(&self) -> DiskReport {
        report::of(self)
    }

    /// The store's part of `status`.
    pub fn status(&self, disk_used: u8) -> StoreStatus {
        let stats = self.log.stats();
        let streams = self.log.streams();
        let oldest = streams.iter().filter_map(|info| info.oldest).min();
        let mut recovered = self.recovered.lines();
        recovered.extend(refusals(&stats));
        recovered.extend(
            stats
                .poisoned
                .map(|reason| format!("QC3002 the store stopped: {reason}")),
        );
        StoreStatus {
            streams: streams.len() as u64,
            segments: stats.segments,
            bytes: stats.bytes,
            oldest: oldest.map(|oldest| oldest.to_string()),
            disk_used_percent: Some(disk_used),
            recovered,
            health: report::health(self),
        }
    }

    fn reply<T>(&self, schema: &str, data: T) -> Json<Reply<T>> {
        Json(Reply::new(schema, &self.node, self.clock.now(), data))
    }
}

/// Who is refused for want of space, in a sentence.
fn refusals(stats: &crate::store::LogStats) -> Option<String> {
    if let Some(reason) = &stats.full {
        return Some(format!("QC3302 nothing is taken in: {reason}"));
    }
    let lanes = stats.usage.lanes.iter();
    let refused: Vec<_> = lanes
        .filter(|lane| lane.refused.is_some())
        .map(|lane| lane.lane.to_string())
        .collect();
    let lanes = refused.join(", ");
    (!refused.is_empty()).then(|| format!("QC3302 {lanes}: not taken in, space runs out"))
}
