//! The head of an HTTP answer, read with a bound: what a proxy, or a relay that is asked for an
//! upgrade, says first.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::safe_text::safe_bytes;

/// The most bytes of a head.
const MAX_HEAD: usize = 8 * 1024;
/// The most header lines.
const MAX_HEADERS: usize = 64;

/// An answer without its body.
#[derive(Debug)]
pub(super) struct Head {
    /// The status.
    pub(super) status: u16,
    /// The words after it, safe to show.
    pub(super) reason: String,
    headers: Vec<(String, String)>,
    /// What came behind the head.
    pub(super) rest: Vec<u8>,
}

/// Why there is no head.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The connection failed.
    Io(io::Error),
    /// What came is no head of an HTTP/1 answer.
    Garbled(String),
}

impl Head {
    /// Reads up to the empty line. The caller sets the deadline.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, NoHead> {
        let mut bytes = Vec::with_capacity(512);
        loop {
            if let Some(head) = Self::parse(&bytes)? {
                return Ok(head);
            }
            if bytes.len() >= MAX_HEAD {
                let why = format!("its head is longer than {MAX_HEAD} bytes");
                return Err(NoHead::Garbled(why));
            }
            let mut part = [0; 1024];
            let room = part.len().min(MAX_HEAD - bytes.len());
            let part = part.get_mut(..room).unwrap_or_default();
            let read = stream.read(part).await.map_err(NoHead::Io)?;
            if read == 0 {
                let why = if bytes.is_empty() {
                    "it closed the connection without a word".to_owned()
                } else {
                    format!(
                        "it closed the connection after '{}'",
                        safe_bytes(&bytes, 60)
                    )
                };
                return Err(NoHead::Garbled(why));
            }
            bytes.extend_from_slice(part.get(..read).unwrap_or_default());
        }
    }

    fn parse(bytes: &[u8]) -> Result<Option<Self>, NoHead> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(bytes).map_err(|error| {
            let why = format!("'{}' is no HTTP answer: {error}", safe_bytes(bytes, 60));
            NoHead::Garbled(why)
        })?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let text = |value: &[u8]| safe_bytes(value, 200);
        Ok(Some(Self {
            status: answer.code.unwrap_or_default(),
            reason: text(answer.reason.unwrap_or_default().as_bytes()),
            headers: answer
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
                .collect(),
            rest: bytes.get(length..).unwrap_or_default().to_vec(),
        }))
    }

    /// The values of a header, named in small letters.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(n, _)| n == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether a header has this word in its comma-separated list, in letters of any size.
    pub(super) fn has(&self, name: &str, word: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    /// The status with its words.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.status, self.reason)
            .trim_end()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8], expected: Result<(u16, &[u8]), &str>) {
        match (Head::read(&mut &*bytes).await, expected) {
            (Ok(head), Ok((status, rest))) => {
                assert_eq!((head.status, head.rest.as_slice()), (status, rest));
            }
            (Err(NoHead::Garbled(why)), Err(words)) => assert!(why.contains(words), "{why}"),
            (found, _) => panic!("{found:?} for {:?}", safe_bytes(bytes, 80)),
        }
    }

    #[tokio::test]
    async fn heads_and_what_is_none() {
        check(b"HTTP/1.1 200 OK\r\n\r\n", Ok((200, b""))).await;
        check(b"HTTP/1.0 407 Go\r\nA: b\r\n\r\nrest", Ok((407, b"rest"))).await;
        check(b"", Err("without a word")).await;
        check(b"HTTP/1.1 200", Err("closed the connection after")).await;
        check(b"HTTP/2 200\r\n\r\n", Err("no HTTP answer")).await;
        check(b"SSH-2.0-OpenSSH_9.9\r\n", Err("no HTTP answer")).await;
        check(b"\x05\x00\x00\x01", Err("no HTTP answer")).await;
        check(b"HTTP/1.1 20x OK\r\n\r\n", Err("no HTTP answer")).await;
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65));
        check(many.as_bytes(), Err("too many headers")).await;
        let endless = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(9000));
        check(endless.as_bytes(), Err("longer than 8192 bytes")).await;
    }

    #[tokio::test]
    async fn an_endless_head_is_read_no_further_than_its_bound() {
        let mut endless = b"HTTP/1.1 200 OK\r\nx: "
            .as_slice()
            .chain(tokio::io::repeat(b'y'));
        let read = Head::read(&mut endless).await;
        assert!(matches!(read, Err(NoHead::Garbled(_))), "{read:?}");
    }

    #[tokio::test]
    async fn escape_sequences_of_a_proxy_do_not_reach_a_terminal() {
        let bytes = b"HTTP/1.1 403 \x1b[31mno\r\n\r\n";
        match Head::read(&mut bytes.as_slice()).await {
            Ok(head) => assert!(!head.line().contains('\x1b')),
            Err(NoHead::Garbled(why)) => assert!(!why.contains('\x1b')),
            Err(NoHead::Io(error)) => panic!("{error}"),
        }
    }
}
