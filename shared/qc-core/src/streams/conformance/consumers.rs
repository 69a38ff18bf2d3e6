//! Rules of consumers: positions only grow, and what ends without them is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Make, Verdict, cut, ensure, get, publish, reopen, soon, stream};
use crate::model::Seq;
use crate::store::Limits;
use crate::streams::{Account, Streams};

/// A position only grows, whatever is said, by whom and after which restart.
pub(super) fn a_cursor_never_goes_back(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let mut engine = ground.open();
    publish(engine.as_ref(), &of, 0..20)?;
    engine.begin(&of, "late", Seq(7));
    let mut highest = 0;
    for (step, seq) in [3, 9, 5, 9, 1, 12, 0, 11].into_iter().enumerate() {
        let passed = engine.advance(&of, "sink", Seq(seq));
        let ahead = seq.saturating_sub(highest);
        ensure!(passed == ahead, "from {highest} to {seq} is {passed}");
        highest = highest.max(seq);
        engine.begin(&of, "sink", Seq::ZERO);
        let at = engine.position(&of, "sink");
        ensure!(
            at == Seq(highest),
            "after {seq} it stands at {at}, not at {highest}"
        );
        if step % 2 == 1 {
            get("flush", engine.flush())?;
            engine = reopen(ground.as_ref(), engine);
            let at = engine.position(&of, "sink");
            ensure!(
                at == Seq(highest),
                "reopened it stands at {at}, not at {highest}"
            );
        }
    }
    let all = engine.positions(&of);
    let expected = [("late".to_owned(), Seq(7)), ("sink".to_owned(), Seq(12))];
    ensure!(all == BTreeMap::from(expected), "the consumers are {all:?}");
    Ok(())
}

/// What was not written before the power went may be delivered again; it is never skipped.
pub(super) fn an_unwritten_cursor_only_repeats(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let engine = ground.open();
    publish(engine.as_ref(), &of, 0..20)?;
    engine.advance(&of, "sink", Seq(5));
    get("flush", engine.flush())?;
    engine.advance(&of, "sink", Seq(11));
    let engine = cut(ground.as_ref(), engine);
    let at = engine.position(&of, "sink");
    ensure!(
        (Seq(5)..=Seq(11)).contains(&at),
        "written was 5, acknowledged 11, and it stands at {at}"
    );
    Ok(())
}

/// What is over its time goes, and whoever had not taken it counts it.
pub(super) fn what_expires_is_counted(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let engine = ground.open();
    let limits = Limits {
        expire: Some(Duration::from_mins(1)),
        ..Limits::default()
    };
    get("define", engine.define(&of, Some(limits)))?;
    publish(engine.as_ref(), &of, 0..20)?;
    engine.advance(&of, "fast", Seq(20));
    engine.advance(&of, "slow", Seq(5));
    get("flush", engine.flush())?;
    ground.clock().advance(Duration::from_mins(2));
    let held = || engine.info(&of).map_or(0, |info| info.messages);
    soon("what is over its time goes", || held() == 0)?;
    publish(engine.as_ref(), &of, 20..22)?;
    for (consumer, acked, expired) in [("fast", 20, 0), ("slow", 5, 15)] {
        let account = account(engine.as_ref(), consumer)?;
        let counts = (account.acked, account.expired, account.pending);
        ensure!(
            counts == (acked, expired, 2) && account.balances(),
            "{consumer}: {account:?}"
        );
    }
    Ok(())
}

/// What ends by its age where nobody has subscribed is in the account of nobody, also after a restart
/// and when somebody comes.
pub(super) fn what_ends_without_a_consumer_is_counted(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let limits = Limits {
        keep: Some(Duration::from_mins(1)),
        ..Limits::default()
    };
    let engine = ground.open();
    get("define", engine.define(&of, Some(limits.clone())))?;
    publish(engine.as_ref(), &of, 0..20)?;
    ground.clock().advance(Duration::from_mins(2));
    let held = |engine: &dyn Streams| engine.info(&of).map_or(0, |info| info.messages);
    soon("what is over its time goes", || held(engine.as_ref()) == 0)?;
    publish(engine.as_ref(), &of, 20..23)?;
    let nobody = account(engine.as_ref(), "-")?;
    let counts = (nobody.received, nobody.expired, nobody.pending);
    ensure!(counts == (23, 20, 3) && nobody.balances(), "{nobody:?}");
    let engine = cut(ground.as_ref(), engine);
    get("define", engine.define(&of, Some(limits)))?;
    engine.begin(&of, "late", Seq(20));
    engine.advance(&of, "late", Seq(23));
    let (nobody, late) = (
        account(engine.as_ref(), "-")?,
        account(engine.as_ref(), "late")?,
    );
    let counts = (nobody.received, nobody.expired, nobody.pending);
    ensure!(counts == (20, 20, 0) && nobody.balances(), "{nobody:?}");
    let counts = (late.received, late.acked);
    ensure!(counts == (3, 3) && late.balances(), "{late:?}");
    let consumers = engine.positions(&of);
    ensure!(consumers.len() == 1, "the consumers are {consumers:?}");
    Ok(())
}

