//! The process that is killed: it opens a store with small segments, tells what it finds, and then
//! appends from several producers to several streams, commits cursors and trims, until it is told to
//! stop or somebody stops it.
//!
//! It is a hidden verb of this program, so that the supervisor always finds it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qc_core::clock::{Clock, SystemClock};
use qc_core::model::Seq;
use qc_core::store::{AppendError, Log, LogOptions, NodeKey, Outcome};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::line::Line;
use super::message::{self, COUNT, Kind, SLOW, STREAMS};
use super::watched::{Break, Phases, State, Watched};

/// Work in a store until killed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store's directory
    #[arg(long)]
    dir: PathBuf,

    /// What the messages follow from
    #[arg(long)]
    seed: u64,

    /// Which start of this store it is
    #[arg(long, default_value_t = 0)]
    start: u64,

    /// What to do
    #[arg(long, value_enum, default_value_t = Mode::Work)]
    mode: Mode,

    /// The first number of each stream that was never sent
    #[arg(long, value_delimiter = ',')]
    from: Vec<u64>,

    /// Numbers to send once more
    #[arg(long, value_delimiter = ',')]
    again: Vec<u64>,

    /// Bodies are this many times as large
    #[arg(long, default_value_t = 1)]
    scale: usize,

    /// Size of a segment
    #[arg(long, default_value_t = 64 << 10)]
    segment: u64,

    /// Where to tell what is being done
    #[arg(long)]
    phase: Option<PathBuf>,

    /// Begin each line with the number that stands in this file
    #[arg(long)]
    stamps: Option<PathBuf>,

    /// Do it wrong
    #[arg(long = "break", value_enum)]
    broken: Option<Break>,
}

/// What a workload does once the store is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mode {
    /// Appends, commits, trims
    Work,
    /// Appends only; commits and trims on demand
    Fill,
    /// Nothing more
    Check,
}

const PRODUCERS: u64 = 12;
/// Messages of a stream that a trim leaves.
const KEEP: u64 = 35;
/// How often a producer tries a store that has stopped.
const LATE: u32 = 4;
/// How often a position or a trim is tried on a full disk.
const INSIST: u32 = 5;
/// The pause of a producer that was refused.
const REFUSED: Duration = Duration::from_millis(10);

/// Where lines go: at once, and without a buffer that a kill would empty.
#[derive(Clone)]
pub(super) struct Told(Arc<Mutex<Sink>>);

enum Sink {
    /// The pipe, and where the stamps come from.
    Pipe(File, Option<File>),
    #[cfg(test)]
    Memory(String),
}

impl Told {
    pub(super) fn stdout(stamps: Option<&PathBuf>) -> std::io::Result<Self> {
        let own = std::io::stdout().as_fd().try_clone_to_owned()?;
        let stamps = stamps.map(File::open).transpose()?;
        Ok(Self(Arc::new(Mutex::new(Sink::Pipe(
            File::from(own),
            stamps,
        )))))
    }

    #[cfg(test)]
    pub(super) fn kept() -> Self {
        Self(Arc::new(Mutex::new(Sink::Memory(String::new()))))
    }

    #[cfg(test)]
    pub(super) fn said(&self) -> String {
        match &*self.0.lock().unwrap() {
            Sink::Memory(text) => text.clone(),
            Sink::Pipe(..) => String::new(),
        }
    }

    pub(super) fn say(&self, line: &Line) {
        self.say_all(std::slice::from_ref(line));
    }

    pub(super) fn say_all(&self, lines: &[Line]) {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match &*sink {
            Sink::Pipe(_, stamps) => stamps.as_ref().map(stamp).unwrap_or_default(),
            #[cfg(test)]
            Sink::Memory(_) => String::new(),
        };
        let mut text = String::new();
        for line in lines {
            let _never_fails = writeln!(text, "{stamp}{line}");
        }
        match &mut *sink {
            // nobody listens: the supervisor is gone, and standard input tells so as well
            Sink::Pipe(pipe, _) => {
                drop(pipe.write_all(text.as_bytes()));
                // what stands in the buffer of a serial line goes with the machine
                if rustix::termios::isatty(&*pipe) {
                    let _gone = rustix::termios::tcdrain(&*pipe);
                }
            }
            #[cfg(test)]
            Sink::Memory(all) => all.push_str(&text),
        }
    }
}

/// What the device has come to by now.
fn stamp(stamps: &File) -> String {
    let mut bytes = [0; 8];
    match stamps.read_exact_at(&mut bytes, 0) {
        Ok(()) => format!("@{} ", u64::from_le_bytes(bytes)),
        Err(_) => String::new(),
    }
}

