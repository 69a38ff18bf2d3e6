//! Server-sent events: a body that reads the stream as fast as its reader takes it.
//!
//! There is no task and no queue: the next read begins when the connection asks for the next frame,
//! so a slow reader holds one answer in memory and a gone one holds nothing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};

use super::{Caller, Door, Entries, Entry, Problem, ReadQuery};
use crate::cloudevents;
use crate::model::StreamName;

/// A comment is sent when nothing came for this long, so that middle boxes keep the connection.
const QUIET: Duration = Duration::from_secs(15);

type Reading = Pin<Box<dyn Future<Output = Result<Entries, Problem>> + Send>>;

pub(super) struct Events<D> {
    door: D,
    caller: Caller,
    stream: StreamName,
    query: ReadQuery,
    waiting: VecDeque<Entry>,
    reading: Option<Reading>,
    ended: bool,
}

impl<D: Door> Events<D> {
    pub(super) fn new(
        door: D,
        caller: Caller,
        stream: StreamName,
        query: ReadQuery,
        first: Entries,
    ) -> Self {
        Self {
            door,
            caller,
            stream,
            query: ReadQuery {
                after: first.through,
                wait: QUIET,
                ..query
            },
            waiting: first.entries.into(),
            reading: None,
            ended: false,
        }
    }

    fn start_reading(&self) -> Reading {
        let (door, caller) = (self.door.clone(), self.caller.clone());
        let (stream, query) = (self.stream.clone(), self.query);
        Box::pin(async move { door.read(&caller, &stream, query).await })
    }
}

// nothing in it is pinned in place
impl<D> Unpin for Events<D> {}

impl<D: Door> Body for Events<D> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(entry) = this.waiting.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(event(&entry)))));
        }
        if this.reading.is_none() {
            this.reading = Some(this.start_reading());
        }
        let reading = this.reading.as_mut().expect("set above");
        let result = ready!(reading.as_mut().poll(cx));
        this.reading = None;
        let frame = match result {
            Ok(Entries { entries, through }) => {
                this.query.after = through;
                this.waiting = entries.into();
                match this.waiting.pop_front() {
                    Some(entry) => event(&entry),
                    None => Bytes::from_static(b": quiet\n\n"),
                }
            }
            Err(problem) => {
                this.ended = true;
                Bytes::from(
                    [
                        b"event: problem\ndata: ".as_slice(),
                        &problem.to_json(),
                        b"\n\n",
                    ]
                    .concat(),
                )
            }
        };
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}

/// One event. A line break can stand in the JSON only between values, so it is cut there into
/// `data:` lines, and the reader's own line breaks mean the same.
fn event(entry: &Entry) -> Bytes {
    let mut json = Vec::new();
    cloudevents::encode(&entry.message, &mut json);
    let mut out = format!("id: {}\n", entry.seq).into_bytes();
    for line in json.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    Bytes::from(out)
}
