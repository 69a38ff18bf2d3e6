//! The live view: one loop owns the model; threads bring it keys, answers, signals and the end of
//! the line.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, KeyEventKind};
use qc_core::cli::Output;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::failure::{Exit, Failure};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::batch;
use crate::cli::Options;
use crate::fetch::Source;
use crate::fleet::Snapshot;
use crate::model::{Effect, Event, Model, Outage, update};
use crate::terminal::Stage;

const TICK: Duration = Duration::from_secs(1);
/// Events that wait for the loop; a thread that is faster waits.
const WAITING: usize = 64;
const HANGUP: u8 = 129;

/// Runs the live view until it is left.
pub(crate) fn run(options: &Options, source: Source, output: &Output) -> Result<ExitCode, Failure> {
    let (events, inbox) = mpsc::sync_channel(WAITING);
    let (pace, paces) = mpsc::channel();
    watch_signals(&events).map_err(|error| broken(&error))?;
    let mut stage = Stage::enter().map_err(|error| broken(&error))?;
    let size = stage.size().map_err(|error| broken(&error))?;
    let mut model = Model::new(options, size);
    read_keys(&events).map_err(|error| broken(&error))?;
    watch_line(&events).map_err(|error| broken(&error))?;
    ask(source, options, paces, &events).map_err(|error| broken(&error))?;
    let left = attend(&mut model, &mut stage, &inbox, &pace);
    drop(stage);
    match left {
        Ok(Left::Code(code)) => Ok(ExitCode::from(code)),
        Ok(Left::Print) => {
            if let Some(snapshot) = model.snapshot() {
                output.raw(
                    batch::page(snapshot, &model.order, batch::Shape::of(output)).as_bytes(),
                    false,
                )?;
            }
            Ok(ExitCode::SUCCESS)
        }
        // the terminal is gone: nobody can read a failure
        Err(error) if is_gone(&error) => Ok(ExitCode::from(HANGUP)),
        Err(error) => Err(broken(&error)),
    }
}

enum Left {
    Code(u8),
    Print,
}

fn attend(
    model: &mut Model,
    stage: &mut Stage,
    inbox: &Receiver<Event>,
    pace: &Sender<Duration>,
) -> io::Result<Left> {
    let start = SystemClock::default().instant();
    stage.draw(model)?;
    loop {
        let mut next = match inbox.recv_timeout(TICK) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => Some(Event::Tick),
            Err(RecvTimeoutError::Disconnected) => return Ok(Left::Code(HANGUP)),
        };
        while let Some(event) = next {
            match update(model, event, since(start)) {
                Effect::None => {}
                Effect::Interval(interval) => {
                    let _asker_ended = pace.send(interval);
                }
                Effect::Redraw => stage.clear()?,
                Effect::Suspend => stage.suspend()?,
                Effect::Quit => return Ok(Left::Code(0)),
                Effect::QuitAndPrint => return Ok(Left::Print),
                Effect::Leave(code) => return Ok(Left::Code(code)),
            }
            next = inbox.try_recv().ok();
        }
        stage.draw(model)?;
    }
}

fn since(start: Instant) -> Duration {
    SystemClock::default()
        .instant()
        .saturating_duration_since(start)
}

fn ask(
    source: Source,
    options: &Options,
    paces: Receiver<Duration>,
    events: &SyncSender<Event>,
) -> io::Result<()> {
    let (mut interval, ascii) = (options.interval, options.theme.ascii);
    spawn("ask", events, move |events| {
        loop {
            let event = match source.fetch() {
                Ok(answer) => Event::Answer(Box::new(Snapshot::new(&answer.reply, ascii))),
                Err(failure) => Event::NoAnswer(Outage::of(&failure, ascii)),
            };
            if events.send(event).is_err() {
                return;
            }
            match paces.recv_timeout(interval) {
                Ok(changed) => interval = changed,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    })
}

fn read_keys(events: &SyncSender<Event>) -> io::Result<()> {
    spawn("keys", events, move |events| {
        loop {
            let event = match crossterm::event::read() {
                Ok(Input::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
                Ok(Input::Resize(width, height)) => Event::Resize(width, height),
                Ok(Input::Paste(text)) => Event::Paste(text),
                Ok(_) => continue,
                Err(_) => Event::Leave(HANGUP),
            };
            let last = matches!(event, Event::Leave(_));
            if events.send(event).is_err() || last {
                return;
            }
        }
    })
}

/// crossterm spins when the terminal dies while SIGHUP is ignored, so the end of the line is
/// watched for apart.
fn watch_line(events: &SyncSender<Event>) -> io::Result<()> {
    spawn("line", events, move |events| {
        let stdin = io::stdin();
        loop {
            // asking for nothing, poll still reports a hang-up
            let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        let _loop_ended = events.send(Event::Leave(HANGUP));
    })
}

fn watch_signals(events: &SyncSender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGCONT])?;
    spawn("signals", events, move |events| {
        for signal in signals.forever() {
            let event = match signal {
                SIGCONT => Event::Continued,
                SIGHUP => Event::Leave(HANGUP),
                SIGINT => Event::Leave(130),
                _ => Event::Leave(143),
            };
            if events.send(event).is_err() {
                return;
            }
        }
    })
}

/// A thread that panics has given the terminal back already, so the view must end.
fn spawn(
    name: &str,
    events: &SyncSender<Event>,
    work: impl FnOnce(&SyncSender<Event>) + Send + 'static,
) -> io::Result<()> {
    let events = events.clone();
    let guarded = move || {
        let work = AssertUnwindSafe(|| work(&events));
        if catch_unwind(work).is_err() {
            let _loop_ended = events.send(Event::Leave(Exit::Bug as u8));
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(guarded)
        .map(drop)
}

fn is_gone(error: &io::Error) -> bool {
    let eio = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    eio || error.kind() == io::ErrorKind::BrokenPipe
}

fn broken(error: &io::Error) -> Failure {
    let _line_gone = io::stdout().flush();
    Failure::new(Exit::Other, "QC6006", "cannot use this terminal")
        .because(error)
        .help("qc-top --linear, or qc-top --batch")
}
