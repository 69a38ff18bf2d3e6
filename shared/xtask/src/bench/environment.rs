//! The machine that figures belong to.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use qc_core::cli::{Exit, Failure};
use qc_core::clock::Clock;
use serde::{Deserialize, Serialize};

use super::disk;
use super::figure::percentile;
use crate::CHORE;

/// What stands beside every figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// File system of the bench's directory.
    pub file_system: String,
    /// Median time of an fdatasync after a 4 KiB overwrite there, in microseconds.
    pub fdatasync_p50_us: f64,
    /// The 99th of 100.
    pub fdatasync_p99_us: f64,
    /// CPU model.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Load average of the last minute when the run began: other people's work.
    pub load: f64,
    #[serde(skip)]
    probes: Vec<Duration>,
}

const PROBES: u32 = 200;

impl Environment {
    /// Looks at the machine and probes the disk below `dir`; fails where figures would be void.
    pub fn measure(dir: &Path, clock: &dyn Clock) -> Result<Self, Failure> {
        let file_system = file_system(dir)?;
        refuse_void(&file_system, dir)?;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut environment = Self {
            file_system,
            fdatasync_p50_us: 0.0,
            fdatasync_p99_us: 0.0,
            cpu: cpu_model(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: first_number(&read("/proc/loadavg")),
            probes: Vec::new(),
        };
        environment.probe(dir, clock)?;
        Ok(environment)
    }

    /// Probes the disk once more: call it between rounds, so that the times stand for the whole run.
    pub fn probe(&mut self, dir: &Path, clock: &dyn Clock) -> Result<(), Failure> {
        let times = probe(dir, clock).map_err(|error| disk(dir, &error))?;
        self.probes.extend(times);
        self.fdatasync_p50_us = percentile(&mut self.probes, 50);
        self.fdatasync_p99_us = percentile(&mut self.probes, 99);
        Ok(())
    }

    /// An environment for tests of what prints it.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            file_system: "ext4".to_owned(),
            fdatasync_p50_us: 110.0,
            fdatasync_p99_us: 900.5,
            cpu: "Fast One".to_owned(),
            cores: 2,
            kernel: "6.1".to_owned(),
            load: 0.5,
            probes: Vec::new(),
        }
    }

    /// Two lines for people.
    pub fn text(&self) -> String {
        format!(
            "{}, fdatasync p50 {:.0} us, p99 {:.0} us\n{}, {} cores, Linux {}, load {:.1}\n",
            self.file_system,
            self.fdatasync_p50_us,
            self.fdatasync_p99_us,
            self.cpu,
            self.cores,
            self.kernel,
            self.load
        )
    }
}

/// tmpfs has no disk, and overlay's fdatasync is whatever lies below: neither shows the product.
fn refuse_void(file_system: &str, dir: &Path) -> Result<(), Failure> {
    if !["tmpfs", "ramfs", "overlay"].contains(&file_system) {
        return Ok(());
    }
    let message = format!(
        "{} is on {file_system}: the figures would be void",
        dir.display()
    );
    Err(Failure::new(Exit::Problems, CHORE, message)
        .help("name a directory on a real disk: cargo xtask bench raw --dir DIR"))
}

fn file_system(dir: &Path) -> Result<String, Failure> {
    let stat = rustix::fs::statfs(dir).map_err(|error| disk(dir, &error.into()))?;
    // the kernel's magic numbers are 32 bits wide, the field is not everywhere
    let magic = u32::try_from(stat.f_type & 0xffff_ffff).unwrap_or(0);
    Ok(match magic {
        0x0000_ef53 => "ext4".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x6573_5546 => "fuse".to_owned(),
        0x0000_6969 => "nfs".to_owned(),
        0x794c_7630 => "overlay".to_owned(),
        0x8584_58f6 => "ramfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0xf2f5_2010 => "f2fs".to_owned(),
        other => format!("{other:#010x}"),
    })
}

fn probe(dir: &Path, clock: &dyn Clock) -> std::io::Result<Vec<Duration>> {
    let path = dir.join("probe");
    let file = File::create(&path)?;
    let block = [0x51_u8; 4096];
    for at in 0..u64::from(PROBES) {
        file.write_all_at(&block, at * 4096)?;
    }
    file.sync_all()?;
    let mut times: Vec<Duration> = Vec::new();
    for at in 0..u64::from(PROBES) {
        file.write_all_at(&block, at * 4096)?;
        let started = clock.instant();
        file.sync_data()?;
        times.push(clock.instant().duration_since(started));
    }
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(times)
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        ["model name", "Processor", "Hardware"]
            .contains(&key.trim())
            .then(|| value.trim())
    });
    model.unwrap_or("unknown CPU").to_owned()
}

fn first_number(text: &str) -> f64 {
    let word = text.split_whitespace().next();
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::clock::SystemClock;

    #[test]
    fn knows_this_machine() {
        let here = std::env::current_dir().unwrap();
        assert!(!file_system(&here).unwrap().is_empty());
        assert_eq!(file_system(Path::new("/dev/shm")).unwrap(), "tmpfs");
        assert_eq!(
            cpu_model("processor\t: 0\nmodel name\t: Fast One\n"),
            "Fast One"
        );
        assert!((first_number("0.25 1 2") - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn memory_voids_a_run() {
        let failure = Environment::measure(Path::new("/dev/shm"), &SystemClock::default());
        let failure = failure.unwrap_err();
        assert_eq!(failure.exit, Exit::Problems);
        assert!(failure.message.contains("tmpfs"), "{failure}");
        assert!(refuse_void("overlay", Path::new("/")).is_err());
        assert!(refuse_void("ext4", Path::new("/")).is_ok());
    }
}
