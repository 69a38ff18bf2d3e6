//! One message by its number: its attributes as headers, its body as it is, read as it is sent.

use axum::body::Body;
use axum::extract::{Path, State};
use data_encoding::BASE64;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Answer, Caller, Door, Problem, check_headers, json_answer};
use crate::cloudevents;
use crate::model::{Seq, StreamName};
use crate::parts::{Whole, WholeError};

/// The media type of a body that states none.
const ANY: &str = "application/octet-stream";

pub(super) async fn read<D: Door>(
    State(door): State<D>,
    caller: Caller,
    Path((tenant, name, seq)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Answer, Problem> {
    check_headers(&headers, &door.limits())?;
    let stream: StreamName = format!("{tenant}/{name}")
        .parse()
        .map_err(|error| Problem::bad_request(format!("the stream's name: {error}")))?;
    let seq = seq.parse().map(Seq);
    let seq = seq.map_err(|_| Problem::bad_request("the last segment of the path is no seq"))?;
    let whole = door.whole(&caller, &stream, seq).await?;
    let mut answer = json_answer(StatusCode::OK, ANY, Vec::new());
    put_headers(&whole, answer.headers_mut());
    *answer.body_mut() = body(whole);
    Ok(answer)
}

fn put_headers(whole: &Whole, headers: &mut HeaderMap) {
    for (name, value) in cloudevents::encode_headers(whole.envelope()) {
        // an attribute that HTTP cannot carry is left out; the listing has all of them
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_ref()),
            HeaderValue::try_from(value),
        ) {
            headers.insert(name, value);
        }
    }
    let trailer = whole.trailer();
    headers.insert(CONTENT_LENGTH, trailer.total.into());
    // RFC 9530
    let digest = format!("sha-256=:{}:", BASE64.encode(&trailer.sha256));
    let digest = HeaderValue::try_from(digest).expect("base64 is a header value");
    headers.insert(HeaderName::from_static("repr-digest"), digest);
}

/// Ends early, and with it the connection, when a part cannot be read or does not fit.
fn body(whole: Whole) -> Body {
    let pieces = futures_util::stream::unfold(whole, |mut whole| async move {
        let piece = whole.next().await?;
        if let Err(error) = &piece {
            tracing::error!(code = error.code(), %error, "A message in parts is not given to its end.");
        }
        Some((piece, whole))
    });
    Body::from_stream(pieces)
}

impl From<WholeError> for Problem {
    fn from(error: WholeError) -> Self {
        let detail = error.to_string();
        match error {
            WholeError::None => Self::new(
                StatusCode::NOT_FOUND,
                error.code(),
                "No such message",
                detail,
            ),
            WholeError::Missing(_) | WholeError::Misfit(_) => Self::new(
                StatusCode::GONE,
                error.code(),
                "The message is not whole",
                detail,
            ),
            WholeError::Read(error) => Self::from(&error),
            WholeError::Store(error) => Self::from(&error),
        }
    }
}
