//! A network cable between an edge and its relay that a test can pull out.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A TCP forwarder on 127.0.0.1. Cut, it ends every connection at once and every new one too.
pub struct Cable {
    port: u16,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    cut: bool,
    open: Vec<TcpStream>,
}

impl Cable {
    /// A cable to this port of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let cable = Self {
            port: listener.local_addr().unwrap().port(),
            inner: Arc::default(),
        };
        let inner = Arc::clone(&cable.inner);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // nobody there is the dialler's to see
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let mut inner = inner.lock().unwrap();
                if !inner.cut {
                    forward(&stream, &far);
                    forward(&far, &stream);
                    inner.open.extend([stream, far]);
                }
            }
        });
        cable
    }

    /// Where to dial.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Pulls it out.
    pub fn cut(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.cut = true;
        for stream in inner.open.drain(..) {
            let _already_closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// Plugs it in again.
    pub fn restore(&self) {
        self.inner.lock().unwrap().cut = false;
    }
}

fn forward(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _already_closed = to.shutdown(Shutdown::Write);
    });
}
