//! One process per state directory: a private directory and a lock that dies with its holder.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::durable;
use crate::failure::{Exit, Failure};
use crate::safe_text::safe;

const LOCK_FILE: &str = "lock";

/// The state directory, held by this process until the value is dropped.
#[derive(Debug)]
pub struct StateLock {
    dir: PathBuf,
    _lock: File,
}

impl StateLock {
    /// Opens `dir`, creating it with mode 0700, and locks it. A directory that cannot be used is
    /// `QC1101`, one that another process holds `QC1102`.
    pub fn acquire(dir: &Path) -> Result<Self, Failure> {
        prepare(dir).map_err(|(problem, error)| unusable(dir, &problem, error.as_ref()))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default())
            .open(dir.join(LOCK_FILE))
            .map_err(|error| unusable(dir, "cannot be written", Some(&error)))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(dir, &mut lock)),
            Err(error) => return Err(unusable(dir, "cannot be locked", Some(&error.into()))),
        }
        let pid = format!("{}\n", std::process::id());
        match lock
            .set_len(0)
            .and_then(|()| lock.write_all(pid.as_bytes()))
        {
            // The pid is for people. A full disk must not keep the process from starting.
            Ok(()) => {}
            Err(error) if is_full(&error) => {}
            Err(error) => return Err(unusable(dir, "cannot be written", Some(&error))),
        }
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// The directory that is held.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

type Problem = (String, Option<io::Error>);

fn problem(text: &str) -> impl FnOnce(io::Error) -> Problem {
    let text = text.to_owned();
    move |error| (text, Some(error))
}

fn prepare(dir: &Path) -> Result<(), Problem> {
    if let Some(parent) = dir.parent() {
        durable::create_dir_all(parent, 0o755).map_err(problem("cannot be created"))?;
    }
    durable::create_dir_all(dir, 0o700).map_err(problem("cannot be created"))?;
    let found = std::fs::metadata(dir).map_err(problem("cannot be read"))?;
    if !found.is_dir() {
        return Err(("is not a directory".to_owned(), None));
    }
    let mode = found.permissions().mode() & 0o777;
    let for_others = mode & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    // Keys lie here. Only a directory that is ours or empty is tightened: a typing mistake such as
    // "/tmp" must not lock others out of theirs.
    let mut entries = std::fs::read_dir(dir).map_err(problem("cannot be read"))?;
    if dir.join(LOCK_FILE).is_file() || entries.next().is_none() {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(problem(
            "is open to other users and its mode cannot be changed",
        ))
    } else {
        Err((
            format!("is open to other users (mode {mode:04o}) and holds files of others"),
            None,
        ))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn unusable(dir: &Path, problem: &str, error: Option<&io::Error>) -> Failure {
    let shown = safe(&dir.display().to_string(), 200);
    let message = format!("the state directory {shown} {problem}");
    let failure = Failure::new(Exit::Disk, "QC1101", message)
        .help(format!("install -d -m 0700 -o SERVICE-USER {shown}"));
    match error {
        Some(error) => failure.because(error),
        None => failure,
    }
}

fn held(dir: &Path, lock: &mut File) -> Failure {
    let mut pid = String::new();
    let known = lock.take(20).read_to_string(&mut pid).is_ok();
    let pid = Some(pid.trim())
        .filter(|pid| known && !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()));
    let shown = safe(&dir.display().to_string(), 200);
    let holder = pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    );
    let failure = Failure::new(
        Exit::Conflict,
        "QC1102",
        format!("{holder} already uses the state directory {shown}"),
    );
    match pid {
        Some(pid) => failure.help(format!("ps -fp {pid}")),
        None => failure.help(format!("fuser -v {shown}/{LOCK_FILE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_second_instance_is_refused_by_pid_until_the_first_ends() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("lib/qc-edge");
        let first = StateLock::acquire(&dir).unwrap();
        assert_eq!((first.dir(), mode(&dir)), (dir.as_path(), 0o700));
        let failure = StateLock::acquire(&dir).unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(
            failure.to_string(),
            format!(
                "error[QC1102] process {pid} already uses the state directory {dir}\n\
                 help: ps -fp {pid}",
                pid = std::process::id(),
                dir = dir.display()
            )
        );
        drop(first);
        StateLock::acquire(&dir).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_used_is_one_clear_line() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        durable::write_atomic(&file, b"", 0o600).unwrap();
        let failure = StateLock::acquire(&file.join("state")).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("QC1101", Exit::Disk));
        let failure = StateLock::acquire(&file).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("QC1101", Exit::Disk));
        assert_eq!(failure.to_string().lines().count(), 3);
    }

    #[test]
    fn only_an_empty_or_own_directory_is_tightened() {
        let root = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let dir = root.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
            dir
        };
        let empty = open("empty");
        drop(StateLock::acquire(&empty).unwrap());
        assert_eq!(mode(&empty), 0o700);
        let shared = open("shared");
        durable::write_atomic(&shared.join("theirs"), b"", 0o600).unwrap();
        let failure = StateLock::acquire(&shared).unwrap_err();
        assert!(failure.message.ends_with("holds files of others"));
        assert_eq!(mode(&shared), 0o755);
    }
}
