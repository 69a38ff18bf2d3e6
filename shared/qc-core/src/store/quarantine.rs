//! What recovery cannot use is copied aside, never deleted.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile};
use super::recover::segment_name;
use super::report::{Damage, OpenReport};

/// Where damaged ranges and foreign segments go.
pub(super) fn dir(log: &Path) -> PathBuf {
    log.join("quarantine")
}

/// Copies `length` bytes at `offset` of a segment into the quarantine. Returns whether this is new:
/// the copy of an earlier start is kept as it is.
pub(super) fn copy_range(
    disk: &dyn Disk,
    log: &Path,
    file: &dyn DiskFile,
    segment: u64,
    offset: u64,
    length: u64,
) -> io::Result<bool> {
    const CHUNK: u64 = 1 << 20;
    let dir = dir(log);
    disk.create_dir_all(&dir)?;
    let name = format!("{segment:016}-{offset}-{length}.damaged");
    let temporary = format!("{name}.tmp");
    let names = disk.list(&dir)?;
    if names.contains(&name) {
        return Ok(false);
    }
    if names.contains(&temporary) {
        disk.remove(&dir.join(&temporary))?;
    }
    // under its name it is whole: what is called known may be cut off where it stood
    let copy = disk.create(&dir.join(&temporary))?;
    let mut at = 0;
    let mut chunk = vec![0; usize::try_from(CHUNK.min(length)).unwrap_or(0)];
    while at < length {
        let step = usize::try_from(CHUNK.min(length - at)).unwrap_or(0);
        let part = chunk.get_mut(..step).unwrap_or_default();
        let read = file.read_at(part, offset + at)?;
        if read == 0 {
            break;
        }
        copy.write_all_at(part.get(..read).unwrap_or_default(), at)?;
        at += read as u64;
    }
    copy.sync_data()?;
    disk.rename(&dir.join(&temporary), &dir.join(&name))?;
    disk.sync_dir(&dir)?;
    Ok(true)
}

/// Moves a file that is not a usable segment aside.
fn move_file(disk: &dyn Disk, log: &Path, name: &str) -> io::Result<()> {
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
    move_file(disk, dir, &segment_name(segment))?;
    report.damaged.push(Damage {
        segment,
        offset: 0,
        length,
        what,
        known: false,
    });
    Ok(())
}
