//! Objects by real authorities: what is written is read, what was changed is refused, and who may not sign
//! does not.

use std::time::Duration;

use proptest::prelude::*;
use rustls_pki_types::CertificateDer;

use super::*;
use crate::model::{Timestamp, TrustDomain};
use crate::pki::{
    Authority, CaPlan, CertRequest, KeyAndChain, LEAF_LIFETIME, PrivateKey, Profile, Revocation,
    Role, TrustAnchors, serial_hex,
};

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

    fn signer(&self, role: Role) -> KeyAndChain {
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let what = Profile::Node {
            name: "publisher.hq.acme".parse().unwrap(),
            role,
        };
        let serial = [0x42; 16];
        let cert = self
            .hq
            .issue(&what, &request, &serial, LEAF_LIFETIME, self.now);
        let mut chain: Vec<CertificateDer<'static>> = vec![cert.unwrap()];
        chain.extend(self.hq.chain().cloned());
        KeyAndChain::new(key, chain).unwrap()
    }

    fn list(&self, number: u64, serials: &[[u8; 16]]) -> Vec<u8> {
        let revoked: Vec<_> = serials
            .iter()
            .map(|serial| Revocation {
                serial: serial_hex(serial),
                at_ms: self.now.as_millis(),
                key_compromise: true,
            })
            .collect();
        self.hq.sign_crl(number, &revoked, self.now).unwrap()
    }

    fn draft(&self, revision: u64) -> Draft {
        Draft {
            kind: Kind::Revocations,
            label: Label::default(),
            revision,
            domain: domain(),
            audience: Vec::new(),
            payload: pack_revocations([self.list(revision, &[])]),
            created: self.now,
        }
    }
}

#[track_caller]
fn refused(object: &Object, trust: &TrustAnchors, code: &str) {
    let rejection = judge(object, trust).unwrap_err();
    assert_eq!(rejection.code(), code, "{rejection}");
}

#[test]
fn what_a_publisher_has_signed_is_taken_and_named() {
    let house = house();
    let draft = Draft {
        audience: vec![
            "*.mill8.acme".parse().unwrap(),
            "*.mill7.acme".parse().unwrap(),
        ],
        ..house.draft(12)
    };
    let object = draft.sign(&house.signer(Role::TrustPublisher)).unwrap();
    let read = Object::decode(object.bytes()).unwrap();
    assert_eq!(read, object);
    assert_eq!(read.parts().chain.len(), 2, "the root stays at home");
    let signed = judge(&read, &house.trust()).unwrap();
    assert_eq!(signed.by.as_str(), "publisher.hq.acme");
    assert_eq!(signed.role, Role::TrustPublisher);
    assert!(read.is_for(&"edge-1.mill7.acme".parse().unwrap()));
    assert!(!read.is_for(&"edge-1.mill9.acme".parse().unwrap()));
    assert_eq!(read.mark().to_string(), "revocations revision 12");
}

#[test]
fn every_signer_who_may_not_is_refused_with_his_reason() {
    let (house, another) = (house(), house());
    let draft = house.draft(1);
    for role in [Role::Edge, Role::Relay, Role::Operator] {
        refused(
            &draft.sign(&house.signer(role)).unwrap(),
            &house.trust(),
            "QC2162",
        );
    }
    let publisher = house.signer(Role::TrustPublisher);
    let policy = Draft {
        kind: Kind::Policy,
        ..draft.clone()
    };
    refused(&policy.sign(&publisher).unwrap(), &house.trust(), "QC2162");

    let elsewhere = Draft {
        domain: "other.example".parse().unwrap(),
        ..draft.clone()
    };
    refused(
        &elsewhere.sign(&publisher).unwrap(),
        &house.trust(),
        "QC2165",
    );

    // another house with the same names
    refused(
        &draft.sign(&another.signer(Role::TrustPublisher)).unwrap(),
        &house.trust(),
        "QC2002",
    );

    let mut trust = house.trust();
    trust.add_crl(house.list(7, &[[0x42; 16]])).unwrap();
    refused(&draft.sign(&publisher).unwrap(), &trust, "QC2008");
}

