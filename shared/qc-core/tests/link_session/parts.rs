//! Names, records and streams that the stories share.

use bytes::Bytes;
use qc_core::link::{Now, OutboundChannel, Session, SessionConfig, Share, Side};
use qc_core::model::{Epoch, Lane, NodeName, Seq};
use qc_core::wire::{ChannelKind, Record, RecordHeader, RecordKind, Start, Subscribe};

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// Small sizes, so that every limit is met in every run.
pub(crate) fn config(node: &str) -> SessionConfig {
    SessionConfig {
        window: 3000,
        channel_window: 1200,
        least_under_way: 256,
        batch_bytes: 500,
        batch_records: 3,
        ..SessionConfig::new(name(node))
    }
}

pub(crate) fn record(seq: u64, size: usize) -> Record {
    let mut header = RecordHeader::new(RecordKind::Message);
    header.seq = Seq(seq);
    Record {
        header,
        head: Bytes::from_static(b"h"),
        body: Bytes::from(vec![7; size]),
    }
}

/// A stream as its sender announces it.
pub(crate) fn stream(kind: ChannelKind, text: &str, lane: Lane) -> OutboundChannel {
    OutboundChannel {
        kind,
        stream: text.parse().unwrap(),
        lane,
        share: Share::All,
        epoch: Epoch(77),
        first: Seq(1),
        last: Seq::ZERO,
        sent: Seq(u64::MAX),
        had: None,
        after: Seq::ZERO,
        consumer: (kind == ChannelKind::Deliver).then(|| "mill7".parse().unwrap()),
    }
}

pub(crate) fn subscribe(text: &str) -> Subscribe {
    Subscribe {
        consumer: "mill7".parse().unwrap(),
        stream: text.parse().unwrap(),
        start: Start::Beginning,
    }
}

pub(crate) const NAMES: [&str; 2] = ["edge-1.mill7.acme", "relay-1.hub.acme"];

pub(crate) fn session(at: usize, now: Now) -> Session {
    let side = [Side::Dialer, Side::Acceptor][at];
    Session::new(config(NAMES[at]), side, name(NAMES[1 - at]), now)
}
