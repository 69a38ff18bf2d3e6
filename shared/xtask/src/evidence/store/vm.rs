//! A whole machine whose power goes: QEMU runs a Debian kernel, the workload runs in it on a virtio disk with
//! an ext4, and QEMU is ended by SIGKILL.
//!
//! What a power cut takes is modelled in two halves. The machine's memory, with the page cache and everything
//! the store had not written, goes with the process. The disk's own cache would not: what the guest has
//! written and not flushed is in the host's page cache by then, and stays. So the device writes every write
//! and every flush down (`blklogwrites`), and the disk after the cut is made of that: all until the last
//! flush, and of the writes after it none, some, all, or torn sectors. The acknowledgements are what came
//! over the serial line before; a flush is in the log before the guest hears that it is done.
//!
//! No accelerator is asked for: the guest is emulated, about twenty times slower than the machine below it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::child::now;
use super::device::Event;
use super::line::Line;

/// What QEMU, its firmware and the guest's kernel are, below the directory that they were unpacked to.
const KERNELS: &str = "boot";
const MODULES: &str = "lib/modules";
/// In the order in which they are loaded; ext4 is part of the kernel.
const LOADED: [&str; 6] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
];
/// Where this program is in the machine, and a server that runs there.
const WORK: &str = "bin/work";
pub(super) const OTHER: &str = "bin/other";
/// How long a machine may take until the store is open.
const BOOT: Duration = Duration::from_mins(2);

/// Programs of a machine, unpacked from Debian packages.
pub(super) struct Parts {
    root: PathBuf,
    kernel: PathBuf,
    version: String,
}

/// What makes `root`, for someone who has not got it.
pub(super) const HOW: &str = "mkdir -p vm/debs/partial vm/root && \
    apt-get install --download-only --no-install-recommends -o Dir::Cache::archives=$PWD/vm/debs \
    qemu-system-x86 linux-image-cloud-amd64 busybox-static && for d in vm/debs/*.deb; do dpkg -x $d vm/root; done";

impl Parts {
    /// Finds them below `root`.
    pub(super) fn find(root: &Path) -> io::Result<Self> {
        let kernels = std::fs::read_dir(root.join(KERNELS))?;
        let names = kernels.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let version = names.filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned));
        let version = version.max().ok_or(io::ErrorKind::NotFound)?;
        let parts = Self {
            root: root.to_owned(),
            kernel: root.join(KERNELS).join(format!("vmlinuz-{version}")),
            version,
        };
        for needed in [parts.qemu(), parts.root.join("bin/busybox")] {
            if !needed.exists() {
                return Err(io::Error::other(format!(
                    "{} is not there",
                    needed.display()
                )));
            }
        }
        Ok(parts)
    }

    /// What runs, in words.
    pub(super) fn words(&self) -> String {
        format!(
            "QEMU without an accelerator, Linux {}, virtio disk, ext4",
            self.version
        )
    }

    fn qemu(&self) -> PathBuf {
        self.root.join("usr/bin/qemu-system-x86_64")
    }

    /// The part of the first file system that is the same for every start: this program, as [`WORK`], and
    /// `other`, as [`OTHER`].
    pub(super) fn ramdisk(&self, other: Option<&Path>) -> io::Result<Vec<u8>> {
        let mut archive = Archive::default();
        for dir in [
            "bin", "dev", "proc", "disk", "modules", "lib64", "lib", "tmp",
        ] {
            archive.dir(dir);
        }
        archive.file(
            "bin/busybox",
            &std::fs::read(self.root.join("bin/busybox"))?,
        );
        // the file may have been replaced by a newer build meanwhile: this is what runs
        let own = format!("/proc/{}/exe", std::process::id());
        archive.program(WORK, Path::new(&own))?;
        if let Some(other) = other {
            archive.program(OTHER, other)?;
        }
        let modules = self.root.join(MODULES).join(&self.version);
        let mut load = String::new();
        for name in LOADED {
            let file = find(&modules, &format!("{name}.ko"))?;
            archive.file(&format!("modules/{name}.ko"), &std::fs::read(file)?);
            let _never_fails = writeln!(load, "insmod /modules/{name}.ko");
        }
        let init = format!(
            "#!/bin/busybox sh\n/bin/busybox --install /bin\nexport PATH=/bin\nmount -t proc none /proc\n\
             mount -t devtmpfs none /dev\n{load}\
             ifconfig lo 127.0.0.1 up\nstty -F /dev/ttyS0 raw -echo\n\
             mount -t ext4 /dev/vda /disk || poweroff -f\n\
             . /arguments\npoweroff -f\n"
        );
        archive.file("init", init.as_bytes());
        Ok(archive.end())
    }
}

