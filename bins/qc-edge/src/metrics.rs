//! What the edge counts, as OpenMetrics. Series are per stream, lane or connector, never per message.

use qc_core::admin::api::{ConnectorStatus, EdgeStatus, LinkState, StreamRow};
use qc_core::store::Log;
use qc_core::telemetry::{Gauge, Gauges, Metrics};
use qc_core::upkeep::StoreMetrics;

/// The edge's metrics; values are taken from its status when they are asked for.
#[derive(Clone)]
pub(crate) struct EdgeMetrics {
    metrics: Metrics,
    stream_last: Gauges,
    stream_messages: Gauges,
    source_processed: Gauges,
    source_retries: Gauges,
    sink_processed: Gauges,
    sink_retries: Gauges,
    sink_dead: Gauges,
    link_up: Gauge,
    backlog_messages: Gauge,
    store: StoreMetrics,
}

impl EdgeMetrics {
    /// Registers everything.
    pub(crate) fn new() -> Self {
        let m = Metrics::new("qc-edge", env!("CARGO_PKG_VERSION"));
        Self {
            stream_last: m.gauges("qc_stream_last_seq", "Newest number of a stream", "stream"),
            stream_messages: m.gauges("qc_stream_messages", "Messages that are kept", "stream"),
            source_processed: m.gauges("qc_source_messages", "Messages taken in", "source"),
            source_retries: m.gauges("qc_source_retries", "Attempts that were repeated", "source"),
            sink_processed: m.gauges("qc_sink_messages", "Messages delivered", "sink"),
            sink_retries: m.gauges("qc_sink_retries", "Attempts that were repeated", "sink"),
            sink_dead: m.gauges(
                "qc_sink_dead_letters",
                "Messages that cannot be delivered",
                "sink",
            ),
            link_up: m.gauge("qc_link_up", "1 while the uplink is up and heard"),
            backlog_messages: m.gauge("qc_backlog_messages", "Messages that wait for someone"),
            store: StoreMetrics::new(&m),
            metrics: m,
        }
    }

    /// Takes the values and gives all of it as text.
    pub(crate) fn encode(
        &self,
        status: &EdgeStatus,
        streams: &[StreamRow],
        log: &Log,
        backlog: u64,
    ) -> String {
        for row in streams {
            let name = format!("{} {}", row.name, row.lane.as_deref().unwrap_or("in"));
            self.stream_last.of(&name).set(signed(row.last_seq));
            self.stream_messages.of(&name).set(signed(row.messages));
        }
        let connector = |rows: &[ConnectorStatus], done: &Gauges, retries: &Gauges| {
            for row in rows {
                done.of(&row.name).set(signed(row.processed));
                retries.of(&row.name).set(signed(row.retries));
            }
        };
        connector(
            &status.sources,
            &self.source_processed,
            &self.source_retries,
        );
        connector(&status.sinks, &self.sink_processed, &self.sink_retries);
        for sink in &status.sinks {
            self.sink_dead
                .of(&sink.name)
                .set(signed(sink.dead_lettered));
        }
        let up = status.links.iter().any(|link| link.state == LinkState::Up);
        self.link_up.set(i64::from(up));
        self.backlog_messages.set(signed(backlog));
        self.store.refresh(log);
        self.metrics.encode()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
