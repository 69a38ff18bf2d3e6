//! Certificates and what comes with them, from peers, sticks and hands.

use std::sync::LazyLock;

use qc_core::control::{Object, judge, pack_revocations, revocation_lists};
use qc_core::model::{NodeName, Timestamp};
use qc_core::pki::{
    CertRequest, CertView, CrlView, JoinRequest, JoinResponse, Role, TokenText, Usage,
    certs_from_pem, certs_from_pkcs7, certs_to_pem, certs_to_pkcs7, verify_peer,
};
use rustls_pki_types::CertificateDer;

/// DER of anything to everybody who reads some, and PEM of it.
pub(crate) fn der(bytes: &[u8]) {
    if let Ok(cert) = CertView::parse(bytes) {
        let _either = (cert.is_self_issued(), cert.may_have_issued(&cert));
    }
    let _either = (
        CrlView::parse(bytes),
        CertRequest::parse(bytes),
        CertRequest::parse_pem(bytes),
    );
    if let Some(certs) = certs_from_pkcs7(bytes) {
        let again = certs_from_pkcs7(&certs_to_pkcs7(&certs));
        assert_eq!(again.as_ref(), Some(&certs));
    }
    if let Ok(certs) = certs_from_pem(bytes) {
        let again = certs_from_pem(certs_to_pem(&certs).as_bytes());
        assert_eq!(again.ok().as_ref(), Some(&certs));
    }
    let shown = [CertificateDer::from(bytes)];
    let (site, now) = (&*SITE, Timestamp::from_millis(WHILE_VALID));
    let judged = verify_peer(&shown, &site.trust, Usage::Client, &[Role::Edge], now);
    if let Ok(peer) = judged {
        let real = CertView::parse(&site.cert).unwrap();
        assert_eq!(
            (&peer.name, peer.spki_sha256),
            (&site.node, real.spki_sha256)
        );
    }
}

/// An edge of a real site and what its relay trusts: nobody else is let in, whatever is shown.
static SITE: LazyLock<JoinResponse> =
    LazyLock::new(|| JoinResponse::parse(include_bytes!("../site.qcresp")).unwrap());
const WHILE_VALID: u64 = 1_796_268_127_000;

/// The files of a stick.
pub(crate) fn join(bytes: &[u8]) {
    if let Ok(asked) = JoinRequest::parse(bytes) {
        let (node, role): (NodeName, Role) = (asked.node, asked.role);
        assert!(!node.as_str().is_empty() && !role.as_str().is_empty());
    }
    if let Ok(answer) = JoinResponse::parse(bytes) {
        let text = JoinResponse::write(&answer.node, &answer.cert, &answer.chain, &answer.trust);
        assert!(JoinResponse::parse(text.as_bytes()).is_ok());
    }
}

/// A control object: every byte of it is read, and stands for what it says.
pub(crate) fn control_object(bytes: &[u8]) {
    if let Ok(object) = Object::decode(bytes) {
        assert_eq!(object.bytes(), bytes);
        let (says, parts) = (object.says(), object.parts());
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        assert_eq!(parts.signed.len(), 8 + length as usize);
        let lists = revocation_lists(&says.payload).unwrap_or_default();
        let again = pack_revocations(&lists);
        assert!(lists.is_empty() || again == says.payload);
        assert!(judge(&object, &SITE.trust).is_err(), "nobody signs here");
    }
}

/// An invitation: what is taken is handed over as the same.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(token) = text.parse::<TokenText>() {
        let shown = token.reveal();
        let again: TokenText = shown.expose().parse().unwrap();
        assert_eq!((again.id, again.pin), (token.id, token.pin));
    }
}
