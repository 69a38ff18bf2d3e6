//! What is known of the link upward: told by its dialer and by the program, shown by `status`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Probed;
use crate::admin::api::{LastError, LinkState as Shown, LinkStatus, LinkWay};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::link::{Caller, DUPLICATE, DialerState, DialerStatus, LinkState, Peer, PeerHeartbeat};
use crate::model::{StreamName, Timestamp};
use crate::reach::Ways;
use crate::safe_text::safe;
use crate::wire::Refusal;

/// How far marks of what has been sent are apart, and how many are kept.
const MARK: Duration = Duration::from_secs(1);
const MARKS: usize = 60;

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
    /// The address of a link of which two heartbeats are missing, or that acknowledges nothing.
    stale: Option<String>,
    rtt: Option<Duration>,
    acked: Option<Timestamp>,
    sent: u64,
    /// What had been sent when, a mark each second of the last minute.
    marks: VecDeque<(Instant, u64)>,
    received: u64,
    /// The newest refusal of a stream.
    refusal: Option<(Timestamp, StreamName, Refusal)>,
    /// What makes calls, by the address of the link: there are two while it moves to another relay.
    callers: BTreeMap<String, Caller>,
    /// The newest probe that came back.
    probed: Option<(Timestamp, u64)>,
    /// What the peer says that this node should know of itself, and since when.
    notice: Option<(Timestamp, Refusal)>,
    /// Why a later one did not.
    lost: Option<(Timestamp, &'static str, String)>,
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

    /// The peer has `count` more messages of `stream` on its disk.
    pub fn acked(&self, stream: &StreamName, count: u64) {
        if count == 0 {
            return; // said again after a reconnect
        }
        let (now, at) = (self.clock.now(), self.clock.instant());
        self.change(|seen| {
            seen.acked = Some(now);
            seen.mark(at);
            seen.sent += count;
            seen.refusal.take_if(|(_, refused, _)| refused == stream);
        });
    }

    /// A heartbeat of `peer` has come; what it says of this node is logged once.
    pub fn heartbeat(&self, peer: &Peer, heartbeat: &PeerHeartbeat) {
        let now = self.clock.now();
        self.change(|seen| {
            seen.rtt = heartbeat.rtt.or(seen.rtt);
            let known = seen.notice.take();
            let is_known = |refusal: &Refusal| {
                let code = known.as_ref().map(|(_, known)| known.code);
                code == Some(refusal.code)
            };
            if let Some(refusal) = &heartbeat.notice {
                if !is_known(refusal) {
                    let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
                    tracing::warn!(code, relay = %peer.node, reason, "The relay says of this node.");
                }
                let since = known.map_or(now, |(since, _)| since);
                seen.notice = Some((since, refusal.clone()));
            }
        });
    }

    /// A link is up, with what makes calls on it.
    pub fn linked(&self, peer: &Peer, caller: Caller) {
        self.change(|seen| drop(seen.callers.insert(peer.address.clone(), caller)));
    }

    /// What makes calls on the link that is up.
    pub fn caller(&self) -> Option<Caller> {
        let DialerState::Connected(peer) = self.dialer().state else {
            return None;
        };
        self.seen().callers.remove(&peer.address)
    }

    /// How a probe of `caller` went; its first failure is logged. One that went down with its link says
    /// nothing of the next, and an older peer that takes none is not ill.
    pub(super) fn probed(&self, caller: &Caller, probed: &Result<Probed, Failure>) {
        let now = self.clock.now();
        let is_current = self.caller().is_some_and(|current| current.is_same(caller));
        match probed {
            Ok(probed) => self.change(|seen| {
                (seen.probed, seen.lost) = (Some((now, probed.total_us())), None);
            }),
            Err(failure) if is_current && !matches!(failure.code, "QC2230" | "QC2231") => {
                self.change(|seen| {
                    if seen.lost.is_none() {
                        tracing::warn!(code = failure.code, reason = %failure, "A probe of the link was lost.");
                    }
                    seen.lost = Some((now, failure.code, failure.message.clone()));
                });
            }
            Err(_) => {}
        }
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
        self.change(|seen| match state {
            LinkState::Stale | LinkState::Unacked => seen.stale = Some(peer.address.clone()),
            LinkState::Up => {
                // what is still refused or to be known is said again
                seen.notice = None;
                (seen.stale, seen.refusal, seen.lost) = (None, None, None);
            }
            LinkState::Fresh => seen.is_well(&peer.address),
            LinkState::Down(_) => {
                seen.is_well(&peer.address);
                seen.callers.remove(&peer.address);
            }
        });
    }

    /// A stream was refused, here or there; logged.
    pub fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal) {
        let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
        tracing::warn!(code, relay = %peer.node, %stream, reason, "Refused.");
        let now = self.clock.now();
        self.change(|seen| seen.refusal = Some((now, stream.clone(), refusal.clone())));
    }

    /// What is wrong with the link now: a code and a reason.
    pub fn problem(&self) -> Option<(String, String)> {
        let (seen, dialer) = (self.seen(), self.dialer());
        let told = |refusal: &Refusal| (refusal.code.to_string(), refusal.reason.clone());
        if !matches!(dialer.state, DialerState::Connected(_)) {
            let last = dialer.last_error.as_ref().map(|(_, refusal)| told(refusal));
            let (code, reason) = last.unwrap_or_else(|| ("QC2220".to_owned(), String::new()));
            return Some((code, format!("no link to the parent: {reason}")));
        }
        if seen.stale.is_some() {
            let reason = "nothing is heard of the parent, or nothing acknowledged";
            return Some(("QC2221".to_owned(), reason.to_owned()));
        }
        if let Some((_, refusal)) = &seen.notice {
            return Some(told(refusal));
        }
        let lost = seen.lost.map(|(_, code, reason)| (code.to_owned(), reason));
        let of_stream = seen.refusal.map(|(_, stream, refusal)| {
            let (code, reason) = told(&refusal);
            (code, format!("{stream}: {reason}"))
        });
        lost.or(of_stream)
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
        let of_link = dialer.last_error.as_ref();
        let of_link = of_link.map(|(at, why)| (*at, error(at, why, why.reason.clone())));
        let of_stream = seen.refusal.as_ref().map(|(at, stream, why)| {
            let reason = format!("{stream}: {}", why.reason);
            (*at, error(at, why, reason))
        });
        let lost = seen.lost.as_ref().map(|(at, code, reason)| {
            let lost = LastError {
                code: (*code).to_owned(),
                reason: reason.clone(),
                at: Some(at.to_string()),
            };
            (*at, lost)
        });
        let notice = seen.notice.as_ref();
        let notice = notice.map(|(at, why)| (*at, error(at, why, why.reason.clone())));
        let newest = |errors: [Option<(Timestamp, LastError)>; 3]| {
            let newest = errors.into_iter().flatten().max_by_key(|(at, _)| *at);
            newest.map(|(_, error)| error)
        };
        let mut last_error = newest([of_link.clone(), None, None]);
        let (state, peer, next_try_s) = match &dialer.state {
            DialerState::Connected(peer) => {
                // a link that is up may still have a stream that the other side does not take
                let newest = newest([of_link, of_stream, lost]);
                last_error = notice.map(|(_, error)| error).or(newest);
                let state = if seen.stale.is_some() {
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
            probe_us: seen.probed.map(|(_, us)| us),
            probed_ms: seen.probed.map(|(at, _)| ms(now.since(at))),
            acked_seq: None,
            sent: seen.sent,
            received: seen.received,
            backlog_messages: waiting,
            drained_in_s: seen.drained_in(waiting, self.clock.instant()),
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

impl Seen {
    fn is_well(&mut self, address: &str) {
        self.stale.take_if(|stale| stale == address);
    }

    /// Remembers what has been sent by `at`, before more is counted.
    fn mark(&mut self, at: Instant) {
        let is_due = self.marks.back().is_none_or(|(last, _)| at >= *last + MARK);
        if is_due {
            self.marks.push_back((at, self.sent));
        }
        while self.marks.len() > MARKS {
            self.marks.pop_front();
        }
    }

    /// How many seconds `waiting` messages take at the rate of the last minute; none if there was none.
    fn drained_in(&self, waiting: u64, now: Instant) -> Option<u64> {
        let is_recent = |(at, _): &&(Instant, u64)| now.saturating_duration_since(*at) <= MARK * 60;
        let (since, before) = self.marks.iter().find(is_recent)?;
        let passed = now.saturating_duration_since(*since).max(MARK).as_millis();
        let sent = self.sent - before;
        if waiting == 0 || sent == 0 {
            return (waiting == 0).then_some(0);
        }
        let ms = u128::from(waiting) * passed / u128::from(sent);
        u64::try_from(ms / 1000).ok()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn what_waits_is_drained_at_the_rate_of_the_last_minute() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1)));
        let monitor = Monitor::new(clock.clone());
        let stream = "acme/x".parse().unwrap();
        assert_eq!(
            monitor.status(100).drained_in_s,
            None,
            "nothing was sent yet"
        );
        assert_eq!(monitor.status(0).drained_in_s, None);
        for _ in 0..10 {
            monitor.acked(&stream, 50);
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(monitor.status(3000).drained_in_s, Some(60));
        assert_eq!(monitor.status(0).drained_in_s, Some(0));
        clock.advance(Duration::from_mins(2));
        assert_eq!(monitor.status(3000).drained_in_s, None, "it stands");
    }
}
