//! The words of the log: streams, drafts, outcomes, positions, errors.

use std::time::Duration;

use bytes::Bytes;

use super::Damage;
use super::NoKey;
use super::age::ClockJump;
use super::usage::Usage;
use crate::model::{Epoch, Lane, Message, NodeName, Part, Seq, StreamName, Timestamp};
use crate::wire::RecordHeader;

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
    /// What cannot go on, see `dead`.
    Dead = 3,
}

impl Role {
    pub(super) fn from_u8(number: u8) -> Option<Self> {
        [Self::Hub, Self::Outbox, Self::Inbox, Self::Dead]
            .get(usize::from(number))
            .copied()
    }

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Outbox => "out",
            Self::Inbox => "in",
            Self::Dead => "dead",
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
    /// Which part of its message it is.
    pub part: Part,
    /// Digest of (`source`, `id`), and of the part; all zero means it is never a duplicate.
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
            part: Part::WHOLE,
            dedupe,
            hop: None,
        }
    }
}

/// The digest by which a message is known again: the first 16 bytes of
/// SHA-256(length of source as u32 | source | id).
pub fn dedupe_key(source: &str, id: &str) -> [u8; 16] {
    part_key(source, id, Part::WHOLE)
}

/// As [`dedupe_key`], of one part of a message. The last part, the only one of most, is known by the digest of
/// the message, so that a message counts as there when all of it is; for the others comes the number
/// as u32 behind the id, between a zero, which no id has.
pub fn part_key(source: &str, id: &str, part: Part) -> [u8; 16] {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    digest.update(
        &u32::try_from(source.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    digest.update(source.as_bytes());
    digest.update(id.as_bytes());
    if !part.is_last {
        digest.update(&[0]);
        digest.update(&part.number.to_le_bytes());
    }
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

    /// Whether the message had been there already.
    pub fn is_duplicate(self) -> bool {
        matches!(self, Self::Duplicate { .. })
    }
}

/// Why an append was not made durable. Nothing of it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk or the configured size is used up; space will be tried for again.
    #[error("the store is full: {reason}")]
    Full {
        /// What ran out.
        reason: String,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The stream holds as much as it may, and not every consumer has taken it.
    #[error("{reason}")]
    Limit {
        /// Which limit.
        reason: String,
    },
    /// Whether a message is there already could not be found out; it will be tried to repair that.
    #[error("cannot look up what is there already: {reason}")]
    Unreadable {
        /// What could not be read.
        reason: String,
    },
    /// The key that seals the tenant's bodies is not there.
    #[error("no key seals what is new of tenant {tenant}: {reason}")]
    TenantKey {
        /// The tenant.
        tenant: String,
        /// Why not.
        reason: NoKey,
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
    /// The stable code, the same on the link, over HTTP and in a source.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "QC3302",
            Self::Limit { .. } => "QC3303",
            Self::TenantKey { reason, .. } => reason.code(),
            Self::Unreadable { .. } => "QC3021",
            Self::TooLarge { .. } => "QC4009",
            Self::Poisoned(_) => "QC3002",
            Self::Closed => "QC0010",
        }
    }

    /// When the same append is worth another try; none when it never is.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { retry_after, .. } => Some(*retry_after),
            Self::TooLarge { .. } => None,
            _ => Some(Duration::from_secs(5)),
        }
    }

    /// Whether the same append may succeed later in this process.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::Limit { .. }
                | Self::TenantKey { .. }
                | Self::Unreadable { .. }
        )
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
    /// The body is under a tenant's key that is not at hand.
    #[error("{reason}")]
    TenantKey {
        /// Which key, and why not.
        reason: NoKey,
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

/// A message without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its header.
    pub header: RecordHeader,
    /// Its head, which is under no tenant's key.
    pub head: Bytes,
    /// The length of its body in the clear.
    pub body_bytes: u64,
    /// Why nobody can read the body, if so.
    pub no_key: Option<NoKey>,
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

/// How far a consumer has come, and what became of everything until there. Always
/// `seq - base = acked + expired + dead + purged + what is lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CursorState {
    /// Everything up to here is settled.
    pub seq: Seq,
    /// Where the consumer began: what came before was never meant for it.
    pub base: Seq,
    /// Messages it took.
    pub acked: u64,
    /// Messages whose time ended before it took them.
    pub expired: u64,
    /// Messages it could not take, which are dead letters now.
    pub dead: u64,
    /// Messages that were purged before it took them.
    pub purged: u64,
    /// The consumer was taken away: nothing is kept for it, and these books are closed.
    pub ended: bool,
}

/// Stands for the consumer of a stream that has none: what ends there is counted by this name.
pub(crate) const NOBODY: &str = "-";

impl CursorState {
    /// A consumer that begins after `seq`.
    pub fn starting_at(seq: Seq) -> Self {
        Self {
            seq,
            base: seq,
            ..Self::default()
        }
    }