/// Runs the workload.
pub fn run(args: &Args) -> ExitCode {
    let Ok(told) = Told::stdout(args.stamps.as_ref()) else {
        return ExitCode::FAILURE;
    };
    match serve(args, &told) {
        Ok(()) => {
            told.say(&Line::Ended);
            ExitCode::SUCCESS
        }
        Err(why) => {
            told.say(&Line::OpenFailed(why));
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args, told: &Told) -> Result<(), String> {
    let phases = args
        .phase
        .as_ref()
        .map(|path| File::options().write(true).open(path));
    let phases = phases
        .transpose()
        .map_err(|error| format!("the phase file: {error}"))?;
    let phases = Arc::new(Phases::into(phases));
    if args.broken == Some(Break::LoseSegment) {
        lose_segment(args).map_err(|error| error.to_string())?;
    }
    let sync_failed = Arc::new(AtomicBool::new(false));
    let disk = Watched::new(
        Arc::clone(&phases),
        told.clone(),
        args.broken,
        Arc::clone(&sync_failed),
    );
    let mut options = LogOptions::new(&args.dir);
    options.segment_bytes = args.segment;
    options.min_free = 0;
    options.control_reserve = 8 << 10;
    options.cache_bytes = 256 << 10;
    let clock = Arc::new(SystemClock::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let orders = listen();

    let began = clock.instant();
    told.say(&Line::Opening {
        pid: u64::from(std::process::id()),
    });
    phases.enter(State::Recovering);
    let node = NodeKey::from_bytes([7; 32]);
    let opened = Log::open(
        Arc::new(disk),
        &options,
        node,
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    let (log, report) = opened.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("{error}{}", cause.unwrap_or_default())
    })?;
    let micros = clock.instant().duration_since(began).as_micros();
    phases.enter(State::Checking);
    told.say(&Line::Opened {
        micros: u64::try_from(micros).unwrap_or(u64::MAX),
    });
    let damage =
        !report.damaged.is_empty() || !report.lost.is_empty() || !report.foreign.is_empty();
    if damage {
        told.say_all(
            &report
                .lines()
                .into_iter()
                .map(Line::Reported)
                .collect::<Vec<_>>(),
        );
    }
    let kind = Kind {
        seed: args.seed,
        scale: args.scale,
    };
    let found = check(&log, kind, told);
    told.say(&Line::Checked);
    if args.mode == Mode::Check {
        log.close();
        return Ok(());
    }

    let site = Site {
        log,
        told: told.clone(),
        kind,
        mode: args.mode,
        early: args.broken == Some(Break::EarlyAck),
        sync_failed,
        over: AtomicBool::new(false),
        next: std::array::from_fn(|stream| {
            AtomicU64::new(args.from.get(stream).copied().unwrap_or(0))
        }),
        high: std::array::from_fn(|_| AtomicU64::new(0)),
        trimmed: std::array::from_fn(|_| AtomicU64::new(0)),
        queued: std::array::from_fn(|_| AtomicU64::new(0)),
    };
    for stream in 0..STREAMS {
        let Some(info) = site.log.info(&message::key(stream)) else {
            continue;
        };
        at(&site.high, stream).store(info.last.0, Ordering::Relaxed);
        at(&site.queued, stream).store(info.last.0, Ordering::Relaxed);
        at(&site.trimmed, stream).store(info.first.0.saturating_sub(1), Ordering::Relaxed);
    }
    phases.enter(State::Working);
    runtime.block_on(Arc::new(site).work(args, &found, orders));
    phases.enter(State::Ending);
    Ok(())
}

/// The orders that come on standard input; its end means that the supervisor is gone.
fn listen() -> UnboundedReceiver<Order> {
    let (sender, orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let order = match line.as_deref() {
                Ok("end") => Order::End,
                Ok("control") => Order::Control,
                Ok("trim") => Order::Trim,
                _ => break,
            };
            if sender.send(order).is_err() {
                return;
            }
        }
        // as hard as a kill: nothing is closed
        std::process::abort();
    });
    orders
}

enum Order {
    End,
    Control,
    Trim,
}

