//! The hub as its link to the parent relay sees it: declared streams go up, wanted streams come down.
//!
//! Every message that would go up is judged by its own class. One that stays is moved to the dead
//! letters with the reason, in the one commit with the uplink's step past it, and only when everything
//! before it is on the parent's disk: nothing is lost by refusing, and nothing is overtaken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qc_core::admin::RemoteAdmin;
use qc_core::admin::api::LinkStatus;
use qc_core::link::{
    self, CallStream, Caller, Chunk, LinkApp, LinkState, Listening, OutboundChannel, Peer,
    PeerHeartbeat, Share,
};
use qc_core::model::{Lane, Seq, StreamName};
use qc_core::node::Control;
use qc_core::service::Drain;
use qc_core::store::{AppendError, DeadLetter, DeadNote, StreamKey};
use qc_core::streams::Bounds;
use qc_core::uplink::Monitor;
use qc_core::wire::{
    Backlog, ChannelKind, Consumer, EnvelopeRef, Greeting, Mark, Open, Record, Refusal, Start,
    Status, Subscribe, Target,
};
use tokio::sync::{Notify, watch};

use super::access::{Direction, STAYS, StreamRule};
use super::{Hub, lanes};

/// The consumer for which a stream is kept until the parent has it. No node's: theirs have a slash.
pub(super) const UPLINK: &str = "uplink";
/// The name of this relay's consumer at the parent.
const AT_PARENT: &str = "hub";
/// What is buried in one go.
const AT_ONCE: Bounds = Bounds {
    records: 64,
    bytes: 1 << 20,
};
/// How soon a message that stays is tried again after the store did not take its letter.
const AGAIN: Duration = Duration::from_secs(2);

/// The relay's end of its uplink.
#[derive(Clone)]
pub(crate) struct Parent {
    hub: Hub,
    monitor: Monitor,
    admin: Option<RemoteAdmin>,
    staying: Arc<Staying>,
}

/// The streams whose next message stays, each with its seq: the link waits there.
#[derive(Default)]
struct Staying {
    met: Mutex<BTreeMap<StreamName, Seq>>,
    /// The newest run of each stream that was buried: a class that is let go later does not send it.
    runs: Mutex<BTreeMap<StreamName, (Seq, Seq)>>,
    more: Notify,
    /// Fires when the link has to look again though nothing was stored.
    again: watch::Sender<u64>,
}

impl Parent {
    /// The uplink of `hub`, told to `monitor`.
    pub(crate) fn new(hub: Hub, monitor: Monitor) -> Self {
        Self {
            hub,
            monitor,
            admin: None,
            staying: Arc::default(),
        }
    }

    /// The same, with what the parent may ask this relay.
    pub(crate) fn answering(self, admin: RemoteAdmin) -> Self {
        Self {
            admin: Some(admin),
            ..self
        }
    }

    /// The link for `status`.
    pub(crate) fn link_status(&self) -> LinkStatus {
        self.monitor.status(self.waiting().messages)
    }

    /// Moves what stays to the dead letters, each when its turn has come, and hands on to the link that
    /// there may be more for it, until the end.
    pub(crate) async fn bury_what_stays(self, drain: Drain) {
        let (mut stored, mut changed) = (self.hub.streams().changed(), self.hub.reconfigured());
        loop {
            let streams: Vec<StreamName> = self.staying.met().keys().cloned().collect();
            let mut is_full = false;
            for stream in streams {
                is_full |= self.bury_next(&stream).await.is_err();
            }
            // one moment for all turns: commits of others come and go in between
            let again = tokio::time::sleep(AGAIN);
            let mut again = std::pin::pin!(again);
            loop {
                tokio::select! {
                    () = drain.signaled() => return,
                    () = self.staying.more.notified() => break,
                    () = again.as_mut(), if is_full => break,
                    Ok(()) = changed.changed() => {
                        self.staying.tell();
                        break;
                    }
                    Ok(()) = stored.changed() => self.staying.tell(),
                }
            }
        }
    }

