//! TLS for links and front doors: credentials that swap live, one port for both, reasons by name.
//!
//! TLS 1.3 only, mutual on links, no resumption of any kind: a revoked peer must not come back on an
//! old ticket, and who was let in is judged again when credentials change. Whether a peer is let in is judged by [`crate::pki::verify_peer`] alone; here its
//! verdict is carried out of the handshake, so that both sides can say why.

mod accept;
mod connect;
mod credentials;
mod files;
mod shown;
mod verifier;

pub use accept::{AcceptError, Accepted, accept};
pub use connect::{ConnectError, Connected, PeerAlert, connect, peek, peer_alert};
pub use credentials::{Credentials, CredentialsError, Loaded, PARENTS, RELAYS, Reload, may_link};
pub use files::{FileWatch, Look, watch_files};
pub use shown::{Shown, as_refusal};
pub use verifier::{Verdict, front_client_config_pinned};

#[cfg(test)]
mod tests;

/// The application protocol of links.
pub const ALPN_LINK: &[u8] = b"qc/1";

/// Makes aws-lc-rs the crypto provider of this process. The first statement of every `run`; calling
/// it again does nothing.
pub fn install_crypto_provider() {
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