/// Tells every record and every cursor that is there.
fn check(log: &Log, kind: Kind, told: &Told) -> Vec<(u64, u64)> {
    let known: Vec<_> = (0..STREAMS).map(message::key).collect();
    let mut lines = Vec::new();
    for info in log
        .streams()
        .iter()
        .filter(|info| !known.contains(&info.key))
    {
        let what = format!("stream {} was never sent to", info.key.name);
        lines.push(Line::Wrong(what));
    }
    let mut found = Vec::new();
    for stream in 0..STREAMS {
        let key = message::key(stream);
        // a batch may begin below the trim and is read as a whole from there: what is there begins at `first`
        let mut after = log
            .info(&key)
            .map_or(Seq::ZERO, |info| Seq(info.first.0.saturating_sub(1)));
        loop {
            let records = match log.read(&key, after, 200, 1 << 20) {
                Ok(records) => records,
                Err(error) => {
                    lines.push(Line::Wrong(format!(
                        "stream {stream} after {}: {error}",
                        after.0
                    )));
                    break;
                }
            };
            let Some(last) = records.last() else {
                break;
            };
            after = last.header.seq;
            for record in &records {
                let seq = record.header.seq.0;
                match kind.number(stream, record) {
                    Ok(number) => {
                        found.push((number, seq));
                        lines.push(Line::Found { number, seq });
                    }
                    Err(what) => lines.push(Line::Wrong(what)),
                }
            }
        }
        for (consumer, seq) in log.cursors(&key) {
            let number = consumer.strip_prefix('c').and_then(|n| n.parse().ok());
            lines.push(match number {
                Some(consumer) => Line::Cursor {
                    consumer,
                    stream,
                    seq: seq.0,
                },
                None => Line::Wrong(format!("consumer {consumer} never was")),
            });
        }
    }
    told.say_all(&lines);
    found
}

/// Takes away the newest segment that holds anything, as a store would that forgets one.
fn lose_segment(args: &Args) -> std::io::Result<()> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(&args.dir).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            segments.push(path);
        }
    }
    segments.sort();
    segments.pop().map_or(Ok(()), std::fs::remove_file)
}

fn at(counts: &[AtomicU64], stream: u64) -> &AtomicU64 {
    usize::try_from(stream)
        .ok()
        .and_then(|stream| counts.get(stream))
        .expect("a stream's number is below STREAMS")
}

type PerStream = [AtomicU64; COUNT];

/// What all producers share.
struct Site {
    log: Log,
    told: Told,
    kind: Kind,
    mode: Mode,
    early: bool,
    /// A segment's `fdatasync` has failed.
    sync_failed: Arc<AtomicBool>,
    over: AtomicBool,
    /// The next message of a stream, counted within the stream.
    next: PerStream,
    /// The highest seq that was acknowledged.
    high: PerStream,
    trimmed: PerStream,
    /// The last seq that is queued, for acknowledging early.
    queued: PerStream,
}

