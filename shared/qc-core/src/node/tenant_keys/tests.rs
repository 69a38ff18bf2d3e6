//! The keys of tenants without a store around them: custody by a program, leases, wrapping anew.

use super::*;
use crate::clock::{Clock as _, SystemClock};
use std::os::unix::fs::PermissionsExt as _;

fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    durable::write_atomic(path.as_ref(), bytes.as_ref(), 0o600).unwrap();
}

fn node(byte: u8) -> NodeKey {
    NodeKey::from_bytes([byte; 32])
}

fn load(dir: &Path, rules: &[TenantKeyRule], node: &NodeKey) -> TenantKeys {
    TenantKeys::load(dir, rules, &Keyring::from(node.clone())).unwrap()
}

fn rule(exec: &[&str]) -> TenantKeyRule {
    TenantKeyRule {
        tenant: acme(),
        exec: exec.iter().map(|&word| word.to_owned()).collect(),
        deadline: Duration::from_secs(5),
        lease: Duration::from_mins(1),
    }
}

fn acme() -> Tenant {
    "acme".parse().unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_000_000)
}

fn sealing(keys: &TenantKeys) -> (u32, [u8; 32]) {
    let (id, key) = keys.sealing("acme").unwrap().unwrap();
    (id, *key.expose())
}

#[test]
fn generations_stay_open_and_are_wrapped_by_the_newest_node_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = load(dir.path(), &[], &node(1));
    assert_eq!(keys.sealing("acme").unwrap().map(|(id, _)| id), None);
    assert_eq!(
        keys.rotate(&acme(), &node(1), now()).unwrap_err().code,
        "QC3048"
    );
    keys.create(&acme(), &node(1), now()).unwrap();
    let first = sealing(&keys);
    let change = keys.rotate(&acme(), &node(1), now()).unwrap();
    assert_eq!((change.old, change.number), (Some(first.0), 2));
    let second = sealing(&keys);
    assert_ne!(first, second);
    keys.rewrap(&node(2)).unwrap();

    let path = dir.path().join("acme.key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = std::fs::read(&path).unwrap();
    let shows = |key: &[u8; 32]| text.windows(32).any(|window| window == key);
    assert!(!shows(&first.1) && !shows(&second.1));
    let hex = data_encoding::HEXLOWER.encode(&second.1);
    assert!(!String::from_utf8(text).unwrap().contains(&hex));

    let again = load(dir.path(), &[], &node(2));
    assert_eq!(sealing(&again), second);
    assert_eq!(*again.opening(first.0).unwrap().expose(), first.1);
    assert!(matches!(again.opening(1), Err(NoKey::Away(_))));

    let other = load(dir.path(), &[], &node(1));
    let away = other.sealing("acme").map(drop).unwrap_err();
    assert!(away.to_string().contains("which is not here"), "{away}");
    // a rotation of the node key leaves alone what it cannot open
    other.rewrap(&node(3)).unwrap();
    assert_eq!(sealing(&load(dir.path(), &[], &node(2))), second);
}

#[test]
fn a_program_keeps_the_key_and_takes_it_away() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    write(&kept, [5; 32]);
    let rules = [rule(&["/bin/cat", &kept.display().to_string()])];
    let keys = load(dir.path(), &rules, &node(1));
    keys.create(&acme(), &node(1), now()).unwrap();
    let key = sealing(&keys);
    // whatever becomes of the node key, the program's key wraps it
    keys.rewrap(&node(2)).unwrap();

    let keys = load(dir.path(), &rules, &node(3));
    assert!(
        matches!(keys.sealing("acme"), Err(NoKey::Away(_))),
        "not asked yet"
    );
    let start = SystemClock::default().instant();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(!keys.ask_all(at(0)));
    assert_eq!(sealing(&keys), key);

    std::fs::remove_file(&kept).unwrap();
    assert!(!keys.ask_all(at(59)), "the answer counts still");
    assert_eq!(sealing(&keys), key);
    assert!(keys.ask_all(at(60)), "a key is gone");
    assert_eq!(keys.sealing("acme").unwrap_err().code(), "QC3047");
    assert_eq!(keys.opening(key.0).unwrap_err().code(), "QC3047");
    assert_eq!(
        keys.rows().first().map(|row| row.state),
        Some(TenantKeyState::Away)
    );

    write(&kept, [6; 32]);
    keys.ask_all(at(65));
    let other = keys.sealing("acme").map(drop).unwrap_err().to_string();
    assert!(other.contains("it is wrapped by key"), "{other}");
    write(&kept, [5; 32]);
    assert!(!keys.ask_all(at(70)));
    assert_eq!(sealing(&keys), key, "it came back");

    // the tenant changes its own key: a rotation wraps everything under it
    write(&kept, [6; 32]);
    keys.rotate(&acme(), &node(1), now()).unwrap();
    let keys = load(dir.path(), &rules, &node(1));
    keys.ask_all(at(0));
    assert_eq!(*keys.opening(key.0).unwrap().expose(), key.1);
}

#[test]
fn a_damaged_record_of_a_destruction_still_refuses() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("acme.destroyed"), b"{\"schema\": 3");
    let keys = load(dir.path(), &[], &node(1));
    assert_eq!(keys.sealing("acme").map(drop).unwrap_err().code(), "QC3046");
    keys.create(&acme(), &node(1), now()).unwrap();
    sealing(&load(dir.path(), &[], &node(1)));
}

#[test]
fn a_file_of_another_tenant_or_version_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let keys = load(dir.path(), &[], &node(1));
    keys.create(&acme(), &node(1), now()).unwrap();
    let path = dir.path().join("acme.key");
    let text = std::fs::read_to_string(&path).unwrap();
    write(dir.path().join("other.key"), &text);
    write(&path, text.replace("tenant-keys/1", "tenant-keys/9"));
    let keys = load(dir.path(), &[], &node(1));
    let reason = |tenant| keys.sealing(tenant).map(drop).unwrap_err().to_string();
    assert!(reason("other").contains("another tenant's"));
    assert!(reason("acme").contains("another version"));
}
