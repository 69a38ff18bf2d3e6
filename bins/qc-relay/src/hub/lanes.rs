//! An alarm goes ahead on the second hop, too: a reader of a hub stream has two channels on one number
//! line.
//!
//! The channel of the lane critical carries the records of that lane, the one of normal all others, and
//! each passes over what is the other's. A reader has come as far as both have, so its one cursor
//! stays exact: everything up to it is on the other side's disk. What went ahead beyond it is known to
//! the receiver, which keeps a mark for each lane.

use std::collections::BTreeMap;

use qc_core::link::{OutboundChannel, Share};
use qc_core::model::{Lane, Seq, StreamName};
use qc_core::wire::Record;

/// The lanes of a reader's channels.
pub(super) const BOTH: [Lane; 2] = [Lane::Critical, Lane::Normal];

/// How far the channels of every reader have come.
#[derive(Debug, Default)]
pub(super) struct Fronts {
    by_reader: BTreeMap<(StreamName, String), Front>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Front {
    urgent: Seq,
    rest: Seq,
}

impl Fronts {
    /// A reader that is at `at` has two channels from now on.
    pub(super) fn begin(&mut self, stream: &StreamName, consumer: &str, at: Seq) {
        let reader = (stream.clone(), consumer.to_owned());
        let front = self.by_reader.entry(reader).or_default();
        (front.urgent, front.rest) = (front.urgent.max(at), front.rest.max(at));
    }

    /// A channel of a reader has come to `seq`; gives how far the reader has. One of which nothing is
    /// known is where it was stored, `at`: what one of two channels has says nothing of the other.
    pub(super) fn acked(
        &mut self,
        channel: &OutboundChannel,
        consumer: &str,
        seq: Seq,
        at: impl FnOnce() -> Seq,
    ) -> Seq {
        let reader = (channel.stream.clone(), consumer.to_owned());
        let front = self.by_reader.entry(reader).or_insert_with(|| {
            let at = at();
            Front {
                urgent: at,
                rest: at,
            }
        });
        match channel.share {
            Share::Urgent => front.urgent = front.urgent.max(seq),
            Share::Rest => front.rest = front.rest.max(seq),
            Share::All => (front.urgent, front.rest) = (front.urgent.max(seq), front.rest.max(seq)),
        }
        front.urgent.min(front.rest)
    }

    /// A reader is no more; one of its name is another one.
    pub(super) fn end(&mut self, stream: &StreamName, consumer: &str) {
        self.by_reader
            .remove(&(stream.clone(), consumer.to_owned()));
    }
}

/// Whether a record goes ahead.
pub(super) fn is_urgent(record: &Record) -> bool {
    record.header.lane == Lane::Critical
}

/// Whether a channel carries a record.
pub(super) fn carries(share: Share, record: &Record) -> bool {
    match share {
        Share::All => true,
        Share::Urgent => is_urgent(record),
        Share::Rest => !is_urgent(record),
    }
}

/// The two channels of a reader, made of one that would carry all.
pub(super) fn split(all: OutboundChannel) -> [OutboundChannel; 2] {
    let urgent = OutboundChannel {
        lane: Lane::Critical,
        share: Share::Urgent,
        ..all.clone()
    };
    let rest = OutboundChannel {
        share: Share::Rest,
        ..all
    };
    [urgent, rest]
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::model::Epoch;
    use qc_core::wire::ChannelKind;

    fn all() -> OutboundChannel {
        OutboundChannel {
            kind: ChannelKind::Deliver,
            stream: "acme/x".parse().unwrap(),
            lane: Lane::Normal,
            share: Share::All,
            epoch: Epoch(1),
            first: Seq(1),
            last: Seq(9),
            sent: Seq::ZERO,
            had: None,
            after: Seq::ZERO,
            consumer: Some("in".parse().unwrap()),
        }
    }

    #[test]
    fn a_reader_has_come_as_far_as_both_channels() {
        let (mut fronts, name) = (Fronts::default(), "edge-1.site.acme/in");
        let at = || Seq(3);
        let [urgent, rest] = split(all());
        let early = fronts.acked(&urgent, name, Seq(7), at);
        assert_eq!(early, Seq(3), "nothing is known of the rest");
        fronts.begin(&urgent.stream, name, Seq(10));
        assert_eq!(
            fronts.acked(&urgent, name, Seq(90), at),
            Seq(10),
            "it went ahead"
        );
        assert_eq!(fronts.acked(&rest, name, Seq(50), at), Seq(50));
        assert_eq!(
            fronts.acked(&rest, name, Seq(95), at),
            Seq(90),
            "an alarm is missing"
        );
        // a channel is opened anew: neither loses what it has
        fronts.begin(&urgent.stream, name, Seq(90));
        assert_eq!(fronts.acked(&urgent, name, Seq(91), at), Seq(91));
        assert_eq!(fronts.acked(&urgent, name, Seq(99), at), Seq(95));
        // another one under the same name begins anew
        fronts.end(&urgent.stream, name);
        fronts.begin(&urgent.stream, name, Seq::ZERO);
        assert_eq!(fronts.acked(&rest, name, Seq(5), at), Seq::ZERO);
    }

    #[test]
    fn every_record_goes_over_one_of_the_two() {
        for lane in [Lane::Critical, Lane::High, Lane::Normal, Lane::Low] {
            let mut header = qc_core::wire::RecordHeader::new(qc_core::wire::RecordKind::Message);
            header.lane = lane;
            let record = Record {
                header,
                head: bytes::Bytes::new(),
                body: bytes::Bytes::new(),
            };
            let channels = split(all());
            let over = channels
                .iter()
                .filter(|channel| carries(channel.share, &record));
            let over: Vec<_> = over.map(|channel| channel.lane).collect();
            let expected = if lane == Lane::Critical {
                lane
            } else {
                Lane::Normal
            };
            assert_eq!(over, [expected]);
        }
    }
}
