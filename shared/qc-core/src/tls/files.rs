//! The files of the credentials, looked at once a second: what a script puts in place is in force
//! soon after, without a signal.
//!
//! Looking is a `stat` a file. Files are read when one of them looks different, and again while the
//! newest of them is so young that a second write could look the same. What cannot be used changes
//! nothing and is said once; a revocation list that cannot be used does not hold up the others. What
//! takes a root or CA away is in force when two looks in a row have found it.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Credentials, CredentialsError};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::model::Timestamp;
use crate::pki::{BadList, MAX_CRLS, TrustError};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How old a change must be to be told from one after it, on any file system.
const SETTLED: Duration = Duration::from_secs(2);

/// The files of the identity and of the trust; lists are whatever lies in `trust/crl`.
const FILES: &[&str] = &[
    "id/current/key.pem",
    "id/current/cert.pem",
    "id/current/chain.pem",
    "id/current/front-key.pem",
    "id/current/front-cert.pem",
    "id/current/front-chain.pem",
    "trust/domain",
    "trust/roots.pem",
    "trust/cas.pem",
];

/// What a look has found.
#[derive(Debug)]
pub enum Look {
    /// Nothing new.
    Same,
    /// New credentials, which are in force.
    Taken,
    /// The newest there are, without the lists of these CAs, which are older on disk than in force.
    Kept(Vec<String>),
    /// Files that cannot be used.
    Broken {
        /// Why.
        error: CredentialsError,
        /// Whether the look before did not find the same, or not in the same files.
        is_news: bool,
    },
}

/// Looks at the files of credentials.
#[derive(Debug)]
pub struct FileWatch {
    credentials: Credentials,
    seen: Vec<Seen>,
    is_settled: bool,
    said: Option<String>,
    kept: Vec<String>,
    /// The lists that were left out at the last look.
    left_out: BTreeSet<String>,
    /// Those of them that were not before it, and are not told yet.
    bad: Vec<BadList>,
}

/// How one file looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    place: usize,
    inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn new(place: usize, file: &Metadata) -> Self {
        Self {
            place,
            inode: (file.dev(), file.ino()),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl FileWatch {
    /// The first look reads all files, whatever was loaded before.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            seen: Vec::new(),
            is_settled: false,
            said: None,
            kept: Vec::new(),
            left_out: BTreeSet::new(),
            bad: Vec::new(),
        }
    }

    /// Makes it believe that it has read the files as they are now.
    #[cfg(test)]
    pub(super) fn pretend_seen(&mut self) {
        self.seen = look_at(self.credentials.state_dir().expect("a test of files"));
    }

    /// Looks, and takes what is new. `now` is the wall clock, which the file system goes by.
    pub fn look(&mut self, now: Timestamp) -> Look {
        let Some(dir) = self.credentials.state_dir() else {
            return Look::Same;
        };
        let found = look_at(dir);
        let is_as_before = found == self.seen;
        if is_as_before && self.is_settled {
            return Look::Same;
        }
        let newest = found.iter().map(|seen| seen.changed.0).max();
        let newest = Duration::from_secs(u64::try_from(newest.unwrap_or_default()).unwrap_or(0));
        let now = Duration::from_millis(now.as_millis());
        self.is_settled = newest.abs_diff(now) > SETTLED;
        self.seen = found;
        match self.credentials.reload_usable(is_as_before) {
            Ok(done) => {
                self.said = None;
                self.leave_out(done.bad);
                if done.waits {
                    self.is_settled = false;
                    return Look::Same;
                }
                let is_news = done.kept != self.kept && !done.kept.is_empty();
                self.kept = done.kept;
                match (done.is_new, is_news) {
                    (_, true) => Look::Kept(self.kept.clone()),
                    (true, false) => Look::Taken,
                    (false, false) => Look::Same,
                }
            }
            Err(error) => {
                // it may be what passes, such as too many open files
                self.is_settled = false;
                let words = format!("{error:?}");
                let is_news = !is_as_before || self.said.as_ref() != Some(&words);
                self.said = Some(words);
                Look::Broken { error, is_news }
            }
        }
    }

    /// The lists that cannot be used and have not been told before.
    pub fn bad_lists(&mut self) -> Vec<BadList> {
        std::mem::take(&mut self.bad)
    }

    fn leave_out(&mut self, lists: Vec<BadList>) {
        let mut left_out = BTreeSet::new();
        for list in lists {
            // it may be what passes, such as too many open files
            if matches!(list.error, TrustError::File { .. }) {
                self.is_settled = false;
            }
            let words = format!("{list:?}");
            if !self.left_out.contains(&words) {
                self.bad.push(list);
            }
            left_out.insert(words);
        }
        self.left_out = left_out;
    }
}

fn look_at(dir: &Path) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (place, name) in FILES.iter().enumerate() {
        if let Ok(file) = std::fs::metadata(dir.join(name)) {
            seen.push(Seen::new(place, &file));
        }
    }
    let lists = std::fs::read_dir(dir.join("trust/crl")).into_iter();
    for entry in lists.flatten().take(MAX_CRLS).flatten() {
        if let Ok(file) = std::fs::metadata(entry.path()) {
            seen.push(Seen::new(FILES.len(), &file));
        }
    }
    seen.sort();
    seen
}

/// Looks once a second until draining begins, and says in the log what came of it.
pub async fn watch_files(credentials: Credentials, clock: Arc<dyn Clock>, drain: Drain) {
    let mut watch = FileWatch::new(credentials.clone());
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            _ = tick.tick() => {}
        }
        let now = clock.now();
        let looked = tokio::task::spawn_blocking(move || {
            let look = watch.look(now);
            (watch, look)
        });
        let look = match looked.await {
            Ok((back, look)) => {
                watch = back;
                look
            }
            // nobody would look any more, and nobody would know
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => return, // the runtime ends
        };
        for list in watch.bad_lists() {
            say_bad(&list);
        }
        match look {
            Look::Same | Look::Broken { is_news: false, .. } => {}
            Look::Taken => {
                let loaded = credentials.current();
                let until = loaded.node.not_after;
                let lists = loaded.trust.crl_views();
                let revoked: usize = lists.map(|list| list.revoked.len()).sum();
                tracing::info!(code = "QC2026", %until, revoked, "New credentials are in force.");
            }
            Look::Kept(kept) => {
                let of = crate::safe_text::safe(&kept.join(", "), 300);
                tracing::warn!(
                    code = "QC2027",
                    of,
                    "A revocation list is gone from disk or older there; the newer one stays in force."
                );
            }
            Look::Broken { error, .. } => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let cause = crate::safe_text::safe(&cause.unwrap_or_default(), 200);
                let reason = crate::safe_text::safe(&error.to_string(), 300);
                tracing::warn!(
                    code = error.code(),
                    reason,
                    cause,
                    "New credentials cannot be used; the old ones stay in force."
                );
            }
        }
    }
}

fn say_bad(list: &BadList) {
    let file = list.path.file_name().unwrap_or_default().to_string_lossy();
    let file = crate::safe_text::safe(&file, 200);
    let reason = crate::safe_text::safe(&list.error.to_string(), 300);
    tracing::warn!(
        code = "QC2023",
        file,
        reason,
        "A revocation list cannot be used; the others are."
    );
}
