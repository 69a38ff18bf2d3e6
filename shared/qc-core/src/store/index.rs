//! What stands where in a segment: in memory while it is written, in a file beside it afterwards.
//!
//! A *run* is an unbroken range of seqs of one stream in one segment; an *entry* says at which batch the
//! records of a run from some seq on begin. Entries are sparse, one for every 16 KiB of log, so the
//! records of a busy stream cost next to nothing and those of a rare one are found without reading what
//! lies between. An index file holds nothing that its segment does not: it can be deleted and is made
//! again. With it, opening a log reads a few pages a segment instead of all of it.
//!
//! ```text
//! NNNN.idx: block of 512 bytes, then sealed pages (see `pages`) from 4096 on
//!   0  8B  magic "QCINDEX\n"        8 u32 format (2)    12 u32 pages
//!  16  u64 segment number          24 16B segment id    40 16B salt of the key
//!  56  u64 end of the last batch   64 u64 batches       72 16B last tag    88 u64 last commit
//!  96  tables, each u32 first page and u32 records: runs, entries, filter blocks, ids, fences
//! 508  u32 CRC32C of 0..508, seeded with the segment number
//! run    u32 stream, u64 first, last, bytes, oldest, newest (ms), u32 first entry, u32 entries; by stream, seq
//! entry  u64 seq, u64 offset, u64 accepted (ms)
//! id     16B id, u64 seq; by id     fence  u64 the leading half of the first id of each page of ids
//! ```

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile};
use super::ids::{Filter, Id, IdMap, leading};
use super::keeper::JobError;
use super::pages::{NearPages, PAGE, Pages, SEALED_PAGE, Table, damaged, page_count, record_of};
use super::segment::{ChainEnd, FIRST_BATCH, Segment, seeded_crc};
use crate::model::{Seq, Timestamp};
use crate::wire::Reader;

/// Bytes of log between two entries of a run.
const STRIDE: u64 = 16 << 10;
const MAGIC: &[u8; 8] = b"QCINDEX\n";
const FORMAT: u32 = 2;
const HEADER: usize = 512;
const RUN: usize = 52;
const ENTRY: usize = 24;
const ID: usize = 24;
const FENCE: usize = 8;
/// Entries that mostly stand on one page.
const FEW: u32 = 32;

/// An unbroken range of a stream in one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) stream: u32,
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) bytes: u64,
    /// When the first of them was accepted.
    pub(super) oldest: Timestamp,
    /// When the last of them was accepted.
    pub(super) newest: Timestamp,
}

/// From which batch on the records from `seq` on stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) seq: Seq,
    pub(super) offset: u64,
    pub(super) accepted: Timestamp,
}

/// The records of one stream in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) run: Run,
    /// Where the batch begins.
    pub(super) offset: u64,
    /// Copied forward from an older segment.
    pub(super) moved: bool,
}

impl Piece {
    /// One record.
    pub(super) fn of(stream: u32, seq: Seq, bytes: u64, accepted: Timestamp, moved: bool) -> Self {
        Self {
            run: Run {
                stream,
                first: seq,
                last: seq,
                bytes,
                oldest: accepted,
                newest: accepted,
            },
            offset: 0,
            moved,
        }
    }

    /// Takes `next` in if it goes on where this one ends, in the same batch.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let joins = self.moved == next.moved && self.offset == next.offset;
        joins && self.run.join(&next.run)
    }
}

impl Run {
    fn join(&mut self, next: &Self) -> bool {
        let joins = self.stream == next.stream && self.last.next() == next.first;
        if joins {
            self.last = next.last;
            self.bytes += next.bytes;
            self.newest = next.newest;
        }
        joins
    }
}

/// The index of a segment in memory.
#[derive(Default, Clone)]
pub(super) struct SegmentIndex {
    runs: Vec<(Run, Vec<Entry>)>,
    /// The run that each stream adds to; moved records have their own.
    open: HashMap<(u32, bool), usize>,
}

impl SegmentIndex {
    /// Adds the records of one stream in one batch. Returns whether they go on where a run ended.
    pub(super) fn add(&mut self, piece: &Piece) -> bool {
        let entry = Entry {
            seq: piece.run.first,
            offset: piece.offset,
            accepted: piece.run.oldest,
        };
        let key = (piece.run.stream, piece.moved);
        let open = self.open.get(&key).and_then(|at| self.runs.get_mut(*at));
        if let Some((run, entries)) = open
            && run.join(&piece.run)
        {
            let far = |last: &Entry| piece.offset >= last.offset + STRIDE;
            if entries.last().is_none_or(far) {
                entries.push(entry);
            }
            return true;
        }
        self.open.insert(key, self.runs.len());
        self.runs.push((piece.run.clone(), vec![entry]));
        false
    }