    /// Buries the messages of `stream` that stay and that everything before them has passed. They are
    /// judged by the configuration of now: it may have changed since the link met the first.
    async fn bury_next(&self, stream: &StreamName) -> Result<(), AppendError> {
        let Some(met) = self.staying.met().get(stream).copied() else {
            return Ok(());
        };
        if self.rule(stream, Direction::Send).is_err() {
            self.staying.forget(stream, met);
            return Ok(());
        }
        let key = StreamKey::hub(stream.clone());
        let next = self.hub.at_hand(stream, self.position(stream), AT_ONCE);
        let next = next.unwrap_or_default();
        let access = self.hub.access();
        let reached = next.first().map(|record| record.header.seq);
        if reached.is_some_and(|reached| reached < met) {
            return Ok(()); // what is under way to the parent comes first
        }
        let judged = next.into_iter().map_while(|record| {
            let reason = stays(&access, &record)?;
            Some(self.letter(&key, record, reason))
        });
        let letters: Vec<DeadLetter> = judged.collect();
        let count = letters.len();
        let Some(last) = letters.last() else {
            self.staying.forget(stream, met); // it is gone, or may go by now
            return Ok(());
        };
        let (last, reason) = (last.note.seq, last.note.reason.clone());
        if let Err(error) = self.hub.streams().bury(letters).await {
            tracing::warn!(code = error.code(), %stream, %error, "A message that stays is held here.");
            return Err(error);
        }
        self.staying.buried(stream, met, last);
        self.staying.forget(stream, met);
        tracing::warn!(code = STAYS, %stream, seq = last.0, count, reason, "Messages to the dead letters.");
        Ok(())
    }

    fn letter(&self, stream: &StreamKey, record: Record, reason: String) -> DeadLetter {
        DeadLetter {
            note: DeadNote {
                code: STAYS.to_owned(),
                reason,
                stream: stream.clone(),
                sender: None,
                epoch: record.header.epoch,
                seq: record.header.seq,
                consumer: UPLINK.to_owned(),
                at: self.hub.clock().now(),
                attempts: 1,
            },
            lane: record.header.lane,
            part: record.header.part_of(),
            head: record.head,
            body: record.body,
        }
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
        rule.cloned().ok_or_else(|| match direction {
            Direction::Send => {
                let reason = format!("{stream} does not go to the parent any more");
                Refusal::new(link::ENDED, reason)
            }
            Direction::Receive | Direction::None => {
                let reason = format!("{stream} was not asked for");
                Refusal::new(link::NOT_ASKED, reason)
            }
        })
    }

    fn streams(&self, direction: Direction) -> Vec<StreamName> {
        let access = self.hub.access();
        let rules = access.streams().filter(|rule| rule.uplink == direction);
        rules.map(|rule| rule.name.clone()).collect()
    }

