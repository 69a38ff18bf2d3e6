//! Flipped bits, sectors that fail, cut, zeroed, shuffled and swapped files, reopened and judged.
//!
//! A store is filled once; it is known which write of which file holds which records. Every damage is
//! done to a copy of its disk, the copy is opened and all of it is read, by a reader who asks again where
//! it is told of damage: no panic, no wrong byte, every record of an untouched batch there, every record
//! that is gone counted and called lost by its number, and a copy of the damaged bytes in the quarantine.
//! Then it is opened once more: the same is lost, it is said again, and nothing is new. What the files
//! in the directory are is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::block_on;
use super::oracle::{Expected, Found, Rule, Violation};
use super::sim::{SimDisk, Written};
use super::workload::{self, DIR, Event, History, Sent, What};
use crate::clock::ManualClock;
use crate::model::{Envelope, Lane, Message, Seq, Timestamp};
use crate::store::{Draft, Log, LogOptions, OpenError, OpenReport, Outcome, StreamKey};

/// What happens to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// A bit turns.
    Flip(u64),
    /// The file ends here.
    Cut(u64),
    /// A sector is zero.
    Zero(u64),
    /// A sector has the content of the next one.
    Duplicate(u64),
    /// A sector and the next one have changed places.
    Swap(u64),
    /// A sector is as it was when the store was half as old.
    Stale(u64),
    /// A page of 4 KiB cannot be read any more.
    Unreadable(u64),
    /// The file has the content of another file of this store.
    Other(Arc<Path>),
    /// The file and another one of this store have changed places.
    Exchanged(Arc<Path>),
    /// The file is the one of this name of another store.
    Foreign,
    /// The file is gone.
    Gone,
}

/// A filled store.
pub struct Store {
    disk: SimDisk,
    half: SimDisk,
    history: History,
    places: Vec<Place>,
    segments: Vec<Arc<Path>>,
    bytes: u64,
    /// Bits between a flip that is done and the one that is told of.
    elsewhere: u64,
}

/// Where the records of one append stand.
struct Place {
    written: Written,
    stream: usize,
    seqs: Vec<Seq>,
    /// It is the stream's first, so the stream is named there.
    first: bool,
}

/// Damage of one kind to one part of a file, and the rule it breaks.
pub type Case = (String, &'static str, Rule);

/// What was tried.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// By part and kind of damage.
    pub cases: BTreeMap<(String, &'static str), u64>,
    /// How many of them lost something that was acknowledged.
    pub losses: u64,
    /// How often each rule was broken, by part and kind of damage.
    pub broken: BTreeMap<Case, u64>,
    /// The first of each.
    pub examples: BTreeMap<Case, String>,
}

const SECTOR: u64 = 512;
const PAGE: u64 = 4096;
/// How often a reader of a stream asks again.
const REPAIRS: u32 = 8;

impl Damage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Flip(_) => "flip",
            Self::Cut(_) => "cut",
            Self::Zero(_) => "zero",
            Self::Duplicate(_) => "duplicate",
            Self::Swap(_) => "swap",
            Self::Stale(_) => "stale",
            Self::Unreadable(_) => "unreadable",
            Self::Other(_) => "other file",
            Self::Exchanged(_) => "exchanged",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
        }
    }

    /// Flips and cuts are so many that some of what is judged is judged for a part of them.
    fn is_one_in(&self, many: u64) -> bool {
        match self {
            // not always the same bit of a byte
            Self::Flip(at) => (at + at / 8) % many == 0,
            Self::Cut(at) => at % many == 0,
            _ => true,
        }
    }

    /// The bytes of the file that are hit.
    fn hits(&self, size: u64) -> (u64, u64) {
        match self {
            Self::Flip(bit) => (bit / 8, bit / 8 + 1),
            Self::Cut(length) => (*length, size),
            Self::Zero(sector) | Self::Stale(sector) | Self::Duplicate(sector) => {
                (sector * SECTOR, (sector + 1) * SECTOR)
            }
            Self::Swap(sector) => (sector * SECTOR, (sector + 2) * SECTOR),
            // without the key in its header nothing of a segment can be opened
            Self::Unreadable(0) => (0, size),
            Self::Unreadable(page) => (page * PAGE, (page + 1) * PAGE),
            Self::Other(_) | Self::Exchanged(_) | Self::Foreign | Self::Gone => (0, size),
        }
    }
}

