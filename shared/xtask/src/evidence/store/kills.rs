//! SIGKILL at any moment: the workload is killed again and again, while it works and while it recovers,
//! and the next process must have everything.
//!
//! A kill counts when at least 200 messages were acknowledged since the one before. A recovery is killed
//! in two ways: after a process that ended by itself, which counts, and right after a counted kill, which
//! does not and is told apart.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use qc_core::cli::Failure;

use super::child::{Child, Heard, PATIENCE, Start, failed, verify};
use super::ledger::Ledger;
use super::line::Line;
use super::proof::{Proof, Share, Tally};
use super::watched::phase;
use super::workload::Mode;

/// Acknowledgements since the last kill without which a kill does not count.
const ACKS: u64 = 200;
/// The longest wait after them.
const WAIT: Duration = Duration::from_millis(25);

pub(super) const PROOF: Proof = Proof {
    name: "store-kills",
    claim: "a SIGKILL at any moment loses no acknowledged message, doubles none, brings none that was not sent, \
            and the next start needs nobody",
    unit: "kills",
    share: 2_000,
    chunk: 500,
    alone: false,
    goes_on: false,
    lacks: || None,
    run,
};

/// How a kill is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// At any moment of the work.
    Work,
    /// In the work, and again in the recovery from it.
    Twice,
    /// In the recovery after a process that closed the store.
    AfterClose,
    /// In the recovery after a process that ended in the middle of its work.
    AfterAbort,
}

struct Killer<'a> {
    share: &'a Share<'a>,
    start: Start,
    phases: std::fs::File,
    ledger: Ledger,
    random: fastrand::Rng,
    tally: Tally,
    /// Acknowledged when the last kill came.
    at_last_kill: u64,
    /// How long openings take at the moment, spawn not included.
    opening: Duration,
}

fn run(share: &Share<'_>) -> Result<Tally, Failure> {
    let phases = share.dir.join("phase");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&phases)
        .and_then(|file| file.write_all_at(&[0; 8], 0).map(|()| file))
        .map_err(|error| failed("cannot make the phase file").because(&error))?;
    let mut start = Start::new(&share.dir.join("store"), share.seed);
    start.phase = Some(phases);
    start.broken = share.broken;
    let mut killer = Killer {
        share,
        start,
        phases: file,
        ledger: Ledger::default(),
        random: fastrand::Rng::with_seed(share.seed),
        tally: Tally::default(),
        at_last_kill: 0,
        opening: Duration::from_millis(3),
    };
    while killer.tally.runs < share.runs && killer.tally.failures.is_empty() {
        killer.cycle()?;
    }
    verify(&mut killer.start, &mut killer.ledger)?;
    killer.collect("at the end");
    let Killer {
        mut tally,
        ledger,
        start,
        ..
    } = killer;
    tally.count("acknowledged messages", ledger.acked);
    tally.count("records compared", ledger.compared);
    tally.count("process starts", start.starts);
    Ok(tally)
}

impl Killer<'_> {
    fn cycle(&mut self) -> Result<(), Failure> {
        let kind = match self.random.u32(..20) {
            0..13 => Kind::Work,
            13..15 => Kind::Twice,
            15..17 => Kind::AfterClose,
            _ => Kind::AfterAbort,
        };
        let mut child = self.begin()?;
        if !(child.recovered(&mut self.ledger) && child.acknowledged(&mut self.ledger, ACKS)) {
            child.kill();
            child.finish(&mut self.ledger)?;
            self.collect("no kill");
            return Ok(());
        }
        self.opening = child.opening.unwrap_or(self.opening);
        match kind {
            Kind::Work | Kind::Twice => {
                self.hear_for(&mut child, WAIT);
                self.kill(child)?;
                if kind == Kind::Twice {
                    self.kill_recovery()?;
                }
            }
            Kind::AfterClose => {
                child.order("end");
                child.finish(&mut self.ledger)?;
                self.kill_recovery()?;
            }
            Kind::AfterAbort => {
                self.hear_for(&mut child, WAIT);
                child.abandon();
                child.finish(&mut self.ledger)?;
                self.kill_recovery()?;
            }
        }
        self.collect(match kind {
            Kind::Work => "killed at work",
            Kind::Twice => "killed at work and in the recovery",
            Kind::AfterClose => "killed in the recovery after a close",
            Kind::AfterAbort => "killed in the recovery after an abort",
        });
        Ok(())
    }

    fn begin(&mut self) -> Result<Child, Failure> {
        self.phases
            .write_all_at(&[0; 8], 0)
            .map_err(|error| failed("cannot write the phase file").because(&error))?;
        self.start.start(Mode::Work, &self.ledger, &[])
    }

    /// Kills the next process somewhere between its start and a little after its opening.
    fn kill_recovery(&mut self) -> Result<(), Failure> {
        let mut child = self.begin()?;
        // one in eight while the program itself starts
        if self.random.u32(..8) == 0 {
            std::thread::sleep(self.random_up_to(Duration::from_millis(8)));
        } else if let Heard::Line(line) = child.hear(PATIENCE) {
            self.ledger.take(&line);
            self.hear_for(&mut child, self.opening.mul_f32(1.3));
        }
        self.kill(child)
    }

    /// Kills, looks what that interrupted, and hears what was said before.
    fn kill(&mut self, mut child: Child) -> Result<(), Failure> {
        child.kill();
        child.finish(&mut self.ledger)?;
        let mut bytes = [0; 8];
        let read = self.phases.read_exact_at(&mut bytes, 0);
        read.map_err(|error| failed("cannot read the phase file").because(&error))?;
        let during = phase(&bytes);
        if self.ledger.acked - self.at_last_kill >= ACKS {
            self.tally.runs += 1;
            self.tally.by(during);
        } else {
            self.tally
                .count(&format!("kills more in {during}, too soon to count"), 1);
        }
        self.at_last_kill = self.ledger.acked;
        Ok(())
    }

    /// Listens for a random time up to `most`.
    fn hear_for(&mut self, child: &mut Child, most: Duration) {
        let until = super::child::now() + self.random_up_to(most);
        loop {
            let left = until.saturating_duration_since(super::child::now());
            if left.is_zero() {
                return;
            }
            match child.hear(left) {
                Heard::Line(line) => {
                    if line == Line::Checked {
                        self.ledger.judge();
                    } else {
                        self.ledger.take(&line);
                    }
                }
                Heard::End | Heard::Nothing => return,
            }
        }
    }

    fn random_up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.u64(..=micros))
    }

    fn collect(&mut self, when: &str) {
        let (run, begun) = (self.tally.runs, self.share.first);
        for fault in self.ledger.faults() {
            self.tally
                .failures
                .push(format!("kill {}, {when}: {fault}", begun + run));
        }
    }
}
