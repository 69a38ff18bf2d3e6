//! The keys of tenants without a store around them: custody by a program, leases, wrapping anew.

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::drain::Drain;
use crate::durable::faults::Faults;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

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

#[test]
fn a_destruction_says_what_it_did_and_is_recorded_once() {
    // whichever call fails, the same command once more ends it
    for at in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let keys = load(dir.path(), &[], &node(1));
        let made = keys.create(&acme(), &node(1), now()).unwrap().unwrap();
        assert_eq!(keys.create(&acme(), &node(1), now()).unwrap(), None);
        let faults = Faults::once(dir.path(), at);
        let first = keys.destroy(&acme(), "contract ended", now());
        let is_whole = !faults.have_struck();
        drop(faults);
        let expected = Change {
            old: made.new,
            ..Change::default()
        };
        if is_whole {
            assert!(at > 6, "{at} calls were counted");
            assert_eq!(first.unwrap(), Some(expected));
        } else {
            assert_eq!(first.unwrap_err().code, "QC3050", "call {at}");
            let path = key_path(dir.path(), "acme");
            let again = keys.destroy(&acme(), "once more", now()).unwrap();
            assert_eq!(again, Some(expected), "call {at}");
            assert!(!path.exists(), "call {at}");
        }
        let record = std::fs::read(grave_path(dir.path(), "acme")).unwrap();
        assert_eq!(Grave::parse(&record).destroyed.len(), 1, "call {at}");
        assert_eq!(keys.destroy(&acme(), "again", now()).unwrap(), None);
        assert_eq!(
            keys.opening(made.new.unwrap()).unwrap_err().code(),
            "QC3046"
        );
        if is_whole {
            return;
        }
    }
}

#[test]
fn a_damaged_file_is_destroyed_like_a_sound_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = key_path(dir.path(), "acme");
    write(&path, b"{\"not\": \"keys\"}");
    let keys = load(dir.path(), &[], &node(1));
    let done = keys.destroy(&acme(), "damaged", now()).unwrap();
    assert_eq!(
        done,
        Some(Change::default()),
        "nobody knows which key it was"
    );
    assert!(!path.exists());

    // a later key in use is not spared because an earlier one was destroyed and the file has zeros
    let made = keys.create(&acme(), &node(1), now()).unwrap().unwrap();
    write(&path, [0; 300]);
    let done = keys.destroy(&acme(), "contract ended", now()).unwrap();
    assert_eq!(done.and_then(|change| change.old), made.new);
    assert_eq!(
        keys.opening(made.new.unwrap()).unwrap_err().code(),
        "QC3046"
    );
    assert_eq!(keys.sealing("acme").map(drop).unwrap_err().code(), "QC3046");

    // nor one in use whose file somebody has removed
    let made = keys.create(&acme(), &node(1), now()).unwrap().unwrap();
    std::fs::remove_file(&path).unwrap();
    let done = keys.destroy(&acme(), "contract ended", now()).unwrap();
    assert_eq!(done.and_then(|change| change.old), made.new);
    let again = load(dir.path(), &[], &node(1));
    assert_eq!(
        again.opening(made.new.unwrap()).unwrap_err().code(),
        "QC3046"
    );
}

/// Rules of as many tenants; the programs of those before `slow` take that long.
fn many(dir: &Path, count: usize, slow: usize, seconds: &str) -> Vec<TenantKeyRule> {
    let kept = dir.join("kept");
    write(&kept, [5; 32]);
    let rule = |n: usize| {
        let wait = if n < slow { seconds } else { "0" };
        let script = format!("sleep {wait}; cat {}", kept.display());
        TenantKeyRule {
            tenant: format!("t{n:02}").parse().unwrap(),
            ..rule(&["/bin/sh", "-c", &script])
        }
    };
    (0..count).map(rule).collect()
}

#[test]
fn programs_are_asked_side_by_side_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("tenants");
    let rules = many(dir.path(), 12, 6, "0.5");
    let clock = SystemClock::default();
    let took = |work: &dyn Fn()| {
        let begun = clock.instant();
        work();
        clock.instant().saturating_duration_since(begun)
    };
    let keys = load(&below, &rules, &node(1));
    let making = took(&|| {
        let wanting = keys.wanting();
        assert_eq!(wanting.len(), 12);
        let made = keys.create_all(wanting, &node(1), now());
        assert!(made.iter().all(|(_, made)| made.is_ok()));
    });
    let keys = load(&below, &rules, &node(1));
    let asking = took(&|| assert!(!keys.ask_all(clock.instant())));
    assert!(keys.sealing("t00").is_ok() && keys.sealing("t11").is_ok());
    // one after another they take three seconds
    let most = Duration::from_secs(2);
    assert!(making < most && asking < most, "{making:?} {asking:?}");
}

#[test]
fn one_slow_program_does_not_hold_up_the_others_while_a_node_runs() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("tenants");
    let mut rules = many(dir.path(), 2, 0, "0");
    let keys = load(&below, &rules, &node(1));
    for (_, made) in keys.create_all(keys.wanting(), &node(1), now()) {
        made.unwrap();
    }
    rules = many(dir.path(), 2, 1, "4");
    for rule in &mut rules {
        rule.lease = Duration::ZERO;
    }
    let keys = Arc::new(load(&below, &rules, &node(1)));
    crate::service::runtime(1).unwrap().block_on(async {
        let (clock, drain) = (SystemClock::default(), Drain::new());
        let begun = clock.instant();
        let (watched, until) = (Arc::clone(&keys), drain.clone());
        let asking = drain.clone();
        asking.spawn("tenant keys", async move {
            let clock = SystemClock::default();
            watched.watch(&clock, until, || {}).await;
        });
        let wait = |what: &'static str, is_open: bool| {
            let (keys, clock) = (Arc::clone(&keys), &clock);
            async move {
                while keys.sealing("t01").is_ok() != is_open {
                    let took = clock.instant().saturating_duration_since(begun);
                    assert!(took < Duration::from_millis(3500), "{what}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        wait("the quick one is at hand", true).await;
        std::fs::remove_file(dir.path().join("kept")).unwrap();
        wait("it is taken away at once", false).await;
        assert!(keys.sealing("t00").is_err(), "the slow one never answered");
        drain.begin();
        assert!(drain.finished(Duration::from_secs(20)).await);
    });
}
