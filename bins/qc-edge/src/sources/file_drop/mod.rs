//! File drop: what is put into a directory becomes messages.
//!
//! A complete file is submitted and, when it is on disk in the buffer, moved to `.done/`. A file that
//! can never be taken moves to `.error/` with a `NAME.reason` beside it. When the buffer is full the
//! file stays where it is. The ids come from name, size, time and content, so a crash between "on
//! disk" and "moved" submits the same ids again, and the buffer knows them.

mod folder;
mod read;
mod settle;
mod watch;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qc_core::clock::Clock;
use qc_core::model::{Envelope, NodeName};
use qc_core::store::AppendError;
use serde::Deserialize;

use self::folder::{Folder, Found, Stamp, shown};
use self::read::{ReadError, Reading, Template};
use self::settle::Settle;
use self::watch::Watch;
use super::settings::{Size, Wait};
use super::{Activity, ConnectorError, Intake, IntakeError, Outcome};

/// The largest file in whole mode: the largest message.
const MAX_WHOLE: u64 = qc_core::parts::MAX_WHOLE;
/// The largest file in lines mode unless the configuration says otherwise.
const DEFAULT_MAX_LINES: u64 = 1 << 30;
/// How long a file that cannot be moved is left alone before the next try.
const STUCK: Duration = Duration::from_mins(1);

/// What one message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A file.
    #[default]
    Whole,
    /// A line of a file.
    Lines,
}

/// `[source.NAME]` with `kind = "file_drop"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDropConfig {
    /// The directory.
    pub path: PathBuf,
    /// How often to look.
    #[serde(default = "two_seconds")]
    pub poll: Wait,
    /// How long size and times must not have changed.
    #[serde(default = "two_seconds")]
    pub settle: Wait,
    /// What one message is.
    #[serde(default)]
    pub mode: Mode,
    /// Folder in the directory for files taken in.
    #[serde(default = "done_folder")]
    pub done: String,
    /// Folder in the directory for files that cannot be taken in.
    #[serde(default = "error_folder")]
    pub error: String,
    /// The largest file, by default 1GiB; in whole mode that is the most.
    #[serde(default)]
    pub max_bytes: Option<Size>,
    /// `type` of the messages; by default `qc.file` or `qc.line`.
    #[serde(default, rename = "type")]
    pub event_type: Option<String>,
}

fn two_seconds() -> Wait {
    Wait::seconds(2)
}

fn done_folder() -> String {
    ".done".to_owned()
}

fn error_folder() -> String {
    ".error".to_owned()
}

impl FileDropConfig {
    /// The settings for `path` with every default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            poll: two_seconds(),
            settle: two_seconds(),
            mode: Mode::default(),
            done: done_folder(),
            error: error_folder(),
            max_bytes: None,
            event_type: None,
        }
    }

    fn check(&self) -> Result<(), ConnectorError> {
        for (setting, folder) in [("done", &self.done), ("error", &self.error)] {
            let one_name = Path::new(folder).file_name() == Some(folder.as_ref());
            if !one_name || folder.len() > 100 {
                return Err(ConnectorError::setting(
                    setting,
                    "must be the name of a folder in the directory",
                ));
            }
        }
        if self.done == self.error {
            return Err(ConnectorError::setting(
                "error",
                "must not be the done folder",
            ));
        }
        if self.poll.0 < Duration::from_millis(10) {
            return Err(ConnectorError::setting("poll", "must be at least 10ms"));
        }
        if self.mode == Mode::Whole && self.max_bytes.is_some_and(|max| max.0 > MAX_WHOLE) {
            return Err(ConnectorError::setting(
                "max_bytes",
                "must be at most 1GiB in whole mode",
            ));
        }
        Ok(())
    }
}

/// A drop directory that is open.
pub struct FileDrop {
    name: String,
    poll: Duration,
    folder: Arc<Folder>,
    template: Arc<Template>,
    settle: Settle,
    watch: Option<Watch>,
    /// Files that could not be moved: their state then and when to try again. Submitting one again
    /// costs a read and stores nothing.
    stuck: BTreeMap<CString, (Stamp, Instant)>,
    clock: Arc<dyn Clock>,
    activity: Activity,
}

/// How a file's turn ended.
enum Turn {
    /// It is out of the way, or will be looked at again in its time.
    Over,
    /// Nothing more can be submitted for this long.
    Hold(Duration),
}

