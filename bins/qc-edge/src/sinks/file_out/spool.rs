//! Messages in parts on their way to a file: each part goes to its place in a hidden file of the folder as
//! it comes, and the file gets its name when it is whole and its digest is right.
//!
//! ```text
//! .qc-KEY.parts   the body so far, readable by nobody else
//! .qc-KEY.head    its envelope, the length of its parts, and what became of it
//! ```
//!
//! KEY is made of stream, `source` and `id`. A part counts as delivered when `fdatasync` returned for it, so other
//! messages of the stream never wait for a slow one, and what has come is not asked for again. A part that
//! comes again is written again to the same place. A head outlives its file for a while: after a crash the last
//! few parts may come again.
//!
//! What does not become whole, because its rest never comes or does not fit, goes to the dead letters from
//! here, last part first, and the file becomes shorter by each.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use qc_core::clock::Clock;
use qc_core::model::{Envelope, Part, Seq, StreamName};
use qc_core::parts::{self, Trailer};
use qc_core::safe_text::safe;
use qc_core::store::dedupe_key;
use qc_core::wire::{MAX_HEAD, decode_envelope, encode_envelope};
use rustix::fd::AsFd as _;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::super::{DeliverError, Delivery, Leftover};
use super::{Folder, c_name};
use crate::sources::beneath::open_beneath;

/// A part is missing that should have come before.
const MISSING: &str = "QC4208";
/// What came is no part of the message, or all of it is not what was sent.
const MISFIT: &str = "QC4209";
/// The rest did not come.
const UNFINISHED: &str = "QC4210";

/// Messages that may be unfinished at once; before one more is begun, the one that was silent longest is given
/// up, if that was at least [`TELL`]. Each is two files and little memory.
const MAX_OPEN: usize = 4096;
/// How long, and how many of them at most, it is remembered that a message is whole.
const REMEMBER: Duration = Duration::from_mins(10);
const MAX_REMEMBERED: usize = 64;
/// After how much silence the log says that the rest of a message is missing, and it may be given up for others.
const TELL: Duration = Duration::from_mins(10);
/// The longest head file: an envelope in base64, and little else.
const MAX_NOTE: u64 = (MAX_HEAD * 2) as u64;

/// The messages of a folder that are not whole.
pub(super) struct Spools {
    all: BTreeMap<Key, Spool>,
    /// [`MAX_OPEN`]; less under test.
    pub(super) most: usize,
    unfinished: Duration,
    clock: Arc<dyn Clock>,
}

type Key = [u8; 16];

struct Spool {
    note: Note,
    envelope: Envelope,
    /// Bytes of the file.
    length: u64,
    /// So much from the beginning was written by this process and hashed.
    hashed: Option<(u64, Context)>,
    /// When its last part came, or this process started.
    heard: Instant,
    is_told: bool,
}

/// The head file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    version: u32,
    stream: String,
    /// The encoded envelope.
    head: String,
    /// The length of all parts but the last.
    part: u64,
    fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    /// Parts are missing.
    Open,
    /// It is whole; its file has this name, or gets it now.
    Whole {
        name: String,
        seq: u64,
        short: String,
    },
    /// It goes to the dead letters.
    Broken { code: String, reason: String },
}

/// A part of a message, taken apart.
struct Piece {
    number: u32,
    bytes: Bytes,
    /// Where it stands in the whole.
    offset: u64,
    /// What the last part says of the whole.
    trailer: Option<Trailer>,
}

impl Piece {
    fn of(delivery: &Delivery) -> Result<Self, DeliverError> {
        let (part, body) = (delivery.part, &delivery.message.body);
        let number = part.number;
        let malformed = |why: String| DeliverError::poison(MISFIT, format!("part {number}: {why}"));
        if part.is_last {
            let (bytes, trailer) =
                Trailer::split(body).map_err(|error| malformed(error.to_string()))?;
            let offset = trailer.total - bytes.len() as u64;
            return Ok(Self {
                number,
                bytes,
                offset,
                trailer: Some(trailer),
            });
        }
        let offset = parts::offset(number, body.len()).filter(|_| !body.is_empty());
        let offset = offset.ok_or_else(|| {
            malformed(format!("with {} bytes it fits into no message", body.len()))
        })?;
        Ok(Self {
            number,
            bytes: body.clone(),
            offset,
            trailer: None,
        })
    }

