//! Runs one session over an established byte stream: one task, one buffer each way, one `select!`.
//!
//! Memory is bounded by the windows: the peer may have [`SessionConfig::window`] bytes of records
//! here that are not on disk yet, and at most a batch and the answers wait to be sent. While a peer
//! keeps to that its socket is always read, so a slow disk never makes it look silent.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::app::{LinkApp, LinkState, Peer};
use super::calls::Calls;
use super::channels::Channels;
use super::codes::{CUT, FRAME, GOING_AWAY, NOT_ADMITTED, SLOW};
use super::pending::Pending;
use super::session::{Event, Now, Session, SessionConfig, Shape, Side};
use crate::clock::Clock;
use crate::model::Seq;
use crate::wire::{FrameDecoder, Open, Records, Refusal};

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many reads from the store may follow each other before the socket is looked at again.
const READS_IN_A_ROW: usize = 16;

/// How to run a link.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The protocol's own settings.
    pub session: SessionConfig,
    /// How long the peer may take no byte while there is one for it.
    pub write_timeout: Duration,
    /// How long a drain waits for acknowledgements.
    pub drain_timeout: Duration,
    /// The shortest and the longest wait before a refused channel or subscription is tried again.
    pub retry: (Duration, Duration),
    /// How much of the line it may take.
    pub shape: watch::Receiver<Shape>,
}

impl LinkOptions {
    /// The defaults around `session`.
    pub fn new(session: SessionConfig) -> Self {
        Self {
            session,
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            retry: (Duration::from_millis(500), Duration::from_secs(30)),
            shape: watch::channel(Shape::default()).1,
        }
    }
}

/// What a link's owner wants of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stop {
    /// Go on.
    #[default]
    Run,
    /// End when everything sent is acknowledged and everything received is on disk.
    Drain,
    /// The same, and tell the peer this: it is sent away.
    Leave(Refusal),
    /// End now, for this reason.
    Close(Refusal),
}

/// How a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub refusal: Refusal,
    /// Whether the peer ended it.
    pub by_peer: bool,
    /// Whether both sides had greeted each other.
    pub established: bool,
}

/// Runs a link with `peer`, whose name was verified, until it ends.
pub async fn run<S, A>(
    stream: S,
    peer: &Peer,
    side: Side,
    app: &A,
    clock: &dyn Clock,
    options: &LinkOptions,
    mut stop: watch::Receiver<Stop>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    A: LinkApp,
{
    let mut driver = Driver::new(app, peer, side, clock, options, fastrand::Rng::new());
    let (mut reader, mut writer) = tokio::io::split(stream);
    let ended = driver.serve(&mut reader, &mut writer, &mut stop).await;
    driver.calls.end(&ended.refusal);
    app.state(peer, &LinkState::Down(ended.refusal.clone()));
    if ended.refusal.code != CUT && ended.refusal.code != NOT_ADMITTED {
        driver
            .farewell(&mut reader, &mut writer, ended.by_peer)
            .await;
    }
    ended
}

/// All of a link but the waiting: what is to be done when something has happened. [`run`] waits for a
/// socket and a timer; a simulation says itself what happens next.
pub(super) struct Driver<'a, A> {
    app: &'a A,
    peer: &'a Peer,
    clock: &'a dyn Clock,
    options: &'a LinkOptions,
    pub(super) session: Session,
    channels: Channels,
    inbound: BTreeMap<u32, Box<Receiving>>,
    pub(super) pending: Pending,
    pub(super) calls: Calls,
    established: bool,
    pub(super) ended: Option<Ended>,
    write_stalled: Option<Instant>,
    drain_until: Option<Instant>,
    /// What the peer is told when this side ends the link in good order.
    goodbye: Refusal,
}

/// A channel on which the peer sends.
struct Receiving {
    open: Open,
    /// Arrived, not handed to the store yet.
    batches: Vec<Records>,
    /// Whether a store call is under way. What arrives meanwhile is collected into the next one: behind a
    /// call that was refused another one would make a hole that is taken for an end.
    is_storing: bool,
}

/// What a link waits for.
pub(super) struct Waits {
    /// Bytes of the peer.
    pub(super) readable: bool,
    /// Nothing: there is more to read from the store.
    pub(super) busy: bool,
    /// The line to take bytes.
    pub(super) write: bool,
    /// No longer than until here.
    pub(super) deadline: Instant,
}

