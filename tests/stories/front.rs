//! The relay's front door: peers are judged again while they are connected, two machines with one
//! identity are noticed, and strangers in any number keep nobody out.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::pki::{CertRequest, Identity, KeyAndChain, PkiDir, PrivateKey, Profile, Role};
use qc_tests::{Cable, Daemon, PATIENCE, Site, poll, program, run, until};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::Signal;

/// Two seconds are promised; a busy machine gets as long again.
const SOON: Duration = Duration::from_secs(4);

fn copy_tree(from: &Path, to: &Path) {
    run(program("cp").arg("-aT").arg(from).arg(to), b"").ok();
}

/// Revokes nodes, and puts the new list where `node` has its own, as a script does. No reload.
fn revoke(site: &Site, names: &[&str], at: &str) {
    for name in names {
        let cause = ["revoke", name, "--cause", "key-compromise"];
        site.authority.ask(&cause).ok();
    }
    let list = fs::read(site.authority.dir().join("ca/issuing-hq/crl.der")).unwrap();
    site.write(&format!("{at}/trust/crl/from-a-script.der"), list);
}

/// The relay's row of a node.
fn row(relay: &Daemon, node: &str) -> serde_json::Value {
    let links = relay.status()["links"].clone();
    let found = links
        .as_array()
        .unwrap()
        .iter()
        .find(|link| link["peer"] == node);
    found.cloned().unwrap_or_default()
}

fn is_up(relay: &Daemon, node: &str) -> bool {
    row(relay, node)["state"] == "up"
}

/// A file from the drop folder of one site is delivered at the other.
fn crosses(site: &Site, name: &str) {
    site.write(&format!("drop/{name}"), name);
    until("it is delivered", || site.delivered().contains_key(name));
}

fn count(daemon: &Daemon, words: &[&str]) -> usize {
    let log = daemon.log_text();
    let lines = log.lines();
    lines
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .count()
}

fn now() -> std::time::Instant {
    SystemClock::default().instant()
}

#[test]
fn a_revoked_peer_is_cut_while_it_is_connected_and_nobody_else() {
    let site = Site::new();
    let inside = "edge-w.site-a.acme";
    site.authority
        .enroll(&[(inside, "edge", &site.path("edge-w"))]);
    let address = site.address();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&address, "");
    let mut edge_b = site.edge_b(&address, "{subject}", "");
    let mut edge_w = site.edge("edge-w", &address, "websocket = \"always\"\n");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b, &mut edge_w] {
        daemon.start();
    }
    let (a, b) = ("edge-a.site-a.acme", "edge-b.site-b.acme");
    until("three links are up", || {
        [a, b, inside].iter().all(|node| is_up(&relay, node))
    });
    crosses(&site, "before.txt");
    // somebody who waits for messages on a connection that stands
    let app = site.curl(Some("app"));
    let reader = thread::spawn(move || {
        let path = "/v1/streams/acme/lab-results?after=9&wait=25s";
        app.call(path, &[], b"")
    });
    thread::sleep(Duration::from_millis(500));

    revoke(&site, &[a, inside, "app-1.hq.acme"], "relay");
    let put = now();
    for (edge, node) in [(&edge_a, a), (&edge_w, inside)] {
        let left = SOON.saturating_sub(now() - put);
        edge.logs_within(left, &["QC2008", "Link down", "revoked"]);
        let left = SOON.saturating_sub(now() - put);
        relay.logs_within(left, &["QC2008", "Link down", node]);
        let shown = row(&relay, node);
        assert_eq!(
            (&shown["state"], &shown["last_error"]["code"]),
            (&"down".into(), &"QC2008".into())
        );
    }
    let answer = reader.join().unwrap();
    assert_eq!(answer.status, 0, "{answer:?}");
    assert!(answer.took < Duration::from_secs(20), "{answer:?}");
    until("the edge says why", || {
        let code = edge_a.status()["links"][0]["last_error"]["code"].clone();
        // by the link that was cut, then by the handshake that is refused
        code == "QC2008" || code == "QC2032"
    });
    relay.logs(&["QC2026", "revoked=3"]);
    // who was not revoked has noticed nothing, and the relay still serves
    assert_eq!(row(&relay, b)["attempts"], 1);
    assert_eq!(count(&edge_b, &["Link down"]), 0);
    assert!(!is_up(&relay, a));
    assert_eq!(edge_b.stop(), 0);

    // the dialling side judges as well
    edge_b.start();
    until("the link is up", || is_up(&relay, b));
    revoke(&site, &["relay-1.hq.acme"], "edge-b");
    edge_b.logs_within(SOON, &["QC2008", "No longer trusted"]);
    relay.logs(&["QC2008", "Link down", b]);
    until("the edge says why", || {
        edge_b.status()["links"][0]["last_error"]["code"] == "QC2008"
    });
}

