//! Who reads the streams of this relay, who of them is connected, and taking one away for good.
//!
//! A consumer that is connected is not taken away: it would go on acknowledging, begin again as a new
//! one in the same moment, and get from the stream what it happens to get. First it has to stop
//! reading: at its edge, or with its edge.

use std::collections::{BTreeMap, BTreeSet};

use qc_core::link::Peer;
use qc_core::model::{NodeName, Seq, StreamName};
use qc_core::store::{AppendError, StreamKey};

use super::Hub;
use super::access::Direction;
use super::parent::UPLINK;
use crate::admin::ConsumerInfo;

/// What is being sent over links: by node and address, since a node may have two links for a moment.
#[derive(Debug, Default)]
pub(super) struct Readers {
    by_link: BTreeMap<(NodeName, String), BTreeSet<(StreamName, String)>>,
}

impl Readers {
    /// `peer` reads a stream from now on.
    pub(super) fn begin(&mut self, peer: &Peer, stream: &StreamName, consumer: &str) {
        let link = (peer.node.clone(), peer.address.clone());
        let reads = self.by_link.entry(link).or_default();
        reads.insert((stream.clone(), consumer.to_owned()));
    }

    /// `peer` reads these and nothing else.
    pub(super) fn set(&mut self, peer: &Peer, reads: BTreeSet<(StreamName, String)>) {
        let link = (peer.node.clone(), peer.address.clone());
        self.by_link.insert(link, reads);
    }

    /// A link is gone.
    pub(super) fn end(&mut self, peer: &Peer) {
        let link = (peer.node.clone(), peer.address.clone());
        self.by_link.remove(&link);
    }

    fn has(&self, stream: &StreamName, consumer: &str) -> bool {
        let one = (stream.clone(), consumer.to_owned());
        self.by_link.values().any(|reads| reads.contains(&one))
    }
}

/// Why a consumer was not taken away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// There is none of that name.
    #[error("stream {stream} has no consumer '{name}'")]
    Unknown {
        /// The stream.
        stream: StreamName,
        /// The name that was given.
        name: String,
    },
    /// The configuration keeps the stream for the parent.
    #[error("stream {0} is kept for the parent")]
    Uplink(StreamName),
    /// It is at work.
    #[error("consumer '{name}' of stream {stream} is connected")]
    Connected {
        /// The stream.
        stream: StreamName,
        /// Its name.
        name: String,
    },
    /// The store takes nothing.
    #[error(transparent)]
    Store(#[from] AppendError),
}

impl Hub {
    /// The consumers of one stream, or of all.
    pub(crate) fn consumers(&self, only: Option<&StreamName>) -> Vec<ConsumerInfo> {
        let now = self.clock().now();
        let mut rows = Vec::new();
        for info in self.hub_streams() {
            if only.is_some_and(|only| *only != info.key.name) {
                continue;
            }
            for (name, seq) in self.streams().positions(&info.key) {
                let waits = self.streams().backlog(&info.key, seq);
                rows.push(ConsumerInfo {
                    stream: info.key.name.to_string(),
                    connected: self.readers().has(&info.key.name, &name),
                    name,
                    acked_seq: seq.0,
                    pending: waits.messages,
                    pending_bytes: waits.bytes,
                    oldest_s: waits.oldest.map(|oldest| now.since(oldest).as_secs()),
                });
            }
        }
        rows
    }

    /// Takes a consumer away; gives how many messages are not kept for it any more.
    pub(crate) async fn end_consumer(
        &self,
        stream: &StreamName,
        name: &str,
    ) -> Result<u64, EndError> {
        let key = StreamKey::hub(stream.clone());
        let unknown = || EndError::Unknown {
            stream: stream.clone(),
            name: name.to_owned(),
        };
        if !self.streams().positions(&key).contains_key(name) {
            return Err(unknown());
        }
        let access = self.access();
        let rule = access.stream(stream);
        if name == UPLINK && rule.is_some_and(|rule| rule.uplink == Direction::Send) {
            return Err(EndError::Uplink(stream.clone()));
        }
        if self.readers().has(stream, name) {
            return Err(EndError::Connected {
                stream: stream.clone(),
                name: name.to_owned(),
            });
        }
        let ended = self.streams().end(&key, name).await?;
        self.fronts().end(stream, name);
        ended.ok_or_else(unknown)
    }

    /// Notes that a link reads a stream, from `begin` on.
    pub(super) fn reads(&self, peer: &Peer, stream: &StreamName, consumer: &str, begin: Seq) {
        let key = StreamKey::hub(stream.clone());
        // known as connected before it exists: nobody takes it away in between
        self.readers().begin(peer, stream, consumer);
        self.streams().begin(&key, consumer, begin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_connected_as_long_as_one_of_its_links_is() {
        let peer = |address: &str| Peer {
            node: "edge-1.site.acme".parse().unwrap(),
            address: address.to_owned(),
        };
        let (stream, other) = ("acme/x".parse().unwrap(), "acme/y".parse().unwrap());
        let mut readers = Readers::default();
        readers.begin(&peer("a:1"), &stream, "edge-1.site.acme/in");
        readers.begin(&peer("a:2"), &stream, "edge-1.site.acme/in");
        readers.end(&peer("a:1"));
        assert!(
            readers.has(&stream, "edge-1.site.acme/in"),
            "the newer link"
        );
        assert!(!readers.has(&other, "edge-1.site.acme/in"));
        readers.end(&peer("a:2"));
        assert!(!readers.has(&stream, "edge-1.site.acme/in"));
    }
}
