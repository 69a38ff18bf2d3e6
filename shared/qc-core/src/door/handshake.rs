//! The handshake of the CloudEvents webhook specification: a sender asks before it sends.
//!
//! A grant says only that this is a webhook that takes events; whether the sender's events are
//! accepted is decided with each of them. A callback URL is never called: it would be a way to make
//! this node connect to an address of a stranger's choice.

use axum::extract::State;
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Answer, Door, Problem, Stream, check_headers, header};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");

pub(super) async fn options<D: Door>(
    State(door): State<D>,
    Stream(_): Stream,
    headers: HeaderMap,
) -> Result<Answer, Problem> {
    let limits = door.limits();
    check_headers(&headers, &limits)?;
    let mut answer = Answer::default();
    answer.headers_mut().insert(ALLOW, METHODS);
    if !headers.contains_key("webhook-request-origin") {
        *answer.status_mut() = StatusCode::NO_CONTENT;
        return Ok(answer);
    }
    let origin = header(&headers, "webhook-request-origin")
        .filter(|origin| is_origin(origin))
        .ok_or_else(|| Problem::bad_request("WebHook-Request-Origin is not a DNS name"))?;
    let rate = limits
        .webhook_rate
        .map_or_else(|| "*".to_owned(), |rate| rate.to_string());
    for (name, value) in [
        ("webhook-allowed-origin", origin),
        ("webhook-allowed-rate", rate.as_str()),
    ] {
        let value = HeaderValue::from_str(value).expect("checked to be printable ASCII");
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

fn is_origin(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'))
}
