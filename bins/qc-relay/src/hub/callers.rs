//! Who can be called: the newest link of every node below.

use std::collections::BTreeMap;

use qc_core::admin;
use qc_core::cli::{Exit, Failure};
use qc_core::link::{CallStream, Caller, NO_TARGET, Peer};
use qc_core::model::NodeName;
use qc_core::uplink;
use qc_core::wire::{Refusal, Target};

use super::Hub;

/// The links that are up, by node.
#[derive(Debug, Default)]
pub(super) struct Callers {
    by_node: BTreeMap<NodeName, (String, Caller)>,
}

impl Callers {
    /// A link is up; an older one of the node is called no more.
    pub(super) fn begin(&mut self, peer: &Peer, caller: Caller) {
        let link = (peer.address.clone(), caller);
        self.by_node.insert(peer.node.clone(), link);
    }

    /// A link is gone. A newer one of the node stays.
    pub(super) fn end(&mut self, peer: &Peer) {
        let is_it = |(address, _): &(String, Caller)| *address == peer.address;
        if self.by_node.get(&peer.node).is_some_and(is_it) {
            self.by_node.remove(&peer.node);
        }
    }

    /// What makes calls to `node`, if it has a link.
    pub(super) fn of(&self, node: &NodeName) -> Option<Caller> {
        self.by_node.get(node).map(|(_, caller)| caller.clone())
    }

    /// Everybody who has a link.
    pub(super) fn nodes(&self) -> Vec<NodeName> {
        self.by_node.keys().cloned().collect()
    }
}

impl Hub {
    /// Asks the API of a node below, if it has a link now.
    pub(crate) async fn ask(
        &self,
        node: &NodeName,
        request: axum::extract::Request,
    ) -> Result<axum::response::Response, Failure> {
        let caller = self.callers().of(node);
        let caller = caller.ok_or_else(|| {
            let message = format!("{node} has no link to this relay");
            Failure::new(Exit::Unreachable, "QC0610", message).help("qc-relay fleet")
        })?;
        admin::ask(&caller, node, request).await
    }

    /// Answers a call of a node below: a probe, and nothing else.
    pub(super) fn answer_probe(
        &self,
        peer: &Peer,
        target: &Target,
        stream: CallStream,
    ) -> Result<(), Refusal> {
        if !uplink::is_probe(target) {
            let reason = format!("there is no '{target}' here");
            return Err(Refusal::new(NO_TARGET, reason));
        }
        let (hub, peer) = (self.clone(), peer.node.clone());
        self.inner.drain.spawn("probe", async move {
            let streams = hub.streams();
            uplink::answer_probe(streams, hub.clock(), hub.node(), &peer, stream).await;
        });
        Ok(())
    }
}
