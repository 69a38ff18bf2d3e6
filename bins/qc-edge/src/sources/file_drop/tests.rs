//! Real directories, a clock moved by hand, and everything a neighbour may do to a drop directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use qc_core::clock::ManualClock;
use qc_core::durable::write_atomic;
use qc_core::model::{Message, Timestamp};
use qc_core::parts::Upload;

use super::super::testing::{Kept, full};
use super::*;

struct Site {
    dir: tempfile::TempDir,
    clock: ManualClock,
    kept: Kept,
    activity: Activity,
    config: FileDropConfig,
}

impl Site {
    fn new(mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = FileDropConfig {
            mode,
            ..FileDropConfig::new(dir.path())
        };
        Self {
            dir,
            clock: ManualClock::at(Timestamp::from_millis(1_795_231_327_000)),
            kept: Kept::default(),
            activity: Activity::default(),
            config,
        }
    }

    fn open(&self) -> FileDrop {
        let node = "edge-1.mill.acme".parse().unwrap();
        let clock = Arc::new(self.clock.clone());
        FileDrop::open("drop", &self.config, &node, clock, self.activity.clone()).unwrap()
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        let mut file = File::create(self.path(name)).unwrap();
        file.write_all(content).unwrap();
    }

    fn put_bytes(&self, name: &[u8]) {
        let mut file = File::create(self.path(OsStr::from_bytes(name))).unwrap();
        file.write_all(name).unwrap();
    }

    /// A round, the time to settle, another round.
    async fn settle(&self, drop: &mut FileDrop) {
        drop.round(&self.kept).await;
        self.clock.advance(Duration::from_secs(2));
        drop.round(&self.kept).await;
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn reason(&self, name: &str) -> String {
        fs::read_to_string(self.path(format!(".error/{name}.reason"))).unwrap()
    }
}

#[tokio::test]
async fn a_complete_file_becomes_one_message_and_moves() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    site.put("report.csv", b"a,b\n1,2\n");
    drop.round(&site.kept).await;
    assert_eq!(site.kept.len(), 0, "it must settle first");
    site.clock.advance(Duration::from_millis(1999));
    drop.round(&site.kept).await;
    assert_eq!(site.kept.len(), 0, "it must settle first");
    site.clock.advance(Duration::from_millis(1));
    drop.round(&site.kept).await;
    let message = site.kept.messages.lock().unwrap()[0].clone();
    assert_eq!(message.body, "a,b\n1,2\n");
    let envelope = message.envelope;
    assert_eq!(envelope.source, "/edge-1.mill.acme/drop");
    assert_eq!(envelope.kind, "qc.file");
    assert_eq!(envelope.subject.as_deref(), Some("report.csv"));
    assert_eq!(envelope.content_type.as_deref(), Some("text/csv"));
    assert_eq!(envelope.extension("qcsha256"), Some(DIGEST));
    assert_eq!(site.names(".done"), ["report.csv"]);
    drop.round(&site.kept).await;
    assert_eq!((site.kept.len(), site.activity.snapshot().done), (1, 1));
}

/// `printf 'a,b\n1,2\n' | sha256sum`
const DIGEST: &str = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470";

#[tokio::test]
async fn a_half_written_file_is_never_picked_up() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    let mut writer = File::create(site.path("big.csv")).unwrap();
    for part in ["first ", "second ", "third"] {
        // the writer pauses for much longer than a file needs to settle
        for _ in 0..3 {
            site.clock.advance(Duration::from_mins(1));
            drop.round(&site.kept).await;
        }
        writer.write_all(part.as_bytes()).unwrap();
    }
    assert_eq!(site.kept.len(), 0);
    std::mem::drop(writer);
    site.settle(&mut drop).await;
    assert_eq!(site.kept.bodies(), ["first second third"]);
}

#[tokio::test]
async fn without_a_watch_every_change_starts_the_time_anew() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    drop.watch = None;
    let mut writer = File::create(site.path("big.csv")).unwrap();
    for part in ["1", "2", "3", "4"] {
        writer.write_all(part.as_bytes()).unwrap();
        drop.round(&site.kept).await;
        site.clock.advance(Duration::from_millis(1900));
        drop.round(&site.kept).await;
        // file times have the resolution of the kernel's tick
        std::thread::sleep(Duration::from_millis(12));
    }
    assert_eq!(site.kept.len(), 0);
    site.clock.advance(Duration::from_millis(200));
    drop.round(&site.kept).await;
    assert_eq!(site.kept.bodies(), ["1234"]);
}

