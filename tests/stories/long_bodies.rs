//! Bodies that are longer than a record: they travel in parts, block nobody, fit into little memory, and arrive
//! whole or not at all, whoever is killed meanwhile.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use qc_core::clock::{Clock as _, SystemClock};
use qc_tests::{Daemon, Site, poll, program, run, until};

/// The largest share of memory that any daemon may have had.
const MOST_KIB: u64 = 96 << 10;
/// How long a body of any length may take on a busy machine.
const LONG: Duration = Duration::from_mins(10);

/// `QC_STORY_LONG_MIB=1024 cargo test -p qc-tests long_bodies -- --nocapture` for the longest there is.
fn mebibytes() -> u64 {
    std::env::var("QC_STORY_LONG_MIB").map_or(96, |value| value.parse().unwrap())
}

/// A file that nobody can compress or guess, written without being held.
fn long_file(path: &Path, bytes: u64, seed: u64) -> PathBuf {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut chunk = vec![0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        random.fill(&mut chunk);
        let step = usize::try_from(left.min(1 << 16)).unwrap();
        file.write_all(&chunk[..step]).unwrap();
        left -= step as u64;
    }
    file.flush().unwrap();
    path.to_owned()
}

fn sha256(path: &Path) -> String {
    let out = run(program("sha256sum").arg(path), b"").ok();
    out.split(' ').next().unwrap().to_owned()
}

/// The most memory that a daemon has had since it started, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    let path = format!("/proc/{}/status", daemon.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn now() -> Instant {
    SystemClock::default().instant()
}

/// Bytes of the longest message that is on its way to a file.
fn under_way(site: &Site) -> u64 {
    let entries = fs::read_dir(site.path("out")).unwrap();
    let parts = entries.filter_map(Result::ok).filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with(".qc-") && name.ends_with(".parts")
    });
    let lengths = parts.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    lengths.max().unwrap_or(0)
}

/// What users see in `out/`.
fn names(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.path("out")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn assert_nothing_dead(daemon: &Daemon) {
    let letters = daemon.ask(&["dlq", "list", "--json"]).data();
    assert_eq!(letters.as_array().map(Vec::len), Some(0), "{letters}");
}

#[test]
fn a_long_body_fits_into_little_memory_and_an_alarm_passes_it() {
    let bytes = mebibytes() << 20;
    let site = Site::new();
    let file = long_file(&site.path("long.bin"), bytes, 7);
    let address = site.address();
    let mut daemons = [
        site.relay(""),
        site.edge_a(&address, ""),
        site.edge_b(&address, "{id}", ""),
    ];
    daemons.iter_mut().for_each(Daemon::start);
    let began = now();
    let sender = daemons[1].client();
    let path = file.to_str().unwrap().to_owned();
    let sending = thread::spawn(move || {
        let args = ["send", Site::STREAM, "--class", "internal", "--lane", "low"];
        let of_file = ["--file", &path, "--id", "long"];
        sender.ask_with(&[&args[..], &of_file].concat(), b"").ok()
    });
    let half = || (under_way(&site) > bytes / 3).then_some(());
    poll(LONG, half).expect("the body is on its way");
    let sent = now();
    let args = [
        "send",
        Site::STREAM,
        "--class",
        "internal",
        "--lane",
        "critical",
    ];
    let alarm = [&args[..], &["--id", "alarm"]].concat();
    daemons[1].ask_with(&alarm, b"the pressure rises").ok();
    until("the alarm is there", || names(&site) == ["alarm"]);
    let alarm = now().duration_since(sent);

    let text = sending.join().unwrap();
    assert!(text.contains("stored 1, duplicates 0"), "{text}");
    let is_there = || names(&site).contains(&"long".to_owned()).then_some(());
    poll(LONG, is_there).expect("the whole body is delivered");
    let took = now().duration_since(began);
    assert_eq!(sha256(&site.path("out/long")), sha256(&file));
    let peaks: Vec<u64> = daemons.iter().map(peak).collect();
    #[expect(
        clippy::print_stdout,
        reason = "figures for whoever runs it with --nocapture"
    )]
    {
        println!(
            "{} MiB over two hops in {took:?}, alarm after {alarm:?}, peak KiB of relay and edges {peaks:?}",
            bytes >> 20
        );
    }
    assert!(peaks.iter().all(|kib| *kib < MOST_KIB), "{peaks:?} KiB");
    assert!(alarm < Duration::from_secs(5), "{alarm:?}");
    for daemon in &mut daemons {
        until("the ledger balances", || daemon.ledger().0);
        assert_nothing_dead(daemon);
        assert_eq!(daemon.stop(), 0);
    }
}

#[test]
fn a_long_body_survives_the_end_of_everyone_and_comes_once() {
    let bytes = (mebibytes() << 20) / 2 + 12_345;
    let site = Site::new();
    let file = long_file(&site.path("long.bin"), bytes, 8);
    let address = site.address();
    let mut daemons = [
        site.relay(""),
        site.edge_a(&address, ""),
        site.edge_b(&address, "{id}", ""),
    ];
    daemons.iter_mut().for_each(Daemon::start);
    let sender = daemons[1].client();
    let path = file.to_str().unwrap().to_owned();
    // whoever sends repeats the same command until it succeeds
    let sending = thread::spawn(move || {
        let args = ["send", Site::STREAM, "--class", "internal", "--lane", "low"];
        let of_file = ["--file", &path, "--id", "long"];
        let args = [&args[..], &of_file].concat();
        poll(LONG, || {
            let ran = sender.ask_with(&args, b"");
            thread::sleep(Duration::from_millis(100));
            (ran.code == 0).then_some(())
        })
    });
    for (share, victim) in [(1, 1), (2, 0), (3, 2), (5, 1), (6, 2)] {
        let reached = || {
            let is_over = names(&site) == ["long"];
            (under_way(&site) > bytes / 8 * share || is_over).then_some(())
        };
        poll(LONG, reached).expect("the body goes on");
        daemons[victim].kill();
        daemons[victim].start();
    }
    sending.join().unwrap().expect("it is taken in the end");
    let is_there = || (names(&site) == ["long"]).then_some(());
    poll(LONG, is_there).expect("the whole body is delivered");
    assert_eq!(sha256(&site.path("out/long")), sha256(&file));
    // the same once more is nothing new, for nobody
    let args = ["send", Site::STREAM, "--class", "internal", "--lane", "low"];
    let path = file.to_str().unwrap();
    let again = [&args[..], &["--file", path, "--id", "long"]].concat();
    let text = daemons[1].ask(&again).ok();
    assert!(text.contains("stored 0, duplicates 1"), "{text}");
    for daemon in &mut daemons {
        until("the ledger balances", || daemon.ledger().0);
        assert_nothing_dead(daemon);
        assert_eq!(daemon.stop(), 0);
    }
    assert_eq!(names(&site), ["long"]);
}
