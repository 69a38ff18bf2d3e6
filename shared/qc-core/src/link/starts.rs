//! What earlier processes may have sent to whom, as the registry keeps it.
//!
//! Every start has a number, and a node's first link of a process is kept with the number of its start.
//! So what a node may have of earlier processes is what was there when the one after its newest link
//! began. That is kept as long as a node needs it, over however many starts without a link to it. What
//! cannot be kept or read is forgotten: then something is sent twice, and nothing is passed over.
//!
//! The long messages that are on their way are kept too, so that a link that moves after a restart knows
//! where they begin. Should the process end in the half second before that is kept, and the link then
//! move in the middle of one, that one is whole nowhere, which its readers tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::handed::{Handed, Numbers};
use super::unfinished::Unfinished;
use crate::model::{Lane, NodeName, Seq, StreamName, Timestamp};
use crate::store::{Value, ValueError};
use crate::streams::{MAX_VALUE, ReadError, Streams};

/// Where the registry keeps the number of the newest start.
const START: &str = "link/start";
/// Where it keeps with which start a node had its newest link.
const LINKED: &str = "link/linked/";
/// Where it keeps what was there at a start, in pieces.
const THERE: &str = "link/there/";
/// Where it keeps the long messages of a stream that are on their way.
const ON_THEIR_WAY: &str = "link/parts/";
/// So many starts are remembered.
const MOST: usize = 64;

/// What the registry knows.
struct Known {
    start: u64,
    linked: BTreeMap<NodeName, u64>,
    /// By start, with the keys of the pieces.
    there: BTreeMap<u64, (Vec<String>, Numbers)>,
}

/// Begins a process: `at_start` are the newest numbers of every stream that is there.
pub async fn begin_handed(
    streams: &dyn Streams,
    at_start: impl IntoIterator<Item = ((StreamName, Lane), Seq)>,
    now: Instant,
) -> Handed {
    let at_start: Numbers = at_start.into_iter().collect();
    let unfinished = on_their_way(streams, now).await;
    let earlier = begin_start(streams, at_start).await;
    earlier.going_on_with(unfinished)
}

/// Keeps for the next process which long messages are on their way, where that has changed. To be called
/// before positions are written, and once more after they were written last.
pub async fn keep_unfinished(streams: &dyn Streams, handed: &Handed) {
    // one at a time: what was known earlier is never written over what is known since
    let mut kept = handed.kept().await;
    let now = handed.to_keep();
    let gone: Vec<String> = kept
        .keys()
        .filter(|of| !now.contains_key(*of))
        .cloned()
        .collect();
    for of in gone {
        if keep(streams, &format!("{ON_THEIR_WAY}{of}"), None).await {
            kept.remove(&of);
        }
    }
    for (of, text) in now {
        let key = format!("{ON_THEIR_WAY}{of}");
        if kept.get(&of) != Some(&text) && keep(streams, &key, Some(text.clone())).await {
            kept.insert(of, text);
        }
    }
}

async fn on_their_way(
    streams: &dyn Streams,
    now: Instant,
) -> BTreeMap<(StreamName, Lane), Unfinished> {
    let values = match streams.values(ON_THEIR_WAY, "", usize::MAX).await {
        Ok(values) => values,
        Err(error) => {
            tracing::warn!(code = error.code(), %error, "Long messages on their way are not known.");
            return BTreeMap::new();
        }
    };
    let of = |(key, value): (String, Value)| {
        let (lane, stream) = key.strip_prefix(ON_THEIR_WAY)?.split_once('/')?;
        let runs = Unfinished::parse(&String::from_utf8_lossy(&value.bytes), now);
        Some(((stream.parse().ok()?, lane.parse().ok()?), runs))
    };
    values.into_iter().filter_map(of).collect()
}

