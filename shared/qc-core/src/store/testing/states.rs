//! Every crash of a workload, recovered and judged.
//!
//! A workload runs once on a [`SimDisk`] that keeps its past. At every operation that changed the disk
//! the power is cut: each image that the cut may leave is opened like any log and held against what
//! had been acknowledged by then. Some images are opened on a disk that keeps its past as well, and the
//! power is cut a second time at every operation of the recovery. Images count once, by their bytes.
//!
//! A recovery begins a segment with a random key, so two second cuts differ in their bytes even where
//! they differ in nothing else; `doubled` is therefore counted apart from `distinct`.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::crash::{Image, Snapshot};
use super::lying::{Lie, LyingDisk};
use super::oracle::{Expected, Rule, Violation};
use super::sim::SimDisk;
use super::workload::{self, History, Watch};
use crate::store::{Disk, Log, OpenError, OpenReport};

/// What to explore.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Draws the workload and the fates.
    pub seed: u64,
    /// Steps of the workload; a step is about ten operations of the disk.
    pub steps: u32,
    /// The most images tried at one cut.
    pub images: usize,
    /// One image of so many is cut a second time; 0 for none.
    pub double_one_in: u32,
    /// The most images tried at one second cut.
    pub second_images: usize,
    /// Threads.
    pub threads: usize,
    /// What the disk of the workload forgets.
    pub lie: Option<Lie>,
}

/// What was explored.
#[derive(Debug, Clone, Default)]
pub struct Explored {
    /// Operations of the workload's disk.
    pub operations: u64,
    /// Cuts: operations that changed the disk.
    pub cuts: u64,
    /// Cuts that were tried: all of them, unless the time was up.
    pub cuts_tried: u64,
    /// Cuts by the operation they follow.
    pub cuts_after: BTreeMap<&'static str, u64>,
    /// Answers that the workload was given.
    pub answers: u64,
    /// Different images after one cut.
    pub distinct: u64,
    /// Different images after a second cut, in the recovery from the first.
    pub doubled: u64,
    /// Images that were seen before and judged against other promises.
    pub judged_again: u64,
    /// Images that were seen before and left out.
    pub repeated: u64,
    /// Images that were opened twice and written to.
    pub written_to: u64,
    /// Records that the oracle compared.
    pub records: u64,
    /// How often each rule was broken.
    pub broken: BTreeMap<Rule, u64>,
    /// How, for the first few of each.
    pub examples: Vec<Violation>,
}

impl Plan {
    /// The plan of a seed as CI and the long run use it.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            steps: 160,
            images: 260,
            double_one_in: 48,
            second_images: 8,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            lie: None,
        }
    }

    /// Runs the workload and tries its cuts in a drawn order, for as long as `goes_on` says.
    pub fn explore(&self, goes_on: &(dyn Fn() -> bool + Sync)) -> Explored {
        let sim = SimDisk::default();
        sim.keep_past();
        let disk: Arc<dyn Disk> = match self.lie {
            Some(lie) => Arc::new(LyingDisk::new(Arc::new(sim.clone()), lie)),
            None => Arc::new(sim.clone()),
        };
        let watch = Watch {
            operations: &|| sim.operations(),
            sync_failed: &|| None,
            faulty: false,
        };
        let history = workload::run(&disk, self.seed, self.steps, watch);
        let past = sim.take_past();
        let mut explored = Explored {
            operations: sim.operations(),
            cuts: past.len() as u64,
            answers: history.events.len() as u64,
            ..Explored::default()
        };
        for cut in &past {
            *explored.cuts_after.entry(cut.after).or_default() += 1;
        }
        for mistake in &history.mistakes {
            let how = format!("seed {}, before any cut", self.seed);
            explored.fail(mistake, &how);
        }
        let work = Work {
            plan: self,
            history: &history,
            past: &past,
            order: {
                let mut order: Vec<usize> = (0..past.len()).collect();
                fastrand::Rng::with_seed(self.seed).shuffle(&mut order);
                order
            },
            next: AtomicUsize::new(0),
            seen: Mutex::default(),
            goes_on,
        };
        let parts: Vec<Explored> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(|| work.run()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for part in parts {
            explored.add(part);
        }
        explored
    }
}

impl Explored {
    /// Different images, each opened and judged.
    pub fn states(&self) -> u64 {
        self.distinct + self.doubled
    }

    /// Adds what another workload came to.
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.cuts += other.cuts;
        self.cuts_tried += other.cuts_tried;
        for (after, cuts) in other.cuts_after {
            *self.cuts_after.entry(after).or_default() += cuts;
        }
        self.answers += other.answers;
        self.distinct += other.distinct;
        self.doubled += other.doubled;
        self.judged_again += other.judged_again;
        self.repeated += other.repeated;
        self.written_to += other.written_to;
        self.records += other.records;
        for (rule, times) in other.broken {
            *self.broken.entry(rule).or_default() += times;
        }
        self.examples.extend(other.examples);
        self.examples.sort_by_key(|example| example.rule);
    }

    fn fail(&mut self, violation: &Violation, how: &str) {
        let times = self.broken.entry(violation.rule).or_default();
        *times += 1;
        if *times <= EXAMPLES {
            let text = format!("{how}: {}", violation.text);
            self.examples.push(Violation::new(violation.rule, text));
        }
    }
}

/// How many examples a thread keeps of a rule that is broken.
const EXAMPLES: u64 = 3;

