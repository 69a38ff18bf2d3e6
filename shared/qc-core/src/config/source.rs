//! The files of one configuration: the main file and its drop-ins, bounded and in order.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};
use crate::safe_text::safe;

const MAX_FILE: u64 = 1 << 20;
const MAX_DROP_INS: usize = 200;

/// One file: its name for people and its text.
#[derive(Clone)]
pub struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

impl fmt::Debug for Source {
    /// Without the text, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

impl Source {
    /// A file that is in memory already.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).map_or(0, |text| text.chars().count()) + 1;
        (line, column)
    }
}

/// Reads `path` and the drop-ins beside it: for `edge.toml`, the files `edge.d/*.toml` by name.
/// `program` is for the help lines.
pub fn read(path: &Path, program: &str) -> Result<Vec<Source>, Failure> {
    let mut sources = vec![read_one(path, program)?];
    let dir = path.with_extension("d");
    let unreadable = |error: &io::Error| {
        Failure::new(
            Exit::Config,
            "QC1001",
            format!("cannot read the drop-in directory {}", shown(&dir)),
        )
        .because(error)
        .help(format!("ls -ld {}", shown(&dir)))
    };
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sources),
        Err(error) => return Err(unreadable(&error)),
        Ok(entries) => entries,
    };
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|ext| ext == "toml") && !hidden {
            names.push(path);
        }
        if names.len() > MAX_DROP_INS {
            return Err(Failure::new(
                Exit::Config,
                "QC1001",
                format!("{} has more than {MAX_DROP_INS} files", shown(&dir)),
            ));
        }
    }
    names.sort();
    for path in names {
        sources.push(read_one(&path, program)?);
    }
    Ok(sources)
}

fn read_one(path: &Path, program: &str) -> Result<Source, Failure> {
    let fail = |problem: &str| {
        Failure::new(
            Exit::Config,
            "QC1001",
            format!("the configuration file {} {problem}", shown(path)),
        )
    };
    let mut bytes = Vec::new();
    // One file kind only: a FIFO would block, a directory or device is a mistake.
    let opened = std::fs::metadata(path).and_then(|found| {
        if found.is_file() {
            File::open(path)
        } else {
            Err(io::Error::other("not a regular file"))
        }
    });
    let read = opened.and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(match error.kind() {
            io::ErrorKind::NotFound => fail("does not exist")
                .help(format!("{program} config sample > {}", shown(path)))
                .help(format!("{program} --config FILE")),
            io::ErrorKind::PermissionDenied => {
                fail("may not be read by this user").help(format!("ls -l {}", shown(path)))
            }
            _ => fail("cannot be read").because(&error),
        });
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(fail("is larger than 1 MiB")
            .help("a configuration has no room for data: name files instead"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(shown(path), text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes().get(..at).unwrap_or_default();
            let line = bytes.split(|byte| *byte == b'\n').count();
            Err(fail(&format!("is not UTF-8 text (line {line})"))
                .help(format!("iconv -f LATIN1 -t UTF-8 {}", shown(path))))
        }
    }
}

fn shown(path: &Path) -> String {
    safe(&path.display().to_string(), 300)
}
