//! The edge's durable buffer: what was captured here and what was received for here, how far each
//! consumer has come, and what may go.
//!
//! A captured message stays until the uplink and every local sink of its stream have it; a received one
//! until every sink of its stream has it. A message that a sink can never deliver becomes a dead letter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use qc_core::admin::api::{Ledger, LedgerRow};
use qc_core::link::Handed;
use qc_core::model::{AttrValue, DataClass, Envelope, Lane, Message, NodeName, Seq, StreamName};
use qc_core::node::ledger_row;
use qc_core::parts::{Sizes, Upload};
use qc_core::store::{AppendError, Backlog, DeadLetter, Draft, Log, Positions, Role, StreamKey};
use qc_core::streams::Receipt;

use crate::config::{EdgeConfig, From};
use crate::sources::{Intake, IntakeError, Outcome};

/// How long a message stays after everybody has it, unless the buffer is more than half full.
const REST: Duration = Duration::from_mins(2);

/// The name under which the uplink keeps its position.
pub(crate) const UPLINK: &str = "uplink";

/// The buffer. Clones share it.
#[derive(Clone)]
pub(crate) struct Buffer {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    positions: Positions,
    node: NodeName,
    /// Who must have a message before it may go.
    consumers: Consumers,
    /// How far everybody was, and when: see [`REST`].
    seen: Mutex<BTreeMap<StreamKey, VecDeque<(Instant, Seq)>>>,
    taken_in: AtomicU64,
    handed_out: AtomicU64,
}

/// Who reads what, as the configuration says.
#[derive(Debug, Default)]
struct Consumers {
    uplink: bool,
    local: BTreeMap<StreamName, BTreeSet<String>>,
    received: BTreeMap<StreamName, BTreeSet<String>>,
}

impl Buffer {
    /// A buffer over an open log.
    pub(crate) fn new(log: Log, node: NodeName, config: &EdgeConfig) -> Self {
        let mut consumers = Consumers {
            uplink: !config.uplink.relay.is_empty(),
            ..Consumers::default()
        };
        for sink in &config.sink {
            let of = match sink.from {
                From::Relay => &mut consumers.received,
                From::Local => &mut consumers.local,
            };
            of.entry(sink.stream.clone())
                .or_default()
                .insert(consumer_name(&sink.name));
        }
        let inner = Inner {
            positions: Positions::new(log.clone()),
            log,
            node,
            consumers,
            seen: Mutex::default(),
            taken_in: AtomicU64::new(0),
            handed_out: AtomicU64::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The store.
    pub(crate) fn log(&self) -> &Log {
        &self.inner.log
    }

    /// How far consumers have come.
    pub(crate) fn positions(&self) -> &Positions {
        &self.inner.positions
    }

    /// This edge's name.
    pub(crate) fn node(&self) -> &NodeName {
        &self.inner.node
    }

    /// Streams that are wanted from the relay.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &StreamName> {
        self.inner.consumers.received.keys()
    }

    /// Messages taken in and handed out since start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.inner.taken_in), count(&self.inner.handed_out))
    }

    /// The door for one source.
    pub(crate) fn intake(&self, stream: StreamName, class: DataClass, lane: Lane) -> EdgeIntake {
        EdgeIntake {
            buffer: self.clone(),
            stream,
            class,
            lane,
        }
    }

    /// `consumer` has everything of `stream` up to `seq`.
    pub(crate) fn advance(&self, stream: &StreamKey, consumer: &str, seq: Seq) {
        let passed = self.inner.positions.advance(stream, consumer, seq);
        self.inner.handed_out.fetch_add(passed, Ordering::Relaxed);
    }

