//! Messages in parts become files: in pieces, again, after the end of the process, and never what they are not.

use std::collections::BTreeMap;
use std::fs;

use qc_core::clock::ManualClock;
use qc_core::model::{Envelope, Epoch, Lane, Message, Part, Timestamp};
use qc_core::parts::{Sizes, Trailer, Upload};
use qc_core::store::{Draft, Outcome};
use qc_core::streams::Receipt;
use qc_core::wire::decode_envelope;

use super::*;

const SIZES: Sizes = Sizes {
    record: 10,
    part: 10,
    whole: 1000,
};

/// A message as its parts, as the product cuts it.
fn cut(id: &str, body: &[u8]) -> Vec<Delivery> {
    let drafts: Arc<Mutex<Vec<Draft>>> = Arc::default();
    let kept = Arc::clone(&drafts);
    let submit = move |draft: Draft| -> Receipt {
        kept.lock().unwrap().push(draft);
        Box::pin(async { Ok(vec![Outcome::Stored { seq: Seq(1) }]) })
    };
    let envelope = Envelope::new(id, "/s", "t");
    let mut upload = Upload::new(&envelope, Lane::Normal, SIZES, Box::new(submit));
    let stored = async {
        for chunk in body.chunks(7) {
            upload.push(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(stored).unwrap();
    let drafts = drafts.lock().unwrap().clone();
    let delivery = |draft: Draft| Delivery {
        stream: "acme/orders".parse().unwrap(),
        epoch: Epoch(1),
        seq: Seq(u64::from(draft.part.number) + 1),
        message: Message {
            envelope: decode_envelope(&draft.head).unwrap(),
            body: draft.body,
        },
        part: draft.part,
    };
    drafts.into_iter().map(delivery).collect()
}

fn body(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

/// A folder, and the part of a sink that takes parts, which ends and begins again at will.
struct Site {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000))),
        }
    }

    fn open(&self) -> (Folder, Spools) {
        let folder = Folder::open(self.dir.path(), FileMode::OnePerMessage).unwrap();
        let clock = Arc::clone(&self.clock);
        let spools = Spools::open(&folder, thirty_days().0, clock).unwrap();
        (folder, spools)
    }

    fn hidden(&self, suffix: &str) -> usize {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with(".qc-") && name.ends_with(suffix))
            .count()
    }

    fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).unwrap()
    }
}

