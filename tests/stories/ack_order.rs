//! No acknowledgement leaves a socket before the fdatasync of its record returned: read from a trace of
//! system calls, and measured with a disk that takes its time.

use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_tests::trace::{OVERHEAD, acks_follow_sync, from_stored};
use qc_tests::{Daemon, Ran, Site, Strace, free_port, program, run, until};

/// Sizes of messages that can be told apart in a trace, those of one way in.
fn sizes(way: usize) -> Vec<usize> {
    let step = OVERHEAD + 4_000;
    (0..3).map(|n| 40_000 + (3 * way + n) * step).collect()
}

fn text(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(size as u64);
    std::iter::repeat_with(|| random.alphanumeric() as u8)
        .take(size)
        .collect()
}

fn send(edge: &Daemon, size: usize) -> Ran {
    let args = ["send", Site::STREAM, "--class", "internal"];
    edge.ask_with(&args, &text(size))
}

fn webhook(port: u16) -> String {
    format!(
        "[[source]]\nname = \"hook\"\nstream = \"{}\"\nclass = \"internal\"\n\
         [source.webhook]\nlisten = \"127.0.0.1:{port}\"\n",
        Site::STREAM
    )
}

/// Posts bodies one after the other on one connection, after a small one that warms it up: in the
/// first exchange the server also sends what belongs to the handshake.
fn post_all(site: &Site, url: &str, sizes: &[usize]) {
    let curl = site.curl(Some("app"));
    let (chain, key) = curl.identity.as_ref().unwrap();
    let mut command = program("curl");
    for (at, size) in [1].iter().chain(sizes).enumerate() {
        let body = site.write(&format!("body-{size}"), text(*size));
        if at > 0 {
            command.arg("--next");
        }
        command.args(["--silent", "--show-error", "--max-time", "60", "--http1.1"]);
        command.args([
            "--write-out",
            "%{http_code}/%{num_connects} ",
            "-H",
            "Expect:",
        ]);
        command.args(["--output", "/dev/null"]);
        command.arg("--cacert").arg(&curl.roots);
        command.arg("--cert").arg(chain).arg("--key").arg(key);
        command
            .arg("--data-binary")
            .arg(format!("@{}", body.display()));
        command.arg(url);
    }
    let out = run(&mut command, b"").ok();
    let expected = format!("201/1 {}", "201/0 ".repeat(sizes.len()));
    assert_eq!(
        out, expected,
        "not every body was stored, on one connection"
    );
}

