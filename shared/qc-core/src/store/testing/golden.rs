//! The bytes of every format, once more as this version writes them.
//!
//! What an earlier version wrote is read, and written again from what was read: with the keys, the nonces,
//! the salts and the times that are in it, so nothing is drawn. If a single byte differs, the format has
//! changed. The golden bytes themselves, and the store they come from, stand in `tests/formats`.

use std::path::Path;

use super::sim::SimDisk;
use super::workload::DIR;
use crate::model::{Epoch, Lane, NodeName, Seq, Timestamp};
use crate::store::disk::Disk as _;
use crate::store::files::Files;
use crate::store::index::{IndexFile, salt_of};
use crate::store::mark::DurableMark;
use crate::store::recover::{recover, segment_name};
use crate::store::scan::{Tail, Visit, scan};
use crate::store::segment::{
    BatchHeader, BatchPlace, ChainEnd, FIRST_BATCH, KeySlot, Segment, SegmentHeader,
};
use crate::store::view::{Index, StreamView, View};
use crate::store::{CursorState, NodeKey, Role, StreamKey, Value, tables};
use crate::wire::{Origin, Record, RecordHeader, RecordKind, SealSuite};

/// One record of every kind that is no message, and messages of every shape, each by its name.
pub fn records() -> Vec<(&'static str, Vec<u8>)> {
    let node: NodeName = "edge-07.mill7.acme".parse().unwrap();
    let stream = StreamKey {
        role: Role::Outbox,
        name: "acme/alarms".parse().unwrap(),
        lane: Lane::Critical,
    };
    let mut defined = StreamView::new(stream, Epoch(1_795_000_000_000), Seq(240), Seq(17));
    defined.duplicates = 3;
    let cursor = CursorState {
        seq: Seq(200),
        base: Seq(10),
        acked: 180,
        expired: 4,
        dead: 3,
        purged: 2,
        ended: false,
    };
    let ended = CursorState {
        ended: true,
        ..cursor
    };
    let value = Value {
        revision: Seq(5),
        until: Timestamp::from_millis(1_795_231_327_000),
        bytes: b"a value".as_slice().into(),
    };
    let plain = RecordHeader {
        lane: Lane::High,
        stream: 1,
        epoch: Epoch(1_795_000_000_000),
        seq: Seq(241),
        accepted: Timestamp::from_millis(1_795_231_327_000),
        dedupe: [0xd5; 16],
        ..RecordHeader::new(RecordKind::Message)
    };
    let sealed = RecordHeader {
        part: 2,
        last_part: false,
        moved: true,
        tenant_key: 19,
        origin: Origin {
            node: 1,
            epoch: Epoch(1_794_000_000_000),
            seq: Seq(31),
        },
        seal: SealSuite::Aes256Gcm,
        nonce: [0x41; 12],
        ..plain
    };
    let put = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        put(&mut out);
        out
    };
    vec![
        ("message", put(&|out| plain.encode(b"head", b"body", out))),
        (
            "message, sealed, moved, a part",
            put(&|out| sealed.encode(b"head", b"sealed body and its tag", out)),
        ),
        ("origin", put(&|out| tables::put_origin(out, 1, &node))),
        ("stream", put(&|out| tables::put_stream(out, 1, &defined))),
        (
            "gap",
            put(&|out| tables::put_gap(out, 1, Seq(100), Seq(103))),
        ),
        (
            "cursor, ended",
            put(&|out| tables::put_cursor(out, 1, "sink", &ended)),
        ),
        (
            "cursor",
            put(&|out| tables::put_cursor(out, 1, "sink", &cursor)),
        ),
        (
            "mark",
            put(&|out| tables::put_mark(out, (1, 1, Lane::Low), Epoch(7), Seq(31))),
        ),
        (
            "value",
            put(&|out| tables::put_value(out, "key", Seq(5), Some(&value))),
        ),
        (
            "value, deleted",
            put(&|out| tables::put_value(out, "other", Seq(6), None)),
        ),
        ("trim", put(&|out| tables::put_trim(out, 1, Seq(18)))),
    ]
}

/// The kind of a record, as it is stored; none if this version does not read it.
pub fn kind_of(record: &[u8]) -> Option<u8> {
    let (header, ..) = RecordHeader::decode(record).ok()?;
    Some(header.kind as u8)
}

/// What is left of records that are no messages: the state they come to, written as the beginning of a
/// segment.
pub fn checkpoint(records: &[Vec<u8>]) -> Vec<u8> {
    let mut view = View::default();
    for bytes in records {
        let record = Record::split_from(&mut bytes.clone().into()).unwrap();
        tables::apply(&mut view, &record).unwrap();
    }
    let mut out = Vec::new();
    tables::put_checkpoint(&view, &mut out, |_, _| {});
    out
}

