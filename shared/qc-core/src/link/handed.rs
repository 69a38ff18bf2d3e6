//! What this process has handed to whom, and what of it was acknowledged: by that a receiver is known
//! that lost some of it, and one that has more than it can have.
//!
//! Numbers alone do not tell a store that was brought back from an older state. What was there when
//! this process began may all have been sent by earlier ones, if the last of them had a link; of what
//! came later, only what this one has read for a receiver.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::app::{OutboundChannel, Peer};
use crate::model::{Lane, NodeName, Seq, StreamName};
use crate::wire::Consumer;

type Key = (NodeName, StreamName, Lane, Option<Consumer>);

/// What was handed to every receiver.
#[derive(Debug, Default)]
pub struct Handed {
    at_start: BTreeMap<(StreamName, Lane), Seq>,
    /// Whether what was there at the start may have been sent.
    may_be_sent: bool,
    /// Whether this process had a link.
    linked: AtomicBool,
    since: Mutex<BTreeMap<Key, Given>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Given {
    sent: Seq,
    acked: Option<Seq>,
}

impl Handed {
    /// Nothing yet; `at_start` are the newest numbers of every stream that is there. They may have
    /// been sent if the process before this one `had_link`.
    pub fn new(
        at_start: impl IntoIterator<Item = ((StreamName, Lane), Seq)>,
        had_link: bool,
    ) -> Self {
        Self {
            at_start: at_start.into_iter().collect(),
            may_be_sent: had_link,
            linked: AtomicBool::new(false),
            since: Mutex::default(),
        }
    }

    /// There is a link; whether it is the first of this process.
    pub fn is_first_link(&self) -> bool {
        !self.linked.swap(true, Ordering::Relaxed)
    }

    /// The channel with what `peer` may have and is known to have of it.
    pub fn told(&self, peer: &Peer, channel: OutboundChannel) -> OutboundChannel {
        let at_start = self.at_start.get(&(channel.stream.clone(), channel.lane));
        let before = if self.may_be_sent {
            at_start.copied().unwrap_or_default()
        } else {
            channel.after
        };
        let given = self.since().get(&key(peer, &channel)).copied();
        let given = given.unwrap_or_default();
        OutboundChannel {
            sent: given.sent.max(before),
            had: given.acked,
            ..channel
        }
    }

    /// Everything up to `seq` was read for `peer`.
    pub fn sent(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let mut since = self.since();
        let given = since.entry(key(peer, channel)).or_default();
        given.sent = given.sent.max(seq);
    }

    /// `peer` has everything up to `seq` that was for it.
    pub fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let mut since = self.since();
        let given = since.entry(key(peer, channel)).or_default();
        // what was passed over behind the last it got, it need not have
        given.acked = Some(given.acked.map_or(seq, |had| had.max(seq.min(given.sent))));
    }

    /// What `peer` has is of another history: nothing of it counts.
    pub fn rewound(&self, peer: &Peer, channel: &OutboundChannel) {
        self.since().remove(&key(peer, channel));
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<Key, Given>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use super::*;
    use crate::link::app::Share;
    use crate::model::Epoch;
    use crate::wire::ChannelKind;

    fn peer(node: &str) -> Peer {
        Peer {
            node: node.parse().unwrap(),
            address: String::new(),
        }
    }

    #[test]
    fn counts_for_each_receiver_alone() {
        let stream: StreamName = "acme/x".parse().unwrap();
        let at_start = [((stream.clone(), Lane::Normal), Seq(50))];
        let handed = Handed::new(at_start.clone(), true);
        let channel = |lane| OutboundChannel {
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
        };
        let told = |node: &str, lane| {
            let told = handed.told(&peer(node), channel(lane));
            (told.sent, told.had)
        };
        let (one, other) = ("relay-1.hq.acme", "relay-2.hq.acme");
        assert_eq!(told(one, Lane::Normal), (Seq(50), None));
        assert_eq!(told(one, Lane::High), (Seq::ZERO, None));
        let normal = channel(Lane::Normal);
        handed.sent(&peer(one), &normal, Seq(40));
        assert_eq!(told(one, Lane::Normal), (Seq(50), None));
        handed.sent(&peer(one), &normal, Seq(120));
        handed.acked(&peer(one), &normal, Seq(70));
        handed.acked(&peer(one), &normal, Seq(90));
        handed.acked(&peer(one), &normal, Seq(80));
        assert_eq!(told(one, Lane::Normal), (Seq(120), Some(Seq(90))));
        assert_eq!(told(other, Lane::Normal), (Seq(50), None));
        handed.acked(&peer(one), &normal, Seq(130));
        assert_eq!(told(one, Lane::Normal), (Seq(120), Some(Seq(120))));
        handed.rewound(&peer(one), &normal);
        assert_eq!(told(one, Lane::Normal), (Seq(50), None));
        // after a process without any link, only what is acknowledged was surely sent
        let handed = Handed::new(at_start, false);
        let channel = OutboundChannel {
            after: Seq(30),
            ..channel(Lane::Normal)
        };
        assert_eq!(handed.told(&peer(one), channel).sent, Seq(30));
        assert!(handed.is_first_link() && !handed.is_first_link());
    }
}
