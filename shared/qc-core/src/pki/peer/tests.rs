//! The traps of the trust model, each against real certificates. Those that our own authority can
//! not be talked into are made with the certificate library directly.

use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

use super::super::authority::{Authority, new_serial};
use super::super::profile::{CaBounds, Validity, ca_params};
use super::super::{
    CaPlan, CertRequest, LEAF_LIFETIME, PrivateKey, Profile, Revocation, TrustError, serial_hex,
};
use super::*;
use crate::model::TrustDomain;

const DAY: Duration = Duration::from_hours(24);

struct House {
    root: Authority,
    hq: Authority,
    now: Timestamp,
}

fn domain() -> TrustDomain {
    "qc.internal".parse().unwrap()
}

fn house() -> House {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let root = Authority::create_root("root", "acme", &domain(), now).unwrap();
    let plan = CaPlan {
        name: "hq".to_owned(),
        ..CaPlan::default()
    };
    let hq = root.create_ca(&plan, now).unwrap();
    House { root, hq, now }
}

impl House {
    fn trust(&self) -> TrustAnchors {
        let mut trust = TrustAnchors::new(domain());
        trust.add_root(self.root.cert().clone()).unwrap();
        trust.add_ca(self.hq.cert().clone()).unwrap();
        trust
    }

    fn site(&self) -> Authority {
        let plan = CaPlan {
            name: "site-mill7".to_owned(),
            tenant: Some("acme".parse().unwrap()),
            site: Some("mill7".parse().unwrap()),
            roles: vec![Role::Edge, Role::Relay],
            lifetime: None,
        };
        self.hq.create_ca(&plan, self.now).unwrap()
    }

    fn leaf(&self, by: &Authority, name: &str, role: Role) -> Vec<CertificateDer<'static>> {
        let what = Profile::Node {
            name: name.parse().unwrap(),
            role,
        };
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let serial = new_serial().unwrap();
        let cert = by.issue(&what, &request, &serial, LEAF_LIFETIME, self.now);
        with_chain(cert.unwrap(), by)
    }

    /// A leaf as somebody with the CA's key and another program would make it.
    fn minted(
        &self,
        by: &Authority,
        names: Vec<SanType>,
        roles: &[Role],
    ) -> Vec<CertificateDer<'static>> {
        let what = Profile::Node {
            name: "edge-07.mill7.acme".parse().unwrap(),
            role: roles[0],
        };
        let validity = Validity {
            not_before: self.now,
            not_after: self.now.plus(DAY),
        };
        let mut params = what.params(&domain(), &[0x41; 16], validity).unwrap();
        params.subject_alt_names = names;
        sign_by_hand(by, &params)
    }
}

fn sign_by_hand(by: &Authority, params: &CertificateParams) -> Vec<CertificateDer<'static>> {
    let issuer = Issuer::from_ca_cert_der(by.cert(), by.key().pair()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    with_chain(cert.der().clone(), by)
}

