//! The disk under the workload: the real one, which also says at every moment what is being done to it,
//! so that a kill can be counted under what it interrupted.
//!
//! What is said goes into a small file with one byte a kind of work: it costs a write of one byte, and it
//! survives a SIGKILL as the store's own pages do.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use qc_core::store::{Disk, DiskFile, RealDisk};

use super::line::Line;
use super::workload::Told;

/// What a process does as a whole, told in byte 0 of the phase file; zero before it says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Recovering = 1,
    Checking = 2,
    Working = 3,
    Ending = 4,
}

/// What is being done to the disk, told in the bytes after it: how many calls are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Work {
    /// Names change towards a new segment.
    Roll = 1,
    /// Names change away from an old one.
    Reclaim = 2,
    /// The durable mark is written.
    Mark = 3,
    /// A segment is written or synced.
    Append = 4,
    /// A segment is read: compaction, or whether an id is there.
    Read = 5,
    /// A file that is no segment is made, filled or synced.
    Prepare = 6,
}

/// Words for the histogram, by urgency: what is under way at once is counted under the first.
const WORDS: [(&str, Work); 6] = [
    ("roll", Work::Roll),
    ("reclaim", Work::Reclaim),
    ("durable mark", Work::Mark),
    ("append", Work::Append),
    ("read back", Work::Read),
    ("prepare ahead", Work::Prepare),
];

/// What the bytes of a phase file say.
pub(super) fn phase(bytes: &[u8]) -> &'static str {
    let byte = |at: u8| bytes.get(usize::from(at)).copied().unwrap_or(0);
    match byte(0) {
        0 => "process start",
        1 => "recovery",
        2 => "read after recovery",
        4 => "close",
        _ => WORDS
            .iter()
            .find(|(_, work)| byte(*work as u8) > 0)
            .map_or("between commits", |(word, _)| word),
    }
}

/// Makes a harness fail on purpose, so that it is seen to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Break {
    /// Acknowledge before the append returned
    EarlyAck,
    /// Let every sync do nothing
    NoSync,
    /// Go on after a failed fdatasync as if it had succeeded
    DeafSync,
    /// Remove the newest segment before each opening
    LoseSegment,
    /// Damage another bit than the one that is told of
    OtherBit,
}

impl Break {
    /// The word of the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::EarlyAck => "early-ack",
            Self::NoSync => "no-sync",
            Self::DeafSync => "deaf-sync",
            Self::LoseSegment => "lose-segment",
            Self::OtherBit => "other-bit",
        }
    }
}

/// The phase file of a process, or nothing.
#[derive(Debug)]
pub(super) struct Phases {
    file: Option<File>,
    counts: [AtomicU8; 8],
}

impl Phases {
    pub(super) fn into(file: Option<File>) -> Self {
        Self {
            file,
            counts: Default::default(),
        }
    }

    pub(super) fn enter(&self, state: State) {
        self.put(0, state as u8);
    }

    fn put(&self, at: u8, value: u8) {
        if let Some(file) = &self.file {
            let _only_the_histogram_suffers = file.write_all_at(&[value], u64::from(at));
        }
    }

    /// Does `work` and tells so while it lasts.
    fn during<T>(&self, work: Work, act: impl FnOnce() -> T) -> T {
        let Some(count) = self
            .counts
            .get(work as usize)
            .filter(|_| self.file.is_some())
        else {
            return act();
        };
        self.put(work as u8, count.fetch_add(1, Ordering::Relaxed) + 1);
        let done = act();
        self.put(work as u8, count.fetch_sub(1, Ordering::Relaxed) - 1);
        done
    }
}

/// The real disk, watched.
pub(super) struct Watched {
    shared: Arc<Shared>,
}

struct Shared {
    phases: Arc<Phases>,
    told: Told,
    broken: Option<Break>,
    /// Files by their name of today.
    files: Mutex<HashMap<PathBuf, Arc<Fate>>>,
    reclaims: AtomicBool,
    sync_failed: Arc<AtomicBool>,
}

/// What is known of one file, whatever name it has.
#[derive(Default)]
struct Fate {
    name: Mutex<String>,
    sync_failed: AtomicBool,
}

