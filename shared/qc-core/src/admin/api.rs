//! What the admin API says, as JSON: the twins that relay, edge and qc-top share.
//!
//! Plain strings and integers; `_bytes`, `_ms`, `_s` are integers, times RFC 3339 in UTC, enums `snake_case`,
//! arrays never null. A schema only grows: a reader ignores what it does not know, fills what it misses, and reads a
//! new state as `unknown`. Names came over the wire: show them through [`crate::safe_text`] only.

use serde::{Deserialize, Deserializer, Serialize};

pub use super::drained::{DrainOrder, Drained, DrainedNode};
pub use super::reply::Reply;
use crate::safe_text::safe;

/// The schema of [`Fleet`].
pub const FLEET_SCHEMA: &str = "qc.fleet/1";
/// The schema of [`RelayStatus`].
pub const RELAY_STATUS_SCHEMA: &str = "qc.relay-status/1";
/// The schema of [`EdgeStatus`].
pub const EDGE_STATUS_SCHEMA: &str = "qc.edge-status/1";
/// The schema of a list of [`StreamRow`].
pub const STREAM_LIST_SCHEMA: &str = "qc.stream-list/1";
/// The schema of [`Ledger`].
pub const LEDGER_SCHEMA: &str = "qc.ledger/1";

/// Everything one relay knows about the nodes below it, itself included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// The relay that answers.
    pub relay: String,
    /// Its region.
    pub region: Option<String>,
    /// When this was put together.
    pub generated_at: String,
    /// How long the relay runs.
    pub uptime_s: u64,
    /// One row a node, in no promised order.
    pub nodes: Vec<FleetNode>,
    /// The sums over all nodes.
    pub totals: FleetTotals,
}

/// The sums of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetTotals {
    /// Nodes in order.
    pub ok: u64,
    /// Nodes that need a look.
    pub warn: u64,
    /// Nodes that need an operator.
    pub crit: u64,
    /// Nodes that finish what they hold and take no new work.
    pub drain: u64,
    /// Nodes whose numbers are too old to judge, or whose state is not known.
    pub stale: u64,
    /// Nodes that do not answer.
    pub down: u64,
    /// Messages a second that came in.
    #[serde(deserialize_with = "rate")]
    pub in_per_s: f64,
    /// Messages a second that went out.
    #[serde(deserialize_with = "rate")]
    pub out_per_s: f64,
    /// Messages that wait.
    pub backlog_messages: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// The age of the oldest message that waits.
    pub oldest_ms: Option<u64>,
    /// Messages recognised as duplicates since the relay started.
    pub dedup: u64,
    /// Messages refused since the relay started.
    pub refused: u64,
}

impl FleetTotals {
    /// The sums of `nodes`; `dedup` and `refused` are the relay's own counters.
    pub fn of(nodes: &[FleetNode], dedup: u64, refused: u64) -> Self {
        let mut sum = Self {
            dedup,
            refused,
            ..Self::default()
        };
        for node in nodes {
            *match node.state {
                NodeState::Ok => &mut sum.ok,
                NodeState::Warn => &mut sum.warn,
                NodeState::Crit => &mut sum.crit,
                NodeState::Drain => &mut sum.drain,
                NodeState::Stale | NodeState::Unknown => &mut sum.stale,
                NodeState::Down => &mut sum.down,
            } += 1;
            sum.in_per_s += node.in_per_s;
            sum.out_per_s += node.out_per_s;
            sum.backlog_messages = sum.backlog_messages.saturating_add(node.backlog_messages);
            sum.backlog_bytes = sum.backlog_bytes.saturating_add(node.backlog_bytes);
            sum.oldest_ms = sum.oldest_ms.max(node.oldest_ms);
        }
        sum
    }
}

