//! What was accepted, where it must arrive, and what nobody may do. None of this is the engine's code.
//!
//! It hears what producers were told, what stores have put on disk and what senders took for
//! acknowledged, and holds them against each other; it knows no session, channel or window.

use std::collections::BTreeMap;

use super::messages::Key;

/// A rule that a link may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What a sender takes for acknowledged is on the receiver's disk.
    Durable,
    /// What arrives was accepted somewhere.
    Sent,
    /// It arrives byte for byte.
    Bytes,
    /// It is stored in the order of its stream and lane.
    Order,
    /// It is stored once.
    Once,
    /// Everything arrives, within a bounded time after the last fault.
    Arrives,
    /// What waits in memory stays within the windows.
    Bounds,
    /// A call ends as a whole or as an error, and it ends.
    Calls,
    /// Honest nodes end a link or refuse a channel only for a reason that was given to them.
    Honest,
    /// Nothing panics.
    Panics,
}

/// A rule, and how it was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The seed of the world.
    pub seed: u64,
    /// The rule.
    pub rule: Rule,
    /// How.
    pub text: String,
}

/// What is known of all messages.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// Ids in the order in which they were accepted at their origin, without those that nobody wants.
    accepted: [Vec<u64>; Key::COUNT],
    /// How many of them have arrived where, the next one being known by that: by node and stream.
    arrived: BTreeMap<(usize, Key), usize>,
    pub(super) broken: Vec<(Rule, String)>,
    /// Messages that were stored, over all nodes.
    pub(super) stored: u64,
    /// Positions that senders took for acknowledged and that were held against a disk.
    pub(super) acks: u64,
}

impl Oracle {
    pub(super) fn breaks(&mut self, rule: Rule, text: impl Into<String>) {
        if self.broken.len() < 20 {
            self.broken.push((rule, text.into()));
        }
    }

    /// A producer was told that its message is safe.
    pub(super) fn accepted(&mut self, key: Key, id: u64) {
        if key.wants(id) {
            self.accepted[key.place()].push(id);
        }
    }

    /// A node has put a message on disk that came over a link, with this content.
    pub(super) fn stored(&mut self, node: usize, key: Key, id: u64, is_intact: bool) {
        self.stored += 1;
        let accepted = &self.accepted[key.place()];
        let arrived = self.arrived.entry((node, key)).or_default();
        let what = format_args!("message {id} of {key} at node {node}");
        let (rule, text) = match accepted.binary_search(&id) {
            Err(_) => (Rule::Sent, format!("{what} was never sent there")),
            Ok(place) if place < *arrived => (Rule::Once, format!("{what} for the second time")),
            Ok(place) if place > *arrived => {
                let due = accepted[*arrived];
                *arrived = place + 1;
                (Rule::Order, format!("{what}, and {due} is not there"))
            }
            Ok(_) => {
                *arrived += 1;
                if is_intact {
                    return;
                }
                (Rule::Bytes, what.to_string())
            }
        };
        self.breaks(rule, text);
    }

    /// A sender takes the messages with these ids for acknowledged by `node`.
    pub(super) fn acked(&mut self, node: usize, key: Key, ids: impl Iterator<Item = u64>) {
        self.acks += 1;
        let arrived = self.arrived.get(&(node, key)).copied().unwrap_or(0);
        // in order, so the first one that is due says it all; what is out of order has its own rule
        let due = self.accepted[key.place()].get(arrived);
        let mut ids = ids.filter(|id| key.wants(*id));
        if let Some(id) = ids.find(|id| due.is_some_and(|due| id >= due)) {
            let text = format!("message {id} of {key} is acknowledged and not at node {node}");
            self.breaks(Rule::Durable, text);
        }
    }

    /// How many messages of `key` are missing at `node`.
    pub(super) fn missing(&self, node: usize, key: Key) -> usize {
        let arrived = self.arrived.get(&(node, key)).copied().unwrap_or(0);
        self.accepted[key.place()].len() - arrived
    }
}
