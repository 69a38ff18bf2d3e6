//! What is known of the link upward: told by its dialer and by the program, shown by `status`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::admin::api::{LastError, LinkState as Shown, LinkStatus, LinkWay};
use crate::clock::Clock;
use crate::link::{DUPLICATE, DialerState, DialerStatus, LinkState, Peer};
use crate::model::{StreamName, Timestamp};
use crate::reach::Ways;
use crate::safe_text::safe;
use crate::wire::Refusal;

/// The link upward as it stands. Clones share it.
#[derive(Clone)]
pub struct Monitor {
    pub(super) dialer: watch::Sender<DialerStatus>,
    pub(super) ways: Ways,
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Seen>>,
}

/// What the program has seen of its links.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Whether two heartbeats are missing, or nothing is acknowledged for as long.
    stale: bool,
    rtt: Option<Duration>,
    acked: Option<Timestamp>,
    sent: u64,
    received: u64,
    /// The newest refusal of a stream.
    refusal: Option<(Timestamp, StreamName, Refusal)>,
}

impl Monitor {
    /// Before the first attempt.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            dialer: watch::Sender::new(DialerStatus::new(clock.now())),
            ways: Ways::default(),
            clock,
            seen: Arc::default(),
        }
    }

    /// `count` messages came.
    pub fn received(&self, count: u64) {
        self.change(|seen| seen.received += count);
    }

    /// The peer has `count` more messages on its disk.
    pub fn acked(&self, count: u64) {
        let now = self.clock.now();
        self.change(|seen| {
            seen.acked = Some(now);
            seen.sent += count;
        });
    }

    /// A heartbeat took this long there and back, if it was measured.
    pub fn heartbeat(&self, rtt: Option<Duration>) {
        self.change(|seen| seen.rtt = rtt.or(seen.rtt));
    }

    /// The link changed its state; logged.
    pub fn state(&self, peer: &Peer, state: &LinkState) {
        match state {
            LinkState::Up => {
                tracing::info!(code = "QC2223", relay = %peer.node, address = peer.address, "Link up.");
            }
            LinkState::Stale => {
                tracing::warn!(code = "QC2221", relay = %peer.node, "Two heartbeats are missing.");
            }
            LinkState::Unacked => {
                tracing::warn!(code = "QC2224", relay = %peer.node, "It has not acknowledged for two heartbeats.");
            }
            LinkState::Fresh => {
                tracing::info!(code = "QC2223", relay = %peer.node, "Link well again.");
            }
            LinkState::Down(refusal) => {
                let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
                if refusal.code.is_identity() || refusal.code == DUPLICATE {
                    tracing::warn!(code, relay = %peer.node, reason, "Link down.");
                } else {
                    tracing::info!(code, relay = %peer.node, reason, "Link down.");
                }
            }
        }
        let stale = matches!(state, LinkState::Stale | LinkState::Unacked);
        self.change(|seen| seen.stale = stale);
    }

    /// A stream was refused, here or there; logged.
    pub fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal) {
        let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
        tracing::warn!(code, relay = %peer.node, %stream, reason, "Refused.");
        let now = self.clock.now();
        self.change(|seen| seen.refusal = Some((now, stream.clone(), refusal.clone())));
    }

    /// What the dialer does.
    pub fn dialer(&self) -> DialerStatus {
        self.dialer.borrow().clone()
    }

    /// When the newest connection to `address` was made, if there was one.
    pub fn last_way(&self, address: &str) -> Option<Timestamp> {
        self.ways.of(address).map(|way| way.at)
    }

    /// The link for `status`. `waiting` messages wait for it.
    pub fn status(&self, waiting: u64) -> LinkStatus {
        let (now, seen, dialer) = (self.clock.now(), self.seen(), self.dialer());
        let error = |at: &Timestamp, refusal: &Refusal, reason: String| LastError {
            code: refusal.code.to_string(),
            reason,
            at: Some(at.to_string()),
        };
        let last = dialer.last_error.as_ref();
        let mut last_error = last.map(|(at, refusal)| error(at, refusal, refusal.reason.clone()));
        let (state, peer, next_try_s) = match &dialer.state {
            DialerState::Connected(peer) => {
                // a link that is up may still have a stream that the other side does not take
                if let Some((at, stream, refusal)) = &seen.refusal {
                    let reason = format!("{stream}: {}", refusal.reason);
                    last_error = Some(error(at, refusal, reason));
                }
                let state = if seen.stale {
                    Shown::Stalled
                } else {
                    Shown::Up
                };
                (state, peer.node.to_string(), None)
            }
            DialerState::Connecting => (Shown::Connecting, String::new(), None),
            DialerState::Waiting(until) => {
                let left = until.since(now).as_secs();
                (Shown::Waiting, String::new(), Some(left))
            }
            DialerState::Stopped => (Shown::Down, String::new(), None),
        };
        LinkStatus {
            peer,
            address: safe(&dialer.address, 200),
            state,
            way: self.ways.of(&dialer.address).map(|way| LinkWay {
                remote: way.remote,
                proxy: way.proxy,
                websocket: way.websocket,
                address_age_s: way.address_from.map(|at| now.since(at).as_secs()),
                since: way.at.to_string(),
            }),
            since: Some(dialer.since.to_string()),
            last_error,
            attempts: u64::from(dialer.attempts),
            next_try_s,
            rtt_ms: seen.rtt.map(ms),
            acked_ms: seen.acked.map(|at| ms(now.since(at))),
            acked_seq: None,
            sent: seen.sent,
            received: seen.received,
            backlog_messages: waiting,
        }
    }

    fn seen(&self) -> Seen {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