impl Store {
    /// Fills a store with a full segment of `segment_bytes` and a little of the next.
    pub fn filled(seed: u64, segment_bytes: u64) -> Self {
        let sim = SimDisk::default();
        sim.keep_past();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut history = History {
            streams: ["acme/orders", "acme/alarms"]
                .map(|name| StreamKey::hub(name.parse().unwrap()))
                .into(),
            ..History::default()
        };
        let (log, _) = open(&sim, segment_bytes).unwrap();
        let mut half = sim.fork();
        let mut after_roll = 0;
        while after_roll < 6 {
            let stream = rng.usize(0..2);
            append(&log, &sim, &mut history, stream, &mut rng);
            if rng.u8(..) < 20 {
                commit(&log, &sim, &mut history, stream);
            }
            let first = Arc::clone(&segments(&sim)[0]);
            let used = sim
                .writes()
                .iter()
                .filter(|w| w.path == first)
                .map(|w| w.to)
                .max();
            if used.is_some_and(|used| used < segment_bytes / 2) {
                half = sim.fork();
            }
            after_roll += u32::from(segments(&sim).len() > 1);
        }
        log.close();
        let segments = segments(&sim);
        let writes = sim.writes();
        let places = places(&history, &writes, &segments);
        Self {
            half,
            places,
            segments,
            history,
            disk: sim.fork(),
            bytes: segment_bytes,
            elsewhere: 0,
        }
    }

    /// From now on another bit turns than the one that is told of, to see that it is found.
    pub fn damage_elsewhere(&mut self, bits: u64) {
        self.elsewhere = bits;
    }

    /// The store's files.
    pub fn files(&self) -> Vec<Arc<Path>> {
        self.disk.paths()
    }

    /// The full segment.
    pub fn full_segment(&self) -> Arc<Path> {
        Arc::clone(&self.segments[0])
    }

    /// The segment that was written last.
    pub fn last_segment(&self) -> Option<Arc<Path>> {
        self.segments.last().map(Arc::clone)
    }

    /// Every damage to a file but flips: every length, every sector, every page, every other file.
    pub fn coarse(&self, path: &Arc<Path>) -> Vec<Damage> {
        let size = self.disk.length(path);
        let mut all: Vec<Damage> = (0..size).map(Damage::Cut).collect();
        for sector in 0..size.div_ceil(SECTOR) {
            all.extend([
                Damage::Zero(sector),
                Damage::Duplicate(sector),
                Damage::Swap(sector),
                Damage::Stale(sector),
            ]);
        }
        all.extend((0..size.div_ceil(PAGE)).map(Damage::Unreadable));
        for other in self.files().into_iter().filter(|other| other != path) {
            all.push(Damage::Other(Arc::clone(&other)));
            all.push(Damage::Exchanged(other));
        }
        all.extend([Damage::Foreign, Damage::Gone]);
        all
    }

    /// Every flip of a file, and how many of them come before its last byte that is not zero.
    pub fn flips(&self, path: &Path) -> (Vec<Damage>, usize) {
        let content = self.disk.content(path);
        let used = content.iter().rposition(|byte| *byte != 0);
        let all = (0..content.len() as u64 * 8).map(Damage::Flip);
        (all.collect(), used.map_or(0, |last| 8 * (last + 1)))
    }

