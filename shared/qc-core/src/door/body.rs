//! Reading a request that may be hostile: counted headers, a bounded body, a deadline.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Body;

use super::{Limits, Problem};

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
pub async fn read_body<B>(body: B, limits: &Limits) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let max = limits.body.min(Limits::MAX_BODY);
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > max) {
        return Err(Problem::too_large(max));
    }
    tokio::time::timeout(limits.deadline, collect(body, max))
        .await
        .unwrap_or_else(|_| Err(Problem::too_slow(limits.deadline)))
}

async fn collect<B>(mut body: B, max: usize) -> Result<Bytes, Problem>
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
            return Err(Problem::too_large(max));
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}
