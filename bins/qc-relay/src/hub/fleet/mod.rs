//! What the relay knows of every node: its link, what it said of itself, and since when.
//!
//! Every number has an age. A link that is silent for two heartbeats is stale, not green; a node that
//! was known before this relay started and has not come back is down, and was last seen then. What is to be
//! remembered over a restart stands in [`memory`]; `hub/nodes.rs` writes it.

mod memory;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use qc_core::admin::api::{FleetNode, NodeState};
use qc_core::cli::human_duration;
use qc_core::link::{self, LinkState, Peer, PeerHeartbeat};
use qc_core::model::{NodeName, Timestamp};
use qc_core::pki::Role;
use qc_core::registry::NodeEntry;
use qc_core::tls;
use qc_core::wire::{Code, Refusal, Status};

pub(super) use memory::Known;
use memory::{Saved, are_same};

/// Share of the disk at which a node is in a warning or critical state, in percent.
const DISK_WARN: u8 = 80;
const DISK_CRIT: u8 = 90;
/// A quarter and an eighth of a node certificate's default life of 14 days.
const CERT_WARN: Duration = Duration::from_hours(84);
const CERT_CRIT: Duration = Duration::from_hours(42);

/// It was not seen since this relay started.
const NOT_SEEN: Code = Code::new(2220);

/// All nodes that this relay has ever taken messages from or seen.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    nodes: BTreeMap<NodeName, Node>,
}

#[derive(Debug)]
struct Node {
    /// What is remembered of it.
    entry: NodeEntry,
    saved: Saved,
    state: Link,
    /// Where it connects from, for people.
    address: String,
    since: Timestamp,
    seen: Option<(Timestamp, Instant)>,
    status: Option<Status>,
    rate: Rate,
    rtt: Option<Duration>,
    clock_skew_ms: Option<i64>,
    /// The newest refusal, of the link or of one of its streams.
    problem: Option<Refusal>,
    /// Two machines take turns as this node; said until then.
    contested: Option<(Instant, Refusal)>,
    connects: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    Never,
    Up,
    Stale,
    /// It is heard, and acknowledges nothing.
    Unacked,
    Down(Refusal),
}

/// Messages a second, from the counters of two statuses.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64, u64)>,
    per_s: (f64, f64),
}

/// One node's link for `status`.
#[derive(Debug, Clone)]
pub(crate) struct LinkRow {
    /// The node.
    pub node: NodeName,
    /// Where it connects from.
    pub address: String,
    /// Up, stale, down.
    pub state: qc_core::admin::api::LinkState,
    /// Since when.
    pub since: Timestamp,
    /// The newest refusal.
    pub problem: Option<Refusal>,
    /// Times it has connected since this relay started.
    pub connects: u64,
    /// Time there and back.
    pub rtt: Option<Duration>,
}

impl Fleet {
    /// `node` was admitted with this role.
    pub(crate) fn admitted(&mut self, node: &NodeName, role: Role, now: Timestamp) {
        let node = self.node(node, now);
        node.saved.is_changed |= node.entry.role != Some(role);
        node.entry.role = Some(role);
    }

    /// The link of `peer` changed.
    pub(crate) fn link(&mut self, peer: &Peer, state: &LinkState, now: Timestamp, at: Instant) {
        let node = self.node(&peer.node, now);
        let has_newer = !matches!(node.state, Link::Never | Link::Down(_));
        if matches!(state, LinkState::Down(_)) && has_newer && node.address != peer.address {
            return; // the end of a link that was replaced says nothing of the newer one
        }
        node.address.clone_from(&peer.address);
        let state = match state {
            LinkState::Up => {
                node.problem = None;
                node.connects += 1;
                node.was_seen(now, at);
                if let Ok(from) = peer.address.parse::<SocketAddr>() {
                    // the port is another one each time, and says nothing
                    let from = from.ip().to_canonical().to_string();
                    node.saved.is_changed |= node.entry.address != from;
                    node.entry.address = from;
                }
                Link::Up
            }
            LinkState::Fresh => Link::Up,
            LinkState::Stale => Link::Stale,
            LinkState::Unacked => Link::Unacked,
            LinkState::Down(refusal) => Link::Down(refusal.clone()),
        };
        if node.state != state {
            (node.state, node.since) = (state, now);
        }
    }

