//! A stored message as one body again: read part by part, as fast as its reader takes it.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::{Trailer, is_same};
use crate::model::{Envelope, Part, Seq};
use crate::store::{AppendError, StreamKey, part_key};
use crate::streams::{Bounds, ReadError, Streams};
use crate::wire::{Record, WireError, decode_envelope};

/// Parts that are looked up at once.
const LOOK_UP: usize = 256;
/// The most parts of a message that is read as a whole; what this product cuts has 1024 at most.
const MAX_PARTS: u32 = 1 << 16;

/// Why a message is not given as a whole.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// There is no message of this number, or it is not the last part of one.
    #[error("no message ends at this number")]
    None,
    /// A part is not there, or not any more.
    #[error("part {0} of the message is not here")]
    Missing(u32),
    /// The parts do not make the message.
    #[error("{0}")]
    Misfit(String),
    /// A part cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The parts cannot be looked up.
    #[error(transparent)]
    Store(#[from] AppendError),
}

impl WholeError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::None => "QC4022",
            Self::Missing(_) | Self::Misfit(_) => "QC4021",
            Self::Read(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl From<WireError> for WholeError {
    fn from(error: WireError) -> Self {
        Self::Misfit(error.to_string())
    }
}

/// A message whose parts were all there when it was opened.
pub struct Whole {
    streams: Arc<dyn Streams>,
    stream: StreamKey,
    envelope: Envelope,
    /// Where the parts before the last stand.
    before: Vec<Seq>,
    /// What the last part holds, until it was given.
    last: Option<Bytes>,
    trailer: Trailer,
    at: usize,
    given: u64,
    digest: Context,
}

impl Whole {
    /// The message whose last part, or whose only one, has the number `seq`.
    pub async fn open(
        streams: Arc<dyn Streams>,
        stream: StreamKey,
        seq: Seq,
    ) -> Result<Self, WholeError> {
        let last = record(streams.as_ref(), &stream, seq).await?;
        let last = last.ok_or(WholeError::None)?;
        let part = last.header.part_of();
        if !part.is_last {
            return Err(WholeError::None);
        }
        let envelope = decode_envelope(&last.head)?;
        let (body, trailer) = if part.is_whole() {
            let mut sha256 = [0; 32];
            let digest = aws_lc_rs::digest::digest(&SHA256, &last.body);
            sha256.copy_from_slice(digest.as_ref());
            let total = last.body.len() as u64;
            (last.body, Trailer { total, sha256 })
        } else {
            Trailer::split(&last.body)?
        };
        if part.number >= MAX_PARTS {
            let reason = format!("it has more than {MAX_PARTS} parts");
            return Err(WholeError::Misfit(reason));
        }
        let mut before = Vec::new();
        let numbers: Vec<u32> = (0..part.number).collect();
        for some in numbers.chunks(LOOK_UP) {
            let keys = some.iter();
            let keys = keys.map(|number| {
                let (number, is_last) = (*number, false);
                part_key(&envelope.source, &envelope.id, Part { number, is_last })
            });
            let found = streams.find(&stream, keys.collect()).await?;
            for (number, seq) in some.iter().zip(found) {
                before.push(seq.ok_or(WholeError::Missing(*number))?);
            }
        }
        Ok(Self {
            streams,
            stream,
            envelope,
            before,
            last: Some(body),
            trailer,
            at: 0,
            given: 0,
            digest: Context::new(&SHA256),
        })
    }

    /// Its attributes.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The length and digest of its body, as its sender stated them.
    pub fn trailer(&self) -> Trailer {
        self.trailer
    }

    /// The next piece of the body; none after the last, which is given only when all of it is what was sent.
    pub async fn next(&mut self) -> Option<Result<Bytes, WholeError>> {
        let piece = match self.before.get(self.at) {
            Some(seq) => self.part(*seq).await,
            None => Ok(self.last.take()?),
        };
        self.at += 1;
        let piece = piece.and_then(|piece| {
            self.given += piece.len() as u64;
            self.digest.update(&piece);
            if self.last.is_none() {
                self.check()?;
            }
            Ok(piece)
        });
        if piece.is_err() {
            (self.at, self.last) = (self.before.len(), None);
        }
        Some(piece)
    }

    async fn part(&self, seq: Seq) -> Result<Bytes, WholeError> {
        let number = u32::try_from(self.at).unwrap_or(u32::MAX);
        let record = record(self.streams.as_ref(), &self.stream, seq).await?;
        let record = record.filter(|record| record.header.part == number);
        let record = record.ok_or(WholeError::Missing(number))?;
        if record.header.last_part || !is_same(&decode_envelope(&record.head)?, &self.envelope) {
            let reason = format!("part {number} is of another message");
            return Err(WholeError::Misfit(reason));
        }
        Ok(record.body)
    }

    fn check(&self) -> Result<(), WholeError> {
        let digest = self.digest.clone().finish();
        if self.given == self.trailer.total && digest.as_ref() == self.trailer.sha256 {
            return Ok(());
        }
        let reason = "the parts do not make what was sent: length or digest is another";
        Err(WholeError::Misfit(reason.to_owned()))
    }
}

async fn record(
    streams: &dyn Streams,
    stream: &StreamKey,
    seq: Seq,
) -> Result<Option<Record>, WholeError> {
    let Some(before) = seq.0.checked_sub(1) else {
        return Ok(None);
    };
    let records = streams.read(stream, Seq(before), Bounds::ONE).await?;
    let record = records.into_iter().next();
    Ok(record.filter(|record| record.header.seq == seq))
}
