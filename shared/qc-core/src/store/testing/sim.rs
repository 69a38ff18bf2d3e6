//! A disk in memory that knows what is durable and what is not.
//!
//! Until `sync_data` a write may be lost, kept or torn at 512-byte sectors, whatever became of the
//! writes around it; until `sync_dir` a name may be as it was, as it is, or as it was in between, each
//! name by itself (a rename may leave both names or none). What a power cut leaves is `super::crash`'s
//! to enumerate. Copies share their pages, so a disk with its whole past costs little more than one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::crash::{Fate, Snapshot};
use super::pages::Pages;
use crate::store::disk::{Disk, DiskFile};

/// A simulated disk; a clone is the same disk.
#[derive(Clone, Default)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    state: State,
    operations: u64,
    stop_after: Option<u64>,
    capacity: Option<u64>,
    past: Option<Vec<Snapshot>>,
    writes: Vec<(u64, Written)>,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Written {
    /// The file's name at the end.
    pub path: Arc<Path>,
    /// Which operation it was.
    pub operation: u64,
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
}

/// A path by its bytes: paths themselves are compared part by part, which takes ten times as long.
pub(super) type Name = Arc<OsStr>;

/// Files and names, with what is not durable of them.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<u64, Arc<Content>>,
    pub(super) names: BTreeMap<Name, u64>,
    /// What each name has stood for since its directory was synced, oldest first, the present last.
    pub(super) unsettled: BTreeMap<Name, Vec<Option<u64>>>,
    pub(super) dirs: BTreeSet<Name>,
    next: u64,
}

/// Changes of a file that may be pending at once.
const MOST_PENDING: usize = 48;

/// One file.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) durable: Pages,
    pub(super) current: Pages,
    /// The changes between the two, oldest first.
    pub(super) pending: Vec<Change>,
}

/// What an operation did to a file.
#[derive(Clone)]
pub(super) enum Change {
    Write(u64, Arc<[u8]>),
    Length(u64),
}

impl SimDisk {
    /// A disk that holds exactly `state`.
    pub(super) fn of(state: State) -> Self {
        let shared = Shared {
            state,
            ..Shared::default()
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Lets `n` more operations work; every one after that fails.
    pub fn stop_after(&self, n: u64) {
        let mut shared = self.lock();
        shared.stop_after = Some(shared.operations + n);
    }

    /// Limits the bytes that all files may have together.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// From now on keeps what the disk is after every operation that changes it.
    pub fn keep_past(&self) {
        let mut shared = self.lock();
        let now = shared.snapshot("begin");
        shared.past = Some(vec![now]);
    }

    /// What was kept since [`Self::keep_past`].
    pub fn take_past(&self) -> Vec<Snapshot> {
        self.lock().past.take().unwrap_or_default()
    }

    /// The disk as it is.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot("now")
    }

    /// A disk of its own with the same content, durable or not.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.lock().state.clone())
    }

    /// Makes everything durable, as time does.
    pub fn settle(&self) {
        let mut shared = self.lock();
        for content in shared.state.files.values_mut() {
            let content = Arc::make_mut(content);
            content.durable = content.current.clone();
            content.pending.clear();
        }
        shared.state.unsettled.clear();
    }

    /// What a power cut leaves, chosen by `rng`.
    #[must_use]
    pub fn crash(&self, rng: &mut fastrand::Rng) -> Self {
        let snapshot = self.snapshot();
        let fate = Fate::drawn(&snapshot, rng);
        snapshot.image(&fate).disk
    }

    /// What is left when everything that is not durable is lost.
    #[must_use]
    pub fn lose_unsynced(&self) -> Self {
        let snapshot = self.snapshot();
        snapshot.image(&Fate::nothing(&snapshot)).disk
    }

    /// Changes one byte of a file, as a failing disk does.
    pub fn corrupt(&self, path: &Path, at: usize, flip: u8) {
        self.replace(path, |content| {
            let mut byte = [0];
            assert_eq!(content.read(&mut byte, at as u64), 1, "inside the file");
            content.write(&[byte[0] ^ flip], at as u64);
        });
    }

    /// Has the 4 KiB pages of a file from `from` to `to` fail when they are read, now and after every
    /// reopening, until they are written as a whole.
    pub fn spoil(&self, path: &Path, from: u64, to: u64) {
        self.replace(path, |content| content.spoil(from, to));
    }

