//! Opening a log: read what is there, keep what is sound, say what is not, and start a new segment.
//!
//! A segment with an index file beside it is not read, only its header and the first pages of the index
//! are; the last segment has none and is read from beginning to end, so the time to open hardly grows
//! with the log. A tail above the durable mark that does not validate is *torn*: it was never acknowledged, so it is
//! cut. Anything unsound below the mark, before a later sound batch, or that a successor remembers, is
//! *damage*: the bytes are copied to the quarantine, the missing seqs are reported, and the log goes on.
//! Recovery changes nothing that a second run would need, so a crash in the middle of it is harmless.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Keyring;
use super::disk::{Disk, DiskFile};
use super::files::{Files, Kind};
use super::ids::{Filter, IdMap, Ids, scoped};
use super::index::{IndexFile, Piece, Run, SegmentIndex, index_name};
use super::mark::DurableMark;
use super::quarantine::{self, Copied};
use super::report::{Aside, Damage, LostRange, OpenError, OpenReport};
use super::salvage::{self, is_bad_sector};
use super::scan::{ScanEnd, Tail, Visit, apply_table, remembered, scan, scan_tables};
use super::segment::{ChainEnd, FIRST_BATCH, HeaderFault, Segment, SegmentHeader};
use super::space::is_free;
use super::view::{Index, SegmentView, View};
use crate::model::Seq;
use crate::wire::{RECORD_HEADER, RecordHeader, RecordKind};

/// Everything recovery hands to the writer.
pub(super) struct Recovered {
    pub(super) view: View,
    pub(super) ids: Ids,
    pub(super) report: OpenReport,
    pub(super) end: ChainEnd,
    pub(super) next_segment: u64,
    pub(super) next_commit: u64,
    pub(super) store: Option<[u8; 16]>,
    pub(super) mark: Box<dyn DiskFile>,
    /// The highest numbers of a stream and of an origin that may have been given.
    pub(super) taken: (u32, u32),
    /// Ranges that are lost and not yet recorded as gaps.
    pub(super) gaps: Vec<(u32, Seq, Seq)>,
    /// Segments without an index.
    pub(super) unindexed: Vec<u64>,
    /// The names in the directory.
    pub(super) names: Vec<String>,
}

/// The file name of a segment.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016}.seg")
}

const MARK_NAME: &str = "durable.mark";

/// Reads the log in the directory of `files`.
pub(super) fn recover(files: &Files, keys: &Keyring) -> Result<Recovered, OpenError> {
    let (disk, dir) = (files.disk.as_ref(), files.dir.as_path());
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io {
            action,
            path,
            source,
        }
    };
    disk.create_dir_all(dir).map_err(io("create", dir))?;
    let names = disk.list(dir).map_err(io("list", dir))?;
    let mut report = OpenReport::default();
    let found = find_segments(disk, dir, &names, &mut report)?;
    if let Some(error) = found.iter().find_map(|(header, _)| wrong_key(header, keys)) {
        return Err(error);
    }
    let mark_path = dir.join(MARK_NAME);
    let mark_file = if names.iter().any(|name| name == MARK_NAME) {
        disk.open(&mark_path).map_err(io("open", &mark_path))?
    } else {
        let file = disk.create(&mark_path).map_err(io("create", &mark_path))?;
        disk.sync_dir(dir).map_err(io("sync", dir))?;
        file
    };
    DurableMark::reserve(mark_file.as_ref()).map_err(io("reserve", &mark_path))?;
    let (mark_file, mark) = match DurableMark::read(mark_file.as_ref()) {
        Ok(mark) => (mark_file, mark),
        Err(error) if is_bad_sector(&error) => {
            // a write to a part of a page that cannot be read fails as well: another file takes its place
            quarantine::move_file(disk, dir, MARK_NAME).map_err(io("move", &mark_path))?;
            let what = "the disk cannot read the durable mark";
            report.damaged.push(Damage {
                segment: 0,
                offset: 0,
                length: mark_file.size().map_err(io("read", &mark_path))?,
                what,
                known: false,
                aside: Aside::Kept,
            });
            let file = disk.create(&mark_path).map_err(io("create", &mark_path))?;
            disk.sync_dir(dir).map_err(io("sync", dir))?;
            DurableMark::reserve(file.as_ref()).map_err(io("reserve", &mark_path))?;
            (file, DurableMark::default())
        }
        Err(error) => return Err(io("read", &mark_path)(error)),
    };

    let found = of_one_store(disk, dir, found, mark.store, &mut report)
        .map_err(io("move aside in", dir))?;
    let found = with_keys(files, found, keys, &mut report).map_err(io("move aside in", dir))?;
    let newest = found.last().map_or(0, |(segment, _)| segment.header.number);
    if mark.segment > newest {
        report.damaged.push(Damage {
            segment: mark.segment,
            offset: 0,
            length: mark.end,
            what: "the segment is not there",
            known: false,
            aside: Aside::Nothing,
        });
    }
    let state = Recovered {
        view: View::default(),
        ids: Ids::default(),
        report,
        end: ChainEnd::default(),
        next_segment: newest.max(mark.segment).max(highest_name(&names)) + 1,
        next_commit: mark.commit + 1,
        store: None,
        mark: mark_file,
        taken: (0, 0),
        gaps: Vec::new(),
        unindexed: Vec::new(),
        names,
    };
    let mut reading = Reading {
        files,
        mark,
        newest,
        state,
        runs: Vec::new(),
        lost_at_the_end: 0,
        lost_records: 0,
    };
    let mut found = found.into_iter().peekable();
    while let Some((segment, length)) = found.next() {
        let path = dir.join(segment_name(segment.header.number));
        let known = remembered(&segment, found.peek().map(|(next, _)| &next.header));
        let taken = reading.take(segment, length, known);
        taken.map_err(io("read", &path))?;
    }
    reading.remove_orphans();
    reading
        .keep_nameless()
        .map_err(io("keep aside a segment of", dir))?;
    Ok(reading.finish())
}