#[test]
fn no_ack_leaves_before_its_fdatasync_returned() {
    let site = Site::new();
    // so quiet that what is sent after a message is its acknowledgement
    let relay_quiet = "[link]\nheartbeat = \"60s\"\n";
    let port = free_port();
    let mut relay = site.relay(relay_quiet);
    let mut edge_a = site.edge_a(&site.address(), &webhook(port));
    let mut edge_b = site.edge_b(&site.address(), "{seq}", "");
    let mut traces = Vec::new();
    for (name, daemon) in [
        ("relay", &mut relay),
        ("edge-a", &mut edge_a),
        ("edge-b", &mut edge_b),
    ] {
        if name != "relay" {
            slow_heartbeat(&site, name);
        }
        let strace = Strace::into(site.path(&format!("{name}.strace")));
        daemon.wrapped(&strace.order());
        traces.push(strace);
        daemon.start();
        if name == "edge-a" {
            daemon.logs(&["QC2223"]);
        }
    }
    edge_b.logs(&["QC2223"]);

    let [http, hook, admin] = [sizes(0), sizes(1), sizes(2)];
    let url = site.curl(None).url;
    post_all(&site, &format!("{url}/v1/streams/{}", Site::STREAM), &http);
    let all_of = |count: usize| {
        until("every message is delivered", || {
            site.delivered().len() == count
        });
    };
    all_of(4);
    for (at, size) in hook.iter().enumerate() {
        post_one(port, *size);
        all_of(4 + at + 1);
    }
    for (at, size) in admin.iter().enumerate() {
        send(&edge_a, *size).ok();
        all_of(7 + at + 1);
    }
    for daemon in [&mut edge_a, &mut edge_b, &mut relay] {
        assert_eq!(daemon.stop(), 0);
    }

    let [relay, edge_a, edge_b] = &traces[..] else {
        unreachable!()
    };
    let link = [&hook[..], &admin].concat();
    let own = format!("TCP:[127.0.0.1:{}->", site.port);
    let far = format!("->127.0.0.1:{}]", site.port);
    let hook_socket = format!("TCP:[127.0.0.1:{port}->");
    let plain = |size: usize| size;
    let base64 = |size: usize| size.div_ceil(3) * 4;
    for (who, trace, socket, coded, sizes) in [
        (
            "the relay answers HTTP",
            relay,
            own.as_str(),
            plain as fn(usize) -> usize,
            &http,
        ),
        ("the relay acks a link", relay, own.as_str(), plain, &link),
        (
            "an edge answers a webhook",
            edge_a,
            hook_socket.as_str(),
            plain,
            &hook,
        ),
        (
            "an edge answers its operator",
            edge_a,
            "UNIX-STREAM:[",
            base64,
            &admin,
        ),
        ("an edge acks its relay", edge_b, far.as_str(), plain, &link),
    ] {
        let calls = trace.calls();
        // the three of HTTP reach edge-b close behind each other, as no answer may be read from a trace
        let first_alone = hook.first().copied().unwrap();
        let calls = match who {
            "an edge acks its relay" => from_stored(&calls, first_alone),
            _ => &calls[..],
        };
        if let Err(why) = acks_follow_sync(calls, socket, coded, sizes) {
            let kept = std::env::temp_dir().join("qc-bad.strace");
            std::fs::copy(trace.file(), &kept).unwrap();
            panic!("{who}: {why}; the trace is {}", kept.display());
        }
    }
}

fn slow_heartbeat(site: &Site, edge: &str) {
    let path = site.path(&format!("{edge}.toml"));
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace("[uplink]\n", "[uplink]\nheartbeat = \"60s\"\n");
    std::fs::write(path, config).unwrap();
}

fn post_one(port: u16, size: usize) {
    let mut command = program("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "60",
        "-H",
        "Expect:",
    ]);
    command.args(["--fail", "--data-binary", "@-"]);
    command.arg(format!("http://127.0.0.1:{port}/"));
    run(&mut command, &text(size)).ok();
}

/// Every fdatasync takes this long. An acknowledgement that does not wait for it comes sooner.
const SYNC: Duration = Duration::from_millis(400);

#[test]
fn every_ack_waits_for_a_slow_disk() {
    let site = Site::new();
    let port = free_port();
    let mut relay = site.relay("");
    let mut edge = site.edge_a(&site.address(), &webhook(port));
    let strace = Strace::into(site.path("strace"));
    let slow = strace.injecting("fdatasync", "delay_enter=400000");
    let clock = SystemClock::default();

    // a slow relay: HTTP, and the ack of its link
    relay.wrapped(&slow);
    relay.start();
    edge.start();
    edge.logs(&["QC2223"]);
    let curl = site.curl(Some("app"));
    let path = format!("/v1/streams/{}", Site::STREAM);
    let answer = curl.call(&path, &[], b"one");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.took >= SYNC, "201 after {:?}", answer.took);
    let began = clock.instant();
    send(&edge, 100).ok();
    until("the relay has acknowledged", || {
        edge.ledger().1["rows"][0]["acked"] == 1
    });
    let took = clock.instant() - began;
    assert!(took >= SYNC, "link ack after {took:?}");

    // a slow edge: its operator's command, and the webhook
    edge.stop();
    edge.wrapped(&slow);
    edge.start();
    let began = clock.instant();
    send(&edge, 101).ok();
    let took = clock.instant() - began;
    assert!(took >= SYNC, "send returned after {took:?}");
    let began = clock.instant();
    post_one(port, 102);
    let took = clock.instant() - began;
    assert!(took >= SYNC, "webhook answered after {took:?}");
}
