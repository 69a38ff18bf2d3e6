//! An edge gets to its relay by whatever its site lets through, and says which way it went.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use qc_tests::{Daemon, OnTheWay, Site, free_port, program, quoted, require, run, until};

fn secret(path: &Path, line: &str) {
    fs::write(path, line).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A file from the drop folder of one site is delivered at the other.
fn crosses(site: &Site, name: &str, content: &[u8]) {
    site.write(&format!("drop/{name}"), content);
    until("it is delivered", || {
        let delivered = site.delivered();
        delivered.get(name).is_some_and(|body| body == content)
    });
}

/// The one link of an edge, once it is up.
fn link(edge: &Daemon) -> serde_json::Value {
    until("the link is up", || {
        edge.status()["links"][0]["state"] == "up"
    });
    edge.status()["links"][0].clone()
}

#[test]
fn through_an_http_proxy_with_a_password() {
    let site = Site::new();
    let proxy = OnTheWay::http(Some("anna:hush-hush"));
    let password = site.path("proxy-password");
    secret(&password, "anna:wrong-one\n");
    // a name that only the proxy knows
    let relay_name = format!("relay-1.dc.test:{}", site.port);
    let uplink = format!(
        "proxy = \"http://{}\"\nproxy_credentials_file = {}\n",
        proxy.address(),
        quoted(&password)
    );
    let mut edge = site.edge_by(&[&relay_name], &uplink, &site.drop_source());
    let mut relay = site.relay("");
    let mut edge_b = site.edge_b(&site.address(), "{subject}", "");
    for daemon in [&mut relay, &mut edge_b, &mut edge] {
        daemon.start();
    }
    edge.logs(&["QC2042", "check user and password"]);
    let told = edge.ask(&["status"]).ok();
    assert!(told.contains("QC2042"), "{told}");

    // put right without a restart
    secret(&password, "anna:hush-hush\n");
    let link = link(&edge);
    assert_eq!(link["address"], relay_name);
    assert_eq!(link["way"]["proxy"], format!("http://{}", proxy.address()));
    assert_eq!(link["way"]["remote"], proxy.address());
    crosses(&site, "through-a-proxy.txt", b"hello");
    assert!(
        proxy.asked().iter().all(|asked| *asked == relay_name),
        "names are its business"
    );
    let told = edge.ask(&["status"]).ok();
    assert!(
        told.contains(&format!("by http://{0} to {0}", proxy.address())),
        "{told}"
    );

    // what the firewall has to know, and that it is in use
    let listed = edge.ask(&["netdeps", "--format", "csv"]).ok();
    let port = proxy.address().rsplit_once(':').unwrap().1.to_owned();
    let row = format!("out,tcp,127.0.0.1,{port},proxy for links,,20");
    assert!(listed.contains(&row), "{listed}");
    let rules = edge.ask(&["netdeps", "--format", "nft"]).ok();
    assert!(
        rules.contains(&format!(
            "output ip daddr 127.0.0.1 tcp dport {port} accept"
        )),
        "{rules}"
    );
    assert_eq!(edge.stop(), 0);
    let listed = edge.ask(&["netdeps", "--format", "json"]).ok();
    assert!(
        listed.contains("\"qc.netdeps/1\"") && listed.contains("\"last_used\":null"),
        "{listed}"
    );

    // nothing of the password is anywhere
    for word in ["hush-hush", "wrong-one", "aHVzaC1odXNo"] {
        assert!(!edge.log_text().contains(word));
        assert!(!told.contains(word));
    }
}

#[test]
fn through_a_socks_proxy_and_not_for_what_needs_none() {
    let site = Site::new();
    let proxy = OnTheWay::socks5(Some(("anna", "hush")));
    let password = site.path("proxy-password");
    secret(&password, "anna:hush");
    let relay_name = format!("relay-1.dc.test:{}", site.port);
    let uplink = |more: &str| {
        format!(
            "proxy = \"socks5://{}\"\nproxy_credentials_file = {}\n{more}",
            proxy.address(),
            quoted(&password)
        )
    };
    let mut relay = site.relay("");
    relay.start();
    let mut edge = site.edge_by(&[&relay_name], &uplink(""), &site.drop_source());
    edge.start();
    let up = link(&edge);
    assert_eq!(up["way"]["proxy"], format!("socks5://{}", proxy.address()));
    assert_eq!(proxy.asked(), [relay_name]);
    assert_eq!(edge.stop(), 0);

    let without = uplink("no_proxy = [\"127.0.0.0/8\"]\n");
    let mut edge = site.edge_by(&[&site.address()], &without, &site.drop_source());
    edge.start();
    assert_eq!(link(&edge)["way"]["proxy"], serde_json::Value::Null);
    assert_eq!(proxy.asked().len(), 1);

    // a proxy that reaches nobody says so
    relay.kill();
    let told = uplink("");
    assert_eq!(edge.stop(), 0);
    let mut edge = site.edge_by(&[&site.address()], &told, &site.drop_source());
    edge.start();
    edge.logs(&["QC2044", "connection refused"]);
}

#[test]
fn inside_a_websocket_where_nothing_else_passes() {
    let site = Site::new();
    let filter = OnTheWay::filter(site.port);
    let mut relay = site.relay("");
    let mut edge_b = site.edge_b(&site.address(), "{subject}", "");
    let mut edge = site.edge_a(&filter.address(), "");
    for daemon in [&mut relay, &mut edge_b, &mut edge] {
        daemon.start();
    }
    let up = link(&edge);
    assert_eq!(up["peer"], "relay-1.hq.acme");
    assert_eq!(up["way"]["websocket"], true, "{up}");
    edge.logs(&["QC2054", "inside a WebSocket"]);
    assert!(filter.asked().starts_with(&[
        "qc/1".to_owned(),
        "qc/1".to_owned(),
        "other".to_owned()
    ]));
    // as much as a message may have, in many messages of the WebSocket
    let mut rng = fastrand::Rng::with_seed(4);
    let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
        .take(3 << 20)
        .collect();
    crosses(&site, "noise.bin", &noise);
    let told = edge.ask(&["status"]).ok();
    assert!(told.contains(", in a WebSocket, since 20"), "{told}");

    // after a cut it is found again at once, without asking for what is filtered
    let before = filter.asked().len();
    relay.kill();
    until("the edge has seen it", || {
        edge.status()["links"][0]["state"] != "up"
    });
    relay.start();
    link(&edge);
    let after = filter.asked().split_off(before);
    assert!(after.iter().any(|asked| asked == "other"), "{after:?}");
    crosses(&site, "again.txt", b"again");

    // the same identity is asked for as on every link
    for (node, status, code) in [
        (None, 401, "QC2056"),
        (Some("app"), 403, "QC2056"),
        (Some("edge-a"), 400, "QC2057"),
    ] {
        let answer = site.curl(node).call("/.qc/link", &["--http1.1"], b"");
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (status, Some(code))
        );
    }
    let upgrade = "Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Version: 13|\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Protocol: qc.1";
    let headers: Vec<_> = upgrade
        .split('|')
        .flat_map(|line| ["--header", line])
        .collect();
    let answer =
        site.curl(Some("app"))
            .call("/.qc/link", &[&["--http1.1"], &headers[..]].concat(), b"");
    assert_eq!(answer.status, 403, "a client has no links, however it asks");
    assert_eq!(edge.stop(), 0);
    assert_eq!(relay.stop(), 0, "a relay ends with links in WebSockets too");
}

