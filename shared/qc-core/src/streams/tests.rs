//! The embedded engine against the suite, and the suite against engines that each break one promise.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::conformance::{Ground, RULES, all};
use super::*;
use crate::clock::ManualClock;
use crate::store::testing::block_on;
use crate::store::testing::sim::SimDisk;
use crate::store::testing::workload::{node_key, options};
use crate::store::{Log, Role};

/// The embedded engine on a simulated disk.
struct OnDisk {
    disk: Mutex<SimDisk>,
    clock: ManualClock,
}

impl OnDisk {
    fn new() -> Self {
        Self {
            disk: Mutex::default(),
            clock: ManualClock::at(Timestamp::from_millis(1_000_000)),
        }
    }

    fn embedded(&self) -> Embedded {
        let (disk, clock) = (
            self.disk.lock().unwrap().clone(),
            Arc::new(self.clock.clone()),
        );
        let (log, _) = Log::open(Arc::new(disk), &options(), node_key(), clock.clone()).unwrap();
        Embedded::new(log, clock)
    }
}

impl Ground for OnDisk {
    fn open(&self) -> Arc<dyn Streams> {
        Arc::new(self.embedded())
    }

    fn cut(&self, engine: Arc<dyn Streams>) {
        let mut disk = self.disk.lock().unwrap();
        *disk = disk.lose_unsynced();
        // it goes on writing to the disk that is gone
        engine.close();
    }

    fn clock(&self) -> ManualClock {
        self.clock.clone()
    }
}

#[test]
fn the_embedded_engine_keeps_every_promise() {
    let broken = all(&|| Box::new(OnDisk::new()));
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The promise that an engine breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Acknowledges the last message of a larger call and has not got it.
    DropsAMessage,
    /// Acknowledges what is written after the answer.
    AcksAhead,
    ForgetsIds,
    FindsTheFirst,
    ForgetsHops,
    GivesNumbersAnew,
    KeepsItsEpoch,
    SwapsSubmissions,
    DropsTheOldestAtTheLimit,
    DropsWhatNobodyReads,
    ReadsTooMuch,
    MixesStreams,
    IsSilent,
    RingsForOthers,
    LetsCursorsGoBack,
    SkipsUnwritten,
    ExpiresUncounted,
    ForgetsWhatEndedUnread,
    PurgesUncounted,
    KeepsTheEnded,
    Miscounts,
    LosesReasons,
    WritesLettersTwice,
    KeepsTheConsumerWaiting,
    ForgetsTheDead,
    ListsNothing,
    ReadsStaleValues,
    ComparesNothing,
    RepeatsRevisions,
    KeepsValuesForEver,
    GivesALeaseTwice,
    RepeatsTokens,
    RenewsWhatWasLost,
    AnswersAfterTheEnd,
}

