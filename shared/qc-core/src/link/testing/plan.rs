//! A seed and what it came to, or many of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::faults::Fault;
use super::oracle::{Rule, Violation};
use super::world;

/// What the apparatus does wrong on purpose, to show that the oracle finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Break {
    /// A store acknowledges before anything is on disk.
    AckEarly,
    /// A store keeps what comes again.
    NoDedupe,
    /// A sender leaves out numbers.
    SkipSeq,
    /// A store changes the order of two messages.
    Swap,
    /// A sender's disk has changed a body.
    Damage,
    /// A sender forgets what nobody has acknowledged.
    TrimEarly,
    /// A program takes a call that was cut for one that has ended.
    HalfCall,
    /// Nobody dials again.
    NoRedial,
    /// A bit turns and is in no count.
    Stranger,
    /// A node takes far more than its neighbours were promised.
    Greedy,
}

impl Break {
    /// All of them, with the rule that each breaks.
    pub const ALL: [(Self, Rule); 10] = [
        (Self::AckEarly, Rule::Durable),
        (Self::NoDedupe, Rule::Once),
        (Self::SkipSeq, Rule::Order),
        (Self::Swap, Rule::Order),
        (Self::Damage, Rule::Bytes),
        (Self::TrimEarly, Rule::Order),
        (Self::HalfCall, Rule::Calls),
        (Self::NoRedial, Rule::Arrives),
        (Self::Stranger, Rule::Honest),
        (Self::Greedy, Rule::Bounds),
    ];
}

/// One world.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Steps before all faults are lifted.
    pub steps: u32,
    /// What the apparatus does wrong.
    pub broken: Option<Break>,
    /// Instead of what a seed draws: the first connection ends behind this byte of the dialer's
    /// direction, or the acceptor's.
    pub cut: Option<(usize, usize)>,
}

/// What one world came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Over everything that happened, the bytes on the lines among it.
    pub trace: u64,
    /// Faults that had something to hit.
    pub faults: BTreeMap<Fault, u64>,
    /// Rules that were broken.
    pub broken: Vec<Violation>,
    /// Messages that were stored behind a link.
    pub stored: u64,
    /// Acknowledgements that were held against a disk.
    pub acks: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Bytes that each direction of the first connection took, in a world with a cut.
    pub carried: [u64; 2],
    /// Calls that ended as a whole, and with an error.
    pub calls: (u64, u64),
    /// Simulated time in milliseconds, and how much of it passed from the last fault until everything
    /// had arrived.
    pub time_ms: u64,
    /// See `time_ms`.
    pub restored_ms: u64,
}

/// What many worlds came to.
#[derive(Debug, Clone, Default)]
pub struct Explored {
    /// Worlds with at least one fault.
    pub counted: u64,
    /// Worlds without one: they are in no other sum.
    pub idle: u64,
    /// The seed behind the last one that was tried.
    pub next_seed: u64,
    /// Faults, and worlds with them, by kind.
    pub faults: BTreeMap<Fault, (u64, u64)>,
    /// How often a rule was broken.
    pub broken: BTreeMap<Rule, u64>,
    /// The first of them.
    pub examples: Vec<Violation>,
    /// As in [`Run`].
    pub stored: u64,
    /// As in [`Run`].
    pub acks: u64,
    /// As in [`Run`].
    pub connections: u64,
    /// As in [`Run`].
    pub calls: (u64, u64),
    /// Simulated time in seconds.
    pub time_s: u64,
    /// The longest time from the last fault until everything had arrived, in milliseconds.
    pub slowest_ms: u64,
}

const MOST_EXAMPLES: usize = 20;

impl Plan {
    /// The usual world of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            steps: 500,
            broken: None,
            cut: None,
        }
    }

    /// Runs it. A panic is a rule that was broken.
    pub fn run(&self) -> Run {
        catch_unwind(AssertUnwindSafe(|| world::run(self))).unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("a panic without words").to_owned();
            let violation = Violation {
                seed: self.seed,
                rule: Rule::Panics,
                text,
            };
            Run {
                // it had one, or it would not have come to this
                faults: BTreeMap::from([(Fault::Cut, 0)]),
                broken: vec![violation],
                ..Run::default()
            }
        })
    }

    /// Runs worlds of this and the following seeds until `count` of them count, or `goes_on` says no.
    pub fn explore(
        self,
        count: u64,
        threads: usize,
        goes_on: &(dyn Fn() -> bool + Sync),
    ) -> Explored {
        let all = Mutex::new(Explored::default());
        let (next, counted) = (AtomicU64::new(self.seed), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    let mut own = Explored::default();
                    while counted.load(Ordering::Relaxed) < count && goes_on() {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let run = Self { seed, ..self }.run();
                        if !run.faults.is_empty() {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                        own.add_run(run);
                    }
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.add(own);
                });
            }
        });
        let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.next_seed = next.into_inner();
        all
    }
}

impl Explored {
    fn add_run(&mut self, run: Run) {
        for violation in run.broken {
            *self.broken.entry(violation.rule).or_default() += 1;
            if self.examples.len() < MOST_EXAMPLES {
                self.examples.push(violation);
            }
        }
        if run.faults.is_empty() {
            self.idle += 1;
            return;
        }
        self.counted += 1;
        for (fault, times) in run.faults {
            let sum = self.faults.entry(fault).or_default();
            *sum = (sum.0 + times, sum.1 + 1);
        }
        self.stored += run.stored;
        self.acks += run.acks;
        self.connections += run.connections;
        self.calls = (self.calls.0 + run.calls.0, self.calls.1 + run.calls.1);
        self.time_s += run.time_ms / 1000;
        self.slowest_ms = self.slowest_ms.max(run.restored_ms);
    }

    /// Adds what other worlds came to.
    pub fn add(&mut self, other: Self) {
        self.counted += other.counted;
        self.idle += other.idle;
        self.next_seed = self.next_seed.max(other.next_seed);
        for (fault, (times, worlds)) in other.faults {
            let sum = self.faults.entry(fault).or_default();
            *sum = (sum.0 + times, sum.1 + worlds);
        }
        for (rule, times) in other.broken {
            *self.broken.entry(rule).or_default() += times;
        }
        self.examples.extend(other.examples);
        self.examples.sort_by_key(|example| example.seed);
        self.examples.truncate(MOST_EXAMPLES);
        self.stored += other.stored;
        self.acks += other.acks;
        self.connections += other.connections;
        self.calls = (self.calls.0 + other.calls.0, self.calls.1 + other.calls.1);
        self.time_s += other.time_s;
        self.slowest_ms = self.slowest_ms.max(other.slowest_ms);
    }
}
