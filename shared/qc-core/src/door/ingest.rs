//! Publishing: whatever form the request has, messages come out of it, or a problem.

use aws_lc_rs::rand;
use axum::body::Body;
#[cfg(feature = "store")]
use axum::body::HttpBody as _;
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
#[cfg(feature = "store")]
use super::{Beginning, begin_body, discard, pour};
use crate::cloudevents::{self, BATCH_JSON, Bounds, EVENT_JSON};
use crate::model::{Envelope, Message};
#[cfg(feature = "store")]
use crate::parts::Upload;

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
    #[cfg(feature = "store")]
    let body = if may_be_long(&headers, &body, &limits) {
        let mut body = body;
        match begin_body(&mut body, limits.deadline).await? {
            Beginning::All(whole) => whole,
            Beginning::Part(begun) => {
                return publish_long(&door, &caller, stream, &headers, begun, body).await;
            }
        }
    } else {
        read_body(&headers, body, &limits).await?
    };
    #[cfg(not(feature = "store"))]
    let body = read_body(&headers, body, &limits).await?;
    // only now: many HTTP/2 clients lose an answer that comes before they have sent everything
    let Stream(stream) = stream?;
    let defaults = defaults(&door, &caller);
    let (messages, form) = messages(&headers, body, &defaults, &limits)?;
    if messages.is_empty() {
        return Ok(json_answer(StatusCode::OK, JSON, b"[]".to_vec()));
    }
    let published = door.publish(&caller, &stream, messages).await?;
    Ok(receipts(&published, form, &door.node()))
}

/// Whether a request is one message whose body may be stored as it comes: it is not looked into, and is not
/// known to fit into a record.
#[cfg(feature = "store")]
pub fn may_be_long(headers: &HeaderMap, body: &Body, limits: &Limits) -> bool {
    let content_type = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_looked_into = cloudevents::essence(content_type).starts_with("application/cloudevents");
    let announced = body.size_hint().upper();
    let fits = announced.is_some_and(|bytes| bytes <= Limits::MAX_BODY as u64);
    limits.body > Limits::MAX_BODY && !is_looked_into && !fits
}

/// Stores a long body as it comes.
#[cfg(feature = "store")]
async fn publish_long<D: Door>(
    door: &D,
    caller: &Caller,
    stream: Result<Stream, Problem>,
    headers: &HeaderMap,
    begun: Bytes,
    mut body: Body,
) -> Result<Answer, Problem> {
    let limits = door.limits();
    let stored = async {
        let Stream(stream) = stream?;
        let begin = |envelope| door.upload(caller, &stream, envelope);
        let defaults = defaults(door, caller);
        store_long(headers, begun, &mut body, &defaults, &limits, begin).await
    };
    match stored.await {
        Ok(published) => Ok(receipts(&[published], Form::One, &door.node())),
        Err(problem) => {
            discard(headers, body).await;
            Err(problem)
        }
    }
}

/// Puts one message with a body of any length, of which `begun` has come, where `begin` says. What is left of the
/// body after a refusal is for [`discard`].
#[cfg(feature = "store")]
pub async fn store_long(
    headers: &HeaderMap,
    begun: Bytes,
    body: &mut Body,
    defaults: &Defaults,
    limits: &Limits,
    begin: impl FnOnce(Envelope) -> Result<Upload, Problem>,
) -> Result<Published, Problem> {
    let known = (begun.len() as u64).saturating_add(body.size_hint().lower());
    if known > limits.body as u64 {
        return Err(Problem::too_large(limits.body));
    }
    let content_type = content_type(headers)?;
    let envelope = if is_binary_mode(headers) {
        from_headers(headers)?
    } else {
        raw(headers, content_type, defaults)?
    };
    let mut upload = begin(envelope)?.announced(known);
    upload
        .push(begun)
        .await
        .map_err(|error| Problem::from(&error))?;
    pour(body, &mut upload, limits.deadline).await?;
    let outcome = upload
        .finish()
        .await
        .map_err(|error| Problem::from(&error))?;
    Ok(Published {
        seq: outcome.seq(),
        duplicate: outcome.is_duplicate(),
    })
}

/// What is taken for a body that comes without attributes.
fn defaults<D: Door>(door: &D, caller: &Caller) -> Defaults {
    let source = caller.node.as_ref().map_or_else(
        || format!("/{}/http", door.node()),
        |node| format!("/{node}"),
    );
    Defaults {
        source,
        kind: Defaults::KIND.to_owned(),
        id_header: Defaults::ID_HEADER.to_owned(),
    }
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
    let content_type = content_type(headers)?;
    let essence = content_type.map(cloudevents::essence).unwrap_or_default();
    let bounds = Bounds {
        bytes: limits.body.min(Limits::MAX_BODY),
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
        let envelope = from_headers(headers)?;
        Message { envelope, body }
    } else if body.is_empty() {
        return Err(Problem::length_required());
    } else {
        let envelope = raw(headers, content_type, defaults)?;
        Message { envelope, body }
    };
    Ok((vec![message], Form::One))
}

/// The media type of a body that is not compressed.
fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if header(headers, CONTENT_ENCODING.as_str()).is_some_and(|coding| coding != "identity") {
        return Err(Problem::unsupported(
            "compressed bodies are not accepted; send it without Content-Encoding",
        ));
    }
    if headers.get_all(CONTENT_TYPE).iter().count() > 1 {
        return Err(Problem::bad_request("more than one Content-Type"));
    }
    let content_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::to_str);
    let content_type = content_type.transpose();
    content_type.map_err(|_| Problem::bad_request("the Content-Type is not printable ASCII"))
}

fn from_headers(headers: &HeaderMap) -> Result<Envelope, Problem> {
    let headers = headers.iter();
    let attributes = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    Ok(cloudevents::decode_headers(attributes)?)
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
    defaults: &Defaults,
) -> Result<Envelope, Problem> {
    let id = match headers.get(&defaults.id_header) {
        Some(value) => given_id(&defaults.id_header, value)?,
        None => random_id()?,
    };
    let envelope = Envelope {
        content_type: content_type.map(|text| text.trim().to_owned()),
        ..Envelope::new(id, &defaults.source, &defaults.kind)
    };
    cloudevents::check(&envelope)?;
    Ok(envelope)
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