/// How a node does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// In order.
    Ok,
    /// Needs a look.
    Warn,
    /// Needs an operator.
    Crit,
    /// Finishes what it holds, takes no new work.
    Drain,
    /// Its numbers are too old to judge.
    Stale,
    /// Does not answer.
    Down,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl NodeState {
    /// The place in a list that shows the worst first: 0 is the worst.
    pub fn rank(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Crit => 1,
            Self::Stale | Self::Unknown => 2,
            Self::Warn => 3,
            Self::Drain => 4,
            Self::Ok => 5,
        }
    }

    /// The word in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Crit => "crit",
            Self::Drain => "drain",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// One node of a fleet, as the relay sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetNode {
    /// Its name within its site.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Its tenant.
    pub tenant: String,
    /// What it is: `edge` or `relay`.
    pub role: String,
    /// How it does.
    pub state: NodeState,
    /// The stable code of the reason, such as `QC2003`.
    pub code: Option<String>,
    /// The reason in one sentence.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: Option<String>,
    /// Messages that wait: [`Self::up_messages`] and [`Self::down_messages`] together.
    pub backlog_messages: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// Messages in its own buffer that wait for the relay.
    pub up_messages: u64,
    /// Messages at the relay that wait for it.
    pub down_messages: u64,
    /// The age of the oldest message that waits.
    pub oldest_ms: Option<u64>,
    /// Messages a second that it sent to the relay.
    #[serde(deserialize_with = "rate")]
    pub in_per_s: f64,
    /// Messages a second that it took from the relay.
    #[serde(deserialize_with = "rate")]
    pub out_per_s: f64,
    /// How full the disk of its state directory is.
    pub disk_used_percent: Option<u8>,
    /// When its certificate ends.
    pub cert_not_after: Option<String>,
    /// The time left until then; negative once it is over.
    pub cert_left_s: Option<i64>,
    /// Its clock minus the relay's.
    pub clock_skew_ms: Option<i64>,
    /// The round trip of the last heartbeat.
    pub rtt_ms: Option<u64>,
    /// Its program's version.
    pub version: String,
    /// When the relay last heard from it.
    pub last_seen: Option<String>,
    /// The age of these numbers.
    pub age_ms: u64,
}

/// A relay about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayStatus {
    /// The full name of the node.
    pub node: String,
    /// Its region.
    pub region: Option<String>,
    /// Its program's version.
    pub version: String,
    /// How long it runs.
    pub uptime_s: u64,
    /// Its state directory.
    pub state_dir: String,
    /// Whether it takes no new work.
    pub draining: bool,
    /// Which nodes it sends away, if any.
    pub drained: Option<Drained>,
    /// Where it listens, one address an entry: `link 0.0.0.0:7443`.
    pub listeners: Vec<String>,
    /// Its store.
    pub store: StoreStatus,
    /// The nodes linked to it.
    pub links: Vec<LinkStatus>,
    /// Its link to a parent relay, if one is configured.
    pub uplink: Option<LinkStatus>,
    /// Its own certificate.
    pub certificate: Option<CertificateStatus>,
    /// What it counted.
    pub totals: FleetTotals,
}

/// An edge about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeStatus {
    /// The full name of the node.
    pub node: String,
    /// Its program's version.
    pub version: String,
    /// How long it runs.
    pub uptime_s: u64,
    /// Its state directory.
    pub state_dir: String,
    /// Whether it takes no new work.
    pub draining: bool,
    /// Its store.
    pub store: StoreStatus,
    /// Its links to relays.
    pub links: Vec<LinkStatus>,
    /// Its own certificate.
    pub certificate: Option<CertificateStatus>,
    /// What it takes messages from.
    pub sources: Vec<ConnectorStatus>,
    /// What it gives messages to.
    pub sinks: Vec<ConnectorStatus>,
    /// The control objects that it has taken.
    pub control: super::control::ControlList,
}

/// A node's store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreStatus {
    /// Streams in it.
    pub streams: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes of the segments on disk.
    pub bytes: u64,
    /// When the oldest message in it was accepted.
    pub oldest: Option<String>,
    /// How full its disk is.
    pub disk_used_percent: Option<u8>,
    /// What the last start found and did, one sentence an entry; empty after a clean stop.
    pub recovered: Vec<String>,
    /// When all of it was read again, and what damage was found.
    pub health: super::disk::StoreHealth,
}

/// What is wrong, or was last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastError {
    /// The stable code, such as `QC2201`.
    pub code: String,
    /// One sentence.
    pub reason: String,
    /// When it happened.
    pub at: Option<String>,
}

/// How a link does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Up, and acknowledged within two heartbeats.
    Up,
    /// Up, but the peer has not acknowledged for two heartbeats.
    Stalled,
    /// Being made.
    Connecting,
    /// Waits before the next attempt.
    Waiting,
    /// Down; nobody tries.
    Down,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One link of a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStatus {
    /// The peer's name; empty before its certificate was seen.
    pub peer: String,
    /// The address dialled, or where the peer came from.
    pub address: String,
    /// How it does.
    pub state: LinkState,
    /// Which way the newest connection to this address went.
    pub way: Option<LinkWay>,
    /// Since when it is in this state.
    pub since: Option<String>,
    /// Why it was last down.
    pub last_error: Option<LastError>,
    /// Attempts since it was last up.
    pub attempts: u64,
    /// The time until the next attempt.
    pub next_try_s: Option<u64>,
    /// The round trip of the last heartbeat.
    pub rtt_ms: Option<u64>,
    /// The age of the last acknowledgement.
    pub acked_ms: Option<u64>,
    /// What the newest probe through both stores took, in microseconds.
    pub probe_us: Option<u64>,
    /// Its age.
    pub probed_ms: Option<u64>,
    /// The last sequence number that the peer acknowledged as durable.
    pub acked_seq: Option<u64>,
    /// Messages sent since it came up.
    pub sent: u64,
    /// Messages received since it came up.
    pub received: u64,
    /// Messages that wait for it.
    pub backlog_messages: u64,
    /// How long it takes to send what waits, at the rate of the last minute.
    pub drained_in_s: Option<u64>,
}

