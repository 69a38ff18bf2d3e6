//! Who writes in the directory, as the kernel tells it (inotify).
//!
//! It is a help, not a need: on network file systems, or when the kernel has no watches left, the
//! rule of unchanged size and time stands alone.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::settle::Change;

/// Changes taken in one round; more than that means that the watch is of no use.
const MAX_CHANGES: usize = 65_536;

pub(super) struct Watch {
    fd: OwnedFd,
}

impl Watch {
    /// Watches the directory behind `dir`.
    pub(super) fn open(dir: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::CREATE
            | WatchFlags::OPEN
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE;
        // through the descriptor, so that a directory swapped in between is not the one watched
        let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
        inotify::add_watch(&fd, path, flags)?;
        Ok(Self { fd })
    }

    /// The changes since the last call, in their order.
    pub(super) fn changes(&mut self) -> io::Result<Vec<Change>> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        let mut changes = Vec::new();
        let mut created: Option<CString> = None;
        let mut moved: Option<(u32, CString)> = None;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) || changes.len() >= MAX_CHANGES {
                changes.clear();
                changes.push(Change::Overflow);
                continue;
            }
            let Some(name) = event.file_name().map(CString::from) else {
                continue;
            };
            // opening for writing creates and opens in one step; a link only creates
            let just_created = created.take().is_some_and(|before| before == name);
            if let Some((cookie, from)) = moved.take() {
                if flags.contains(ReadFlags::MOVED_TO) && cookie == event.cookie() {
                    changes.push(Change::Renamed(from, name));
                    continue;
                }
                changes.push(Change::Gone(from));
            }
            if flags.contains(ReadFlags::CREATE) {
                created = Some(name);
            } else if flags.contains(ReadFlags::OPEN) {
                if just_created {
                    changes.push(Change::Writing(name));
                }
            } else if flags.contains(ReadFlags::MODIFY) {
                changes.push(Change::Writing(name));
            } else if flags.contains(ReadFlags::CLOSE_WRITE) {
                changes.push(Change::Closed(name));
            } else if flags.contains(ReadFlags::MOVED_TO) {
                changes.push(Change::Arrived(name));
            } else if flags.contains(ReadFlags::MOVED_FROM) {
                moved = Some((event.cookie(), name));
            } else if flags.contains(ReadFlags::DELETE) {
                changes.push(Change::Gone(name));
            }
        }
        if let Some((_, from)) = moved {
            changes.push(Change::Gone(from));
        }
        Ok(changes)
    }
}
