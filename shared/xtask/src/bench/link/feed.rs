//! What is given: numbered messages of 1 KiB until a number or a moment, at full speed or at a pace.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use qc_core::clock::{Clock as _, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::raw::MESSAGE;

/// Digits at the beginning of a body.
pub(super) const DIGITS: usize = 12;

/// The messages of one round, shared by all who give them.
#[derive(Debug)]
pub(super) struct Feed {
    /// Tells this round's messages from those of others.
    name: String,
    given: AtomicU64,
    limit: u64,
    stopped: AtomicBool,
    pace: Option<(Instant, Duration)>,
    sent: Mutex<Vec<(u64, Instant)>>,
    answers: Mutex<Vec<Duration>>,
    /// How many were acknowledged.
    pub(super) acked: AtomicU64,
}

/// The number of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(u64);

impl Number {
    /// Writes the number over the beginning of a body.
    pub(super) fn write(self, body: &mut [u8]) {
        let digits = format!("{:0DIGITS$}", self.0);
        if let Some(place) = body.get_mut(..DIGITS) {
            place.copy_from_slice(digits.as_bytes());
        }
    }
}

impl Feed {
    /// At most `limit` messages.
    pub(super) fn new(name: String, limit: u64) -> Self {
        Self {
            name,
            given: AtomicU64::new(0),
            limit,
            stopped: AtomicBool::new(false),
            pace: None,
            sent: Mutex::default(),
            answers: Mutex::default(),
            acked: AtomicU64::new(0),
        }
    }

    /// One message each `interval`, from `start` on.
    pub(super) fn paced(self, start: Instant, interval: Duration) -> Self {
        Self {
            pace: Some((start, interval)),
            ..self
        }
    }

    /// No more from now on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The next message, unless there are no more.
    pub(super) fn next(&self) -> Option<Number> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        (number < self.limit).then_some(Number(number))
    }

    /// Waits until it is the message's turn, and notes when it goes.
    pub(super) async fn due(&self, Number(number): Number, clock: &SystemClock) {
        let Some((start, interval)) = self.pace else {
            return;
        };
        let turn = start + interval * u32::try_from(number).unwrap_or(u32::MAX);
        tokio::time::sleep(turn.saturating_duration_since(clock.instant())).await;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push((number, clock.instant()));
    }

    /// Messages of a paced feed that went at `at` are acknowledged.
    pub(super) fn answered(&self, at: Instant, clock: &SystemClock) {
        if self.pace.is_some() {
            let took = clock.instant().saturating_duration_since(at);
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.push(took);
        }
    }

    /// How long the acknowledgements of a paced feed took.
    pub(super) fn answers(&self) -> Vec<Duration> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *answers)
    }

    /// How many were acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// When each message of a paced feed went.
    pub(super) fn sent(&self) -> Vec<(u64, Instant)> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *sent)
    }
}

/// A body of the bench: letters that nothing compresses much, room for the number in front.
pub(super) fn payload() -> Vec<u8> {
    std::iter::repeat_with(|| u8::try_from(fastrand::alphanumeric()).unwrap_or(b'x'))
        .take(MESSAGE as usize)
        .collect()
}

/// Posts to the webhook of an edge over one connection: `in_flight` messages in one request, which is
/// answered when they are on disk there.
pub(super) async fn post(
    address: SocketAddr,
    in_flight: usize,
    feed: Arc<Feed>,
    clock: Arc<SystemClock>,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut body = payload();
    let (mut request, mut events) = (Vec::new(), Vec::new());
    loop {
        events.clear();
        let mut count = 0;
        while count < in_flight
            && let Some(number) = feed.next()
        {
            feed.due(number, &clock).await;
            number.write(&mut body);
            let Number(number) = number;
            let before: &[u8] = if count == 0 { b"[" } else { b"," };
            events.extend_from_slice(before);
            let head = format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{}-{number}\",\"source\":\"/bench\",\"type\":\"qc.bench\",\
                 \"datacontenttype\":\"text/plain\",\"data\":\"",
                feed.name
            );
            events.extend_from_slice(head.as_bytes());
            events.extend_from_slice(&body);
            events.extend_from_slice(b"\"}");
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        events.push(b']');
        request.clear();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/cloudevents-batch+json\r\n\
             content-length: {}\r\n\r\n",
            events.len()
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(&events);
        let began = clock.instant();
        stream.write_all(&request).await?;
        answered(&mut stream).await?;
        feed.answered(began, &clock);
        feed.acked.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Reads one answer to its end; anything but 201 is an error.
async fn answered(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(whole) = length(&answer)? else {
            continue;
        };
        if answer.len() < whole {
            continue;
        }
        if answer.starts_with(b"HTTP/1.1 201") {
            return Ok(());
        }
        let text = qc_core::safe_text::safe(&String::from_utf8_lossy(&answer), 400);
        return Err(io::Error::other(format!("the edge answers: {text}")));
    }
}

/// How long an answer is in all, once its head is here.
fn length(answer: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines
        .filter(|(name, _)| *name == "content-length")
        .find_map(|(_, value)| value.trim().parse::<usize>().ok());
    match length {
        Some(length) => Ok(Some(end + 4 + length)),
        None => Err(io::Error::other("an answer without content-length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_ends_at_its_limit_or_when_told() {
        let feed = Feed::new("a".to_owned(), 3);
        let mut body = payload();
        assert_eq!(body.len(), MESSAGE as usize);
        feed.next().unwrap();
        feed.next().unwrap().write(&mut body);
        assert!(body.starts_with(b"000000000001"));
        assert!(feed.next().is_some() && feed.next().is_none());
        let feed = Feed::new("b".to_owned(), 3);
        feed.stop();
        assert!(feed.next().is_none());
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(length(answer).unwrap(), Some(answer.len()));
        assert_eq!(length(b"HTTP/1.1 201 Created\r\nContent-Le").unwrap(), None);
        assert!(length(b"HTTP/1.1 201 Created\r\n\r\n").is_err());
    }
}
