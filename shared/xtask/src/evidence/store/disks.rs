//! Small file systems in files: made, mounted through a loop device, filled, let go.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::which;

/// Why this machine cannot mount a small ext4, if it cannot.
pub(super) fn lacks() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it mounts file systems, which needs root".to_owned());
    }
    let programs = [
        ("mkfs.ext4", "e2fsprogs"),
        ("losetup", "mount"),
        ("mount", "mount"),
    ];
    programs
        .iter()
        .find(|(program, _)| {
            which(program).is_none() && !Path::new("/usr/sbin").join(program).exists()
        })
        .map(|(program, package)| format!("it needs {program} (Debian package {package})"))
}

/// A mounted file system; dropping it lets it go.
pub(super) struct Mounted {
    at: PathBuf,
}

/// Makes an ext4 of `bytes` in a new file, with nothing left to do in the background.
pub(super) fn make_ext4(image: &Path, bytes: u64) -> io::Result<()> {
    std::fs::File::create_new(image)?.set_len(bytes)?;
    let lazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
    run(Command::new("mkfs.ext4")
        .args(["-q", "-F", "-m", "0", "-E", lazy])
        .arg(image))
    .map(drop)
}

impl Mounted {
    /// Mounts the file system in `image` at `at`, which is made; every write goes straight to the image.
    pub(super) fn loop_on(image: &Path, at: &Path) -> io::Result<Self> {
        Self::mount(image, at, "--direct-io=on")
    }

    /// The same, through the cache: for an image that nobody needs afterwards.
    pub(super) fn cached(image: &Path, at: &Path) -> io::Result<Self> {
        Self::mount(image, at, "--direct-io=off")
    }

    fn mount(image: &Path, at: &Path, direct: &str) -> io::Result<Self> {
        std::fs::create_dir_all(at)?;
        let mut losetup = Command::new("losetup");
        let device = run(losetup.args(["--find", "--show", direct]).arg(image))?;
        let device = device.trim();
        let mounted = run(Command::new("mount").args(["-t", "ext4", device]).arg(at));
        // in use it only goes when the mount does, otherwise now
        let detached = run(Command::new("losetup").args(["--detach", device]));
        mounted?;
        let mounted = Self { at: at.to_owned() };
        detached?;
        Ok(mounted)
    }

    /// Bytes that may still be written there.
    pub(super) fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.at)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // a process that is just dying may hold it for a moment
        for _ in 0..100 {
            if run(Command::new("umount").arg(&self.at)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _the_next_run_tries_again = run(Command::new("umount").arg("-l").arg(&self.at));
    }
}

/// Lets go what an earlier run left mounted below `dir`.
pub(super) fn release(dir: &Path) -> io::Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let below = mounts
        .lines()
        .rev()
        .filter_map(|line| line.split(' ').nth(1));
    for mount in below.filter(|mount| Path::new(mount).starts_with(dir)) {
        run(Command::new("umount").args(["-l", mount]))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let what = crate::workspace::spell(command);
    Err(io::Error::other(format!("{what}: {}", said.trim())))
}
