//! Keeps one link up: relay after relay, with backoff and jitter, until it is told to stop.
//!
//! On a lesser relay it tries the preferred ones beside the standing link, and moves only when one of
//! them has greeted: the old link drains first, so that nothing is sent to both. A relay that is
//! drained sends it away, after everything is acknowledged; it goes where it is sent only within
//! its own list.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::app::{LinkApp, Peer};
use super::codes::{DRAINED, DUPLICATE, GOING_AWAY, NOT_ALLOWED, UNREACHABLE, WRONG_NODE};
use super::course::Course;
use super::driver::{Ended, LinkOptions, Stop, run};
use super::gate::Gate;
use super::session::Side;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::model::{HostPort, Timestamp};
use crate::wire::Refusal;

/// Makes authenticated connections. The name in [`Peer`] was verified when it returns.
pub trait Connect: Send + Sync + 'static {
    /// The byte stream of a connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Connects to `address`, which is `HOST:PORT`.
    fn connect(
        &self,
        address: &str,
    ) -> impl Future<Output = Result<(Self::Stream, Peer), ConnectError>> + Send;

    /// Resolves when the peer at the other end of `stream` is not to be believed any more, with the
    /// reason; never otherwise.
    fn distrusted(&self, stream: &Self::Stream) -> Distrust;
}

/// The end of somebody's trust in a peer.
pub type Distrust = Pin<Box<dyn Future<Output = Refusal> + Send>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("{address} is not reachable")]
    Unreachable {
        /// What was tried.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The connection was not ready in time.
    #[error("{address} did not answer within {} s", .after.as_secs_f32())]
    Timeout {
        /// What was tried.
        address: String,
        /// The time allowed.
        after: Duration,
    },
    /// One of the two does not accept the other, with a code of TLS and identity.
    #[error("{address}: {refusal}")]
    Refused {
        /// What was tried.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// The relay was not got through to: a name, a proxy, a filter.
    #[error("{address}: {refusal}")]
    OnTheWay {
        /// What was tried.
        address: String,
        /// Why.
        refusal: Refusal,
        /// Whether trying again soon may help.
        soon: bool,
    },
}

impl ConnectError {
    /// The code and reason to show.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Unreachable { source, .. } => {
                Refusal::new(UNREACHABLE, format!("{self}: {source}"))
            }
            Self::Timeout { .. } => Refusal::new(UNREACHABLE, self.to_string()),
            Self::Refused { refusal, .. } | Self::OnTheWay { refusal, .. } => refusal.clone(),
        }
    }

    /// Whether trying again soon is of no use.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => false,
            Self::Refused { refusal, .. } => is_lasting(refusal),
            Self::OnTheWay { soon, .. } => !soon,
        }
    }
}

/// Whether it is a matter of identity, where trying again soon is of no use.
fn is_lasting(refusal: &Refusal) -> bool {
    let code = refusal.code;
    code.is_identity() || code == WRONG_NODE || code == NOT_ALLOWED || code == DUPLICATE
}

/// How to dial.
#[derive(Debug, Clone)]
pub struct DialerOptions {
    /// The relays in order of preference, each `HOST:PORT`.
    pub addresses: Vec<String>,
    /// The time for name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The wait after all relays failed, or a link was lost.
    pub backoff: Backoff,
    /// The wait after all relays failed and the last one for a reason of identity.
    pub identity_backoff: Backoff,
    /// After how long a link counts as good, so that waits begin anew.
    pub good_after: Duration,
    /// The window over which the first attempt after a lost link is spread, so that a fleet does not
    /// return in one moment.
    pub reconnect_spread: Duration,
    /// How long a link to a lesser relay stands before the preferred ones are tried again, about; and
    /// how long a relay that sent this node away is left alone.
    pub prefer_after: Duration,
    /// How to run the link.
    pub link: LinkOptions,
}

impl DialerOptions {
    /// The defaults: a lost link is back within a second of the relay.
    pub fn new(addresses: Vec<String>, link: LinkOptions) -> Self {
        let backoff = |min, max| {
            Backoff::new(Duration::from_millis(min), Duration::from_millis(max))
                .expect("the constants below are in order")
        };
        Self {
            addresses,
            connect_timeout: Duration::from_secs(10),
            backoff: backoff(100, 1_000),
            identity_backoff: backoff(1_000, 60_000),
            good_after: Duration::from_secs(10),
            reconnect_spread: Duration::from_secs(1),
            prefer_after: Duration::from_mins(10),
            link,
        }
    }

