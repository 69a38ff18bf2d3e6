//! The hub as an HTTP caller sees it.

use std::time::Duration;

use qc_core::door::{Caller, Door, Entry, Limits, Problem, Published, ReadQuery};
use qc_core::model::{AttrValue, Lane, Message, NodeName, StreamName, Timestamp};
use qc_core::store::{AppendError, DeadLetter, Draft, Outcome, StreamKey};
use qc_core::streams::{Bounds, ReadError};
use qc_core::wire::{Record, decode_envelope};

use super::Hub;
use super::access::{Denied, StreamRule, Verb};

impl Door for Hub {
    async fn publish(
        &self,
        caller: &Caller,
        stream: &StreamName,
        messages: Vec<Message>,
    ) -> Result<Vec<Published>, Problem> {
        let rule = self
            .allow(caller.node.as_ref(), Verb::Publish, stream)
            .map_err(|no| denied(&no))?;
        let outcomes = self.take(caller.node.as_ref(), &rule, messages).await?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| Published {
                seq: outcome.seq(),
                duplicate: outcome.is_duplicate(),
            })
            .collect())
    }

    async fn read(
        &self,
        caller: &Caller,
        stream: &StreamName,
        query: ReadQuery,
    ) -> Result<Vec<Entry>, Problem> {
        self.allow(caller.node.as_ref(), Verb::Subscribe, stream)
            .map_err(|no| denied(&no))?;
        let entries = self.entries(stream, query).await?;
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    fn node(&self) -> String {
        self.inner.node.to_string()
    }

    fn limits(&self) -> Limits {
        self.inner.http.clone()
    }
}

impl Hub {
    /// Entries after a position, with the time when they were accepted; waits for the first one as long
    /// as the query says.
    pub(crate) async fn entries(
        &self,
        stream: &StreamName,
        query: ReadQuery,
    ) -> Result<Vec<(Timestamp, Entry)>, Problem> {
        let key = StreamKey::hub(stream.clone());
        let bounds = Bounds {
            records: query.limit,
            bytes: query.max_bytes,
        };
        let mut changed = self.streams().changed();
        let deadline = tokio::time::sleep(query.wait);
        tokio::pin!(deadline);
        loop {
            changed.mark_unchanged();
            let records = self
                .streams()
                .read(&key, query.after, bounds)
                .await
                .map_err(|error| match &error {
                    ReadError::TenantKey { reason } => Problem::no_key(reason, error.to_string()),
                    _ => unreadable(&error),
                })?;
            if !records.is_empty() {
                return records.into_iter().map(entry).collect();
            }
            tokio::select! {
                () = &mut deadline => return Ok(Vec::new()),
                alive = changed.changed() => {
                    if alive.is_err() {
                        return Err(closing());
                    }
                }
            }
        }
    }

    /// Publishes for a local operator, who is not bound by the patterns of the stream.
    pub(crate) async fn publish_locally(
        &self,
        stream: &StreamName,
        messages: Vec<Message>,
    ) -> Result<Vec<Outcome>, Problem> {
        let access = self.access();
        let rule = access
            .stream(stream)
            .ok_or_else(|| denied(&Denied::NoStream(stream.clone())))?;
        self.take(None, rule, messages).await
    }

    /// Stores messages for a stream, all or none. One of another class than the stream's is kept apart
    /// with the reason, and refuses the call.
    async fn take(
        &self,
        sender: Option<&NodeName>,
        rule: &StreamRule,
        messages: Vec<Message>,
    ) -> Result<Vec<Outcome>, Problem> {
        let (mut drafts, mut dead) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            match classified(message, rule)? {
                Classified::Fits(draft) => drafts.push(draft),
                Classified::Wrong(draft, reason) => dead.push(DeadLetter {
                    note: rule.misfit_note(reason, sender, self.inner.clock.now()),
                    lane: draft.lane,
                    head: draft.head,
                    body: draft.body,
                    part: draft.part,
                }),
            }
        }
        let Some(reason) = dead.first().map(|letter| letter.note.reason.clone()) else {
            let key = StreamKey::hub(rule.name.clone());
            let stored = self.streams().publish(&key, drafts).await;
            return stored.map_err(|error| Problem::from(&error));
        };
        let count = dead.len() as u64;
        let buried = match self.bury_refused(&rule.name, dead).await {
            // the caller hears the same and keeps its message; only the copy is missing
            Err(AppendError::Limit { reason: limit }) => {
                self.count_refused(&rule.name, count);
                return Err(Problem::unprocessable(format!(
                    "{reason}; not kept: {limit}"
                )));
            }
            buried => buried.map_err(|error| Problem::from(&error))?,
        };
        let letter = buried.map_or_else(String::new, |id| format!("; kept as dead letter {id}"));
        Err(Problem::unprocessable(format!("{reason}{letter}")))
    }
}

/// A message at the door.
enum Classified {
    Fits(Draft),
    /// It is of another class, as the text says.
    Wrong(Draft, String),
}

/// Gives a message the stream's class; a message of another class is not this stream's.
fn classified(mut message: Message, rule: &StreamRule) -> Result<Classified, Problem> {
    message
        .envelope
        .check()
        .map_err(|error| Problem::malformed_event(error.to_string()))?;
    if let Some(stated) = message.envelope.data_class() {
        if let Some(reason) = rule.misfit(Some(stated)) {
            let lane = message.envelope.lane().unwrap_or(Lane::Normal);
            let draft = Draft::from_message(&message, lane);
            return Ok(Classified::Wrong(draft, reason));
        }
    } else {
        let class = AttrValue::String(rule.class.to_string());
        let extensions = &mut message.envelope.extensions;
        extensions.insert("dataclassification".to_owned(), class);
        message
            .envelope
            .check()
            .map_err(|error| Problem::malformed_event(error.to_string()))?;
    }
    let lane = message.envelope.lane().unwrap_or(Lane::Normal);
    Ok(Classified::Fits(Draft::from_message(&message, lane)))
}

fn entry(record: Record) -> Result<(Timestamp, Entry), Problem> {
    let envelope = decode_envelope(&record.head).map_err(|error| unreadable(&error))?;
    let body = record.body;
    let entry = Entry {
        seq: record.header.seq,
        message: Message { envelope, body },
    };
    Ok((record.header.accepted, entry))
}

fn denied(denied: &Denied) -> Problem {
    match denied {
        Denied::NoIdentity { .. } => Problem::unauthenticated(denied.to_string()),
        Denied::NoStream(_) => Problem::unknown_stream(denied.to_string()),
        Denied::OtherTenant { .. } | Denied::NoRule { .. } => {
            Problem::forbidden(denied.to_string())
        }
    }
}

fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(code = "QC3004", %error, "A stored record cannot be read.");
    Problem::internal("a stored record cannot be read; see the log of the relay")
}

fn closing() -> Problem {
    Problem::unavailable("the relay is stopping", Duration::from_secs(5))
}
