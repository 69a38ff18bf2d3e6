//! Serving dead letters, for relay and edge alike.
//!
//! ```text
//! GET /v1/dlq?stream=TENANT/NAME&code=QCnnnn&limit=N&before=BOOKMARK   a page, newest first
//! GET /v1/dlq/ID                                                       one, with its attributes
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use super::Problem;
use super::api::Reply;
use super::letters::{
    DEAD_LETTER_SCHEMA, DEAD_LETTERS_SCHEMA, DeadLetterMeta, DeadLetterRow, DeadLetters,
};
use crate::clock::Clock;
use crate::failure::{Exit, Failure};
use crate::model::{AttrValue, Envelope, NameError, NodeName};
use crate::store::DeadNote;
use crate::streams::{self, Filed, LetterId, ReadError, Search, Streams};

/// Where the letters are and who serves them.
#[derive(Clone)]
pub struct Source {
    /// The engine that keeps them.
    pub streams: Arc<dyn Streams>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This node.
    pub node: NodeName,
    /// The program whose command asks, for help lines.
    pub program: &'static str,
}

/// The routes.
pub fn router(source: Source) -> Router {
    Router::new()
        .route("/v1/dlq", get(list))
        .route("/v1/dlq/{id}", get(show))
        .with_state(source)
}

#[derive(Debug, Deserialize)]
struct Ask {
    stream: Option<String>,
    code: Option<String>,
    #[serde(default = "usual_limit")]
    limit: usize,
    before: Option<String>,
}

fn usual_limit() -> usize {
    50
}

async fn list(
    State(source): State<Source>,
    Query(ask): Query<Ask>,
) -> Result<Json<Reply<DeadLetters>>, Problem> {
    let stream = ask.stream.as_deref().map(str::parse).transpose();
    let before = ask.before.as_deref().map(str::parse).transpose();
    let search = Search {
        stream: stream.map_err(|error| wrong(&error))?,
        code: ask.code,
        limit: ask.limit,
        before: before.map_err(|error| wrong(&error))?,
    };
    let page = streams::letters(source.streams.as_ref(), &search).await;
    let page = page.map_err(|error| unreadable(&error))?;
    let letters = DeadLetters {
        letters: page.letters.iter().map(row).collect(),
        next: page.next.map(|next| next.to_string()),
    };
    Ok(source.reply(DEAD_LETTERS_SCHEMA, letters))
}

async fn show(
    State(source): State<Source>,
    Path(id): Path<String>,
) -> Result<Json<Reply<DeadLetterMeta>>, Problem> {
    let id: LetterId = id.parse().map_err(|error| wrong(&error))?;
    let letter = streams::letter(source.streams.as_ref(), &id).await;
    let letter = letter.map_err(|error| unreadable(&error))?.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "QC3060",
            format!("there is no dead letter {id}"),
        )
        .help(format!("{} dlq list", source.program))
    })?;
    let meta = DeadLetterMeta {
        letter: row(&letter),
        attributes: attributes(letter.envelope),
    };
    Ok(source.reply(DEAD_LETTER_SCHEMA, meta))
}

impl Source {
    fn reply<T>(&self, schema: &str, data: T) -> Json<Reply<T>> {
        Json(Reply::new(schema, &self.node, self.clock.now(), data))
    }
}

fn row(letter: &Filed) -> DeadLetterRow {
    let envelope = &letter.envelope;
    let event = DeadLetterRow {
        id: letter.id.to_string(),
        at: letter.filed.to_string(),
        event_id: envelope.id.clone(),
        event_source: envelope.source.clone(),
        event_type: envelope.kind.clone(),
        class: envelope.data_class().map(str::to_owned),
        body_bytes: letter.body_bytes,
        part: (!letter.part.is_whole()).then_some(letter.part.number),
        body_unreadable: letter
            .no_key
            .as_ref()
            .map(|reason| format!("{} {reason}", reason.code())),
        ..DeadLetterRow::default()
    };
    match &letter.note {
        Ok(note) => DeadLetterRow {
            at: note.at.to_string(),
            ..noted(note, event)
        },
        Err(error) => DeadLetterRow {
            code: "QC3004".to_owned(),
            reason: format!("its note cannot be read: {error}"),
            ..event
        },
    }
}

fn noted(note: &DeadNote, event: DeadLetterRow) -> DeadLetterRow {
    DeadLetterRow {
        code: note.code.clone(),
        reason: note.reason.clone(),
        stream: note.stream.name.to_string(),
        side: note.stream.role.as_str().to_owned(),
        lane: note.stream.lane.to_string(),
        epoch: note.epoch.0,
        seq: note.seq.0,
        sender: note.sender.as_ref().map(ToString::to_string),
        consumer: Some(note.consumer.clone()).filter(|consumer| !consumer.is_empty()),
        attempts: note.attempts,
        ..event
    }
}

fn attributes(envelope: Envelope) -> BTreeMap<String, Value> {
    let Envelope {
        id,
        source,
        kind,
        time,
        subject,
        content_type,
        schema,
        extensions,
    } = envelope;
    let named = [
        ("id", Some(id)),
        ("source", Some(source)),
        ("type", Some(kind)),
        ("time", time),
        ("subject", subject),
        ("datacontenttype", content_type),
        ("dataschema", schema),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
    let typed = extensions.into_iter().map(|(name, value)| {
        let value = match value {
            AttrValue::Boolean(value) => Value::Bool(value),
            AttrValue::Integer(value) => Value::Number(value.into()),
            AttrValue::String(value) => Value::String(value),
        };
        (name, value)
    });
    named.chain(typed).collect()
}

fn wrong(error: &NameError) -> Problem {
    Failure::new(Exit::Usage, "QC3061", "the question does not parse")
        .because(error)
        .into()
}

fn unreadable(error: &ReadError) -> Problem {
    Failure::new(Exit::Disk, error.code(), "the dead letters cannot be read")
        .because(error)
        .into()
}
