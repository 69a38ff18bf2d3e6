//! The sections that relay and edge have in common: `[admin]` and `[store]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Key, Kind, Section, Shape, de};

/// `[admin]`; its keys are [`ADMIN_SOCKET`], with the program's default, [`ADMIN_GROUP`] and [`ADMIN_REMOTE`].
pub const ADMIN: Section = Section {
    name: "admin",
    shape: Shape::One,
    required: false,
    doc: "The local administration socket; there is no TCP port for it.",
    keys: &[],
    variants: &[],
};

/// A key of `[admin]`.
pub const ADMIN_SOCKET: Key = Key::new("socket", Kind::Path, "Path of the unix socket.");

/// A key of `[admin]`.
pub const ADMIN_GROUP: Key = Key::new(
    "group",
    Kind::String,
    "Group that may use it besides the owner.",
)
.example("\"qc-admin\"");

/// A key of `[admin]`.
pub const ADMIN_REMOTE: Key = Key::new(
    "remote",
    Kind::Enum(&["none", "read", "all"]),
    "What the relay of the uplink may do through the link, as 'qc-edge --node' there: nothing, look, or \
     all that the socket's group may. There is no call that returns a message's body.",
)
.default("\"none\"");

/// A key of `[store]`.
pub const STORE_MAX: Key = Key::new("max", Kind::Size, "The most bytes its segments may take.");

/// A key of `[store]`.
pub const STORE_SEGMENT: Key = Key::new("segment", Kind::Size, "Size of one segment file.");

/// A key of `[store]`.
pub const STORE_MIN_FREE: Key = Key::new(
    "min_free",
    Kind::Size,
    "Bytes of the disk that are left to others.",
)
.default("\"256MiB\"");

/// `[admin]` as it is read.
#[derive(Debug, Deserialize)]
pub struct AdminSection {
    /// The unix socket.
    pub socket: PathBuf,
    /// The group that may use it.
    pub group: Option<String>,
    /// What may be done through the link upward.
    #[cfg(feature = "net")]
    #[serde(default, deserialize_with = "de::parsed")]
    pub remote: crate::admin::Remote,
}

/// `[store]` as it is read.
#[derive(Debug, Deserialize)]
pub struct StoreSection {
    /// The most bytes.
    #[serde(deserialize_with = "de::size")]
    pub max: u64,
    /// Bytes a segment.
    #[serde(deserialize_with = "de::size")]
    pub segment: u64,
    /// Bytes left to others.
    #[serde(deserialize_with = "de::size")]
    pub min_free: u64,
    /// The most bytes of dead letters of publishers, if it is said.
    #[serde(default, deserialize_with = "de::maybe_size")]
    pub dead_letters: Option<u64>,
    /// The passphrase of the node key.
    pub passphrase_file: Option<PathBuf>,
}

impl StoreSection {
    /// The most bytes of dead letters that are kept for publishers.
    #[cfg(feature = "store")]
    fn dead_bytes(&self) -> u64 {
        const MOST: u64 = 1 << 30;
        let some = || (self.max / 20).min(MOST);
        self.dead_letters.unwrap_or_else(some)
    }

    /// What the schema cannot say: the path of a wrong value, and what is wrong.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let possible = 1 << 20..=1 << 30;
        (!possible.contains(&self.segment))
            .then_some(("store.segment", "a segment has 1MiB to 1GiB"))
    }

    /// The log with these sizes.
    #[cfg(feature = "store")]
    pub fn log_options(&self, log: crate::store::LogOptions) -> crate::store::LogOptions {
        crate::store::LogOptions {
            segment_bytes: self.segment,
            max_bytes: self.max,
            dead_bytes: self.dead_bytes(),
            min_free: self.min_free,
            ..log
        }
    }
}