    /// Spreads returns over `window`: those of a lost link, and the attempts while no relay is there.
    #[must_use]
    pub fn spread(self, window: Duration) -> Self {
        let longest = window.max(Duration::from_secs(1));
        Self {
            reconnect_spread: window,
            backoff: Backoff::new(Duration::from_millis(100), longest)
                .expect("a tenth of a second is less than a second"),
            ..self
        }
    }
}

/// What the dialer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialerState {
    /// Trying an address.
    Connecting,
    /// A link is up with this peer.
    Connected(Peer),
    /// Between attempts, until about this time.
    Waiting(Timestamp),
    /// Told to stop.
    Stopped,
}

impl fmt::Display for DialerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connecting => "connecting",
            Self::Connected(_) => "connected",
            Self::Waiting(_) => "waiting",
            Self::Stopped => "stopped",
        })
    }
}

/// The dialer's state with its history, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialerStatus {
    /// What it is doing.
    pub state: DialerState,
    /// Since when.
    pub since: Timestamp,
    /// The address tried last.
    pub address: String,
    /// Attempts since a link was last good.
    pub attempts: u32,
    /// Why the last attempt or link ended, and when.
    pub last_error: Option<(Timestamp, Refusal)>,
}

impl DialerStatus {
    /// Before the first attempt.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: DialerState::Connecting,
            since: now,
            address: String::new(),
            attempts: 0,
            last_error: None,
        }
    }
}

/// Dials until it is told to stop.
pub struct Dialer<'a, A, C> {
    /// The program around the link.
    pub app: Arc<A>,
    /// Makes connections.
    pub connect: &'a C,
    /// Where time comes from.
    pub clock: &'a dyn Clock,
    /// How to dial.
    pub options: DialerOptions,
    /// Where the state is told.
    pub status: watch::Sender<DialerStatus>,
    /// Chance, for the jitter.
    pub rng: fastrand::Rng,
}

/// A link under way.
struct Standing<'a, A> {
    /// The place of its relay in the list: 0 is the preferred one.
    place: usize,
    peer: Peer,
    began: Instant,
    gate: Arc<Gate<A>>,
    stop: watch::Sender<Stop>,
    run: Pin<Box<dyn Future<Output = Ended> + Send + 'a>>,
}

/// A link that is over.
struct Stood {
    /// The place of the relay it was with at last.
    place: usize,
    ended: Ended,
    lasted: Duration,
}

impl<'a, A: LinkApp, C: Connect> Dialer<'a, A, C> {
    /// Keeps a link up. Returns once `stop` says drain or close and the link has ended.
    pub async fn run(mut self, stop: watch::Receiver<Stop>) {
        let course = Mutex::new(Course::default());
        while !is_stopped(&stop) {
            let wait = self.round(&course, &stop).await;
            if is_stopped(&stop) {
                break;
            }
            let until = self.clock.now().plus(wait);
            self.tell(DialerState::Waiting(until));
            tokio::select! {
                () = sleep(wait) => {}
                () = stopped(stop.clone()) => {}
            }
        }
        self.tell(DialerState::Stopped);
    }

