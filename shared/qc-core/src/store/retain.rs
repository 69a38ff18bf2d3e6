//! How long messages stay, how much a stream may hold, and who is refused first when space runs out.
//!
//! Nothing that a consumer has not taken is dropped to make room: a stream at its limit refuses. Only
//! `expire`, which somebody declared, ends a message that was not taken, and that is counted. Where
//! nobody has ever subscribed `keep` does so as well, and a stream at its limit refuses all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::age::{CLOCK, Deadline};
use super::view::{Span, View};
use super::writer::Writer;
use super::{AppendError, CursorState, Draft, NOBODY, Role, StreamKey};
use crate::model::{Lane, Seq};

/// How long the messages of a stream stay and how much it may hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long a message stays after it was accepted, if every consumer has it. Where there is no
    /// consumer it ends then, too, and is counted.
    pub keep: Option<Duration>,
    /// How long a message stays at most, taken or not.
    pub expire: Option<Duration>,
    /// The most messages; what every consumer has goes first, then publishers are refused. As long as
    /// there is no consumer nothing goes.
    pub max_messages: Option<u64>,
    /// The most bytes, likewise.
    pub max_bytes: Option<u64>,
}

/// The limits of all streams that have some.
#[derive(Default)]
pub(super) struct Policies {
    by_stream: BTreeMap<u32, Limits>,
    /// The last stream whose messages were looked at one by one.
    turn: u32,
}

/// Streams whose messages are looked at one by one in the same look around.
const TURN: usize = 16;
/// Bytes of messages that are read at once to look at them, and how often; the next turn goes on.
const LOOK: usize = 64 << 10;
const LOOKS: usize = 16;

/// Room for what is known of the wall clock.
const CLOCK_BYTES: usize = 8 << 10;

impl Policies {
    pub(super) fn set(&mut self, id: u32, limits: Option<Limits>) {
        match limits {
            Some(limits) => drop(self.by_stream.insert(id, limits)),
            None => drop(self.by_stream.remove(&id)),
        }
    }

    /// The streams whose turn it is.
    fn next_turn(&mut self) -> BTreeSet<u32> {
        let after = (Bound::Excluded(self.turn), Bound::Unbounded);
        let next = self.by_stream.range(after).map(|(id, _)| *id);
        let next: BTreeSet<_> = next.take(TURN).collect();
        // after the last the first has its turn again
        self.turn = next
            .last()
            .copied()
            .filter(|_| next.len() == TURN)
            .unwrap_or(0);
        next
    }

    pub(super) fn of(&self, id: u32) -> Option<&Limits> {
        self.by_stream.get(&id)
    }
}

/// From which share of the space on a lane is refused, in percent; the most urgent lane may fill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// The share for low.
    pub low: u8,
    /// The share for normal.
    pub normal: u8,
    /// The share for high.
    pub high: u8,
}

impl Default for Shed {
    fn default() -> Self {
        Self {
            low: 95,
            normal: 98,
            high: 99,
        }
    }
}

impl Shed {
    /// The share from which `lane` is refused.
    pub fn of(self, lane: Lane) -> u8 {
        match lane {
            Lane::Low => self.low,
            Lane::Normal => self.normal,
            Lane::High => self.high,
            Lane::Critical => 100,
        }
    }
}

impl Writer {
    /// Whether an append may be staged: space, the lane's share of it, and the stream's own limits.
    pub(super) fn may_append(
        &mut self,
        key: &StreamKey,
        drafts: &[Draft],
        bytes: usize,
    ) -> Result<(), AppendError> {
        if let Some(error) = self.is_known_full() {
            return Err(error);
        }
        self.check_lane(drafts)?;
        self.check_letters(key, drafts)?;
        self.check_limits(key, drafts)?;
        self.make_room(bytes, false)
    }

    fn check_lane(&mut self, drafts: &[Draft]) -> Result<(), AppendError> {
        let most_urgent = drafts.iter().map(|draft| draft.lane);
        let Some(lane) = most_urgent.min_by_key(|lane| *lane as u8) else {
            return Ok(());
        };
        let share = self.options.shed.of(lane);
        let is_refused = self.account.refused.contains(&lane);
        if self.room().refuses(share, is_refused) {
            self.account.refused.insert(lane);
            let reason = format!("{lane} messages are refused when {share} % are taken");
            return Err(super::space::full(&reason));
        }
        Ok(())
    }

