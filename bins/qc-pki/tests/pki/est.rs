//! EST with nothing of ours on the client side: `curl` and `openssl`.

use super::kit::{House, Server, read, run, write};

struct Asked {
    status: String,
    body: String,
}

struct Client<'a> {
    house: &'a House,
    server: &'a Server,
}

impl Client<'_> {
    fn curl(&self, path: &str, more: &[&str]) -> Asked {
        let (root, url) = (self.house.root(), self.server.url(path));
        let body = self.house.str("answer");
        let mut args = vec!["-sS", "--cacert", &root, "-o", &body, "-w", "%{http_code}"];
        args.extend(more);
        args.push(&url);
        let status = run("curl", &args).ok();
        Asked {
            status,
            body: String::from_utf8_lossy(&std::fs::read(&body).expect("an answer")).into_owned(),
        }
    }

    /// A request by openssl for a key named `key`, as base64 in a file; `more` makes it odd.
    fn csr(&self, key: &str, more: &[&str]) -> String {
        let (key_file, der) = (self.house.str(key), self.house.str("csr.der"));
        let mut args = vec!["req", "-new", "-nodes", "-subj", "/CN=whatever", "-batch"];
        if self.house.path(key).exists() {
            args.extend(["-key", &key_file]);
        } else {
            args.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
            args.extend(["-keyout", &key_file]);
        }
        args.extend(["-outform", "DER", "-out", &der]);
        args.extend(more);
        run("openssl", &args).ok();
        self.base64(&der)
    }

    fn base64(&self, der: &str) -> String {
        let out = self.house.str("csr.b64");
        run("openssl", &["base64", "-in", der, "-out", &out]).ok();
        out
    }

    fn enroll(&self, user: &str, csr: &str) -> Asked {
        let data = format!("@{csr}");
        let more = [
            "-u",
            user,
            "--data-binary",
            &data,
            "-H",
            "Content-Type: application/pkcs10",
        ];
        self.curl("/.well-known/est/simpleenroll", &more)
    }

    /// The certificates of a PKCS#7 answer as openssl prints them.
    fn certs(&self, asked: &Asked) -> String {
        assert_eq!(asked.status, "200", "{}", asked.body);
        let (b64, der) = (self.house.str("p7.b64"), self.house.str("p7.der"));
        write(&b64, asked.body.replace('\r', "").as_bytes());
        run("openssl", &["base64", "-d", "-in", &b64, "-out", &der]).ok();
        run(
            "openssl",
            &["pkcs7", "-inform", "der", "-in", &der, "-print_certs"],
        )
        .ok()
    }
}

/// `id:secret` of a token in a file.
fn user(token: &str) -> String {
    let text = read(token);
    let mut parts = text.trim().split('-').skip(1);
    let (id, secret) = (parts.next(), parts.next());
    format!("{}:{}", id.expect("an id"), secret.expect("a secret"))
}

#[test]
fn curl_and_openssl_enroll_and_renew() {
    let house = House::new();
    let server = house.serve();
    let client = Client {
        house: &house,
        server: &server,
    };
    let cas = client.certs(&client.curl("/.well-known/est/cacerts", &[]));
    assert_eq!(cas.matches("BEGIN CERTIFICATE").count(), 2, "{cas}");

    let user = user(&house.token("edge-07.mill7.acme", &[]));
    // a request that wants to be a CA of another name with every usage
    let odd = [
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "subjectAltName=DNS:hub-1.hq.acme.qc.internal,IP:10.0.0.1,URI:spiffe://x/y",
        "-addext",
        "extendedKeyUsage=serverAuth,anyExtendedKeyUsage",
    ];
    let csr = client.csr("key.pem", &odd);
    let first = client.enroll(&user, &csr);
    let cert = client.certs(&first);
    let path = house.str("leaf.pem");
    write(&path, cert.as_bytes());
    let text = run("openssl", &["x509", "-in", &path, "-noout", "-text"]).ok();
    assert!(
        text.contains("DNS:edge-07.mill7.acme.qc.internal\n"),
        "{text}"
    );
    for never in [
        "CA:TRUE",
        "hub-1",
        "IP Address",
        "URI",
        "Server Authentication",
        "Any Extended",
    ] {
        assert!(!text.contains(never), "{never}: {text}");
    }
    let hq = house.str("house/ca/hq/cert.pem");
    house.openssl_verify(&path, &hq, "sslclient").ok();

    // a lost answer: the same key gets the identical certificate, even with another request
    let again = client.enroll(&user, &client.csr("key.pem", &[]));
    assert_eq!(again.body, first.body);

    // renewal under the certificate, with a new key
    let data = format!("@{}", client.csr("key2.pem", &[]));
    let renew = "/.well-known/est/simplereenroll";
    let bare = client.curl(renew, &["--data-binary", &data]);
    assert_eq!(bare.status, "403");
    assert!(bare.body.contains("QC2113"), "{}", bare.body);
    let bundle = house.str("bundle.pem");
    write(&bundle, (cert + &read(&hq)).as_bytes());
    let key = house.str("key.pem");
    let mtls = [
        "--cert",
        bundle.as_str(),
        "--key",
        &key,
        "--data-binary",
        &data,
    ];
    let renewed = client.certs(&client.curl(renew, &mtls));
    assert!(renewed.contains("edge-07.mill7.acme"), "{renewed}");

    // a key has one holder
    let other = house.token("edge-08.mill7.acme", &[]);
    let shared = client.enroll(&self::user(&other), &client.csr("key2.pem", &[]));
    assert!(
        shared.status == "409" && shared.body.contains("QC2118"),
        "{}",
        shared.body
    );

    // a revoked one may not
    house.pki(&["revoke", "edge-07.mill7.acme"]).ok();
    let revoked = client.curl(renew, &mtls);
    assert!(
        revoked.status == "403" && revoked.body.contains("QC2114"),
        "{}",
        revoked.body
    );

    assert_eq!(client.curl("/qc/v1/crl/hq.der", &[]).status, "200");
    let got = [
        "crl",
        "-inform",
        "der",
        "-noout",
        "-crlnumber",
        "-in",
        &house.str("answer"),
    ];
    assert!(run("openssl", &got).ok().contains("crlNumber=0x02"));
    assert_eq!(client.curl("/qc/v1/crl/..%2froot.der", &[]).status, "404");
    assert!(
        client
            .curl("/qc/v1/trust", &[])
            .body
            .contains("\"trust_domain\":\"qc.internal\"")
    );
}