    /// `peer` said how it fares; whether it has come to another state of control objects than was known.
    pub(crate) fn status(
        &mut self,
        peer: &Peer,
        status: Status,
        now: Timestamp,
        at: Instant,
    ) -> bool {
        let node = self.node(&peer.node, now);
        node.rate
            .sample(at, status.messages_in, status.messages_out);
        node.was_seen(now, at);
        let is_other = node.entry.version != status.version
            || node.entry.cert_not_after != status.cert_not_after;
        node.entry.version.clone_from(&status.version);
        node.entry.cert_not_after = status.cert_not_after;
        let told = status.control.as_deref();
        let has_moved = told.is_some_and(|told| !are_same(told, &node.entry.applied));
        if let Some(told) = told {
            node.entry.applied = told.to_vec();
            node.settle();
        }
        node.saved.is_changed |= is_other || has_moved;
        node.status = Some(status);
        has_moved
    }

    /// A heartbeat of `peer` arrived.
    pub(crate) fn heartbeat(
        &mut self,
        peer: &Peer,
        beat: &PeerHeartbeat,
        now: Timestamp,
        at: Instant,
    ) {
        let node = self.node(&peer.node, now);
        node.was_seen(now, at);
        node.rtt = beat.rtt.or(node.rtt);
        let half = beat
            .rtt
            .map_or(0, |rtt| i64::try_from(rtt.as_millis() / 2).unwrap_or(0));
        node.clock_skew_ms = Some(signed_ms(beat.time) + half - signed_ms(now));
        if node.state == Link::Stale {
            (node.state, node.since) = (Link::Up, now);
        }
    }

    /// Something of `peer` was refused, or `peer` refused something.
    pub(crate) fn problem(&mut self, name: &NodeName, refusal: &Refusal, now: Timestamp) {
        self.node(name, now).problem = Some(refusal.clone());
    }

    /// Two machines use the identity of `name`; that is said until `until`. Whether it was not known.
    pub(crate) fn contested(
        &mut self,
        name: &NodeName,
        refusal: Refusal,
        at: Instant,
        until: Instant,
    ) -> bool {
        let Some(node) = self.nodes.get_mut(name) else {
            return false;
        };
        let is_news = node.contested(at).is_none();
        node.contested = Some((until, refusal));
        is_news
    }

    /// What `name` should know of itself.
    pub(crate) fn notice(&self, name: &NodeName, at: Instant) -> Option<Refusal> {
        self.nodes.get(name)?.contested(at).cloned()
    }

    /// Nodes whose links stand.
    pub(crate) fn linked(&self) -> Vec<NodeName> {
        let stands = |node: &Node| matches!(node.state, Link::Up | Link::Stale | Link::Unacked);
        let linked = self.nodes.iter().filter(|(_, node)| stands(node));
        linked.map(|(name, _)| name.clone()).collect()
    }

    /// Whether `node` showed the certificate of a relay.
    pub(crate) fn is_relay(&self, node: &NodeName) -> bool {
        let role = self.nodes.get(node).and_then(|node| node.entry.role);
        role.is_some_and(|role| tls::RELAYS.contains(&role))
    }

    /// Whether anything is known of `node`.
    pub(crate) fn knows(&self, node: &NodeName) -> bool {
        self.nodes.contains_key(node)
    }

    /// Every node's link.
    pub(crate) fn links(&self, now: Timestamp, at: Instant) -> Vec<LinkRow> {
        use qc_core::admin::api::LinkState as Shown;
        let row = |(name, node): (&NodeName, &Node)| {
            let (state, closed) = match &node.state {
                Link::Never => (
                    Shown::Down,
                    Some(Refusal::new(NOT_SEEN, node.last_seen_words(now))),
                ),
                Link::Up => (Shown::Up, None),
                Link::Stale | Link::Unacked => (Shown::Stalled, None),
                Link::Down(refusal) => (Shown::Down, Some(refusal.clone())),
            };
            LinkRow {
                node: name.clone(),
                address: node.address.clone(),
                state,
                since: node.since,
                problem: node
                    .contested(at)
                    .cloned()
                    .or(closed)
                    .or_else(|| node.problem.clone()),
                connects: node.connects,
                rtt: node.rtt,
            }
        };
        self.nodes.iter().map(row).collect()
    }

    /// The fleet view's rows; `down_messages` is left to the caller, who has the store.
    pub(crate) fn rows(&self, now: Timestamp, at: Instant) -> Vec<FleetNode> {
        self.nodes
            .iter()
            .map(|(name, node)| node.row(name, now, at))
            .collect()
    }

    fn node(&mut self, name: &NodeName, now: Timestamp) -> &mut Node {
        self.nodes
            .entry(name.clone())
            .or_insert_with(|| Node::new(now))
    }
}

impl Node {
    fn new(now: Timestamp) -> Self {
        Self {
            entry: NodeEntry::new(now),
            saved: Saved::nothing(),
            state: Link::Never,
            address: String::new(),
            since: now,
            seen: None,
            status: None,
            rate: Rate::default(),
            rtt: None,
            clock_skew_ms: None,
            problem: None,
            contested: None,
            connects: 0,
        }
    }

