//! Logs and metrics.
//!
//! A log event is fields and a sentence, and has a stable code where a person may have to act:
//! `tracing::info!(code = "QC2223", %node, "Link up.")`. ERROR means an operator acts, WARN
//! means we recovered. Message bodies never appear.

mod line;
mod log;
mod metrics;
mod rate_limit;

pub use log::{LogFormat, LogHandle, LogOptions, init};
pub use metrics::{ByLabel, Counter, Counters, Gauge, Gauges, Metrics};
pub use rate_limit::RateLimit;
