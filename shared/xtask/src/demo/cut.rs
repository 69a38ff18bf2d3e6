//! A cable on loopback that can be cut, and mended.
//!
//! It listens on a port of its own and forwards every TCP connection to `upstream`. Cut, it breaks the
//! connections there are and refuses new ones; silent, it keeps them and lets nothing through, as a
//! firewall does that has forgotten them.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const OPEN: u8 = 0;
const SEVERED: u8 = 1;
const SILENT: u8 = 2;
const ENDED: u8 = 3;

/// How soon a silent pump notices that it may go on.
const GLANCE: Duration = Duration::from_millis(10);
const CONNECT: Duration = Duration::from_secs(5);

/// The cable. Dropped, it is cut for good.
#[derive(Debug)]
pub struct Cut {
    address: SocketAddr,
    cable: Arc<Cable>,
}

#[derive(Debug)]
struct Cable {
    upstream: SocketAddr,
    state: AtomicU8,
    forwarded: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Cut {
    /// A cable to `upstream`, open.
    pub fn listen(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let cable = Arc::new(Cable {
            upstream,
            state: AtomicU8::new(OPEN),
            forwarded: AtomicU64::new(0),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&cable);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { address, cable })
    }

    /// Where to connect instead of the upstream.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that were let through in either direction.
    pub fn forwarded(&self) -> u64 {
        self.cable.forwarded.load(Ordering::SeqCst)
    }

    /// Breaks every connection and refuses new ones.
    pub fn sever(&self) {
        self.cable.become_(SEVERED);
        self.cable.break_all();
    }

    /// Lets nothing through and tells nobody.
    pub fn silence(&self) {
        self.cable.become_(SILENT);
    }

    /// Lets everything through again.
    pub fn restore(&self) {
        self.cable.become_(OPEN);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.cable.become_(ENDED);
        self.cable.break_all();
        // wakes the thread that accepts, which then ends
        let _already_gone = TcpStream::connect_timeout(&self.address, CONNECT);
    }
}

impl Cable {
    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::SeqCst) == state
    }

    fn become_(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn break_all(&self) {
        for stream in self.streams().drain(..) {
            let _already_gone = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is(ENDED) {
                return;
            }
            // a severed cable drops the connection at once
            if let (Ok(stream), false) = (stream, self.is(SEVERED)) {
                let cable = Arc::clone(self);
                thread::spawn(move || cable.forward(&stream));
            }
        }
    }

    /// Both directions of one connection, until one of them ends.
    fn forward(self: &Arc<Self>, near: &TcpStream) {
        let pair = || {
            let far = TcpStream::connect_timeout(&self.upstream, CONNECT)?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            Ok::<_, io::Error>([near.try_clone()?, far.try_clone()?, near.try_clone()?, far])
        };
        let Ok([near_in, far_out, near_out, far_in]) = pair() else {
            return;
        };
        if let (Ok(near), Ok(far)) = (near_in.try_clone(), far_in.try_clone()) {
            self.streams().extend([near, far]);
        }
        // severed while it was being built: nobody else would break it
        if self.is(SEVERED) || self.is(ENDED) {
            self.break_all();
        }
        let cable = Arc::clone(self);
        thread::spawn(move || cable.pump(&near_in, &far_out));
        self.pump(&far_in, &near_out);
        self.streams().retain(|stream| stream.peer_addr().is_ok());
    }

    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            while self.is(SILENT) {
                thread::sleep(GLANCE);
            }
            if self.is(SEVERED) || self.is(ENDED) {
                break;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            self.forwarded
                .fetch_add(bytes.len() as u64, Ordering::SeqCst);
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _already_gone = to.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upstream that sends every byte back.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    fn connect(cut: &Cut) -> TcpStream {
        let stream = TcpStream::connect(cut.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
    }

    fn asks(mut stream: &TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn a_cut_cable_breaks_and_mends() {
        let cut = Cut::listen(echo()).unwrap();
        let stream = connect(&cut);
        assert_eq!(asks(&stream, b"one").unwrap(), b"one");
        assert_eq!(cut.forwarded(), 6);
        cut.sever();
        assert!(
            asks(&stream, b"two").is_err(),
            "the connection there was is broken"
        );
        assert!(
            asks(&connect(&cut), b"two").is_err(),
            "a new one is refused"
        );
        cut.restore();
        assert_eq!(asks(&connect(&cut), b"three").unwrap(), b"three");
    }

    #[test]
    fn a_silent_cable_keeps_what_it_was_given() {
        let cut = Cut::listen(echo()).unwrap();
        let mut stream = connect(&cut);
        assert_eq!(asks(&stream, b"one").unwrap(), b"one");
        cut.silence();
        stream.write_all(b"two").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(60)))
            .unwrap();
        let mut answer = [0; 3];
        assert!(
            stream.read_exact(&mut answer).is_err(),
            "nothing comes through"
        );
        cut.restore();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"two");
    }

    #[test]
    fn a_dropped_cable_stops_listening() {
        let cut = Cut::listen(echo()).unwrap();
        let address = cut.address();
        drop(cut);
        let gone = (0..100).any(|_| {
            thread::sleep(GLANCE);
            TcpStream::connect(address).is_err()
        });
        assert!(gone);
    }
}
