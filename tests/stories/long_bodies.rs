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
        let of_parts = name.strip_suffix(".parts");
        of_parts.is_some_and(|name| name.starts_with(".qc-"))
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
    assert_eq!(
        letters["letters"].as_array().map(Vec::len),
        Some(0),
        "{letters}"
    );
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
    println!(
        "{} MiB over two hops in {took:?}, alarm after {alarm:?}, peak KiB of relay and edges {peaks:?}",
        bytes >> 20
    );
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

#[test]
fn a_long_body_goes_in_and_out_over_http_and_reaches_sites() {
    let site = Site::new();
    let mut relay = site.relay("[http]\nmax_body = \"64MiB\"\n");
    let mut edge = site.edge_b(&site.address(), "{id}", "");
    relay.start();
    edge.start();
    let app = site.curl(Some("app"));
    let path = "/v1/streams/acme/lab-results";
    let mut random = fastrand::Rng::with_seed(9);
    let body: Vec<u8> = (0..(20 << 20) + 5).map(|_| random.u8(..)).collect();
    let headers = [
        "-H",
        "Content-Type: image/tiff",
        "-H",
        "Idempotency-Key: scan-1",
    ];
    let small = app.call(path, &["-H", "Idempotency-Key: note-1"], b"before");
    assert_eq!(small.status, 201, "{small:?}");
    let posted = app.call(path, &headers, &body);
    assert_eq!(
        (posted.status, posted.json()["seq"].clone()),
        (201, 22.into()),
        "{posted:?}"
    );
    // chunked, so that nobody knows the length before the end: the same message
    let chunked = [&headers[..], &["-H", "Transfer-Encoding: chunked"]].concat();
    let again = app.call(path, &chunked, &body);
    assert_eq!(
        (again.status, again.json()["duplicate"].clone()),
        (200, true.into())
    );

    // once in the list, without its data, with the place where that is
    let (mut after, mut events) = (0, Vec::new());
    loop {
        let page = app.call(&format!("{path}?after={after}"), &[], b"").json();
        let next = page["next"].as_u64().unwrap();
        events.extend(page["events"].as_array().unwrap().clone());
        if next == after {
            break;
        }
        after = next;
    }
    assert_eq!(after, 22, "parts are stepped over");
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1]["seq"], 22);
    let event = &events[1]["event"];
    assert_eq!(
        (&event["id"], &event["datacontenttype"]),
        (&"scan-1".into(), &"image/tiff".into())
    );
    assert!(
        event.get("data").is_none() && event.get("data_base64").is_none(),
        "{event}"
    );
    let place = event["dataref"].as_str().unwrap();
    assert_eq!(place, format!("{path}/22"));
    let whole = app.call(place, &[], b"");
    assert_eq!(whole.status, 200, "{}", whole.headers);
    assert_eq!(whole.header("content-length"), Some("20971525"));
    assert_eq!(whole.header("content-type"), Some("image/tiff"));
    assert_eq!(whole.header("ce-id"), Some("scan-1"));
    assert!(whole.body == body, "the body has changed on its way");
    assert!(
        whole
            .header("repr-digest")
            .unwrap()
            .starts_with("sha-256=:")
    );
    let one = app.call(&format!("{path}/1"), &[], b"");
    assert_eq!((one.status, &one.body[..]), (200, &b"before"[..]));
    for (seq, status, code) in [(2, 404, "QC4022"), (99, 404, "QC4022")] {
        let missing = app.call(&format!("{path}/{seq}"), &[], b"");
        assert_eq!(
            (missing.status, missing.json()["code"].clone()),
            (status, code.into())
        );
    }
    let stranger = site.curl(None).call(place, &[], b"");
    assert_eq!(stranger.status, 401, "{stranger:?}");

    // what is too long leaves nothing behind
    let too_long = vec![7; (64 << 20) + 1];
    // over HTTP/2 this curl takes the end of the stream for an error of its own
    let huge = ["--http1.1", "-H", "Idempotency-Key: huge"];
    let refused = app.call(path, &huge, &too_long);
    assert_eq!(refused.status, 413, "{refused:?}");
    let tail = relay.ask(&["tail", Site::STREAM]).ok();
    let last = tail.lines().last().unwrap();
    assert!(last.contains("20.0 MiB in 21 parts"), "{tail}");
    assert_eq!(tail.lines().count(), 2, "{tail}");

    // a local operator publishes from a file
    let file = long_file(&site.path("long.bin"), (17 << 20) + 1, 10);
    let text = relay.ask(&[
        "publish",
        Site::STREAM,
        "--id",
        "local",
        "--file",
        file.to_str().unwrap(),
    ]);
    assert!(text.ok().contains("stored 1, duplicates 0"));
    until("all of it is delivered", || {
        names(&site) == ["local", "note-1", "scan-1"]
    });
    assert!(fs::read(site.path("out/scan-1")).unwrap() == body);
    assert_eq!(sha256(&site.path("out/local")), sha256(&file));
    for daemon in [&mut relay, &mut edge] {
        until("the ledger balances", || daemon.ledger().0);
        assert_nothing_dead(daemon);
        assert_eq!(daemon.stop(), 0);
    }
}

#[test]
fn dropped_files_and_webhooks_take_long_bodies_too() {
    let site = Site::new();
    let port = qc_tests::free_port();
    let hook = format!(
        "[[source]]\nname = \"hook\"\nstream = \"{}\"\nclass = \"internal\"\n\
         [source.webhook]\nlisten = \"127.0.0.1:{port}\"\nmax_body = \"32MiB\"\n",
        Site::STREAM
    );
    let address = site.address();
    let mut daemons = [
        site.relay(""),
        site.edge_a(&address, &hook),
        site.edge_b(&address, "{id}", ""),
    ];
    daemons.iter_mut().for_each(Daemon::start);
    let bytes = (18 << 20) + 3;
    let file = long_file(&site.path("made.bin"), bytes, 11);
    let of_hook = long_file(&site.path("hook.bin"), bytes, 12);
    fs::rename(&file, site.path("drop/scan.bin")).unwrap();
    let post = run(
        program("curl")
            .args(["--silent", "--show-error", "--max-time", "60", "--fail"])
            .args(["-H", "Idempotency-Key: delivery-1", "--data-binary"])
            .arg(format!("@{}", of_hook.display()))
            .arg(format!("http://127.0.0.1:{port}/")),
        b"",
    );
    assert!(post.ok().contains("\"seq\""));
    until("both are delivered", || names(&site).len() == 2);
    assert_eq!(sha256(&site.path("out/delivery-1")), sha256(&of_hook));
    until("the file is moved", || {
        site.path("drop/.done/scan.bin").exists()
    });
    let dropped = names(&site)
        .into_iter()
        .find(|name| name != "delivery-1")
        .unwrap();
    let delivered = sha256(&site.path("out").join(dropped));
    assert_eq!(delivered, sha256(&site.path("drop/.done/scan.bin")));
    for daemon in &mut daemons {
        until("the ledger balances", || daemon.ledger().0);
        assert_nothing_dead(daemon);
        assert_eq!(daemon.stop(), 0);
    }
}
