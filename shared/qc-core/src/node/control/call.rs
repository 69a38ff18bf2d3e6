//! The call by which an object goes to a node: the object and the end of the stream there, one JSON object back.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Control;
use crate::control::{MAX_OBJECT, Object};
use crate::drain::Drain;
use crate::link::{CallStream, Caller, Peer};
use crate::safe_text::safe;
use crate::wire::{Code, Refusal, Target};

/// What is called to hand over a control object.
pub const CONTROL_TARGET: &str = "control";
/// What a slow line carries, in bytes a second, and what the rest may take.
const SLOW: u64 = 8 * 1024;
const BESIDE: Duration = Duration::from_secs(20);
/// The longest answer.
const LONGEST: u64 = 4 * 1024;
/// The object did not get through, or no answer came back.
const LOST: Code = Code::new(2235);

/// What a node says of an object that it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// `applied`, `unchanged`, `carried`, `refused`.
    pub outcome: String,
    /// Why it is refused, as a stable code.
    pub code: String,
    /// Why it is refused.
    pub reason: String,
}

impl Answer {
    /// Why it was refused, if it was.
    pub fn refusal(&self) -> Option<Refusal> {
        if matches!(self.outcome.as_str(), "applied" | "unchanged" | "carried") {
            return None;
        }
        let digits = self.code.strip_prefix("QC").unwrap_or_default();
        let code = digits.parse().ok().filter(|number| *number <= 9999);
        Some(Refusal::new(code.map_or(LOST, Code::new), &self.reason))
    }
}

/// Hands `object` to the node at the other end of the link of `caller`. A refusal here says nothing of the
/// object: the node did not answer.
pub async fn push(caller: &Caller, object: &Object) -> Result<Answer, Refusal> {
    let patience = BESIDE + Duration::from_secs(object.bytes().len() as u64 / SLOW);
    let lost = |error: &dyn std::fmt::Display| {
        Refusal::new(LOST, format!("no answer to a control object: {error}"))
    };
    let exchange = async {
        let target = CONTROL_TARGET
            .parse()
            .expect("a constant of the right alphabet");
        let mut stream = caller.call(target).await?;
        let answer = ask(&mut stream, object.bytes()).await;
        let answer = answer.map_err(|error| lost(&error))?;
        serde_json::from_slice::<Answer>(&answer).map_err(|error| lost(&error))
    };
    let answered = tokio::time::timeout(patience, exchange).await;
    answered.map_err(|_| lost(&format!("none within {} s", patience.as_secs())))?
}

async fn ask(stream: &mut CallStream, object: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(object).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(answer)
}

impl Control {
    /// Whether `target` is for this.
    pub fn is_called(target: &Target) -> bool {
        target.as_str() == CONTROL_TARGET
    }

    /// Takes the object that `peer` hands over on `stream`, in a task of its own.
    pub fn called(&self, peer: &Peer, stream: CallStream, drain: &Drain) -> Result<(), Refusal> {
        let place = std::sync::Arc::clone(&self.inner.places);
        let place = place.try_acquire_owned();
        let place = place.map_err(|_| {
            Refusal::new(LOST, "other control objects are being taken; again later")
        })?;
        let (control, peer) = (self.clone(), peer.node.to_string());
        drain.spawn("control", async move {
            let answered = control.answer(stream, &peer).await;
            if let Err(error) = answered {
                tracing::debug!(peer, %error, "A control object did not come in whole.");
            }
            drop(place);
        });
        Ok(())
    }

    async fn answer(&self, mut stream: CallStream, peer: &str) -> io::Result<()> {
        let longest = MAX_OBJECT as u64;
        let patience = BESIDE + Duration::from_secs(longest / SLOW);
        let mut object = Vec::new();
        let mut whole = (&mut stream).take(longest + 1);
        tokio::time::timeout(patience, whole.read_to_end(&mut object)).await??;
        let answer = match self.take(object, peer).await {
            Ok(taken) => Answer {
                outcome: taken.outcome.as_str().to_owned(),
                ..Answer::default()
            },
            Err(rejection) => Answer {
                outcome: "refused".to_owned(),
                code: rejection.code().to_owned(),
                reason: safe(&rejection.to_string(), 300),
            },
        };
        stream.write_all(&serde_json::to_vec(&answer)?).await?;
        stream.shutdown().await
    }
}
