//! `HOST:PORT`, taken apart.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::safe_text::safe;

/// Where to connect to: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

/// Text that is not `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not HOST:PORT")]
pub struct BadHostPort(String);

impl HostPort {
    /// The address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for HostPort {
    type Err = BadHostPort;

    fn from_str(text: &str) -> Result<Self, BadHostPort> {
        let bad = || BadHostPort(safe(text, 200));
        if let Ok(address) = text.parse::<SocketAddr>() {
            let (host, port) = (address.ip().to_string(), address.port());
            return (port > 0).then_some(Self { host, port }).ok_or_else(bad);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let named = (1..=253).contains(&host.len())
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        let port = port.parse().ok().filter(|port| *port > 0);
        match port {
            Some(port) if named => Ok(Self {
                host: host.to_ascii_lowercase(),
                port,
            }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for HostPort {
    /// As it was written: an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, u16)>) {
        let parsed = text.parse::<HostPort>().ok();
        let found = parsed.as_ref().map(|t| (t.host.as_str(), t.port));
        assert_eq!(found, expected, "{text}");
        if let Some(target) = parsed {
            assert_eq!(target.to_string(), text.to_ascii_lowercase());
        }
    }

    #[test]
    fn hosts_and_ports_come_apart() {
        check(
            "relay-1.dc.example:7443",
            Some(("relay-1.dc.example", 7443)),
        );
        check("Relay-1.DC:443", Some(("relay-1.dc", 443)));
        check("10.1.2.3:443", Some(("10.1.2.3", 443)));
        check("[fd00::1]:443", Some(("fd00::1", 443)));
        for bad in [
            "",
            "relay",
            "relay:",
            "relay:0",
            "relay:70000",
            ":443",
            "a b:1",
            "fd00::1:",
            "[::1]:0",
        ] {
            check(bad, None);
        }
        check(&format!("{}:1", "a".repeat(254)), None);
    }
}
