//! A failure on its way through HTTP: RFC 9457 `application/problem+json` with our code, exit
//! code, causes and next steps as extension members.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::failure::{ErrorCode, Exit, Failure, known_code};
use crate::safe_text::safe;

const SHOWN: usize = 2000;
const LINES: usize = 20;

/// A failure as an answer of the API.
#[derive(Debug)]
pub struct Problem(pub Failure);

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    #[serde(default)]
    title: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    exit: u64,
    #[serde(default)]
    cause: Vec<String>,
    #[serde(default)]
    help: Vec<String>,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// The answer of a daemon that ends before what was asked for is done. Nobody may take it for one that
/// does not run: it still holds its state directory.
pub fn stopping(daemon: &str) -> Failure {
    Failure::new(Exit::Unreachable, "QC0608", format!("{daemon} is stopping"))
        .help("wait until it has stopped, then run the command again")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let status = status(failure.exit);
        let body = Body {
            title: failure.message,
            status: status.as_u16(),
            detail: failure.detail,
            code: failure.code.to_owned(),
            exit: u64::from(failure.exit as u8),
            cause: failure.cause,
            help: failure.help,
        };
        let json = serde_json::to_vec(&body).expect("strings and numbers only");
        let mut answer = (status, json).into_response();
        answer.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        answer
    }
}

/// The failure that an answer with `status` and `body` speaks of. The text comes from a daemon of
/// maybe another version, so it is bounded and made safe.
pub(super) fn failure_from(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return Failure::new(
            exit(status),
            "QC0604",
            format!("the daemon answered {status}"),
        );
    };
    let title = if body.title.is_empty() {
        format!("the daemon answered {status}")
    } else {
        safe(&body.title, SHOWN)
    };
    let code: ErrorCode = known_code(&body.code).unwrap_or("QC0604");
    let exit = Exit::from_number(body.exit)
        .filter(|exit| *exit != Exit::Ok)
        .unwrap_or_else(|| exit(status));
    let mut failure = Failure::new(exit, code, title);
    let detail = body.detail.lines().take(LINES);
    failure.detail = detail
        .map(|line| safe(line, SHOWN))
        .collect::<Vec<_>>()
        .join("\n");
    let shown = |lines: Vec<String>| {
        let lines = lines.into_iter().take(LINES);
        lines.map(|line| safe(&line, SHOWN)).collect()
    };
    failure.cause = shown(body.cause);
    failure.help = shown(body.help);
    failure
}

fn status(exit: Exit) -> StatusCode {
    match exit {
        Exit::Usage => StatusCode::BAD_REQUEST,
        Exit::Refused => StatusCode::FORBIDDEN,
        Exit::NotFound => StatusCode::NOT_FOUND,
        Exit::Conflict => StatusCode::CONFLICT,
        Exit::Config | Exit::Verification | Exit::Problems => StatusCode::UNPROCESSABLE_ENTITY,
        Exit::Disk => StatusCode::INSUFFICIENT_STORAGE,
        Exit::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        Exit::Waiting => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn exit(status: StatusCode) -> Exit {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Exit::Usage,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE => Exit::Refused,
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Exit::Unreachable,
        StatusCode::INSUFFICIENT_STORAGE => Exit::Disk,
        _ => Exit::Other,
    }
}
