//! The hub: streams of this relay, who may touch them, and how far every consumer has come.
//!
//! Links and HTTP callers meet here. Nothing in this module opens a socket; the engine behind
//! [`Streams`] decides order and durability, `access` decides who may.

pub(crate) mod access;
mod callers;
mod consumers;
mod door;
pub(crate) mod drains;
pub(crate) mod fleet;
mod lanes;
mod link;
mod nodes;
mod parent;
mod presence;
mod push;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use qc_core::admin::api::{
    ConsumerRow, Fleet as FleetView, FleetNode, FleetTotals, Ledger, LedgerRow, NodeState,
    StreamRow,
};
use qc_core::clock::Clock;
use qc_core::door::Limits;
use qc_core::link::{Handed, begin_handed, keep_unfinished};
use qc_core::model::{Lane, NodeName, Seq, StreamName, Timestamp};
use qc_core::node::{Control, account_row};
use qc_core::service::Drain;
use qc_core::store::{AppendError, DeadLetter, Role, StreamInfo, StreamKey};
use qc_core::streams::{LetterId, ReadError, Streams};
use qc_core::uplink::Monitor;
use qc_core::wire::Mark;
use tokio::sync::watch;

use access::{Access, Direction, StreamRule, Verb};
use callers::Callers;
pub(crate) use consumers::EndError;
use consumers::Readers;
use drains::Drains;
use fleet::Fleet;
use lanes::Fronts;
pub(crate) use nodes::NodeError;
pub(crate) use parent::Parent;
use presence::Presence;
use push::Due;

/// The heart of a relay. Clones share one hub.
#[derive(Clone)]
pub(crate) struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    node: NodeName,
    region: Option<String>,
    streams: Arc<dyn Streams>,
    clock: Arc<dyn Clock>,
    started: Instant,
    access: RwLock<Arc<Access>>,
    fleet: Mutex<Fleet>,
    refused: Mutex<BTreeMap<StreamName, u64>>,
    reconfigured: watch::Sender<u64>,
    readers: Mutex<Readers>,
    callers: Mutex<Callers>,
    drains: Drains,
    /// Up to where what nodes send was acknowledged by this process.
    answered: Mutex<BTreeMap<(NodeName, StreamName, Lane), Mark>>,
    presence: Mutex<Presence>,
    /// How far the channels of every reader have come.
    fronts: Mutex<Fronts>,
    /// What went to whom over links.
    handed: Handed,
    /// Held while the registry's values of nodes are written.
    saving: tokio::sync::Mutex<()>,
    control: Control,
    due: Due,
    own_rate: Mutex<OwnRate>,
    http: Limits,
    drain: Drain,
    /// The link to the parent, if one is configured.
    uplink: Option<Monitor>,
    /// Percent of the disk in use, sampled by a task.
    disk_used: std::sync::atomic::AtomicU8,
    cert_not_after: RwLock<Option<Timestamp>>,
}

/// The keys of the registry under which parents are remembered.
const PARENTS: &str = "parent/";

/// Messages a second through this relay.
#[derive(Debug, Default, Clone, Copy)]
struct OwnRate {
    last: Option<(Instant, u64, u64)>,
    in_per_s: f64,
    out_per_s: f64,
    out_total: u64,
}

/// What a hub is made of.
pub(crate) struct HubParts {
    /// This relay.
    pub node: NodeName,
    /// Where it stands.
    pub region: Option<String>,
    /// Its streams, consumers, dead letters and registry.
    pub streams: Arc<dyn Streams>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its streams.
    pub access: Access,
    /// Bounds of the HTTP door.
    pub http: Limits,
    /// Its end.
    pub drain: Drain,
    /// The link to its parent, if one is configured.
    pub uplink: Option<Monitor>,
    /// The number of this process.
    pub instance: u64,
    /// The control objects that it has.
    pub control: Control,
}