/// Every flaw and the rule that has to find it.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::DropsAMessage, "an_ack_is_durable"),
    (Flaw::AcksAhead, "an_ack_is_durable"),
    (Flaw::ForgetsIds, "a_message_is_in_its_stream_once"),
    (Flaw::FindsTheFirst, "what_is_stored_is_found"),
    (Flaw::ForgetsHops, "a_hop_is_taken_over_once"),
    (
        Flaw::GivesNumbersAnew,
        "numbers_rise_by_one_within_an_epoch",
    ),
    (Flaw::KeepsItsEpoch, "numbers_go_on_under_a_new_epoch"),
    (Flaw::SwapsSubmissions, "submitted_is_stored_in_call_order"),
    (
        Flaw::DropsTheOldestAtTheLimit,
        "a_limit_refuses_and_drops_nothing",
    ),
    (
        Flaw::AnswersAfterTheEnd,
        "a_closed_engine_acknowledges_nothing",
    ),
    (Flaw::ReadsTooMuch, "reads_are_bounded_and_whole"),
    (Flaw::MixesStreams, "streams_do_not_mix"),
    (Flaw::IsSilent, "what_is_new_is_announced"),
    (Flaw::RingsForOthers, "a_bell_rings_for_its_stream"),
    (Flaw::LetsCursorsGoBack, "a_cursor_never_goes_back"),
    (Flaw::SkipsUnwritten, "an_unwritten_cursor_only_repeats"),
    (Flaw::ExpiresUncounted, "what_expires_is_counted"),
    (
        Flaw::DropsWhatNobodyReads,
        "a_limit_without_a_consumer_refuses",
    ),
    (
        Flaw::ForgetsWhatEndedUnread,
        "what_ends_without_a_consumer_is_counted",
    ),
    (
        Flaw::KeepsTheEnded,
        "a_consumer_that_ended_holds_nothing_back",
    ),
    (Flaw::PurgesUncounted, "what_is_purged_is_counted"),
    (Flaw::Miscounts, "the_ledger_balances_after_anything"),
    (
        Flaw::LosesReasons,
        "a_letter_keeps_reason_place_and_message",
    ),
    (Flaw::WritesLettersTwice, "a_letter_is_written_once"),
    (
        Flaw::KeepsTheConsumerWaiting,
        "a_letter_lets_its_consumer_go_on",
    ),
    (Flaw::ForgetsTheDead, "a_letter_lets_its_consumer_go_on"),
    (Flaw::ListsNothing, "letters_are_listed_newest_first"),
    (Flaw::ReadsStaleValues, "a_value_is_read_as_written"),
    (Flaw::ComparesNothing, "compare_and_set_is_exclusive"),
    (Flaw::RepeatsRevisions, "a_revision_is_never_given_twice"),
    (Flaw::KeepsValuesForEver, "a_value_ends_in_time"),
    (Flaw::GivesALeaseTwice, "a_lease_has_one_holder"),
    (Flaw::RepeatsTokens, "a_lease_token_only_grows"),
    (Flaw::RenewsWhatWasLost, "a_lost_lease_is_not_renewed"),
];

#[test]
fn an_engine_that_breaks_a_promise_is_caught_by_its_rule() {
    for (flaw, name) in FLAWS {
        let rule = RULES.iter().find(|rule| rule.name == *name).unwrap();
        let make = || -> Box<dyn Ground> { Box::new(Flawed::ground(*flaw)) };
        let found = (rule.check)(&make);
        assert!(found.is_err(), "{flaw:?} passes {name}");
    }
    for rule in RULES {
        let has_flaw = FLAWS.iter().any(|(_, name)| *name == rule.name);
        assert!(has_flaw, "nothing shows that {} bites", rule.name);
        let make = || -> Box<dyn Ground> { Box::new(Flawed::ground(Flaw::None)) };
        assert_eq!((rule.check)(&make), Ok(()), "{}", rule.name);
    }
}

/// Opens flawed engines over one embedded one's disk.
struct FlawedGround {
    on: OnDisk,
    flaw: Flaw,
    opened: AtomicU64,
}

/// An engine with one flaw; else all is as the embedded engine does it.
struct Flawed {
    engine: Embedded,
    flaw: Flaw,
    /// How often an engine was opened here before.
    age: u64,
    /// What was held back.
    held: Mutex<Vec<(StreamKey, Vec<Draft>)>>,
    /// What was there at first, for whoever reads stale values.
    stale: Mutex<BTreeMap<String, Value>>,
    /// A cursor that somebody moved back.
    back: Mutex<BTreeMap<String, Seq>>,
    silent: watch::Sender<u64>,
}