    fn was_seen(&mut self, now: Timestamp, at: Instant) {
        self.seen = Some((now, at));
        self.entry.last_seen = Some(now);
    }

    fn is_linked(&self) -> bool {
        !matches!(self.state, Link::Never | Link::Down(_))
    }

    fn last_seen_words(&self, now: Timestamp) -> String {
        let never = "it has not connected since this relay started";
        self.entry.last_seen.map_or_else(
            || never.to_owned(),
            |seen| format!("{never}; last seen {} ago", human_duration(now.since(seen))),
        )
    }

    fn contested(&self, at: Instant) -> Option<&Refusal> {
        let (until, refusal) = self.contested.as_ref()?;
        (at < *until).then_some(refusal)
    }

    fn row(&self, name: &NodeName, now: Timestamp, at: Instant) -> FleetNode {
        let remembered = || Status {
            version: self.entry.version.clone(),
            cert_not_after: self.entry.cert_not_after,
            ..Status::default()
        };
        let status = self.status.clone().unwrap_or_else(remembered);
        let (state, code, reason) = self.judge(&status, now, at);
        let live = matches!(self.state, Link::Up);
        let (in_per_s, out_per_s) = if live { self.rate.per_s } else { (0.0, 0.0) };
        let left = status
            .cert_not_after
            .map(|end| (signed_ms(end) - signed_ms(now)) / 1000);
        FleetNode {
            name: name.to_string(),
            site: name.site().to_owned(),
            tenant: name.tenant().to_owned(),
            role: self.entry.role.unwrap_or(Role::Edge).to_string(),
            state,
            code,
            reason,
            since: Some(self.since.to_string()),
            backlog_messages: status.backlog.messages,
            backlog_bytes: status.backlog.bytes,
            up_messages: status.backlog.messages,
            down_messages: 0,
            oldest_ms: status.backlog.oldest.map(|oldest| ms(now.since(oldest))),
            in_per_s,
            out_per_s,
            disk_used_percent: self.status.as_ref().map(|status| status.disk_used_percent),
            cert_not_after: status.cert_not_after.map(|end| end.to_string()),
            cert_left_s: left,
            clock_skew_ms: self.clock_skew_ms,
            rtt_ms: self.rtt.map(ms),
            version: status.version,
            last_seen: self.entry.last_seen.map(|seen| seen.to_string()),
            age_ms: match (self.seen, self.entry.last_seen) {
                (Some((_, seen)), _) => ms(at.saturating_duration_since(seen)),
                (None, Some(seen)) => ms(now.since(seen)),
                (None, None) => 0,
            },
        }
    }

    fn judge(
        &self,
        status: &Status,
        now: Timestamp,
        at: Instant,
    ) -> (NodeState, Option<String>, Option<String>) {
        let say = |state, code: &str, reason: String| (state, Some(code.to_owned()), Some(reason));
        if let Some(refusal) = self.contested(at) {
            let code = refusal.code.to_string();
            return say(NodeState::Crit, &code, refusal.reason.clone());
        }
        match &self.state {
            Link::Never => {
                return say(NodeState::Down, "QC2220", self.last_seen_words(now));
            }
            Link::Down(refusal) => {
                let state = if refusal.code == link::DRAINED {
                    NodeState::Drain
                } else {
                    NodeState::Down
                };
                return say(state, &refusal.code.to_string(), refusal.reason.clone());
            }
            Link::Stale => {
                let reason = "two heartbeats are missing; the line may be cut".to_owned();
                return say(NodeState::Stale, "QC2221", reason);
            }
            Link::Unacked => {
                let reason = "it has not acknowledged for two heartbeats what it has".to_owned();
                return say(NodeState::Stale, "QC2224", reason);
            }
            Link::Up => {}
        }
        if let Some(end) = status.cert_not_after {
            let left = end.since(now);
            let ends = format!("its certificate ends {end}");
            if left < CERT_CRIT {
                return say(NodeState::Crit, "QC2025", ends);
            }
            if left < CERT_WARN {
                return say(NodeState::Warn, "QC2025", ends);
            }
        }
        let disk = format!("its disk is {} % full", status.disk_used_percent);
        match status.disk_used_percent {
            DISK_CRIT.. => return say(NodeState::Crit, "QC3301", disk),
            DISK_WARN.. => return say(NodeState::Warn, "QC3300", disk),
            _ => {}
        }
        match &self.problem {
            Some(refusal) => say(
                NodeState::Warn,
                &refusal.code.to_string(),
                refusal.reason.clone(),
            ),
            None => (NodeState::Ok, None, None),
        }
    }
}

