//! A workload process as its supervisor holds it: its lines as they come, its orders, its end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use qc_core::cli::{Exit, Failure};
use qc_core::clock::{Clock as _, SystemClock};

use super::ledger::Ledger;
use super::line::Line;
use super::message::Kind;
use super::watched::Break;
use super::workload::Mode;
use crate::CHORE;

/// How long nothing may be heard of a process before it counts as hanging.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How workloads of one store are started.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// This program.
    pub(super) program: PathBuf,
    /// The store's directory.
    pub(super) dir: PathBuf,
    pub(super) kind: Kind,
    pub(super) segment: u64,
    pub(super) phase: Option<PathBuf>,
    pub(super) stamps: Option<PathBuf>,
    pub(super) broken: Option<Break>,
    /// How many there were.
    pub(super) starts: u64,
}

/// A line, and how far the device had come when it was said, where there is one.
pub(super) type Stamped = (u64, Line);

/// A running workload.
pub(super) struct Child {
    process: Process,
    pid: u64,
    /// How long it took to open the store, once it has.
    pub(super) opening: Option<Duration>,
    orders: Option<ChildStdin>,
    lines: Receiver<Stamped>,
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    Line(Line),
    /// The process has ended, and all it said was heard.
    End,
    /// Nothing until the deadline.
    Nothing,
}

impl Start {
    /// For a store in `dir`.
    pub(super) fn new(dir: &Path, seed: u64) -> Self {
        // the file may have been replaced by a newer build meanwhile: this is what runs
        let program = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        Self {
            program,
            dir: dir.to_owned(),
            kind: Kind { seed, scale: 1 },
            segment: 64 << 10,
            phase: None,
            stamps: None,
            broken: None,
            starts: 0,
        }
    }

    /// Starts one, below `wrapper` if that is not empty.
    pub(super) fn start(
        &mut self,
        mode: Mode,
        ledger: &Ledger,
        wrapper: &[String],
    ) -> Result<Child, Failure> {
        let words: Vec<String> = wrapper
            .iter()
            .cloned()
            .chain([self.program.display().to_string()])
            .chain(self.arguments(mode, ledger))
            .collect();
        self.starts += 1;
        let (program, arguments) = words.split_first().expect("the program is among them");
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| failed(format!("cannot start {program}")).because(&error))?;
        let stdout = process.stdout.take().expect("piped above");
        let orders = process.stdin.take();
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { return };
                let text = String::from_utf8_lossy(&line);
                // the last line of a killed process may be cut short: it was never said
                let Some(line) = stamped(&text) else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Child {
            process,
            pid: 0,
            opening: None,
            orders,
            lines,
        })
    }

    /// The words of its command line.
    pub(super) fn arguments(&self, mode: Mode, ledger: &Ledger) -> Vec<String> {
        let list = |numbers: &[u64]| {
            let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
            words.join(",")
        };
        let mode = match mode {
            Mode::Work => "work",
            Mode::Fill => "fill",
            Mode::Check => "check",
        };
        let mut all: Vec<String> = [
            ("--dir", self.dir.display().to_string()),
            ("--seed", self.kind.seed.to_string()),
            ("--scale", self.kind.scale.to_string()),
            ("--segment", self.segment.to_string()),
            ("--start", self.starts.to_string()),
            ("--mode", mode.to_owned()),
            ("--from", list(&ledger.next())),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        all.insert(0, "store-workload".to_owned());
        let again = ledger.unsure(200);
        if !again.is_empty() {
            all.extend(["--again".to_owned(), list(&again)]);
        }
        if let Some(phase) = &self.phase {
            all.extend(["--phase".to_owned(), phase.display().to_string()]);
        }
        if let Some(stamps) = &self.stamps {
            all.extend(["--stamps".to_owned(), stamps.display().to_string()]);
        }
        if let Some(broken) = self.broken {
            all.extend(["--break".to_owned(), broken.word().to_owned()]);
        }
        all
    }
}

/// Reads `[@STAMP ]LINE`.
fn stamped(text: &str) -> Option<Stamped> {
    let Some(rest) = text.strip_prefix('@') else {
        return Some((0, text.parse().ok()?));
    };
    let (stamp, line) = rest.split_once(' ')?;
    Some((stamp.parse().ok()?, line.parse().ok()?))
}

