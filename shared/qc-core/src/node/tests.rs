//! Keys that change under an open store: cut off after every step, the next start ends the change and
//! nothing is lost.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::keys::STEPS;
use super::*;
use crate::clock::SystemClock;
use crate::durable::{self, faults::Faults};
use crate::model::{Envelope, Lane, Message, Seq, Tenant};
use crate::store::{AppendError, Draft, NoKey, NodeKey, ReadError, StreamKey, segment_keys};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    crate::service::runtime(1).unwrap().block_on(work)
}

fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    durable::write_atomic(path.as_ref(), bytes.as_ref(), 0o600).unwrap();
}

fn rule(tenant: &str) -> TenantKeyRule {
    TenantKeyRule {
        tenant: tenant.parse().unwrap(),
        exec: Vec::new(),
        deadline: Duration::from_secs(5),
        lease: Duration::from_mins(1),
    }
}

fn with_tenants(tenants: &[&str]) -> KeyOptions {
    KeyOptions {
        tenants: tenants.iter().map(|tenant| rule(tenant)).collect(),
        ..KeyOptions::default()
    }
}

pub(super) async fn open(dir: &Path, options: &KeyOptions) -> Result<(Log, Keys), Failure> {
    let small = |log| LogOptions {
        segment_bytes: 64 << 10,
        ..log
    };
    let clock = Arc::new(SystemClock::default());
    let opened = open_store(dir, "qc-test", small, options, clock).await?;
    Ok((opened.0, opened.2))
}

async fn put(log: &Log, stream: &str, ids: std::ops::Range<u32>) -> Result<(), AppendError> {
    let key = StreamKey::hub(stream.parse().unwrap());
    for id in ids {
        let envelope = Envelope::new(format!("{stream}-{id}"), "/test", "test.event");
        let body = Bytes::from(format!("{stream} body {id} ").repeat(100));
        let draft = Draft::from_message(&Message { envelope, body }, Lane::Normal);
        log.append(&key, vec![draft]).await?;
    }
    Ok(())
}

fn get(log: &Log, stream: &str) -> Result<usize, ReadError> {
    let key = StreamKey::hub(stream.parse().unwrap());
    let records = log.read(&key, Seq::ZERO, 10_000, 100 << 20)?;
    for record in &records {
        let begin = format!("{stream} body ");
        assert!(record.body.starts_with(begin.as_bytes()), "{stream}");
    }
    Ok(records.len())
}

fn key_files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("keys")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn acme() -> Tenant {
    "acme".parse().unwrap()
}

#[test]
fn a_rotation_that_is_cut_off_after_any_step_is_ended_by_the_next_start() {
    for step in STEPS {
        let dir = tempfile::tempdir().unwrap();
        let options = with_tenants(&["acme"]);
        block_on(async {
            let (log, keys) = open(dir.path(), &options).await.unwrap();
            put(&log, "acme/a", 0..60).await.unwrap();
            put(&log, "other/a", 0..60).await.unwrap();
            let before = keys.report().node.id;
            let change = keys.rotate_until(step).await.unwrap();
            assert_eq!(change.old.as_ref(), Some(&before));
            put(&log, "acme/a", 60..70).await.unwrap();
            log.close();
            write(dir.path().join("keys/.node.key.1-2.tmp"), b"left aside");

            // twice: what the first start ends, the second one must find ended
            for _ in 0..2 {
                let (log, keys) = open(dir.path(), &options).await.unwrap();
                let report = keys.report();
                assert_eq!(Some(&report.node.id), change.new.as_ref(), "{step:?}");
                assert_eq!(report.node.other_segments, 0, "{step:?}");
                assert!(report.node.segments > 1, "{step:?}");
                assert_eq!(key_files(dir.path()), ["node.key", "tenants"], "{step:?}");
                assert_eq!(get(&log, "acme/a").unwrap(), 70, "{step:?}");
                assert_eq!(get(&log, "other/a").unwrap(), 60, "{step:?}");
                log.close();
            }
        });
    }
}

