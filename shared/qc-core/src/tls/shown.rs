//! What a peer showed at its handshake, kept so that it can be judged again by what is believed later.
//!
//! Time counts as it stood at the handshake. A list that arrives must not end the link of a node whose
//! certificate has ended since, which may have its next one already, nor that of anybody because a
//! clock was set.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::model::{NodeName, Timestamp};
use crate::pki::{PeerIdentity, PeerRefusal, Role, TrustAnchors, Usage, verify_peer};
use crate::wire::{Code, Refusal};

/// The certificates of one connection's peer, and by which rules they were judged. Clones share it.
#[derive(Debug, Clone)]
pub struct Shown(Arc<Judged>);

#[derive(Debug)]
struct Judged {
    chain: Vec<CertificateDer<'static>>,
    rules: Rules,
    at: Timestamp,
    generation: u64,
}

/// Who may be at the other end.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) usage: Usage,
    pub(super) roles: &'static [Role],
    /// The only node that is accepted.
    pub(super) expected: Option<NodeName>,
}

impl Shown {
    /// `chain` as it was shown at the time `at`, before it is judged by credentials of `generation`.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        rules: Rules,
        at: Timestamp,
        generation: u64,
    ) -> Self {
        Self(Arc::new(Judged {
            chain,
            rules,
            at,
            generation,
        }))
    }

    /// The generation of credentials that it was judged by at its handshake.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Who the peer is by `trust`, or why it is nobody.
    pub fn judge(&self, trust: &TrustAnchors) -> Result<PeerIdentity, PeerRefusal> {
        let Rules {
            usage,
            roles,
            expected,
        } = &self.0.rules;
        let peer = verify_peer(&self.0.chain, trust, *usage, roles, self.0.at)?;
        match expected {
            Some(wanted) if *wanted != peer.name => Err(PeerRefusal::UnexpectedNode {
                found: peer.name,
                wanted: wanted.clone(),
            }),
            _ => Ok(peer),
        }
    }
}

/// A refusal of a certificate, as links carry it.
pub fn as_refusal(refusal: &PeerRefusal) -> Refusal {
    let number = refusal.code().trim_start_matches("QC").parse();
    Refusal::new(Code::new(number.unwrap_or_default()), refusal.to_string())
}
