//! A full disk is a state, not an accident: senders wait, nothing is half there, and it ends by itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_tests::{Curl, Daemon, Ran, Site, free_port, poll, program, run, until};

const PATH: &str = "/v1/streams/acme/lab-results";
/// From space to the first message.
const SOON: Duration = Duration::from_secs(2);

/// A small disk of its own for a daemon's store, in a mount namespace that goes away with the daemon.
struct SmallDisk {
    log: PathBuf,
}

impl SmallDisk {
    /// Wraps the daemon so that `state/log` is a disk of 24 MiB. `None` where nobody may mount.
    fn for_daemon(daemon: &mut Daemon, state: &Path) -> Option<Self> {
        let log = state.join("log");
        std::fs::create_dir_all(&log).unwrap();
        let mount = format!("mount -t tmpfs -o size=24m,mode=700 qc {}", log.display());
        let alone = [
            "unshare",
            "--map-root-user",
            "--mount",
            "--propagation",
            "private",
        ];
        let may = run(
            program(alone[0])
                .args(&alone[1..])
                .args(["sh", "-c", &mount]),
            b"",
        );
        if may.code != 0 {
            #[expect(
                clippy::print_stderr,
                reason = "whoever reads the log learns what was left out"
            )]
            {
                eprintln!(
                    "SKIPPED: this machine lets us mount nothing: {}",
                    may.err.trim()
                );
            }
            return None;
        }
        let script = format!("{mount} && exec \"$0\" \"$@\"");
        let wrap = [&alone[..], &["sh", "-c", &script]].concat();
        let wrap: Vec<_> = wrap.into_iter().map(str::to_owned).collect();
        daemon.wrapped(&wrap);
        Some(Self { log })
    }

    /// A file that takes all space but `left` bytes, as another program would.
    fn fill(&self, daemon: &Daemon, left: u64) -> PathBuf {
        let root = format!("/proc/{}/root", daemon.pid().as_raw_nonzero());
        let filler = PathBuf::from(format!("{root}{}/filler", self.log.display()));
        let stat = rustix::fs::statvfs(filler.parent().unwrap()).unwrap();
        let bytes = (stat.f_bavail * stat.f_frsize).saturating_sub(left);
        std::fs::write(&filler, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
        filler
    }
}

#[test]
fn a_relay_with_a_full_disk_answers_507_and_comes_back() {
    let site = Site::new();
    let mut relay = site.relay("");
    let Some(disk) = SmallDisk::for_daemon(&mut relay, &site.path("relay")) else {
        return;
    };
    relay.start();
    let mut edge = site.edge_a(&site.address(), "");
    edge.start();
    let filler = disk.fill(&relay, 0);

    let curl = site.curl(Some("app"));
    let body = vec![7; 1 << 20];
    let mut stored = 0;
    let full = loop {
        let answer = curl.call(PATH, &[], &body);
        if answer.status != 201 {
            break answer;
        }
        stored += 1;
        assert!(stored < 50, "the disk never became full");
    };
    assert_eq!(full.status, 507, "{full:?}");
    assert_eq!(full.json()["code"], "QC4016");
    let retry: u64 = full.header("retry-after").unwrap().parse().unwrap();
    assert!(retry >= 1);
    // reads go on, and the links; what the edge has waits at the edge
    assert_eq!(curl.call(&format!("{PATH}?limit=1"), &[], b"").status, 200);
    let big: Vec<u8> = body.iter().cycle().take(3 << 20).copied().collect();
    site.write("drop/big.bin", &big);
    until("the file is in the edge's buffer", || {
        edge.status()["links"][0]["backlog_messages"] == 1
    });
    let status = relay.ask(&["status"]).ok();
    assert!(status.contains("QC3302"), "{status}");

    std::fs::remove_file(filler).unwrap();
    let back = poll(SOON, || {
        let answer = curl.call(PATH, &[], b"small again");
        (answer.status == 201).then_some(())
    });
    assert!(back.is_some(), "no message was taken within {SOON:?}");
    until("the edge's message is taken too", || {
        edge.status()["links"][0]["backlog_messages"] == 0
    });
    let streams = relay.ask(&["streams", "list", "--json"]).data();
    let last = streams[0]["last_seq"].as_u64().unwrap();
    assert_eq!(last, stored + 2, "something of a refused request was kept");
}

/// One edge whose store may take 48 MiB.
struct SmallStore {
    site: Site,
    edge: Daemon,
    hook: Curl,
    sent: u64,
}

impl SmallStore {
    fn start() -> Self {
        let site = Site::new();
        let port = free_port();
        let hook = format!(
            "[[source]]\nname = \"hook\"\nstream = \"{}\"\nclass = \"internal\"\n\
             [source.webhook]\nlisten = \"127.0.0.1:{port}\"\n",
            Site::STREAM
        );
        let mut edge = site.edge_a(&site.address(), &hook);
        std::fs::create_dir(site.path("edge-a.d")).unwrap();
        site.write(
            "edge-a.d/small.toml",
            "[store]\nmax = \"48MiB\"\nsegment = \"1MiB\"\n",
        );
        edge.start();
        let hook = Curl {
            url: format!("http://127.0.0.1:{port}"),
            roots: site.path("relay/trust/roots.pem"),
            identity: None,
        };
        Self {
            site,
            edge,
            hook,
            sent: 0,
        }
    }

    /// Sends one message in a lane; whether it was taken.
    fn send(&mut self, lane: &str, bytes: usize) -> Ran {
        let args = ["send", Site::STREAM, "--class", "internal", "--lane", lane];
        let ran = self.edge.ask_with(&args, &vec![7; bytes]);
        self.sent += u64::from(ran.code == 0);
        ran
    }