    /// Does all of `damages` to `path`, one at a time; `other` is where foreign files come from.
    pub fn try_all(&self, path: &Path, damages: &[Damage], other: &Self) -> Tried {
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        let (next, sum) = (AtomicUsize::new(0), Mutex::new(Tried::default()));
        let expected = Expected::at(&self.history, u64::MAX);
        let mut sound = Tried::default();
        self.judge(
            &self.disk.fork(),
            &self.disk.fork(),
            path,
            None,
            &expected,
            &mut sound,
        );
        assert!(sound.broken.is_empty(), "the store is sound: {sound:#?}");
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut tried = Tried::default();
                    while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let disk = self.disk.fork();
                        if !self.hurt(&disk, path, damage, other) {
                            continue;
                        }
                        let before = disk.fork();
                        let part = self.part(path, damage);
                        *tried.cases.entry((part, damage.kind())).or_default() += 1;
                        self.judge(&disk, &before, path, Some(damage), &expected, &mut tried);
                    }
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.add(tried);
                });
            }
        });
        sum.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does each of `damages` to `path` and cuts the power at every operation of the recovery: the one after it
    /// finds the damaged bytes in the quarantine. Gives how many recoveries there were, and what was wrong.
    pub fn cut_in_recovery(&self, path: &Path, damages: &[Damage]) -> (u64, Vec<String>) {
        let (mut recoveries, mut wrong) = (0, Vec::new());
        let mut rng = fastrand::Rng::with_seed(1);
        for damage in damages {
            let disk = self.disk.fork();
            self.hurt(&disk, path, damage, self);
            disk.settle();
            let before = disk.fork();
            disk.keep_past();
            let _opened = open(&disk, self.bytes).unwrap();
            for cut in disk.take_past() {
                for fate in cut.fates(12, &mut rng) {
                    let image = cut.image(&fate).disk;
                    let (log, report) = open(&image, self.bytes).unwrap();
                    log.close();
                    recoveries += 1;
                    if !kept_aside(&image, &before, path, damage) {
                        let (at, after) = (cut.operation, cut.after);
                        wrong.push(format!(
                            "{damage:?}, cut after {at} ({after}), {fate:?}: {report:?}"
                        ));
                    }
                }
            }
        }
        (recoveries, wrong)
    }

    /// Does the damage; `false` when it would change nothing.
    fn hurt(&self, disk: &SimDisk, path: &Path, damage: &Damage, other: &Self) -> bool {
        let sector = |disk: &SimDisk, at: u64| {
            let content = disk.content(path);
            let from = usize::try_from(at * SECTOR).unwrap().min(content.len());
            let to = (from + 512).min(content.len());
            content[from..to].to_vec()
        };
        let replace = |path: &Path, content: &[u8]| {
            disk.cut(path, content.len() as u64);
            disk.put(path, content, 0);
        };
        match damage {
            Damage::Flip(bit) => {
                let bit = (bit + self.elsewhere) % (8 * disk.length(path));
                disk.corrupt(path, usize::try_from(bit / 8).unwrap(), 1 << (bit % 8));
                return true;
            }
            Damage::Cut(length) => {
                disk.cut(path, *length);
                return true;
            }
            Damage::Gone => {
                disk.lose(path);
                return true;
            }
            Damage::Unreadable(page) => {
                disk.spoil(path, page * PAGE, (page + 1) * PAGE);
                return true;
            }
            _ => {}
        }
        let old = disk.content(path);
        match damage {
            Damage::Flip(_) | Damage::Cut(_) | Damage::Gone | Damage::Unreadable(_) => {}
            Damage::Zero(at) => {
                let zeros = vec![0; sector(disk, *at).len()];
                disk.put(path, &zeros, at * SECTOR);
            }
            Damage::Duplicate(at) => disk.put(path, &sector(disk, at + 1), at * SECTOR),
            Damage::Swap(at) => {
                let (a, b) = (sector(disk, *at), sector(disk, at + 1));
                if a.len() == b.len() {
                    disk.put(path, &b, at * SECTOR);
                    disk.put(path, &a, (at + 1) * SECTOR);
                }
            }
            Damage::Stale(at) => {
                if self.half.paths().iter().any(|known| **known == *path) {
                    disk.put(path, &sector(&self.half, *at), at * SECTOR);
                }
            }
            Damage::Other(from) => replace(path, &disk.content(from)),
            Damage::Exchanged(with) => {
                let theirs = disk.content(with);
                replace(with, &old);
                replace(path, &theirs);
            }
            Damage::Foreign => {
                if other.files().iter().any(|known| **known == *path) {
                    replace(path, &other.disk.content(path));
                }
            }
        }
        disk.content(path) != old
    }

    /// The part of the store that is hit, in words.
    fn part(&self, path: &Path, damage: &Damage) -> String {
        let name = path.file_name().unwrap().to_string_lossy();
        let Some(number) = self.segments.iter().position(|segment| **segment == *path) else {
            return name.into_owned();
        };
        let which = if number + 1 == self.segments.len() {
            "last segment"
        } else {
            "full segment"
        };
        let (from, to) = damage.hits(self.disk.length(path));
        let own = self
            .places
            .iter()
            .filter(|place| *place.written.path == *path);
        let first = own.clone().map(|place| place.written.from).min();
        let records = self.touched(path, damage).next().is_some();
        let names = self.touched(path, damage).any(|place| place.first);
        let part = match first {
            _ if from == 0 && damage.kind() != "flip" => "from the header on",
            Some(first) if from < first.min(4096) => "header",
            _ if names => "first records",
            _ if records => "records",
            Some(first) if to <= first => "between header and records",
            _ => "other bytes",
        };
        format!("{which}, {part}")
    }

    /// The appends whose bytes are hit.
    fn touched(&self, path: &Path, damage: &Damage) -> impl Iterator<Item = &Place> {
        let size = self.disk.length(path);
        let (from, to) = damage.hits(size);
        let exchanged = match damage {
            Damage::Exchanged(with) => Some(Arc::clone(with)),
            _ => None,
        };
        let path: Arc<Path> = path.into();
        self.places.iter().filter(move |place| {
            let written = &place.written;
            let own = written.from < to && from < written.to && written.path == path;
            own || exchanged.as_ref() == Some(&written.path)
        })
    }

    fn judge(
        &self,
        disk: &SimDisk,
        before: &SimDisk,
        path: &Path,
        damage: Option<&Damage>,
        expected: &Expected<'_>,
        tried: &mut Tried,
    ) {
        let none = Damage::Cut(u64::MAX);
        let damage = damage.unwrap_or(&none);
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let (log, report) = match open(disk, self.bytes) {
                Ok(opened) => opened,
                // only a file from elsewhere may say so: a start is not stopped by damage
                Err(_) if matches!(damage, Damage::Foreign) => return Vec::new(),
                Err(error) => return vec![Violation::new(Rule::Opens, error.to_string())],
            };
            let found = expected.inspect_with(&log, REPAIRS);
            tried.losses += u64::from(!found.missing.is_empty());
            let (gone, lost) = (found.missing.clone(), found.lost);
            let mut broken = self.hold(expected, path, damage, (&log, &report), found);
            let is_known = !report.damaged.is_empty() || !log.stats().damaged.is_empty();
            if is_known && !kept_aside(disk, before, path, damage) {
                let text = format!("no copy of what {report:?} or {:?} speaks of", log.stats());
                broken.push(Violation::new(Rule::Quarantined, text));
            }
            let log = if damage.is_one_in(64) {
                log.close();
                let (log, violations) = self.once_more(disk, expected, &gone, lost);
                broken.extend(violations);
                log
            } else {
                Some(log)
            };
            if let Some(log) = log.filter(|_| damage.is_one_in(16)) {
                broken.extend(expected.go_on(&log, 0, &gone));
                broken.extend(expected.go_on(&log, 1, &gone));
            }
            broken
        }));
        let panicked = |_| vec![Violation::new(Rule::Panics, "opening or reading")];
        for violation in broken.unwrap_or_else(panicked) {
            let case = (self.part(path, damage), damage.kind(), violation.rule);
            *tried.broken.entry(case.clone()).or_default() += 1;
            let example = || format!("{} {damage:?}: {}", path.display(), violation.text);
            tried.examples.entry(case).or_insert_with(example);
        }
    }

    /// Opens again what has been opened and read: it is as it was then.
    fn once_more(
        &self,
        disk: &SimDisk,
        expected: &Expected<'_>,
        gone: &[(usize, Seq)],
        lost: u64,
    ) -> (Option<Log>, Vec<Violation>) {
        let again = |rule, text: &str| Violation::new(rule, format!("opened again: {text}"));
        let (log, report) = match open(disk, self.bytes) {
            Ok(opened) => opened,
            Err(error) => return (None, vec![again(Rule::Opens, &error.to_string())]),
        };
        let mut broken = Vec::new();
        let found = expected.inspect_with(&log, 0);
        let unread = found.unread.iter();
        broken.extend(unread.map(|text| again(Rule::Serves, text)));
        if found.missing != gone || found.lost != lost {
            let text = format!(
                "{:?} are gone, {} counted; before it was {gone:?}, {lost}",
                found.missing, found.lost
            );
            broken.push(again(Rule::Counts, &text));
        }
        let unnamed = found.missing.iter().find(|(stream, seq)| {
            let key = expected.key(*stream);
            let mut named = report.lost.iter();
            !named.any(|lost| lost.stream == *key && lost.first <= *seq && *seq <= lost.last)
        });
        if unnamed.is_some() {
            let text = format!("no lost range names {unnamed:?}: {report:?}");
            broken.push(again(Rule::Reported, &text));
        }
        if report.damaged.iter().any(|damage| !damage.known) || !log.stats().damaged.is_empty() {
            let text = format!("{report:?} {:?} call it new", log.stats().damaged);
            broken.push(again(Rule::Report, &text));
        }
        (Some(log), broken)
    }

    /// Holds what was found against what damage may do.
    fn hold(
        &self,
        expected: &Expected<'_>,
        path: &Path,
        damage: &Damage,
        (log, report): (&Log, &OpenReport),
        found: Found,
    ) -> Vec<Violation> {
        let touched: BTreeSet<(usize, Seq)> = self
            .touched(path, damage)
            .flat_map(|place| place.seqs.iter().map(|seq| (place.stream, *seq)))
            .collect();
        let mut broken = found.wrong;
        // a cursor in a damaged batch goes back, which only delivers again; the damage is reported
        broken.retain(|violation| violation.rule != Rule::Positions || touched.is_empty());
        let unread = found.unread.into_iter();
        broken.extend(unread.map(|text| Violation::new(Rule::Serves, text)));
        for (stream, seq) in &found.missing {
            let key = expected.key(*stream);
            if !touched.contains(&(*stream, *seq)) {
                let text = format!("{key:?} {seq:?} is gone too");
                broken.push(Violation::new(Rule::Untouched, text));
            }
            if log.lost_after(key, Seq(seq.0 - 1)) == log.lost_after(key, *seq) {
                let text = format!("{key:?} {seq:?} is gone and not called lost: {report:?}");
                broken.push(Violation::new(Rule::Reported, text));
            }
        }
        let missing = found.missing.len() as u64;
        let damages = report.damaged.len() + log.stats().damaged.len();
        if missing > 0 && damages == 0 && report.lost.is_empty() {
            let text = format!("{missing} are gone, and the report is empty");
            broken.push(Violation::new(Rule::Report, text));
        }
        // of what is missing at the end nobody knows whose it was: each stream may have lost all of it
        let last = self.segments.last();
        let mut hit = self.touched(path, damage);
        let at_the_end = hit.any(|place| Some(&place.written.path) == last);
        let streams = if at_the_end {
            self.history.streams.len()
        } else {
            1
        };
        if !(missing..=missing * streams as u64).contains(&found.lost) {
            let text = format!("{missing} are gone, the log counts {}", found.lost);
            broken.push(Violation::new(Rule::Counts, text));
        }
        broken
    }
}

