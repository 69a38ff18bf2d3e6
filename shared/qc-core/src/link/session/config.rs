//! The words of a session: its settings, its two clocks, what it tells its driver.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::Clock;
use crate::link::app::PeerHeartbeat;
use crate::model::{NodeName, Seq, Timestamp};
use crate::wire::{
    Greeting, MAX_FRAME, Open, PROTOCOL, PROTOCOL_OLDEST, Records, Refusal, Status, Subscribe,
    Target,
};

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It connected, and greets first. Its channel numbers are odd.
    Dialer,
    /// It was connected to. Its channel numbers are even.
    Acceptor,
}

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Now {
    /// Reads both clocks.
    pub fn of(clock: &dyn Clock) -> Self {
        Self {
            instant: clock.instant(),
            wall: clock.now(),
        }
    }
}

/// What a session needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// This node's name.
    pub node: NodeName,
    /// Product and version, for people.
    pub software: String,
    /// The oldest and the newest protocol version it speaks.
    pub versions: (u32, u32),
    /// How often to send a heartbeat.
    pub heartbeat: Duration,
    /// After how many silent heartbeat intervals of the peer the session ends.
    pub silent_after: u32,
    /// Within what time both sides must have greeted each other.
    pub hello_timeout: Duration,
    /// Bytes of records taken unacknowledged, over all channels.
    pub window: u64,
    /// Bytes of records taken unacknowledged on one channel.
    pub channel_window: u64,
    /// Bytes of lanes below critical that may always be under way, however slow the line is. A batch goes
    /// in pieces of at least half of it.
    pub least_under_way: u64,
    /// The number of this process among those of this node, 0 for none.
    pub instance: u64,
    /// The most bytes of one batch, unless one record alone is longer.
    pub batch_bytes: usize,
    /// The most records of one batch.
    pub batch_records: usize,
}

impl SessionConfig {
    /// The defaults for `node`.
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            software: concat!("quick-connect/", env!("CARGO_PKG_VERSION")).to_owned(),
            versions: (PROTOCOL_OLDEST, PROTOCOL),
            heartbeat: Duration::from_secs(5),
            silent_after: 6,
            hello_timeout: Duration::from_secs(5),
            window: 2 * MAX_FRAME as u64,
            channel_window: 4 * 1024 * 1024,
            least_under_way: 8 * 1024,
            instance: 0,
            batch_bytes: 256 * 1024,
            batch_records: 512,
        }
    }
}

/// What happened, for the driver to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both sides have greeted each other.
    Established(Greeting),
    /// The peer wants to send: answer with [`Session::accept`](super::Session::accept) or
    /// [`Session::refuse`](super::Session::refuse).
    Opened(Open),
    /// Records have arrived: store them, then call [`Session::durable`](super::Session::durable).
    Batch(u32, Records),
    /// The peer has everything of an outbound channel up to here on disk.
    Acked(u32, Seq),
    /// A channel, subscription or call ended; its number is free of meaning from now on.
    Refused(u32, Refusal),
    /// The peer has more of a channel than it could have when that was opened: answer with
    /// [`Session::may_have`](super::Session::may_have).
    Ahead(u32),
    /// A channel of ours ended because the peer has more of its epoch than was ever sent.
    Rewound(u32, Refusal),
    /// The peer asks for a stream: answer with [`Session::allow`](super::Session::allow) or
    /// [`Session::refuse`](super::Session::refuse).
    Subscribe(u32, Subscribe),
    /// A subscription of ours stands.
    Subscribed(u32),
    /// The peer calls: answer with [`Session::answer`](super::Session::answer) or
    /// [`Session::refuse`](super::Session::refuse).
    Called(u32, Target),
    /// A call of ours was taken.
    Answered(u32),
    /// Bytes of a call have come: use them, then call
    /// [`Session::used_of_call`](super::Session::used_of_call).
    CallData(u32, Bytes),
    /// No more bytes of a call come from the peer.
    CallEnded(u32),
    /// It is time to call [`Session::heartbeat`](super::Session::heartbeat).
    HeartbeatDue,
    /// The peer's heartbeat.
    Heartbeat(PeerHeartbeat),
    /// How the peer fares.
    Status(Status),
    /// Two heartbeats of the peer are missing.
    Stale,
    /// The peer is heard again.
    Fresh,
    /// The peer has had something for two heartbeats and has not acknowledged it.
    Unacked,
    /// It acknowledges again.
    Acking,
    /// While draining: nothing waits for an acknowledgement any more.
    Drained,
    /// The session is over. Nothing but bytes to send may follow.
    Closed {
        /// Why.
        refusal: Refusal,
        /// Whether the peer ended it.
        by_peer: bool,
    },
}

/// Leave to read from the store for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPermit {
    /// The channel.
    pub channel: u32,
    /// Read what comes after this.
    pub after: Seq,
    /// The most records.
    pub max_records: usize,
    /// The most bytes, unless the first record alone is longer.
    pub max_bytes: usize,
}