impl Hub {
    /// A hub over an open engine. Every declared stream is made to exist.
    pub(crate) async fn open(parts: HubParts) -> Result<Self, AppendError> {
        define(parts.streams.as_ref(), &parts.access).await?;
        let fleet = nodes::remembered(parts.streams.as_ref(), parts.clock.now()).await;
        let drains = Drains::load(parts.streams.as_ref()).await?;
        let streams = parts.streams.as_ref();
        let now = parts.clock.instant();
        let handed = begin_handed(streams, at_start(streams), now).await;
        let inner = Inner {
            fleet: Mutex::new(fleet),
            started: parts.clock.instant(),
            node: parts.node,
            region: parts.region,
            streams: parts.streams,
            clock: parts.clock,
            access: RwLock::new(Arc::new(parts.access)),
            refused: Mutex::default(),
            reconfigured: watch::Sender::new(0),
            readers: Mutex::default(),
            callers: Mutex::default(),
            drains,
            answered: Mutex::default(),
            fronts: Mutex::default(),
            presence: Mutex::new(Presence::new(parts.instance)),
            handed,
            saving: tokio::sync::Mutex::default(),
            control: parts.control,
            due: Due::default(),
            own_rate: Mutex::default(),
            http: parts.http,
            drain: parts.drain,
            uplink: parts.uplink,
            disk_used: std::sync::atomic::AtomicU8::new(0),
            cert_not_after: RwLock::new(None),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Takes over a new configuration of streams.
    pub(crate) async fn reconfigure(&self, access: Access) -> Result<(), AppendError> {
        define(self.streams(), &access).await?;
        let gone = |rule: &&StreamRule| access.stream(&rule.name).is_none();
        for rule in self.access().streams().filter(gone) {
            // what is not declared any more keeps what it has: nothing ends by a limit that is gone
            let key = StreamKey::hub(rule.name.clone());
            self.streams().define(&key, None).await?;
        }
        *self
            .inner
            .access
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        let count = |count: &mut u64| *count = count.wrapping_add(1);
        self.inner.reconfigured.send_modify(count);
        Ok(())
    }

    /// Fires when another configuration of streams holds.
    fn reconfigured(&self) -> watch::Receiver<u64> {
        self.inner.reconfigured.subscribe()
    }

    /// Notes for the next start that `node` is no node below this relay.
    fn remember_parent(&self, node: &NodeName) {
        let (hub, key) = (self.clone(), format!("{PARENTS}{node}"));
        self.inner.drain.spawn("parent", async move {
            let is_known = hub
                .streams()
                .value(&key)
                .await
                .is_ok_and(|value| value.is_some());
            let for_ever = Timestamp::default();
            if !is_known
                && let Err(error) = hub
                    .streams()
                    .put(&key, None, Some((Vec::new(), for_ever)))
                    .await
            {
                tracing::debug!(%error, "The parent's name is not kept.");
            }
        });
    }

    /// Its storage.
    pub(crate) fn streams(&self) -> &dyn Streams {
        self.inner.streams.as_ref()
    }

    /// The same, to be kept.
    pub(crate) fn shared_streams(&self) -> Arc<dyn Streams> {
        Arc::clone(&self.inner.streams)
    }

    /// This relay's name.
    pub(crate) fn node(&self) -> &NodeName {
        &self.inner.node
    }

    /// Where it stands.
    pub(crate) fn region(&self) -> Option<&str> {
        self.inner.region.as_deref()
    }

    /// This relay's clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    /// The same, to be kept.
    pub(crate) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.clock)
    }

    /// The consumer of a stream that is furthest behind, and where it stands.
    pub(crate) fn slowest(&self, stream: &StreamKey) -> Option<(String, Seq)> {
        let all = self.streams().positions(stream).into_iter();
        all.min_by_key(|(_, seq)| *seq)
    }

    /// Whole seconds since start.
    pub(crate) fn uptime_s(&self) -> u64 {
        self.inner
            .clock
            .instant()
            .saturating_duration_since(self.inner.started)
            .as_secs()
    }

    /// Percent of the disk in use.
    pub(crate) fn disk_used(&self) -> u8 {
        self.inner
            .disk_used
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Links of all nodes.
    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.inner
            .fleet
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is being sent what.
    fn readers(&self) -> MutexGuard<'_, Readers> {
        let readers = self.inner.readers.lock();
        readers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is sent away.
    fn drains(&self) -> &Drains {
        &self.inner.drains
    }

    /// How far the channels of every reader have come.
    fn fronts(&self) -> MutexGuard<'_, Fronts> {
        let fronts = self.inner.fronts.lock();
        fronts.unwrap_or_else(PoisonError::into_inner)
    }

    /// The control objects that this relay has.
    pub(crate) fn control(&self) -> &Control {
        &self.inner.control
    }

