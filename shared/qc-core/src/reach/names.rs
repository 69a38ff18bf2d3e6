//! Names to addresses: as the system does it, and by the last good addresses where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::{LastGood, ReachError};
use crate::model::Timestamp;
use crate::safe_text::safe;

/// How long a lookup may take while there are last good addresses to use in its place.
const PATIENCE: Duration = Duration::from_secs(3);

/// A lookup under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks names up. May take as long as it wants: the caller has a deadline.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, best first.
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a>;
}

/// As the machine does it: hosts file, name servers. A name is asked for once at a time, whatever
/// became of those who asked: with a dead name server each lookup holds a thread for half a minute.
#[derive(Debug, Default)]
pub struct SystemResolver {
    running: Mutex<BTreeMap<String, watch::Receiver<Option<Answer>>>>,
}

type Answer = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

impl Resolve for SystemResolver {
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a> {
        let mut answer = self.join(host);
        Box::pin(async move {
            let answer = answer.wait_for(Option::is_some).await;
            let answer = answer.map_err(io::Error::other)?.clone();
            answer
                .unwrap_or_else(|| Ok(Vec::new()))
                .map_err(|(kind, why)| io::Error::new(kind, why))
        })
    }
}

impl SystemResolver {
    /// The lookup of `host` that is under way, or a new one.
    fn join(&self, host: &str) -> watch::Receiver<Option<Answer>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, lookup| lookup.borrow().is_none() && lookup.has_changed().is_ok());
        if let Some(lookup) = running.get(host) {
            return lookup.clone();
        }
        let (told, lookup) = watch::channel(None);
        let name = host.to_owned();
        let detached = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            let found = found.map(|addresses| addresses.map(|address| address.ip()).collect());
            told.send_replace(Some(found.map_err(|e| (e.kind(), e.to_string()))));
        });
        drop(detached);
        running.insert(host.to_owned(), lookup.clone());
        lookup
    }
}

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The addresses, best first, at least one.
    pub addresses: Vec<IpAddr>,
    /// When they were last good, if they could not be looked up now.
    pub from: Option<Timestamp>,
}

/// Looks names up and remembers what was good.
pub struct Names {
    resolver: Arc<dyn Resolve>,
    good: Option<LastGood>,
    patience: Duration,
    /// Names whose last good addresses are in use, so that it is said once.
    stale: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Names({:?})", self.good)
    }
}

impl Names {
    /// Looks up with `resolver`, and by `good` where that fails.
    pub fn new(resolver: Arc<dyn Resolve>, good: Option<LastGood>) -> Self {
        Self {
            resolver,
            good,
            patience: PATIENCE,
            stale: Mutex::default(),
        }
    }

    /// Waits no longer than this for a name whose last good addresses are known.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The addresses of `host`, which may be one itself, within `deadline`.
    pub async fn addresses(&self, host: &str, deadline: Duration) -> Result<Found, ReachError> {
        if let Ok(address) = host.parse() {
            return Ok(Found {
                addresses: vec![address],
                from: None,
            });
        }
        let known = self.good.as_ref().and_then(|good| good.of(host));
        let wait = if known.is_some() {
            self.patience.min(deadline)
        } else {
            deadline
        };
        let why = match timeout(wait, self.resolver.lookup(host)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => {
                self.is_fresh(host);
                return Ok(Found {
                    addresses,
                    from: None,
                });
            }
            Ok(Ok(_)) => "the name has no address".to_owned(),
            Ok(Err(error)) => safe(&error.to_string(), 200),
            Err(_) => format!("no answer within {} s", wait.as_secs_f32()),
        };
        let Some(known) = known else {
            return Err(ReachError::NoName {
                host: safe(host, 200),
                why,
            });
        };
        self.is_stale(host, &why, known.at);
        Ok(Found {
            addresses: known.addresses,
            from: Some(known.at),
        })
    }

    /// Notes that `winner`, of these addresses of `host`, answered as it should.
    pub async fn worked(&self, host: &str, found: &Found, winner: IpAddr, now: Timestamp) {
        if let Some(good) = &self.good
            && host.parse::<IpAddr>().is_err()
            && found.from.is_none()
        {
            good.keep(host, &found.addresses, winner, now).await;
        }
    }

    fn is_stale(&self, host: &str, why: &str, at: Timestamp) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        if stale.insert(host.to_owned()) {
            tracing::warn!(
                code = "QC2041",
                host = safe(host, 200),
                why,
                good_at = %at,
                "The name cannot be looked up; using its last good addresses."
            );
        }
    }

    fn is_fresh(&self, host: &str) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        if stale.remove(host) {
            tracing::info!(
                code = "QC2041",
                host = safe(host, 200),
                "The name can be looked up again."
            );
        }
    }
}