    /// Tries each relay once, in the order of `course`, until a link was up and ended; returns how
    /// long to wait.
    async fn round(&mut self, course: &Mutex<Course>, stop: &watch::Receiver<Stop>) -> Duration {
        let (mut lasting, mut was_up) = (false, false);
        let now = self.clock.instant();
        let mut left = lock(course).order(self.options.addresses.len(), now);
        let (tried, mut away) = (left.len(), 0);
        while let Some(place) = left.pop_front() {
            let Some(address) = self.options.addresses.get(place).cloned() else {
                continue;
            };
            self.status.send_modify(|status| {
                status.address.clone_from(&address);
                status.attempts = status.attempts.saturating_add(1);
            });
            self.tell(DialerState::Connecting);
            let connected = tokio::select! {
                connected = self.try_connect(&address) => connected,
                () = stopped(stop.clone()) => return Duration::ZERO,
            };
            let standing = match connected {
                Ok((stream, peer)) => self.start(place, stream, peer, true),
                Err(error) => {
                    lasting = error.is_lasting();
                    self.failed(error.refusal());
                    continue;
                }
            };
            self.tell(DialerState::Connected(standing.peer.clone()));
            let rng = self.rng.fork();
            let stood = self.stand(standing, course, stop, rng).await;
            away += usize::from(self.sent_away(course, &stood, &mut left));
            let Stood { ended, lasted, .. } = stood;
            lasting = is_lasting(&ended.refusal);
            // where two take turns, a turn that lasted is no reason to come back sooner
            let contested = ended.refusal.code == DUPLICATE;
            self.failed(ended.refusal);
            if ended.established {
                was_up = true;
                if lasted >= self.options.good_after && !contested {
                    self.options.backoff.reset();
                    self.options.identity_backoff.reset();
                    self.status.send_modify(|status| status.attempts = 0);
                }
                break;
            }
        }
        // a relay that sends it away is asked ever more slowly whether it takes it again
        let is_away = away > 0 && !was_up;
        let slow = &mut self.options.identity_backoff;
        let slow = (lasting || is_away).then(|| slow.next_delay(&mut self.rng));
        if let Some(wait) = slow.filter(|_| is_away) {
            lock(course).quiet(self.clock.instant() + wait);
        }
        let wait = slow.filter(|_| lasting || away == tried);
        let wait = wait.unwrap_or_else(|| self.options.backoff.next_delay(&mut self.rng));
        if was_up {
            wait.max(self.options.reconnect_spread.mul_f64(self.rng.f64()))
        } else {
            wait
        }
    }