#[tokio::test]
async fn a_renamed_file_is_complete_unless_its_writer_goes_on() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    site.put("a.csv.part", b"whole");
    site.clock.advance(Duration::from_mins(1));
    drop.round(&site.kept).await;
    drop.round(&site.kept).await;
    assert_eq!(site.kept.len(), 0, "unfinished names are ignored");
    fs::rename(site.path("a.csv.part"), site.path("a.csv")).unwrap();
    drop.round(&site.kept).await;
    assert_eq!(site.kept.bodies(), ["whole"]);

    let mut writer = File::create(site.path("b.csv.tmp")).unwrap();
    writer.write_all(b"half").unwrap();
    fs::rename(site.path("b.csv.tmp"), site.path("b.csv")).unwrap();
    site.settle(&mut drop).await;
    assert_eq!(site.kept.len(), 1, "the writer still has it open");
    writer.write_all(b" whole").unwrap();
    std::mem::drop(writer);
    site.settle(&mut drop).await;
    assert_eq!(site.kept.bodies(), ["whole", "half whole"]);
}

/// Stores what it gets and then never answers, as if the machine died at that moment.
#[derive(Clone)]
struct DiesAfterStoring(Kept);

impl Intake for DiesAfterStoring {
    async fn submit(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, IntakeError> {
        self.0.submit(messages).await?;
        std::future::pending().await
    }

    fn upload(&self, envelope: Envelope, most: u64) -> Result<Upload, IntakeError> {
        self.0.upload(envelope, most)
    }
}

#[tokio::test]
async fn a_crash_between_stored_and_moved_gives_one_message() {
    for mode in [Mode::Whole, Mode::Lines] {
        let site = Site::new(mode);
        let mut drop = site.open();
        site.put("x.txt", b"one\n");
        drop.round(&site.kept).await;
        site.clock.advance(Duration::from_secs(2));
        let dying = DiesAfterStoring(site.kept.clone());
        let round = drop.round(&dying);
        assert!(
            tokio::time::timeout(Duration::from_millis(200), round)
                .await
                .is_err()
        );
        assert_eq!((site.kept.len(), site.names(".done").len()), (1, 0));

        let mut again = site.open();
        site.settle(&mut again).await;
        assert_eq!(site.kept.len(), 1);
        assert_eq!(*site.kept.duplicates.lock().unwrap(), 1);
        assert_eq!(site.names(".done"), ["x.txt"]);
    }
}

#[tokio::test]
async fn the_same_name_with_other_content_or_time_is_another_message() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    for content in [b"1", b"2", b"2"] {
        site.put("x.txt", content);
        site.settle(&mut drop).await;
        std::thread::sleep(Duration::from_millis(12));
    }
    assert_eq!(site.kept.bodies(), ["1", "2", "2"]);
    assert_eq!(site.names(".done"), ["x.txt", "x.txt.1", "x.txt.2"]);
}

