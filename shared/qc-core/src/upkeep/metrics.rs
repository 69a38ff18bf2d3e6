//! The store's metrics, the same on relay and edge.

use crate::model::Timestamp;
use crate::store::Log;
use crate::telemetry::{Gauge, Gauges, Metrics};

/// Gauges of a store; values are taken when they are asked for.
#[derive(Clone)]
pub struct StoreMetrics {
    segments: Gauge,
    bytes: Gauge,
    max: Gauge,
    left: Gauge,
    reserve: Gauge,
    sync_us: Gauge,
    full: Gauge,
    refused: Gauges,
    scrubbed: Gauge,
    scrubbed_bytes: Gauge,
    damaged: Gauge,
    quarantine: Gauge,
    lost: Gauge,
}

impl StoreMetrics {
    /// Registers them.
    pub fn new(m: &Metrics) -> Self {
        Self {
            segments: m.gauge("qc_store_segments", "Segment files"),
            bytes: m.gauge("qc_store_bytes", "Bytes of all segments"),
            max: m.gauge("qc_store_max_bytes", "The most bytes the store may take"),
            left: m.gauge("qc_store_left_bytes", "Bytes that messages may still take"),
            reserve: m.gauge(
                "qc_store_reserve_bytes",
                "Bytes kept for acknowledgements and commands",
            ),
            sync_us: m.gauge(
                "qc_store_last_sync_microseconds",
                "Time of the last fdatasync",
            ),
            full: m.gauge(
                "qc_store_full",
                "1 while appends are refused for want of space",
            ),
            refused: m.gauges(
                "qc_store_lane_refused",
                "1 while the lane is refused for want of space",
                "lane",
            ),
            scrubbed: m.gauge(
                "qc_store_scrubbed_timestamp_seconds",
                "When all of the store had been read again, 0 if never",
            ),
            scrubbed_bytes: m.gauge("qc_store_scrubbed_bytes", "Bytes read again since start"),
            damaged: m.gauge(
                "qc_store_damaged_ranges",
                "Copies of damaged ranges in the quarantine",
            ),
            quarantine: m.gauge("qc_store_quarantine_bytes", "Bytes in the quarantine"),
            lost: m.gauge(
                "qc_store_lost_messages",
                "Messages that damage has taken and that would still be kept",
            ),
        }
    }

    /// Takes the values.
    pub fn refresh(&self, log: &Log) {
        let stats = log.stats();
        let usage = &stats.usage;
        self.segments.set(signed(stats.segments));
        self.bytes.set(signed(stats.bytes));
        self.max.set(signed(usage.max_bytes));
        self.left.set(signed(usage.left_bytes));
        self.reserve.set(signed(usage.reserve_bytes));
        self.sync_us.set(signed(stats.last_sync_us));
        self.full.set(i64::from(stats.full.is_some()));
        for lane in &usage.lanes {
            let refused = i64::from(lane.refused.is_some());
            self.refused.of(&lane.lane.to_string()).set(refused);
        }
        let scrubbed = stats.scrubbed.map_or(0, Timestamp::as_secs);
        self.scrubbed.set(signed(scrubbed));
        self.scrubbed_bytes.set(signed(stats.scrubbed_bytes));
        let quarantine = log.quarantine().unwrap_or_default();
        self.damaged.set(signed(quarantine.files));
        self.quarantine.set(signed(quarantine.bytes));
        let lost = log.streams().iter().map(|info| info.lost).sum();
        self.lost.set(signed(lost));
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
