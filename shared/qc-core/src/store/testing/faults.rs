//! Every fault of a workload, reopened and judged.
//!
//! The workload runs once to count what it asks of the disk. Then it runs again for each operation of
//! each kind and each error that this kind can show, once and from then on; the log meets the error, and
//! afterwards the healthy disk is opened twice: as it is, and as a power cut leaves it that loses all
//! that was not synced (a page whose sync failed is not written again).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::{Failing, Fault, FaultDisk, Operation};
use super::oracle::{Expected, Rule, Violation};
use super::sim::SimDisk;
use super::workload::{self, Watch};
use crate::store::Disk;

/// What to try.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Draws the workload.
    pub seed: u64,
    /// Its steps.
    pub steps: u32,
    /// Every so-manieth run is made; 1 for all.
    pub one_in: usize,
    /// Threads.
    pub threads: usize,
}

/// What was tried.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Operations of the workload on a sound disk.
    pub operations: u64,
    /// The same by kind.
    pub counts: BTreeMap<Operation, u64>,
    /// Runs with a fault.
    pub runs: u64,
    /// Runs that met their fault; threads may let another run end a little sooner.
    pub struck: u64,
    /// Runs left out because of `one_in`.
    pub left_out: u64,
    /// Acknowledgements over all runs.
    pub acked: u64,
    /// How often each rule was broken, by what had failed; nothing had in the run that counts.
    pub broken: BTreeMap<Case, u64>,
    /// The first of each.
    pub examples: BTreeMap<Case, String>,
}

/// A kind of failure, and the rule that was broken after it.
pub type Case = (Option<(Operation, Fault)>, Rule);

impl Plan {
    /// Runs them all.
    pub fn run(&self) -> Tried {
        let counting = one(self, None);
        let counts = counting.counts;
        let mut tried = Tried {
            operations: counts.values().sum(),
            counts: counts.clone(),
            ..Tried::default()
        };
        for violation in &counting.violations {
            tried.fail(None, violation);
        }
        let all: Vec<Failing> = counts
            .iter()
            .flat_map(|(operation, count)| {
                (0..*count).flat_map(|nth| failings(*operation, nth).collect::<Vec<_>>())
            })
            .collect();
        let chosen: Vec<_> = all.iter().copied().step_by(self.one_in.max(1)).collect();
        tried.left_out = (all.len() - chosen.len()) as u64;
        let (next, sum) = (AtomicUsize::new(0), Mutex::new(tried));
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    while let Some(failing) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let run = one(self, Some(*failing));
                        let mut tried = sum.lock().unwrap_or_else(PoisonError::into_inner);
                        tried.runs += 1;
                        tried.struck += u64::from(run.struck);
                        tried.acked += run.acked;
                        for violation in &run.violations {
                            tried.fail(Some(*failing), violation);
                        }
                    }
                });
            }
        });
        sum.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tried {
    fn fail(&mut self, failing: Option<Failing>, violation: &Violation) {
        let case = (
            failing.map(|failing| (failing.operation, failing.fault)),
            violation.rule,
        );
        *self.broken.entry(case).or_default() += 1;
        let example = || format!("{failing:?}: {}", violation.text);
        self.examples.entry(case).or_insert_with(example);
    }
}

/// Every way in which the `nth` operation of a kind can fail.
fn failings(operation: Operation, nth: u64) -> impl Iterator<Item = Failing> {
    let faults = operation.faults().iter();
    faults.flat_map(move |fault| {
        [false, true].map(|sticky| Failing {
            operation,
            nth,
            fault: *fault,
            sticky,
        })
    })
}

/// One run.
struct Run {
    counts: BTreeMap<Operation, u64>,
    struck: bool,
    acked: u64,
    violations: Vec<Violation>,
}

fn one(plan: &Plan, failing: Option<Failing>) -> Run {
    let sim = SimDisk::default();
    let faulty = FaultDisk::new(Arc::new(sim.clone()), failing);
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let watch = Watch {
        operations: &|| faulty.operations(),
        sync_failed: &|| faulty.sync_failed(),
        faulty: failing.is_some(),
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        workload::run(&disk, plan.seed, plan.steps, watch)
    }));
    let counts = faulty.counts();
    let struck = faulty.struck() > 0;
    let Ok(history) = ran else {
        let violations = vec![Violation::new(Rule::Panics, "under the workload")];
        return Run {
            counts,
            struck,
            acked: 0,
            violations,
        };
    };
    let mut violations: Vec<Violation> = history.mistakes.clone();
    if faulty.synced_again() {
        let text = "a file whose sync had failed was synced again";
        violations.push(Violation::new(Rule::Synced, text));
    }
    let expected = Expected::at(&history, u64::MAX);
    for (how, disk) in [
        ("as it is", sim.fork()),
        ("after a power cut", sim.lose_unsynced()),
    ] {
        let found = catch_unwind(AssertUnwindSafe(|| reopened(disk, &expected)));
        let panicked = |_| vec![Violation::new(Rule::Panics, "when reopened")];
        for violation in found.unwrap_or_else(panicked) {
            let text = format!("reopened {how}: {}", violation.text);
            violations.push(Violation::new(violation.rule, text));
        }
    }
    let acked = history.events.iter().filter(|event| event.acked.is_some());
    Run {
        counts,
        struck,
        acked: acked.count() as u64,
        violations,
    }
}

/// Opens a healthy disk and says what is wrong with it.
fn reopened(disk: SimDisk, expected: &Expected<'_>) -> Vec<Violation> {
    match workload::open(Arc::new(disk)) {
        Err(error) => vec![Violation::new(Rule::Opens, error.to_string())],
        Ok((log, report)) => {
            let mut wrong = expected.check(&log);
            if !report.damaged.is_empty() || !report.lost.is_empty() {
                wrong.push(Violation::new(Rule::Report, format!("{report:?}")));
            }
            wrong.extend(expected.go_on(&log, 1, &[]));
            wrong
        }
    }
}
