//! Rules of dead letters: nothing is forgotten of them, each is there once, and the stream goes on.

use std::sync::Arc;

use super::{Make, Verdict, body, cut, ensure, everything, get, message, publish, stream};
use crate::model::{Lane, NodeName, Seq, Timestamp};
use crate::store::{DeadLetter, DeadNote, StreamKey};
use crate::streams::{Account, Search, Streams, letter, letters};
use crate::wire::encode_envelope;

/// The letter about message `id`, which stands under `seq` in the stream; consumers are named, and
/// who was refused on its way in has none.
fn about(
    engine: &dyn Streams,
    from: &StreamKey,
    (id, seq): (u64, u64),
    consumer: &str,
) -> DeadLetter {
    let mut head = Vec::new();
    encode_envelope(&message(id).envelope, &mut head);
    let epoch = engine.info(from).map(|info| info.epoch).unwrap_or_default();
    let sender = || -> NodeName { "edge-1.site.acme".parse().expect("a name of the suite") };
    DeadLetter {
        note: DeadNote {
            code: format!("QC42{:02}", id % 3),
            reason: format!("the other side answered 422 to {id}"),
            stream: from.clone(),
            sender: consumer.is_empty().then(sender),
            epoch,
            seq: Seq(seq),
            consumer: consumer.to_owned(),
            at: Timestamp::from_millis(1_000_000 + id),
            attempts: 3,
        },
        lane: Lane::High,
        head: head.into(),
        body: body(id),
        part: crate::model::Part::WHOLE,
    }
}

/// Code, reason, place, consumer, time and attempts are there after the power is cut, and so is the
/// message, byte for byte.
pub(super) fn a_letter_keeps_reason_place_and_message(make: Make<'_>) -> Verdict {
    let ground = make();
    let from = stream("acme/a");
    let engine = ground.open();
    publish(engine.as_ref(), &from, 0..5)?;
    let sent = [
        about(engine.as_ref(), &from, (2, 3), "sink.hook"),
        about(engine.as_ref(), &from, (77, 12), ""),
        about(engine.as_ref(), &from, (78, 0), ""),
    ];
    get("bury", engine.bury(sent.to_vec()))?;
    let engine = cut(ground.as_ref(), engine);
    let page = get("letters", letters(engine.as_ref(), &all()))?;
    ensure!(
        page.letters.len() == 3,
        "of 3 letters {} are there",
        page.letters.len()
    );
    for (sent, filed) in sent.iter().rev().zip(&page.letters) {
        ensure!(
            filed.note.as_ref() == Ok(&sent.note),
            "sent {:?}, kept {:?}",
            sent.note,
            filed.note
        );
        let one = get("letter", letter(engine.as_ref(), &filed.id))?;
        ensure!(
            one.as_ref() == Some(filed),
            "{} shows something else",
            filed.id
        );
    }
    let kept = everything(engine.as_ref(), &sent[0].home())?;
    for (sent, kept) in sent.iter().zip(&kept) {
        let (_, head) = DeadNote::split(&kept.head).map_err(|error| error.to_string())?;
        let same = head == &sent.head[..] && kept.body == sent.body;
        ensure!(same, "the message of {:?} has changed", sent.note);
    }
    Ok(())
}

/// The same death told again, as after a crash, is the same letter; another consumer's is another.
pub(super) fn a_letter_is_written_once(make: Make<'_>) -> Verdict {
    let ground = make();
    let from = stream("acme/a");
    let mut engine = ground.open();
    publish(engine.as_ref(), &from, 0..5)?;
    for _ in 0..3 {
        for consumer in ["sink.a", "sink.b", ""] {
            let letter = about(engine.as_ref(), &from, (2, 3), consumer);
            get("bury", engine.bury(vec![letter]))?;
        }
        engine = cut(ground.as_ref(), engine);
    }
    let page = get("letters", letters(engine.as_ref(), &all()))?;
    let count = page.letters.len();
    ensure!(count == 3, "three deaths, told thrice, are {count} letters");
    Ok(())
}

/// The consumer stands behind the dead message, counts it as dead, and the rest is still to come.
pub(super) fn a_letter_lets_its_consumer_go_on(make: Make<'_>) -> Verdict {
    let ground = make();
    let from = stream("acme/a");
    let mut engine = ground.open();
    publish(engine.as_ref(), &from, 0..10)?;
    engine.advance(&from, "sink", Seq(2));
    for (dead, seq) in [(1, 3), (2, 4), (3, 8)] {
        engine.advance(&from, "sink", Seq(seq - 1));
        let letter = about(engine.as_ref(), &from, (seq - 1, seq), "sink");
        get("bury", engine.bury(vec![letter]))?;
        // what was said with the letter needs no flush
        engine = cut(ground.as_ref(), engine);
        let at = engine.position(&from, "sink");
        ensure!(
            at == Seq(seq),
            "{seq} is a dead letter, the consumer stands at {at}"
        );
        let account = only_account(&engine, &from)?;
        let expected = Account {
            received: 10,
            acked: seq - dead,
            dead,
            pending: 10 - seq,
            ..Account::default()
        };
        ensure!(
            Account {
                duplicates: 0,
                ..account
            } == expected,
            "after {dead} dead: {account:?}"
        );
    }
    Ok(())
}

/// Pages are bounded, newest first, go on where the last one ended, and can be asked for one stream
/// or code.
pub(super) fn letters_are_listed_newest_first(make: Make<'_>) -> Verdict {
    let ground = make();
    let engine = ground.open();
    let homes = ["acme/a", "globex/x", "acme/b"].map(stream);
    let mut sent = Vec::new();
    for (id, from) in (0..45_u64).zip(homes.iter().cycle()) {
        let letter = about(engine.as_ref(), from, (id, id + 1), "");
        ground.clock().advance(std::time::Duration::from_millis(1));
        get("bury", engine.bury(vec![letter.clone()]))?;
        sent.insert(0, letter.note);
    }
    let of_stream = Search {
        stream: Some(homes[2].name.clone()),
        ..all()
    };
    let of_code = Search {
        code: Some("QC4201".to_owned()),
        ..all()
    };
    for search in [all(), of_stream, of_code] {
        let wanted = sent.iter().filter(|note| {
            search
                .stream
                .as_ref()
                .is_none_or(|name| *name == note.stream.name)
                && search.code.as_ref().is_none_or(|code| *code == note.code)
        });
        let (mut found, mut next) = (Vec::new(), Some(search.before.clone()));
        while let Some(before) = next.take() {
            let ask = Search {
                limit: 7,
                before,
                ..search.clone()
            };
            let page = get("letters", letters(engine.as_ref(), &ask))?;
            ensure!(
                page.letters.len() <= 7,
                "a page of 7 has {}",
                page.letters.len()
            );
            found.extend(
                page.letters
                    .into_iter()
                    .filter_map(|letter| letter.note.ok()),
            );
            ensure!(found.len() <= sent.len(), "the pages never end");
            next = page.next.map(Some);
        }
        ensure!(
            found.iter().eq(wanted.clone()),
            "{search:?} finds {} of {}",
            found.len(),
            wanted.count()
        );
    }
    Ok(())
}

fn all() -> Search {
    Search {
        limit: 100,
        ..Search::default()
    }
}

fn only_account(engine: &Arc<dyn Streams>, of: &StreamKey) -> Result<Account, String> {
    let accounts = get("accounts", engine.accounts(of))?;
    match accounts.as_slice() {
        [(_, account)] => Ok(*account),
        other => Err(format!("one consumer, and the accounts {other:?}")),
    }
}