    /// Sends until the lane is refused.
    fn fill(&mut self, lane: &str, bytes: usize) -> Ran {
        for _ in 0..500 {
            let ran = self.send(lane, bytes);
            if ran.code != 0 {
                return ran;
            }
        }
        panic!("{lane} was never refused");
    }

    /// The lanes that `disk` says are refused, after the daemon has looked again.
    fn refused(&self) -> Vec<String> {
        let ran = self.edge.ask(&["disk", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let lanes = report["data"]["lanes"].as_array().unwrap().iter();
        let refused = lanes.filter(|lane| lane["refused"] == true);
        let refused: Vec<_> = refused
            .map(|lane| lane["lane"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ran.code, if refused.is_empty() { 0 } else { 4 }, "{ran:#?}");
        refused
    }
}

#[test]
fn an_edge_that_fills_up_sheds_by_lane_tells_it_and_comes_back() {
    let mut small = SmallStore::start();
    let calm = small.edge.ask(&["disk"]).ok();
    assert!(calm.contains("nobody; low from 95%"), "{calm}");

    // with the relay away everything waits: low is refused first, then normal
    let refused = small.fill("low", 256 << 10);
    refused.refused(12, "QC3302");
    until("low alone is refused", || small.refused() == ["low"]);
    assert_eq!(small.hook.call("/", &[], b"still in").status, 201);
    small.sent += 1;
    small
        .fill("normal", 64 << 10)
        .refused(12, "normal messages are refused");
    until("normal too", || small.refused() == ["normal", "low"]);
    let answer = small.hook.call("/", &[], &vec![7; 64 << 10]);
    assert_eq!(answer.status, 507, "{answer:?}");
    assert_eq!(answer.json()["code"], "QC4016");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(small.send("critical", 64 << 10).code, 0, "an alarm goes");

    // what an operator reads, on a screen of 80 columns
    let told = small.edge.ask(&["disk"]);
    told.refused(4, "messages are refused: normal, low");
    for words in [
        "REFUSED   normal   from 98%",
        "low      from 95%",
        "(reserve 1.0 MiB)",
    ] {
        assert!(
            told.out.contains(words),
            "'{words}' is missing: {}",
            told.out
        );
    }
    assert!(
        told.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        told.out
    );
    assert!(
        small
            .edge
            .ask(&["status"])
            .ok()
            .contains("QC3302 normal, low")
    );
    let would = small.edge.ask(&["disk", "relieve", "--dry-run"]);
    assert!(matches!(would.code, 0 | 4), "{would:#?}");
    let asked = small.edge.ask(&["disk", "relieve"]);
    assert!(
        matches!(asked.code, 0 | 2),
        "nobody is there to say yes: {asked:#?}"
    );
    small.edge.ask(&["disk", "relieve", "--yes"]).ok();

    small.edge.logs(&["QC3302", "normal, low"]);

    // the relay comes, takes what waits, and the edge takes in again by itself
    let mut relay = small.site.relay("");
    relay.start();
    until("the edge has room again", || small.refused().is_empty());
    let back = poll(SOON, || (small.send("low", 1000).code == 0).then_some(()));
    assert!(back.is_some(), "no message was taken within {SOON:?}");
    until("everything is at the relay", || {
        small.edge.status()["links"][0]["backlog_messages"] == 0
    });
    small.edge.logs(&["QC3308"]);
    let (balanced, ledger) = small.edge.ledger();
    assert!(balanced, "{ledger}");
    let rows = ledger["rows"].as_array().unwrap().iter();
    let acked: u64 = rows.map(|row| row["acked"].as_u64().unwrap()).sum();
    assert_eq!(acked, small.sent, "{ledger}");
    let streams = relay.ask(&["streams", "list", "--json"]).data();
    assert_eq!(streams[0]["messages"], small.sent, "{streams}");

    // a daemon that is down has its files counted
    assert_eq!(small.edge.stop(), 0);
    let down = small.edge.ask(&["disk"]);
    assert!(down.err.contains("qc-edge is down"), "{down:#?}");
    assert!(down.ok().contains("segments, "));
}

#[test]
fn an_edge_with_a_full_disk_leaves_files_where_they_are() {
    let site = Site::new();
    let mut edge = site.edge_a(&site.address(), "");
    let Some(disk) = SmallDisk::for_daemon(&mut edge, &site.path("edge-a")) else {
        return;
    };
    edge.start();
    let filler = disk.fill(&edge, 0);
    let names: Vec<String> = (0..12).map(|n| format!("{n}.bin")).collect();
    for name in &names {
        site.write(&format!("drop/{name}"), vec![3; 1 << 20]);
    }
    let waiting = || {
        let here = names
            .iter()
            .filter(|name| site.path(&format!("drop/{name}")).exists());
        here.count()
    };
    until("the edge says that it is full", || {
        edge.ask(&["status"]).ok().contains("QC3302")
    });
    let (left, error) = (waiting(), site.path("drop/.error"));
    assert!(left > 0 && left < names.len(), "{left} files wait");
    let refused = edge.ask_with(
        &["send", Site::STREAM, "--class", "internal"],
        &vec![1; 1 << 20],
    );
    assert_ne!(refused.code, 0);
    assert_eq!(std::fs::read_dir(error).unwrap().count(), 0);

    std::fs::remove_file(filler).unwrap();
    let back = poll(SOON, || (waiting() < left).then_some(()));
    assert!(back.is_some(), "no file was taken within {SOON:?}");
    until("every file is taken", || waiting() == 0);
    let rows = edge.ask(&["streams", "list", "--json"]).data();
    assert_eq!(rows[0]["messages"], names.len());
}