/// The segments of this store. One of another store under the same key would open, and its messages are
/// none of ours.
fn of_one_store(
    disk: &dyn Disk,
    dir: &Path,
    found: Vec<Found>,
    marked: [u8; 16],
    report: &mut OpenReport,
) -> io::Result<Vec<Found>> {
    let count = |store: &[u8; 16]| {
        found
            .iter()
            .filter(|(header, _)| header.store == *store)
            .count()
    };
    let stores = found.iter().map(|(header, _)| header.store);
    let most = stores.max_by_key(&count).unwrap_or_default();
    let own = if count(&marked) > 0 { marked } else { most };
    let (ours, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(header, _)| header.store == own);
    for (header, length) in others {
        let what = "the segment belongs to another store";
        quarantine::set_aside(disk, dir, header.number, length, what, report)?;
    }
    Ok(ours)
}

/// The segments whose data key opens.
fn with_keys(
    files: &Files,
    found: Vec<Found>,
    keys: &Keyring,
    report: &mut OpenReport,
) -> io::Result<Vec<(Segment, u64)>> {
    let mut segments = Vec::with_capacity(found.len());
    for (header, length) in found {
        let number = header.number;
        if let Some(segment) = Segment::open(header, keys) {
            segments.push((segment, length));
            continue;
        }
        // the header's checksum is sound, and it names our key or none
        let what = "the data key does not open";
        let disk = files.disk.as_ref();
        quarantine::set_aside(disk, &files.dir, number, length, what, report)?;
    }
    report.segments = segments.len() as u64;
    Ok(segments)
}

/// Segment numbers are never used twice, not even those of files that were put aside.
fn highest_name(names: &[String]) -> u64 {
    let numbers = names
        .iter()
        .filter_map(|name| name.get(..16)?.parse::<u64>().ok());
    numbers.max().unwrap_or(0)
}

fn wrong_key(header: &SegmentHeader, keys: &Keyring) -> Option<OpenError> {
    let mut needed = header.node_keys().peekable();
    let first = *needed.peek()?;
    let is_ours = needed.any(|key| keys.get(key).is_some());
    (!is_ours).then(|| OpenError::WrongKey {
        segment: header.number,
        needed: first,
        present: keys.current.id(),
    })
}

/// A segment's header and the length of its file.
type Found = (SegmentHeader, u64);

