//! Rules of publishing: durable, once, in order, refused rather than dropped.

use std::thread::ScopedJoinHandle;

use super::{
    Make, Verdict, bodies, cut, drafts, ensure, everything, get, publish, reopen, stored, stream,
};
use crate::model::{Epoch, Lane, NodeName, Part, Seq, Timestamp};
use crate::store::testing::block_on;
use crate::store::{AppendError, Draft, Hop, Limits, Outcome, part_key};
use crate::streams::{Bounds, Streams};

/// What was answered is there after the power is cut, unchanged, under the number that was said.
pub(super) fn an_ack_is_durable(make: Make<'_>) -> Verdict {
    let ground = make();
    let (a, b) = (stream("acme/a"), stream("acme/b"));
    let mut engine = ground.open();
    let mut expected = (Vec::new(), Vec::new());
    for round in 0..4 {
        for id in (round * 30..(round + 1) * 30).step_by(3) {
            publish(engine.as_ref(), &a, [id, id + 1])?;
            publish(engine.as_ref(), &b, [id + 2])?;
            expected.0.extend([id, id + 1]);
            expected.1.push(id + 2);
        }
        let (key, value) = (format!("round-{round}"), vec![7; 10]);
        get(
            "put",
            engine.put(&key, None, Some((value, Timestamp::default()))),
        )?;
        engine.advance(&a, "sink", Seq(round + 1));
        get("flush", engine.flush())?;
        engine = cut(ground.as_ref(), engine);
        for (of, ids) in [(&a, &expected.0), (&b, &expected.1)] {
            let (found, stored) = (bodies(engine.as_ref(), of)?, stored(ids.iter().copied()));
            let (has, had) = (found.len(), stored.len());
            ensure!(
                found == stored,
                "{} holds {has}, acknowledged were {had}",
                of.name
            );
        }
        let at = engine.position(&a, "sink");
        ensure!(at == Seq(round + 1), "a written cursor stands at {at}");
        let value = get("value", engine.value(&key))?;
        ensure!(value.is_some(), "the value {key} is gone");
    }
    Ok(())
}

/// A message is found by its digest, each part of one by its own, and reads as the part that it is; what is
/// not in the stream is not found.
pub(super) fn what_is_stored_is_found(make: Make<'_>) -> Verdict {
    let ground = make();
    let (to, other) = (stream("acme/a"), stream("acme/b"));
    let mut engine = ground.open();
    publish(engine.as_ref(), &to, [1])?;
    let part = |number| Part {
        number,
        is_last: number == 2,
    };
    let key = |number| part_key("/conformance", "id-7", part(number));
    let parts = (0..3).zip(drafts([7, 7, 7])).map(|(number, draft)| Draft {
        part: part(number),
        dedupe: key(number),
        ..draft
    });
    get("publish", engine.publish(&to, parts.collect()))?;
    let one = part_key("/conformance", "id-1", Part::WHOLE);
    for _ in 0..2 {
        let keys = vec![key(2), one, key(0), key(1), key(3), [0; 16]];
        let found = get("find", engine.find(&to, keys.clone()))?;
        let seqs = found.iter().map(|seq| seq.map_or(0, |seq| seq.0));
        let seqs: Vec<u64> = seqs.collect();
        ensure!(seqs == [4, 1, 2, 3, 0, 0], "found are {seqs:?}");
        let found = get("find", engine.find(&other, keys))?;
        ensure!(found == [None; 6], "found in another stream: {found:?}");
        let bounds = Bounds {
            records: 9,
            bytes: 1 << 20,
        };
        let records = get("read", engine.read(&to, Seq(1), bounds))?;
        let read = records.iter().map(|record| record.header.part_of());
        let read: Vec<(u32, bool)> = read.map(|part| (part.number, part.is_last)).collect();
        ensure!(
            read == [(0, false), (1, false), (2, true)],
            "the parts read as {read:?}"
        );
        engine = cut(ground.as_ref(), engine);
    }
    Ok(())
}

/// The same (`source`, `id`) is one message: in one call, across calls, and after a restart.
pub(super) fn a_message_is_in_its_stream_once(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let mut engine = ground.open();
    let first = publish(engine.as_ref(), &to, [1, 2, 1])?;
    let again = Outcome::Duplicate { seq: Seq(1) };
    ensure!(first.get(2) == Some(&again), "twice in one call: {first:?}");
    publish(engine.as_ref(), &to, 10..60)?;
    for _ in 0..2 {
        let second = publish(engine.as_ref(), &to, [2, 1, 59])?;
        let seqs: Vec<_> = second.iter().map(|outcome| outcome.seq().0).collect();
        let all = second.iter().all(|outcome| outcome.is_duplicate());
        ensure!(all && seqs == [2, 1, 52], "published again: {second:?}");
        engine = reopen(ground.as_ref(), engine);
    }
    let ids = [1, 2].into_iter().chain(10..60);
    ensure!(
        bodies(engine.as_ref(), &to)? == stored(ids),
        "a duplicate is in the stream"
    );
    Ok(())
}

