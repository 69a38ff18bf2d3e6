//! Calls as a program sees them: a [`Caller`] makes them, a [`CallStream`] is one, and `Calls` moves
//! bytes between those and the session.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::{mpsc, oneshot};

use super::codes::{CUT, ENDED};
use super::session::Session;
use crate::wire::{MAX_CALL_DATA, Refusal, Target};

/// Bytes that wait between a program and its link, each way.
const BUFFER: usize = 32 * 1024;
/// Below this what comes is gathered into one piece.
const GATHERED: usize = 4 * 1024;
/// Calls that may wait to be made on one link.
const WISHES: usize = 16;

/// Makes calls on one link. Clones share it; when the link has ended every call is refused.
#[derive(Debug, Clone)]
pub struct Caller {
    wishes: mpsc::Sender<Wish>,
}

impl Caller {
    /// Whether both make calls on the same link.
    pub fn is_same(&self, other: &Self) -> bool {
        self.wishes.same_channel(&other.wishes)
    }

    /// Calls `target` at the peer. Resolves when the peer has taken the call; the caller bounds how long
    /// it waits. Dropped before that, the call is given up.
    pub async fn call(&self, target: Target) -> Result<CallStream, Refusal> {
        let gone = || Refusal::new(CUT, "the link has ended");
        let (answer, answered) = oneshot::channel();
        let wish = Wish { target, answer };
        self.wishes.send(wish).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[derive(Debug)]
pub(super) struct Wish {
    target: Target,
    answer: oneshot::Sender<Result<CallStream, Refusal>>,
}

/// The bytes of a call. Its end is told apart from a link that was cut: reading then is an error with
/// the link's reason, so that half an answer is never taken for a whole one.
#[derive(Debug)]
pub struct CallStream {
    bytes: DuplexStream,
    cut: Arc<OnceLock<Refusal>>,
}

impl CallStream {
    fn error(&self) -> io::Result<()> {
        match self.cut.get() {
            Some(refusal) => Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                refusal.clone(),
            )),
            None => Ok(()),
        }
    }
}

impl AsyncRead for CallStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.bytes).poll_read(context, buffer))?;
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        Poll::Ready(if is_end { self.error() } else { Ok(()) })
    }
}

impl AsyncWrite for CallStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.error()?;
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

/// The calls of one link.
pub(super) struct Calls {
    wishes: mpsc::Receiver<Wish>,
    /// Kept, so that a link without callers waits and does not end.
    caller: Caller,
    by_number: BTreeMap<u32, Pump>,
    /// The call that has sent last.
    last: u32,
}

/// One call between program and session.
struct Pump {
    half: DuplexStream,
    cut: Arc<OnceLock<Refusal>>,
    /// The program's half while the call is not answered.
    waiting: Option<(oneshot::Sender<Result<CallStream, Refusal>>, CallStream)>,
    /// Read from the program, not sent.
    out: Bytes,
    out_ended: bool,
    end_sent: bool,
    /// Came from the peer, not given to the program.
    come: VecDeque<BytesMut>,
    come_ended: bool,
    /// Given to the program, not told to the session.
    given: usize,
    shut: bool,
    /// The program does not read any more.
    deaf: bool,
}

impl Calls {
    pub(super) fn new() -> Self {
        let (sender, wishes) = mpsc::channel(WISHES);
        Self {
            wishes,
            caller: Caller { wishes: sender },
            by_number: BTreeMap::new(),
            last: 0,
        }
    }

    /// What makes calls on this link.
    pub(super) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Resolves when there is a call to make, or when bytes have moved; then [`Calls::pump`] has
    /// something to do.
    pub(super) async fn moved(&mut self) -> Option<Wish> {
        poll_fn(|context| {
            let mut moved = false;
            for pump in self.by_number.values_mut() {
                moved |= pump.poll(context);
            }
            if moved {
                return Poll::Ready(None);
            }
            self.wishes.poll_recv(context)
        })
        .await
    }

    /// Makes a call.
    pub(super) fn begin(&mut self, wish: Wish, session: &mut Session) {
        match session.call(wish.target) {
            Ok(number) => {
                let (mut pump, stream) = Pump::new();
                pump.waiting = Some((wish.answer, stream));
                self.by_number.insert(number, pump);
            }
            Err(refusal) => drop(wish.answer.send(Err(refusal))),
        }
    }

    /// The peer calls; gives the program's half of it.
    pub(super) fn called(&mut self, number: u32) -> CallStream {
        let (pump, stream) = Pump::new();
        self.by_number.insert(number, pump);
        stream
    }

    /// The peer has taken a call.
    pub(super) fn answered(&mut self, number: u32, session: &mut Session) {
        let pump = self.by_number.get_mut(&number);
        let waiting = pump.and_then(|pump| pump.waiting.take());
        if let Some((answer, stream)) = waiting
            && answer.send(Ok(stream)).is_err()
        {
            self.by_number.remove(&number);
            session.refuse(number, Refusal::new(ENDED, "given up by its caller"));
        }
    }

