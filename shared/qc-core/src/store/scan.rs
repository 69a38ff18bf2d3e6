//! Reading a segment from beginning to end, batch by batch, through whatever it has suffered.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::disk::DiskFile;
use super::files::{Files, Kind};
use super::index::SegmentEnd;
use super::pages::damaged;
use super::salvage;
use super::seal::TAG;
use super::segment::{
    BATCH_HEADER, BatchHeader, ChainEnd, FIRST_BATCH, MAX_PAYLOAD, Segment, SegmentHeader,
};
use super::tables;
use super::view::View;
use crate::wire::{RECORD_HEADER, Record, RecordHeader, RecordKind};
use bytes::Bytes;

/// Who takes what a scan finds.
pub(super) trait Visit {
    /// A sound batch at `offset`; its plain records. An error says what is wrong with them.
    fn batch(&mut self, offset: u64, plain: &[u8]) -> Result<(), &'static str>;
    /// Bytes that are not what was written.
    fn damage(&mut self, offset: u64, length: u64, what: &'static str) -> io::Result<()>;
}

/// Takes what is no message, and whether anything was damaged.
struct Tables<'a> {
    view: &'a mut View,
    is_sound: bool,
}

impl Visit for Tables<'_> {
    fn batch(&mut self, _offset: u64, plain: &[u8]) -> Result<(), &'static str> {
        let mut at = 0;
        while let Some(rest) = plain.get(at..).filter(|rest| !rest.is_empty()) {
            let (header, head, body) =
                RecordHeader::decode(rest).map_err(|_| "a record in it is malformed")?;
            if header.kind != RecordKind::Message {
                apply_table(self.view, plain, at, (header, head, body))?;
            }
            at += RECORD_HEADER + head + body;
        }
        Ok(())
    }

    fn damage(&mut self, _offset: u64, _length: u64, _what: &'static str) -> io::Result<()> {
        self.is_sound = false;
        Ok(())
    }
}

/// What `segments` hold beside messages, or the last of them, back to one that is sound; `tail` is that
/// of the last.
pub(super) fn scan_tables(
    files: &Files,
    segments: &[Arc<Segment>],
    tail: Tail,
) -> io::Result<View> {
    let newest = segments.last().map(|segment| segment.header.number);
    let mut view = View::default();
    for first in (0..segments.len().saturating_sub(1)).rev() {
        view = View::default();
        let mut is_first_sound = None;
        let mut rest = segments.get(first..).unwrap_or_default().iter().peekable();
        while let Some(segment) = rest.next() {
            let known = remembered(segment, rest.peek().map(|next| &next.header));
            let file = files.get(Kind::Segment, segment.header.number)?;
            let mut tables = Tables {
                view: &mut view,
                is_sound: true,
            };
            let is_newest = Some(segment.header.number) == newest;
            let tail = if is_newest { tail } else { Tail::Ended };
            scan(file.as_ref(), segment, known, tail, &mut tables)?;
            is_first_sound.get_or_insert(tables.is_sound);
        }
        if is_first_sound == Some(true) {
            break;
        }
    }
    Ok(view)
}

/// Applies the record at `at` of a batch, which is no message.
pub(super) fn apply_table(
    view: &mut View,
    plain: &[u8],
    at: usize,
    (header, head, body): (RecordHeader, usize, usize),
) -> Result<(), &'static str> {
    let start = at + RECORD_HEADER;
    let part =
        |from: usize, to: usize| Bytes::copy_from_slice(plain.get(from..to).unwrap_or_default());
    let record = Record {
        header,
        head: part(start, start + head),
        body: part(start + head, start + head + body),
    };
    tables::apply(view, &record).map_err(|_| "a table record in it is malformed")
}

/// Where the sound batches of a segment end, and why there.
pub(super) struct ScanEnd {
    pub(super) end: SegmentEnd,
    pub(super) fault: &'static str,
    /// Bytes of a commit that was cut off.
    pub(super) torn: u64,
    /// Records that damaged batches before the end held, at most.
    pub(super) lost_records: u64,
    /// Where the disk cannot read what comes next: how far that goes from the end on, and how many
    /// records may stand from there to the last byte that was written.
    pub(super) unread: Option<Unread>,
}