/// What is taken away goes for good, and whoever had not taken it counts it.
pub(super) fn what_is_purged_is_counted(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let engine = ground.open();
    publish(engine.as_ref(), &of, 0..20)?;
    engine.advance(&of, "fast", Seq(18));
    engine.advance(&of, "slow", Seq(5));
    // acknowledged before, though not written yet
    get("purge", engine.purge(&of, Seq(12)))?;
    let engine = cut(ground.as_ref(), engine);
    let left = super::bodies(engine.as_ref(), &of)?;
    ensure!(
        left.first().map(|(seq, _)| *seq) == Some(13) && left.len() == 8,
        "after a purge up to 12 there are {} left",
        left.len()
    );
    for (consumer, acked, purged, pending) in [("fast", 18, 0, 2), ("slow", 5, 7, 8)] {
        let account = account(engine.as_ref(), consumer)?;
        let counts = (account.acked, account.purged, account.pending);
        ensure!(
            counts == (acked, purged, pending) && account.balances(),
            "{consumer}: {account:?}"
        );
    }
    get("purge", engine.purge(&of, Seq(9)))?;
    let again = super::bodies(engine.as_ref(), &of)?;
    ensure!(again == left, "an older purge took something away");
    let next = publish(engine.as_ref(), &of, [20])?;
    let seq = next.first().map(|outcome| outcome.seq());
    ensure!(seq == Some(Seq(21)), "the next number is {seq:?}");
    Ok(())
}

/// A consumer that was taken away holds nothing back and keeps its account; whoever comes again under
/// its name is new.
pub(super) fn a_consumer_that_ended_holds_nothing_back(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let limits = Limits {
        max_messages: Some(20),
        ..Limits::default()
    };
    let engine = ground.open();
    get("define", engine.define(&of, Some(limits.clone())))?;
    engine.begin(&of, "slow", Seq::ZERO);
    publish(engine.as_ref(), &of, 0..20)?;
    engine.advance(&of, "fast", Seq(20));
    // acknowledged before, though not written yet
    engine.advance(&of, "slow", Seq(5));
    let nobody = get("end", engine.end(&of, "nobody"))?;
    ensure!(nobody.is_none(), "an unknown consumer had {nobody:?}");
    let purged = get("end", engine.end(&of, "slow"))?;
    ensure!(purged == Some(15), "it had not taken {purged:?} of 20");
    let engine = cut(ground.as_ref(), engine);
    get("define", engine.define(&of, Some(limits)))?;
    let left: Vec<_> = engine.positions(&of).into_keys().collect();
    ensure!(!left.contains(&"slow".to_owned()), "there are {left:?}");
    let again = get("end", engine.end(&of, "slow"))?;
    ensure!(again.is_none(), "it ended twice, with {again:?}");
    engine.advance(&of, "fast", Seq(20));
    get("flush", engine.flush())?;
    // fast has all of it, so there is room
    publish(engine.as_ref(), &of, 20..25)?;
    let slow = account(engine.as_ref(), "slow")?;
    let counts = (slow.received, slow.acked, slow.purged, slow.pending);
    ensure!(counts == (20, 5, 15, 0) && slow.balances(), "{slow:?}");
    engine.begin(&of, "slow", Seq(22));
    let slow = account(engine.as_ref(), "slow")?;
    let counts = (slow.received, slow.acked, slow.purged, slow.pending);
    ensure!(counts == (3, 0, 0, 3) && slow.balances(), "{slow:?}");
    Ok(())
}

fn account(engine: &dyn Streams, consumer: &str) -> Result<Account, String> {
    let of = stream("acme/a");
    get("flush", engine.flush())?;
    let accounts = get("accounts", engine.accounts(&of))?;
    let found = accounts.iter().find(|(name, _)| name == consumer);
    let found = found.map(|(_, account)| *account);
    found.ok_or_else(|| format!("{consumer} has no account"))
}