#[tokio::test]
async fn links_and_pipes_are_refused_without_touching_them() {
    for resolve in [true, false] {
        let site = Site::new(Mode::Whole);
        let secret = tempfile::NamedTempFile::new().unwrap();
        write_atomic(secret.path(), b"secret", 0o600).unwrap();
        let mut drop = site.open();
        Arc::get_mut(&mut drop.folder).unwrap().set_resolve(resolve);
        std::os::unix::fs::symlink(secret.path(), site.path("link")).unwrap();
        fs::hard_link(secret.path(), site.path("hard")).unwrap();
        let dir = drop.folder.dir().try_clone_to_owned().unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(&dir, "pipe", rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let rounds = site.settle(&mut drop);
        tokio::time::timeout(Duration::from_secs(10), rounds)
            .await
            .unwrap();
        assert_eq!(site.kept.len(), 0);
        assert_eq!(
            site.names(".error"),
            [
                "hard",
                "hard.reason",
                "link",
                "link.reason",
                "pipe",
                "pipe.reason"
            ]
        );
        assert!(site.reason("pipe").starts_with("QC4103 not a regular file"));
        assert!(site.reason("hard").starts_with("QC4104 "));
        assert_eq!(fs::read(secret.path()).unwrap(), b"secret");
        assert_eq!(site.activity.snapshot().refused, 3);
    }
}

/// Swaps what stands under a name between the look and the opening.
#[test]
fn what_was_swapped_after_the_look_is_not_read() {
    let site = Site::new(Mode::Whole);
    for resolve in [true, false] {
        let mut folder = Folder::open(site.dir.path(), ".done", ".error").unwrap();
        folder.set_resolve(resolve);
        site.put("x", b"1");
        let found = folder.list().unwrap().remove(0);
        fs::remove_file(site.path("x")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", site.path("x")).unwrap();
        assert!(matches!(
            folder.open_file(&found.name, &found.stamp),
            Err(folder::OpenError::Odd(folder::Odd::NotRegular))
        ));
        assert!(
            !folder.to_done(&found.name, &found.stamp).unwrap(),
            "another file stays"
        );
        for escape in [c"../x", c"..", c"/etc/passwd"] {
            assert!(
                folder.open_file(escape, &found.stamp).is_err(),
                "{escape:?}"
            );
        }
        fs::remove_file(site.path("x")).unwrap();
    }
}

#[tokio::test]
async fn any_name_is_taken_and_shown_safely() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    let long = "l".repeat(255);
    let names: [&[u8]; 7] = [
        b"two\nlines",
        b"esc\x1b[31m",
        b"\xff\xfe",
        b"-rf",
        "umlaut \u{fc} \u{202e}".as_bytes(),
        b"%s {id} $(x)",
        long.as_bytes(),
    ];
    for name in names {
        site.put_bytes(name);
    }
    site.settle(&mut drop).await;
    let mut subjects: Vec<String> = site
        .kept
        .messages
        .lock()
        .unwrap()
        .iter()
        .map(|m| m.envelope.subject.clone().unwrap())
        .collect();
    subjects.sort();
    assert_eq!(subjects.len(), names.len());
    assert!(subjects.contains(&"two\\nlines".to_owned()), "{subjects:?}");
    assert!(subjects.contains(&"esc\\x1b[31m".to_owned()));
    assert!(subjects.contains(&"\\xff\\xfe".to_owned()));
    for name in &names[..6] {
        assert!(site.path(".done").join(OsStr::from_bytes(name)).exists());
    }
    assert_eq!(site.names(".done").len(), names.len());
}

#[tokio::test]
async fn what_can_never_be_taken_lies_in_the_error_folder_with_its_reason() {
    let mut site = Site::new(Mode::Whole);
    site.config.max_bytes = Some(Size(10));
    let mut drop = site.open();
    site.put("big", b"12345678901");
    site.settle(&mut drop).await;
    assert_eq!(
        site.reason("big"),
        "QC4105 the file has 11 bytes; at most 10 are allowed\n"
    );
    site.put("big", b"12345678901");
    *site.kept.refuse_with.lock().unwrap() = Some(IntakeError::Refused {
        code: "QC5003",
        reason: "no data class".to_owned(),
    });
    site.put("no-class", b"x");
    site.settle(&mut drop).await;
    assert_eq!(site.reason("no-class"), "QC5003 no data class\n");
    assert_eq!(
        site.names(".error"),
        [
            "big",
            "big.1",
            "big.1.reason",
            "big.reason",
            "no-class",
            "no-class.reason"
        ]
    );
    assert_eq!((site.kept.len(), site.names(".done").len()), (0, 0));
}

#[tokio::test]
async fn a_full_buffer_leaves_the_file_in_place() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    site.put("x", b"1");
    *site.kept.refuse_with.lock().unwrap() = Some(full(Duration::from_secs(7)));
    drop.round(&site.kept).await;
    site.clock.advance(Duration::from_secs(2));
    assert_eq!(drop.round(&site.kept).await, Some(Duration::from_secs(7)));
    let held = site.activity.snapshot();
    assert_eq!((held.retries, held.attempt), (1, 1));
    assert!(site.path("x").exists());
    *site.kept.refuse_with.lock().unwrap() = None;
    drop.round(&site.kept).await;
    assert_eq!((site.kept.len(), site.names(".done").len()), (1, 1));
}

#[tokio::test]
async fn a_file_that_cannot_be_moved_is_reported_and_left_alone() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    fs::remove_dir(site.path(".done")).unwrap();
    write_atomic(&site.path(".done"), b"in the way", 0o600).unwrap();
    site.put("x", b"1");
    site.settle(&mut drop).await;
    for _ in 0..5 {
        drop.round(&site.kept).await;
    }
    let held = site.activity.snapshot();
    assert_eq!((held.done, held.duplicates, held.retries), (1, 0, 1));
    assert!(
        held.last_error
            .unwrap()
            .1
            .starts_with("QC4110 x cannot be moved")
    );
    fs::remove_file(site.path(".done")).unwrap();
    site.clock.advance(STUCK);
    drop.round(&site.kept).await;
    assert_eq!((site.kept.len(), site.names(".done").len()), (1, 1));
}