async fn begin_start(streams: &dyn Streams, at_start: Numbers) -> Handed {
    let mut known = match Known::read(streams).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(code = error.code(), %error, "What was sent earlier is not known.");
            return Handed::default();
        }
    };
    let start = known.start.saturating_add(1);
    let is_needed = known.linked.values().any(|linked| *linked == known.start);
    // what a start of this number has left behind is older, and holds
    if is_needed && !known.there.contains_key(&start) {
        for (key, piece) in pieces(start, &at_start) {
            keep(streams, &key, Some(piece)).await;
        }
        known.there.insert(start, (Vec::new(), at_start));
    }
    for key in known.forget_what_nobody_needs() {
        keep(streams, &key, None).await;
    }
    // last: should it end before, the next start has this number again, and what is there holds
    let is_kept = keep(streams, START, Some(start.to_string())).await;
    Handed::new(is_kept.then_some(start), known.before())
}

/// Keeps that the process of this start has a link to `node`.
pub async fn has_link(streams: &dyn Streams, node: &NodeName, start: u64) {
    keep(streams, &format!("{LINKED}{node}"), Some(start.to_string())).await;
}

/// Puts a value, or deletes it; whether that was done.
async fn keep(streams: &dyn Streams, key: &str, value: Option<String>) -> bool {
    let value = value.map(|value| (value.into_bytes(), Timestamp::default()));
    match streams.put(key, None, value).await {
        Ok(_) | Err(ValueError::Conflict { .. }) => true,
        Err(error) => {
            tracing::warn!(key, %error, "What was sent is not kept for the next start.");
            false
        }
    }
}

impl Known {
    async fn read(streams: &dyn Streams) -> Result<Self, ReadError> {
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
        let start = streams.value(START).await?;
        let start = start.and_then(|value| number(&value.bytes));
        let linked = streams.values(LINKED, "", usize::MAX).await?;
        let linked = linked.iter().filter_map(|(key, value)| {
            let node = key.strip_prefix(LINKED)?.parse().ok()?;
            Some((node, number(&value.bytes)?))
        });
        let mut there = BTreeMap::<u64, (Vec<String>, Numbers)>::new();
        for (key, value) in streams.values(THERE, "", usize::MAX).await? {
            let of = key
                .strip_prefix(THERE)
                .and_then(|rest| rest.split_once('/'));
            let Some(start) = of.and_then(|(start, _)| start.parse().ok()) else {
                continue;
            };
            let (keys, numbers) = there.entry(start).or_default();
            let text = String::from_utf8_lossy(&value.bytes);
            numbers.extend(text.lines().filter_map(parse));
            keys.push(key);
        }
        Ok(Self {
            start: start.unwrap_or(0),
            linked: linked.collect(),
            there,
        })
    }

    /// Gives the keys of what is to be deleted.
    fn forget_what_nobody_needs(&mut self) -> Vec<String> {
        let needed = self.linked.values().map(|linked| linked.saturating_add(1));
        let needed: BTreeSet<u64> = needed.collect();
        let newest = needed.into_iter().rev();
        let kept: BTreeSet<u64> = newest
            .filter(|start| self.there.contains_key(start))
            .take(MOST)
            .collect();
        let mut gone = Vec::new();
        self.there.retain(|start, (keys, _)| {
            let is_kept = kept.contains(start);
            if !is_kept {
                gone.append(keys);
            }
            is_kept
        });
        gone
    }

    /// What every node may have of earlier processes.
    fn before(self) -> BTreeMap<NodeName, Arc<Numbers>> {
        let there = self.there.into_iter();
        let there = there.map(|(start, (_, numbers))| (start, Arc::new(numbers)));
        let there: BTreeMap<u64, Arc<Numbers>> = there.collect();
        let of = |(node, linked): (NodeName, u64)| {
            let numbers = there.get(&linked.saturating_add(1))?;
            Some((node, Arc::clone(numbers)))
        };
        self.linked.into_iter().filter_map(of).collect()
    }
}

