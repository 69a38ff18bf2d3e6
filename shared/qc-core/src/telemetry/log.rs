//! Setting up the log of a process: where it goes, in which form, how much.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::line::{LineOut, Lines};
use crate::failure::{Exit, Failure};
use crate::safe_text::safe;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal's own protocol, with fields.
    Journal,
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What a binary wants of its log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The program's name in the journal.
    pub program: &'static str,
    /// The form; `None` is the journal where stderr goes there, text elsewhere.
    pub format: Option<LogFormat>,
    /// A filter such as `info` or `info,qc_core::link=debug`.
    pub filter: String,
    /// A file to append to in place of stderr.
    pub file: Option<PathBuf>,
}

impl LogOptions {
    /// Options from `QC_LOG`, `QC_LOG_FORMAT` and `JOURNAL_STREAM`, read through `env`. Without
    /// `QC_LOG` the filter is `level`, raised by `verbose` (the count of `-v`).
    pub fn from_env_reader(
        program: &'static str,
        level: &'static str,
        verbose: u8,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let format = match env("QC_LOG_FORMAT").as_deref() {
            None | Some("" | "auto") => env("JOURNAL_STREAM")
                .filter(|stream| is_stderr(stream))
                .map(|_| LogFormat::Journal),
            Some("journal") => Some(LogFormat::Journal),
            Some("text") => Some(LogFormat::Text),
            Some("json") => Some(LogFormat::Json),
            Some(other) => {
                let message = format!(
                    "QC_LOG_FORMAT is '{}', expected journal, text or json",
                    safe(other, 40)
                );
                return Err(Failure::new(Exit::Usage, "QC0013", message));
            }
        };
        let raised = match verbose {
            0 => level,
            1 => "debug",
            _ => "trace",
        };
        let filter = env("QC_LOG").filter(|filter| !filter.is_empty());
        Ok(Self {
            program,
            format,
            filter: filter.unwrap_or_else(|| raised.to_owned()),
            file: None,
        })
    }
}

/// The running log.
#[derive(Debug, Clone)]
pub struct LogHandle {
    out: Option<Arc<Out>>,
}

impl LogHandle {
    /// Opens the log file again, after logrotate moved it; nothing to do for other logs.
    pub fn reopen(&self) -> io::Result<()> {
        match &self.out {
            Some(out) => out.reopen(),
            None => Ok(()),
        }
    }
}

/// Starts logging for the whole process; once.
pub fn init(options: LogOptions) -> Result<LogHandle, Failure> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|error| {
        let message = format!("'{}' is not a log filter", safe(&options.filter, 80));
        Failure::new(Exit::Usage, "QC0013", message)
            .because(&error)
            .help("QC_LOG=info,qc_core::link=debug")
    })?;
    let journal = match options.format {
        Some(LogFormat::Journal) => tracing_journald::Layer::new().ok(),
        _ => None,
    };
    let (layer, out): (Box<dyn Layer<Registry> + Send + Sync>, _) = if let Some(journal) = journal {
        let journal = journal
            .with_syslog_identifier(options.program.to_owned())
            .with_field_prefix(Some("QC".to_owned()));
        (journal.boxed(), None)
    } else {
        let out = Arc::new(Out::open(options.file)?);
        let lines = Lines {
            json: options.format == Some(LogFormat::Json),
            out: Arc::<Out>::clone(&out),
        };
        (lines.boxed(), Some(out))
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| {
            Failure::new(Exit::Bug, "QC0013", "the log was started twice").because(&error)
        })?;
    Ok(LogHandle { out })
}

/// stderr, or a file that can be opened again.
#[derive(Debug)]
struct Out {
    file: Option<(PathBuf, Mutex<File>)>,
}

impl Out {
    fn open(path: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self { file: None });
        };
        match append(&path) {
            Ok(file) => Ok(Self {
                file: Some((path, Mutex::new(file))),
            }),
            Err(error) => {
                let shown = safe(&path.display().to_string(), 200);
                let message = format!("cannot open the log file {shown}");
                Err(Failure::new(Exit::Other, "QC0014", message).because(&error))
            }
        }
    }

    fn reopen(&self) -> io::Result<()> {
        if let Some((path, file)) = &self.file {
            *file.lock().unwrap_or_else(PoisonError::into_inner) = append(path)?;
        }
        Ok(())
    }
}

impl LineOut for Out {
    fn line(&self, line: &str) -> io::Result<()> {
        match &self.file {
            None => io::stderr().lock().write_all(line.as_bytes()),
            Some((_, file)) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(line.as_bytes()),
        }
    }
}

fn append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// Whether `stream`, a `DEVICE:INODE` pair, is what stderr is connected to.
fn is_stderr(stream: &str) -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(verbose: u8, env: &[(&str, &str)]) -> Result<LogOptions, Failure> {
        LogOptions::from_env_reader("qc-test", "info", verbose, &|name| {
            let found = env.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn options_come_from_the_environment_that_is_passed_in() {
        let plain = options(0, &[]).unwrap();
        assert_eq!((plain.format, plain.filter.as_str()), (None, "info"));
        assert_eq!(options(1, &[]).unwrap().filter, "debug");
        let set = options(2, &[("QC_LOG", "warn"), ("QC_LOG_FORMAT", "json")]).unwrap();
        assert_eq!(
            (set.format, set.filter.as_str()),
            (Some(LogFormat::Json), "warn")
        );
        let stat = rustix::fs::fstat(io::stderr()).unwrap();
        let here = format!("{}:{}", stat.st_dev, stat.st_ino);
        let journal = options(0, &[("JOURNAL_STREAM", &here)]).unwrap();
        assert_eq!(journal.format, Some(LogFormat::Journal));
        assert_eq!(
            options(0, &[("JOURNAL_STREAM", "1:2")]).unwrap().format,
            None
        );
        let failure = options(0, &[("QC_LOG_FORMAT", "xml")]).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("QC0013", Exit::Usage));
    }

    #[test]
    fn a_log_file_is_opened_again_after_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qc.log");
        let out = Out::open(Some(path.clone())).unwrap();
        out.line("one\n").unwrap();
        std::fs::rename(&path, dir.path().join("qc.log.1")).unwrap();
        out.line("two\n").unwrap();
        out.reopen().unwrap();
        out.line("three\n").unwrap();
        let old = std::fs::read_to_string(dir.path().join("qc.log.1")).unwrap();
        assert_eq!(old, "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        let failure = Out::open(Some(path.join("below"))).unwrap_err();
        assert_eq!(failure.code, "QC0014");
    }
}
