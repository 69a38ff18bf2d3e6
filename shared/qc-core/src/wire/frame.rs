//! The frame: the unit of a link, of a bundle and of a spool file.
//!
//! ```text
//!   0  u32  length of the payload in bytes
//!   4  u8   kind            5 u8 flags            6 u16 lane of a batch, else 0
//!   8  u32  channel         0 = the session itself
//!  12  u32  records in a batch, else 0; 0 in a piece that is not the last
//!  16  u32  CRC32C of the payload
//!  20  u32  CRC32C of bytes 0..20
//!  24  payload: records back to back in a batch, else one control message
//! ```
//!
//! A batch may travel in pieces: all but the last have the flag 1, and their payloads back to back are
//! the batch. Frames of other channels may lie between them, so nothing long holds up an alarm.
//!
//! The header has a checksum of its own, so that a damaged length never misframes what follows. A
//! length is believed only as far as bytes have arrived: a decoder never holds more than what it
//! has received and [`READ_STEP`] beyond.

use bytes::{BufMut as _, Bytes};

use super::{MAX_BODY, MAX_HEAD, Reader, WireError};

/// Length of the fixed part in bytes.
pub const FRAME_HEADER: usize = 24;
/// The longest payload before both sides have greeted each other.
pub const MAX_GREETING: usize = 4 * 1024;
/// The longest payload of a control message.
pub const MAX_CONTROL: usize = 128 * 1024;
/// The longest payload of the bytes of a call: nothing urgent waits for more than that.
pub const MAX_CALL_DATA: usize = 16 * 1024;
/// The longest payload of any frame: one record of the largest size fits.
pub const MAX_FRAME: usize = MAX_BODY + MAX_HEAD + 64 * 1024;
/// The longest payload of a piece of a batch that is not its last.
pub const MAX_PIECE: usize = 64 * 1024;
/// How far beyond the bytes received a decoder allocates: what joins the pieces has the rest of 64 KiB.
pub const READ_STEP: usize = 48 * 1024;

/// The smallest read, so that an idle link is cheap.
const READ_MIN: usize = 1024;

/// What a frame carries. The numbers are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// The dialing side's first word.
    Hello = 1,
    /// The accepting side's answer.
    Welcome = 2,
    /// The session ends, with a code and a reason.
    Close = 3,
    /// Alive, with the last durable position of every channel.
    Heartbeat = 4,
    /// A sender wants to send a stream.
    Open = 5,
    /// The receiver's answer: where it stands, and how much it takes unacknowledged.
    OpenAck = 6,
    /// A channel or a subscription is refused or ends, with a code and a reason.
    Refuse = 7,
    /// Records, in order.
    Batch = 8,
    /// Everything up to a position is durable at the receiver.
    Ack = 9,
    /// A node asks to be sent a stream.
    Subscribe = 10,
    /// The subscription stands; a channel follows.
    SubscribeAck = 11,
    /// How a node fares, for the fleet view.
    Status = 12,
    /// How many bytes of batches and calls have arrived in this session.
    Received = 13,
    /// A node asks its peer for a byte stream in both directions.
    Call = 14,
    /// Bytes of a call.
    CallData = 15,
    /// How many more bytes of a call are taken. The first one is the answer to the call.
    CallCredit = 16,
    /// No more bytes of a call come from this side.
    CallEnd = 17,
}

/// The flag of a piece of a batch that is not its last.
const MORE: u8 = 1;

impl FrameKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Hello,
        Self::Welcome,
        Self::Close,
        Self::Heartbeat,
        Self::Open,
        Self::OpenAck,
        Self::Refuse,
        Self::Batch,
        Self::Ack,
        Self::Subscribe,
        Self::SubscribeAck,
        Self::Status,
        Self::Received,
        Self::Call,
        Self::CallData,
        Self::CallCredit,
        Self::CallEnd,
    ];

    fn from_u8(number: u8) -> Result<Self, WireError> {
        usize::from(number)
            .checked_sub(1)
            .and_then(|at| Self::ALL.get(at).copied())
            .ok_or_else(|| WireError::Unknown {
                what: "frame kind",
                number: u32::from(number),
            })
    }

    fn max_payload(self, greeted: bool) -> usize {
        match self {
            _ if !greeted => MAX_GREETING,
            Self::Batch => MAX_FRAME,
            Self::CallData => MAX_CALL_DATA,
            _ => MAX_CONTROL,
        }
    }
}

