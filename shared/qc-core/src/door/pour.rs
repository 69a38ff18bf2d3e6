//! A body of any length on its way into the log.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;

use super::Problem;
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

/// Puts a body of any length into `upload`, bit by bit: it is read only as fast as its parts are
/// stored. What is left of a body that is refused is for [`discard`](super::discard).
pub async fn pour<B>(body: &mut B, upload: &mut Upload, deadline: Duration) -> Result<(), PourError>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let step = async {
            let mut bytes = 0;
            while bytes < STEP {
                let Some(frame) = body.frame().await else {
                    return Ok(None);
                };
                let frame = frame.map_err(|_| PourError::Cut)?;
                let Ok(data) = frame.into_data() else {
                    continue; // trailers
                };
                bytes += data.len() as u64;
                upload.push(data).await?;
            }
            Ok(Some(()))
        };
        match tokio::time::timeout(deadline, step).await {
            Ok(Ok(Some(()))) => {}
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(PourError::Slow(deadline)),
        }
    }
}
