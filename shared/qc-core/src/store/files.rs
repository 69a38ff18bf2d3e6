//! Open files of segments and indexes: a few at a time, however large the store is.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Disk, DiskFile};
use super::index::index_name;
use super::recover::segment_name;

/// Files kept open.
const OPEN: usize = 64;

/// Which file of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    Index,
}

/// The files of a log's directory.
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    open: Mutex<VecDeque<Open>>,
}

/// An open file and what it is.
type Open = (Kind, u64, Arc<dyn DiskFile>);

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            open: Mutex::default(),
        }
    }

    /// The path of a file.
    pub(super) fn path(&self, kind: Kind, number: u64) -> PathBuf {
        self.dir.join(match kind {
            Kind::Segment => segment_name(number),
            Kind::Index => index_name(number),
        })
    }

    /// A file, opened if it is not open yet.
    pub(super) fn get(&self, kind: Kind, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.known(kind, number) {
            return Ok(file);
        }
        let file: Arc<dyn DiskFile> = self.disk.open(&self.path(kind, number))?.into();
        self.put(kind, number, Arc::clone(&file));
        Ok(file)
    }

    /// Takes over a file that is open already.
    pub(super) fn put(&self, kind: Kind, number: u64, file: Arc<dyn DiskFile>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((kind, number, file));
        if open.len() > OPEN {
            open.pop_front();
        }
    }

    /// The file will be another one, or none.
    pub(super) fn forget(&self, number: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, known, _)| *known != number);
    }

    fn known(&self, kind: Kind, number: u64) -> Option<Arc<dyn DiskFile>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.iter().find(|(k, n, _)| (*k, *n) == (kind, number));
        found.map(|(.., file)| Arc::clone(file))
    }
}