/// What a peer sends again after a link broke is taken over once, by its place at the peer.
pub(super) fn a_hop_is_taken_over_once(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let peer: NodeName = "edge-1.site.acme".parse().expect("a name of the suite");
    let from_peer = |ids: std::ops::Range<u64>| -> Vec<Draft> {
        let hop = |id| Hop {
            node: peer.clone(),
            lane: Lane::High,
            epoch: Epoch(7),
            seq: Seq(id),
        };
        let with_hop = |(id, draft)| Draft {
            hop: Some(hop(id)),
            dedupe: [0; 16],
            ..draft
        };
        ids.clone().zip(drafts(ids)).map(with_hop).collect()
    };
    let engine = ground.open();
    get("publish", engine.publish(&to, from_peer(1..5)))?;
    let engine = cut(ground.as_ref(), engine);
    let mark = engine.mark(&to, &peer, Lane::High);
    ensure!(
        mark == Some((Epoch(7), Seq(4))),
        "the mark of the peer is {mark:?}"
    );
    ensure!(engine.origins() == [peer.clone()], "the peer is not known");
    let outcomes = get("publish", engine.publish(&to, from_peer(2..7)))?;
    let new = outcomes.iter().filter(|outcome| !outcome.is_duplicate());
    ensure!(new.count() == 2, "sent again from 2 to 6: {outcomes:?}");
    ensure!(
        bodies(engine.as_ref(), &to)? == stored(1..7),
        "a hop was taken over twice, or not at all"
    );
    Ok(())
}

/// Numbers begin with 1 and rise by one, whoever publishes and whatever ends in between.
pub(super) fn numbers_rise_by_one_within_an_epoch(make: Make<'_>) -> Verdict {
    const PRODUCERS: u64 = 4;
    const EACH: u64 = 25;
    let ground = make();
    let to = stream("acme/a");
    let mut engine = ground.open();
    let mut epochs = Vec::new();
    for round in 0..3 {
        let produce = |producer: u64| {
            let engine = std::sync::Arc::clone(&engine);
            let to = &to;
            move || -> Verdict {
                for n in 0..EACH {
                    let id = (round * PRODUCERS + producer) * 1000 + n;
                    publish(engine.as_ref(), to, [id])?;
                }
                Ok(())
            }
        };
        std::thread::scope(|scope| {
            let producers: Vec<_> = (0..PRODUCERS).map(|n| scope.spawn(produce(n))).collect();
            let mut ended = producers.into_iter().map(ScopedJoinHandle::join);
            ended.try_for_each(|ended| ended.map_err(|_| "a producer panicked".to_owned())?)
        })?;
        epochs.extend(engine.info(&to).map(|info| info.epoch));
        engine = cut(ground.as_ref(), engine);
    }
    let records = everything(engine.as_ref(), &to)?;
    let seqs: Vec<_> = records.iter().map(|record| record.header.seq.0).collect();
    let all: Vec<_> = (1..=3 * PRODUCERS * EACH).collect();
    ensure!(seqs == all, "the numbers are {seqs:?}");
    let one = epochs.first().copied();
    let same = epochs.iter().all(|epoch| Some(*epoch) == one);
    let same = same
        && records
            .iter()
            .all(|record| Some(record.header.epoch) == one);
    ensure!(same && one > Some(Epoch(0)), "the epochs are {epochs:?}");
    let info = engine.info(&to);
    let counted = info.map(|info| (info.last, info.messages));
    let expected = (Seq(all.len() as u64), all.len() as u64);
    ensure!(counted == Some(expected), "the stream counts {counted:?}");
    Ok(())
}

/// A new epoch is another one for good, after a power cut too; it is begun once by those who ask
/// together, and numbers, consumers and what is known of ids stay.
pub(super) fn numbers_go_on_under_a_new_epoch(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let engine = ground.open();
    publish(engine.as_ref(), &to, [1, 2, 3])?;
    engine.advance(&to, "sink", Seq(2));
    get("flush", engine.flush())?;
    let epoch = |engine: &dyn Streams| engine.info(&to).map(|info| info.epoch).unwrap_or_default();
    let first = epoch(engine.as_ref());
    for _ in 0..2 {
        get("begin_epoch", engine.begin_epoch(&to, first))?;
    }
    let second = epoch(engine.as_ref());
    ensure!(second > first, "after {first} the epoch is {second}");
    let outcomes = publish(engine.as_ref(), &to, [3, 4])?;
    let expected = [
        Outcome::Duplicate { seq: Seq(3) },
        Outcome::Stored { seq: Seq(4) },
    ];
    ensure!(outcomes == expected, "{outcomes:?}");
    let engine = cut(ground.as_ref(), engine);
    let there = epoch(engine.as_ref());
    ensure!(
        there == second,
        "a power cut leads from {second} to {there}"
    );
    publish(engine.as_ref(), &to, [5])?;
    let records = everything(engine.as_ref(), &to)?;
    let numbers: Vec<_> = records
        .iter()
        .map(|record| (record.header.epoch, record.header.seq.0))
        .collect();
    let expected = [(first, 1), (first, 2), (first, 3), (second, 4), (second, 5)];
    ensure!(numbers == expected, "the numbers are {numbers:?}");
    let at = engine.position(&to, "sink");
    ensure!(at == Seq(2), "the consumer is at {at}");
    Ok(())
}