/// What cannot be read where a segment seems to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) length: u64,
    /// At most.
    pub(super) records: u64,
    /// Those of the batch that comes next, if its header can be read.
    pub(super) next_batch: u64,
}

/// What a reading calls damage where it was the disk that failed.
pub(super) const UNREADABLE: &str = "the disk cannot read it";

/// How many batches of a segment its successor remembers: what is found behind them was not counted when
/// the successor began, and never will be.
pub(super) fn remembered(segment: &Segment, next: Option<&SegmentHeader>) -> u64 {
    let previous = next.map(|next| next.previous);
    let previous = previous.filter(|previous| previous.segment == segment.header.number);
    previous.map_or(u64::MAX, |previous| previous.batches)
}

/// What may have become of the end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Everything in it was durable once.
    Ended,
    /// Its writer may have died in the middle of a commit, and everything up to here was durable.
    Open { durable: u64 },
}

/// Reads the first `known` batches of the segment in `file`.
///
/// A commit may be several batches, of which a power cut leaves any. Only the last one may be so: the
/// next is begun when it is on disk. It counts whole or not at all; whatever else is unsound is damage,
/// and so is what the disk cannot read.
pub(super) fn scan(
    file: &dyn DiskFile,
    segment: &Segment,
    known: u64,
    tail: Tail,
    visit: &mut impl Visit,
) -> io::Result<ScanEnd> {
    let number = segment.header.number;
    let mut window = Window::new(file, file.size()?);
    let mut offset = FIRST_BATCH;
    let mut end = SegmentEnd {
        chain: ChainEnd {
            segment: number,
            batches: 0,
            tag: [0; 16],
        },
        offset,
        commit: 0,
    };
    let (mut chained, mut lost_records) = (true, 0);
    let mut begun = Begun::default();
    loop {
        let found = BatchHeader::decode(window.bytes(offset, BATCH_HEADER)?, number);
        // in sequence and linked to the batch before, unless damage has broken the link
        let header = found.filter(|header| header.number < known);
        let header = header.filter(|header| {
            if chained {
                header.number == end.chain.batches && header.previous_tag == end.chain.tag
            } else {
                header.number >= end.chain.batches
            }
        });
        let fault = match header {
            None => "no sound batch",
            Some(header) => {
                let frame = window.bytes(offset, header.size())?;
                match segment.open_batch(&header, frame) {
                    Ok((plain, tag)) => {
                        let plain = frame.get(BATCH_HEADER..BATCH_HEADER + plain);
                        let plain = plain.unwrap_or_default();
                        let before = end;
                        end = SegmentEnd {
                            chain: ChainEnd {
                                segment: number,
                                batches: header.number + 1,
                                tag,
                            },
                            offset: offset + header.span(),
                            commit: header.commit,
                        };
                        if header.more && tail.may_be_torn(offset) {
                            begun.hold(before, offset, plain);
                        } else {
                            begun.give(visit)?;
                            give(visit, offset, plain, header.span())?;
                        }
                        (offset, chained) = (end.offset, true);
                        continue;
                    }
                    Err(fault) => fault.as_str(),
                }
            }
        };
        let next = offset + header.map_or(BATCH_HEADER as u64, |header| header.span());
        let is_unread = end.chain.batches < known && window.is_unread(offset, next);
        if tail.may_be_torn(offset) && !is_unread {
            let whole = begun.before().unwrap_or(end);
            let later = window.later_commits(offset + 8, segment, end.chain.batches..known)?;
            let is_of_the_last = later.is_none_or(|later| {
                let is_one = later.first == later.last;
                // where nothing was stored before, a segment begins without a checkpoint that was durable
                let is_begun = whole.chain.batches > 0 || segment.header.previous.batches == 0;
                is_one && is_begun && later.first == whole.commit + 1
            });
            if is_of_the_last {
                let here = header.map_or(offset, |header| offset + header.span());
                let last = later.map_or(here, |later| later.end);
                return Ok(ScanEnd {
                    end: whole,
                    fault,
                    torn: last.saturating_sub(whole.offset),
                    lost_records,
                    unread: None,
                });
            }
        }
        begun.give(visit)?;
        if let Some(next) = window.find_batch(offset + 8, number, end.chain.batches..known)? {
            let fault = window.fault(offset, next, fault);
            let most = (next - offset) / RECORD_HEADER as u64;
            lost_records += header.map_or(most, |header| u64::from(header.records));
            visit.damage(offset, next - offset, fault)?;
            (offset, chained) = (next, false);
            continue;
        }
        let torn = header.map_or(0, |header| header.span());
        let unread = if is_unread {
            Some(window.rest(offset, header.map_or(0, |header| header.records))?)
        } else {
            None
        };
        return Ok(ScanEnd {
            end,
            fault: window.fault(offset, next, fault),
            torn,
            lost_records,
            unread,
        });
    }
}

