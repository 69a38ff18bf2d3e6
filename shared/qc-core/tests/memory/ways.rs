//! Proxies and whoever answers an upgrade: heads without an end, frames that announce more than they are.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use qc_core::reach::testing::tunnel;
use qc_core::reach::websocket::WebSocket;
use qc_core::reach::{Proxy, Target};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::{BEYOND, Turn};

const ENOUGH: usize = 1 << 20;

/// Says this, then the other without an end; counts what was read.
struct Endless {
    first: &'static [u8],
    then: &'static [u8],
    said: usize,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.said > ENOUGH {
            return Poll::Ready(Ok(())); // an end after all, so that a test has one
        }
        let room = into.remaining();
        let count = self.first.len().min(room).min(1400);
        let (now, later) = self.first.split_at(count);
        into.put_slice(now);
        self.first = later;
        let more = self.then.len().min(room - count);
        into.put_slice(&self.then[..more]);
        self.said += count + more;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

#[test]
fn a_head_without_an_end_is_read_as_far_as_its_bound() {
    let turn = Turn::take();
    let relay: Target = "relay:443".parse().unwrap();
    for proxy in ["http://p:1", "socks5://p:1"] {
        let proxy: Proxy = proxy.parse().unwrap();
        for (first, then) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n"[..]),
            (b"HTTP/1.1 200 OK\r\na: ", b"xxxxxxxxxxxxxxxx"),
            (b"HTTP/1.1 200 ", b"\x1b\x1b\x1b\x1b"),
            (b"\x05\x00\x05\x00\x00\x03\xff", b"x"),
            (b"", b"\x05\x02\x01\x00"),
        ] {
            let mut says = Endless {
                first,
                then,
                said: 0,
            };
            let count = turn.count();
            let _either = run(tunnel(&mut says, &proxy, &relay, Some("user:word")));
            assert!(
                count.most() <= says.said + BEYOND,
                "{} for {}",
                count.most(),
                says.said
            );
            assert!(says.said <= 9 * 1024, "{} bytes of {proxy}", says.said);
        }
    }
    let says = Endless {
        first: b"HTTP/1.1 101 Go\r\na: ",
        then: b"xxxx",
        said: 0,
    };
    let count = turn.count();
    assert!(run(WebSocket::ask(says, &relay)).is_err());
    assert!(count.most() <= BEYOND, "{}", count.most());
}

#[test]
fn a_message_of_a_websocket_is_believed_as_far_as_it_has_come() {
    let turn = Turn::take();
    for (first, then) in [
        // a binary message of 2^40 bytes, of 64 KiB, and one in parts that never ends
        (
            &b"\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00mask"[..],
            &b""[..],
        ),
        (b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00mask", b""),
        (b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00maskabcdefg", b""),
        (b"\x02\x81maska", b"\x00\x81maska"),
        (b"", b"\x89\x81mask!"),
    ] {
        let says = Endless {
            first,
            then,
            said: 0,
        };
        let count = turn.count();
        let mut socket = run(WebSocket::accepted(says));
        let mut part = [0; 4096];
        for _ in 0..50 {
            if !matches!(run_once(socket.read(&mut part)), Some(Ok(1..))) {
                break;
            }
        }
        let held = count.most();
        assert!(
            held <= first.len() + BEYOND,
            "{held} for {first:x?} {then:x?}"
        );
    }
}

/// One look; a message in parts without an end would be read for ever.
fn run_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
