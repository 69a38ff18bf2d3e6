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

mod calls;
mod config;
mod control;
mod inbound;
mod outbound;
mod pace;
mod receiving;
mod sending;
mod shape;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

pub use config::{Event, Now, ReadPermit, SessionConfig, Side};
pub use shape::Shape;

use self::calls::CallState;
use self::inbound::Inbound;
use self::outbound::Outbound;
use self::pace::Pace;
use self::shape::Shaper;
use super::codes::{FRAME, HELLO_TIMEOUT, PROTOCOL as BROKEN, SILENT, SLOW};
use crate::model::NodeName;
use crate::wire::{Control, Frame, FrameKind, Refusal, Subscribe};

/// Batches are queued for sending only while fewer bytes than this wait.
const OUTPUT_FOR_BATCHES: usize = 256 * 1024;
/// A peer that makes us answer more than this without reading it is cut off.
const OUTPUT_FOR_ANSWERS: usize = 1024 * 1024;

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
    unacked: bool,
    started: Instant,
    heard: Instant,
    next_heartbeat: Instant,
    peer_heartbeat: Duration,
    /// The peer's last heartbeat, to be echoed.
    echo: Option<(u64, Instant)>,
    /// Bytes the peer takes unacknowledged, and how many are.
    peer_window: u64,
    peer_features: u64,
    bytes_in_flight: u64,
    unacked_bytes: u64,
    /// Bytes of batches that have arrived, and how many of them the peer was told of.
    received: u64,
    received_told: u64,
    /// Bytes that have to go before the peer hears of it.
    told_waits: usize,
    pace: Pace,
    shaper: Shaper,
    next_number: u32,
    highest_of_peer: u32,
    // boxed: a table has room for eleven at once, and most links have one or two
    outbound: BTreeMap<u32, Box<Outbound>>,
    inbound: BTreeMap<u32, Box<Inbound>>,
    subscriptions: BTreeMap<u32, Subscribe>,
    /// Subscriptions of the peer that are not answered or refused yet, or stand.
    subscribers: BTreeSet<u32>,
    calls: BTreeMap<u32, CallState>,
    last_served: u32,
    /// Whether bytes of a call were sent last: then it is the turn of a batch.
    call_was_last: bool,
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
            unacked: false,
            started: now.instant,
            heard: now.instant,
            next_heartbeat: now.instant,
            peer_heartbeat: config.heartbeat,
            echo: None,
            peer_window: 0,
            peer_features: 0,
            bytes_in_flight: 0,
            unacked_bytes: 0,
            received: 0,
            received_told: 0,
            told_waits: 0,
            pace: Pace::new(now.instant, config.least_under_way),
            shaper: Shaper::new(now.instant),
            next_number: match side {
                Side::Dialer => 1,
                Side::Acceptor => 2,
            },
            highest_of_peer: 0,
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            subscribers: BTreeSet::new(),
            calls: BTreeMap::new(),
            last_served: 0,
            call_was_last: false,
            events: VecDeque::new(),
            output: Vec::new(),
            written: 0,
            acks_due: false,
            answers: 0,
            config,
        };
        if side == Side::Dialer {
            let greeting = session.greeting(session.config.versions, now);
            session.put(&Control::Hello(greeting));
        }
        session
    }

    /// Takes one frame from the peer.
    pub fn on_frame(&mut self, frame: Frame, now: Now) {
        if self.phase == Phase::Closed {
            return;
        }
        self.heard = now.instant;
        if std::mem::take(&mut self.stale) {
            self.events.push_back(Event::Fresh);
            if self.unacked {
                self.events.push_back(Event::Unacked);
            }
        }
        let result = match frame.header.kind {
            FrameKind::Batch => self.on_batch(frame),
            FrameKind::CallData => self.on_call_data(&frame),
            _ => Control::decode(&frame)
                .map_err(|error| Refusal::new(FRAME, error.to_string()))
                .and_then(|control| self.on_control(control, now)),
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
        self.shaper.fill(now.instant);
        self.look_for_acks(now.instant);
        if now.instant >= self.next_heartbeat {
            self.next_heartbeat = now.instant + self.config.heartbeat;
            self.events.push_back(Event::HeartbeatDue);
        }
    }

    /// A peer whose disk has stopped still sends heartbeats: what counts is what it acknowledges.
    fn look_for_acks(&mut self, now: Instant) {
        let (_, received) = self.pace.totals();
        let channels = self.outbound.values_mut();
        let longest = channels
            .filter_map(|channel| channel.waits(received, now))
            .max();
        let patience = self.peer_heartbeat * 2;
        let is_late = longest.is_some_and(|waits| waits >= patience)
            || self
                .pace
                .stands_since(now)
                .is_some_and(|stands| stands >= patience);
        // of a peer that is not heard nothing more is said; when it is heard, what holds then is
        if is_late != self.unacked {
            self.unacked = is_late;
            if !self.stale {
                let event = if is_late {
                    Event::Unacked
                } else {
                    Event::Acking
                };
                self.events.push_back(event);
            }
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
        let next = silence.min(self.next_heartbeat);
        self.shaper.opens().map_or(next, |opens| next.min(opens))
    }

    /// Another shape holds for what is sent from now on.
    pub fn set_shape(&mut self, shape: Shape, now: Instant) {
        self.shaper.set(shape, now);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() && self.draining && !self.drained && self.is_open() {
            self.flush_acks();
            let sent = self.outbound.values().all(|sent| sent.is_settled());
            if sent && self.inbound.values().all(|taken| taken.is_settled()) {
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
        self.told_waits = self.told_waits.saturating_sub(bytes);
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
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
    }

    /// Whether both sides have greeted each other and the session is not over.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Ends a channel, subscription or call of either side.
    pub fn refuse(&mut self, number: u32, refusal: Refusal) {
        if self.forget(number) {
            self.put(&Control::Refuse(number, refusal));
        }
    }

    /// Begins nothing new; [`Event::Drained`] follows when all that was begun is acknowledged. What
    /// the peer still sends is left to it.
    pub fn drain(&mut self) {
        if self.phase == Phase::Open {
            self.draining = true;
            let channels = self.inbound.values_mut();
            self.unacked_bytes -= channels.map(|begun| begun.discard_begun()).sum::<u64>();
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
        self.subscriptions.remove(&number).is_some()
            || self.subscribers.remove(&number)
            || self.calls.remove(&number).is_some()
    }

    fn may_begin(&self) -> bool {
        self.phase == Phase::Open && !self.draining
    }

    fn stale_after(&self) -> Duration {
        self.peer_heartbeat * 2
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
