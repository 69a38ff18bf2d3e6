//! A disk that says it has synced and has not. The checks of this module must notice: a checker that
//! passes over it is worth nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::store::disk::{Disk, DiskFile};

/// What is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// `sync_data` does nothing.
    SyncData,
    /// `sync_dir` does nothing.
    SyncDir,
}

/// Passes everything on to another disk but one kind of sync.
pub struct LyingDisk {
    inner: Arc<dyn Disk>,
    lie: Lie,
}

impl LyingDisk {
    /// `inner` without the syncs that `lie` names.
    pub fn new(inner: Arc<dyn Disk>, lie: Lie) -> Self {
        Self { inner, lie }
    }

    fn file(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let forgets = self.lie == Lie::SyncData;
        Box::new(LyingFile { inner, forgets })
    }
}

struct LyingFile {
    inner: Box<dyn DiskFile>,
    forgets: bool,
}

impl Disk for LyingDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.inner.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.inner.open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self.lie {
            Lie::SyncDir => Ok(()),
            Lie::SyncData => self.inner.sync_dir(dir),
        }
    }

    fn available(&self, dir: &Path) -> io::Result<u64> {
        self.inner.available(dir)
    }
}

impl DiskFile for LyingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.forgets {
            Ok(())
        } else {
            self.inner.sync_data()
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.inner.allocate(length)
    }
}
