//! Sectors that cannot be read any more, and damage found while the disk is full.

use super::*;
use crate::store::scan::UNREADABLE;

const PAGE: u64 = 4096;

fn fill(log: &Log, stream: &StreamKey, ids: std::ops::Range<u64>) {
    for id in ids {
        append(log, stream, vec![draft(id, 300)]).unwrap();
    }
}

/// Reads a stream to its end, asking again where it is told of damage. Gives what is there.
fn read_on(log: &Log, stream: &StreamKey) -> Vec<u64> {
    let (mut after, mut there) = (Seq::ZERO, Vec::new());
    let finished = loop_until(|| match log.read(stream, after, 1000, 1 << 20) {
        Ok(records) if records.is_empty() => true,
        Ok(records) => {
            there.extend(records.iter().map(|record| record.header.seq.0));
            after = records.last().unwrap().header.seq;
            false
        }
        Err(_) => false,
    });
    assert!(finished, "a reader never gets past {after:?}");
    there
}

fn index_path(number: u64) -> PathBuf {
    Path::new(DIR).join(index::index_name(number))
}

/// A store of several segments with 200 messages.
fn filled() -> (SimDisk, StreamKey) {
    let (disk, stream) = (SimDisk::default(), key("acme/a"));
    let (log, _) = open(&disk).unwrap();
    fill(&log, &stream, 0..200);
    assert!(log.stats().segments > 3);
    log.close();
    (disk, stream)
}

fn newest(disk: &SimDisk) -> PathBuf {
    let paths = disk.paths().into_iter();
    let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "seg"));
    segments.max().unwrap().to_path_buf()
}

#[test]
fn a_reader_gets_past_a_bad_sector_of_an_old_segment() {
    let (disk, stream) = filled();
    disk.spoil(&segment_path(1), 2 * PAGE, 3 * PAGE);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.damaged, vec![], "nobody has read it yet");
    let there = read_on(&log, &stream);
    let lost = log.info(&stream).unwrap().lost;
    assert!(lost > 0 && lost < 20, "{lost} lost");
    assert_eq!(there.len() as u64 + lost, 200);
    let damaged = log.stats().damaged;
    assert_eq!(damaged.len(), 1);
    assert_eq!(
        (damaged[0].what, damaged[0].aside),
        (UNREADABLE, Aside::Kept)
    );
    // what could be read of it is kept: the sector is zeros, what stands around it is there
    let copies = disk.list(Path::new("/log/quarantine")).unwrap();
    let copy = disk.content(&Path::new("/log/quarantine").join(&copies[0]));
    assert!(copy.len() as u64 > PAGE && copy.iter().any(|byte| *byte != 0));
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert_eq!(log.info(&stream).unwrap().lost, lost, "the gap is on disk");
    assert!(report.damaged.is_empty());
    assert_eq!(read_on(&log, &stream), there);
}

#[test]
fn a_start_gets_past_a_bad_sector_wherever_it_is() {
    let (disk, stream) = filled();
    for path in disk.paths() {
        for page in 0..disk.length(&path).div_ceil(PAGE) {
            let disk = disk.fork();
            disk.spoil(&path, page * PAGE, (page + 1) * PAGE);
            let at = format!("{} page {page}", path.display());
            let (log, report) = open(&disk).unwrap_or_else(|error| panic!("{at}: {error:?}"));
            let there = read_on(&log, &stream);
            let lost = log.info(&stream).unwrap().lost;
            assert_eq!(
                there.len() as u64 + lost,
                log.info(&stream).unwrap().last.0,
                "{at}"
            );
            assert!(there.len() >= 150, "{at}: {} left", there.len());
            let known = report.damaged.len() + log.stats().damaged.len();
            assert!(
                lost == 0 || known > 0,
                "{at}: {lost} lost, and nobody says so"
            );
            // it goes on, under numbers that nobody had
            let new = append(&log, &stream, vec![draft(1000, 10)]).unwrap()[0].seq();
            assert!(new.0 > 200, "{at}: {new:?} is given again");
            log.close();
            let (log, report) = open(&disk).unwrap();
            let mut after = there.clone();
            after.push(new.0);
            assert_eq!(read_on(&log, &stream), after, "{at}");
            assert!(
                report.damaged.iter().all(|damage| damage.known),
                "{at}: {report:?}"
            );
        }
    }
}