    /// Here stands something that cannot be read: no run may lead a reader through it.
    pub(super) fn interrupt(&mut self) {
        self.open.clear();
    }

    /// The entries of the run that holds `seq`.
    pub(super) fn entries(&self, stream: u32, seq: Seq) -> Option<&[Entry]> {
        let holds = |run: &Run| run.stream == stream && run.first <= seq && seq <= run.last;
        let last = self.open.get(&(stream, false)).into_iter();
        let last = last.chain(self.open.get(&(stream, true)));
        let mut likely = last.filter_map(|at| self.runs.get(*at));
        let found = likely.find(|(run, _)| holds(run));
        let found = found.or_else(|| self.runs.iter().find(|(run, _)| holds(run)));
        found.map(|(_, entries)| entries.as_slice())
    }

    /// Every run.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().map(|(run, _)| run)
    }
}

/// Where a reader of `seq` begins: the last entry that is not beyond it.
pub(super) fn start_of(entries: &[Entry], seq: Seq) -> Option<Entry> {
    let after = entries.partition_point(|entry| entry.seq <= seq);
    entries.get(after.checked_sub(1)?).copied()
}

/// Where the batches of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SegmentEnd {
    pub(super) chain: ChainEnd,
    pub(super) offset: u64,
    /// The last commit in it.
    pub(super) commit: u64,
}

/// The file name of a segment's index.
pub(super) fn index_name(segment: u64) -> String {
    format!("{segment:016}.idx")
}

/// An index file that was read: what is needed all the time; the rest is read when it is asked for.
pub(super) struct IndexFile {
    pages: Pages,
    runs: Table,
    entries: Table,
    ids: Table,
    fences: Vec<u64>,
    pub(super) end: SegmentEnd,
    pub(super) length: u64,
}

/// The salt in the header of an index file, which is all that is drawn in it.
#[cfg(any(test, feature = "testing"))]
pub(super) fn salt_of(header: &[u8], segment: &Segment) -> Option<[u8; 16]> {
    Header::decode(header.get(..HEADER)?, segment).map(|header| header.salt)
}

/// What opening an index file gives beside it.
pub(super) struct IndexContent {
    pub(super) runs: Vec<Run>,
    pub(super) filter: Filter,
}

/// An index file before it is written.
pub(super) struct LaidOut {
    file: IndexFile,
    filter: Filter,
    /// What stands at its beginning.
    pub(super) header: Vec<u8>,
    /// What stands from [`FIRST_BATCH`] on.
    pub(super) sealed: Vec<u8>,
}

impl IndexFile {
    /// Writes the index of an ended segment: whole under its name, or not there.
    pub(super) fn write(
        disk: &dyn Disk,
        dir: &Path,
        segment: &Segment,
        index: &SegmentIndex,
        ids: &IdMap,
        end: SegmentEnd,
    ) -> Result<(Self, Filter), JobError> {
        let salt = super::seal::random().map_err(JobError::Final)?;
        let refused = || JobError::Final(io::Error::other("the cipher refused"));
        let laid_out = Self::lay_out(segment, index, ids, end, salt).ok_or_else(refused)?;
        let LaidOut {
            file: this,
            filter,
            header,
            sealed,
        } = laid_out;
        let name = index_name(segment.header.number);
        let (path, temporary) = (dir.join(&name), dir.join(format!("{name}.tmp")));
        let _left_by_a_crash = disk.remove(&temporary);
        let file = disk.create(&temporary).map_err(JobError::of_room)?;
        let written = file
            .allocate(this.length)
            .and_then(|()| file.write_all_at(&header, 0))
            .and_then(|()| file.write_all_at(&sealed, this.pages.at));
        if let Err(error) = written {
            drop(file);
            disk.remove(&temporary).map_err(JobError::of_room)?;
            return Err(JobError::of_room(error));
        }
        file.sync_data()
            .and_then(|()| disk.rename(&temporary, &path))
            .and_then(|()| disk.sync_dir(dir))
            .map_err(JobError::Final)?;
        Ok((this, filter))
    }

