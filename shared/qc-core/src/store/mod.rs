//! The durable log a node stands on.
//!
//! One write-ahead log holds every stream of a node. A single writer thread takes everything that is
//! queued, writes it as one sealed batch, calls `fdatasync` once and only then answers: a receipt from
//! [`Log::append`] means the bytes are on disk. Cursors, marks and trims are records of the same log.
//!
//! ```text
//! state dir
//!   log/0000000000000001.seg ...   segments, see `segment`
//!   log/durable.mark               how far fdatasync has come, two slots, see `mark`
//!   log/quarantine/                copies of damaged ranges and foreign files; nothing is deleted
//!   keys/node.key                  wraps the data key of every segment
//! ```
//!
//! Invariants: a segment written by an earlier process is never appended to; every segment begins with
//! the whole table of streams, cursors and marks, so any older segment can go once its messages are
//! trimmed; a failed `fdatasync` is final for the process; all I/O passes through [`Disk`].

mod dead;
mod disk;
mod log;
mod mark;
mod positions;
mod quarantine;
mod recover;
mod seal;
mod segment;
mod spare;
mod stage;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::time::Duration;

use bytes::Bytes;

use crate::model::{Epoch, Lane, Message, NodeName, Seq, StreamName, Timestamp};

pub use dead::{dead_letters, note_death};
pub use disk::{Disk, DiskFile, RealDisk};
pub use log::{Log, LogOptions};
pub use positions::Positions;
pub use recover::{Damage, LostRange, OpenError, OpenReport};
pub use seal::{KeyError, NodeKey};
#[cfg(test)]
use testing::sim;

/// Which side of a node a stream stands on. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// A stream that this relay keeps and serves.
    Hub = 0,
    /// What this node has captured and sends on.
    Outbox = 1,
    /// What this node has received and delivers locally.
    Inbox = 2,
}

impl Role {
    fn from_u8(number: u8) -> Option<Self> {
        [Self::Hub, Self::Outbox, Self::Inbox]
            .get(usize::from(number))
            .copied()
    }

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Outbox => "out",
            Self::Inbox => "in",
        }
    }
}

/// Names one ordered sequence of records in a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The side it stands on.
    pub role: Role,
    /// The stream's name.
    pub name: StreamName,
    /// Its lane; a relay keeps all lanes of a stream under [`Lane::Normal`].
    pub lane: Lane,
}

impl StreamKey {
    /// The key of a relay's stream.
    pub fn hub(name: StreamName) -> Self {
        Self {
            role: Role::Hub,
            name,
            lane: Lane::Normal,
        }
    }
}

/// A message on its way into the log.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The lane it was captured in.
    pub lane: Lane,
    /// The encoded envelope.
    pub head: Bytes,
    /// The payload.
    pub body: Bytes,
    /// Digest of (`source`, `id`); all zero means the message is never a duplicate.
    pub dedupe: [u8; 16],
    /// Where the message stood at the node that sent it, if it came over a link.
    pub hop: Option<Hop>,
}

/// A position in a peer's stream. What was taken over once is not taken over again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The peer.
    pub node: NodeName,
    /// The lane of the peer's stream.
    pub lane: Lane,
    /// The peer's epoch.
    pub epoch: Epoch,
    /// The peer's number.
    pub seq: Seq,
}

impl Draft {
    /// A draft of a message made here. The envelope must have passed its check.
    pub fn from_message(message: &Message, lane: Lane) -> Self {
        let mut head = Vec::with_capacity(256);
        crate::wire::encode_envelope(&message.envelope, &mut head);
        let dedupe = dedupe_key(&message.envelope.source, &message.envelope.id);
        Self {
            lane,
            head: head.into(),
            body: message.body.clone(),
            dedupe,
            hop: None,
        }
    }
}

/// The digest by which a message is known again: the first 16 bytes of
/// SHA-256(length of source as u32 | source | id).
pub fn dedupe_key(source: &str, id: &str) -> [u8; 16] {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    digest.update(
        &u32::try_from(source.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    digest.update(source.as_bytes());
    digest.update(id.as_bytes());
    let mut key = [0; 16];
    if let Some(first) = digest.finish().as_ref().first_chunk::<16>() {
        key = *first;
    }
    key
}

/// What became of one draft; true on disk when it is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Stored under this number.
    Stored {
        /// Its number.
        seq: Seq,
    },
    /// Already there, under this number (0 when only the hop's position is known).
    Duplicate {
        /// The number of the message that is there.
        seq: Seq,
    },
}

impl Outcome {
    /// The number under which the message is in the stream.
    pub fn seq(self) -> Seq {
        match self {
            Self::Stored { seq } | Self::Duplicate { seq } => seq,
        }
    }
}

/// Why an append was not made durable. Nothing of it is in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The disk or the configured size is used up; space will be tried for again.
    #[error("the store is full: {reason}")]
    Full {
        /// What ran out.
        reason: String,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// One message is larger than a record may be.
    #[error("a message of {bytes} bytes exceeds the limit of {max} bytes")]
    TooLarge {
        /// Size of head or body.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// An earlier write or sync failed; only a restart re-reads what is really on disk.
    #[error("the store stopped after a disk error: {0}")]
    Poisoned(String),
    /// The log is closed.
    #[error("the store is closed")]
    Closed,
}

impl AppendError {
    /// Whether the same append may succeed later in this process.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk refused.
    #[error("cannot read segment {segment}")]
    Io {
        /// The segment's number.
        segment: u64,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The bytes on disk are not what was written.
    #[error("segment {segment} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The segment's number.
        segment: u64,
        /// Where the batch begins.
        offset: u64,
        /// What does not match.
        what: &'static str,
    },
}

/// The state of one stream as of the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Which stream.
    pub key: StreamKey,
    /// Its history.
    pub epoch: Epoch,
    /// The oldest message that is still there, one past the last if there is none.
    pub first: Seq,
    /// The newest message.
    pub last: Seq,
    /// Messages still there (ranges lost to damage not counted).
    pub messages: u64,
    /// Their bytes on disk before sealing.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
    /// Seqs above the trim point that damage has taken.
    pub lost: u64,
    /// Appends since start that were already there.
    pub duplicates: u64,
}

/// How much of a stream a consumer has still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages beyond the cursor.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
}

/// Size and state of the whole log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Segments on disk.
    pub segments: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Commits since start.
    pub commits: u64,
    /// Records since start.
    pub records: u64,
    /// Time the last `fdatasync` took, in microseconds.
    pub last_sync_us: u64,
    /// Why appends are refused at the moment, if they are.
    pub full: Option<String>,
    /// The disk error that stopped the log, if one did.
    pub poisoned: Option<String>,
}