    /// Overwrites a part of a file durably and behind the store's back.
    pub fn put(&self, path: &Path, bytes: &[u8], offset: u64) {
        self.replace(path, |content| content.write(bytes, offset));
    }

    /// Cuts or extends a file durably and behind the store's back.
    pub fn cut(&self, path: &Path, length: u64) {
        self.replace(path, |content| content.set_len(length));
    }

    /// The length of a file.
    pub fn length(&self, path: &Path) -> u64 {
        let shared = self.lock();
        let state = &shared.state;
        state.files[&state.names[path.as_os_str()]].current.len()
    }

    /// The content of a file.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let shared = self.lock();
        let state = &shared.state;
        state.files[&state.names[path.as_os_str()]].current.to_vec()
    }

    /// Removes a file durably and behind the store's back.
    pub fn lose(&self, path: &Path) {
        let mut shared = self.lock();
        shared.state.names.remove(path.as_os_str());
        shared.state.unsettled.remove(path.as_os_str());
    }

    /// Every write that [`Self::keep_past`] saw to a file that still has a name.
    pub fn writes(&self) -> Vec<Written> {
        let shared = self.lock();
        let names = &shared.state.names;
        let path = |id| {
            names
                .iter()
                .find(|(_, of)| **of == id)
                .map(|(name, _)| Path::new(name).into())
        };
        let named = |(id, written): &(u64, Written)| {
            let path = path(*id)?;
            Some(Written {
                path,
                ..written.clone()
            })
        };
        shared.writes.iter().filter_map(named).collect()
    }

    /// Every file's path, in order.
    pub fn paths(&self) -> Vec<Arc<Path>> {
        let shared = self.lock();
        let names = shared.state.names.keys();
        names.map(|name| Path::new(name).into()).collect()
    }

    fn replace(&self, path: &Path, change: impl FnOnce(&mut Pages)) {
        let mut shared = self.lock();
        let id = shared.state.names[path.as_os_str()];
        let content = shared.state.content(id);
        change(&mut content.current);
        content.durable = content.current.clone();
        content.pending.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, Shared>> {
        let mut shared = self.lock();
        if shared
            .stop_after
            .is_some_and(|stop| shared.operations >= stop)
        {
            return Err(io::Error::other("the machine has stopped"));
        }
        shared.operations += 1;
        Ok(shared)
    }

    fn file(&self, id: u64) -> Box<dyn DiskFile> {
        let disk = self.clone();
        Box::new(SimFile { disk, id })
    }
}

impl Shared {
    fn snapshot(&self, after: &'static str) -> Snapshot {
        Snapshot {
            operation: self.operations,
            after,
            state: self.state.clone(),
        }
    }

    /// Ends an operation that changed something.
    fn changed(&mut self, operation: &'static str) {
        if self.past.is_some() {
            let now = self.snapshot(operation);
            self.past.iter_mut().for_each(|past| past.push(now.clone()));
        }
    }

    fn room(&self) -> Option<u64> {
        let used = |id| self.state.files[id].current.len();
        self.capacity
            .map(|capacity| capacity.saturating_sub(self.state.names.values().map(used).sum()))
    }
}

impl State {
    /// The same directories without a file in them.
    pub(super) fn empty(&self) -> Self {
        Self {
            dirs: self.dirs.clone(),
            next: self.next,
            ..Self::default()
        }
    }

    fn content(&mut self, id: u64) -> &mut Content {
        Arc::make_mut(self.files.get_mut(&id).unwrap())
    }

    fn bind(&mut self, path: &Path, id: Option<u64>) {
        let path: Name = path.as_os_str().into();
        let before = match id {
            Some(id) => self.names.insert(Arc::clone(&path), id),
            None => self.names.remove(&path),
        };
        let stood_for = self.unsettled.entry(path).or_insert_with(|| vec![before]);
        stood_for.push(id);
    }
}

impl Content {
    /// No page cache keeps everything back for ever: of many changes the older half is on the disk.
    fn write_back(&mut self) {
        if self.pending.len() > MOST_PENDING {
            for change in self.pending.drain(..MOST_PENDING / 2) {
                change.apply(&mut self.durable);
            }
        }
    }
}

