//! Rules of the registry: what was written is read, one of two who expect the same succeeds.

use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use super::{Make, Verdict, cut, ensure, get, now};
use crate::model::{Seq, Timestamp};
use crate::store::testing::block_on;
use crate::store::{AppendError, Value, ValueError};
use crate::streams::{MAX_KEY, MAX_VALUE, Streams};

fn write(
    engine: &dyn Streams,
    key: &str,
    expected: Option<Seq>,
    bytes: &[u8],
) -> Result<Value, String> {
    let value = Some((bytes.to_vec(), Timestamp::default()));
    get("put", engine.put(key, expected, value))
}

/// Whoever asks after an answer sees what was answered, also after the power was cut; lists come in
/// order, by prefix and in pages.
pub(super) fn a_value_is_read_as_written(make: Make<'_>) -> Verdict {
    let ground = make();
    let mut engine = ground.open();
    for round in 0..3 {
        for n in (0..10_u8).chain(3..6) {
            let key = format!("node/{n}");
            let written = write(engine.as_ref(), &key, None, &[round, n])?;
            let read = get("value", engine.value(&key))?;
            ensure!(
                read.as_ref() == Some(&written) && written.bytes[..] == [round, n],
                "{key} was answered {written:?} and reads {read:?}"
            );
        }
        write(engine.as_ref(), "nodes", None, b"another prefix")?;
        engine = cut(ground.as_ref(), engine);
        let first = get("values", engine.values("node/", "", 4))?;
        let rest = get("values", engine.values("node/", "node/3", 100))?;
        let keys: Vec<_> = first.iter().chain(&rest).map(|(key, _)| key).collect();
        let all: Vec<_> = (0..10).map(|n| format!("node/{n}")).collect();
        ensure!(keys.iter().copied().eq(&all), "listed are {keys:?}");
        let fresh = |(_, value): &(String, Value)| value.bytes.first() == Some(&round);
        ensure!(rest.iter().all(fresh), "an older value is listed");
    }
    get("put", engine.put("node/5", None, None))?;
    let engine = cut(ground.as_ref(), engine);
    let gone = get("value", engine.value("node/5"))?;
    ensure!(gone.is_none(), "deleted, and there: {gone:?}");
    for (key, bytes) in [
        ("k".repeat(MAX_KEY + 1), 1),
        ("k".to_owned(), MAX_VALUE + 1),
    ] {
        let put = block_on(engine.put(&key, None, Some((vec![0; bytes], Timestamp::default()))));
        let too_large = matches!(put, Err(ValueError::Store(AppendError::TooLarge { .. })));
        ensure!(too_large, "a key or value beyond its bound: {put:?}");
    }
    Ok(())
}

/// Of all who expect the same revision exactly one succeeds, and the others learn what is there.
pub(super) fn compare_and_set_is_exclusive(make: Make<'_>) -> Verdict {
    const WRITERS: u64 = 6;
    const EACH: u64 = 15;
    let ground = make();
    let engine = ground.open();
    write(
        engine.as_ref(),
        "count",
        Some(Seq::ZERO),
        &0_u64.to_le_bytes(),
    )?;
    let taken = block_on(engine.put(
        "count",
        Some(Seq::ZERO),
        Some((vec![1], Timestamp::default())),
    ));
    ensure!(
        matches!(&taken, Err(ValueError::Conflict { there: Some(_) })),
        "made anew although it was there: {taken:?}"
    );
    let count = |engine: Arc<dyn Streams>| -> Verdict {
        let mut left = EACH;
        while left > 0 {
            let there = get("value", engine.value("count"))?.ok_or("the count is gone")?;
            let bytes = there.bytes.first_chunk::<8>().ok_or("the count is torn")?;
            let more = u64::from_le_bytes(*bytes) + 1;
            let value = Some((more.to_le_bytes().to_vec(), Timestamp::default()));
            match block_on(engine.put("count", Some(there.revision), value)) {
                Ok(_) => left -= 1,
                Err(ValueError::Conflict { there: Some(newer) }) => ensure!(
                    newer.revision > there.revision,
                    "refused for revision {}, which is not newer than {}",
                    newer.revision,
                    there.revision
                ),
                Err(error) => return Err(format!("put: {error}")),
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writer = |_| scope.spawn(|| count(Arc::clone(&engine)));
        let writers: Vec<_> = (0..WRITERS).map(writer).collect();
        let mut ended = writers.into_iter().map(ScopedJoinHandle::join);
        ended.try_for_each(|ended| ended.map_err(|_| "a writer panicked".to_owned())?)
    })?;
    let engine = cut(ground.as_ref(), engine);
    let end = get("value", engine.value("count"))?.ok_or("the count is gone")?;
    let expected = (WRITERS * EACH).to_le_bytes();
    ensure!(
        end.bytes[..] == expected,
        "{WRITERS} writers counted to {EACH} each, together {:?}",
        end.bytes
    );
    Ok(())
}

/// Revisions of a key only grow, also when it is deleted and made anew: who still holds an old one
/// cannot take the new value for it.
pub(super) fn a_revision_is_never_given_twice(make: Make<'_>) -> Verdict {
    let ground = make();
    let mut engine = ground.open();
    let mut newest = Seq::ZERO;
    for round in 0..12 {
        let value = write(engine.as_ref(), "key", None, &[round])?;
        ensure!(
            value.revision > newest,
            "revision {} after {newest}",
            value.revision
        );
        newest = value.revision;
        if round % 3 == 1 {
            get("delete", engine.put("key", Some(newest), None))?;
        }
        if round % 4 == 3 {
            engine = cut(ground.as_ref(), engine);
        }
    }
    let stale = Some(Seq(newest.0 - 1));
    let put = block_on(engine.put("key", stale, Some((vec![0], Timestamp::default()))));
    ensure!(
        matches!(put, Err(ValueError::Conflict { .. })),
        "a stale revision was taken: {put:?}"
    );
    Ok(())
}

/// A value whose time is over is not there, for readers and for writers.
pub(super) fn a_value_ends_in_time(make: Make<'_>) -> Verdict {
    let ground = make();
    let engine = ground.open();
    let until = now(ground.as_ref()).plus(Duration::from_mins(1));
    let old = get("put", engine.put("key", None, Some((vec![1], until))))?;
    write(engine.as_ref(), "other", None, b"stays")?;
    ensure!(
        get("value", engine.value("key"))?.as_ref() == Some(&old),
        "a value ends before its time"
    );
    ground.clock().advance(Duration::from_mins(2));
    let engine = cut(ground.as_ref(), engine);
    let found = get("value", engine.value("key"))?;
    ensure!(found.is_none(), "over its time, and there: {found:?}");
    let listed = get("values", engine.values("", "", 10))?;
    let keys: Vec<_> = listed.iter().map(|(key, _)| key.as_str()).collect();
    ensure!(keys == ["other"], "listed are {keys:?}");
    let stale = block_on(engine.put(
        "key",
        Some(old.revision),
        Some((vec![2], Timestamp::default())),
    ));
    ensure!(
        matches!(&stale, Err(ValueError::Conflict { there: None })),
        "the revision of an ended value was taken: {stale:?}"
    );
    let new = write(engine.as_ref(), "key", Some(Seq::ZERO), &[3])?;
    ensure!(new.revision > old.revision, "its revision came again");
    // what is over is cleared away one day, and nothing else with it
    ground.clock().advance(Duration::from_mins(10));
    get("flush", engine.flush())?;
    let listed = get("values", engine.values("", "", 10))?;
    ensure!(
        listed.len() == 2,
        "two values for ever, listed {}",
        listed.len()
    );
    Ok(())
}
