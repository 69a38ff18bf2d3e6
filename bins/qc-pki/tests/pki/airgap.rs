//! Joining by stick, and keys that outlive this program.

use std::os::unix::fs::PermissionsExt as _;

use super::kit::{House, qc_pki, read, run, write};

#[test]
fn request_sign_install() {
    let house = House::new();
    let stick = house.str("stick");
    let request = [
        "request",
        "new",
        "edge-07.mill7.acme",
        "--role",
        "edge",
        "--out",
        &stick,
    ];
    let said = house.node("edge", &request).ok();
    let words = said
        .lines()
        .find_map(|line| line.strip_prefix("words     "))
        .unwrap();
    let words = words.split_whitespace().next().unwrap();
    let file = format!("{stick}/edge-07.mill7.acme.qcreq");
    assert!(run("openssl", &["req", "-in", &file, "-noout", "-verify"]).code == 0);

    let sign = ["sign", &file, "--ca", "hq", "--out", &stick];
    house.pki(&sign).fails(2, "QC2152");
    let wrong = [&sign[..], &["--confirm-words", "a-b-c-d-e-f"]].concat();
    house.pki(&wrong).fails(7, "QC2151");
    let right = [&sign[..], &["--confirm-words", words]].concat();
    assert!(house.pki(&right).ok().contains("signed"));
    let response = format!("{stick}/edge-07.mill7.acme.qcresp");
    let first = read(&response);
    assert!(house.pki(&right).ok().contains("unchanged"));
    assert_eq!(read(&response), first);

    house
        .node("stranger", &["install", &response])
        .fails(8, "QC2154");
    let installed = house.node("edge", &["install", &response]).ok();
    assert!(installed.contains("outage budget 168h"), "{installed}");
    assert!(
        house
            .node("edge", &["install", &response])
            .ok()
            .contains("unchanged")
    );
    let at = |name: &str| house.str(&format!("edge/id/current/{name}.pem"));
    house
        .openssl_verify(&at("cert"), &at("chain"), "sslclient")
        .ok();

    // a second one: one rename later, the first still there
    house.node("edge", &request).ok();
    house.pki(&[&sign[..], &["--yes"]].concat()).ok();
    house.node("edge", &["install", &response]).ok();
    let current = std::fs::read_link(house.path("edge/id/current")).unwrap();
    assert_eq!(current.to_str(), Some("gen-0002"));
    assert!(house.path("edge/id/gen-0001/key.pem").exists());

    // a stick from another house does not bring its root along
    let other = House::new();
    house.node("edge", &request).ok();
    let foreign = [
        &["sign", &file, "--ca", "hq", "--out"],
        &[stick.as_str(), "--yes"][..],
    ]
    .concat();
    other.pki(&foreign).ok();
    house
        .node("edge", &["install", &response])
        .fails(11, "QC2155");
}

#[test]
fn a_plain_request_of_openssl_is_signed_by_name_and_role() {
    let house = House::new();
    let (key, csr, out) = (
        house.str("key.pem"),
        house.str("curl.csr"),
        house.str("out"),
    );
    let mut args = vec!["req", "-new", "-nodes", "-batch", "-newkey", "ed25519"];
    args.extend(["-keyout", &key, "-out", &csr]);
    run("openssl", &args).ok();
    let sign = ["sign", &csr, "--ca", "hq", "--out", &out, "--yes"];
    house.pki(&sign).fails(11, "--name and --role");
    let named = [&sign[..], &["--name", "curl-1.hq.acme", "--role", "client"]].concat();
    house.pki(&named).ok();
    let response = format!("{out}/curl-1.hq.acme.qcresp");
    let hq = house.str("house/ca/hq/cert.pem");
    house.openssl_verify(&response, &hq, "sslclient").ok();
    house.pki(&["verify", "--role", "client", &response]).ok();
}

#[test]
fn a_ca_key_opens_with_plain_openssl_and_only_with_its_passphrase() {
    let house = House::new();
    let (dir, pass, bad) = (house.str("safe"), house.str("pass"), house.str("bad"));
    write(&pass, b"correct horse battery\n");
    write(&bad, b"something else\n");
    let init = [
        "init",
        "--org",
        "acme",
        "--dir",
        &dir,
        "--passphrase-file",
        &pass,
    ];
    qc_pki(&["init", "--org", "acme", "--dir", &dir]).fails(7, "QC2108");
    assert!(qc_pki(&init).ok().contains("encrypted (scrypt)"));
    assert!(qc_pki(&init).ok().contains("unchanged"));
    qc_pki(&["init", "--org", "other", "--dir", &dir]).fails(9, "QC2101");
    let key = format!("{dir}/ca/root/key.pem");
    let opened = [
        "pkey",
        "-in",
        &key,
        "-noout",
        "-passin",
        &format!("file:{pass}"),
    ];
    run("openssl", &opened).ok();
    let create = [
        "ca",
        "create",
        "hq",
        "--parent",
        "root",
        "--no-passphrase",
        "--dir",
        &dir,
    ];
    let with = |file: &str| qc_pki(&[&create[..], &["--parent-passphrase-file", file]].concat());
    with(&bad).fails(7, "QC2108");
    with(&pass).ok();
    let other = [&create[..], &["--tenant", "acme"]].concat();
    qc_pki(&other).fails(9, "QC2103");

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let resign = [
        "crl",
        "resign",
        "--ca",
        "root",
        "--dir",
        &dir,
        "--passphrase-file",
        &pass,
    ];
    qc_pki(&resign).fails(7, "mode 644");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(qc_pki(&resign).ok().contains("list 2"));
    qc_pki(&["list", "--dir", &house.str("nowhere")]).fails(8, "qc-pki init");
}
