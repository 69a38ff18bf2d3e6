//! The work that nobody waits for: index files, the next segment's zeros, merging filters, scrubbing.
//!
//! It runs on a thread of its own, one job at a time, or at once where a test wants every operation of
//! the disk in order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::disk::DiskFile;
use super::files::{Files, Kind};
use super::ids::{Filter, IdMap};
use super::index::{IndexFile, SegmentEnd, SegmentIndex};
use super::mark::is_full;
use super::scan::check_batches;
use super::segment::Segment;
use super::space::Free;

/// Something to be done.
pub(super) enum Job {
    /// Write the index file of an ended segment.
    Index {
        segment: Arc<Segment>,
        index: SegmentIndex,
        ids: Arc<IdMap>,
        end: SegmentEnd,
    },
    /// Make a file of zeros ready.
    Fill { path: PathBuf, length: u64 },
    /// Make one filter of many.
    Merge {
        segments: Vec<u64>,
        indexes: Vec<(u64, Arc<IndexFile>)>,
        level: u32,
    },
    /// Read a part of a segment and check it.
    Scrub {
        segment: Arc<Segment>,
        from: u64,
        end: u64,
        index: Option<Arc<IndexFile>>,
    },
}

/// What became of it.
pub(super) enum Done {
    Indexed(u64, Result<(IndexFile, Filter), JobError>),
    Filled(Result<Free, JobError>),
    Merged(Vec<u64>, io::Result<Filter>),
    Scrubbed(Scrubbed),
}

/// Why a file was not made.
pub(super) enum JobError {
    /// There was no room for it, which passes.
    NoRoom,
    /// The disk is not what it was: no write to it can be trusted any more.
    Final(io::Error),
}

impl JobError {
    /// The error of an operation that asks for room.
    pub(super) fn of_room(error: io::Error) -> Self {
        if is_full(&error) {
            Self::NoRoom
        } else {
            Self::Final(error)
        }
    }
}

/// How far a scrub came.
pub(super) struct Scrubbed {
    pub(super) segment: u64,
    /// Where it goes on; none when the segment is done.
    pub(super) next: Option<u64>,
    pub(super) sound: bool,
    pub(super) bytes: u64,
}

/// Who does the jobs.
pub(super) struct Keeper {
    files: Arc<Files>,
    thread: Option<(Sender<Job>, JoinHandle<()>)>,
    done: Receiver<Done>,
    finished: Sender<Done>,
}

impl Keeper {
    /// A keeper with a thread, or one that does everything at once.
    pub(super) fn start(files: Arc<Files>, has_thread: bool) -> io::Result<Self> {
        let (finished, done) = channel();
        let thread = if has_thread {
            let (jobs, queue) = channel::<Job>();
            let (files, finished) = (Arc::clone(&files), finished.clone());
            let work = move || {
                for job in queue {
                    if finished.send(run(&files, job)).is_err() {
                        return;
                    }
                }
            };
            let builder = std::thread::Builder::new().name("qc-store-keeper".to_owned());
            Some((jobs, builder.spawn(work)?))
        } else {
            None
        };
        Ok(Self {
            files,
            thread,
            done,
            finished,
        })
    }

    /// Queues a job, or does it.
    pub(super) fn ask(&self, job: Job) {
        match &self.thread {
            Some((jobs, _)) => drop(jobs.send(job)),
            None => drop(self.finished.send(run(&self.files, job))),
        }
    }

    /// A finished job, if there is one.
    pub(super) fn finished(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    /// Waits for what is under way.
    pub(super) fn stop(&mut self) {
        if let Some((jobs, thread)) = self.thread.take() {
            drop(jobs);
            let _panic_was_logged = thread.join();
        }
    }
}

/// Bytes that one scrub job reads.
const SCRUB: u64 = 4 << 20;

fn run(files: &Files, job: Job) -> Done {
    match job {
        Job::Index {
            segment,
            index,
            ids,
            end,
        } => {
            let number = segment.header.number;
            let (disk, dir) = (files.disk.as_ref(), files.dir.as_path());
            let written = IndexFile::write(disk, dir, &segment, &index, &ids, end);
            Done::Indexed(number, written)
        }
        Job::Fill { path, length } => Done::Filled(fill(files, path, length)),
        Job::Merge {
            segments,
            indexes,
            level,
        } => {
            let merged = merge(files, &segments, &indexes, level);
            Done::Merged(segments, merged)
        }
        Job::Scrub {
            segment,
            from,
            end,
            index,
        } => Done::Scrubbed(scrub(files, &segment, from, end, index.as_deref())),
    }
}

fn fill(files: &Files, path: PathBuf, length: u64) -> Result<Free, JobError> {
    let file = files.disk.create(&path).map_err(JobError::of_room)?;
    let filled = file
        .allocate(length)
        .map_err(JobError::of_room)
        .and_then(|()| fill_slowly(file.as_ref(), length));
    if let Err(error) = filled {
        drop(file);
        files.disk.remove(&path).map_err(JobError::of_room)?;
        return Err(error);
    }
    let file = file.into();
    Ok(Free { path, file, length })
}

/// Zeros that stand in the cache before they are written out.
const SYNC_EVERY: u64 = 8 << 20;

/// Writes zeros a little at a time, so that the log's own writes are not kept waiting.
fn fill_slowly(file: &dyn DiskFile, length: u64) -> Result<(), JobError> {
    let zeros = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        let step = (zeros.len() as u64).min(length - at);
        let part = zeros.get(..usize::try_from(step).unwrap_or(0));
        file.write_all_at(part.unwrap_or_default(), at)
            .map_err(JobError::of_room)?;
        at += step;
        if at.is_multiple_of(SYNC_EVERY) || at == length {
            file.sync_data().map_err(JobError::Final)?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn merge(
    files: &Files,
    segments: &[u64],
    indexes: &[(u64, Arc<IndexFile>)],
    level: u32,
) -> io::Result<Filter> {
    let count = indexes.iter().map(|(_, index)| index.id_count()).sum();
    let mut filter = Filter::with_room(count, segments.to_vec(), level);
    for (number, index) in indexes {
        let file = files.get(Kind::Index, *number)?;
        index
            .ids(file.as_ref())?
            .iter()
            .for_each(|id| filter.insert(id));
    }
    Ok(filter)
}

fn scrub(
    files: &Files,
    segment: &Segment,
    from: u64,
    end: u64,
    index: Option<&IndexFile>,
) -> Scrubbed {
    let number = segment.header.number;
    let check = || {
        let file = files.get(Kind::Segment, number)?;
        let next = check_batches(file.as_ref(), segment, from, end, SCRUB)?;
        if let (None, Some(index)) = (next, index) {
            index.check(files.get(Kind::Index, number)?.as_ref())?;
        }
        Ok(next)
    };
    let checked: io::Result<Option<u64>> = check();
    let next = checked.as_ref().ok().copied().flatten();
    Scrubbed {
        segment: number,
        next,
        sound: checked.is_ok(),
        bytes: next.unwrap_or(end).saturating_sub(from),
    }
}
