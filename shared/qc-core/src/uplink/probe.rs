//! The end-to-end probe: a value goes into the store here, over the link, into the store there, and the
//! answer back. A link that only looks alive does not pass it, nor does a disk that has stopped.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::clock::Clock;
use crate::failure::{Exit, Failure, known_code};
use crate::link::{CallStream, Caller};
use crate::model::{NodeName, Timestamp};
use crate::streams::Streams;
use crate::wire::Target;

/// What a probe calls.
const TARGET: &str = "probe";
/// How long a probe may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the value of a probe is kept.
const KEPT: Duration = Duration::from_hours(24);
/// The longest question and answer.
const LONGEST: u64 = 1024;

/// How long a probe took on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probed {
    /// The node that answered.
    pub peer: String,
    /// When it began.
    pub at: String,
    /// Into the store here, in microseconds.
    pub own_store_us: u64,
    /// Over the link and back, in microseconds.
    pub link_us: u64,
    /// Into the store there, in microseconds by the clock there.
    pub peer_store_us: u64,
}

impl Probed {
    /// All of it, in microseconds.
    pub fn total_us(&self) -> u64 {
        self.own_store_us + self.link_us + self.peer_store_us
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    probe: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    probe: String,
    node: String,
    store_us: u64,
}

/// Whether a call is a probe.
pub fn is_probe(target: &Target) -> bool {
    target.as_str() == TARGET
}

/// Sends a probe over the link of `caller`; `mark` tells it from others.
pub async fn probe(
    own: &dyn Streams,
    caller: &Caller,
    clock: &dyn Clock,
    mark: u64,
) -> Result<Probed, Failure> {
    let all = all_the_way(own, caller, clock, format!("{mark:016x}"));
    tokio::time::timeout(PATIENCE, all).await.map_err(|_| {
        let message = format!(
            "the probe did not come back within {} s",
            PATIENCE.as_secs()
        );
        Failure::new(Exit::Unreachable, "QC2233", message)
    })?
}

async fn all_the_way(
    own: &dyn Streams,
    caller: &Caller,
    clock: &dyn Clock,
    mark: String,
) -> Result<Probed, Failure> {
    let began = (clock.instant(), clock.now());
    keep(own, "probe/own", &mark, began.1).await?;
    let stored = clock.instant();
    let lost = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Exit::Unreachable, "QC2233", "the probe did not come back").because(error)
    };
    let target = TARGET.parse().expect("a constant of the right alphabet");
    let mut stream = caller.call(target).await.map_err(|refusal| {
        let code = known_code(&refusal.code.to_string()).unwrap_or("QC2233");
        Failure::new(
            Exit::Unreachable,
            code,
            format!("no probe: {}", refusal.reason),
        )
    })?;
    let question = serde_json::to_vec(&Question {
        probe: mark.clone(),
    });
    let question = question.map_err(|error| lost(&error))?;
    let answer = ask(&mut stream, &question).await;
    let answer = answer.map_err(|error| lost(&error))?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|error| lost(&error))?;
    if answer.probe != mark {
        let message = "the answer is that of another probe";
        return Err(Failure::new(Exit::Unreachable, "QC2233", message));
    }
    let back = micros(clock.instant().saturating_duration_since(stored));
    Ok(Probed {
        peer: crate::safe_text::safe(&answer.node, 200),
        at: began.1.to_string(),
        own_store_us: micros(stored.saturating_duration_since(began.0)),
        link_us: back.saturating_sub(answer.store_us),
        peer_store_us: answer.store_us.min(back),
    })
}

async fn ask(stream: &mut CallStream, question: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(question).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Answers a probe of `peer` on `stream`, through the store of `node`.
pub async fn answer_probe(
    streams: &dyn Streams,
    clock: &dyn Clock,
    node: &NodeName,
    peer: &NodeName,
    mut stream: CallStream,
) {
    let answered = tokio::time::timeout(PATIENCE, async {
        let mut question = Vec::new();
        (&mut stream)
            .take(LONGEST)
            .read_to_end(&mut question)
            .await?;
        let question: Question = serde_json::from_slice(&question)?;
        let began = clock.instant();
        keep(
            streams,
            &format!("probe/{peer}"),
            &question.probe,
            clock.now(),
        )
        .await
        .map_err(|failure| io::Error::other(failure.to_string()))?;
        let answer = serde_json::to_vec(&Answer {
            probe: question.probe,
            node: node.to_string(),
            store_us: micros(clock.instant().saturating_duration_since(began)),
        })?;
        stream.write_all(&answer).await?;
        stream.shutdown().await
    });
    if let Ok(Err(error)) | Err(error) = answered.await.map_err(io::Error::from) {
        tracing::debug!(%peer, %error, "A probe was not answered.");
    }
}

/// Puts the mark where only a store can give it back, and looks.
async fn keep(streams: &dyn Streams, key: &str, mark: &str, now: Timestamp) -> Result<(), Failure> {
    let no_disk = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Exit::Disk, "QC2233", "the probe did not pass the store").because(error)
    };
    let value = (mark.as_bytes().to_vec(), now.plus(KEPT));
    let put = streams.put(key, None, Some(value)).await;
    let put = put.map_err(|error| no_disk(&error))?;
    let kept = streams.value(key).await.map_err(|error| no_disk(&error))?;
    // another probe may have come after this one
    let is_it = kept.is_some_and(|kept| kept.revision >= put.revision);
    is_it.then_some(()).ok_or_else(|| {
        let message = "the store did not give the probe back";
        Failure::new(Exit::Disk, "QC2233", message)
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