/// Gives a node its next certificate, as its renewal does.
fn renew(site: &Site, name: &str, role: Role, state: &Path) {
    let house = PkiDir::open(site.authority.dir()).unwrap();
    let ca = house.unlock("issuing-hq", None).unwrap();
    let key = PrivateKey::new_p256().unwrap();
    let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
    let name = name.parse().unwrap();
    let what = Profile::Node { name, role };
    let (lock, at) = (house.lock().unwrap(), SystemClock::machine_time());
    let lifetime = Duration::from_hours(24);
    let issued = house.issue(&lock, &ca, &what, &request, None, lifetime, "test", at);
    let mut chain = vec![issued.unwrap().cert];
    chain.extend(ca.chain().cloned());
    let front = Identity::load(state).unwrap().front;
    let node = KeyAndChain::new(key, chain).unwrap();
    Identity { node, front }.install(state, "renewed").unwrap();
}

#[test]
fn renewed_certificates_cost_nobody_a_link() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{subject}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    crosses(&site, "before.txt");
    let before = relay.status()["certificate"]["not_after"].clone();
    renew(
        &site,
        "relay-1.hq.acme",
        Role::RelayParent,
        &site.path("relay"),
    );
    renew(
        &site,
        "edge-a.site-a.acme",
        Role::Edge,
        &site.path("edge-a"),
    );
    for daemon in [&relay, &edge_a] {
        daemon.logs_within(SOON, &["QC2026"]);
    }
    let after = relay.status()["certificate"]["not_after"].clone();
    assert_ne!(before, after);
    crosses(&site, "after.txt");
    for daemon in [&relay, &edge_a, &edge_b] {
        assert_eq!(count(daemon, &["Link down"]), 0);
    }

    // a list that cannot be used is said once, holds up nothing, and is no matter when it is put right
    let list = site.write("relay/trust/crl/broken.der", b"no list");
    relay.logs_within(SOON, &["QC2023", "broken.der", "the others are"]);
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(count(&relay, &["QC2023"]), 1);
    fs::remove_file(list).unwrap();
    assert_eq!(edge_a.stop(), 0);
    edge_a.start();
    crosses(&site, "again.txt");
}

#[test]
fn two_machines_with_one_identity_are_noticed_on_all_sides() {
    let site = Site::new();
    let node = "edge-a.site-a.acme";
    copy_tree(&site.path("edge-a"), &site.path("edge-twin"));
    let mut relay = site.relay("");
    let mut edge = site.edge_a(&site.address(), "");
    let mut twin = site.edge("edge-twin", &site.address(), "source = \"127.0.0.2\"\n");
    relay.start();
    edge.start();
    until("the link is up", || is_up(&relay, node));

    // a machine that hangs and comes up again elsewhere is no alarm
    for _ in 0..3 {
        edge.signal(Signal::STOP);
        let links = count(&relay, &["Link up", node]);
        twin.start();
        until("the node is back", || {
            count(&relay, &["Link up", node]) > links
        });
        edge.kill();
        std::mem::swap(&mut edge, &mut twin);
    }
    assert_eq!(count(&relay, &["QC2225"]), 0, "{}", relay.log_text());

    twin.start();
    let said = relay.logs(&["QC2225", node, "127.0.0.1:", "127.0.0.2:"]);
    assert!(said.contains("WARN"), "{said}");
    for daemon in [&edge, &twin] {
        daemon.logs(&["QC2225", "two machines take turns"]);
    }
    let fleet = relay.ask(&["fleet", "--json"]).data();
    let fleet = fleet["nodes"].as_array().unwrap().clone();
    let shown = fleet.iter().find(|row| row["name"] == node).unwrap();
    assert_eq!(
        (&shown["state"], &shown["code"]),
        (&"crit".into(), &"QC2225".into()),
        "{shown}"
    );
    assert_eq!(row(&relay, node)["last_error"]["code"], "QC2225");
    // both come back ever more slowly
    thread::sleep(Duration::from_secs(5));
    let before = count(&relay, &["Link up", node]);
    thread::sleep(Duration::from_secs(10));
    let came = count(&relay, &["Link up", node]) - before;
    assert!(came <= 6, "{came} links in 10 s");
}