    /// What waits for the parent, over all streams.
    pub(crate) fn waiting(&self) -> Backlog {
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

impl Hub {
    /// Long messages to the parent of which nothing comes any more are not waited for.
    pub(super) fn give_up_unfinished(&self) {
        let (handed, now) = (&self.inner.handed, self.clock().instant());
        for (stream, lane) in handed.unfinished_streams() {
            let key = StreamKey::hub(stream.clone());
            if let Some(info) = self.streams().info(&key) {
                let passed = self.streams().position(&key, UPLINK);
                handed.give_up(&stream, lane, passed, info.last, now);
            }
        }
    }
}

impl LinkApp for Parent {
    fn open_inbound(&self, peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        if open.kind != ChannelKind::Deliver {
            let reason = "a parent sends what was asked for, and nothing else";
            return Err(Refusal::new(link::NOT_ASKED, reason));
        }
        self.rule(&open.stream, Direction::Receive)?;
        Ok(self.hub.has_of(peer, open))
    }

    fn store(
        &self,
        peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        self.monitor.received(records.len() as u64);
        let rule = self.rule(&open.stream, Direction::Receive);
        self.hub.take_in(peer, open, records, rule, true)
    }

    fn subscribe(
        &self,
        _peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal> {
        let reason = format!(
            "a parent reads nothing of a relay below it; {} comes by itself if it may",
            subscribe.stream
        );
        Err(Refusal::new(link::NO_STREAM, reason))
    }

    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel> {
        let streams = self.streams(Direction::Send);
        // known as at work before anything is sent: nobody takes it away meanwhile
        let reads = streams.iter().map(|name| (name.clone(), UPLINK.to_owned()));
        self.hub.readers().set(peer, reads.collect());
        let channel = |name: StreamName| {
            let info = self.hub.streams().info(&StreamKey::hub(name.clone()))?;
            Some(OutboundChannel {
                kind: ChannelKind::Forward,
                sent: Seq::ZERO,
                had: None,
                after: self.position(&name),
                stream: name,
                lane: Lane::Normal,
                share: Share::All,
                epoch: info.epoch,
                first: info.first,
                last: info.last,
                consumer: None,
            })
        };
        let channels = streams.into_iter().filter_map(channel);
        let channels = channels.flat_map(|channel| {
            let mut fronts = self.hub.fronts();
            fronts.begin(&channel.stream, UPLINK, channel.after);
            lanes::split(channel)
        });
        let handed = &self.hub.inner.handed;
        channels.map(|channel| handed.told(peer, channel)).collect()
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
        peer: &Peer,
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
        let is_urgent = channel.share == Share::Urgent;
        if !is_urgent && self.staying.met().get(stream) == Some(&after.next()) {
            return Ok(Chunk::default());
        }
        let records = self.hub.at_hand(stream, after, bounds)?;
        let (access, passed) = (self.hub.access(), self.position(stream));
        let came_from = self.hub.came_from(peer);
        let mut chunk = Chunk::default();
        for record in records {
            let seq = record.header.seq;
            match stays(&access, &record) {
                _ if came_from(&record) => {}
                None if !lanes::carries(channel.share, &record) => {}
                // it is moved when the rest has come so far; should it be let go before, it goes from here
                Some(_) if is_urgent && lanes::is_urgent(&record) && seq > passed => break,
                Some(_) if is_urgent => {}
                None if self.staying.was_buried(stream, seq) => {}
                None => chunk.records.push(record),
                Some(_) if seq <= passed => {}
                Some(reason) => {
                    tracing::debug!(code = STAYS, %stream, seq = seq.0, reason, "Met.");
                    self.staying.meet(stream, seq);
                    break;
                }
            }
            chunk.through = seq;
        }
        let (handed, now) = (&self.hub.inner.handed, self.hub.clock().instant());
        handed.sent(peer, channel, &chunk.records, now);
        Ok(chunk)
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        self.hub.inner.handed.acked(peer, channel, seq);
        let reached = self
            .hub
            .fronts()
            .acked(channel, UPLINK, seq, || self.position(&channel.stream));
        // it counts for both channels, whichever was the last to come so far
        for lane in lanes::BOTH {
            let handed = &self.hub.inner.handed;
            handed.reached(&channel.stream, lane, reached);
        }
        let passed = self.hub.taken(&channel.stream, UPLINK, reached);
        self.monitor.acked(&channel.stream, passed);
        if self.staying.met().contains_key(&channel.stream) {
            self.staying.more.notify_one();
        }
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.staying.again.subscribe()
    }

    fn listen(&self, _channel: &OutboundChannel, _bell: &Arc<Notify>) -> Option<Listening> {
        None
    }

    fn backlog(&self, channel: &OutboundChannel) -> Backlog {
        if channel.share == Share::Urgent {
            return Backlog::default(); // it counts with the rest
        }
        self.hub
            .waits(&channel.stream, self.position(&channel.stream))
    }

    fn status(&self) -> Status {
        Status {
            backlog: self.waiting(),
            control: Some(self.hub.control_report()),
            ..LinkApp::status(&self.hub)
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
        self.hub.remember_parent(&peer.node);
        self.hub.keep_first_link(&peer.node);
    }

    fn called(&self, peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        if Control::is_called(target) {
            return self
                .hub
                .control()
                .called(peer, stream, &self.hub.inner.drain);
        }
        match &self.admin {
            Some(admin) => admin.called(peer, target, stream),
            None => Err(Refusal::new(link::NO_TARGET, "nothing can be called here")),
        }
    }

    fn sent(&self, peer: &Peer, channel: &OutboundChannel) -> Seq {
        self.hub.inner.handed.may_have(peer, channel)
    }

    fn rewound(&self, peer: &Peer, channel: &OutboundChannel) {
        self.hub.begin_epoch(peer, channel);
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
    fn met(&self) -> MutexGuard<'_, BTreeMap<StreamName, Seq>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, stream: &StreamName, seq: Seq) {
        self.met().insert(stream.clone(), seq);
        self.more.notify_one();
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<StreamName, (Seq, Seq)>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buried(&self, stream: &StreamName, first: Seq, last: Seq) {
        let mut runs = self.runs();
        let run = runs.entry(stream.clone()).or_insert((first, last));
        let grows = run.1.next() == first;
        *run = if grows { (run.0, last) } else { (first, last) };
    }

    fn was_buried(&self, stream: &StreamName, seq: Seq) -> bool {
        let runs = self.runs();
        runs.get(stream)
            .is_some_and(|(first, last)| (*first..=*last).contains(&seq))
    }

    /// The link may go on behind what it had met, unless it has met another one.
    fn forget(&self, stream: &StreamName, met: Seq) {
        let mut all = self.met();
        if all.get(stream) == Some(&met) {
            all.remove(stream);
        }
        drop(all);
        self.tell();
    }

    fn tell(&self) {
        self.again
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Why a stored message does not go up, if it does not. One whose head cannot be read stays.
fn stays(access: &super::Access, record: &Record) -> Option<String> {
    match EnvelopeRef::parse(&record.head) {
        Ok(view) => access.stays(view.data_class),
        Err(error) => Some(format!("its head cannot be read: {error}")),
    }
}
