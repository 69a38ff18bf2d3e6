//! The records that are not messages: how streams, cursors, marks and trims stand in a batch.
//!
//! ```text
//! stream  header: stream, lane, epoch, seq = last   head: role u8, name   body: trim u64
//! cursor  header: stream, seq                       head: consumer
//! mark    header: stream, lane, origin (node, epoch, seq)
//! trim    header: stream, seq
//! origin  header: origin.node                       head: node name
//! ```

use super::view::{MarkKey, StreamView, View};
use super::{Role, StreamKey};
use crate::model::{Epoch, NodeName, Seq};
use crate::wire::{Origin, Record, RecordHeader, RecordKind, WireError};

/// Appends the definition of a stream.
pub(super) fn put_stream(out: &mut Vec<u8>, id: u32, stream: &StreamView) {
    let mut head = vec![stream.key.role as u8];
    head.extend_from_slice(stream.key.name.as_str().as_bytes());
    let header = RecordHeader {
        stream: id,
        lane: stream.key.lane,
        epoch: stream.epoch,
        seq: stream.last,
        ..RecordHeader::new(RecordKind::Stream)
    };
    header.encode(&head, &stream.trim.0.to_le_bytes(), out);
}

/// Appends how far a consumer has come.
pub(super) fn put_cursor(out: &mut Vec<u8>, stream: u32, consumer: &str, seq: Seq) {
    let header = RecordHeader {
        stream,
        seq,
        ..RecordHeader::new(RecordKind::Cursor)
    };
    header.encode(consumer.as_bytes(), &[], out);
}

/// Appends how far a peer's stream has been taken over.
pub(super) fn put_mark(out: &mut Vec<u8>, key: MarkKey, epoch: Epoch, seq: Seq) {
    let (stream, node, lane) = key;
    let origin = Origin { node, epoch, seq };
    let header = RecordHeader {
        lane,
        stream,
        origin,
        ..RecordHeader::new(RecordKind::Mark)
    };
    header.encode(&[], &[], out);
}

/// Appends that records up to `seq` are no longer needed.
pub(super) fn put_trim(out: &mut Vec<u8>, stream: u32, seq: Seq) {
    RecordHeader {
        stream,
        seq,
        ..RecordHeader::new(RecordKind::Trim)
    }
    .encode(&[], &[], out);
}

/// Appends the name behind an origin number.
pub(super) fn put_origin(out: &mut Vec<u8>, node: u32, name: &NodeName) {
    let origin = Origin {
        node,
        ..Origin::default()
    };
    let header = RecordHeader {
        origin,
        ..RecordHeader::new(RecordKind::Origin)
    };
    header.encode(name.as_str().as_bytes(), &[], out);
}

/// Appends the whole state, so that no older segment is needed for it. Returns the records.
pub(super) fn put_checkpoint(view: &View, out: &mut Vec<u8>) -> u32 {
    view.origins
        .iter()
        .for_each(|(node, name)| put_origin(out, *node, name));
    view.streams
        .iter()
        .for_each(|(id, stream)| put_stream(out, *id, stream));
    view.cursors
        .iter()
        .for_each(|((stream, name), seq)| put_cursor(out, *stream, name, *seq));
    view.marks
        .iter()
        .for_each(|(key, (epoch, seq))| put_mark(out, *key, *epoch, *seq));
    let records = view.origins.len() + view.streams.len() + view.cursors.len() + view.marks.len();
    u32::try_from(records).unwrap_or(u32::MAX)
}

/// Applies a record that is not a message.
pub(super) fn apply(view: &mut View, record: &Record) -> Result<(), WireError> {
    let header = &record.header;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| BAD);
    match header.kind {
        RecordKind::Message | RecordKind::Gap => {}
        RecordKind::Stream => {
            let (role, name) = record.head.split_first().ok_or(BAD)?;
            let role = Role::from_u8(*role).ok_or(BAD)?;
            let name = text(name)?.parse().map_err(|_| BAD)?;
            let trim = record.body.first_chunk().ok_or(BAD)?;
            let stream = StreamView::new(
                StreamKey {
                    role,
                    name,
                    lane: header.lane,
                },
                header.epoch,
                header.seq,
                Seq(u64::from_le_bytes(*trim)),
            );
            view.define(header.stream, stream);
        }
        RecordKind::Cursor => {
            view.cursors
                .insert((header.stream, text(&record.head)?), header.seq);
        }
        RecordKind::Mark => {
            let origin = header.origin;
            view.marks.insert(
                (header.stream, origin.node, header.lane),
                (origin.epoch, origin.seq),
            );
        }
        RecordKind::Trim => view.trim(header.stream, header.seq),
        RecordKind::Origin => {
            let name = text(&record.head)?.parse().map_err(|_| BAD)?;
            view.origins.insert(header.origin.node, name);
        }
    }
    Ok(())
}

const BAD: WireError = WireError::Malformed("table record");
