//! Opening a log: read every segment, keep what is sound, say what is not, and start a new segment.
//!
//! A tail above the durable mark that does not validate is *torn*: it was never acknowledged, so it is
//! cut. Anything unsound below the mark, before a later sound batch, or that a successor remembers, is
//! *damage*: the bytes are copied to the quarantine, the missing seqs are reported, and the log goes on.
//! Recovery changes nothing that a second run would need, so a crash in the middle of it is harmless.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::mark::DurableMark;
use super::segment::{
    BATCH_HEADER, BatchHeader, ChainEnd, FIRST_BATCH, HeaderFault, MAX_PAYLOAD, Segment,
    SegmentHeader,
};
use super::view::{BatchIndex, SegmentView, View};
use super::{KeyError, NodeKey, StreamKey, quarantine, tables};
use crate::model::Seq;
use crate::wire::{Record, RecordKind};

/// What was found when the log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Messages that are there.
    pub kept: u64,
    /// Bytes after the last commit that were never acknowledged and have been cut.
    pub torn_tail: u64,
    /// Ranges that were on disk and cannot be read any more.
    pub damaged: Vec<Damage>,
    /// Seqs that were acknowledged once and are lost.
    pub lost: Vec<LostRange>,
    /// Files in the log directory that are none of ours; left where they are.
    pub foreign: Vec<String>,
    /// Segments read.
    pub segments: u64,
}

impl OpenReport {
    /// What an operator should know of it, a line each; none when all is well.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.torn_tail > 0 {
            let bytes = self.torn_tail;
            lines.push(format!(
                "recovered {}, cut {bytes} bytes that were never acknowledged",
                self.kept
            ));
        }
        for damage in &self.damaged {
            let Damage {
                segment,
                offset,
                length,
                what,
                known,
            } = damage;
            let again = if *known { ", known from before" } else { "" };
            lines.push(format!(
                "damaged: segment {segment} offset {offset}, {length} bytes: {what}; kept aside in quarantine{again}"
            ));
        }
        for lost in &self.lost {
            let LostRange {
                stream,
                first,
                last,
            } = lost;
            lines.push(format!(
                "lost: {} {} seq {first} to {last}",
                stream.name,
                stream.role.as_str()
            ));
        }
        for name in &self.foreign {
            let name = crate::safe_text::safe(name, 80);
            lines.push(format!("not ours, left alone: {name}"));
        }
        lines
    }
}

/// One damaged range of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment's number.
    pub segment: u64,
    /// Where the range begins.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// What does not match.
    pub what: &'static str,
    /// Whether an earlier start has already reported it.
    pub known: bool,
}

/// A range of lost seqs, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// The stream.
    pub stream: StreamKey,
    /// The first lost seq.
    pub first: Seq,
    /// The last lost seq.
    pub last: Seq,
}

/// Why a log cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The node key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The log was written by a newer version. Not a byte of it was changed.
    #[error("segment {segment} has format {found}; this version reads up to {known}")]
    NewerFormat {
        /// The segment's number.
        segment: u64,
        /// Its format.
        found: u32,
        /// The newest this version reads.
        known: u32,
    },
    /// The segments are sealed with another node key.
    #[error("segment {segment} is sealed with key {needed:08x}, this node has key {present:08x}")]
    WrongKey {
        /// The segment's number.
        segment: u64,
        /// The key it needs.
        needed: u32,
        /// The key that is here.
        present: u32,
    },
}

/// Everything recovery hands to the writer.
pub(super) struct Recovered {
    pub(super) view: View,
    pub(super) dedupe: HashMap<([u8; 16], u32), Seq>,
    pub(super) report: OpenReport,
    pub(super) end: ChainEnd,
    pub(super) next_segment: u64,
    pub(super) next_commit: u64,
    pub(super) store: Option<[u8; 16]>,
    pub(super) mark: Box<dyn DiskFile>,
}

/// The file name of a segment.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016}.seg")
}

pub(super) const MARK_NAME: &str = "durable.mark";
pub(super) const SPARE_NAME: &str = "spare.tmp";