    /// Letters that nobody has to get out of the way have a share of the log, over all tenants.
    fn check_letters(&self, key: &StreamKey, drafts: &[Draft]) -> Result<(), AppendError> {
        let max = self.options.dead_bytes;
        if key.role != Role::Dead || max == u64::MAX {
            return Ok(());
        }
        let sizes = drafts
            .iter()
            .map(|draft| draft.head.len() + draft.body.len());
        let new = sizes.sum::<usize>() as u64;
        let homes = self.numbers.streams.iter();
        let homes = homes.filter(|(home, _)| home.role == Role::Dead);
        let held = homes.filter_map(|(_, id)| self.numbers.positions.get(id));
        let held: u64 = held.map(|position| position.bytes).sum();
        if held.saturating_add(new) <= max {
            return Ok(());
        }
        let reason = format!("the dead letters hold their {max} bytes");
        Err(AppendError::Limit { reason })
    }

    fn check_limits(&mut self, key: &StreamKey, drafts: &[Draft]) -> Result<(), AppendError> {
        let Some((id, limits)) = self.limits_of(key) else {
            return Ok(());
        };
        let Some(position) = self.numbers.positions.get(&id) else {
            return Ok(());
        };
        let bytes: usize = drafts
            .iter()
            .map(|draft| draft.head.len() + draft.body.len())
            .sum();
        let messages = position.messages + drafts.len() as u64;
        let bytes = position.bytes + bytes as u64;
        let over = limits
            .max_messages
            .filter(|max| messages > *max)
            .map(|max| (max, "messages"));
        let over = over.or_else(|| {
            limits
                .max_bytes
                .filter(|max| bytes > *max)
                .map(|max| (max, "bytes"))
        });
        let Some((max, unit)) = over else {
            return Ok(());
        };
        self.flush();
        let who = match self.reads.view().cursors_of(id).next() {
            Some(_) => "not every consumer has them",
            None => "nobody has subscribed to it yet",
        };
        let reason = format!("stream {} holds its {max} {unit}, and {who}", key.name);
        let excess = if unit == "messages" {
            messages - max
        } else {
            0
        };
        let trim = taken_by_all(&self.reads.view(), id, excess, bytes.saturating_sub(max));
        if let Some(trim) = trim
            && self.make_room(1024, true).is_ok()
        {
            self.stage_trim(id, trim);
            self.flush();
            return Ok(());
        }
        Err(AppendError::Limit { reason })
    }

    /// Finds out what the wall clock did while there was no process.
    pub(super) fn begin_time(&mut self) {
        let now = self.clock.now();
        let newest: Vec<_> = {
            let view = self.reads.view();
            let last = view.streams.values().filter_map(|one| one.spans.back());
            // where no message comes for weeks, the reading of everything shows that a process ran
            let read = view.stats.scrubbed;
            last.map(|span| span.newest).chain(read).collect()
        };
        let jump = self.ages.begin(now, newest.into_iter());
        self.note_jump(jump.is_some());
        self.look_at_clock();
    }

    /// Notes it when the wall clock jumps, before anything is stored by its new time.
    pub(super) fn look_at_clock(&mut self) {
        let (now, at) = (self.clock.now(), self.clock.instant());
        let jump = self.ages.look(now, at);
        self.note_jump(jump.is_some());
        // without room it is tried again; until then no message gets any
        if self.ages.is_unsaved && self.make_room(CLOCK_BYTES, true).is_ok() {
            self.ages.is_unsaved = false;
            self.set_value(CLOCK, Some(self.ages.to_text()));
        }
    }

    fn note_jump(&self, is_new: bool) {
        let mut view = self.view_mut();
        view.stats.jumps += u64::from(is_new);
        view.stats.jump = self.ages.last_jump();
    }

    /// Ends what is over its time.
    pub(super) fn retain(&mut self) {
        let now = self.clock.now();
        let exactly = self.policies.next_turn();
        let mut due = Vec::new();
        for (id, limits) in &self.policies.by_stream {
            let before = |age: Option<Duration>| {
                let deadline = self.ages.deadline(now, age?)?;
                Some(self.accepted_before(*id, deadline, exactly.contains(id)))
            };
            let (kept, expired) = (before(limits.keep), before(limits.expire));
            let view = self.reads.view();
            // without a consumer there is nobody to wait for
            let acked = acked_by_all(&view, *id);
            let kept = kept.map(|seq| acked.map_or(seq, |acked| seq.min(acked)));
            let stream = view.streams.get(id);
            if let (Some(stream), Some(trim)) = (stream, kept.max(expired))
                && trim > stream.trim
            {
                due.push((*id, trim));
            }
        }
        for (id, trim) in due {
            self.expire(id, trim);
        }
        self.flush();
    }

