//! Reading a stream: once, as a long poll, or as server-sent events.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::Uri;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::events::Events;
use super::{
    Answer, Caller, Door, Entries, Entry, Limits, Problem, ReadQuery, Stream, check_headers,
    header, json_answer,
};
use crate::cloudevents::{self, BATCH_JSON};
use crate::model::Seq;

/// Entries in an answer when the reader does not say.
const DEFAULT_LIMIT: usize = 100;

/// How the reader wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `{"events":[{"seq":1,"event":{..}}],"next":1}`
    Page,
    /// An array of events, each with its number in the extension `qcseq`.
    Batch,
    /// Server-sent events that never end.
    Events,
}

pub(super) async fn read<D: Door>(
    State(door): State<D>,
    caller: Caller,
    Stream(stream): Stream,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Answer, Problem> {
    let limits = door.limits();
    check_headers(&headers, &limits)?;
    let mut query = parse_query(&uri, &limits)?;
    match form(header(&headers, ACCEPT.as_str()).unwrap_or_default())? {
        Form::Events => {
            if let Some(last) = headers.get("last-event-id") {
                query.after = last
                    .to_str()
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .map(Seq)
                    .ok_or_else(|| Problem::bad_request("Last-Event-ID is not a seq"))?;
            }
            // the first read tells whether the caller may, before the answer's status is sent
            let first = ReadQuery {
                wait: Duration::ZERO,
                ..query
            };
            let first = door.read(&caller, &stream, first).await?;
            let events = Events::new(door, caller, stream, query, first);
            let mut answer = json_answer(StatusCode::OK, "text/event-stream", Vec::new());
            *answer.body_mut() = Body::new(events);
            Ok(answer)
        }
        Form::Page => {
            let entries = door.read(&caller, &stream, query).await?;
            let json = page(&entries);
            Ok(json_answer(StatusCode::OK, "application/json", json))
        }
        Form::Batch => {
            // an array has no place for how far it came: it is empty only at the end
            let until = Instant::now() + query.wait;
            let entries = loop {
                let Entries { entries, through } = door.read(&caller, &stream, query).await?;
                if !entries.is_empty() || through == query.after {
                    break entries;
                }
                query.after = through;
                query.wait = until.saturating_duration_since(Instant::now());
            };
            let json = batch(&entries);
            Ok(json_answer(StatusCode::OK, BATCH_JSON, json))
        }
    }
}

/// `next` is what to ask for as `after` to go on from here.
fn page(Entries { entries, through }: &Entries) -> Vec<u8> {
    let mut out = b"{\"events\":[".to_vec();
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("{{\"seq\":{},\"event\":", entry.seq).as_bytes());
        cloudevents::encode(&entry.message, &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(format!("],\"next\":{through}}}").as_bytes());
    out
}

/// A seq has 64 bits and a CloudEvents integer 32, so `qcseq` is text.
fn batch(entries: &[Entry]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let seq = entry.seq.to_string();
        cloudevents::encode_with(&entry.message, &[("qcseq", &seq)], &mut out);
    }
    out.push(b']');
    out
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    after: Option<u64>,
    limit: Option<usize>,
    wait: Option<String>,
}

fn parse_query(uri: &Uri, limits: &Limits) -> Result<ReadQuery, Problem> {
    let Query(parameters) = Query::<Parameters>::try_from_uri(uri).map_err(|_| {
        Problem::bad_request("the query takes after=SEQ, limit=NUMBER and wait=30s, nothing else")
    })?;
    let wait = match parameters.wait.as_deref() {
        None => Duration::ZERO,
        Some(text) => parse_wait(text)
            .ok_or_else(|| Problem::bad_request("wait is not a time such as 500ms, 30s or 1m"))?,
    };
    Ok(ReadQuery {
        after: Seq(parameters.after.unwrap_or(0)),
        limit: parameters
            .limit
            .unwrap_or(DEFAULT_LIMIT)
            .clamp(1, limits.events.max(1)),
        max_bytes: limits.answer,
        wait: wait.min(limits.wait),
    })
}

fn parse_wait(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u32 = number.parse().ok()?;
    let number = u64::from(number);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        _ => None,
    }
}

fn form(accept: &str) -> Result<Form, Problem> {
    let mut wanted = accept.split(',').map(cloudevents::essence);
    let form = wanted.find_map(|media_type| match media_type.as_str() {
        "text/event-stream" => Some(Form::Events),
        BATCH_JSON => Some(Form::Batch),
        "" | "*/*" | "application/*" | "application/json" => Some(Form::Page),
        _ => None,
    });
    form.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "QC4017",
            "No such representation",
            format!("offered are application/json, {BATCH_JSON} and text/event-stream"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_parsed_and_bounded() {
        let limits = Limits::default();
        let parse = |query: &str| parse_query(&format!("/x?{query}").parse().unwrap(), &limits);
        let query = parse("after=7&limit=100000&wait=5m").unwrap();
        assert_eq!(
            (query.after, query.limit, query.wait),
            (Seq(7), 1000, Duration::from_mins(1))
        );
        assert_eq!(parse("").unwrap().limit, 100);
        assert_eq!(
            parse("wait=250ms").unwrap().wait,
            Duration::from_millis(250)
        );
        for bad in [
            "after=-1", "after=x", "wait=1y", "wait=s", "limit=", "offset=1",
        ] {
            assert_eq!(parse(bad).unwrap_err().code, "QC4001", "{bad}");
        }
    }

    #[test]
    fn accept_chooses_the_form() {
        for (accept, expected) in [
            ("", Some(Form::Page)),
            ("*/*", Some(Form::Page)),
            ("text/html, application/json;q=0.9", Some(Form::Page)),
            (BATCH_JSON, Some(Form::Batch)),
            ("text/event-stream", Some(Form::Events)),
            ("text/html", None),
        ] {
            assert_eq!(form(accept).ok(), expected, "{accept}");
        }
    }
}
