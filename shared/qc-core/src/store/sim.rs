//! A disk in memory with a crash model, for tests.
//!
//! Until `sync_data` a write may be lost, kept, or torn at a 512-byte sector, each by chance and in
//! any order; until `sync_dir` a name may be as it was or as it is. Any operation can be made the last
//! one that works.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Disk, DiskFile};

#[derive(Clone, Default)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    next: u64,
    operations: u64,
    stop_after: Option<u64>,
    capacity: Option<u64>,
}

#[derive(Default, Clone)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl SimDisk {
    /// Operations so far.
    pub(super) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Lets `n` more operations work; every one after that fails.
    pub(super) fn stop_after(&self, n: u64) {
        let mut state = self.lock();
        state.stop_after = Some(state.operations + n);
    }

    /// Limits the bytes that all files may have together.
    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// What a power cut leaves, chosen by `rng`.
    pub(super) fn crash(&self, rng: &mut fastrand::Rng) -> Self {
        let state = self.lock();
        let mut after = State {
            next: state.next,
            ..State::default()
        };
        let paths: std::collections::BTreeSet<_> = state
            .names
            .keys()
            .chain(state.durable_names.keys())
            .collect();
        for path in paths {
            let names = if rng.bool() {
                &state.names
            } else {
                &state.durable_names
            };
            if let Some(id) = names.get(path) {
                after.names.insert(path.clone(), *id);
                let mut content = state.files[id].durable.clone();
                for change in &state.files[id].pending {
                    if rng.bool() {
                        change.apply(&mut content, rng.bool().then_some(rng));
                    }
                }
                let current = content.clone();
                after.files.insert(
                    *id,
                    Content {
                        durable: content,
                        current,
                        pending: Vec::new(),
                    },
                );
            }
        }
        after.durable_names = after.names.clone();
        Self {
            state: Arc::new(Mutex::new(after)),
        }
    }

    /// Changes one byte of a file, as a failing disk does.
    pub(super) fn corrupt(&self, path: &Path, at: usize, flip: u8) {
        let mut state = self.lock();
        let id = state.names[path];
        let content = state.files.get_mut(&id).unwrap();
        content.current[at] ^= flip;
        content.durable = content.current.clone();
    }

    /// The content of a file.
    pub(super) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        state.files[&state.names[path]].current.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operate(&self) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state
            .stop_after
            .is_some_and(|stop| state.operations >= stop)
        {
            return Err(io::Error::other("the machine has stopped"));
        }
        state.operations += 1;
        Ok(state)
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names
            .values()
            .map(|id| self.files[id].current.len() as u64)
            .sum()
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

    fn apply(&self, content: &mut Vec<u8>, tear: Option<&mut fastrand::Rng>) {
        match self {
            Self::Length(length) => content.resize(usize::try_from(*length).unwrap(), 0),
            Self::Write(offset, bytes) => {
                let offset = usize::try_from(*offset).unwrap();
                let kept = tear.map_or(bytes.len(), |rng| {
                    let sectors = bytes.len().div_ceil(512);
                    (rng.usize(0..=sectors) * 512).min(bytes.len())
                });
                if kept > 0 && content.len() < offset + kept {
                    content.resize(offset + kept, 0);
                }
                if kept > 0 {
                    content[offset..offset + kept].copy_from_slice(&bytes[..kept]);
                }
            }
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.operate()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.next += 1;
        let id = state.next;
        state.files.insert(id, Content::default());
        state.names.insert(path.to_owned(), id);
        Ok(Box::new(SimFile {
            disk: self.clone(),
            id,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.operate()?;
        let id = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            id,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.operate()?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state
            .names
            .remove(path)
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        self.operate().map(|_| ())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let names = state.names.clone();
        state
            .durable_names
            .retain(|path, _| path.parent() != Some(dir));
        state.durable_names.extend(
            names
                .into_iter()
                .filter(|(path, _)| path.parent() == Some(dir)),
        );
        Ok(())
    }

    fn available(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.operate()?;
        Ok(state
            .capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

struct SimFile {
    disk: SimDisk,
    id: u64,
}

impl SimFile {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.disk.operate()?;
        let room = state
            .capacity
            .map(|capacity| capacity.saturating_sub(state.used()));
        let content = state.files.get_mut(&self.id).unwrap();
        let grows = change.end().saturating_sub(content.current.len() as u64);
        if room.is_some_and(|room| grows > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change.apply(&mut content.current, None);
        content.pending.push(change);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.operate()?;
        let current = &state.files[&self.id].current;
        let rest = current
            .get(usize::try_from(offset).unwrap()..)
            .unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Change::Write(offset, bytes.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.operate()?;
        let content = state.files.get_mut(&self.id).unwrap();
        content.durable = content.current.clone();
        content.pending.clear();
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.operate()?.files[&self.id].current.len() as u64)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let grown = self.size()?.max(length);
        self.change(Change::Length(grown))
    }
}
