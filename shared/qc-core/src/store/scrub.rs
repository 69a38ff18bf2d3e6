//! Reading everything again now and then, so that damage is found before it is needed, and repairing
//! what was found: keeping the damaged bytes aside and saying which messages are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::Kind;
use super::ids::scoped;
use super::index::{Piece, SegmentIndex};
use super::keeper::{Job, Scrubbed};
use super::quarantine::{self, Copied};
use super::report::{Aside, Damage};
use super::scan::{Tail, Visit, scan};
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
/// How soon everything is read once more when something could be neither read nor repaired.
const AGAIN: Duration = Duration::from_hours(1);
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
    /// When a reading ended that left something.
    left_at: Option<Timestamp>,
    /// Segments that could be neither read nor repaired.
    left: BTreeSet<u64>,
    /// By segment, damage that stays where it is because there is no room for a copy. Until there is, its
    /// segment stays, without an index: so whatever happens, the next start finds the damage again.
    waiting: BTreeMap<u64, Vec<Damage>>,
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
    /// Goes on from when everything was last read, from where an earlier process was, and with what was
    /// found just now.
    pub(super) fn since(
        finished: Option<Timestamp>,
        under_way: Option<&Value>,
        found: &[Damage],
    ) -> Self {
        let round = under_way.and_then(|value| Round::parse(&value.bytes));
        let mut waiting: BTreeMap<u64, Vec<Damage>> = BTreeMap::new();
        for damage in found.iter().filter(|found| found.aside == Aside::NoRoom) {
            let of_segment = waiting.entry(damage.segment).or_default();
            of_segment.push(damage.clone());
        }
        Self {
            round,
            finished,
            waiting,
            ..Self::default()
        }
    }

    /// Whether damage in a segment waits for room.
    pub(super) fn waits(&self, segment: u64) -> bool {
        self.waiting.contains_key(&segment)
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
        let is_due = scrub.finished.is_none_or(|at| time.since(at) >= EVERY)
            && scrub.left_at.is_none_or(|at| time.since(at) >= AGAIN);
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
        } else if part.next.is_none() && self.scrub.left.remove(&part.segment) {
            self.show_damage();
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
        // whoever goes on from there would not know what was left before it
        let is_due =
            now.saturating_duration_since(last) >= SAVE_EVERY && self.scrub.left.is_empty();
        if is_due && round.segment != self.scrub.saved && self.make_room(1024, true).is_ok() {
            self.scrub.last_saved = Some(now);
            self.scrub.saved = round.segment;
            let text = format!("{} {}", round.segment, round.until);
            self.set_value(SCRUBBING, Some(text));
            self.flush();
        }
    }

    pub(super) fn set_value(&mut self, key: &str, text: Option<String>) {
        let revision = Seq(self.clock.now().as_millis());
        let value = text.map(|text| Value {
            revision,
            until: Timestamp::default(),
            bytes: text.into_bytes().into(),
        });
        self.put(|frame| tables::put_value(frame, key, revision, value.as_ref()));
        let change = super::commit::Change::Value(key.to_owned(), value);
        self.staged.changes.push(change);
    }

    fn finish_scrub(&mut self, now: Timestamp) {
        {
            let view = self.reads.view();
            let left = &mut self.scrub.left;
            left.retain(|number| view.segments.contains_key(number));
        }
        self.show_damage();
        let is_sound = self.scrub.left.is_empty();
        if is_sound {
            (self.scrub.finished, self.scrub.left_at) = (Some(now), None);
        } else {
            self.scrub.left_at = Some(now);
        }
        if self.make_room(1024, true).is_err() {
            return;
        }
        if is_sound {
            self.set_value(SCRUBBED, Some(now.as_millis().to_string()));
        }
        if self.reads.view().values.contains_key(SCRUBBING) {
            self.set_value(SCRUBBING, None);
        }
        self.flush();
        if is_sound {
            self.view_mut().stats.scrubbed = Some(now);
        }
    }

    /// Reads a segment that is damaged, keeps what is sound, and records what is lost.
    pub(super) fn repair(&mut self, number: u64) {
        if self.try_repair(number).is_some() {
            self.scrub.left.remove(&number);
        } else {
            // readers say so meanwhile, and the next of them or the next scrub tries again
            self.scrub.left.insert(number);
        }
        self.show_damage();
    }

    /// Makes known what waits and what was left.
    pub(super) fn show_damage(&self) {
        let mut view = self.view_mut();
        view.stats.waiting = self.scrub.waiting.values().flatten().cloned().collect();
        view.stats.unread = self.scrub.left.iter().copied().collect();
    }

    /// None when the segment could not be read, or what was found could not be written down.
    fn try_repair(&mut self, number: u64) -> Option<()> {
        self.flush();
        let found = {
            let view = self.reads.view();
            let known = view.segments.get(&number);
            known.map(|known| (Arc::clone(&known.segment), known.end))
        };
        let Some((segment, end)) = found else {
            return Some(());
        };
        let mut sound = Sound::default();
        let file = self.reads.files.get(Kind::Segment, number).ok()?;
        let batches = end.chain.batches;
        let scanned = scan(file.as_ref(), &segment, batches, Tail::Ended, &mut sound).ok()?;
        if scanned.end.offset < end.offset {
            let length = end.offset - scanned.end.offset;
            sound
                .damaged
                .push((scanned.end.offset, length, scanned.fault));
        }
        match self.keep_aside(number, &sound) {
            Ok(waiting) if waiting.is_empty() => {
                self.scrub.waiting.remove(&number);
            }
            Ok(waiting) => {
                self.scrub.waiting.insert(number, waiting);
            }
            Err(error) => {
                self.poison_by("quarantine", &error);
                return None;
            }
        }
        let lost = self.lost_ranges(number, &sound.index);
        let bytes = (lost.len() + 1) * 1024;
        self.make_room(bytes, true).ok()?;
        for (id, first, last) in lost {
            self.stage_gap(id, first, last);
            self.view_mut().cut(id, first, last);
        }
        self.flush();
        self.view_mut().split(number, sound.index.runs());
        self.reads.forget_segment(number);
        if let Some(view) = self.view_mut().segments.get_mut(&number) {
            view.index = Index::Memory(sound.index);
        }
        // what is lost may be sent again
        self.ids.forget(number);
        self.ids.put(number, sound.ids);
        if self.scrub.waits(number) {
            let files = &self.reads.files;
            let _gone_or_not_there = files.disk.remove(&files.path(Kind::Index, number));
        } else if self.is_ended(number) {
            self.ask_for_index(number);
        }
        // a write that failed meanwhile has said nothing of it
        self.poisoned.is_none().then_some(())
    }

    fn is_ended(&self, number: u64) -> bool {
        let active = self.active.as_ref();
        active.is_none_or(|active| active.number != number)
    }

    /// Copies what is damaged; gives what there is no room for.
    fn keep_aside(&self, number: u64, sound: &Sound) -> io::Result<Vec<Damage>> {
        let mut waiting = Vec::new();
        for (offset, length, what) in &sound.damaged {
            let copy = self.copy_aside(number, *offset, *length)?;
            let damage = Damage::of(number, *offset, *length, what, copy);
            let mut view = self.view_mut();
            let damages = &mut view.stats.damaged;
            let is_same = |known: &Damage| (known.segment, known.offset) == (number, *offset);
            let is_new = copy != Copied::Known && !damages.iter().any(is_same);
            if is_new && damages.len() < REMEMBERED {
                damages.push(damage.clone());
            }
            drop(view);
            if copy == Copied::NoRoom {
                waiting.push(damage);
            }
        }
        Ok(waiting)
    }

    fn copy_aside(&self, number: u64, offset: u64, length: u64) -> io::Result<Copied> {
        let files = &self.reads.files;
        let file = files.get(Kind::Segment, number)?;
        let (disk, dir) = (files.disk.as_ref(), files.dir.as_path());
        quarantine::copy_range(disk, dir, file.as_ref(), number, offset, length)
    }

    /// Copies damage for which there was no room, when there is some.
    pub(super) fn keep_what_waits(&mut self) {
        let waiting = self.scrub.waiting.first_key_value();
        let Some((number, damages)) = waiting.map(|(number, all)| (*number, all.clone())) else {
            return;
        };
        for damage in damages {
            let files = &self.reads.files;
            let room = files.disk.available(&files.dir).unwrap_or(u64::MAX);
            if room < damage.length {
                return;
            }
            match self.copy_aside(number, damage.offset, damage.length) {
                Ok(Copied::New | Copied::Known) => {}
                Ok(Copied::NoRoom) => return,
                Err(error) => {
                    self.poison_by("quarantine", &error);
                    return;
                }
            }
        }
        self.scrub.waiting.remove(&number);
        let mut view = self.view_mut();
        let damages = view.stats.damaged.iter_mut();
        let copied = damages.filter(|damage| damage.segment == number);
        copied.for_each(|damage| damage.aside = Aside::Kept);
        drop(view);
        self.show_damage();
        if self.is_ended(number) {
            self.ask_for_index(number);
        }
        self.may_reclaim = true;
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
