//! A link that greets but neither sends nor asks yet, because another one still does.
//!
//! When a dialer moves from one relay to another, the new link is up before the old one ends; what
//! both would send twice waits here until the old one has ended.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::app::{Chunk, LinkApp, LinkState, Listening, OutboundChannel, Peer, PeerHeartbeat};
use super::calls::{CallStream, Caller};
use crate::model::{Seq, StreamName};
use crate::wire::{Backlog, Greeting, Mark, Open, Record, Refusal, Status, Subscribe, Target};

/// The program around one link, with a gate in front of what is sent and asked for.
pub(super) struct Gate<A> {
    app: Arc<A>,
    is_open: watch::Sender<bool>,
    greeted: watch::Sender<bool>,
    changed: watch::Sender<u64>,
}

impl<A: LinkApp> Gate<A> {
    pub(super) fn new(app: Arc<A>, is_open: bool) -> Self {
        Self {
            app,
            is_open: watch::Sender::new(is_open),
            greeted: watch::Sender::new(false),
            changed: watch::Sender::new(0),
        }
    }

    /// Lets everything through from now on.
    pub(super) fn open(&self) {
        self.is_open.send_replace(true);
        self.tell();
    }

    /// Resolves once both sides have greeted each other.
    pub(super) async fn greeted(&self) {
        let mut greeted = self.greeted.subscribe();
        let _never_gone = greeted.wait_for(|greeted| *greeted).await;
    }

    /// Hands on that there is more to send, for a gate that was closed at first. Never ends.
    pub(super) async fn forward(&self) -> Infallible {
        let mut changed = self.app.changed();
        while changed.changed().await.is_ok() {
            self.tell();
        }
        std::future::pending().await
    }

    fn tell(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }
}

impl<A: LinkApp> LinkApp for Gate<A> {
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        self.app.open_inbound(peer, open)
    }

    fn store(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        self.app.store(peer, open, records)
    }

    fn subscribe(
        &self,
        peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal> {
        self.app.subscribe(peer, subscribe)
    }

    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel> {
        if self.is_open() {
            self.app.outbound(peer)
        } else {
            Vec::new()
        }
    }

    fn subscriptions(&self, peer: &Peer) -> Vec<Subscribe> {
        if self.is_open() {
            self.app.subscriptions(peer)
        } else {
            Vec::new()
        }
    }

    fn read(
        &self,
        peer: &Peer,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        self.app.read(peer, channel, after, max_records, max_bytes)
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        self.app.acked(peer, channel, seq);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        if self.is_open() {
            self.app.changed()
        } else {
            self.changed.subscribe()
        }
    }

    fn listen(&self, channel: &OutboundChannel, bell: &Arc<Notify>) -> Option<Listening> {
        self.app.listen(channel, bell)
    }

    fn backlog(&self, channel: &OutboundChannel) -> Backlog {
        self.app.backlog(channel)
    }

    fn status(&self) -> Status {
        self.app.status()
    }

    fn peer_status(&self, peer: &Peer, status: Status) {
        self.app.peer_status(peer, status);
    }

    fn peer_heartbeat(&self, peer: &Peer, heartbeat: PeerHeartbeat) {
        self.app.peer_heartbeat(peer, heartbeat);
    }

    fn notice(&self, peer: &Peer) -> Option<Refusal> {
        self.app.notice(peer)
    }

    fn linked(&self, peer: &Peer, greeting: &Greeting, caller: Caller) {
        self.app.linked(peer, greeting, caller);
    }

    fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        self.app.called(peer, target, stream)
    }

    fn sent(&self, peer: &Peer, channel: &OutboundChannel) -> Seq {
        self.app.sent(peer, channel)
    }

    fn rewound(&self, peer: &Peer, channel: &OutboundChannel) {
        self.app.rewound(peer, channel);
    }

    fn state(&self, peer: &Peer, state: &LinkState) {
        if *state == LinkState::Up {
            self.greeted.send_replace(true);
        }
        self.app.state(peer, state);
    }

    fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal) {
        self.app.refused(peer, stream, refusal);
    }
}

#[cfg(test)]
mod tests {
    /// A method of the trait with a body of its own would not have to be handed on, and then be lost.
    #[test]
    fn every_method_is_handed_on() {
        let methods = |text: &'static str, from: &str| {
            let (_, body) = text.split_once(from).unwrap();
            let (body, _) = body.split_once("\n}\n").unwrap();
            let lines = body.lines().filter_map(|line| line.strip_prefix("    fn "));
            let named = lines.map(|line| line.split(['(', '<']).next().unwrap());
            named.collect::<Vec<_>>()
        };
        let wanted = methods(include_str!("app.rs"), "pub trait LinkApp");
        let handed_on = methods(include_str!("gate.rs"), "> LinkApp for Gate<A> {");
        assert!(wanted.len() > 10);
        assert_eq!(handed_on, wanted);
    }
}