impl Flawed {
    fn ground(flaw: Flaw) -> FlawedGround {
        FlawedGround {
            on: OnDisk::new(),
            flaw,
            opened: AtomicU64::new(0),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn bend(&self, stream: &StreamKey, mut drafts: Vec<Draft>) -> (StreamKey, Vec<Draft>) {
        let mut stream = stream.clone();
        for draft in &mut drafts {
            if self.has(Flaw::ForgetsIds) {
                draft.dedupe = [0; 16];
            }
            if self.has(Flaw::ForgetsHops) {
                draft.hop = None;
            }
        }
        if self.has(Flaw::GivesNumbersAnew) && self.age > 0 {
            stream.lane = Lane::Low;
        }
        if self.has(Flaw::MixesStreams) {
            stream.name = format!("acme/{}", stream.name.name()).parse().unwrap();
        }
        (stream, drafts)
    }

    /// Where somebody who looks for a stream finds it.
    fn place(&self, stream: &StreamKey) -> StreamKey {
        let (place, _) = self.bend(stream, Vec::new());
        place
    }

    async fn give_room(&self, stream: &StreamKey) {
        let first = self
            .engine
            .info(stream)
            .map_or(Seq::ZERO, |info| info.first);
        for consumer in self.engine.positions(stream).into_keys() {
            self.engine.advance(stream, &consumer, first);
        }
        self.engine.flush().await.unwrap();
        self.engine.purge(stream, first).await.unwrap();
    }
}

impl Ground for FlawedGround {
    fn open(&self) -> Arc<dyn Streams> {
        Arc::new(Flawed {
            engine: self.on.embedded(),
            flaw: self.flaw,
            age: self.opened.fetch_add(1, Ordering::Relaxed),
            held: Mutex::default(),
            stale: Mutex::default(),
            back: Mutex::default(),
            silent: watch::Sender::new(0),
        })
    }

    fn cut(&self, engine: Arc<dyn Streams>) {
        if self.flaw == Flaw::SkipsUnwritten {
            for info in engine.streams() {
                for consumer in engine.positions(&info.key).into_keys() {
                    engine.advance(&info.key, &consumer, info.last);
                }
            }
            block_on(engine.flush()).unwrap();
        }
        self.on.cut(engine);
    }

    fn clock(&self) -> ManualClock {
        self.on.clock()
    }
}

impl Streams for Flawed {
    fn publish<'a>(
        &'a self,
        stream: &'a StreamKey,
        drafts: Vec<Draft>,
    ) -> Answer<'a, Result<Vec<Outcome>, AppendError>> {
        Box::pin(async move {
            let (stream, mut drafts) = self.bend(stream, drafts);
            if self.has(Flaw::DropsAMessage) && drafts.len() > 1 {
                drafts.pop();
                let mut outcomes = self.engine.publish(&stream, drafts).await?;
                let seq = outcomes.last().unwrap().seq().next();
                outcomes.push(Outcome::Stored { seq });
                return Ok(outcomes);
            }
            if self.has(Flaw::AcksAhead) {
                let mut held = self.held.lock().unwrap();
                let last = self.engine.info(&stream).map_or(0, |info| info.last.0);
                let of_stream = held.iter().filter(|(name, _)| *name == stream);
                let waiting: usize = of_stream.map(|(_, drafts)| drafts.len()).sum();
                let first = last + waiting as u64 + 1;
                let numbers = (first..).take(drafts.len());
                held.push((stream, drafts));
                return Ok(numbers.map(|n| Outcome::Stored { seq: Seq(n) }).collect());
            }
            let published = self.engine.publish(&stream, drafts.clone()).await;
            match published {
                Err(AppendError::Limit { .. }) if self.has(Flaw::DropsTheOldestAtTheLimit) => {
                    self.give_room(&stream).await;
                    self.engine.publish(&stream, drafts).await
                }
                Err(AppendError::Limit { .. })
                    if self.has(Flaw::DropsWhatNobodyReads)
                        && self.engine.positions(&stream).is_empty() =>
                {
                    self.give_room(&stream).await;
                    self.engine.publish(&stream, drafts).await
                }
                Err(AppendError::Closed) if self.has(Flaw::AnswersAfterTheEnd) => {
                    Ok(vec![Outcome::Stored { seq: Seq(1) }; drafts.len()])
                }
                published => published,
            }
        })
    }

    fn submit(&self, stream: &StreamKey, drafts: Vec<Draft>) -> Receipt {
        let (stream, drafts) = self.bend(stream, drafts);
        if !self.has(Flaw::SwapsSubmissions) {
            return self.engine.submit(&stream, drafts);
        }
        // nothing is queued before the answer is asked for
        let engine = self.engine.clone();
        Box::pin(async move { engine.submit(&stream, drafts).await })
    }

    fn bury(&self, mut letters: Vec<DeadLetter>) -> Receipt {
        for letter in &mut letters {
            match self.flaw {
                Flaw::LosesReasons => letter.note.reason.clear(),
                Flaw::WritesLettersTwice => letter.note.epoch = Epoch(self.age),
                Flaw::KeepsTheConsumerWaiting => {
                    letter.note.sender = "edge-1.site.acme".parse().ok();
                    letter.note.consumer.clear();
                }
                Flaw::ForgetsTheDead => {
                    let note = &letter.note;
                    self.engine.advance(&note.stream, &note.consumer, note.seq);
                }
                _ => {}
            }
        }
        let (engine, flaw) = (self.engine.clone(), self.flaw);
        Box::pin(async move {
            if flaw == Flaw::ForgetsTheDead {
                engine.flush().await?;
            }
            engine.bury(letters).await
        })
    }

