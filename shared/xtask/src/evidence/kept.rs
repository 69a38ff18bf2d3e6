//! The file that keeps a proof whose runs add up.
//!
//! Counts accumulate in `docs/evidence/NAME.json` as long as the sources that are proved stay what they
//! are; a change there begins the row anew.

use std::collections::BTreeMap;
use std::path::Path;

use qc_core::cli::{Exit, Failure};
use qc_core::durable;
use serde::{Deserialize, Serialize};

use crate::CHORE;
use crate::bench::Environment;
use crate::workspace::Workspace;

pub(super) const SCHEMA: &str = "qc.evidence/1";

/// The sums of a share, or of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Those that count.
    pub(super) runs: u64,
    /// What went wrong, with the seed of the share.
    pub(super) failures: Vec<String>,
    /// Runs by what they interrupted or injected.
    pub(super) by: BTreeMap<String, u64>,
    /// Other sums.
    pub(super) counts: BTreeMap<String, u64>,
    /// The largest of each measured time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) slowest_ms: BTreeMap<String, u64>,
    /// What this machine could not do; it is in no count.
    pub(super) skipped: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, name: &str, more: u64) {
        *self.counts.entry(name.to_owned()).or_default() += more;
    }

    pub(super) fn by(&mut self, name: &str) {
        *self.by.entry(name.to_owned()).or_default() += 1;
    }

    pub(super) fn slowest(&mut self, name: &str, millis: u64) {
        let slowest = self.slowest_ms.entry(name.to_owned()).or_default();
        *slowest = millis.max(*slowest);
    }

    pub(super) fn skip(&mut self, what: &str) {
        if !self.skipped.iter().any(|known| known == what) {
            self.skipped.push(what.to_owned());
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.failures.extend(other.failures);
        self.failures.truncate(20);
        for (name, more) in other.by {
            *self.by.entry(name).or_default() += more;
        }
        for (name, more) in other.counts {
            *self.counts.entry(name).or_default() += more;
        }
        for (name, millis) in other.slowest_ms {
            self.slowest(&name, millis);
        }
        for what in &other.skipped {
            self.skip(what);
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) schema: String,
    pub(super) claim: String,
    pub(super) unit: String,
    pub(super) command: String,
    pub(super) commit: String,
    /// The sources that are proved; runs of others are not added up with these.
    #[serde(alias = "store")]
    pub(super) sources: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) date: Option<String>,
    pub(super) environment: Environment,
    pub(super) seeds: Vec<u64>,
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) tally: Tally,
}

impl Kept {
    pub(super) fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Whether runs of `now` may be added to these.
    pub(super) fn adds_to(&self, now: &Self) -> bool {
        self.schema == now.schema
            && self.sources == now.sources
            && !now.sources.ends_with("-dirty")
            && self.tally.failures.is_empty()
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |message: String| Failure::new(Exit::Disk, CHORE, message);
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| failed("cannot write JSON".to_owned()).because(&error))?;
        json.push(b'\n');
        durable::write_atomic(path, &json, 0o644)
            .map_err(|error| failed(format!("cannot write {}", path.display())).because(&error))
    }
}

/// What the sources under `paths` are: git's names for the directories, `-dirty` when one has changed
/// since.
pub(super) fn sources(workspace: &Workspace, paths: &[&str]) -> String {
    let Some(trees) = sources_at(workspace, "HEAD", paths) else {
        return "unknown-dirty".to_owned();
    };
    let mut git = workspace.command("git");
    git.args(["status", "--porcelain", "--"]).args(paths);
    let changed = Workspace::capture(&mut git).ok();
    let dirty = changed.is_none_or(|files| !files.trim().is_empty());
    format!("{trees}{}", if dirty { "-dirty" } else { "" })
}

/// What they were at a commit, where that is known.
pub(super) fn sources_at(workspace: &Workspace, commit: &str, paths: &[&str]) -> Option<String> {
    let mut git = workspace.command("git");
    let names = paths.iter().map(|path| format!("{commit}:{path}"));
    let trees = Workspace::capture(git.arg("rev-parse").args(names)).ok()?;
    Some(trees.split_whitespace().collect::<Vec<_>>().join("+"))
}
