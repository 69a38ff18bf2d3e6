//! The protocol of a link without I/O: frames and calls in, bytes and events out.
//!
//! ```text
//! dialer                        acceptor
//!   Hello            ---->                     within the hello timeout
//!                    <----      Welcome
//!   Open 1           ---->                     I have acme/orders, normal, epoch 9, up to 500
//!                    <----      OpenAck 1      I have epoch 9 up to 120 on disk, send 4 MiB
//!   Batch 121..180   ---->
//!   Batch 181..240   ---->
//!                    <----      Ack 240        after fdatasync, for both
//!   Subscribe 3      ---->                     as consumer mill7, acme/alarms please
//!                    <----      SubscribeAck 3
//!                    <----      Open 2         for that consumer; from here as above, mirrored
//! ```
//!
//! Either side may be sender and receiver of many channels. A rule that a peer breaks ends the
//! session with a stable code; a channel that the application refuses ends alone. The same inputs
//! give the same outputs: time is an argument and nothing here is random.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::app::{Chunk, OutboundChannel, PeerHeartbeat};
use super::codes::{
    FRAME, HELLO_TIMEOUT, NOT_ASKED, PROTOCOL as BROKEN, SILENT, SLOW, TOO_MANY, VERSION, WINDOW,
    WRONG_NODE,
};
use super::inbound::Inbound;
use super::outbound::{Outbound, share};
use crate::clock::Clock;
use crate::model::{NodeName, Seq, Timestamp};
use crate::wire::{
    Ack, ChannelBacklog, ChannelKind, Control, Frame, FrameHeader, FrameKind, Greeting, Heartbeat,
    MAX_CHANNELS, MAX_FRAME, Mark, Open, OpenAck, PROTOCOL, Record, RecordKind, Refusal, Status,
    Subscribe,
};

/// Batches are queued for sending only while fewer bytes than this wait.
const OUTPUT_FOR_BATCHES: usize = 256 * 1024;
/// A peer that makes us answer more than this without reading it is cut off.
const OUTPUT_FOR_ANSWERS: usize = 1024 * 1024;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It connected, and greets first. Its channel numbers are odd.
    Dialer,
    /// It was connected to. Its channel numbers are even.
    Acceptor,
}

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Now {
    /// Reads both clocks.
    pub fn of(clock: &dyn Clock) -> Self {
        Self {
            instant: clock.instant(),
            wall: clock.now(),
        }
    }
}

/// What a session needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// This node's name.
    pub node: NodeName,
    /// Product and version, for people.
    pub software: String,
    /// How often to send a heartbeat.
    pub heartbeat: Duration,
    /// After how many silent heartbeat intervals of the peer the session ends.
    pub silent_after: u32,
    /// Within what time both sides must have greeted each other.
    pub hello_timeout: Duration,
    /// Bytes of records taken unacknowledged, over all channels.
    pub window: u64,
    /// Bytes of records taken unacknowledged on one channel.
    pub channel_window: u64,
    /// The most bytes of one batch, unless one record alone is longer.
    pub batch_bytes: usize,
    /// The most records of one batch.
    pub batch_records: usize,
}

impl SessionConfig {
    /// The defaults for `node`.
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            software: concat!("quick-connect/", env!("CARGO_PKG_VERSION")).to_owned(),
            heartbeat: Duration::from_secs(5),
            silent_after: 6,
            hello_timeout: Duration::from_secs(5),
            window: 2 * MAX_FRAME as u64,
            channel_window: 4 * 1024 * 1024,
            batch_bytes: 256 * 1024,
            batch_records: 512,
        }
    }
}