#[test]
fn refused_requests_keep_the_token_and_name_the_reason() {
    let house = House::new();
    let server = house.serve();
    let client = Client {
        house: &house,
        server: &server,
    };
    let user = user(&house.token("edge-07.mill7.acme", &[]));
    let good = client.csr("key.pem", &[]);
    let refused = |user: &str, csr: &str, status: &str, code: &str| {
        let asked = client.enroll(user, csr);
        assert_eq!(asked.status, status, "{}", asked.body);
        assert!(asked.body.contains(code), "{}", asked.body);
    };
    refused("AAAAAAAA:BBBB", &good, "401", "QC2121");
    refused("../../x:BBBB", &good, "401", "QC2121");
    let (id, _) = user.split_once(':').unwrap();
    refused(&format!("{id}:WRONG"), &good, "401", "QC2121");

    // bytes behind the request
    let mut der = std::fs::read(house.path("csr.der")).unwrap();
    der.push(0);
    write(house.path("csr.der"), &der);
    refused(
        &user,
        &client.base64(&house.str("csr.der")),
        "400",
        "QC2110",
    );
    // a signature that does not fit
    der.pop();
    *der.last_mut().unwrap() ^= 1;
    write(house.path("csr.der"), &der);
    refused(
        &user,
        &client.base64(&house.str("csr.der")),
        "400",
        "QC2110",
    );
    // weak keys
    let weak = house.str("weak.pem");
    run("openssl", &["genrsa", "-out", &weak, "2048"]).ok();
    refused(
        &user,
        &client.csr("weak.pem", &[]),
        "400",
        "RSA of 2048 bits",
    );
    let curve = house.str("p521.pem");
    run(
        "openssl",
        &[
            "ecparam",
            "-name",
            "secp521r1",
            "-genkey",
            "-noout",
            "-out",
            &curve,
        ],
    )
    .ok();
    refused(
        &user,
        &client.csr("p521.pem", &[]),
        "400",
        "another elliptic curve",
    );
    // an authority's own key
    let ca_key = house.path("house/ca/hq/key.pem");
    std::fs::copy(ca_key, house.path("ca.pem")).unwrap();
    refused(&user, &client.csr("ca.pem", &[]), "400", "QC2111");
    // no request at all, and too much of one
    write(house.path("junk"), b"!!!");
    refused(&user, &house.str("junk"), "400", "QC2110");
    write(house.path("junk"), &vec![b'A'; 100_000]);
    refused(&user, &house.str("junk"), "413", "QC2110");
    let bare = client.curl("/.well-known/est/simpleenroll", &["--data-binary", "x"]);
    assert_eq!(bare.status, "401");

    // after all that the token still works, for other kinds of good keys too
    let rsa = house.str("rsa.pem");
    run("openssl", &["genrsa", "-out", &rsa, "3072"]).ok();
    let cert = client.certs(&client.enroll(&user, &client.csr("rsa.pem", &[])));
    assert!(cert.contains("edge-07.mill7.acme"));
    let other = client.enroll(&user, &client.csr("key.pem", &[]));
    assert!(
        other.status == "409" && other.body.contains("QC2123"),
        "{}",
        other.body
    );
}

#[test]
fn a_flood_of_wrong_tokens_does_not_stop_a_good_one() {
    let house = House::new();
    let server = house.serve();
    let client = Client {
        house: &house,
        server: &server,
    };
    let csr = client.csr("key.pem", &[]);
    let statuses: Vec<String> = (0..33)
        .map(|_| client.enroll("AAAAAAAA:BBBB", &csr).status)
        .collect();
    assert!(statuses.contains(&"429".to_owned()), "{statuses:?}");
    let user = user(&house.token("edge-07.mill7.acme", &[]));
    assert_eq!(client.enroll(&user, &csr).status, "200");
}