impl Tail {
    fn may_be_torn(self, offset: u64) -> bool {
        matches!(self, Self::Open { durable } if offset >= durable)
    }
}

/// The batches of a commit whose last one has not been seen yet.
#[derive(Default)]
struct Begun {
    /// Where the commit before it ended.
    before: Option<SegmentEnd>,
    batches: Vec<(u64, Vec<u8>)>,
}

impl Begun {
    fn before(&self) -> Option<SegmentEnd> {
        self.before
    }

    fn hold(&mut self, before: SegmentEnd, offset: u64, plain: &[u8]) {
        self.before.get_or_insert(before);
        self.batches.push((offset, plain.to_vec()));
    }

    fn give(&mut self, visit: &mut impl Visit) -> io::Result<()> {
        self.before = None;
        for (offset, plain) in self.batches.drain(..) {
            let span = (BATCH_HEADER + plain.len() + TAG) as u64;
            give(visit, offset, &plain, span.next_multiple_of(8))?;
        }
        Ok(())
    }
}

fn give(visit: &mut impl Visit, offset: u64, plain: &[u8], span: u64) -> io::Result<()> {
    match visit.batch(offset, plain) {
        Ok(()) => Ok(()),
        Err(what) => visit.damage(offset, span, what),
    }
}

/// Checks the sums of the batches from `from` on, of about `bytes` bytes; needs no key. Gives where to
/// go on, or none at `end`.
pub(super) fn check_batches(
    file: &dyn DiskFile,
    segment: &Segment,
    from: u64,
    end: u64,
    bytes: u64,
) -> io::Result<Option<u64>> {
    let mut window = Window::new(file, end);
    let mut offset = from;
    while offset < end && offset < from + bytes {
        let header =
            BatchHeader::decode(window.bytes(offset, BATCH_HEADER)?, segment.header.number);
        let header = header.ok_or_else(damaged)?;
        let frame = window.bytes(offset, header.size())?;
        if !segment.checksum(&header, frame) {
            return Err(damaged());
        }
        offset += header.span();
    }
    Ok((offset < end).then_some(offset))
}

/// The first and the last commit of some batches, and where they end.
#[derive(Clone, Copy)]
struct Later {
    first: u64,
    last: u64,
    end: u64,
}

/// A part of a file in memory, moved forward as it is read.
pub(super) struct Window<'a> {
    file: &'a dyn DiskFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
    /// What could not be read, in the order in which it was met.
    unread: Vec<(u64, u64)>,
}

impl<'a> Window<'a> {
    /// What is passed over at once when it is empty.
    const PAGE: usize = 4096;
    const STEP: usize = 1 << 20;

