//! Which processes are linked to this relay and to those below, and whose identity two of them use.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use qc_core::link::{self, Peer, PeerHeartbeat};
use qc_core::model::NodeName;
use qc_core::wire::Refusal;

use super::Hub;
use crate::presence::report::Report;
use crate::presence::table::{REMEMBERED, Table, Twins};
use crate::presence::{Answer, Question};

/// What is told upward, and what is known of those below.
pub(crate) struct Presence {
    /// What the parent is told.
    pub report: Report,
    table: Table,
}

impl Presence {
    /// Nothing yet; `id` tells this table from that of an earlier process.
    pub(super) fn new(id: u64) -> Self {
        Self {
            report: Report::default(),
            table: Table::new(id),
        }
    }
}

impl Hub {
    /// Which processes are linked.
    pub(crate) fn presence(&self) -> MutexGuard<'_, Presence> {
        let presence = self.inner.presence.lock();
        presence.unwrap_or_else(PoisonError::into_inner)
    }

    /// A process has a link here.
    pub(super) fn process_linked(&self, peer: &Peer, instance: u64) {
        let mut presence = self.presence();
        presence.report.linked(peer, instance);
        presence.table.joined(self.node(), &peer.node, instance);
    }

    /// The process behind a link has answered a heartbeat.
    pub(super) fn process_alive(&self, peer: &Peer, heartbeat: &PeerHeartbeat) {
        let Some(at) = heartbeat.echoed else {
            return;
        };
        let now = self.clock().instant();
        let twins = {
            let mut presence = self.presence();
            let Some(instance) = presence.report.alive(peer, at) else {
                return;
            };
            let here = self.node();
            presence.table.alive(here, &peer.node, instance, (at, now))
        };
        if let Some(twins) = twins {
            self.say_twins(&peer.node, twins);
        }
    }

    /// A link has ended.
    pub(super) fn process_gone(&self, peer: &Peer) {
        let mut presence = self.presence();
        if presence.report.ended(peer) {
            presence.table.left(self.node(), &peer.node);
        }
    }

    /// A relay below tells who is linked to it.
    pub(crate) fn presence_told(&self, relay: &NodeName, question: &Question) -> Answer {
        let now = self.clock().instant();
        let mut found = Vec::new();
        let answer = self.presence().table.told(relay, question, now, &mut found);
        for (node, twins) in found {
            self.say_twins(&node, twins);
        }
        answer
    }

    /// The parent has answered.
    pub(crate) fn presence_answered(&self, answer: &Answer) {
        let now = self.clock().instant();
        self.presence().report.answered(answer, now);
        for twin in &answer.twins {
            let Ok(node) = twin.node.parse::<NodeName>() else {
                continue;
            };
            let refusal = Refusal::new(link::DUPLICATE, &twin.reason);
            let until = now + Duration::from_secs(twin.left_s).min(REMEMBERED);
            if self.fleet().contested(&node, refusal.clone(), now, until) {
                warn(&node, &refusal);
            }
        }
    }

    /// Shows it for as long as it goes on; the log is told when it begins. A node that is linked only below
    /// has no row here.
    fn say_twins(&self, node: &NodeName, twins: Twins) {
        let now = self.clock().instant();
        let presence = self.presence();
        let Some((reason, until)) = presence.table.twins(node, now) else {
            return;
        };
        let refusal = Refusal::new(link::DUPLICATE, reason);
        drop(presence);
        if twins == Twins::New {
            warn(node, &refusal);
        }
        self.fleet().contested(node, refusal, now, until);
    }
}

fn warn(node: &NodeName, refusal: &Refusal) {
    let (code, reason) = (refusal.code.to_string(), refusal.reason.as_str());
    tracing::warn!(code, %node, reason, "Two machines use one identity.");
}