/// Reads the whole log in `dir`.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, node: &NodeKey) -> Result<Recovered, OpenError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io {
            action,
            path,
            source,
        }
    };
    disk.create_dir_all(dir).map_err(io("create", dir))?;
    let mut report = OpenReport::default();
    let found = find_segments(disk, dir, &mut report)?;
    let mark_path = dir.join(MARK_NAME);
    let names = disk.list(dir).map_err(io("list", dir))?;
    let mark_file = if names.iter().any(|name| name == MARK_NAME) {
        disk.open(&mark_path).map_err(io("open", &mark_path))?
    } else {
        let file = disk.create(&mark_path).map_err(io("create", &mark_path))?;
        disk.sync_dir(dir).map_err(io("sync", dir))?;
        file
    };
    DurableMark::reserve(mark_file.as_ref()).map_err(io("reserve", &mark_path))?;
    let mark = DurableMark::read(mark_file.as_ref()).map_err(io("read", &mark_path))?;

    let mut state = Recovered {
        view: View::default(),
        dedupe: HashMap::new(),
        report,
        end: ChainEnd::default(),
        next_segment: found.last().map_or(1, |(number, ..)| number + 1),
        next_commit: mark.commit + 1,
        store: None,
        mark: mark_file,
    };
    let last = found.last().map(|(number, ..)| *number);
    for (number, file, header) in found {
        let path = dir.join(segment_name(number));
        let needed = header.node_key;
        if needed != node.id() {
            return Err(OpenError::WrongKey {
                segment: number,
                needed,
                present: node.id(),
            });
        }
        let Some(segment) = Segment::open(file, header, node) else {
            // the header's checksum is sound and names our key, yet the data key does not open
            quarantine::move_file(disk, dir, &segment_name(number)).map_err(io("move", &path))?;
            let length = 0;
            let what = "the data key does not open";
            state.report.damaged.push(Damage {
                segment: number,
                offset: 0,
                length,
                what,
                known: false,
            });
            continue;
        };
        state.store = Some(header.store);
        state.check_chain(&header);
        let is_last = Some(number) == last;
        let scan = Scan {
            disk,
            dir,
            mark: &mark,
            is_last,
        };
        scan.run(segment, &mut state).map_err(io("read", &path))?;
    }
    for (id, stream) in &state.view.streams {
        state.report.kept += state.view.info(*id).map_or(0, |info| info.messages);
        for (first, last) in state.view.missing(*id) {
            state.report.lost.push(LostRange {
                stream: stream.key.clone(),
                first,
                last,
            });
        }
    }
    Ok(state)
}

type Found = (u64, Box<dyn DiskFile>, SegmentHeader);

fn find_segments(
    disk: &dyn Disk,
    dir: &Path,
    report: &mut OpenReport,
) -> Result<Vec<Found>, OpenError> {
    let list = |source| OpenError::Io {
        action: "list",
        path: dir.to_owned(),
        source,
    };
    let mut found: Vec<Found> = Vec::new();
    let mut unusable = Vec::new();
    for name in disk.list(dir).map_err(list)? {
        let number = name
            .strip_suffix(".seg")
            .and_then(|number| number.parse::<u64>().ok());
        let Some(number) = number.filter(|number| segment_name(*number) == name) else {
            if ![MARK_NAME, SPARE_NAME, "quarantine"].contains(&name.as_str()) {
                report.foreign.push(name);
            }
            continue;
        };
        let path = dir.join(&name);
        let io = |source| OpenError::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let file = disk.open(&path).map_err(io)?;
        let mut bytes = vec![0; usize::try_from(FIRST_BATCH).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0).map_err(io)?;
        match SegmentHeader::decode(bytes.get(..read).unwrap_or_default()) {
            Ok(header) if header.number == number => found.push((number, file, header)),
            Err(HeaderFault::Newer(format)) => {
                let known = super::segment::FORMAT;
                return Err(OpenError::NewerFormat {
                    segment: number,
                    found: format,
                    known,
                });
            }
            Ok(_) | Err(HeaderFault::NotASegment | HeaderFault::Damaged) => {
                unusable.push((number, name, file.size().map_err(io)?));
            }
        }
    }
    // only now, when no newer format was seen, may anything be moved
    for (segment, name, length) in unusable {
        let move_aside = |source| OpenError::Io {
            action: "move",
            path: dir.join(&name),
            source,
        };
        quarantine::move_file(disk, dir, &name).map_err(move_aside)?;
        let what = "the segment header is damaged";
        report.damaged.push(Damage {
            segment,
            offset: 0,
            length,
            what,
            known: false,
        });
    }
    report.foreign.sort();
    report.segments = found.len() as u64;
    found.sort_by_key(|(number, ..)| *number);
    Ok(found)
}

impl Recovered {
    /// Holds a segment's memory of its predecessor against what was found there.
    fn check_chain(&mut self, header: &SegmentHeader) {
        let same = header.previous.segment == self.end.segment;
        if same && header.previous.segment != 0 && header.previous.batches != self.end.batches {
            self.report.damaged.push(Damage {
                segment: self.end.segment,
                offset: 0,
                length: 0,
                what: "batches at the end are missing",
                known: false,
            });
        }
    }

    /// Takes over the records of one sound batch.
    fn apply(&mut self, segment: u64, offset: u64, mut plain: Bytes) -> Result<(), &'static str> {
        let mut entries = BatchIndex::default();
        while !plain.is_empty() {
            let size = plain.len();
            let record =
                Record::split_from(&mut plain).map_err(|_| "a record in it is malformed")?;
            let header = &record.header;
            if header.kind != RecordKind::Message {
                tables::apply(&mut self.view, &record)
                    .map_err(|_| "a table record in it is malformed")?;
                continue;
            }
            let bytes = (size - plain.len()) as u64;
            entries.add(header.stream, header.seq, bytes, header.accepted);
            if header.dedupe != [0; 16] {
                self.dedupe
                    .insert((header.dedupe, header.stream), header.seq);
            }
        }
        for (id, entry) in entries.placed(segment, offset) {
            self.view.index(id, entry);
        }
        Ok(())
    }
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    mark: &'a DurableMark,
    is_last: bool,
}

