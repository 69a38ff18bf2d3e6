//! Certificates: authorities, requests, tokens, trust; bytes and files in, bytes and files out.
//!
//! The chain is `root -> issuing CA [-> site CA] -> leaf`. A leaf names one node by exactly one DNS
//! name and says what the node may do by one role, an extended key usage that every CA above it must
//! carry too. [`verify_peer`] is the one judge of other nodes' certificates; nothing here touches
//! the network.

mod authority;
mod certificate;
mod crl;
mod csr;
mod der;
mod directory;
mod identity;
mod key;
mod log;
mod peer;
mod pkcs7;
mod profile;
mod request;
mod role;
pub mod sealed;
mod token;
mod trust;
mod words;

pub use authority::{Authority, AuthorityError, CaPlan, MAX_CA_NAME, MAX_ORG};
pub use certificate::{
    CertError, CertView, MAX_PEM, certs_from_pem, certs_to_pem, fingerprint, serial_hex, sha256,
    to_pem,
};
pub use crl::{CrlError, CrlView, Revocation};
pub use csr::{CertRequest, CsrRefusal, MAX_CSR};
pub use directory::{CaFiles, DirError, DirLock, Issued, PkiDir};
pub use identity::{Enrolled, Identity, IdentityError, KeyAndChain, Pending};
pub use key::{KeyError, PrivateKey};
pub use log::{Issuance, IssuanceLog, LogError};
pub use peer::{PeerIdentity, PeerRefusal, Usage, is_signed_by_leaf, verify_peer};
pub use pkcs7::{certs_from_pkcs7, certs_to_pkcs7};
pub use profile::{BACKDATE, LEAF_LIFETIME, Profile, outage_budget};
pub use request::{JoinRequest, JoinResponse, RequestError};
pub use role::{Role, UnknownRole};
pub use token::{Claim, MAX_TTL, Redeemed, Token, TokenError, TokenRecord, TokenText, Tokens};
pub use trust::{BadList, MAX_CRLS, TrustAnchors, TrustError, list_from_file};
pub use words::key_words;
