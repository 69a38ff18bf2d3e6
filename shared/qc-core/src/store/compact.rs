//! Moving what is still needed out of segments that are mostly dead, so that one slow consumer does not
//! hold the disk that everybody else has given back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ids::scoped;
use super::tenant;
use super::view::{Index, SegmentView, Span, View};
use super::writer::Writer;
use super::{AppendError, NoKey};
use crate::model::Seq;
use crate::wire::{RECORD_HEADER, Record, SealSuite};

/// Share of a segment, in percent, below which it is worth moving the rest.
const WORTH: u64 = 30;
/// The same when somebody asked for space.
pub(super) const WORTH_RELIEF: u64 = 75;
/// Bytes moved between two looks at the queue.
const STEP: usize = 4 << 20;

/// How long a segment is left alone when its messages cannot be read, for instance because the key of
/// their tenant is gone.
const RETRY: Duration = Duration::from_mins(10);

/// How compaction goes on.
#[derive(Default)]
pub(super) struct Compaction {
    /// Whether there is more to move.
    pub(super) is_under_way: bool,
    /// Segments that could not be read, and when that was.
    stuck: BTreeMap<u64, Instant>,
}

impl Writer {
    /// Moves a little, if the log is much larger than what is needed of it.
    pub(super) fn compact(&mut self) {
        let (now, stuck) = (self.clock.instant(), &mut self.compaction.stuck);
        stuck.retain(|_, since| now.saturating_duration_since(*since) < RETRY);
        let candidate = {
            let view = self.reads.view();
            let slack = 2 * self.options.segment_bytes;
            let live: u64 = view.segments.values().map(|segment| segment.live).sum();
            let is_large = view.stats.bytes > live.saturating_mul(2).saturating_add(slack);
            let active = self.active.as_ref().map_or(0, |active| active.number);
            let emptiest = || self.emptiest(&view, WORTH, active);
            is_large.then(emptiest).flatten()
        };
        // without room there will be another time
        let moved = candidate.map(|number| self.move_from(number));
        self.compaction.is_under_way = matches!(moved, Some(Ok(_)));
    }

    /// Copies some of what is needed in a segment to the end of the log. Returns the bytes.
    pub(super) fn move_from(&mut self, number: u64) -> Result<usize, AppendError> {
        let spans: Vec<(u32, Span)> = {
            let view = self.reads.view();
            let of_stream = view.streams.iter().flat_map(|(id, stream)| {
                let here = stream.spans.iter().filter(|span| span.segment == number);
                here.map(|span| (*id, *span))
            });
            of_stream.collect()
        };
        let spans = if self.may_all_go(&spans) {
            spans
        } else {
            Vec::new()
        };
        let mut moved = 0;
        for (id, span) in spans {
            let mut after = Seq(span.first.0.saturating_sub(1));
            while after < span.last && moved < STEP {
                let read = self.reads.read_within(id, span, after, STEP);
                let records = read.unwrap_or_default();
                let Some(last) = records.last() else {
                    break;
                };
                after = last.header.seq;
                match self.move_records(id, &records) {
                    Ok(bytes) => moved += bytes,
                    Err(AppendError::TenantKey { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
            if moved >= STEP {
                break;
            }
        }
        if moved == 0 {
            let now = self.clock.instant();
            self.compaction.stuck.insert(number, now);
        }
        self.flush();
        self.may_reclaim = true;
        Ok(moved)
    }

    /// Whether every tenant's bodies can be read and sealed again: as long as one cannot, its segment
    /// stays, and what was moved out of it would only take more space.
    fn may_all_go(&self, spans: &[(u32, Span)]) -> bool {
        let mut first_of_tenant: BTreeMap<String, (u32, Span)> = BTreeMap::new();
        {
            let view = self.reads.view();
            for (id, span) in spans {
                if let Some(stream) = view.streams.get(id) {
                    let tenant = stream.key.name.tenant().to_owned();
                    first_of_tenant.entry(tenant).or_insert((*id, *span));
                }
            }
        }
        first_of_tenant.iter().all(|(tenant, (id, span))| {
            let before = Seq(span.first.0.saturating_sub(1));
            let is_away = matches!(
                self.reads.tenants.sealing(tenant),
                Err(AppendError::TenantKey {
                    reason: NoKey::Away(_),
                    ..
                })
            );
            !is_away && self.reads.read_within(*id, *span, before, 1).is_ok()
        })
    }

    fn move_records(&mut self, id: u32, records: &[Record]) -> Result<usize, AppendError> {
        let name = {
            let view = self.reads.view();
            view.streams.get(&id).map(|stream| stream.key.name.clone())
        };
        let Some(name) = name else {
            return Ok(0);
        };
        let tenant = match self.reads.tenants.sealing(name.tenant()) {
            Err(AppendError::TenantKey {
                reason: NoKey::Destroyed(_),
                ..
            }) => None,
            tenant => tenant?,
        };
        let mut moved = 0;
        for record in records {
            let size = record.encoded_len() + tenant::TAG + RECORD_HEADER;
            self.make_room(size, true)?;
            let mut header = record.header;
            header.moved = true;
            // a body that is still sealed is one whose key was destroyed
            let tenant = match header.seal {
                SealSuite::None => tenant.as_deref(),
                SealSuite::Aes256Gcm => None,
            };
            self.put_record(&header, &record.head, &record.body, tenant);
            if header.dedupe != [0; 16]
                && let Some(active) = &self.active
            {
                self.ids
                    .insert(active.number, scoped(header.dedupe, id), header.seq);
            }
            moved += size;
        }
        Ok(moved)
    }

    /// The segment before `until`, with its index on disk, of which the smallest share is needed, unless
    /// it was found not to move.
    pub(super) fn emptiest(&self, view: &View, worth: u64, until: u64) -> Option<u64> {
        let movable = self.movable(view, worth, until);
        let shares = movable.map(|(number, segment)| (segment.share(), number));
        shares.min().map(|(_, number)| number)
    }

    /// Ended segments before `until` of which less than `worth` percent is needed.
    pub(super) fn movable<'a>(
        &'a self,
        view: &'a View,
        worth: u64,
        until: u64,
    ) -> impl Iterator<Item = (u64, &'a SegmentView)> {
        let ended = view.segments.range(..until);
        ended.filter_map(move |(number, segment)| {
            let is_indexed = matches!(segment.index, Index::File(_));
            let is_stuck = self.compaction.stuck.contains_key(number);
            let is_worth = is_indexed && !is_stuck && segment.spans > 0 && segment.share() < worth;
            is_worth.then_some((*number, segment))
        })
    }
}
