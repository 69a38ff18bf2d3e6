//! A relay and an edge that are given lists which they cannot put in force, or not now.

use rustls_pki_types::CertificateDer;

use super::*;
use crate::clock::ManualClock;
use crate::control::{Draft, Label, pack_revocations};
use crate::model::{Timestamp, TrustDomain};
use crate::pki::{
    Authority, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PrivateKey, Profile,
    Revocation, Role, serial_hex,
};

const STOLEN: [u8; 16] = [7; 16];

struct House {
    root: Authority,
    hq: Authority,
    /// Known to nobody until it is put into the files of a node.
    mill: Authority,
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn domain() -> TrustDomain {
    "qc.internal".parse().unwrap()
}

fn house() -> House {
    let root = Authority::create_root("root", "acme", &domain(), now()).unwrap();
    let ca = |name: &str| {
        let plan = CaPlan {
            name: name.to_owned(),
            ..CaPlan::default()
        };
        root.create_ca(&plan, now()).unwrap()
    };
    let (hq, mill) = (ca("hq"), ca("mill"));
    House { root, hq, mill }
}

impl House {
    fn trust(&self) -> TrustAnchors {
        let mut trust = TrustAnchors::new(domain());
        trust.add_root(self.root.cert().clone()).unwrap();
        trust.add_ca(self.hq.cert().clone()).unwrap();
        trust
    }

    fn node(&self, name: &str, role: Role) -> KeyAndChain {
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let what = Profile::Node {
            name: name.parse().unwrap(),
            role,
        };
        let cert = self
            .hq
            .issue(&what, &request, &[9; 16], LEAF_LIFETIME, now());
        let mut chain: Vec<CertificateDer<'static>> = vec![cert.unwrap()];
        chain.extend(self.hq.chain().cloned());
        KeyAndChain::new(key, chain).unwrap()
    }

    fn list_of_hq(&self, number: u64) -> Vec<u8> {
        let stolen = [Revocation {
            serial: serial_hex(&STOLEN),
            at_ms: now().as_millis(),
            key_compromise: true,
        }];
        self.hq.sign_crl(number, &stolen, now()).unwrap()
    }

    /// Lists of both authorities.
    fn object(&self, revision: u64) -> Object {
        let mill = self.mill.sign_crl(revision, &[], now()).unwrap();
        self.signed(revision, &[self.list_of_hq(revision), mill])
    }

    fn signed(&self, revision: u64, lists: &[Vec<u8>]) -> Object {
        let draft = Draft {
            kind: Kind::Revocations,
            label: Label::default(),
            revision,
            domain: domain(),
            audience: Vec::new(),
            payload: pack_revocations(lists),
            created: now(),
        };
        draft
            .sign(&self.node("publisher.hq.acme", Role::TrustPublisher))
            .unwrap()
    }

    fn credentials(&self, trust: TrustAnchors) -> Credentials {
        let node = self.node("relay-1.hq.acme", Role::Relay);
        let identity = Identity { node, front: None };
        Credentials::from_parts(&identity, trust, Arc::new(ManualClock::at(now()))).unwrap()
    }

    fn control(dir: &std::path::Path, credentials: &Credentials, carries: bool) -> Control {
        Control::open(ControlParts {
            node: "relay-1.hq.acme".parse().unwrap(),
            state: dir.to_owned(),
            credentials: credentials.clone(),
            clock: Arc::new(ManualClock::at(now())),
            accept: vec![Kind::Revocations],
            carries,
        })
    }
}

fn code(taken: Result<TakenObject, Rejection>) -> &'static str {
    taken.map_or_else(|rejection| rejection.code(), |taken| taken.outcome.as_str())
}

#[test]
fn a_relay_hands_on_what_it_cannot_put_in_force_and_says_so() {
    let house = house();
    let dir = tempfile::tempdir().unwrap();
    house.trust().save(&dir.path().join("trust")).unwrap();
    let credentials = house.credentials(house.trust());
    let object = house.object(5);
    let take = |control: &Control| control.take_now(object.bytes(), "a test");
    let relay = House::control(dir.path(), &credentials, true);
    assert_eq!(code(take(&relay)), "QC2168");
    assert!(
        credentials
            .current()
            .trust
            .has_revoked(&serial_hex(&STOLEN))
    );
    assert_eq!(relay.objects().len(), 1, "it is there to be handed on");
    assert!(relay.applied().is_empty(), "and not told as applied");
    assert!(!relay.row(&object).in_force);
    assert_eq!(code(take(&relay)), "QC2168", "the same again is no success");

    // a restart does not make it one
    let relay = House::control(dir.path(), &credentials, true);
    assert!(relay.applied().is_empty());
    assert_eq!(relay.list().last_refusal.unwrap().code, "QC2168");

    // with the CA it is in force: when it is offered again, and after a start
    let mut trust = house.trust();
    trust.add_ca(house.mill.cert().clone()).unwrap();
    trust.save(&dir.path().join("trust")).unwrap();
    let credentials = house.credentials(trust);
    for _ in 0..2 {
        let started = House::control(dir.path(), &credentials, true);
        assert_eq!(started.applied(), [applied(&object.mark())]);
        assert_eq!(code(take(&started)), "unchanged");
    }
}

#[test]
fn an_edge_keeps_nothing_that_is_not_in_force() {
    let house = house();
    let dir = tempfile::tempdir().unwrap();
    house.trust().save(&dir.path().join("trust")).unwrap();
    let credentials = house.credentials(house.trust());
    let edge = House::control(dir.path(), &credentials, false);
    let taken = edge.take_now(house.object(5).bytes(), "a test");
    assert_eq!(code(taken), "QC2168");
    assert!(edge.objects().is_empty());
}

#[test]
fn lists_are_in_force_while_somebody_rewrites_the_roots_and_nothing_else_of_the_files_is() {
    let (house, another) = (house(), house());
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("trust");
    // half of a change: other roots and CAs, ours are gone from the files
    another.trust().save(&files).unwrap();
    let credentials = house.credentials(house.trust());
    let edge = House::control(dir.path(), &credentials, false);
    let object = house.signed(5, &[house.list_of_hq(5)]);
    assert_eq!(code(edge.take_now(object.bytes(), "a test")), "applied");
    let trust = &credentials.current().trust;
    assert!(trust.has_revoked(&serial_hex(&STOLEN)));
    assert!(
        trust.roots().eq([house.root.cert()]),
        "no root came or went"
    );
    // files that cannot be read at all are no success
    crate::durable::write_atomic(&files.join("roots.pem"), b"", 0o644).unwrap();
    let object = house.signed(6, &[house.list_of_hq(6)]);
    assert_eq!(code(edge.take_now(object.bytes(), "a test")), "QC2169");
    assert_eq!(edge.applied()[0].revision, 5);
}
