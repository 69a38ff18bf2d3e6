//! Programs that ask and answer over calls: what a whole question and a whole answer are is known here.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, join, split};

use super::poll_once;
use crate::link::{CallStream, Caller};

/// How a call ended for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// Everything that was to come has come, and then the end.
    Whole,
    /// An error, whatever it was.
    Error,
    /// An end, and something is missing or wrong.
    Wrong,
}

/// A program with a call, to be polled until it has ended.
pub(super) struct Program {
    future: Pin<Box<dyn Future<Output = CallEnd>>>,
}

impl Program {
    /// Calls and sends a question of `size` bytes; whoever `swallows` takes an error for an end.
    pub(super) fn asking(caller: Caller, size: u32, swallows: bool) -> Self {
        let target = "echo".parse().unwrap();
        let ask = async move {
            let Ok(stream) = caller.call(target).await else {
                return CallEnd::Error;
            };
            let (mut read, mut write) = split(stream);
            let question = question(size);
            let say = async {
                write.write_all(&question).await?;
                write.shutdown().await
            };
            let mut answer = Vec::new();
            let hear = read.read_to_end(&mut answer);
            let (said, heard) = tokio::join!(say, hear);
            if said.is_err() || heard.is_err() {
                return if swallows {
                    CallEnd::Wrong
                } else {
                    CallEnd::Error
                };
            }
            let wanted = question.iter().map(|byte| byte ^ 0x5a);
            if answer.iter().copied().eq(wanted) {
                CallEnd::Whole
            } else {
                CallEnd::Wrong
            }
        };
        Self {
            future: Box::pin(ask),
        }
    }

    /// Answers a call: every byte turned over. It reads nothing as long as it `is_deaf`.
    pub(super) fn answering(stream: CallStream, is_deaf: Arc<AtomicBool>) -> Self {
        let answer = async move {
            poll_fn(|_| {
                if is_deaf.load(Ordering::Relaxed) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            let (mut read, mut write) = split(stream);
            let (mut come, mut buffer) = (Vec::new(), vec![0; 2048]);
            loop {
                match read.read(&mut buffer).await {
                    Err(_) => return CallEnd::Error,
                    Ok(0) => break,
                    Ok(count) => {
                        let piece = &mut buffer[..count];
                        come.extend_from_slice(piece);
                        for byte in piece.iter_mut() {
                            *byte ^= 0x5a;
                        }
                        if write.write_all(piece).await.is_err() {
                            return CallEnd::Error;
                        }
                    }
                }
            }
            let is_whole = come
                .first_chunk::<4>()
                .is_some_and(|size| come == question(u32::from_le_bytes(*size)));
            if write.shutdown().await.is_err() {
                return CallEnd::Error;
            }
            // both halves live until the other side has read the end
            drop(join(read, write));
            if is_whole {
                CallEnd::Whole
            } else {
                CallEnd::Wrong
            }
        };
        Self {
            future: Box::pin(answer),
        }
    }

    /// How it has ended, if it has.
    pub(super) fn poll(&mut self) -> Option<CallEnd> {
        match poll_once(self.future.as_mut()) {
            Poll::Ready(end) => Some(end),
            Poll::Pending => None,
        }
    }
}

/// A question says at its beginning how long it is.
fn question(size: u32) -> Vec<u8> {
    let mut bytes = size.to_le_bytes().to_vec();
    bytes.extend((0..size).map(|at| (at % 253) as u8));
    bytes
}