/// What a start of the machine does, as the part of the first file system that differs.
pub(super) fn arguments(words: &[String]) -> Vec<u8> {
    let mut archive = Archive::default();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("/{WORK} {} </dev/ttyS0\n", quoted.join(" "));
    archive.file("arguments", line.as_bytes());
    archive.end()
}

/// The shared libraries of a program, as the loader names them.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let said = Command::new("ldd").arg(program).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let path = |line: &str| {
        line.split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from)
    };
    Ok(said.lines().filter_map(path).collect())
}

fn find(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next)? {
            let entry = entry?;
            if entry.file_name() == name {
                return Ok(entry.path());
            }
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Err(io::Error::other(format!("{name} is not among the modules")))
}

/// Files as the kernel unpacks them at its start ("newc").
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    names: std::collections::BTreeSet<String>,
}

impl Archive {
    fn dir(&mut self, name: &str) {
        if !name.is_empty() && self.names.insert(name.to_owned()) {
            self.put(name, 0o040_755, &[]);
        }
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.put(name, 0o100_755, content);
    }

    /// The program that stands in `file`, and its shared libraries.
    fn program(&mut self, name: &str, file: &Path) -> io::Result<()> {
        self.file(name, &std::fs::read(file)?);
        for library in libraries(file)? {
            let name = library.strip_prefix("/").unwrap_or(&library);
            let dirs: Vec<&Path> = name.ancestors().skip(1).collect();
            for dir in dirs.iter().rev() {
                self.dir(&dir.display().to_string());
            }
            let name = name.display().to_string();
            if self.names.insert(name.clone()) {
                self.file(&name, &std::fs::read(&library)?);
            }
        }
        Ok(())
    }

