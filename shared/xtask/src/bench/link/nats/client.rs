//! As much of the NATS text protocol as the bench needs: over TLS or without, requests, subscriptions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One connection.
pub(in crate::bench::link) struct Client {
    reader: Box<dyn AsyncRead + Unpin + Send>,
    writer: Box<dyn AsyncWrite + Unpin + Send>,
    input: BytesMut,
    output: Vec<u8>,
    inbox: String,
}

/// A message that was delivered to a subscription.
pub(in crate::bench::link) struct Delivered {
    /// Where an answer or an acknowledgement goes.
    pub(in crate::bench::link) reply: Option<Bytes>,
    /// The payload.
    pub(in crate::bench::link) body: Bytes,
}

const HANDSHAKE: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(10);

impl Client {
    /// Connects; with `tls` over mutual TLS.
    pub(in crate::bench::link) async fn connect(
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // the server speaks first and in the clear, and begins TLS after this line
        let mut byte = [0; 1];
        while byte != *b"\n" {
            stream.read_exact(&mut byte).await?;
        }
        let (reader, writer): (
            Box<dyn AsyncRead + Unpin + Send>,
            Box<dyn AsyncWrite + Unpin + Send>,
        ) = if let Some(tls) = tls {
            let name = ServerName::from(address.ip());
            let connecting = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
            let connected = tokio::time::timeout(HANDSHAKE, connecting).await;
            let connected = connected.map_err(io::Error::other)??;
            let (reader, writer) = tokio::io::split(connected);
            (Box::new(reader), Box::new(writer))
        } else {
            let (reader, writer) = stream.into_split();
            (Box::new(reader), Box::new(writer))
        };
        let mut client = Self {
            reader,
            writer,
            input: BytesMut::with_capacity(256 * 1024),
            output: Vec::with_capacity(1024 * 1024),
            inbox: format!("_INBOX.{:016x}", fastrand::u64(..)),
        };
        client.put(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n");
        let inbox = format!("SUB {} 1\r\nPING\r\n", client.inbox);
        client.put(inbox.as_bytes());
        client.flush().await?;
        client.until_pong().await?;
        Ok(client)
    }

    /// Queues a publish whose answer comes to this client and no other.
    pub(in crate::bench::link) fn publish(&mut self, subject: &str, body: &[u8]) {
        let head = format!("PUB {subject} {} {}\r\n", self.inbox, body.len());
        self.put(head.as_bytes());
        self.put(body);
        self.put(b"\r\n");
    }

    /// Queues a subscription.
    pub(in crate::bench::link) fn subscribe(&mut self, subject: &str) {
        self.put(format!("SUB {subject} 2\r\n").as_bytes());
    }

    /// Queues the acknowledgement of a delivered message.
    pub(in crate::bench::link) fn acknowledge(&mut self, reply: &[u8]) {
        self.put(b"PUB ");
        self.put(reply);
        self.put(b" 4\r\n+ACK\r\n");
    }

    /// Sends what is queued.
    pub(in crate::bench::link) async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.writer.write_all(&self.output).await?;
        self.output.clear();
        self.writer.flush().await
    }

