//! The process that a row of the bench measures or kills: it opens the log as a daemon does, appends,
//! says so, and goes on as it is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use qc_core::cli::{Failure, Output};
use qc_core::clock::SystemClock;
use qc_core::store::Log;
use tokio::task::JoinSet;

use super::batch::BATCH;
use super::messages::{Messages, Pool, streams};
use super::producer::refused;
use super::{open_log, trouble};
use crate::demo::{Lifetime, Proc, Ready};

/// The command line of a child.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The log's directory
    #[arg(long)]
    pub(super) dir: PathBuf,

    /// Append this many messages
    #[arg(long, default_value_t = 0)]
    pub(super) messages: u64,

    /// Give the messages no ids to know them by
    #[arg(long)]
    pub(super) without_keys: bool,

    /// Make the messages and append none of them
    #[arg(long)]
    pub(super) dry: bool,

    /// What to do then
    #[arg(long, value_enum)]
    pub(super) then: Then,
}

/// What a child does when its messages are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Then {
    /// Stay as it is
    Hold,
    /// Append until it is killed
    Append,
    /// Close the log and end
    End,
}

/// What the child prints when its messages are in.
const FILLED: &str = "filled";
const LIMIT: Duration = Duration::from_mins(10);

/// Runs in the child.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let runtime = qc_core::service::runtime(0)?;
    let clock = Arc::new(SystemClock::default());
    let pool = Pool::new();
    let messages = if args.without_keys {
        Messages::without_keys(&pool)
    } else {
        Messages::new(&pool)
    };
    let batches = args.messages.div_ceil(u64::from(BATCH));
    let log = (!args.dry)
        .then(|| open_log(&args.dir, &clock))
        .transpose()?
        .map(|(log, _)| log);
    let messages = append(&runtime, log.clone(), messages, batches)?;
    output.note(FILLED);
    match args.then {
        Then::Hold => loop {
            thread::park();
        },
        Then::Append => append(&runtime, log, messages, u64::MAX).map(|_| ()),
        Then::End => {
            if let Some(log) = log {
                log.close();
            }
            Ok(())
        }
    }
}

/// Appends so many batches, or only makes their messages.
fn append(
    runtime: &tokio::runtime::Runtime,
    log: Option<Log>,
    mut messages: Messages,
    batches: u64,
) -> Result<Messages, Failure> {
    let mut tasks = JoinSet::new();
    let work = async move {
        let stream = streams(1).pop().expect("one stream was asked for");
        for _ in 0..batches {
            let drafts = messages.drafts(BATCH);
            match &log {
                Some(log) => drop(log.append(&stream, drafts).await?),
                None => drop(std::hint::black_box(drafts)),
            }
        }
        Ok(messages)
    };
    tasks.spawn_on(work, runtime.handle());
    let ended = runtime.block_on(tasks.join_next());
    ended
        .expect("one task was started")
        .map_err(|error| trouble("the child's task ended in a panic").because(&error))?
        .map_err(|error| refused(&error))
}

impl Args {
    /// This command line after `xtask`.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![
            "bench".to_owned(),
            "store-child".to_owned(),
            format!("--dir={}", self.dir.display()),
            format!("--messages={}", self.messages),
        ];
        let then = self.then.to_possible_value();
        let then = then.map_or_else(String::new, |then| then.get_name().to_owned());
        words.push(format!("--then={then}"));
        for (given, flag) in [(self.without_keys, "--without-keys"), (self.dry, "--dry")] {
            words.extend(given.then(|| flag.to_owned()));
        }
        words
    }

    /// Starts the child and waits until its messages are in.
    pub(super) fn start(&self) -> Result<Proc, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| trouble("cannot tell where this program is").because(&error))?;
        let logs = self.dir.parent().unwrap_or(&self.dir);
        let mut child = Proc::start("child", &program, &self.words(), logs, Lifetime::WithUs)?;
        child.wait_ready(&Ready::Line(FILLED.to_owned()), LIMIT)?;
        Ok(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_child_understands_its_parent() {
        let args = Args {
            dir: PathBuf::from("d"),
            messages: 7,
            without_keys: true,
            dry: false,
            then: Then::Append,
        };
        let words = args.words();
        let line = Line::try_parse_from(words.iter().skip(1)).unwrap();
        assert_eq!(line.args.words(), words);
        assert_eq!(line.args.then, Then::Append);
    }
}
