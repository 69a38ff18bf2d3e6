//! The hub as an HTTP caller sees it.

use std::sync::Arc;
use std::time::Duration;

use qc_core::door::{Caller, Door, Entries, Entry, Limits, Long, Problem, Published, ReadQuery};
use qc_core::model::{AttrValue, Envelope, Lane, Message, NodeName, Seq, StreamName, Timestamp};
use qc_core::parts::{Sizes, Trailer, Upload, Whole};
use qc_core::store::{AppendError, DeadLetter, Draft, Outcome, StreamKey};
use qc_core::streams::Bounds;
use qc_core::wire::{RECORD_HEADER, Record, decode_envelope};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Hub;
use super::access::{Denied, StreamRule, Verb};

/// So many bytes of parts are passed over for one answer, in search of a message that is whole.
const MOST_PASSED: usize = 8 << 20;

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
    ) -> Result<Entries, Problem> {
        self.allow(caller.node.as_ref(), Verb::Subscribe, stream)
            .map_err(|no| denied(&no))?;
        let (entries, through) = self.entries(stream, query).await?;
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        Ok(Entries { entries, through })
    }

    fn upload(
        &self,
        caller: &Caller,
        stream: &StreamName,
        envelope: Envelope,
    ) -> Result<Upload, Problem> {
        let rule = self
            .allow(caller.node.as_ref(), Verb::Publish, stream)
            .map_err(|no| denied(&no))?;
        let most = self.inner.http.body as u64;
        self.begin_upload(&rule, envelope, most)
    }

    async fn whole(
        &self,
        caller: &Caller,
        stream: &StreamName,
        seq: Seq,
    ) -> Result<Whole, Problem> {
        self.allow(caller.node.as_ref(), Verb::Subscribe, stream)
            .map_err(|no| denied(&no))?;
        let key = StreamKey::hub(stream.clone());
        Ok(Whole::open(self.shared_streams(), key, seq).await?)
    }

    fn node(&self) -> String {
        self.inner.node.to_string()
    }

    fn limits(&self) -> Limits {
        self.inner.http.clone()
    }
}

