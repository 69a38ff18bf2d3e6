//! `trait Streams`: everything a relay asks of its storage, and nothing that only a disk has.
//!
//! [`Embedded`] is the engine of one machine, over the log in [`store`](crate::store). A second engine
//! keeps the same promises on a cluster; `conformance` (feature `testing`) is what both have to pass,
//! and its rules are the promises by name.
//!
//! What a method may cost decides its shape. One that must know the truth returns a future: it may ask
//! other machines. One that returns at once answers from what is at hand, and its doc says why an
//! answer that lags is good enough there. Segments, files and keys of one machine's disk are not here;
//! who opened the log keeps its handle for those.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod embedded;
mod lease;
mod letters;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use crate::store::{
    AppendError, Backlog, DeadLetter, Draft, Head, Limits, Listener, Outcome, StreamInfo,
    StreamKey, Value, ValueError,
};
use crate::wire::Record;

pub use embedded::Embedded;
pub use lease::{Lease, LeaseError};
pub use letters::{Bookmark, Filed, LetterId, MAX_PAGE, Page, Search, letter, letters};
pub use words::{Account, Bounds, Health, ReadError};

/// An answer that may have to wait for a disk or for other machines.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What became of drafts, once it is durable. Outlives the call that asked for it.
pub type Receipt = Answer<'static, Result<Vec<Outcome>, AppendError>>;

/// The most bytes of a registry key.
pub const MAX_KEY: usize = 256;
/// The most bytes of a registry value.
pub const MAX_VALUE: usize = 64 << 10;

