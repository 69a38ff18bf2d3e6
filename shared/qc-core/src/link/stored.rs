//! From a link to the store and back: a peer's record as a draft, and why the store did not take it as
//! the refusal that the peer is told. The same on both sides of a link.

use super::Peer;
use crate::model::StreamName;
use crate::store::{AppendError, Draft, Hop, part_key};
use crate::streams::ReadError;
use crate::wire::{Code, EnvelopeRef, Open, Record, Refusal};

/// A record of a peer cannot be read.
const MALFORMED: Code = Code::new(2222);

/// The envelope of a record that came over a link; one that does not parse ends the channel.
pub fn received<'a>(open: &Open, record: &'a Record) -> Result<EnvelopeRef<'a>, Refusal> {
    EnvelopeRef::parse(&record.head)
        .map_err(|error| Refusal::new(MALFORMED, format!("a record of {}: {error}", open.stream)))
}

/// The record as this node's log takes it: known again by what it is a part of, and by where it stood at
/// the peer. Its envelope is what [`received`] read.
pub fn draft(peer: &Peer, open: &Open, record: Record) -> Result<Draft, Refusal> {
    let part = record.header.part_of();
    let envelope = received(open, &record)?;
    let dedupe = part_key(envelope.source, envelope.id, part);
    let hop = Hop {
        node: peer.node.clone(),
        lane: open.lane,
        epoch: record.header.epoch,
        seq: record.header.seq,
    };
    Ok(Draft {
        lane: record.header.lane,
        head: record.head,
        body: record.body,
        part,
        dedupe,
        hop: Some(hop),
    })
}

/// Says that a stream goes on under a new epoch, or why it does not yet: it is tried again then.
pub fn tell_epoch(stream: &StreamName, failed: Option<&AppendError>) {
    match failed {
        None => tracing::warn!(
            code = "QC2213",
            %stream,
            "The receiver has more than was ever sent; a new epoch begins."
        ),
        Some(error) => {
            tracing::warn!(code = error.code(), %stream, %error, "No new epoch yet.");
        }
    }
}

impl From<&AppendError> for Refusal {
    fn from(error: &AppendError) -> Self {
        Self::new(code(error.code()), error.to_string())
    }
}

impl From<&ReadError> for Refusal {
    fn from(error: &ReadError) -> Self {
        Self::new(code(error.code()), error.to_string())
    }
}

fn code(text: &'static str) -> Code {
    let number = text.trim_start_matches("QC").parse();
    Code::new(number.expect("a code is QC and four digits"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::NoKey;

    #[test]
    fn a_peer_learns_which_of_the_reasons_it_is() {
        let text = || "x".to_owned();
        for (error, code) in [
            (
                AppendError::Full {
                    reason: text(),
                    retry_after: Duration::from_secs(2),
                },
                "QC3302",
            ),
            (AppendError::Limit { reason: text() }, "QC3303"),
            (
                AppendError::TenantKey {
                    tenant: text(),
                    reason: NoKey::Away(text()),
                },
                "QC3047",
            ),
            (AppendError::Unreadable { reason: text() }, "QC3021"),
            (AppendError::TooLarge { bytes: 2, max: 1 }, "QC4009"),
            (AppendError::Poisoned(text()), "QC3002"),
            (AppendError::Closed, "QC0010"),
        ] {
            let refusal = Refusal::from(&error);
            assert_eq!(refusal.code.to_string(), code);
            assert_eq!(refusal.reason, error.to_string());
            let known = crate::failure::known_code(error.code());
            assert_eq!(known, Some(code));
        }
        for (error, code) in [
            (ReadError::Damaged(text()), "QC3004"),
            (ReadError::Unavailable(text()), "QC3004"),
            (
                ReadError::TenantKey {
                    reason: NoKey::Away(text()),
                },
                "QC3047",
            ),
        ] {
            assert_eq!(Refusal::from(&error).code.to_string(), code);
            assert_eq!(error.code(), code);
        }
    }
}
