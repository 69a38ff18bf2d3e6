//! The hub as a link sees it: streams come in from edges and go out to subscribers.

use std::sync::PoisonError;

use qc_core::link::{
    self, CallStream, Caller, Chunk, LinkApp, LinkState, OutboundChannel, Peer, PeerHeartbeat,
};
use qc_core::model::{Lane, Seq, StreamName, Timestamp};
use qc_core::store::{DeadLetter, DeadNote, Draft, StreamKey};
use qc_core::streams::Bounds;
use qc_core::wire::{
    Backlog, ChannelKind, Code, Mark, Open, Record, Refusal, Start, Status, Subscribe, Target,
};
use tokio::sync::watch;

use super::Hub;
use super::access::{StreamRule, Verb, WRONG_CLASS};

/// Another node than the relay's links must not call itself what it wants to read as.
const NO_RULE: Code = Code::new(5001);

impl LinkApp for Hub {
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        if open.kind != ChannelKind::Forward {
            return Err(Refusal::new(
                link::NOT_ASKED,
                "this relay has not subscribed to anything",
            ));
        }
        self.allow(Some(&peer.node), Verb::Publish, &open.stream)
            .map_err(|denied| Refusal::new(NO_RULE, denied.to_string()))?;
        let stream = StreamKey::hub(open.stream.clone());
        let mark = self.streams().mark(&stream, &peer.node, open.lane);
        Ok(mark
            .map(|(epoch, seq)| Mark { epoch, seq })
            .unwrap_or_default())
    }

    fn store(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let rule = self
            .allow(Some(&peer.node), Verb::Publish, &open.stream)
            .map_err(|denied| Refusal::new(NO_RULE, denied.to_string()));
        self.take_in(peer, open, records, rule)
    }

    fn subscribe(&self, peer: &Peer, subscribe: &Subscribe) -> Result<OutboundChannel, Refusal> {
        self.allow(Some(&peer.node), Verb::Subscribe, &subscribe.stream)
            .map_err(|denied| Refusal::new(NO_RULE, denied.to_string()))?;
        let stream = StreamKey::hub(subscribe.stream.clone());
        let info = self.streams().info(&stream).ok_or_else(|| {
            Refusal::new(
                link::NO_STREAM,
                format!("stream {} has no store yet", subscribe.stream),
            )
        })?;
        let consumer = consumer_name(peer, subscribe.consumer.as_str());
        let begin = match subscribe.start {
            Start::End => info.last,
            Start::Beginning => Seq(info.first.0.saturating_sub(1)),
        };
        // from here on the consumer counts: the relay shows what waits for it
        self.reads(peer, &subscribe.stream, &consumer, begin);
        let after = self.streams().position(&stream, &consumer);
        Ok(OutboundChannel {
            kind: ChannelKind::Deliver,
            stream: subscribe.stream.clone(),
            lane: Lane::Normal,
            epoch: info.epoch,
            first: info.first,
            last: info.last,
            after,
            consumer: Some(subscribe.consumer.clone()),
        })
    }

    fn outbound(&self, _peer: &Peer) -> Vec<OutboundChannel> {
        Vec::new()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        Vec::new()
    }

    fn read(
        &self,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let bounds = Bounds {
            records: max_records,
            bytes: max_bytes,
        };
        Ok(Chunk {
            records: self.at_hand(&channel.stream, after, bounds)?,
            through: Seq::ZERO,
        })
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let Some(consumer) = &channel.consumer else {
            return;
        };
        let consumer = consumer_name(peer, consumer.as_str());
        self.taken(&channel.stream, &consumer, seq);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.streams().changed()
    }

    fn backlog(&self, channel: &OutboundChannel) -> Backlog {
        self.waits(&channel.stream, channel.after)
    }

    fn status(&self) -> Status {
        let taken = self.streams().health().taken;
        let own_rate = self.inner.own_rate.lock();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            disk_used_percent: self.disk_used(),
            time: self.inner.clock.now(),
            cert_not_after: self.certificate_end(),
            messages_in: taken,
            messages_out: own_rate.map_or(0, |rate| rate.out_total),
            ..Status::default()
        }
    }

    fn peer_status(&self, peer: &Peer, status: Status) {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.instant());
        self.fleet().status(peer, status, now, at);
    }

    fn peer_heartbeat(&self, peer: &Peer, heartbeat: PeerHeartbeat) {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.instant());
        self.fleet().heartbeat(peer, &heartbeat, now, at);
    }

    fn linked(&self, peer: &Peer, caller: Caller) {
        self.callers().begin(peer, caller);
    }

    fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        self.answer_probe(peer, target, stream)
    }

    fn state(&self, peer: &Peer, state: &LinkState) {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.instant());
        match state {
            LinkState::Up => {
                tracing::info!(code = "QC2223", node = %peer.node, address = peer.address, "Link up.");
            }
            LinkState::Stale => {
                tracing::warn!(code = "QC2221", node = %peer.node, "Two heartbeats are missing.");
            }
            LinkState::Unacked => {
                tracing::warn!(code = "QC2224", node = %peer.node, "It has not acknowledged for two heartbeats.");
            }
            LinkState::Fresh => {
                tracing::info!(code = "QC2223", node = %peer.node, "Link well again.");
            }
            LinkState::Down(refusal) => {
                let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
                if refusal.code.is_identity() || refusal.code == link::DUPLICATE {
                    tracing::warn!(code, node = %peer.node, reason, "Link down.");
                } else {
                    tracing::info!(code, node = %peer.node, reason, "Link down.");
                }
            }
        }
        if matches!(state, LinkState::Down(_)) {
            self.readers().end(peer);
            self.callers().end(peer);
        }
        self.fleet().link(peer, state, now, at);
    }

    fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal) {
        let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
        tracing::warn!(code, node = %peer.node, %stream, reason, "Refused.");
        self.fleet()
            .problem(&peer.node, refusal, self.inner.clock.now());
    }
}