/// A segment file, written again: its header page and every sound batch; zeros where neither stands.
pub fn segment_again(bytes: &[u8], node: &NodeKey) -> Vec<u8> {
    let (header, segment) = segment_of(bytes, node);
    let mut again = header.encode();
    again.resize(bytes.len(), 0);
    let disk = SimDisk::default();
    let file = disk.create(Path::new("/segment")).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    let mut batches = Batches::default();
    scan(file.as_ref(), &segment, u64::MAX, Tail::Ended, &mut batches).unwrap();
    assert!(!batches.0.is_empty(), "there is a batch in it");
    for (at, plain) in batches.0 {
        let header = BatchHeader::decode(&bytes[at..], header.number).unwrap();
        let end = ChainEnd {
            segment: segment.header.number,
            batches: header.number,
            tag: header.previous_tag,
        };
        let mut frame = Vec::new();
        let start = Segment::begin_batch(&mut frame);
        frame.extend_from_slice(&plain);
        let place = BatchPlace {
            records: header.records,
            end: &end,
            commit: header.commit,
            more: header.more,
        };
        let sealed = segment.seal_batch(&mut frame, start, &place);
        assert!(sealed.is_some(), "the cipher takes it");
        let used = frame.len().min(again.len() - at);
        again[at..at + used].copy_from_slice(&frame[..used]);
    }
    again
}

/// The header page of a segment while its key is wrapped by two node keys.
pub fn header_under_both(bytes: &[u8], node: &NodeKey, other: &NodeKey) -> Vec<u8> {
    let (mut header, segment) = segment_of(bytes, node);
    header.slots[1] = Some(KeySlot {
        node_key: other.id(),
        wrapped: segment.key().wrap(other, &header.id).unwrap(),
        commitment: segment.key().commitment,
    });
    header.encode()
}

/// The index file of a segment, made again from the segment alone.
pub fn index_again(segment: &[u8], index: &[u8], node: &NodeKey) -> Vec<u8> {
    let (header, own) = segment_of(segment, node);
    let disk = SimDisk::default();
    let dir = Path::new(DIR);
    let file = disk.create(&dir.join(segment_name(header.number))).unwrap();
    file.write_all_at(segment, 0).unwrap();
    let files = Files::new(std::sync::Arc::new(disk), dir);
    let mut found = recover(&files, &node.clone().into()).unwrap();
    let known = found.view.segments.remove(&header.number).unwrap();
    let Index::Memory(content) = &known.index else {
        unreachable!("there is no index file beside it");
    };
    let ids = found.ids.of(header.number);
    let salt = salt_of(index, &own).unwrap();
    let laid_out = IndexFile::lay_out(&own, content, &ids, known.end, salt).unwrap();
    let mut again = laid_out.header;
    again.resize(usize::try_from(FIRST_BATCH).unwrap(), 0);
    again.extend_from_slice(&laid_out.sealed);
    again
}

/// The durable mark, both slots read and written again.
pub fn mark_again(bytes: &[u8]) -> Vec<u8> {
    let disk = SimDisk::default();
    let again = disk.create(Path::new("/again")).unwrap();
    let length = bytes.len() as u64;
    again.allocate(length).unwrap();
    for (number, slot) in bytes.chunks(64).enumerate() {
        let one = disk.create(Path::new(&format!("/{number}"))).unwrap();
        one.allocate(length).unwrap();
        one.write_all_at(slot, number as u64 * 64).unwrap();
        let mark = DurableMark::read(one.as_ref()).unwrap();
        assert_ne!(mark, DurableMark::default(), "slot {number} is sound");
        mark.write(again.as_ref()).unwrap();
    }
    let mut written = vec![0; bytes.len()];
    again.read_at(&mut written, 0).unwrap();
    written
}

fn segment_of(bytes: &[u8], node: &NodeKey) -> (SegmentHeader, Segment) {
    let header = SegmentHeader::decode(&bytes[..4096]).unwrap();
    let segment = Segment::open(header, &node.clone().into()).unwrap();
    (header, segment)
}

/// The sound batches of a segment: where each begins, and its plain records.
#[derive(Default)]
struct Batches(Vec<(usize, Vec<u8>)>);

impl Visit for Batches {
    fn batch(&mut self, offset: u64, plain: &[u8]) -> Result<(), &'static str> {
        let at = usize::try_from(offset).unwrap();
        self.0.push((at, plain.to_vec()));
        Ok(())
    }

    fn damage(&mut self, _: u64, _: u64, _: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}
