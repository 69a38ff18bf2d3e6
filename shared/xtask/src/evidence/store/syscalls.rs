//! The n-th system call fails: the workload runs below `strace`, which lets one kind of call fail in the
//! kernel's place, once or from then on, and the next process must have everything.
//!
//! `strace` counts in each thread of the process by itself, and only a run in which something was really
//! injected is counted. `write` is not among the calls: the store writes by position, and the workload's
//! own pipe is the only thing that `write` serves. EINTR comes once only: whoever is always interrupted
//! never gets on. Calls before the store is opened (the loader's) are passed over.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use qc_core::cli::Failure;

use super::child::{Child, Heard, PATIENCE, Start, failed, now, verify};
use super::ledger::Ledger;
use super::line::Line;
use super::proof::{Proof, Share, Tally};
use super::workload::Mode;
use crate::workspace::which;

pub(super) const PROOF: Proof = Proof {
    name: "store-syscalls",
    claim: "whichever system call of the store fails, once or for good: no acknowledged message is lost, after a \
            failed fdatasync of a segment nothing is acknowledged in that process, that file is never synced again, \
            and the next start needs nobody",
    unit: "runs",
    // one in eleven comes to nothing, and is not counted
    share: 550,
    chunk: 140,
    alone: false,
    goes_on: false,
    lacks: || {
        which("strace")
            .is_none()
            .then(|| "it needs strace (Debian package strace)".to_owned())
    },
    run,
};

/// A kind of call, how it is spelled on this architecture or that, and the errors that it may give.
struct Call {
    name: &'static str,
    spelled: &'static str,
    errors: &'static [&'static str],
}

const DISK: &[&str] = &["EIO", "ENOSPC", "EDQUOT", "EINTR"];

const CALLS: [Call; 9] = [
    Call {
        name: "openat",
        spelled: "openat",
        errors: &["EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE"],
    },
    Call {
        name: "pwrite64",
        spelled: "pwrite64,?pwritev,?pwritev2",
        errors: DISK,
    },
    Call {
        name: "fdatasync",
        spelled: "fdatasync",
        errors: DISK,
    },
    Call {
        name: "fsync",
        spelled: "fsync",
        errors: DISK,
    },
    Call {
        name: "rename",
        spelled: "?rename,?renameat,?renameat2",
        errors: DISK,
    },
    Call {
        name: "unlink",
        spelled: "?unlink,?unlinkat",
        errors: DISK,
    },
    Call {
        name: "fallocate",
        spelled: "fallocate",
        errors: DISK,
    },
    Call {
        name: "ftruncate",
        spelled: "ftruncate",
        errors: DISK,
    },
    Call {
        name: "pread64",
        spelled: "pread64,?preadv,?preadv2",
        errors: &["EIO", "EINTR"],
    },
];

/// Acknowledgements after which a run has shown enough.
const ACKS: u64 = 120;
/// How long a store that refuses may take to go on when the cause was there only once.
const SOON: Duration = Duration::from_secs(2);

/// What one run injects.
struct Case {
    call: &'static Call,
    error: &'static str,
    sticky: bool,
}

/// All cases, in an order that does not change.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for sticky in [false, true] {
        for call in &CALLS {
            for &error in call.errors {
                if !(sticky && error == "EINTR") {
                    cases.push(Case {
                        call,
                        error,
                        sticky,
                    });
                }
            }
        }
    }
    cases
}

/// How many calls of a kind the workload makes: before the store is opened, and the most of one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reach {
    before: u64,
    most: u64,
}

