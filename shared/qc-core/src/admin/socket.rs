//! The socket file: there at once with its final mode and group, and never stolen from a daemon
//! that answers.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio::net::UnixListener;

use crate::durable;
use crate::failure::{Exit, Failure};
use crate::safe_text::safe;

/// Listens at `path` with mode 0660 and, where this process may set it, `group`. A file that nobody
/// answers on is replaced; a daemon that answers is `QC1107`. Needs a runtime.
pub fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener, Failure> {
    if UnixStream::connect(path).is_ok() {
        let message = format!("another daemon answers on {}", shown(path));
        return Err(Failure::new(Exit::Conflict, "QC1107", message)
            .help(format!("ss -xlp src {}", shown(path))));
    }
    let gid = group.and_then(|name| {
        let gid = group_id(name);
        if gid.is_none() {
            tracing::warn!(
                code = "QC0605",
                group = name,
                "No such group; the admin socket stays with the process's own."
            );
        }
        gid
    });
    place(path, gid).map_err(|error| {
        let message = format!("cannot create the admin socket {}", shown(path));
        let parent = path.parent().unwrap_or_else(|| Path::new("/"));
        Failure::new(Exit::Other, "QC1108", message)
            .because(&error)
            .help(format!("ls -ld {}", shown(parent)))
    })
}

/// Binds in a private directory beside `path` and renames, so that nobody can connect before mode
/// and group are right.
fn place(path: &Path, gid: Option<u32>) -> io::Result<UnixListener> {
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    durable::create_dir_all(parent, 0o755)?;
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let aside = parent.join(format!(".q{:x}", std::process::id()));
    match DirBuilder::new().mode(0o700).create(&aside) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_dir_all(&aside)?;
            DirBuilder::new().mode(0o700).create(&aside)?;
        }
        made => made?,
    }
    let socket = aside.join("s");
    let listener = UnixListener::bind(&socket).and_then(|listener| {
        std::fs::set_permissions(&socket, Permissions::from_mode(0o660))?;
        if let Some(gid) = gid
            && let Err(error) = std::os::unix::fs::chown(&socket, None, Some(gid))
        {
            tracing::warn!(code = "QC0605", %error, "Cannot give the admin socket to its group.");
        }
        std::fs::rename(&socket, path)?;
        Ok(listener)
    });
    std::fs::remove_dir_all(&aside)?;
    listener
}

/// Looks in `/etc/group` itself: a static binary has no name service.
fn group_id(name: &str) -> Option<u32> {
    let mut text = String::new();
    let file = std::fs::File::open("/etc/group").ok()?;
    file.take(1 << 20).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

fn shown(path: &Path) -> String {
    safe(&path.display().to_string(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replaces_a_stale_file_but_never_a_living_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/admin.sock");
        let first = bind(&path, None).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let failure = bind(&path, None).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("QC1107", Exit::Conflict));
        drop(first);
        assert!(path.exists(), "a killed daemon leaves its file");
        bind(&path, Some("root")).unwrap();
        assert_eq!(
            std::fs::read_dir(dir.path().join("run")).unwrap().count(),
            1,
            "nothing left aside"
        );
    }

    #[tokio::test]
    async fn says_why_it_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(120)).join("admin.sock");
        assert_eq!(bind(&deep, None).unwrap_err().code, "QC1108");
        assert_eq!(bind(dir.path(), None).unwrap_err().code, "QC1108");
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no-such-group"), None);
    }
}
