//! What the kernel says of processes, threads and disks: small texts below `/proc` and `/sys`.

use std::fs::{File, read_dir, read_to_string};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Memory of a process that is in RAM, in bytes.
pub(in crate::bench) fn resident(pid: u32) -> io::Result<u64> {
    let path = Path::new("/proc").join(pid.to_string()).join("status");
    parse_resident(&read_to_string(&path)?).ok_or_else(|| strange(&path))
}

/// Time on a CPU that the store's writer in this process has had, in nanoseconds. Threads that it
/// starts inherit its name, so the oldest of that name is meant.
pub(super) fn writer_cpu() -> io::Result<u64> {
    let mut oldest: Option<(u32, PathBuf)> = None;
    for entry in read_dir("/proc/self/task")? {
        let path = entry?.path();
        let name = read_to_string(path.join("comm")).unwrap_or_default();
        let id = path.file_name().and_then(|id| id.to_str()?.parse().ok());
        let Some(id) = id.filter(|_| name.trim_end() == WRITER) else {
            continue;
        };
        if oldest.as_ref().is_none_or(|(known, _)| id < *known) {
            oldest = Some((id, path));
        }
    }
    let (_, path) = oldest.ok_or_else(|| io::Error::other("no thread is named qc-store"))?;
    let path = path.join("schedstat");
    first_number(&read_to_string(&path)?).ok_or_else(|| strange(&path))
}

/// The statistics of the block device that holds the file system of `dir`.
pub(super) fn block_stat(dir: &Path) -> io::Result<PathBuf> {
    let device = std::fs::metadata(dir)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let path = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
    path.try_exists()?
        .then_some(path)
        .ok_or_else(|| io::Error::other("the file system stands on no single block device"))
}

/// Bytes written to the device of a statistics file since the machine began.
pub(super) fn device_written(stat: &Path) -> io::Result<u64> {
    parse_sectors(&read_to_string(stat)?)
        .map(|sectors| sectors * SECTOR)
        .ok_or_else(|| strange(stat))
}

/// Bytes of disk that all files below `dir` take.
pub(super) fn disk_usage(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in read_dir(dir)? {
        let entry = entry?;
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // the store removes segments while we look
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        bytes += if meta.is_dir() {
            disk_usage(&entry.path())?
        } else {
            meta.blocks() * SECTOR
        };
    }
    Ok(bytes)
}

/// Makes the whole machine forget what files it holds in memory; for root only.
pub(super) fn drop_caches() -> io::Result<()> {
    rustix::fs::sync();
    let mut file = File::options()
        .write(true)
        .open("/proc/sys/vm/drop_caches")?;
    file.write_all(b"3")
}

const WRITER: &str = "qc-store";
/// The unit of block statistics, whatever the device's own is.
const SECTOR: u64 = 512;

fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(first_number(line)? * 1024)
}

/// The seventh number of a block device's statistics: sectors written.
fn parse_sectors(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(6)?.parse().ok()
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn strange(path: &Path) -> io::Error {
    io::Error::other(format!("{} is not what it should be", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    #[test]
    fn reads_what_the_kernel_writes() {
        let status = "Name:\txtask\nVmHWM:\t  99 kB\nVmRSS:\t    2048 kB\n";
        assert_eq!(parse_resident(status), Some(2 << 20));
        assert_eq!(parse_resident("Name: kthreadd\n"), None);
        let stat = "36215 8357 6342082 112884 6892 56036 16400784 71565 0 22464 185953\n";
        assert_eq!(parse_sectors(stat), Some(16_400_784));
        assert_eq!(parse_sectors("1 2 3"), None);
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
    }

    #[test]
    fn usage_counts_blocks_and_not_lengths() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("below");
        qc_core::durable::create_dir_all(&below, 0o755).unwrap();
        let file = File::create(below.join("file")).unwrap();
        file.write_all_at(&vec![1; 64 << 10], 0).unwrap();
        file.set_len(1 << 30).unwrap();
        file.sync_all().unwrap();
        let used = disk_usage(dir.path()).unwrap();
        assert!((64 << 10..1 << 20).contains(&used), "{used}");
    }
}