    /// Why it is no part of a message whose parts have `length` bytes, if so.
    fn misfit(&self, length: u64) -> Option<String> {
        let bytes = self.bytes.len() as u64;
        let fits = match self.trailer {
            None => bytes == length,
            Some(_) => bytes <= length && self.offset == u64::from(self.number) * length,
        };
        (!fits).then(|| {
            let number = self.number;
            format!("part {number} has {bytes} bytes where the parts of its message have {length}")
        })
    }
}

impl Spools {
    /// What earlier processes have left in `folder`. Naming a file that is whole is made up for.
    pub(super) fn open(
        folder: &Folder,
        unfinished: Duration,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let now = clock.instant();
        let mut all = BTreeMap::new();
        let mut files = Vec::new();
        for entry in Dir::read_from(&folder.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let Some((key, kind)) = parse_name(name) else {
                continue;
            };
            if kind == Kind::Parts {
                files.push(key);
                continue;
            }
            match Spool::read(folder, &key, now) {
                Ok(spool) => drop(all.insert(key, spool)),
                Err(error) => {
                    let file = safe(&String::from_utf8_lossy(name), 80);
                    tracing::error!(code = "QC4203", file, %error, "A message in parts is left where it is.");
                }
            }
        }
        let mut spools = Self {
            all,
            most: MAX_OPEN,
            unfinished,
            clock,
        };
        for key in files {
            let head = file_name(&key, Kind::Head)?;
            match spools.all.get_mut(&key) {
                Some(spool) => spool.place(folder, &key)?,
                // its first part was never said to be delivered
                None if !folder.is_taken(&head)? => {
                    folder.remove(&file_name(&key, Kind::Parts)?)?;
                }
                None => {}
            }
        }
        Ok(spools)
    }

    /// Takes a part. `name` is what the message is called when it is whole.
    pub(super) fn take(
        &mut self,
        folder: &Folder,
        name: &str,
        delivery: &Delivery,
    ) -> Result<(), DeliverError> {
        let piece = Piece::of(delivery)?;
        let key = key_of(&delivery.stream, &delivery.message.envelope);
        let later = |error: io::Error| folder.later(&error);
        if !self.all.contains_key(&key) {
            if piece.number > 0 {
                let reason = format!("part {} came, and none before it", piece.number);
                return Err(DeliverError::poison(MISSING, reason));
            }
            if !self.make_room(folder).map_err(later)? {
                let most = self.most;
                return Err(DeliverError::retry(format!(
                    "{UNFINISHED} {most} messages in parts are unfinished and all of them go on; \
                     the next waits for one to end or to fall silent"
                )));
            }
            let spool = Spool::begin(folder, &key, delivery, &piece, self.clock.instant());
            self.all.insert(key, spool.map_err(later)?);
        }
        let now = self.clock.instant();
        let spool = self.all.get_mut(&key).expect("just looked up or made");
        if !parts::is_same(&spool.envelope, &delivery.message.envelope) {
            let reason = format!("part {} has another head than the first", piece.number);
            return Err(DeliverError::poison(MISFIT, reason));
        }
        if let Some(reason) = piece.misfit(spool.note.part) {
            return Err(DeliverError::poison(MISFIT, reason));
        }
        match &spool.note.fate {
            Fate::Whole { .. } => return spool.place(folder, &key).map_err(later),
            Fate::Broken { reason, .. } => {
                return Err(DeliverError::poison(MISSING, reason.clone()));
            }
            Fate::Open => {}
        }
        spool.heard = now;
        let before = spool.length;
        if before > 0 && spool.file(folder, &key).map_err(later)?.is_none() {
            let reason = format!("the file with its first {before} bytes is gone");
            spool
                .break_up(folder, &key, MISSING, &reason)
                .map_err(later)?;
            return Err(DeliverError::poison(MISSING, reason));
        }
        if piece.offset > spool.length {
            let reason = format!(
                "part {} came, and of those before it only {} bytes",
                piece.number, spool.length
            );
            spool
                .break_up(folder, &key, MISSING, &reason)
                .map_err(later)?;
            return Err(DeliverError::poison(MISSING, reason));
        }
        spool.write(folder, &key, &piece).map_err(later)?;
        let Some(trailer) = piece.trailer else {
            return Ok(());
        };
        let sha256 = spool.digest(folder, &key, trailer.total).map_err(later)?;
        if sha256 != trailer.sha256 {
            let reason = "the parts do not make what was sent: the digest is another";
            // the last part is a letter of its own
            spool.length = piece.offset;
            spool
                .break_up(folder, &key, MISFIT, reason)
                .map_err(later)?;
            return Err(DeliverError::poison(MISFIT, reason));
        }
        let short = HEXLOWER.encode(sha256.get(..8).expect("a digest of 32 bytes"));
        let fate = Fate::Whole {
            name: name.to_owned(),
            seq: delivery.seq.0,
            short,
        };
        spool.decide(folder, &key, fate).map_err(later)?;
        spool.place(folder, &key).map_err(later)
    }

