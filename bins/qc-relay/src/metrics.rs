//! What the relay counts, as OpenMetrics. Series are per stream or per node, never per message.

use qc_core::admin::api::NodeState;
use qc_core::store::Log;
use qc_core::telemetry::{Gauges, Metrics};
use qc_core::upkeep::StoreMetrics;

use crate::front::FrontMetrics;
use crate::hub::Hub;

/// The relay's metrics; values are taken from the hub when they are asked for.
#[derive(Clone)]
pub(crate) struct RelayMetrics {
    metrics: Metrics,
    stream_last: Gauges,
    stream_messages: Gauges,
    stream_bytes: Gauges,
    stream_duplicates: Gauges,
    stream_refused: Gauges,
    node_up: Gauges,
    node_backlog: Gauges,
    store: StoreMetrics,
    /// The front door's.
    pub front: FrontMetrics,
}

impl RelayMetrics {
    /// Registers everything.
    pub(crate) fn new() -> Self {
        let m = Metrics::new("qc-relay", env!("CARGO_PKG_VERSION"));
        Self {
            stream_last: m.gauges("qc_stream_last_seq", "Newest number of a stream", "stream"),
            stream_messages: m.gauges("qc_stream_messages", "Messages that are kept", "stream"),
            stream_bytes: m.gauges("qc_stream_bytes", "Bytes that are kept", "stream"),
            stream_duplicates: m.gauges(
                "qc_stream_duplicates",
                "Appends that were there",
                "stream",
            ),
            stream_refused: m.gauges(
                "qc_stream_refused",
                "Requests that no rule allows",
                "stream",
            ),
            node_up: m.gauges(
                "qc_node_up",
                "1 while the node's link is up and heard",
                "node",
            ),
            node_backlog: m.gauges("qc_node_backlog_messages", "Messages that wait", "node"),
            store: StoreMetrics::new(&m),
            front: FrontMetrics::new(&m),
            metrics: m,
        }
    }

    /// Takes the values from the hub and the store under it.
    pub(crate) fn refresh(&self, hub: &Hub, log: &Log) {
        for row in hub.stream_rows() {
            self.stream_last.of(&row.name).set(signed(row.last_seq));
            self.stream_messages.of(&row.name).set(signed(row.messages));
            self.stream_bytes.of(&row.name).set(signed(row.bytes));
            self.stream_duplicates
                .of(&row.name)
                .set(signed(row.duplicates));
            self.stream_refused.of(&row.name).set(signed(row.refused));
        }
        for node in hub.fleet_view().nodes {
            let heard = !matches!(node.state, NodeState::Down | NodeState::Stale);
            self.node_up.of(&node.name).set(i64::from(heard));
            self.node_backlog
                .of(&node.name)
                .set(signed(node.backlog_messages));
        }
        self.store.refresh(log);
    }

    /// All of it as text.
    pub(crate) fn encode(&self) -> String {
        self.metrics.encode()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
