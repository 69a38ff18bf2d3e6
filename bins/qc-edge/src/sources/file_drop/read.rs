//! From a file to messages whose ids come from the file alone, so that reading it twice is once.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use qc_core::model::{AttrValue, Envelope, Message, Timestamp};
use qc_core::wire::MAX_BODY;

use super::Mode;
use super::folder::{Folder, Found, Odd, OpenError, Stamp, shown};

/// Lines of one submission.
const BATCH_LINES: usize = 500;
/// Bytes of lines of one submission, but always one line.
const BATCH_BYTES: usize = 1024 * 1024;
/// What is read in one go of a file that is one long message.
const CHUNK: u64 = 256 * 1024;
/// The longest line.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It can never be taken in.
    Reject { code: &'static str, reason: String },
    /// It changed or went away: it is looked at again later.
    Changed,
    /// This machine has a problem of its own: the same file again later.
    Later(io::Error),
}

/// What the messages of a file have in common.
pub(super) struct Template {
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) mode: Mode,
    pub(super) max_bytes: u64,
}

/// A file being taken in: its messages in batches.
pub(super) struct Reading {
    template: Arc<Template>,
    reader: BufReader<File>,
    stamp: Stamp,
    id: String,
    envelope: Envelope,
    line: u64,
    ended: bool,
}

impl Reading {
    /// Opens and checks a file: its kind, its size, and in lines mode that it is text. Reads it once,
    /// for its digest.
    pub(super) fn open(
        folder: &Folder,
        found: &Found,
        template: &Arc<Template>,
    ) -> Result<Self, ReadError> {
        if let Some(odd) = found.odd {
            return Err(reject_odd(odd));
        }
        let file = folder
            .open_file(&found.name, &found.stamp)
            .map_err(|error| match error {
                OpenError::Gone | OpenError::Changed => ReadError::Changed,
                OpenError::Odd(odd) => reject_odd(odd),
                OpenError::Io(error) => from_io(error),
            })?;
        let size = found.stamp.size;
        if size > template.max_bytes {
            return Err(ReadError::Reject {
                code: "QC4105",
                reason: format!(
                    "the file has {size} bytes; at most {} are allowed",
                    template.max_bytes
                ),
            });
        }
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        let sha256 = digest(&mut reader, size, template.mode)?;
        let reading = Self {
            id: file_id(&found.name, &found.stamp, &sha256),
            envelope: envelope(&found.name, &found.stamp, &sha256, template),
            template: Arc::clone(template),
            reader,
            stamp: found.stamp,
            line: 0,
            ended: false,
        };
        reading.still_unchanged()?;
        Ok(reading)
    }

    /// The next messages to submit together; none when all were given out.
    pub(super) fn next_batch(&mut self) -> Result<Vec<Message>, ReadError> {
        if self.ended {
            return Ok(Vec::new());
        }
        let messages = match self.template.mode {
            Mode::Whole => {
                self.ended = true;
                vec![self.whole()?]
            }
            Mode::Lines => self.lines()?,
        };
        self.still_unchanged()?;
        Ok(messages)
    }

    /// Envelope and length of a file that is one message and does not fit into a record.
    pub(super) fn long(&self) -> Option<(Envelope, u64)> {
        let is_long = self.template.mode == Mode::Whole && self.stamp.size > MAX_BODY as u64;
        is_long.then(|| (self.own_envelope(), self.stamp.size))
    }

    /// The next piece of such a file; none at its end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        let mut chunk = Vec::new();
        let read = (&mut self.reader).take(CHUNK).read_to_end(&mut chunk);
        read.map_err(from_io)?;
        self.still_unchanged()?;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }

    /// Where the reading stands, for the reason of a refusal.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    fn whole(&mut self) -> Result<Message, ReadError> {
        let size = self.stamp.size;
        let capacity = usize::try_from(size).map_err(|_| ReadError::Changed)?;
        let mut body = Vec::with_capacity(capacity);
        (&mut self.reader)
            .take(size + 1)
            .read_to_end(&mut body)
            .map_err(from_io)?;
        Ok(Message {
            envelope: self.own_envelope(),
            body: Bytes::from(body),
        })
    }

    fn own_envelope(&self) -> Envelope {
        Envelope {
            id: self.id.clone(),
            ..self.envelope.clone()
        }
    }

    fn lines(&mut self) -> Result<Vec<Message>, ReadError> {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while messages.len() < BATCH_LINES && bytes < BATCH_BYTES {
            let mut line = Vec::new();
            let limit = MAX_LINE as u64 + 2;
            let read = (&mut self.reader)
                .take(limit)
                .read_until(b'\n', &mut line)
                .map_err(from_io)?;
            if read == 0 {
                self.ended = true;
                break;
            }
            self.line += 1;
            let text = trim_line_end(&line);
            if text.is_empty() {
                continue;
            }
            bytes += text.len();
            messages.push(Message {
                envelope: Envelope {
                    id: format!("{}-{}", self.id, self.line),
                    ..self.envelope.clone()
                },
                body: Bytes::copy_from_slice(text),
            });
        }
        Ok(messages)
    }

    fn still_unchanged(&self) -> Result<(), ReadError> {
        match Folder::unchanged(self.reader.get_ref(), &self.stamp) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReadError::Changed),
            Err(error) => Err(from_io(error)),
        }
    }
}