/// What the threads share.
struct Work<'a> {
    plan: &'a Plan,
    history: &'a History,
    past: &'a [Snapshot],
    order: Vec<usize>,
    next: AtomicUsize,
    /// Every image, and the promises it was judged against last.
    seen: Mutex<HashMap<u64, u64>>,
    goes_on: &'a (dyn Fn() -> bool + Sync),
}

/// Whether an image is worth judging.
enum Sight {
    New,
    OtherPromises,
    Repeated,
}

impl Work<'_> {
    fn run(&self) -> Explored {
        let mut explored = Explored::default();
        while (self.goes_on)() {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(at) = self.order.get(turn) else {
                break;
            };
            self.cut(*at as u64, &self.past[*at], &mut explored);
            explored.cuts_tried += 1;
        }
        explored
    }

    fn cut(&self, number: u64, cut: &Snapshot, explored: &mut Explored) {
        let expected = Expected::at(self.history, cut.operation);
        let mut rng = fastrand::Rng::with_seed(self.plan.seed.rotate_left(32) ^ number);
        for fate in cut.fates(self.plan.images, &mut rng) {
            let image = cut.image(&fate);
            match self.sight(&image, &expected) {
                Sight::New => explored.distinct += 1,
                Sight::OtherPromises => explored.judged_again += 1,
                Sight::Repeated => {
                    explored.repeated += 1;
                    continue;
                }
            }
            let again = self.plan.double_one_in > 0 && rng.u32(0..self.plan.double_one_in) == 0;
            if again {
                image.disk.keep_past();
            }
            let wrong = judge(&image, &expected, again, explored);
            for violation in wrong {
                let (seed, operation, after) = (self.plan.seed, cut.operation, cut.after);
                let how =
                    format!("seed {seed}, cut after operation {operation} ({after}), {fate:?}");
                explored.fail(&violation, &how);
            }
            if again {
                self.cut_again(&image, cut, &expected, &mut rng, explored);
            }
        }
    }

    /// Cuts the power at every operation of a recovery.
    fn cut_again(
        &self,
        image: &Image,
        first: &Snapshot,
        expected: &Expected<'_>,
        rng: &mut fastrand::Rng,
        explored: &mut Explored,
    ) {
        for second in image.disk.take_past() {
            for fate in second.fates(self.plan.second_images, rng) {
                let image = second.image(&fate);
                match self.sight(&image, expected) {
                    Sight::New => explored.doubled += 1,
                    Sight::OtherPromises => explored.judged_again += 1,
                    Sight::Repeated => {
                        explored.repeated += 1;
                        continue;
                    }
                }
                for violation in judge(&image, expected, false, explored) {
                    let (seed, operation, after) = (self.plan.seed, first.operation, first.after);
                    let (into, then) = (second.operation, second.after);
                    let how = format!(
                        "seed {seed}, cut after operation {operation} ({after}), \
                         again after operation {into} of the recovery ({then}), {fate:?}"
                    );
                    explored.fail(&violation, &how);
                }
            }
        }
    }

    fn sight(&self, image: &Image, expected: &Expected<'_>) -> Sight {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.insert(image.digest, expected.version) {
            None => Sight::New,
            Some(version) if version != expected.version => Sight::OtherPromises,
            Some(_) => Sight::Repeated,
        }
    }
}

/// One image of so many is opened with its writer, closed, opened again and written to.
const WRITTEN_TO: u64 = 64;

/// Opens an image and says what is wrong with it.
fn judge(
    image: &Image,
    expected: &Expected<'_>,
    only_recovery: bool,
    explored: &mut Explored,
) -> Vec<Violation> {
    // going on writes; what the recovery did is looked at before that
    let goes_on = !only_recovery && image.digest.is_multiple_of(WRITTEN_TO);
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let disk = || Arc::new(image.disk.clone());
        let opened = if goes_on {
            workload::open(disk())
        } else {
            // the same recovery, without a thread that waits for something to do
            workload::open_to_read(disk())
        };
        let mut records = 0;
        let mut wrong = inspect(opened, expected, &mut records, |log| {
            if goes_on {
                log.close();
            }
            Vec::new()
        });
        if goes_on && wrong.is_empty() {
            // a recovery leaves what a recovery finds sound, and what comes then is there afterwards
            let pick = usize::try_from(image.digest >> 8 & 0xffff).unwrap_or(0);
            wrong.extend(inspect(
                workload::open(disk()),
                expected,
                &mut records,
                |log| {
                    let wrong = expected.go_on(log, pick, &[]);
                    log.close();
                    wrong
                },
            ));
            match workload::open_to_read(disk()) {
                Ok((log, _)) => wrong.extend(expected.went_on(&log, pick)),
                Err(error) => wrong.push(Violation::new(Rule::Opens, error.to_string())),
            }
        }
        (wrong, records)
    }));
    let (wrong, records) =
        judged.unwrap_or_else(|_| (vec![Violation::new(Rule::Panics, "opening or reading")], 0));
    explored.records += records;
    explored.written_to += u64::from(goes_on);
    wrong
}

/// Holds a log that was opened against what it must be, then does something with it.
fn inspect(
    opened: Result<(Log, OpenReport), OpenError>,
    expected: &Expected<'_>,
    records: &mut u64,
    then: impl FnOnce(&Log) -> Vec<Violation>,
) -> Vec<Violation> {
    let (log, report) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![Violation::new(Rule::Opens, error.to_string())],
    };
    let found = expected.inspect(&log);
    *records += found.records;
    let mut wrong = found.violations(true);
    if !report.damaged.is_empty() || !report.lost.is_empty() || !report.foreign.is_empty() {
        wrong.push(Violation::new(Rule::Report, format!("{report:?}")));
    }
    wrong.extend(then(&log));
    wrong
}