impl Fate {
    fn name(&self) -> String {
        self.name
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg")
}

fn work_on(name: &str) -> Work {
    if is_segment(Path::new(name)) {
        Work::Append
    } else if name == "durable.mark" {
        Work::Mark
    } else {
        Work::Prepare
    }
}

impl Watched {
    /// `sync_failed` is set when a segment's `fdatasync` fails.
    pub(super) fn new(
        phases: Arc<Phases>,
        told: Told,
        broken: Option<Break>,
        sync_failed: Arc<AtomicBool>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                phases,
                told,
                broken,
                files: Mutex::default(),
                reclaims: AtomicBool::new(false),
                sync_failed,
            }),
        }
    }

    fn file(&self, path: &Path, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let fate = Arc::clone(self.files().entry(path.to_owned()).or_default());
        *fate.name.lock().unwrap_or_else(PoisonError::into_inner) = name_of(path);
        Box::new(WatchedFile {
            inner,
            fate,
            shared: Arc::clone(&self.shared),
        })
    }

    fn files(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<Fate>>> {
        self.shared
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `act`, a change of names: `away` when it takes a segment out of use.
    fn rename_phase<T>(&self, away: bool, act: impl FnOnce() -> T) -> T {
        self.shared.reclaims.store(away, Ordering::Relaxed);
        let work = if away { Work::Reclaim } else { Work::Roll };
        self.shared.phases.during(work, act)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

impl Disk for Watched {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let work = work_on(&name_of(path));
        let inner = self.shared.phases.during(work, || RealDisk.create(path))?;
        self.files().remove(path);
        Ok(self.file(path, inner))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inner = RealDisk.open(path)?;
        Ok(self.file(path, inner))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let away = is_segment(from) && !is_segment(to);
        self.rename_phase(away, || RealDisk.rename(from, to))?;
        let mut files = self.files();
        if let Some(fate) = files.remove(from) {
            *fate.name.lock().unwrap_or_else(PoisonError::into_inner) = name_of(to);
            if is_segment(to) && fate.sync_failed.load(Ordering::Relaxed) {
                let what = format!(
                    "{} became a segment after its fdatasync failed",
                    name_of(from)
                );
                self.shared.told.say(&Line::Wrong(what));
            }
            files.insert(to.to_owned(), fate);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !is_segment(path) {
            return self
                .shared
                .phases
                .during(Work::Prepare, || RealDisk.remove(path));
        }
        self.rename_phase(true, || RealDisk.remove(path))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.shared.broken == Some(Break::NoSync) {
            return Ok(());
        }
        let away = self.shared.reclaims.load(Ordering::Relaxed);
        self.rename_phase(away, || RealDisk.sync_dir(dir))
    }

    fn available(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.available(dir)
    }
}

struct WatchedFile {
    inner: Box<dyn DiskFile>,
    fate: Arc<Fate>,
    shared: Arc<Shared>,
}

impl WatchedFile {
    fn during<T>(&self, act: impl FnOnce() -> T) -> T {
        // the name is asked for only where somebody listens
        if self.shared.phases.file.is_none() {
            return act();
        }
        self.shared.phases.during(work_on(&self.fate.name()), act)
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.shared
            .phases
            .during(Work::Read, || self.inner.read_at(buffer, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.during(|| self.inner.write_all_at(bytes, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.shared.broken == Some(Break::NoSync) {
            return Ok(());
        }
        let name = self.fate.name();
        if self.fate.sync_failed.load(Ordering::Relaxed) {
            let what = format!("fdatasync of {name} was tried again after it had failed");
            self.shared.told.say(&Line::Wrong(what));
        }
        let synced = self.during(|| self.inner.sync_data());
        if synced.is_err() {
            self.shared.told.say(&Line::SyncFailed(name.clone()));
            self.fate.sync_failed.store(true, Ordering::SeqCst);
            if is_segment(Path::new(&name)) {
                self.shared.sync_failed.store(true, Ordering::SeqCst);
            }
            if self.shared.broken == Some(Break::DeafSync) {
                return Ok(());
            }
        }
        synced
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.during(|| self.inner.set_len(length))
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.during(|| self.inner.allocate(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_counted_under_what_is_most_telling() {
        let mut bytes = [0_u8; 8];
        assert_eq!(phase(&bytes), "process start");
        bytes[0] = State::Recovering as u8;
        bytes[Work::Append as usize] = 1;
        assert_eq!(phase(&bytes), "recovery");
        bytes[0] = State::Working as u8;
        assert_eq!(phase(&bytes), "append");
        bytes[Work::Reclaim as usize] = 1;
        assert_eq!(phase(&bytes), "reclaim");
        assert_eq!(phase(&[3]), "between commits");
    }

    #[test]
    fn a_file_that_failed_its_sync_is_followed_through_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let told = Told::kept();
        let disk = Watched::new(
            Arc::new(Phases::into(None)),
            told.clone(),
            None,
            Arc::default(),
        );
        let (aside, segment) = (dir.path().join("spare.tmp"), dir.path().join("1.seg"));
        let file = disk.create(&aside).unwrap();
        file.sync_data().unwrap();
        let files = disk.files();
        files[&aside].sync_failed.store(true, Ordering::Relaxed);
        drop(files);
        file.sync_data().unwrap();
        disk.rename(&aside, &segment).unwrap();
        let said = told.said();
        assert!(said.contains("spare.tmp was tried again"), "{said}");
        assert!(said.contains("became a segment"), "{said}");
    }
}