#[test]
fn a_rotation_goes_on_where_one_in_the_same_process_was_cut_off() {
    for step in STEPS {
        let dir = tempfile::tempdir().unwrap();
        let options = with_tenants(&["acme"]);
        block_on(async {
            let (log, keys) = open(dir.path(), &options).await.unwrap();
            put(&log, "acme/a", 0..20).await.unwrap();
            keys.rotate_until(step).await.unwrap();
            // a tenant's key that is made in between is wrapped by the new one
            keys.rotate_tenant(acme()).await.unwrap();
            keys.rotate().await.unwrap();
            put(&log, "acme/a", 20..30).await.unwrap();
            assert_eq!(get(&log, "acme/a").unwrap(), 30, "{step:?}");
            let report = keys.report();
            assert_eq!(report.node.other_segments, 0);
            log.close();
            let (log, keys) = open(dir.path(), &options).await.unwrap();
            let again = keys.report();
            assert_eq!(again.node.id, report.node.id, "{step:?}");
            assert_eq!(again.node.other_segments, 0, "{step:?}");
            assert_eq!(again.tenants, report.tenants, "{step:?}");
            assert_eq!(get(&log, "acme/a").unwrap(), 30, "{step:?}");
            log.close();
        });
    }
}

/// A store with two tenants, one of them under a key of its own; with a passphrase, if it is to have one.
async fn two_tenants(dir: &Path, passphrase: bool) -> (Log, Keys, KeyOptions) {
    let mut options = with_tenants(&["acme"]);
    if passphrase {
        // below keys/, where reading it is counted among the calls that fail
        let path = dir.join("keys/passphrase");
        durable::create_dir_all(&dir.join("keys"), 0o700).unwrap();
        write(&path, b"correct horse");
        options.passphrase_file = Some(path);
    }
    let (log, keys) = open(dir, &options).await.unwrap();
    put(&log, "acme/a", 0..3).await.unwrap();
    put(&log, "other/a", 0..3).await.unwrap();
    (log, keys, options)
}

/// A start after whatever happened: everything is there, and keys change as ever.
async fn assert_whole(dir: &Path, options: &KeyOptions, acme_has: usize, what: &str) {
    for _ in 0..2 {
        let opened = open(dir, options).await;
        let (log, keys) = opened
            .map_err(|failure| format!("{what}: {failure}"))
            .unwrap();
        assert_eq!(get(&log, "acme/a").unwrap(), acme_has, "{what}");
        assert_eq!(get(&log, "other/a").unwrap(), 3, "{what}");
        let report = keys.report();
        assert_eq!(report.node.other_segments, 0, "{what}");
        let left = key_files(dir);
        let left: Vec<_> = left.iter().filter(|name| *name != "passphrase").collect();
        assert_eq!(left, ["node.key", "tenants"], "{what}");
        keys.rotate().await.unwrap();
        assert_ne!(keys.report().node.id, report.node.id, "{what}");
        log.close();
    }
}

