//! One HTTP request, as a program at the site would post it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(10);
const MAX_ANSWER: u64 = 64 << 10;

/// Posts `body` and gives the status of the answer; an error means that nobody knows what became of it,
/// and that the sender must send it again.
pub(super) fn post(
    to: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&to, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    let line = answer.split(|byte| *byte == b'\r').next();
    let status = line.and_then(|line| {
        std::str::from_utf8(line)
            .ok()?
            .split(' ')
            .nth(1)?
            .parse()
            .ok()
    });
    status.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn served(answer: &'static str) -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let mut seen = 0;
            while !request[..seen].ends_with(b"hello") {
                seen += stream.read(&mut request[seen..]).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let status = post(address, "/x", &[("X-Id", "1")], b"hello");
        server.join().unwrap();
        status
    }

    #[test]
    fn the_status_or_nothing() {
        assert_eq!(served("HTTP/1.1 201 Created\r\n\r\n").unwrap(), 201);
        assert!(served("").is_err());
        assert!(served("what\r\n").is_err());
    }
}
