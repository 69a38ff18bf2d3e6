//! Dead letters: what cannot go on is kept in one stream a tenant, with the reason beside it.

use super::{Role, StreamKey};
use crate::model::{AttrValue, Envelope, Lane, StreamName};
use crate::safe_text::safe;

/// Where the dead letters of a stream's tenant are kept on this node. Nobody subscribes to it, so they
/// stay until an operator decides.
pub fn dead_letters(stream: &StreamName) -> StreamKey {
    let name = format!("{}/dead-letters", stream.tenant());
    let name = name
        .parse()
        .expect("a tenant and a constant make a stream's name");
    StreamKey {
        role: Role::Hub,
        name,
        lane: Lane::Normal,
    }
}

/// Writes into the envelope why the message is dead: `qcdeadcode`, `qcdeadreason`, `qcdeadstream`.
pub fn note_death(envelope: &mut Envelope, code: &str, reason: &str, stream: &StreamName) {
    for (name, text) in [
        ("qcdeadcode", code),
        ("qcdeadreason", reason),
        ("qcdeadstream", stream.as_str()),
    ] {
        envelope
            .extensions
            .insert(name.to_owned(), AttrValue::String(safe(text, 500)));
    }
}