    /// The next part for the dead letters; what was silent for too long is given up first.
    pub(super) fn leftover(&mut self, folder: &Folder) -> io::Result<Option<Leftover>> {
        let now = self.clock.instant();
        self.forget_whole(folder, now)?;
        let silent = |spool: &Spool| now.saturating_duration_since(spool.heard);
        for (key, spool) in &mut self.all {
            if spool.note.fate != Fate::Open {
                continue;
            }
            let (silent, bytes) = (silent(spool), spool.length);
            if silent >= self.unfinished {
                let reason = format!("its rest did not come: {bytes} bytes are here");
                spool.break_up(folder, key, UNFINISHED, &reason)?;
            } else if silent >= TELL && !spool.is_told {
                spool.is_told = true;
                let (stream, id) = (&spool.note.stream, safe(&spool.envelope.id, 80));
                tracing::warn!(
                    code = UNFINISHED,
                    stream,
                    id,
                    bytes,
                    "The rest of a message in parts is awaited."
                );
            }
        }
        let broken = |spool: &Spool| matches!(spool.note.fate, Fate::Broken { .. });
        for (key, spool) in &mut self.all {
            if broken(spool) && spool.length > 0 {
                spool.file(folder, key)?;
            }
        }
        let emptied =
            |(key, spool): (&Key, &Spool)| (broken(spool) && spool.length == 0).then_some(*key);
        let emptied: Vec<Key> = self.all.iter().filter_map(emptied).collect();
        for key in emptied {
            self.remove(folder, &key)?;
        }
        let next = self.all.iter().find(|(_, spool)| broken(spool));
        next.map(|(key, spool)| spool.last_part(folder, key))
            .transpose()
    }

    /// The leftover is a dead letter now.
    pub(super) fn forget(&mut self, folder: &Folder, leftover: &Leftover) -> io::Result<()> {
        let Ok(envelope) = decode_envelope(&leftover.head) else {
            return Ok(());
        };
        let key = key_of(&leftover.stream, &envelope);
        let Some(spool) = self.all.get_mut(&key) else {
            return Ok(());
        };
        let length = u64::from(leftover.part.number) * spool.note.part;
        if let Some(file) = spool.file(folder, &key)? {
            file.set_len(length)?;
            file.sync_all()?;
            spool.length = length;
        }
        if spool.length == 0 {
            self.remove(folder, &key)?;
        }
        Ok(())
    }

    /// Whether there is nothing to look after.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many messages are not whole.
    pub(super) fn unfinished(&self) -> usize {
        let open = |spool: &&Spool| spool.note.fate == Fate::Open;
        self.all.values().filter(open).count()
    }

