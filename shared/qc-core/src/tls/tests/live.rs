//! Credentials that change while somebody is connected, and while a script writes their files.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::FutureExt as _;
use tempfile::TempDir;

use super::*;
use crate::durable;
use crate::pki::certs_to_pem;

const EDGE: &str = "edge-07.mill7.acme";
const OTHER: &str = "other-1.mill7.acme";
const HUB: &str = "hub-1.hq.acme";

fn list(house: &House, number: u64, revoked: &[&Identity]) -> Vec<u8> {
    let now = house.clock.now();
    let revoked: Vec<_> = revoked
        .iter()
        .map(|identity| Revocation {
            serial: identity.node.view.serial.clone(),
            at_ms: now.as_millis(),
            key_compromise: true,
        })
        .collect();
    house.hq.sign_crl(number, &revoked, now).unwrap()
}

fn credentials(house: &House, identity: &Identity) -> Credentials {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&house.clock);
    Credentials::from_parts(identity, house.trust(), clock).unwrap()
}

async fn shown(client: &Credentials, server: &Credentials) -> (Shown, Shown) {
    let (dialled, accepted) = meet(client, server, Some(HUB)).await;
    let Ok(Accepted::Link { shown, .. }) = accepted else {
        panic!("{accepted:?}")
    };
    (dialled.unwrap().shown, shown)
}

#[tokio::test]
async fn who_is_revoked_loses_trust_and_nobody_else() {
    let house = house();
    let hub_identity = house.identity(HUB, Role::Relay);
    let hub = credentials(&house, &hub_identity);
    let edge_identity = house.identity(EDGE, Role::Edge);
    let edge = credentials(&house, &edge_identity);
    let other = house.credentials(OTHER, Role::Edge);
    let (relay_shown, edge_shown) = shown(&edge, &hub).await;
    let (_, other_shown) = shown(&other, &hub).await;
    let mut of_edge = Box::pin(hub.distrusted(Some(edge_shown)));
    let mut of_other = Box::pin(hub.distrusted(Some(other_shown)));
    let mut of_nobody = Box::pin(hub.distrusted(None));
    let mut of_relay = Box::pin(edge.distrusted(Some(relay_shown)));
    assert!((&mut of_edge).now_or_never().is_none());

    // a new certificate of our own, and time that has gone by, cost nobody the link
    house.clock.advance(2 * LEAF_LIFETIME);
    hub.replace(&house.identity(HUB, Role::Relay), house.trust())
        .unwrap();
    assert!((&mut of_edge).now_or_never().is_none());
    assert!((&mut of_other).now_or_never().is_none());

    let mut trust = house.trust();
    trust.add_crl(list(&house, 1, &[&edge_identity])).unwrap();
    hub.replace(&hub_identity, trust).unwrap();
    let refusal = of_edge.now_or_never().unwrap();
    assert_eq!(refusal.code(), "QC2008");
    assert_eq!(as_refusal(&refusal).code.to_string(), "QC2008");
    assert!((&mut of_other).now_or_never().is_none());

    // the root goes, and with it everybody who has a certificate at all
    let nobody = TrustAnchors::new("qc.internal".parse().unwrap());
    hub.replace(&hub_identity, nobody).unwrap();
    assert_eq!(of_other.now_or_never().unwrap().code(), "QC2002");
    assert!((&mut of_nobody).now_or_never().is_none());

    // the dialling side judges as well
    assert!((&mut of_relay).now_or_never().is_none());
    let mut trust = house.trust();
    trust.add_crl(list(&house, 2, &[&hub_identity])).unwrap();
    edge.replace(&edge_identity, trust).unwrap();
    assert_eq!(of_relay.now_or_never().unwrap().code(), "QC2008");
}

#[tokio::test]
async fn what_changes_between_handshake_and_waiting_is_not_missed() {
    let house = house();
    let hub_identity = house.identity(HUB, Role::Relay);
    let hub = credentials(&house, &hub_identity);
    let edge_identity = house.identity(EDGE, Role::Edge);
    let edge = credentials(&house, &edge_identity);
    let (_, edge_shown) = shown(&edge, &hub).await;
    let mut trust = house.trust();
    trust.add_crl(list(&house, 1, &[&edge_identity])).unwrap();
    hub.replace(&hub_identity, trust).unwrap();
    let late = hub.distrusted(Some(edge_shown)).now_or_never();
    assert_eq!(late.unwrap().code(), "QC2008");
}

