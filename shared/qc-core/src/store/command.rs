//! What the handles ask of the writer, and how it answers.

use tokio::sync::oneshot;

use super::{
    AppendError, CursorMove, Draft, Limits, NodeKey, Outcome, ReliefStep, StreamKey, Value,
    ValueError,
};
use crate::model::{Epoch, Seq, Timestamp};

/// A question to the writer.
pub(super) enum Command {
    Append {
        stream: StreamKey,
        drafts: Vec<Draft>,
        done: Reply<Vec<Outcome>>,
    },
    Cursors {
        moves: Vec<CursorMove>,
        done: Reply<()>,
    },
    Define {
        stream: StreamKey,
        limits: Option<Limits>,
        done: Reply<()>,
    },
    /// A new epoch begins, unless one after `past` has begun already.
    Epoch {
        stream: StreamKey,
        past: Epoch,
        done: Reply<()>,
    },
    Trim {
        stream: StreamKey,
        seq: Seq,
        done: Reply<()>,
    },
    /// As a trim, and consumers that were not there yet count what they will not get.
    Purge {
        stream: StreamKey,
        seq: Seq,
        done: Reply<()>,
    },
    /// A consumer is no more: what it has not taken is purged for it.
    End {
        stream: StreamKey,
        consumer: String,
        done: Reply<Option<u64>>,
    },
    /// Letters and the steps of the consumers that they let go on, in one commit.
    Bury {
        letters: StreamKey,
        drafts: Vec<Draft>,
        moves: Vec<CursorMove>,
        done: Reply<Vec<Outcome>>,
    },
    Put {
        key: String,
        /// The revision that must be there, if that matters.
        expected: Option<Seq>,
        /// The new value, or none to delete it.
        value: Option<(Vec<u8>, Timestamp)>,
        done: oneshot::Sender<Result<Value, ValueError>>,
    },
    /// Where messages stand that are known by these digests.
    Find {
        stream: StreamKey,
        keys: Vec<[u8; 16]>,
        done: Reply<Vec<Option<Seq>>>,
    },
    /// A reader met damage.
    Repair {
        segment: u64,
    },
    Rewrap {
        node: NodeKey,
        done: Reply<()>,
    },
    RelieveStep {
        until: Option<u64>,
        done: Reply<ReliefStep>,
    },
    Stop,
}

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, AppendError>>;

/// An answer that waits for the disk.
pub(super) enum Answer {
    Append(Reply<Vec<Outcome>>, Vec<Outcome>),
    Unit(Reply<()>),
    Ended(Reply<Option<u64>>, u64),
    Value(oneshot::Sender<Result<Value, ValueError>>, Value),
}

impl Answer {
    // a caller that is gone does not change what is on disk
    pub(super) fn done(self) {
        match self {
            Self::Append(reply, outcomes) => drop(reply.send(Ok(outcomes))),
            Self::Unit(reply) => drop(reply.send(Ok(()))),
            Self::Ended(reply, purged) => drop(reply.send(Ok(Some(purged)))),
            Self::Value(reply, value) => drop(reply.send(Ok(value))),
        }
    }

    pub(super) fn fail(self, error: &AppendError) {
        match self {
            Self::Append(reply, _) => drop(reply.send(Err(error.clone()))),
            Self::Unit(reply) => drop(reply.send(Err(error.clone()))),
            Self::Ended(reply, _) => drop(reply.send(Err(error.clone()))),
            Self::Value(reply, _) => drop(reply.send(Err(ValueError::Store(error.clone())))),
        }
    }
}
