//! Keeps one link up: relay after relay, with backoff and jitter, until it is told to stop.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::app::{LinkApp, Peer};
use super::codes::{GOING_AWAY, NOT_ALLOWED, UNREACHABLE, WRONG_NODE};
use super::driver::{LinkOptions, Stop, run};
use super::session::Side;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::model::Timestamp;
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
}

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
}

impl ConnectError {
    /// The code and reason to show.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Unreachable { source, .. } => {
                Refusal::new(UNREACHABLE, format!("{self}: {source}"))
            }
            Self::Timeout { .. } => Refusal::new(UNREACHABLE, self.to_string()),
            Self::Refused { refusal, .. } => refusal.clone(),
        }
    }
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
            link,
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
    pub app: &'a A,
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

impl<A: LinkApp, C: Connect> Dialer<'_, A, C> {
    /// Keeps a link up. Returns once `stop` says drain or close and the link has ended.
    pub async fn run(mut self, stop: watch::Receiver<Stop>) {
        while !is_stopped(&stop) {
            let wait = self.round(&stop).await;
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

    /// Tries each relay once, from the preferred one on, until a link was up and ended; returns how
    /// long to wait.
    async fn round(&mut self, stop: &watch::Receiver<Stop>) -> Duration {
        let mut identity = false;
        for address in self.options.addresses.clone() {
            self.status.send_modify(|status| {
                status.address.clone_from(&address);
                status.attempts = status.attempts.saturating_add(1);
            });
            self.tell(DialerState::Connecting);
            let began = self.clock.instant();
            let connected = tokio::select! {
                connected = self.try_connect(&address) => connected,
                () = stopped(stop.clone()) => return Duration::ZERO,
            };
            let (stream, peer) = match connected {
                Ok(connected) => connected,
                Err(error) => {
                    identity = self.failed(error.refusal());
                    continue;
                }
            };
            self.tell(DialerState::Connected(peer.clone()));
            let ended = run(
                stream,
                &peer,
                Side::Dialer,
                self.app,
                self.clock,
                &self.options.link,
                stop.clone(),
            )
            .await;
            identity = self.failed(ended.refusal.clone());
            if ended.established {
                let lasted = self.clock.instant().saturating_duration_since(began);
                if lasted >= self.options.good_after {
                    self.options.backoff.reset();
                    self.options.identity_backoff.reset();
                    self.status.send_modify(|status| status.attempts = 0);
                }
                break;
            }
        }
        let backoff = if identity {
            &mut self.options.identity_backoff
        } else {
            &mut self.options.backoff
        };
        backoff.next_delay(&mut self.rng)
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

    /// Notes why an attempt or a link ended; whether trying again soon is of no use.
    fn failed(&self, refusal: Refusal) -> bool {
        let code = refusal.code;
        let now = self.clock.now();
        if code != GOING_AWAY || self.status.borrow().last_error.is_none() {
            self.status
                .send_modify(|status| status.last_error = Some((now, refusal)));
        }
        code.is_identity() || code == WRONG_NODE || code == NOT_ALLOWED
    }

    fn tell(&self, state: DialerState) {
        let now = self.clock.now();
        self.status.send_modify(|status| {
            status.state = state;
            status.since = now;
        });
    }
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
