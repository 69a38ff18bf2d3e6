//! Where messages go: each sink delivers one at a time, in the order of its stream.
//!
//! [`run_sink`] is the loop around every sink: what fails for now is tried again with a growing
//! pause, what can never work becomes a dead letter, and only then comes the next message.

pub mod file_out;
mod name;
pub mod webhook_out;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qc_core::backoff::Backoff;
use qc_core::clock::Clock;
use qc_core::model::{Epoch, Message, Part, Seq, StreamName};

use crate::sources::Activity;

/// One message on its way out, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The stream it is read from.
    pub stream: StreamName,
    /// The history that `seq` counts in.
    pub epoch: Epoch,
    /// Its number in the stream.
    pub seq: Seq,
    /// The message, or a part of it: then its body is the part's.
    pub message: Message,
    /// Which part.
    pub part: Part,
}

/// Something that a sink has taken of a message that never became whole: a part for the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The stream it came from.
    pub stream: StreamName,
    /// The encoded envelope.
    pub head: Bytes,
    /// The part.
    pub body: Bytes,
    /// Which part.
    pub part: Part,
    /// The stable code.
    pub code: String,
    /// Why it goes no further.
    pub reason: String,
}

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// It may work later.
    #[error("{reason}")]
    Retry {
        /// When the other side wants to be asked again.
        after: Option<Duration>,
        /// What happened, safe to show.
        reason: String,
    },
    /// It will never work with this message.
    #[error("[{code}] {reason}")]
    Poison {
        /// The stable code.
        code: &'static str,
        /// What is wrong with it, safe to show.
        reason: String,
    },
}

impl DeliverError {
    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            after: None,
            reason: reason.into(),
        }
    }

    pub(crate) fn poison(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Poison {
            code,
            reason: reason.into(),
        }
    }
}

/// Delivers messages to something outside.
pub trait Sink: Send {
    /// Delivers one message. `Ok` means that the other side has it for good. The same delivery may
    /// come again after a crash.
    fn deliver(
        &mut self,
        delivery: &Delivery,
    ) -> impl Future<Output = Result<(), DeliverError>> + Send;

    /// The next part of a message that was begun and will not become whole. It is asked for again until
    /// [`Sink::forget`] says that it is kept elsewhere.
    fn leftover(&mut self) -> impl Future<Output = Result<Option<Leftover>, String>> + Send {
        async { Ok(None) }
    }

    /// The leftover is a dead letter on disk.
    fn forget(&mut self, _leftover: &Leftover) -> impl Future<Output = Result<(), String>> + Send {
        async { Ok(()) }
    }
}

/// How often a sink that has nothing to do looks after messages that are not whole.
const TEND: Duration = Duration::from_secs(20);

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The other side has it.
    Delivered,
    /// It goes to the dead letters.
    Dead {
        /// The stable code.
        code: &'static str,
        /// Why.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
}

/// Where a sink's messages come from: a cursor on a stream.
pub trait Feed: Send {
    /// The next message; waits for one. `None` when there will be no more. The future may be dropped
    /// at any time without losing a message.
    fn next(&mut self) -> impl Future<Output = Option<Delivery>> + Send;

