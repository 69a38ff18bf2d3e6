//! Reading a request that may be hostile: counted headers, a bounded body, a deadline.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version};
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
/// The buffer grows with the bytes that arrive, never with the length that was announced. A client of
/// HTTP/2 takes an early answer for a broken stream, so from one some more is read, and forgotten,
/// before it is refused.
pub async fn read_body<B>(mut body: B, version: Version, limits: &Limits) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let max = limits.body.min(Limits::MAX_BODY);
    let read = async {
        let announced = usize::try_from(body.size_hint().lower());
        let read = if announced.map_or(true, |announced| announced > max) {
            Err(Problem::too_large(max))
        } else {
            collect(&mut body, max).await
        };
        if read.is_err() && version == Version::HTTP_2 {
            swallow(&mut body).await;
        }
        read
    };
    tokio::time::timeout(limits.deadline, read)
        .await
        .unwrap_or_else(|_| Err(Problem::too_slow(limits.deadline)))
}

/// What is read of a body that is refused already.
const SWALLOWED: usize = 16 << 20;

async fn swallow<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = SWALLOWED;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

async fn collect<B>(body: &mut B, max: usize) -> Result<Bytes, Problem>
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
