//! The disk under this relay: what only a log on this machine has and no cluster would.
//!
//! Everything else in the relay knows its storage as `dyn Streams`. Commands that speak of segments,
//! files, keys or space of this machine's disk ask here.

use qc_core::store::{Log, LogStats, OpenReport};

/// The log of this machine and what its recovery found. Clones share it.
#[derive(Clone)]
pub(crate) struct LocalStore {
    log: Log,
    report: OpenReport,
}

impl LocalStore {
    /// The log that was opened at start.
    pub(crate) fn new(log: Log, report: OpenReport) -> Self {
        Self { log, report }
    }

    /// Segments, bytes, the last `fdatasync`.
    pub(crate) fn stats(&self) -> LogStats {
        self.log.stats()
    }

    /// What recovery found at start and what stands in the way of appends now, a line each.
    pub(crate) fn report_lines(&self) -> Vec<String> {
        let (stats, mut lines) = (self.stats(), self.report.lines());
        let full = stats
            .full
            .map(|why| format!("QC3302 appends are refused: {why}"));
        let stopped = stats
            .poisoned
            .map(|why| format!("QC3002 the store stopped: {why}"));
        lines.extend(full.into_iter().chain(stopped));
        lines
    }
}