#[test]
fn what_a_sector_gives_back_later_stays_lost() {
    let (disk, stream) = (SimDisk::default(), key("acme/a"));
    let (log, _) = open(&disk).unwrap();
    let used = |content: &[u8]| content.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let mut count = 0;
    // its last page is not all that it holds
    while log.stats().segments < 3 || used(&disk.content(&newest(&disk))) < 3 * PAGE {
        fill(&log, &stream, count..count + 1);
        count += 1;
    }
    log.close();
    let path = newest(&disk);
    let content = disk.content(&path);
    let from = used(&content) / PAGE * PAGE;
    disk.spoil(&path, from, from + PAGE);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let there = read_on(&log, &stream);
    assert!((there.len() as u64) < count);
    let new = append(&log, &stream, vec![draft(1000, 10)]).unwrap()[0].seq();
    assert!(new > Seq(count), "{new:?} was given before");
    log.close();
    // the sector is sound again, and everything is read again
    let page = usize::try_from(from).unwrap()..usize::try_from(from + PAGE).unwrap();
    let mut page = content.get(page).unwrap_or_default().to_vec();
    page.resize(4096, 0);
    disk.put(&path, &page, from);
    for path in disk.paths() {
        if path.extension().is_some_and(|end| end == "idx") {
            disk.lose(&path);
        }
    }
    let (log, _) = open(&disk).unwrap();
    let mut expected = there;
    expected.push(new.0);
    assert_eq!(read_on(&log, &stream), expected);
}

#[test]
fn what_comes_back_behind_an_end_does_not_count() {
    let (disk, stream) = (SimDisk::default(), key("acme/a"));
    let (log, _) = open(&disk).unwrap();
    fill(&log, &stream, 0..10);
    let short = disk.fork();
    fill(&log, &stream, 10..15);
    let long = disk.content(&segment_path(1));
    log.close();
    let (log, _) = open(&short).unwrap();
    fill(&log, &stream, 20..25);
    let there = read_all(&log, &stream);
    log.close();
    short.cut(&segment_path(1), long.len() as u64);
    short.put(&segment_path(1), &long, 0);
    short.lose(&index_path(1));
    let (log, report) = open(&short).unwrap();
    assert_eq!((report.damaged, report.scanned), (vec![], 2));
    assert!(
        read_all(&log, &stream) == there,
        "an acknowledged message is hidden"
    );
}

#[test]
fn a_batch_that_cannot_be_read_keeps_its_numbers_where_the_mark_lags() {
    let (disk, stream) = (SimDisk::default(), key("acme/a"));
    let mark = Path::new(DIR).join("durable.mark");
    let (log, _) = open(&disk).unwrap();
    fill(&log, &stream, 0..3);
    // an answer comes before the mark is written; whoever is refused later comes behind it
    block_on(log.put("any", Some(Seq(9)), None)).unwrap_err();
    let before = disk.content(&mark);
    append(&log, &stream, vec![draft(3, 5000)]).unwrap();
    log.close();
    disk.put(&mark, &before, 0);
    let used = disk.content(&segment_path(1));
    let used = used.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    disk.spoil(&segment_path(1), used, used + 1);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let new = append(&log, &stream, vec![draft(4, 10)]).unwrap()[0].seq();
    assert_eq!(new, Seq(5), "4 was acknowledged");
    assert_eq!(log.info(&stream).unwrap().lost, 1);
}

#[test]
fn an_index_that_cannot_be_read_is_made_again() {
    let (disk, stream) = filled();
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.scanned, 1);
    for page in 1..disk.length(&index_path(1)).div_ceil(PAGE) {
        disk.spoil(&index_path(1), page * PAGE, (page + 1) * PAGE);
    }
    assert_eq!(read_on(&log, &stream).len(), 200, "nothing is lost");
    assert_eq!(log.info(&stream).unwrap().lost, 0);
    log.close();
    let (_, report) = open(&disk).unwrap();
    assert_eq!(report.scanned, 1, "it is made again");
    assert!(report.damaged.is_empty());
}