    /// The content of an index file, and what is kept of it in memory.
    pub(super) fn lay_out(
        segment: &Segment,
        index: &SegmentIndex,
        ids: &IdMap,
        end: SegmentEnd,
        salt: [u8; 16],
    ) -> Option<LaidOut> {
        let number = segment.header.number;
        let mut sorted: Vec<_> = index.runs.iter().collect();
        sorted.sort_by_key(|(run, _)| (run.stream, run.first));
        let mut ids: Vec<(&Id, &Seq)> = ids.iter().collect();
        ids.sort_unstable();
        let mut filter = Filter::with_room(ids.len(), vec![number], 0);
        for (id, _) in &ids {
            filter.insert(id);
        }
        let fences: Vec<u64> = ids
            .iter()
            .step_by(PAGE / ID)
            .map(|(id, _)| leading(id))
            .collect();

        let mut plain = Vec::new();
        let mut first_entry = 0;
        let runs = Table::write(
            &mut plain,
            sorted.iter().map(|(run, entries)| {
                let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
                let record = encode_run(run, first_entry, count);
                first_entry += count;
                record
            }),
        );
        let all_entries = sorted.iter().flat_map(|(_, entries)| entries);
        let entries = Table::write(&mut plain, all_entries.map(encode_entry));
        let blocks = Table::write(&mut plain, filter.encode());
        let ids = Table::write(&mut plain, ids.into_iter().map(encode_id));
        let table = Table::write(&mut plain, fences.iter().map(|fence| fence.to_le_bytes()));

        let pages = pages_of(segment, &salt, page_count(plain.len()));
        let sealed = pages.seal(&plain)?;
        let header = Header {
            pages: pages.count,
            salt,
            end,
            tables: [runs, entries, blocks, ids, table],
        };
        let length = pages.at + sealed.len() as u64;
        let header = header.encode(segment);
        let file = Self {
            pages,
            runs,
            entries,
            ids,
            fences,
            end,
            length,
        };
        Some(LaidOut {
            file,
            filter,
            header,
            sealed,
        })
    }

    /// Reads the index of `segment`; an error of kind `InvalidData` when it is not one.
    pub(super) fn open(file: &dyn DiskFile, segment: &Segment) -> io::Result<(Self, IndexContent)> {
        let mut block = [0; HEADER];
        let read = file.read_at(&mut block, 0)?;
        let header = Header::decode(block.get(..read).unwrap_or_default(), segment);
        let length = file.size()?;
        // what it says of itself is a sum that anybody can make: nothing is taken that the file does not hold
        let header = header.filter(|header| header.fits(length));
        let header = header.ok_or_else(damaged)?;
        let pages = pages_of(segment, &header.salt, header.pages);
        let [runs, entries, blocks, ids, table] = header.tables;
        let rows: Vec<[u8; RUN]> = pages.records(file, runs, 0, runs.count)?;
        let rows: Option<Vec<_>> = rows.iter().map(|row| decode_run(row)).collect();
        let rows = rows.ok_or_else(damaged)?;
        let filter = pages.read(file, blocks.page, blocks.pages(Filter::BLOCK))?;
        let used = blocks.count as usize * Filter::BLOCK;
        let filter = filter.get(..used).ok_or_else(damaged)?;
        let filter = Filter::decode(filter.chunks_exact(Filter::BLOCK), segment.header.number);
        let fences: Vec<[u8; FENCE]> = pages.records(file, table, 0, table.count)?;
        let this = Self {
            runs,
            entries,
            ids,
            fences: fences.into_iter().map(u64::from_le_bytes).collect(),
            end: header.end,
            length,
            pages,
        };
        let runs = rows.into_iter().map(|(run, ..)| run).collect();
        Ok((this, IndexContent { runs, filter }))
    }

