//! What a sink delivers: the messages of one stream, most urgent lane first, from its own position on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use qc_core::clock::Clock;
use qc_core::model::{Epoch, Lane, Message, Seq, StreamName};
use qc_core::store::{DeadLetter, DeadNote, Role, StreamKey};
use qc_core::streams::ReadError;
use qc_core::wire::{Record, decode_envelope};
use tokio::sync::watch;

use crate::buffer::{Buffer, consumer_name};
use crate::config::{From, SinkSection};
use crate::sinks::{Delivery, Fate, Feed, Leftover};
use crate::uplink::inbox;

/// Records read ahead; a more urgent lane waits for no more than these.
const AHEAD: usize = 32;
const AHEAD_BYTES: usize = 1 << 20;
/// How soon is looked again at what could not be read: a key may have come back without a commit.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The feed of one sink.
pub(crate) struct StreamFeed {
    buffer: Buffer,
    consumer: String,
    stream: StreamName,
    keys: Vec<StreamKey>,
    ahead: VecDeque<Record>,
    /// The lane that `ahead` was read from.
    from: Option<StreamKey>,
    changed: watch::Receiver<u64>,
    clock: Arc<dyn Clock>,
    /// Why something cannot be read, as it was said last.
    said: Option<String>,
}

impl StreamFeed {
    /// The feed of `sink`.
    pub(crate) fn new(buffer: Buffer, sink: &SinkSection, clock: Arc<dyn Clock>) -> Self {
        let outbox = |lane| StreamKey {
            role: Role::Outbox,
            name: sink.stream.clone(),
            lane,
        };
        let keys = match sink.from {
            From::Relay => vec![inbox(&sink.stream)],
            From::Local => Lane::ALL.into_iter().map(outbox).collect(),
        };
        let changed = buffer.log().changed();
        let (consumer, stream) = (consumer_name(&sink.name), sink.stream.clone());
        Self {
            buffer,
            consumer,
            stream,
            keys,
            ahead: VecDeque::new(),
            from: None,
            changed,
            clock,
            said: None,
        }
    }

    fn read_ahead(&mut self) {
        let mut unreadable = None;
        for key in &self.keys {
            let after = self.buffer.positions().of(key, &self.consumer);
            match self.buffer.log().read(key, after, AHEAD, AHEAD_BYTES) {
                Ok(records) if records.is_empty() => {}
                Ok(records) => {
                    (self.ahead, self.from) = (records.into(), Some(key.clone()));
                    break;
                }
                Err(error) => {
                    let error: ReadError = error.into();
                    let (code, why) = (error.code(), error.to_string());
                    if self.said.as_ref() != Some(&why) {
                        tracing::error!(code, error = why, stream = %key.name, "Cannot read.");
                    }
                    unreadable = Some(why);
                }
            }
        }
        self.said = unreadable;
    }
}

impl Feed for StreamFeed {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            self.changed.mark_unchanged();
            if self.ahead.is_empty() {
                self.read_ahead();
            }
            if let (Some(record), Some(key)) = (self.ahead.front(), &self.from) {
                match decode_envelope(&record.head) {
                    Ok(envelope) => {
                        return Some(Delivery {
                            stream: self.stream.clone(),
                            epoch: record.header.epoch,
                            seq: record.header.seq,
                            message: Message {
                                envelope,
                                body: record.body.clone(),
                            },
                            part: record.header.part_of(),
                        });
                    }
                    Err(error) => {
                        // it passed the check when it was stored: only damage brings us here
                        let seq = record.header.seq;
                        tracing::error!(code = "QC3004", %error, stream = %key.name, seq = seq.0, "Skipped.");
                        self.buffer.advance(key, &self.consumer, seq);
                        self.ahead.pop_front();
                        continue;
                    }
                }
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep(LOOK_AGAIN), if self.said.is_some() => {}
            }
        }
    }

    async fn settle(&mut self, delivery: &Delivery, fate: Fate) -> Result<(), String> {
        let Some(key) = self.from.clone() else {
            return Ok(());
        };
        match fate {
            Fate::Delivered => self.buffer.advance(&key, &self.consumer, delivery.seq),
            Fate::Dead {
                code,
                reason,
                attempts,
            } => {
                let front = self.ahead.front();
                let Some(record) = front.filter(|record| record.header.seq == delivery.seq) else {
                    return Err("the message is not at hand any more".to_owned());
                };
                let letter = DeadLetter {
                    note: DeadNote {
                        code: code.to_owned(),
                        reason,
                        stream: key,
                        sender: None,
                        epoch: delivery.epoch,
                        seq: delivery.seq,
                        consumer: self.consumer.clone(),
                        at: self.clock.now(),
                        attempts,
                    },
                    lane: record.header.lane,
                    part: record.header.part_of(),
                    head: record.head.clone(),
                    body: record.body.clone(),
                };
                let buried = self.buffer.bury(&letter).await;
                buried.map_err(|error| error.to_string())?;
            }
        }
        self.ahead.retain(|record| record.header.seq > delivery.seq);
        Ok(())
    }

    async fn keep(&mut self, leftover: &Leftover) -> Result<(), String> {
        let Some(key) = self.keys.first().cloned() else {
            return Err("the sink reads no stream".to_owned());
        };
        let letter = DeadLetter {
            note: DeadNote {
                code: leftover.code.clone(),
                reason: leftover.reason.clone(),
                stream: key,
                sender: None,
                // its place is taken and left behind: what it is a part of tells it from others
                epoch: Epoch(0),
                seq: Seq::ZERO,
                consumer: self.consumer.clone(),
                at: self.clock.now(),
                attempts: 1,
            },
            lane: Lane::Normal,
            part: leftover.part,
            head: leftover.head.clone(),
            body: leftover.body.clone(),
        };
        let buried = self.buffer.bury(&letter).await;
        buried.map_err(|error| error.to_string())
    }
}
