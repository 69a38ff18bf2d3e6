//! `cargo xtask bench raw`: what the disk gives to one writer that appends a batch and calls fdatasync.
//!
//! Three files, since the file decides more than the batch: one that *grows* (every sync also commits
//! the new size), one that is *allocated* ahead (every sync also turns extents into written ones), and
//! one that is *recycled*: already written once with zeros, so a sync is the data alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use qc_core::cli::{Exit, Failure, Output, human_duration};
use qc_core::clock::{Clock, SystemClock};
use qc_core::durable;

use super::figure::{commit, percentile};
use super::{Common, Environment, Figure, Run, directory, disk, fio};
use crate::CHORE;
use crate::workspace::Workspace;

/// Measure append + fdatasync a batch, the limit of any durable log
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: Common,

    /// Do the same with fio, alternating, and demand that both agree within 10 %
    #[arg(long)]
    fio: bool,

    /// Measure each pattern this long in each round
    #[arg(long, value_name = "DUR", default_value = "400ms", value_parser = qc_core::cli::parse_duration)]
    time: Duration,
}

/// How the file is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Empty; grows with each batch.
    Growing,
    /// Reserved by fallocate, never written.
    Allocated,
    /// Written with zeros and synced; overwritten round and round.
    Recycled,
}

/// One kind of file and one size of batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// The file.
    pub kind: Kind,
    /// Messages of 1 KiB that one write and one fdatasync carry.
    pub batch: u32,
}

/// What one round of a pattern came to.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Batches written and synced.
    pub batches: u32,
    /// Time of all of them.
    pub elapsed: Duration,
    /// Time of each, write and sync together.
    pub times: Vec<Duration>,
    /// Median write plus median sync, in microseconds: hardly moved by what else the machine does.
    pub typical_us: f64,
}

/// A message of the bench.
pub const MESSAGE: u32 = 1024;
/// The files' size at most.
pub(super) const FILE: u64 = 256 << 20;
const BATCHES: [u32; 4] = [1, 16, 256, 1024];
const AGREE: f64 = 0.1;

impl Kind {
    const ALL: [Self; 3] = [Self::Growing, Self::Allocated, Self::Recycled];

    /// The word in a figure's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Allocated => "allocated",
            Self::Recycled => "recycled",
        }
    }
}

impl Pattern {
    /// The figure's name, such as `raw append, recycled file, batch 256`.
    pub fn name(self) -> String {
        format!(
            "raw append, {} file, batch {}",
            self.kind.word(),
            self.batch
        )
    }

    /// Bytes of one batch.
    pub fn bytes(self) -> u64 {
        u64::from(self.batch) * u64::from(MESSAGE)
    }
}

impl Sample {
    /// Messages a second.
    pub fn rate(&self, batch: u32) -> f64 {
        f64::from(self.batches) * f64::from(batch) / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Measures every pattern and prints the table.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let clock = SystemClock::default();
    let dir = directory(&args.common, workspace)?;
    let mut environment = Environment::measure(&dir, &clock)?;
    let patterns = Kind::ALL
        .into_iter()
        .flat_map(|kind| BATCHES.map(|batch| Pattern { kind, batch }));
    let patterns: Vec<Pattern> = patterns.collect();
    let figures = measure(args, &patterns, &mut environment, &dir, &clock, output)?;
    let run = Run {
        schema: Run::SCHEMA.to_owned(),
        bench: "raw".to_owned(),
        command: format!(
            "cargo xtask bench raw{} --time {} --rounds {}",
            if args.fio { " --fio" } else { "" },
            human_duration(args.time),
            args.common.rounds
        ),
        commit: commit(workspace),
        date: args.common.date.clone(),
        environment,
        figures,
        skipped: Vec::new(),
    };
    output.result("qc.bench/1", SystemClock::machine_time(), &run, || {
        run.text()
    })?;
    agree(&run.figures)?;
    if let Some(path) = run.record(&args.common, workspace)? {
        output.note(&format!("recorded in {}", path.display()));
    }
    Ok(())
}

/// The raw limit for one pattern, for a bench that stands beside it.
pub fn limit(
    pattern: Pattern,
    dir: &Path,
    rounds: u32,
    time: Duration,
    clock: &dyn Clock,
) -> io::Result<Figure> {
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let sample = round(pattern, dir, time, clock)?;
        rates.push(sample.rate(pattern.batch));
        times.extend(sample.times);
    }
    std::fs::remove_file(dir.join(pattern.kind.word()))?;
    Ok(Figure::of_rounds(pattern.name(), "msg/s", &rates).with_times(&mut times))
}

/// The rounds of one pattern, ours and fio's in turn.
#[derive(Debug, Clone, Default)]
struct Rounds {
    own: Vec<f64>,
    times: Vec<Duration>,
    fio: Vec<f64>,
    /// Typical times of a batch, ours and fio's.
    typical: Vec<(f64, f64)>,
}

/// All rounds of all patterns; a round goes through every pattern, so noise meets them alike.
fn measure(
    args: &Args,
    patterns: &[Pattern],
    environment: &mut Environment,
    dir: &Path,
    clock: &dyn Clock,
    output: &Output,
) -> Result<Vec<Figure>, Failure> {
    let mut all = vec![Rounds::default(); patterns.len()];
    for number in 1..=args.common.rounds {
        output.note(&format!("round {number} of {}", args.common.rounds));
        for (pattern, rounds) in patterns.iter().zip(&mut all) {
            let sample = round(*pattern, dir, args.time, clock).map_err(|e| disk(dir, &e))?;
            rounds.own.push(sample.rate(pattern.batch));
            if args.fio {
                let peer = fio::round(*pattern, dir, sample.batches)?;
                rounds.fio.push(peer.rate);
                rounds.typical.push((sample.typical_us, peer.typical_us));
            }
            rounds.times.extend(sample.times);
        }
        environment.probe(dir, clock)?;
    }
    for kind in Kind::ALL {
        let path = dir.join(kind.word());
        std::fs::remove_file(&path).map_err(|error| disk(&path, &error))?;
    }
    let figures = patterns.iter().zip(&mut all).map(|(pattern, rounds)| {
        let figure = Figure::of_rounds(pattern.name(), "msg/s", &rounds.own);
        let figure = figure.with_times(&mut rounds.times);
        if args.fio {
            figure
                .against("fio", &rounds.own, &rounds.fio)
                .typically(typical(&rounds.typical))
        } else {
            figure
        }
    });
    Ok(figures.collect())
}