/// Which way a link goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkWay {
    /// The address of the relay or proxy that answered, with its port.
    pub remote: String,
    /// The proxy, if there is one.
    pub proxy: Option<String>,
    /// Whether the link is inside a WebSocket.
    pub websocket: bool,
    /// How old the address is, where the name could not be looked up and the last good one was used.
    pub address_age_s: Option<u64>,
    /// When the connection was made.
    pub since: String,
}

/// A node's own certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateStatus {
    /// When it ends.
    pub not_after: String,
    /// The time left until then; negative once it is over.
    pub left_s: i64,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number in hex.
    pub serial: String,
    /// When it will be renewed.
    pub renew_at: Option<String>,
    /// Why the last renewal failed.
    pub last_error: Option<LastError>,
}

/// How a source or a sink does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// Works, or waits for work.
    Running,
    /// Failed and waits before the next attempt.
    Retrying,
    /// Takes nothing until there is room.
    Paused,
    /// Stopped; needs an operator.
    Failed,
    /// Stopped on purpose.
    Stopped,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One source or sink of an edge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectorStatus {
    /// Its name in the configuration.
    pub name: String,
    /// What it is: `file`, `webhook`, `http`.
    pub kind: String,
    /// The stream it feeds or empties.
    pub stream: String,
    /// How it does.
    pub state: ConnectorState,
    /// Messages it took or gave since the start.
    pub processed: u64,
    /// Attempts that failed since the start.
    pub retries: u64,
    /// Messages it gave up on, now in the dead-letter stream.
    pub dead_lettered: u64,
    /// The last failure.
    pub last_error: Option<LastError>,
    /// The time until the next attempt.
    pub next_try_s: Option<u64>,
}

/// One stream of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRow {
    /// `tenant/name`.
    pub name: String,
    /// The lane, where the stream is an edge's buffer.
    pub lane: Option<String>,
    /// The epoch of the sequence numbers.
    pub epoch: u64,
    /// The oldest message kept.
    pub first_seq: u64,
    /// The newest message.
    pub last_seq: u64,
    /// Messages kept.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest message kept was accepted.
    pub oldest: Option<String>,
    /// Who reads it.
    pub consumers: Vec<ConsumerRow>,
    /// The data class, where all messages have the same.
    pub class: Option<String>,
    /// Messages taken in since the start.
    #[serde(rename = "in")]
    pub received: u64,
    /// Messages recognised as duplicates since the start.
    pub duplicates: u64,
    /// Messages refused since the start.
    pub refused: u64,
}

impl StreamRow {
    /// Its consumers in a line for people.
    pub fn consumers_text(&self) -> String {
        let consumer = |c: &ConsumerRow| {
            let name = safe(&c.name, 200);
            format!("{name} at {} ({} wait)", c.acked_seq, c.pending)
        };
        let all: Vec<_> = self.consumers.iter().map(consumer).collect();
        all.join(", ")
    }
}

/// One reader of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerRow {
    /// Its name.
    pub name: String,
    /// The last message it acknowledged.
    pub acked_seq: u64,
    /// Messages it has yet to acknowledge.
    pub pending: u64,
}

/// Where every message went: per stream and consumer,
/// `in = acked + pending + expired + dead_lettered + purged`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// One row a stream and consumer.
    pub rows: Vec<LedgerRow>,
    /// Whether every row balances.
    pub balanced: bool,
}

impl Ledger {
    /// The ledger of `rows`, each judged anew.
    pub fn of(mut rows: Vec<LedgerRow>) -> Self {
        for row in &mut rows {
            row.balanced = row.balances();
        }
        let balanced = rows.iter().all(|row| row.balanced);
        Self { rows, balanced }
    }
}

