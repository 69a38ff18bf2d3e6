//! As much of the NATS protocol as it takes to publish to a stored stream and to ask what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::child::now;

/// Messages under way at once.
const WINDOW: u64 = 64;
const STREAM: &str = r#"{"name":"CUT","subjects":["cut.>"],"storage":"file"}"#;

/// One connection.
pub(super) struct Nats {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    asked: u64,
}

impl Nats {
    pub(super) fn connect(port: u16) -> io::Result<Self> {
        let writer = TcpStream::connect(("127.0.0.1", port))?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut nats = Self {
            reader: BufReader::new(writer.try_clone()?),
            writer,
            asked: 0,
        };
        nats.line()?;
        let hello = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB _INBOX.* 1\r\nPING\r\n";
        nats.writer.write_all(hello.as_bytes())?;
        while nats.line()? != "PONG" {}
        Ok(nats)
    }

    /// Makes the stream; the storage may take a moment to be there.
    pub(super) fn make_stream(&mut self) -> io::Result<()> {
        let mut answer = String::new();
        for _ in 0..50 {
            answer = self.request("$JS.API.STREAM.CREATE.CUT", STREAM)?;
            if !answer.contains("\"error\"") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::other(answer))
    }

    /// Publishes until `until`; `acked` is told each message when its acknowledgement has come.
    pub(super) fn publish(&mut self, until: Instant, acked: &mut dyn FnMut(u64)) -> io::Result<()> {
        let body = "x".repeat(256);
        let (mut sent, mut under_way) = (0, 0);
        loop {
            let over = now() >= until;
            while under_way < WINDOW && !over {
                self.send(&format!("cut.{sent}"), sent, &body)?;
                (sent, under_way) = (sent + 1, under_way + 1);
            }
            if under_way == 0 {
                return Ok(());
            }
            let (number, answer) = self.answer()?;
            under_way -= 1;
            if answer.contains("\"seq\"") && !answer.contains("\"error\"") {
                acked(number);
            }
            if number % 16 == 0 {
                // an even stream of messages, not as many as there can be
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Which of the messages below `bound` the stream has.
    pub(super) fn present(&mut self, bound: u64) -> io::Result<BTreeSet<u64>> {
        self.wait_for_jetstream()?;
        let mut present = BTreeSet::new();
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        while next < bound || !waiting.is_empty() {
            while next < bound && (waiting.len() as u64) < WINDOW {
                self.asked += 1;
                let ask = format!("{{\"last_by_subj\":\"cut.{next}\"}}");
                self.send("$JS.API.STREAM.MSG.GET.CUT", self.asked, &ask)?;
                waiting.insert(self.asked, next);
                next += 1;
            }
            let (asked, answer) = self.answer()?;
            if let Some(number) = waiting.remove(&asked)
                && answer.contains(&format!("\"subject\":\"cut.{number}\""))
            {
                present.insert(number);
            }
        }
        Ok(present)
    }

    /// The storage answers once it has recovered; that the stream is unknown is an answer, too.
    fn wait_for_jetstream(&mut self) -> io::Result<()> {
        let mut answer = String::new();
        for _ in 0..100 {
            answer = self.request("$JS.API.STREAM.INFO.CUT", "")?;
            let unknown = answer.contains("\"code\":404");
            if unknown || !answer.contains("\"error\"") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::other(answer))
    }

    fn request(&mut self, subject: &str, body: &str) -> io::Result<String> {
        self.asked += 1;
        let asked = self.asked;
        self.send(subject, asked, body)?;
        loop {
            let (number, answer) = self.answer()?;
            if number == asked {
                return Ok(answer);
            }
        }
    }

    fn send(&mut self, subject: &str, reply: u64, body: &str) -> io::Result<()> {
        let text = format!("PUB {subject} _INBOX.{reply} {}\r\n{body}\r\n", body.len());
        self.writer.write_all(text.as_bytes())
    }

    /// The next answer, and what it answers.
    fn answer(&mut self) -> io::Result<(u64, String)> {
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.writer.write_all(b"PONG\r\n")?;
            }
            let words: Vec<&str> = line.split(' ').collect();
            let (Some(&"MSG"), Some(subject), Some(length)) =
                (words.first(), words.get(1), words.last())
            else {
                if line.starts_with("-ERR") {
                    return Err(io::Error::other(line));
                }
                continue;
            };
            let bad = || io::Error::other(format!("not understood: {line}"));
            let number = subject
                .strip_prefix("_INBOX.")
                .and_then(|n| n.parse().ok())
                .ok_or_else(bad)?;
            let length: usize = length.parse().map_err(|_| bad())?;
            let mut body = vec![0; length + 2];
            self.reader.read_exact(&mut body)?;
            return Ok((number, String::from_utf8_lossy(&body).into_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