    fn new(file: &'a dyn DiskFile, length: u64) -> Self {
        Self {
            file,
            length,
            start: 0,
            bytes: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Whether something between `from` and `to` could not be read.
    fn is_unread(&self, from: u64, to: u64) -> bool {
        self.unread.iter().any(|part| part.0 < to && from < part.1)
    }

    /// What is to be said of damage between `from` and `to`, where otherwise it were `fault`.
    fn fault(&self, from: u64, to: u64, fault: &'static str) -> &'static str {
        if self.is_unread(from, to) {
            UNREADABLE
        } else {
            fault
        }
    }

    /// What lies behind `from`, where something cannot be read.
    fn rest(&mut self, from: u64, next_batch: u32) -> io::Result<Unread> {
        let mut written = from;
        let mut offset = from;
        while offset < self.length {
            let bytes = self.bytes(offset, Self::STEP)?;
            let last = bytes.iter().rposition(|byte| *byte != 0);
            let step = bytes.len() as u64;
            written = last.map_or(written, |last| offset + last as u64 + 1);
            offset += step.max(1);
        }
        let unread = self.unread.iter().filter(|part| part.1 > from);
        let end = unread.map(|part| part.1).max().unwrap_or(from);
        Ok(Unread {
            length: end.max(written) - from,
            records: (end.max(written) - from) / RECORD_HEADER as u64,
            next_batch: u64::from(next_batch),
        })
    }

    /// `size` bytes at `offset`, fewer at the end of the file.
    fn bytes(&mut self, offset: u64, size: usize) -> io::Result<&mut [u8]> {
        let left = self.length.saturating_sub(offset);
        let size = size.min(usize::try_from(left).unwrap_or(size));
        let inside =
            offset >= self.start && offset + size as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            let want = size.clamp(Self::STEP, MAX_PAYLOAD + BATCH_HEADER);
            let want = want.min(usize::try_from(left).unwrap_or(want));
            self.bytes.resize(want, 0);
            let read = salvage::read(self.file, &mut self.bytes, offset)?;
            self.bytes.truncate(read.bytes);
            self.start = offset;
            for part in read.unread {
                if !self.unread.contains(&part) {
                    self.unread.push(part);
                }
            }
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let to = from.saturating_add(size).min(self.bytes.len());
        Ok(self.bytes.get_mut(from..to).unwrap_or_default())
    }

    /// The commits of the sound batches from `offset` on, if there is any.
    fn later_commits(
        &mut self,
        mut offset: u64,
        segment: &Segment,
        numbers: Range<u64>,
    ) -> io::Result<Option<Later>> {
        let number = segment.header.number;
        let mut later: Option<Later> = None;
        while let Some(found) = self.find_batch(offset, number, numbers.clone())? {
            offset = found + 8;
            let Some(header) = BatchHeader::decode(self.bytes(found, BATCH_HEADER)?, number) else {
                continue;
            };
            if segment.checksum(&header, self.bytes(found, header.size())?) {
                offset = found + header.span();
                let first = later.map_or(header.commit, |later| later.first);
                later = Some(Later {
                    first,
                    last: header.commit,
                    end: offset,
                });
            }
        }
        Ok(later)
    }

    /// The next offset, in steps of 8, at which a sound batch header of `segment` stands.
    fn find_batch(
        &mut self,
        mut offset: u64,
        segment: u64,
        numbers: Range<u64>,
    ) -> io::Result<Option<u64>> {
        while offset < self.length {
            let bytes = self.bytes(offset, Self::STEP)?;
            if bytes.len() < BATCH_HEADER {
                return Ok(None);
            }
            let last = bytes.len() - BATCH_HEADER;
            // most of it was never written: zeros are passed over a page at a time
            let pages = bytes.chunks(Self::PAGE).enumerate();
            let written =
                pages.filter(|(_, page)| page.iter().fold(0, |all, byte| all | byte) != 0);
            let candidates = written.flat_map(|(number, page)| {
                let start = number * Self::PAGE;
                (start..start + page.len()).step_by(8)
            });
            let found = candidates
                .filter_map(|at| Some((at, bytes.get(at..at + BATCH_HEADER)?)))
                .find(|(_, bytes)| {
                    let header = BatchHeader::decode(bytes, segment);
                    header.is_some_and(|header| numbers.contains(&header.number))
                });
            if let Some((at, _)) = found {
                return Ok(Some(offset + at as u64));
            }
            offset += (last / 8 * 8 + 8) as u64;
        }
        Ok(None)
    }
}
