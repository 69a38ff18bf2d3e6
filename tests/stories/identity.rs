//! Who is not let in, why, and that both sides and `status` say so; and strangers accept our chains.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use qc_core::clock::SystemClock;
use qc_core::model::Timestamp;
use qc_core::pki::{
    CertRequest, CertView, Identity, KeyAndChain, PkiDir, PrivateKey, Profile, Role,
};
use qc_tests::{Authority, Daemon, Site, program, require, run, until};

/// The edge shows in `status` why its link is not up, logs it, and so does the relay.
#[track_caller]
fn assert_refused(edge: &mut Daemon, relay: &Daemon, at_edge: [&str; 2], at_relay: [&str; 2]) {
    edge.start();
    let [code, reason] = at_edge;
    until("status names the refusal", || {
        let link = &edge.status()["links"][0];
        let text = link["last_error"]["reason"].as_str().unwrap_or_default();
        link["state"] != "up" && link["last_error"]["code"] == code && text.contains(reason)
    });
    let status = edge.ask(&["status"]).ok();
    assert!(status.contains(code) && status.contains(reason), "{status}");
    edge.logs(&[code, reason]);
    relay.logs(&at_relay);
    assert_eq!(edge.stop(), 0);
}

fn copy_tree(from: &Path, to: &Path) {
    run(program("cp").arg("-aT").arg(from).arg(to), b"").ok();
}

fn append(to: &Path, from: &Path) {
    let both = [std::fs::read(to).unwrap(), std::fs::read(from).unwrap()].concat();
    std::fs::write(to, both).unwrap();
}

/// Gives `state` an identity whose certificate ends after `lifetime`, and the trust of `like`. Gives its
/// last second.
fn enroll_for(site: &Site, name: &str, lifetime: Duration, state: &Path, like: &Path) -> Timestamp {
    let house = PkiDir::open(site.authority.dir()).unwrap();
    let ca = house.unlock("issuing-hq", None).unwrap();
    let key = PrivateKey::new_p256().unwrap();
    let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
    let what = Profile::Node {
        name: name.parse().unwrap(),
        role: Role::Edge,
    };
    let (lock, now) = (house.lock().unwrap(), SystemClock::machine_time());
    let issued = house.issue(&lock, &ca, &what, &request, None, lifetime, "test", now);
    let cert = issued.unwrap().cert;
    let last_second = CertView::parse(&cert).unwrap().not_after;
    let mut chain = vec![cert];
    chain.extend(ca.chain().cloned());
    let node = KeyAndChain::new(key, chain).unwrap();
    let private = std::fs::DirBuilder::new().mode(0o700).create(state);
    private.unwrap();
    Identity { node, front: None }
        .install(state, "test")
        .unwrap();
    copy_tree(&like.join("trust"), &state.join("trust"));
    last_second
}

#[test]
fn strangers_of_every_kind_are_refused_and_told_why() {
    let site = Site::new();
    let edge = |state: &str| site.edge(state, &site.address(), "");
    let ours = site.path("edge-a");

    // ends while the rest is prepared
    let expired = site.path("expired");
    let last_second = enroll_for(
        &site,
        "edge-x.site-a.acme",
        Duration::from_secs(1),
        &expired,
        &ours,
    );

    // another authority, once with its own trust and once with ours
    let other = Authority::create(&site.path("pki-2"), "qc.internal");
    other.enroll_offline("edge-a.site-a.acme", "edge", &site.path("stranger"));
    copy_tree(&site.path("stranger"), &site.path("trusting"));
    std::fs::remove_dir_all(site.path("trusting/trust")).unwrap();
    copy_tree(&ours.join("trust"), &site.path("trusting/trust"));

    // a certificate that is for something else
    copy_tree(&site.path("app"), &site.path("client"));

    // a partner's authority: both sides believe both roots, each for its own domain only
    let partner = Authority::create(&site.path("pki-3"), "partner.example");
    partner.enroll_offline("edge-a.site-a.acme", "edge", &site.path("partner"));
    for file in ["roots.pem", "cas.pem"] {
        let at = |node: &str| site.path(node).join("trust").join(file);
        append(&at("relay"), &at("partner"));
        append(&at("partner"), &at("edge-b"));
    }

    let mut relay = site.relay("");
    relay.start();
    // a certificate holds until the end of its last second (RFC 5280, 4.1.2.5)
    until("the certificate has ended", || {
        SystemClock::machine_time() >= last_second.plus(Duration::from_secs(1))
    });

    let unknown = "does not know the CA of our certificate";
    assert_refused(
        &mut edge("stranger"),
        &relay,
        ["QC2002", "issuing-hq"],
        ["QC2032", unknown],
    );
    assert_refused(
        &mut edge("trusting"),
        &relay,
        ["QC2032", unknown],
        ["QC2002", "issuing-hq"],
    );
    assert_refused(
        &mut edge("expired"),
        &relay,
        ["QC2032", "has expired"],
        ["QC2003", "edge-x.site-a.acme"],
    );
    assert_refused(
        &mut edge("client"),
        &relay,
        ["QC2032", "our role is not admitted"],
        ["QC2005", "client"],
    );
    assert_refused(
        &mut edge("partner"),
        &relay,
        ["QC2007", "qc.internal"],
        ["QC2032", "the name in our certificate"],
    );
    let partner = site
        .curl(Some("partner"))
        .call("/v1/streams/acme/lab-results", &[], b"");
    assert_eq!(partner.status, 0, "{partner:?}");
    relay.logs(&["QC2007", "partner.example"]);

    // the expired one knows by itself, too
    let mut expired = edge("expired");
    expired.start();
    let left = expired.status()["certificate"]["left_s"].as_i64().unwrap();
    assert!(left < 0, "{left}");
    // none of them got anywhere, and the right one still does
    assert!(
        !relay.log_text().contains("Link up"),
        "{}",
        relay.log_text()
    );
    let mut right = site.edge_a(&site.address(), "");
    right.start();
    relay.logs(&["QC2223", "edge-a.site-a.acme"]);
}

#[test]
fn a_node_without_identity_does_not_start() {
    let site = Site::new();
    std::fs::remove_dir_all(site.path("edge-a/id")).unwrap();
    let edge = site.edge_a(&site.address(), "");
    let ran = edge.ask(&["run"]);
    ran.refused(7, "error[QC2020] there is no identity in ");
    assert!(ran.err.contains("help: qc-pki enroll --url"), "{ran:?}");
}

#[test]
fn openssl_accepts_every_chain() {
    require("openssl", "openssl");
    let site = Site::new();
    for node in ["relay", "edge-a", "edge-b", "app"] {
        let file = |name: &str| site.path(&format!("{node}/{name}"));
        for leaf in ["cert.pem", "front-cert.pem"] {
            let (leaf_file, chain) = (
                file(&format!("id/current/{leaf}")),
                leaf.replace("cert", "chain"),
            );
            if node != "relay" && leaf != "cert.pem" {
                continue;
            }
            let mut openssl = program("openssl");
            openssl.args(["verify", "-x509_strict", "-purpose"]);
            openssl.arg(if node == "relay" {
                "sslserver"
            } else {
                "sslclient"
            });
            openssl.arg("-CAfile").arg(file("trust/roots.pem"));
            openssl
                .arg("-untrusted")
                .arg(file(&format!("id/current/{chain}")));
            let out = run(openssl.arg(&leaf_file), b"").ok();
            assert!(out.trim_end().ends_with(": OK"), "{out}");
        }
    }
}