    /// Who can be called.
    fn callers(&self) -> MutexGuard<'_, Callers> {
        let callers = self.inner.callers.lock();
        callers.unwrap_or_else(PoisonError::into_inner)
    }

    /// When this relay's own certificate ends.
    pub(crate) fn set_certificate_end(&self, end: Timestamp) {
        *self
            .inner
            .cert_not_after
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// The same, as it was told last.
    fn certificate_end(&self) -> Option<Timestamp> {
        let end = self.inner.cert_not_after.read();
        *end.unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples rates and the disk; called every few seconds by a task.
    pub(crate) fn sample(&self, disk_used: u8) {
        self.inner
            .disk_used
            .store(disk_used, std::sync::atomic::Ordering::Relaxed);
        let taken = self.streams().health().taken;
        let at = self.inner.clock.instant();
        let mut rate = self
            .inner
            .own_rate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let out = rate.out_total;
        if let Some((then, earlier_in, earlier_out)) = rate.last {
            let seconds = at.saturating_duration_since(then).as_secs_f64().max(0.001);
            let per_s = |now: u64, then: u64| {
                f64::from(u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX)) / seconds
            };
            (rate.in_per_s, rate.out_per_s) = (per_s(taken, earlier_in), per_s(out, earlier_out));
        }
        rate.last = Some((at, taken, out));
    }

    /// Keeps what is under way to the parent for the next start. After the positions were written last, it
    /// is to be kept once more.
    pub(crate) async fn keep_unfinished(&self) {
        keep_unfinished(self.streams(), &self.inner.handed).await;
    }

    /// Writes acknowledgements of consumers to the log; called by a task and before the end.
    pub(crate) async fn flush_positions(&self) {
        self.give_up_unfinished();
        self.keep_unfinished().await;
        if let Err(error) = self.streams().flush().await {
            tracing::warn!(code = "QC3003", %error, "Cursors not written; they will be.");
        }
    }

    /// The rule for `node` doing `verb` on `stream`; a refusal is counted.
    fn allow(
        &self,
        node: Option<&NodeName>,
        verb: Verb,
        stream: &StreamName,
    ) -> Result<StreamRule, access::Denied> {
        let allowed = self.access().check(node, verb, stream).cloned();
        if allowed.is_err() {
            self.count_refused(stream, 1);
        }
        allowed
    }

    /// Counts what was not taken into a stream.
    fn count_refused(&self, stream: &StreamName, count: u64) {
        // names are counted only for declared streams: a stranger cannot fill this table
        if count > 0 && self.access().stream(stream).is_some() {
            let refused = self.inner.refused.lock();
            let mut refused = refused.unwrap_or_else(PoisonError::into_inner);
            *refused.entry(stream.clone()).or_default() += count;
        }
    }

    /// Keeps messages that are not taken into `stream`, each with its reason, and counts those that are
    /// new. Gives the name of the first.
    async fn bury_refused(
        &self,
        stream: &StreamName,
        dead: Vec<DeadLetter>,
    ) -> Result<Option<LetterId>, AppendError> {
        let buried = self.streams().bury(dead).await?;
        let new = buried.iter().filter(|outcome| !outcome.is_duplicate());
        self.count_refused(stream, new.count() as u64);
        Ok(buried
            .first()
            .map(|outcome| LetterId::of(stream, outcome.seq())))
    }

    /// What the configuration says of streams and classes.
    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(
            &self
                .inner
                .access
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The streams that this relay keeps.
    pub(crate) fn hub_streams(&self) -> Vec<StreamInfo> {
        let mut streams = self.streams().streams();
        streams.retain(|info| info.key.role == Role::Hub);
        streams
    }

    fn refused(&self, stream: &StreamName) -> u64 {
        let refused = self
            .inner
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        refused.get(stream).copied().unwrap_or_default()
    }

    /// The streams with their consumers, for `streams list`.
    pub(crate) fn stream_rows(&self) -> Vec<StreamRow> {
        let access = self.access();
        let row = |info: StreamInfo| {
            let consumers = self.streams().positions(&info.key);
            let pending = |seq: Seq| self.streams().backlog(&info.key, seq).messages;
            StreamRow {
                name: info.key.name.to_string(),
                lane: None,
                epoch: info.epoch.0,
                first_seq: info.first.0,
                last_seq: info.last.0,
                messages: info.messages,
                bytes: info.bytes,
                oldest: info.oldest.map(|oldest| oldest.to_string()),
                consumers: consumers
                    .into_iter()
                    .map(|(name, seq)| ConsumerRow {
                        name,
                        acked_seq: seq.0,
                        pending: pending(seq),
                    })
                    .collect(),
                class: access
                    .stream(&info.key.name)
                    .map(|rule| rule.class.to_string()),
                received: info.last.0,
                duplicates: info.duplicates,
                refused: self.refused(&info.key.name),
            }
        };
        self.hub_streams().into_iter().map(row).collect()
    }

    /// The ledger: for every stream and consumer what came in and where it is.
    pub(crate) async fn ledger(&self) -> Result<Ledger, ReadError> {
        self.flush_positions().await;
        let mut rows = Vec::new();
        for info in self.hub_streams() {
            for (consumer, account) in self.streams().accounts(&info.key).await? {
                rows.push(LedgerRow {
                    refused: self.refused(&info.key.name),
                    ..account_row(&info.key.name, consumer, &account)
                });
            }
        }
        Ok(Ledger::of(rows))
    }

    /// The fleet as this relay sees it, itself included.
    pub(crate) fn fleet_view(&self) -> FleetView {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.instant());
        let mut nodes = self.fleet().rows(now, at);
        let mut waiting: BTreeMap<String, (u64, u64, Option<Timestamp>)> = BTreeMap::new();
        let mut duplicates = 0;
        for info in self.hub_streams() {
            duplicates += info.duplicates;
            for (consumer, seq) in self.streams().positions(&info.key) {
                let backlog = self.streams().backlog(&info.key, seq);
                let node = consumer.split('/').next().unwrap_or_default().to_owned();
                let sum = waiting.entry(node).or_default();
                sum.0 += backlog.messages;
                sum.1 += backlog.bytes;
                sum.2 = earlier(sum.2, backlog.oldest);
            }
        }
        for node in &mut nodes {
            if let Some((messages, bytes, oldest)) = waiting.get(&node.name) {
                node.down_messages = *messages;
                node.backlog_messages += messages;
                node.backlog_bytes += bytes;
                let age = oldest.map(|oldest| millis(now.since(oldest)));
                node.oldest_ms = node.oldest_ms.max(age);
            }
        }
        let refused = self
            .inner
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .sum();
        // the relay's own rates count what its nodes have counted already
        let mut totals = FleetTotals::of(&nodes, duplicates, refused);
        let own = self.own_row(now);
        match own.state {
            NodeState::Ok => totals.ok += 1,
            NodeState::Warn => totals.warn += 1,
            NodeState::Drain => totals.drain += 1,
            _ => totals.crit += 1,
        }
        nodes.insert(0, own);
        FleetView {
            relay: self.inner.node.to_string(),
            region: self.inner.region.clone(),
            generated_at: now.to_string(),
            uptime_s: self.uptime_s(),
            nodes,
            totals,
        }
    }

    fn own_row(&self, now: Timestamp) -> FleetNode {
        let rate = *self
            .inner
            .own_rate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let end = self.certificate_end();
        let health = self.streams().health();
        let text = |code: &str| Some(code.to_owned());
        let uplink = self.inner.uplink.as_ref().and_then(Monitor::problem);
        let (state, code, reason) = match (health.stopped, health.full, uplink) {
            (Some(error), ..) => (NodeState::Crit, text("QC3002"), Some(error)),
            (None, Some(full), _) => (NodeState::Crit, text("QC3302"), Some(full)),
            (None, None, Some((code, why))) => (NodeState::Warn, Some(code), Some(why)),
            (None, None, None) if self.is_drained() => {
                let reason = "it is drained: it takes no links until qc-relay resume";
                (NodeState::Drain, text("QC2240"), Some(reason.to_owned()))
            }
            (None, None, None) => (NodeState::Ok, None, None),
        };
        FleetNode {
            name: self.inner.node.to_string(),
            site: self.inner.node.site().to_owned(),
            tenant: self.inner.node.tenant().to_owned(),
            role: "relay".to_owned(),
            state,
            code,
            reason,
            in_per_s: rate.in_per_s,
            out_per_s: rate.out_per_s,
            disk_used_percent: Some(self.disk_used()),
            cert_not_after: end.map(|end| end.to_string()),
            cert_left_s: end.map(|end| seconds_left(end, now)),
            clock_skew_ms: Some(0),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            last_seen: Some(now.to_string()),
            ..FleetNode::default()
        }
    }
}

