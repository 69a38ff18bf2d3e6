//! The last good addresses of names, in a small file of the state directory.
//!
//! ```text
//! {"schema":"qc.addresses/1","names":{"relay-1.dc.example":{"at_ms":1795000000000,"addresses":["10.1.2.3"]}}}
//! ```
//!
//! Good is what a judged node or a working proxy answered at; what a name server says alone is not.
//! Nothing here ends by itself: a site whose name server is gone for a year still finds its relay.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::durable::write_atomic;
use crate::model::Timestamp;

const SCHEMA: &str = "qc.addresses/1";
const FILE: &str = "addresses.json";
/// The most names; the oldest one goes.
const MOST_NAMES: usize = 64;
/// The most addresses of a name.
const MOST_ADDRESSES: usize = 16;
/// The longest file that is read.
const MAX_FILE: u64 = 256 * 1024;
/// While nothing but the time would change, the file is written this often at most.
const FRESH: Duration = Duration::from_hours(1);

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its addresses, the one that answered first.
    pub addresses: Vec<IpAddr>,
    /// When one of them answered last, to about an hour.
    pub at: Timestamp,
}

/// The file and what stands in it. Clones share it.
#[derive(Debug, Clone)]
pub struct LastGood {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    names: Mutex<BTreeMap<String, Known>>,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    names: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    at_ms: u64,
    addresses: Vec<IpAddr>,
}

impl LastGood {
    /// Opens the file in a state directory. One that is missing is empty; one that cannot be used is
    /// said once in the log and replaced when there is something to keep.
    pub fn open(state: &Path) -> Self {
        let names = Self::read(state).unwrap_or_else(|why| {
            tracing::warn!(
                code = "QC2050",
                why,
                "Known addresses are not readable; beginning anew."
            );
            BTreeMap::new()
        });
        Self {
            inner: Arc::new(Inner {
                path: state.join(FILE),
                names: Mutex::new(names),
                writing: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// What stands in the file of a state directory.
    pub fn read(state: &Path) -> Result<BTreeMap<String, Known>, String> {
        let file = match std::fs::File::open(state.join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeMap::new());
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
        if read.map_err(|e| e.to_string())? as u64 > MAX_FILE {
            return Err(format!("it has more than {MAX_FILE} bytes"));
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        if document.schema != SCHEMA {
            return Err("it is of another version".to_owned());
        }
        let known = |entry: Entry| Known {
            addresses: entry.addresses.into_iter().take(MOST_ADDRESSES).collect(),
            at: Timestamp::from_millis(entry.at_ms),
        };
        let names = document.names.into_iter().take(MOST_NAMES);
        Ok(names
            .map(|(name, entry)| (name, known(entry)))
            .filter(|(_, known)| !known.addresses.is_empty())
            .collect())
    }

    /// What is known of `host`.
    pub fn of(&self, host: &str) -> Option<Known> {
        self.names().get(host).cloned()
    }

    /// Keeps the addresses of `host`, of which `winner` has answered. On disk when it returns, unless
    /// nothing has changed or the disk does not take it, which only costs the memory of it.
    pub async fn keep(&self, host: &str, addresses: &[IpAddr], winner: IpAddr, now: Timestamp) {
        let others = addresses.iter().copied().filter(|ip| *ip != winner);
        let addresses: Vec<_> = std::iter::once(winner)
            .chain(others)
            .take(MOST_ADDRESSES)
            .collect();
        let bytes = {
            let mut names = self.names();
            if let Some(known) = names.get(host)
                && is_same(&known.addresses, &addresses)
                && now.since(known.at) < FRESH
            {
                return;
            }
            names.insert(host.to_owned(), Known { addresses, at: now });
            while names.len() > MOST_NAMES {
                let oldest = names.iter().min_by_key(|(_, known)| known.at);
                let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                    break;
                };
                names.remove(&oldest);
            }
            encode(&names)
        };
        let _one_at_a_time = self.inner.writing.lock().await;
        let path = self.inner.path.clone();
        let written = tokio::task::spawn_blocking(move || write_atomic(&path, &bytes, 0o600)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(code = "QC2050", %error, "Known addresses are not written.");
        }
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Known>> {
        self.inner
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Name servers turn the order around: that alone is no news.
fn is_same(known: &[IpAddr], found: &[IpAddr]) -> bool {
    known.first() == found.first()
        && known.len() == found.len()
        && known.iter().all(|ip| found.contains(ip))
}

fn encode(names: &BTreeMap<String, Known>) -> Vec<u8> {
    let entry = |known: &Known| Entry {
        at_ms: known.at.as_millis(),
        addresses: known.addresses.clone(),
    };
    let document = Document {
        schema: SCHEMA.to_owned(),
        names: names
            .iter()
            .map(|(name, known)| (name.clone(), entry(known)))
            .collect(),
    };
    serde_json::to_vec(&document).expect("strings, numbers and addresses only")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus(Duration::from_hours(hours))
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let good = LastGood::open(dir.path());
        assert_eq!(good.of("relay"), None);
        good.keep("relay", &[ip(1), ip(2)], ip(2), at(0)).await;
        let again = LastGood::open(dir.path());
        let known = Known {
            addresses: vec![ip(2), ip(1)],
            at: at(0),
        };
        assert_eq!(again.of("relay"), Some(known));
    }

    #[tokio::test]
    async fn the_file_is_written_only_for_news() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let good = LastGood::open(dir.path());
        good.keep("relay", &[ip(1), ip(2)], ip(1), at(0)).await;
        std::fs::remove_file(&path).unwrap();
        good.keep("relay", &[ip(2), ip(1)], ip(1), at(0)).await;
        assert!(!path.exists(), "another order is no news");
        good.keep("relay", &[ip(1), ip(2)], ip(1), at(2)).await;
        assert!(path.exists(), "the time is, after a while");
        std::fs::remove_file(&path).unwrap();
        good.keep("relay", &[ip(1), ip(3)], ip(1), at(2)).await;
        assert!(path.exists(), "another address is");
    }

    #[tokio::test]
    async fn names_and_addresses_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let good = LastGood::open(dir.path());
        let many: Vec<_> = (0..100).map(ip).collect();
        for n in 0..100 {
            good.keep(&format!("relay-{n}"), &many, ip(9), at(n)).await;
        }
        let read = LastGood::read(dir.path()).unwrap();
        assert_eq!(read.len(), MOST_NAMES);
        assert!(!read.contains_key("relay-0") && read.contains_key("relay-99"));
        assert!(
            read.values()
                .all(|known| known.addresses.len() == MOST_ADDRESSES)
        );
    }

    #[tokio::test]
    async fn a_broken_file_is_no_reason_not_to_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let long = vec![b' '; 300 * 1024];
        for broken in [
            &b"{"[..],
            b"[]",
            b"{\"schema\":\"qc.addresses/9\",\"names\":{}}",
            &long,
        ] {
            write_atomic(&path, broken, 0o600).unwrap();
            assert!(LastGood::read(dir.path()).is_err());
            let good = LastGood::open(dir.path());
            assert_eq!(good.of("relay"), None);
            good.keep("relay", &[ip(1)], ip(1), at(0)).await;
            assert!(LastGood::open(dir.path()).of("relay").is_some());
        }
    }
}