/// A connection to the relay from another address of this machine.
fn from(last: u8, port: u16) -> std::io::Result<TcpStream> {
    let here = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0));
    let there = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &here)?;
    connect(&socket, &there)?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether the other side has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Keeps `count` connections open that have sent `words`, and opens one again when it is closed. How
/// many were opened.
fn flood(port: u16, (first, count): (u8, usize), words: &[u8], end: &AtomicBool) -> usize {
    let (mut open, mut opened): (Vec<Option<TcpStream>>, usize) = (Vec::new(), 0);
    open.resize_with(count, || None);
    while !end.load(Ordering::Relaxed) {
        for (number, place) in open.iter_mut().enumerate() {
            if place.as_mut().is_none_or(is_closed) {
                let last = first + u8::try_from(number / 15).unwrap();
                *place = from(last, port).ok();
                if let Some(stream) = place {
                    let _it_may_be_closed_already = stream.write_all(words);
                    opened += 1;
                }
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    opened
}

/// Ends a flood, also when its test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn resident_kib(daemon: &Daemon) -> usize {
    let pid = daemon.pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

fn metric(site: &Site, name: &str) -> u64 {
    let mut curl = program("curl");
    curl.args(["--silent", "--unix-socket"])
        .arg(site.path("relay.sock"));
    let text = run(curl.arg("http://localhost/metrics"), b"").ok();
    let lines = text.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

#[test]
fn strangers_in_any_number_keep_no_known_edge_out() {
    let site = Site::new();
    let cable = Cable::to(site.port);
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&cable.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{subject}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    crosses(&site, "before.txt");
    let before = resident_kib(&relay);

    let end = AtomicBool::new(false);
    let (port, stop) = (site.port, &end);
    // the head of a record of TLS that is longer than what follows
    let half: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let opened = thread::scope(|scope| {
        let over = Over(&end);
        let silent = scope.spawn(move || flood(port, (10, 600), b"", stop));
        let halves = scope.spawn(move || flood(port, (60, 200), half, stop));
        let full = poll(PATIENCE, || {
            (metric(&site, "qc_front_pending ") >= 440).then_some(())
        });
        let grown = resident_kib(&relay).saturating_sub(before);
        // strangers have no place left, and an edge that was here before has
        let mut turns = Vec::new();
        for turn in 0..3 {
            let links = count(&edge_a, &["Link up"]);
            cable.cut();
            until("the edge has seen it", || {
                count(&edge_a, &["Link down"]) > turn
            });
            let began = now();
            cable.restore();
            let back = poll(PATIENCE, || {
                (count(&edge_a, &["Link up"]) > links).then_some(())
            });
            turns.push((back.is_some(), now() - began));
            crosses(&site, &format!("under-attack-{turn}.txt"));
        }
        // nobody keeps a place for longer than a handshake may take
        let cut = poll(Duration::from_secs(10), || {
            (metric(&site, "qc_front_handshakes_failed_total") > 440).then_some(())
        });
        drop(over);
        let opened = silent.join().unwrap() + halves.join().unwrap();
        assert!(full.is_some(), "the places were never full");
        assert!(cut.is_some(), "silent connections were kept");
        for (is_back, took) in turns {
            assert!(is_back && took < SOON, "{took:?}");
        }
        // 448 strangers of at most 4 KiB each, and what else has grown meanwhile
        assert!(grown < 448 * 4 + 1024, "{grown} KiB");
        opened
    });
    assert!(opened > 1000, "{opened}");
    assert_eq!(count(&edge_b, &["Link down"]), 0);
    assert!(metric(&site, "qc_front_turned_away_total") > 300);
    // many were refused, and the log is short
    let lines = count(&relay, &["WARN"]);
    assert!(lines < 100, "{lines} lines");
    relay.logs(&["QC2035", "count="]);
    until("all of it is over", || {
        metric(&site, "qc_front_pending ") == 0
    });
}