/// The fixed part of a frame, without the lengths and checksums that follow from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What it carries.
    pub kind: FrameKind,
    /// The lane's number in a batch, else 0.
    pub lane: u16,
    /// The channel, 0 for the session itself.
    pub channel: u32,
    /// Records in a batch, else 0; 0 in a piece that is not the last.
    pub count: u32,
    /// Whether this is a piece of a batch and not its last.
    pub more: bool,
}

impl FrameHeader {
    /// The header of a control message that speaks of `channel`.
    pub fn control(kind: FrameKind, channel: u32) -> Self {
        Self {
            kind,
            lane: 0,
            channel,
            count: 0,
            more: false,
        }
    }

    /// Appends a frame to `out` whose payload is what `payload` appends.
    pub fn encode(self, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER]);
        payload(out);
        let (_, frame) = out
            .split_at_mut_checked(start)
            .expect("the buffer has only grown");
        let (header, payload) = frame
            .split_first_chunk_mut::<FRAME_HEADER>()
            .expect("the header's room was made above");
        *header = self.header_bytes(payload);
    }

    fn header_bytes(self, payload: &[u8]) -> [u8; FRAME_HEADER] {
        let length = u32::try_from(payload.len()).expect("a sender keeps to MAX_FRAME");
        let mut bytes = [0; FRAME_HEADER];
        let mut fields = bytes.as_mut_slice();
        fields.put_u32_le(length);
        fields.put_u8(self.kind as u8);
        fields.put_u8(if self.more { MORE } else { 0 });
        fields.put_u16_le(self.lane);
        fields.put_u32_le(self.channel);
        fields.put_u32_le(self.count);
        fields.put_u32_le(crc32c::crc32c(payload));
        let (checked, crc) = bytes.split_at_mut(FRAME_HEADER - 4);
        crc.copy_from_slice(&crc32c::crc32c(checked).to_le_bytes());
        bytes
    }

    /// Reads a header: itself, the payload's length and checksum.
    fn decode(bytes: &[u8; FRAME_HEADER], greeted: bool) -> Result<(Self, usize, u32), WireError> {
        let mut r = Reader(bytes);
        let length = r.u32()?;
        let kind = r.u8()?;
        let flags = r.u8()?;
        let lane = r.u16()?;
        let channel = r.u32()?;
        let count = r.u32()?;
        let payload_crc = r.u32()?;
        let header_crc = r.u32()?;
        let (checked, _) = bytes.split_at(FRAME_HEADER - 4);
        if crc32c::crc32c(checked) != header_crc {
            return Err(WireError::Checksum("frame header"));
        }
        let kind = FrameKind::from_u8(kind)?;
        let more = flags == MORE;
        if flags != 0 && !more {
            return Err(WireError::Unknown {
                what: "frame flags",
                number: u32::from(flags),
            });
        }
        let is_odd = match kind {
            FrameKind::Batch => more && (count != 0 || length == 0),
            FrameKind::CallData => more || lane != 0 || count != 0 || length == 0,
            _ => more || lane != 0 || count != 0,
        };
        if is_odd {
            return Err(WireError::Malformed("frame header"));
        }
        let max = if more && greeted {
            MAX_PIECE
        } else {
            kind.max_payload(greeted)
        };
        if length as usize > max {
            return Err(WireError::TooLong {
                what: "frame",
                length: u64::from(length),
                max: max as u64,
            });
        }
        let header = Self {
            kind,
            lane,
            channel,
            count,
            more,
        };
        Ok((header, length as usize, payload_crc))
    }
}

/// One received frame; the payload shares the buffer it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The fixed part.
    pub header: FrameHeader,
    /// The payload, its checksum verified.
    pub payload: Bytes,
}

/// Cuts a byte stream into frames.
///
/// Read into [`FrameDecoder::space`], then call [`FrameDecoder::next_frame`] until it returns
/// `None`. After an error nothing more can be read from that stream.
#[derive(Debug)]
pub struct FrameDecoder {
    /// Bytes that still grow.
    buffer: Vec<u8>,
    /// Bytes that hold at least one whole frame, shared with the payloads cut from them.
    ready: Bytes,
    greeted: bool,
    chunk: usize,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            ready: Bytes::new(),
            greeted: false,
            chunk: READ_MIN,
        }
    }
}

impl FrameDecoder {
    /// Lifts the limit from [`MAX_GREETING`] to that of each kind.
    pub fn greeted(&mut self) {
        self.greeted = true;
    }

