//! Why a relay was not got through to, each with its stable code. Every text in it is safe to show.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::codes;
use crate::link::ConnectError;
use crate::wire::{Code, Refusal};

/// Why there is no byte stream to a relay.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The name cannot be looked up, and no address of it was ever good.
    #[error("no address of {host} is known: {why}")]
    NoName {
        /// The name.
        host: String,
        /// What the system says.
        why: String,
    },
    /// Nobody answers at any address.
    #[error("{target} is not reachable: {why}")]
    Unreachable {
        /// What was dialled.
        target: String,
        /// What the system says, for every address.
        why: String,
        /// The kind of the last of them.
        kind: io::ErrorKind,
    },
    /// It took too long.
    #[error("{target} did not answer within {} s", .after.as_secs_f32())]
    Deadline {
        /// What was dialled.
        target: String,
        /// The time allowed.
        after: Duration,
    },
    /// The source address of the configuration cannot be used.
    #[error("the source address {address} cannot be used: {why}")]
    Source {
        /// The address.
        address: IpAddr,
        /// Why not.
        why: String,
    },
    /// Nobody answers where the proxy should be.
    #[error("the proxy {proxy} is not reachable: {why}")]
    ProxyUnreachable {
        /// The proxy.
        proxy: String,
        /// What the system says.
        why: String,
    },
    /// The proxy was reached and did not answer in time.
    #[error("the proxy {proxy} did not answer within {} s", .after.as_secs_f32())]
    ProxySilent {
        /// The proxy.
        proxy: String,
        /// The time allowed.
        after: Duration,
    },
    /// The proxy wants credentials, or others.
    #[error("the proxy {proxy} does not let us in: {why}")]
    ProxyCredentials {
        /// The proxy.
        proxy: String,
        /// What it said.
        why: String,
    },
    /// The proxy does not allow this target.
    #[error("the proxy {proxy} does not allow {target}: {why}")]
    ProxyForbids {
        /// The proxy.
        proxy: String,
        /// What was asked of it.
        target: String,
        /// What it said.
        why: String,
    },
    /// The proxy does not get through to the target.
    #[error("the proxy {proxy} does not reach {target}: {why}")]
    ProxyCannotReach {
        /// The proxy.
        proxy: String,
        /// What was asked of it.
        target: String,
        /// What it said.
        why: String,
    },
    /// The proxy answered something else.
    #[error("the proxy {proxy} answered {why}")]
    ProxyStatus {
        /// The proxy.
        proxy: String,
        /// What it said.
        why: String,
    },
    /// What answers there does not speak the protocol of the proxy.
    #[error("{proxy} does not answer as {expected}: {why}")]
    ProxyGarbled {
        /// The proxy.
        proxy: String,
        /// `an HTTP proxy`, `a SOCKS5 proxy`
        expected: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The file with the proxy's credentials cannot be used.
    #[error("the proxy credentials in {} cannot be used: {why}", .path.display())]
    CredentialsFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The other side did not take the upgrade to WebSocket.
    #[error("{target} does not take a link over WebSocket: {why}")]
    UpgradeRefused {
        /// What was dialled.
        target: String,
        /// What it said.
        why: String,
    },
    /// Something on the way ends TLS, so that no certificate of a node comes through.
    #[error("something between here and {target} breaks mutual TLS: {why}")]
    Inspected {
        /// What was dialled.
        target: String,
        /// How that was seen.
        why: String,
    },
}

impl ReachError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NoName { .. } => codes::NO_NAME,
            Self::Unreachable { .. } | Self::Deadline { .. } => crate::link::UNREACHABLE,
            Self::Source { .. } => codes::SOURCE,
            Self::ProxyUnreachable { .. } => codes::PROXY_UNREACHABLE,
            Self::ProxySilent { .. } => codes::PROXY_SILENT,
            Self::ProxyCredentials { .. } => codes::PROXY_CREDENTIALS,
            Self::ProxyForbids { .. } => codes::PROXY_FORBIDS,
            Self::ProxyCannotReach { .. } => codes::PROXY_CANNOT_REACH,
            Self::ProxyStatus { .. } => codes::PROXY_STATUS,
            Self::ProxyGarbled { .. } => codes::PROXY_GARBLED,
            Self::CredentialsFile { .. } => codes::CREDENTIALS_FILE,
            Self::UpgradeRefused { .. } => codes::UPGRADE_REFUSED,
            Self::Inspected { .. } => codes::INSPECTED,
        }
    }

    /// Whether trying again soon may help. It does not where a person must act, and a wrong password
    /// that is tried again and again locks an account.
    pub fn is_soon(&self) -> bool {
        !matches!(
            self,
            Self::ProxyCredentials { .. } | Self::CredentialsFile { .. } | Self::Inspected { .. }
        )
    }

    /// As a dialer takes it.
    pub(super) fn into_connect(self, address: &str) -> ConnectError {
        ConnectError::OnTheWay {
            address: crate::safe_text::safe(address, 200),
            refusal: Refusal::new(self.code(), self.to_string()),
            soon: self.is_soon(),
        }
    }
}
