//! Cutting, and reading as a whole again, over a real log on a simulated disk.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::model::{Lane, Message, Part, Seq, Timestamp};
use crate::store::testing::{sim::SimDisk, workload};
use crate::store::{AppendError, Draft, Outcome, StreamKey, dedupe_key, part_key};
use crate::streams::{Embedded, Receipt, Streams};

const SIZES: Sizes = Sizes {
    record: 16,
    part: 16,
    whole: 200,
};

fn envelope() -> Envelope {
    Envelope::new("1", "/s", "t")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// What comes out of a body that comes in `chunks`.
fn cut(chunks: &[&[u8]]) -> Result<Vec<Draft>, AppendError> {
    cut_by(SIZES, None, chunks)
}

fn cut_by(
    sizes: Sizes,
    announced: Option<u64>,
    chunks: &[&[u8]],
) -> Result<Vec<Draft>, AppendError> {
    let drafts: Arc<Mutex<Vec<Draft>>> = Arc::default();
    let kept = Arc::clone(&drafts);
    let submit = move |draft: Draft| -> Receipt {
        kept.lock().unwrap().push(draft);
        Box::pin(async { Ok(vec![Outcome::Stored { seq: Seq(1) }]) })
    };
    let mut upload = Upload::new(&envelope(), Lane::Low, sizes, Box::new(submit))
        .announced(announced.unwrap_or(0));
    block_on(async {
        for chunk in chunks {
            upload.push(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish().await
    })?;
    let drafts = drafts.lock().unwrap().clone();
    Ok(drafts)
}

#[test]
fn what_fits_into_a_record_is_the_record_that_it_always_was() {
    for length in [0, 1, 16] {
        let body = vec![7; length];
        let [draft] = &cut(&[&body]).unwrap()[..] else {
            panic!("{length} bytes are not one record");
        };
        let message = Message {
            envelope: envelope(),
            body: body.into(),
        };
        let whole = Draft::from_message(&message, Lane::Low);
        assert_eq!(
            (&draft.head, &draft.body, draft.part, draft.dedupe),
            (&whole.head, &whole.body, whole.part, whole.dedupe)
        );
    }
}

#[test]
fn a_body_is_cut_alike_whether_its_length_was_known_or_not() {
    let sizes = Sizes {
        record: 40,
        ..SIZES
    };
    for length in [0, 16, 17, 40, 41, 48, 100, 112] {
        let body: Vec<u8> = (0..).take(length).collect();
        let (one, chunks) = ([&body[..]], body.chunks(13).collect::<Vec<_>>());
        let lengths = |announced, chunks: &[&[u8]]| -> Vec<usize> {
            let parts = cut_by(sizes, announced, chunks).unwrap();
            parts.iter().map(|draft| draft.body.len()).collect()
        };
        let known = lengths(Some(length as u64), &chunks);
        assert_eq!(known, lengths(None, &chunks), "{length}");
        assert_eq!(known, lengths(None, &one), "{length}");
        let count = if length <= 40 { 1 } else { length.div_ceil(16) };
        assert_eq!(known.len(), count, "{length}");
    }
}

#[test]
fn parts_are_known_by_their_numbers_and_the_last_by_the_message() {
    let key = |source, id, number| {
        let is_last = false;
        part_key(source, id, Part { number, is_last })
    };
    let last = Part {
        number: 7,
        is_last: true,
    };
    let message = dedupe_key("/s", "1");
    assert_eq!(part_key("/s", "1", last), message);
    assert_eq!(part_key("/s", "1", Part::WHOLE), message);
    let keys = [
        message,
        key("/s", "1", 0),
        key("/s", "1", 1),
        key("/s", "1", 256),
        key("/s", "2", 1),
        key("/s1", "", 1),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
}

#[test]
fn a_body_beyond_the_bound_is_refused_where_it_crosses_it() {
    let long = [1; 201];
    assert!(matches!(
        cut(&[&long]),
        Err(AppendError::TooLarge { max: 200, .. })
    ));
    assert!(matches!(
        cut(&[&long[..150], &long[..51]]),
        Err(AppendError::TooLarge { .. })
    ));
    assert_eq!(cut(&[&long[..200]]).unwrap().len(), 13);
}

#[test]
fn a_trailer_is_not_believed_before_it_is_checked() {
    let last = cut(&[&[3; 40]]).unwrap().pop().unwrap().body;
    let (rest, trailer) = Trailer::split(&last).unwrap();
    assert_eq!((&rest[..], trailer.total), (&[3; 8][..], 40));
    assert_eq!(trailer.sha256, digest(&SHA256, &[3; 40]).as_ref());
    let golden = "01000000000000002800000000000000";
    let bytes = &last[8..24];
    assert_eq!(data_encoding::HEXLOWER.encode(bytes), golden);
    for cut in 0..Trailer::LEN {
        assert!(Trailer::split(&last.slice(..cut)).is_err(), "{cut}");
    }
    for (at, wrong) in [(8, 2), (16, 7), (20, 0xff), (23, 0xff)] {
        let mut bytes = last.to_vec();
        bytes[at] = wrong;
        assert!(Trailer::split(&bytes.into()).is_err(), "{at}");
    }
}

proptest! {
    #[test]
    fn the_parts_make_the_body_however_it_comes(
        body in proptest::collection::vec(any::<u8>(), 17..200),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        at.extend([0, body.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|two| &body[two[0]..two[1]]).collect();
        let parts = cut(&chunks).unwrap();
        let count = u32::try_from(body.len().div_ceil(16)).unwrap();
        let mut joined = Vec::new();
        for (number, draft) in (0..).zip(&parts) {
            prop_assert_eq!(draft.part.number, number);
            prop_assert_eq!(draft.part.is_last, number + 1 == count);
            prop_assert_eq!(&draft.head, &parts[0].head);
            if draft.part.is_last {
                let (rest, trailer) = Trailer::split(&draft.body).unwrap();
                joined.extend_from_slice(&rest);
                prop_assert_eq!(trailer.total, body.len() as u64);
            } else {
                prop_assert_eq!(offset(number, draft.body.len()), Some(joined.len() as u64));
                joined.extend_from_slice(&draft.body);
            }
        }
        prop_assert_eq!(joined, body);
    }
}

fn engine(disk: &SimDisk) -> (Arc<Embedded>, StreamKey) {
    let (log, _) = workload::open(Arc::new(disk.clone())).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
    let stream = StreamKey::hub("acme/a".parse().unwrap());
    (Arc::new(Embedded::new(log, clock)), stream)
}

fn publish(engine: &Embedded, stream: &StreamKey, drafts: &[Draft]) -> Vec<Outcome> {
    block_on(engine.publish(stream, drafts.to_vec())).unwrap()
}

fn read(engine: &Arc<Embedded>, stream: &StreamKey, seq: u64) -> Result<Vec<u8>, WholeError> {
    let engine: Arc<dyn Streams> = Arc::clone(engine) as Arc<dyn Streams>;
    block_on(async {
        let mut whole = Whole::open(engine, stream.clone(), Seq(seq)).await?;
        let mut body = Vec::new();
        while let Some(piece) = whole.next().await {
            body.extend_from_slice(&piece?);
        }
        assert_eq!(whole.trailer().total, body.len() as u64);
        Ok(body)
    })
}

#[test]
fn an_upload_that_broke_off_goes_on_where_it_was_and_reads_as_one() {
    let body: Vec<u8> = (0..100).collect();
    let parts = cut(&[&body]).unwrap();
    let disk = SimDisk::default();
    let (first, stream) = engine(&disk);
    let other = cut(&[&[9; 3]]).unwrap().remove(0);
    let other = Draft {
        dedupe: [7; 16],
        ..other
    };
    publish(&first, &stream, &parts[..3]);
    publish(&first, &stream, &[other]);
    first.close();
    drop(first);
    let (again, stream) = engine(&disk);
    let outcomes = publish(&again, &stream, &parts);
    let stored: Vec<bool> = outcomes.iter().map(|one| !one.is_duplicate()).collect();
    assert_eq!(stored, [false, false, false, true, true, true, true]);
    assert_eq!(outcomes.last().unwrap().seq(), Seq(8));
    assert_eq!(read(&again, &stream, 8).unwrap(), body);
    assert_eq!(
        read(&again, &stream, 4).unwrap(),
        [9; 3],
        "a message that fits"
    );
    for seq in [0, 1, 5, 9] {
        let read = read(&again, &stream, seq);
        assert!(matches!(read, Err(WholeError::None)), "{seq}: {read:?}");
    }
    let whole: Vec<Outcome> = publish(&again, &stream, &parts);
    assert!(whole.iter().all(|one| one.is_duplicate()));
}

#[test]
fn a_message_that_is_not_whole_is_not_known() {
    let parts = cut(&[&[1; 100]]).unwrap();
    let disk = SimDisk::default();
    let (engine, stream) = engine(&disk);
    publish(&engine, &stream, &parts[..3]);
    let short = Message {
        envelope: envelope(),
        body: Bytes::from_static(b"short"),
    };
    let short = [Draft::from_message(&short, Lane::Low)];
    let outcomes = publish(&engine, &stream, &short);
    assert_eq!(outcomes, [Outcome::Stored { seq: Seq(4) }]);
    assert_eq!(read(&engine, &stream, 4).unwrap(), b"short");
    // and the other way round: whoever has the message has all of it
    let whole = publish(&engine, &stream, &parts);
    assert_eq!(whole.last(), Some(&Outcome::Duplicate { seq: Seq(4) }));
}

#[test]
fn parts_that_came_by_different_ways_are_of_one_message() {
    let by = |hops, time: &str| {
        let mut envelope = envelope();
        envelope.time = Some(time.to_owned());
        let hops = crate::model::AttrValue::Integer(hops);
        envelope.extensions.insert("qchops".to_owned(), hops);
        envelope
    };
    assert!(is_same(&by(1, "2026-11-21T03:22:07Z"), &envelope()));
    assert!(is_same(
        &by(1, "2026-11-21T03:22:07Z"),
        &by(2, "2026-11-21T03:22:08Z")
    ));
    let other = Envelope::new("1", "/s", "other");
    assert!(!is_same(&envelope(), &other));
}

#[test]
fn what_is_not_whole_is_not_given_to_its_end() {
    let body: Vec<u8> = (0..100).collect();
    let parts = cut(&[&body]).unwrap();
    let disk = SimDisk::default();
    let (engine, stream) = engine(&disk);
    // parts 0, 1 and the last
    publish(
        &engine,
        &stream,
        &[parts[0].clone(), parts[1].clone(), parts[6].clone()],
    );
    let read_it = |seq| read(&engine, &stream, seq);
    assert!(matches!(read_it(3), Err(WholeError::Missing(2))));
    // the rest, one of them another's
    let mut wrong = parts[2].clone();
    wrong.body = Bytes::from_static(b"sixteen bytes, 1");
    let rest = [&[wrong], &parts[3..6]].concat();
    publish(&engine, &stream, &rest);
    assert!(matches!(read_it(3), Err(WholeError::Misfit(_))));
    // and what has ended is not there
    block_on(engine.purge(&stream, Seq(2))).unwrap();
    assert!(matches!(read_it(3), Err(WholeError::Missing(0))));
}