impl Tried {
    /// Adds what another thread or file came to.
    pub fn add(&mut self, other: Self) {
        for (case, count) in other.cases {
            *self.cases.entry(case).or_default() += count;
        }
        for (case, count) in other.broken {
            *self.broken.entry(case).or_default() += count;
        }
        for (case, example) in other.examples {
            self.examples.entry(case).or_insert(example);
        }
        self.losses += other.losses;
    }
}

/// Whether a file of the quarantine holds the bytes around the damage, where any are left.
fn kept_aside(disk: &SimDisk, before: &SimDisk, path: &Path, damage: &Damage) -> bool {
    let Damage::Flip(bit) = damage else {
        // of what was cut or exchanged it is not known which bytes are the damaged ones
        return true;
    };
    let content = before.content(path);
    let at = usize::try_from(bit / 8).unwrap();
    // the damage may be the first or the last byte of what was copied
    let around = [
        &content[at..(at + 8).min(content.len())],
        &content[at.saturating_sub(7)..=at],
    ];
    let quarantine = Path::new(DIR).join("quarantine");
    let copies = disk.paths().into_iter();
    copies
        .filter(|copy| copy.parent() == Some(&quarantine))
        .any(|copy| {
            let copy = disk.content(&copy);
            copy.windows(8).any(|window| around.contains(&window))
        })
}