    fn count_in(&self, outcome: Outcome) {
        if !outcome.is_duplicate() {
            self.inner.taken_in.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What waits for the relay, over all streams and lanes.
    pub(crate) fn upward(&self) -> Backlog {
        let mut sum = Backlog::default();
        for info in self.inner.log.streams() {
            if info.key.role == Role::Outbox {
                let at = self.inner.positions.of(&info.key, UPLINK);
                add(&mut sum, &self.inner.log.backlog(&info.key, at));
            }
        }
        sum
    }

    /// What waits for the relay and for sinks, over all streams and lanes.
    pub(crate) fn backlog(&self) -> Backlog {
        let mut sum = Backlog::default();
        for info in self.inner.log.streams() {
            for consumer in self.consumers_of(&info.key) {
                let at = self.inner.positions.of(&info.key, &consumer);
                let waits = self.inner.log.backlog(&info.key, at);
                add(&mut sum, &waits);
            }
        }
        sum
    }

    /// Keeps a message that its consumer will never take, and lets the consumer go on behind it, in one
    /// commit.
    pub(crate) async fn bury(&self, letter: &DeadLetter) -> Result<(), AppendError> {
        let (_, passed) = self.inner.positions.bury(letter).await?;
        self.inner.handed_out.fetch_add(passed, Ordering::Relaxed);
        Ok(())
    }

    /// Writes positions and gives back the space of what everybody has had for a while. A long message
    /// that is not whole at any relay stays from its first part on, as long as there is room: what does
    /// not fit beside it comes first.
    pub(crate) async fn tidy(&self, now: Instant, handed: &Handed) -> Result<(), AppendError> {
        // what is taken while positions are written is not durable yet, so nothing may go by it
        let streams = self.inner.log.streams().into_iter();
        let taken = streams.filter_map(|info| Some((self.slowest(&info.key)?, info)));
        let taken: Vec<_> = taken.collect();
        self.inner.positions.flush().await?;
        let crowded = self.inner.log.stats().usage.is_crowded();
        for (slowest, info) in taken {
            let (key, newest) = (&info.key, info.last);
            if key.role == Role::Outbox {
                let at_relay = self.inner.positions.of(key, UPLINK);
                handed.give_up(&key.name, key.lane, at_relay, newest, now);
            }
            let trim = match key.role {
                _ if crowded => slowest,
                Role::Outbox => {
                    let spare = handed.spare(&key.name, key.lane, slowest);
                    self.rested(key, spare, now)
                }
                Role::Inbox | Role::Hub | Role::Dead => self.rested(key, slowest, now),
            };
            if trim >= info.first {
                self.inner.log.trim(&info.key, trim).await?;
            }
        }
        Ok(())
    }

    /// How far everybody has come who must have a stream; none when nobody must.
    pub(crate) fn slowest(&self, stream: &StreamKey) -> Option<Seq> {
        let consumers = self.consumers_of(stream).into_iter();
        consumers
            .map(|name| self.inner.positions.of(stream, &name))
            .min()
    }

    /// Up to where everybody had the stream [`REST`] ago. Until then its messages are known again when a
    /// source repeats them after a crash.
    fn rested(&self, stream: &StreamKey, slowest: Seq, now: Instant) -> Seq {
        let mut seen = self
            .inner
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(stream.clone()).or_default();
        if seen.back().is_none_or(|(_, seq)| *seq < slowest) {
            seen.push_back((now, slowest));
        }
        let mut rested = Seq::ZERO;
        while let Some((at, seq)) = seen.front().copied()
            && now.saturating_duration_since(at) >= REST
        {
            rested = seq;
            seen.pop_front();
        }
        rested
    }

    /// The ledger of this edge: a row for every stream, lane and consumer.
    pub(crate) async fn ledger(&self) -> Result<Ledger, AppendError> {
        self.inner.positions.flush().await?;
        let mut rows = Vec::new();
        for info in self.inner.log.streams() {
            for consumer in self.consumers_of(&info.key) {
                let log = &self.inner.log;
                let state = log.cursor_state(&consumer, &info.key).unwrap_or_default();
                rows.push(LedgerRow {
                    stream: shown(&info.key),
                    ..ledger_row(log, &info, consumer, &state)
                });
            }
        }
        Ok(Ledger::of(rows))
    }

    /// Who must have the messages of a stream before they may go; nobody keeps them for ever.
    pub(crate) fn consumers_of(&self, key: &StreamKey) -> Vec<String> {
        let consumers = &self.inner.consumers;
        match key.role {
            Role::Outbox => {
                let uplink = consumers.uplink.then(|| UPLINK.to_owned());
                let local = consumers
                    .local
                    .get(&key.name)
                    .into_iter()
                    .flatten()
                    .cloned();
                uplink.into_iter().chain(local).collect()
            }
            Role::Inbox => consumers
                .received
                .get(&key.name)
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            Role::Hub | Role::Dead => Vec::new(),
        }
    }
}

/// A stream with its side and lane, for people.
pub(crate) fn shown(key: &StreamKey) -> String {
    match key.role {
        Role::Outbox => format!("{} out {}", key.name, key.lane),
        Role::Inbox => format!("{} in", key.name),
        Role::Hub | Role::Dead => key.name.to_string(),
    }
}

/// The name under which a sink keeps its position.
pub(crate) fn consumer_name(sink: &str) -> String {
    format!("sink.{sink}")
}

/// The buffer as one source sees it.
#[derive(Clone)]
pub(crate) struct EdgeIntake {
    buffer: Buffer,
    stream: StreamName,
    class: DataClass,
    lane: Lane,
}

impl Intake for EdgeIntake {
    async fn submit(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, IntakeError> {
        // a message chooses its lane by its severity; those of one lane stay in order
        let mut lanes: BTreeMap<Lane, Vec<(usize, Draft)>> = BTreeMap::new();
        let count = messages.len();
        for (at, message) in messages.into_iter().enumerate() {
            let (lane, draft) = self.draft(message)?;
            lanes.entry(lane).or_default().push((at, draft));
        }
        let mut outcomes = vec![None; count];
        for (lane, drafts) in lanes {
            let key = self.outbox(lane);
            let (places, drafts): (Vec<_>, Vec<_>) = drafts.into_iter().unzip();
            let stored = self.buffer.log().append(&key, drafts).await?;
            for (at, outcome) in places.into_iter().zip(stored) {
                self.buffer.count_in(outcome);
                if let Some(place) = outcomes.get_mut(at) {
                    *place = Some(outcome);
                }
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    fn upload(&self, mut envelope: Envelope, most: u64) -> Result<Upload, IntakeError> {
        let lane = self.admit(&mut envelope)?;
        let (buffer, key) = (self.buffer.clone(), self.outbox(lane));
        let submit = move |draft| -> Receipt {
            let (stored, buffer) = (buffer.log().submit(&key, vec![draft]), buffer.clone());
            Box::pin(async move {
                let outcomes = stored.await?;
                for outcome in &outcomes {
                    buffer.count_in(*outcome);
                }
                Ok(outcomes)
            })
        };
        let sizes = Sizes {
            whole: most.min(Sizes::PRODUCT.whole),
            ..Sizes::PRODUCT
        };
        Ok(Upload::new(&envelope, lane, sizes, Box::new(submit)))
    }
}

impl EdgeIntake {
    fn outbox(&self, lane: Lane) -> StreamKey {
        StreamKey {
            role: Role::Outbox,
            name: self.stream.clone(),
            lane,
        }
    }

    fn draft(&self, mut message: Message) -> Result<(Lane, Draft), IntakeError> {
        let lane = self.admit(&mut message.envelope)?;
        Ok((lane, Draft::from_message(&message, lane)))
    }

    /// Gives the envelope its class and checks it; tells the lane that it goes in.
    fn admit(&self, envelope: &mut Envelope) -> Result<Lane, IntakeError> {
        let refuse = |code, reason: String| IntakeError::Refused { code, reason };
        let class = self.class.as_str();
        match envelope.data_class() {
            Some(stated) if stated != class => {
                let stated = qc_core::safe_text::safe(stated, 80);
                let reason =
                    format!("this source has class '{class}', the message says '{stated}'");
                return Err(refuse("QC5003", reason));
            }
            Some(_) => {}
            None => {
                let class = AttrValue::String(class.to_owned());
                envelope
                    .extensions
                    .insert("dataclassification".to_owned(), class);
            }
        }
        envelope
            .check()
            .map_err(|error| refuse("QC4002", error.to_string()))?;
        Ok(envelope.lane().unwrap_or(self.lane))
    }
}

fn add(sum: &mut Backlog, waits: &Backlog) {
    sum.messages += waits.messages;
    sum.bytes += waits.bytes;
    sum.oldest = match (sum.oldest, waits.oldest) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::task::Poll;

    use qc_core::backoff::Backoff;
    use qc_core::clock::{Clock, SystemClock};
    use qc_core::config::{Source, load};

    use bytes::Bytes;
    use qc_core::link::{OutboundChannel, Peer, Share};
    use qc_core::store::{LogOptions, NodeKey, RealDisk};
    use qc_core::wire::{ChannelKind, Record, RecordHeader, RecordKind, encode_envelope};

    use super::*;
    use crate::config::SCHEMA;
    use crate::feed::StreamFeed;
    use crate::sinks::{DeliverError, Delivery, Sink, run_sink};
    use crate::sources::Activity;

    const CONFIG: &str = "schema = 1\n[[sink]]\nname = \"s\"\nstream = \"acme/x\"\n\
                          from = \"local\"\n[sink.file]\npath = \"/x\"\n";

    /// An edge with one sink and room for a few megabytes.
    fn small(dir: &Path) -> (Buffer, EdgeConfig, Arc<dyn Clock>) {
        small_with(dir, "")
    }

    /// The same with `more` in its configuration.
    fn small_with(dir: &Path, more: &str) -> (Buffer, EdgeConfig, Arc<dyn Clock>) {
        let config = format!("{CONFIG}{more}");
        let loaded = load(&SCHEMA, vec![Source::new("edge.toml", &config)], &[]).unwrap();
        let config = EdgeConfig::from_loaded(&loaded).unwrap();
        let options = LogOptions {
            segment_bytes: 256 << 10,
            max_bytes: 4 << 20,
            min_free: 0,
            ..LogOptions::new(dir)
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (key, disk) = (NodeKey::from_bytes([1; 32]), Arc::new(RealDisk));
        let (log, _) = Log::open(disk, &options, key, Arc::clone(&clock)).unwrap();
        let node = "edge-1.site.acme".parse().unwrap();
        (Buffer::new(log, node, &config), config, clock)
    }

    fn message(id: u64) -> Message {
        Message {
            envelope: Envelope::new(format!("{id}"), "/test", "test.event"),
            body: vec![b'x'; 8000].into(),
        }
    }

    fn low(buffer: &Buffer) -> EdgeIntake {
        let stream = "acme/x".parse().unwrap();
        buffer.intake(stream, "internal".parse().unwrap(), Lane::Low)
    }

    /// Takes in messages until one is refused; gives how many there are.
    async fn fill(buffer: &Buffer) -> u64 {
        for id in 0..10_000 {
            if low(buffer).submit(vec![message(id)]).await.is_err() {
                return id;
            }
        }
        panic!("nothing is refused");
    }

    /// The other side never takes the first message.
    struct RefusesTheFirst;

    impl Sink for RefusesTheFirst {
        async fn deliver(&mut self, delivery: &Delivery) -> Result<(), DeliverError> {
            match delivery.seq {
                Seq(1) => Err(DeliverError::poison("QC4204", "400")),
                _ => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn an_edge_at_its_limit_with_a_message_nobody_takes_comes_free_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (buffer, config, clock) = small(dir.path());
        let held = fill(&buffer).await;
        assert!(held > 100, "{held}");
        let feed = StreamFeed::new(buffer.clone(), &config.sink[0], Arc::clone(&clock));
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(9)).unwrap();
        let activity = Activity::default();
        let never = std::future::pending();
        let sink = run_sink(
            RefusesTheFirst,
            feed,
            backoff,
            Arc::clone(&clock),
            activity,
            never,
        );
        let comes_free = async {
            for id in 0..500 {
                buffer
                    .tidy(clock.instant(), &Handed::default())
                    .await
                    .unwrap();
                let next = message(100_000 + id);
                if low(&buffer).submit(vec![next]).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        };
        let is_free = tokio::select! {
            () = sink => false,
            is_free = comes_free => is_free,
        };
        assert!(is_free, "{:?}", buffer.ledger().await);
        let ledger = buffer.ledger().await.unwrap();
        let dead: u64 = ledger.rows.iter().map(|row| row.dead_lettered).sum();
        assert_eq!(dead, 1, "{ledger:?}");
    }

    #[tokio::test]
    async fn nothing_goes_by_a_position_that_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let (buffer, _, clock) = small(dir.path());
        let held = fill(&buffer).await;
        let stream = StreamKey {
            role: Role::Outbox,
            name: "acme/x".parse().unwrap(),
            lane: Lane::Low,
        };
        // all that everybody has may go at once; how full it is shows a moment later
        while !buffer.log().stats().usage.is_crowded() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let sink = consumer_name("s");
        buffer.advance(&stream, &sink, Seq(held / 2));
        {
            let handed = Handed::default();
            let mut tidy = std::pin::pin!(buffer.tidy(clock.instant(), &handed));
            let first = std::future::poll_fn(|context| Poll::Ready(tidy.as_mut().poll(context)));
            let first: Poll<Result<(), AppendError>> = first.await;
            // the positions are on their way to the disk, and the sink goes on
            buffer.advance(&stream, &sink, Seq(held));
            if first.is_pending() {
                tidy.await.unwrap();
            }
        }
        let written = buffer.log().cursor(&sink, &stream);
        let first = buffer.log().info(&stream).unwrap().first;
        assert_eq!(written, Seq(held / 2));
        assert!(first <= written.next(), "{first} is gone beyond {written}");
        assert!(first > Seq(1), "it makes room");
    }

    /// What the link read for a relay: parts of a long message.
    fn part(seq: u64, is_last: bool) -> Record {
        let mut header = RecordHeader::new(RecordKind::Message);
        (header.seq, header.part) = (Seq(seq), u32::try_from(seq).unwrap());
        header.last_part = is_last;
        let mut head = Vec::new();
        encode_envelope(&Envelope::new("long", "/test", "test.event"), &mut head);
        Record {
            header,
            head: head.into(),
            body: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn a_long_message_that_is_whole_at_no_relay_stays_until_it_is_whole_or_given_up() {
        const MINUTE: Duration = Duration::from_mins(1);
        let dir = tempfile::tempdir().unwrap();
        let up = "[uplink]\nrelay = [\"relay-1.hq.acme:7443\"]\n";
        let (buffer, _, clock) = small_with(dir.path(), up);
        for id in 0..60 {
            low(&buffer).submit(vec![message(id)]).await.unwrap();
        }
        let handed = Handed::default();
        let relay = Peer {
            node: "relay-1.hq.acme".parse().unwrap(),
            address: String::new(),
        };
        let stream = StreamKey {
            role: Role::Outbox,
            name: "acme/x".parse().unwrap(),
            lane: Lane::Low,
        };
        let info = buffer.log().info(&stream).unwrap();
        let channel = OutboundChannel {
            kind: ChannelKind::Forward,
            stream: stream.name.clone(),
            lane: stream.lane,
            share: Share::All,
            epoch: info.epoch,
            first: info.first,
            last: info.last,
            sent: Seq::ZERO,
            had: None,
            after: Seq::ZERO,
            consumer: None,
        };
        let sink = consumer_name("s");
        let taken = |seq: u64| {
            buffer.advance(&stream, UPLINK, Seq(seq));
            buffer.advance(&stream, &sink, Seq(seq));
            handed.reached(&stream.name, stream.lane, Seq(seq));
        };
        let first_after = async |now| {
            buffer.tidy(now, &handed).await.unwrap();
            buffer.tidy(now + 3 * MINUTE, &handed).await.unwrap();
            buffer.log().info(&stream).unwrap().first.0
        };
        let now = clock.instant();
        handed.sent(&relay, &channel, &[part(5, false), part(19, false)], now);
        taken(20);
        assert_eq!(first_after(now).await, 5);
        handed.sent(&relay, &channel, &[part(25, true)], now);
        taken(30);
        assert_eq!(first_after(now + 5 * MINUTE).await, 31);
        // another one is never ended, while the source goes on
        handed.sent(&relay, &channel, &[part(35, false)], now);
        taken(40);
        assert_eq!(first_after(now + 10 * MINUTE).await, 35);
        assert_eq!(
            first_after(now + 70 * MINUTE).await,
            35,
            "the rest may be in what waits"
        );
        low(&buffer).submit(vec![message(60)]).await.unwrap();
        taken(60);
        assert_eq!(first_after(now + 80 * MINUTE).await, 61);
    }
}