    fn define<'a>(
        &'a self,
        stream: &'a StreamKey,
        limits: Option<Limits>,
    ) -> Answer<'a, Result<(), AppendError>> {
        Box::pin(async move {
            let stream = self.place(stream);
            let mut limits = limits;
            if let Some(limits) = limits.as_mut().filter(|_| self.has(Flaw::ExpiresUncounted)) {
                limits.expire = None;
            }
            self.engine.define(&stream, limits).await
        })
    }

    fn begin_epoch<'a>(
        &'a self,
        stream: &'a StreamKey,
        past: Epoch,
    ) -> Answer<'a, Result<(), AppendError>> {
        if self.has(Flaw::KeepsItsEpoch) {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.engine.begin_epoch(stream, past)
    }

    fn origin(&self, node: &NodeName) -> Option<u32> {
        self.engine.origin(node)
    }

    fn purge<'a>(&'a self, stream: &'a StreamKey, seq: Seq) -> Answer<'a, Result<(), AppendError>> {
        Box::pin(async move {
            if self.has(Flaw::PurgesUncounted) {
                // as if everybody had taken it
                for consumer in self.engine.positions(stream).into_keys() {
                    self.engine.advance(stream, &consumer, seq);
                }
            }
            self.engine.purge(stream, seq).await
        })
    }

    fn info(&self, stream: &StreamKey) -> Option<StreamInfo> {
        self.engine.info(&self.place(stream))
    }

    fn streams(&self) -> Vec<StreamInfo> {
        let mut streams = self.engine.streams();
        if self.has(Flaw::ListsNothing) {
            streams.retain(|info| info.key.role != Role::Dead);
        }
        streams
    }

    fn mark(&self, stream: &StreamKey, node: &NodeName, lane: Lane) -> Option<(Epoch, Seq)> {
        self.engine.mark(stream, node, lane)
    }

    fn origins(&self) -> Vec<NodeName> {
        self.engine.origins()
    }

    fn read<'a>(
        &'a self,
        stream: &'a StreamKey,
        after: Seq,
        mut bounds: Bounds,
    ) -> Answer<'a, Result<Vec<Record>, ReadError>> {
        Box::pin(async move {
            if self.has(Flaw::ReadsTooMuch) {
                bounds.records += 1;
            }
            self.engine.read(&self.place(stream), after, bounds).await
        })
    }

    fn find<'a>(
        &'a self,
        stream: &'a StreamKey,
        keys: Vec<[u8; 16]>,
    ) -> Answer<'a, Result<Vec<Option<Seq>>, AppendError>> {
        let stream = self.place(stream);
        Box::pin(async move {
            let mut found = self.engine.find(&stream, keys).await?;
            if self.flaw == Flaw::FindsTheFirst {
                let first = found.iter().flatten().min().copied();
                found.fill(first);
            }
            Ok(found)
        })
    }

    fn heads<'a>(
        &'a self,
        stream: &'a StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Answer<'a, Result<Vec<Head>, ReadError>> {
        let stream = self.place(stream);
        Box::pin(async move { self.engine.heads(&stream, after, bounds).await })
    }

    fn at_hand(
        &self,
        stream: &StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Result<Vec<Record>, ReadError> {
        self.engine.at_hand(&self.place(stream), after, bounds)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        if self.has(Flaw::IsSilent) {
            return self.silent.subscribe();
        }
        self.engine.changed()
    }

    fn listen(&self, stream: &StreamKey, bell: &Arc<Notify>) -> Listener {
        let other = StreamKey::hub("acme/of-others".parse().unwrap());
        let heard = if self.has(Flaw::RingsForOthers) {
            &other
        } else {
            stream
        };
        self.engine.listen(&self.place(heard), bell)
    }

    fn backlog(&self, stream: &StreamKey, after: Seq) -> Backlog {
        self.engine.backlog(&self.place(stream), after)
    }

    fn begin(&self, stream: &StreamKey, consumer: &str, seq: Seq) {
        self.engine.begin(stream, consumer, seq);
    }

    fn advance(&self, stream: &StreamKey, consumer: &str, seq: Seq) -> u64 {
        self.back.lock().unwrap().insert(consumer.to_owned(), seq);
        self.engine.advance(stream, consumer, seq)
    }

    fn end<'a>(
        &'a self,
        stream: &'a StreamKey,
        consumer: &'a str,
    ) -> Answer<'a, Result<Option<u64>, AppendError>> {
        Box::pin(async move {
            if self.has(Flaw::KeepsTheEnded) {
                let at = self.engine.position(stream, consumer);
                return Ok(Some(self.engine.backlog(stream, at).messages));
            }
            self.engine.end(stream, consumer).await
        })
    }

    fn position(&self, stream: &StreamKey, consumer: &str) -> Seq {
        let at = self.engine.position(stream, consumer);
        let back = self.back.lock().unwrap().get(consumer).copied();
        back.filter(|_| self.has(Flaw::LetsCursorsGoBack))
            .unwrap_or(at)
    }

    fn positions(&self, stream: &StreamKey) -> BTreeMap<String, Seq> {
        self.engine.positions(stream)
    }

    fn flush(&self) -> Answer<'_, Result<(), AppendError>> {
        self.engine.flush()
    }

    fn accounts<'a>(
        &'a self,
        stream: &'a StreamKey,
    ) -> Answer<'a, Result<Vec<(String, Account)>, ReadError>> {
        Box::pin(async move {
            let mut accounts = self.engine.accounts(stream).await?;
            if self.has(Flaw::ForgetsWhatEndedUnread) {
                for (_, account) in &mut accounts {
                    account.received -= account.expired;
                    account.expired = 0;
                }
            }
            if self.has(Flaw::Miscounts) {
                for (_, account) in &mut accounts {
                    account.acked = account.acked.saturating_sub(account.dead);
                }
            }
            Ok(accounts)
        })
    }

    fn value<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Value>, ReadError>> {
        Box::pin(async move {
            let stale = self.stale.lock().unwrap().get(key).cloned();
            if stale.is_some() && self.has(Flaw::ReadsStaleValues) {
                return Ok(stale);
            }
            let value = self.engine.value(key).await?;
            let seen = value.clone().map(|value| (key.to_owned(), value));
            self.stale.lock().unwrap().extend(seen);
            Ok(value)
        })
    }

    fn values<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Answer<'a, Result<Vec<(String, Value)>, ReadError>> {
        self.engine.values(prefix, after, limit)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Seq>,
        value: Option<(Vec<u8>, Timestamp)>,
    ) -> Answer<'a, Result<Value, ValueError>> {
        Box::pin(async move {
            let expected = expected.filter(|_| !self.has(Flaw::ComparesNothing));
            let value = value.map(|(bytes, until)| match self.flaw {
                Flaw::KeepsValuesForEver => (bytes, Timestamp::default()),
                _ => (bytes, until),
            });
            let mut written = self.engine.put(key, expected, value).await?;
            if self.has(Flaw::RepeatsRevisions) {
                written.revision = Seq(1_000_000);
            }
            Ok(written)
        })
    }

    fn acquire<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Lease, LeaseError>> {
        Box::pin(async move {
            let granted = lease::acquire(self, name, holder, ttl, now).await;
            let mut lease = match granted {
                Err(LeaseError::Held(other)) if self.has(Flaw::GivesALeaseTwice) => Lease {
                    holder: holder.to_owned(),
                    ..other
                },
                granted => granted?,
            };
            if self.has(Flaw::RepeatsTokens) {
                lease.token = 1;
            }
            Ok(lease)
        })
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Lease, LeaseError>> {
        Box::pin(async move {
            match lease::renew(self, lease, ttl, now).await {
                Err(LeaseError::Lost { .. }) if self.has(Flaw::RenewsWhatWasLost) => Ok(Lease {
                    until: now.plus(ttl),
                    ..lease.clone()
                }),
                renewed => renewed,
            }
        })
    }

    fn health(&self) -> Health {
        self.engine.health()
    }

    fn close(&self) {
        self.engine.close();
    }
}
