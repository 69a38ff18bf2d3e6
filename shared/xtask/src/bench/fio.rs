//! The same patterns by fio, the judge that everybody knows.

use std::path::Path;
use std::process::Command;

use qc_core::cli::{Exit, Failure};
use serde_json::Value;

use super::raw::{FILE, Kind, Pattern};
use crate::CHORE;
use crate::workspace::Workspace;

/// What fio came to in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peer {
    /// Messages a second.
    pub rate: f64,
    /// Median write plus median sync, in microseconds.
    pub typical_us: f64,
}

/// As many batches as we wrote, by fio.
pub(super) fn round(pattern: Pattern, dir: &Path, batches: u32) -> Result<Peer, Failure> {
    if crate::workspace::which("fio").is_none() {
        return Err(Failure::new(Exit::NotFound, CHORE, "fio is not installed")
            .help("as root: apt-get install --no-install-recommends fio"));
    }
    let path = dir.join(pattern.kind.word());
    if pattern.kind != Kind::Recycled {
        let _fio_makes_it_anew = std::fs::remove_file(&path);
    }
    let text = Workspace::capture(Command::new("fio").args(arguments(pattern, &path, batches)))?;
    read(&text, pattern.batch).ok_or_else(|| {
        Failure::new(Exit::Other, CHORE, "fio's report lacks what it should hold").detail(text)
    })
}

fn arguments(pattern: Pattern, path: &Path, batches: u32) -> Vec<String> {
    let bytes = pattern.bytes() * u64::from(batches);
    let mut arguments = vec![
        "--name=raw".to_owned(),
        "--output-format=json".to_owned(),
        "--rw=write".to_owned(),
        "--ioengine=psync".to_owned(),
        "--fdatasync=1".to_owned(),
        // a log's file is in the page cache; dropped, each write below a page would read first
        "--invalidate=0".to_owned(),
        format!("--bs={}", pattern.bytes()),
        format!("--filename={}", path.display()),
    ];
    arguments.extend(match pattern.kind {
        Kind::Growing => vec!["--fallocate=none".to_owned(), format!("--size={bytes}")],
        Kind::Allocated => vec![
            "--fallocate=native".to_owned(),
            format!("--size={FILE}"),
            format!("--io_size={bytes}"),
        ],
        Kind::Recycled => vec![
            "--overwrite=1".to_owned(),
            format!("--size={FILE}"),
            format!("--io_size={bytes}"),
        ],
    });
    arguments
}

/// Reads fio's JSON report.
fn read(report: &str, batch: u32) -> Option<Peer> {
    // a warning may stand before the report
    let json = report.get(report.find('{')?..)?;
    let report: Value = serde_json::from_str(json).ok()?;
    let job = report.get("jobs")?.get(0)?;
    let write = job.get("write")?;
    let writes = write.get("total_ios")?.as_f64()?;
    let seconds = write.get("runtime")?.as_f64()? / 1000.0;
    let median = |times: &Value| times.get("percentile")?.get("50.000000")?.as_f64();
    let typical_ns = median(write.get("clat_ns")?)? + median(job.get("sync")?.get("lat_ns")?)?;
    (seconds > 0.0).then(|| Peer {
        rate: writes * f64::from(batch) / seconds,
        typical_us: typical_ns / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_report() {
        let report = r#"fio: note
            {"jobs": [{
                "write": {"total_ios": 1000, "runtime": 500, "clat_ns": {"percentile": {"50.000000": 5000}}},
                "sync": {"lat_ns": {"percentile": {"50.000000": 120000}}}
            }]}"#;
        let peer = read(report, 16).unwrap();
        assert!((peer.rate - 32_000.0).abs() < 1e-6 && (peer.typical_us - 125.0).abs() < 1e-6);
        assert_eq!(read("{}", 16), None);
        assert_eq!(read("", 16), None);
    }

    #[test]
    fn the_growing_file_is_not_laid_out_first() {
        let pattern = Pattern {
            kind: Kind::Growing,
            batch: 16,
        };
        let arguments = arguments(pattern, Path::new("f"), 10);
        assert!(arguments.contains(&"--fallocate=none".to_owned()));
        assert!(arguments.contains(&"--bs=16384".to_owned()));
        assert!(arguments.contains(&"--size=163840".to_owned()));
    }
}