/// The values in which the numbers of a start are kept.
fn pieces(start: u64, numbers: &Numbers) -> Vec<(String, String)> {
    let mut texts = vec![String::new()];
    for ((stream, lane), seq) in numbers {
        let line = format!("{stream} {lane} {}\n", seq.0);
        match texts.last_mut() {
            Some(text) if text.len() + line.len() <= MAX_VALUE => text.push_str(&line),
            _ => texts.push(line),
        }
    }
    let texts = texts.into_iter().enumerate();
    texts
        .map(|(piece, text)| (format!("{THERE}{start}/{piece}"), text))
        .collect()
}

fn parse(line: &str) -> Option<((StreamName, Lane), Seq)> {
    let mut words = line.split(' ');
    let (stream, lane, seq) = (words.next()?, words.next()?, words.next()?);
    let of = (stream.parse().ok()?, lane.parse().ok()?);
    Some((of, Seq(seq.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::link::{OutboundChannel, Peer, Share};
    use crate::model::Epoch;
    use crate::store::Log;
    use crate::store::testing::sim::SimDisk;
    use crate::store::testing::workload;
    use crate::streams::Embedded;
    use crate::wire::ChannelKind;

    fn peer(node: &str) -> Peer {
        Peer {
            node: node.parse().unwrap(),
            address: String::new(),
        }
    }

    /// How much may have been sent to a node of whose acknowledgements nothing is known.
    fn sent(handed: &Handed, node: &str) -> u64 {
        let channel = OutboundChannel {
            kind: ChannelKind::Deliver,
            stream: "acme/x".parse().unwrap(),
            lane: Lane::Normal,
            share: Share::Rest,
            epoch: Epoch(1),
            first: Seq(1),
            last: Seq(900),
            sent: Seq::ZERO,
            had: None,
            after: Seq(5),
            consumer: None,
        };
        handed.told(&peer(node), channel).sent.0
    }

    #[tokio::test]
    async fn a_node_may_have_what_was_there_after_its_newest_link() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
        let disk = Arc::new(SimDisk::default());
        let options = workload::options();
        let (log, _) = Log::open(disk, &options, workload::node_key(), clock.clone()).unwrap();
        let streams = Embedded::new(log, clock.clone());
        let (a, b, c) = ("edge-a.site.acme", "edge-b.site.acme", "edge-c.site.acme");
        let begin = async |last: u64, linked: &[&str]| {
            let at_start = [(("acme/x".parse().unwrap(), Lane::Normal), Seq(last))];
            let handed = begin_handed(&streams, at_start, clock.instant()).await;
            for node in linked {
                let node = node.parse().unwrap();
                let start = handed.is_first_link(&node).unwrap();
                has_link(&streams, &node, start).await;
            }
            [a, b, c].map(|node| sent(&handed, node))
        };
        assert_eq!(begin(10, &[a, b]).await, [5, 5, 5]);
        // A has links to every process, B to none for a while: what is new is not taken for sent to it
        assert_eq!(begin(100, &[a]).await, [100, 100, 5]);
        assert_eq!(begin(300, &[]).await, [300, 100, 5]);
        // nor does a start without any link forget what was sent
        assert_eq!(begin(400, &[b]).await, [300, 100, 5]);
        assert_eq!(begin(500, &[a]).await, [300, 500, 5]);
        assert_eq!(begin(600, &[]).await, [600, 500, 5]);
        // what nobody needs is gone
        let there = streams.values(THERE, "", 9).await.unwrap();
        let there: Vec<&str> = there.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(there, ["link/there/5/0", "link/there/6/0"]);
    }

    #[test]
    fn many_streams_are_kept_in_pieces() {
        let stream = |at: u64| format!("acme/{}-{at}", "x".repeat(60)).parse().unwrap();
        let numbers = (0..2000).map(|at| ((stream(at), Lane::High), Seq(at)));
        let numbers: Numbers = numbers.collect();
        let pieces = pieces(7, &numbers);
        assert!(pieces.len() > 1);
        assert!(pieces.iter().all(|(_, text)| text.len() <= MAX_VALUE));
        let read = pieces.iter().flat_map(|(_, text)| text.lines());
        assert_eq!(read.filter_map(parse).collect::<Numbers>(), numbers);
    }
}
