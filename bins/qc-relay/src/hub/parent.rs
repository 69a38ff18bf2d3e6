//! The hub as its link to the parent relay sees it: declared streams go up, wanted streams come down.
//!
//! Every message that would go up is judged by its own class. One that stays is moved to the dead
//! letters with the reason, in the one commit with the uplink's step past it, and only when everything
//! before it is on the parent's disk: nothing is lost by refusing, and nothing is overtaken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qc_core::admin::api::LinkStatus;
use qc_core::link::{self, Chunk, LinkApp, LinkState, OutboundChannel, Peer, PeerHeartbeat};
use qc_core::model::{Lane, Seq, StreamName};
use qc_core::service::Drain;
use qc_core::store::{DeadLetter, DeadNote, StreamKey};
use qc_core::streams::Bounds;
use qc_core::uplink::Monitor;
use qc_core::wire::{
    Backlog, ChannelKind, Consumer, EnvelopeRef, Mark, Open, Record, Refusal, Start, Status,
    Subscribe,
};
use tokio::sync::{Notify, watch};

use super::Hub;
use super::access::{Direction, STAYS, StreamRule};

/// The consumer for which a stream is kept until the parent has it. No node's: theirs have a slash.
pub(super) const UPLINK: &str = "uplink";
/// The name of this relay's consumer at the parent.
const AT_PARENT: &str = "hub";
/// How soon a message that stays is tried again after the store did not take its letter.
const AGAIN: Duration = Duration::from_secs(2);

/// The relay's end of its uplink.
#[derive(Clone)]
pub(crate) struct Parent {
    hub: Hub,
    monitor: Monitor,
    staying: Arc<Staying>,
}

/// The next message of each stream that stays, once it was met.
#[derive(Default)]
struct Staying {
    met: Mutex<BTreeMap<StreamName, (Record, String)>>,
    more: Notify,
}

impl Parent {
    /// The uplink of `hub`, told to `monitor`.
    pub(crate) fn new(hub: Hub, monitor: Monitor) -> Self {
        Self {
            hub,
            monitor,
            staying: Arc::default(),
        }
    }

    /// The link for `status`.
    pub(crate) fn link_status(&self) -> LinkStatus {
        self.monitor.status(self.waiting().messages)
    }

    /// Moves what stays to the dead letters, each when its turn has come.
    pub(crate) async fn bury_what_stays(self, drain: Drain) {
        loop {
            tokio::select! {
                () = drain.signaled() => return,
                () = self.staying.more.notified() => {}
            }
            while let Some(letter) = self.next_to_bury() {
                let (stream, seq) = (letter.note.stream.name.clone(), letter.note.seq);
                let reason = letter.note.reason.clone();
                match self.hub.streams().bury(vec![letter]).await {
                    Ok(_) => {
                        tracing::warn!(code = STAYS, %stream, seq = seq.0, reason, "Message to the dead letters.");
                        self.staying.met().remove(&stream);
                    }
                    Err(error) => {
                        tracing::warn!(code = error.code(), %stream, %error, "A message that stays is held here.");
                        tokio::select! {
                            () = drain.signaled() => return,
                            () = tokio::time::sleep(AGAIN) => {}
                        }
                    }
                }
            }
        }
    }

    /// A message that stays and that everything before it has passed.
    fn next_to_bury(&self) -> Option<DeadLetter> {
        let met = self.staying.met();
        let (name, (record, reason)) = met.iter().find(|(name, (record, _))| {
            let passed = self.position(name);
            passed.next() == record.header.seq
        })?;
        Some(DeadLetter {
            note: DeadNote {
                code: STAYS.to_owned(),
                reason: reason.clone(),
                stream: StreamKey::hub(name.clone()),
                sender: None,
                epoch: record.header.epoch,
                seq: record.header.seq,
                consumer: UPLINK.to_owned(),
                at: self.hub.clock().now(),
                attempts: 1,
            },
            lane: record.header.lane,
            head: record.head.clone(),
            body: record.body.clone(),
        })
    }

    /// How far the parent has a stream.
    fn position(&self, stream: &StreamName) -> Seq {
        let key = StreamKey::hub(stream.clone());
        self.hub.streams().position(&key, UPLINK)
    }

    /// The rule of a stream that goes in this direction.
    fn rule(&self, stream: &StreamName, direction: Direction) -> Result<StreamRule, Refusal> {
        let access = self.hub.access();
        let rule = access.stream(stream);
        let rule = rule.filter(|rule| rule.uplink == direction);
        rule.cloned().ok_or_else(|| {
            let reason = format!("{stream} was not asked for");
            Refusal::new(link::NOT_ASKED, reason)
        })
    }

    fn streams(&self, direction: Direction) -> Vec<StreamName> {
        let access = self.hub.access();
        let rules = access.streams().filter(|rule| rule.uplink == direction);
        rules.map(|rule| rule.name.clone()).collect()
    }