impl Hub {
    /// Entries after a position, with the time when they were accepted, and how far that is; waits for the
    /// first one as long as the query says. A message in parts is there with its last; where there is much
    /// of what is not whole yet, the answer is empty and says how far it came.
    pub(crate) async fn entries(
        &self,
        stream: &StreamName,
        query: ReadQuery,
    ) -> Result<(Vec<(Timestamp, Entry)>, Seq), Problem> {
        let key = StreamKey::hub(stream.clone());
        let bounds = Bounds {
            records: query.limit,
            bytes: query.max_bytes,
        };
        let bell = Arc::new(Notify::new());
        let _listening = self.streams().listen(&key, &bell);
        let until = Instant::now() + query.wait;
        let deadline = tokio::time::sleep_until(until);
        tokio::pin!(deadline);
        let (mut after, mut passed) = (query.after, 0);
        loop {
            let records = self
                .streams()
                .read(&key, after, bounds)
                .await
                .map_err(|error| Problem::from(&error))?;
            if let Some(last) = records.last() {
                after = last.header.seq;
                let bytes = |record: &Record| RECORD_HEADER + record.head.len() + record.body.len();
                passed += records.iter().map(bytes).sum::<usize>();
                let ends = records.into_iter().filter(|record| record.header.last_part);
                let entries: Vec<_> = ends
                    .map(|record| entry(stream, record))
                    .collect::<Result<_, _>>()?;
                if entries.is_empty() {
                    // nothing but parts of what is not whole yet; there may be many
                    let is_late = query.wait > Duration::ZERO && Instant::now() >= until;
                    if is_late || passed >= MOST_PASSED {
                        return Ok((entries, after));
                    }
                    tokio::select! {
                        biased;
                        () = self.inner.drain.signaled() => return Err(closing()),
                        () = tokio::task::yield_now() => continue,
                    }
                }
                return Ok((entries, after));
            }
            tokio::select! {
                () = &mut deadline => return Ok((Vec::new(), after)),
                () = bell.notified() => {}
                () = self.inner.drain.signaled() => return Err(closing()),
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

    /// As [`Self::publish_locally`], one message whose body comes bit by bit.
    pub(crate) fn upload_locally(
        &self,
        stream: &StreamName,
        envelope: Envelope,
    ) -> Result<Upload, Problem> {
        let access = self.access();
        let rule = access
            .stream(stream)
            .ok_or_else(|| denied(&Denied::NoStream(stream.clone())))?;
        self.begin_upload(rule, envelope, Sizes::PRODUCT.whole)
    }

    /// A message of another class than the stream's is refused before its body is read: nothing of it is
    /// kept.
    fn begin_upload(
        &self,
        rule: &StreamRule,
        mut envelope: Envelope,
        most: u64,
    ) -> Result<Upload, Problem> {
        if let Some(reason) = classify(&mut envelope, rule)? {
            self.count_refused(&rule.name, 1);
            let reason = format!("{reason}; not kept: its body is long");
            return Err(Problem::unprocessable(reason));
        }
        let (hub, key) = (self.clone(), StreamKey::hub(rule.name.clone()));
        let submit = move |draft| hub.streams().submit(&key, vec![draft]);
        let sizes = Sizes {
            whole: most.min(Sizes::PRODUCT.whole),
            ..Sizes::PRODUCT
        };
        let lane = envelope.lane().unwrap_or(Lane::Normal);
        Ok(Upload::new(&envelope, lane, sizes, Box::new(submit)))
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
        for mut message in messages {
            let misfit = classify(&mut message.envelope, rule)?;
            let lane = message.envelope.lane().unwrap_or(Lane::Normal);
            let draft = Draft::from_message(&message, lane);
            match misfit {
                None => drafts.push(draft),
                Some(reason) => dead.push(DeadLetter {
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

/// Gives a message the stream's class, or says why it is not this stream's: it is of another class.
fn classify(envelope: &mut Envelope, rule: &StreamRule) -> Result<Option<String>, Problem> {
    let malformed =
        |error: qc_core::model::EnvelopeError| Problem::malformed_event(error.to_string());
    envelope.check().map_err(malformed)?;
    if let Some(stated) = envelope.data_class() {
        return Ok(rule.misfit(Some(stated)));
    }
    let class = AttrValue::String(rule.class.to_string());
    let extensions = &mut envelope.extensions;
    extensions.insert("dataclassification".to_owned(), class);
    envelope.check().map_err(malformed)?;
    Ok(None)
}

/// What a reader sees of a record that ends a message. One of several parts is shown without its data, and
/// with the place where that is.
fn entry(stream: &StreamName, record: Record) -> Result<(Timestamp, Entry), Problem> {
    let mut envelope = decode_envelope(&record.head).map_err(|error| unreadable(&error))?;
    let (seq, part) = (record.header.seq, record.header.part_of());
    let (mut body, mut long) = (record.body, None);
    if !part.is_whole() {
        let trailer = Trailer::split(&body).ok();
        body = bytes::Bytes::new();
        long = Some(Long {
            bytes: trailer.map_or(0, |(_, trailer)| trailer.total),
            parts: part.number.saturating_add(1),
        });
        let place = format!("/v1/streams/{stream}/{seq}");
        let extensions = &mut envelope.extensions;
        extensions.insert("dataref".to_owned(), AttrValue::String(place));
    }
    let message = Message { envelope, body };
    Ok((record.header.accepted, Entry { seq, message, long }))
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

#[cfg(test)]
mod tests {
    use super::*;

    use qc_core::clock::ManualClock;
    use qc_core::model::Part;
    use qc_core::store::part_key;

    #[tokio::test]
    async fn a_long_run_of_parts_is_passed_over_in_steps() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
        let hub = super::super::nodes::tests::hub(dir.path(), &clock).await;
        let stream: StreamName = "acme/orders".parse().unwrap();
        let message = Message {
            envelope: Envelope::new("1", "/s", "t"),
            body: vec![1; 256 << 10].into(),
        };
        let whole = Draft::from_message(&message, Lane::Normal);
        for number in 0..40 {
            let part = Part {
                number,
                is_last: false,
            };
            let draft = Draft {
                part,
                dedupe: part_key("/s", "1", part),
                ..whole.clone()
            };
            let key = StreamKey::hub(stream.clone());
            hub.streams().publish(&key, vec![draft]).await.unwrap();
        }
        let query = |after| ReadQuery {
            after,
            limit: 100,
            max_bytes: 1 << 20,
            wait: Duration::from_mins(1),
        };
        let (entries, through) = hub.entries(&stream, query(Seq::ZERO)).await.unwrap();
        assert!(entries.is_empty());
        assert!((Seq(30)..Seq(40)).contains(&through), "{through}");
        hub.inner.drain.begin();
        let stopped = hub.entries(&stream, query(Seq::ZERO)).await;
        assert!(stopped.is_err(), "the drain goes ahead of parts");
    }
}