    /// Whether one more may be begun. When there are too many, the message that was silent longest is given
    /// up, but never one that may still be coming.
    fn make_room(&mut self, folder: &Folder) -> io::Result<bool> {
        if self.unfinished() < self.most {
            return Ok(true);
        }
        let now = self.clock.instant();
        let open = self.all.iter_mut();
        let open = open.filter(|(_, spool)| spool.note.fate == Fate::Open);
        match open.min_by_key(|(_, spool)| spool.heard) {
            Some((key, spool)) if now.saturating_duration_since(spool.heard) >= TELL => {
                let reason = format!("more than {} messages are unfinished", self.most);
                spool.break_up(folder, key, UNFINISHED, &reason)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Forgets messages that have been whole for a while.
    fn forget_whole(&mut self, folder: &Folder, now: Instant) -> io::Result<()> {
        let whole = self.all.iter();
        let whole = whole.filter(|(_, spool)| matches!(spool.note.fate, Fate::Whole { .. }));
        let mut whole: Vec<(Instant, Key)> =
            whole.map(|(key, spool)| (spool.heard, *key)).collect();
        whole.sort_unstable();
        let surplus = whole.len().saturating_sub(MAX_REMEMBERED);
        for (at, (heard, key)) in whole.into_iter().enumerate() {
            if at < surplus || now.saturating_duration_since(heard) >= REMEMBER {
                self.remove(folder, &key)?;
            }
        }
        Ok(())
    }

    /// The head goes last: without it the file means nothing.
    fn remove(&mut self, folder: &Folder, key: &Key) -> io::Result<()> {
        folder.remove(&file_name(key, Kind::Parts)?)?;
        folder.remove(&file_name(key, Kind::Head)?)?;
        self.all.remove(key);
        Ok(rustix::fs::fsync(&folder.dir)?)
    }
}

impl Spool {
    fn begin(
        folder: &Folder,
        key: &Key,
        delivery: &Delivery,
        first: &Piece,
        now: Instant,
    ) -> io::Result<Self> {
        Self::make(folder, key)?;
        let envelope = delivery.message.envelope.clone();
        let mut head = Vec::new();
        encode_envelope(&envelope, &mut head);
        let note = Note {
            version: 1,
            stream: delivery.stream.to_string(),
            head: BASE64.encode(&head),
            part: first.bytes.len() as u64,
            fate: Fate::Open,
        };
        note.write(folder, key)?;
        Ok(Self {
            note,
            envelope,
            length: 0,
            hashed: Some((0, Context::new(&SHA256))),
            heard: now,
            is_told: false,
        })
    }

    fn read(folder: &Folder, key: &Key, now: Instant) -> io::Result<Self> {
        let note = Note::read(folder, key)?;
        let head = BASE64.decode(note.head.as_bytes());
        let head = head.map_err(|_| damaged())?;
        let name = file_name(key, Kind::Parts)?;
        let length = match rustix::fs::statat(&folder.dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => u64::try_from(stat.st_size).unwrap_or(0),
            Err(Errno::NOENT) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            envelope: decode_envelope(&head).map_err(|_| damaged())?,
            note,
            length,
            hashed: None,
            heard: now,
            is_told: false,
        })
    }

    /// A new file with nothing in it.
    fn make(folder: &Folder, key: &Key) -> io::Result<File> {
        let name = file_name(key, Kind::Parts)?;
        folder.remove(&name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = open_beneath(folder.dir.as_fd(), &name, flags, folder.resolve)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o600))?;
        Ok(File::from(file))
    }

    fn must_open(folder: &Folder, key: &Key) -> io::Result<File> {
        let name = file_name(key, Kind::Parts)?;
        let file = open_beneath(folder.dir.as_fd(), &name, OFlags::RDWR, folder.resolve)?;
        Ok(File::from(file))
    }

    /// Its file; none when somebody else has removed it, and then nothing of the message is here.
    fn file(&mut self, folder: &Folder, key: &Key) -> io::Result<Option<File>> {
        match Self::must_open(folder, key) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (stream, id) = (&self.note.stream, safe(&self.envelope.id, 80));
                let bytes = self.length;
                tracing::error!(
                    code = MISSING,
                    stream,
                    id,
                    bytes,
                    "What had come of a message in parts was removed from the folder."
                );
                (self.length, self.hashed) = (0, None);
                Ok(None)
            }
            file => file.map(Some),
        }
    }

    /// Writes a part to its place, also when it is there already: a crash may have left less than it
    /// seems.
    fn write(&mut self, folder: &Folder, key: &Key, piece: &Piece) -> io::Result<()> {
        let end = piece.offset + piece.bytes.len() as u64;
        let hashed = self.hashed.as_ref().map_or(0, |(at, _)| *at);
        if end <= hashed && piece.trailer.is_none() {
            return Ok(()); // this process has written and synced it
        }
        let file = match self.file(folder, key)? {
            Some(file) => file,
            // nothing of it was here
            None => Self::make(folder, key)?,
        };
        file.write_all_at(&piece.bytes, piece.offset)?;
        if let Some(trailer) = &piece.trailer {
            file.set_len(trailer.total)?;
        }
        file.sync_data()?;
        match &mut self.hashed {
            Some((at, context)) if *at == piece.offset => {
                context.update(&piece.bytes);
                *at = end;
            }
            // written again over what was hashed
            Some((at, _)) if *at > piece.offset => self.hashed = None,
            _ => {}
        }
        self.length = match piece.trailer {
            Some(trailer) => trailer.total,
            None => self.length.max(end),
        };
        Ok(())
    }

    /// The digest of the whole file; only what this process has not written itself is read.
    fn digest(&mut self, folder: &Folder, key: &Key, total: u64) -> io::Result<[u8; 32]> {
        let fresh = || (0, Context::new(&SHA256));
        let (mut at, mut context) = self.hashed.take().unwrap_or_else(fresh);
        let file = Self::must_open(folder, key)?;
        let mut buffer = vec![0; 64 * 1024];
        while at < total {
            let read = file.read_at(&mut buffer, at)?;
            let found = buffer.get(..read).filter(|found| !found.is_empty());
            let found = found.ok_or(io::ErrorKind::UnexpectedEof)?;
            context.update(found);
            at += read as u64;
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(context.finish().as_ref());
        Ok(sha256)
    }

    /// Gives a message that is whole its name, unless it has it.
    fn place(&self, folder: &Folder, key: &Key) -> io::Result<()> {
        let Fate::Whole { name, seq, short } = &self.note.fate else {
            return Ok(());
        };
        let aside = file_name(key, Kind::Parts)?;
        if !folder.is_taken(&aside)? {
            return Ok(());
        }
        let file = Self::must_open(folder, key)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o640))?;
        file.sync_all()?;
        let same = |name: &std::ffi::CStr| folder.is_same_file(name, &file);
        folder.place(&aside, name, Seq(*seq), short, || Ok(()), same)
    }

    fn break_up(
        &mut self,
        folder: &Folder,
        key: &Key,
        code: &'static str,
        reason: &str,
    ) -> io::Result<()> {
        let (stream, id) = (&self.note.stream, safe(&self.envelope.id, 80));
        tracing::warn!(
            code,
            stream,
            id,
            reason,
            "A message in parts goes to the dead letters."
        );
        let fate = Fate::Broken {
            code: code.to_owned(),
            reason: reason.to_owned(),
        };
        if self.length > 0
            && let Some(file) = self.file(folder, key)?
        {
            file.set_len(self.length)?;
        }
        self.decide(folder, key, fate)
    }

    fn decide(&mut self, folder: &Folder, key: &Key, fate: Fate) -> io::Result<()> {
        let note = Note {
            fate,
            ..self.note.clone()
        };
        note.write(folder, key)?;
        self.note = note;
        Ok(())
    }

    /// The last part of what is here.
    fn last_part(&self, folder: &Folder, key: &Key) -> io::Result<Leftover> {
        let Fate::Broken { code, reason } = &self.note.fate else {
            return Err(io::Error::other("the message is not broken"));
        };
        let number = (self.length.saturating_sub(1)) / self.note.part.max(1);
        let from = number * self.note.part;
        let length = usize::try_from(self.length - from).map_err(io::Error::other)?;
        let mut body = vec![0; length];
        Self::must_open(folder, key)?.read_exact_at(&mut body, from)?;
        let head = BASE64.decode(self.note.head.as_bytes());
        Ok(Leftover {
            stream: self.note.stream.parse().map_err(|_| damaged())?,
            head: head.map_err(|_| damaged())?.into(),
            body: body.into(),
            part: Part {
                number: u32::try_from(number).map_err(io::Error::other)?,
                is_last: false,
            },
            code: code.clone(),
            reason: reason.clone(),
        })
    }
}

