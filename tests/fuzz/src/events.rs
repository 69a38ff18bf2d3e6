//! CloudEvents, as producers give them.

use qc_core::cloudevents::{
    Bounds, decode, decode_batch, decode_headers, encode, encode_batch, encode_headers,
};
use qc_core::wire::{decode_envelope, encode_envelope};

use crate::input::Input;

/// One event, and as many as there are: what is taken is written, read again and is the same, also as the head
/// of a record.
pub(crate) fn json(bytes: &[u8]) {
    let bounds = Bounds {
        bytes: 4096,
        events: 20,
        depth: 16,
    };
    if let Ok(message) = decode(bytes, &bounds) {
        let mut text = Vec::new();
        encode(&message, &mut text);
        let wider = Bounds::default();
        assert_eq!(decode(&text, &wider).as_ref(), Ok(&message));
        let mut head = Vec::new();
        encode_envelope(&message.envelope, &mut head);
        assert_eq!(decode_envelope(&head), Ok(message.envelope));
    }
    if let Ok(messages) = decode_batch(bytes, &bounds) {
        assert!(messages.len() <= bounds.events);
        let text = encode_batch(&messages);
        assert_eq!(decode_batch(&text, &Bounds::default()), Ok(messages));
    }
}

const NAMES: [&str; 12] = [
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "ce-time",
    "ce-subject",
    "ce-dataschema",
    "ce-severitynumber",
    "ce-dataclassification",
    "content-type",
    "ce-datacontenttype",
    "other",
];

/// A list of headers: a name of the list or one of its own, and a value.
pub(crate) fn headers(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut all: Vec<(String, &[u8])> = vec![("ce-specversion".to_owned(), b"1.0")];
    while !input.is_empty() {
        let at = usize::from(input.u8() % 16);
        let name = if at < 12 {
            NAMES[at].to_owned()
        } else {
            let length = usize::from(input.u8() % 24);
            format!("ce-{}", String::from_utf8_lossy(input.bytes(length)))
        };
        let length = usize::from(input.u8());
        all.push((name, input.bytes(length)));
    }
    let pairs = all.iter().map(|(name, value)| (name.as_str(), *value));
    let Ok(envelope) = decode_headers(pairs) else {
        return;
    };
    let again = encode_headers(&envelope);
    let pairs = again
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_bytes()));
    assert_eq!(decode_headers(pairs), Ok(envelope));
}
