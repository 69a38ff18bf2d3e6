//! Metrics: counters and gauges, alone or by one label, as OpenMetrics text.
//!
//! Names are given as they appear: `qc_messages_in_total`, `qc_link_up`. A subsystem registers once
//! and keeps the handles; counting is one atomic addition.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A number that only grows.
pub type Counter = prometheus_client::metrics::counter::Counter;

/// A number that goes up and down.
pub type Gauge = prometheus_client::metrics::gauge::Gauge;

type Labels = [(&'static str, String); 1];

/// What the label of a series past the limit says.
const OTHER: &str = "other";
const SERIES: usize = 10_000;

/// All metrics of a process; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

/// Metrics of one kind told apart by one label.
#[derive(Debug, Clone)]
pub struct ByLabel<M> {
    label: &'static str,
    family: Family<Labels, M>,
    series: Arc<AtomicUsize>,
}

/// Counters told apart by one label.
pub type Counters = ByLabel<Counter>;

/// Gauges told apart by one label.
pub type Gauges = ByLabel<Gauge>;

impl Metrics {
    /// The metrics of `program`, with `qc_build_info` among them.
    pub fn new(program: &'static str, version: &'static str) -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("program", program), ("version", version)]);
        registry.register("qc_build", "What runs here", build);
        Self {
            registry: Arc::new(Mutex::new(registry)),
        }
    }

    /// Registers a counter; `help` is a sentence without its full stop.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.with(|registry| registry.register(stem(name), help, counter.clone()));
        counter
    }

    /// Registers a gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.with(|registry| registry.register(name, help, gauge.clone()));
        gauge
    }

    /// Registers counters by `label`.
    pub fn counters(&self, name: &str, help: &str, label: &'static str) -> Counters {
        let counters = ByLabel::new(label);
        self.with(|registry| registry.register(stem(name), help, counters.family.clone()));
        counters
    }

    /// Registers gauges by `label`.
    pub fn gauges(&self, name: &str, help: &str, label: &'static str) -> Gauges {
        let gauges = ByLabel::new(label);
        self.with(|registry| registry.register(name, help, gauges.family.clone()));
        gauges
    }

    /// All metrics as OpenMetrics text, to be sent as [`Self::CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        self.with(|registry| encode(&mut text, registry).expect("a String takes all"));
        text
    }

    /// The content type of [`Self::encode`].
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    fn with(&self, work: impl FnOnce(&mut Registry)) {
        work(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<M: Clone + Default> ByLabel<M> {
    fn new(label: &'static str) -> Self {
        Self {
            label,
            family: Family::default(),
            series: Arc::default(),
        }
    }

    /// The metric of `value`; keep it where it is used often. Past 10,000 values there is one for
    /// all others.
    pub fn of(&self, value: &str) -> M {
        let labels = [(self.label, value.to_owned())];
        if let Some(known) = self.family.get(&labels) {
            return known.clone();
        }
        if self.series.load(Ordering::Relaxed) >= SERIES {
            let other = [(self.label, OTHER.to_owned())];
            return self.family.get_or_create_owned(&other);
        }
        self.series.fetch_add(1, Ordering::Relaxed);
        self.family.get_or_create_owned(&labels)
    }

    /// Forgets the metric of `value`.
    pub fn remove(&self, value: &str) {
        if self.family.remove(&[(self.label, value.to_owned())]) {
            self.series.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The encoder appends `_total` itself.
fn stem(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_was_counted() {
        let metrics = Metrics::new("qc-relay", "0.1.0");
        let accepted = metrics.counters("qc_messages_in_total", "Messages stored", "stream");
        let up = metrics.gauges("qc_link_up", "Whether the peer is linked", "peer");
        let lab = accepted.of("acme/lab");
        lab.inc_by(3);
        accepted.of("acme/lab").inc();
        up.of("edge-1.a.b").set(1);
        up.of("gone").set(1);
        up.remove("gone");
        metrics.gauge("qc_disk_free_bytes", "Free space").set(7);
        metrics.counter("qc_syncs_total", "Syncs").inc();
        assert_eq!(
            metrics.encode(),
            "# HELP qc_build What runs here.\n# TYPE qc_build info\n\
             qc_build_info{program=\"qc-relay\",version=\"0.1.0\"} 1\n\
             # HELP qc_messages_in Messages stored.\n# TYPE qc_messages_in counter\n\
             qc_messages_in_total{stream=\"acme/lab\"} 4\n\
             # HELP qc_link_up Whether the peer is linked.\n# TYPE qc_link_up gauge\n\
             qc_link_up{peer=\"edge-1.a.b\"} 1\n\
             # HELP qc_disk_free_bytes Free space.\n# TYPE qc_disk_free_bytes gauge\n\
             qc_disk_free_bytes 7\n\
             # HELP qc_syncs Syncs.\n# TYPE qc_syncs counter\nqc_syncs_total 1\n# EOF\n"
        );
    }
}