fn run(share: &Share<'_>) -> Result<Tally, Failure> {
    let mut start = Start::new(&share.dir.join("store"), share.seed);
    let mut ledger = Ledger::default();
    let mut tally = Tally::default();
    let log = share.dir.join("strace");
    // the second start has something to recover
    for _ in 0..2 {
        let mut child = start.start(Mode::Work, &ledger, &watching(&log))?;
        if child.recovered(&mut ledger) {
            child.acknowledged(&mut ledger, ACKS);
        }
        child.abandon();
        child.finish(&mut ledger)?;
    }
    let reach = calibrate(&log)?;
    start.broken = share.broken;
    let cases = cases();
    let total = cases.len() as u64;
    for number in share.first..share.first + share.runs {
        let case = usize::try_from(number % total)
            .ok()
            .and_then(|at| cases.get(at));
        let case = case.expect("a remainder of the length is an index");
        let reach = reach.get(case.call.name).copied().unwrap_or_default();
        let n = nth(number / total, reach);
        let sticky = if case.sticky { "+" } else { "" };
        let inject = format!(
            "inject={}:error={}:when={n}{sticky}",
            case.call.spelled, case.error
        );
        one(&mut start, &mut ledger, case, &inject, &log)?;
        start.broken = None;
        verify(&mut start, &mut ledger)?;
        start.broken = share.broken;
        let how = if case.sticky { "from then on" } else { "once" };
        if injected(&log)? {
            tally.runs += 1;
            tally.by(&format!("{} {} {how}", case.call.name, case.error));
        } else {
            tally.count("runs in which that call never came, not counted", 1);
        }
        let faults = ledger.faults().into_iter();
        tally
            .failures
            .extend(faults.map(|fault| format!("run {number}, {inject}: {fault}")));
        if !tally.failures.is_empty() {
            break;
        }
    }
    tally.count("acknowledged messages", ledger.acked);
    tally.count("records compared", ledger.compared);
    Ok(tally)
}

/// The n of round `round`: spread over what there is, each once before one comes back.
fn nth(round: u64, reach: Reach) -> u64 {
    let room = reach.most.saturating_sub(reach.before).max(1);
    // steps of about the golden ratio, made coprime to the room
    let mut step = (room * 618 / 1000).max(1);
    while gcd(step, room) != 1 {
        step += 1;
    }
    reach.before + 1 + (round * step) % room
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Case {
    /// Whether an opening that reports this says nothing but what was done to it: a read that failed is
    /// said, and everything must be there all the same. The next opening has nothing to report.
    fn is_the_cause(&self, report: &str) -> bool {
        let is_read = self.call.name.starts_with("pread") && self.error == "EIO";
        is_read && report.contains("the disk cannot read")
    }
}

/// Runs the workload with a fault until it has shown what it makes of it.
fn one(
    start: &mut Start,
    ledger: &mut Ledger,
    case: &Case,
    inject: &str,
    log: &Path,
) -> Result<(), Failure> {
    let log = log.display().to_string();
    let trace = format!("trace={}", case.call.spelled);
    let wrapper = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        &log,
        "-e",
        &trace,
        "-e",
        inject,
    ];
    let wrapper: Vec<String> = wrapper.into_iter().map(str::to_owned).collect();
    let mut child = start.start(Mode::Work, ledger, &wrapper)?;
    hear(&mut child, ledger, case);
    child.abandon();
    child.finish(ledger)?;
    Ok(())
}

fn hear(child: &mut Child, ledger: &mut Ledger, case: &Case) {
    let enough = ledger.acked + ACKS;
    let mut refused = None;
    let mut acked = ledger.acked;
    while ledger.acked < enough {
        match child.hear(PATIENCE) {
            // the fault came in the opening: it says so and ends
            Heard::Line(Line::OpenFailed(_)) | Heard::End => return,
            Heard::Line(Line::Checked) => ledger.judge(),
            Heard::Line(Line::Reported(what)) if case.is_the_cause(&what) => {}
            Heard::Line(line) => {
                if matches!(line, Line::Refused { .. } | Line::ControlRefused(_)) {
                    refused.get_or_insert_with(now);
                }
                ledger.take(&line);
            }
            Heard::Nothing => {
                ledger.fault("the process hangs".to_owned());
                return;
            }
        }
        if ledger.acked > acked {
            (acked, refused) = (ledger.acked, None);
        }
        let waited = refused
            .map(|since| now().duration_since(since))
            .unwrap_or_default();
        if case.sticky && waited > SOON / 4 {
            return;
        }
        if waited > SOON {
            ledger.fault(format!(
                "still refuses {} ms after a single failure",
                waited.as_millis()
            ));
            return;
        }
    }
}

