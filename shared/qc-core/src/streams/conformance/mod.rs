//! What every engine behind [`Streams`] promises, a rule a promise, to be run on any of them.
//!
//! ```
//! # use qc_core::streams::conformance::{Make, all};
//! fn keeps_every_promise(make: Make<'_>) {
//!     let broken = all(make);
//!     assert!(broken.is_empty(), "{broken:#?}");
//! }
//! ```
//!
//! A rule says what an engine did, not how it is made: it opens one on a fresh [`Ground`], uses it as a
//! relay would, ends it properly or by a power cut, and looks again. It returns what it saw instead of
//! ending the test, so that an engine that breaks a promise on purpose can be shown to be caught.
//! This module stands behind the feature `testing`, as the store's apparatus does.

mod consumers;
mod dead;
mod leases;
mod ledger;
mod publishing;
mod reading;
mod registry;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Bounds, Streams};
use crate::clock::{Clock as _, ManualClock};
use crate::model::{Envelope, Lane, Message, Seq, Timestamp};
use crate::store::testing::block_on;
use crate::store::{Draft, Outcome, StreamKey};
use crate::wire::Record;

/// Storage that is empty at first, and an engine on it that can be opened again and again.
pub trait Ground {
    /// Opens the engine over what is there.
    fn open(&self) -> Arc<dyn Streams>;

    /// Ends an engine as a power cut does: what it has not promised may be gone.
    fn cut(&self, engine: Arc<dyn Streams>);

    /// The clock of its engines.
    fn clock(&self) -> ManualClock;
}

/// Makes a fresh ground.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Ground>;

/// What a rule found: nothing, or what the engine did instead of what it promises.
pub type Verdict = Result<(), String>;

/// A promise.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What is promised.
    pub name: &'static str,
    /// Finds out.
    pub check: fn(Make<'_>) -> Verdict,
}

macro_rules! rules {
    ($($module:ident: $($name:ident),+;)+) => {
        /// Every rule.
        pub const RULES: &[Rule] = &[$($(Rule { name: stringify!($name), check: $module::$name }),+),+];
    };
}

rules! {
    publishing: an_ack_is_durable, a_message_is_in_its_stream_once, what_is_stored_is_found, a_hop_is_taken_over_once,
        numbers_rise_by_one_within_an_epoch, numbers_go_on_under_a_new_epoch, submitted_is_stored_in_call_order,
        a_limit_refuses_and_drops_nothing, a_limit_without_a_consumer_refuses, a_closed_engine_acknowledges_nothing;
    reading: reads_are_bounded_and_whole, streams_do_not_mix, what_is_new_is_announced,
        a_bell_rings_for_its_stream;
    consumers: a_cursor_never_goes_back, an_unwritten_cursor_only_repeats,
        what_expires_is_counted, what_ends_without_a_consumer_is_counted, what_is_purged_is_counted,
        a_consumer_that_ended_holds_nothing_back;
    ledger: the_ledger_balances_after_anything;
    dead: a_letter_keeps_reason_place_and_message, a_letter_is_written_once,
        a_letter_lets_its_consumer_go_on, letters_are_listed_newest_first;
    registry: a_value_is_read_as_written, compare_and_set_is_exclusive,
        a_revision_is_never_given_twice, a_value_ends_in_time;
    leases: a_lease_has_one_holder, a_lease_token_only_grows, a_lost_lease_is_not_renewed;
}

/// Runs every rule, each on ground of its own, and gives those that are broken with what was seen.
pub fn all(make: Make<'_>) -> Vec<(&'static str, String)> {
    let broken = |rule: &Rule| Some((rule.name, (rule.check)(make).err()?));
    RULES.iter().filter_map(broken).collect()
}

/// Ends the rule unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
use ensure;

/// Waits for an answer that must be `Ok`.
fn get<T, E: std::error::Error>(
    what: &str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    block_on(answer).map_err(|error| format!("{what}: {error}"))
}

/// Ends an engine as it should be ended, and opens the next.
fn reopen(ground: &dyn Ground, engine: Arc<dyn Streams>) -> Arc<dyn Streams> {
    engine.close();
    drop(engine);
    ground.open()
}

/// Cuts the power, and opens the next engine.
fn cut(ground: &dyn Ground, engine: Arc<dyn Streams>) -> Arc<dyn Streams> {
    ground.cut(engine);
    ground.open()
}

fn stream(name: &str) -> StreamKey {
    StreamKey::hub(name.parse().expect("a name of the suite"))
}

fn message(id: u64) -> Message {
    Message {
        envelope: Envelope::new(format!("id-{id}"), "/conformance", "qc.test"),
        body: body(id),
    }
}

fn body(id: u64) -> Bytes {
    format!("body of {id}")
        .repeat(1 + usize::try_from(id % 7).unwrap_or(0))
        .into()
}

fn drafts(ids: impl IntoIterator<Item = u64>) -> Vec<Draft> {
    let draft = |id| Draft::from_message(&message(id), Lane::Normal);
    ids.into_iter().map(draft).collect()
}

fn publish(
    engine: &dyn Streams,
    to: &StreamKey,
    ids: impl IntoIterator<Item = u64>,
) -> Result<Vec<Outcome>, String> {
    let drafts = drafts(ids);
    let count = drafts.len();
    let outcomes = get("publish", engine.publish(to, drafts))?;
    ensure!(
        outcomes.len() == count,
        "{count} drafts have {} outcomes",
        outcomes.len()
    );
    Ok(outcomes)
}

/// Everything in a stream, read in small steps.
fn everything(engine: &dyn Streams, of: &StreamKey) -> Result<Vec<Record>, String> {
    let (mut after, mut all) = (Seq::ZERO, Vec::new());
    let bounds = Bounds {
        records: 7,
        bytes: 4000,
    };
    loop {
        let records = get("read", engine.read(of, after, bounds))?;
        let Some(last) = records.last() else {
            return Ok(all);
        };
        ensure!(
            last.header.seq > after,
            "a read after {after} ends at {}",
            last.header.seq
        );
        after = last.header.seq;
        all.extend(records);
    }
}

/// The bodies in a stream, with their numbers.
fn bodies(engine: &dyn Streams, of: &StreamKey) -> Result<Vec<(u64, Bytes)>, String> {
    let records = everything(engine, of)?.into_iter();
    Ok(records
        .map(|record| (record.header.seq.0, record.body))
        .collect())
}

/// The bodies that a stream holds when these ids were stored in this order from number 1 on.
fn stored(ids: impl IntoIterator<Item = u64>) -> Vec<(u64, Bytes)> {
    let numbered = (1..).zip(ids);
    numbered.map(|(seq, id)| (seq, body(id))).collect()
}

/// Looks again and again until `condition` holds; an engine may take a while for what it does alone.
fn soon(what: &str, mut condition: impl FnMut() -> bool) -> Verdict {
    for _ in 0..1000 {
        if condition() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(format!("does not happen: {what}"))
}

fn now(ground: &dyn Ground) -> Timestamp {
    ground.clock().now()
}
