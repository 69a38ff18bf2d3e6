//! Two machines with one identity on two relays: each relay tells its parent which processes are linked
//! to it, the parent compares, and tells both.
//!
//! A process greets with a number that it drew when it began. A relay below calls `presence` at its
//! parent again and again: who came, who left, and, of those that the parent watches, who was proven
//! alive since which answer. [`report`] is what a relay says, [`table`] what a parent makes of it;
//! both are pure.

pub(crate) mod report;
pub(crate) mod table;

use std::io;
use std::time::Duration;

use qc_core::link::{CallStream, Caller};
use qc_core::model::NodeName;
use qc_core::service::Drain;
use qc_core::uplink::Monitor;
use qc_core::wire::Target;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::hub::Hub;

/// What is called.
const TARGET: &str = "presence";
/// The most nodes in one list.
pub(crate) const MOST: usize = 500;
/// The longest question and answer in bytes: three full lists of the longest names.
const LONGEST: u64 = 512 * 1024;
/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node and the number of its process.
pub(crate) type Process = (String, u64);

/// What a relay tells its parent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Question {
    /// What was told before does not count.
    pub fresh: bool,
    /// Processes that have a link here now.
    pub joined: Vec<Process>,
    /// Nodes that have none any more.
    pub left: Vec<String>,
    /// Processes that were proven alive.
    pub alive: Vec<Alive>,
}

/// A process that was proven alive after an answer had come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Alive {
    /// The name of its node.
    pub node: String,
    /// Its number.
    pub instance: u64,
    /// The number of the last answer that had come by then.
    pub since: u64,
}

/// What the parent makes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// The number of the parent's table: another one knows nothing.
    pub table: u64,
    /// The number of this answer.
    pub number: u64,
    /// Nodes of which it wants to know whether they live.
    pub watch: Vec<String>,
    /// Nodes linked to the relay that asks of which there are two.
    pub twins: Vec<Twin>,
}

/// A node of which there are two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Twin {
    /// Its name.
    pub node: String,
    /// Where they are.
    pub reason: String,
    /// For how long it is said, in seconds.
    pub left_s: u64,
}

/// Whether a call is this one.
pub(crate) fn is_presence(target: &Target) -> bool {
    target.as_str() == TARGET
}

/// Tells the parent again and again, until the end.
pub(crate) async fn tell(hub: Hub, monitor: Monitor, every: Duration, drain: Drain) {
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let Some(caller) = monitor.caller() else {
            continue;
        };
        let question = hub.presence().report.question();
        match tokio::time::timeout(PATIENCE, ask(&caller, &question)).await {
            Ok(Ok(answer)) => hub.presence_answered(&answer),
            // a parent of an older version takes no such call, and loses nothing by it
            failed => {
                let error = failed.map_or_else(io::Error::from, |ask| match ask {
                    Ok(_) => io::Error::other("answered"),
                    Err(error) => error,
                });
                tracing::debug!(%error, "The parent was not told who is linked.");
                hub.presence().report.not_answered(&question);
            }
        }
    }
}

async fn ask(caller: &Caller, question: &Question) -> io::Result<Answer> {
    let target = TARGET.parse().expect("a constant of the right alphabet");
    let called = caller.call(target).await;
    let mut stream = called.map_err(|refusal| io::Error::other(refusal.to_string()))?;
    stream.write_all(&serde_json::to_vec(question)?).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(serde_json::from_slice(&answer)?)
}

/// Answers what `peer`, a relay, tells on `stream`.
pub(crate) async fn answer(hub: Hub, peer: NodeName, mut stream: CallStream) {
    let answered = tokio::time::timeout(PATIENCE, async {
        let mut question = Vec::new();
        (&mut stream)
            .take(LONGEST)
            .read_to_end(&mut question)
            .await?;
        let question: Question = serde_json::from_slice(&question)?;
        let lists = [
            question.joined.len(),
            question.left.len(),
            question.alive.len(),
        ];
        if lists.iter().any(|count| *count > MOST) {
            return Err(io::Error::other("more nodes than a list may have"));
        }
        let answer = hub.presence_told(&peer, &question);
        stream.write_all(&serde_json::to_vec(&answer)?).await?;
        stream.shutdown().await
    });
    if let Ok(Err(error)) | Err(error) = answered.await.map_err(io::Error::from) {
        tracing::debug!(%peer, %error, "What a relay tells was not taken.");
    }
}