impl Note {
    fn read(folder: &Folder, key: &Key) -> io::Result<Self> {
        let name = file_name(key, Kind::Head)?;
        let file = open_beneath(folder.dir.as_fd(), &name, OFlags::RDONLY, folder.resolve)?;
        let mut text = Vec::new();
        File::from(file).take(MAX_NOTE).read_to_end(&mut text)?;
        let note: Self = serde_json::from_slice(&text).map_err(|_| damaged())?;
        let is_sound = note.version == 1 && (1..=parts::MAX_WHOLE).contains(&note.part);
        is_sound.then_some(note).ok_or_else(damaged)
    }

    fn write(&self, folder: &Folder, key: &Key) -> io::Result<()> {
        let json = serde_json::to_vec(self).expect("text and numbers are always serializable");
        let name = format!(".qc-{}.head", HEXLOWER.encode(key));
        qc_core::durable::write_atomic(&folder.path.join(name), &json, 0o600)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Parts,
    Head,
}

fn file_name(key: &Key, kind: Kind) -> io::Result<CString> {
    let kind = match kind {
        Kind::Parts => "parts",
        Kind::Head => "head",
    };
    c_name(&format!(".qc-{}.{kind}", HEXLOWER.encode(key)))
}

fn parse_name(name: &[u8]) -> Option<(Key, Kind)> {
    let name = name.strip_prefix(b".qc-")?;
    let (hex, kind) = if let Some(hex) = name.strip_suffix(b".parts") {
        (hex, Kind::Parts)
    } else {
        (name.strip_suffix(b".head")?, Kind::Head)
    };
    let key = HEXLOWER.decode(hex).ok()?;
    Some((key.try_into().ok()?, kind))
}

fn key_of(stream: &StreamName, envelope: &Envelope) -> Key {
    dedupe_key(&format!("{stream}\0{}", envelope.source), &envelope.id)
}

fn damaged() -> io::Error {
    io::Error::other("the head of a message in parts is damaged")
}