impl<'a, A: LinkApp> Driver<'a, A> {
    pub(super) fn new(
        app: &'a A,
        peer: &'a Peer,
        side: Side,
        clock: &'a dyn Clock,
        options: &'a LinkOptions,
        rng: fastrand::Rng,
    ) -> Self {
        let session = Session::new(
            options.session.clone(),
            side,
            peer.node.clone(),
            Now::of(clock),
        );
        Self {
            app,
            peer,
            clock,
            options,
            session,
            channels: Channels::new(options.retry, rng),
            inbound: BTreeMap::new(),
            pending: Pending::default(),
            calls: Calls::new(),
            established: false,
            ended: None,
            write_stalled: None,
            drain_until: None,
            goodbye: Refusal::new(GOING_AWAY, "the node is shutting down"),
        }
    }

    async fn serve(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        stop: &mut watch::Receiver<Stop>,
    ) -> Ended {
        let mut decoder = FrameDecoder::default();
        let (mut changed, bell) = (self.app.changed(), self.channels.bell());
        let mut shape = self.options.shape.clone();
        let (mut owner_is_there, mut store_is_there, mut is_shaped) = (true, true, true);
        let first = *shape.borrow_and_update();
        self.session.set_shape(first, self.clock.instant());
        let mut unflushed = false;
        let wanted = stop.borrow_and_update().clone();
        self.obey(&wanted);
        let mut timer = std::pin::pin!(sleep(Duration::ZERO));
        let mut armed = self.clock.instant();
        loop {
            self.advance();
            if let Some(ended) = self.ended.take() {
                return ended;
            }
            let Waits {
                readable,
                busy,
                write,
                deadline,
            } = self.waits(unflushed);
            if deadline < armed || timer.is_elapsed() {
                armed = deadline;
                let left = armed.saturating_duration_since(self.clock.instant());
                timer.as_mut().reset(tokio::time::Instant::now() + left);
            }
            let bytes = self.session.to_send();
            tokio::select! {
                wanted = stop.changed(), if owner_is_there => match wanted {
                    Ok(()) => {
                        let wanted = stop.borrow_and_update().clone();
                        self.obey(&wanted);
                    }
                    Err(_) => owner_is_there = false,
                },
                (channel, stored) = self.pending.next(), if self.pending.len() > 0 => {
                    self.on_stored(channel, stored);
                }
                read = reader.read_buf(decoder.space()), if readable => {
                    self.on_read(read, &mut decoder);
                }
                wish = self.calls.moved() => if let Some(wish) = wish {
                    self.calls.begin(wish, &mut self.session);
                },
                written = write_some(writer, bytes), if write => match written {
                    Ok(count) => {
                        unflushed = count > 0;
                        self.on_written(count);
                    }
                    Err(error) => {
                        self.hear_last_words(reader, &mut decoder).await;
                        self.lost(&error);
                    }
                },
                more = changed.changed(), if store_is_there => match more {
                    Ok(()) => self.on_changed(),
                    Err(_) => store_is_there = false,
                },
                () = bell.notified() => self.session.more_to_read(),
                reshaped = shape.changed(), if is_shaped => match reshaped {
                    Ok(()) => {
                        let shape = *shape.borrow_and_update();
                        self.session.set_shape(shape, self.clock.instant());
                    }
                    Err(_) => is_shaped = false,
                },
                () = timer.as_mut() => {
                    // After a stall of this process the peer's bytes come before its silence.
                    tokio::select! {
                        biased;
                        read = reader.read_buf(decoder.space()), if readable => {
                            self.on_read(read, &mut decoder);
                        }
                        () = ready(()) => {}
                    }
                    self.on_time();
                }
                () = yield_now(), if busy => {}
            }
        }
    }

    /// What to wait for now; bytes that were written may be `unflushed`.
    pub(super) fn waits(&mut self, unflushed: bool) -> Waits {
        let write = !self.session.to_send().is_empty() || unflushed;
        if !write {
            self.write_stalled = None;
        } else if self.write_stalled.is_none() {
            self.write_stalled = Some(self.clock.instant());
        }
        Waits {
            // Only a peer that opens and ends channels to get around its windows comes this far.
            readable: (self.pending.bytes() as u64) < 2 * self.options.session.window,
            busy: self.session.can_read(),
            write,
            deadline: self.deadline(),
        }
    }

    /// The line has taken bytes, or has been flushed.
    pub(super) fn on_written(&mut self, count: usize) {
        self.session.sent(count);
        self.write_stalled = None;
    }

    /// The application may have more, or something else, to send.
    pub(super) fn on_changed(&mut self) {
        self.session.more_to_read();
        self.channels.look_again();
    }

    /// Does what can be done without waiting, but no more reads from the store than a few: the
    /// socket and the other tasks get their turn in a long scan too.
    pub(super) fn advance(&mut self) {
        self.handle_events();
        if self.ended.is_some() {
            return;
        }
        self.submit();
        if self.session.is_open() {
            if self.drain_until.is_none() {
                let now = self.clock.instant();
                self.channels
                    .refresh(self.app, self.peer, &mut self.session, now);
            }
            self.calls.pump(&mut self.session, self.clock.instant());
            // a drain begins nothing, but what was begun goes on
            self.read_store();
        }
        self.handle_events();
    }