impl Site {
    async fn work(
        self: Arc<Self>,
        args: &Args,
        found: &[(u64, u64)],
        mut orders: UnboundedReceiver<Order>,
    ) {
        self.repeat(args, found).await;
        let mut producers = JoinSet::new();
        for producer in 0..PRODUCERS {
            let seed = args.seed ^ (args.start << 8) ^ producer;
            let random = fastrand::Rng::with_seed(seed);
            producers.spawn(Arc::clone(&self).produce(producer, random));
        }
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Control) => self.control().await,
                    Some(Order::Trim) => self.trim_all().await,
                    Some(Order::End) | None => break,
                },
                ended = producers.join_next() => if ended.is_none() {
                    break;
                },
            }
        }
        self.over.store(true, Ordering::Relaxed);
        while producers.join_next().await.is_some() {}
        self.log.close();
    }

    /// Sends once more what was never acknowledged, and some of what is there.
    async fn repeat(&self, args: &Args, found: &[(u64, u64)]) {
        for number in &args.again {
            self.append(vec![*number]).await;
        }
        let mut random = fastrand::Rng::with_seed(args.seed ^ args.start);
        for (number, seq) in random.choose_multiple(found, 4) {
            let stream = number % STREAMS;
            let key = message::key(stream);
            let append = self.log.append(&key, vec![self.kind.draft(*number)]);
            if let Ok(outcomes) = append.await
                && outcomes != [Outcome::Duplicate { seq: Seq(*seq) }]
            {
                let what = format!("message {number} is there as {seq}, given again: {outcomes:?}");
                self.told.say(&Line::Wrong(what));
            }
        }
    }

    async fn produce(self: Arc<Self>, producer: u64, mut random: fastrand::Rng) {
        let mut late = 0;
        while late < LATE && !self.over.load(Ordering::Relaxed) {
            let stream = if random.u32(..16) == 0 {
                SLOW
            } else {
                random.u64(1..STREAMS)
            };
            let count = random.u64(1..=3);
            let first = at(&self.next, stream).fetch_add(count, Ordering::Relaxed);
            let numbers: Vec<u64> = (first..first + count)
                .map(|index| index * STREAMS + stream)
                .collect();
            if let Some(&number) = numbers.last() {
                self.told.say(&Line::Sending { number });
            }
            late += u32::from(!self.append(numbers).await);
            if self.mode == Mode::Work && late == 0 {
                if random.u32(..5) == 0 {
                    self.commit(producer, stream).await;
                }
                if random.u32(..8) == 0 {
                    self.trim(stream).await;
                }
            }
        }
    }

    /// Appends messages of one stream; false when the store has stopped. What is refused is not sent
    /// again, so that it must never be there.
    async fn append(&self, numbers: Vec<u64>) -> bool {
        let Some(stream) = numbers.first().map(|number| number % STREAMS) else {
            return true;
        };
        let key = message::key(stream);
        let late = self.sync_failed.load(Ordering::SeqCst);
        let drafts: Vec<_> = numbers
            .iter()
            .map(|number| self.kind.draft(*number))
            .collect();
        let appended = if self.early {
            let receipt = self.log.submit(&key, drafts);
            let first = at(&self.queued, stream).fetch_add(numbers.len() as u64, Ordering::Relaxed);
            self.acknowledge(&numbers, first + 1.., late);
            receipt.await
        } else {
            self.log.append(&key, drafts).await
        };
        match appended {
            Ok(outcomes) => {
                let seqs = outcomes.iter().map(|outcome| outcome.seq().0);
                let last = seqs.clone().max().unwrap_or(0);
                if !self.early {
                    self.acknowledge(&numbers, seqs, late);
                }
                at(&self.high, stream).fetch_max(last, Ordering::Relaxed);
                true
            }
            Err(AppendError::Full { .. }) => {
                let refused = numbers
                    .iter()
                    .map(|number| Line::Refused { number: *number });
                self.told.say_all(&refused.collect::<Vec<_>>());
                tokio::time::sleep(REFUSED).await;
                true
            }
            Err(error) => {
                self.told.say(&Line::Stopped(error.to_string()));
                tokio::time::sleep(REFUSED).await;
                false
            }
        }
    }

    fn acknowledge(&self, numbers: &[u64], seqs: impl Iterator<Item = u64>, late: bool) {
        let acks = numbers.iter().zip(seqs).map(|(number, seq)| Line::Acked {
            number: *number,
            seq,
            late,
        });
        self.told.say_all(&acks.collect::<Vec<_>>());
    }

    async fn commit(&self, consumer: u64, stream: u64) {
        let seq = at(&self.high, stream).load(Ordering::Relaxed);
        if seq == 0 {
            return;
        }
        self.told.say(&Line::Committing {
            consumer,
            stream,
            seq,
        });
        let (name, key) = (format!("c{consumer}"), message::key(stream));
        let commit = || self.log.commit_cursor(&name, &key, Seq(seq));
        if self.insist("commit", commit).await {
            self.told.say(&Line::Committed {
                consumer,
                stream,
                seq,
            });
        }
    }

    async fn trim(&self, stream: u64) {
        let (high, trimmed) = (at(&self.high, stream), at(&self.trimmed, stream));
        let seq = high.load(Ordering::Relaxed).saturating_sub(KEEP);
        if seq <= trimmed.load(Ordering::Relaxed) + KEEP {
            return;
        }
        trimmed.fetch_max(seq, Ordering::Relaxed);
        self.told.say(&Line::Trimming { stream, seq });
        let key = message::key(stream);
        if self.insist("trim", || self.log.trim(&key, Seq(seq))).await {
            self.told.say(&Line::Trimmed { stream, seq });
        }
    }

    /// Does what must go through on a full disk, too, at the latest after a few tries; true when it did.
    /// In the work nobody insists: a producer goes on.
    async fn insist<F>(&self, what: &str, act: impl Fn() -> F) -> bool
    where
        F: Future<Output = Result<(), AppendError>>,
    {
        let tries = if self.mode == Mode::Fill { INSIST } else { 1 };
        for _ in 0..tries {
            match act().await {
                Ok(()) => return true,
                Err(error) if error.is_retryable() => {
                    self.told
                        .say(&Line::ControlRefused(format!("{what}: {error}")));
                    tokio::time::sleep(REFUSED).await;
                }
                Err(error) => {
                    self.told.say(&Line::Stopped(error.to_string()));
                    return false;
                }
            }
        }
        if self.mode == Mode::Fill {
            self.told.say(&Line::Wrong(format!(
                "a {what} was refused {tries} times on a full disk"
            )));
        }
        false
    }

    async fn control(&self) {
        for stream in 0..STREAMS {
            self.commit(PRODUCERS, stream).await;
        }
        self.told.say(&Line::Checked);
    }

    async fn trim_all(&self) {
        for stream in 0..STREAMS {
            self.trim(stream).await;
        }
        self.told.say(&Line::Checked);
    }
}
