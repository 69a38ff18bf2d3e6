//! The edge as its link sees it: captured streams go out, wanted streams come in. How it gets to a
//! relay is `qc_core::uplink`.

use std::sync::Arc;

use qc_core::admin::RemoteAdmin;
use qc_core::clock::Clock;
use qc_core::link::{
    self, CallStream, Caller, Chunk, Handed, LinkApp, LinkState, Listening, OutboundChannel, Peer,
    PeerHeartbeat, Share,
};
use qc_core::model::{Lane, Seq, StreamName};
use qc_core::node::Control;
use qc_core::service::Drain;
use qc_core::store::{Log, Role, StreamKey};
use qc_core::streams::{ReadError, Streams};
use qc_core::tls::Credentials;
use qc_core::uplink::Monitor;
use qc_core::wire::{
    Backlog, ChannelKind, Consumer, Greeting, Mark, Open, Record, Refusal, Start, Status,
    Subscribe, Target,
};
use tokio::sync::{Notify, watch};

use crate::buffer::{Buffer, UPLINK};

/// The edge's end of its link.
pub(crate) struct Uplink {
    /// The buffer.
    pub buffer: Buffer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The own certificate, for its end.
    pub credentials: Credentials,
    /// Percent of the disk in use, sampled elsewhere.
    pub disk_used: watch::Receiver<u8>,
    /// What is seen of the link.
    pub monitor: Monitor,
    /// What the relay may ask this edge.
    pub admin: RemoteAdmin,
    /// What went to which relay.
    pub handed: Arc<Handed>,
    /// Where it is kept that there was a link.
    pub streams: Arc<dyn Streams>,
    /// What begins new epochs.
    pub drain: Drain,
    /// What the relay hands on to it.
    pub control: Control,
}