impl Rate {
    fn sample(&mut self, at: Instant, messages_in: u64, messages_out: u64) {
        if let Some((then, earlier_in, earlier_out)) = self.last {
            let seconds = at.saturating_duration_since(then).as_secs_f64();
            if seconds < 0.1 {
                return;
            }
            let per_s = |now: u64, then: u64| f64::from(clamp(now.saturating_sub(then))) / seconds;
            self.per_s = (
                per_s(messages_in, earlier_in),
                per_s(messages_out, earlier_out),
            );
        }
        self.last = Some((at, messages_in, messages_out));
    }
}

fn clamp(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn signed_ms(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::clock::{Clock as _, ManualClock};

    fn peer() -> Peer {
        Peer {
            node: "edge-1.mill7.acme".parse().unwrap(),
            address: "127.0.0.1:9".to_owned(),
        }
    }

    #[test]
    fn a_node_goes_from_down_to_ok_to_stale_to_down_with_its_reason() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let known = Known {
            entry: NodeEntry::new(clock.now()),
            revision: None,
        };
        let mut fleet = Fleet::with_known([(peer().node, known)]);
        let state = |fleet: &Fleet| {
            let row = fleet.rows(clock.now(), clock.instant()).remove(0);
            (row.state, row.code)
        };
        assert_eq!(state(&fleet), (NodeState::Down, Some("QC2220".to_owned())));
        fleet.link(&peer(), &LinkState::Up, clock.now(), clock.instant());
        assert_eq!(state(&fleet), (NodeState::Ok, None));
        fleet.link(&peer(), &LinkState::Stale, clock.now(), clock.instant());
        assert_eq!(state(&fleet).0, NodeState::Stale);
        let refusal = Refusal::new(Code::new(2008), "revoked");
        fleet.link(
            &peer(),
            &LinkState::Down(refusal),
            clock.now(),
            clock.instant(),
        );
        assert_eq!(state(&fleet), (NodeState::Down, Some("QC2008".to_owned())));
    }

    #[test]
    fn a_replaced_link_ends_beside_the_newer_one_and_two_machines_stay_said() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        let newer = Peer {
            address: "127.0.0.1:10".to_owned(),
            ..peer()
        };
        let down = LinkState::Down(Refusal::new(Code::new(2212), "replaced"));
        for (peer, state) in [
            (peer(), LinkState::Up),
            (newer, LinkState::Up),
            (peer(), down),
        ] {
            fleet.link(&peer, &state, clock.now(), clock.instant());
        }
        let row = |fleet: &Fleet, clock: &ManualClock| {
            let row = fleet.rows(clock.now(), clock.instant()).remove(0);
            let link = fleet.links(clock.now(), clock.instant()).remove(0);
            (
                row.state,
                link.problem.map(|problem| problem.code.to_string()),
            )
        };
        assert_eq!(row(&fleet, &clock), (NodeState::Ok, None));
        let until = clock.instant() + Duration::from_mins(1);
        let twins = Refusal::new(Code::new(2225), "two machines");
        assert_eq!(fleet.notice(&peer().node, clock.instant()), None);
        assert!(fleet.contested(&peer().node, twins.clone(), clock.instant(), until));
        assert!(!fleet.contested(&peer().node, twins.clone(), clock.instant(), until));
        assert_eq!(fleet.notice(&peer().node, clock.instant()), Some(twins));
        let said = (NodeState::Crit, Some("QC2225".to_owned()));
        assert_eq!(row(&fleet, &clock), said);
        fleet.link(&peer(), &LinkState::Up, clock.now(), clock.instant());
        assert_eq!(row(&fleet, &clock), said);
        clock.advance(Duration::from_mins(1));
        assert_eq!(row(&fleet, &clock).0, NodeState::Ok);
    }

    #[test]
    fn rates_disk_and_certificate_come_from_its_status() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        fleet.link(&peer(), &LinkState::Up, clock.now(), clock.instant());
        for (messages_in, disk) in [(0, 10), (500, 91)] {
            let status = Status {
                messages_in,
                disk_used_percent: disk,
                cert_not_after: Some(clock.now().plus(Duration::from_hours(24 * 10))),
                ..Status::default()
            };
            fleet.status(&peer(), status, clock.now(), clock.instant());
            clock.advance(Duration::from_secs(5));
        }
        let row = fleet.rows(clock.now(), clock.instant()).remove(0);
        assert_eq!(
            (row.state, row.code.as_deref()),
            (NodeState::Crit, Some("QC3301"))
        );
        assert!((row.in_per_s - 100.0).abs() < 0.01, "{}", row.in_per_s);
        assert_eq!(row.age_ms, 5000);
    }
}