    /// The last seq of a stream that is over its time: `exactly`, or as far as spans and the index in
    /// memory tell.
    fn accepted_before(&self, id: u32, deadline: Deadline<'_>, exactly: bool) -> Seq {
        let (mut last, straddling) = self.reads.view().accepted_before(id, deadline);
        let Some(span) = straddling.filter(|_| exactly) else {
            return last;
        };
        // what cannot be read stays until all of its span is over its time
        for _ in 0..LOOKS {
            let Ok(records) = self.reads.read_within(id, span, last, LOOK) else {
                break;
            };
            let mut older = records.iter().map(|record| &record.header);
            let older = older
                .by_ref()
                .take_while(|header| deadline.is_over(header.accepted));
            match older.map(|header| header.seq).last() {
                Some(seq) if seq > last => last = seq,
                _ => break,
            }
        }
        last
    }

    /// Trims a stream; consumers that had not come that far count what they will not get.
    fn expire(&mut self, id: u32, trim: Seq) {
        let behind = self.reads.view().behind(id, trim, CursorState::expired_to);
        let bytes = (behind.len() + 1) * 1024;
        if self.make_room(bytes, true).is_err() {
            return;
        }
        for (consumer, state) in behind {
            self.put_cursor(id, consumer, state);
        }
        self.stage_trim(id, trim);
    }
}

/// How far every consumer of a stream has come; none when it has no consumer.
fn acked_by_all(view: &View, id: u32) -> Option<Seq> {
    view.cursors_of(id).map(|(_, state)| state.seq).min()
}

/// Up to where a stream must be trimmed to lose `messages` messages or `bytes` bytes, if everybody has
/// them.
fn taken_by_all(view: &View, id: u32, messages: u64, bytes: u64) -> Option<Seq> {
    let stream = view.streams.get(&id)?;
    let first = stream.spans.front()?.first;
    let mut trim = Seq((first.0 + messages).saturating_sub(1));
    if messages == 0 {
        let mut left = bytes;
        for span in &stream.spans {
            trim = span.last;
            if span.bytes >= left {
                let share =
                    u128::from(left) * u128::from(span.messages()) / u128::from(span.bytes.max(1));
                trim = Seq(span.first.0 + u64::try_from(share).unwrap_or(0)).min(span.last);
                break;
            }
            left -= span.bytes;
        }
    }
    // a little more than needed, so that not every append has to trim
    let more = Seq(trim.0 + (stream.last.0 - first.0) / 64);
    let acked = acked_by_all(view, id)?;
    (acked >= trim).then(|| more.min(acked))
}

impl View {
    /// The consumers that have not come to `seq`, as they are when everything up to there has ended:
    /// `settle` takes the position, `seq` and what is lost on the way. Without a consumer nobody counts.
    pub(super) fn behind(
        &self,
        id: u32,
        seq: Seq,
        settle: fn(CursorState, Seq, u64) -> CursorState,
    ) -> Vec<(String, CursorState)> {
        let Some(stream) = self.streams.get(&id) else {
            return Vec::new();
        };
        let settled = |(name, state): (&str, CursorState)| {
            let lost = stream.lost_between(state.seq, seq);
            (name.to_owned(), settle(state, seq, lost))
        };
        let cursors = self.cursors_of(id).map(|(name, state)| (name, *state));
        let mut cursors: Vec<_> = cursors.collect();
        if cursors.is_empty() {
            let known = self.cursors.get(&(id, NOBODY.to_owned())).copied();
            let state = known.unwrap_or_else(|| CursorState::starting_at(stream.trim));
            cursors.push((NOBODY, state.passed_over(stream.trim)));
        }
        let behind = cursors.into_iter().filter(|(_, state)| state.seq < seq);
        behind.map(settled).collect()
    }

    /// The last seq of a stream that is over its time, as far as spans and entries in memory tell; and
    /// the span in which it goes on, if that has older and newer messages.
    fn accepted_before(&self, id: u32, deadline: Deadline<'_>) -> (Seq, Option<Span>) {
        let Some(stream) = self.streams.get(&id) else {
            return (Seq::ZERO, None);
        };
        let mut last = stream.trim;
        for span in &stream.spans {
            if deadline.is_over(span.newest) {
                last = span.last;
                continue;
            }
            if let Some(entries) = self.entries_in_memory(id, span.first) {
                let older = entries
                    .iter()
                    .take_while(|entry| deadline.is_over(entry.accepted))
                    .last();
                last = older.map_or(last, |entry| last.max(Seq(entry.seq.0.saturating_sub(1))));
            }
            return (
                last,
                Some(*span).filter(|span| deadline.is_over(span.oldest)),
            );
        }
        (last, None)
    }
}
