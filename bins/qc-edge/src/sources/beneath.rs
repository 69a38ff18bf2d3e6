//! Entries of an open directory, named beneath it: no path, no link, no `..` leads out.

use std::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens one entry of `dir` without following anything.
pub(crate) fn open_beneath(
    dir: BorrowedFd<'_>,
    name: &CStr,
    flags: OFlags,
    resolve: bool,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if resolve {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        return rustix::fs::openat2(dir, name, flags, mode(flags), how);
    }
    // without openat2: a name without a slash stays in its directory, and `..` is no name of a file
    if name.to_bytes().contains(&b'/') || matches!(name.to_bytes(), b"." | b".." | b"") {
        return Err(Errno::XDEV);
    }
    rustix::fs::openat(dir, name, flags, mode(flags))
}

/// The permissions of a file that is created; the kernel refuses any for one that is not.
fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(0o640)
    } else {
        Mode::empty()
    }
}

/// Whether the kernel, and whatever filters its calls, has `openat2`.
pub(crate) fn has_openat2(dir: BorrowedFd<'_>) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(dir, c".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok()
}

/// Renames without replacing, also where the file system has no such rename.
pub(crate) fn rename(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            // looked at before; the target folder is this program's own
            rustix::fs::renameat(from, name, to, new_name)
        }
        other => other,
    }
}