    /// Asks a JSON question; an answer with an error is one.
    pub(in crate::bench::link) async fn ask(
        &mut self,
        subject: &str,
        question: &Value,
    ) -> io::Result<Value> {
        self.publish(subject, question.to_string().as_bytes());
        self.flush().await?;
        let answer = tokio::time::timeout(ANSWER, self.next()).await;
        let answer = answer.map_err(|_| io::Error::other(format!("{subject}: no answer")))??;
        let json: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| io::Error::other(format!("{subject}: nobody answers")))?;
        match json.get("error") {
            Some(error) => Err(io::Error::other(format!("{subject}: {error}"))),
            None => Ok(json),
        }
    }

    /// The next message; waits for it.
    pub(in crate::bench::link) async fn next(&mut self) -> io::Result<Delivered> {
        loop {
            if let Some(message) = self.at_hand()? {
                return Ok(message);
            }
            self.flush().await?;
            self.read().await?;
        }
    }

    /// The next message if it is here already.
    pub(in crate::bench::link) fn at_hand(&mut self) -> io::Result<Option<Delivered>> {
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line = self.input.get(..end).unwrap_or_default().trim_ascii();
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            match words.as_slice() {
                [b"MSG", _, _, rest @ ..] => {
                    let (reply, length) = match rest {
                        [length] => (None, length),
                        [reply, length] => (Some(Bytes::copy_from_slice(reply)), length),
                        _ => return Err(odd(line)),
                    };
                    return self.take(end, reply, 0, length.to_vec().as_slice());
                }
                [b"HMSG", _, _, rest @ ..] => {
                    let (reply, head, length) = match rest {
                        [head, length] => (None, head, length),
                        [reply, head, length] => {
                            (Some(Bytes::copy_from_slice(reply)), head, length)
                        }
                        _ => return Err(odd(line)),
                    };
                    let head = number(head).ok_or_else(|| odd(line))?;
                    return self.take(end, reply, head, length.to_vec().as_slice());
                }
                [b"PING"] => self.put(b"PONG\r\n"),
                [b"PONG" | b"+OK"] | [b"INFO", ..] => {}
                _ => return Err(odd(line)),
            }
            self.input.advance(end + 1);
        }
        Ok(None)
    }

    /// The message whose head line ends at `end`, once all of it is here.
    fn take(
        &mut self,
        end: usize,
        reply: Option<Bytes>,
        head: usize,
        length: &[u8],
    ) -> io::Result<Option<Delivered>> {
        let length = number(length).ok_or_else(|| odd(length))?;
        if self.input.len() < end + 1 + length + 2 {
            return Ok(None);
        }
        self.input.advance(end + 1);
        let mut body = self.input.split_to(length).freeze();
        self.input.advance(2);
        body.advance(head.min(length));
        Ok(Some(Delivered { reply, body }))
    }

    async fn until_pong(&mut self) -> io::Result<()> {
        while !self.input.windows(6).any(|six| six == b"PONG\r\n") {
            self.read().await?;
            if self.input.starts_with(b"-ERR") {
                return Err(odd(&self.input));
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> io::Result<()> {
        self.input.reserve(64 * 1024);
        match self.reader.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn odd(line: &[u8]) -> io::Error {
    let line = qc_core::safe_text::safe(&String::from_utf8_lossy(line), 200);
    io::Error::other(format!("the server says: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(input: &[u8]) -> Client {
        Client {
            reader: Box::new(tokio::io::empty()),
            writer: Box::new(tokio::io::sink()),
            input: BytesMut::from(input),
            output: Vec::new(),
            inbox: String::new(),
        }
    }

    #[test]
    fn reads_messages_and_waits_for_the_rest() {
        let mut client = client(
            b"PING\r\nMSG a 1 5\r\nab\r\nc\r\nHMSG a 1 $JS.ACK 12 14\r\nNATS/1.0\r\n\r\nhi\r\nMSG a 1 9\r\nhalf",
        );
        let first = client.at_hand().unwrap().unwrap();
        assert_eq!((first.reply, &first.body[..]), (None, &b"ab\r\nc"[..]));
        assert_eq!(client.output, b"PONG\r\n");
        let second = client.at_hand().unwrap().unwrap();
        assert_eq!(second.reply.as_deref(), Some(&b"$JS.ACK"[..]));
        assert_eq!(&second.body[..], b"hi");
        assert!(client.at_hand().unwrap().is_none());
        client.input.extend_from_slice(b"-done\r\n");
        assert_eq!(&client.at_hand().unwrap().unwrap().body[..], b"half-done");
    }

    #[test]
    fn an_error_of_the_server_ends_it() {
        let mut client = client(b"-ERR 'Authorization Violation'\r\n");
        let error = client.at_hand().err().unwrap().to_string();
        assert!(error.contains("Authorization Violation"), "{error}");
    }
}
