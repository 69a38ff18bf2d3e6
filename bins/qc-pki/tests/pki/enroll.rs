//! Nodes that come with a token.

use std::net::TcpListener;

use super::kit::{House, read, run, write};

#[test]
fn a_node_enrolls_and_strangers_accept_its_chain() {
    let house = House::new();
    let server = house.serve();
    let token = house.token("edge-07.mill7.acme", &["--front-dns", "edge-07.example"]);
    let url = server.url("");
    let args = ["enroll", "--url", &url, "--token-file", &token];
    let said = house.node("edge", &args).ok();
    assert!(
        said.contains("role edge  valid 14d00h, outage budget 168h"),
        "{said}"
    );

    let at = |name: &str| house.str(&format!("edge/id/current/{name}.pem"));
    let verified = house.openssl_verify(&at("cert"), &at("chain"), "sslclient");
    assert!(verified.ok().contains("OK"));
    let verified = house.openssl_verify(&at("front-cert"), &at("front-chain"), "sslserver");
    assert!(verified.ok().contains("OK"));
    let front = run(
        "openssl",
        &["x509", "-in", &at("front-cert"), "-noout", "-text"],
    )
    .ok();
    assert!(
        front.contains("DNS:edge-07.example") && !front.contains("2.25."),
        "{front}"
    );

    // again is no error and asks nobody
    let port = server.port;
    assert_eq!(server.stop(), Some(0), "SIGTERM ends it in peace");
    assert!(house.node("edge", &args).ok().contains("unchanged"));
    let other = house.str("other");
    house
        .node("other", &args)
        .fails(6, &format!("localhost:{port} cannot be reached"));
    // the key was made and kept before the server was asked
    assert!(read(format!("{other}/id/pending/key.pem")).contains("PRIVATE KEY"));

    let list = house.pki(&["list", "--json"]).ok();
    assert!(list.contains("\"schema\":\"qc.pki-list/1\"") && list.contains("edge-07.mill7.acme"));
    assert!(
        house
            .pki(&["show", "edge-07.mill7.acme"])
            .ok()
            .contains("roles     edge")
    );
}

#[test]
fn a_typing_error_makes_no_connection() {
    let house = House::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let token = house.token("edge-07.mill7.acme", &[]);
    let bad = read(&token).replace("QC1-", "QC1-A");
    write(&token, bad.as_bytes());
    let url = format!("https://{}", listener.local_addr().unwrap());
    house
        .node("edge", &["enroll", "--url", &url, "--token-file", &token])
        .fails(2, "QC2120");
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn a_server_under_another_root_never_hears_the_secret() {
    let (house, impostor) = (House::new(), House::new());
    let server = impostor.serve();
    let token = house.token("edge-07.mill7.acme", &[]);
    let url = server.url("");
    house
        .node("edge", &["enroll", "--url", &url, "--token-file", &token])
        .fails(11, "QC2143");
}

#[test]
fn another_key_is_a_conflict_and_freezes_the_token() {
    let house = House::new();
    let server = house.serve();
    let token = house.token("edge-07.mill7.acme", &[]);
    let url = server.url("");
    let args = ["enroll", "--url", &url, "--token-file", &token];
    house.node("edge", &args).ok();
    house.node("thief", &args).fails(9, "QC2123");
    house.node("thief", &args).fails(9, "QC2124");
    let chain = read(house.path("edge/id/current/cert.pem"))
        + &read(house.path("edge/id/current/chain.pem"));
    write(house.path("chain.pem"), chain.as_bytes());
    let chain = house.str("chain.pem");
    house.pki(&["verify", "--role", "edge", &chain]).ok();
}

#[test]
fn many_at_once_get_exactly_one_certificate() {
    let house = House::new();
    let server = house.serve();
    let token = house.token("edge-07.mill7.acme", &[]);
    let url = server.url("");
    let args = ["enroll", "--url", &url, "--token-file", &token];
    let won = std::thread::scope(|scope| {
        let house = &house;
        let runs: Vec<_> = (0..12)
            .map(|n| scope.spawn(move || house.node(&format!("edge-{n}"), &args).code))
            .collect();
        let codes = runs.into_iter().map(|run| run.join().unwrap());
        codes.filter(|code| *code == 0).count()
    });
    assert_eq!(won, 1);
    let list = house
        .pki(&["list", "--profile", "node", "--no-headers"])
        .ok();
    assert_eq!(list.lines().count(), 1, "{list}");
}

#[test]
fn a_token_outside_of_the_ceiling_is_refused_when_it_is_made() {
    let house = House::new();
    let mut args = vec![
        "ca",
        "create",
        "site-mill7",
        "--parent",
        "hq",
        "--no-passphrase",
    ];
    args.extend([
        "--tenant",
        "acme",
        "--site",
        "mill7",
        "--roles",
        "edge,relay",
    ]);
    house.pki(&args).ok();
    let token = |node, role| {
        let args = ["token", "new", node, "--role", role, "--ca", "site-mill7"];
        house.pki(&args)
    };
    token("edge-07.mill7.acme", "edge").ok();
    token("edge-07.dock2.acme", "edge").fails(7, "is outside of mill7.acme.qc.internal");
    token("edge-07.mill7.acme", "operator").fails(7, "above its ceiling");
}
