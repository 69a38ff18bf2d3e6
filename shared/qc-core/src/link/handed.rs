//! What this process has handed to whom, and what of it was acknowledged: by that a receiver is known
//! that lost some of it, and one that has more than it can have.
//!
//! Numbers alone do not tell a store that was brought back from an older state. What was there when the
//! process after a receiver's newest link began may all have been sent to it by earlier ones; of what
//! came later, only what this one has read for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::app::{OutboundChannel, Peer};
use super::unfinished::Unfinished;
use crate::model::{Epoch, Lane, NodeName, Seq, StreamName};
use crate::wire::{ChannelKind, Consumer, Record};

type Key = (NodeName, StreamName, Lane, Option<Consumer>);

/// The newest number of every stream.
pub type Numbers = BTreeMap<(StreamName, Lane), Seq>;

/// What was handed to every receiver.
#[derive(Debug, Default)]
pub struct Handed {
    /// The number of this start, if it is kept.
    start: Option<u64>,
    /// What earlier processes may have sent to a node.
    before: BTreeMap<NodeName, Arc<Numbers>>,
    /// The nodes to which this process had a link.
    linked: Mutex<BTreeSet<NodeName>>,
    since: Mutex<BTreeMap<Key, Given>>,
    /// The epoch of a stream that was left because of a node.
    left: Mutex<BTreeMap<(NodeName, StreamName, Lane), Epoch>>,
    /// The long messages that are handed on unasked, and are on their way.
    unfinished: Mutex<BTreeMap<(StreamName, Lane), Unfinished>>,
    /// What of that is kept for the next process; held while it is written.
    kept: tokio::sync::Mutex<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Given {
    sent: Seq,
    acked: Option<Seq>,
}

impl Handed {
    /// Nothing yet in the process of this start; `before` is what earlier ones may have sent to a node.
    pub fn new(start: Option<u64>, before: BTreeMap<NodeName, Arc<Numbers>>) -> Self {
        Self {
            start,
            before,
            ..Self::default()
        }
    }

    /// The same with the long messages that earlier processes left on their way.
    pub(super) fn going_on_with(
        self,
        unfinished: BTreeMap<(StreamName, Lane), Unfinished>,
    ) -> Self {
        let kept = tokio::sync::Mutex::new(texts(&unfinished));
        let unfinished = Mutex::new(unfinished);
        Self {
            unfinished,
            kept,
            ..self
        }
    }

    /// What of the long messages on their way is kept for the next process, by stream. Whoever has this
    /// is the one that writes it.
    pub(super) async fn kept(&self) -> tokio::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.kept.lock().await
    }

    /// What the next process has to know of the long messages on their way, by stream.
    pub(super) fn to_keep(&self) -> BTreeMap<String, String> {
        let mut unfinished = self.unfinished();
        let now = texts(&unfinished);
        unfinished.values_mut().for_each(Unfinished::forget_whole);
        unfinished.retain(|_, runs| !runs.is_empty());
        now
    }

