//! A request body that is read while it is sent, for what is too long to be held in memory.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// What is read in one go, and how many of these wait to be sent.
const CHUNK: usize = 128 << 10;
const AHEAD: usize = 4;

/// A body that a thread of its own reads.
#[derive(Debug)]
pub struct LongBody {
    first: Bytes,
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
    progress: Arc<Progress>,
}

/// How far a body is, for whoever waits for the answer to it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that were handed to the connection.
    pub(super) bytes: AtomicU64,
    /// Whether the input is what is waited for.
    pub(super) is_starved: AtomicBool,
}

impl LongBody {
    /// `first` and then everything that `rest` gives; `length` bytes in all, where that is known.
    pub fn new(first: Bytes, rest: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        // not a task: an input that never ends must not hold up the end of the process
        let _detached = thread::spawn(move || read_all(rest, &sender));
        Self {
            first,
            chunks,
            left: length,
            progress: Arc::default(),
        }
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

fn read_all(mut rest: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut rest).take(CHUNK as u64).read_to_end(&mut chunk);
        let chunk = match read {
            Ok(0) => return,
            Ok(_) => Ok(Bytes::from(chunk)),
            Err(error) => Err(error),
        };
        let is_over = chunk.is_err();
        if sender.blocking_send(chunk).is_err() || is_over {
            return;
        }
    }
}

impl Body for LongBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = if self.first.is_empty() {
            match self.chunks.poll_recv(cx) {
                Poll::Pending => {
                    self.progress.is_starved.store(true, Ordering::Relaxed);
                    return Poll::Pending;
                }
                Poll::Ready(None) => None,
                Poll::Ready(Some(chunk)) => Some(chunk),
            }
        } else {
            Some(Ok(std::mem::take(&mut self.first)))
        };
        self.progress.is_starved.store(false, Ordering::Relaxed);
        let Some(chunk) = chunk else {
            return match self.left {
                Some(1..) => Poll::Ready(Some(Err(changed("shorter")))),
                _ => Poll::Ready(None),
            };
        };
        let chunk = chunk.and_then(|chunk| match &mut self.left {
            None => Ok(chunk),
            Some(left) => match left.checked_sub(chunk.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Ok(chunk)
                }
                None => Err(changed("longer")),
            },
        });
        if let Ok(chunk) = &chunk {
            let bytes = &self.progress.bytes;
            bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(Some(chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

fn changed(how: &str) -> io::Error {
    io::Error::other(format!("the file became {how} while it was read"))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn whole(body: LongBody) -> Result<Bytes, io::Error> {
        body.collect()
            .await
            .map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn it_gives_what_it_reads_and_notices_a_file_that_changes() {
        let body = |length| LongBody::new("ab".into(), &b"cde"[..], length);
        assert_eq!(whole(body(None)).await.unwrap(), "abcde");
        assert_eq!(whole(body(Some(5))).await.unwrap(), "abcde");
        for (length, how) in [(4, "longer"), (6, "shorter")] {
            let error = whole(body(Some(length))).await.unwrap_err();
            assert!(error.to_string().contains(how), "{error}");
        }
        let long = vec![7; 3 * CHUNK + 1];
        let rest = io::Cursor::new(long.clone());
        let read = whole(LongBody::new(Bytes::new(), rest, None)).await;
        assert_eq!(read.unwrap(), long);
    }
}