fn poisoned(taken: Result<(), DeliverError>) -> &'static str {
    match taken {
        Err(DeliverError::Poison { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

/// Everything that a folder gives up, by id and part, in the order in which it comes.
fn leftovers(folder: &Folder, spools: &mut Spools) -> Vec<(String, u32, Vec<u8>, String)> {
    let mut all = Vec::new();
    while let Some(left) = spools.leftover(folder).unwrap() {
        let again = spools.leftover(folder).unwrap();
        assert_eq!(
            again.as_ref(),
            Some(&left),
            "it is asked for until it is kept"
        );
        let id = decode_envelope(&left.head).unwrap().id;
        assert!(!left.part.is_last);
        all.push((id, left.part.number, left.body.to_vec(), left.code.clone()));
        spools.forget(folder, &left).unwrap();
    }
    all
}

#[test]
fn parts_come_together_whoever_ends_between_them() {
    let site = Site::new();
    let whole = body(1, 95);
    let parts = cut("a", &whole);
    assert_eq!(parts.len(), 10);
    for part in &parts {
        for _ in 0..2 {
            let (folder, mut spools) = site.open();
            spools.take(&folder, "a.bin", part).unwrap();
        }
    }
    assert_eq!(site.content("a.bin"), whole);
    assert_eq!(site.hidden(".parts"), 0);
    // and what comes again after a crash is known, from any part on
    let (folder, mut spools) = site.open();
    for part in parts.iter().skip(4) {
        spools.take(&folder, "a.bin", part).unwrap();
    }
    assert_eq!(leftovers(&folder, &mut spools), []);
    site.clock.advance(std::time::Duration::from_hours(1));
    assert_eq!(leftovers(&folder, &mut spools), []);
    assert_eq!(site.hidden(".head"), 0, "it is forgotten in the end");
    assert_eq!(site.content("a.bin"), whole);
}

#[test]
fn a_model_of_crashes_and_repetitions_ends_in_the_same_files() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let site = Site::new();
        let mut wanted = BTreeMap::new();
        let mut left: Vec<Vec<Delivery>> = Vec::new();
        for number in 0..3 {
            let whole = body(seed * 3 + number, random.usize(11..120));
            let id = format!("m{number}");
            let mut parts = cut(&id, &whole);
            parts.reverse();
            left.push(parts);
            wanted.insert(id, whole);
        }
        // the stream: parts of each in order, those of different messages in any
        let mut stream = Vec::new();
        while let Some(at) = (!left.is_empty()).then(|| random.usize(..left.len())) {
            match left[at].pop() {
                Some(part) => stream.push(part),
                None => drop(left.remove(at)),
            }
        }
        let (mut folder, mut spools) = site.open();
        let mut at = 0;
        while let Some(part) = stream.get(at) {
            let name = part.message.envelope.id.clone();
            spools
                .take(&folder, &name, part)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            at += 1;
            if random.u8(..) < 60 {
                // the position of the consumer lags a little behind what was delivered
                drop((folder, spools));
                (folder, spools) = site.open();
                at = at.saturating_sub(random.usize(..4));
            }
        }
        for (name, whole) in wanted {
            assert_eq!(site.content(&name), whole, "seed {seed}");
        }
        assert_eq!(site.hidden(".parts"), 0, "seed {seed}");
    }
}

#[test]
fn what_does_not_fit_is_told_apart_and_nothing_is_lost() {
    let whole = body(2, 55);
    let parts = cut("a", &whole);
    let change = |at: usize, change: fn(&mut Delivery)| {
        let mut part = parts[at].clone();
        change(&mut part);
        part
    };
    // a part whose beginning nobody has seen
    let site = Site::new();
    let (folder, mut spools) = site.open();
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[5])), "QC4208");
    assert_eq!(leftovers(&folder, &mut spools), []);
    // misfits, each of which leaves the message as it was
    spools.take(&folder, "a", &parts[0]).unwrap();
    spools.take(&folder, "a", &parts[1]).unwrap();
    for misfit in [
        change(2, |part| part.message.body = Bytes::from_static(b"short")),
        change(2, |part| part.message.body = Bytes::new()),
        change(2, |part| part.message.envelope.kind = "other".to_owned()),
        change(2, |part| part.part.number = u32::MAX),
        change(5, |part| {
            part.message.body = Bytes::from_static(b"no trailer");
        }),
        change(5, |part| part.part.number = 4),
    ] {
        assert_eq!(
            poisoned(spools.take(&folder, "a", &misfit)),
            "QC4209",
            "{misfit:?}"
        );
    }
    // a repetition may state another time, and may come by another way
    let again = change(2, |part| {
        let hops = qc_core::model::AttrValue::Integer(2);
        let extensions = &mut part.message.envelope.extensions;
        extensions.insert("qchops".to_owned(), hops);
        part.message.envelope.time = Some("2026-11-21T03:22:07Z".to_owned());
    });
    spools.take(&folder, "a", &again).unwrap();
    // a gap: what came so far is given up, and what comes now, too
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[4])), "QC4208");
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[3])), "QC4208");
    drop((folder, spools));
    let (folder, mut spools) = site.open();
    let given_up = leftovers(&folder, &mut spools);
    let numbers: Vec<u32> = given_up.iter().map(|(_, number, ..)| *number).collect();
    assert_eq!(numbers, [2, 1, 0]);
    let bytes: Vec<u8> = given_up
        .iter()
        .rev()
        .flat_map(|(_, _, body, _)| body.clone())
        .collect();
    assert_eq!(bytes, whole[..30]);
    assert!(given_up.iter().all(|(.., code)| code == "QC4208"));
    assert_eq!((site.hidden(".parts"), site.hidden(".head")), (0, 0));
}

#[test]
fn content_that_is_not_what_was_sent_gets_no_name() {
    let site = Site::new();
    let (whole, other) = (body(3, 25), body(4, 25));
    let (parts, others) = (cut("a", &whole), cut("a", &other));
    let (folder, mut spools) = site.open();
    spools.take(&folder, "a", &parts[0]).unwrap();
    spools.take(&folder, "a", &others[1]).unwrap();
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[2])), "QC4209");
    assert!(!site.dir.path().join("a").exists());
    let given_up = leftovers(&folder, &mut spools);
    let expected = [
        (
            "a".to_owned(),
            1,
            other[10..20].to_vec(),
            "QC4209".to_owned(),
        ),
        ("a".to_owned(), 0, whole[..10].to_vec(), "QC4209".to_owned()),
    ];
    assert_eq!(given_up, expected, "the last part is a letter of its own");
    assert_eq!(site.hidden(""), 0);
}

