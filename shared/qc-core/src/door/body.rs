//! Reading a request that may be hostile: counted headers, a bounded body, a deadline.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt as _;
use hyper::body::Body;

use super::{Limits, Problem, header};

/// How long and how much of a refused body is read on, so that its sender comes to read the answer: a
/// connection that is closed with unread bytes is reset, and takes the answer with it.
const LINGER: Duration = Duration::from_secs(5);
/// How long it may be silent meanwhile.
const LINGER_SILENT: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 << 20;

/// Refuses requests with too many or too large headers.
pub fn check_headers(headers: &HeaderMap, limits: &Limits) -> Result<(), Problem> {
    if headers.len() > limits.headers {
        return Err(Problem::headers_too_large(format!(
            "{} header lines; at most {} are accepted",
            headers.len(),
            limits.headers
        )));
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > limits.header_bytes {
        return Err(Problem::headers_too_large(format!(
            "{bytes} bytes of headers; at most {} are accepted",
            limits.header_bytes
        )));
    }
    Ok(())
}

/// The whole body, refused as soon as it is announced or found to be too large, or takes too long.
///
/// The buffer grows with the bytes that arrive, never with the length that was announced.
pub async fn read_body<B>(
    headers: &HeaderMap,
    mut body: B,
    limits: &Limits,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let max = limits.body.min(Limits::MAX_BODY);
    let announced = body.size_hint().lower();
    let is_announced = usize::try_from(announced).map_or(true, |bytes| bytes > max);
    if !is_announced {
        let read = tokio::time::timeout(limits.deadline, collect(&mut body, max)).await;
        let whole = read.unwrap_or_else(|_| Err(Problem::too_slow(limits.deadline)))?;
        if let Some(whole) = whole {
            return Ok(whole);
        }
    }
    discard(headers, body).await;
    Err(Problem::too_large(max))
}

/// Reads on what is left of a body that is refused, so that its sender comes to read the answer, but not
/// for long. Who asks before sending is told before sending, and who would send for ever at once.
pub async fn discard<B>(headers: &HeaderMap, body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let left = body.size_hint().lower();
    let announced = header(headers, CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    let is_asking = headers.contains_key(EXPECT) && announced == Some(left);
    if is_asking || left > LINGER_BYTES {
        return;
    }
    let _read_or_given_up = tokio::time::timeout(LINGER, drain(body)).await;
}

/// Reads all that is left of a body that is refused, for a sender on this machine.
pub async fn exhaust<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Ok(Some(Ok(_))) = tokio::time::timeout(LINGER, body.frame()).await {}
}

async fn drain<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(LINGER_SILENT, body.frame()).await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > LINGER_BYTES {
            return;
        }
    }
}

/// The body, or nothing as soon as it is more than `max` bytes.
async fn collect<B>(body: &mut B, max: usize) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        if first.len() + rest.len() + data.len() > max {
            return Ok(None);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(Some(first));
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(Some(whole.freeze()))
}
