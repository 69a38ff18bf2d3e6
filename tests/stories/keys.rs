//! The keys of the store change while messages flow and processes die; one tenant's is destroyed; a store
//! without its key is refused; nothing on disk can be read.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use qc_tests::{Daemon, Site, until};

use crate::restarts::{assert_settled, in_order, send};
use crate::top::Terminal;

/// What every message of the story says.
const SECRET: &str = "blood-group-of-patient";

/// Every file below `dir`, but not those below `keys/`.
fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("keys") {
                files(&path, found);
            }
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Where the first of some needles stands, in one look at the bytes. Zeros at the end hold none.
fn find<'a>(bytes: &[u8], needles: &'a [Vec<u8>]) -> Option<&'a Vec<u8>> {
    let mut begins = [false; 256];
    for needle in needles {
        begins[usize::from(needle[0])] = true;
    }
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    (0..=end.min(bytes.len().saturating_sub(1)))
        .filter(|at| begins[usize::from(bytes[*at])])
        .find_map(|at| {
            let mut found = needles.iter();
            found.find(|needle| bytes[at..].starts_with(needle))
        })
}

/// Neither a body nor a node key stands anywhere in the state directory outside of `keys/`.
fn assert_nothing_readable(site: &Site, node: &str, keys: &[String]) {
    let mut needles = vec![SECRET.as_bytes().to_vec()];
    for key in keys {
        let hex = key.trim().rsplit(' ').next().unwrap();
        needles.push(hex.as_bytes().to_vec());
        needles.push(data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap());
    }
    let mut found = Vec::new();
    files(&site.path(node), &mut found);
    assert!(found.iter().any(|(name, _)| name.contains(".seg")));
    for (name, bytes) in found.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let plain = find(bytes, &needles);
        assert_eq!(plain, None, "{name}");
    }
}

fn node_key(site: &Site, node: &str) -> String {
    fs::read_to_string(site.path(node).join("keys/node.key")).unwrap()
}

#[track_caller]
fn key_id(daemon: &Daemon) -> String {
    let report = daemon.ask(&["key", "show", "--json"]).data();
    report["node"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn node_keys_change_while_messages_flow_and_processes_die() {
    const ROUNDS: usize = 6;
    const BATCH: usize = 40;
    let site = Site::new();
    let address = site.address();
    let (mut relay, mut edge_a, mut edge_b) = (
        site.relay(""),
        site.edge_a(&address, ""),
        site.edge_b(&address, "{seq}", ""),
    );
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let mut keys: Vec<String> = vec![node_key(&site, "relay"), node_key(&site, "edge-a")];
    let sender = edge_a.client();
    let mut random = fastrand::Rng::with_seed(7);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for batch in 0..ROUNDS * 4 {
                let first = batch * BATCH;
                let lines: Vec<_> = (1..=BATCH)
                    .map(|n| format!("{SECRET}-{:05}", first + n))
                    .collect();
                let id = format!("batch-{batch}");
                let send = [
                    "send",
                    Site::STREAM,
                    "--class",
                    "internal",
                    "--lines",
                    "--id",
                ];
                let args = [&send[..], &[&id]].concat();
                until("a batch is taken", || {
                    sender.ask_with(&args, lines.join("\n").as_bytes()).code == 0
                });
                thread::sleep(Duration::from_millis(40));
            }
        });
        for round in 0..ROUNDS {
            for victim in [&mut relay, &mut edge_a] {
                // two of three are cut off somewhere on the way
                let client = victim.client();
                let asked = scope.spawn(move || client.ask_with(&["key", "rotate"], b""));
                if round % 3 == 2 {
                    let done = asked.join().unwrap().ok();
                    assert!(done.starts_with("done: node key "), "{done}");
                } else {
                    thread::sleep(Duration::from_micros(random.u64(0..25_000)));
                    victim.kill();
                    let _cut_off_or_not = asked.join().unwrap();
                    victim.start();
                }
            }
            keys.extend([node_key(&site, "relay"), node_key(&site, "edge-a")]);
        }
        sending.join().unwrap();
    });
    let total = ROUNDS * 4 * BATCH;
    until("everything is delivered", || {
        site.delivered().len() >= total
    });
    let delivered = in_order(&site);
    let expected: Vec<_> = (1..=total).map(|n| format!("{SECRET}-{n:05}")).collect();
    assert!(delivered == expected, "{} of {total}", delivered.len());
    [&relay, &edge_a, &edge_b]
        .into_iter()
        .for_each(assert_settled);

    keys.sort();
    keys.dedup();
    assert!(keys.len() >= 4, "both nodes have changed their keys");
    for (daemon, node) in [(&mut relay, "relay"), (&mut edge_a, "edge-a")] {
        let report = daemon.ask(&["key", "show", "--json"]).data();
        assert_eq!(report["node"]["other_segments"], 0, "{report}");
        assert_eq!(report["node"]["source"], "file", "{report}");
        let left = fs::read_dir(site.path(node).join("keys")).unwrap().count();
        assert_eq!(left, 1, "nothing beside node.key");
        assert_nothing_readable(&site, node, &keys);
        assert!(!daemon.log_text().contains(SECRET));
    }

    // without the daemon the command does it itself
    let before = key_id(&edge_a);
    assert_eq!(edge_a.stop(), 0);
    assert_eq!(key_id(&edge_a), before);
    edge_a.ask(&["key", "rotate"]).ok();
    assert_ne!(key_id(&edge_a), before);
    edge_a.start();

    // a store without its key, and with another one
    assert_eq!(relay.stop(), 0);
    let (key, aside) = (site.path("relay/keys/node.key"), site.path("aside.key"));
    fs::rename(&key, &aside).unwrap();
    relay.launch();
    assert_eq!(relay.exit(), 12);
    relay.logs(&["QC3010"]);
    fs::copy(site.path("edge-b/keys/node.key"), &key).unwrap();
    relay.launch();
    assert_eq!(relay.exit(), 7);
    relay.logs(&["QC3012"]);
    fs::rename(&aside, &key).unwrap();
    relay.start();
    assert_settled(&relay);
}

