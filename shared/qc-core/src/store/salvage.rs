//! Reading past what a disk cannot read any more.
//!
//! A sector that has gone bad fails the whole read that meets it. What was asked for is then read again
//! page by page; a page that still fails counts as zeros, which no checksum takes for what was written,
//! so it is found as damage is found. A file of which nothing can be read is another matter: there it is
//! the disk that does not answer, nothing is known of what stands on it, and the error is passed on.

use std::io;

use rustix::io::Errno;

use super::disk::DiskFile;

/// What is read at once where a greater part fails: the page of every file system and page cache.
const PAGE: usize = 4096;
/// How often a page is tried.
const TRIES: u32 = 2;

/// What a read came to.
pub(super) struct Salvaged {
    /// Bytes of the buffer that are filled.
    pub(super) bytes: usize,
    /// Of those, the ranges that could not be read and are zeros, by their place in the file.
    pub(super) unread: Vec<(u64, u64)>,
}

/// As `read_at`, with zeros where a page cannot be read.
pub(super) fn read(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<Salvaged> {
    match file.read_at(buffer, offset) {
        Ok(bytes) => Ok(Salvaged {
            bytes,
            unread: Vec::new(),
        }),
        Err(error) if is_bad_sector(&error) => by_pages(file, buffer, offset, error),
        Err(error) => Err(error),
    }
}

fn by_pages(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    offset: u64,
    error: io::Error,
) -> io::Result<Salvaged> {
    let size = file.size()?;
    if !answers(file, size) {
        return Err(error);
    }
    let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let bytes = buffer.len().min(left);
    let mut unread: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    while at < bytes {
        let place = offset + at as u64;
        let within = usize::try_from(place % PAGE as u64).unwrap_or(0);
        let step = (PAGE - within).min(bytes - at);
        let part = buffer.get_mut(at..at + step).unwrap_or_default();
        if !page(file, part, place)? {
            part.fill(0);
            let end = place + step as u64;
            match unread.last_mut() {
                Some((_, last)) if *last == place => *last = end,
                _ => unread.push((place, end)),
            }
        }
        at += step;
    }
    Ok(Salvaged { bytes, unread })
}

/// Reads a part of one page; says whether it could be read.
fn page(file: &dyn DiskFile, part: &mut [u8], offset: u64) -> io::Result<bool> {
    for _ in 0..TRIES {
        match file.read_at(part, offset) {
            Ok(_) => return Ok(true),
            Err(error) if is_bad_sector(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether anything of a file of `size` bytes can be read.
pub(super) fn answers(file: &dyn DiskFile, size: u64) -> bool {
    let page = PAGE as u64;
    let last = size.saturating_sub(1) / page * page;
    let mut part = [0; 1];
    let reads =
        |offset: u64, part: &mut [u8]| file.read_at(part, offset).is_ok_and(|read| read > 0);
    [0, last / page / 2 * page, last]
        .into_iter()
        .any(|offset| reads(offset, &mut part))
}

/// Whether an error says that these bytes cannot be read, by whatever name a file system gives it.
pub(super) fn is_bad_sector(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    number.is_some_and(|number| {
        matches!(
            number,
            Errno::IO | Errno::NODATA | Errno::ILSEQ | Errno::BADMSG | Errno::UCLEAN
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::Disk as _;
    use crate::store::sim::SimDisk;

    #[test]
    fn only_the_pages_that_fail_are_zeros() {
        let (disk, path) = (SimDisk::default(), Path::new("/log/a"));
        let file = disk.create(path).unwrap();
        file.write_all_at(&vec![7; 5 * PAGE], 0).unwrap();
        disk.spoil(path, 2 * PAGE as u64, 3 * PAGE as u64);
        let mut buffer = vec![1; 4 * PAGE];
        let found = read(file.as_ref(), &mut buffer, 100).unwrap();
        assert_eq!(found.bytes, buffer.len());
        assert_eq!(found.unread, [(2 * PAGE as u64, 3 * PAGE as u64)]);
        let zeros = 2 * PAGE - 100..3 * PAGE - 100;
        let expected = |at: usize| if zeros.contains(&at) { 0 } else { 7 };
        assert!((0..buffer.len()).all(|at| buffer[at] == expected(at)));
        // writing a part of it needs to read it first, writing all of it does not
        assert!(file.write_all_at(&[1], 2 * PAGE as u64).is_err());
        file.write_all_at(&[1; PAGE], 2 * PAGE as u64).unwrap();
        assert!(
            read(file.as_ref(), &mut buffer, 0)
                .unwrap()
                .unread
                .is_empty()
        );
    }

    #[test]
    fn a_file_of_which_nothing_can_be_read_is_an_error() {
        let (disk, path) = (SimDisk::default(), Path::new("/log/a"));
        let file = disk.create(path).unwrap();
        file.write_all_at(&vec![7; 3 * PAGE], 0).unwrap();
        disk.spoil(path, 0, 3 * PAGE as u64);
        assert!(read(file.as_ref(), &mut [0; 10], 0).is_err());
    }
}
