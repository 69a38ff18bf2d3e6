//! The engine of one machine: the log, and the positions of consumers ahead of it.
//!
//! Everything is at hand here, so futures that only read are ready at once; those that write wait for
//! `fdatasync`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::{Account, Answer, Bounds, Health, MAX_KEY, MAX_VALUE, ReadError, Receipt, Streams};
use crate::clock::Clock;
use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use crate::store::{
    AppendError, Backlog, CursorState, DeadLetter, Draft, Head, Limits, Listener, Log, NOBODY,
    Outcome, Positions, StreamInfo, StreamKey, Value, ValueError,
};
use crate::wire::Record;

/// Where the registry's keys stand among the log's values; the log has values of its own.
const REGISTRY: &str = "registry/";
/// A value whose revision is greater than that of everything that was cleared away.
const FLOOR: &str = "registry-floor";
/// How often somebody may clear a value away while it is changed.
const TRIES: usize = 4;
/// How often values are looked for whose time is over, and how many are deleted then.
const SWEEP: Duration = Duration::from_mins(1);
const SWEPT: usize = 256;

/// Over since always, and not "for ever".
const OVER: u64 = 1;

/// Streams in one log. Clones share it.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    positions: Positions,
    clock: Arc<dyn Clock>,
    swept: Mutex<Option<Instant>>,
}

impl Embedded {
    /// Streams over an open log.
    pub fn new(log: Log, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            positions: Positions::new(log.clone()),
            log,
            clock,
            swept: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether the time of a value is over.
    fn is_over(&self, value: &Value) -> bool {
        value.until != Timestamp::default() && value.until <= self.inner.clock.now()
    }

    async fn change(
        &self,
        key: &str,
        expected: Option<Seq>,
        value: Option<(Vec<u8>, Timestamp)>,
    ) -> Result<Value, ValueError> {
        let length = value.as_ref().map_or(0, |(bytes, _)| bytes.len());
        for (bytes, max) in [(key.len(), MAX_KEY), (length, MAX_VALUE)] {
            if bytes > max {
                return Err(AppendError::TooLarge { bytes, max }.into());
            }
        }
        let key = format!("{REGISTRY}{key}");
        // what is deleted stays for a while as a value whose time is over, and keeps its revision
        let is_deletion = value.is_none();
        let value = value.or_else(|| Some((Vec::new(), Timestamp::from_millis(OVER))));
        let log = &self.inner.log;
        for _ in 0..TRIES {
            let over = log.value(&key).filter(|value| self.is_over(value));
            let expected = match (expected, over) {
                (Some(Seq::ZERO), Some(over)) => Some(over.revision),
                (Some(_), Some(_)) => return Err(ValueError::Conflict { there: None }),
                (expected, _) => expected,
            };
            match log.put(&key, expected, value.clone()).await {
                Ok(changed) if is_deletion => {
                    let revision = changed.revision;
                    return Ok(Value {
                        revision,
                        ..Value::default()
                    });
                }
                // it was cleared away between the two
                Err(ValueError::Conflict { there: None }) => {}
                Err(ValueError::Conflict { there: Some(over) }) if self.is_over(&over) => {}
                changed => return changed,
            }
        }
        Err(ValueError::Conflict { there: None })
    }

    /// Clears away values whose time is over, now and then and not all at once.
    async fn sweep(&self) -> Result<(), AppendError> {
        {
            let now = self.inner.clock.instant();
            let mut swept = self
                .inner
                .swept
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|at| now.saturating_duration_since(at) < SWEEP) {
                return Ok(());
            }
            *swept = Some(now);
        }
        let over = self.inner.log.values(REGISTRY).into_iter();
        let over = over.filter(|(_, value)| self.is_over(value)).take(SWEPT);
        let over: Vec<_> = over.collect();
        if over.is_empty() {
            return Ok(());
        }
        // the newest revision so far outlives those that carry it now
        match self
            .inner
            .log
            .put(FLOOR, None, Some((Vec::new(), Timestamp::default())))
            .await
        {
            Ok(_) | Err(ValueError::Conflict { .. }) => {}
            Err(ValueError::Store(error)) => return Err(error),
        }
        for (key, value) in over {
            match self.inner.log.put(&key, Some(value.revision), None).await {
                // somebody has given it a new life
                Ok(_) | Err(ValueError::Conflict { .. }) => {}
                Err(ValueError::Store(error)) => return Err(error),
            }
        }
        Ok(())
    }

