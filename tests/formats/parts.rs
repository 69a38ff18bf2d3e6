//! A message in parts, as a sender cuts it: a line for each part with its digest, head and body in hex.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use qc_core::model::{Envelope, Lane, Seq};
use qc_core::parts::{Sizes, Trailer, Upload};
use qc_core::store::{Draft, Outcome};
use qc_core::streams::Receipt;
use qc_core::wire::decode_envelope;

const PARTS: &str = include_str!("parts-1.txt");
const BODY: &[u8] = b"a body of thirty-one bytes here";
/// Parts of twelve bytes.
const SIZES: Sizes = Sizes {
    record: 12,
    part: 12,
    whole: 1000,
};

/// Digest, head and body of every part.
fn kept() -> Vec<[Vec<u8>; 3]> {
    let lines = PARTS.lines().filter(|line| !line.starts_with('#'));
    let part = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let bytes = |at: usize| HEXLOWER.decode(words[at].as_bytes()).unwrap();
        [bytes(1), bytes(2), bytes(3)]
    };
    lines.map(part).collect()
}

async fn cut() -> Vec<Draft> {
    let drafts = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&drafts);
    let submit = move |draft: Draft| -> Receipt {
        let mut taken = taken.lock().unwrap();
        taken.push(draft);
        let seq = Seq(taken.len() as u64);
        Box::pin(async move { Ok(vec![Outcome::Stored { seq }]) })
    };
    let envelope = Envelope::new("scan-17", "/press/7", "scan");
    let mut upload = Upload::new(&envelope, Lane::Low, SIZES, Box::new(submit));
    upload.push(Bytes::from_static(BODY)).await.unwrap();
    upload.finish().await.unwrap();
    std::mem::take(&mut *drafts.lock().unwrap())
}

#[tokio::test]
async fn a_body_is_cut_as_it_always_was() {
    let drafts = cut().await;
    let mut written = String::new();
    for draft in &drafts {
        let [dedupe, head, body] = [&draft.dedupe[..], &draft.head, &draft.body];
        let [dedupe, head, body] = [dedupe, head, body].map(|bytes| HEXLOWER.encode(bytes));
        let place = draft.part.number;
        writeln!(written, "{place} {dedupe} {head} {body}").unwrap();
    }
    let known = PARTS.lines().filter(|line| !line.starts_with('#'));
    assert!(
        written.lines().eq(known),
        "parts-1.txt says other than\n{written}"
    );
    let last: Vec<bool> = drafts.iter().map(|draft| draft.part.is_last).collect();
    assert_eq!(last, [false, false, true]);
}

#[test]
fn what_was_cut_once_is_put_together() {
    let mut whole = Vec::new();
    let parts = kept();
    let (last, before) = parts.split_last().unwrap();
    for [_, head, body] in before {
        assert_eq!(decode_envelope(head).unwrap().id, "scan-17");
        whole.extend_from_slice(body);
    }
    let (end, trailer) = Trailer::split(&Bytes::from(last[2].clone())).unwrap();
    whole.extend_from_slice(&end);
    assert_eq!(whole, BODY);
    assert_eq!(trailer.total, BODY.len() as u64);
    // by another program: printf 'a body of thirty-one bytes here' | sha256sum
    let digest = "3c28a1a1f987858654171ddd0554f951716e533507ee47dad61cc848cf65b4a1";
    assert_eq!(HEXLOWER.encode(&trailer.sha256), digest);
}