/// Calls that do not wait for each other are stored in their order.
pub(super) fn submitted_is_stored_in_call_order(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let engine = ground.open();
    let submit = |id: u64| engine.submit(&to, drafts([2 * id, 2 * id + 1]));
    let receipts: Vec<_> = (0..40).map(submit).collect();
    // the answers may be asked for in any order
    for (at, receipt) in receipts.into_iter().enumerate().rev() {
        let outcomes = get("submit", receipt)?;
        let seqs: Vec<_> = outcomes.iter().map(|outcome| outcome.seq().0).collect();
        let first = 2 * at as u64 + 1;
        ensure!(seqs == [first, first + 1], "call {at} has {outcomes:?}");
    }
    let engine = cut(ground.as_ref(), engine);
    ensure!(
        bodies(engine.as_ref(), &to)? == stored(0..80),
        "the order of the calls is not the order of the stream"
    );
    Ok(())
}

/// A full stream refuses; what somebody still wants stays, and there is room when they have it.
pub(super) fn a_limit_refuses_and_drops_nothing(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let engine = ground.open();
    let limits = Limits {
        max_messages: Some(6),
        ..Limits::default()
    };
    get("define", engine.define(&to, Some(limits)))?;
    engine.begin(&to, "sink", Seq::ZERO);
    get("flush", engine.flush())?;
    publish(engine.as_ref(), &to, 0..6)?;
    for _ in 0..3 {
        let refused = block_on(engine.publish(&to, drafts([6])));
        ensure!(
            matches!(&refused, Err(error @ AppendError::Limit { .. }) if error.is_retryable()),
            "the seventh of six: {refused:?}"
        );
    }
    ensure!(
        bodies(engine.as_ref(), &to)? == stored(0..6),
        "what nobody has taken made room"
    );
    engine.advance(&to, "sink", Seq(4));
    get("flush", engine.flush())?;
    publish(engine.as_ref(), &to, [6])?;
    let kept = bodies(engine.as_ref(), &to)?;
    let wanted: Vec<_> = stored(0..7).split_off(4);
    ensure!(
        kept.ends_with(&wanted) && kept.len() <= 6,
        "{} are kept, three of them are wanted",
        kept.len()
    );
    Ok(())
}

/// Where nobody has subscribed yet a full stream refuses, too: whoever comes gets all of it. A consumer
/// counts from the moment it begins, written or not.
pub(super) fn a_limit_without_a_consumer_refuses(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let engine = ground.open();
    let limits = Limits {
        max_messages: Some(6),
        ..Limits::default()
    };
    get("define", engine.define(&to, Some(limits)))?;
    publish(engine.as_ref(), &to, 0..6)?;
    let refused = |what: &str| {
        let refused = block_on(engine.publish(&to, drafts([6])));
        ensure!(
            matches!(&refused, Err(AppendError::Limit { .. })),
            "the seventh of six, {what}: {refused:?}"
        );
        let kept = bodies(engine.as_ref(), &to)?;
        ensure!(kept == stored(0..6), "{} are kept, {what}", kept.len());
        Ok(())
    };
    refused("and nobody reads")?;
    engine.begin(&to, "sink", Seq::ZERO);
    refused("and somebody has just come")?;
    engine.advance(&to, "sink", Seq(6));
    get("flush", engine.flush())?;
    publish(engine.as_ref(), &to, [6])?;
    let accounts = get("accounts", engine.accounts(&to))?;
    let balanced = accounts.iter().all(|(_, account)| account.balances());
    ensure!(balanced, "{accounts:?}");
    Ok(())
}

/// After the end nothing is acknowledged any more.
pub(super) fn a_closed_engine_acknowledges_nothing(make: Make<'_>) -> Verdict {
    let ground = make();
    let to = stream("acme/a");
    let engine = ground.open();
    publish(engine.as_ref(), &to, [1])?;
    let late = engine.submit(&to, drafts([2]));
    engine.close();
    let late = block_on(late).is_ok();
    let published = block_on(engine.publish(&to, drafts([3])));
    ensure!(published.is_err(), "acknowledged after the end");
    let put = block_on(engine.put("key", None, Some((vec![1], Timestamp::default()))));
    ensure!(put.is_err(), "a value was changed after the end");
    drop(engine);
    let engine: std::sync::Arc<dyn Streams> = ground.open();
    let ids = 1..if late { 3 } else { 2 };
    ensure!(
        bodies(engine.as_ref(), &to)? == stored(ids),
        "what was acknowledged before the end is not what is there"
    );
    Ok(())
}