    async fn keep(&self, letters: Vec<DeadLetter>) -> Result<Vec<Outcome>, AppendError> {
        let mut outcomes = Vec::with_capacity(letters.len());
        let mut letters = letters.into_iter().peekable();
        while let Some(letter) = letters.next() {
            if !letter.note.consumer.is_empty() {
                outcomes.push(self.inner.positions.bury(&letter).await?.0);
                continue;
            }
            let home = letter.home();
            let mut drafts = vec![letter.draft()];
            let alike = |next: &DeadLetter| next.note.consumer.is_empty() && next.home() == home;
            while let Some(next) = letters.next_if(alike) {
                drafts.push(next.draft());
            }
            outcomes.extend(self.inner.log.bury(&home, drafts, Vec::new()).await?);
        }
        Ok(outcomes)
    }

    fn account(&self, info: &StreamInfo, state: &CursorState) -> Account {
        let log = &self.inner.log;
        let pending = log.backlog(&info.key, state.seq).messages;
        let lost = log.lost_after(&info.key, state.seq);
        Account {
            duplicates: info.duplicates,
            ..Account::of(state, info.last, pending, lost)
        }
    }
}

impl Streams for Embedded {
    fn publish<'a>(
        &'a self,
        stream: &'a StreamKey,
        drafts: Vec<Draft>,
    ) -> Answer<'a, Result<Vec<Outcome>, AppendError>> {
        Box::pin(self.inner.log.append(stream, drafts))
    }

    fn submit(&self, stream: &StreamKey, drafts: Vec<Draft>) -> Receipt {
        Box::pin(self.inner.log.submit(stream, drafts))
    }

    fn bury(&self, letters: Vec<DeadLetter>) -> Receipt {
        let engine = self.clone();
        Box::pin(async move { engine.keep(letters).await })
    }

    fn define<'a>(
        &'a self,
        stream: &'a StreamKey,
        limits: Option<Limits>,
    ) -> Answer<'a, Result<(), AppendError>> {
        Box::pin(self.inner.log.define_with(stream, limits))
    }

    fn begin_epoch<'a>(
        &'a self,
        stream: &'a StreamKey,
        past: Epoch,
    ) -> Answer<'a, Result<(), AppendError>> {
        Box::pin(self.inner.log.begin_epoch(stream, past))
    }

    fn origin(&self, node: &NodeName) -> Option<u32> {
        self.inner.log.origin(node)
    }

    fn purge<'a>(&'a self, stream: &'a StreamKey, seq: Seq) -> Answer<'a, Result<(), AppendError>> {
        Box::pin(async move {
            // what was acknowledged before is not purged
            self.inner.positions.flush().await?;
            self.inner.log.purge(stream, seq).await
        })
    }

    fn info(&self, stream: &StreamKey) -> Option<StreamInfo> {
        self.inner.log.info(stream)
    }

    fn streams(&self) -> Vec<StreamInfo> {
        self.inner.log.streams()
    }

    fn mark(&self, stream: &StreamKey, node: &NodeName, lane: Lane) -> Option<(Epoch, Seq)> {
        self.inner.log.mark(stream, node, lane)
    }

    fn origins(&self) -> Vec<NodeName> {
        self.inner.log.origins()
    }

    fn read<'a>(
        &'a self,
        stream: &'a StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Answer<'a, Result<Vec<Record>, ReadError>> {
        Box::pin(async move { self.at_hand(stream, after, bounds) })
    }

    fn heads<'a>(
        &'a self,
        stream: &'a StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Answer<'a, Result<Vec<Head>, ReadError>> {
        let log = &self.inner.log;
        let heads = log.heads(stream, after, bounds.records, bounds.bytes);
        Box::pin(async move { Ok(heads?) })
    }

    fn find<'a>(
        &'a self,
        stream: &'a StreamKey,
        keys: Vec<[u8; 16]>,
    ) -> Answer<'a, Result<Vec<Option<Seq>>, AppendError>> {
        Box::pin(self.inner.log.find(stream, keys))
    }

    fn at_hand(
        &self,
        stream: &StreamKey,
        after: Seq,
        bounds: Bounds,
    ) -> Result<Vec<Record>, ReadError> {
        let read = self
            .inner
            .log
            .read(stream, after, bounds.records, bounds.bytes);
        Ok(read?)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.inner.log.changed()
    }

    fn listen(&self, stream: &StreamKey, bell: &Arc<Notify>) -> Listener {
        self.inner.log.listen(stream, bell)
    }

    fn backlog(&self, stream: &StreamKey, after: Seq) -> Backlog {
        self.inner.log.backlog(stream, after)
    }

    fn begin(&self, stream: &StreamKey, consumer: &str, seq: Seq) {
        self.inner.positions.begin(stream, consumer, seq);
    }

    fn advance(&self, stream: &StreamKey, consumer: &str, seq: Seq) -> u64 {
        self.inner.positions.advance(stream, consumer, seq)
    }

    fn end<'a>(
        &'a self,
        stream: &'a StreamKey,
        consumer: &'a str,
    ) -> Answer<'a, Result<Option<u64>, AppendError>> {
        Box::pin(self.inner.positions.end(stream, consumer))
    }

    fn position(&self, stream: &StreamKey, consumer: &str) -> Seq {
        self.inner.positions.of(stream, consumer)
    }

    fn positions(&self, stream: &StreamKey) -> BTreeMap<String, Seq> {
        self.inner.positions.all(stream)
    }

    fn flush(&self) -> Answer<'_, Result<(), AppendError>> {
        Box::pin(async move {
            self.inner.positions.flush().await?;
            self.sweep().await
        })
    }

    fn accounts<'a>(
        &'a self,
        stream: &'a StreamKey,
    ) -> Answer<'a, Result<Vec<(String, Account)>, ReadError>> {
        Box::pin(async move {
            let Some(info) = self.inner.log.info(stream) else {
                return Ok(Vec::new());
            };
            let mut states = self.inner.log.cursor_states(stream);
            let mut closed = self.inner.log.closed_states(stream);
            if states.is_empty() {
                let kept = Seq(info.first.0.saturating_sub(1));
                let known = closed.iter().position(|(name, _)| name == NOBODY);
                let known = known.map(|at| closed.swap_remove(at).1);
                let state = known.unwrap_or_else(|| CursorState::starting_at(kept));
                states.push((NOBODY.to_owned(), state.passed_over(kept)));
            }
            let open = states.into_iter().map(|(consumer, state)| {
                let account = self.account(&info, &state);
                (consumer, account)
            });
            let closed = closed.into_iter();
            let closed = closed.map(|(name, state)| (name, Account::of(&state, state.seq, 0, 0)));
            Ok(open.chain(closed).collect())
        })
    }

    fn value<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Value>, ReadError>> {
        Box::pin(async move {
            let value = self.inner.log.value(&format!("{REGISTRY}{key}"));
            Ok(value.filter(|value| !self.is_over(value)))
        })
    }

    fn values<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Answer<'a, Result<Vec<(String, Value)>, ReadError>> {
        Box::pin(async move {
            let all = self.inner.log.values(&format!("{REGISTRY}{prefix}"));
            let own = all.into_iter().filter_map(|(key, value)| {
                let key = key.strip_prefix(REGISTRY)?;
                (key > after && !self.is_over(&value)).then(|| (key.to_owned(), value))
            });
            Ok(own.take(limit).collect())
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Seq>,
        value: Option<(Vec<u8>, Timestamp)>,
    ) -> Answer<'a, Result<Value, ValueError>> {
        Box::pin(self.change(key, expected, value))
    }

    fn health(&self) -> Health {
        let stats = self.inner.log.stats();
        Health {
            taken: stats.records,
            full: stats.full,
            stopped: stats.poisoned,
        }
    }

    fn close(&self) {
        self.inner.log.close();
    }
}