    /// The entries of the run that holds `seq`.
    pub(super) fn entries(
        &self,
        file: &dyn DiskFile,
        stream: u32,
        seq: Seq,
        near: &NearPages,
    ) -> io::Result<Vec<Entry>> {
        // the last run that is not beyond (stream, seq)
        let (mut low, mut high) = (0, self.runs.count);
        let mut found = None;
        while low < high {
            let middle = low.midpoint(high);
            let row: [u8; RUN] = self.pages.record(file, self.runs, middle, near)?;
            let row = decode_run(&row).ok_or_else(damaged)?;
            if (row.0.stream, row.0.first) <= (stream, seq) {
                found = Some(row);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some((_, at, count)) = found.filter(|(run, ..)| run.stream == stream) else {
            return Ok(Vec::new());
        };
        let entries: Vec<[u8; ENTRY]> = if count < FEW {
            let end = at.checked_add(count).ok_or_else(damaged)?;
            let entry = |at| self.pages.record(file, self.entries, at, near);
            (at..end).map(entry).collect::<io::Result<_>>()?
        } else {
            self.pages.records(file, self.entries, at, count)?
        };
        let entries: Option<Vec<_>> = entries.iter().map(|entry| decode_entry(entry)).collect();
        entries.ok_or_else(damaged)
    }

    /// Under which number a message stands in this segment.
    pub(super) fn find(&self, file: &dyn DiskFile, id: &Id) -> io::Result<Option<Seq>> {
        // ids with the same leading half may begin on the page before
        let to = self.fences.partition_point(|fence| *fence <= leading(id));
        let from = self.fences.partition_point(|fence| *fence < leading(id));
        for page in from.saturating_sub(1)..to {
            let page = u32::try_from(page).map_err(|_| damaged())?;
            let place = self.ids.page.checked_add(page).ok_or_else(damaged)?;
            let plain = self.pages.read(file, place, 1)?;
            let left = (self.ids.count as usize).saturating_sub(page as usize * (PAGE / ID));
            let records = (0..left.min(PAGE / ID)).map_while(|at| record_of::<ID>(&plain, at));
            let mut pairs = records.filter_map(|record| decode_id(&record));
            if let Some((_, seq)) = pairs.find(|(known, _)| known == id) {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// The ids, for a filter over several segments.
    pub(super) fn ids(&self, file: &dyn DiskFile) -> io::Result<Vec<Id>> {
        const PAGES: u32 = 64;
        let mut ids = Vec::with_capacity(self.ids.count as usize);
        let per_page = u32::try_from(PAGE / ID).unwrap_or(1);
        let mut at = 0;
        while at < self.ids.count {
            let count = (per_page * PAGES).min(self.ids.count - at);
            let records: Vec<[u8; ID]> = self.pages.records(file, self.ids, at, count)?;
            ids.extend(
                records
                    .iter()
                    .filter_map(|record| decode_id(record))
                    .map(|(id, _)| id),
            );
            at += count;
        }
        Ok(ids)
    }

    /// How many ids it holds.
    pub(super) fn id_count(&self) -> usize {
        self.ids.count as usize
    }

    /// Bytes it takes in memory.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.fences.capacity() * FENCE
    }

    /// Whether every page is what was written.
    pub(super) fn check(&self, file: &dyn DiskFile) -> io::Result<()> {
        for page in 0..self.pages.count {
            self.pages.read(file, page, 1)?;
        }
        Ok(())
    }
}

fn pages_of(segment: &Segment, salt: &[u8; 16], count: u32) -> Pages {
    Pages {
        key: segment.key().derive(salt, b"qc segment index 1"),
        id: segment.header.id,
        seed: segment.header.number,
        at: FIRST_BATCH,
        count,
    }
}

struct Header {
    pages: u32,
    salt: [u8; 16],
    end: SegmentEnd,
    tables: [Table; 5],
}

impl Header {
    fn encode(&self, segment: &Segment) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.pages.to_le_bytes());
        out.extend_from_slice(&segment.header.number.to_le_bytes());
        out.extend_from_slice(&segment.header.id);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.end.offset.to_le_bytes());
        out.extend_from_slice(&self.end.chain.batches.to_le_bytes());
        out.extend_from_slice(&self.end.chain.tag);
        out.extend_from_slice(&self.end.commit.to_le_bytes());
        for table in self.tables {
            out.extend_from_slice(&table.page.to_le_bytes());
            out.extend_from_slice(&table.count.to_le_bytes());
        }
        out.resize(HEADER - 4, 0);
        let crc = seeded_crc(segment.header.number, &out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(block: &[u8], segment: &Segment) -> Option<Self> {
        let (covered, crc) = block.split_at_checked(HEADER - 4)?;
        let number = segment.header.number;
        if seeded_crc(number, covered).to_le_bytes() != crc {
            return None;
        }
        let mut r = Reader(covered);
        let known = r.array::<8>().ok()? == *MAGIC && r.u32().ok()? == FORMAT;
        let pages = r.u32().ok()?;
        let ours = r.u64().ok()? == number && r.array::<16>().ok()? == segment.header.id;
        let header = Self {
            pages,
            salt: r.array().ok()?,
            end: SegmentEnd {
                offset: r.u64().ok()?,
                chain: ChainEnd {
                    segment: number,
                    batches: r.u64().ok()?,
                    tag: r.array().ok()?,
                },
                commit: r.u64().ok()?,
            },
            tables: {
                let mut tables = [Table::default(); 5];
                for table in &mut tables {
                    *table = Table {
                        page: r.u32().ok()?,
                        count: r.u32().ok()?,
                    };
                }
                tables
            },
        };
        (known && ours).then_some(header)
    }

    /// Whether a file of `length` bytes holds all that it speaks of.
    fn fits(&self, length: u64) -> bool {
        let there = length.saturating_sub(FIRST_BATCH) / SEALED_PAGE as u64;
        let sizes = [RUN, ENTRY, Filter::BLOCK, ID, FENCE];
        let mut tables = self.tables.iter().zip(sizes);
        let is_inside = |(table, size): (&Table, usize)| {
            let end = table.page.checked_add(table.pages(size));
            end.is_some_and(|end| end <= self.pages)
        };
        // nobody has written as much as half of what can be counted
        let SegmentEnd {
            offset,
            chain,
            commit,
        } = self.end;
        let is_likely = [offset, chain.batches, commit]
            .into_iter()
            .all(|n| n <= u64::MAX / 2);
        u64::from(self.pages) <= there && tables.all(is_inside) && is_likely
    }
}

fn encode_run(run: &Run, entry: u32, entries: u32) -> [u8; RUN] {
    let mut out = [0; RUN];
    let parts: [&[u8]; 8] = [
        &run.stream.to_le_bytes(),
        &run.first.0.to_le_bytes(),
        &run.last.0.to_le_bytes(),
        &run.bytes.to_le_bytes(),
        &run.oldest.as_millis().to_le_bytes(),
        &run.newest.as_millis().to_le_bytes(),
        &entry.to_le_bytes(),
        &entries.to_le_bytes(),
    ];
    fill(&mut out, &parts);
    out
}

fn decode_run(bytes: &[u8]) -> Option<(Run, u32, u32)> {
    let mut r = Reader(bytes);
    let run = Run {
        stream: r.u32().ok()?,
        first: Seq(r.u64().ok()?),
        last: Seq(r.u64().ok()?),
        bytes: r.u64().ok()?,
        oldest: Timestamp::from_millis(r.u64().ok()?),
        newest: Timestamp::from_millis(r.u64().ok()?),
    };
    Some((run, r.u32().ok()?, r.u32().ok()?))
}

fn encode_entry(entry: &Entry) -> [u8; ENTRY] {
    let mut out = [0; ENTRY];
    let parts: [&[u8]; 3] = [
        &entry.seq.0.to_le_bytes(),
        &entry.offset.to_le_bytes(),
        &entry.accepted.as_millis().to_le_bytes(),
    ];
    fill(&mut out, &parts);
    out
}

fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    let mut r = Reader(bytes);
    Some(Entry {
        seq: Seq(r.u64().ok()?),
        offset: r.u64().ok()?,
        accepted: Timestamp::from_millis(r.u64().ok()?),
    })
}

fn encode_id((id, seq): (&Id, &Seq)) -> [u8; ID] {
    let mut out = [0; ID];
    fill(&mut out, &[id, &seq.0.to_le_bytes()]);
    out
}

fn decode_id(bytes: &[u8]) -> Option<(Id, Seq)> {
    let mut r = Reader(bytes);
    Some((r.array().ok()?, Seq(r.u64().ok()?)))
}

fn fill(out: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NodeKey;
    use crate::store::sim::SimDisk;

    #[test]
    fn sizes_that_the_file_does_not_hold_are_damage() {
        let node = NodeKey::from_bytes([1; 32]);
        let segment = Segment::new(7, [2; 16], Timestamp::default(), &node, ChainEnd::default());
        let segment = segment.unwrap();
        let (disk, path) = (SimDisk::default(), Path::new("/log/7.idx"));
        let file = disk.create(path).unwrap();
        let open = |pages: u32, tables: [Table; 5], offset: u64| {
            let end = SegmentEnd {
                offset,
                ..SegmentEnd::default()
            };
            let header = Header {
                pages,
                salt: [3; 16],
                end,
                tables,
            };
            file.write_all_at(&header.encode(&segment), 0).unwrap();
            IndexFile::open(file.as_ref(), &segment).map(drop)
        };
        let none = [Table::default(); 5];
        assert!(open(0, none, 4096).is_ok(), "an empty one is an index");
        assert!(open(u32::MAX, none, 4096).is_err());
        assert!(open(0, none, u64::MAX).is_err());
        for (page, count) in [(0, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, 1)] {
            for number in 0..5 {
                let mut tables = none;
                tables[number] = Table { page, count };
                for pages in [0, 1, u32::MAX] {
                    let opened = open(pages, tables, 4096);
                    assert!(opened.is_err(), "table {number} of {count} at {page}");
                }
            }
        }
    }
}
