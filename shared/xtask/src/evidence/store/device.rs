//! A block device of our own: one file, served to the kernel over FUSE, under a loop device. It writes
//! down every write and every flush in the order in which they came, and it can fail.
//!
//! ```text
//! ext4 ── /dev/loopN (direct I/O) ── FUSE ── this process ── image file
//!                                               └── log: write(offset, bytes) | flush
//! ```
//!
//! The kernel's FUSE protocol is spoken here directly, as far as one regular file needs it: the file is
//! the root of the mount. Every request is answered before the next one is read, so the log has one
//! order; the loop device sends a flush only when the writes before it are answered.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One thing that happened to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Bytes that stand in the log at `at` were written at `offset`.
    Write { offset: u64, length: usize, at: u64 },
    /// Everything before this is safe.
    Flush,
}

/// A device while it is there.
pub(super) struct Device {
    /// The file that a loop device is set up on.
    pub(super) file: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    image: File,
    size: u64,
    log: Option<File>,
    events: Mutex<(Vec<Event>, u64)>,
    /// How many events there were, for other processes to read.
    count: Option<File>,
    /// Writes until every later one fails; negative when none does.
    until_failure: AtomicI64,
}

/// Why this machine has no such device.
pub(super) fn lacks() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it mounts file systems, which needs root".to_owned());
    }
    if !Path::new("/dev/fuse").exists() {
        return Some("it needs /dev/fuse".to_owned());
    }
    super::disks::lacks()
}

impl Device {
    /// Serves `image` under the name `file`. With a `log` the bytes of all writes go there, and how many
    /// events there were stands in a file beside it at any time, see [`Device::stamps`].
    pub(super) fn serve(image: &Path, file: &Path, log: Option<&Path>) -> io::Result<Self> {
        let image = File::options().read(true).write(true).open(image)?;
        let create = |path: &Path| {
            File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
        };
        let count = log.map(|log| create(&Self::stamps(log))).transpose()?;
        if let Some(count) = &count {
            count.write_all_at(&0_u64.to_le_bytes(), 0)?;
        }
        let shared = Arc::new(Shared {
            size: image.metadata()?.len(),
            image,
            log: log.map(create).transpose()?,
            events: Mutex::default(),
            count,
            until_failure: AtomicI64::new(-1),
        });
        File::create_new(file)?;
        let kernel = File::options().read(true).write(true).open("/dev/fuse")?;
        // mount(8) takes the connection over as its standard input
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o"])
            .arg("fd=0,rootmode=100000,user_id=0,group_id=0,max_read=1048576")
            .arg("qc-device")
            .arg(file)
            .stdin(Stdio::from(kernel.try_clone()?))
            .output()?;
        if !mounted.status.success() {
            let said = String::from_utf8_lossy(&mounted.stderr).into_owned();
            return Err(io::Error::other(said));
        }
        let server = Arc::clone(&shared);
        std::thread::spawn(move || server.answer(&kernel));
        Ok(Self {
            file: file.to_owned(),
            shared,
        })
    }

    /// The file in which the number of events stands, eight bytes.
    pub(super) fn stamps(log: &Path) -> PathBuf {
        log.with_extension("count")
    }

    /// Lets every write after the next `writes` fail with EIO, and every flush after them.
    pub(super) fn fail_after(&self, writes: u32) {
        self.shared
            .until_failure
            .store(i64::from(writes), Ordering::SeqCst);
    }

    /// How many events there were so far.
    pub(super) fn happened(&self) -> usize {
        let events = self.shared.events.lock();
        events.unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// What has happened so far.
    pub(super) fn events(&self) -> Vec<Event> {
        let events = self.shared.events.lock();
        events.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        let _the_next_run_tries_again = command.arg("-l").arg(&self.file).output();
    }
}

/// The requests that one file needs; numbers of the kernel's protocol.
mod request {
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const STATFS: u32 = 17;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const DESTROY: u32 = 38;
    pub(super) const BATCH_FORGET: u32 = 42;
}

const IN_HEADER: usize = 40;
const WRITE_HEADER: usize = 40;
const MAX_WRITE: u32 = 1 << 20;

/// What an errno of the protocol says.
const EIO: i32 = 5;
const ENOSYS: i32 = 38;

impl Shared {
    /// Answers requests until the mount goes.
    fn answer(&self, mut kernel: &File) {
        let mut buffer = vec![0; MAX_WRITE as usize + 8192];
        loop {
            let read = match kernel.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // a request that was withdrawn before it was read
                Err(error) if error.raw_os_error() == Some(2) => continue,
                Err(_) => return,
            };
            let request = buffer.get(..read).unwrap_or_default();
            let (opcode, unique) = (u32_at(request, 4), u64_at(request, 8));
            let body = request.get(IN_HEADER..).unwrap_or_default();
            let answer = match opcode {
                request::FORGET | request::BATCH_FORGET | request::INTERRUPT => continue,
                _ => self.handle(opcode, body),
            };
            let (error, payload) = match answer {
                Ok(payload) => (0, payload),
                Err(errno) => (-errno, Vec::new()),
            };
            let length = u32::try_from(16 + payload.len()).unwrap_or(u32::MAX);
            let mut reply = Vec::with_capacity(16 + payload.len());
            reply.extend(length.to_le_bytes());
            reply.extend(error.to_le_bytes());
            reply.extend(unique.to_le_bytes());
            reply.extend(payload);
            // a request that was interrupted meanwhile wants no answer
            let _nobody_waits = kernel.write_all(&reply);
        }
    }

