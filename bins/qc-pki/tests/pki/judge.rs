//! What stock verifiers let through and our judge does not; revocation as both see it.

use super::kit::{EDGE_OID, House, read, run, write};

/// A leaf made with the site CA's key and openssl alone.
fn minted(house: &House, san: &str) -> String {
    let (key, csr, leaf) = (house.str("m.key"), house.str("m.csr"), house.str("m.pem"));
    let mut args = vec!["req", "-new", "-nodes", "-batch", "-subj", "/CN=minted"];
    args.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    args.extend(["-keyout", &key, "-out", &csr]);
    run("openssl", &args).ok();
    let extensions = house.str("m.ext");
    let text = format!(
        "subjectAltName={san}\nkeyUsage=critical,digitalSignature\n\
         extendedKeyUsage=clientAuth,{EDGE_OID}\nauthorityKeyIdentifier=keyid\n"
    );
    write(&extensions, text.as_bytes());
    let (ca, ca_key) = (
        house.str("house/ca/site-mill7/cert.pem"),
        house.str("house/ca/site-mill7/key.pem"),
    );
    let mut args = vec![
        "x509", "-req", "-in", &csr, "-CA", &ca, "-CAkey", &ca_key, "-days", "5",
    ];
    args.extend(["-CAcreateserial", "-extfile", &extensions, "-out", &leaf]);
    run("openssl", &args).ok();
    leaf
}

#[test]
fn a_site_ca_can_not_speak_for_another_site_in_a_uri() {
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
    let above = read(house.path("house/ca/site-mill7/cert.pem"))
        + &read(house.path("house/ca/hq/cert.pem"));
    write(house.path("above.pem"), above.as_bytes());
    let above_file = house.str("above.pem");
    let judge = |san: &str| {
        let leaf = minted(&house, san);
        let stock = house.openssl_verify(&leaf, &above_file, "sslclient").code;
        let chain = house.str("chain.pem");
        write(&chain, (read(&leaf) + &above).as_bytes());
        (stock, house.pki(&["verify", "--role", "edge", &chain]))
    };
    let (stock, ours) = judge("DNS:edge-07.mill7.acme.qc.internal");
    assert_eq!(stock, 0);
    ours.ok();
    let (stock, ours) = judge("URI:spiffe://qc.internal/t/acme/s/dock2/n/edge-01");
    assert_eq!(stock, 0, "stock verifiers accept this");
    ours.fails(11, "QC2006");
    let (_, ours) = judge("DNS:edge-01.dock2.acme.qc.internal");
    ours.fails(11, "QC2006");
    let both = "DNS:edge-07.mill7.acme.qc.internal,URI:spiffe://qc.internal/t/acme/s/dock2/n/x";
    let (_, ours) = judge(both);
    ours.fails(11, "QC2006");
}

#[test]
fn revocation_and_time_are_seen_by_both() {
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
    house.node("edge", &request).ok();
    let file = format!("{stick}/edge-07.mill7.acme.qcreq");
    house
        .pki(&["sign", &file, "--ca", "hq", "--out", &stick, "--yes"])
        .ok();
    let response = format!("{stick}/edge-07.mill7.acme.qcresp");
    let verify = ["verify", "--role", "edge", &response];
    house.pki(&verify).ok();
    house
        .pki(&[&verify[..], &["--at", "2050-01-01"]].concat())
        .fails(11, "QC2003");
    house
        .pki(&[&verify[..], &["--at", "2020-01-01"]].concat())
        .fails(11, "one of the clocks is wrong");
    house
        .pki(&["verify", "--role", "relay", &response])
        .fails(11, "the role is edge, wanted is relay");
    let other = House::new();
    other.pki(&verify).fails(11, "QC2002");

    let hq = house.str("house/ca/hq/cert.pem");
    house.openssl_verify(&response, &hq, "sslclient").ok();
    let revoke = ["revoke", "edge-07.mill7.acme", "--cause", "key-compromise"];
    house.pki(&revoke).ok();
    assert!(house.pki(&revoke).ok().contains("unchanged"));
    house.pki(&verify).fails(11, "QC2008");
    let stock = house.openssl_verify(&response, &hq, "sslclient");
    assert!(
        stock.stderr.contains("revoked") && stock.code != 0,
        "{}",
        stock.stderr
    );
    assert!(house.pki(&["list"]).ok().contains("revoked"));
    // the same request is not answered with the revoked certificate again
    let again = house
        .pki(&["sign", &file, "--ca", "hq", "--out", &stick, "--yes"])
        .ok();
    assert!(again.contains("signed"), "{again}");
    house.pki(&verify).ok();
    house
        .pki(&["revoke", "nobody.mill7.acme"])
        .fails(8, "QC2156");
}
