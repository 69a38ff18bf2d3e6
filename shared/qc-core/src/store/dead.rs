//! Dead letters: what cannot go on is kept, as it came, with the reason in front of it.
//!
//! One stream a tenant, of a role of its own, so no configuration can declare it or subscribe to it.
//! A letter is a message record. Its head is a note, then the head of the message byte for byte; its
//! body is the body. The note, little-endian:
//!
//! ```text
//!   0  u8   version of the note (1)
//!   1  u8   role, 2 u8 lane of the stream it was in      3 u8 zero
//!   4  u32  attempts
//!   8  u64  epoch           16 u64 seq    its place; 0 when it never had one
//!  24  u64  when it was given up, ms since 1970
//!  32  five texts, each u16 length and UTF-8:
//!      code, reason, stream, consumer (empty: refused on its way in),
//!      sender (the node whose numbers epoch and seq are; empty: this one's)
//!   -  the head of the message
//! ```
//!
//! The same message given up twice by the same consumer is one letter: its dedupe key is made of its
//! place and the consumer, or of (`source`, `id`) where it never had a place. So a letter may be
//! written before the cursor that it lets go on, and a crash between the two repeats nothing.

use bytes::{BufMut as _, Bytes};

use super::{Draft, Role, StreamKey, dedupe_key, part_key};
use crate::model::{Epoch, Lane, NodeName, Part, Seq, StreamName, Timestamp};
use crate::safe_text::safe;
use crate::wire::{EnvelopeRef, Reader, WireError};

/// The version of the note that is written.
const VERSION: u8 = 1;
/// The longest reason and the longest name in a note, in characters.
const MAX_TEXT: usize = 500;

/// Why a message is dead, and where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadNote {
    /// The stable code.
    pub code: String,
    /// The reason, for people.
    pub reason: String,
    /// The stream it was in or was sent to.
    pub stream: StreamKey,
    /// The node whose numbers `epoch` and `seq` are, if it was refused on its way in from there.
    pub sender: Option<NodeName>,
    /// The history that `seq` counts in.
    pub epoch: Epoch,
    /// Its number; zero when it never had one.
    pub seq: Seq,
    /// Who could not take it; empty when it was refused on its way in.
    pub consumer: String,
    /// When it was given up.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// A message that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why, and where it was.
    pub note: DeadNote,
    /// The lane it was captured in.
    pub lane: Lane,
    /// The encoded envelope as it came.
    pub head: Bytes,
    /// The payload.
    pub body: Bytes,
    /// Which part of its message it is.
    pub part: Part,
}

/// Where the dead letters of a tenant are kept on this node. Nothing trims it: they stay until an
/// operator decides.
pub fn dead_letters(stream: &StreamName) -> StreamKey {
    let name = format!("{}/dead-letters", stream.tenant());
    let name = name
        .parse()
        .expect("a tenant and a constant make a stream's name");
    StreamKey {
        role: Role::Dead,
        name,
        lane: Lane::Normal,
    }
}

impl DeadLetter {
    /// The stream it goes to.
    pub fn home(&self) -> StreamKey {
        dead_letters(&self.note.stream.name)
    }

    /// The letter on its way into the log.
    pub fn draft(&self) -> Draft {
        let mut head = Vec::with_capacity(self.head.len() + 128);
        self.note.encode(&mut head);
        head.extend_from_slice(&self.head);
        Draft {
            lane: self.lane,
            head: head.into(),
            body: self.body.clone(),
            part: self.part,
            dedupe: self.identity(),
            hop: None,
        }
    }

    fn identity(&self) -> [u8; 16] {
        let note = &self.note;
        let sender = note.sender.as_ref().map_or("", NodeName::as_str);
        let StreamKey { role, name, lane } = &note.stream;
        let scope = format!(
            "{}\0{name}\0{lane}\0{sender}\0{}",
            role.as_str(),
            note.consumer
        );
        if note.seq != Seq::ZERO {
            return dedupe_key(&scope, &format!("{}\0{}", note.epoch, note.seq));
        }
        match EnvelopeRef::parse(&self.head) {
            Ok(known) => {
                let id = format!("{}\0{}", known.source, known.id);
                part_key(&scope, &id, self.part)
            }
            Err(_) => [0; 16],
        }
    }
}