/// A node's state directory, and credentials loaded from it.
fn on_disk(house: &House) -> (TempDir, Credentials, FileWatch) {
    let dir = tempfile::tempdir().unwrap();
    let identity = house.identity(HUB, Role::Relay);
    identity.install(dir.path(), "test").unwrap();
    house.trust().save(&dir.path().join("trust")).unwrap();
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&house.clock);
    let credentials = Credentials::load(dir.path(), clock).unwrap();
    let watch = FileWatch::new(credentials.clone());
    (dir, credentials, watch)
}

fn put(path: &Path, bytes: &[u8]) {
    durable::write_atomic(path, bytes, 0o644).unwrap();
}

#[test]
fn a_list_put_in_place_is_in_force_at_the_next_look() {
    let house = house();
    let (dir, credentials, mut watch) = on_disk(&house);
    let edge = house.identity(EDGE, Role::Edge);
    let revoked = || {
        credentials
            .current()
            .trust
            .has_revoked(&edge.node.view.serial)
    };
    let now = crate::clock::SystemClock::machine_time();
    let later = now.plus(Duration::from_mins(1));
    assert!(matches!(watch.look(now), Look::Same));
    assert!(matches!(watch.look(later), Look::Same));
    let generation = credentials.current().generation;

    let place = dir.path().join("trust/crl/hq.der");
    let good = list(&house, 7, &[&edge]);
    // half of it, as a script writes that does not rename
    put(&place, &good[..good.len() / 2]);
    assert!(matches!(watch.look(later), Look::Same));
    assert_eq!(watch.bad_lists().len(), 1);
    assert!(matches!(watch.look(later), Look::Same));
    assert!(watch.bad_lists().is_empty());
    assert_eq!(credentials.current().generation, generation);
    put(&place, &good);
    assert!(matches!(watch.look(later), Look::Taken));
    assert!(revoked());
    assert_eq!(credentials.current().generation, generation + 1);
    assert!(matches!(watch.look(later), Look::Same));

    // an older list, or none, does not let anybody in again; said once
    put(&place, &list(&house, 6, &[]));
    let kept = watch.look(later);
    assert!(matches!(&kept, Look::Kept(of) if of.len() == 1), "{kept:?}");
    std::fs::remove_file(&place).unwrap();
    assert!(matches!(watch.look(later), Look::Same));
    assert!(revoked());
    // a newer one does
    put(&place, &list(&house, 8, &[]));
    assert!(matches!(watch.look(later), Look::Taken));
    assert!(!revoked());

    // a new certificate, switched to by one rename
    let next = house.identity(HUB, Role::Relay);
    next.install(dir.path(), "renewed").unwrap();
    assert!(matches!(watch.look(later), Look::Taken));
    let shown = credentials.current().node.spki_sha256;
    assert_eq!(shown, next.node.view.spki_sha256);
}

/// Two writes within a tick of the file system's clock can look the same: the second one counts too.
#[test]
fn a_young_file_is_read_twice() {
    let house = house();
    let (dir, credentials, mut watch) = on_disk(&house);
    let now = crate::clock::SystemClock::machine_time();
    assert!(matches!(watch.look(now), Look::Same));
    let unseen = watch_as_if_nothing_changed(&mut watch, &dir, &house);
    assert!(matches!(watch.look(now), Look::Taken));
    let revoked = credentials.current().trust.has_revoked(&unseen);
    assert!(revoked);
}

/// Puts a list in place, and makes the watch believe that it has seen this very file.
fn watch_as_if_nothing_changed(watch: &mut FileWatch, dir: &TempDir, house: &House) -> String {
    let edge = house.identity(EDGE, Role::Edge);
    put(
        &dir.path().join("trust/crl/hq.der"),
        &list(house, 1, &[&edge]),
    );
    watch.pretend_seen();
    edge.node.view.serial
}