#[tokio::test]
async fn lines_come_once_in_order_even_if_the_buffer_fills_in_between() {
    let site = Site::new(Mode::Lines);
    let mut drop = site.open();
    let lines: Vec<String> = (1..=1200).map(|n| format!("line {n}")).collect();
    site.put(
        "log.txt",
        format!("\r\n{}\n\n", lines.join("\r\n")).as_bytes(),
    );
    let limited = FullAfter(site.kept.clone(), 600);
    drop.round(&limited).await;
    site.clock.advance(Duration::from_secs(2));
    assert!(drop.round(&limited).await.is_some());
    assert_eq!(site.kept.len(), 500);
    let mut again = site.open();
    site.settle(&mut again).await;
    assert_eq!(site.kept.bodies(), lines);
    assert_eq!(*site.kept.duplicates.lock().unwrap(), 500);
    let first = site.kept.messages.lock().unwrap()[0].envelope.clone();
    assert!(first.id.ends_with("-2"), "{}", first.id);
    assert_eq!(first.kind, "qc.line");
    assert_eq!(site.names(".done"), ["log.txt"]);
}

/// Takes messages until it holds `1`, then is full.
#[derive(Clone)]
struct FullAfter(Kept, usize);

impl Intake for FullAfter {
    async fn submit(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, IntakeError> {
        if self.0.len() + messages.len() > self.1 {
            return Err(full(Duration::from_secs(1)));
        }
        self.0.submit(messages).await
    }

    fn upload(&self, envelope: Envelope, most: u64) -> Result<Upload, IntakeError> {
        self.0.upload(envelope, most)
    }
}

#[tokio::test]
async fn a_file_of_lines_is_taken_whole_or_not_at_all() {
    let site = Site::new(Mode::Lines);
    let mut drop = site.open();
    site.put("latin1.txt", b"fine\nz\xfcrich\n");
    site.put("long.txt", &vec![b'x'; read::MAX_LINE + 1]);
    site.put("empty.txt", b"");
    site.put("longest.txt", &vec![b'x'; read::MAX_LINE]);
    site.settle(&mut drop).await;
    assert_eq!(site.kept.len(), 1);
    assert_eq!(site.reason("latin1.txt"), "QC4107 line 2 is not UTF-8\n");
    assert!(
        site.reason("long.txt")
            .starts_with("QC4108 line 1 has more than")
    );
    assert_eq!(site.names(".done"), ["empty.txt", "longest.txt"]);
}

#[tokio::test]
async fn run_polls_and_stops() {
    let mut site = Site::new(Mode::Whole);
    site.config.poll = Wait(Duration::from_millis(10));
    site.config.settle = Wait(Duration::ZERO);
    let drop = site.open();
    site.put("x", b"1");
    let stop = async {
        while site.names(".done").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let run = drop.run(site.kept.clone(), stop);
    tokio::time::timeout(Duration::from_secs(10), run)
        .await
        .unwrap();
    assert_eq!(site.kept.bodies(), ["1"]);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = "edge-1.mill.acme".parse().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::default()));
    let bad = |change: &dyn Fn(&mut FileDropConfig)| {
        let mut config = FileDropConfig::new(dir.path());
        change(&mut config);
        FileDrop::open("d", &config, &node, clock.clone(), Activity::default()).is_err()
    };
    assert!(!bad(&|_| {}));
    assert!(bad(&|c| c.done = "../done".to_owned()));
    assert!(bad(&|c| c.done = String::new()));
    assert!(bad(&|c| c.error = ".done".to_owned()));
    assert!(bad(&|c| c.max_bytes = Some(Size((1 << 30) + 1))));
    assert!(bad(&|c| c.path = "/does/not/exist".into()));
    std::os::unix::fs::symlink("/tmp", dir.path().join("away")).unwrap();
    assert!(
        bad(&|c| c.done = "away".to_owned()),
        "a folder that is a link"
    );
}

#[tokio::test]
async fn a_file_that_does_not_fit_into_a_record_goes_in_parts() {
    let site = Site::new(Mode::Whole);
    let mut drop = site.open();
    let body: Vec<u8> = (0..(33 << 19) + 7)
        .map(|n: u32| n.to_le_bytes()[0])
        .collect();
    site.put("long.bin", &body);
    site.settle(&mut drop).await;
    assert_eq!(site.names(".done"), ["long.bin"]);
    let parts = site.kept.messages.lock().unwrap().clone();
    let lengths: Vec<usize> = parts.iter().map(|part| part.body.len()).collect();
    assert_eq!(lengths[..16], [1 << 20; 16]);
    assert_eq!(lengths[16..], [(1 << 19) + 7 + 48]);
    assert!(parts.iter().all(|part| part.envelope == parts[0].envelope));
    assert_eq!(parts[0].envelope.subject.as_deref(), Some("long.bin"));

    // longer than any message, which nobody reads to find out
    let file = File::create(site.path("longest.bin")).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    std::mem::drop(file);
    site.settle(&mut drop).await;
    assert_eq!(
        site.reason("longest.bin"),
        "QC4105 the file has 1073741825 bytes; at most 1073741824 are allowed\n"
    );
    assert_eq!(site.kept.len(), 17);
}