    pub(super) fn handle_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Established(greeting) => {
                self.established = true;
                self.channels.look_again();
                self.app.linked(self.peer, &greeting, self.calls.caller());
                self.app.state(self.peer, &LinkState::Up);
            }
            Event::Opened(open) => match self.app.open_inbound(self.peer, &open) {
                Ok(mark) => {
                    self.session.accept(open.channel, mark);
                    let receiving = Receiving {
                        open,
                        batches: Vec::new(),
                        is_storing: false,
                    };
                    self.inbound
                        .insert(receiving.open.channel, Box::new(receiving));
                }
                Err(refusal) => {
                    self.app.refused(self.peer, &open.stream, &refusal);
                    self.session.refuse(open.channel, refusal);
                }
            },
            Event::Batch(channel, records) => {
                if let Some(receiving) = self.inbound.get_mut(&channel) {
                    receiving.batches.push(records);
                }
            }
            Event::Acked(channel, seq) => self.channels.acked(self.app, self.peer, channel, seq),
            Event::Called(number, target) => {
                let stream = self.calls.called(number);
                match self.app.called(self.peer, &target, stream) {
                    Ok(()) => self.session.answer(number),
                    Err(refusal) => {
                        self.calls.refused(number, &refusal);
                        self.session.refuse(number, refusal);
                    }
                }
            }
            Event::Answered(number) => self.calls.answered(number, &mut self.session),
            Event::CallData(number, bytes) => self.calls.data(number, &bytes),
            Event::CallEnded(number) => self.calls.ended(number),
            Event::Refused(number, refusal) => {
                if self.calls.refused(number, &refusal) {
                    return;
                }
                if let Some(receiving) = self.inbound.remove(&number) {
                    self.app
                        .refused(self.peer, &receiving.open.stream, &refusal);
                } else {
                    let now = self.clock.instant();
                    self.channels.refused(
                        self.app,
                        self.peer,
                        &mut self.session,
                        (number, &refusal),
                        now,
                    );
                }
            }
            Event::Ahead(number) => {
                let most = self.channels.sent(self.app, self.peer, number);
                self.session.may_have(number, most);
            }
            Event::Rewound(number, refusal) => {
                self.channels.rewound(self.app, self.peer, number);
                let now = self.clock.instant();
                let ended = (number, &refusal);
                self.channels
                    .refused(self.app, self.peer, &mut self.session, ended, now);
            }
            Event::Subscribe(number, subscribe) => {
                self.channels.subscribed(
                    self.app,
                    self.peer,
                    &mut self.session,
                    number,
                    &subscribe,
                );
            }
            Event::Subscribed(number) => self.channels.granted(number),
            Event::HeartbeatDue => {
                self.session.shrink();
                let backlog = self.channels.backlog(self.app);
                let now = Now::of(self.clock);
                let (status, notice) = (self.app.status(), self.app.notice(self.peer));
                self.session.heartbeat(backlog, status, notice, now);
            }
            Event::Heartbeat(heartbeat) => self.app.peer_heartbeat(self.peer, heartbeat),
            Event::Status(status) => self.app.peer_status(self.peer, status),
            Event::Stale => self.app.state(self.peer, &LinkState::Stale),
            Event::Unacked => self.app.state(self.peer, &LinkState::Unacked),
            Event::Fresh | Event::Acking => self.app.state(self.peer, &LinkState::Fresh),
            Event::Drained => self.go_away(),
            Event::Closed { refusal, by_peer } => self.end(refusal, by_peer),
        }
    }

    /// Hands what has arrived to the store, lane by lane.
    fn submit(&mut self) {
        let mut ready: Vec<&mut Box<Receiving>> = self
            .inbound
            .values_mut()
            .filter(|channel| !channel.batches.is_empty() && !channel.is_storing)
            .collect();
        ready.sort_by_key(|channel| channel.open.lane);
        for channel in ready {
            let batches = std::mem::take(&mut channel.batches);
            let bytes = batches.iter().map(Records::encoded_len).sum();
            channel.is_storing = true;
            let mut records = Vec::with_capacity(batches.iter().map(Records::len).sum());
            records.extend(batches.into_iter().flatten());
            let call = self.app.store(self.peer, &channel.open, records);
            self.pending.push(channel.open.channel, bytes, call);
        }
    }

    pub(super) fn on_stored(&mut self, channel: u32, stored: Result<Seq, Refusal>) {
        let Some(receiving) = self.inbound.get_mut(&channel) else {
            return; // refused in the meantime
        };
        receiving.is_storing = false;
        match stored {
            Ok(seq) => self.session.durable(channel, seq),
            Err(refusal) => {
                self.app
                    .refused(self.peer, &receiving.open.stream, &refusal);
                self.inbound.remove(&channel);
                self.session.refuse(channel, refusal);
            }
        }
    }

    /// A read without a result silences its channel until the store has more, so only reads with
    /// one are counted: many quiet urgent channels do not hold up a busy one.
    fn read_store(&mut self) {
        let now = self.clock.instant();
        let mut left = READS_IN_A_ROW;
        while left > 0 {
            let Some(permit) = self.session.next_read(now) else {
                return;
            };
            let found = self
                .channels
                .read(self.app, self.peer, &mut self.session, permit, now);
            left -= usize::from(found);
        }
    }

    fn on_read(&mut self, read: io::Result<usize>, decoder: &mut FrameDecoder) {
        match read {
            Ok(0) => self.cut("end of the stream"),
            Ok(_) => self.on_bytes(decoder),
            Err(error) => self.lost(&error),
        }
    }

    /// A peer that closed its end may have said why before.
    async fn hear_last_words(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        decoder: &mut FrameDecoder,
    ) {
        let listen = async {
            while self.session.is_open() && reader.read_buf(decoder.space()).await.unwrap_or(0) > 0
            {
                self.on_bytes(decoder);
            }
        };
        let _in_time = timeout(FAREWELL, listen).await;
        self.handle_events();
    }

    pub(super) fn on_bytes(&mut self, decoder: &mut FrameDecoder) {
        let now = Now::of(self.clock);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    self.session.on_frame(frame, now);
                    if self.session.is_open() {
                        decoder.greeted();
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.session.close(Refusal::new(FRAME, error.to_string()));
                    return;
                }
            }
        }
    }

    pub(super) fn on_time(&mut self) {
        let now = Now::of(self.clock);
        self.session.on_tick(now);
        if self
            .write_stalled
            .is_some_and(|since| now.instant >= since + self.options.write_timeout)
        {
            self.session
                .close(Refusal::new(SLOW, "the peer takes no bytes"));
        }
        if self.drain_until.is_some_and(|until| now.instant >= until) {
            self.go_away();
        }
    }

    fn deadline(&self) -> Instant {
        let mut deadline = self.session.deadline();
        if let Some(since) = self.write_stalled {
            deadline = deadline.min(since + self.options.write_timeout);
        }
        match (self.drain_until, self.channels.deadline()) {
            (Some(until), _) => deadline.min(until),
            (None, Some(at)) if self.session.is_open() => deadline.min(at),
            (None, _) => deadline,
        }
    }

    pub(super) fn obey(&mut self, wanted: &Stop) {
        match wanted {
            Stop::Run => {}
            Stop::Drain => self.drain(),
            Stop::Leave(goodbye) => {
                self.goodbye = goodbye.clone();
                self.drain();
            }
            Stop::Close(refusal) => self.session.close(refusal.clone()),
        }
    }

    fn drain(&mut self) {
        if self.session.is_open() {
            let until = self.clock.instant() + self.options.drain_timeout;
            self.drain_until.get_or_insert(until);
            self.session.drain();
        } else {
            self.go_away();
        }
    }

    fn go_away(&mut self) {
        self.session.close(self.goodbye.clone());
    }

    pub(super) fn lost(&mut self, error: &io::Error) {
        // the dialer of a TLS 1.3 connection learns only now that its certificate was not accepted
        match crate::tls::peer_alert(error) {
            Some(alert) => self.end(Refusal::new(NOT_ADMITTED, alert.to_string()), true),
            None => self.cut(&error.to_string()),
        }
    }

    pub(super) fn cut(&mut self, what: &str) {
        // rustls explains a missing farewell with a page of its manual
        let what = what.split(": https://").next().unwrap_or(what);
        self.end(Refusal::new(CUT, format!("connection lost: {what}")), true);
    }

    fn end(&mut self, refusal: Refusal, by_peer: bool) {
        self.ended.get_or_insert(Ended {
            refusal,
            by_peer,
            established: self.established,
        });
    }

    /// Sends what is left, says goodbye, and reads on for a moment: closing a socket with unread
    /// bytes would take the reason away from the peer.
    async fn farewell(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        by_peer: bool,
    ) {
        let goodbye = async {
            if !by_peer {
                writer.write_all(self.session.to_send()).await?;
            }
            writer.shutdown().await?;
            let mut sink = [0; 4096];
            while reader.read(&mut sink).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        let _best_effort = timeout(FAREWELL, goodbye).await;
    }
}

async fn write_some(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        writer.flush().await.map(|()| 0)
    } else {
        match writer.write(bytes).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count => Ok(count),
        }
    }
}