impl LinkApp for Uplink {
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        let wanted = self.buffer.wanted().any(|stream| *stream == open.stream);
        if open.kind != ChannelKind::Deliver || !wanted {
            return Err(Refusal::new(
                link::NOT_ASKED,
                format!("{} was not asked for", open.stream),
            ));
        }
        let mark = self
            .buffer
            .log()
            .mark(&inbox(&open.stream), &peer.node, open.lane);
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
        let last = records.last().map_or(Seq::ZERO, |record| record.header.seq);
        let count = records.len() as u64;
        let drafts: Result<Vec<_>, _> = records
            .into_iter()
            .map(|record| link::draft(peer, open, record))
            .collect();
        let submitted = drafts.map(|drafts| self.buffer.log().submit(&inbox(&open.stream), drafts));
        self.monitor.received(count);
        async move {
            submitted?
                .await
                .map(|_| last)
                .map_err(|error| Refusal::from(&error))
        }
    }

    fn subscribe(
        &self,
        _peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal> {
        let reason = format!(
            "an edge serves no subscriptions; {} is not here",
            subscribe.stream
        );
        Err(Refusal::new(link::NO_STREAM, reason))
    }

    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel> {
        let streams = self.buffer.log().streams().into_iter();
        streams
            .filter(|info| info.key.role == Role::Outbox)
            .map(|info| OutboundChannel {
                sent: Seq::ZERO,
                had: None,
                kind: ChannelKind::Forward,
                after: self.buffer.positions().of(&info.key, UPLINK),
                stream: info.key.name,
                lane: info.key.lane,
                share: Share::All,
                epoch: info.epoch,
                first: info.first,
                last: info.last,
                consumer: None,
            })
            .map(|channel| self.handed.told(peer, channel))
            .collect()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        let consumer: Consumer = "inbox".parse().expect("a constant of the right alphabet");
        let subscribe = |stream: &StreamName| Subscribe {
            consumer: consumer.clone(),
            stream: stream.clone(),
            start: Start::Beginning,
        };
        self.buffer.wanted().map(subscribe).collect()
    }

    fn read(
        &self,
        peer: &Peer,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let records = self
            .buffer
            .log()
            .read(&outbox(channel), after, max_records, max_bytes)
            .map_err(|error| Refusal::from(&ReadError::from(error)))?;
        self.handed
            .sent(peer, channel, &records, self.clock.instant());
        Ok(Chunk {
            records,
            through: Seq::ZERO,
        })
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        self.handed.acked(peer, channel, seq);
        let key = outbox(channel);
        let before = self.buffer.positions().of(&key, UPLINK);
        self.buffer.advance(&key, UPLINK, seq);
        self.handed
            .reached(&channel.stream, channel.lane, seq.max(before));
        self.monitor
            .acked(&channel.stream, seq.0.saturating_sub(before.0));
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.buffer.log().changed()
    }

    fn listen(&self, _channel: &OutboundChannel, _bell: &Arc<Notify>) -> Option<Listening> {
        None
    }

    fn backlog(&self, channel: &OutboundChannel) -> Backlog {
        let key = outbox(channel);
        let waits = self
            .buffer
            .log()
            .backlog(&key, self.buffer.positions().of(&key, UPLINK));
        Backlog {
            messages: waits.messages,
            bytes: waits.bytes,
            oldest: waits.oldest,
        }
    }

    fn status(&self) -> Status {
        let waits = self.buffer.backlog();
        let (messages_in, messages_out) = self.buffer.counts();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            disk_used_percent: *self.disk_used.borrow(),
            cert_not_after: Some(self.credentials.current().node.not_after),
            time: self.clock.now(),
            backlog: Backlog {
                messages: waits.messages,
                bytes: waits.bytes,
                oldest: waits.oldest,
            },
            messages_in,
            messages_out,
            control: Some(self.control.applied()),
        }
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {}

    fn peer_heartbeat(&self, peer: &Peer, heartbeat: PeerHeartbeat) {
        self.monitor.heartbeat(peer, &heartbeat);
    }

    fn notice(&self, _peer: &Peer) -> Option<Refusal> {
        None
    }

    fn linked(&self, peer: &Peer, _greeting: &Greeting, caller: Caller) {
        self.monitor.linked(peer, caller);
        if let Some(start) = self.handed.is_first_link(&peer.node) {
            let (streams, node) = (Arc::clone(&self.streams), peer.node.clone());
            let kept = async move { link::has_link(streams.as_ref(), &node, start).await };
            self.drain.spawn("first link", kept);
        }
    }

    fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        if Control::is_called(target) {
            return self.control.called(peer, stream, &self.admin.drain);
        }
        self.admin.called(peer, target, stream)
    }

    fn sent(&self, peer: &Peer, channel: &OutboundChannel) -> Seq {
        self.handed.may_have(peer, channel)
    }

    fn rewound(&self, peer: &Peer, channel: &OutboundChannel) {
        if !self.handed.rewound(peer, channel) {
            return;
        }
        let (log, key, past) = (self.buffer.log().clone(), outbox(channel), channel.epoch);
        self.drain.spawn("new epoch", async move {
            let begun = log.begin_epoch(&key, past).await;
            link::tell_epoch(&key.name, begun.err().as_ref());
        });
    }

    fn state(&self, peer: &Peer, state: &LinkState) {
        self.monitor.state(peer, state);
    }

    fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal) {
        self.monitor.refused(peer, stream, refusal);
    }
}

fn outbox(channel: &OutboundChannel) -> StreamKey {
    StreamKey {
        role: Role::Outbox,
        name: channel.stream.clone(),
        lane: channel.lane,
    }
}

/// The newest numbers of everything that is there to be sent.
pub(crate) fn at_start(log: &Log) -> impl Iterator<Item = ((StreamName, Lane), Seq)> {
    let streams = log.streams().into_iter();
    let outbox = streams.filter(|info| info.key.role == Role::Outbox);
    outbox.map(|info| ((info.key.name, info.key.lane), info.last))
}

/// Where a subscribed stream is kept until its sinks have it.
pub(crate) fn inbox(stream: &StreamName) -> StreamKey {
    StreamKey {
        role: Role::Inbox,
        name: stream.clone(),
        lane: Lane::Normal,
    }
}