    /// Notes what became of the message that `next` gave out. When this returns `Ok`, the message will
    /// not be given out again, except after a crash.
    fn settle(
        &mut self,
        delivery: &Delivery,
        fate: Fate,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Makes a leftover of the sink a dead letter, on disk when this returns.
    fn keep(&mut self, leftover: &Leftover) -> impl Future<Output = Result<(), String>> + Send;
}

/// Moves what a sink has of messages that will not become whole to the dead letters.
async fn tend<S: Sink, F: Feed>(
    sink: &mut S,
    feed: &mut F,
    clock: &dyn Clock,
    activity: &Activity,
) -> Result<(), String> {
    while let Some(leftover) = sink.leftover().await? {
        feed.keep(&leftover).await?;
        sink.forget(&leftover).await?;
        let Leftover { code, reason, .. } = &leftover;
        activity.refused(&format!("{code} {reason}"), clock.now());
    }
    Ok(())
}

/// Delivers what `feed` gives out until it ends or `stop` resolves.
pub async fn run_sink<S: Sink, F: Feed>(
    mut sink: S,
    mut feed: F,
    mut backoff: Backoff,
    clock: Arc<dyn Clock>,
    activity: Activity,
    stop: impl Future<Output = ()> + Send,
) {
    let mut rng = fastrand::Rng::new();
    let deliveries = async {
        loop {
            if let Err(reason) = tend(&mut sink, &mut feed, clock.as_ref(), &activity).await {
                // it is safe where it is; what comes next does not wait for it
                activity.retrying(&reason, clock.now(), TEND);
            }
            let next = tokio::select! {
                next = feed.next() => next,
                () = tokio::time::sleep(TEND) => continue,
            };
            let Some(delivery) = next else {
                return;
            };
            let mut attempts: u32 = 0;
            let fate = loop {
                attempts = attempts.saturating_add(1);
                let (after, reason) = match sink.deliver(&delivery).await {
                    Ok(()) => break Fate::Delivered,
                    Err(DeliverError::Poison { code, reason }) => {
                        break Fate::Dead {
                            code,
                            reason,
                            attempts,
                        };
                    }
                    Err(DeliverError::Retry { after, reason }) => (after, reason),
                };
                let wait = backoff.next_delay(&mut rng).max(after.unwrap_or_default());
                activity.retrying(&reason, clock.now(), wait);
                tokio::time::sleep(wait).await;
            };
            while let Err(reason) = feed.settle(&delivery, fate.clone()).await {
                let wait = backoff.next_delay(&mut rng);
                activity.retrying(&reason, clock.now(), wait);
                tokio::time::sleep(wait).await;
            }
            backoff.reset();
            match fate {
                Fate::Delivered => activity.done(1, clock.now()),
                Fate::Dead { code, reason, .. } => {
                    tracing::warn!(stream = %delivery.stream, seq = delivery.seq.0, code, reason, "Message to the dead letters.");
                    activity.refused(&format!("{code} {reason}"), clock.now());
                }
            }
        }
    };
    tokio::select! {
        () = stop => {}
        () = deliveries => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use qc_core::clock::SystemClock;
    use qc_core::model::Envelope;

    use super::*;

    struct Scripted(VecDeque<Result<(), DeliverError>>, Arc<Mutex<Vec<u64>>>);

    impl Sink for Scripted {
        async fn deliver(&mut self, delivery: &Delivery) -> Result<(), DeliverError> {
            self.1.lock().unwrap().push(delivery.seq.0);
            self.0.pop_front().unwrap_or(Ok(()))
        }
    }

    struct Three(u64, Arc<Mutex<Vec<(u64, Fate)>>>, bool);

    impl Feed for Three {
        async fn next(&mut self) -> Option<Delivery> {
            self.0 += 1;
            (self.0 <= 3).then(|| Delivery {
                stream: "acme/orders".parse().unwrap(),
                epoch: Epoch(1),
                seq: Seq(self.0),
                message: Message {
                    envelope: Envelope::new("1", "/s", "t"),
                    body: "x".into(),
                },
                part: Part::WHOLE,
            })
        }

        async fn settle(&mut self, delivery: &Delivery, fate: Fate) -> Result<(), String> {
            if std::mem::take(&mut self.2) {
                return Err("the disk is full".to_owned());
            }
            self.1.lock().unwrap().push((delivery.seq.0, fate));
            Ok(())
        }

        async fn keep(&mut self, leftover: &Leftover) -> Result<(), String> {
            panic!("nothing was begun: {leftover:?}")
        }
    }

    #[tokio::test]
    async fn retries_keep_the_order_and_poison_steps_aside() {
        let tried = Arc::new(Mutex::new(Vec::new()));
        let settled = Arc::new(Mutex::new(Vec::new()));
        let script = [
            Err(DeliverError::retry("busy")),
            Err(DeliverError::Retry {
                after: Some(Duration::from_millis(30)),
                reason: "503".to_owned(),
            }),
            Ok(()),
            Err(DeliverError::poison("QC4204", "400")),
        ];
        let activity = Activity::default();
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2)).unwrap();
        run_sink(
            Scripted(script.into(), Arc::clone(&tried)),
            Three(0, Arc::clone(&settled), true),
            backoff,
            Arc::new(SystemClock::default()),
            activity.clone(),
            std::future::pending(),
        )
        .await;
        assert_eq!(*tried.lock().unwrap(), [1, 1, 1, 2, 3]);
        let dead = Fate::Dead {
            code: "QC4204",
            reason: "400".to_owned(),
            attempts: 1,
        };
        assert_eq!(
            *settled.lock().unwrap(),
            [(1, Fate::Delivered), (2, dead), (3, Fate::Delivered)]
        );
        let end = activity.snapshot();
        assert_eq!(
            (end.done, end.refused, end.retries, end.attempt),
            (2, 1, 3, 0)
        );
    }
}
