//! The node key's files: every source, every way to fail, and every state that a cut can leave.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn files(dir: &Path) -> KeyFiles {
    KeyFiles {
        dir: dir.join("keys"),
        credentials: None,
        passphrase_file: None,
    }
}

fn put(path: &Path, bytes: &[u8], mode: u32) {
    durable::create_dir_all(path.parent().unwrap(), 0o700).unwrap();
    durable::write_atomic(path, bytes, mode).unwrap();
}

fn code(error: &KeyError) -> &'static str {
    error.failure().code
}

#[test]
fn what_a_start_does_with_what_a_cut_has_left() {
    use Slot::{Absent, Key, Unusable};
    for (key, next, sealed, expected) in [
        (Absent, Absent, false, Plan::Create),
        (Absent, Absent, true, Plan::Missing),
        (Key(1), Absent, false, Plan::Use),
        (Key(1), Absent, true, Plan::Use),
        (Key(1), Unusable, true, Plan::Use),
        (Key(1), Key(2), true, Plan::Finish),
        (Key(1), Key(2), false, Plan::Finish),
        (Key(2), Key(2), true, Plan::Adopt),
        (Absent, Key(2), true, Plan::Adopt),
        (Absent, Key(2), false, Plan::Adopt),
        (Unusable, Key(2), true, Plan::Adopt),
        (Unusable, Absent, true, Plan::Refuse),
        (Unusable, Absent, false, Plan::Refuse),
        (Unusable, Unusable, true, Plan::Refuse),
        (Absent, Unusable, true, Plan::Refuse),
    ] {
        assert_eq!(plan(key, next, sealed), expected, "{key:?} {next:?}");
    }
}

