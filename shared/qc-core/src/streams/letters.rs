//! Looking at dead letters: newest first, page by page, with a bound on what one page may cost.

use std::fmt;
use std::str::FromStr;

use super::{Bounds, ReadError, Streams};
use crate::model::{Envelope, NameError, Part, Seq, StreamName, Tenant, Timestamp};
use crate::store::{DeadNote, Head, NoKey, Role, StreamKey, dead_letters};
use crate::wire::decode_envelope;

/// The most letters of one page.
pub const MAX_PAGE: usize = 500;
/// Letters that one page may look at to find those that are asked for.
const MAX_SCAN: usize = 5000;
/// Letters that are held while tenants are merged, over all of them.
const HELD: usize = 4096;
/// Bytes of letters, bodies included, that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Names a letter of this node: its tenant and its number, such as `acme-412`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterId {
    /// The tenant whose letter it is.
    pub tenant: Tenant,
    /// Its number among the tenant's letters.
    pub seq: Seq,
}

impl LetterId {
    /// The letter with this number about a message of `stream`.
    pub fn of(stream: &StreamName, seq: Seq) -> Self {
        let tenant = stream.tenant().parse();
        Self {
            tenant: tenant.expect("the tenant of a stream is one"),
            seq,
        }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tenant, self.seq)
    }
}

impl FromStr for LetterId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Form {
            text: crate::safe_text::safe(text, 80),
            form: "TENANT-NUMBER, such as acme-412",
        };
        let (tenant, seq) = text.rsplit_once('-').ok_or_else(wrong)?;
        let is_number = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
        Ok(Self {
            tenant: tenant.parse().map_err(|_| wrong())?,
            seq: Seq(seq),
        })
    }
}

/// Where a page ended: for each tenant the letter before which the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bookmark(Vec<LetterId>);

impl Bookmark {
    /// The next page begins behind `letter` among the letters of its tenant.
    pub fn behind(&mut self, letter: LetterId) {
        self.0.retain(|mark| mark.tenant != letter.tenant);
        self.0.push(letter);
    }

    /// The next page begins with `letter` among the letters of its tenant.
    pub fn at(&mut self, letter: LetterId) {
        self.behind(LetterId {
            seq: letter.seq.next(),
            ..letter
        });
    }
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ids.join(","))
    }
}

impl FromStr for Bookmark {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let ids = text.split(',').map(str::parse);
        Ok(Self(ids.collect::<Result<_, _>>()?))
    }
}

/// Which letters are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Only of this stream.
    pub stream: Option<StreamName>,
    /// Only with this code.
    pub code: Option<String>,
    /// At most this many; a page has 500 at most.
    pub limit: usize,
    /// Where an earlier page ended.
    pub before: Option<Bookmark>,
}

/// A letter as it may be shown: why, where, the attributes, and how long the body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Its name here.
    pub id: LetterId,
    /// When it was filed.
    pub filed: Timestamp,
    /// Why the message is dead and where it was; none if that cannot be read.
    pub note: Result<DeadNote, String>,
    /// The message's attributes, as far as they can be read.
    pub envelope: Envelope,
    /// The length of its body.
    pub body_bytes: u64,
    /// Which part of its message it is.
    pub part: Part,
    /// Why nobody can read the body, if so.
    pub no_key: Option<NoKey>,
}

/// Some letters, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<Filed>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Bookmark>,
}

/// The letter of this name.
pub async fn letter(streams: &dyn Streams, id: &LetterId) -> Result<Option<Filed>, ReadError> {
    let before = Seq(id.seq.0.saturating_sub(1));
    let home = home(&id.tenant);
    let heads = streams.heads(&home, before, Bounds::ONE).await?;
    let head = heads.into_iter().next();
    let head = head.filter(|head| head.header.seq == id.seq);
    Ok(head.map(|head| filed(&id.tenant, head)))
}

