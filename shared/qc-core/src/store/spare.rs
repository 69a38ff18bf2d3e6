//! The next segment's file, made ready while the current one fills.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, DiskFile, zero_fill};
use super::recover::SPARE_NAME;

/// The next segment's file, filled with zeros in the background: writes into extents that are already
/// on disk sync two to three times faster than writes that extend them.
pub(super) struct Spare {
    thread: std::thread::JoinHandle<io::Result<Box<dyn DiskFile>>>,
}

impl Spare {
    pub(super) fn prepare(disk: Arc<dyn Disk>, dir: PathBuf, length: u64) -> Self {
        let make = move || {
            let path = dir.join(SPARE_NAME);
            let _not_there = disk.remove(&path);
            let file = disk.create(&path)?;
            let filled = file
                .allocate(length)
                .and_then(|()| zero_fill(file.as_ref(), length));
            if let Err(error) = filled.and_then(|()| file.sync_data()) {
                drop(file);
                disk.remove(&path)?;
                return Err(error);
            }
            Ok(file)
        };
        Self {
            thread: std::thread::spawn(make),
        }
    }

    /// Waits for the file; `None` when there was no room for it.
    pub(super) fn finish(self) -> Option<Box<dyn DiskFile>> {
        self.thread.join().ok()?.ok()
    }
}
