//! What takes the space of a log, what messages may still take, and who is refused because of that.
//!
//! The writer puts it together at every look around, so that asking costs no commit and works when
//! appends are refused.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::writer::Writer;
use super::{Relief, quarantine};
use crate::model::{Lane, Timestamp};

/// The space of a log as of a quarter of a second ago.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The most bytes that the log may take; `u64::MAX` when only the disk limits it.
    pub max_bytes: u64,
    /// Bytes of the disk that are left to others.
    pub min_free: u64,
    /// Segments, indexes and free files together.
    pub bytes: u64,
    /// Of that, index files.
    pub index_bytes: u64,
    /// Of that, what somebody still needs or what is kept.
    pub live_bytes: u64,
    /// Of that, room in the segment that is being written.
    pub unused_bytes: u64,
    /// Of that, files that lie ready for the next segments, the reserve not counted.
    pub free_bytes: u64,
    /// Of that, the file that messages never take, so that positions can always be written.
    pub reserve_bytes: u64,
    /// What messages may still take.
    pub left_bytes: u64,
    /// When nothing is left if it goes on as in the last minutes; none when it does not grow.
    pub full_in: Option<Duration>,
    /// Every lane, the most urgent first.
    pub lanes: Vec<LaneUse>,
    /// What could be given back now.
    pub relief: Relief,
}

impl Usage {
    /// What nobody needs any more in segments of which a part is needed, and what records beside
    /// messages take.
    pub fn dead_bytes(&self) -> u64 {
        let others = [
            self.index_bytes,
            self.live_bytes,
            self.unused_bytes,
            self.free_bytes,
            self.reserve_bytes,
        ];
        self.bytes.saturating_sub(others.iter().sum())
    }

    /// Whether less than half of what messages may take is left.
    pub fn is_crowded(&self) -> bool {
        let taken = [self.free_bytes, self.reserve_bytes, self.unused_bytes];
        self.left_bytes < self.bytes.saturating_sub(taken.iter().sum())
    }

    /// Whether any lane is refused.
    pub fn is_refusing(&self) -> bool {
        self.lanes.iter().any(|lane| lane.refused.is_some())
    }
}

/// One lane and the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneUse {
    /// The lane.
    pub lane: Lane,
    /// It is refused when more than this share is taken, in percent.
    pub share: u8,
    /// Since when it is refused, if it is.
    pub refused: Option<Timestamp>,
}

/// What lies in the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quarantine {
    /// Copies of damaged ranges, and files that are no usable segments.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Quarantine {
    /// Counts what lies in the quarantine of the log in `dir`.
    pub(super) fn count(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let dir = quarantine::dir(dir);
        let names = match disk.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            names => names?,
        };
        let mut found = Self::default();
        for name in names {
            found.files += 1;
            found.bytes += disk.open(&dir.join(name))?.size()?;
        }
        Ok(found)
    }
}

/// What messages take, and what they may still take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    used: u64,
    left: u64,
}

impl Room {
    /// Whether a lane with this share of the room is refused; the whole belongs to the most urgent. One
    /// that is refused is taken again a little below its share, so that it does not go back and forth.
    pub(super) fn refuses(self, share: u8, is_refused: bool) -> bool {
        let until = share.saturating_sub(u8::from(is_refused));
        let allowed = self.used.saturating_add(self.left) / 100 * u64::from(until);
        share < 100 && self.used > allowed
    }
}

/// How fast the log grows, over the last minutes.
#[derive(Debug, Default)]
pub(super) struct Growth {
    points: VecDeque<(Instant, u64)>,
}

impl Growth {
    /// The time between two points, and how many there are.
    const STEP: Duration = Duration::from_secs(10);
    const POINTS: usize = 60;
    /// The least time that says something.
    const LEAST: Duration = Duration::from_secs(30);

    /// The log has `room` now. Returns when it has none, if it goes on like this.
    fn full_in(&mut self, now: Instant, room: Room) -> Option<Duration> {
        let is_due = self
            .points
            .back()
            .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= Self::STEP);
        if is_due {
            self.points.push_back((now, room.used));
        }
        if self.points.len() > Self::POINTS {
            self.points.pop_front();
        }
        // as of late and over the whole time: after a rush it is over, before the next one it was not
        let late = now.checked_sub(Self::LEAST)?;
        let recent = self.points.iter().rev().find(|(at, _)| *at <= late)?;
        let oldest = self.points.front()?;
        let millis = Self::until(room, now, recent)?.max(Self::until(room, now, oldest)?);
        // a year is as good as never
        (millis < 365 * 86_400_000).then(|| Duration::from_millis(millis))
    }

    /// Milliseconds until nothing is left, if it goes on as since `point`.
    fn until(room: Room, now: Instant, point: &(Instant, u64)) -> Option<u64> {
        let took = now.saturating_duration_since(point.0).as_millis();
        let grown = u128::from(room.used.checked_sub(point.1)?);
        let left = u128::from(room.left).saturating_mul(took);
        u64::try_from(left.checked_div(grown)?).ok()
    }
}

/// What the writer remembers from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// How large the log can become on its disk, if the disk said what is free.
    by_disk: Option<u64>,
    /// Bytes of an index file, on average, and how many segments have none yet.
    index_each: u64,
    unindexed: u64,
    growth: Growth,
    /// The lanes that are refused for want of room.
    pub(super) refused: BTreeSet<Lane>,
}