#[test]
fn a_rotation_that_fails_anywhere_and_is_cut_off_when_it_is_tried_again_loses_nothing() {
    // every pair of calls in a release build, some of them in a debug build
    const STRIDE: usize = if cfg!(debug_assertions) { 8 } else { 1 };
    for passphrase in [false, true] {
        let (mut first, mut struck) = (0, 0);
        loop {
            first += 1;
            let mut second = 1 + first * 3 % STRIDE;
            let all_calls_done = loop {
                let what = format!("passphrase {passphrase}: error {first}, kill {second}");
                let dir = tempfile::tempdir().unwrap();
                let below = dir.path().join("keys");
                let (failed, killed) = block_on(async {
                    let (log, keys, options) = two_tenants(dir.path(), passphrase).await;
                    let faults = Faults::once(&below, first);
                    let rotated = keys.rotate().await;
                    let failed = faults.have_struck();
                    // a key that cannot be read is written anew, so some faults harm nobody
                    assert!(failed || rotated.is_ok(), "{what}");
                    drop(faults);
                    // the node goes on, and so do its tenants
                    put(&log, "acme/a", 3..5).await.unwrap();
                    keys.rotate_tenant(acme()).await.unwrap();
                    put(&log, "acme/a", 5..7).await.unwrap();
                    let faults = Faults::killed(&below, second);
                    let again = keys.rotate().await;
                    let killed = faults.have_struck();
                    assert!(killed || again.is_ok(), "{what}");
                    log.close();
                    drop(faults);
                    assert_whole(dir.path(), &options, 7, &what).await;
                    (failed, killed)
                });
                struck += usize::from(failed && killed);
                if !killed {
                    break !failed;
                }
                second += STRIDE;
            };
            if all_calls_done {
                break;
            }
        }
        assert!(first > 10 && struck > 100 / STRIDE, "{first} {struck}");
    }
}

#[test]
fn a_destroyed_key_stays_destroyed_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = with_tenants(&["acme", "other"]);
    let path = dir.path().join("keys/tenants/acme.key");
    block_on(async {
        let (log, keys) = open(dir.path(), &options).await.unwrap();
        put(&log, "acme/a", 0..20).await.unwrap();
        put(&log, "other/a", 0..20).await.unwrap();
        keys.rotate_tenant(acme()).await.unwrap();
        put(&log, "acme/a", 20..40).await.unwrap();
        assert_eq!(get(&log, "acme/a").unwrap(), 40, "both generations open");
        let undestroyed = std::fs::read(&path).unwrap();
        keys.destroy_tenant(acme(), "contract ended").await.unwrap();
        assert!(!path.exists());
        let gone = |read| match read {
            Err(ReadError::TenantKey { reason }) => {
                assert_eq!(reason.code(), "QC3046");
                assert!(reason.to_string().contains("contract ended"), "{reason}");
            }
            other => panic!("{other:?}"),
        };
        gone(get(&log, "acme/a"));
        let refused = put(&log, "acme/a", 40..41).await.unwrap_err();
        assert!(matches!(
            refused,
            AppendError::TenantKey {
                reason: NoKey::Destroyed(_),
                ..
            }
        ));
        assert_eq!(get(&log, "other/a").unwrap(), 20);
        let again = keys.destroy_tenant(acme(), "again").await.unwrap();
        assert_eq!(again.done, "unchanged");
        assert_eq!(keys.rotate_tenant(acme()).await.unwrap_err().code, "QC3046");
        log.close();

        // a destruction that was cut off: the file as it was, half overwritten, or left aside
        let half = [&[0; 100][..], undestroyed.get(100..).unwrap()].concat();
        for left in [undestroyed, half, vec![0; 300]] {
            write(&path, &left);
            let (log, keys) = open(dir.path(), &options).await.unwrap();
            assert!(!path.exists());
            gone(get(&log, "acme/a"));
            assert_eq!(get(&log, "other/a").unwrap(), 20);
            assert_eq!(keys.report().tenants.len(), 2);
            log.close();
        }

        let (log, keys) = open(dir.path(), &options).await.unwrap();
        assert_eq!(keys.create_tenant(acme()).await.unwrap().done, "created");
        assert_eq!(keys.create_tenant(acme()).await.unwrap().done, "unchanged");
        put(&log, "acme/b", 0..10).await.unwrap();
        log.close();
        let (log, _keys) = open(dir.path(), &options).await.unwrap();
        assert_eq!(get(&log, "acme/b").unwrap(), 10);
        gone(get(&log, "acme/a"));
        log.close();
    });
}