/// One stream as one consumer sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LedgerRow {
    /// `tenant/name`.
    pub stream: String,
    /// The consumer.
    pub consumer: String,
    /// Messages taken in.
    #[serde(rename = "in")]
    pub received: u64,
    /// Of these, acknowledged by the consumer.
    pub acked: u64,
    /// Of these, still to be acknowledged.
    pub pending: u64,
    /// Of these, past their expiry time.
    pub expired: u64,
    /// Of these, given up on and kept in the dead-letter stream.
    pub dead_lettered: u64,
    /// Of these, removed by an operator.
    pub purged: u64,
    /// Messages never taken in; counted apart.
    pub refused: u64,
    /// Sequence numbers that no message has.
    pub gaps: u64,
    /// Messages recognised as duplicates; counted apart.
    pub duplicates: u64,
    /// Whether the row balances.
    pub balanced: bool,
}

impl LedgerRow {
    /// Whether what came in is all accounted for, without a gap.
    pub fn balances(&self) -> bool {
        let parts = [
            self.acked,
            self.pending,
            self.expired,
            self.dead_lettered,
            self.purged,
        ];
        let out = parts.iter().try_fold(0_u64, |sum, n| sum.checked_add(*n));
        out == Some(self.received) && self.gaps == 0
    }
}

/// JSON has no word for a rate over no time: it is written as null, and read as none.
fn rate<'de, D: Deserializer<'de>>(json: D) -> Result<f64, D::Error> {
    Option::deserialize(json).map(|rate: Option<f64>| rate.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_survives_older_and_newer_writers() {
        let older: Fleet = serde_json::from_str(r#"{"relay":"hub","nodes":[{"name":"e"}]}"#)
            .expect("missing fields are filled");
        assert_eq!(older.nodes.len(), 1);
        assert_eq!(
            older.nodes.first().map(|n| n.state),
            Some(NodeState::Unknown)
        );
        let newer: FleetNode =
            serde_json::from_str(r#"{"name":"e","state":"hibernating","mood":[1]}"#)
                .expect("unknown fields and states are taken");
        assert_eq!(newer.state, NodeState::Unknown);
    }

    #[test]
    fn a_rate_without_a_number_spoils_nothing() {
        let node = FleetNode {
            in_per_s: f64::NAN,
            out_per_s: 1.5,
            ..FleetNode::default()
        };
        let json = serde_json::to_string(&node).expect("plain data");
        let back: FleetNode = serde_json::from_str(&json).expect("null is no rate");
        assert_eq!(
            (back.in_per_s.to_bits(), back.out_per_s.to_bits()),
            (0, 1.5_f64.to_bits())
        );
    }

    #[test]
    fn json_has_snake_case_states_and_no_null_arrays() {
        let json = serde_json::to_string(&EdgeStatus {
            links: vec![LinkStatus {
                state: LinkState::Stalled,
                ..LinkStatus::default()
            }],
            ..EdgeStatus::default()
        })
        .expect("plain data");
        assert!(json.contains(r#""state":"stalled""#), "{json}");
        assert!(json.contains(r#""sources":[]"#), "{json}");
        for state in [NodeState::Ok, NodeState::Down, NodeState::Unknown] {
            assert_eq!(
                serde_json::to_string(&state).expect("a word"),
                format!("\"{}\"", state.as_str())
            );
        }
    }

    #[test]
    fn a_stream_row_says_in() {
        let row = StreamRow {
            received: 7,
            ..StreamRow::default()
        };
        let json = serde_json::to_string(&row).expect("plain data");
        assert!(json.contains(r#""in":7"#), "{json}");
    }

    #[test]
    fn totals_add_up() {
        let node = |state, backlog_messages, oldest_ms| FleetNode {
            state,
            backlog_messages,
            oldest_ms,
            in_per_s: 1.5,
            ..FleetNode::default()
        };
        let nodes = [
            node(NodeState::Ok, 1, None),
            node(NodeState::Down, 41, Some(9)),
            node(NodeState::Unknown, 0, Some(3)),
        ];
        let sum = FleetTotals::of(&nodes, 5, 6);
        assert_eq!((sum.ok, sum.down, sum.stale), (1, 1, 1));
        assert_eq!((sum.backlog_messages, sum.oldest_ms), (42, Some(9)));
        assert_eq!((sum.dedup, sum.refused), (5, 6));
        assert!((sum.in_per_s - 4.5).abs() < 1e-9);
    }

    #[test]
    fn a_ledger_balances_or_says_so() {
        let row = LedgerRow {
            received: 10,
            acked: 6,
            pending: 2,
            expired: 1,
            dead_lettered: 1,
            refused: 99,
            ..LedgerRow::default()
        };
        assert!(Ledger::of(vec![row.clone()]).balanced);
        let one_lost = LedgerRow {
            acked: 5,
            ..row.clone()
        };
        assert!(!Ledger::of(vec![row.clone(), one_lost]).balanced);
        assert!(!Ledger::of(vec![LedgerRow { gaps: 1, ..row }]).balanced);
    }
}