/// The relay with streams of two tenants, both under keys of their own.
fn two_tenants(site: &Site) -> Daemon {
    let unwrap = site.write("other.kek", [9; 32]);
    site.relay(&format!(
        "[[stream]]\nname = \"other/orders\"\nclass = \"internal\"\n\
         [[tenant_key]]\nname = \"acme\"\n\
         [[tenant_key]]\nname = \"other\"\nexec = [\"/bin/cat\", {}]\nlease = \"1s\"\n",
        qc_tests::quoted(&unwrap)
    ))
}

#[track_caller]
fn publish(relay: &Daemon, stream: &str, count: usize) -> qc_tests::Ran {
    let lines: Vec<_> = (0..count).map(|n| format!("{SECRET}-{n}")).collect();
    let lines = lines.join("\n");
    relay.ask_with(&["publish", stream, "--lines"], lines.as_bytes())
}

#[test]
fn a_destroyed_tenant_is_unreadable_and_the_other_one_is_not() {
    let site = Site::new();
    let mut relay = two_tenants(&site);
    relay.start();
    let (acme, other) = (Site::STREAM, "other/orders");
    publish(&relay, acme, 20).ok();
    publish(&relay, other, 20).ok();
    relay.ask(&["key", "rotate", "--tenant", "acme"]).ok();
    publish(&relay, acme, 20).ok();
    let tail = |relay: &Daemon, stream| relay.ask(&["tail", stream]);
    assert_eq!(tail(&relay, acme).ok().lines().count(), 40);
    let read = site.curl(Some("app"));
    let read = || read.call(&format!("/v1/streams/{acme}"), &[], b"");
    assert_eq!(read().status, 200);

    let destroy = [
        "key",
        "destroy",
        "--tenant",
        "acme",
        "--reason",
        "contract ended",
    ];
    relay.ask(&destroy).refused(2, "QC3054");
    assert_eq!(tail(&relay, acme).ok().lines().count(), 40);
    let done = relay.ask(&[&destroy[..], &["--yes"]].concat()).ok();
    assert!(done.contains("destroyed"), "{done}");
    relay.logs(&["QC3052", "contract ended"]);
    for _ in 0..2 {
        tail(&relay, acme).refused(7, "QC3046");
        let answer = read();
        assert_eq!(answer.status, 410);
        let problem = answer.json();
        assert_eq!(problem["code"], "QC3046");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("contract ended")
        );
        publish(&relay, acme, 1).refused(7, "QC3046");
        assert_eq!(tail(&relay, other).ok().lines().count(), 20);
        assert!(relay.ledger().0);
        let streams = relay.ask(&["streams", "list", "--json"]).data();
        assert_eq!(streams[0]["messages"], 40, "{streams}");
        assert!(!site.path("relay/keys/tenants/acme.key").exists());
        relay.kill();
        relay.start();
    }
    // an edge keeps what the relay does not take, and says why
    let mut edge = site.edge("edge-a", &site.address(), "");
    edge.start();
    send(&edge, "normal", "kept", 3);
    until("the edge shows why it waits", || {
        let link = edge.status()["links"][0].clone();
        link["last_error"]["code"] == "QC3046" && link["backlog_messages"] == 3
    });
    relay.ask(&["key", "create", "--tenant", "acme"]).ok();
    until("what waited is taken", || {
        edge.status()["links"][0]["backlog_messages"] == 0
    });
    publish(&relay, acme, 2).ok();
    let rest = relay.ask(&["tail", acme, "--after", "40"]).ok();
    assert_eq!(rest.lines().count(), 5);
    let text = relay.ask(&["key", "show"]).ok();
    assert!(
        text.contains("in use") && text.contains("its program"),
        "{text}"
    );

    // the other tenant takes its key away, and brings it back
    let (kek, away) = (site.path("other.kek"), site.path("away.kek"));
    fs::rename(&kek, &away).unwrap();
    until("nothing of the tenant is read", || {
        tail(&relay, other).err.contains("QC3047")
    });
    publish(&relay, other, 1).refused(6, "QC3047");
    assert_eq!(
        relay
            .ask(&["tail", acme, "--after", "40"])
            .ok()
            .lines()
            .count(),
        5
    );
    fs::rename(&away, &kek).unwrap();
    until("it is read again", || tail(&relay, other).code == 0);
    publish(&relay, other, 1).ok();
    assert_nothing_readable(&site, "relay", &[node_key(&site, "relay")]);
}

