//! Listens beside a link: when its peer was heard last, and whether it took leave in good order.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use qc_core::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was heard of one link's peer.
#[derive(Debug)]
pub(crate) struct Heard {
    began: Instant,
    last_ms: AtomicU64,
    /// Its end of the stream came as TLS and WebSocket end, and not as a cut.
    took_leave: AtomicBool,
}

impl Heard {
    /// A peer that was heard at `now`, in its handshake.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            last_ms: AtomicU64::new(0),
            took_leave: AtomicBool::new(false),
        }
    }

    fn note(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.last_ms.store(since, Ordering::Relaxed);
    }

    /// How long ago it was heard.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let last = self.began + Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(last)
    }

    /// It took leave.
    pub(super) fn leave(&self) {
        self.took_leave.store(true, Ordering::Relaxed);
    }

    /// Whether it took leave.
    pub(super) fn took_leave(&self) -> bool {
        self.took_leave.load(Ordering::Relaxed)
    }
}

/// A stream with somebody who listens.
pub(crate) struct Ear<S, C> {
    pub(super) stream: S,
    pub(super) heard: Arc<Heard>,
    pub(super) clock: Arc<C>,
}

impl<S: AsyncRead + Unpin, C: Clock> AsyncRead for Ear<S, C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &polled {
            if buffer.filled().len() > before {
                self.heard.note(self.clock.instant());
            } else if room > 0 {
                self.heard.leave();
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin, C> AsyncWrite for Ear<S, C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::clock::ManualClock;
    use qc_core::model::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn bytes_are_heard_and_an_end_is_a_leave() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1)));
        let heard = Arc::new(Heard::new(clock.instant()));
        let (mut near, far) = duplex(64);
        let mut ear = Ear {
            stream: far,
            heard: Arc::clone(&heard),
            clock: Arc::clone(&clock),
        };
        clock.advance(Duration::from_secs(7));
        assert_eq!(heard.age(clock.instant()), Duration::from_secs(7));
        near.write_all(b"x").await.unwrap();
        ear.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(heard.age(clock.instant()), Duration::ZERO);
        assert!(!heard.took_leave());
        near.shutdown().await.unwrap();
        assert_eq!(ear.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(heard.took_leave());
    }
}
