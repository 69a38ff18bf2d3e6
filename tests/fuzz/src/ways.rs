//! What stands between an edge and its relay: proxies, and whatever answers to an upgrade.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue};
use qc_core::reach::testing::tunnel;
use qc_core::reach::websocket::{UpgradeError, WebSocket, answer};
use qc_core::reach::{Proxy, Target};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::input::Input;

/// The other end: it says what it says whatever it is told, in slices of at most so many bytes, and then closes.
struct Parrot<'a> {
    says: &'a [u8],
    slice: usize,
    /// What it was told, if it answers a request for an upgrade first.
    told: Option<Vec<u8>>,
    answer: Vec<u8>,
}

impl<'a> Parrot<'a> {
    fn new(slice: u8, says: &'a [u8]) -> Self {
        Self {
            says,
            slice: usize::from(slice) + 1,
            told: None,
            answer: Vec::new(),
        }
    }

    /// The same as a relay that takes the upgrade.
    fn polite(slice: u8, says: &'a [u8]) -> Self {
        Self {
            told: Some(Vec::new()),
            ..Self::new(slice, says)
        }
    }

    /// The answer to the request that was told.
    fn take_upgrade(&mut self) {
        let Some(request) = self.told.take() else {
            return;
        };
        let request = String::from_utf8(request).unwrap();
        let lines = request.lines().filter_map(|line| line.split_once(": "));
        let headers = lines.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = headers.collect();
        self.answer.extend_from_slice(b"HTTP/1.1 101 Go\r\n");
        for (name, value) in &answer(&headers).unwrap() {
            let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat();
            self.answer.extend_from_slice(&line);
        }
        self.answer.extend_from_slice(b"\r\n");
    }
}

impl AsyncRead for Parrot<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.take_upgrade();
        let room = self.slice.min(into.remaining());
        let count = self.answer.len().min(room);
        into.put_slice(&self.answer[..count]);
        self.answer.drain(..count);
        if count == 0 {
            let count = self.says.len().min(room);
            let (now, later) = self.says.split_at(count);
            into.put_slice(now);
            self.says = later;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Parrot<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if let Some(told) = &mut self.told {
            told.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs what never waits: a parrot always has an answer.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(std::task::Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
    unreachable!("it waits for something")
}

fn relay() -> Target {
    "relay-1.hub.acme:443".parse().unwrap()
}

/// Whatever is shown of an answer is safe, and short.
fn told(error: &dyn std::error::Error) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() < 4000, "{} bytes of an error", text.len());
}

/// How to cut, whether with a login, and the answers.
fn ask(proxy: &str, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let slice = input.u8();
    let login = input.is_even().then_some("user:secret word");
    let proxy: Proxy = proxy.parse().unwrap();
    let mut parrot = Parrot::new(slice, input.rest());
    if let Err(error) = run(tunnel(&mut parrot, &proxy, &relay(), login)) {
        told(&error);
        assert!(!error.to_string().contains("secret word"));
    }
}

pub(crate) fn http_proxy(bytes: &[u8]) {
    ask("http://proxy.corp:3128", bytes);
}

pub(crate) fn socks5(bytes: &[u8]) {
    ask("socks5://proxy.corp:1080", bytes);
}

/// The first byte chooses: the head of an answer, messages of a client, messages of a server, or the headers of
/// a request; the second how to cut.
pub(crate) fn websocket(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (how, slice) = (input.u8() % 4, input.u8());
    let says = input.rest();
    match how {
        0 => match run(WebSocket::ask(Parrot::new(slice, says), &relay())) {
            Ok(_) => unreachable!("the key is new every time"),
            Err(UpgradeError::Refused(error)) => told(&error),
            Err(UpgradeError::Io(_)) => {}
        },
        1 => {
            let socket = run(WebSocket::accepted(Parrot::new(slice, says)));
            read(socket, says.len());
        }
        2 => match run(WebSocket::ask(Parrot::polite(slice, says), &relay())) {
            Ok(socket) => read(socket, says.len()),
            Err(error) => unreachable!("a good answer is taken: {error:?}"),
        },
        _ => upgrade(says),
    }
}

/// No more comes out than has come in.
fn read(mut socket: WebSocket<Parrot<'_>>, said: usize) {
    let mut part = vec![0; 4096];
    let mut count = 0;
    run(async {
        while let Ok(more @ 1..) = socket.read(&mut part).await {
            count += more;
        }
    });
    assert!(count <= said);
}

const HEADERS: [&str; 6] = [
    "upgrade",
    "connection",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-key",
    "x",
];
const VALUES: [&str; 5] = [
    "websocket",
    "Upgrade",
    "13",
    "qc.1",
    "dGhlIHNhbXBsZSBub25jZQ==",
];

/// Headers from a list, with good values more often than not.
fn upgrade(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut headers = HeaderMap::new();
    while !input.is_empty() {
        let name = input.one_of(&HEADERS);
        let at = usize::from(input.u8() % 8);
        let value = if at < 5 {
            VALUES[at].as_bytes()
        } else {
            let length = usize::from(input.u8());
            input.bytes(length)
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    if let Ok(answer) = answer(&headers) {
        assert_eq!(answer.len(), 4);
    }
}