/// A page of letters, newest first. Looks at a bounded number of letters: a page may be short, or
/// empty, and still have a next one.
pub async fn letters(streams: &dyn Streams, search: &Search) -> Result<Page, ReadError> {
    let mut shelves = Shelf::all(streams, search);
    let limit = search.limit.clamp(1, MAX_PAGE);
    let step = (HELD / shelves.len().max(1)).clamp(4, 64) as u64;
    let mut page = Page::default();
    for _ in 0..MAX_SCAN {
        if page.letters.len() == limit {
            break;
        }
        for shelf in &mut shelves {
            if shelf.ready.is_empty() {
                shelf.fill(streams, step).await?;
            }
        }
        let newest = shelves
            .iter_mut()
            .filter(|shelf| !shelf.ready.is_empty())
            .max_by_key(|shelf| shelf.ready.last().map(|letter| letter.filed));
        let Some(letter) = newest.and_then(Shelf::take) else {
            return Ok(page);
        };
        if search.wants(&letter) {
            page.letters.push(letter);
        }
    }
    page.next = shelves
        .iter()
        .any(Shelf::has_more)
        .then(|| Bookmark(shelves.iter().map(Shelf::bookmark).collect()));
    Ok(page)
}

impl Search {
    fn wants(&self, letter: &Filed) -> bool {
        let Ok(note) = &letter.note else {
            return self.stream.is_none() && self.code.is_none();
        };
        let stream = self.stream.as_ref();
        let code = self.code.as_ref();
        stream.is_none_or(|stream| *stream == note.stream.name)
            && code.is_none_or(|code| *code == note.code)
    }
}

/// The letters of one tenant, read backwards.
struct Shelf {
    tenant: Tenant,
    home: StreamKey,
    /// The oldest letter that is kept.
    first: Seq,
    /// What comes before this one has not been read.
    unread: Seq,
    /// What comes before this one has not been given out.
    before: Seq,
    /// Read and not given out, oldest first.
    ready: Vec<Filed>,
}

impl Shelf {
    fn all(streams: &dyn Streams, search: &Search) -> Vec<Self> {
        let wanted = search.stream.as_ref().map(dead_letters);
        let all = streams.streams().into_iter();
        let homes = all.filter(|info| info.key.role == Role::Dead);
        let homes = homes.filter(|info| wanted.as_ref().is_none_or(|home| *home == info.key));
        let shelf = |info: crate::store::StreamInfo| {
            let tenant: Tenant = info.key.name.tenant().parse().ok()?;
            let mut marks = search.before.iter().flat_map(|marks| &marks.0);
            let mark = marks.find(|mark| mark.tenant == tenant);
            let before = mark.map_or_else(|| info.last.next(), |mark| mark.seq);
            Some(Self {
                tenant,
                home: info.key,
                first: info.first,
                unread: before,
                before,
                ready: Vec::new(),
            })
        };
        homes.filter_map(shelf).collect()
    }

