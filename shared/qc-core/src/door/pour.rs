//! A body of any length on its way into the log.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::Instant;

use super::{Limits, Problem};
use crate::parts::Upload;
use crate::store::AppendError;

/// So much of a long body has to come within each deadline.
const STEP: u64 = 64 << 10;

/// Why a long body did not become a message. The parts so far stay, and are found when it comes again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PourError {
    /// It ended early.
    #[error("the body broke off")]
    Cut,
    /// It comes too slowly.
    #[error("less than 64 KiB of the body came within {0:?}")]
    Slow(Duration),
    /// The log did not take a part.
    #[error(transparent)]
    Store(#[from] AppendError),
}

impl From<PourError> for Problem {
    fn from(error: PourError) -> Self {
        match error {
            PourError::Cut => Self::bad_request("the body broke off"),
            PourError::Slow(deadline) => Self::too_slow(deadline),
            PourError::Store(error) => Self::from(&error),
        }
    }
}

/// Takes a body as it comes, and gives up when too little of it comes within a deadline. Only waiting for the
/// sender counts, not what is done with the data meanwhile.
struct Pace {
    deadline: Duration,
    left: Duration,
    bytes: u64,
}

impl Pace {
    fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            left: deadline,
            bytes: 0,
        }
    }

    /// The next data; none at the end.
    async fn next<B>(&mut self, body: &mut B) -> Result<Option<Bytes>, PourError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            let began = Instant::now();
            let frame = tokio::time::timeout(self.left, body.frame()).await;
            let frame = frame.map_err(|_| PourError::Slow(self.deadline))?;
            self.left = self.left.saturating_sub(began.elapsed());
            let Some(frame) = frame else {
                return Ok(None);
            };
            let Ok(data) = frame.map_err(|_| PourError::Cut)?.into_data() else {
                continue; // trailers
            };
            self.bytes += data.len() as u64;
            if self.bytes >= STEP {
                (self.left, self.bytes) = (self.deadline, 0);
            }
            return Ok(Some(data));
        }
    }
}

/// What came first of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// All of it: it fits into a record.
    All(Bytes),
    /// It does not fit; the rest is still to come.
    Part(Bytes),
}

/// Reads a body until it is known whether it fits into a record. Of one that states that it does not, nothing
/// is read.
pub async fn begin_body<B>(body: &mut B, deadline: Duration) -> Result<Beginning, PourError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let max = Limits::MAX_BODY;
    if body.size_hint().lower() > max as u64 {
        return Ok(Beginning::Part(Bytes::new()));
    }
    let (mut pace, mut taken) = (Pace::new(deadline), BytesMut::new());
    while let Some(data) = pace.next(body).await? {
        taken.extend_from_slice(&data);
        if taken.len() > max {
            return Ok(Beginning::Part(taken.freeze()));
        }
    }
    Ok(Beginning::All(taken.freeze()))
}

/// Puts a body of any length into `upload`, bit by bit: it is read only as fast as its parts are
/// stored. What is left of a body that is refused is for [`discard`](super::discard).
pub async fn pour<B>(body: &mut B, upload: &mut Upload, deadline: Duration) -> Result<(), PourError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut pace = Pace::new(deadline);
    while let Some(data) = pace.next(body).await? {
        upload.push(data).await?;
    }
    Ok(())
}