impl Hub {
    /// Stores what `peer` sent into a stream that has this rule, unless there is none. Queued before
    /// it returns.
    pub(super) fn take_in(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
        rule: Result<StreamRule, Refusal>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let last = records.last().map_or(Seq::ZERO, |record| record.header.seq);
        let now = self.inner.clock.now();
        let sorted = rule.and_then(|rule| Sorted::of(peer, open, records, &rule, now));
        let hub = self.clone();
        let stream = StreamKey::hub(open.stream.clone());
        async move {
            let sorted = sorted?;
            // first the dead: once the others are stored, the peer does not send these again
            if !sorted.dead.is_empty() {
                let buried = hub.bury_refused(&stream.name, sorted.dead).await;
                buried.map_err(|error| Refusal::from(&error))?;
            }
            let stored = hub.streams().submit(&stream, sorted.kept).await;
            stored.map(|_| last).map_err(|error| Refusal::from(&error))
        }
    }

    /// Records at hand of a stream after `after`.
    pub(super) fn at_hand(
        &self,
        stream: &StreamName,
        after: Seq,
        bounds: Bounds,
    ) -> Result<Vec<Record>, Refusal> {
        let stream = StreamKey::hub(stream.clone());
        let records = self.streams().at_hand(&stream, after, bounds);
        records.map_err(|error| Refusal::from(&error))
    }

    /// What waits in a stream beyond `after`, as a link tells it.
    pub(super) fn waits(&self, stream: &StreamName, after: Seq) -> Backlog {
        let backlog = self
            .streams()
            .backlog(&StreamKey::hub(stream.clone()), after);
        Backlog {
            messages: backlog.messages,
            bytes: backlog.bytes,
            oldest: backlog.oldest,
        }
    }

    /// `consumer` has a stream up to `seq`; gives by how much it came forward.
    pub(super) fn taken(&self, stream: &StreamName, consumer: &str, seq: Seq) -> u64 {
        let stream = StreamKey::hub(stream.clone());
        let passed = self.streams().advance(&stream, consumer, seq);
        let rate = self.inner.own_rate.lock();
        rate.unwrap_or_else(PoisonError::into_inner).out_total += passed;
        passed
    }
}

/// A consumer is a node's own: two nodes may both call theirs `sink`.
fn consumer_name(peer: &Peer, consumer: &str) -> String {
    format!("{}/{consumer}", peer.node)
}

/// Records from a peer, each checked: what belongs into the stream, and what is a dead letter.
#[derive(Default)]
struct Sorted {
    kept: Vec<Draft>,
    dead: Vec<DeadLetter>,
}

impl Sorted {
    /// A record that is no message breaks the protocol. A message without a class, or of another class
    /// than the stream's, is kept apart with the reason: nothing is lost by refusing.
    fn of(
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
        rule: &StreamRule,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let mut sorted = Self::default();
        for record in records {
            let view = link::received(open, &record)?;
            let (epoch, seq, lane) = (record.header.epoch, record.header.seq, record.header.lane);
            let Some(reason) = rule.misfit(view.data_class) else {
                sorted.kept.push(link::draft(peer, open, record)?);
                continue;
            };
            tracing::warn!(code = WRONG_CLASS, node = %peer.node, stream = %open.stream, reason, "Message to the dead letters.");
            let note = rule.misfit_note(reason, Some(&peer.node), now);
            sorted.dead.push(DeadLetter {
                note: DeadNote {
                    stream: StreamKey {
                        lane: open.lane,
                        ..note.stream
                    },
                    epoch,
                    seq,
                    ..note
                },
                lane,
                part: record.header.part_of(),
                head: record.head,
                body: record.body,
            });
        }
        Ok(sorted)
    }
}