#[test]
fn a_middlebox_that_opens_tls_gets_no_link() {
    require("openssl", "openssl");
    let site = Site::new();
    let (key, cert) = (site.path("box.key"), site.path("box.pem"));
    let mut made = program("openssl");
    made.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]);
    made.args([
        "-subj",
        "/CN=Corp Inspection",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]);
    made.args(["-days", "2", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert);
    run(&mut made, b"").ok();
    let port = free_port().to_string();
    // it ends with the test's thread, however that ends
    let mut middlebox = program("setpriv");
    middlebox.args([
        "--pdeathsig",
        "KILL",
        "openssl",
        "s_server",
        "-quiet",
        "-tls1_3",
    ]);
    middlebox.args(["-alpn", "http/1.1,qc/1", "-accept", &port, "-key"]);
    middlebox.arg(&key).arg("-cert").arg(&cert);
    middlebox.stdout(Stdio::null()).stderr(Stdio::null());
    let mut middlebox = middlebox.stdin(Stdio::piped()).spawn().unwrap();
    until("it listens", || {
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
    });
    for mode in ["fallback", "always"] {
        let uplink = format!("websocket = \"{mode}\"\n");
        let mut edge = site.edge_by(&[&format!("127.0.0.1:{port}")], &uplink, "");
        edge.start();
        edge.logs(&["QC2052", "breaks mutual TLS", "Corp Inspection"]);
        assert_eq!(edge.stop(), 0);
    }
    middlebox.kill().unwrap();
    middlebox.wait().unwrap();
}

