//! The front door: who finds a place, what is logged and counted of those who do not, and whose links
//! stand.
//!
//! [`admission`] counts, [`quiet`] bounds the log, [`twins`] finds two machines with one identity; these
//! three are pure. [`hello`] waits for those who greet, [`links`] has the newest link of every node, and
//! [`Front`] is what the listener asks.

mod admission;
mod ear;
pub(crate) mod hello;
mod links;
mod quiet;
mod twins;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::telemetry::{Counters, Gauge, Metrics};

use admission::{Admission, Limit, Source};
use quiet::Quiet;

pub(crate) use admission::Limits;
pub(crate) use links::Links;

/// How many lines of one code a few seconds may have.
const LINES: u32 = 5;
/// What no limit of open files counts as.
const UNLIMITED: u64 = 10_000_000;
/// Files that are left to the store, the sockets of administration and what else is not a connection.
const OWN_FILES: u64 = 256;

/// The front door. Shared by everything that listens.
pub(crate) struct Front {
    inner: Mutex<Inner>,
    clock: Arc<SystemClock>,
    metrics: FrontMetrics,
}

struct Inner {
    admission: Admission,
    quiet: Quiet,
}

impl Front {
    pub(crate) fn new(limits: Limits, clock: Arc<SystemClock>, metrics: FrontMetrics) -> Self {
        let inner = Inner {
            admission: Admission::new(limits),
            quiet: Quiet::default(),
        };
        Self {
            inner: Mutex::new(inner),
            clock,
            metrics,
        }
    }

    /// A place for a connection that comes from `remote`, or none: then it is to be closed.
    pub(crate) fn arrive(self: &Arc<Self>, remote: SocketAddr) -> Option<Place> {
        let source = Source::of(remote.ip());
        let arrived = self.lock().admission.arrive(source);
        match arrived {
            Ok(()) => Some(Place {
                front: Arc::clone(self),
                source,
                shakes_hands: true,
                is_anonymous: false,
            }),
            Err(limit) => {
                self.turned_away(remote, limit);
                None
            }
        }
    }

    /// A node has a link from `remote`.
    pub(crate) fn linked(&self, remote: SocketAddr) {
        self.lock().admission.linked(Source::of(remote.ip()));
    }

    /// Nodes came from these addresses before this process, the last of them at the end.
    pub(crate) fn remember(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let mut inner = self.lock();
        for address in addresses {
            inner.admission.linked(Source::of(address));
        }
    }

    /// Whether a line of `code` may be logged. Those that may not are counted.
    pub(crate) fn may_say(&self, code: &'static str) -> bool {
        let now = self.clock.instant();
        self.lock().quiet.may_say(code, LINES, now)
    }

    /// A handshake failed with this code.
    pub(crate) fn handshake_failed(&self, code: &'static str) {
        self.metrics.failed.of(code).inc();
    }

    fn turned_away(&self, remote: SocketAddr, limit: Limit) {
        self.metrics.turned_away.of(limit.name()).inc();
        let now = self.clock.instant();
        if self.lock().quiet.may_say("QC2035", 1, now) {
            let limit = limit.name();
            tracing::warn!(code = "QC2035", limit, %remote, "Connections are turned away.");
        }
    }

    /// Says what was held back, and shows what is taken. Called once a second.
    pub(crate) fn tell(&self) {
        let now = self.clock.instant();
        let (told, counts) = {
            let mut inner = self.lock();
            (inner.quiet.held_back(now), inner.admission.counts())
        };
        for (code, count) in told {
            tracing::warn!(code, count, "More of the same at the front door.");
        }
        let shown = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.pending.set(shown(counts.0));
        self.metrics.connections.set(shown(counts.1));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct Place {
    front: Arc<Front>,
    source: Source,
    shakes_hands: bool,
    is_anonymous: bool,
}

impl Place {
    /// Its handshake is over.
    pub(crate) fn shook_hands(&mut self) {
        if std::mem::take(&mut self.shakes_hands) {
            self.front.lock().admission.shook_hands(self.source);
        }
    }

    /// It showed no certificate; whether it may stay.
    pub(crate) fn is_anonymous(&mut self, remote: SocketAddr) -> bool {
        let may_stay = self.front.lock().admission.is_anonymous(self.source);
        match may_stay {
            Ok(()) => self.is_anonymous = true,
            Err(limit) => self.front.turned_away(remote, limit),
        }
        may_stay.is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shook_hands();
        let mut inner = self.front.lock();
        if self.is_anonymous {
            inner.admission.anonymous_ended(self.source);
        }
        inner.admission.ended();
    }
}

/// What the front door counts.
#[derive(Clone)]
pub(crate) struct FrontMetrics {
    turned_away: Counters,
    failed: Counters,
    pending: Gauge,
    connections: Gauge,
}

impl FrontMetrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            turned_away: metrics.counters(
                "qc_front_turned_away_total",
                "Connections closed before TLS or for want of a certificate, by the limit of [listen]",
                "limit",
            ),
            failed: metrics.counters(
                "qc_front_handshakes_failed_total",
                "Handshakes that failed, by code",
                "code",
            ),
            pending: metrics.gauge("qc_front_pending", "Connections in their handshake"),
            connections: metrics.gauge("qc_front_connections", "Connections of any kind"),
        }
    }
}

/// How many connections the system lets this process have. The soft limit of open files is raised to
/// the hard one first.
pub(crate) fn possible_connections() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit.current = limit.maximum;
        }
    }
    let files = limit.current.unwrap_or(UNLIMITED);
    let own = OWN_FILES.max(files / 8).min(files / 2);
    usize::try_from(files - own).unwrap_or(usize::MAX)
}