fn find_segments(
    disk: &dyn Disk,
    dir: &Path,
    names: &[String],
    report: &mut OpenReport,
) -> Result<Vec<Found>, OpenError> {
    let mut found: Vec<Found> = Vec::new();
    let mut unusable = Vec::new();
    for name in names {
        let stem = name.strip_suffix(".seg");
        let number = stem.and_then(|number| number.parse::<u64>().ok());
        let Some(number) = number.filter(|number| segment_name(*number) == *name) else {
            if !is_ours(name) {
                report.foreign.push(name.clone());
            }
            continue;
        };
        let path = dir.join(name);
        let io = |source| OpenError::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let file = disk.open(&path).map_err(io)?;
        let mut page = vec![0; usize::try_from(FIRST_BATCH).unwrap_or(0)];
        let length = file.size().map_err(io)?;
        let read = match file.read_at(&mut page, 0) {
            Err(error) if is_bad_sector(&error) => file.read_at(&mut page, 0),
            read => read,
        };
        let read = match read {
            Err(error) if is_bad_sector(&error) && answers(disk, dir, names) => {
                unusable.push((
                    number,
                    name,
                    length,
                    "the disk cannot read the segment header",
                ));
                continue;
            }
            read => read.map_err(io)?,
        };
        let known = super::segment::FORMAT;
        match SegmentHeader::decode(page.get(..read).unwrap_or_default()) {
            Ok(header) if header.number == number => found.push((header, length)),
            Err(HeaderFault::OtherFormat(format)) if format > known => {
                return Err(OpenError::NewerFormat {
                    segment: number,
                    found: format,
                    known,
                });
            }
            Err(HeaderFault::OtherFormat(format)) => {
                return Err(OpenError::OlderFormat {
                    segment: number,
                    found: format,
                    known,
                });
            }
            Ok(_) | Err(HeaderFault::NotASegment | HeaderFault::Damaged) => {
                unusable.push((number, name, length, "the segment header is damaged"));
            }
        }
    }
    // only now, when no other format was seen, may anything be moved
    for (segment, name, length, what) in unusable {
        let move_aside = |source| OpenError::Io {
            action: "move",
            path: dir.join(name),
            source,
        };
        quarantine::set_aside(disk, dir, segment, length, what, report).map_err(move_aside)?;
    }
    report.foreign.sort();
    found.sort_by_key(|(header, _)| header.number);
    Ok(found)
}

/// Whether anything of any of the files in `dir` can be read: else it is the disk that has failed, and
/// nothing is known of what stands on it.
fn answers(disk: &dyn Disk, dir: &Path, names: &[String]) -> bool {
    names.iter().any(|name| {
        let file = disk.open(&dir.join(name)).ok();
        file.is_some_and(|file| {
            let size = file.size().unwrap_or(0);
            salvage::answers(file.as_ref(), size)
        })
    })
}

fn is_ours(name: &str) -> bool {
    let is_index = |name: &str| {
        let number = name.get(..16).and_then(|number| number.parse().ok());
        number.is_some_and(|number| name.strip_suffix(".tmp").unwrap_or(name) == index_name(number))
    };
    name == MARK_NAME || name == "quarantine" || is_free(name) || is_index(name)
}

/// The most bytes that are kept aside where nobody knows how far the damage goes.
const ASIDE: u64 = 8 << 20;

/// The state of a recovery while it goes from segment to segment.
struct Reading<'a> {
    files: &'a Files,
    mark: DurableMark,
    newest: u64,
    state: Recovered,
    /// What stands where, in the order of segments.
    runs: Vec<(u64, Run)>,
    /// Records beyond the mark that may have been durable and cannot be read: at most so many.
    lost_at_the_end: u64,
    /// Records of the newest segment that cannot be read: at most so many, and any may have named a
    /// stream or an origin.
    lost_records: u64,
}

