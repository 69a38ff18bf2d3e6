//! The envelope of every answer.

use serde::{Deserialize, Serialize};

use crate::model::{NodeName, Timestamp};

/// The envelope around every answer and every `--json` result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// What `data` is, with its version: `qc.fleet/1`.
    pub schema: String,
    /// When it was made.
    pub generated_at: String,
    /// The node or program that made it.
    pub source: String,
    /// How old the newest number in it is.
    #[serde(default)]
    pub stale_s: u64,
    /// The answer itself.
    pub data: T,
    /// What the reader should know beside the answer.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl<T> Reply<T> {
    /// An answer that `source` has made `now`.
    pub fn new(schema: &str, source: &NodeName, now: Timestamp, data: T) -> Self {
        Self {
            schema: schema.to_owned(),
            generated_at: now.to_string(),
            source: source.to_string(),
            stale_s: 0,
            data,
            warnings: Vec::new(),
        }
    }
}
