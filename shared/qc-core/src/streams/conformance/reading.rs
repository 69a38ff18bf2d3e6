//! Rules of reading: bounded, whole, apart, announced.

use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::Notify;

use super::{Make, Verdict, body, ensure, everything, get, publish, reopen, soon, stored, stream};
use crate::model::Seq;
use crate::streams::Bounds;

/// A read gives no more than it may, at least one message if there is one, and nothing is left out.
pub(super) fn reads_are_bounded_and_whole(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let engine = ground.open();
    publish(engine.as_ref(), &of, 0..120)?;
    let engine = reopen(ground.as_ref(), engine);
    for after in [0, 1, 50, 118, 119, 120, 500] {
        for (records, bytes) in [(1, 0), (1, 1 << 20), (10, 1 << 20), (1000, 2000), (1000, 0)] {
            let bounds = Bounds { records, bytes };
            let found = get("read", engine.read(&of, Seq(after), bounds))?;
            let size: usize = found.iter().map(|r| r.head.len() + r.body.len()).sum();
            let count = found.len();
            ensure!(
                count <= records && (size <= bytes || count <= 1),
                "{bounds:?} gave {count} records of {size} bytes"
            );
            let least = usize::from(after < 120);
            ensure!(count >= least, "{bounds:?} after {after} gave nothing");
            let seqs = found.iter().map(|record| record.header.seq.0);
            ensure!(
                seqs.eq(after + 1..=after + count as u64),
                "{bounds:?} after {after} left something out"
            );
        }
    }
    let all = everything(engine.as_ref(), &of)?;
    let mut at_hand = Vec::new();
    soon("everything is at hand", || {
        let bounds = Bounds {
            records: 1000,
            bytes: 1 << 20,
        };
        at_hand = engine.at_hand(&of, Seq::ZERO, bounds).unwrap_or_default();
        at_hand.len() == all.len()
    })?;
    ensure!(
        at_hand == all,
        "at hand is something else than what is read"
    );
    let backlog = engine.backlog(&of, Seq(100)).messages;
    ensure!(backlog == 20, "of 120 after 100 wait {backlog}");
    Ok(())
}

/// A message is in the stream it was published to and in no other; an id is known per stream.
pub(super) fn streams_do_not_mix(make: Make<'_>) -> Verdict {
    let ground = make();
    let names = ["acme/a", "acme/b", "globex/a"].map(stream);
    let engine = ground.open();
    for id in 0..30 {
        for (at, to) in names.iter().enumerate() {
            publish(engine.as_ref(), to, [1, 1000 * (1 + at as u64) + id])?;
        }
    }
    let engine = reopen(ground.as_ref(), engine);
    for (at, of) in names.iter().enumerate() {
        let own = (0..30).map(|id| 1000 * (1 + at as u64) + id);
        let expected = stored([1].into_iter().chain(own));
        let found = super::bodies(engine.as_ref(), of)?;
        ensure!(
            found == expected,
            "{} holds {} messages",
            of.name,
            found.len()
        );
    }
    let listed: Vec<_> = engine.streams().into_iter().map(|info| info.key).collect();
    ensure!(listed == names, "listed are {listed:?}");
    let unknown = stream("acme/unknown");
    ensure!(
        engine.info(&unknown).is_none() && everything(engine.as_ref(), &unknown)?.is_empty(),
        "a stream is there that nobody has made"
    );
    Ok(())
}

/// A bell is rung after every publish into its stream, whatever else is going on.
pub(super) fn a_bell_rings_for_its_stream(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let engine = ground.open();
    // nobody has to define a stream before waiting for it
    let bell = Arc::new(Notify::new());
    let _listener = engine.listen(&of, &bell);
    let was_rung = || {
        let mut rung = std::pin::pin!(bell.notified());
        let mut context = Context::from_waker(Waker::noop());
        rung.as_mut().poll(&mut context).is_ready()
    };
    for id in 0..20 {
        publish(engine.as_ref(), &of, [id])?;
        soon("the bell is rung", was_rung)?;
        let found = get("read", engine.read(&of, Seq(id), Bounds::ONE))?;
        ensure!(!found.is_empty(), "rung, and not there to read");
    }
    Ok(())
}

/// Who waits for news is woken after every publish, and finds it.
pub(super) fn what_is_new_is_announced(make: Make<'_>) -> Verdict {
    let ground = make();
    let of = stream("acme/a");
    let engine = ground.open();
    get("define", engine.define(&of, None))?;
    let mut changed = engine.changed();
    for id in 0..20 {
        changed.mark_unchanged();
        publish(engine.as_ref(), &of, [id])?;
        soon("a change is announced", || {
            changed.has_changed().unwrap_or(false)
        })?;
        let found = get("read", engine.read(&of, Seq(id), Bounds::ONE))?;
        let found = found.first().map(|record| record.body.clone());
        ensure!(found == Some(body(id)), "announced, and not there to read");
    }
    Ok(())
}