impl Child {
    /// The next line with its stamp, or why there is none.
    pub(super) fn hear_stamped(&mut self, within: Duration) -> Result<Stamped, Heard> {
        match self.lines.recv_timeout(within) {
            Ok((stamp, line)) => {
                match line {
                    Line::Opening { pid } => self.pid = pid,
                    Line::Opened { micros } => self.opening = Some(Duration::from_micros(micros)),
                    _ => {}
                }
                Ok((stamp, line))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Heard::End),
            Err(RecvTimeoutError::Timeout) => Err(Heard::Nothing),
        }
    }

    /// The next line, or why there is none.
    pub(super) fn hear(&mut self, within: Duration) -> Heard {
        match self.hear_stamped(within) {
            Ok((_, line)) => Heard::Line(line),
            Err(none) => none,
        }
    }

    /// Gives an order.
    pub(super) fn order(&mut self, order: &str) {
        if let Some(orders) = &mut self.orders {
            // a process that is gone is noticed where its lines end
            let _gone = orders.write_all(format!("{order}\n").as_bytes());
        }
    }

    /// Lets the process end as hard as by a kill, from inside.
    pub(super) fn abandon(&mut self) {
        self.orders = None;
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        let _already_gone = self.process.kill();
    }

    /// SIGKILL to the workload itself when it runs below another program.
    pub(super) fn kill_inner(&mut self) {
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        match pid {
            Some(pid) => drop(rustix::process::kill_process(
                pid,
                rustix::process::Signal::KILL,
            )),
            None => self.kill(),
        }
    }

    /// Hears the rest into `ledger` and waits for the end; kills what does not end.
    pub(super) fn finish(&mut self, ledger: &mut Ledger) -> Result<ExitStatus, Failure> {
        let mut hanging = false;
        loop {
            match self.hear(PATIENCE) {
                Heard::Line(line) => ledger.take(&line),
                Heard::End => break,
                Heard::Nothing if hanging => {
                    return Err(failed("a killed workload does not end"));
                }
                Heard::Nothing => {
                    ledger.fault("the process hangs at its end".to_owned());
                    self.kill_inner();
                    hanging = true;
                }
            }
        }
        self.process
            .wait()
            .map_err(|error| failed("cannot wait for a workload").because(&error))
    }

    /// Hears lines into `ledger` until the opening is over and judged. False when the process ended or
    /// hung before that.
    pub(super) fn recovered(&mut self, ledger: &mut Ledger) -> bool {
        loop {
            match self.hear(PATIENCE) {
                Heard::Line(Line::Checked) => {
                    ledger.judge();
                    return true;
                }
                Heard::Line(Line::OpenFailed(why)) => {
                    ledger.fault(format!("does not start: {why}"));
                    return false;
                }
                Heard::Line(line) => ledger.take(&line),
                Heard::End => {
                    ledger.fault("ended before the store was open".to_owned());
                    return false;
                }
                Heard::Nothing => {
                    ledger.fault("hangs while it opens the store".to_owned());
                    return false;
                }
            }
        }
    }

    /// Hears lines into `ledger` until `acks` more messages are acknowledged. False when it ends or
    /// hangs before.
    pub(super) fn acknowledged(&mut self, ledger: &mut Ledger, acks: u64) -> bool {
        let enough = ledger.acked + acks;
        while ledger.acked < enough {
            match self.hear(PATIENCE) {
                Heard::Line(line) => ledger.take(&line),
                Heard::End => {
                    ledger.fault("ended by itself".to_owned());
                    return false;
                }
                Heard::Nothing => {
                    ledger.fault("hangs while it works".to_owned());
                    return false;
                }
            }
        }
        true
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_inner();
        self.kill();
        let _reaped = self.process.wait();
    }
}

/// Opens the store once more and judges what is there.
pub(super) fn verify(start: &mut Start, ledger: &mut Ledger) -> Result<bool, Failure> {
    let mut child = start.start(Mode::Check, ledger, &[])?;
    let sound = child.recovered(ledger);
    if sound {
        child.finish(ledger)?;
    }
    Ok(sound)
}

/// The time as the harnesses measure it.
pub(super) fn now() -> Instant {
    SystemClock::default().instant()
}

pub(super) fn failed(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Other, CHORE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_have_a_stamp() {
        assert_eq!(
            stamped("@12 a 3 4"),
            Some((
                12,
                Line::Acked {
                    number: 3,
                    seq: 4,
                    late: false
                }
            ))
        );
        assert_eq!(stamped("z"), Some((0, Line::Ended)));
        for cut in ["@1", "@12 a 3", "a 3", ""] {
            assert_eq!(stamped(cut), None, "{cut}");
        }
    }
}