    async fn try_connect(&self, address: &str) -> Result<(C::Stream, Peer), ConnectError> {
        let after = self.options.connect_timeout;
        timeout(after, self.connect.connect(address))
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::Timeout {
                    address: address.to_owned(),
                    after,
                })
            })
    }

    /// A link over `stream` that runs while it is polled.
    fn start(&self, place: usize, stream: C::Stream, peer: Peer, open: bool) -> Standing<'a, A> {
        let gate = Arc::new(Gate::new(Arc::clone(&self.app), open));
        let (stop, stopped) = watch::channel(Stop::Run);
        let (with, at, clock) = (peer.clone(), Arc::clone(&gate), self.clock);
        let options = self.options.link.clone();
        let (distrusted, close) = (self.connect.distrusted(&stream), stop.clone());
        let run = async move {
            let link = run(
                stream,
                &with,
                Side::Dialer,
                at.as_ref(),
                clock,
                &options,
                stopped,
            );
            let mut link = std::pin::pin!(link);
            tokio::select! {
                biased;
                refusal = distrusted => {
                    let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
                    tracing::warn!(code, relay = %with.node, reason, "No longer trusted; its link ends.");
                    close.send_replace(Stop::Close(refusal));
                }
                ended = &mut link => return ended,
                never = at.forward(), if !open => match never {},
            }
            link.await
        };
        Standing {
            place,
            peer,
            began: self.clock.instant(),
            gate,
            stop,
            run: Box::pin(run),
        }
    }

    /// Runs a link to its end, and moves to a preferred relay when one is there. Tells how the last
    /// link ended.
    async fn stand(
        &self,
        mut standing: Standing<'a, A>,
        course: &Mutex<Course>,
        stop: &watch::Receiver<Stop>,
        mut rng: fastrand::Rng,
    ) -> Stood {
        let ended = loop {
            let better = tokio::select! {
                ended = &mut standing.run => break ended,
                () = stopped(stop.clone()) => break finish(&mut standing, stop).await,
                better = self.better(standing.place, course, &mut rng), if standing.place > 0 => better,
            };
            match self.change(&mut standing, better, stop).await {
                Ok(better) => standing = better,
                Err(ended) => break ended,
            }
        };
        let now = self.clock.instant();
        Stood {
            place: standing.place,
            ended,
            lasted: now.saturating_duration_since(standing.began),
        }
    }

    /// Takes note if a relay has sent this node away; whether it has.
    fn sent_away(&self, course: &Mutex<Course>, stood: &Stood, left: &mut VecDeque<usize>) -> bool {
        let Ended {
            refusal,
            by_peer,
            established,
        } = &stood.ended;
        if *established {
            lock(course).arrived();
        }
        if !by_peer || refusal.code != DRAINED {
            return false;
        }
        // a relay names a place, and only the own list makes it one
        let is_named = |address: &String| {
            let address = address.parse::<HostPort>().ok();
            address.is_some() && address == refusal.to
        };
        let to = self.options.addresses.iter().position(is_named);
        let until = self.clock.instant() + self.options.prefer_after;
        let is_news = lock(course).sent_away(stood.place, to, until, left);
        if is_news {
            let relay = self.options.addresses.get(stood.place).map(String::as_str);
            let (relay, reason) = (relay.unwrap_or_default(), refusal.reason.as_str());
            tracing::info!(code = "QC2240", relay, reason, "Sent away by its relay.");
            if let (None, Some(to)) = (to, &refusal.to) {
                tracing::warn!(
                    code = "QC2241",
                    relay,
                    %to,
                    "It names a relay that is not in [uplink] relay; the next of the list is taken."
                );
            }
        }
        true
    }

    /// A link to a relay before `place` that has greeted, as soon as there is one.
    async fn better(
        &self,
        place: usize,
        course: &Mutex<Course>,
        rng: &mut fastrand::Rng,
    ) -> Standing<'a, A> {
        loop {
            // a whole fleet was moved here at one time, and is not to return at one time
            let after = self.options.prefer_after;
            let spread = self.options.reconnect_spread.max(after / 10);
            sleep(after + spread.mul_f64(rng.f64())).await;
            for (better, address) in self.options.addresses.iter().take(place).enumerate() {
                if lock(course).is_held(better, self.clock.instant()) {
                    continue;
                }
                let (stream, peer) = match self.try_connect(address).await {
                    Ok(connected) => connected,
                    Err(error) => {
                        self.failed(error.refusal());
                        continue;
                    }
                };
                let mut standing = self.start(better, stream, peer, false);
                let gate = Arc::clone(&standing.gate);
                tokio::select! {
                    ended = &mut standing.run => {
                        let stood = Stood {
                            place: better,
                            ended,
                            lasted: Duration::ZERO,
                        };
                        self.sent_away(course, &stood, &mut VecDeque::new());
                        self.failed(stood.ended.refusal);
                    }
                    () = gate.greeted() => return standing,
                }
            }
        }
    }

    /// Drains the old link, then lets the new one send. How the new one ended if it did meanwhile.
    async fn change(
        &self,
        old: &mut Standing<'a, A>,
        mut new: Standing<'a, A>,
        stop: &watch::Receiver<Stop>,
    ) -> Result<Standing<'a, A>, Ended> {
        tracing::info!(
            code = "QC2055",
            from = %old.peer.node,
            to = %new.peer.node,
            "A preferred relay is there again; moving to it."
        );
        old.stop.send_replace(Stop::Drain);
        tokio::select! {
            _drained = &mut old.run => {}
            ended = &mut new.run => {
                (&mut old.run).await;
                old.place = new.place;
                return Err(ended);
            }
            () = stopped(stop.clone()) => {
                let (_old, ended) = tokio::join!(&mut old.run, finish(&mut new, stop));
                return Err(ended);
            }
        }
        new.gate.open();
        let address = self.options.addresses.get(new.place);
        self.status.send_modify(|status| {
            status.address = address.cloned().unwrap_or_default();
            status.attempts = 0;
        });
        self.tell(DialerState::Connected(new.peer.clone()));
        Ok(new)
    }

    /// Notes why an attempt or a link ended.
    fn failed(&self, refusal: Refusal) {
        let now = self.clock.now();
        if refusal.code != GOING_AWAY || self.status.borrow().last_error.is_none() {
            self.status
                .send_modify(|status| status.last_error = Some((now, refusal)));
        }
    }

    fn tell(&self, state: DialerState) {
        let now = self.clock.now();
        self.status.send_modify(|status| {
            status.state = state;
            status.since = now;
        });
    }
}

/// Runs a link to its end as its owner wants it.
async fn finish<A>(standing: &mut Standing<'_, A>, stop: &watch::Receiver<Stop>) -> Ended {
    let mut stop = stop.clone();
    loop {
        let wanted = stop.borrow_and_update().clone();
        standing.stop.send_replace(wanted);
        tokio::select! {
            ended = &mut standing.run => return ended,
            changed = stop.changed() => if changed.is_err() {
                return (&mut standing.run).await;
            },
        }
    }
}

fn lock(course: &Mutex<Course>) -> std::sync::MutexGuard<'_, Course> {
    course.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_stopped(stop: &watch::Receiver<Stop>) -> bool {
    *stop.borrow() != Stop::Run
}

/// Resolves when the owner wants the link to end; never if the owner is gone.
async fn stopped(mut stop: watch::Receiver<Stop>) {
    if stop.wait_for(|stop| *stop != Stop::Run).await.is_err() {
        std::future::pending::<()>().await;
    }
}