/// What happened, for the driver to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both sides have greeted each other.
    Established(Greeting),
    /// The peer wants to send: answer with [`Session::accept`] or [`Session::refuse`].
    Opened(Open),
    /// Records have arrived: store them, then call [`Session::durable`].
    Batch(u32, Vec<Record>),
    /// The peer has everything of an outbound channel up to here on disk.
    Acked(u32, Seq),
    /// A channel or subscription ended; its number is free of meaning from now on.
    Refused(u32, Refusal),
    /// The peer asks for a stream: answer with [`Session::allow`] or [`Session::refuse`].
    Subscribe(u32, Subscribe),
    /// A subscription of ours stands.
    Subscribed(u32),
    /// It is time to call [`Session::heartbeat`].
    HeartbeatDue,
    /// The peer's heartbeat.
    Heartbeat(PeerHeartbeat),
    /// How the peer fares.
    Status(Status),
    /// Two heartbeats of the peer are missing.
    Stale,
    /// The peer is heard again.
    Fresh,
    /// While draining: nothing waits for an acknowledgement any more.
    Drained,
    /// The session is over. Nothing but bytes to send may follow.
    Closed {
        /// Why.
        refusal: Refusal,
        /// Whether the peer ended it.
        by_peer: bool,
    },
}

/// Leave to read from the store for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPermit {
    /// The channel.
    pub channel: u32,
    /// Read what comes after this.
    pub after: Seq,
    /// The most records.
    pub max_records: usize,
    /// The most bytes, unless the first record alone is longer.
    pub max_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    Open,
    Closed,
}

/// One end of a link. See the module's page for the rules.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    side: Side,
    peer: NodeName,
    phase: Phase,
    draining: bool,
    drained: bool,
    stale: bool,
    started: Instant,
    heard: Instant,
    next_heartbeat: Instant,
    peer_heartbeat: Duration,
    /// The peer's last heartbeat, to be echoed.
    echo: Option<(u64, Instant)>,
    /// Bytes the peer takes unacknowledged, and how many are.
    peer_window: u64,
    bytes_in_flight: u64,
    unacked_bytes: u64,
    next_number: u32,
    highest_of_peer: u32,
    outbound: BTreeMap<u32, Outbound>,
    inbound: BTreeMap<u32, Inbound>,
    subscriptions: BTreeMap<u32, Subscribe>,
    /// Subscriptions of the peer that are not answered or refused yet, or stand.
    subscribers: BTreeSet<u32>,
    last_served: u32,
    events: VecDeque<Event>,
    output: Vec<u8>,
    written: usize,
    acks_due: bool,
    /// At least as many of the bytes that wait in `output` are no batches.
    answers: usize,
}

impl Session {
    /// A session with `peer`, whose name comes from its certificate. A dialer's Hello is ready to be
    /// sent.
    pub fn new(config: SessionConfig, side: Side, peer: NodeName, now: Now) -> Self {
        let mut session = Self {
            side,
            peer,
            phase: Phase::Greeting,
            draining: false,
            drained: false,
            stale: false,
            started: now.instant,
            heard: now.instant,
            next_heartbeat: now.instant,
            peer_heartbeat: config.heartbeat,
            echo: None,
            peer_window: 0,
            bytes_in_flight: 0,
            unacked_bytes: 0,
            next_number: match side {
                Side::Dialer => 1,
                Side::Acceptor => 2,
            },
            highest_of_peer: 0,
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            subscribers: BTreeSet::new(),
            last_served: 0,
            events: VecDeque::new(),
            output: Vec::new(),
            written: 0,
            acks_due: false,
            answers: 0,
            config,
        };
        if side == Side::Dialer {
            let greeting = session.greeting(1, PROTOCOL, now);
            session.put(&Control::Hello(greeting));
        }
        session
    }

    // What arrives.

    /// Takes one frame from the peer.
    pub fn on_frame(&mut self, frame: Frame, now: Now) {
        if self.phase == Phase::Closed {
            return;
        }
        self.heard = now.instant;
        if std::mem::take(&mut self.stale) {
            self.events.push_back(Event::Fresh);
        }
        let result = if frame.header.kind == FrameKind::Batch {
            self.on_batch(frame)
        } else {
            Control::decode(&frame)
                .map_err(|error| Refusal::new(FRAME, error.to_string()))
                .and_then(|control| self.on_control(control, now))
        };
        if let Err(refusal) = result {
            self.close(refusal);
        }
    }

