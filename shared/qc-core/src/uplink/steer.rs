//! Steers the link: works out from configuration, wish and time of the day what it may take, and tells it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Monitor, Shaping, ShapingText};
use crate::admin::api::LinkStatus;
use crate::clock::{Clock, minute_of_day};
use crate::drain::Drain;
use crate::link::Shape;
use crate::model::Timestamp;
use crate::wire::Backlog;

/// The route that shows the link.
pub const LINK_ROUTE: &str = "/v1/link";
/// The route that limits it.
pub const LIMIT_ROUTE: &str = "/v1/link/limit";
/// The schema of a [`LinkView`].
pub const LINK_SCHEMA: &str = "qc.link/1";
/// How often is looked what time it is and how old what waits.
const LOOK: Duration = Duration::from_secs(5);

/// What waits for the link.
pub type Waiting = Arc<dyn Fn() -> Backlog + Send + Sync>;

/// A limit that somebody wants for now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitWish {
    /// What is wanted; nothing in it lifts every limit.
    pub shaping: ShapingText,
    /// For how long, in seconds; without it until the daemon ends.
    pub for_s: Option<u64>,
    /// Back to what the configuration says.
    pub reset: bool,
}

/// The link as `link show` has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkView {
    /// How it stands.
    pub link: LinkStatus,
    /// What is limited.
    pub shaping: ShapingText,
    /// Whether the configuration says so, and not a wish.
    pub configured: bool,
    /// Until when a wish holds, if it has an end.
    pub until: Option<String>,
    /// Bytes a second that may be sent now.
    pub bytes_per_s: Option<u64>,
    /// Whether normal and low are sent at this time of the day.
    pub open: bool,
    /// Bytes that wait.
    pub backlog_bytes: u64,
    /// The age of the oldest message that waits.
    pub oldest_s: Option<u64>,
}

/// Steers one link. Clones share it.
#[derive(Clone)]
pub struct Steer {
    pub(super) monitor: Monitor,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
    configured: Shaping,
    held: Arc<Mutex<Option<Held>>>,
    shape: watch::Sender<Shape>,
    again: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
struct Held {
    shaping: Shaping,
    until: Option<Timestamp>,
}

impl Steer {
    /// A link that takes what `configured` says.
    pub fn new(
        configured: Shaping,
        monitor: Monitor,
        clock: Arc<dyn Clock>,
        waiting: Waiting,
    ) -> Self {
        let steer = Self {
            monitor,
            clock,
            waiting,
            configured,
            held: Arc::default(),
            shape: watch::Sender::default(),
            again: watch::Sender::new(0),
        };
        steer.look();
        steer
    }

    /// What the link obeys.
    pub(super) fn shape(&self) -> watch::Receiver<Shape> {
        self.shape.subscribe()
    }

    /// Looks at the time, until the end.
    pub(super) async fn run(self, drain: Drain) {
        let mut again = self.again.subscribe();
        loop {
            self.look();
            tokio::select! {
                () = drain.signaled() => return,
                () = tokio::time::sleep(LOOK) => {}
                changed = again.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// Takes over a wish, or says which key of it is wrong, and why.
    pub(super) fn hold(&self, wish: &LimitWish) -> Result<(), (&'static str, String)> {
        let shaping = wish.shaping.parse()?;
        let until = wish
            .for_s
            .map(|seconds| self.clock.now().plus(Duration::from_secs(seconds)));
        let held = (!wish.reset).then_some(Held { shaping, until });
        tracing::info!(code = "QC2061", limit = %held.as_ref().map_or(&self.configured, |held| &held.shaping), "The link is limited anew.");
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.look();
        self.again
            .send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// The link, what it may take, and what waits.
    pub(super) fn view(&self) -> LinkView {
        let (waits, now) = ((self.waiting)(), self.clock.now());
        let held = self.held();
        let shaping = held.as_ref().map_or(&self.configured, |held| &held.shaping);
        LinkView {
            link: self.monitor.status(waits.messages),
            shaping: shaping.text(),
            configured: held.is_none(),
            until: held
                .as_ref()
                .and_then(|held| held.until)
                .map(|until| until.to_string()),
            bytes_per_s: self.shape.borrow().rate,
            open: shaping.is_open(minute_of_day(now)),
            backlog_bytes: waits.bytes,
            oldest_s: waits.oldest.map(|oldest| now.since(oldest).as_secs()),
        }
    }

    fn look(&self) {
        let (now, waits) = (self.clock.now(), (self.waiting)());
        let held = self.held();
        let shaping = held.as_ref().map_or(&self.configured, |held| &held.shaping);
        let oldest = waits.oldest.map(|oldest| now.since(oldest));
        let shape = shaping.at(minute_of_day(now), oldest);
        self.shape.send_if_modified(|told| {
            let is_news = *told != shape;
            *told = shape;
            is_news
        });
    }

    /// The wish that holds, if its time is not over.
    fn held(&self) -> Option<Held> {
        let now = self.clock.now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take_if(|held| held.until.is_some_and(|until| until <= now));
        held.clone()
    }
}