impl Change {
    /// Length of a file that was empty before.
    fn end(&self) -> u64 {
        match self {
            Self::Length(length) => *length,
            Self::Write(offset, bytes) => offset + bytes.len() as u64,
        }
    }

    fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::Length(_) => None,
            Self::Write(offset, _) => Some((*offset, self.end())),
        }
    }

    pub(super) fn apply(&self, content: &mut Pages) {
        match self {
            Self::Length(length) => content.set_len(*length),
            Self::Write(offset, bytes) => content.write(bytes, *offset),
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut shared = self.operate()?;
        if shared.state.names.contains_key(path.as_os_str()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        shared.state.next += 1;
        let id = shared.state.next;
        shared.state.files.insert(id, Arc::default());
        shared.state.bind(path, Some(id));
        shared.changed("create");
        Ok(self.file(id))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let shared = self.operate()?;
        let id = shared.state.names.get(path.as_os_str());
        Ok(self.file(*id.ok_or(io::ErrorKind::NotFound)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let shared = self.operate()?;
        let all = shared.state.names.keys().chain(&shared.state.dirs);
        let inside = all.filter_map(|path| inside(path, dir));
        Ok(inside.map(str::to_owned).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut shared = self.operate()?;
        let id = *shared
            .state
            .names
            .get(from.as_os_str())
            .ok_or(io::ErrorKind::NotFound)?;
        shared.state.bind(from, None);
        shared.state.bind(to, Some(id));
        shared.changed("rename");
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut shared = self.operate()?;
        if !shared.state.names.contains_key(path.as_os_str()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        shared.state.bind(path, None);
        shared.changed("remove");
        Ok(())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut shared = self.operate()?;
        shared.state.dirs.insert(dir.as_os_str().into());
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut shared = self.operate()?;
        let elsewhere = |path: &Name, _: &mut _| inside(path, dir).is_none();
        shared.state.unsettled.retain(elsewhere);
        shared.changed("sync_dir");
        Ok(())
    }

    fn available(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.operate()?.room().unwrap_or(u64::MAX))
    }
}

/// The name that `path` has in `dir`, if it is there.
fn inside<'a>(path: &'a OsStr, dir: &Path) -> Option<&'a str> {
    let below = path
        .as_encoded_bytes()
        .strip_prefix(dir.as_os_str().as_encoded_bytes())?;
    let name = std::str::from_utf8(below.strip_prefix(b"/")?).ok()?;
    (!name.contains('/')).then_some(name)
}

struct SimFile {
    disk: SimDisk,
    id: u64,
}

impl SimFile {
    fn change(&self, operation: &'static str, change: Change) -> io::Result<()> {
        let mut shared = self.disk.operate()?;
        let room = shared.room();
        let content = shared.state.content(self.id);
        let grows = change.end().saturating_sub(content.current.len());
        if room.is_some_and(|room| grows > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Change::Write(offset, bytes) = &change
            && content.current.fails_to_write(*offset, bytes.len())
        {
            return Err(rustix::io::Errno::IO.into());
        }
        change.apply(&mut content.current);
        let written = change.place();
        content.pending.push(change);
        content.write_back();
        if let Some((from, to)) = written.filter(|_| shared.past.is_some()) {
            let written = Written {
                path: Path::new("").into(),
                operation: shared.operations,
                from,
                to,
            };
            shared.writes.push((self.id, written));
        }
        shared.changed(operation);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let shared = self.disk.operate()?;
        let content = &shared.state.files[&self.id].current;
        if content.fails(offset, buffer.len()) {
            return Err(rustix::io::Errno::IO.into());
        }
        Ok(content.read(buffer, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change("write", Change::Write(offset, bytes.into()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut shared = self.disk.operate()?;
        let content = shared.state.content(self.id);
        content.durable = content.current.clone();
        content.pending.clear();
        shared.changed("sync_data");
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change("set_len", Change::Length(length))
    }

    fn size(&self) -> io::Result<u64> {
        let shared = self.disk.operate()?;
        Ok(shared.state.files[&self.id].current.len())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let grown = self.size()?.max(length);
        self.change("allocate", Change::Length(grown))
    }
}