/// Makes every declared stream exist, with the limits it has now.
async fn define(streams: &dyn Streams, access: &Access) -> Result<(), AppendError> {
    for stream in access.streams() {
        let key = StreamKey::hub(stream.name.clone());
        streams
            .define(&key, Some(stream.retention.limits.clone()))
            .await?;
        let goes_up = stream.uplink == Direction::Send;
        if goes_up && let Some(info) = streams.info(&key) {
            // kept for the parent from now on, whether there is a link or not
            streams.begin(&key, parent::UPLINK, Seq(info.first.0.saturating_sub(1)));
        } else if streams.positions(&key).contains_key(parent::UPLINK) && !goes_up {
            let name = &stream.name;
            tracing::warn!(code = "QC3316", stream = %name, "Kept for a parent that gets it no more.");
        }
    }
    Ok(())
}

/// The newest numbers of everything that is there to be sent.
fn at_start(streams: &dyn Streams) -> impl Iterator<Item = ((StreamName, Lane), Seq)> {
    let streams = streams.streams().into_iter();
    let hub = streams.filter(|info| info.key.role == Role::Hub);
    // a reader has a channel for what is urgent, and one for the rest
    hub.flat_map(|info| {
        let name = info.key.name;
        [Lane::Critical, Lane::Normal].map(|lane| ((name.clone(), lane), info.last))
    })
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds from `now` to `end`, negative when it is past.
pub(crate) fn seconds_left(end: Timestamp, now: Timestamp) -> i64 {
    let signed = |time: Timestamp| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    signed(end) - signed(now)
}