#[test]
fn what_is_never_finished_is_given_up_after_its_time() {
    let site = Site::new();
    let parts = cut("a", &body(5, 45));
    let (folder, mut spools) = site.open();
    for part in &parts[..3] {
        spools.take(&folder, "a", part).unwrap();
    }
    // time while nothing runs does not count, and a part begins it anew
    site.clock.advance(std::time::Duration::from_hours(29 * 24));
    drop((folder, spools));
    let (folder, mut spools) = site.open();
    site.clock.advance(std::time::Duration::from_hours(29 * 24));
    assert_eq!(leftovers(&folder, &mut spools), []);
    spools.take(&folder, "a", &parts[3]).unwrap();
    site.clock.advance(std::time::Duration::from_hours(29 * 24));
    assert_eq!(leftovers(&folder, &mut spools), []);
    site.clock.advance(std::time::Duration::from_hours(24));
    let given_up = leftovers(&folder, &mut spools);
    assert_eq!(given_up.len(), 4);
    assert!(given_up.iter().all(|(.., code)| code == "QC4210"));
    assert_eq!(site.hidden(""), 0);
}

#[test]
fn there_are_never_too_many_and_none_gives_way_that_goes_on() {
    let site = Site::new();
    let (folder, mut spools) = site.open();
    spools.most = 3;
    let all: Vec<_> = (0..5)
        .map(|number| cut(&format!("m{number}"), &body(number, 25)))
        .collect();
    for parts in &all[..3] {
        site.clock.advance(std::time::Duration::from_secs(1));
        spools.take(&folder, "x", &parts[0]).unwrap();
    }
    let refused = spools.take(&folder, "x", &all[3][0]);
    let waits = matches!(&refused, Err(DeliverError::Retry { .. }));
    assert!(waits, "{refused:?}");
    assert_eq!(leftovers(&folder, &mut spools), []);
    // the first goes on, the second falls silent
    site.clock.advance(std::time::Duration::from_secs(599));
    spools.take(&folder, "x", &all[0][1]).unwrap();
    spools.take(&folder, "x", &all[3][0]).unwrap();
    assert_eq!(spools.unfinished(), 3);
    let given_up = leftovers(&folder, &mut spools);
    let ids: Vec<&str> = given_up.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(ids, ["m1"]);
    spools.take(&folder, "m0", &all[0][2]).unwrap();
    assert_eq!(site.content("m0"), body(0, 25));
    // as many as a busy site has at once
    spools.most = Site::new().open().1.most;
    assert!(spools.most >= 1000);
}

#[test]
fn a_file_that_somebody_removed_stops_nobody() {
    let site = Site::new();
    let (folder, mut spools) = site.open();
    let (parts, others) = (cut("a", &body(7, 45)), cut("b", &body(8, 25)));
    let remove = || {
        for entry in fs::read_dir(site.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "parts") {
                fs::remove_file(path).unwrap();
            }
        }
    };
    // while it comes
    spools.take(&folder, "a", &parts[0]).unwrap();
    spools.take(&folder, "a", &parts[1]).unwrap();
    remove();
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[2])), "QC4208");
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[3])), "QC4208");
    assert_eq!(leftovers(&folder, &mut spools), []);
    assert_eq!(site.hidden(""), 0);
    // while it is given up
    spools.take(&folder, "a", &parts[0]).unwrap();
    spools.take(&folder, "a", &parts[1]).unwrap();
    assert_eq!(poisoned(spools.take(&folder, "a", &parts[3])), "QC4208");
    assert!(spools.leftover(&folder).unwrap().is_some());
    remove();
    assert_eq!(leftovers(&folder, &mut spools), []);
    // while it waits in silence, and while nothing runs
    spools.take(&folder, "a", &parts[0]).unwrap();
    remove();
    site.clock.advance(std::time::Duration::from_hours(31 * 24));
    assert_eq!(leftovers(&folder, &mut spools), []);
    spools.take(&folder, "a", &parts[0]).unwrap();
    remove();
    drop((folder, spools));
    let (folder, mut spools) = site.open();
    spools.take(&folder, "a", &parts[0]).unwrap();
    for part in &others {
        spools.take(&folder, "b", part).unwrap();
    }
    assert_eq!(site.content("b"), body(8, 25));
}

#[test]
fn the_last_part_says_what_all_of_them_are() {
    let whole = body(6, 25);
    let last = cut("a", &whole).pop().unwrap();
    let (rest, trailer) = Trailer::split(&last.message.body).unwrap();
    assert_eq!(
        last.part,
        Part {
            number: 2,
            is_last: true
        }
    );
    assert_eq!((&rest[..], trailer.total), (&whole[20..], 25));
    let digest = digest(&SHA256, &whole);
    assert_eq!(trailer.sha256, digest.as_ref());
}
