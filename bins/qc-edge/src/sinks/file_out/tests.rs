//! Real folders: deliveries once, again, after a crash, and with hostile names.

use std::fs;

use qc_core::clock::SystemClock;
use qc_core::model::{Envelope, Epoch, Message, Part};

use super::*;

fn delivery(seq: u64, subject: &str, body: &str) -> Delivery {
    Delivery {
        stream: "acme/orders".parse().unwrap(),
        epoch: Epoch(1),
        seq: Seq(seq),
        message: Message {
            envelope: Envelope {
                subject: Some(subject.to_owned()),
                ..Envelope::new(seq.to_string(), "/s", "t")
            },
            body: Bytes::from(body.to_owned()),
        },
        part: Part::WHOLE,
    }
}

fn sink(dir: &tempfile::TempDir, mode: FileMode, name: Option<&str>) -> FileOut {
    let config = FileOutConfig {
        path: dir.path().join("out"),
        mode,
        name: name.map(str::to_owned),
        unfinished: Wait::days(30),
    };
    FileOut::open(&config, Arc::new(SystemClock::default())).unwrap()
}

/// The folder's visible files with their content.
fn files(dir: &tempfile::TempDir) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(dir.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let content = fs::read_to_string(entry.path()).unwrap_or_default();
            (entry.file_name().into_string().unwrap(), content)
        })
        .filter(|(name, _)| !name.starts_with(".qc-"))
        .collect();
    files.sort();
    files
}

fn shown(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files
        .iter()
        .map(|(n, c)| (n.as_str(), c.as_str()))
        .collect()
}

#[tokio::test]
async fn a_delivery_that_comes_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(&dir, FileMode::OnePerMessage, Some("{subject}"));
    for _ in 0..3 {
        sink.deliver(&delivery(1, "a.csv", "one")).await.unwrap();
        sink.deliver(&delivery(2, "a.csv", "two")).await.unwrap();
        sink.deliver(&delivery(3, "b.csv", "")).await.unwrap();
    }
    assert_eq!(
        shown(&files(&dir)),
        [("a.2.csv", "two"), ("a.csv", "one"), ("b.csv", "")]
    );
}

#[tokio::test]
async fn a_seq_that_counts_anew_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(&dir, FileMode::OnePerMessage, None);
    for body in ["first life", "second life", "third life", "second life"] {
        sink.deliver(&delivery(1, "", body)).await.unwrap();
    }
    let contents: Vec<String> = files(&dir)
        .into_iter()
        .map(|(_, content)| content)
        .collect();
    assert_eq!(contents, ["first life", "second life", "third life"]);
}

#[tokio::test]
async fn nothing_leaves_the_folder_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(&dir, FileMode::OnePerMessage, Some("{subject}"));
    let outside = dir.path().join("outside");
    std::os::unix::fs::symlink(&outside, dir.path().join("out/link")).unwrap();
    for subject in ["../outside", "/outside", "link", ".."] {
        sink.deliver(&delivery(1, subject, "x")).await.unwrap();
        assert!(!outside.exists(), "{subject}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(files(&dir).len(), 5);
}

#[tokio::test]
async fn what_a_crash_left_aside_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = sink(&dir, FileMode::OnePerMessage, None);
    let hash = digest(&SHA256, b"x");
    let short = HEXLOWER.encode(&hash.as_ref()[..8]);
    let aside = dir.path().join(format!("out/.qc-1-{short}.tmp"));
    qc_core::durable::write_atomic(&aside, b"half", 0o600).unwrap();
    first.deliver(&delivery(1, "", "x")).await.unwrap();
    assert_eq!(shown(&files(&dir)), [("1", "x")]);
    assert!(!aside.exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(&dir, FileMode::OnePerMessage, None);
    fs::remove_dir(dir.path().join("out")).unwrap();
    let error = sink.deliver(&delivery(1, "", "x")).await.unwrap_err();
    assert!(matches!(&error, DeliverError::Retry { reason, .. } if reason.starts_with("QC4203")));
}

#[tokio::test]
async fn lines_are_appended_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = sink(&dir, FileMode::AppendLines, None);
    for (seq, body) in [
        (1, "one\n"),
        (2, "{\"a\":\n 1}"),
        (1, "one\n"),
        (3, "three"),
    ] {
        lines.deliver(&delivery(seq, "", body)).await.unwrap();
    }
    let error = lines
        .deliver(&delivery(4, "", "two\nlines"))
        .await
        .unwrap_err();
    assert!(matches!(error, DeliverError::Poison { code: "QC4204", .. }));
    let expected = "one\n{\"a\":  1}\nthree\n";
    assert_eq!(shown(&files(&dir)), [("orders.log", expected)]);

    // a crash after the line, or in the middle of it, before the note
    let path = dir.path().join("out/orders.log");
    for left in ["five\n", "fi", ""] {
        let note = fs::read(dir.path().join("out/.qc-orders.log.note")).unwrap();
        let before = fs::read(&path).unwrap();
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(left.as_bytes())
            .unwrap();
        let mut again = sink(&dir, FileMode::AppendLines, None);
        again.deliver(&delivery(5, "", "five")).await.unwrap();
        assert_eq!(
            shown(&files(&dir)),
            [("orders.log", format!("{expected}five\n").as_str())]
        );
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(before.len() as u64)
            .unwrap();
        let note_path = dir.path().join("out/.qc-orders.log.note");
        qc_core::durable::write_atomic(&note_path, &note, 0o600).unwrap();
    }

    // a log rotation takes the file away
    fs::rename(&path, dir.path().join("rotated")).unwrap();
    lines.deliver(&delivery(3, "", "three")).await.unwrap();
    lines.deliver(&delivery(6, "", "six")).await.unwrap();
    assert_eq!(shown(&files(&dir)), [("orders.log", "six\n")]);
}

#[test]
fn a_folder_is_for_one_sink_or_for_several_that_append() {
    let dir = tempfile::tempdir().unwrap();
    let open = |mode: &str| {
        let path = dir.path().to_str().unwrap();
        let text = format!(r#"{{"path":"{path}","mode":"{mode}"}}"#);
        let config = serde_json::from_str::<FileOutConfig>(&text).unwrap();
        FileOut::open(&config, Arc::new(SystemClock::default()))
    };
    let first = open("one-per-message").unwrap();
    for mode in ["one-per-message", "append-lines"] {
        let refused = open(mode).err().unwrap();
        assert_eq!(refused.sink_code(), "QC4202");
        assert!(refused.to_string().contains("a folder of its own"));
    }
    drop(first);
    let lines = [open("append-lines").unwrap(), open("append-lines").unwrap()];
    assert!(open("one-per-message").is_err());
    drop(lines);
    assert!(open("one-per-message").is_ok());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let config = |text: &str| serde_json::from_str::<FileOutConfig>(text).unwrap();
    let open = |config: &FileOutConfig| FileOut::open(config, Arc::new(SystemClock::default()));
    for bad in [
        r#"{"path":"/dev/null/x"}"#,
        r#"{"path":"/tmp","name":"{nobody}"}"#,
        r#"{"path":"/tmp","mode":"append-lines","name":"{seq}"}"#,
    ] {
        assert!(open(&config(bad)).is_err(), "{bad}");
    }
}