#[test]
fn a_signers_certificate_counts_as_of_the_signature() {
    let house = house();
    let publisher = house.signer(Role::TrustPublisher);
    // whoever reads it a year later, or with a clock of 1970, judges the same
    let signed_at = |created| {
        Draft {
            created,
            ..house.draft(1)
        }
        .sign(&publisher)
        .unwrap()
    };
    assert!(judge(&signed_at(house.now), &house.trust()).is_ok());
    let end = house.now.plus(LEAF_LIFETIME).plus(Duration::from_secs(1));
    refused(&signed_at(end), &house.trust(), "QC2003");
    refused(
        &signed_at(Timestamp::from_millis(1)),
        &house.trust(),
        "QC2004",
    );
}

#[test]
fn a_key_beside_the_certificate_signs_nothing() {
    let house = house();
    let object = house
        .draft(1)
        .sign(&house.signer(Role::TrustPublisher))
        .unwrap();
    let other = house
        .draft(1)
        .sign(&house.signer(Role::TrustPublisher))
        .unwrap();
    // the signature of another key under the certificate of the first
    let signed = object.parts().signed.to_vec();
    let mut bytes = signed;
    let signature = other.parts().signature;
    bytes.extend(u16::try_from(signature.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(signature);
    refused(&Object::decode(&bytes).unwrap(), &house.trust(), "QC2161");
}

/// Not one bit of an object can be changed: it does not parse, or its signature or chain does not hold.
#[test]
fn every_flipped_bit_is_refused() {
    let house = house();
    let draft = Draft {
        label: "x".parse().unwrap(),
        audience: vec!["*.mill7.acme".parse().unwrap()],
        payload: b"twelve bytes".to_vec(),
        ..house.draft(3)
    };
    let object = draft.sign(&house.signer(Role::TrustPublisher)).unwrap();
    let (bytes, trust) = (object.bytes(), house.trust());
    let mut judged = 0;
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        if let Ok(object) = Object::decode(&changed) {
            judged += 1;
            assert!(judge(&object, &trust).is_err(), "bit {at} may be flipped");
        }
    }
    assert!(judged > 1000, "{judged} of them were well-formed");
    for length in 0..bytes.len() {
        assert!(Object::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn revisions_only_rise_and_the_same_again_is_no_error() {
    let house = house();
    let publisher = house.signer(Role::TrustPublisher);
    let fifth = house.draft(5);
    let held = fifth.sign(&publisher).unwrap().mark();
    let step_of = |draft: Draft| step(Some(&held), &draft.sign(&publisher).unwrap().mark());
    assert_eq!(step(None, &held).unwrap(), Step::Apply);
    assert_eq!(step_of(house.draft(6)).unwrap(), Step::Apply);
    // another signature, by another key and later, of the same words
    let later = Draft {
        created: house.now.plus(Duration::from_secs(9)),
        ..fifth
    };
    let again = later.sign(&house.signer(Role::TrustPublisher)).unwrap();
    assert_eq!(step(Some(&held), &again.mark()).unwrap(), Step::Unchanged);
    let code = |draft| step_of(draft).unwrap_err().code();
    assert_eq!(code(house.draft(4)), "QC2163");
    let other = Draft {
        payload: b"other".to_vec(),
        ..house.draft(5)
    };
    assert_eq!(code(other), "QC2164");
}

#[test]
fn lists_are_taken_by_their_own_numbers_and_a_bad_one_holds_up_no_other() {
    let (house, other) = (house(), house());
    let mut trust = house.trust();
    let packed = pack_revocations([house.list(3, &[[7; 16]]), other.list(9, &[])]);
    let lists = revocation_lists(&packed).unwrap();
    let taken = take(&lists, &mut trust);
    assert_eq!(
        (taken.newer, taken.known, taken.refused.len()),
        (1, 0, 1),
        "{taken:?}"
    );
    assert!(trust.has_revoked(&serial_hex(&[7; 16])));
    let older = pack_revocations([house.list(2, &[])]);
    let taken = take(&revocation_lists(&older).unwrap(), &mut trust);
    assert_eq!((taken.newer, taken.known), (0, 1));
    assert!(
        trust.has_revoked(&serial_hex(&[7; 16])),
        "nothing is taken back"
    );
    for broken in [&b""[..], b"\x01", b"\xff\xff\xff\xff", b"\x02\0\0\0a"] {
        assert!(revocation_lists(broken).is_err(), "{broken:?}");
    }
}

#[test]
fn what_is_kept_is_found_again_and_damage_is_told() {
    let house = house();
    let publisher = house.signer(Role::TrustPublisher);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("control");
    let (mut kept, left_out) = Kept::open(&dir);
    assert!(kept.objects().is_empty() && left_out.is_empty());
    for draft in [
        house.draft(1),
        Draft {
            label: "b".parse().unwrap(),
            ..house.draft(2)
        },
        house.draft(3),
    ] {
        let object = draft.sign(&publisher).unwrap();
        object.save(&kept.path(&object)).unwrap();
        kept.insert(std::sync::Arc::new(object));
    }
    let (again, left_out) = Kept::open(&dir);
    assert!(left_out.is_empty(), "{left_out:?}");
    assert_eq!(again.objects(), kept.objects());
    let revisions: Vec<u64> = again
        .objects()
        .iter()
        .map(|object| object.mark().revision)
        .collect();
    assert_eq!(revisions, [3, 2]);
    std::fs::copy(dir.join("revocations.b.qco"), dir.join("revocations.c.qco")).unwrap();
    crate::durable::write_atomic(&dir.join("revocations.qco"), b"QCO1", 0o600).unwrap();
    let (damaged, left_out) = Kept::open(&dir);
    assert_eq!(
        (damaged.objects().len(), left_out.len()),
        (1, 2),
        "{left_out:?}"
    );
}

#[test]
fn lengths_are_checked_before_anything_is_made_of_them() {
    let mut bytes = b"QCO1".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend([0; 64]);
    assert!(matches!(Object::decode(&bytes), Err(ObjectError::Form(_))));
    assert!(matches!(
        Object::decode(b"QCO2\0\0\0\0"),
        Err(ObjectError::Version('2'))
    ));
    assert!(matches!(
        Object::decode(b"PK\x03\x04"),
        Err(ObjectError::Foreign)
    ));
    assert!(Object::decode(&vec![0; MAX_OBJECT + 1]).is_err());
    let house = house();
    let draft = Draft {
        payload: vec![0; MAX_PAYLOAD + 1],
        ..house.draft(1)
    };
    let error = draft.sign(&house.signer(Role::TrustPublisher)).unwrap_err();
    assert!(
        matches!(
            error,
            SignError::TooLong {
                what: "payload",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_kind_of_a_later_version_is_told_from_damage() {
    let house = house();
    let object = house
        .draft(1)
        .sign(&house.signer(Role::TrustPublisher))
        .unwrap();
    let mut bytes = object.bytes().to_vec();
    bytes[8] = 77;
    let error = Object::decode(&bytes).unwrap_err();
    assert_eq!(error, ObjectError::Kind(77));
    assert_eq!(Rejection::from(error).code(), "QC2166");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_object_is_read_as_it_was_signed(
        label in "[a-z0-9-]{0,40}", revision in 1..u64::MAX, created in any::<u64>(),
        audience in proptest::collection::vec("(\\*|[a-z]{1,9})\\.(\\*|[a-z]{1,9})\\.[a-z]{1,9}", 0..6),
        payload in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let house = house();
        let draft = Draft {
            kind: Kind::Revocations,
            label: label.parse().unwrap(),
            revision,
            domain: domain(),
            audience: audience.iter().map(|text| text.parse().unwrap()).collect(),
            payload,
            created: Timestamp::from_millis(created),
        };
        let object = draft.sign(&house.signer(Role::TrustPublisher)).unwrap();
        prop_assert_eq!(Object::decode(object.bytes()), Ok(object.clone()));
        prop_assert_eq!(&object.says().payload, &draft.payload);
    }

    #[test]
    fn no_bytes_are_too_strange(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut bytes = b"QCO1".to_vec();
        bytes.extend(tail);
        if let Ok(object) = Object::decode(&bytes) {
            prop_assert_eq!(object.bytes(), &bytes[..]);
        }
    }
}
