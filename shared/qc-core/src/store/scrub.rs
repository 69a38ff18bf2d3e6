//! Reading everything again now and then, so that damage is found before it is needed, and repairing
//! what was found: keeping the damaged bytes aside and saying which messages are lost.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Damage;
use super::files::Kind;
use super::ids::scoped;
use super::index::{Piece, SegmentIndex};
use super::keeper::{Job, Scrubbed};
use super::quarantine;
use super::scan::{Tail, Visit, scan};
use super::space::RollError;
use super::view::Index;
use super::writer::Writer;
use super::{Value, tables};
use crate::model::{Seq, Timestamp};
use crate::wire::{RECORD_HEADER, RecordHeader, RecordKind};

/// The registry value that says when everything had been read.
pub(super) const SCRUBBED: &str = "store/scrubbed";
/// The registry value that says how far a reading under way has come: `SEGMENT UNTIL`.
pub(super) const SCRUBBING: &str = "store/scrubbing";
/// How often everything is read.
const EVERY: Duration = Duration::from_hours(24);
/// The least time between two parts.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the place of a reading under way is written, so that a restart goes on from there.
const SAVE_EVERY: Duration = Duration::from_mins(1);
/// Damages that are remembered for the status.
const REMEMBERED: usize = 64;

/// How far the scrub has come.
#[derive(Default)]
pub(super) struct Scrub {
    round: Option<Round>,
    is_running: bool,
    last_part: Option<Instant>,
    last_saved: Option<Instant>,
    saved: u64,
    finished: Option<Timestamp>,
}

/// One reading of everything that was there when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    /// The segment and the place in it where it goes on.
    segment: u64,
    from: u64,
    /// The segment that was being written when it began: a log that grows fast has an end all the same.
    until: u64,
}

impl Round {
    fn parse(text: &[u8]) -> Option<Self> {
        let (segment, until) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self {
            segment: segment.parse().ok()?,
            from: 0,
            until: until.parse().ok()?,
        })
    }
}

impl Scrub {
    /// Goes on from when everything was last read, and from where an earlier process was.
    pub(super) fn since(finished: Option<Timestamp>, under_way: Option<&Value>) -> Self {
        let round = under_way.and_then(|value| Round::parse(&value.bytes));
        Self {
            round,
            finished,
            ..Self::default()
        }
    }
}

impl Writer {
    /// Has the next part read, when it is time.
    pub(super) fn scrub_on(&mut self) {
        let (now, time) = (self.clock.instant(), self.clock.now());
        let scrub = &self.scrub;
        let rests = scrub
            .last_part
            .is_some_and(|last| now.saturating_duration_since(last) < PAUSE);
        if scrub.is_running || rests || !self.options.scrub {
            return;
        }
        let is_due = scrub.finished.is_none_or(|at| time.since(at) >= EVERY);
        let active = self.active.as_ref().map_or(0, |active| active.number);
        let begin = is_due.then_some(Round {
            segment: 0,
            from: 0,
            until: active,
        });
        let Some(round) = scrub.round.or(begin) else {
            return;
        };
        self.scrub.round = Some(round);
        self.save_scrub(now);
        let Round { segment, from, .. } = round;
        let until = round.until.min(active);
        let job = {
            let view = self.reads.view();
            let next = view.segments.range(segment.min(until)..until).next();
            next.map(|(number, next)| {
                let index = match &next.index {
                    Index::File(index) => Some(Arc::clone(index)),
                    Index::Memory(_) => None,
                };
                let begin = super::segment::FIRST_BATCH;
                Job::Scrub {
                    segment: Arc::clone(&next.segment),
                    from: if *number == segment {
                        from.max(begin)
                    } else {
                        begin
                    },
                    end: next.end.offset,
                    index,
                }
            })
        };
        let Some(job) = job else {
            self.scrub.round = None;
            self.finish_scrub(time);
            return;
        };
        self.scrub.is_running = true;
        self.scrub.last_part = Some(now);
        self.keeper.ask(job);
    }

    /// Takes over what one part found.
    pub(super) fn scrubbed(&mut self, part: &Scrubbed) {
        self.scrub.is_running = false;
        self.view_mut().stats.scrubbed_bytes += part.bytes;
        if !part.sound {
            self.repair(part.segment);
        }
        let next = part.next.filter(|_| part.sound);
        if let Some(round) = &mut self.scrub.round {
            let at = next.map_or((part.segment + 1, 0), |offset| (part.segment, offset));
            (round.segment, round.from) = at;
        }
    }

    /// How much of the reading under way is done.
    pub(super) fn scrub_percent(&self) -> Option<u8> {
        let round = self.scrub.round?;
        let view = self.reads.view();
        let length = |range: std::ops::Range<u64>| -> u64 {
            let segments = view.segments.range(range);
            segments.map(|(_, segment)| segment.end.offset).sum()
        };
        let first = view.segments.keys().next().copied().unwrap_or(0);
        let at = round.segment.clamp(first, round.until.max(first));
        let done = length(first..at) + round.from;
        let all = done + length(at..round.until.max(at)).saturating_sub(round.from);
        u8::try_from(done.saturating_mul(100) / all.max(1)).ok()
    }

    /// Writes down now and then in which segment it is.
    fn save_scrub(&mut self, now: Instant) {
        let Some(round) = self.scrub.round else {
            return;
        };
        let last = *self.scrub.last_saved.get_or_insert(now);
        let is_due = now.saturating_duration_since(last) >= SAVE_EVERY;
        if is_due && round.segment != self.scrub.saved && self.make_room(1024, true).is_ok() {
            self.scrub.last_saved = Some(now);
            self.scrub.saved = round.segment;
            let text = format!("{} {}", round.segment, round.until);
            self.set_value(SCRUBBING, Some(text));
            self.flush();
        }
    }

