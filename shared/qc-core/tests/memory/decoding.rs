//! The codec: lengths and counts that lie.

use bytes::Bytes;
use qc_core::wire::{
    Control, FRAME_HEADER, Frame, FrameDecoder, FrameHeader, FrameKind, MAX_FRAME, READ_STEP,
    Records,
};

use crate::{BEYOND, Turn};

/// A good header that announces a payload of `length` bytes.
fn announced(kind: u8, length: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[kind, 0, 0, 0]);
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&u32::from(kind == FrameKind::Batch as u8).to_le_bytes());
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads as a socket does: as much as there is room for, at most `slice`.
fn feed(decoder: &mut FrameDecoder, mut bytes: &[u8], slice: usize) {
    while !bytes.is_empty() {
        let space = decoder.space();
        let count = (space.capacity() - space.len()).min(slice).min(bytes.len());
        let (now, later) = bytes.split_at(count);
        space.extend_from_slice(now);
        bytes = later;
        while let Ok(Some(_)) = decoder.next_frame() {}
    }
}

#[test]
fn a_length_is_believed_as_far_as_bytes_have_come() {
    let turn = Turn::take();
    let longest = u32::try_from(MAX_FRAME).unwrap();
    for greeted in [false, true] {
        for kind in FrameKind::ALL {
            for length in [4096, 16_384, 131_072, longest, u32::MAX] {
                let mut bytes = announced(kind as u8, length);
                let whole = FRAME_HEADER + length as usize;
                for received in [24, 25, 5000, 65_536, 200_000, 3_000_000] {
                    bytes.resize(received.min(whole), 0);
                    for slice in [1000, READ_STEP] {
                        let held = turn.most(|| {
                            let mut decoder = FrameDecoder::default();
                            if greeted {
                                decoder.greeted();
                            }
                            feed(&mut decoder, &bytes, slice);
                        });
                        let most = bytes.len() + BEYOND;
                        assert!(
                            held <= most,
                            "{held} for {} of {kind:?} {length}",
                            bytes.len()
                        );
                    }
                    bytes.truncate(FRAME_HEADER);
                }
            }
        }
    }
}

fn control(kind: FrameKind, payload: &[u8]) -> Frame {
    Frame {
        header: FrameHeader::control(kind, u32::from(!is_of_session(kind))),
        payload: Bytes::copy_from_slice(payload),
    }
}

fn is_of_session(kind: FrameKind) -> bool {
    use FrameKind::{Close, Heartbeat, Hello, Received, Status, Welcome};
    matches!(
        kind,
        Hello | Welcome | Close | Heartbeat | Status | Received
    )
}

/// Payloads of a protocol buffer that promise more than they hold.
fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let field = |number: u8, length: &[u8]| [&[number << 3 | 2][..], length].concat();
    let mut lies = vec![
        ("a text of 2^63 bytes", field(2, &[0xff; 9])),
        ("a text of 4 GiB", field(2, &[0xff, 0xff, 0xff, 0xff, 0x0f])),
        (
            "a list entry of 1 GiB",
            field(5, &[0x80, 0x80, 0x80, 0x80, 0x04]),
        ),
        (
            "a name of 128 KiB",
            [field(4, &[0xf0, 0xff, 0x07]), vec![b'a'; 131_056]].concat(),
        ),
        (
            "escapes",
            [field(2, &[0xf0, 0xff, 0x07]), vec![0x1b; 131_056]].concat(),
        ),
        ("groups in groups", vec![0x0b; 131_072]),
        ("unknown fields", [0xf8, 0x07, 0x01].repeat(43_690)),
    ];
    for number in 1..=9 {
        lies.push((
            "empty entries, up to the brim",
            field(number, &[0]).repeat(65_536),
        ));
        lies.push((
            "as many entries as are allowed",
            field(number, &[2, 8, 1]).repeat(1024),
        ));
        lies.push((
            "the same text again and again",
            field(number, b"\x05hello").repeat(18_000),
        ));
    }
    lies
}

#[test]
fn a_control_message_costs_no_more_than_it_is_long() {
    let turn = Turn::take();
    let mut decoded = 0;
    for kind in FrameKind::ALL {
        for (what, payload) in lies() {
            let frame = control(kind, &payload);
            let held = turn.most(|| decoded += u32::from(Control::decode(&frame).is_ok()));
            assert!(
                held <= payload.len() + BEYOND,
                "{held} for {what} in {kind:?}"
            );
        }
    }
    assert!(decoded > 100, "only {decoded} were taken");
}

#[test]
fn a_heartbeat_may_name_every_channel_and_not_one_more() {
    let _turn = Turn::take();
    for (number, entries, taken) in [
        (5, 1024, true),
        (5, 1025, false),
        (6, 1024, true),
        (6, 1025, false),
    ] {
        let payload = [number << 3 | 2, 2, 8, 1].repeat(entries);
        let decoded = Control::decode(&control(FrameKind::Heartbeat, &payload));
        assert_eq!(
            decoded.is_ok(),
            taken,
            "{entries} entries of field {number}"
        );
    }
}

#[test]
fn records_are_checked_where_they_lie() {
    let turn = Turn::take();
    let mut record = Vec::new();
    qc_core::wire::RecordHeader::new(qc_core::wire::RecordKind::Message).encode(
        b"",
        b"",
        &mut record,
    );
    for (at, what) in [(0, "record"), (80, "head"), (84, "body")] {
        let mut lying = record.clone();
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let payload = Bytes::from(lying);
        let held = turn.most(|| assert!(Records::check(payload.clone(), |_| {}).is_err()));
        assert!(held < 1000, "{held} for a {what} of 4 GiB");
    }
    let payload = Bytes::from(record.repeat(20_000));
    let held = turn.most(|| {
        let mut records = Records::check(payload.clone(), |_| {}).unwrap();
        assert_eq!(records.len(), 20_000);
        assert!(records.all(|record| record.body.is_empty()));
    });
    assert!(
        held < 1000,
        "{held} for 20,000 records that are taken one by one"
    );
}
