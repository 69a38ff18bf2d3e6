//! The records that are not messages: how streams, cursors, marks and trims stand in a batch.
//!
//! ```text
//! stream  header: stream, lane, epoch, seq = last   head: role u8, name   body: u64 trim, duplicates
//! cursor  header: stream, seq, part = 1 when it was taken away
//!         head: consumer, - for what ended without one   body: u64 base, acked, expired, dead, purged
//! mark    header: stream, lane, origin (node, epoch, seq)
//! trim    header: stream, seq
//! origin  header: origin.node                       head: node name
//! gap     header: stream, seq = first lost          body: u64 last lost
//! value   header: seq = revision, accepted = until, part = 1 when it was deleted   head: key   body: value
//! ```

use super::view::{MarkKey, StreamView, View};
use super::{CursorState, Role, StreamKey, Value};
use crate::model::{Epoch, NodeName, Seq};
use crate::wire::{Origin, Reader, Record, RecordHeader, RecordKind, WireError};

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
    let body = [stream.trim.0, stream.duplicates];
    header.encode(&head, &body.map(u64::to_le_bytes).concat(), out);
}

/// Appends how far a consumer has come and what became of everything until there.
pub(super) fn put_cursor(out: &mut Vec<u8>, stream: u32, consumer: &str, state: &CursorState) {
    let header = RecordHeader {
        stream,
        seq: state.seq,
        part: u32::from(state.ended),
        ..RecordHeader::new(RecordKind::Cursor)
    };
    let CursorState {
        seq: _,
        base,
        acked,
        expired,
        dead,
        purged,
        ended: _,
    } = *state;
    let body = [base.0, acked, expired, dead, purged];
    header.encode(
        consumer.as_bytes(),
        &body.map(u64::to_le_bytes).concat(),
        out,
    );
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

/// Appends that a range of seqs is lost.
pub(super) fn put_gap(out: &mut Vec<u8>, stream: u32, first: Seq, last: Seq) {
    RecordHeader {
        stream,
        seq: first,
        ..RecordHeader::new(RecordKind::Gap)
    }
    .encode(&[], &last.0.to_le_bytes(), out);
}

/// Appends a value of the registry, or that it is gone.
pub(super) fn put_value(out: &mut Vec<u8>, key: &str, revision: Seq, value: Option<&Value>) {
    let header = RecordHeader {
        seq: revision,
        accepted: value.map(|value| value.until).unwrap_or_default(),
        part: u32::from(value.is_none()),
        ..RecordHeader::new(RecordKind::Value)
    };
    header.encode(key.as_bytes(), value.map_or(&[], |value| &value.bytes), out);
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

/// Appends the whole state, so that no older segment is needed for it: `batch` is called whenever
/// `out` has grown by a batch. Returns the records since the last call.
pub(super) fn put_checkpoint(
    view: &View,
    out: &mut Vec<u8>,
    mut batch: impl FnMut(&mut Vec<u8>, u32),
) -> u32 {
    let (mut records, mut begin) = (0, out.len());
    let mut next = |out: &mut Vec<u8>, put: &dyn Fn(&mut Vec<u8>)| {
        put(out);
        records += 1;
        if records == CHECKPOINT_RECORDS || out.len() - begin >= CHECKPOINT_BYTES {
            batch(out, records);
            (records, begin) = (0, out.len());
        }
    };
    for (node, name) in &view.origins {
        next(out, &|out| put_origin(out, *node, name));
    }
    for (id, stream) in &view.streams {
        next(out, &|out| put_stream(out, *id, stream));
        for (first, last) in &stream.gaps {
            next(out, &|out| put_gap(out, *id, *first, *last));
        }
    }
    for ((stream, name), state) in &view.cursors {
        next(out, &|out| put_cursor(out, *stream, name, state));
    }
    for (key, (epoch, seq)) in &view.marks {
        next(out, &|out| put_mark(out, *key, *epoch, *seq));
    }
    for (key, value) in &view.values {
        next(out, &|out| put_value(out, key, value.revision, Some(value)));
    }
    records
}

/// Records of a checkpoint in one batch.
const CHECKPOINT_RECORDS: u32 = 1024;
/// Bytes after which a batch of a checkpoint ends: far below what is read back.
const CHECKPOINT_BYTES: usize = 1 << 20;

/// Applies a record that is not a message.
pub(super) fn apply(view: &mut View, record: &Record) -> Result<(), WireError> {
    let header = &record.header;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| BAD);
    match header.kind {
        RecordKind::Message => {}
        RecordKind::Gap => {
            let mut body = Reader(&record.body);
            let last = Seq(body.u64()?);
            if let Some(stream) = view.streams.get_mut(&header.stream)
                && last > stream.trim
            {
                stream.gaps.insert(header.seq.max(stream.trim.next()), last);
                stream.last = stream.last.max(last);
            }
        }
        RecordKind::Value => {
            let key = text(&record.head)?;
            let value = Value {
                revision: header.seq,
                until: header.accepted,
                bytes: record.body.clone(),
            };
            if header.part == 1 {
                view.values.remove(&key);
            } else {
                view.values.insert(key, value);
            }
        }
        RecordKind::Stream => {
            let (role, name) = record.head.split_first().ok_or(BAD)?;
            let role = Role::from_u8(*role).ok_or(BAD)?;
            let name = text(name)?.parse().map_err(|_| BAD)?;
            let mut body = Reader(&record.body);
            let trim = Seq(body.u64()?);
            let mut stream = StreamView::new(
                StreamKey {
                    role,
                    name,
                    lane: header.lane,
                },
                header.epoch,
                header.seq,
                trim,
            );
            stream.duplicates = body.u64()?;
            view.define(header.stream, stream);
        }
        RecordKind::Cursor => {
            let mut body = Reader(&record.body);
            let state = CursorState {
                seq: header.seq,
                base: Seq(body.u64()?),
                acked: body.u64()?,
                expired: body.u64()?,
                dead: body.u64()?,
                purged: body.u64()?,
                ended: header.part == 1,
            };
            view.cursors
                .insert((header.stream, text(&record.head)?), state);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_a_checkpoint_is_far_shorter_than_what_is_read_back() {
        let mut view = View::default();
        for at in 0..100 {
            let value = Value {
                bytes: vec![7; 64 << 10].into(),
                ..Value::default()
            };
            view.values.insert(format!("large/{at}"), value);
        }
        let (mut out, mut ends, mut records) = (Vec::new(), vec![0], 0);
        let left = put_checkpoint(&view, &mut out, |out, count| {
            ends.push(out.len());
            records += count;
        });
        ends.push(out.len());
        assert_eq!(records + left, 100);
        assert!(
            ends.windows(2).all(|two| two[1] - two[0] < 2 << 20),
            "{ends:?}"
        );
    }
}
