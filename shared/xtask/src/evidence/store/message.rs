//! The messages of the workload: everything about one follows from the seed and its number, so that
//! what is found can be compared byte by byte with what was sent.

use qc_core::model::{Envelope, Lane, Message, StreamName};
use qc_core::store::{Draft, Role, StreamKey};
use qc_core::wire::Record;

/// Streams of the workload. Message `n` belongs to stream `n % STREAMS`.
pub(super) const STREAMS: u64 = 5;
/// The same for a table of them.
pub(super) const COUNT: usize = 5;
/// The stream that gets one message in sixteen and holds its segments for long.
pub(super) const SLOW: u64 = 0;

/// The kind of messages of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// What all bytes follow from.
    pub(super) seed: u64,
    /// Bodies are this many times as large.
    pub(super) scale: usize,
}

/// The key of a stream: all sides of a node and two lanes are among them.
pub(super) fn key(stream: u64) -> StreamKey {
    let name: StreamName = format!("acme/crash-{stream}")
        .parse()
        .expect("a tenant, a slash and a plain name");
    let (role, lane) = match stream {
        1 => (Role::Outbox, Lane::Critical),
        2 => (Role::Inbox, Lane::Normal),
        _ => (Role::Hub, Lane::Normal),
    };
    StreamKey { role, name, lane }
}

impl Kind {
    /// Message `number` as its producer gives it, every time the same.
    pub(super) fn draft(self, number: u64) -> Draft {
        let mut random =
            fastrand::Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let size = match random.u32(..100) {
            0..70 => random.usize(16..600),
            70..95 => random.usize(600..3_000),
            _ => random.usize(3_000..12_000),
        };
        let mut body = vec![0; size * self.scale];
        random.fill(&mut body);
        let envelope = Envelope::new(
            number.to_string(),
            format!("/crash/{}", self.seed),
            "qc.crash",
        );
        let message = Message {
            envelope,
            body: body.into(),
        };
        Draft::from_message(&message, key(number % STREAMS).lane)
    }

    /// The number of a record that was found in `stream`, or what is wrong with it.
    pub(super) fn number(self, stream: u64, record: &Record) -> Result<u64, String> {
        let seq = record.header.seq.0;
        let wrong = |what: &str| format!("stream {stream} seq {seq}: {what}");
        let envelope = qc_core::wire::decode_envelope(&record.head)
            .map_err(|error| wrong(&format!("the envelope does not decode: {error}")))?;
        let number: u64 = envelope
            .id
            .parse()
            .map_err(|_| wrong("the id is none that was sent"))?;
        let sent = self.draft(number);
        if number % STREAMS != stream {
            return Err(wrong(&format!(
                "message {number} was sent to another stream"
            )));
        }
        if sent.head != record.head || sent.body != record.body {
            return Err(wrong(&format!(
                "message {number} has other bytes than were sent"
            )));
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::model::Seq;
    use qc_core::wire::{RecordHeader, RecordKind};

    #[test]
    fn both_counts_are_one() {
        assert_eq!(u64::try_from(COUNT), Ok(STREAMS));
    }

    #[test]
    fn a_record_is_compared_byte_by_byte() {
        let kind = Kind { seed: 3, scale: 1 };
        let draft = kind.draft(12);
        let mut header = RecordHeader::new(RecordKind::Message);
        header.seq = Seq(4);
        let record = |head: &[u8], body: &[u8]| {
            let mut bytes = Vec::new();
            header.encode(head, body, &mut bytes);
            Record::split_from(&mut bytes.into()).unwrap()
        };
        let sound = record(&draft.head, &draft.body);
        assert_eq!(kind.number(2, &sound), Ok(12));
        assert!(
            kind.number(1, &sound)
                .unwrap_err()
                .contains("another stream")
        );
        let mut body = draft.body.to_vec();
        body[15] ^= 1;
        let flipped = record(&draft.head, &body);
        assert!(
            kind.number(2, &flipped)
                .unwrap_err()
                .contains("other bytes")
        );
        let other = Kind { seed: 4, scale: 1 }.draft(12);
        assert!(kind.number(2, &record(&other.head, &draft.body)).is_err());
    }
}