    /// A buffer with room for at least one byte, to append received bytes to.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.keep_rest();
        if self.buffer.len() == self.buffer.capacity() {
            // what is left of a frame and no more: whoever keeps its payload keeps the whole buffer
            let missing = self.announced();
            let missing = missing.map(|total| total.saturating_sub(self.buffer.len()));
            let room = missing.filter(|left| *left > 0).unwrap_or(self.chunk);
            self.buffer.reserve_exact(room.min(READ_STEP));
        }
        &mut self.buffer
    }

    /// The next whole frame, or `None` until more bytes have arrived.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        if self.ready.is_empty() {
            let Some((_, length, _)) = self.header(&self.buffer)? else {
                return Ok(None);
            };
            if self.buffer.len() < FRAME_HEADER + length {
                return Ok(None);
            }
            self.adapt();
            self.ready = Bytes::from(std::mem::take(&mut self.buffer));
        }
        let Some((header, length, crc)) = self.header(&self.ready)? else {
            self.keep_rest();
            return Ok(None);
        };
        let total = FRAME_HEADER + length;
        if self.ready.len() < total {
            self.keep_rest();
            return Ok(None);
        }
        let payload = self.ready.split_to(total).split_off(FRAME_HEADER);
        if crc32c::crc32c(&payload) != crc {
            return Err(WireError::Checksum("frame"));
        }
        Ok(Some(Frame { header, payload }))
    }

    /// Bytes held for frames that are not complete yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() + self.ready.len()
    }

    /// Bytes allocated for frames that are not complete yet.
    pub fn allocated(&self) -> usize {
        self.buffer.capacity()
    }

    fn header(&self, bytes: &[u8]) -> Result<Option<(FrameHeader, usize, u32)>, WireError> {
        bytes
            .first_chunk::<FRAME_HEADER>()
            .map(|header| FrameHeader::decode(header, self.greeted))
            .transpose()
    }

    fn announced(&self) -> Option<usize> {
        let (_, length, _) = self.header(&self.buffer).ok()??;
        Some(FRAME_HEADER + length)
    }

    fn keep_rest(&mut self) {
        if !self.ready.is_empty() {
            let rest = std::mem::take(&mut self.ready);
            self.buffer.reserve_exact(rest.len() + self.chunk);
            self.buffer.extend_from_slice(&rest);
        }
    }

    /// Reads more at a time while the stream fills the buffer, less when it trickles.
    fn adapt(&mut self) {
        if self.buffer.len() == self.buffer.capacity() {
            self.chunk = (self.chunk * 4).min(READ_STEP);
        } else if self.buffer.len() < self.chunk / 4 {
            self.chunk = (self.chunk / 2).max(READ_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        header.encode(&mut out, |out| out.extend_from_slice(payload));
        out
    }

    fn decode_all(decoder: &mut FrameDecoder, bytes: &[u8], step: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        for piece in bytes.chunks(step) {
            decoder.space().extend_from_slice(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn the_header_is_as_drawn() {
        let header = FrameHeader {
            kind: FrameKind::Batch,
            lane: 2,
            channel: 0x0403_0201,
            count: 5,
            more: false,
        };
        let bytes = encode(header, b"abc");
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        assert_eq!(
            hex,
            "03000000080002000102030405000000b73f4b367b4a6cd8616263"
        );
    }

    #[test]
    fn every_number_has_its_kind() {
        for (at, kind) in FrameKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at + 1);
            assert_eq!(FrameKind::from_u8(kind as u8), Ok(kind));
        }
        assert!(FrameKind::from_u8(0).is_err());
        assert!(FrameKind::from_u8(18).is_err());
    }

    #[test]
    fn a_piece_is_short_and_the_last_one_may_be_long() {
        for (more, length, taken) in [
            (true, MAX_PIECE, true),
            (true, MAX_PIECE + 1, false),
            (false, MAX_PIECE + 1, true),
        ] {
            let header = FrameHeader {
                kind: FrameKind::Batch,
                lane: 2,
                channel: 1,
                count: u32::from(!more),
                more,
            };
            let mut decoder = FrameDecoder::default();
            decoder.greeted();
            let bytes = encode(header, &vec![7; length]);
            decoder.space().extend_from_slice(&bytes);
            assert_eq!(decoder.next_frame().is_ok(), taken, "{length} {more}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = encode(FrameHeader::control(FrameKind::Hello, 0), b"greeting");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut decoder = FrameDecoder::default();
            decoder.space().extend_from_slice(&damaged);
            assert!(decoder.next_frame().is_err(), "bit {bit}");
        }
    }

    #[test]
    fn before_the_greeting_only_small_frames_pass() {
        let bytes = encode(
            FrameHeader::control(FrameKind::Open, 1),
            &vec![0; MAX_GREETING + 1],
        );
        let mut decoder = FrameDecoder::default();
        decoder.space().extend_from_slice(&bytes);
        assert!(matches!(
            decoder.next_frame(),
            Err(WireError::TooLong { .. })
        ));
        let mut decoder = FrameDecoder::default();
        decoder.greeted();
        decoder.space().extend_from_slice(&bytes);
        assert!(decoder.next_frame().unwrap().is_some());
    }

    #[test]
    fn a_long_announcement_allocates_only_what_arrives() {
        let header = FrameHeader {
            kind: FrameKind::Batch,
            lane: 0,
            channel: 1,
            count: 1,
            more: false,
        };
        let bytes = encode(header, &vec![7; MAX_FRAME]);
        let mut decoder = FrameDecoder::default();
        decoder.greeted();
        let mut sent = 0;
        while sent < bytes.len() {
            let space = decoder.space();
            let room = (space.capacity() - space.len()).min(10_000);
            let end = (sent + room).min(bytes.len());
            space.extend_from_slice(&bytes[sent..end]);
            sent = end;
            assert!(decoder.allocated() <= sent + READ_STEP, "after {sent}");
            if sent < bytes.len() {
                assert_eq!(decoder.next_frame().unwrap(), None);
            }
        }
        let frame = decoder.next_frame().unwrap().unwrap();
        assert_eq!(frame.payload.len(), MAX_FRAME);
        assert_eq!(decoder.pending(), 0);
    }

    #[test]
    fn only_a_batch_comes_in_pieces_and_none_is_empty() {
        let piece = |kind, count| {
            let header = FrameHeader {
                more: true,
                count,
                ..FrameHeader::control(kind, 1)
            };
            move |payload: &[u8]| {
                let mut decoder = FrameDecoder::default();
                decoder.greeted();
                decoder.space().extend_from_slice(&encode(header, payload));
                decoder.next_frame()
            }
        };
        assert!(
            piece(FrameKind::Batch, 0)(b"x")
                .unwrap()
                .unwrap()
                .header
                .more
        );
        assert!(piece(FrameKind::Batch, 0)(b"").is_err());
        assert!(piece(FrameKind::Batch, 1)(b"x").is_err());
        assert!(piece(FrameKind::Ack, 0)(b"x").is_err());
    }

    #[test]
    fn payloads_share_the_buffer() {
        let mut bytes = encode(FrameHeader::control(FrameKind::Status, 0), b"one");
        bytes.extend(encode(FrameHeader::control(FrameKind::Status, 0), b"two"));
        let mut decoder = FrameDecoder::default();
        decoder.space().extend_from_slice(&bytes);
        let start = decoder.buffer.as_ptr();
        let first = decoder.next_frame().unwrap().unwrap();
        let second = decoder.next_frame().unwrap().unwrap();
        assert_eq!(first.payload.as_ptr(), start.wrapping_add(FRAME_HEADER));
        assert_eq!(
            second.payload.as_ptr(),
            start.wrapping_add(2 * FRAME_HEADER + 3)
        );
    }

    fn any_frame() -> impl Strategy<Value = (FrameHeader, Vec<u8>)> {
        let payload = proptest::collection::vec(any::<u8>(), 0..300);
        (
            0..FrameKind::ALL.len(),
            any::<u16>(),
            any::<u32>(),
            any::<u32>(),
            payload,
        )
            .prop_map(|(kind, lane, channel, count, payload)| {
                let kind = FrameKind::ALL[kind];
                let mut header = FrameHeader::control(kind, channel);
                let payload = match kind {
                    FrameKind::CallData if payload.is_empty() => vec![1],
                    _ => payload,
                };
                if kind == FrameKind::Batch {
                    header.more = count % 2 == 0 && !payload.is_empty();
                    header.lane = lane;
                    header.count = if header.more { 0 } else { count };
                }
                (header, payload)
            })
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in proptest::collection::vec(any_frame(), 1..20),
            step in 1..700usize,
        ) {
            let mut bytes = Vec::new();
            for (header, payload) in &frames {
                bytes.extend(encode(*header, payload));
            }
            let mut decoder = FrameDecoder::default();
            let seen = decode_all(&mut decoder, &bytes, step);
            prop_assert_eq!(decoder.pending(), 0);
            let seen: Vec<_> = seen.into_iter().map(|f| (f.header, f.payload.to_vec())).collect();
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn any_bytes_are_refused_or_wait(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = FrameDecoder::default();
            decoder.space().extend_from_slice(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }
}