    /// The long messages that are on their way.
    fn unfinished(&self) -> MutexGuard<'_, BTreeMap<(StreamName, Lane), Unfinished>> {
        let unfinished = self.unfinished.lock();
        unfinished.unwrap_or_else(PoisonError::into_inner)
    }

    /// There is a link to `node`. If it is the first of this process, the number of the start that is
    /// to be kept with it.
    pub fn is_first_link(&self, node: &NodeName) -> Option<u64> {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        linked.insert(node.clone()).then_some(self.start).flatten()
    }

    /// The channel with what `peer` may have and is known to have of it. A receiver of which nothing else is
    /// known begins where the oldest long message begins that is whole nowhere; one that asked for the
    /// stream begins where it asked to.
    pub fn told(&self, peer: &Peer, channel: OutboundChannel) -> OutboundChannel {
        let of = (channel.stream.clone(), channel.lane);
        let given = self.since().get(&key(peer, &channel)).copied();
        let after = match channel.kind {
            ChannelKind::Forward => self.begin(&of, channel.after, channel.first),
            ChannelKind::Deliver => channel.after,
        };
        OutboundChannel {
            sent: self.may_have(peer, &channel),
            had: given.and_then(|given| given.acked),
            after,
            ..channel
        }
    }

    /// Up to where anything of a channel may have been sent to `peer` by now.
    pub fn may_have(&self, peer: &Peer, channel: &OutboundChannel) -> Seq {
        let of = (channel.stream.clone(), channel.lane);
        let before = self.before.get(&peer.node);
        let before = before.and_then(|numbers| numbers.get(&of)).copied();
        let given = self.since().get(&key(peer, channel)).copied();
        // what is acknowledged was surely sent
        let before = before.unwrap_or_default().max(channel.after);
        given.map_or(before, |given| given.sent.max(before))
    }

    /// These records were read for `peer`.
    pub fn sent(&self, peer: &Peer, channel: &OutboundChannel, records: &[Record], now: Instant) {
        let Some(last) = records.last() else {
            return;
        };
        {
            let mut since = self.since();
            let given = since.entry(key(peer, channel)).or_default();
            given.sent = given.sent.max(last.header.seq);
        }
        let is_whole = |record: &Record| record.header.part_of().is_whole();
        if channel.kind == ChannelKind::Forward && !records.iter().all(is_whole) {
            let of = (channel.stream.clone(), channel.lane);
            self.unfinished().entry(of).or_default().read(records, now);
        }
    }

    /// `peer` has everything up to `seq` that was for it.
    pub fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let mut since = self.since();
        let given = since.entry(key(peer, channel)).or_default();
        // what was passed over behind the last it got, it need not have
        given.acked = Some(given.acked.map_or(seq, |had| had.max(seq.min(given.sent))));
    }

    /// Everything of a stream up to `position` is acknowledged, by whichever receiver.
    pub fn reached(&self, stream: &StreamName, lane: Lane, position: Seq) {
        let mut unfinished = self.unfinished();
        if unfinished.is_empty() {
            return;
        }
        if let Some(runs) = unfinished.get_mut(&(stream.clone(), lane)) {
            runs.acked(position);
        }
    }

    /// Up to where a stream need not be kept for a receiver to which the link might move, if everything
    /// up to `position` is acknowledged.
    pub fn spare(&self, stream: &StreamName, lane: Lane, position: Seq) -> Seq {
        self.begin(&(stream.clone(), lane), position, Seq::ZERO)
    }

    /// The streams of which long messages are on their way.
    pub fn unfinished_streams(&self) -> Vec<(StreamName, Lane)> {
        self.unfinished().keys().cloned().collect()
    }

    /// Gives up long messages of a stream of which nothing comes any more, if everything up to `position`
    /// is acknowledged, by whichever receiver, and `newest` is the newest that there is.
    pub fn give_up(
        &self,
        stream: &StreamName,
        lane: Lane,
        position: Seq,
        newest: Seq,
        now: Instant,
    ) {
        let mut unfinished = self.unfinished();
        if unfinished.is_empty() {
            return;
        }
        if let Some(runs) = unfinished.get_mut(&(stream.clone(), lane)) {
            runs.give_up(position, newest, now);
        }
    }

    /// Where a receiver begins of which nothing else is known.
    fn begin(&self, of: &(StreamName, Lane), after: Seq, first: Seq) -> Seq {
        let unfinished = self.unfinished();
        let runs = unfinished.get(of);
        runs.map_or(after, |runs| runs.begin(after, first))
    }

    /// What `peer` has is of another history: nothing of it counts. Whether a new epoch is to begin for
    /// that. A peer gets one for a stream, as long as this process runs: one that says so again is
    /// wrong about itself, and the others do not begin anew for it.
    pub fn rewound(&self, peer: &Peer, channel: &OutboundChannel) -> bool {
        self.since().remove(&key(peer, channel));
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (peer.node.clone(), channel.stream.clone(), channel.lane);
        // to leave the same one again is to try it again
        *left.entry(of).or_insert(channel.epoch) == channel.epoch
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<Key, Given>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn texts(unfinished: &BTreeMap<(StreamName, Lane), Unfinished>) -> BTreeMap<String, String> {
    let text = |((stream, lane), runs): (&(StreamName, Lane), &Unfinished)| {
        (format!("{lane}/{stream}"), runs.to_text())
    };
    unfinished.iter().map(text).collect()
}

fn key(peer: &Peer, channel: &OutboundChannel) -> Key {
    (
        peer.node.clone(),
        channel.stream.clone(),
        channel.lane,
        channel.consumer.clone(),
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::link::app::Share;
    use crate::model::Envelope;
    use crate::wire::{RecordHeader, RecordKind, encode_envelope};

    fn peer(node: &str) -> Peer {
        Peer {
            node: node.parse().unwrap(),
            address: String::new(),
        }
    }

    fn message(seq: u64) -> Record {
        let mut header = RecordHeader::new(RecordKind::Message);
        header.seq = Seq(seq);
        Record {
            header,
            head: Bytes::new(),
            body: Bytes::new(),
        }
    }

    fn forward(stream: &StreamName, lane: Lane) -> OutboundChannel {
        OutboundChannel {
            kind: ChannelKind::Forward,
            stream: stream.clone(),
            lane,
            share: Share::All,
            epoch: Epoch(1),
            first: Seq(1),
            last: Seq(200),
            sent: Seq::ZERO,
            had: None,
            after: Seq::ZERO,
            consumer: None,
        }
    }

    #[test]
    fn counts_for_each_receiver_alone() {
        let stream: StreamName = "acme/x".parse().unwrap();
        let at_start = [((stream.clone(), Lane::Normal), Seq(50))];
        let numbers = Arc::new(at_start.into_iter().collect::<Numbers>());
        let nodes = ["relay-1.hq.acme", "relay-2.hq.acme"].map(|node| node.parse().unwrap());
        let before = nodes.map(|node| (node, Arc::clone(&numbers)));
        let handed = Handed::new(Some(3), before.into_iter().collect());
        let channel = |lane| forward(&stream, lane);
        let told = |node: &str, lane| {
            let told = handed.told(&peer(node), channel(lane));
            (told.sent, told.had)
        };
        let (one, other) = ("relay-1.hq.acme", "relay-2.hq.acme");
        assert_eq!(told(one, Lane::Normal), (Seq(50), None));
        assert_eq!(told(one, Lane::High), (Seq::ZERO, None));
        let normal = channel(Lane::Normal);
        let now = SystemClock::default().instant();
        let sent = |seq| handed.sent(&peer(one), &normal, &[message(seq)], now);
        sent(40);
        assert_eq!(told(one, Lane::Normal), (Seq(50), None));
        sent(120);
        handed.acked(&peer(one), &normal, Seq(70));
        handed.acked(&peer(one), &normal, Seq(90));
        handed.acked(&peer(one), &normal, Seq(80));
        assert_eq!(told(one, Lane::Normal), (Seq(120), Some(Seq(90))));
        assert_eq!(told(other, Lane::Normal), (Seq(50), None));
        handed.acked(&peer(one), &normal, Seq(130));
        assert_eq!(told(one, Lane::Normal), (Seq(120), Some(Seq(120))));
        assert!(handed.rewound(&peer(one), &normal));
        assert!(handed.rewound(&peer(one), &normal), "it was not done yet");
        let next = OutboundChannel {
            epoch: Epoch(2),
            ..normal
        };
        assert!(!handed.rewound(&peer(one), &next), "once is enough");
        assert!(handed.rewound(&peer(other), &next));
        assert_eq!(told(one, Lane::Normal), (Seq(50), None));
        // to one that had no link, only what is acknowledged was surely sent
        let channel = OutboundChannel {
            after: Seq(30),
            ..channel(Lane::Normal)
        };
        let third = peer("relay-3.hq.acme");
        assert_eq!(handed.told(&third, channel).sent, Seq(30));
        assert_eq!(handed.is_first_link(&third.node), Some(3));
        assert_eq!(handed.is_first_link(&third.node), None);
        assert_eq!(handed.is_first_link(&peer(one).node), Some(3));
    }

    fn part(seq: u64, id: &str, number: u32, is_last: bool) -> Record {
        let mut record = message(seq);
        (record.header.part, record.header.last_part) = (number, is_last);
        let mut head = Vec::new();
        encode_envelope(&Envelope::new(id, "/press", "scan"), &mut head);
        record.head = head.into();
        record
    }

    #[test]
    fn a_link_that_moves_begins_with_what_is_whole_nowhere_and_a_subscriber_where_it_asked() {
        let stream: StreamName = "acme/x".parse().unwrap();
        let (handed, now) = (Handed::default(), SystemClock::default().instant());
        let forward = forward(&stream, Lane::Normal);
        let first = peer("relay-1.hq.acme");
        let parts = [part(5, "a", 0, false), part(6, "b", 0, true)];
        handed.sent(&first, &forward, &parts, now);
        handed.acked(&first, &forward, Seq(6));
        handed.reached(&stream, Lane::Normal, Seq(6));
        let begins = |kind, lane, first| {
            let channel = OutboundChannel {
                kind,
                lane,
                first: Seq(first),
                after: Seq(6),
                ..forward.clone()
            };
            handed.told(&peer("relay-2.hq.acme"), channel).after.0
        };
        assert_eq!(begins(ChannelKind::Forward, Lane::Normal, 1), 4);
        assert_eq!(begins(ChannelKind::Deliver, Lane::Normal, 1), 6);
        assert_eq!(begins(ChannelKind::Forward, Lane::High, 1), 6);
        assert_eq!(
            begins(ChannelKind::Forward, Lane::Normal, 6),
            6,
            "it is gone"
        );
        assert_eq!(handed.spare(&stream, Lane::Normal, Seq(6)), Seq(4));
        // what goes to subscribers is theirs alone
        let delivered = OutboundChannel {
            kind: ChannelKind::Deliver,
            ..forward.clone()
        };
        handed.sent(&first, &delivered, &[part(3, "c", 0, false)], now);
        assert_eq!(begins(ChannelKind::Forward, Lane::Normal, 1), 4);
    }
}
