//! The durable log a node stands on.
//!
//! One write-ahead log holds every stream of a node. A single writer thread takes everything that is
//! queued, writes it as one sealed batch, calls `fdatasync` once and only then answers: a receipt from
//! [`Log::append`] means the bytes are on disk. Cursors, marks and trims are records of the same log.
//!
//! ```text
//! state dir
//!   log/0000000000000001.seg ...   segments, see `segment`
//!   log/0000000000000001.idx ...   what stands where in them, see `index`; made again when missing
//!   log/free-1.tmp ...             files that become segments, see `space`
//!   log/durable.mark               how far fdatasync has come, two slots, see `mark`
//!   log/quarantine/                copies of damaged ranges and foreign files; nothing is deleted
//!   keys/                          what wraps the data key of every segment; see `node::keys`
//! ```
//!
//! Invariants: a segment written by an earlier process is never appended to; every segment begins with
//! the whole table of streams, cursors and marks, so any older segment can go once its messages are
//! trimmed; a failed `fdatasync` is final for the process; all I/O passes through [`Disk`].

mod age;
mod census;
mod command;
mod commit;
mod compact;
mod dead;
mod dense;
mod disk;
mod files;
mod ids;
mod index;
mod keeper;
mod listeners;
mod log;
mod mark;
mod numbers;
mod pages;
mod positions;
mod purge;
mod quarantine;
mod read;
mod recover;
mod relieve;
mod repeat;
mod report;
mod retain;
mod salvage;
mod scan;
mod scrub;
mod seal;
mod segment;
mod space;
mod stage;
mod tables;
mod tail;
mod tenant;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod usage;
mod view;
mod words;
mod writer;

pub use age::ClockJump;
pub use census::segment_keys;
pub use dead::{DeadLetter, DeadNote, dead_letters};
pub use disk::{Disk, DiskFile, RealDisk};
pub use listeners::Listener;
pub use log::{Log, LogOptions};
pub use positions::Positions;
pub use report::{Aside, Damage, LostRange, OpenError, OpenReport};
pub use retain::{Limits, Shed};
pub use seal::{Keyring, NodeKey, WrappedKey};
pub use tenant::{Custody, NoCustody, NoKey, TenantKey};
#[cfg(test)]
use testing::sim;
pub use usage::{LaneUse, Quarantine, Usage};
pub(crate) use words::NOBODY;
pub use words::{
    AppendError, Backlog, CursorMove, CursorState, Draft, Head, Hop, LogStats, Outcome, ReadError,
    Relief, ReliefStep, Role, StreamInfo, StreamKey, Value, ValueError, dedupe_key, part_key,
};