#[test]
fn a_change_that_takes_longer_than_the_command_waits_goes_on() {
    let site = Site::new();
    let kek = site.write("acme.kek", [9; 32]);
    let script = format!("sleep 2; cat {}", kek.display());
    let script = qc_tests::quoted(Path::new(&script));
    let mut relay = site.relay(&format!(
        "[[tenant_key]]\nname = \"acme\"\nexec = [\"/bin/sh\", \"-c\", {script}]\n"
    ));
    relay.start();
    let hasty = ["key", "rotate", "--tenant", "acme", "--timeout", "500ms"];
    let ran = relay.ask(&hasty);
    ran.refused(6, "error[QC0602]");
    assert!(ran.err.contains("qc-relay key show"), "{ran:?}");
    until("it is done all the same", || {
        relay.ask(&["key", "show", "--json"]).data()["tenants"][0]["generation"] == 2
    });
}

#[test]
fn a_destruction_wants_the_tenants_name_from_a_person() {
    let site = Site::new();
    let mut relay = two_tenants(&site);
    relay.start();
    let path = site.path("relay/keys/tenants/acme.key");
    for (answer, said, code) in [("other", "QC3054", 7), ("acme", "done: the key of acme", 0)] {
        assert!(path.exists());
        let command = format!(
            "{} -c {} key destroy --tenant acme --reason test; echo ended with $?; sleep 600",
            qc_tests::binary("qc-relay").display(),
            relay.config.display()
        );
        let terminal = Terminal::running(&site.path(""), &command);
        terminal.shows("the question", |screen| screen.contains("(acme) to go on"));
        terminal.tmux(&["send-keys", answer, "Enter"]).ok();
        let ended = format!("ended with {code}");
        let screen = terminal.shows("the end", |screen| screen.contains(&ended));
        assert!(screen.contains(said), "{screen}");
    }
    assert!(!path.exists());
}

#[test]
fn a_passphrase_seals_the_node_key() {
    let site = Site::new();
    let secret = site.write("passphrase", "correct horse\n");
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&secret, mode).unwrap();
    };
    mode(0o600);
    let mut edge = site.edge("edge-a", &site.address(), "");
    edge.start();
    let send = ["send", Site::STREAM, "--class", "internal", "--lines"];
    edge.ask_with(&send, SECRET.as_bytes()).ok();
    assert_eq!(edge.stop(), 0);
    // the key of an edge that ran without one is sealed by a rotation
    let config = fs::read_to_string(&edge.config).unwrap();
    let line = format!("[store]\npassphrase_file = {}\n", qc_tests::quoted(&secret));
    fs::write(&edge.config, config.replace("[store]\n", &line)).unwrap();
    edge.start();
    edge.logs(&["QC3042"]);
    edge.ask(&["key", "rotate"]).ok();
    assert!(node_key(&site, "edge-a").starts_with("qc-node-key 2 "));
    edge.kill();
    edge.start();
    assert_eq!(
        edge.ask(&["key", "show", "--json"]).data()["node"]["source"],
        "passphrase"
    );
    assert_eq!(edge.stop(), 0);

    fs::write(&secret, "battery staple\n").unwrap();
    edge.launch();
    assert_eq!(edge.exit(), 7);
    edge.logs(&["QC3041"]);
    fs::remove_file(&secret).unwrap();
    edge.launch();
    assert_eq!(edge.exit(), 7);
    edge.logs(&["QC3040"]);
    fs::write(&secret, "correct horse\n").unwrap();
    mode(0o600);
    edge.start();
    assert!(edge.ledger().0);
}
