//! The ledger: whatever is done in whatever order, everything that came in is accounted for.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Ground, Make, Verdict, body, cut, get, message, publish, reopen, stream};
use crate::model::{Lane, Seq};
use crate::store::{DeadLetter, DeadNote, Limits, StreamKey};
use crate::streams::Streams;
use crate::wire::encode_envelope;

/// How many sequences are tried.
const CASES: u32 = 48;
const CONSUMERS: [&str; 2] = ["sink.a", "sink.b"];

#[derive(Debug, Clone)]
enum Step {
    Publish { id: u64, count: u64 },
    Advance { consumer: usize, by: u64 },
    Bury { consumer: usize },
    Purge { back: u64 },
    Flush,
    Expire,
    Reopen,
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let consumer = 0..CONSUMERS.len();
    prop_oneof![
        4 => (0..200_u64, 1..9_u64).prop_map(|(id, count)| Step::Publish { id, count }),
        3 => (consumer.clone(), 0..7_u64)
            .prop_map(|(consumer, by)| Step::Advance { consumer, by }),
        2 => consumer.prop_map(|consumer| Step::Bury { consumer }),
        1 => (0..9_u64).prop_map(|back| Step::Purge { back }),
        2 => Just(Step::Flush),
        1 => Just(Step::Expire),
        1 => Just(Step::Reopen),
        1 => Just(Step::Cut),
    ]
}

/// `in = acked + pending + expired + dead + purged` for every consumer after any sequence of
/// publishing, taking, burying, purging, expiring, restarts and power cuts, and nothing is lost.
pub(super) fn the_ledger_balances_after_anything(make: Make<'_>) -> Verdict {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        // an engine is slow, and a few steps less are worth little
        max_shrink_iters: 24,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), 1..40);
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let outcome = runner.run(&steps, |steps| {
        let ground = make();
        walk(ground.as_ref(), &steps).map_err(TestCaseError::fail)
    });
    outcome.map_err(|error| error.to_string())
}

fn walk(ground: &dyn Ground, steps: &[Step]) -> Verdict {
    let of = stream("acme/a");
    let mut engine = ground.open();
    define(engine.as_ref(), &of)?;
    for consumer in CONSUMERS {
        engine.begin(&of, consumer, Seq::ZERO);
    }
    get("flush", engine.flush())?;
    for step in steps {
        take(&mut engine, ground, &of, step)?;
        audit(engine.as_ref(), &of, step)?;
    }
    Ok(())
}

fn take(
    engine: &mut Arc<dyn Streams>,
    ground: &dyn Ground,
    of: &StreamKey,
    step: &Step,
) -> Verdict {
    let last = engine.info(of).map(|info| info.last).unwrap_or_default();
    let name = |consumer: usize| CONSUMERS.get(consumer).copied().unwrap_or_default();
    match *step {
        Step::Publish { id, count } => {
            publish(engine.as_ref(), of, id..id + count)?;
        }
        Step::Advance { consumer, by } => {
            let at = engine.position(of, name(consumer));
            engine.advance(of, name(consumer), Seq(at.0 + by).min(last));
        }
        Step::Bury { consumer } => {
            let next = engine.position(of, name(consumer)).next();
            if next <= last {
                let letter = letter(engine.as_ref(), of, next, name(consumer));
                get("bury", engine.bury(vec![letter]))?;
            }
        }
        Step::Purge { back } => {
            let seq = Seq(last.0.saturating_sub(back));
            get("purge", engine.purge(of, seq))?;
        }
        Step::Flush => get("flush", engine.flush())?,
        Step::Expire => ground.clock().advance(Duration::from_mins(2)),
        Step::Reopen => {
            get("flush", engine.flush())?;
            *engine = reopen(ground, Arc::clone(engine));
            define(engine.as_ref(), of)?;
        }
        Step::Cut => {
            *engine = cut(ground, Arc::clone(engine));
            define(engine.as_ref(), of)?;
        }
    }
    Ok(())
}

/// The books balance; while the engine lets messages expire by itself, they do so a moment later.
fn audit(engine: &dyn Streams, of: &StreamKey, after: &Step) -> Verdict {
    let mut seen = Vec::new();
    for _ in 0..200 {
        get("flush", engine.flush())?;
        let accounts = get("accounts", engine.accounts(of))?;
        let last = engine.info(of).map(|info| info.last.0).unwrap_or_default();
        let whole = |received: u64| received == last;
        let sound = accounts.len() == CONSUMERS.len()
            && accounts
                .iter()
                .all(|(_, account)| account.balances() && whole(account.received));
        if sound {
            return Ok(());
        }
        seen = accounts;
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(format!("after {after:?}: {seen:?}"))
}

fn define(engine: &dyn Streams, of: &StreamKey) -> Verdict {
    let limits = Limits {
        expire: Some(Duration::from_mins(1)),
        ..Limits::default()
    };
    get("define", engine.define(of, Some(limits)))
}

fn letter(engine: &dyn Streams, of: &StreamKey, seq: Seq, consumer: &str) -> DeadLetter {
    let mut head = Vec::new();
    encode_envelope(&message(seq.0).envelope, &mut head);
    DeadLetter {
        note: DeadNote {
            code: "QC4207".to_owned(),
            reason: "refused".to_owned(),
            stream: of.clone(),
            sender: None,
            epoch: engine.info(of).map(|info| info.epoch).unwrap_or_default(),
            seq,
            consumer: consumer.to_owned(),
            at: crate::model::Timestamp::default(),
            attempts: 1,
        },
        lane: Lane::Normal,
        head: head.into(),
        body: body(seq.0),
        part: crate::model::Part::WHOLE,
    }
}