#[test]
fn a_lost_key_file_is_not_taken_for_one_that_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let options = with_tenants(&["acme"]);
    let path = dir.path().join("keys/tenants/acme.key");
    block_on(async {
        let (log, _keys) = open(dir.path(), &options).await.unwrap();
        put(&log, "acme/a", 0..10).await.unwrap();
        log.close();
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (log, keys) = open(dir.path(), &options).await.unwrap();
        assert!(!path.exists());
        let refused = put(&log, "acme/a", 10..11).await.unwrap_err();
        assert!(matches!(
            refused,
            AppendError::TenantKey {
                reason: NoKey::Away(_),
                ..
            }
        ));
        assert_eq!(
            keys.destroy_tenant(acme(), "x").await.unwrap_err().code,
            "QC3048"
        );
        log.close();
        write(&path, b"{\"not\": \"keys\"}");
        let (log, keys) = open(dir.path(), &options).await.unwrap();
        assert_eq!(keys.create_tenant(acme()).await.unwrap_err().code, "QC3047");
        log.close();
        write(&path, file);
        let (log, _keys) = open(dir.path(), &options).await.unwrap();
        assert_eq!(get(&log, "acme/a").unwrap(), 10);
        log.close();
    });
}

#[test]
fn a_key_moves_into_a_credential_and_is_not_rotated_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = with_tenants(&["acme"]);
    let creds = dir.path().join("creds");
    std::fs::create_dir(&creds).unwrap();
    block_on(async {
        let (log, _keys) = open(dir.path(), &options).await.unwrap();
        put(&log, "acme/a", 0..20).await.unwrap();
        log.close();
        write(creds.join("qc-node.key"), [7; 32]);
        options.credentials = Some(creds.clone());
        let (log, keys) = open(dir.path(), &options).await.unwrap();
        let report = keys.report().node;
        assert_eq!(
            (report.source.as_str(), report.other_segments),
            ("credential", 0)
        );
        assert!(report.lies_open);
        let refused = keys.rotate().await.unwrap_err();
        assert_eq!(refused.code, "QC3045");
        assert!(
            refused
                .help
                .iter()
                .any(|help| help.contains("systemd-creds encrypt"))
        );
        log.close();

        // the file is not needed any more
        std::fs::remove_file(dir.path().join("keys/node.key")).unwrap();
        let (log, keys) = open(dir.path(), &options).await.unwrap();
        assert_eq!(get(&log, "acme/a").unwrap(), 20);
        assert!(!keys.report().node.lies_open);
        log.close();

        // the next one, with the old one beside it for one start
        std::fs::rename(creds.join("qc-node.key"), creds.join("qc-node.key.old")).unwrap();
        write(creds.join("qc-node.key"), [8; 32]);
        let (log, _keys) = open(dir.path(), &options).await.unwrap();
        log.close();
        std::fs::remove_file(creds.join("qc-node.key.old")).unwrap();
        let (log, _keys) = open(dir.path(), &options).await.unwrap();
        assert_eq!(get(&log, "acme/a").unwrap(), 20);
        log.close();
        let id = NodeKey::from_bytes([8; 32]).id();
        let wrapped = segment_keys(&RealDisk, &dir.path().join("log")).unwrap();
        assert_eq!(wrapped.keys().copied().collect::<Vec<_>>(), [id]);

        write(creds.join("qc-node.key"), [9; 32]);
        let refused = open(dir.path(), &options).await.map(drop).unwrap_err();
        assert_eq!(refused.code, "QC3012");
    });
}

#[test]
fn what_is_shown_without_a_daemon_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::default();
    let options = KeyOptions::default();
    let nothing = key_report(dir.path(), "qc-test", &options, &clock).unwrap_err();
    assert_eq!(nothing.code, "QC3010");
    let names = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir.join("log")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let shown = block_on(async {
        let (log, keys) = open(dir.path(), &options).await.unwrap();
        put(&log, "acme/a", 0..20).await.unwrap();
        log.close();
        keys.report()
    });
    let before = names(dir.path());
    let report = key_report(dir.path(), "qc-test", &options, &clock).unwrap();
    assert_eq!(report, shown);
    assert_eq!(names(dir.path()), before);
}