    /// Lets time pass: deadlines, heartbeats, silence.
    pub fn on_tick(&mut self, now: Now) {
        if self.phase == Phase::Closed {
            return;
        }
        let silent = now.instant.saturating_duration_since(self.heard);
        if self.phase == Phase::Greeting {
            if now.instant.saturating_duration_since(self.started) >= self.config.hello_timeout {
                self.close(Refusal::new(HELLO_TIMEOUT, "no greeting in time"));
            }
            return;
        }
        if silent >= self.peer_heartbeat * self.config.silent_after {
            let reason = format!("nothing heard for {} ms", silent.as_millis());
            self.close(Refusal::new(SILENT, reason));
            return;
        }
        if silent >= self.stale_after() && !self.stale {
            self.stale = true;
            self.events.push_back(Event::Stale);
        }
        if now.instant >= self.next_heartbeat {
            self.next_heartbeat = now.instant + self.config.heartbeat;
            self.events.push_back(Event::HeartbeatDue);
        }
    }

    /// When [`Session::on_tick`] must be called at the latest.
    pub fn deadline(&self) -> Instant {
        if self.phase == Phase::Greeting {
            return self.started + self.config.hello_timeout;
        }
        let silence = if self.stale {
            self.heard + self.peer_heartbeat * self.config.silent_after
        } else {
            self.heard + self.stale_after()
        };
        silence.min(self.next_heartbeat)
    }

