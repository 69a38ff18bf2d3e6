//! File out: a file a message, or a line a message; a message that comes again changes nothing.
//!
//! A file is written under a hidden name, synced, renamed without replacing, and the folder synced:
//! whoever looks sees it whole or not at all. If its name is taken, equal content is the same
//! message come again; other content is kept beside it under a name with the seq. A message in parts
//! becomes a file in the same way, see [`spool`].

mod spool;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use qc_core::clock::Clock;
use qc_core::durable::create_dir_all;
use qc_core::model::Seq;
use qc_core::safe_text::safe;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use self::spool::Spools;
use super::name::{NameTemplate, with_addition};
use super::{DeliverError, Delivery, Leftover, Sink};
use crate::sources::ConnectorError;
use crate::sources::beneath::{has_openat2, open_beneath, rename};
use crate::sources::settings::Wait;

/// The longest note on how far a file of lines is.
const MAX_NOTE: u64 = 4096;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMode {
    /// A file of its own.
    #[default]
    OnePerMessage,
    /// A line of a file.
    AppendLines,
}

/// `[sink.NAME]` with `kind = "file_out"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileOutConfig {
    /// The folder, made if it is missing.
    pub path: PathBuf,
    /// What becomes of a message.
    #[serde(default)]
    pub mode: FileMode,
    /// The file's name, of `{id}`, `{seq}`, `{stream}`, `{subject}`, `{time}` and text; by default
    /// `{seq}`, and for lines `{stream}.log`.
    #[serde(default)]
    pub name: Option<String>,
    /// How long a message in parts may wait for its next part while this process runs.
    #[serde(default = "thirty_days")]
    pub unfinished: Wait,
}

fn thirty_days() -> Wait {
    Wait::days(30)
}

/// A folder that takes messages.
pub struct FileOut {
    folder: Arc<Folder>,
    spools: Arc<Mutex<Spools>>,
    mode: FileMode,
    name: NameTemplate,
}

impl FileOut {
    /// Opens the folder.
    pub fn open(config: &FileOutConfig, clock: Arc<dyn Clock>) -> Result<Self, ConnectorError> {
        let default = match config.mode {
            FileMode::OnePerMessage => "{seq}",
            FileMode::AppendLines => "{stream}.log",
        };
        let name = NameTemplate::parse(config.name.as_deref().unwrap_or(default))?;
        if config.mode == FileMode::AppendLines && !name.is_constant() {
            return Err(ConnectorError::setting(
                "name",
                "may have only {stream} and text when lines are appended",
            ));
        }
        let cannot = |error| ConnectorError::file("cannot use the folder", &config.path, error);
        let folder = Folder::open(&config.path, config.mode).map_err(|error| match error {
            error if error.kind() == io::ErrorKind::WouldBlock => ConnectorError::setting(
                "path",
                "another sink, of this edge or of another, uses the folder; give each a folder of its own",
            ),
            error => cannot(error),
        })?;
        let spools = Spools::open(&folder, config.unfinished.0, clock).map_err(cannot)?;
        Ok(Self {
            folder: Arc::new(folder),
            spools: Arc::new(Mutex::new(spools)),
            mode: config.mode,
            name,
        })
    }
}

impl Sink for FileOut {
    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), DeliverError> {
        let name = self.name.render(delivery);
        let (mode, delivery) = (self.mode, delivery.clone());
        self.blocking(move |folder, spools| match mode {
            FileMode::OnePerMessage if delivery.part.is_whole() => folder.write(&name, &delivery),
            FileMode::OnePerMessage => spools.take(folder, &name, &delivery),
            FileMode::AppendLines if delivery.part.is_whole() => folder.append(&name, &delivery),
            FileMode::AppendLines => Err(DeliverError::poison(
                "QC4211",
                "the sink appends lines, and a message in parts is none",
            )),
        })
        .await
    }

    async fn leftover(&mut self) -> Result<Option<Leftover>, String> {
        // the usual case costs no hand-over
        if self
            .spools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
        {
            return Ok(None);
        }
        let next = self.blocking(|folder, spools| {
            let next = spools.leftover(folder);
            next.map_err(|error| folder.later(&error).to_string())
        });
        next.await
    }

    async fn forget(&mut self, leftover: &Leftover) -> Result<(), String> {
        let leftover = leftover.clone();
        let forgotten = self.blocking(move |folder, spools| {
            let forgotten = spools.forget(folder, &leftover);
            forgotten.map_err(|error| folder.later(&error).to_string())
        });
        forgotten.await
    }
}