    /// What comes up to `seq` is in the books of others.
    pub(crate) fn passed_over(self, seq: Seq) -> Self {
        let passed = seq.0.saturating_sub(self.seq.0);
        Self {
            seq: self.seq.max(seq),
            base: Seq(self.base.0 + passed),
            ..self
        }
    }

    /// What was ever meant for the consumer of a stream that ends at `last`, lost seqs included.
    pub fn received(&self, last: Seq) -> u64 {
        last.0.saturating_sub(self.base.0)
    }

    /// Seqs on the way to here that nobody could have taken: what the counters do not explain is lost.
    pub fn lost(&self) -> u64 {
        let settled = self.acked + self.expired + self.dead + self.purged;
        self.received(self.seq).saturating_sub(settled)
    }

    /// The consumer has everything up to `seq`, `dead` of it as dead letters; `lost` seqs on the way
    /// were not there any more.
    pub(super) fn moved_to(self, seq: Seq, dead: u64, lost: u64) -> Self {
        let passed = seq.0.saturating_sub(self.seq.0).saturating_sub(lost);
        let dead = dead.min(passed);
        Self {
            seq: self.seq.max(seq),
            acked: self.acked + passed - dead,
            dead: self.dead + dead,
            ..self
        }
    }

    /// Everything up to `seq` has ended, taken or not.
    pub(super) fn expired_to(self, seq: Seq, lost: u64) -> Self {
        let passed = seq.0.saturating_sub(self.seq.0).saturating_sub(lost);
        Self {
            seq: self.seq.max(seq),
            expired: self.expired + passed,
            ..self
        }
    }

    /// Everything up to `seq` was taken away, taken or not.
    pub(super) fn purged_to(self, seq: Seq, lost: u64) -> Self {
        let passed = seq.0.saturating_sub(self.seq.0).saturating_sub(lost);
        Self {
            seq: self.seq.max(seq),
            purged: self.purged + passed,
            ..self
        }
    }
}

/// A step of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorMove {
    /// The stream.
    pub stream: StreamKey,
    /// The consumer.
    pub consumer: String,
    /// Where it stood when it was first heard of; counts only for a consumer that is new.
    pub from: Seq,
    /// It has everything up to here.
    pub seq: Seq,
    /// How many of those it could not take and are dead letters now.
    pub dead: u64,
}

/// A value of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Value {
    /// Grows with every change of the same key.
    pub revision: Seq,
    /// Until when it counts; zero means for ever.
    pub until: Timestamp,
    /// The value itself.
    pub bytes: Bytes,
}

/// Why a value was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ValueError {
    /// Somebody else changed it first.
    #[error("the value has been changed meanwhile")]
    Conflict {
        /// What is there now.
        there: Option<Value>,
    },
    /// The log took nothing.
    #[error(transparent)]
    Store(#[from] AppendError),
}

/// What giving back space brings, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relief {
    /// What the log takes before.
    pub before: u64,
    /// Of that, files kept ready for the next segments.
    pub free_files: u64,
    /// Of that, what nobody needs in segments that somebody still needs a part of.
    pub dead: u64,
    /// What the log takes afterwards.
    pub after: u64,
}

/// One step of giving back space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReliefStep {
    /// Segments from this one on are left alone: what was moved stands there.
    pub until: u64,
    /// What the log takes now, in bytes.
    pub bytes: u64,
    /// Whether it moved anything; otherwise the next step has to wait for somebody.
    pub has_moved: bool,
    /// Whether nothing more is to be had.
    pub is_done: bool,
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
    /// Heads and bodies accepted since start, in bytes.
    pub accepted_bytes: u64,
    /// Bytes written to segments since start.
    pub written_bytes: u64,
    /// Bytes of what is still needed.
    pub live_bytes: u64,
    /// Memory that knowing every id again takes.
    pub dedupe_bytes: u64,
    /// The last time the wall clock jumped, which made no message older.
    pub jump: Option<ClockJump>,
    /// How often it did since start, the start included.
    pub jumps: u64,
    /// When everything had been read again and was sound or repaired.
    pub scrubbed: Option<Timestamp>,
    /// How much of a reading under way is done, in percent.
    pub scrubbing: Option<u8>,
    /// Bytes read again since start.
    pub scrubbed_bytes: u64,
    /// Damage found since start.
    pub damaged: Vec<Damage>,
    /// Damage whose copy finds no room: it stays where it is until there is some.
    pub waiting: Vec<Damage>,
    /// Segments that could be neither read nor repaired when it was tried last.
    pub unread: Vec<u64>,
    /// Time the last write and `fdatasync` took, in microseconds.
    pub last_sync_us: u64,
    /// What takes the space, and which lanes are refused.
    pub usage: Usage,
    /// Why appends are refused at the moment, if they are.
    pub full: Option<String>,
    /// The disk error that stopped the log, if one did.
    pub poisoned: Option<String>,
}
