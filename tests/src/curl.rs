//! `curl` as the stranger who speaks HTTP with a relay.

use std::path::PathBuf;
use std::time::Duration;

use super::command::{program, require, run};

/// A caller with or without a certificate.
pub struct Curl {
    /// Where to: `https://localhost:PORT`.
    pub url: String,
    /// The roots it believes.
    pub roots: PathBuf,
    /// Its certificate chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status; 0 when there was none.
    pub status: u16,
    /// The header block as it came.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
    /// How long it took from the first byte of the request to the last of the answer.
    pub took: Duration,
    /// What curl says.
    pub err: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A header's value, the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

impl Curl {
    /// Calls `path` with more arguments of curl, and `body` if it is not empty.
    pub fn call(&self, path: &str, args: &[&str], body: &[u8]) -> Answer {
        require("curl", "curl");
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let mut curl = program("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30"]);
        curl.args(["--write-out", "%{http_code} %{time_total}"]);
        curl.arg("--dump-header").arg(file("head"));
        curl.arg("--output").arg(file("body"));
        curl.arg("--cacert").arg(&self.roots);
        if let Some((chain, key)) = &self.identity {
            curl.arg("--cert").arg(chain).arg("--key").arg(key);
        }
        if !body.is_empty() {
            std::fs::write(file("send"), body).unwrap();
            curl.arg("--data-binary")
                .arg(format!("@{}", file("send").display()));
        }
        curl.args(args).arg(format!("{}{path}", self.url));
        let ran = run(&mut curl, b"");
        let (status, took) = ran.out.split_once(' ').unwrap_or(("0", "0"));
        let read = |name: &str| std::fs::read(file(name)).unwrap_or_default();
        Answer {
            status: status.parse().unwrap_or(0),
            headers: String::from_utf8_lossy(&read("head")).into_owned(),
            body: read("body"),
            took: Duration::from_secs_f64(took.parse().unwrap_or(0.0)),
            err: ran.err,
        }
    }
}