/// The SHA-256 of exactly `size` bytes; in lines mode also that they are UTF-8 in lines that are not
/// too long. The reader stands at the beginning again.
fn digest(reader: &mut BufReader<File>, size: u64, mode: Mode) -> Result<String, ReadError> {
    let mut context = Context::new(&SHA256);
    let (mut total, mut line_number) = (0u64, 0u64);
    let mut chunk = Vec::with_capacity(64 * 1024);
    loop {
        chunk.clear();
        let mut limited = (&mut *reader).take(MAX_LINE as u64 + 2);
        let read = match mode {
            Mode::Whole => limited.take(64 * 1024).read_to_end(&mut chunk),
            Mode::Lines => limited.read_until(b'\n', &mut chunk),
        };
        let read = read.map_err(from_io)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        if total > size {
            return Err(ReadError::Changed);
        }
        context.update(&chunk);
        if matches!(mode, Mode::Lines) {
            line_number += 1;
            check_line(&chunk, line_number)?;
        }
    }
    if total != size {
        return Err(ReadError::Changed);
    }
    reader.rewind().map_err(from_io)?;
    Ok(HEXLOWER.encode(context.finish().as_ref()))
}

fn check_line(line: &[u8], number: u64) -> Result<(), ReadError> {
    if trim_line_end(line).len() > MAX_LINE {
        return Err(ReadError::Reject {
            code: "QC4108",
            reason: format!("line {number} has more than {MAX_LINE} bytes"),
        });
    }
    if std::str::from_utf8(line).is_err() {
        return Err(ReadError::Reject {
            code: "QC4107",
            reason: format!("line {number} is not UTF-8"),
        });
    }
    Ok(())
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Name, size, time and content make the id: the same file found again after a crash is the same
/// message, and the same name with other content or at another time is another.
fn file_id(name: &CStr, stamp: &Stamp, sha256: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(name.to_bytes_with_nul());
    context.update(&stamp.size.to_le_bytes());
    context.update(&stamp.modified.0.to_le_bytes());
    context.update(&stamp.modified.1.to_le_bytes());
    context.update(sha256.as_bytes());
    let digest = context.finish();
    HEXLOWER.encode(digest.as_ref().get(..16).expect("a digest of 32 bytes"))
}

fn envelope(name: &CStr, stamp: &Stamp, sha256: &str, template: &Template) -> Envelope {
    let (seconds, nanos) = stamp.modified;
    let time = u64::try_from(seconds)
        .ok()
        .map(|seconds| Timestamp::from_millis(seconds * 1000 + nanos / 1_000_000).to_string());
    let mut envelope = Envelope {
        time,
        subject: Some(shown(name)),
        content_type: Some(content_type(name, template.mode).to_owned()),
        ..Envelope::new("", &template.source, &template.kind)
    };
    envelope
        .extensions
        .insert("qcsha256".to_owned(), AttrValue::String(sha256.to_owned()));
    envelope
}

fn content_type(name: &CStr, mode: Mode) -> &'static str {
    let name = name.to_bytes();
    let extension = name
        .iter()
        .rposition(|byte| *byte == b'.')
        .and_then(|dot| name.get(dot + 1..))
        .unwrap_or_default()
        .to_ascii_lowercase();
    match (extension.as_slice(), mode) {
        (b"json" | b"geojson", _) => "application/json",
        (b"ndjson" | b"jsonl", Mode::Lines) => "application/json",
        (b"ndjson" | b"jsonl", Mode::Whole) => "application/x-ndjson",
        (b"csv", _) => "text/csv",
        (b"tsv", _) => "text/tab-separated-values",
        (b"xml", _) => "application/xml",
        (b"htm" | b"html", _) => "text/html",
        (b"pdf", _) => "application/pdf",
        (b"png", _) => "image/png",
        (b"jpg" | b"jpeg", _) => "image/jpeg",
        (b"gz", _) => "application/gzip",
        (b"zip", _) => "application/zip",
        (b"txt" | b"log" | b"md", _) | (_, Mode::Lines) => "text/plain",
        _ => "application/octet-stream",
    }
}

fn reject_odd(odd: Odd) -> ReadError {
    let (code, reason) = match odd {
        Odd::NotRegular => (
            "QC4103",
            "not a regular file: links, pipes and devices are not read",
        ),
        Odd::HardLink => (
            "QC4104",
            "the file has another name (a hard link) and could change there",
        ),
    };
    ReadError::Reject {
        code,
        reason: reason.to_owned(),
    }
}

fn from_io(error: io::Error) -> ReadError {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN) => {
            ReadError::Later(error)
        }
        _ => ReadError::Reject {
            code: "QC4106",
            reason: format!("the file cannot be read: {error}"),
        },
    }
}