    fn handle(&self, opcode: u32, body: &[u8]) -> Result<Vec<u8>, i32> {
        match opcode {
            request::INIT => Ok(init(body)),
            request::GETATTR | request::SETATTR => Ok(self.attributes()),
            // a handle nobody looks at, and no flag
            request::OPEN => Ok(vec![0; 16]),
            request::READ => self.read(u64_at(body, 8), u32_at(body, 16)),
            request::WRITE => {
                let (offset, size) = (u64_at(body, 8), u32_at(body, 16) as usize);
                let bytes = body.get(WRITE_HEADER..WRITE_HEADER + size).ok_or(EIO)?;
                self.write(offset, bytes)?;
                Ok([u32_at(body, 16), 0].map(u32::to_le_bytes).concat())
            }
            request::FSYNC => {
                if self.until_failure.load(Ordering::SeqCst) == 0 {
                    return Err(EIO);
                }
                self.note(Event::Flush).map(|()| Vec::new())
            }
            request::STATFS => Ok(vec![0; 80]),
            request::FLUSH | request::RELEASE | request::DESTROY => Ok(Vec::new()),
            _ => Err(ENOSYS),
        }
    }

    fn read(&self, offset: u64, size: u32) -> Result<Vec<u8>, i32> {
        let left = self.size.saturating_sub(offset).min(u64::from(size));
        let mut bytes = vec![0; usize::try_from(left).map_err(|_| EIO)?];
        self.image
            .read_exact_at(&mut bytes, offset)
            .map_err(|_| EIO)?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), i32> {
        let left = self.until_failure.load(Ordering::SeqCst);
        if left == 0 {
            return Err(EIO);
        }
        if left > 0 {
            self.until_failure.fetch_sub(1, Ordering::SeqCst);
        }
        self.image.write_all_at(bytes, offset).map_err(|_| EIO)?;
        if let Some(log) = &self.log {
            let at = {
                let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
                let at = events.1;
                events.1 += bytes.len() as u64;
                at
            };
            log.write_all_at(bytes, at).map_err(|_| EIO)?;
            self.note(Event::Write {
                offset,
                length: bytes.len(),
                at,
            })?;
        }
        Ok(())
    }

    /// Counts an event before the kernel hears that it happened.
    fn note(&self, event: Event) -> Result<(), i32> {
        let Some(count) = &self.count else {
            return Ok(());
        };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.0.push(event);
        let now = (events.0.len() as u64).to_le_bytes();
        count.write_all_at(&now, 0).map_err(|_| EIO)
    }

    /// `fuse_attr_out`: a regular file of this size.
    fn attributes(&self) -> Vec<u8> {
        const REGULAR: u32 = 0o100_600;
        let mut out = Vec::with_capacity(104);
        // valid for an hour
        out.extend(
            [3600_u64, 0, 1, self.size, self.size / 512, 0, 0, 0]
                .map(u64::to_le_bytes)
                .concat(),
        );
        out.extend(
            [0_u32, 0, 0, REGULAR, 1, 0, 0, 0, 4096, 0]
                .map(u32::to_le_bytes)
                .concat(),
        );
        out
    }
}

/// `fuse_init_out`: version 7.31, large writes.
fn init(body: &[u8]) -> Vec<u8> {
    const BIG_WRITES: u32 = 1 << 5;
    const MAX_PAGES: u32 = 1 << 22;
    let flags = u32_at(body, 12) & (BIG_WRITES | MAX_PAGES);
    let mut out = Vec::with_capacity(64);
    out.extend(
        [7, 31, u32_at(body, 8), flags]
            .map(u32::to_le_bytes)
            .concat(),
    );
    out.extend([16_u16, 12].map(u16::to_le_bytes).concat());
    out.extend([MAX_WRITE, 1].map(u32::to_le_bytes).concat());
    out.extend([256_u16, 0].map(u16::to_le_bytes).concat());
    out.resize(64, 0);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::store::disks::Mounted;

    #[test]
    fn what_is_written_through_the_kernel_is_in_the_log() {
        if let Some(lacks) = lacks() {
            eprintln!("SKIPPED: {lacks}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let [image, file, log, mount] =
            ["image", "device", "log", "mount"].map(|n| dir.path().join(n));
        crate::evidence::store::disks::make_ext4(&image, 16 << 20).unwrap();
        let before = std::fs::read(&image).unwrap();
        let device = Device::serve(&image, &file, Some(&log)).unwrap();
        let mounted = Mounted::loop_on(&device.file, &mount).unwrap();
        let written = mount.join("hello");
        let mut out = File::create_new(&written).unwrap();
        out.write_all(&vec![0x51; 70_000]).unwrap();
        out.sync_all().unwrap();
        assert_eq!(
            device.events().last(),
            Some(&Event::Flush),
            "fsync returns after a flush"
        );
        drop(out);
        // the log, replayed over the image as it was, is the image as it is
        drop(mounted);
        let events = device.events();
        drop(device);
        let bytes = std::fs::read(&log).unwrap();
        let mut replayed = before;
        for event in &events {
            if let Event::Write { offset, length, at } = event {
                let (offset, at) = (
                    usize::try_from(*offset).unwrap(),
                    usize::try_from(*at).unwrap(),
                );
                replayed[offset..offset + length].copy_from_slice(&bytes[at..at + length]);
            }
        }
        assert!(replayed == std::fs::read(&image).unwrap());
        let mounted = Mounted::loop_on(&image, &mount).unwrap();
        assert_eq!(std::fs::read(&written).unwrap(), vec![0x51; 70_000]);
        drop(mounted);
    }
}
