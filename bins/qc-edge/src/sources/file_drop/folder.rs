//! The drop directory through file descriptors: nothing outside it is ever opened or moved.
//!
//! Whoever may write into the directory may replace any entry at any moment. So every entry is named
//! beneath an open directory, never through a path; links are not followed; an opened file is checked
//! by its descriptor; and a file that was moved is looked at again at its new place.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::path::Path;

use qc_core::safe_text::safe_bytes;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::super::beneath::{has_openat2, open_beneath, rename};

/// Entries looked at in one round; the rest waits for the next.
const MAX_ENTRIES: usize = 10_000;
/// The longest name of a directory entry.
const MAX_NAME: usize = 255;

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    /// Seconds and nanoseconds of the last change of content.
    pub(super) modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    #[expect(
        clippy::unnecessary_cast,
        trivial_numeric_casts,
        reason = "the fields' widths differ between machines"
    )]
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Whether it is the same file with the same content. The number alone does not tell: a file
    /// made right after another was removed may get its number. A rename changes only `changed`.
    fn same_content(&self, other: &Self) -> bool {
        Self {
            changed: other.changed,
            ..*self
        } == *other
    }
}

/// An entry of the directory that is neither ignored nor a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: CString,
    pub(super) stamp: Stamp,
    /// Why it can never be read, if it is not an ordinary file with one name.
    pub(super) odd: Option<Odd>,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    /// A link, pipe, socket or device.
    NotRegular,
    /// A file that has another name somewhere.
    HardLink,
}

/// How a file could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It is not there any more.
    Gone,
    /// It is not what the listing saw.
    Changed,
    /// It can never be read.
    Odd(Odd),
    /// The system refused.
    Io(io::Error),
}

pub(super) struct Folder {
    dir: OwnedFd,
    done: CString,
    error: CString,
    /// Whether the kernel has `openat2`.
    resolve: bool,
}

impl Folder {
    /// Opens `path` and makes the two folders in it where they are missing.
    pub(super) fn open(path: &Path, done: &str, error: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        let resolve = has_openat2(dir.as_fd());
        let folder = Self {
            dir,
            done: CString::new(done)?,
            error: CString::new(error)?,
            resolve,
        };
        folder.within(&folder.done)?;
        folder.within(&folder.error)?;
        Ok(folder)
    }

    /// Opens a folder in the directory, made when it is missing: somebody may have tidied up.
    fn within(&self, name: &CStr) -> io::Result<OwnedFd> {
        match rustix::fs::mkdirat(&self.dir, name, Mode::from_raw_mode(0o750)) {
            Ok(()) => rustix::fs::fsync(&self.dir)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok(open_beneath(self.dir.as_fd(), name, flags, self.resolve)?)
    }

    /// Whether entries are opened by `openat2`, for `doctor`.
    pub(super) fn resolves_beneath(&self) -> bool {
        self.resolve
    }

    /// Opens entries as on a kernel without `openat2`, or with it.
    #[cfg(test)]
    pub(super) fn set_resolve(&mut self, resolve: bool) {
        self.resolve = resolve;
    }

    /// The directory's own descriptor.
    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The entries, oldest first.
    pub(super) fn list(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_ignored(name.to_bytes()) {
                continue;
            }
            let stat = match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            found.push(Found {
                name: name.to_owned(),
                stamp: Stamp::of(&stat),
                odd: oddity(&stat),
            });
            if found.len() >= MAX_ENTRIES {
                break;
            }
        }
        found.sort_by(|a, b| (a.stamp.modified, &a.name).cmp(&(b.stamp.modified, &b.name)));
        Ok(found)
    }

    /// Opens a file that the listing saw. Never blocks and never follows a link.
    pub(super) fn open_file(&self, name: &CStr, expected: &Stamp) -> Result<File, OpenError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match open_beneath(self.dir.as_fd(), name, flags, self.resolve) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(OpenError::Gone),
            Err(Errno::LOOP | Errno::NXIO | Errno::XDEV) => {
                return Err(OpenError::Odd(Odd::NotRegular));
            }
            Err(error) => return Err(OpenError::Io(error.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|error| OpenError::Io(error.into()))?;
        if let Some(odd) = oddity(&stat) {
            return Err(OpenError::Odd(odd));
        }
        if Stamp::of(&stat) != *expected {
            return Err(OpenError::Changed);
        }
        Ok(File::from(fd))
    }