/// Streams, consumers, dead letters, registry and leases of one relay.
pub trait Streams: Send + Sync {
    /// Appends to a stream, which begins with its first append. All of it is durable when this answers
    /// `Ok`, on as many machines as the engine promises; none of it is there after an error. A message
    /// whose (`source`, `id`) is in the stream already, or whose hop was taken over, is a duplicate.
    ///
    /// Waits for room before it queues, so a slow engine slows its callers and not the memory.
    fn publish<'a>(
        &'a self,
        stream: &'a StreamKey,
        drafts: Vec<Draft>,
    ) -> Answer<'a, Result<Vec<Outcome>, AppendError>>;

    /// As [`Self::publish`], queued before this returns: two calls are stored in the order of the
    /// calls, without waiting for each other. The caller bounds how much is under way. An engine on a
    /// network sends in call order over one connection and answers when its majority has it.
    fn submit(&self, stream: &StreamKey, drafts: Vec<Draft>) -> Receipt;

    /// Keeps messages that cannot go on, each once, and lets the consumer that a letter names go on
    /// behind its message. The letter is durable no later than that step: where an engine cannot write
    /// both in one commit, it writes the letter first, and the letter's identity makes a repetition
    /// after a crash a duplicate.
    fn bury(&self, letters: Vec<DeadLetter>) -> Receipt;

    /// Makes sure that a stream exists, so that it has an epoch before its first message. From now on
    /// these limits hold for it, or none. At a limit publishers are refused; nothing that a consumer
    /// has not taken makes room, and as long as there is no consumer nothing does. What is over `expire`
    /// ends, and every consumer counts it; without a consumer so does what is over `keep`, and the
    /// account of `-` counts both.
    fn define<'a>(
        &'a self,
        stream: &'a StreamKey,
        limits: Option<Limits>,
    ) -> Answer<'a, Result<(), AppendError>>;

    /// Begins a new epoch of a stream whose epoch is `past` or an earlier one; its numbers go on and
    /// consumers stay where they are. For a stream that went back in time with its engine: others
    /// have more of its epoch than it has. One of those who notice it together is enough.
    fn begin_epoch<'a>(
        &'a self,
        stream: &'a StreamKey,
        past: Epoch,
    ) -> Answer<'a, Result<(), AppendError>>;

    /// The number by which records name `node` as their origin, if it ever was one. At hand.
    fn origin(&self, node: &NodeName) -> Option<u32>;

    /// Takes away everything up to `seq`. Consumers that were not there yet count what they will not
    /// get as purged.
    fn purge<'a>(&'a self, stream: &'a StreamKey, seq: Seq) -> Answer<'a, Result<(), AppendError>>;

    /// The state of one stream. At hand: after an answered publish through this handle its message is
    /// counted; what other machines do shows a moment later, and nobody decides by it what is durable.
    fn info(&self, stream: &StreamKey) -> Option<StreamInfo>;

    /// The state of every stream, by name. At hand, as [`Self::info`].
    fn streams(&self) -> Vec<StreamInfo>;

    /// How far the `lane` of `node`'s stream has been taken over into `stream`, in the node's own
    /// numbers. At hand: where it lags, the node repeats itself and [`Self::publish`] finds duplicates.
    fn mark(&self, stream: &StreamKey, node: &NodeName, lane: Lane) -> Option<(Epoch, Seq)>;

    /// Every node that a message was ever taken over from. At hand: for the fleet view, which has an
    /// age anyway.
    fn origins(&self) -> Vec<NodeName>;

    /// Messages after `after`, in order, within `bounds`: everything that was answered before this was
    /// called is there to be read. Empty at the end of the stream.
    fn read<'a>(
        &'a self,
        stream: &'a StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Answer<'a, Result<Vec<Record>, ReadError>>;

    /// As [`Self::read`], without bodies: heads are under no tenant's key, so they are there whatever became
    /// of it. For looking at what cannot go on.
    fn heads<'a>(
        &'a self,
        stream: &'a StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Answer<'a, Result<Vec<Head>, ReadError>>;

    /// Under which numbers of a stream messages and parts of messages stand, by the digests that they are known
    /// by ([`part_key`](crate::store::part_key)). Finds everything that a repetition would be a duplicate of;
    /// one that has ended meanwhile may be found, too, and is not there to be read.
    fn find<'a>(
        &'a self,
        stream: &'a StreamKey,
        keys: Vec<[u8; 16]>,
    ) -> Answer<'a, Result<Vec<Option<Seq>>, AppendError>>;

    /// As [`Self::read`], but only what is at hand: in memory, on this machine's disk, in a cache that
    /// is read ahead. Empty may also mean that it is on its way; [`Self::listen`] tells when it came.
    /// For links, whose tasks wait for nothing but their sockets.
    fn at_hand(
        &self,
        stream: &StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Result<Vec<Record>, ReadError>;

    /// Fires when there may be more to read or another state to look at, in whatever stream.
    fn changed(&self) -> watch::Receiver<u64>;

    /// Rings `bell` when there may be more of `stream` to read, as long as the listener is kept. For the
    /// many who wait for a stream or two, and whom the others need not wake.
    fn listen(&self, stream: &StreamKey, bell: &Arc<Notify>) -> Listener;

    /// What lies beyond `after` in a stream. At hand, as [`Self::info`].
    fn backlog(&self, stream: &StreamKey, after: Seq) -> Backlog;

    /// `consumer` exists from now on. If it is new it begins after `seq`, and what came before is
    /// nothing it owes. From here on limits wait for it. Durable with the next [`Self::flush`]; until
    /// then a crash may forget it, and it begins again.
    fn begin(&self, stream: &StreamKey, consumer: &str, seq: Seq);

    /// `consumer` has everything of `stream` up to `seq`; a smaller one than before changes nothing.
    /// Returns by how much it came forward. Durable with the next [`Self::flush`]: a crash before that
    /// only repeats what was acknowledged.
    fn advance(&self, stream: &StreamKey, consumer: &str, seq: Seq) -> u64;

    /// Takes `consumer` away: nothing is kept for it any more, and no limit waits for it. What it had
    /// not taken counts as purged in its account, which stays, closed. Answers how many messages that
    /// are, or none if there is no such consumer. Durable when this answers. Whoever comes again under
    /// the name is new; one that is at work meanwhile is, too, so its links are ended first.
    fn end<'a>(
        &'a self,
        stream: &'a StreamKey,
        consumer: &'a str,
    ) -> Answer<'a, Result<Option<u64>, AppendError>>;

    /// How far `consumer` has come, zero if it never said. At hand: what another machine has moved
    /// shows a moment later, and until then is at worst delivered again.
    fn position(&self, stream: &StreamKey, consumer: &str) -> Seq;

    /// Every consumer of a stream and how far it has come. At hand, as [`Self::position`].
    fn positions(&self, stream: &StreamKey) -> BTreeMap<String, Seq>;

    /// Makes every `begin` and `advance` so far durable. After an error they are tried again with the
    /// next call.
    fn flush(&self) -> Answer<'_, Result<(), AppendError>>;

    /// What became of everything in a stream, for each of its consumers as of the last
    /// [`Self::flush`]. A stream that nobody reads has one account, of the consumer `-`, over what it
    /// holds and what has ended there; that stays, closed, when somebody subscribes. A future, because
    /// the books of all machines have to be closed at the same point.
    fn accounts<'a>(
        &'a self,
        stream: &'a StreamKey,
    ) -> Answer<'a, Result<Vec<(String, Account)>, ReadError>>;

    /// A value of the registry, unless its time is over. Knows of every change that was answered
    /// before.
    fn value<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Value>, ReadError>>;

    /// Up to `limit` values whose keys begin with `prefix` and come after `after`, by key.
    fn values<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Answer<'a, Result<Vec<(String, Value)>, ReadError>>;

    /// Changes a value, or deletes it. With `expected` only if that is the revision that is there
    /// (zero: none): of two who expect the same, one succeeds. `until` in the value zero means for
    /// ever. The revisions of a key only grow, also over a deletion.
    fn put<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Seq>,
        value: Option<(Vec<u8>, Timestamp)>,
    ) -> Answer<'a, Result<Value, ValueError>>;

    /// Takes the lease `name` for `holder` until `now + ttl`, if nobody else has it. Its token is
    /// greater than that of every grant before, whatever ended in between: who guards something with
    /// the lease refuses a smaller token than it has seen. The holder's own name gets it at once, and
    /// its earlier grant is lost.
    ///
    /// Time only decides when others may take over: clocks of two machines that differ make a lease
    /// change hands early or late, never two grants with the same token.
    fn acquire<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Lease, LeaseError>> {
        Box::pin(lease::acquire(self, name, holder, ttl, now))
    }

    /// Prolongs a lease until `now + ttl`, with its token. A grant that somebody took over is lost,
    /// one that merely ran out is not.
    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Lease, LeaseError>> {
        Box::pin(lease::renew(self, lease, ttl, now))
    }

    /// Gives a lease back, so that the next one need not wait. Nothing happens if it was lost.
    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Result<(), LeaseError>> {
        Box::pin(lease::release(self, lease))
    }

    /// Whether the engine takes anything, and what it has taken. At hand.
    fn health(&self) -> Health;

    /// Ends the engine: what was queued is written, what comes later is refused.
    fn close(&self);
}
