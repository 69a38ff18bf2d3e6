//! The issuance log: one JSON object a line, each carrying the hash of the line before it, synced
//! before the certificate leaves the house.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::certificate::sha256;
use crate::durable;

const MAX_LINE: u64 = 64 * 1024;

/// One issued certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// SHA-256 of the line before this one, empty in the first.
    #[serde(default)]
    pub prev: String,
    /// When, RFC 3339.
    pub at: String,
    /// The authority that signed.
    pub ca: String,
    /// The serial in hex.
    pub serial: String,
    /// `node`, `front` or `ca`.
    pub profile: String,
    /// Whom it names: the node, the host names, the CA.
    pub name: String,
    /// The role, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When it ends, RFC 3339.
    pub not_after: String,
    /// Fingerprint of the key.
    pub key: String,
    /// Why it was issued: `token ID`, `request`, `renewal`, `serve`.
    pub cause: String,
    /// The certificate in PEM.
    pub cert: String,
}

/// Why the log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be used.
    #[error("the issuance log {path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is not what was written.
    #[error("line {line} of the issuance log {path} is broken: {why}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
}

/// The log file. Appending needs the directory lock.
#[derive(Debug, Clone)]
pub struct IssuanceLog {
    path: PathBuf,
}

impl IssuanceLog {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends an entry and syncs it.
    pub fn append(&self, mut entry: Issuance) -> Result<(), LogError> {
        self.append_io(&mut entry).map_err(|source| LogError::File {
            path: self.path.clone(),
            source,
        })
    }

    fn append_io(&self, entry: &mut Issuance) -> io::Result<()> {
        let fresh = !self.path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        entry.prev = last_line(&mut file)?.map_or_else(String::new, |line| hash(&line));
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_all()?;
        if fresh {
            durable::sync_dir(self.path.parent().unwrap_or_else(|| Path::new(".")))?;
        }
        Ok(())
    }

    /// Every entry, oldest first, with the chain of hashes checked. A last line without its end was
    /// never acknowledged and is left out.
    pub fn read(&self) -> Result<Vec<Issuance>, LogError> {
        let failed = |source| LogError::File {
            path: self.path.clone(),
            source,
        };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut reader = BufReader::new(file);
        let (mut entries, mut prev, mut number) = (Vec::new(), String::new(), 0);
        loop {
            number += 1;
            let broken = |why| LogError::Broken {
                path: self.path.clone(),
                line: number,
                why,
            };
            let mut line = Vec::new();
            let mut bounded = reader.by_ref().take(MAX_LINE);
            bounded.read_until(b'\n', &mut line).map_err(failed)?;
            if line.pop() != Some(b'\n') {
                return Ok(entries);
            }
            let entry: Issuance =
                serde_json::from_slice(&line).map_err(|_| broken("not an entry"))?;
            if entry.prev != prev {
                return Err(broken("it does not follow from the line before"));
            }
            prev = hash(&line);
            entries.push(entry);
        }
    }
}

/// The last complete line; a torn one behind it is cut off.
fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let end = file.seek(SeekFrom::End(0))?;
    let start = end.saturating_sub(2 * MAX_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(2 * MAX_LINE).read_to_end(&mut tail)?;
    let keep = tail
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    if keep < tail.len() {
        file.set_len(start + u64::try_from(keep).unwrap_or(0))?;
        tail.truncate(keep);
    }
    tail.pop();
    let from = tail
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    Ok((keep > 0).then(|| tail.split_off(from)))
}

fn hash(line: &[u8]) -> String {
    HEXLOWER.encode(&sha256(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(serial: &str) -> Issuance {
        Issuance {
            prev: String::new(),
            at: "2026-11-21T00:00:00Z".to_owned(),
            ca: "hq".to_owned(),
            serial: serial.to_owned(),
            profile: "node".to_owned(),
            name: "edge-1.mill7.acme".to_owned(),
            role: Some("edge".to_owned()),
            not_after: "2026-12-05T00:00:00Z".to_owned(),
            key: "sha256:00".to_owned(),
            cause: "request".to_owned(),
            cert: String::new(),
        }
    }

    #[test]
    fn an_edited_line_breaks_the_chain_and_a_torn_one_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let log = IssuanceLog::at(dir.path().join("issuance.jsonl"));
        assert!(log.read().unwrap().is_empty());
        for serial in ["01", "02", "03"] {
            log.append(entry(serial)).unwrap();
        }
        let whole = std::fs::read(&log.path).unwrap();
        durable::write_atomic(&log.path, &[&whole[..], b"{\"torn"].concat(), 0o600).unwrap();
        assert_eq!(log.read().unwrap().len(), 3);
        log.append(entry("04")).unwrap();
        assert_eq!(log.read().unwrap().len(), 4);

        let text = String::from_utf8(std::fs::read(&log.path).unwrap()).unwrap();
        let edited = text.replace("\"serial\":\"02\"", "\"serial\":\"99\"");
        durable::write_atomic(&log.path, edited.as_bytes(), 0o600).unwrap();
        assert!(matches!(log.read(), Err(LogError::Broken { line: 3, .. })));
    }
}
