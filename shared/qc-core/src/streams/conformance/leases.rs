//! Rules of leases: one holder at a time, and a token that only grows.

use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use super::{Make, Verdict, cut, ensure, get, now, reopen};
use crate::store::testing::block_on;
use crate::streams::{Lease, LeaseError};

const TTL: Duration = Duration::from_secs(30);
/// Just before it is over.
const EARLY: Duration = Duration::from_millis(29_999);

/// Of all who ask at once one gets it; the others learn who.
pub(super) fn a_lease_has_one_holder(make: Make<'_>) -> Verdict {
    let ground = make();
    let engine = ground.open();
    for round in 0..10_u64 {
        let name = format!("route-{}", round % 2);
        let at = now(ground.as_ref());
        let ask = |who: u64| {
            let (engine, name) = (Arc::clone(&engine), name.clone());
            move || block_on(engine.acquire(&name, &format!("relay-{who}"), TTL, at))
        };
        let answers = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..6).map(|who| scope.spawn(ask(who))).collect();
            let answers = askers.into_iter().map(ScopedJoinHandle::join);
            answers.collect::<Result<Vec<_>, _>>()
        });
        let answers = answers.map_err(|_| "an asker panicked")?;
        let granted: Vec<&Lease> = answers.iter().flatten().collect();
        ensure!(granted.len() == 1, "granted at once: {granted:?}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let by_holder = match refused {
                LeaseError::Held(lease) => granted.first() == Some(&lease),
                LeaseError::Contended => true,
                _ => false,
            };
            ensure!(by_holder, "refused by another than the holder: {refused}");
        }
        // not before its time, and then at once
        let early = at.plus(EARLY);
        let other = block_on(engine.acquire(&name, "another", TTL, early));
        ensure!(other.is_err(), "taken over before its time: {other:?}");
        ground.clock().advance(TTL + Duration::from_secs(1));
    }
    Ok(())
}

/// Every grant has a greater token than all before: after expiry, release, restarts and power cuts.
pub(super) fn a_lease_token_only_grows(make: Make<'_>) -> Verdict {
    let ground = make();
    let mut engine = ground.open();
    let mut newest = 0;
    for round in 0..12 {
        let at = now(ground.as_ref());
        let holder = format!("relay-{}", round % 3);
        let lease = get("acquire", engine.acquire("route", &holder, TTL, at))?;
        ensure!(
            lease.token > newest,
            "round {round}: token {} after {newest}",
            lease.token
        );
        newest = lease.token;
        let renewed = get("renew", engine.renew(&lease, TTL * 2, at))?;
        ensure!(
            renewed.token == newest && renewed.until > lease.until,
            "renewed: {renewed:?}"
        );
        match round % 3 {
            0 => get("release", engine.release(&renewed))?,
            1 => ground.clock().advance(TTL * 3),
            // a restart of the holder does not wait for its own lease
            _ => {
                let again = get("acquire", engine.acquire("route", &holder, TTL, at))?;
                ensure!(again.token > newest, "the same token twice: {again:?}");
                newest = again.token;
                get("release", engine.release(&again))?;
            }
        }
        engine = match round % 2 {
            0 => cut(ground.as_ref(), engine),
            _ => reopen(ground.as_ref(), engine),
        };
    }
    Ok(())
}

/// A grant that was taken over is neither prolonged nor given back in the new holder's place.
pub(super) fn a_lost_lease_is_not_renewed(make: Make<'_>) -> Verdict {
    let ground = make();
    let engine = ground.open();
    let at = now(ground.as_ref());
    let first = get("acquire", engine.acquire("route", "a", TTL, at))?;
    let late = at.plus(TTL * 2);
    // it ran out and nobody has asked meanwhile: still its own
    let first = get("renew", engine.renew(&first, TTL, late))?;
    let late = late.plus(TTL * 2);
    let second = get("acquire", engine.acquire("route", "b", TTL, late))?;
    let renewed = block_on(engine.renew(&first, TTL, late));
    let lost = matches!(&renewed, Err(LeaseError::Lost { token }) if *token == second.token);
    ensure!(lost, "taken over, and renewed: {renewed:?}");
    get("release", engine.release(&first))?;
    let engine = cut(ground.as_ref(), engine);
    let third = block_on(engine.acquire("route", "c", TTL, late));
    let held = matches!(&third, Err(LeaseError::Held(lease)) if *lease == second);
    ensure!(held, "given back by who had lost it: {third:?}");
    Ok(())
}