/// A run without a fault that writes down all calls.
fn watching(log: &Path) -> Vec<String> {
    let calls: Vec<&str> = CALLS.iter().map(|call| call.spelled).collect();
    let trace = format!("trace=write,{}", calls.join(","));
    let log = log.display().to_string();
    let wrapper = ["strace", "-f", "-qq", "-o", &log, "-e", &trace];
    wrapper.into_iter().map(str::to_owned).collect()
}

/// How many calls of each kind there were in the log of [`watching`].
fn calibrate(log: &Path) -> Result<BTreeMap<&'static str, Reach>, Failure> {
    let text = std::fs::read_to_string(log)
        .map_err(|error| failed("strace wrote nothing").because(&error))?;
    let reach = count(&text);
    if reach.get("fdatasync").is_none_or(|reach| reach.most == 0) {
        return Err(
            failed("strace saw no fdatasync").detail(text.chars().take(2000).collect::<String>())
        );
    }
    Ok(reach)
}

/// Counts the lines `PID call(...`, by thread.
fn count(text: &str) -> BTreeMap<&'static str, Reach> {
    let mut threads: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
    let mut reach: BTreeMap<&'static str, Reach> = BTreeMap::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        if call == "write" && arguments.contains("\"o ") {
            for ((_, name), count) in &threads {
                reach.entry(name).or_default().before += count;
            }
        }
        let known = CALLS.iter().find(|kind| {
            kind.spelled
                .split(',')
                .any(|word| word.trim_start_matches('?') == call)
        });
        if let Some(kind) = known {
            let count = threads.entry((pid, kind.name)).or_default();
            *count += 1;
            let reach = reach.entry(kind.name).or_default();
            reach.most = reach.most.max(*count);
        }
    }
    reach
}

fn injected(log: &Path) -> Result<bool, Failure> {
    let text = std::fs::read_to_string(log)
        .map_err(|error| failed("strace wrote nothing").because(&error))?;
    Ok(text.contains("(INJECTED)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_fails_in_every_sensible_way() {
        let cases = cases();
        // five errors for openat, two for pread64, four each for the other seven; EINTR once only
        assert_eq!(cases.len(), (5 + 2 + 7 * 4) + (4 + 1 + 7 * 3));
        assert!(
            !cases
                .iter()
                .any(|case| case.sticky && case.error == "EINTR")
        );
    }

    #[test]
    fn every_n_comes_before_one_comes_again() {
        let reach = Reach {
            before: 7,
            most: 47,
        };
        let mut seen: Vec<u64> = (0..40).map(|round| nth(round, reach)).collect();
        assert_eq!(nth(40, reach), seen[0]);
        seen.sort_unstable();
        assert_eq!(seen, (8..=47).collect::<Vec<_>>());
        assert_eq!(nth(9, Reach::default()), 1);
    }

    #[test]
    fn calls_are_counted_by_thread() {
        let log = "7 openat(AT_FDCWD, \"/etc/ld.so.cache\") = 3\n\
                   7 write(1, \"o 7\\n\", 4) = 4\n\
                   7 openat(AT_FDCWD, \"x\") = 3\n\
                   8 fdatasync(5 <unfinished ...>\n\
                   9 fdatasync(6) = 0\n\
                   8 <... fdatasync resumed>) = 0\n\
                   8 fdatasync(5) = 0\n";
        let reach = count(log);
        assert_eq!(reach["openat"], Reach { before: 1, most: 2 });
        assert_eq!(reach["fdatasync"], Reach { before: 0, most: 2 });
    }
}