fn with_chain(leaf: CertificateDer<'static>, by: &Authority) -> Vec<CertificateDer<'static>> {
    std::iter::once(leaf).chain(by.chain().cloned()).collect()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

#[track_caller]
fn check(
    chain: &[CertificateDer<'static>],
    trust: &TrustAnchors,
    roles: &[Role],
    now: Timestamp,
) -> &'static str {
    match verify_peer(chain, trust, Usage::Client, roles, now) {
        Ok(_) => "ok",
        Err(refusal) => refusal.code(),
    }
}

#[test]
fn a_good_node_is_known_by_name_and_role() {
    let house = house();
    let chain = house.leaf(&house.site(), "edge-07.mill7.acme", Role::Edge);
    let roles = [Role::Relay, Role::Edge];
    let peer = verify_peer(&chain, &house.trust(), Usage::Client, &roles, house.now).unwrap();
    assert_eq!(peer.name.as_str(), "edge-07.mill7.acme");
    assert_eq!(peer.role, Role::Edge);
    assert_eq!(peer.not_after, house.now.plus(LEAF_LIFETIME));
    assert_eq!(peer.serial.len(), 32);
    // an edge is never a server, a relay is both
    let refused = verify_peer(&chain, &house.trust(), Usage::Server, &roles, house.now);
    assert!(matches!(refused, Err(PeerRefusal::WrongUsage { .. })));
    let relay = house.leaf(&house.hq, "hub-1.hq.acme", Role::Relay);
    verify_peer(&relay, &house.trust(), Usage::Server, &roles, house.now).unwrap();
}

#[test]
fn wrong_role_time_ca_and_domain_are_named() {
    let house = house();
    let (trust, now) = (house.trust(), house.now);
    let chain = house.leaf(&house.hq, "edge-07.mill7.acme", Role::Edge);
    assert_eq!(check(&chain, &trust, &[Role::Relay], now), "QC2005");
    assert_eq!(
        check(&chain, &trust, &[Role::Edge], now.plus(DAY * 15)),
        "QC2003"
    );
    let past = Timestamp::from_millis(now.as_millis() - 3_000_000);
    let early = verify_peer(&chain, &trust, Usage::Client, &[Role::Edge], past).unwrap_err();
    assert!(
        early.to_string().contains("clocks is wrong by 2700 s"),
        "{early}"
    );
    assert_eq!(early.code(), "QC2004");
    let stranger = self::house();
    assert_eq!(
        check(&chain, &stranger.trust(), &[Role::Edge], now),
        "QC2002"
    );
    let mut elsewhere = TrustAnchors::new("other.internal".parse().unwrap());
    elsewhere.add_root(house.root.cert().clone()).unwrap();
    assert_eq!(check(&chain, &elsewhere, &[Role::Edge], now), "QC2007");
    assert_eq!(check(&[], &trust, &[Role::Edge], now), "QC2001");
}

#[test]
fn trap_1_only_one_dns_name_is_an_identity() {
    let house = house();
    let (trust, now, site) = (house.trust(), house.now, house.site());
    let own = "edge-07.mill7.acme.qc.internal";
    let minted = |names| house.minted(&site, names, &[Role::Edge]);
    let code = |names| check(&minted(names), &trust, &[Role::Edge], now);
    assert_eq!(code(vec![dns(own)]), "ok");
    // stock verifiers accept these two
    assert_eq!(
        code(vec![uri("spiffe://qc.internal/t/acme/s/other/n/x")]),
        "QC2006"
    );
    assert_eq!(
        code(vec![
            dns(own),
            uri("spiffe://qc.internal/t/acme/s/other/n/x")
        ]),
        "QC2006"
    );
    assert_eq!(code(vec![]), "QC2006");
    assert_eq!(
        code(vec![dns(own), dns("b.mill7.acme.qc.internal")]),
        "QC2006"
    );
    assert_eq!(code(vec![dns("edge-07.other.acme.qc.internal")]), "QC2006");
    assert_eq!(code(vec![dns("*.mill7.acme.qc.internal")]), "QC2006");
    assert_eq!(
        code(vec![dns("x.edge-07.mill7.acme.qc.internal")]),
        "QC2006"
    );
    let ip = SanType::IpAddress("10.0.0.1".parse().unwrap());
    assert_eq!(code(vec![dns(own), ip]), "QC2006");
}

#[test]
fn trap_2_no_uri_or_directory_constraints_are_emitted() {
    let house = house();
    let view = CertView::parse(house.site().cert()).unwrap();
    assert_eq!(view.permitted_dns, ["mill7.acme.qc.internal"]);
    assert!(view.other_names.is_empty());
}

#[test]
fn trap_3_a_site_ca_can_not_give_a_role_above_its_ceiling() {
    let house = house();
    let (trust, now, site) = (house.trust(), house.now, house.site());
    let own = vec![dns("edge-07.mill7.acme.qc.internal")];
    let minted = house.minted(&site, own, &[Role::RelayParent]);
    let refused = verify_peer(&minted, &trust, Usage::Client, &[Role::RelayParent], now);
    assert!(matches!(
        refused,
        Err(PeerRefusal::WrongRole {
            above_ceiling: true,
            ..
        })
    ));
    // and our own authority does not even sign it
    let what = Profile::Node {
        name: "edge-07.mill7.acme".parse().unwrap(),
        role: Role::Operator,
    };
    let key = PrivateKey::new_p256().unwrap();
    let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
    assert!(site.issue(&what, &request, &[1; 16], DAY, now).is_err());
    // a site CA makes no CAs, neither with our program nor with another
    assert!(site.create_ca(&CaPlan::default(), now).is_err());
    let validity = Validity {
        not_before: now,
        not_after: now.plus(DAY),
    };
    let bounds = CaBounds {
        path_length: 0,
        roles: Some(&[Role::Edge]),
        permitted_dns: None,
    };
    let nested_params = ca_params("acme", "nested", &[0x42; 16], validity, &bounds);
    let nested_key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_ca_cert_der(site.cert(), site.key().pair()).unwrap();
    let nested = nested_params.signed_by(&nested_key, &issuer).unwrap();
    let what = Profile::Node {
        name: "edge-07.mill7.acme".parse().unwrap(),
        role: Role::Edge,
    };
    let leaf = what.params(&domain(), &[0x43; 16], validity).unwrap();
    let by_nested = Issuer::from_ca_cert_der(nested.der(), &nested_key).unwrap();
    let leaf = leaf
        .signed_by(&KeyPair::generate().unwrap(), &by_nested)
        .unwrap();
    let chain: Vec<_> = [leaf.der().clone(), nested.der().clone()]
        .into_iter()
        .chain(site.chain().cloned())
        .collect();
    assert_ne!(check(&chain, &trust, &[Role::Edge], now), "ok");
}

#[test]
fn trap_4_an_expired_root_is_no_root() {
    let house = house();
    let far = house.now.plus(DAY * 366 * 21);
    let validity = Validity {
        not_before: house.now,
        not_after: far.plus(DAY * 366),
    };
    let what = Profile::Node {
        name: "edge-07.mill7.acme".parse().unwrap(),
        role: Role::Edge,
    };
    // under a root that has ended, everything else long-lived
    let bounds = CaBounds {
        path_length: 1,
        roles: Some(&[]),
        permitted_dns: None,
    };
    let ca_key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_ca_cert_der(house.root.cert(), house.root.key().pair()).unwrap();
    let ca = ca_params("acme", "long", &[0x44; 16], validity, &bounds);
    let ca = ca.signed_by(&ca_key, &issuer).unwrap();
    let by_ca = Issuer::from_ca_cert_der(ca.der(), &ca_key).unwrap();
    let leaf = what.params(&domain(), &[0x45; 16], validity).unwrap();
    let leaf = leaf
        .signed_by(&KeyPair::generate().unwrap(), &by_ca)
        .unwrap();
    let chain = [leaf.der().clone(), ca.der().clone()];
    assert_eq!(
        check(&chain, &house.trust(), &[Role::Edge], house.now),
        "ok"
    );
    let refused = verify_peer(&chain, &house.trust(), Usage::Client, &[Role::Edge], far);
    assert!(matches!(
        refused,
        Err(PeerRefusal::UnknownCa {
            expired_roots: 1,
            ..
        })
    ));
}

#[test]
fn trap_5_serials_are_random_and_requests_decide_nothing() {
    let house = house();
    let key = PrivateKey::new_p256().unwrap();
    // a request that asks for everything
    let mut params = CertificateParams::new(vec!["root.evil".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Any];
    let csr = params.serialize_request(key.pair()).unwrap();
    let request = CertRequest::parse(csr.der()).unwrap();
    let what = Profile::Node {
        name: "edge-07.mill7.acme".parse().unwrap(),
        role: Role::Edge,
    };
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let serial = new_serial().unwrap();
        let cert = house
            .hq
            .issue(&what, &request, &serial, LEAF_LIFETIME, house.now)
            .unwrap();
        let view = CertView::parse(&cert).unwrap();
        assert!(!view.is_ca);
        assert_eq!(view.dns, ["edge-07.mill7.acme.qc.internal"]);
        assert_eq!(view.roles, [Role::Edge]);
        assert!(!view.server_auth);
        assert_eq!(view.spki_sha256, key.spki_sha256());
        assert_eq!(view.serial, serial_hex(&serial));
        assert_eq!(view.not_after, house.now.plus(LEAF_LIFETIME));
        serials.insert(view.serial);
    }
    assert_eq!(serials.len(), 3, "same key, three serials");
}

#[test]
fn trap_6_the_newest_list_wins_in_any_order_and_names_are_unique() {
    let house = house();
    let chain = house.leaf(&house.hq, "edge-07.mill7.acme", Role::Edge);
    let serial = CertView::parse(&chain[0]).unwrap().serial;
    let revoked = [Revocation {
        serial,
        at_ms: house.now.as_millis(),
        key_compromise: true,
    }];
    let old = house.hq.sign_crl(1, &[], house.now).unwrap();
    let new = house.hq.sign_crl(2, &revoked, house.now).unwrap();

    let mut trust = house.trust();
    trust.add_crl(old.clone()).unwrap();
    assert_eq!(check(&chain, &trust, &[Role::Edge], house.now), "ok");
    let peer = verify_peer(&chain, &trust, Usage::Client, &[Role::Edge], house.now).unwrap();
    assert!(!trust.has_revoked(&peer.serial));
    trust.add_crl(new.clone()).unwrap();
    assert!(trust.has_revoked(&peer.serial));
    assert_eq!(check(&chain, &trust, &[Role::Edge], house.now), "QC2008");
    assert!(matches!(
        trust.add_crl(old.clone()),
        Err(TrustError::Rollback {
            held: 2,
            offered: 1,
            ..
        })
    ));
    assert_eq!(check(&chain, &trust, &[Role::Edge], house.now), "QC2008");

    // the same from files, whatever their names
    for (first, second) in [(&old, &new), (&new, &old)] {
        let dir = tempfile::tempdir().unwrap();
        house.trust().save(dir.path()).unwrap();
        for (name, crl) in [("a.der", first), ("b.der", second)] {
            let path = dir.path().join("crl").join(name);
            crate::durable::write_atomic(&path, crl, 0o644).unwrap();
        }
        let trust = TrustAnchors::load(dir.path()).unwrap();
        assert_eq!(trust.crl_views().next().unwrap().number, 2);
        assert_eq!(check(&chain, &trust, &[Role::Edge], house.now), "QC2008");
    }

    // a list of a stranger with our CA's name does not count, and no two keys share a name
    let plan = CaPlan {
        name: "hq".to_owned(),
        ..CaPlan::default()
    };
    let again = house.root.create_ca(&plan, house.now).unwrap();
    assert_ne!(again.view().subject, house.hq.view().subject);
    let foreign = again.sign_crl(9, &[], house.now).unwrap();
    assert!(matches!(
        house.trust().add_crl(foreign),
        Err(TrustError::ForeignCrl { .. })
    ));
}

#[test]
fn a_revoked_ca_takes_its_leaves_along() {
    let house = house();
    let site = house.site();
    let chain = house.leaf(&site, "edge-07.mill7.acme", Role::Edge);
    let other = house.leaf(&house.hq, "edge-01.dock2.acme", Role::Edge);
    let revoked = [Revocation {
        serial: site.view().serial.clone(),
        at_ms: house.now.as_millis(),
        key_compromise: false,
    }];
    let mut trust = house.trust();
    trust
        .add_crl(house.hq.sign_crl(2, &revoked, house.now).unwrap())
        .unwrap();
    assert_eq!(check(&chain, &trust, &[Role::Edge], house.now), "QC2008");
    assert_eq!(check(&other, &trust, &[Role::Edge], house.now), "ok");
}

#[test]
fn a_leaf_never_outlives_its_issuer() {
    let house = house();
    let plan = CaPlan {
        name: "short".to_owned(),
        lifetime: Some(DAY),
        ..CaPlan::default()
    };
    let short = house.root.create_ca(&plan, house.now).unwrap();
    let chain = house.leaf(&short, "edge-07.mill7.acme", Role::Edge);
    let view = CertView::parse(&chain[0]).unwrap();
    assert!(view.not_after < short.view().not_after);
}

#[test]
fn no_flipped_byte_of_a_leaf_is_accepted() {
    let house = house();
    let (trust, now) = (house.trust(), house.now);
    let chain = house.leaf(&house.hq, "edge-07.mill7.acme", Role::Edge);
    for at in 0..chain[0].len() {
        let mut bent = chain[0].to_vec();
        bent[at] ^= 0x01;
        let bent = [vec![CertificateDer::from(bent)], chain[1..].to_vec()].concat();
        assert_ne!(check(&bent, &trust, &[Role::Edge], now), "ok", "byte {at}");
    }
}
