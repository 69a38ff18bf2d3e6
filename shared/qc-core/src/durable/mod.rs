//! Small files that survive a power cut: write aside, sync, rename, sync the directory; and files that
//! are gone for good afterwards.

#[cfg(test)]
pub(crate) mod faults;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes` with permissions `mode`. When this returns, the new content is on disk
/// under its name; when it fails or the power goes, the old content is.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (dir, aside) = aside(path)?;
    let mut file = create(&aside, mode)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| rename(&aside, path)) {
        let _best_effort = std::fs::remove_file(&aside);
        return Err(error);
    }
    sync_dir(dir)
}

/// Writes `path` only if it does not exist; `Ok(false)` when it does. Durable like [`write_atomic`].
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let (dir, aside) = aside(path)?;
    let mut file = create(&aside, mode)?;
    let linked = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| link(&aside, path));
    drop(file);
    let _best_effort = std::fs::remove_file(&aside);
    match linked {
        Ok(()) => sync_dir(dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates `dir` and its missing ancestors with `mode`, each made durable in its parent.
pub fn create_dir_all(dir: &Path, mode: u32) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or_else(|| Path::new("."));
    create_dir_all(parent, mode)?;
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => sync_dir(if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives a file another name durably; what had that name before is overwritten and gone. When it fails,
/// `to` is still the one or already the other, and [`sweep`] overwrites what is left of the old one.
pub fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let (dir, aside) = aside(to)?;
    // a second name of the old content: until the new one has the name for good, it must stay
    let is_replaced = match link(to, &aside) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if let Err(error) = rename(from, to) {
        let _best_effort = std::fs::remove_file(&aside);
        return Err(error);
    }
    sync_dir(dir)?;
    if is_replaced { shred(&aside) } else { Ok(()) }
}

/// Overwrites a file and removes it durably. What the file system or the disk has kept elsewhere (a
/// snapshot, a worn-out block) is out of reach.
pub fn shred(path: &Path) -> io::Result<()> {
    overwrite(path)?;
    remove(path)?;
    sync_dir(aside(path)?.0)
}

/// Ends what writers that were cut off have begun in `dir`: what they left aside is shredded, and the names
/// that they gave are durable afterwards. Nobody else may be writing there.
pub fn sweep(dir: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b".") && name.ends_with(b".tmp") && entry.file_type()?.is_file() {
            if entry.metadata()?.nlink() > 1 {
                // the content has another name, which was to go or to come: it is no leftover
                remove(&entry.path())?;
            } else {
                shred(&entry.path())?;
            }
        }
    }
    sync_dir(dir)
}

/// Opens a file of ours for writing, also one that was made read-only.
fn open_to_overwrite(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            open()
        }
        opened => opened,
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(path)?;
    let mut file = open_to_overwrite(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(to)?;
    std::fs::rename(from, to)
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(to)?;
    std::fs::hard_link(from, to)
}

fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(path)?;
    std::fs::remove_file(path)
}

/// Makes the directory's entries durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call(dir)?;
    File::open(dir)?.sync_all()
}

fn aside(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(format!(
        ".{}-{:08x}.tmp",
        std::process::id(),
        fastrand::u32(..)
    ));
    Ok((dir, dir.join(aside)))
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    #[cfg(test)]
    faults::call(path)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_with_the_asked_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/key");
        create_dir_all(path.parent().unwrap(), 0o700).unwrap();
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing left aside"
        );
    }

    #[test]
    fn write_new_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(write_new(&path, b"one", 0o600).unwrap());
        assert!(!write_new(&path, b"two", 0o600).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
    #[test]
    fn what_is_replaced_or_shredded_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("key"), dir.path().join("key.next"));
        write_atomic(&old, b"old secret", 0o600).unwrap();
        write_atomic(&new, b"new secret", 0o600).unwrap();
        // another name of the same file shows what became of its content
        let (seen, seen_new) = (dir.path().join("seen"), dir.path().join("seen-new"));
        std::fs::hard_link(&old, &seen).unwrap();
        replace(&new, &old).unwrap();
        assert_eq!(std::fs::read(&old).unwrap(), b"new secret");
        assert_eq!(std::fs::read(&seen).unwrap(), [0; 10]);
        assert!(!new.exists());

        std::fs::hard_link(&old, &seen_new).unwrap();
        shred(&old).unwrap();
        assert_eq!(std::fs::read(&seen_new).unwrap(), [0; 10]);
        assert!(!old.exists());

        write_atomic(&dir.path().join(".key.1-2.tmp"), b"left aside", 0o600).unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_replacement_that_failed_has_left_is_overwritten_by_a_sweep() {
        for at in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let below = dir.path().join("keys");
            create_dir_all(&below, 0o700).unwrap();
            let (old, new) = (below.join("key"), below.join("key.next"));
            write_atomic(&old, b"old secret", 0o600).unwrap();
            write_atomic(&new, b"new secret", 0o600).unwrap();
            // an open file shows what became of its content
            let before = File::open(&old).unwrap();
            let faults = faults::Faults::killed(&below, at);
            let replaced = replace(&new, &old);
            let is_whole = !faults.have_struck();
            assert_eq!(replaced.is_ok(), is_whole, "call {at}");
            drop(faults);
            sweep(&below).unwrap();
            let content = io::read_to_string(before).unwrap().into_bytes();
            let is_there = std::fs::read(&old).unwrap();
            if new.exists() {
                assert_eq!((&is_there, &content[..]), (&content, &b"old secret"[..]));
                assert_eq!(std::fs::read_dir(&below).unwrap().count(), 2);
            } else {
                assert_eq!(
                    (&is_there[..], &content[..]),
                    (&b"new secret"[..], &[0; 10][..])
                );
                assert_eq!(std::fs::read_dir(&below).unwrap().count(), 1);
            }
            if is_whole {
                assert!(at > 4, "{at} calls were counted");
                return;
            }
        }
    }
}
