//! What stands between a site and its relay: proxies, and a filter that knows only ordinary HTTPS.
//! Every name is 127.0.0.1 to them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use data_encoding::BASE64;

/// Something on the way, on a port of 127.0.0.1.
pub struct OnTheWay {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl OnTheWay {
    /// An HTTP proxy that wants this `user:password`, if any.
    pub fn http(login: Option<&str>) -> Self {
        let wanted = login.map(|login| BASE64.encode(login.as_bytes()));
        Self::serve(move |near, asked| http(near, wanted.as_deref(), asked))
    }

    /// A SOCKS5 proxy that wants this user and password, if any.
    pub fn socks5(login: Option<(&str, &str)>) -> Self {
        let wanted = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Self::serve(move |near, asked| socks5(near, wanted.as_ref(), asked))
    }

    /// A way to this port on which no TLS passes that offers anything but HTTP.
    pub fn filter(port: u16) -> Self {
        Self::serve(move |mut near, asked| {
            let mut hello = vec![0; 16 << 10];
            let count = near.read(&mut hello)?;
            let hello = hello.get(..count).unwrap_or_default();
            let is_link = hello.windows(5).any(|part| part == b"\x04qc/1");
            note(asked, if is_link { "qc/1" } else { "other" });
            if is_link {
                return near.shutdown(Shutdown::Both);
            }
            let mut far = TcpStream::connect(("127.0.0.1", port))?;
            far.write_all(hello)?;
            splice(near, far)
        })
    }

    fn serve<F>(script: F) -> Self
    where
        F: Fn(TcpStream, &Mutex<Vec<String>>) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (script, notes) = (Arc::new(script), Arc::clone(&asked));
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let (script, notes) = (Arc::clone(&script), Arc::clone(&notes));
                // whoever goes away in the middle is the test's to see
                thread::spawn(move || script(near, &notes));
            }
        });
        Self { port, asked }
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn note(asked: &Mutex<Vec<String>>, what: &str) {
    asked.lock().unwrap().push(what.to_owned());
}

fn http(mut near: TcpStream, wanted: Option<&str>, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        near.read_exact(&mut one)?;
        head.extend(one);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    note(asked, target);
    if wanted.is_some_and(|wanted| !head.contains(&format!("Authorization: Basic {wanted}\r\n"))) {
        return near.write_all(
            b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"corp\"\r\n\r\n",
        );
    }
    let port = target
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    match TcpStream::connect(("127.0.0.1", port.unwrap_or(0))) {
        Ok(far) => {
            near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            splice(near, far)
        }
        Err(_) => near.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
    }
}

fn socks5(
    mut near: TcpStream,
    wanted: Option<&(String, String)>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let [_version, methods] = bytes(&mut near)?;
    let mut offered = vec![0; usize::from(methods)];
    near.read_exact(&mut offered)?;
    match wanted {
        None => near.write_all(&[5, 0])?,
        Some(_) if !offered.contains(&2) => return near.write_all(&[5, 0xff]),
        Some((user, password)) => {
            near.write_all(&[5, 2])?;
            let [_version] = bytes(&mut near)?;
            let told = (text(&mut near)?, text(&mut near)?);
            let is_right = (&told.0, &told.1) == (user, password);
            near.write_all(&[1, u8::from(!is_right)])?;
            if !is_right {
                return Ok(());
            }
        }
    }
    let [_version, _connect, _reserved, kind] = bytes(&mut near)?;
    let host = if kind == 3 {
        text(&mut near)?
    } else {
        bytes::<4>(&mut near)?
            .map(|part| part.to_string())
            .join(".")
    };
    let port = u16::from_be_bytes(bytes(&mut near)?);
    note(asked, &format!("{host}:{port}"));
    let far = TcpStream::connect(("127.0.0.1", port));
    near.write_all(&[5, if far.is_ok() { 0 } else { 5 }, 0, 1, 0, 0, 0, 0, 0, 0])?;
    far.and_then(|far| splice(near, far))
}

fn bytes<const N: usize>(near: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    near.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(near: &mut TcpStream) -> io::Result<String> {
    let [length] = bytes(near)?;
    let mut text = vec![0; usize::from(length)];
    near.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Carries bytes both ways until one side ends.
fn splice(near: TcpStream, far: TcpStream) -> io::Result<()> {
    let carry = |mut from: TcpStream, mut to: TcpStream| {
        let _one_end_is_gone = io::copy(&mut from, &mut to);
        let _already_closed = to.shutdown(Shutdown::Write);
    };
    let (back, to) = (far.try_clone()?, near.try_clone()?);
    let returning = thread::spawn(move || carry(back, to));
    carry(near, far);
    returning
        .join()
        .map_err(|_| io::Error::other("a thread of the test"))
}