    /// Whether an open file is still in the state of `stamp`.
    pub(super) fn unchanged(file: &File, stamp: &Stamp) -> io::Result<bool> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Stamp::of(&stat) == *stamp)
    }

    /// Moves a file that was taken in. `Ok(false)` when another file stands in its place now.
    pub(super) fn to_done(&self, name: &CStr, stamp: &Stamp) -> io::Result<bool> {
        self.move_to(&self.done, name, stamp, None)
    }

    /// Moves a file that can never be taken in, with `reason` in a file beside it.
    pub(super) fn to_error(&self, name: &CStr, stamp: &Stamp, reason: &str) -> io::Result<bool> {
        self.move_to(&self.error, name, stamp, Some(reason))
    }

    fn move_to(
        &self,
        target: &CStr,
        name: &CStr,
        stamp: &Stamp,
        reason: Option<&str>,
    ) -> io::Result<bool> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if Stamp::of(&stat) == *stamp => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let target = self.within(target)?;
        let target = target.as_fd();
        for attempt in 0..10_000 {
            let new_name = numbered(name, attempt);
            let beside = numbered_reason(&new_name);
            if exists(target, &new_name)? {
                continue;
            }
            if let Some(reason) = reason {
                write_reason(target, &beside, reason)?;
            }
            match rename(self.dir.as_fd(), name, target, &new_name) {
                Ok(()) => {}
                Err(error) => {
                    if reason.is_some() {
                        let _best_effort = rustix::fs::unlinkat(target, &beside, AtFlags::empty());
                    }
                    if error == Errno::EXIST {
                        continue;
                    }
                    return if error == Errno::NOENT {
                        Ok(false)
                    } else {
                        Err(error.into())
                    };
                }
            }
            let moved = rustix::fs::statat(target, &new_name, AtFlags::SYMLINK_NOFOLLOW)?;
            if !Stamp::of(&moved).same_content(stamp) {
                // changed or replaced in the last moment: this is not what was read
                rename(target, &new_name, self.dir.as_fd(), name)?;
                return Ok(false);
            }
            rustix::fs::fsync(target)?;
            rustix::fs::fsync(&self.dir)?;
            return Ok(true);
        }
        Err(io::Error::other(
            "10000 files of this name are there already",
        ))
    }
}

/// Names that a writer uses until its file is complete, and hidden ones.
pub(super) fn is_ignored(name: &[u8]) -> bool {
    name.starts_with(b".")
        || [&b".tmp"[..], b".part", b".filepart"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

fn oddity(stat: &Stat) -> Option<Odd> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Some(Odd::NotRegular);
    }
    (stat.st_nlink > 1).then_some(Odd::HardLink)
}

fn exists(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn write_reason(dir: BorrowedFd<'_>, name: &CStr, reason: &str) -> io::Result<()> {
    use std::io::Write as _;
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o640))?;
    let mut file = File::from(fd);
    file.write_all(reason.as_bytes())?;
    file.sync_all()
}

/// `name` for attempt 0, then `name.1`, `name.2`, shortened where the file system would not take it.
fn numbered(name: &CStr, attempt: u32) -> CString {
    let suffix = if attempt == 0 {
        String::new()
    } else {
        format!(".{attempt}")
    };
    with_suffix(name.to_bytes(), &suffix, ".reason".len())
}

fn numbered_reason(name: &CStr) -> CString {
    with_suffix(name.to_bytes(), ".reason", 0)
}

fn with_suffix(name: &[u8], suffix: &str, spare: usize) -> CString {
    let room = MAX_NAME - suffix.len() - spare;
    let kept = name.get(..name.len().min(room)).unwrap_or_default();
    CString::new([kept, suffix.as_bytes()].concat()).expect("a C string has no zero inside")
}

/// A file's name as it is shown.
pub(super) fn shown(name: &CStr) -> String {
    safe_bytes(name.to_bytes(), MAX_NAME)
}
