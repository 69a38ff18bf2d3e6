//! The hub as a link sees it: streams come in from edges and go out to subscribers.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use qc_core::link::{
    self, CallStream, Caller, Chunk, LinkApp, LinkState, Listening, OutboundChannel, Peer,
    PeerHeartbeat, Share,
};
use qc_core::model::{Lane, NodeName, Seq, StreamName, Timestamp};
use qc_core::store::{DeadLetter, DeadNote, Draft, StreamKey};
use qc_core::streams::Bounds;
use qc_core::wire::{
    Backlog, ChannelKind, Code, Greeting, Mark, Open, Record, Refusal, Start, Status, Subscribe,
    Target,
};
use tokio::sync::{Notify, watch};

use super::Hub;
use super::access::{StreamRule, Verb, WRONG_CLASS};
use super::lanes;
use crate::presence;

/// A message has passed more relays than there are in a row anywhere.
const CIRCLES: &str = "QC2243";
const MAX_HOPS: u32 = 16;

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
        Ok(self.has_of(peer, open))
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
        let from_relay = self.fleet().is_relay(&peer.node);
        self.take_in(peer, open, records, rule, from_relay)
    }

    fn subscribe(
        &self,
        peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal> {
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
        let channel = OutboundChannel {
            kind: ChannelKind::Deliver,
            stream: subscribe.stream.clone(),
            lane: Lane::Normal,
            share: Share::All,
            epoch: info.epoch,
            first: info.first,
            last: info.last,
            sent: Seq::ZERO,
            had: None,
            after,
            consumer: Some(subscribe.consumer.clone()),
        };
        let mut fronts = self.fronts();
        fronts.begin(&subscribe.stream, &consumer, after);
        drop(fronts);
        let channels = lanes::split(channel);
        let told = |channel| self.inner.handed.told(peer, channel);
        Ok(channels.into_iter().map(told).collect())
    }

    fn outbound(&self, _peer: &Peer) -> Vec<OutboundChannel> {
        Vec::new()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        Vec::new()
    }

    fn read(
        &self,
        peer: &Peer,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let bounds = Bounds {
            records: max_records,
            bytes: max_bytes,
        };
        let mut records = self.at_hand(&channel.stream, after, bounds)?;
        let through = records.last().map_or(Seq::ZERO, |last| last.header.seq);
        records.retain(|record| lanes::carries(channel.share, record));
        if self.fleet().is_relay(&peer.node) {
            let came_from = self.came_from(peer);
            records.retain(|record| !came_from(record));
        }
        let now = self.clock().instant();
        self.inner.handed.sent(peer, channel, &records, now);
        Ok(Chunk { records, through })
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let Some(consumer) = &channel.consumer else {
            return;
        };
        self.inner.handed.acked(peer, channel, seq);
        let consumer = consumer_name(peer, consumer.as_str());
        let reached = self.fronts().acked(channel, &consumer, seq, || {
            let stream = StreamKey::hub(channel.stream.clone());
            self.streams().position(&stream, &consumer)
        });
        self.taken(&channel.stream, &consumer, reached);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.reconfigured()
    }

    fn listen(&self, channel: &OutboundChannel, bell: &Arc<Notify>) -> Option<Listening> {
        let stream = StreamKey::hub(channel.stream.clone());
        Some(Box::new(self.streams().listen(&stream, bell)))
    }

    fn backlog(&self, channel: &OutboundChannel) -> Backlog {
        if channel.share == Share::Urgent {
            return Backlog::default(); // it counts with the rest
        }
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
        let has_moved = self.fleet().status(peer, status, now, at);
        if has_moved {
            self.inner.due.add(&peer.node, false);
        }
    }

    fn peer_heartbeat(&self, peer: &Peer, heartbeat: PeerHeartbeat) {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.instant());
        self.fleet().heartbeat(peer, &heartbeat, now, at);
        self.process_alive(peer, &heartbeat);
    }

    fn notice(&self, peer: &Peer) -> Option<Refusal> {
        self.fleet().notice(&peer.node, self.inner.clock.instant())
    }

    fn linked(&self, peer: &Peer, greeting: &Greeting, caller: Caller) {
        self.process_linked(peer, greeting.instance);
        self.keep_first_link(&peer.node);
        self.callers().begin(peer, caller);
        self.inner.due.add(&peer.node, true);
    }

    fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        if presence::is_presence(target) && self.fleet().is_relay(&peer.node) {
            let told = presence::answer(self.clone(), peer.node.clone(), stream);
            self.inner.drain.spawn("presence", told);
            return Ok(());
        }
        self.answer_probe(peer, target, stream)
    }

    fn sent(&self, peer: &Peer, channel: &OutboundChannel) -> Seq {
        self.inner.handed.may_have(peer, channel)
    }

    fn rewound(&self, peer: &Peer, channel: &OutboundChannel) {
        self.begin_epoch(peer, channel);
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
            self.process_gone(peer);
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
    /// Stores what `peer` sent into a stream that has this rule, unless there is none. What comes from
    /// another relay has made a hop. Queued before it returns.
    pub(super) fn take_in(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
        rule: Result<StreamRule, Refusal>,
        from_relay: bool,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let last = records.last().map_or(Seq::ZERO, |record| record.header.seq);
        let now = self.inner.clock.now();
        let sorted =
            rule.and_then(|rule| Sorted::of(peer, open, records, &rule, (now, from_relay)));
        let hub = self.clone();
        let stream = StreamKey::hub(open.stream.clone());
        let of = (peer.node.clone(), open.stream.clone(), open.lane);
        let taken = Mark {
            epoch: open.epoch,
            seq: last,
        };
        async move {
            let sorted = sorted?;
            // first the dead: once the others are stored, the peer does not send these again
            if !sorted.dead.is_empty() {
                let buried = hub.bury_refused(&stream.name, sorted.dead).await;
                buried.map_err(|error| Refusal::from(&error))?;
            }
            let stored = hub.streams().submit(&stream, sorted.kept).await;
            stored.map_err(|error| Refusal::from(&error))?;
            let mut answered = hub.answered();
            let known = answered.entry(of).or_insert(taken);
            *known = further(*known, taken).unwrap_or(taken);
            Ok(last)
        }
    }

    /// What this relay has of what `peer` sends on a channel. The store's mark is at the last message
    /// that went into the stream; what was acknowledged behind it is a dead letter, or was there
    /// already, and who says that it is missing is taken for one that lost it.
    pub(super) fn has_of(&self, peer: &Peer, open: &Open) -> Mark {
        let stream = StreamKey::hub(open.stream.clone());
        let stored = self.streams().mark(&stream, &peer.node, open.lane);
        let stored = stored.map(|(epoch, seq)| Mark { epoch, seq });
        let of = (peer.node.clone(), open.stream.clone(), open.lane);
        let answered = self.answered().get(&of).copied();
        match (stored, answered) {
            (Some(stored), Some(answered)) => further(stored, answered).unwrap_or(stored),
            (stored, answered) => stored.or(answered).unwrap_or_default(),
        }
    }

    fn answered(&self) -> MutexGuard<'_, BTreeMap<(NodeName, StreamName, Lane), Mark>> {
        let answered = self.inner.answered.lock();
        answered.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message came from `peer`, which does not get it back.
    pub(super) fn came_from(&self, peer: &Peer) -> impl Fn(&Record) -> bool + use<> {
        let origin = self.streams().origin(&peer.node);
        move |record| origin == Some(record.header.origin.node)
    }

    /// Keeps that this process has had a link to `node`, once.
    pub(super) fn keep_first_link(&self, node: &NodeName) {
        if let Some(start) = self.inner.handed.is_first_link(node) {
            let (hub, node) = (self.clone(), node.clone());
            let kept = async move { link::has_link(hub.streams(), &node, start).await };
            self.inner.drain.spawn("first link", kept);
        }
    }

    /// Begins a new epoch of the stream behind `channel`: `peer` has more of this one than it ever got.
    pub(super) fn begin_epoch(&self, peer: &Peer, channel: &OutboundChannel) {
        if !self.inner.handed.rewound(peer, channel) {
            return;
        }
        let (hub, past) = (self.clone(), channel.epoch);
        let stream = StreamKey::hub(channel.stream.clone());
        self.inner.drain.spawn("new epoch", async move {
            let begun = hub.streams().begin_epoch(&stream, past).await;
            link::tell_epoch(&stream.name, begun.err().as_ref());
        });
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

/// The further of two marks of one epoch.
fn further(one: Mark, other: Mark) -> Option<Mark> {
    (one.epoch == other.epoch).then(|| Mark {
        epoch: one.epoch,
        seq: one.seq.max(other.seq),
    })
}

/// Why a message that has passed so many relays is not taken, if it is not.
fn circles(hops: u32) -> Option<(&'static str, String)> {
    let reason =
        || format!("it has passed {hops} relays, more than {MAX_HOPS}: it goes in a circle");
    (hops > MAX_HOPS).then(|| (CIRCLES, reason()))
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
        (now, from_relay): (Timestamp, bool),
    ) -> Result<Self, Refusal> {
        let mut sorted = Self::default();
        for mut record in records {
            let view = link::received(open, &record)?;
            let (epoch, seq, lane) = (record.header.epoch, record.header.seq, record.header.lane);
            let hops = view.hops.saturating_add(u32::from(from_relay));
            let misfit = rule
                .misfit(view.data_class)
                .map(|reason| (WRONG_CLASS, reason));
            let Some((code, reason)) = misfit.or_else(|| circles(hops)) else {
                if from_relay {
                    record.head = view.with_hops(&record.head, hops);
                }
                sorted.kept.push(link::draft(peer, open, record)?);
                continue;
            };
            tracing::warn!(code, node = %peer.node, stream = %open.stream, reason, "Message to the dead letters.");
            let note = rule.misfit_note(reason, Some(&peer.node), now);
            let note = DeadNote {
                code: code.to_owned(),
                ..note
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use qc_core::model::{AttrValue, Envelope, Epoch};
    use qc_core::store::Limits;
    use qc_core::wire::{EnvelopeRef, RecordHeader, RecordKind, encode_envelope};

    use crate::hub::access::Direction;
    use crate::retention::Retention;

    fn record(seq: u64, hops: Option<i32>) -> Record {
        let mut envelope = Envelope::new(format!("m-{seq}"), "/test", "t");
        let class = AttrValue::String("internal".to_owned());
        let extensions = &mut envelope.extensions;
        extensions.insert("dataclassification".to_owned(), class);
        extensions.extend(hops.map(|hops| ("qchops".to_owned(), AttrValue::Integer(hops))));
        let mut head = Vec::new();
        encode_envelope(&envelope, &mut head);
        let mut header = RecordHeader::new(RecordKind::Message);
        header.seq = Seq(seq);
        Record {
            header,
            head: head.into(),
            body: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn relays_are_counted_and_what_passes_too_many_is_kept_apart() {
        let peer = Peer {
            node: "relay-2.site-a.acme".parse().unwrap(),
            address: String::new(),
        };
        let open = Open {
            channel: 1,
            kind: ChannelKind::Forward,
            stream: "acme/x".parse().unwrap(),
            lane: Lane::Normal,
            epoch: Epoch(1),
            first: Seq(1),
            last: Seq(9),
            consumer: None,
        };
        let rule = StreamRule {
            name: open.stream.clone(),
            class: "internal".parse().unwrap(),
            publish: Vec::new(),
            subscribe: Vec::new(),
            retention: Retention::of(&Limits::default(), None),
            uplink: Direction::None,
        };
        let records = || vec![record(1, None), record(2, Some(3)), record(3, Some(16))];
        let hops = |sorted: &Sorted| {
            let heads = sorted.kept.iter().map(|draft| draft.head.clone());
            heads
                .map(|head| EnvelopeRef::parse(&head).unwrap().hops)
                .collect::<Vec<_>>()
        };
        let now = Timestamp::default();
        let from_edge = Sorted::of(&peer, &open, records(), &rule, (now, false)).unwrap();
        assert_eq!(hops(&from_edge), [0, 3, 16]);
        let from_relay = Sorted::of(&peer, &open, records(), &rule, (now, true)).unwrap();
        assert_eq!(hops(&from_relay), [1, 4]);
        let dead: Vec<_> = from_relay.dead.iter().map(|dead| &dead.note).collect();
        assert_eq!((dead.len(), dead[0].seq), (1, Seq(3)));
        assert_eq!(dead[0].code, CIRCLES);
        assert!(dead[0].reason.contains("17 relays"), "{}", dead[0].reason);
    }
}
