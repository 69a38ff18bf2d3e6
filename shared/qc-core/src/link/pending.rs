//! Store calls under way: begun in order, none waiting for another, finished in order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::model::Seq;
use crate::wire::Refusal;

type Stored = Result<Seq, Refusal>;

/// The store calls of one link, in the order of their making.
#[derive(Default)]
pub(super) struct Pending {
    calls: VecDeque<Call>,
    bytes: usize,
}

struct Call {
    channel: u32,
    bytes: usize,
    state: State,
}

enum State {
    Waiting(Pin<Box<dyn Future<Output = Stored> + Send>>),
    Done(Stored),
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Bytes of records in the store's hands.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(
        &mut self,
        channel: u32,
        bytes: usize,
        call: impl Future<Output = Stored> + Send + 'static,
    ) {
        self.bytes += bytes;
        self.calls.push_back(Call {
            channel,
            bytes,
            state: State::Waiting(Box::pin(call)),
        });
    }

    /// Waits for the oldest call, while all of them go on. Never resolves without any.
    pub(super) async fn next(&mut self) -> (u32, Stored) {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls every call once, in order, so that each has been handed to the store.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(u32, Stored)> {
        for call in &mut self.calls {
            if let State::Waiting(future) = &mut call.state
                && let Poll::Ready(stored) = future.as_mut().poll(context)
            {
                call.state = State::Done(stored);
            }
        }
        match self
            .calls
            .pop_front_if(|call| matches!(call.state, State::Done(_)))
        {
            Some(Call {
                channel,
                bytes,
                state: State::Done(stored),
            }) => {
                self.bytes -= bytes;
                Poll::Ready((channel, stored))
            }
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn begins_all_in_order_and_finishes_in_order() {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let mut pending = Pending::default();
        let mut finish = Vec::new();
        for seq in 1..=3 {
            let (done, wait) = oneshot::channel::<()>();
            finish.push(done);
            let begun = Arc::clone(&begun);
            pending.push(1, 100, async move {
                begun.lock().unwrap().push(seq);
                wait.await.unwrap();
                Ok(Seq(seq))
            });
        }
        finish.pop().unwrap().send(()).unwrap();
        finish.pop().unwrap().send(()).unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), pending.next());
        assert!(early.await.is_err());
        assert_eq!(*begun.lock().unwrap(), [1, 2, 3]);
        finish.pop().unwrap().send(()).unwrap();
        for seq in 1..=3 {
            assert_eq!(pending.next().await, (1, Ok(Seq(seq))));
        }
        assert_eq!((pending.len(), pending.bytes()), (0, 0));
    }
}