impl FileDrop {
    /// Opens the directory and makes its two folders.
    pub fn open(
        name: &str,
        config: &FileDropConfig,
        node: &NodeName,
        clock: Arc<dyn Clock>,
        activity: Activity,
    ) -> Result<Self, ConnectorError> {
        config.check()?;
        let fail =
            |error| ConnectorError::file("cannot use the drop directory", &config.path, error);
        let folder = Folder::open(&config.path, &config.done, &config.error).map_err(fail)?;
        let watch = match Watch::open(folder.dir()) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(source = name, %error, "Drop directory not watched; unchanged size and time decide.");
                None
            }
        };
        if !folder.resolves_beneath() {
            tracing::info!(
                source = name,
                "Kernel without openat2; links are refused by O_NOFOLLOW."
            );
        }
        let (kind, max_bytes) = match config.mode {
            Mode::Whole => ("qc.file", MAX_WHOLE),
            Mode::Lines => ("qc.line", DEFAULT_MAX_LINES),
        };
        Ok(Self {
            name: name.to_owned(),
            poll: config.poll.0,
            folder: Arc::new(folder),
            template: Arc::new(Template {
                source: format!("/{node}/{name}"),
                kind: config.event_type.clone().unwrap_or_else(|| kind.to_owned()),
                mode: config.mode,
                max_bytes: config.max_bytes.map_or(max_bytes, |size| size.0),
            }),
            settle: Settle::new(config.settle.0),
            watch,
            stuck: BTreeMap::new(),
            clock,
            activity,
        })
    }

    /// Takes files in until `stop`. Stopping at any moment loses nothing and repeats nothing.
    pub async fn run<I: Intake>(mut self, intake: I, stop: impl Future<Output = ()> + Send) {
        let rounds = async {
            loop {
                let hold = self.round(&intake).await;
                tokio::time::sleep(hold.unwrap_or_default().max(self.poll)).await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = rounds => {}
        }
    }

    /// Looks once and takes in what is complete; how long to hold if the intake wants that.
    async fn round<I: Intake>(&mut self, intake: &I) -> Option<Duration> {
        let changes = self.watch.as_mut().map(Watch::changes);
        match changes {
            Some(Ok(changes)) => self.settle.watch(changes),
            Some(Err(error)) => {
                tracing::warn!(source = self.name, %error, "Drop directory not watched any more.");
                self.watch = None;
            }
            None => {}
        }
        let folder = Arc::clone(&self.folder);
        let listing = match blocking(move || folder.list()).await {
            Ok(listing) => listing,
            Err(error) => {
                self.later(
                    &format!("the drop directory cannot be listed: {error}"),
                    self.poll,
                );
                return None;
            }
        };
        self.forget_stuck(&listing);
        let complete = self.settle.complete(listing, self.clock.instant());
        for found in complete {
            if let Turn::Hold(wait) = self.turn(found, intake).await {
                return Some(wait);
            }
        }
        None
    }

    async fn turn<I: Intake>(&mut self, found: Found, intake: &I) -> Turn {
        let now = self.clock.instant();
        if let Some((_, again)) = self.stuck.get(&found.name)
            && now < *again
        {
            return Turn::Over;
        }
        let (folder, template) = (Arc::clone(&self.folder), Arc::clone(&self.template));
        let (found, reading) = blocking(move || {
            let reading = Reading::open(&folder, &found, &template);
            (found, reading)
        })
        .await;
        let mut reading = match reading {
            Ok(reading) => reading,
            Err(error) => return self.not_read(found, error).await,
        };
        if let Some((envelope, length)) = reading.long() {
            return match long(reading, envelope, length, intake).await {
                Ok(outcome) => {
                    let again = u64::from(outcome.is_duplicate());
                    self.activity.duplicates(again);
                    self.activity.done(1 - again, self.clock.now());
                    self.taken(found).await
                }
                Err(NotTaken::Read(error)) => self.not_read(found, error).await,
                Err(NotTaken::Intake(error)) => self.not_taken(found, error, "").await,
            };
        }
        loop {
            let batch;
            (reading, batch) = blocking(move || {
                let batch = reading.next_batch();
                (reading, batch)
            })
            .await;
            let messages = match batch {
                Ok(messages) if messages.is_empty() => break,
                Ok(messages) => messages,
                Err(error) => return self.not_read(found, error).await,
            };
            let count = messages.len() as u64;
            match intake.submit(messages).await {
                Ok(outcomes) => {
                    let again = outcomes.iter().filter(|o| o.is_duplicate()).count() as u64;
                    self.activity.duplicates(again);
                    self.activity.done(count - again, self.clock.now());
                }
                Err(error) => {
                    let place = match self.template.mode {
                        Mode::Whole => String::new(),
                        Mode::Lines => format!("at or before line {}: ", reading.line()),
                    };
                    return self.not_taken(found, error, &place).await;
                }
            }
        }
        self.taken(found).await
    }

    /// What was refused `place`d in a file is out of the way, or comes again in its time.
    async fn not_taken(&mut self, found: Found, error: IntakeError, place: &str) -> Turn {
        if let IntakeError::Refused { code, reason } = error {
            self.reject(found, code, &format!("{place}{reason}")).await;
            return Turn::Over;
        }
        let wait = error.retry_after().unwrap_or(self.poll);
        self.later(&error.to_string(), wait);
        Turn::Hold(wait)
    }

    /// Everything of the file is on disk.
    async fn taken(&mut self, found: Found) -> Turn {
        let folder = Arc::clone(&self.folder);
        let (found, moved) = blocking(move || {
            let moved = folder.to_done(&found.name, &found.stamp);
            (found, moved)
        })
        .await;
        self.after_move(found, moved);
        Turn::Over
    }

    async fn not_read(&mut self, found: Found, error: ReadError) -> Turn {
        match error {
            ReadError::Changed => self.settle.restart(&found.name),
            ReadError::Reject { code, reason } => self.reject(found, code, &reason).await,
            ReadError::Later(error) => {
                self.later(&format!("{}: {error}", shown(&found.name)), self.poll);
                return Turn::Hold(self.poll);
            }
        }
        Turn::Over
    }

    async fn reject(&mut self, found: Found, code: &'static str, reason: &str) {
        let name = shown(&found.name);
        if !self.stuck.contains_key(&found.name) {
            tracing::warn!(
                source = self.name,
                file = name,
                code,
                reason,
                "File refused."
            );
            let line = format!("{name}: {code} {reason}");
            self.activity.refused(&line, self.clock.now());
        }
        let text = format!("{code} {reason}\n");
        let folder = Arc::clone(&self.folder);
        let (found, moved) = blocking(move || {
            let moved = folder.to_error(&found.name, &found.stamp, &text);
            (found, moved)
        })
        .await;
        self.after_move(found, moved);
    }

    fn after_move(&mut self, found: Found, moved: std::io::Result<bool>) {
        match moved {
            Ok(true) => {
                self.stuck.remove(&found.name);
            }
            Ok(false) => self.settle.restart(&found.name),
            Err(error) => {
                let again = self.clock.instant() + STUCK;
                let name = shown(&found.name);
                if self
                    .stuck
                    .insert(found.name, (found.stamp, again))
                    .is_none()
                {
                    tracing::error!(source = self.name, file = name, code = "QC4110", %error, "File cannot be moved out of the drop directory.");
                }
                self.later(&format!("QC4110 {name} cannot be moved: {error}"), STUCK);
            }
        }
    }

    fn later(&self, reason: &str, wait: Duration) {
        self.activity.retrying(reason, self.clock.now(), wait);
    }

    fn forget_stuck(&mut self, listing: &[Found]) {
        if self.stuck.is_empty() {
            return;
        }
        self.stuck.retain(|name, (stamp, _)| {
            listing
                .iter()
                .any(|found| found.name == *name && found.stamp == *stamp)
        });
    }
}

/// Why a long file was not taken.
enum NotTaken {
    Read(ReadError),
    Intake(IntakeError),
}

/// Takes in a file that is one message and does not fit into a record.
async fn long<I: Intake>(
    mut reading: Reading,
    envelope: Envelope,
    length: u64,
    intake: &I,
) -> Result<Outcome, NotTaken> {
    let upload = intake.upload(envelope, MAX_WHOLE);
    let mut upload = upload.map_err(NotTaken::Intake)?.announced(length);
    let store = |error: AppendError| NotTaken::Intake(error.into());
    loop {
        let chunk;
        (reading, chunk) = blocking(move || {
            let chunk = reading.next_chunk();
            (reading, chunk)
        })
        .await;
        match chunk.map_err(NotTaken::Read)? {
            Some(chunk) => upload.push(chunk).await.map_err(store)?,
            None => return upload.finish().await.map_err(store),
        }
    }
}

/// Runs `f` where it may block.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(f)
        .await
        .expect("the closure does not panic and is never cancelled")
}

#[cfg(test)]
mod tests;