fn open(disk: &SimDisk, segment_bytes: u64) -> Result<(Log, OpenReport), OpenError> {
    let options = LogOptions {
        segment_bytes,
        // a reader opens a batch once
        cache_bytes: 1 << 20,
        ..workload::options()
    };
    let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
    let disk = Arc::new(disk.clone());
    Log::open(disk, &options, workload::node_key(), Arc::new(clock))
}

fn append(log: &Log, sim: &SimDisk, history: &mut History, stream: usize, rng: &mut fastrand::Rng) {
    let first = history.sent.len();
    let began = sim.operations();
    let draft = |number: usize| {
        let mut body = (number as u64).to_le_bytes().to_vec();
        body.resize_with(8 + rng.usize(20..900), || rng.u8(..));
        let message = Message {
            envelope: Envelope::new(format!("id-{number}"), "/plant/7", "plant.reading"),
            body: body.into(),
        };
        Draft::from_message(&message, Lane::Normal)
    };
    let drafts: Vec<Draft> = (first..first + 2).map(draft).collect();
    history.sent.extend(drafts.iter().map(|draft| Sent {
        stream,
        draft: draft.clone(),
        began,
        refused: false,
    }));
    let outcomes = block_on(log.submit(&history.streams[stream], drafts)).unwrap();
    let epoch = log.info(&history.streams[stream]).unwrap().epoch;
    let what = What::Append {
        stream,
        first,
        count: 2,
        outcomes,
        epoch,
    };
    let acked = Some(sim.operations());
    history.events.push(Event { what, began, acked });
}