impl Scan<'_> {
    fn run(&self, segment: Segment, state: &mut Recovered) -> io::Result<()> {
        let number = segment.header.number;
        let length = segment.file.size()?;
        let segment = Arc::new(segment);
        let view = SegmentView {
            segment: Arc::clone(&segment),
            length,
            last: HashMap::new(),
        };
        state.view.segments.insert(number, view);
        let mut window = Window::new(segment.file.as_ref(), length);
        let mut offset = FIRST_BATCH;
        let mut end = ChainEnd {
            segment: number,
            batches: 0,
            tag: [0; 16],
        };
        let mut chained = true;
        loop {
            let header = BatchHeader::decode(window.bytes(offset, BATCH_HEADER)?, number);
            // in sequence and linked to the batch before, unless damage has broken the link
            let header = header.filter(|header| {
                if chained {
                    header.number == end.batches && header.previous_tag == end.tag
                } else {
                    header.number >= end.batches
                }
            });
            let fault = match header {
                None => "no sound batch",
                Some(header) => {
                    let size = BATCH_HEADER + header.payload as usize;
                    let mut frame = window.bytes(offset, size)?.to_vec();
                    match segment.open_batch(&header, &mut frame) {
                        Ok((plain, tag)) => {
                            let plain =
                                Bytes::from(frame).slice(BATCH_HEADER..BATCH_HEADER + plain);
                            if let Err(what) = state.apply(number, offset, plain) {
                                self.damage(state, &segment, offset, header.span(), what)?;
                            }
                            end = ChainEnd {
                                segment: number,
                                batches: header.number + 1,
                                tag,
                            };
                            chained = true;
                            state.next_commit = state.next_commit.max(header.commit + 1);
                            offset += header.span();
                            continue;
                        }
                        Err(fault) => fault.as_str(),
                    }
                }
            };
            let later = window.find_batch(offset + 8, number)?;
            if let Some(next) = later {
                self.damage(state, &segment, offset, next - offset, fault)?;
                (offset, chained) = (next, false);
                end.batches += 1;
                continue;
            }
            self.close(state, &segment, offset, fault, &mut window)?;
            state.end = end;
            return Ok(());
        }
    }

    /// The end of the sound batches: unused space, a torn tail, or damage that was once durable.
    fn close(
        &self,
        state: &mut Recovered,
        segment: &Segment,
        offset: u64,
        fault: &'static str,
        window: &mut Window<'_>,
    ) -> io::Result<()> {
        let number = segment.header.number;
        if self.mark.segment == number && self.mark.end > offset {
            self.damage(state, segment, offset, self.mark.end - offset, fault)?;
        } else if self.is_last {
            state.report.torn_tail = window.used_after(offset)?;
        }
        if segment.file.size()? > offset {
            segment.file.set_len(offset)?;
            segment.file.sync_data()?;
        }
        if let Some(view) = state.view.segments.get_mut(&number) {
            view.length = offset;
        }
        Ok(())
    }

    fn damage(
        &self,
        state: &mut Recovered,
        segment: &Segment,
        offset: u64,
        length: u64,
        what: &'static str,
    ) -> io::Result<()> {
        let (number, file) = (segment.header.number, segment.file.as_ref());
        let new = quarantine::copy_range(self.disk, self.dir, file, number, offset, length)?;
        state.report.damaged.push(Damage {
            segment: number,
            offset,
            length,
            what,
            known: !new,
        });
        Ok(())
    }
}

/// A part of a file in memory, moved forward as it is read.
struct Window<'a> {
    file: &'a dyn DiskFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    const STEP: usize = 1 << 20;

    fn new(file: &'a dyn DiskFile, length: u64) -> Self {
        Self {
            file,
            length,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// `size` bytes at `offset`, fewer at the end of the file.
    fn bytes(&mut self, offset: u64, size: usize) -> io::Result<&[u8]> {
        let size = size.min(usize::try_from(self.length.saturating_sub(offset)).unwrap_or(size));
        let inside =
            offset >= self.start && offset + size as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            let want = size.clamp(Self::STEP, MAX_PAYLOAD + BATCH_HEADER);
            self.bytes.resize(want, 0);
            let read = self.file.read_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let to = from.saturating_add(size).min(self.bytes.len());
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// The next offset, in steps of 8, at which a sound batch header of `segment` stands.
    fn find_batch(&mut self, mut offset: u64, segment: u64) -> io::Result<Option<u64>> {
        while offset < self.length {
            let bytes = self.bytes(offset, BATCH_HEADER)?;
            if bytes.first() != Some(&0) && BatchHeader::decode(bytes, segment).is_some() {
                return Ok(Some(offset));
            }
            offset += 8;
        }
        Ok(None)
    }

    /// Bytes from `offset` to the last one that is not zero.
    fn used_after(&mut self, offset: u64) -> io::Result<u64> {
        let (mut at, mut used) = (offset, 0);
        while at < self.length {
            let bytes = self.bytes(at, Self::STEP)?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                used = at + last as u64 + 1 - offset;
            }
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
        }
        Ok(used)
    }
}