#[test]
fn a_disk_that_does_not_answer_is_an_error_and_nothing_is_moved() {
    let (disk, _) = filled();
    let before = disk.paths();
    for path in &before {
        disk.spoil(path, 0, disk.length(path));
    }
    assert!(matches!(open(&disk), Err(OpenError::Io { .. })));
    assert_eq!(disk.paths(), before);
}

/// A store of several segments whose disk is full.
fn full() -> (SimDisk, StreamKey) {
    let (disk, stream) = filled();
    disk.set_capacity(Some(0));
    (disk, stream)
}

fn copies(disk: &SimDisk) -> usize {
    let names = disk.list(Path::new("/log/quarantine")).unwrap_or_default();
    assert!(
        names.iter().all(|name| name.ends_with(".damaged")),
        "{names:?}"
    );
    names.len()
}

#[test]
fn damage_that_a_reader_finds_on_a_full_disk_stays_until_there_is_room() {
    let (disk, stream) = full();
    disk.corrupt(&segment_path(1), 9000, 0x40);
    let damaged = disk.content(&segment_path(1));
    let (log, _) = open(&disk).unwrap();
    let there = read_on(&log, &stream);
    let lost = log.info(&stream).unwrap().lost;
    assert!(lost > 0, "the reader is told what is missing");
    assert_eq!(there.len() as u64 + lost, 200);
    let stats = log.stats();
    assert_eq!(stats.poisoned, None);
    assert_eq!((copies(&disk), stats.waiting.len()), (0, 1));
    assert_eq!(stats.damaged[0].aside, Aside::NoRoom);
    let line = stats.damaged[0].line();
    assert!(line.contains("stays where it is (QC3310)"), "{line}");
    // what frees space still works, and takes everything but the damage
    block_on(log.commit_cursor("sink", &stream, Seq(200))).unwrap();
    block_on(log.trim(&stream, Seq(200))).unwrap();
    assert!(
        loop_until(|| log.stats().segments <= 3),
        "{:?}",
        log.stats()
    );
    assert!(disk.content(&segment_path(1)) == damaged);
    // the next start finds it again
    log.close();
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.damaged[0].aside, Aside::NoRoom, "{report:?}");
    assert_eq!((copies(&disk), log.stats().waiting.len()), (0, 1));
    assert!(disk.content(&segment_path(1)) == damaged);
    disk.set_capacity(None);
    assert!(
        loop_until(|| log.stats().waiting.is_empty()),
        "{:?}",
        log.stats()
    );
    assert_eq!(copies(&disk), 1);
    let is_gone = || !disk.paths().iter().any(|path| **path == *segment_path(1));
    assert!(loop_until(is_gone), "its segment is given back");
}

#[test]
fn a_start_on_a_full_disk_leaves_damage_where_it_is() {
    for damage_from_end in [200, 3000] {
        let (disk, stream) = full();
        let path = newest(&disk);
        let content = disk.content(&path);
        let used = content.iter().rposition(|byte| *byte != 0).unwrap();
        disk.corrupt(&path, used - damage_from_end, 0x40);
        let damaged = disk.content(&path)[..=used].to_vec();
        let (log, report) = open(&disk).unwrap();
        assert_eq!(report.damaged.len(), 1, "{report:?}");
        assert_eq!(report.damaged[0].aside, Aside::NoRoom);
        let lines = report.lines().join("\n");
        assert!(lines.contains("QC3310"), "{lines}");
        let is_whole = disk.content(&path).starts_with(&damaged);
        assert!(is_whole, "nothing is cut off");
        let there = read_on(&log, &stream);
        assert!(there.len() < 200);
        disk.set_capacity(None);
        assert!(
            loop_until(|| log.stats().waiting.is_empty()),
            "{:?}",
            log.stats()
        );
        assert_eq!(copies(&disk), 1);
        let mut new = None;
        assert!(loop_until(|| {
            new = append(&log, &stream, vec![draft(1000, 10)]).ok();
            new.is_some()
        }));
        let new = new.unwrap()[0].seq();
        assert!(new > Seq(200), "{new:?} was given before");
        log.close();
        let (log, _) = open(&disk).unwrap();
        let mut expected = there;
        expected.push(new.0);
        assert_eq!(read_on(&log, &stream), expected);
    }
}
