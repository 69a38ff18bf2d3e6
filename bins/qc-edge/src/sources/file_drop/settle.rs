//! When a file is complete: it kept its size and times for a while, and nobody is writing it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::time::{Duration, Instant};

use super::folder::{Found, Stamp};

/// What a watch on the directory has seen of a name since the last round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Created by opening, or written to: somebody holds it open.
    Writing(CString),
    /// The writer closed it.
    Closed(CString),
    /// Renamed into the directory, complete.
    Arrived(CString),
    /// Renamed within the directory.
    Renamed(CString, CString),
    /// Not under this name any more.
    Gone(CString),
    /// Changes were lost.
    Overflow,
}

/// Remembers since when each file has not changed. Pure: time is an argument.
#[derive(Debug)]
pub(super) struct Settle {
    quiet: Duration,
    seen: BTreeMap<CString, (Stamp, Instant)>,
    writing: BTreeSet<CString>,
    arrived: BTreeSet<CString>,
}

impl Settle {
    pub(super) fn new(quiet: Duration) -> Self {
        Self {
            quiet,
            seen: BTreeMap::new(),
            writing: BTreeSet::new(),
            arrived: BTreeSet::new(),
        }
    }

    /// Takes the watch's changes in, in their order.
    pub(super) fn watch(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Writing(name) => {
                    self.arrived.remove(&name);
                    self.writing.insert(name);
                }
                Change::Closed(name) => {
                    self.writing.remove(&name);
                }
                Change::Arrived(name) => {
                    self.writing.remove(&name);
                    self.arrived.insert(name);
                }
                Change::Renamed(from, to) => {
                    let target = if self.writing.remove(&from) {
                        &mut self.writing
                    } else {
                        &mut self.arrived
                    };
                    target.insert(to);
                    self.arrived.remove(&from);
                }
                Change::Gone(name) => {
                    self.writing.remove(&name);
                    self.arrived.remove(&name);
                }
                Change::Overflow => {
                    self.writing.clear();
                    self.arrived.clear();
                }
            }
        }
    }

    /// The entries of a listing that are complete now. A file that changed begins anew; one that is
    /// not listed is forgotten.
    pub(super) fn complete(&mut self, listing: Vec<Found>, now: Instant) -> Vec<Found> {
        let names: BTreeSet<&CString> = listing.iter().map(|found| &found.name).collect();
        self.seen.retain(|name, _| names.contains(name));
        self.writing.retain(|name| names.contains(name));
        self.arrived.retain(|name| names.contains(name));
        listing
            .into_iter()
            .filter(|found| self.is_complete(found, now))
            .collect()
    }

    fn is_complete(&mut self, found: &Found, now: Instant) -> bool {
        let (stamp, since) = self
            .seen
            .entry(found.name.clone())
            .or_insert((found.stamp, now));
        if *stamp != found.stamp {
            (*stamp, *since) = (found.stamp, now);
        }
        let quiet = now.saturating_duration_since(*since) >= self.quiet;
        if found.odd.is_some() {
            return quiet;
        }
        !self.writing.contains(&found.name) && (quiet || self.arrived.contains(&found.name))
    }

    /// Lets a file begin anew, because it changed after all.
    pub(super) fn restart(&mut self, name: &CString) {
        self.seen.remove(name);
        self.arrived.remove(name);
    }
}