    /// Reads up to `step` more letters, the newest of those that were not read.
    async fn fill(&mut self, streams: &dyn Streams, step: u64) -> Result<(), ReadError> {
        while self.ready.is_empty() && self.unread > self.first {
            let from = Seq(self.unread.0.saturating_sub(step)).max(self.first);
            let mut after = Seq(from.0.saturating_sub(1));
            while after.next() < self.unread {
                let bounds = Bounds {
                    records: usize::try_from(self.unread.0 - after.next().0).unwrap_or(1),
                    bytes: READ_BYTES,
                };
                let heads = streams.heads(&self.home, after, bounds).await?;
                let Some(last) = heads.last() else { break };
                after = last.header.seq;
                let unread = self.unread;
                let wanted = heads.into_iter();
                let wanted = wanted.filter(|head| head.header.seq < unread);
                let tenant = &self.tenant;
                self.ready.extend(wanted.map(|head| filed(tenant, head)));
            }
            self.unread = from;
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Filed> {
        let letter = self.ready.pop()?;
        self.before = letter.id.seq;
        Some(letter)
    }

    fn has_more(&self) -> bool {
        !self.ready.is_empty() || self.unread > self.first
    }

    fn bookmark(&self) -> LetterId {
        LetterId {
            tenant: self.tenant.clone(),
            seq: self.before,
        }
    }
}

fn home(tenant: &Tenant) -> StreamKey {
    let any = format!("{tenant}/any");
    dead_letters(&any.parse().expect("a tenant and a constant make a name"))
}

fn filed(tenant: &Tenant, record: Head) -> Filed {
    let (note, envelope) = match DeadNote::split(&record.head) {
        Ok((note, head)) => (Ok(note), decode_envelope(head).unwrap_or_default()),
        Err(error) => (Err(error.to_string()), Envelope::default()),
    };
    Filed {
        id: LetterId {
            tenant: tenant.clone(),
            seq: record.header.seq,
        },
        filed: record.header.accepted,
        note,
        envelope,
        body_bytes: record.body_bytes,
        part: record.header.part_of(),
        no_key: record.no_key,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{Epoch, Lane};
    use crate::secret::Secret;
    use crate::store::testing::block_on;
    use crate::store::testing::sim::SimDisk;
    use crate::store::testing::workload;
    use crate::store::{Custody, DeadLetter, Log, LogOptions, TenantKey};
    use crate::streams::Embedded;
    use crate::wire::encode_envelope;

    /// Every tenant has a key, until one is taken away.
    #[derive(Default)]
    struct Safe(Mutex<Option<NoKey>>);

    impl Custody for Safe {
        fn sealing(&self, tenant: &str) -> Result<Option<TenantKey>, NoKey> {
            let id = u32::from(tenant == "acme") + 1;
            self.opening(id).map(|key| Some((id, key)))
        }

        fn opening(&self, key: u32) -> Result<Secret<[u8; 32]>, NoKey> {
            let gone = self.0.lock().unwrap().clone().filter(|_| key == 2);
            gone.map_or_else(|| Ok(Secret::new([7; 32])), Err)
        }
    }

    fn about(stream: &str, seq: u64) -> DeadLetter {
        let mut head = Vec::new();
        encode_envelope(
            &Envelope::new(format!("id-{seq}"), "/t", "t.event"),
            &mut head,
        );
        DeadLetter {
            note: DeadNote {
                code: "QC4207".to_owned(),
                reason: "the other side answered 422".to_owned(),
                stream: StreamKey::hub(stream.parse().unwrap()),
                sender: "edge-1.site.acme".parse().ok(),
                epoch: Epoch::default(),
                seq: Seq(seq),
                consumer: String::new(),
                at: Timestamp::from_millis(1_000_000 + seq),
                attempts: 3,
            },
            lane: Lane::Normal,
            head: head.into(),
            body: vec![1; 100].into(),
            part: Part::WHOLE,
        }
    }

    #[test]
    fn a_tenant_without_a_key_does_not_stop_the_list() {
        let safe = Arc::new(Safe::default());
        let (disk, clock) = (
            SimDisk::default(),
            Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000))),
        );
        let open = || {
            let options = LogOptions {
                custody: Arc::<Safe>::clone(&safe),
                ..workload::options()
            };
            let clock = Arc::<ManualClock>::clone(&clock);
            let disk = Arc::new(disk.clone());
            let (log, _) = Log::open(disk, &options, workload::node_key(), clock).unwrap();
            log
        };
        let log = open();
        let engine = Embedded::new(log.clone(), Arc::<ManualClock>::clone(&clock));
        for seq in 1..4 {
            let both = vec![about("acme/orders", seq), about("other/orders", seq)];
            block_on(engine.bury(both)).unwrap();
        }
        log.close();
        let all = Search {
            limit: 50,
            ..Search::default()
        };
        let gone = [
            None,
            Some(NoKey::Away("the program does not answer".to_owned())),
            Some(NoKey::Destroyed("destroyed by its owner".to_owned())),
        ];
        for reason in gone {
            safe.0.lock().unwrap().clone_from(&reason);
            let log = open();
            let engine = Embedded::new(log.clone(), Arc::<ManualClock>::clone(&clock));
            let page = block_on(letters(&engine, &all)).unwrap();
            assert_eq!(page.letters.len(), 6, "{reason:?}");
            for filed in &page.letters {
                let note = filed.note.as_ref().unwrap();
                assert_eq!((note.code.as_str(), filed.body_bytes), ("QC4207", 100));
                assert_eq!(filed.envelope.id, format!("id-{}", note.seq));
                let expected = reason
                    .clone()
                    .filter(|_| filed.id.tenant.as_str() == "acme");
                assert_eq!(filed.no_key, expected);
                let one = block_on(letter(&engine, &filed.id)).unwrap();
                assert_eq!(one.as_ref(), Some(filed));
            }
            log.close();
        }
    }
}