/// fio's typical time against ours, each at the lower quartile of its rounds: what else the machine does
/// only ever adds time, so the quieter rounds tell more. Above 1 we are faster, as with rates.
pub(super) fn typical(rounds: &[(f64, f64)]) -> f64 {
    let quartile = |pick: fn(&(f64, f64)) -> f64| {
        let mut times: Vec<f64> = rounds.iter().map(pick).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 4).copied().unwrap_or(0.0)
    };
    quartile(|round| round.1) / quartile(|round| round.0).max(0.1)
}

/// Writes and syncs batches for `time`, or until a file that is not recycled is full.
pub(super) fn round(
    pattern: Pattern,
    dir: &Path,
    time: Duration,
    clock: &dyn Clock,
) -> io::Result<Sample> {
    let file = prepare(pattern.kind, dir)?;
    let bytes = pattern.bytes();
    let batch = vec![0xa5_u8; usize::try_from(bytes).unwrap_or(0)];
    let mut sample = Sample::default();
    let (mut writes, mut syncs) = (Vec::new(), Vec::new());
    let mut at = 0;
    let started = clock.instant();
    let mut last = started;
    while sample.elapsed < time {
        if at + bytes > FILE {
            if pattern.kind != Kind::Recycled {
                break;
            }
            at = 0;
        }
        file.write_all_at(&batch, at)?;
        let written = clock.instant();
        file.sync_data()?;
        let now = clock.instant();
        writes.push(written.duration_since(last));
        syncs.push(now.duration_since(written));
        sample.times.push(now.duration_since(last));
        sample.elapsed = now.duration_since(started);
        sample.batches += 1;
        last = now;
        at += bytes;
    }
    sample.typical_us = percentile(&mut writes, 50) + percentile(&mut syncs, 50);
    Ok(sample)
}

/// The pattern's file, everything about it on disk.
fn prepare(kind: Kind, dir: &Path) -> io::Result<File> {
    let path = dir.join(kind.word());
    if kind == Kind::Recycled {
        let there = std::fs::metadata(&path).is_ok_and(|meta| meta.len() == FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        if !there {
            let zeros = vec![0_u8; 1 << 20];
            for at in 0..FILE >> 20 {
                file.write_all_at(&zeros, at << 20)?;
            }
            file.sync_all()?;
        }
        return Ok(file);
    }
    // a new file, not a truncated one: its freed blocks would be the first to be taken again
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => durable::sync_dir(dir)?,
    }
    let file = File::create(&path)?;
    if kind == Kind::Allocated {
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, FILE)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Every comparison lies within 10 %, by its rates and by its typical batch. Both estimate the same thing;
/// where a stall on a busy machine has moved one of them the run says so and is done again.
fn agree(figures: &[Figure]) -> Result<(), Failure> {
    let far = |ratio: f64| (ratio - 1.0).abs() > AGREE;
    let apart: Vec<String> = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.ratio_to.as_ref()?)))
        .filter(|(_, ratio)| far(ratio.ratio) || ratio.typical.is_some_and(far))
        .map(|(figure, ratio)| {
            let typical = ratio.typical.unwrap_or(ratio.ratio);
            format!(
                "{}: {:.2} of {}, typical batch {typical:.2}",
                figure.name, ratio.ratio, ratio.to
            )
        })
        .collect();
    if apart.is_empty() {
        return Ok(());
    }
    let message = format!("{} figures lie more than 10 % from fio's", apart.len());
    Err(Failure::new(Exit::Problems, CHORE, message)
        .detail(apart.join("\n"))
        .help("on a busy machine, more rounds: cargo xtask bench raw --fio --rounds 15"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_writes_what_it_counts() {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::default();
        let pattern = Pattern {
            kind: Kind::Growing,
            batch: 16,
        };
        let sample = round(pattern, dir.path(), Duration::from_millis(5), &clock).unwrap();
        let length = std::fs::metadata(dir.path().join("growing")).unwrap().len();
        assert_eq!(length, u64::from(sample.batches) * 16 * 1024);
        assert_eq!(sample.times.len(), usize::try_from(sample.batches).unwrap());
        assert!(sample.rate(16) > 0.0);
    }

    #[test]
    fn ten_percent_and_no_more() {
        let figure =
            |own: f64| Figure::of_rounds("x", "msg/s", &[own]).against("fio", &[own], &[100.0]);
        assert!(agree(&[figure(95.0), figure(109.0)]).is_ok());
        assert!(agree(&[figure(95.0), figure(111.0)]).is_err());
        // one estimate alone is not enough, whichever it is
        assert!(agree(&[figure(95.0).typically(1.05)]).is_ok());
        assert!(agree(&[figure(95.0).typically(1.2)]).is_err());
        assert!(agree(&[figure(120.0).typically(1.0)]).is_err());
        assert!(
            agree(&[figure(89.0)])
                .unwrap_err()
                .detail
                .contains("0.89 of fio")
        );
    }
}
