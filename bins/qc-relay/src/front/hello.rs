//! Waits until the first record of a client is here, and leaves it in the kernel.
//!
//! A client that has said half a greeting, or none, so costs a socket and a task of less than 2 KiB;
//! what TLS needs is allocated for those who have begun in earnest.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The most that is waited for.
const MOST: usize = 4096;
/// The head of a record of TLS: kind, version, length.
const HEAD: usize = 5;
/// The kind of a record that greets.
const HANDSHAKE: u8 = 22;

/// Resolves when the first record is here, or when it is clear that it will not be. The caller sets
/// the deadline.
pub(crate) async fn arrived(stream: &TcpStream) -> io::Result<()> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        let looked = stream.try_io(Interest::READABLE, || {
            let mut here = [0; MOST];
            let (_, count) = recv(stream, &mut here[..], RecvFlags::PEEK)?;
            let begun = here.get(..count).unwrap_or_default();
            // an end is for TLS to see
            if count == 0 || count >= wanted(begun) {
                Ok(())
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() {
                    return Ok(());
                }
            }
            other => return other,
        }
    }
}

/// How many bytes are to be there. What is no greeting is not waited for.
fn wanted(begun: &[u8]) -> usize {
    match begun {
        [HANDSHAKE, _, _, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            MOST.min(HEAD + length)
        }
        [] | [HANDSHAKE, ..] => HEAD,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    #[test]
    fn a_record_is_waited_for_and_nothing_else() {
        for (begun, bytes) in [
            (&b""[..], 5),
            (b"\x16\x03\x01", 5),
            (b"\x16\x03\x01\x00\x10", 21),
            (b"\x16\x03\x01\xff\xff", 4096),
            (b"GET / HTTP/1.1", 1),
        ] {
            assert_eq!(wanted(begun), bytes, "{begun:?}");
        }
    }

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    async fn is_here(stream: &TcpStream) -> bool {
        let soon = Duration::from_millis(200);
        timeout(soon, arrived(stream)).await.is_ok()
    }

    #[tokio::test]
    async fn half_a_greeting_is_none() {
        let (mut near, far) = connected().await;
        assert!(!is_here(&far).await);
        for part in [&b"\x16\x03"[..], b"\x01\x00", b"\x04ab", b"c"] {
            near.write_all(part).await.unwrap();
            assert!(!is_here(&far).await);
        }
        near.write_all(b"d").await.unwrap();
        assert!(is_here(&far).await);
        // it is still there for TLS
        assert_eq!(far.peek(&mut [0; 64]).await.unwrap(), 9);
    }

    #[tokio::test]
    async fn who_goes_away_is_not_waited_for() {
        for words in [&b""[..], b"\x16\x03\x01\x01\x00half"] {
            let (mut near, far) = connected().await;
            near.write_all(words).await.unwrap();
            drop(near);
            assert!(is_here(&far).await);
        }
    }
}