    /// What waits for the parent, over all streams.
    fn waiting(&self) -> Backlog {
        let mut sum = Backlog::default();
        for stream in self.streams(Direction::Send) {
            let waits = self.hub.waits(&stream, self.position(&stream));
            sum.messages += waits.messages;
            sum.bytes += waits.bytes;
            sum.oldest = super::earlier(sum.oldest, waits.oldest);
        }
        sum
    }
}

impl LinkApp for Parent {
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        if open.kind != ChannelKind::Deliver {
            let reason = "a parent sends what was asked for, and nothing else";
            return Err(Refusal::new(link::NOT_ASKED, reason));
        }
        self.rule(&open.stream, Direction::Receive)?;
        let stream = StreamKey::hub(open.stream.clone());
        let mark = self.hub.streams().mark(&stream, &peer.node, open.lane);
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
        self.monitor.received(records.len() as u64);
        let rule = self.rule(&open.stream, Direction::Receive);
        self.hub.take_in(peer, open, records, rule)
    }

    fn subscribe(&self, _peer: &Peer, subscribe: &Subscribe) -> Result<OutboundChannel, Refusal> {
        let reason = format!(
            "a parent reads nothing of a relay below it; {} comes by itself if it may",
            subscribe.stream
        );
        Err(Refusal::new(link::NO_STREAM, reason))
    }

    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel> {
        let channel = |name: StreamName| {
            let info = self.hub.streams().info(&StreamKey::hub(name.clone()))?;
            // known as at work before anything is sent: nobody takes it away meanwhile
            self.hub.readers().begin(peer, &name, UPLINK);
            Some(OutboundChannel {
                kind: ChannelKind::Forward,
                after: self.position(&name),
                stream: name,
                lane: Lane::Normal,
                epoch: info.epoch,
                first: info.first,
                last: info.last,
                consumer: None,
            })
        };
        let streams = self.streams(Direction::Send).into_iter();
        streams.filter_map(channel).collect()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        let consumer: Consumer = AT_PARENT.parse().expect("a constant of the right alphabet");
        let subscribe = |stream| Subscribe {
            consumer: consumer.clone(),
            stream,
            start: Start::Beginning,
        };
        let streams = self.streams(Direction::Receive).into_iter();
        streams.map(subscribe).collect()
    }

    fn read(
        &self,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let stream = &channel.stream;
        self.rule(stream, Direction::Send)?;
        let bounds = Bounds {
            records: max_records,
            bytes: max_bytes,
        };
        let records = self.hub.at_hand(stream, after, bounds)?;
        let (access, passed) = (self.hub.access(), self.position(stream));
        let mut chunk = Chunk::default();
        for record in records {
            let seq = record.header.seq;
            match stays(&access, &record) {
                None => chunk.records.push(record),
                Some(_) if seq <= passed => {}
                Some(reason) => {
                    self.staying.meet(stream, record, reason);
                    break;
                }
            }
            chunk.through = seq;
        }
        Ok(chunk)
    }

    fn acked(&self, _peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        let passed = self.hub.taken(&channel.stream, UPLINK, seq);
        self.monitor.acked(passed);
        if self.staying.met().contains_key(&channel.stream) {
            self.staying.more.notify_one();
        }
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.hub.streams().changed()
    }

    fn backlog(&self, channel: &OutboundChannel) -> Backlog {
        self.hub
            .waits(&channel.stream, self.position(&channel.stream))
    }

    fn status(&self) -> Status {
        Status {
            backlog: self.waiting(),
            ..LinkApp::status(&self.hub)
        }
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {}

    fn peer_heartbeat(&self, _peer: &Peer, heartbeat: PeerHeartbeat) {
        self.monitor.heartbeat(heartbeat.rtt);
    }

    fn state(&self, peer: &Peer, state: &LinkState) {
        if matches!(state, LinkState::Down(_)) {
            self.hub.readers().end(peer);
        }
        self.monitor.state(peer, state);
    }

    fn refused(&self, peer: &Peer, stream: &StreamName, refusal: &Refusal) {
        self.monitor.refused(peer, stream, refusal);
    }
}

impl Staying {
    fn met(&self) -> MutexGuard<'_, BTreeMap<StreamName, (Record, String)>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, stream: &StreamName, record: Record, reason: String) {
        self.met().insert(stream.clone(), (record, reason));
        self.more.notify_one();
    }
}

/// Why a stored message does not go up, if it does not. One whose head cannot be read stays.
fn stays(access: &super::Access, record: &Record) -> Option<String> {
    match EnvelopeRef::parse(&record.head) {
        Ok(view) => access.stays(view.data_class),
        Err(error) => Some(format!("its head cannot be read: {error}")),
    }
}
