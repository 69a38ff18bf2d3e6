//! A disk on which the n-th operation of a kind fails, once or from then on.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::disk::{Disk, DiskFile};

/// What a disk is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`Disk::create`]
    Create,
    /// [`Disk::open`]
    Open,
    /// [`Disk::list`]
    List,
    /// [`Disk::rename`]
    Rename,
    /// [`Disk::remove`]
    Remove,
    /// [`Disk::create_dir_all`]
    CreateDir,
    /// [`Disk::sync_dir`]
    SyncDir,
    /// [`Disk::available`]
    Available,
    /// [`DiskFile::read_at`]
    Read,
    /// [`DiskFile::write_all_at`]
    Write,
    /// [`DiskFile::sync_data`]
    SyncData,
    /// [`DiskFile::set_len`]
    SetLen,
    /// [`DiskFile::size`]
    Size,
    /// [`DiskFile::allocate`]
    Allocate,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The device does not answer.
    Eio,
    /// No space.
    Enospc,
    /// The quota is used up.
    Edquot,
    /// Too many open files.
    Emfile,
    /// Half of a write is written, then the device does not answer.
    ShortWrite,
    /// Half of a write is written, then there is no space.
    ShortFull,
}

/// Which operation fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// The kind that fails.
    pub operation: Operation,
    /// The first one that fails, counted from 0.
    pub nth: u64,
    /// With what.
    pub fault: Fault,
    /// Whether every later one of the kind fails too.
    pub sticky: bool,
}

/// Passes everything on to another disk, until it fails.
#[derive(Clone)]
pub struct FaultDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    failing: Option<Failing>,
    counts: BTreeMap<Operation, u64>,
    struck: u64,
    operations: u64,
    /// Operations when a `sync_data` last worked, before one failed.
    last_sync: u64,
    sync_failed: bool,
    synced_again: bool,
}

impl Operation {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Create,
        Self::Open,
        Self::List,
        Self::Rename,
        Self::Remove,
        Self::CreateDir,
        Self::SyncDir,
        Self::Available,
        Self::Read,
        Self::Write,
        Self::SyncData,
        Self::SetLen,
        Self::Size,
        Self::Allocate,
    ];

    /// The faults that this kind of operation can show.
    pub fn faults(self) -> &'static [Fault] {
        match self {
            Self::Create | Self::CreateDir => {
                &[Fault::Eio, Fault::Enospc, Fault::Edquot, Fault::Emfile]
            }
            Self::Open | Self::List => &[Fault::Eio, Fault::Emfile],
            Self::Rename | Self::Allocate | Self::SyncData | Self::SyncDir | Self::SetLen => {
                &[Fault::Eio, Fault::Enospc, Fault::Edquot]
            }
            Self::Write => &[
                Fault::Eio,
                Fault::Enospc,
                Fault::Edquot,
                Fault::ShortWrite,
                Fault::ShortFull,
            ],
            Self::Remove | Self::Available | Self::Read | Self::Size => &[Fault::Eio],
        }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        let number = match self {
            Self::Eio | Self::ShortWrite => rustix::io::Errno::IO,
            Self::Enospc | Self::ShortFull => rustix::io::Errno::NOSPC,
            Self::Edquot => rustix::io::Errno::DQUOT,
            Self::Emfile => rustix::io::Errno::MFILE,
        };
        number.into()
    }

    fn writes_half(self) -> bool {
        matches!(self, Self::ShortWrite | Self::ShortFull)
    }
}

impl FaultDisk {
    /// `inner`, failing as `failing` says; without it only counting.
    pub fn new(inner: Arc<dyn Disk>, failing: Option<Failing>) -> Self {
        let plan = Plan {
            failing,
            ..Plan::default()
        };
        Self {
            inner,
            plan: Arc::new(Mutex::new(plan)),
        }
    }

    /// From now on it fails as `failing` says, counted from here, or does not fail.
    pub fn fail(&self, failing: Option<Failing>) {
        let mut plan = self.plan();
        let so_far = |kind| plan.counts.get(&kind).copied().unwrap_or(0);
        plan.failing = failing.map(|failing| Failing {
            nth: failing.nth + so_far(failing.operation),
            ..failing
        });
    }

    /// Operations so far, by kind, failed ones included.
    pub fn counts(&self) -> BTreeMap<Operation, u64> {
        self.plan().counts.clone()
    }

    /// How many operations have failed.
    pub fn struck(&self) -> u64 {
        self.plan().struck
    }

    /// Operations so far, of all kinds.
    pub fn operations(&self) -> u64 {
        self.plan().operations
    }

    /// If a `sync_data` has failed: operations when one last worked before it.
    pub fn sync_failed(&self) -> Option<u64> {
        let plan = self.plan();
        plan.sync_failed.then_some(plan.last_sync)
    }

    /// Whether a file whose sync had failed was synced again through the same handle.
    pub fn synced_again(&self) -> bool {
        self.plan().synced_again
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the operation and says how it fails, if it does.
    fn strikes(&self, operation: Operation) -> Option<Fault> {
        let mut plan = self.plan();
        plan.operations += 1;
        let count = plan.counts.entry(operation).or_default();
        let nth = *count;
        *count += 1;
        let failing = plan.failing.filter(|failing| {
            let reached = nth == failing.nth || failing.sticky && nth > failing.nth;
            failing.operation == operation && reached
        });
        let Some(failing) = failing else {
            if operation == Operation::SyncData && !plan.sync_failed {
                plan.last_sync = plan.operations;
            }
            return None;
        };
        plan.struck += 1;
        plan.sync_failed |= operation == Operation::SyncData;
        Some(failing.fault)
    }

    fn pass(&self, operation: Operation) -> io::Result<()> {
        self.strikes(operation)
            .map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn file(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let disk = self.clone();
        let failed = AtomicBool::new(false);
        Box::new(FaultFile {
            inner,
            disk,
            failed,
        })
    }
}

struct FaultFile {
    inner: Box<dyn DiskFile>,
    disk: FaultDisk,
    /// A sync of it has failed.
    failed: AtomicBool,
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.pass(Operation::Create)?;
        Ok(self.file(self.inner.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.pass(Operation::Open)?;
        Ok(self.file(self.inner.open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.pass(Operation::List)?;
        self.inner.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Operation::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::Remove)?;
        self.inner.remove(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.pass(Operation::CreateDir)?;
        self.inner.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.pass(Operation::SyncDir)?;
        self.inner.sync_dir(dir)
    }

    fn available(&self, dir: &Path) -> io::Result<u64> {
        self.pass(Operation::Available)?;
        self.inner.available(dir)
    }
}

impl DiskFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.pass(Operation::Read)?;
        self.inner.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(fault) = self.disk.strikes(Operation::Write) else {
            return self.inner.write_all_at(bytes, offset);
        };
        if fault.writes_half() {
            self.inner.write_all_at(&bytes[..bytes.len() / 2], offset)?;
        }
        Err(fault.error())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            self.disk.plan().synced_again = true;
        }
        let passed = self.disk.pass(Operation::SyncData);
        self.failed.fetch_or(passed.is_err(), Ordering::Relaxed);
        passed?;
        self.inner.sync_data()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.pass(Operation::SetLen)?;
        self.inner.set_len(length)
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.pass(Operation::Size)?;
        self.inner.size()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.disk.pass(Operation::Allocate)?;
        self.inner.allocate(length)
    }
}