/// One bad list is said once for every content that it has, and does not hold up another.
#[test]
fn a_bad_list_does_not_hold_up_a_good_one() {
    let house = house();
    let (dir, credentials, mut watch) = on_disk(&house);
    let later = crate::clock::SystemClock::machine_time().plus(Duration::from_mins(1));
    let crl = dir.path().join("trust/crl");
    put(&crl.join("a.der"), b"no list");
    put(&crl.join("z.pem"), b"none either");
    watch.look(later);
    let names: BTreeSet<_> = watch
        .bad_lists()
        .iter()
        .map(|list| list.path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, BTreeSet::from(["a.der".into(), "z.pem".into()]));

    let edge = house.identity(EDGE, Role::Edge);
    put(&crl.join("hq.der"), &list(&house, 1, &[&edge]));
    assert!(matches!(watch.look(later), Look::Taken));
    assert!(watch.bad_lists().is_empty());
    let trust = &credentials.current().trust;
    assert!(trust.has_revoked(&edge.node.view.serial));

    put(&crl.join("a.der"), b"another that is none");
    watch.look(later);
    assert_eq!(watch.bad_lists().len(), 1);
    // whoever asks for it, and who starts, is told
    let refused = credentials.reload().unwrap_err();
    assert_eq!(refused.code(), "QC2023");
}

/// A copy that was begun, and a disk that was full, must not cut a fleet.
#[test]
fn roots_that_are_gone_for_a_moment_cost_nobody_trust() {
    let house = house();
    let (dir, credentials, mut watch) = on_disk(&house);
    let later = crate::clock::SystemClock::machine_time().plus(Duration::from_mins(1));
    assert!(matches!(watch.look(later), Look::Same));
    let generation = credentials.current().generation;
    let roots = dir.path().join("trust/roots.pem");
    let good = std::fs::read(&roots).unwrap();

    put(&roots, b"");
    for is_first in [true, false, false] {
        let look = watch.look(later);
        assert!(
            matches!(&look, Look::Broken { error, is_news } if error.code() == "QC2023" && *is_news == is_first),
            "{look:?}"
        );
    }
    assert_eq!(credentials.reload().unwrap_err().code(), "QC2023");
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&house.clock);
    assert!(Credentials::load(dir.path(), clock).is_err());
    // as useless in the same way, but other files: that is news
    put(&roots, b"");
    assert!(matches!(
        watch.look(later),
        Look::Broken { is_news: true, .. }
    ));
    put(&roots, &good);
    assert!(matches!(watch.look(later), Look::Same));
    assert_eq!(credentials.current().generation, generation);

    // one of two roots: not at the first look, and not when the other is back at the second
    let domain = "qc.internal".parse().unwrap();
    let other = Authority::create_root("next", "acme", &domain, house.clock.now()).unwrap();
    let both = certs_to_pem([house.root.cert(), other.cert()]);
    put(&roots, both.as_bytes());
    assert!(matches!(watch.look(later), Look::Taken));
    put(&roots, &good);
    assert!(matches!(watch.look(later), Look::Same));
    assert_eq!(credentials.current().trust.roots().count(), 2);
    put(&roots, both.as_bytes());
    assert!(matches!(watch.look(later), Look::Same));
    put(&roots, &good);
    assert!(matches!(watch.look(later), Look::Same));
    assert!(matches!(watch.look(later), Look::Taken));
    assert_eq!(credentials.current().trust.roots().count(), 1);
    // neither is a CA
    put(&dir.path().join("trust/cas.pem"), b"");
    assert!(matches!(watch.look(later), Look::Same));
    assert!(matches!(watch.look(later), Look::Taken));
}

/// Who reads last is in force last, however many read at once.
#[test]
fn of_reloads_at_once_the_newest_files_win() {
    let house = house();
    let (dir, credentials, _) = on_disk(&house);
    let place = dir.path().join("trust/crl/hq.der");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    credentials.reload().unwrap();
                }
            });
        }
        for number in 1..=60 {
            put(&place, &list(&house, number, &[]));
            credentials.reload().unwrap();
            let loaded = credentials.current();
            let held = loaded.trust.crl_views().next().unwrap().number;
            assert_eq!(held, number);
        }
    });
}

#[tokio::test]
async fn who_was_revoked_during_its_handshake_is_judged_again() {
    let house = house();
    let hub_identity = house.identity(HUB, Role::Relay);
    let hub = credentials(&house, &hub_identity);
    let edge_identity = house.identity(EDGE, Role::Edge);
    let edge = credentials(&house, &edge_identity);
    let (_, edge_shown) = shown(&edge, &hub).await;
    assert_eq!(hub.judge_again(&edge_shown), Ok(()));
    let mut trust = house.trust();
    trust.add_crl(list(&house, 1, &[&edge_identity])).unwrap();
    hub.replace(&hub_identity, trust).unwrap();
    let refusal = hub.judge_again(&edge_shown).unwrap_err();
    assert_eq!(refusal.code(), "QC2008");
}