impl Reading<'_> {
    fn take(&mut self, segment: Segment, length: u64, known: u64) -> io::Result<()> {
        let header = segment.header;
        let number = header.number;
        self.state.store = Some(header.store);
        self.check_chain(&header)?;
        let segment = Arc::new(segment);
        let mut view = SegmentView::new(Arc::clone(&segment), length);
        if number != self.newest
            && let Some((index, runs, filter)) = self.read_index(&segment)
        {
            self.state.end = index.end.chain;
            self.state.next_commit = self.state.next_commit.max(index.end.commit + 1);
            view.end = index.end;
            view.index = Index::File(Arc::new(index));
            self.state.ids.indexed(number, filter);
            self.runs.extend(runs.into_iter().map(|run| (number, run)));
            self.state.view.segments.insert(number, view);
            return Ok(());
        }
        self.state.report.scanned += 1;
        let damages = self.state.report.damaged.len();
        let (tail, file) = (self.tail(number), self.files.get(Kind::Segment, number)?);
        let mut content = Content {
            files: self.files,
            number,
            file: file.as_ref(),
            view: &mut self.state.view,
            report: &mut self.state.report,
            index: SegmentIndex::default(),
            ids: IdMap::default(),
        };
        let scanned = scan(file.as_ref(), &segment, known, tail, &mut content)?;
        let (index, ids) = (content.index, content.ids);
        let end = scanned.end;
        view.length = self.close(file.as_ref(), number, length, &scanned)?;
        self.state.end = end.chain;
        self.state.next_commit = self.state.next_commit.max(end.commit + 1);
        self.runs
            .extend(index.runs().map(|run| (number, run.clone())));
        self.state.ids.put(number, ids);
        self.state.unindexed.push(number);
        view.end = end;
        view.index = Index::Memory(index);
        self.state.view.segments.insert(number, view);
        let is_sound = self.state.report.damaged.len() == damages && end.chain.batches > 0;
        if number == self.newest && !is_sound {
            self.read_tables_again()?;
        }
        Ok(())
    }

    /// What may have become of the end of a segment.
    fn tail(&self, number: u64) -> Tail {
        let durable = match self.mark.segment.cmp(&number) {
            Ordering::Less => 0,
            Ordering::Equal => self.mark.end,
            // a later one was begun when all of it was durable
            Ordering::Greater => return Tail::Ended,
        };
        if number == self.newest {
            Tail::Open { durable }
        } else {
            Tail::Ended
        }
    }

    /// The newest segment begins with all there is beside messages, but not all of it can be read: the
    /// segments before it tell the rest.
    fn read_tables_again(&mut self) -> io::Result<()> {
        let segments = self.state.view.segments.values();
        let segments: Vec<_> = segments.map(|known| Arc::clone(&known.segment)).collect();
        if segments.len() > 1 {
            let mut tables = scan_tables(self.files, &segments, self.tail(self.newest))?;
            let view = &mut self.state.view;
            std::mem::swap(&mut tables.segments, &mut view.segments);
            *view = tables;
        }
        Ok(())
    }

    /// The index of a segment, if there is a sound one.
    fn read_index(&self, segment: &Segment) -> Option<(IndexFile, Vec<Run>, Filter)> {
        let name = index_name(segment.header.number);
        if !self.state.names.contains(&name) {
            return None;
        }
        let file = self.files.get(Kind::Index, segment.header.number).ok()?;
        let (index, content) = IndexFile::open(file.as_ref(), segment).ok()?;
        Some((index, content.runs, content.filter))
    }

    /// Holds a segment's memory of its predecessor against what was found there.
    fn check_chain(&mut self, header: &SegmentHeader) -> io::Result<()> {
        let end = self.state.end;
        let same = header.previous.segment == end.segment && end.segment != 0;
        if !same || header.previous == end {
            return Ok(());
        }
        let (disk, dir) = (self.files.disk.as_ref(), &self.files.dir);
        let known = self.state.view.segments.get(&end.segment);
        let Some((offset, length)) = known.map(|known| (known.end.offset, known.length)) else {
            return Ok(());
        };
        let length = length.saturating_sub(offset).min(ASIDE);
        let file = self.files.get(Kind::Segment, end.segment)?;
        let copy = quarantine::copy_range(disk, dir, file.as_ref(), end.segment, offset, length)?;
        let what = "batches at the end are missing";
        let damage = Damage::of(end.segment, offset, length, what, copy);
        self.state.report.damaged.push(damage);
        Ok(())
    }

    /// The end of the sound batches: unused space, a torn tail, or damage that was once durable. What
    /// is unused is given back. Returns the length of the file.
    fn close(
        &mut self,
        file: &dyn DiskFile,
        number: u64,
        length: u64,
        scanned: &ScanEnd,
    ) -> io::Result<u64> {
        let offset = scanned.end.offset;
        self.lost_records = scanned.lost_records;
        let marked = self.mark.end.saturating_sub(offset);
        let marked = if self.mark.segment == number {
            marked
        } else {
            0
        };
        let unread = scanned.unread.filter(|_| number == self.newest);
        let damaged = marked.max(unread.map_or(0, |unread| unread.length));
        let mut may_cut = unread.is_none();
        if damaged > 0 {
            self.lost_records += damaged / RECORD_HEADER as u64;
            let (disk, dir) = (self.files.disk.as_ref(), &self.files.dir);
            let copy = quarantine::copy_range(disk, dir, file, number, offset, damaged)?;
            may_cut &= copy != Copied::NoRoom;
            let damage = Damage::of(number, offset, damaged, scanned.fault, copy);
            self.state.report.damaged.push(damage);
        } else if number == self.newest {
            self.state.report.torn_tail = scanned.torn;
        }
        if number != self.newest {
            return Ok(length);
        }
        // the mark says how many numbers were given up to it; beyond it the damage itself must tell
        let is_behind = (self.mark.segment, self.mark.end) < (number, offset);
        if is_behind || self.mark.store == [0; 16] {
            let unread = unread.map_or(0, |unread| unread.records);
            self.lost_at_the_end = scanned.lost_records + unread;
        } else if let Some(unread) = unread {
            // the mark may lag, and this batch is there
            self.lost_at_the_end = unread.next_batch;
        }
        if !may_cut {
            // what stays there is not counted: the next segment remembers where this one ends
            return Ok(length);
        }
        if length > offset {
            file.set_len(offset)?;
            file.sync_data()?;
        }
        Ok(offset)
    }

    /// Index files whose segment has gone are of no use.
    fn remove_orphans(&self) {
        for name in &self.state.names {
            let is_temporary = name.ends_with(".idx.tmp");
            let number = name
                .strip_suffix(".idx")
                .and_then(|number| number.parse().ok());
            let is_orphan = number.is_some_and(|number: u64| {
                index_name(number) == *name && !self.state.view.segments.contains_key(&number)
            });
            if is_temporary || is_orphan {
                // it is found again at the next start
                let _still_there = self.files.disk.remove(&self.files.dir.join(name));
            }
        }
    }

    /// Keeps aside the segments with messages of streams that nobody can name any more: the batch that
    /// defined them is damaged. No number that such a stream or an origin may have had is given again.
    fn keep_nameless(&mut self) -> io::Result<()> {
        let view = &mut self.state.view;
        let is_known = |id: &u32| view.streams.contains_key(id);
        let mut nameless = BTreeMap::new();
        for (segment, run) in self.runs.iter().filter(|(_, run)| !is_known(&run.stream)) {
            nameless.entry(*segment).or_insert(run.stream);
        }
        let of_runs = self.runs.iter().map(|(_, run)| run.stream);
        let of_cursors = view.cursors.keys().map(|(id, _)| *id);
        let of_marks = view.marks.keys().map(|(id, ..)| *id);
        let streams = view.streams.keys().copied();
        let streams = streams.chain(of_runs).chain(of_cursors).chain(of_marks);
        let origins = view.origins.keys().copied();
        let origins = origins.chain(view.marks.keys().map(|(_, node, _)| *node));
        let is_gone = self.mark.segment > self.newest;
        let gone = if is_gone { self.mark.end } else { 0 };
        let unread = self.lost_records + gone / RECORD_HEADER as u64;
        let unread = u32::try_from(unread).unwrap_or(u32::MAX / 2);
        let taken = |numbers: &mut dyn Iterator<Item = u32>| {
            numbers.max().unwrap_or(0).saturating_add(unread)
        };
        self.state.taken = (taken(&mut { streams }), taken(&mut { origins }));
        let known: BTreeSet<u32> = view.streams.keys().copied().collect();
        view.cursors.retain(|(id, _), _| known.contains(id));
        view.marks.retain(|(id, ..), _| known.contains(id));
        for (number, _) in nameless {
            let Some(end) = view.segments.get(&number).map(|segment| segment.end.offset) else {
                continue;
            };
            let (disk, dir) = (self.files.disk.as_ref(), &self.files.dir);
            let file = self.files.get(Kind::Segment, number)?;
            // with its header: that is where the key to it lies
            let copy = quarantine::copy_range(disk, dir, file.as_ref(), number, 0, end)?;
            if copy == Copied::NoRoom
                && let Some(segment) = view.segments.get_mut(&number)
            {
                // it stays where it is, and the next start tries again
                segment.is_held = true;
            }
            let what = "messages of a stream whose name is lost";
            let damage = Damage::of(number, 0, end, what, copy);
            self.state.report.damaged.push(damage);
        }
        Ok(())
    }

    /// How many numbers the streams had that nobody can name any more, as far as is known.
    fn nameless_messages(&self) -> u64 {
        let mut last: BTreeMap<u32, Seq> = BTreeMap::new();
        for (_, run) in &self.runs {
            let known = last.entry(run.stream).or_default();
            *known = run.last.max(*known);
        }
        last.retain(|id, _| !self.state.view.streams.contains_key(id));
        last.values().map(|last| last.0).sum()
    }

    /// Puts streams together from what all segments hold, and finds what is missing.
    fn finish(mut self) -> Recovered {
        let nameless = self.nameless_messages();
        let state = &mut self.state;
        for (segment, run) in &self.runs {
            state.view.add_read(*segment, run);
        }
        // an index may be older than the repair of its segment: what is called lost stays lost
        let streams = state.view.streams.iter();
        let lost: Vec<_> = streams
            .flat_map(|(id, stream)| stream.gaps.iter().map(|(first, last)| (*id, *first, *last)))
            .collect();
        for (id, first, last) in lost {
            state.view.cut(id, first, last);
        }
        let streams = state.view.streams.values();
        let given: u64 = streams.map(|stream| stream.last.0).sum();
        let given = given + nameless;
        let lost_at_the_end = self
            .mark
            .given
            .saturating_sub(given)
            .max(self.lost_at_the_end);
        let ids: Vec<u32> = state.view.streams.keys().copied().collect();
        for id in ids {
            if lost_at_the_end > 0
                && let Some(stream) = state.view.streams.get_mut(&id)
            {
                // nobody can say whose they were: no number that was given may be given again
                stream.last = Seq(stream.last.0 + lost_at_the_end);
            }
            for (first, last) in state.view.missing(id) {
                state.gaps.push((id, first, last));
            }
            let Some(info) = state.view.info(id) else {
                continue;
            };
            state.report.kept += info.messages;
            let known = state.view.streams.get(&id).into_iter();
            let known = known.flat_map(|stream| stream.gaps.iter().map(|(a, b)| (*a, *b)));
            let new = state.gaps.iter().filter(|(of, ..)| *of == id);
            let new = new.map(|(_, first, last)| (*first, *last));
            for (first, last) in known.chain(new) {
                state.report.lost.push(LostRange {
                    stream: info.key.clone(),
                    first,
                    last,
                });
            }
        }
        self.state
    }
}

