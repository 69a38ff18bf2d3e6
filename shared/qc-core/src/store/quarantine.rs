//! What recovery cannot use is copied aside, never deleted.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile};
use super::mark::is_full;
use super::recover::segment_name;
use super::report::{Aside, Damage, OpenReport};
use super::salvage;

/// Where damaged ranges and foreign segments go.
pub(super) fn dir(log: &Path) -> PathBuf {
    log.join("quarantine")
}

/// What became of the copy of a damaged range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    New,
    /// An earlier start has made it, and it is kept as it is.
    Known,
    /// There is no room for it: the range must stay where it is.
    NoRoom,
}

/// Copies `length` bytes at `offset` of a segment into the quarantine. What cannot be read of it is zeros.
pub(super) fn copy_range(
    disk: &dyn Disk,
    log: &Path,
    file: &dyn DiskFile,
    segment: u64,
    offset: u64,
    length: u64,
) -> io::Result<Copied> {
    let dir = dir(log);
    let name = format!("{segment:016}-{offset}-{length}.damaged");
    let temporary = dir.join(format!("{name}.tmp"));
    let copied = copy_to(disk, &dir, &name, &temporary, (file, offset, length));
    match copied {
        Err(error) if is_full(&error) => {
            // half a copy takes room for nothing; it may not be there either
            let _gone_or_found_by_the_next_copy = disk.remove(&temporary);
            Ok(Copied::NoRoom)
        }
        copied => copied,
    }
}

fn copy_to(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    temporary: &Path,
    (file, offset, length): (&dyn DiskFile, u64, u64),
) -> io::Result<Copied> {
    const CHUNK: u64 = 1 << 20;
    disk.create_dir_all(dir)?;
    let names = disk.list(dir)?;
    if names.iter().any(|known| known == name) {
        return Ok(Copied::Known);
    }
    if names.iter().any(|known| dir.join(known) == temporary) {
        disk.remove(temporary)?;
    }
    // under its name it is whole: what is called known may be cut off where it stood
    let copy = disk.create(temporary)?;
    let mut at = 0;
    let mut chunk = vec![0; usize::try_from(CHUNK.min(length)).unwrap_or(0)];
    while at < length {
        let step = usize::try_from(CHUNK.min(length - at)).unwrap_or(0);
        let part = chunk.get_mut(..step).unwrap_or_default();
        let read = salvage::read(file, part, offset + at)?.bytes;
        if read == 0 {
            break;
        }
        copy.write_all_at(part.get(..read).unwrap_or_default(), at)?;
        at += read as u64;
    }
    copy.sync_data()?;
    disk.rename(temporary, &dir.join(name))?;
    disk.sync_dir(dir)?;
    Ok(Copied::New)
}

/// Moves a file that cannot be used aside.
pub(super) fn move_file(disk: &dyn Disk, log: &Path, name: &str) -> io::Result<()> {
    let dir = dir(log);
    disk.create_dir_all(&dir)?;
    disk.rename(&log.join(name), &dir.join(format!("{name}.unusable")))?;
    disk.sync_dir(&dir)?;
    disk.sync_dir(log)
}

/// Moves a segment that cannot be used out of the way, and says so.
pub(super) fn set_aside(
    disk: &dyn Disk,
    dir: &Path,
    segment: u64,
    length: u64,
    what: &'static str,
    report: &mut OpenReport,
) -> io::Result<()> {
    let aside = match move_file(disk, dir, &segment_name(segment)) {
        Ok(()) => Aside::Kept,
        // not even a name finds room: it stays, nobody reads it, and the next start tries again
        Err(error) if is_full(&error) => Aside::NoRoom,
        Err(error) => return Err(error),
    };
    report.damaged.push(Damage {
        segment,
        offset: 0,
        length,
        what,
        known: false,
        aside,
    });
    Ok(())
}
