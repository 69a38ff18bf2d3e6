//! The hub as an HTTP caller sees it.

use std::time::Duration;

use qc_core::door::{Caller, Door, Entry, Limits, Problem, Published, ReadQuery};
use qc_core::model::{AttrValue, Lane, Message, StreamName};
use qc_core::store::{Draft, Outcome, StreamKey};
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
        let drafts = messages
            .into_iter()
            .map(|message| classified(message, &rule))
            .collect::<Result<Vec<_>, _>>()?;
        let key = StreamKey::hub(stream.clone());
        let outcomes = self
            .inner
            .log
            .append(&key, drafts)
            .await
            .map_err(|error| Problem::from(&error))?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| Published {
                seq: outcome.seq(),
                duplicate: matches!(outcome, Outcome::Duplicate { .. }),
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
        self.entries(stream, query).await
    }

    fn node(&self) -> String {
        self.inner.node.to_string()
    }

    fn limits(&self) -> Limits {
        self.inner.http.clone()
    }
}

impl Hub {
    /// Entries after a position; waits for the first one as long as the query says.
    pub(crate) async fn entries(
        &self,
        stream: &StreamName,
        query: ReadQuery,
    ) -> Result<Vec<Entry>, Problem> {
        let key = StreamKey::hub(stream.clone());
        let mut changed = self.inner.log.changed();
        let deadline = tokio::time::sleep(query.wait);
        tokio::pin!(deadline);
        loop {
            changed.mark_unchanged();
            let records = self
                .inner
                .log
                .read(&key, query.after, query.limit, query.max_bytes)
                .map_err(|error| unreadable(&error))?;
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
            .streams()
            .find(|rule| rule.name == *stream)
            .ok_or_else(|| denied(&Denied::NoStream(stream.clone())))?;
        let drafts = messages
            .into_iter()
            .map(|message| classified(message, rule))
            .collect::<Result<Vec<_>, _>>()?;
        let key = StreamKey::hub(stream.clone());
        self.inner
            .log
            .append(&key, drafts)
            .await
            .map_err(|error| Problem::from(&error))
    }
}

/// Gives a message the stream's class; a message of another class is not this stream's.
fn classified(mut message: Message, rule: &StreamRule) -> Result<Draft, Problem> {
    let class = rule.class.as_str();
    match message.envelope.data_class() {
        Some(stated) if stated != class => {
            let stated = qc_core::safe_text::safe(stated, 80);
            let detail = format!("the stream holds class '{class}', the message says '{stated}'");
            return Err(Problem::unprocessable(detail));
        }
        Some(_) => {}
        None => {
            let class = AttrValue::String(class.to_owned());
            message
                .envelope
                .extensions
                .insert("dataclassification".to_owned(), class);
        }
    }
    message
        .envelope
        .check()
        .map_err(|error| Problem::malformed_event(error.to_string()))?;
    let lane = message.envelope.lane().unwrap_or(Lane::Normal);
    Ok(Draft::from_message(&message, lane))
}

fn entry(record: Record) -> Result<Entry, Problem> {
    let envelope = decode_envelope(&record.head).map_err(|error| unreadable(&error))?;
    Ok(Entry {
        seq: record.header.seq,
        message: Message {
            envelope,
            body: record.body,
        },
    })
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