#[test]
fn the_first_start_makes_a_key_and_a_sealed_store_without_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    assert_eq!(code(&files.load(true).unwrap_err()), "QC3010");
    let made = files.load(false).unwrap();
    let again = files.load(true).unwrap();
    assert_eq!(again.current.id(), made.current.id());
    assert_eq!(again.source, KeySource::File);
    std::fs::set_permissions(files.key(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = files.load(true).unwrap_err();
    assert!(matches!(refused, KeyError::Mode { mode: 0o640, .. }));
}

#[test]
fn a_damaged_key_file_is_no_key_or_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let id = files.load(false).unwrap().current.id();
    let sound = std::fs::read(files.key()).unwrap();
    let load = |bytes: &[u8]| {
        put(&files.key(), bytes, 0o600);
        files.load(true)
    };
    let (mut refused, mut others) = (0, 0);
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match load(&bytes) {
            Err(KeyError::Content { .. } | KeyError::NeedsPassphrase { .. }) => refused += 1,
            // the log then says that its segments need another key
            Ok(loaded) if loaded.current.id() != id => others += 1,
            // white space at the end is no part of the key
            Ok(_) => assert_eq!(bit / 8, sound.len() - 1, "bit {bit}"),
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    assert!(refused > 100 && others > 100, "{refused} {others}");
    for length in 0..sound.len() - 1 {
        assert!(load(&sound[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_passphrase_seals_the_key_and_each_mistake_has_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("passphrase");
    let mut files = files(dir.path());
    files.passphrase_file = Some(secret.clone());
    assert_eq!(code(&files.load(false).unwrap_err()), "QC3040", "missing");
    put(&secret, b"short\n", 0o600);
    assert_eq!(code(&files.load(false).unwrap_err()), "QC3040", "short");
    put(&secret, &[b'x'; 1025], 0o600);
    let long = files.load(false).unwrap_err();
    assert!(matches!(long, KeyError::LongPassphrase { .. }), "{long:?}");
    assert!(
        long.to_string().contains("longer than 1024 bytes"),
        "{long}"
    );
    assert_eq!(code(&long), "QC3040");
    put(&secret, b"caf\xe9 au lait\n", 0o600);
    assert_eq!(code(&files.load(false).unwrap_err()), "QC3040", "no text");
    put(&secret, b"correct horse\n", 0o644);
    assert!(matches!(files.load(false), Err(KeyError::Mode { .. })));
    put(&secret, b"correct horse\n", 0o600);
    let made = files.load(false).unwrap();
    assert_eq!(made.source, KeySource::Passphrase);
    let text = std::fs::read_to_string(files.key()).unwrap();
    assert!(text.starts_with("qc-node-key 2 "), "{text}");
    let hex = made.current.to_text();
    assert!(!text.contains(hex.expose().trim().rsplit(' ').next().unwrap()));
    assert_eq!(files.load(true).unwrap().current.id(), made.current.id());

    put(&secret, b"battery staple\n", 0o600);
    assert_eq!(code(&files.load(true).unwrap_err()), "QC3041");
    files.passphrase_file = None;
    assert_eq!(code(&files.load(true).unwrap_err()), "QC3040");

    // the same passphrase from the service manager, whatever mode it gives its files
    put(
        &dir.path().join("creds/qc-node-passphrase"),
        b"correct horse",
        0o640,
    );
    files.credentials = Some(dir.path().join("creds"));
    assert_eq!(files.load(true).unwrap().current.id(), made.current.id());
}

#[test]
fn a_key_that_is_to_be_protected_is_used_and_said_to_lie_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(dir.path());
    assert!(!files.load(false).unwrap().lies_open);
    let secret = dir.path().join("passphrase");
    put(&secret, b"correct horse\n", 0o600);
    files.passphrase_file = Some(secret.clone());
    let open = files.load(true).unwrap();
    assert!(open.lies_open);
    // a rotation ends that, and after it a change of the passphrase takes one as well
    for passphrase in ["correct horse\n", "battery staple\n"] {
        put(&secret, passphrase.as_bytes(), 0o600);
        let next = files.prepare_next(&open.current).unwrap();
        let halfway = files.load(true).unwrap();
        assert_eq!(halfway.current.id(), next.id());
        assert_eq!(halfway.other.unwrap().id(), open.current.id());
        assert_eq!(files.prepare_next(&open.current).unwrap().id(), next.id());
        if passphrase.starts_with("battery") {
            let adopted = Adopted {
                source: KeySource::Passphrase,
                lies_open: false,
            };
            assert_eq!(files.adopt_next(&next).unwrap(), adopted);
            assert_eq!(files.adopt_next(&next).unwrap(), adopted, "once more");
            let done = files.load(true).unwrap();
            assert_eq!((done.current.id(), done.lies_open), (next.id(), false));
            // sealed under the old passphrase, and yet both open while keys change
            put(&secret, b"another horse\n", 0o600);
            files.prepare_next(&done.current).unwrap();
            let halfway = files.load(true).unwrap();
            assert_eq!(halfway.other.unwrap().id(), done.current.id());
        } else {
            durable::shred(&files.next()).unwrap();
        }
    }
}

#[test]
fn no_key_that_may_be_needed_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let old = files.load(false).unwrap().current;
    let other = NodeKey::from_bytes([7; 32]);
    let text = |key: &NodeKey| key.to_text().expose().clone();
    let is_there = |path: &Path, bytes: &str| std::fs::read_to_string(path).unwrap() == bytes;

    // in the place of the key in use
    put(&files.key(), text(&other).as_bytes(), 0o600);
    let refused = files.prepare_next(&old).unwrap_err();
    assert!(matches!(refused, KeyError::Another { .. }), "{refused:?}");
    assert!(refused.failure().to_string().contains("move "));
    assert!(is_there(&files.key(), &text(&other)));
    // lost, it is written again
    std::fs::remove_file(files.key()).unwrap();
    files.prepare_next(&old).unwrap();
    assert!(is_there(&files.key(), &text(&old)));

    // in the place of the next one: readable, spoilt, or not for us
    put(&files.next(), text(&other).as_bytes(), 0o600);
    assert_eq!(files.prepare_next(&old).unwrap().id(), other.id());
    for (next, mode) in [("spoilt".to_owned(), 0o600), (text(&other), 0o640)] {
        put(&files.next(), next.as_bytes(), mode);
        files.prepare_next(&old).unwrap_err();
        assert!(is_there(&files.next(), &next));
    }
    // what may be made readable is not taken for spoilt by a start
    assert!(matches!(files.load(true), Err(KeyError::Mode { .. })));

    // an adoption takes only the key that it is for, and brings that back where it is lost
    put(&files.next(), text(&old).as_bytes(), 0o600);
    let refused = files.adopt_next(&other).unwrap_err();
    assert!(matches!(refused, KeyError::Another { .. }), "{refused:?}");
    std::fs::remove_file(files.next()).unwrap();
    files.adopt_next(&other).unwrap();
    assert!(is_there(&files.key(), &text(&other)));
    assert!(!files.next().exists());
}

#[test]
fn a_next_key_in_the_clear_is_not_said_to_be_protected() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(dir.path());
    let old = files.load(false).unwrap().current;
    let next = files.prepare_next(&old).unwrap();
    let secret = dir.path().join("passphrase");
    put(&secret, b"correct horse\n", 0o600);
    files.passphrase_file = Some(secret);
    let adopted = files.adopt_next(&next).unwrap();
    assert_eq!((adopted.source, adopted.lies_open), (KeySource::File, true));
}

#[test]
fn a_credential_goes_before_the_file_and_brings_the_old_one_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(dir.path());
    let file = files.load(false).unwrap().current;
    let creds = dir.path().join("creds");
    files.credentials = Some(creds.clone());
    let new = NodeKey::from_bytes([7; 32]);
    let hex = "07".repeat(32);
    for form in [
        vec![7; 32],
        format!("{hex}\n").into_bytes(),
        new.to_text().expose().clone().into_bytes(),
    ] {
        put(&creds.join("qc-node.key"), &form, 0o440);
        let loaded = files.load(true).unwrap();
        assert_eq!(
            (loaded.current.id(), loaded.source),
            (new.id(), KeySource::Credential)
        );
        assert_eq!(
            loaded.other.unwrap().id(),
            file.id(),
            "moving into a credential"
        );
        assert!(loaded.lies_open);
    }
    put(&creds.join("qc-node.key.old"), &[8; 32], 0o440);
    let old = files.load(true).unwrap().other.unwrap();
    assert_eq!(old.id(), NodeKey::from_bytes([8; 32]).id());
    put(&creds.join("qc-node.key"), b"no key", 0o440);
    assert_eq!(code(&files.load(true).unwrap_err()), "QC3010");
}
