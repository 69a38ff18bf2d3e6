//! A link inside a WebSocket (RFC 6455), for ways that let nothing else through: `GET /.qc/link` with
//! the subprotocol `qc.1` over HTTP/1.1 over the same mutual TLS. The bytes of the link travel in
//! binary messages of at most 32 KiB, whose borders mean nothing. Text is refused, pings are answered.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;
use bytes::{Buf as _, Bytes};
use data_encoding::BASE64;
use futures_util::{Sink as _, Stream as _};
use http::{HeaderMap, HeaderValue, header};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::head::{Head, NoHead};
use super::{ReachError, Target};

/// Where a link is asked for.
pub const PATH: &str = "/.qc/link";
/// The subprotocol.
pub const PROTOCOL: &str = "qc.1";
/// The most bytes in a message.
pub const MAX_MESSAGE: usize = 32 * 1024;

/// What RFC 6455 appends to a key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The bytes of a link in binary messages, over the stream `S`.
pub struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// What has arrived and was not read yet.
    arrived: Bytes,
}

impl<S> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebSocket")
    }
}

/// Why the other side does not take the upgrade.
#[derive(Debug)]
pub enum UpgradeError {
    /// The connection failed.
    Io(io::Error),
    /// It answered otherwise.
    Refused(ReachError),
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Asks for the upgrade as the one who dialled. The caller sets the deadline.
    pub async fn ask(mut stream: S, target: &Target) -> Result<Self, UpgradeError> {
        let mut nonce = [0; 16];
        rand::fill(&mut nonce).map_err(|e| UpgradeError::Io(io::Error::other(e)))?;
        let key = BASE64.encode(&nonce);
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: {target}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
        );
        let asked = async {
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await
        };
        asked.await.map_err(UpgradeError::Io)?;
        let head = Head::read(&mut stream).await.map_err(|error| match error {
            NoHead::Io(error) => UpgradeError::Io(error),
            NoHead::Garbled(why) => UpgradeError::Refused(ReachError::UpgradeRefused {
                target: target.to_string(),
                why,
            }),
        })?;
        judge(&head, &key, target).map_err(UpgradeError::Refused)?;
        let config = Some(config());
        let inner =
            WebSocketStream::from_partially_read(stream, head.rest, Role::Client, config).await;
        Ok(Self::over(inner))
    }

    /// Takes over a connection whose upgrade was answered by [`answer`].
    pub async fn accepted(stream: S) -> Self {
        let config = Some(config());
        Self::over(WebSocketStream::from_raw_socket(stream, Role::Server, config).await)
    }

    fn over(inner: WebSocketStream<S>) -> Self {
        Self {
            inner,
            arrived: Bytes::new(),
        }
    }
}

fn config() -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = 16 * 1024;
    config.write_buffer_size = 0;
    config.max_write_buffer_size = 4 * MAX_MESSAGE;
    config.max_message_size = Some(MAX_MESSAGE);
    config.max_frame_size = Some(MAX_MESSAGE);
    config
}

fn judge(head: &Head, key: &str, target: &Target) -> Result<(), ReachError> {
    let target = target.to_string();
    match head.status {
        101 => {}
        401 => {
            let why = "our certificate did not come through; exempt the relay from TLS inspection";
            return Err(ReachError::Inspected {
                target,
                why: why.to_owned(),
            });
        }
        _ => {
            let why = format!("it answers {}", head.line());
            return Err(ReachError::UpgradeRefused { target, why });
        }
    }
    let agreed = head.has("upgrade", "websocket")
        && head.has("connection", "upgrade")
        && head.all("sec-websocket-accept").eq([accept_key(key)])
        && head.all("sec-websocket-protocol").eq([PROTOCOL]);
    if agreed {
        return Ok(());
    }
    let why = "its answer is not one to our upgrade".to_owned();
    Err(ReachError::UpgradeRefused { target, why })
}

fn accept_key(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    BASE64.encode(hash.as_ref())
}

/// The headers of the answer 101 to the request for an upgrade with these headers; or what is wrong
/// with it.
pub fn answer(asked: &HeaderMap) -> Result<HeaderMap, &'static str> {
    let has = |name, word: &str| {
        let values = asked.get_all(name).into_iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err("this is where links are asked for, by an upgrade to websocket");
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err("the version of WebSocket is 13");
    }
    if !has(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        return Err("the subprotocol is qc.1");
    }
    let key = asked.get(header::SEC_WEBSOCKET_KEY);
    let key = key.and_then(|key| key.to_str().ok());
    let is_key = |key: &&str| {
        BASE64
            .decode(key.as_bytes())
            .is_ok_and(|key| key.len() == 16)
    };
    let key = key
        .filter(is_key)
        .ok_or("there is no good Sec-WebSocket-Key")?;
    let accept = HeaderValue::try_from(accept_key(key)).map_err(|_| "no key")?;
    Ok(HeaderMap::from_iter([
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(PROTOCOL),
        ),
    ]))
}

fn to_io(error: Error) -> io::Error {
    match error {
        // as it is, so that an alert of TLS in it is still found
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.arrived.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.arrived = bytes,
                // a ping was answered by the library, a close is followed by the end
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Ok(_)) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, "text in a link");
                    return Poll::Ready(Err(error));
                }
                Some(Err(error)) => return Poll::Ready(Err(to_io(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.arrived.len().min(buffer.remaining());
        buffer.put_slice(self.arrived.get(..count).unwrap_or_default());
        self.arrived.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = Pin::new(&mut self.inner);
        ready!(inner.as_mut().poll_ready(context)).map_err(to_io)?;
        let part = bytes
            .get(..bytes.len().min(MAX_MESSAGE))
            .unwrap_or_default();
        let message = Message::Binary(Bytes::copy_from_slice(part));
        inner.start_send(message).map_err(to_io)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context).map_err(to_io)
    }
}
