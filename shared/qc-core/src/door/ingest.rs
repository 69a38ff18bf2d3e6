//! Publishing: whatever form the request has, messages come out of it, or a problem.

use aws_lc_rs::rand;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{
    Answer, Caller, Door, Limits, Problem, Published, Stream, check_headers, header, json_answer,
    read_body,
};
use crate::cloudevents::{self, BATCH_JSON, Bounds, EVENT_JSON};
use crate::model::{Envelope, Message};

/// Attributes for a body that comes without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Its `source`.
    pub source: String,
    /// Its `type`.
    pub kind: String,
    /// The header whose value becomes its `id`, in lower case; without it the id is random.
    pub id_header: String,
}

impl Defaults {
    /// The header that clients commonly send for this, `Idempotency-Key`.
    pub const ID_HEADER: &'static str = "idempotency-key";
    /// The type of a body that nobody described.
    pub const KIND: &'static str = "qc.raw";
}

pub(super) async fn publish<D: Door>(
    State(door): State<D>,
    caller: Caller,
    stream: Result<Stream, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Problem> {
    let limits = door.limits();
    check_headers(&headers, &limits)?;
    let body = read_body(&headers, body, &limits).await?;
    // only now: many HTTP/2 clients lose an answer that comes before they have sent everything
    let Stream(stream) = stream?;
    let source = caller.node.as_ref().map_or_else(
        || format!("/{}/http", door.node()),
        |node| format!("/{node}"),
    );
    let defaults = Defaults {
        source,
        kind: Defaults::KIND.to_owned(),
        id_header: Defaults::ID_HEADER.to_owned(),
    };
    let (messages, form) = messages(&headers, body, &defaults, &limits)?;
    if messages.is_empty() {
        return Ok(json_answer(StatusCode::OK, JSON, b"[]".to_vec()));
    }
    let published = door.publish(&caller, &stream, messages).await?;
    Ok(receipts(&published, form, &door.node()))
}

const JSON: &str = "application/json";

/// The form in which messages came, which is the form of their receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One message.
    One,
    /// An array of messages.
    Batch,
}

/// The messages of a request: binary mode, structured mode, a batch, or any body with `defaults`.
pub fn messages(
    headers: &HeaderMap,
    body: Bytes,
    defaults: &Defaults,
    limits: &Limits,
) -> Result<(Vec<Message>, Form), Problem> {
    if header(headers, CONTENT_ENCODING.as_str()).is_some_and(|coding| coding != "identity") {
        return Err(Problem::unsupported(
            "compressed bodies are not accepted; send it without Content-Encoding",
        ));
    }
    if headers.get_all(CONTENT_TYPE).iter().count() > 1 {
        return Err(Problem::bad_request("more than one Content-Type"));
    }
    let content_type = match headers.get(CONTENT_TYPE) {
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_| Problem::bad_request("the Content-Type is not printable ASCII"))?,
        ),
        None => None,
    };
    let essence = content_type.map(cloudevents::essence).unwrap_or_default();
    let bounds = Bounds {
        bytes: limits.body,
        events: limits.events,
        ..Bounds::default()
    };
    if essence == EVENT_JSON || essence == BATCH_JSON {
        check_charset(content_type.unwrap_or_default())?;
        if body.is_empty() {
            return Err(Problem::length_required());
        }
    } else if essence.starts_with("application/cloudevents") {
        return Err(Problem::unsupported(format!(
            "'{essence}' is not spoken here; {EVENT_JSON} and {BATCH_JSON} are"
        )));
    }
    if essence == BATCH_JSON {
        return Ok((cloudevents::decode_batch(&body, &bounds)?, Form::Batch));
    }
    let message = if essence == EVENT_JSON {
        cloudevents::decode(&body, &bounds)?
    } else if is_binary_mode(headers) {
        let envelope = cloudevents::decode_headers(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        )?;
        Message { envelope, body }
    } else {
        raw(headers, content_type, body, defaults)?
    };
    Ok((vec![message], Form::One))
}

/// The answer to messages that are on disk: 201, or 200 when all of them were there already.
pub fn receipts(published: &[Published], form: Form, node: &str) -> Answer {
    let status = if published.iter().all(|receipt| receipt.duplicate) {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let receipts: Vec<Receipt<'_>> = published
        .iter()
        .map(|receipt| Receipt {
            seq: receipt.seq.0,
            node,
            duplicate: receipt.duplicate,
        })
        .collect();
    let json = match (form, receipts.as_slice()) {
        (Form::One, [receipt]) => serde_json::to_vec(receipt),
        _ => serde_json::to_vec(&receipts),
    };
    json_answer(
        status,
        JSON,
        json.expect("numbers and text are always serializable"),
    )
}

#[derive(Serialize)]
struct Receipt<'a> {
    seq: u64,
    node: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

fn is_binary_mode(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name.as_str().starts_with(cloudevents::HEADER_PREFIX))
}

fn raw(
    headers: &HeaderMap,
    content_type: Option<&str>,
    body: Bytes,
    defaults: &Defaults,
) -> Result<Message, Problem> {
    if body.is_empty() {
        return Err(Problem::length_required());
    }
    let id = match headers.get(&defaults.id_header) {
        Some(value) => given_id(&defaults.id_header, value)?,
        None => random_id()?,
    };
    let envelope = Envelope {
        content_type: content_type.map(|text| text.trim().to_owned()),
        ..Envelope::new(id, &defaults.source, &defaults.kind)
    };
    cloudevents::check(&envelope)?;
    Ok(Message { envelope, body })
}

/// The key as the sender wrote it. The quotes of a structured header (RFC 8941) are not part of it.
fn given_id(name: &str, value: &http::HeaderValue) -> Result<String, Problem> {
    let text = value
        .to_str()
        .map_err(|_| Problem::bad_request(format!("the header {name} is not printable ASCII")))?
        .trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    if bare.is_empty() {
        return Err(Problem::bad_request(format!("the header {name} is empty")));
    }
    Ok(bare.to_owned())
}

fn random_id() -> Result<String, Problem> {
    let mut bytes = [0u8; 16];
    rand::fill(&mut bytes)
        .map_err(|_| Problem::internal("the machine's random number generator failed"))?;
    Ok(HEXLOWER.encode(&bytes))
}

fn check_charset(content_type: &str) -> Result<(), Problem> {
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    match charset {
        Some(other) if !other.eq_ignore_ascii_case("utf-8") => Err(Problem::unsupported(
            "the charset of a JSON event must be UTF-8",
        )),
        _ => Ok(()),
    }
}
