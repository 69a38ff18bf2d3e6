//! A control object as version 1 has signed it, with its authority and key, in `control-1.txt`; and what the
//! registry remembers of a node, in `node-1.txt`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use data_encoding::HEXLOWER;
use qc_core::control::{Draft, Kind, Object, judge, pack_revocations, revocation_lists};
use qc_core::model::Timestamp;
use qc_core::pki::{
    Authority, CaPlan, CertRequest, KeyAndChain, LEAF_LIFETIME, PrivateKey, Profile, Role,
    TrustAnchors, to_pem,
};
use qc_core::registry::{NodeEntry, RefusedObject};
use qc_core::wire::{Applied, Below, Code};
use rustls::pki_types::CertificateDer;

const CONTROL: &str = include_str!("control-1.txt");
const NODE: &str = include_str!("node-1.txt");
/// When everything here was made.
fn now() -> Timestamp {
    Timestamp::from_millis(1_795_231_327_000)
}

fn kept(name: &str) -> Vec<u8> {
    let mut lines = CONTROL.lines().filter_map(|line| line.split_once(": "));
    let (_, hex) = lines.find(|(known, _)| *known == name).unwrap();
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn cert(name: &str) -> CertificateDer<'static> {
    CertificateDer::from(kept(name))
}

fn trust() -> TrustAnchors {
    let mut trust = TrustAnchors::new("qc.internal".parse().unwrap());
    trust.add_root(cert("root")).unwrap();
    trust.add_ca(cert("ca")).unwrap();
    trust
}

fn draft(list: Vec<u8>) -> Draft {
    Draft {
        kind: Kind::Revocations,
        label: "all".parse().unwrap(),
        revision: 12,
        domain: "qc.internal".parse().unwrap(),
        audience: vec![
            "*.mill7.acme".parse().unwrap(),
            "relay-1.hq.acme".parse().unwrap(),
        ],
        payload: pack_revocations([list]),
        created: now(),
    }
}

#[test]
fn a_control_object_is_read_judged_and_written_as_it_always_was() {
    let bytes = kept("object");
    let object = Object::decode(&bytes).unwrap();
    assert_eq!(object.says(), &draft(kept("list")));
    assert_eq!(
        revocation_lists(&object.says().payload).unwrap(),
        [kept("list")]
    );
    let signed = judge(&object, &trust()).unwrap();
    assert_eq!(signed.by.as_str(), "publisher.hq.acme");
    assert_eq!(object.mark().digest.to_vec(), kept("digest"));
    // signed again everything is the same but the signature, which is another one each time
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let mut file = std::fs::File::options();
    let mut file = file
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .unwrap();
    file.write_all(to_pem("PRIVATE KEY", &kept("key")).as_bytes())
        .unwrap();
    let key = PrivateKey::load(&path, None).unwrap();
    let signer = KeyAndChain::new(key, vec![cert("leaf"), cert("ca"), cert("root")]).unwrap();
    let again = draft(kept("list")).sign(&signer).unwrap();
    assert_eq!(again.parts().signed, object.parts().signed);
    assert!(judge(&again, &trust()).is_ok());
}

fn entry() -> NodeEntry {
    NodeEntry {
        role: Some(Role::Relay),
        first_seen: Timestamp::from_millis(1_795_000_000_000),
        last_seen: Some(now()),
        address: "2001:db8::7".to_owned(),
        version: "0.1.0".to_owned(),
        cert_not_after: Some(Timestamp::from_millis(1_796_440_927_000)),
        labels: [("env".parse().unwrap(), "prod".parse().unwrap())].into(),
        label_revision: 3,
        applied: vec![Applied {
            kind: 1,
            label: "all".to_owned(),
            revision: 12,
            digest: [0xdd; 32],
            below: Some(Below {
                nodes: 43,
                applied: 41,
            }),
        }],
        refused: vec![RefusedObject {
            kind: 3,
            label: String::new(),
            revision: 4,
            code: Code::new(2167),
            reason: "not accepted".to_owned(),
            at: now(),
        }],
    }
}

#[test]
fn what_is_remembered_of_a_node_is_written_as_it_always_was() {
    assert_eq!(format!("{}\n", HEXLOWER.encode(&entry().encode())), NODE);
    assert_eq!(
        NodeEntry::decode(&HEXLOWER.decode(NODE.trim().as_bytes()).unwrap()),
        Ok(entry())
    );
}

/// Writes `control-new.txt`: an object as this version signs it, by an authority that is made for it.
#[test]
#[ignore = "makes another file, for another version of the format"]
fn control_object_of_this_version() {
    let domain = "qc.internal".parse().unwrap();
    let root = Authority::create_root("root", "acme", &domain, now()).unwrap();
    let plan = CaPlan {
        name: "hq".to_owned(),
        ..CaPlan::default()
    };
    let hq = root.create_ca(&plan, now()).unwrap();
    let key = PrivateKey::new_p256().unwrap();
    let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
    let what = Profile::Node {
        name: "publisher.hq.acme".parse().unwrap(),
        role: Role::TrustPublisher,
    };
    let leaf = hq
        .issue(&what, &request, &[0x42; 16], LEAF_LIFETIME, now())
        .unwrap();
    let list = hq.sign_crl(7, &[], now()).unwrap();
    let secret = key.to_tls();
    let mut chain = vec![leaf.clone()];
    chain.extend(hq.chain().cloned());
    let signer = KeyAndChain::new(key, chain).unwrap();
    let object = draft(list.clone()).sign(&signer).unwrap();
    let parts: [(&str, &[u8]); 7] = [
        ("root", root.cert()),
        ("ca", hq.cert()),
        ("leaf", &leaf),
        ("key", secret.secret_der()),
        ("list", &list),
        ("object", object.bytes()),
        ("digest", &object.mark().digest),
    ];
    let lines = parts.map(|(name, bytes)| format!("{name}: {}\n", HEXLOWER.encode(bytes)));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/formats/control-new.txt");
    std::fs::write(path, lines.concat()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/formats/node-new.txt");
    std::fs::write(path, format!("{}\n", HEXLOWER.encode(&entry().encode()))).unwrap();
}
