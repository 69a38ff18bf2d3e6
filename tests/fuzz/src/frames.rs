//! The codec: frames, control messages, records, envelopes.

use bytes::Bytes;
use qc_core::wire::{
    Control, EnvelopeRef, Frame, FrameDecoder, FrameHeader, FrameKind, READ_STEP, Record,
    WireError, decode_envelope, encode_envelope,
};

use crate::input::Input;

/// A frame of any shape with good checksums, or without a payload that fits its kind.
pub(crate) fn frame(input: &mut Input<'_>, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        kind: input.one_of(&FrameKind::ALL),
        lane: u16::from(input.u8() % 8),
        channel: u32::try_from(input.number()).unwrap_or(u32::MAX),
        count: u32::try_from(input.number()).unwrap_or(u32::MAX),
        more: input.u8() % 4 == 1,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes, |out| out.extend_from_slice(payload));
    bytes
}

/// All frames that are in `bytes`, if they come in slices of these sizes, and how it ended.
fn decode(
    bytes: &[u8],
    greeted: bool,
    mut slice: impl FnMut() -> usize,
) -> (Vec<Frame>, Option<WireError>) {
    let mut decoder = FrameDecoder::default();
    if greeted {
        decoder.greeted();
    }
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let space = decoder.space();
        let room = space.capacity() - space.len();
        assert!(room > 0, "there is room for a byte");
        let count = slice().clamp(1, room).min(rest.len());
        space.extend_from_slice(&rest[..count]);
        rest = &rest[count..];
        assert!(
            decoder.allocated() <= decoder.pending() + READ_STEP,
            "{} bytes for {}",
            decoder.allocated(),
            decoder.pending()
        );
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// The first byte says whether there was a greeting and whether the rest is raw or instructions for frames.
/// However the bytes are cut, the same frames come out, and the same error.
pub(crate) fn frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let how = input.u8();
    let (greeted, raw) = (how & 1 == 1, how & 2 == 2);
    let sizes = input.bytes(8);
    let mut stream = Vec::new();
    if raw {
        stream.extend_from_slice(input.rest());
    } else {
        while !input.is_empty() {
            let length = usize::from(input.u8());
            let payload = match input.u8() {
                255 => vec![7; length * 300], // long ones need no long input
                _ => input.bytes(length).to_vec(),
            };
            let mut one = frame(&mut input, &payload);
            if input.u8() == 1 {
                let at = usize::from(input.u16()) % one.len();
                one[at] ^= input.u8();
            }
            stream.extend_from_slice(&one);
        }
    }
    let whole = decode(&stream, greeted, || usize::MAX);
    let mut next = sizes.iter().cycle();
    let cut = decode(&stream, greeted, || {
        next.next().map_or(1, |size| usize::from(*size) * 3 + 1)
    });
    assert_eq!(whole, cut, "in slices of {sizes:?}");
    // what was taken is written as it came
    let mut again = Vec::new();
    for frame in &whole.0 {
        frame
            .header
            .encode(&mut again, |out| out.extend_from_slice(&frame.payload));
    }
    assert!(stream.starts_with(&again), "a frame changed on its way");
}

/// A kind, a channel, and a payload. What is taken is written, read again and is the same.
pub(crate) fn control(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.one_of(&FrameKind::ALL);
    let channel = u32::try_from(input.number()).unwrap_or(u32::MAX);
    let frame = Frame {
        header: FrameHeader::control(kind, channel),
        payload: Bytes::copy_from_slice(input.rest()),
    };
    if let Ok(control) = Control::decode(&frame) {
        assert_eq!(plain(again(&control)), plain(control));
    }
}

/// The message without its text for people, if that was spelled out or cut on its way in: each node does that.
fn plain(mut control: Control) -> Control {
    let text = match &mut control {
        Control::Hello(greeting) | Control::Welcome(greeting) => &mut greeting.software,
        Control::Close(refusal) | Control::Refuse(_, refusal) => &mut refusal.reason,
        Control::Status(status) => &mut status.version,
        _ => return control,
    };
    if text.contains('\\') || text.ends_with("..") {
        text.clear();
    }
    control
}

/// The message as its receiver has it.
fn again(control: &Control) -> Control {
    let mut bytes = Vec::new();
    control.encode(&mut bytes);
    let mut decoder = FrameDecoder::default();
    decoder.greeted();
    decoder.space().extend_from_slice(&bytes);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(decoder.pending(), 0);
    Control::decode(&frame).unwrap()
}

/// Records back to back: each is written as it came, but for bits that have no meaning.
pub(crate) fn records(bytes: &[u8]) {
    let mut payload = Bytes::copy_from_slice(bytes);
    while !payload.is_empty() {
        let before = payload.clone();
        let Ok(record) = Record::split_from(&mut payload) else {
            return;
        };
        let mut again = Vec::new();
        record.header.encode(&record.head, &record.body, &mut again);
        assert_eq!(again.len(), record.encoded_len());
        assert_eq!(before.len() - payload.len(), again.len());
        let mut twice = Bytes::from(again);
        assert_eq!(Record::split_from(&mut twice), Ok(record));
        assert!(twice.is_empty());
    }
}

/// A head: there is one way to write it, and whoever looks only at what a hop needs sees the same.
pub(crate) fn envelope(bytes: &[u8]) {
    let glance = EnvelopeRef::parse(bytes);
    let Ok(envelope) = decode_envelope(bytes) else {
        return;
    };
    let glance = glance.unwrap();
    assert_eq!(
        (glance.id, glance.source, glance.kind, glance.data_class),
        (
            envelope.id.as_str(),
            envelope.source.as_str(),
            envelope.kind.as_str(),
            envelope.data_class()
        )
    );
    let mut again = Vec::new();
    encode_envelope(&envelope, &mut again);
    assert_eq!(again, bytes, "two encodings of one envelope");
}