#[test]
fn always_or_never_inside_a_websocket() {
    let site = Site::new();
    let filter = OnTheWay::filter(site.port);
    let mut relay = site.relay("");
    relay.start();
    let mut edge = site.edge_by(&[&site.address()], "websocket = \"always\"\n", "");
    edge.start();
    assert_eq!(link(&edge)["way"]["websocket"], true);
    assert_eq!(edge.stop(), 0);
    let mut edge = site.edge_by(&[&filter.address()], "websocket = \"never\"\n", "");
    edge.start();
    edge.logs(&["QC2031"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(filter.asked().iter().all(|asked| asked == "qc/1"));
}

#[test]
fn back_to_the_preferred_relay_when_it_returns() {
    let site = Site::new();
    let (second, port) = (site.path("relay-2"), free_port());
    site.authority
        .enroll(&[("relay-2.hq.acme", "relay", &second)]);
    let mut first = site.relay("");
    let mut second = site.relay_at("relay-2", port, "");
    let addresses = [site.address(), format!("127.0.0.1:{port}")];
    let addresses = addresses.each_ref().map(String::as_str);
    let uplink = "prefer_after = \"1s\"\n";
    let mut edge = site.edge_by(&addresses, uplink, "");
    let list = addresses.join("\", \"");
    let sink = format!(
        "{uplink}[[sink]]\nname = \"to-files\"\nstream = \"{}\"\n[sink.file]\npath = {}\nname = \"{{id}}\"\n",
        Site::STREAM,
        quoted(&site.path("out"))
    );
    let mut edge_b = site.edge("edge-b", &list, &sink);
    for daemon in [&mut first, &mut second, &mut edge, &mut edge_b] {
        daemon.start();
    }
    let stored = |relay: &Daemon| {
        let rows = relay.ask(&["streams", "list", "--json"]).data();
        rows[0]["last_seq"].as_u64().unwrap()
    };
    let mut sent = 0;
    let mut send = |count: u64| {
        let lines = "a message\n".repeat(usize::try_from(count).unwrap());
        let args = ["send", Site::STREAM, "--class", "internal", "--lines"];
        edge.ask_with(&args, lines.as_bytes()).ok();
        sent += count;
        sent
    };
    let at = |peer: &str| {
        until("the link is with that relay", || {
            let link = &edge.status()["links"][0];
            link["state"] == "up" && link["peer"] == peer
        });
    };
    at("relay-1.hq.acme");
    let on_first = send(3);
    until("they are there", || stored(&first) == on_first);
    first.kill();
    at("relay-2.hq.acme");
    let both = send(3);
    until("the second has the others", || {
        stored(&second) == both - on_first
    });
    // the standing link is not touched while the first is away
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(
        edge.log_text().matches("Link up.").count(),
        2,
        "{}",
        edge.log_text()
    );

    first.start();
    at("relay-1.hq.acme");
    edge.logs(&["QC2055", "relay-2.hq.acme", "relay-1.hq.acme"]);
    let all = send(3);
    until("the first has them", || {
        edge.status()["links"][0]["backlog_messages"] == 0
    });
    assert_eq!(
        stored(&second),
        both - on_first,
        "the second got nothing more"
    );

    // whoever follows its relay in the same way has every message, and has it once
    until("everything is delivered", || {
        site.delivered().len() as u64 == all
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(edge_b.status()["sinks"][0]["processed"], all);
    for daemon in [&edge, &edge_b] {
        let (balanced, ledger) = daemon.ledger();
        assert!(balanced, "{ledger}");
    }
}

#[test]
fn with_dns_down_the_last_good_address_is_dialled() {
    let site = Site::new();
    let mut relay = site.relay("");
    relay.start();
    let name = "relay-1.dc.test";
    let mut edge = site.edge_by(&[&format!("{name}:{}", site.port)], "", "");
    // without a name server the system asks on the loopback, where nobody answers
    let no_dns = "mount --bind /dev/null /etc/resolv.conf && exec \"$@\"";
    let wrap = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        no_dns,
        "sh",
    ];
    let may = run(program(wrap[0]).args(&wrap[1..]).arg("true"), b"");
    if may.code != 0 {
        eprintln!(
            "SKIPPED: this machine lets us mount nothing: {}",
            may.err.trim()
        );
        return;
    }
    edge.wrapped(&wrap.map(str::to_owned));
    edge.start();
    edge.logs(&["QC2040", name]);
    assert_eq!(edge.stop(), 0);
    let known = format!(
        "{{\"schema\":\"qc.addresses/1\",\"names\":{{\"{name}\":{{\"at_ms\":1700000000000,\"addresses\":[\"127.0.0.1\"]}}}}}}"
    );
    site.write("edge-a/addresses.json", known);
    edge.start();
    let up = link(&edge);
    assert!(up["way"]["address_age_s"].as_u64().unwrap() > 1000, "{up}");
    edge.logs(&["QC2041", "last good addresses"]);
    let told = edge.ask(&["status"]).ok();
    assert!(told.contains("its name cannot be looked up"), "{told}");
}

#[test]
fn what_was_good_is_kept_in_the_state_directory() {
    let site = Site::new();
    let mut relay = site.relay("");
    relay.start();
    let mut edge = site.edge_by(&[&format!("localhost:{}", site.port)], "", "");
    edge.start();
    link(&edge);
    let file = site.path("edge-a/addresses.json");
    until("it is written", || file.exists());
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("\"localhost\"") && text.contains("\"127.0.0.1\""),
        "{text}"
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}
