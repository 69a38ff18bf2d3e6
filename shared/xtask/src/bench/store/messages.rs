//! The messages of the bench: 1 KiB that nothing can compress, and an id that is never given twice.

use bytes::Bytes;
use qc_core::model::{Envelope, Lane, StreamName};
use qc_core::store::{Draft, StreamKey, dedupe_key};
use qc_core::wire::encode_envelope;

use crate::bench::raw::MESSAGE;

/// Where bodies are cut from: larger than the caches that are near a core, as bodies from sockets are.
#[derive(Debug, Clone)]
pub(super) struct Pool(Bytes);

/// An endless row of messages.
#[derive(Debug, Clone)]
pub(super) struct Messages {
    pool: Pool,
    at: usize,
    tag: u64,
    count: u64,
    keyed: bool,
}

const POOL: usize = 4 << 20;
const SOURCE: &str = "/bench/source";

impl Pool {
    pub(super) fn new() -> Self {
        let words = std::iter::repeat_with(|| fastrand::u64(..).to_le_bytes());
        Self(words.take(POOL / 8).flatten().collect())
    }
}

impl Messages {
    /// Messages with ids of their own.
    pub(super) fn new(pool: &Pool) -> Self {
        Self {
            pool: pool.clone(),
            at: fastrand::usize(..POOL),
            tag: fastrand::u64(..),
            count: 0,
            keyed: true,
        }
    }

    /// Messages that are never a duplicate, so that nothing is kept to know them again.
    pub(super) fn without_keys(pool: &Pool) -> Self {
        Self {
            keyed: false,
            ..Self::new(pool)
        }
    }

    pub(super) fn drafts(&mut self, count: u32) -> Vec<Draft> {
        (0..count).map(|_| self.draft()).collect()
    }

    pub(super) fn draft(&mut self) -> Draft {
        let id = format!("{:016x}-{:012}", self.tag, self.count);
        self.count += 1;
        let dedupe = if self.keyed {
            dedupe_key(SOURCE, &id)
        } else {
            [0; 16]
        };
        let mut head = Vec::with_capacity(128);
        encode_envelope(&Envelope::new(id, SOURCE, "qc.bench"), &mut head);
        Draft {
            lane: Lane::Normal,
            head: head.into(),
            body: self.body(),
            part: qc_core::model::Part::WHOLE,
            dedupe,
            hop: None,
        }
    }

    fn body(&mut self) -> Bytes {
        let size = MESSAGE as usize;
        self.at = (self.at + size) % (POOL - size);
        self.pool.0.slice(self.at..self.at + size)
    }
}

/// So many streams, each with a name of its own.
pub(super) fn streams(count: u32) -> Vec<StreamKey> {
    let key = |number| {
        let name = format!("bench/stream-{number}");
        StreamKey::hub(name.parse::<StreamName>().expect("a constant and a number"))
    };
    (0..count).map(key).collect()
}

/// Bytes that a caller gave for a draft.
pub(super) fn given(draft: &Draft) -> u64 {
    (draft.head.len() + draft.body.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_message_is_given_twice() {
        let pool = Pool::new();
        let (mut one, mut other) = (Messages::new(&pool), Messages::new(&pool));
        let drafts: Vec<_> = one
            .drafts(500)
            .into_iter()
            .chain(other.drafts(500))
            .collect();
        let keys: HashSet<_> = drafts.iter().map(|draft| draft.dedupe).collect();
        assert_eq!(keys.len(), 1000);
        assert!(drafts.iter().all(|draft| draft.body.len() == 1024));
        assert!(given(&drafts[0]) > 1024);
        assert_eq!(Messages::without_keys(&pool).draft().dedupe, [0; 16]);
        assert_eq!(streams(3).iter().collect::<HashSet<_>>().len(), 3);
    }
}
