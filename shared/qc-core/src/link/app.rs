//! What a link asks of the program around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::calls::{CallStream, Caller};
use crate::model::{Epoch, Lane, NodeName, Seq, StreamName, Timestamp};
use crate::wire::{
    Backlog, ChannelKind, Consumer, Greeting, Mark, Open, Record, Refusal, Status, Subscribe,
    Target,
};

/// The node at the other end, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its verified name.
    pub node: NodeName,
    /// Where it is connected from or to, for people.
    pub address: String,
}

/// A stream that this node sends to its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundChannel {
    /// Why it is sent.
    pub kind: ChannelKind,
    /// The stream.
    pub stream: StreamName,
    /// Its lane.
    pub lane: Lane,
    /// Which of its records go over this channel.
    pub share: Share,
    /// The epoch of its numbers, never 0.
    pub epoch: Epoch,
    /// The oldest seq that is kept.
    pub first: Seq,
    /// The newest seq.
    pub last: Seq,
    /// The newest seq that this node may have sent to the receiver. One that has more of the epoch has
    /// it of another history: the store of one of the two was brought back from an older state.
    pub sent: Seq,
    /// What the receiver is known to have had; it lost some if it says that it has less.
    pub had: Option<Seq>,
    /// Where to begin when the receiver has nothing of this epoch: up to here somebody has it all.
    pub after: Seq,
    /// Whose subscription this answers; none for a forward.
    pub consumer: Option<Consumer>,
}

/// Which records of a stream a channel carries: those that are urgent may go ahead of the rest, on a
/// channel of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Share {
    /// All of them.
    #[default]
    All,
    /// Those of the lane critical.
    Urgent,
    /// All others.
    Rest,
}

impl OutboundChannel {
    /// Whether `other` is the same stream for the same receiver, of whatever epoch.
    pub fn is_same(&self, other: &Self) -> bool {
        self.lane == other.lane
            && self.share == other.share
            && self.kind == other.kind
            && self.stream == other.stream
            && self.consumer == other.consumer
    }
}

/// What was read for a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    /// Messages in rising order of their seq.
    pub records: Vec<Record>,
    /// Everything up to here was looked at: records that a filter leaves out lie before it. Zero
    /// when no more than `records` was looked at.
    pub through: Seq,
}

/// What a peer's heartbeat tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHeartbeat {
    /// The peer's wall clock.
    pub time: Timestamp,
    /// Time there and back, once measured.
    pub rtt: Option<Duration>,
    /// When the heartbeat was sent that this one answers: the peer was alive after that.
    pub echoed: Option<Instant>,
    /// What waits at the peer on each channel that it sends on.
    pub backlog: Vec<(Open, Backlog)>,
    /// What the peer says that this node should know of itself.
    pub notice: Option<Refusal>,
}

/// How a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Both sides have greeted each other.
    Up,
    /// Two heartbeats of the peer are missing.
    Stale,
    /// The peer is there, and has not acknowledged for two heartbeats what it has.
    Unacked,
    /// It is heard and acknowledges again.
    Fresh,
    /// It ended.
    Down(Refusal),
}

/// What has a bell rung, as long as it is kept.
pub type Listening = Box<dyn Send>;

/// The program around a link. Methods are called from the link's own task: they return quickly, and
/// only [`LinkApp::store`]'s future may wait.
pub trait LinkApp: Send + Sync + 'static {
    /// A peer wants to send a stream: how far is it here, or why not. A subscription's answer comes
    /// here too, and was asked for.
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal>;

    /// Hands records to the store. The futures of one link are polled first in the order of these
    /// calls, without waiting for each other. Each resolves after fdatasync with the last durable
    /// seq of the sender's numbering.
    ///
    /// The store leaves out what is at or below the mark it has by then: a call of an earlier link
    /// may still be on its way when [`LinkApp::open_inbound`] answers, and its records come again.
    fn store(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static;

    /// A peer asks for a stream: over which channels it is sent, at most two and each of another lane, or
    /// why not. Not asked if the link has no room for two.
    fn subscribe(
        &self,
        peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal>;

    /// What this node hands on to `peer` unasked. Asked again when [`LinkApp::changed`] fires, at
    /// most ten times a second.
    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel>;

    /// What this node wants from `peer`. Asked as often as [`LinkApp::outbound`].
    fn subscriptions(&self, peer: &Peer) -> Vec<Subscribe>;

    /// Records after `after` for `peer`: at most `max_records`, and no more than `max_bytes` unless the first
    /// one alone is longer. Empty when there is nothing yet.
    fn read(
        &self,
        peer: &Peer,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal>;

    /// The peer has everything up to `seq` on disk. Called again with the same seq after a
    /// reconnect.
    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq);

    /// Fires when there may be more to send or to subscribe, and more to read on channels that
    /// [`LinkApp::listen`] says nothing of.
    fn changed(&self) -> watch::Receiver<u64>;

    /// Has `bell` rung when there may be more to read on a channel, as long as the listener is kept. None
    /// where [`LinkApp::changed`] tells that too: a node with a few links may be woken by everything, one
    /// with thousands is not.
    fn listen(&self, channel: &OutboundChannel, bell: &Arc<Notify>) -> Option<Listening>;

    /// What waits on a channel.
    fn backlog(&self, channel: &OutboundChannel) -> Backlog;

    /// How this node fares.
    fn status(&self) -> Status;

    /// How the peer fares.
    fn peer_status(&self, peer: &Peer, status: Status);

    /// What the peer's heartbeat tells.
    fn peer_heartbeat(&self, peer: &Peer, heartbeat: PeerHeartbeat);

    /// What `peer` should know of itself, as long as it holds.
    fn notice(&self, peer: &Peer) -> Option<Refusal>;

    /// Both sides have greeted each other: `caller` makes calls to the peer as long as the link lasts,
    /// and `greeting` is the peer's.
    fn linked(&self, peer: &Peer, greeting: &Greeting, caller: Caller);

    /// The peer calls `target`: who answers takes `stream` and goes on in a task of its own. A refusal
    /// reaches the caller.
    fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal>;

    /// Up to where anything of the epoch of `channel` may have been sent to `peer` by now. Two links to one
    /// peer may stand for a while, and what goes over one of them the other has not announced.
    fn sent(&self, peer: &Peer, channel: &OutboundChannel) -> Seq;

    /// The receiver of `channel` has more of its epoch than this node ever sent: a new epoch is to
    /// begin, with which the channel is listed again.
    fn rewound(&self, peer: &Peer, channel: &OutboundChannel);

    /// The link changed its state.
    fn state(&self, peer: &Peer, state: &LinkState);

    /// A channel or subscription was refused, here or there; it is tried again later.
    fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal);
}