    pub(super) fn data(&mut self, number: u32, bytes: &[u8]) {
        if let Some(pump) = self.by_number.get_mut(&number) {
            match pump.come.back_mut() {
                // bytes that come one by one take no more room than those that come together
                Some(last) if last.len() < GATHERED => last.extend_from_slice(bytes),
                _ => pump.come.push_back(BytesMut::from(bytes)),
            }
        }
    }

    pub(super) fn ended(&mut self, number: u32) {
        if let Some(pump) = self.by_number.get_mut(&number) {
            pump.come_ended = true;
        }
    }

    /// A call ended before its time; whether there was one.
    pub(super) fn refused(&mut self, number: u32, refusal: &Refusal) -> bool {
        let pump = self.by_number.remove(&number);
        let was_there = pump.is_some();
        if let Some(pump) = pump {
            pump.end(refusal);
        }
        was_there
    }

    /// Moves what was read from programs into the session, each call in its turn, and tells it what they
    /// have used.
    pub(super) fn pump(&mut self, session: &mut Session, now: Instant) {
        let behind = self
            .by_number
            .range(self.last + 1..)
            .map(|(number, _)| *number);
        let before = self
            .by_number
            .range(..=self.last)
            .map(|(number, _)| *number);
        let turns: Vec<u32> = behind.chain(before).collect();
        for number in turns {
            let Some(pump) = self.by_number.get_mut(&number) else {
                continue;
            };
            let room = session.call_room(number, now).min(pump.out.len());
            if room > 0 {
                session.send_on_call(number, &pump.out.split_to(room), now);
                self.last = number;
            }
            if pump.settle(number, session) {
                self.by_number.remove(&number);
            }
        }
    }

    /// The link is over, for this reason.
    pub(super) fn end(&mut self, refusal: &Refusal) {
        for pump in std::mem::take(&mut self.by_number).into_values() {
            pump.end(refusal);
        }
        self.wishes.close();
        while let Ok(wish) = self.wishes.try_recv() {
            drop(wish.answer.send(Err(refusal.clone())));
        }
    }
}

impl Pump {
    fn new() -> (Self, CallStream) {
        let (half, bytes) = duplex(BUFFER);
        let cut = Arc::new(OnceLock::new());
        let pump = Self {
            half,
            cut: Arc::clone(&cut),
            waiting: None,
            out: Bytes::new(),
            out_ended: false,
            end_sent: false,
            come: VecDeque::new(),
            come_ended: false,
            given: 0,
            shut: false,
            deaf: false,
        };
        (pump, CallStream { bytes, cut })
    }

    /// Tells the session what was used and what has ended; whether the call is over.
    fn settle(&mut self, number: u32, session: &mut Session) -> bool {
        if let Some((answer, _)) = &self.waiting
            && answer.is_closed()
        {
            session.refuse(number, Refusal::new(ENDED, "given up by its caller"));
            return true;
        }
        if self.deaf {
            // nobody reads what comes; what the program has said before is still sent
            self.given += self.come.drain(..).map(|bytes| bytes.len()).sum::<usize>();
        }
        if self.given > 0 {
            session.used_of_call(number, std::mem::take(&mut self.given));
        }
        if self.out.is_empty() && self.out_ended && !self.end_sent {
            self.end_sent = true;
            session.end_call(number);
        }
        if self.deaf && self.end_sent && !self.come_ended {
            session.refuse(number, Refusal::new(ENDED, "nobody reads it any more"));
            return true;
        }
        self.end_sent && (self.shut || self.deaf)
    }

    fn end(self, refusal: &Refusal) {
        let _first_reason_counts = self.cut.set(refusal.clone());
        if let Some((answer, _)) = self.waiting {
            drop(answer.send(Err(refusal.clone())));
        }
    }

    /// Moves what can be moved between here and the program. Whether anything was.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if self.waiting.is_some() {
            return false;
        }
        let gave = self.poll_give(context);
        self.poll_take(context) || gave
    }

    fn poll_give(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let (Some(first), false) = (self.come.front_mut(), self.deaf) {
            match Pin::new(&mut self.half).poll_write(context, first) {
                Poll::Ready(Ok(count)) => {
                    first.advance(count);
                    self.given += count;
                    if first.is_empty() {
                        self.come.pop_front();
                    }
                }
                Poll::Ready(Err(_)) => self.deaf = true,
                Poll::Pending => return moved,
            }
            moved = true;
        }
        if self.come_ended && self.come.is_empty() && !self.shut {
            self.shut = Pin::new(&mut self.half).poll_shutdown(context).is_ready();
            moved |= self.shut;
        }
        moved
    }

    fn poll_take(&mut self, context: &mut Context<'_>) -> bool {
        if self.out_ended || !self.out.is_empty() {
            return false;
        }
        let mut bytes = [0; MAX_CALL_DATA];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.half).poll_read(context, &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.out = Bytes::copy_from_slice(buffer.filled());
            }
            Poll::Ready(_) => self.out_ended = true,
        }
        true
    }
}
