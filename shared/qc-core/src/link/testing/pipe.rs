//! One direction of a connection: bytes that arrive late, not at all, or changed.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Bytes that a connection holds before its sender has to wait.
const CAPACITY: usize = 8 * 1024;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    /// How many of them arrive when.
    due: VecDeque<(Instant, usize)>,
    /// How long a byte takes, and how many a second there are, if that is few.
    pub(super) delay: Duration,
    pub(super) rate: Option<u64>,
    /// Nothing arrives before this.
    pub(super) stalled: Option<Instant>,
    /// What is sent is taken and never arrives; nobody is told.
    pub(super) deaf: bool,
    /// The connection breaks when so many more bytes were taken.
    pub(super) cut_after: Option<usize>,
    /// Bytes that were taken so far.
    pub(super) taken: u64,
    /// What is there still arrives, and then an error; what is sent is one, too.
    broken: bool,
    /// Bytes that were read so far.
    pub(super) read: u64,
    /// What was turned in which byte of all. Turned twice, a bit is as it was.
    turned: BTreeMap<u64, u8>,
    /// The sender has ended its direction.
    ended: bool,
}

/// What a reader is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// So many bytes are there to read.
    Bytes(usize),
    /// Nothing yet.
    Waiting,
    /// The sender has ended.
    End,
    /// The connection is broken.
    Broken,
}

impl Pipe {
    pub(super) fn new() -> Self {
        Self {
            bytes: VecDeque::new(),
            due: VecDeque::new(),
            delay: Duration::from_millis(1),
            rate: None,
            stalled: None,
            deaf: false,
            cut_after: None,
            taken: 0,
            broken: false,
            read: 0,
            turned: BTreeMap::new(),
            ended: false,
        }
    }

    /// Takes what it has room for; `None` when the connection is broken.
    pub(super) fn write(&mut self, bytes: &[u8], now: Instant) -> Option<usize> {
        if self.broken {
            return None;
        }
        // whoever is deaf acknowledges nothing: a full window and no more is taken
        let mut count = CAPACITY.saturating_sub(self.bytes.len()).min(bytes.len());
        if let Some(left) = &mut self.cut_after {
            count = count.min(*left);
            *left -= count;
        }
        if count > 0 {
            let takes = self.rate.map_or(Duration::ZERO, |rate| {
                Duration::from_nanos(count as u64 * 1_000_000_000 / rate)
            });
            let from = self.due.back().map_or(now, |(at, _)| *at).max(now);
            let at = (now + self.delay).max(from) + takes;
            self.taken += count as u64;
            self.bytes.extend(&bytes[..count]);
            self.due.push_back((at, count));
        }
        if self.cut_after == Some(0) {
            self.broken = true;
        }
        Some(count)
    }

    /// What a reader finds.
    pub(super) fn at(&self, now: Instant) -> At {
        let is_still = self.deaf || self.stalled.is_some_and(|until| now < until);
        if is_still {
            return At::Waiting;
        }
        let there: usize = self
            .due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, count)| count)
            .sum();
        match there {
            0 if !self.bytes.is_empty() => At::Waiting,
            0 if self.broken => At::Broken,
            0 if self.ended => At::End,
            0 => At::Waiting,
            _ => At::Bytes(there),
        }
    }

    /// Takes the first `count` bytes, which are there, behind `out`.
    pub(super) fn read(&mut self, mut count: usize, out: &mut Vec<u8>) {
        out.extend(self.bytes.drain(..count));
        self.read += count as u64;
        while count > 0 {
            let (at, first) = self.due.pop_front().unwrap();
            if first > count {
                self.due.push_front((at, first - count));
            }
            count = count.saturating_sub(first);
        }
    }

    /// When a reader finds something new, if that is a matter of time.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.deaf {
            return None;
        }
        let stalled = self.stalled;
        let first = self.due.front().map(|(at, _)| *at);
        first.map(|at| stalled.map_or(at, |until| until.max(at)))
    }

    /// Bytes on their way.
    pub(super) fn under_way(&self) -> usize {
        self.bytes.len()
    }

    /// No more comes from the sender.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Breaks the connection; of what is on its way the first `kept` bytes arrive.
    pub(super) fn break_off(&mut self, kept: usize) {
        self.broken = true;
        self.bytes.truncate(kept);
        let mut left = kept;
        self.due.retain_mut(|(_, count)| {
            *count = (*count).min(left);
            left -= *count;
            *count > 0
        });
    }

    /// Turns one bit of what is on its way.
    pub(super) fn flip(&mut self, at: usize, bit: u32) {
        self.bytes[at] ^= 1 << bit;
        *self.turned.entry(self.read + at as u64).or_default() ^= 1 << bit;
    }

    /// Whether one of the first `count` bytes of all is not what was sent.
    pub(super) fn is_wrong(&self, count: u64) -> bool {
        self.turned.range(..count).any(|(_, bits)| *bits != 0)
    }
}