fn commit(log: &Log, sim: &SimDisk, history: &mut History, stream: usize) {
    let (key, began) = (&history.streams[stream], sim.operations());
    let seq = log.info(key).unwrap().last;
    block_on(log.commit_cursor("sink", key, seq)).unwrap();
    let what = What::Cursor {
        stream,
        consumer: "sink",
        seq,
    };
    let acked = Some(sim.operations());
    history.events.push(Event { what, began, acked });
}

/// The segments on a disk, oldest first.
fn segments(disk: &SimDisk) -> Vec<Arc<Path>> {
    let is_segment = |path: &Arc<Path>| path.extension().is_some_and(|end| end == "seg");
    disk.paths().into_iter().filter(is_segment).collect()
}

/// Which write of a segment holds which records.
fn places(history: &History, writes: &[Written], segments: &[Arc<Path>]) -> Vec<Place> {
    let mut places = Vec::new();
    for event in &history.events {
        let acked = event.acked.unwrap_or_default();
        let (stream, seqs) = match &event.what {
            What::Append {
                stream, outcomes, ..
            } => (
                *stream,
                outcomes.iter().map(|o: &Outcome| o.seq()).collect(),
            ),
            What::Cursor { stream, .. } | What::Trim { stream, .. } => (*stream, Vec::new()),
        };
        let of_event = |written: &&Written| {
            (event.began + 1..=acked).contains(&written.operation)
                && segments.contains(&written.path)
        };
        // the batch is the last write to a segment before the answer; before it a segment may begin
        if let Some(written) = writes.iter().rfind(of_event) {
            let known = |place: &Place| place.stream == stream && !place.seqs.is_empty();
            let first = !places.iter().any(known);
            places.push(Place {
                written: written.clone(),
                stream,
                seqs,
                first,
            });
        }
    }
    places
}