    // What goes out.

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() && self.draining && !self.drained && self.is_open() {
            self.flush_acks();
            let sent = self.outbound.values().all(Outbound::is_settled);
            if sent && self.inbound.values().all(Inbound::is_settled) {
                self.drained = true;
                self.events.push_back(Event::Drained);
            }
        }
        self.events.pop_front()
    }

    /// The bytes to send next; call [`Session::sent`] for as many as were.
    pub fn to_send(&mut self) -> &[u8] {
        self.flush_acks();
        self.output.get(self.written..).unwrap_or_default()
    }

    /// Notes that the first `bytes` of [`Session::to_send`] have gone.
    pub fn sent(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.output.len() {
            self.written = 0;
            self.answers = 0;
            self.output.clear();
            if self.output.capacity() > 2 * OUTPUT_FOR_BATCHES {
                self.output = Vec::new();
            }
        } else {
            self.answers = self.answers.min(self.output.len() - self.written);
            if self.written > OUTPUT_FOR_BATCHES {
                self.output.drain(..self.written);
                self.written = 0;
            }
        }
    }

    /// Gives back the memory of an idle link.
    pub fn shrink(&mut self) {
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Whether both sides have greeted each other and the session is not over.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    // Sending.

    /// Announces a stream to the peer; `None` when that is not possible now.
    pub fn open(&mut self, channel: &OutboundChannel) -> Option<u32> {
        if !self.may_begin() || self.outbound.len() >= MAX_CHANNELS {
            return None;
        }
        let number = self.take_number()?;
        let open = Open {
            channel: number,
            kind: channel.kind,
            stream: channel.stream.clone(),
            lane: channel.lane,
            epoch: channel.epoch,
            first: channel.first,
            last: channel.last,
            consumer: channel.consumer.clone(),
        };
        self.put(&Control::Open(open.clone()));
        self.outbound
            .insert(number, Outbound::new(open, channel.after));
        Some(number)
    }

    /// The store may have more for every outbound channel.
    pub fn more_to_read(&mut self) {
        for channel in self.outbound.values_mut() {
            channel.more = true;
        }
    }

    /// Which channel may send next: the most urgent lane first, channels of one lane in turn. Answer
    /// with [`Session::send`].
    pub fn next_read(&mut self) -> Option<ReadPermit> {
        let permit = self.candidate()?;
        self.last_served = permit.channel;
        Some(permit)
    }

    /// Whether [`Session::next_read`] has something.
    pub fn can_read(&self) -> bool {
        self.candidate().is_some()
    }

    fn candidate(&self) -> Option<ReadPermit> {
        if !self.may_begin() || self.output.len() - self.written >= OUTPUT_FOR_BATCHES {
            return None;
        }
        let last = self.last_served;
        let (channel, room, outbound) = self
            .outbound
            .iter()
            .map(|(number, channel)| (*number, channel.room(self.session_room(channel)), channel))
            .filter(|(_, room, _)| *room > 0)
            .min_by_key(|(number, _, channel)| (channel.open.lane, *number <= last, *number))?;
        Some(ReadPermit {
            channel,
            after: outbound.read,
            max_records: self.config.batch_records,
            max_bytes: usize::try_from(room)
                .unwrap_or(usize::MAX)
                .min(self.config.batch_bytes),
        })
    }

    /// Sends what was read for `permit`. What does not fit is left for the next permit. Returns
    /// whether the channel has come any further.
    pub fn send(&mut self, permit: ReadPermit, chunk: &Chunk) -> bool {
        let Some(channel) = self.outbound.get(&permit.channel) else {
            return false;
        };
        let room = channel.room(self.session_room(channel));
        let Some(channel) = self.outbound.get_mut(&permit.channel) else {
            return false;
        };
        if !channel.ready || channel.read != permit.after {
            return false;
        }
        let (mut bytes, mut last, mut left) = (0, permit.after, None);
        let mut picked = Vec::with_capacity(chunk.records.len());
        let mut looked_at = permit.after;
        for record in &chunk.records {
            if record.header.kind == RecordKind::Message && record.header.seq > last {
                let size = record.encoded_len() as u64;
                if bytes + size > room.min(MAX_FRAME as u64) {
                    left = Some(size);
                    break;
                }
                bytes += size;
                last = record.header.seq;
                picked.push(record);
            }
            looked_at = looked_at.max(record.header.seq);
        }
        if !picked.is_empty() {
            let header = FrameHeader {
                kind: FrameKind::Batch,
                lane: channel.open.lane as u16,
                channel: permit.channel,
                count: u32::try_from(picked.len()).unwrap_or(u32::MAX),
            };
            let epoch = channel.open.epoch;
            header.encode(&mut self.output, |out| {
                for record in &picked {
                    let mut header = record.header;
                    header.stream = permit.channel;
                    header.epoch = epoch;
                    header.origin.node = 0;
                    header.encode(&record.head, &record.body, out);
                }
            });
            channel.note_sent(last, bytes);
            self.bytes_in_flight += bytes;
        }
        match left {
            None => looked_at = looked_at.max(chunk.through),
            Some(size) if picked.is_empty() => channel.note_too_big(size),
            Some(_) => {}
        }
        if let Some(acked) = channel.note_skipped(looked_at) {
            self.events.push_back(Event::Acked(permit.channel, acked));
        }
        let further = channel.read > permit.after;
        if left.is_none() && !further {
            channel.more = false;
        }
        further
    }

    // Receiving.

    /// Takes a channel that the peer opened: everything up to `mark` is on disk already.
    pub fn accept(&mut self, channel: u32, mark: Mark) {
        let window = self.config.channel_window;
        if let Some(inbound) = self.inbound.get_mut(&channel)
            && !inbound.accepted
        {
            inbound.accept(mark, window);
            self.put(&Control::OpenAck(OpenAck {
                channel,
                mark,
                window,
            }));
        }
    }

    /// Everything of `channel` up to `seq` is on disk. The acknowledgement goes with the next bytes.
    pub fn durable(&mut self, channel: u32, seq: Seq) {
        if let Some(inbound) = self.inbound.get_mut(&channel) {
            self.unacked_bytes -= inbound.note_durable(seq);
            self.acks_due = true;
        }
    }

    /// Asks the peer for a stream; `None` when that is not possible now.
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Option<u32> {
        if !self.may_begin() || self.subscriptions.len() >= MAX_CHANNELS {
            return None;
        }
        let number = self.take_number()?;
        self.put(&Control::Subscribe(number, subscribe.clone()));
        self.subscriptions.insert(number, subscribe);
        Some(number)
    }

    /// Grants a subscription of the peer; open a channel for it next.
    pub fn allow(&mut self, number: u32) {
        if self.subscribers.contains(&number) {
            self.put(&Control::SubscribeAck(number));
        }
    }

    /// Ends a channel or subscription of either side.
    pub fn refuse(&mut self, number: u32, refusal: Refusal) {
        if self.forget(number) {
            self.put(&Control::Refuse(number, refusal));
        }
    }

    // The session itself.

    /// Sends a heartbeat with what waits here, and how this node fares.
    pub fn heartbeat(&mut self, backlog: Vec<ChannelBacklog>, status: Status, now: Now) {
        if self.phase != Phase::Open {
            return;
        }
        let (echo_us, held_us) = self.echo.map_or((0, 0), |(echo, at)| {
            (echo, micros(now.instant.saturating_duration_since(at)))
        });
        let beat = Heartbeat {
            time: now.wall,
            sent_us: micros(now.instant.saturating_duration_since(self.started)).max(1),
            echo_us,
            held_us,
            durable: self
                .inbound
                .values()
                .filter(|inbound| inbound.accepted)
                .map(Inbound::position)
                .collect(),
            backlog,
        };
        self.put(&Control::Heartbeat(beat));
        self.put(&Control::Status(status));
    }

    /// Begins nothing new; [`Event::Drained`] follows when all that was begun is acknowledged. What
    /// the peer still sends is left to it.
    pub fn drain(&mut self) {
        if self.phase == Phase::Open {
            self.draining = true;
        }
    }

    /// Ends the session. The peer is told why.
    pub fn close(&mut self, refusal: Refusal) {
        if self.phase != Phase::Closed {
            self.flush_acks();
            self.put(&Control::Close(refusal.clone()));
            self.end(refusal, false);
        }
    }

    fn end(&mut self, refusal: Refusal, by_peer: bool) {
        self.phase = Phase::Closed;
        self.events.push_back(Event::Closed { refusal, by_peer });
    }

    fn on_control(&mut self, control: Control, now: Now) -> Result<(), Refusal> {
        match (self.phase, control) {
            (_, Control::Close(refusal)) => {
                self.end(refusal, true);
                Ok(())
            }
            (Phase::Greeting, Control::Hello(greeting)) if self.side == Side::Acceptor => {
                let version = self.check(&greeting)?;
                let answer = self.greeting(version, version, now);
                self.put(&Control::Welcome(answer));
                self.establish(greeting, now);
                Ok(())
            }
            (Phase::Greeting, Control::Welcome(greeting)) if self.side == Side::Dialer => {
                self.check(&greeting)?;
                self.establish(greeting, now);
                Ok(())
            }
            (Phase::Greeting, _) => Err(Refusal::new(BROKEN, "no greeting first")),
            (_, Control::Hello(_) | Control::Welcome(_)) => {
                Err(Refusal::new(BROKEN, "a greeting out of turn"))
            }
            (_, Control::Open(open)) => self.on_open(open),
            (_, Control::OpenAck(ack)) => self.on_open_ack(&ack),
            (_, Control::Ack(ack)) => self.on_ack(ack),
            (_, Control::Refuse(number, refusal)) => {
                self.check_number(number)?;
                if self.forget(number) {
                    self.events.push_back(Event::Refused(number, refusal));
                }
                Ok(())
            }
            (_, Control::Subscribe(number, subscribe)) => self.on_subscribe(number, subscribe),
            (_, Control::SubscribeAck(number)) => {
                self.check_number(number)?;
                if self.subscriptions.contains_key(&number) {
                    self.events.push_back(Event::Subscribed(number));
                }
                Ok(())
            }
            (_, Control::Heartbeat(beat)) => self.on_heartbeat(beat, now),
            (_, Control::Status(status)) => {
                self.events.push_back(Event::Status(status));
                Ok(())
            }
        }
    }

    fn greeting(&self, version_min: u32, version_max: u32, now: Now) -> Greeting {
        Greeting {
            version_min,
            version_max,
            features: 0,
            node: self.config.node.clone(),
            software: self.config.software.clone(),
            time: now.wall,
            heartbeat: self.config.heartbeat,
            window: self.config.window,
        }
    }

    /// The version that both speak.
    fn check(&self, greeting: &Greeting) -> Result<u32, Refusal> {
        if greeting.node != self.peer {
            return Err(Refusal::new(
                WRONG_NODE,
                format!("{} greets as {}", self.peer, greeting.node),
            ));
        }
        if !(greeting.version_min..=greeting.version_max).contains(&PROTOCOL) {
            return Err(Refusal::new(
                VERSION,
                format!(
                    "{} ({}) speaks protocol {} to {}, this node speaks {PROTOCOL}",
                    self.peer, greeting.software, greeting.version_min, greeting.version_max
                ),
            ));
        }
        Ok(PROTOCOL)
    }

    fn establish(&mut self, greeting: Greeting, now: Now) {
        self.phase = Phase::Open;
        self.peer_heartbeat = greeting.heartbeat;
        self.peer_window = greeting.window;
        self.next_heartbeat = now.instant;
        self.events.push_back(Event::Established(greeting));
    }

    fn on_open(&mut self, open: Open) -> Result<(), Refusal> {
        self.take_number_of_peer(open.channel)?;
        if self.draining {
            return Ok(());
        }
        if self.inbound.len() >= MAX_CHANNELS {
            return Err(Refusal::new(TOO_MANY, "too many channels"));
        }
        let asked = open.kind == ChannelKind::Forward
            || self.subscriptions.values().any(|subscription| {
                subscription.stream == open.stream
                    && Some(&subscription.consumer) == open.consumer.as_ref()
            });
        if asked {
            self.inbound
                .insert(open.channel, Inbound::new(open.clone()));
            self.events.push_back(Event::Opened(open));
        } else {
            let refusal = Refusal::new(NOT_ASKED, format!("{} was not asked for", open.stream));
            self.put(&Control::Refuse(open.channel, refusal));
        }
        Ok(())
    }

    fn on_open_ack(&mut self, ack: &OpenAck) -> Result<(), Refusal> {
        self.check_own_number(ack.channel)?;
        let Some(outbound) = self.outbound.get_mut(&ack.channel) else {
            return Ok(());
        };
        if outbound.ready {
            return Err(Refusal::new(BROKEN, "a channel answered twice"));
        }
        match outbound.resume(ack) {
            Ok(acked) if acked > Seq::ZERO => {
                self.events.push_back(Event::Acked(ack.channel, acked));
            }
            Ok(_) => {}
            Err(refusal) => {
                self.events
                    .push_back(Event::Refused(ack.channel, refusal.clone()));
                self.refuse(ack.channel, refusal);
            }
        }
        Ok(())
    }

    fn on_ack(&mut self, ack: Ack) -> Result<(), Refusal> {
        self.check_own_number(ack.channel)?;
        let Some(outbound) = self.outbound.get_mut(&ack.channel) else {
            return Ok(());
        };
        if let Some((acked, freed)) = outbound.ack(ack.mark)? {
            self.bytes_in_flight -= freed;
            self.events.push_back(Event::Acked(ack.channel, acked));
        }
        Ok(())
    }

    fn on_batch(&mut self, frame: Frame) -> Result<(), Refusal> {
        if self.phase == Phase::Greeting {
            return Err(Refusal::new(BROKEN, "no greeting first"));
        }
        let number = frame.header.channel;
        self.check_number(number)?;
        if self.is_own(number) {
            return Err(Refusal::new(BROKEN, "a batch on a channel of the receiver"));
        }
        let Some(inbound) = self.inbound.get_mut(&number) else {
            return Ok(()); // refused while it was on its way
        };
        if !inbound.accepted {
            return Err(Refusal::new(BROKEN, "a batch before the answer"));
        }
        if self.draining {
            return Ok(());
        }
        let bytes = frame.payload.len() as u64;
        if self.unacked_bytes > 0 && self.unacked_bytes + bytes > self.config.window {
            return Err(Refusal::new(WINDOW, "more bytes than the session takes"));
        }
        let records = inbound.take(frame)?;
        self.unacked_bytes += bytes;
        self.events.push_back(Event::Batch(number, records));
        Ok(())
    }

    fn on_subscribe(&mut self, number: u32, subscribe: Subscribe) -> Result<(), Refusal> {
        self.take_number_of_peer(number)?;
        if self.draining {
            return Ok(());
        }
        if self.subscribers.len() >= MAX_CHANNELS {
            return Err(Refusal::new(TOO_MANY, "too many subscriptions"));
        }
        self.subscribers.insert(number);
        self.events.push_back(Event::Subscribe(number, subscribe));
        Ok(())
    }

    fn on_heartbeat(&mut self, beat: Heartbeat, now: Now) -> Result<(), Refusal> {
        let mine = micros(now.instant.saturating_duration_since(self.started));
        let rtt = (beat.echo_us != 0)
            .then(|| mine.checked_sub(beat.echo_us)?.checked_sub(beat.held_us))
            .flatten()
            .map(Duration::from_micros);
        self.echo = Some((beat.sent_us, now.instant));
        for durable in beat.durable {
            let answered = self
                .outbound
                .get(&durable.channel)
                .is_none_or(|outbound| outbound.ready);
            if answered {
                self.on_ack(durable)?;
            }
        }
        let backlog = beat
            .backlog
            .into_iter()
            .filter_map(|waiting| {
                let inbound = self.inbound.get(&waiting.channel)?;
                Some((inbound.open.clone(), waiting.backlog))
            })
            .collect();
        self.events.push_back(Event::Heartbeat(PeerHeartbeat {
            time: beat.time,
            rtt,
            backlog,
        }));
        Ok(())
    }

    fn put(&mut self, control: &Control) {
        if self.phase == Phase::Closed {
            return;
        }
        let before = self.output.len();
        control.encode(&mut self.output);
        self.answers += self.output.len() - before;
        if self.answers > OUTPUT_FOR_ANSWERS {
            let refusal = Refusal::new(SLOW, "the peer does not read what it asked for");
            self.end(refusal, false);
        }
    }

    fn flush_acks(&mut self) {
        if !self.acks_due
            || self.phase == Phase::Closed
            || self.output.len() - self.written >= OUTPUT_FOR_BATCHES
        {
            return;
        }
        self.acks_due = false;
        let due: Vec<Ack> = self
            .inbound
            .values_mut()
            .filter_map(Inbound::ack_due)
            .collect();
        for ack in due {
            self.put(&Control::Ack(ack));
        }
    }

    /// Drops everything about a number; whether there was anything.
    fn forget(&mut self, number: u32) -> bool {
        if let Some(outbound) = self.outbound.remove(&number) {
            self.bytes_in_flight -= outbound.bytes_in_flight;
            return true;
        }
        if let Some(inbound) = self.inbound.remove(&number) {
            self.unacked_bytes -= inbound.unacked_bytes;
            return true;
        }
        self.subscriptions.remove(&number).is_some() || self.subscribers.remove(&number)
    }

    fn session_room(&self, channel: &Outbound) -> u64 {
        if self.bytes_in_flight == 0 {
            u64::MAX
        } else {
            share(self.peer_window, channel.open.lane).saturating_sub(self.bytes_in_flight)
        }
    }

    fn may_begin(&self) -> bool {
        self.phase == Phase::Open && !self.draining
    }

    fn stale_after(&self) -> Duration {
        self.peer_heartbeat * 5 / 2
    }

    fn is_own(&self, number: u32) -> bool {
        (number % 2 == 1) == (self.side == Side::Dialer)
    }

    fn take_number(&mut self) -> Option<u32> {
        let number = self.next_number;
        self.next_number = number.checked_add(2)?;
        Some(number)
    }

    fn take_number_of_peer(&mut self, number: u32) -> Result<(), Refusal> {
        if self.is_own(number) || number <= self.highest_of_peer {
            return Err(Refusal::new(BROKEN, "a channel number that is not new"));
        }
        self.highest_of_peer = number;
        Ok(())
    }

    /// A number that either side has used in this session.
    fn check_number(&self, number: u32) -> Result<(), Refusal> {
        let used = if self.is_own(number) {
            number < self.next_number
        } else {
            number <= self.highest_of_peer
        };
        used.then_some(())
            .ok_or_else(|| Refusal::new(BROKEN, "a channel number that was never used"))
    }

    fn check_own_number(&self, number: u32) -> Result<(), Refusal> {
        self.check_number(number)?;
        self.is_own(number)
            .then_some(())
            .ok_or_else(|| Refusal::new(BROKEN, "an answer on a channel of the receiver"))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