impl DeadNote {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_u8(self.stream.role as u8);
        out.put_u8(self.stream.lane as u8);
        out.put_u8(0);
        out.put_u32_le(self.attempts);
        out.put_u64_le(self.epoch.0);
        out.put_u64_le(self.seq.0);
        out.put_u64_le(self.at.as_millis());
        let sender = self.sender.as_ref().map_or("", NodeName::as_str);
        let reason = safe(&self.reason, MAX_TEXT);
        let consumer = safe(&self.consumer, MAX_TEXT);
        for text in [
            safe(&self.code, 40).as_str(),
            &reason,
            self.stream.name.as_str(),
            &consumer,
            sender,
        ] {
            let length = u16::try_from(text.len()).expect("at most 500 characters of a few bytes");
            out.put_u16_le(length);
            out.put_slice(text.as_bytes());
        }
    }

    /// Takes the head of a letter apart: the note, and the head of the message.
    pub fn split(head: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let mut from = Reader(head);
        let version = from.u8()?;
        if version != VERSION {
            return Err(WireError::Unknown {
                what: "version of a dead letter's note",
                number: u32::from(version),
            });
        }
        let (role, lane, _zero) = (from.u8()?, from.u8()?, from.u8()?);
        let role = Role::from_u8(role).ok_or(WireError::Malformed("role in a dead letter"))?;
        let lane = Lane::from_u8(lane).ok_or(WireError::Malformed("lane in a dead letter"))?;
        let attempts = from.u32()?;
        let (epoch, seq) = (Epoch(from.u64()?), Seq(from.u64()?));
        let at = Timestamp::from_millis(from.u64()?);
        let (code, reason) = (text(&mut from)?, text(&mut from)?);
        let name = text(&mut from)?.parse();
        let name = name.map_err(|_| WireError::Malformed("stream in a dead letter"))?;
        let (consumer, sender) = (text(&mut from)?, text(&mut from)?);
        let sender = match sender {
            "" => None,
            sender => Some(
                sender
                    .parse()
                    .map_err(|_| WireError::Malformed("sender in a dead letter"))?,
            ),
        };
        let note = Self {
            code: code.to_owned(),
            reason: reason.to_owned(),
            stream: StreamKey { role, name, lane },
            sender,
            epoch,
            seq,
            consumer: consumer.to_owned(),
            at,
            attempts,
        };
        Ok((note, from.0))
    }
}

fn text<'a>(from: &mut Reader<'a>) -> Result<&'a str, WireError> {
    let length = usize::from(from.u16()?);
    let bytes = from.bytes(length)?;
    std::str::from_utf8(bytes).map_err(|_| WireError::Malformed("text in a dead letter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Envelope;
    use crate::wire::encode_envelope;

    fn letter() -> DeadLetter {
        let mut head = Vec::new();
        encode_envelope(&Envelope::new("1", "/s", "t"), &mut head);
        DeadLetter {
            note: DeadNote {
                code: "QC4207".to_owned(),
                reason: "it answered 422".to_owned(),
                stream: StreamKey {
                    role: Role::Outbox,
                    name: "acme/a".parse().unwrap(),
                    lane: Lane::High,
                },
                sender: None,
                epoch: Epoch(7),
                seq: Seq(12),
                consumer: "sink.hook".to_owned(),
                at: Timestamp::from_millis(1000),
                attempts: 3,
            },
            lane: Lane::High,
            head: head.into(),
            body: Bytes::from_static(b"{}"),
            part: Part::WHOLE,
        }
    }

    #[test]
    fn the_note_is_written_as_drawn_and_the_envelope_stays_as_it_came() {
        let letter = letter();
        let draft = letter.draft();
        let golden = "0101010003000000070000000000000\
                      00c00000000000000e803000000000000\
                      06005143343230370f00697420616e7377657265642034323206\
                      0061636d652f61090073696e6b2e686f6f6b0000";
        let hex = data_encoding::HEXLOWER.encode(&draft.head);
        let (note, rest) = hex.split_at(golden.len());
        assert_eq!(note, golden, "the bytes of version 1");
        assert_eq!(rest, data_encoding::HEXLOWER.encode(&letter.head));
        let (note, head) = DeadNote::split(&draft.head).unwrap();
        assert_eq!((note, head), (letter.note.clone(), &letter.head[..]));
        assert_eq!(draft.body, letter.body);
    }

    #[test]
    fn a_letter_is_itself_again_and_nobody_elses() {
        let first = letter();
        let mut again = letter();
        again.note.at = Timestamp::from_millis(2000);
        again.note.attempts = 9;
        assert_eq!(first.draft().dedupe, again.draft().dedupe);
        let mut others = [letter(), letter(), letter(), letter()];
        others[0].note.consumer = "sink.other".to_owned();
        others[1].note.seq = Seq(13);
        others[2].note.epoch = Epoch(8);
        others[3].note.sender = Some("edge-1.site.acme".parse().unwrap());
        for other in others {
            assert_ne!(first.draft().dedupe, other.draft().dedupe, "{other:?}");
        }
        // refused at the door, where it has no place: its own id counts
        let mut at_the_door = letter();
        at_the_door.note.seq = Seq::ZERO;
        let key = at_the_door.draft().dedupe;
        assert_eq!(key, at_the_door.draft().dedupe);
        assert_ne!(key, [0; 16]);
    }

    #[test]
    fn nothing_of_a_note_is_believed_before_it_is_checked() {
        let head = letter().draft().head;
        let whole = head.len() - letter().head.len();
        for cut in 0..whole {
            assert!(DeadNote::split(&head[..cut]).is_err(), "{cut}");
        }
        for (at, wrong) in [(0, 2), (1, 9), (2, 9)] {
            let mut bytes = head.to_vec();
            bytes[at] = wrong;
            assert!(DeadNote::split(&bytes).is_err(), "{at}");
        }
    }
}
