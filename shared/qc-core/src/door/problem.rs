//! Errors as RFC 9457 problem documents, each with a stable code.

use std::borrow::Cow;
use std::time::Duration;

use axum::response::IntoResponse;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::{Answer, json_answer};
use crate::cloudevents::EventError;
use crate::safe_text::safe;

/// The longest detail shown, in characters.
const MAX_DETAIL: usize = 400;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// The kind of problem, the same words for every occurrence.
    pub title: &'static str,
    /// This occurrence, in safe text.
    pub detail: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Methods that the resource has, on a 405.
    allow: Option<&'static str>,
    /// Whether the rest of the request is unread, so that the connection cannot go on.
    close: bool,
}

/// How it is written.
#[derive(Serialize)]
struct Document<'a> {
    r#type: Cow<'a, str>,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Problem {
    /// A problem of any kind; `detail` is made safe and cut.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl AsRef<str>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: safe(detail.as_ref(), MAX_DETAIL),
            retry_after: None,
            allow: None,
            close: false,
        }
    }

    /// 400: the request's path, query or headers are wrong.
    pub fn bad_request(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "QC4001",
            "The request is malformed",
            detail,
        )
    }

    /// 400: the body or the headers are not the event that they claim to be.
    pub fn malformed_event(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "QC4002",
            "The CloudEvent is malformed",
            detail,
        )
    }

    /// 401: the caller has no certificate or signature, and one is needed.
    pub fn unauthenticated(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "QC4003",
            "The caller is not known",
            detail,
        )
    }

    /// 403: the caller may not do this; the detail names the rule.
    pub fn forbidden(detail: impl AsRef<str>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "QC4004", "Not allowed", detail)
    }

    /// 404: no such stream here.
    pub fn unknown_stream(detail: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "QC4005", "No such stream", detail)
    }

    /// 405, with the methods that are allowed.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "QC4006",
                "The method is not allowed",
                format!("allowed are {allow}"),
            )
        }
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow(deadline: Duration) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "QC4007",
            "The request took too long",
            format!(
                "the body did not arrive within {} seconds",
                deadline.as_secs()
            ),
        )
        .closing()
    }

    /// 411: a body is needed and none was announced.
    pub fn length_required() -> Self {
        Self::new(
            StatusCode::LENGTH_REQUIRED,
            "QC4008",
            "A body is required",
            "send a body with Content-Length or chunked",
        )
    }

    /// 413: the body is larger than `max` bytes.
    pub fn too_large(max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "QC4009",
            "The body is too large",
            format!("at most {max} bytes are accepted"),
        )
        .closing()
    }

    /// 415: a media type or encoding that is not spoken here.
    pub fn unsupported(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "QC4010",
            "The media type is not supported",
            detail,
        )
    }

    /// 422: well-formed, but refused by a schema or for want of a data class.
    pub fn unprocessable(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "QC4011",
            "The event cannot be accepted",
            detail,
        )
    }

    /// 429: too many requests.
    pub fn too_many(detail: impl AsRef<str>, retry_after: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "QC4012",
            "Too many requests",
            detail,
        )
        .retry_after(retry_after)
    }

    /// 431: too many or too large headers.
    pub fn headers_too_large(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "QC4013",
            "The headers are too large",
            detail,
        )
        .closing()
    }

    /// 500: a fault of this node, which its log explains.
    pub fn internal(detail: impl AsRef<str>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "QC4014",
            "This node failed",
            detail,
        )
    }

    /// 503: not now, for example while draining.
    pub fn unavailable(detail: impl AsRef<str>, retry_after: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "QC4015",
            "Not available now",
            detail,
        )
        .retry_after(retry_after)
    }

    /// 507: the store is full; nothing of the request was kept.
    pub fn full(detail: impl AsRef<str>, retry_after: Duration) -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "QC4016",
            "The store is full",
            detail,
        )
        .retry_after(retry_after)
    }

    /// Adds when to try again, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The document as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            r#type: format!("urn:quick-connect:problem:{}", self.code).into(),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        serde_json::to_vec(&document).expect("text and numbers are always serializable")
    }
}

#[cfg(feature = "store")]
impl Problem {
    /// 410 when the tenant's key is destroyed, which stays so; 503 when it is not at hand, which may pass.
    pub fn no_key(reason: &crate::store::NoKey, detail: impl Into<String>) -> Self {
        use crate::store::NoKey;
        let (status, title) = match reason {
            NoKey::Destroyed(_) => (StatusCode::GONE, "The tenant's key is destroyed"),
            NoKey::Away(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The tenant's key is not at hand",
            ),
        };
        let problem = Self::new(status, reason.code(), title, detail.into());
        match reason {
            NoKey::Destroyed(_) => problem,
            NoKey::Away(_) => problem.retry_after(Duration::from_secs(5)),
        }
    }
}

#[cfg(feature = "store")]
impl From<&crate::streams::ReadError> for Problem {
    /// What the key's absence says, or 500: the log has the reason.
    fn from(error: &crate::streams::ReadError) -> Self {
        use crate::streams::ReadError;
        match error {
            ReadError::TenantKey { reason } => Self::no_key(reason, error.to_string()),
            ReadError::Damaged(_) | ReadError::Unavailable(_) => {
                tracing::error!(code = "QC3004", %error, "A stored record cannot be read.");
                Self::internal("a stored record cannot be read; see the log of the relay")
            }
        }
    }
}

#[cfg(feature = "store")]
impl From<&crate::store::AppendError> for Problem {
    /// 507 when there is no room, 503 when it may work later, each with the code of its reason.
    fn from(error: &crate::store::AppendError) -> Self {
        use crate::store::AppendError;
        let (detail, after) = (error.to_string(), error.retry_after().unwrap_or_default());
        let later = |status, title| Self::new(status, error.code(), title, &detail);
        let problem = match error {
            AppendError::Full { .. } => Self::full(&detail, after),
            AppendError::TooLarge { max, .. } => return Self::too_large(*max),
            AppendError::Poisoned(_) | AppendError::Closed => Self::unavailable(&detail, after),
            AppendError::Limit { .. } => {
                later(StatusCode::INSUFFICIENT_STORAGE, "The stream is full")
            }
            AppendError::TenantKey { reason, .. } => return Self::no_key(reason, &detail),
            AppendError::Unreadable { .. } => {
                later(StatusCode::SERVICE_UNAVAILABLE, "The store cannot look up")
            }
        };
        problem.retry_after(after)
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        let mut problem = Self::malformed_event(error.to_string());
        if error.is_too_large() {
            problem.status = StatusCode::PAYLOAD_TOO_LARGE;
            problem.code = "QC4009";
            problem.title = "The body is too large";
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Answer {
        let mut answer = json_answer(self.status, "application/problem+json", self.to_json());
        let headers = answer.headers_mut();
        if let Some(after) = self.retry_after {
            let seconds = after.as_millis().div_ceil(1000).max(1);
            let value = HeaderValue::from_str(&seconds.to_string());
            headers.insert(RETRY_AFTER, value.expect("digits are a header value"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("QC realm=\"quick-connect\""),
            );
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