impl FileOut {
    /// Does what waits for the disk where that may wait.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder, &mut Spools) -> T + Send + 'static,
    ) -> T {
        let (folder, spools) = (Arc::clone(&self.folder), Arc::clone(&self.spools));
        let done = tokio::task::spawn_blocking(move || {
            let mut spools = spools.lock().unwrap_or_else(PoisonError::into_inner);
            work(&folder, &mut spools)
        });
        done.await
            .expect("the closure does not panic and is never cancelled")
    }
}

struct Folder {
    dir: OwnedFd,
    path: PathBuf,
    resolve: bool,
}

impl Folder {
    /// Opens the folder for this sink; `WouldBlock` when another has it. Two that put messages in parts
    /// together would take each other's for their own; those that append lines may be many.
    fn open(path: &std::path::Path, mode: FileMode) -> io::Result<Self> {
        create_dir_all(path, 0o750)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        let lock = match mode {
            FileMode::OnePerMessage => FlockOperation::NonBlockingLockExclusive,
            FileMode::AppendLines => FlockOperation::NonBlockingLockShared,
        };
        match rustix::fs::flock(&dir, lock) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Errno::WOULDBLOCK.into()),
            // some network file systems lock no folder
            Err(error) => {
                let path = safe(&path.to_string_lossy(), 200);
                tracing::warn!(code = "QC4201", path, %error, "The folder cannot be locked: no other sink must use it.");
            }
        }
        Ok(Self {
            resolve: has_openat2(dir.as_fd()),
            dir,
            path: path.to_owned(),
        })
    }

    fn write(&self, name: &str, delivery: &Delivery) -> Result<(), DeliverError> {
        self.try_write(name, delivery)
            .map_err(|error| self.later(&error))
    }

    fn try_write(&self, name: &str, delivery: &Delivery) -> io::Result<()> {
        let body = &delivery.message.body;
        let hash = digest(&SHA256, body);
        let short = HEXLOWER.encode(hash.as_ref().get(..8).expect("a digest of 32 bytes"));
        let seq = delivery.seq;
        let aside = c_name(&format!(".qc-{seq}-{short}.tmp"))?;
        let write = || self.write_aside(&aside, body);
        let same = |name: &CStr| self.has_content(name, body);
        let placed = self.place(&aside, name, seq, &short, write, same);
        placed.or_else(|error| {
            self.remove(&aside)?;
            Err(error)
        })
    }

    /// Gives the file `aside`, which `write` makes when it is needed, a name; none when a file with `same`
    /// content has the name already.
    fn place(
        &self,
        aside: &CStr,
        name: &str,
        seq: Seq,
        short: &str,
        write: impl Fn() -> io::Result<()>,
        same: impl Fn(&CStr) -> io::Result<bool>,
    ) -> io::Result<()> {
        // the third name tells the content, so it cannot be taken by other content
        let names = [
            name.to_owned(),
            with_addition(name, &seq.to_string()),
            with_addition(name, &format!("{seq}-{short}")),
        ];
        for name in &names {
            let name = c_name(name)?;
            if !self.is_taken(&name)? {
                write()?;
                match rename(self.dir.as_fd(), aside, self.dir.as_fd(), &name) {
                    Ok(()) => return Ok(rustix::fs::fsync(&self.dir)?),
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if same(&name)? {
                self.remove(aside)?;
                return Ok(rustix::fs::fsync(&self.dir)?);
            }
        }
        Err(io::Error::other(format!(
            "every name for seq {seq} is taken by other content"
        )))
    }

    fn is_taken(&self, name: &CStr) -> io::Result<bool> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn write_aside(&self, name: &CStr, body: &[u8]) -> io::Result<()> {
        self.remove(name)?; // left by a crash
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = File::from(open_beneath(self.dir.as_fd(), name, flags, self.resolve)?);
        file.write_all(body)?;
        file.sync_all()
    }

    fn has_content(&self, name: &CStr, body: &[u8]) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let mut file = match open_beneath(self.dir.as_fd(), name, flags, self.resolve) {
            Ok(fd) => File::from(fd),
            Err(Errno::LOOP | Errno::NXIO) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() != body.len() as u64 {
            return Ok(false);
        }
        starts_with(&mut file, body)
    }

    /// Whether the file `name` has the content of `other`.
    fn is_same_file(&self, name: &CStr, other: &File) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = match open_beneath(self.dir.as_fd(), name, flags, self.resolve) {
            Ok(fd) => File::from(fd),
            Err(Errno::LOOP | Errno::NXIO) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let (metadata, length) = (file.metadata()?, other.metadata()?.len());
        if !metadata.is_file() || metadata.len() != length {
            return Ok(false);
        }
        let (mut one, mut two) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut at = 0;
        while at < length {
            let step = usize::try_from(length - at)
                .unwrap_or(one.len())
                .min(one.len());
            one.truncate(step);
            two.truncate(step);
            file.read_exact_at(&mut one, at)?;
            other.read_exact_at(&mut two, at)?;
            if one != two {
                return Ok(false);
            }
            at += step as u64;
        }
        Ok(true)
    }

    fn remove(&self, name: &CStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn append(&self, name: &str, delivery: &Delivery) -> Result<(), DeliverError> {
        let line = line_of(&delivery.message.body)?;
        self.try_append(name, delivery, &line)
            .map_err(|error| self.later(&error))
    }

    fn try_append(&self, name: &str, delivery: &Delivery, line: &[u8]) -> io::Result<()> {
        let note_path = self.path.join(format!(".qc-{name}.note"));
        let note = Note::read(&note_path)?;
        if note.as_ref().is_some_and(|note| note.covers(delivery)) {
            return Ok(());
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NONBLOCK;
        let name = c_name(name)?;
        let mut file = File::from(open_beneath(self.dir.as_fd(), &name, flags, self.resolve)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(io::Error::other("the file is a link, a pipe or a device"));
        }
        // what a crash left of this very line after the last note is not written twice
        let noted = note.as_ref().filter(|note| note.inode == metadata.ino());
        let tail = match noted {
            Some(note) => read_tail(&mut file, note.length, line.len())?,
            None if note.is_none() => read_tail(&mut file, 0, line.len())?,
            None => Vec::new(),
        };
        let rest = line.strip_prefix(tail.as_slice()).unwrap_or(line);
        file.write_all(rest)?;
        file.sync_all()?;
        rustix::fs::fsync(&self.dir)?;
        let note = Note {
            stream: delivery.stream.to_string(),
            epoch: delivery.epoch.0,
            seq: delivery.seq.0,
            inode: metadata.ino(),
            length: file.metadata()?.len(),
        };
        let json = serde_json::to_vec(&note).expect("text and numbers are always serializable");
        qc_core::durable::write_atomic(&note_path, &json, 0o640)
    }

    fn later(&self, error: &io::Error) -> DeliverError {
        let path = safe(&self.path.to_string_lossy(), 200);
        DeliverError::retry(format!("QC4203 cannot write to '{path}': {error}"))
    }
}

/// How far a file of lines is: written after each line, beside the file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    stream: String,
    epoch: u64,
    seq: u64,
    inode: u64,
    length: u64,
}

impl Note {
    fn read(path: &std::path::Path) -> io::Result<Option<Self>> {
        let mut text = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(MAX_NOTE).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|_| io::Error::other("the note beside the file is damaged; remove it"))
    }

    fn covers(&self, delivery: &Delivery) -> bool {
        self.stream == delivery.stream.as_str()
            && self.epoch == delivery.epoch.0
            && self.seq >= delivery.seq.0
    }
}

/// The body as one line. JSON has line breaks only between values, where a space means the same.
fn line_of(body: &Bytes) -> Result<Vec<u8>, DeliverError> {
    let text = body.trim_ascii_end();
    let mut line = text.to_vec();
    if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        if serde_json::from_slice::<&serde_json::value::RawValue>(text).is_err() {
            return Err(DeliverError::poison(
                "QC4204",
                "the body has line breaks and cannot be one line",
            ));
        }
        for byte in &mut line {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    line.push(b'\n');
    Ok(line)
}

/// What stands after `from`, if it is no longer than a line; nothing otherwise.
fn read_tail(file: &mut File, from: u64, line: usize) -> io::Result<Vec<u8>> {
    use std::io::Seek as _;
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    if length > from && length - from <= line as u64 {
        file.seek(io::SeekFrom::Start(from))?;
        file.take(line as u64).read_to_end(&mut tail)?;
    }
    Ok(tail)
}

fn starts_with(file: &mut File, body: &[u8]) -> io::Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    for expected in body.chunks(buffer.len()) {
        let found = buffer
            .get_mut(..expected.len())
            .expect("a chunk is no longer than the buffer");
        match file.read_exact(found) {
            Ok(()) if found == expected => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn c_name(name: &str) -> io::Result<CString> {
    CString::new(name).map_err(io::Error::from)
}

#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod tests;