/// Takes what a scan finds in a segment.
struct Content<'a> {
    files: &'a Files,
    number: u64,
    file: &'a dyn DiskFile,
    view: &'a mut View,
    report: &'a mut OpenReport,
    index: SegmentIndex,
    ids: IdMap,
}

impl Visit for Content<'_> {
    fn batch(&mut self, offset: u64, plain: &[u8]) -> Result<(), &'static str> {
        let mut at = 0;
        let mut joined: Option<Piece> = None;
        while let Some(rest) = plain.get(at..).filter(|rest| !rest.is_empty()) {
            let (header, head, body) =
                RecordHeader::decode(rest).map_err(|_| "a record in it is malformed")?;
            let (start, size) = (at, RECORD_HEADER + head + body);
            at += size;
            if header.kind != RecordKind::Message {
                apply_table(self.view, plain, start, (header, head, body))?;
                continue;
            }
            let (stream, seq) = (header.stream, header.seq);
            let mut piece = Piece::of(stream, seq, size as u64, header.accepted, header.moved);
            piece.offset = offset;
            if !joined.as_mut().is_some_and(|joined| joined.join(&piece)) {
                joined.replace(piece).iter().for_each(|done| {
                    self.index.add(done);
                });
            }
            if header.dedupe != [0; 16] {
                self.ids.insert(scoped(header.dedupe, stream), seq);
            }
        }
        if let Some(done) = joined {
            self.index.add(&done);
        }
        Ok(())
    }

    fn damage(&mut self, offset: u64, length: u64, what: &'static str) -> io::Result<()> {
        self.index.interrupt();
        let (disk, dir) = (self.files.disk.as_ref(), &self.files.dir);
        let copy = quarantine::copy_range(disk, dir, self.file, self.number, offset, length)?;
        let damage = Damage::of(self.number, offset, length, what, copy);
        self.report.damaged.push(damage);
        Ok(())
    }
}