impl Writer {
    /// The room that messages have: by the log's own limit, by the disk as it was seen last, whole
    /// segments only, and without the reserve.
    pub(super) fn room(&self) -> Room {
        let unused = self.unused_bytes();
        let taken = self.reads.view().stats.bytes;
        let (limit, segment) = (self.options.max_bytes, self.options.segment_bytes.max(1));
        // a file that is being made counts as one that lies ready, or what is left would go up and down
        let made = if self.pool.is_filling() { segment } else { 0 };
        let pool = self.pool.bytes() + made;
        let limit = limit.min(self.account.by_disk.unwrap_or(u64::MAX));
        // every segment gets an index when it has ended, those that are still to come, too
        let index = self.account.index_each;
        let indexes = index.saturating_mul(self.account.unindexed + pool / segment);
        let new = limit.saturating_sub(taken.saturating_add(pool).saturating_add(indexes));
        let new = new / segment.saturating_add(index) * segment;
        let files = new.saturating_add(pool).saturating_sub(segment);
        Room {
            used: taken.saturating_sub(unused),
            left: files.saturating_add(unused),
        }
    }

    fn unused_bytes(&self) -> u64 {
        let reserve = self.options.control_reserve;
        self.active.as_ref().map_or(0, |active| {
            (active.capacity - active.at).saturating_sub(reserve)
        })
    }

    /// Looks at the disk and publishes what is taken, what is left, and who is refused.
    pub(super) fn look_at_space(&mut self) {
        let files = &self.reads.files;
        // where a test wants every operation of the disk in order, nobody looks in between; and while a
        // file is being made, its bytes are neither the disk's any more nor the pool's yet
        let is_seen = self.account.by_disk.is_some() && self.pool.is_filling();
        if self.options.prepare_ahead && !is_seen {
            let available = files.disk.available(&files.dir).ok();
            let may_grow = available.map(|free| free.saturating_sub(self.options.min_free));
            let used = self.used_bytes();
            self.account.by_disk = may_grow.map(|bytes| bytes.saturating_add(used));
        }
        let (indexed, bytes) = self.reads.view().index_files();
        self.account.index_each = bytes / indexed.max(1);
        self.account.unindexed = self.reads.view().segments.len() as u64 - indexed;
        let room = self.room();
        let full_in = self.account.growth.full_in(self.clock.instant(), room);
        let relief = self.relief();
        let (now, shed) = (self.clock.now(), self.options.shed);
        let pool = self.pool.bytes();
        let reserve = self.options.segment_bytes.min(pool);
        let scrubbing = self.scrub_percent();
        let unused_bytes = self.unused_bytes();
        let is_full = self.full.is_some();
        let before = std::mem::take(&mut self.account.refused);
        let lanes = Lane::ALL.into_iter();
        let refused: BTreeSet<Lane> = lanes
            .filter(|lane| room.refuses(shed.of(*lane), before.contains(lane)))
            .collect();
        self.account.refused.clone_from(&refused);
        let mut view = self.view_mut();
        let lanes = Lane::ALL.into_iter().map(|lane| {
            let share = shed.of(lane);
            let is_refused = is_full || refused.contains(&lane);
            let known = view.stats.usage.lanes.iter().find(|one| one.lane == lane);
            let since = known.and_then(|known| known.refused).unwrap_or(now);
            LaneUse {
                lane,
                share,
                refused: is_refused.then_some(since),
            }
        });
        let lanes = lanes.collect();
        let usage = Usage {
            max_bytes: self.options.max_bytes,
            min_free: self.options.min_free,
            bytes: view.stats.bytes + pool,
            index_bytes: view.index_files().1,
            live_bytes: view.segments.values().map(|segment| segment.live).sum(),
            unused_bytes,
            free_bytes: pool - reserve,
            reserve_bytes: reserve,
            left_bytes: room.left,
            full_in,
            lanes,
            relief,
        };
        view.stats.usage = usage;
        view.stats.scrubbing = scrubbing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};

    #[test]
    fn the_least_urgent_is_refused_first() {
        let room = |used| Room {
            used,
            left: 1000 - used,
        };
        let refused = |used| [95, 98, 99, 100].map(|share| room(used).refuses(share, false));
        assert_eq!(refused(950), [false; 4]);
        assert_eq!(refused(951), [true, false, false, false]);
        assert_eq!(refused(985), [true, true, false, false]);
        assert_eq!(refused(1000), [true, true, true, false]);
        let again = |used| [95, 98, 99, 100].map(|share| room(used).refuses(share, true));
        assert_eq!(again(945), [true, false, false, false]);
        assert_eq!(again(940), [false; 4]);
        assert_eq!(again(1000), [true, true, true, false]);
    }

    #[test]
    fn when_it_is_full_is_known_after_a_while_and_only_if_it_grows() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let mut growth = Growth::default();
        let mut look = |used| {
            let room = Room {
                used,
                left: 10_000 - used,
            };
            growth.full_in(clock.instant(), room)
        };
        assert_eq!(look(100), None);
        clock.advance(Duration::from_secs(20));
        assert_eq!(look(300), None, "too early to say");
        clock.advance(Duration::from_secs(20));
        assert_eq!(
            look(500),
            Some(Duration::from_secs(950)),
            "10 bytes a second"
        );
        clock.advance(Duration::from_secs(10));
        assert_eq!(look(5000), Some(Duration::from_millis(51_020)), "a rush");
        clock.advance(Duration::from_secs(40));
        assert_eq!(look(4000), None, "the rush is over");
        assert_eq!(look(50), None, "space came back");
    }
}