    fn set_value(&mut self, key: &str, text: Option<String>) {
        let revision = Seq(self.clock.now().as_millis());
        let value = text.map(|text| Value {
            revision,
            until: Timestamp::default(),
            bytes: text.into_bytes().into(),
        });
        self.put(|frame| tables::put_value(frame, key, revision, value.as_ref()));
        let change = super::stage::Change::Value(key.to_owned(), value);
        self.staged.changes.push(change);
    }

    fn finish_scrub(&mut self, now: Timestamp) {
        self.scrub.finished = Some(now);
        if self.make_room(1024, true).is_err() {
            return;
        }
        self.set_value(SCRUBBED, Some(now.as_millis().to_string()));
        if self.reads.view().values.contains_key(SCRUBBING) {
            self.set_value(SCRUBBING, None);
        }
        self.flush();
        self.view_mut().stats.scrubbed = Some(now);
    }

    /// Reads a segment that is damaged, keeps what is sound, and records what is lost.
    pub(super) fn repair(&mut self, number: u64) {
        self.flush();
        let found = {
            let view = self.reads.view();
            let known = view.segments.get(&number);
            known.map(|known| (Arc::clone(&known.segment), known.end))
        };
        let Some((segment, end)) = found else {
            return;
        };
        let mut sound = Sound::default();
        let scanned = self
            .reads
            .files
            .get(Kind::Segment, number)
            .and_then(|file| scan(file.as_ref(), &segment, Tail::Ended, &mut sound));
        let Ok(scanned) = scanned else {
            // the disk does not answer; readers say so, and the next scrub tries again
            return;
        };
        if scanned.end.offset < end.offset {
            let length = end.offset - scanned.end.offset;
            sound
                .damaged
                .push((scanned.end.offset, length, scanned.fault));
        }
        if let Err(error) = self.keep_aside(number, &sound) {
            self.poison_by("quarantine", &error);
            return;
        }
        let lost = self.lost_ranges(number, &sound.index);
        let bytes = (lost.len() + 1) * 1024;
        if let Err(RollError::Full(_)) = self
            .make_room(bytes, true)
            .map_err(|_| RollError::Full(String::new()))
        {
            return;
        }
        for (id, first, last) in lost {
            self.stage_gap(id, first, last);
            self.view_mut().cut(id, first, last);
        }
        self.flush();
        self.view_mut().split(number, sound.index.runs());
        self.reads.forget_segment(number);
        let is_ended = self
            .active
            .as_ref()
            .is_none_or(|active| active.number != number);
        if let Some(view) = self.view_mut().segments.get_mut(&number) {
            view.index = Index::Memory(sound.index);
        }
        // what is lost may be sent again
        self.ids.forget(number);
        self.ids.put(number, sound.ids);
        if is_ended {
            self.ask_for_index(number);
        }
    }

    fn keep_aside(&self, number: u64, sound: &Sound) -> io::Result<()> {
        let files = &self.reads.files;
        for (offset, length, what) in &sound.damaged {
            let file = files.get(Kind::Segment, number)?;
            let (disk, dir) = (files.disk.as_ref(), files.dir.as_path());
            let new = quarantine::copy_range(disk, dir, file.as_ref(), number, *offset, *length)?;
            let mut view = self.view_mut();
            let damages = &mut view.stats.damaged;
            if new && damages.len() < REMEMBERED {
                damages.push(Damage {
                    segment: number,
                    offset: *offset,
                    length: *length,
                    what,
                    known: false,
                });
            }
        }
        Ok(())
    }

    /// What the published state has in a segment and the segment no longer has.
    fn lost_ranges(&self, number: u64, sound: &SegmentIndex) -> Vec<(u32, Seq, Seq)> {
        let view = self.reads.view();
        let mut lost = Vec::new();
        for (id, stream) in &view.streams {
            for span in stream.spans.iter().filter(|span| span.segment == number) {
                let mut there: Vec<_> = sound
                    .runs()
                    .filter(|run| {
                        run.stream == *id && run.first <= span.last && run.last >= span.first
                    })
                    .map(|run| (run.first, run.last))
                    .collect();
                there.sort_unstable();
                let mut expected = span.first;
                for (first, last) in there {
                    if first > expected {
                        lost.push((*id, expected, Seq(first.0 - 1)));
                    }
                    expected = expected.max(last.next());
                }
                if expected <= span.last {
                    lost.push((*id, expected, span.last));
                }
            }
        }
        lost
    }
}

/// The sound part of a segment that was read again.
#[derive(Default)]
struct Sound {
    index: SegmentIndex,
    ids: super::ids::IdMap,
    damaged: Vec<(u64, u64, &'static str)>,
}

impl Visit for Sound {
    fn batch(&mut self, offset: u64, plain: &[u8]) -> Result<(), &'static str> {
        let mut at = 0;
        while let Some(rest) = plain.get(at..).filter(|rest| !rest.is_empty()) {
            let (header, head, body) =
                RecordHeader::decode(rest).map_err(|_| "a record in it is malformed")?;
            let size = RECORD_HEADER + head + body;
            at += size;
            if header.kind == RecordKind::Message {
                let (stream, seq) = (header.stream, header.seq);
                let mut piece = Piece::of(stream, seq, size as u64, header.accepted, header.moved);
                piece.offset = offset;
                self.index.add(&piece);
                if header.dedupe != [0; 16] {
                    self.ids.insert(scoped(header.dedupe, stream), seq);
                }
            }
        }
        Ok(())
    }

    fn damage(&mut self, offset: u64, length: u64, what: &'static str) -> io::Result<()> {
        self.index.interrupt();
        self.damaged.push((offset, length, what));
        Ok(())
    }
}
