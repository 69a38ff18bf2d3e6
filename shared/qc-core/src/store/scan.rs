//! Reading a segment from beginning to end, batch by batch, through whatever it has suffered.

use std::io;
use std::sync::Arc;

use super::disk::DiskFile;
use super::files::{Files, Kind};
use super::index::SegmentEnd;
use super::pages::damaged;
use super::seal::TAG;
use super::segment::{BATCH_HEADER, BatchHeader, ChainEnd, FIRST_BATCH, MAX_PAYLOAD, Segment};
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
        for segment in segments.get(first..).unwrap_or_default() {
            let file = files.get(Kind::Segment, segment.header.number)?;
            let mut tables = Tables {
                view: &mut view,
                is_sound: true,
            };
            let is_newest = Some(segment.header.number) == newest;
            let tail = if is_newest { tail } else { Tail::Ended };
            scan(file.as_ref(), segment, tail, &mut tables)?;
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
}

/// What may have become of the end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Everything in it was durable once.
    Ended,
    /// Its writer may have died in the middle of a commit, and everything up to here was durable.
    Open { durable: u64 },
}

/// Reads the segment in `file`.
///
/// A commit may be several batches, of which a power cut leaves any. Only the last one may be so: the
/// next is begun when it is on disk. It counts whole or not at all; whatever else is unsound is damage.
pub(super) fn scan(
    file: &dyn DiskFile,
    segment: &Segment,
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
        let header = found.filter(|header| {
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
        if tail.may_be_torn(offset) {
            let whole = begun.before().unwrap_or(end);
            let later = window.later_commits(offset + 8, segment, end.chain.batches)?;
            let is_of_the_last = later.is_none_or(|later| {
                let is_one = later.first == later.last;
                // only the very first segment begins without a checkpoint that was durable before
                let is_begun = whole.chain.batches > 0 || segment.header.previous.segment == 0;
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
                });
            }
        }
        begun.give(visit)?;
        if let Some(next) = window.find_batch(offset + 8, number, end.chain.batches)? {
            let most = (next - offset) / RECORD_HEADER as u64;
            lost_records += header.map_or(most, |header| u64::from(header.records));
            visit.damage(offset, next - offset, fault)?;
            (offset, chained) = (next, false);
            continue;
        }
        return Ok(ScanEnd {
            end,
            fault,
            torn: header.map_or(0, |header| header.span()),
            lost_records,
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
        }
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
            let read = self.file.read_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
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
        at_least: u64,
    ) -> io::Result<Option<Later>> {
        let number = segment.header.number;
        let mut later: Option<Later> = None;
        while let Some(found) = self.find_batch(offset, number, at_least)? {
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
        at_least: u64,
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
                    header.is_some_and(|header| header.number >= at_least)
                });
            if let Some((at, _)) = found {
                return Ok(Some(offset + at as u64));
            }
            offset += (last / 8 * 8 + 8) as u64;
        }
        Ok(None)
    }
}
