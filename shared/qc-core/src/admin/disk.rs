//! What a daemon says of its disk and of how long streams keep: the twins of `disk` and `retention`.
//!
//! The same rules hold as for [`super::api`]. What nobody can know while the daemon is down is absent.

use serde::{Deserialize, Serialize};

/// The schema of [`DiskReport`].
pub const DISK_SCHEMA: &str = "qc.disk/1";
/// The schema of [`ReliefAnswer`].
pub const RELIEF_STEP_SCHEMA: &str = "qc.disk-relieve-step/1";
/// The schema of [`ReliefReport`].
pub const RELIEF_SCHEMA: &str = "qc.disk-relieve/1";
/// The schema of [`Retention`].
pub const RETENTION_SCHEMA: &str = "qc.retention/1";

/// A node's disk, its store on it, and who is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskReport {
    /// The state directory.
    pub state_dir: String,
    /// Whether the daemon has answered; otherwise only files were counted.
    pub running: bool,
    /// Size of the file system.
    pub disk_bytes: u64,
    /// What of it may still be written.
    pub disk_free_bytes: u64,
    /// How full it is.
    pub disk_used_percent: u8,
    /// What the store takes: segments, indexes, free files.
    pub store_bytes: u64,
    /// The most that it may take.
    pub store_max_bytes: u64,
    /// What it leaves to others on the disk.
    pub min_free_bytes: u64,
    /// What messages may still take.
    pub left_bytes: Option<u64>,
    /// When nothing is left, if it goes on as in the last minutes.
    pub full_in_s: Option<u64>,
    /// What is kept for acknowledgements and commands.
    pub reserve_bytes: Option<u64>,
    /// Every lane, the most urgent first.
    pub lanes: Vec<LaneRow>,
    /// Why appends are refused in every lane.
    pub full: Option<String>,
    /// The disk error that stopped the store.
    pub stopped: Option<String>,
    /// What takes the space.
    pub takes: Vec<Taken>,
    /// What `disk relieve` would give back.
    pub relief_bytes: Option<u64>,
    /// When all was read again, and what was found.
    pub health: StoreHealth,
}

/// One lane and the space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneRow {
    /// The lane.
    pub lane: String,
    /// It is refused when more than this share is taken.
    pub from_percent: u8,
    /// Whether it is refused now.
    pub refused: bool,
    /// Since when.
    pub since: Option<String>,
    /// With which code.
    pub code: Option<String>,
}

/// Something that takes space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// What: `waiting`, `kept`, `dead_letters`, `unneeded`, `empty`, `free_files`, `reserve`, `index`,
    /// `segments` (while nobody knows what is in them), `quarantine`.
    pub what: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its messages, or files, where that is a number.
    pub count: Option<u64>,
}

/// How sound a store is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreHealth {
    /// When all of it had been read again and was sound or mended.
    pub scrubbed: Option<String>,
    /// How long ago that was.
    pub scrub_age_s: Option<u64>,
    /// How much of a reading under way is done.
    pub scrub_percent: Option<u8>,
    /// Copies of damaged ranges in the quarantine.
    pub damaged_ranges: u64,
    /// Bytes in the quarantine.
    pub quarantine_bytes: u64,
    /// Damaged ranges that stay in their segments until there is room for a copy.
    pub unkept_ranges: u64,
    /// Segments that could be neither read nor repaired when it was tried last.
    pub unread_segments: u64,
    /// Messages that damage has taken.
    pub lost_messages: u64,
    /// The last jump of the wall clock, which made no message older.
    pub clock_jump: Option<ClockJumpRow>,
}

/// The wall clock went from one time to another, and no such time went by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockJumpRow {
    /// What it should have shown.
    pub from: String,
    /// What it showed.
    pub to: String,
}

/// One step of `disk relieve`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReliefAnswer {
    /// To be handed back with the next step.
    pub until: u64,
    /// What the store takes now.
    pub store_bytes: u64,
    /// Whether nothing more is to be had.
    pub done: bool,
}

/// What is asked for one step of `disk relieve`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReliefStep {
    /// What the step before has answered.
    pub until: Option<u64>,
}

/// What `disk relieve` did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReliefReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What the store took before.
    pub before_bytes: u64,
    /// What it takes afterwards.
    pub after_bytes: u64,
    /// The difference.
    pub freed_bytes: u64,
}

/// How long a relay keeps the messages of its streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// The classes that have limits.
    pub classes: Vec<ClassRow>,
    /// Every stream.
    pub streams: Vec<RetentionRow>,
}

/// The limits of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassRow {
    /// Its name.
    pub class: String,
    /// The longest `keep` of its streams.
    pub keep_s: Option<u64>,
    /// The longest `expire`.
    pub expire_s: Option<u64>,
}

/// How long one stream keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionRow {
    /// The stream.
    pub stream: String,
    /// Its class; none when the configuration no longer declares it.
    pub class: Option<String>,
    /// What holds for it.
    pub limits: Vec<LimitRow>,
    /// Messages it holds.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long ago the oldest was accepted.
    pub oldest_s: Option<u64>,
    /// When the oldest goes, in seconds from now; absent when it waits for a consumer.
    pub next_in_s: Option<u64>,
    /// Why it goes then, or for whom it waits.
    pub next: String,
}

/// One limit of a stream and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitRow {
    /// `keep`, `expire`, `max_messages` or `max_bytes`.
    pub limit: String,
    /// Seconds, messages or bytes.
    pub value: u64,
    /// `stream`, `class` or `default`.
    pub from: String,
}