    fn end(mut self) -> Vec<u8> {
        self.put("TRAILER!!!", 0, &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }

    fn put(&mut self, name: &str, mode: u32, content: &[u8]) {
        let fields = [
            0,
            mode,
            0,
            0,
            1,
            0,
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0,
            0,
            0,
            0,
            u32::try_from(name.len() + 1).unwrap_or(u32::MAX),
            0,
        ];
        let mut head = "070701".to_owned();
        for field in fields {
            let _never_fails = write!(head, "{field:08x}");
        }
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A machine that runs.
pub(super) struct Machine {
    process: Process,
    lines: Receiver<Line>,
    /// The machine hears the end of its input when this goes.
    _input: Option<std::process::ChildStdin>,
    began: Instant,
    /// From the start of QEMU to the first word of the workload.
    pub(super) boot: Option<Duration>,
}

impl Machine {
    /// Starts one on the disk `image`, with `ramdisk` as its first file system, and writes down what
    /// happens to the disk in `log`.
    pub(super) fn start(
        parts: &Parts,
        ramdisk: &Path,
        image: &Path,
        log: &Path,
    ) -> io::Result<Self> {
        File::create_new(log)?;
        let file = |node: &str, path: &Path| {
            format!("driver=file,node-name={node},filename={}", path.display())
        };
        let share = parts.root.join("usr/share");
        let libraries = [
            "usr/lib/x86_64-linux-gnu",
            "lib/x86_64-linux-gnu",
            "usr/lib",
        ];
        let libraries = libraries.map(|dir| parts.root.join(dir).display().to_string());
        let mut command = Command::new(parts.qemu());
        command
            .env("LD_LIBRARY_PATH", libraries.join(":"))
            .args([
                "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512", "-M", "q35",
            ])
            .args([
                "-display", "none", "-vga", "none", "-nic", "none", "-monitor", "none",
            ])
            .args(["-no-reboot", "-serial", "stdio", "-L"])
            .arg(share.join("qemu"))
            .arg("-L")
            .arg(share.join("seabios"))
            .arg("-kernel")
            .arg(&parts.kernel)
            .arg("-initrd")
            .arg(ramdisk)
            .args([
                "-append",
                "console=ttyS0 loglevel=1 quiet panic=-1 mitigations=off",
            ])
            .args(["-blockdev", &file("f", image), "-blockdev", &file("l", log)])
            .args([
                "-blockdev",
                "driver=blklogwrites,node-name=b,file=f,log=l,log-sector-size=512",
            ])
            .args(["-device", "virtio-blk-pci,drive=b,write-cache=on"]);
        let began = now();
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let input = process.stdin.take();
        let said = process.stdout.take().expect("piped above");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut said = BufReader::new(said);
            let mut line = Vec::new();
            // a line that the cut left without its end was not said; the kernel says other things
            while said.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if let Some(whole) = text.strip_suffix('\n')
                    && let Ok(line) = whole.trim_end_matches('\r').parse()
                    && sender.send(line).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self {
            process,
            lines,
            _input: input,
            began,
            boot: None,
        })
    }

    /// The next line; none when the machine has ended or says nothing.
    pub(super) fn hear(&mut self, within: Duration) -> Result<Line, RecvTimeoutError> {
        let within = if self.boot.is_none() { BOOT } else { within };
        let line = self.lines.recv_timeout(within)?;
        if self.boot.is_none() {
            self.boot = Some(now().duration_since(self.began));
        }
        Ok(line)
    }

    /// The power goes. What was said until then is still heard.
    pub(super) fn cut(&mut self) -> io::Result<Vec<Line>> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.lines.iter().collect())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Reads what `blklogwrites` has written down: as far as it came.
pub(super) fn events(log: &Path) -> io::Result<Vec<Event>> {
    const MAGIC: u64 = 0x006a_7366_7773_6872;
    const SECTOR: u64 = 512;
    const FLUSH: u64 = 1;
    const DISCARD: u64 = 4;
    let file = File::open(log)?;
    let end = file.metadata()?.size();
    let words = |at: u64| -> io::Result<[u64; 4]> {
        let mut bytes = [0; 32];
        file.read_exact_at(&mut bytes, at)?;
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.try_into().map_or(0, u64::from_le_bytes);
        }
        Ok(words)
    };
    // what stands at its beginning is written once in a while, and not by who is killed before
    if end >= SECTOR && ![0, MAGIC].contains(&words(0)?[0]) {
        return Err(io::Error::other("it is no log of writes"));
    }
    let mut events = Vec::new();
    let mut at = SECTOR;
    while at + SECTOR <= end {
        let [sector, sectors, flags, _] = words(at)?;
        at += SECTOR;
        if flags & FLUSH != 0 {
            events.push(Event::Flush);
        } else if sectors == 0 {
            break;
        }
        let length = sectors * SECTOR;
        if flags & DISCARD != 0 || length == 0 {
            continue;
        }
        if at + length > end {
            // it was being written down
            break;
        }
        events.push(Event::Write {
            offset: sector * SECTOR,
            length: usize::try_from(length).unwrap_or(usize::MAX),
            at,
        });
        at += length;
    }
    Ok(events)
}

/// Puts the parts of the first file system together in a file.
pub(super) fn put_together(parts: &[&[u8]], path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.flush()
}
