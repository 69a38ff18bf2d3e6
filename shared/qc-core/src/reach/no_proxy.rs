//! Hosts that are reached without the proxy: `["relay.local", "*.local", "10.0.0.0/8"]`.
//!
//! A name is compared as it stands in the configuration, before it is looked up: behind a proxy the
//! site often cannot look it up at all. Networks therefore match only hosts written as addresses.

use std::net::IpAddr;
use std::str::FromStr;

use crate::safe_text::safe;

/// What goes without proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Pattern>);

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Every host: `*`.
    All,
    /// This name.
    Name(String),
    /// Every name below this suffix: `*.local`, `.local`.
    Below(String),
    /// Addresses of a network; a single address has all its bits.
    Network {
        /// Its first address.
        network: IpAddr,
        /// How many bits are compared.
        bits: u8,
    },
}

impl NoProxy {
    /// A list of patterns.
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    /// Whether `host` goes without the proxy.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|pattern| pattern.matches(&host))
    }
}

impl Pattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => name == host,
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
            Self::Network { network, bits } => host
                .parse()
                .is_ok_and(|address: IpAddr| is_within(address.to_canonical(), *network, *bits)),
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "'{}' is no host, no \"*.DOMAIN\" and no network such as \"10.0.0.0/8\"",
                safe(text, 80)
            )
        };
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some((network, bits)) = text.split_once('/') {
            let network: IpAddr = network.parse().map_err(|_| bad())?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            let bits: u8 = bits.parse().map_err(|_| bad())?;
            return (bits <= most)
                .then_some(Self::Network { network, bits })
                .ok_or_else(bad);
        }
        if let Ok(network) = text.parse::<IpAddr>() {
            let bits = if network.is_ipv4() { 32 } else { 128 };
            return Ok(Self::Network { network, bits });
        }
        let below = text.strip_prefix("*.").or_else(|| text.strip_prefix('.'));
        let name = below.unwrap_or(text).to_ascii_lowercase();
        let is_name = (1..=253).contains(&name.len())
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        match below {
            _ if !is_name => Err(bad()),
            Some(_) => Ok(Self::Below(name)),
            None => Ok(Self::Name(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], host: &str, expected: bool) {
        let parsed = patterns.iter().map(|p| p.parse().unwrap()).collect();
        assert_eq!(
            NoProxy::new(parsed).matches(host),
            expected,
            "{patterns:?} {host}"
        );
    }

    #[test]
    fn names_suffixes_and_networks() {
        check(&[], "relay.local", false);
        check(&["*.local"], "relay.local", true);
        check(&["*.local"], "a.relay.local.", true);
        check(&["*.local"], "local", false);
        check(&["*.local"], "notlocal", false);
        check(&[".local"], "Relay.LOCAL", true);
        check(&["relay.dc"], "relay.dc", true);
        check(&["relay.dc"], "a.relay.dc", false);
        check(&["10.0.0.0/8"], "10.200.1.1", true);
        check(&["10.0.0.0/8"], "11.0.0.1", false);
        check(&["10.0.0.0/8"], "relay.dc", false);
        check(&["10.0.0.0/8"], "::ffff:10.0.0.1", true);
        check(&["0.0.0.0/0"], "192.0.2.1", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["192.0.2.7"], "192.0.2.7", true);
        check(&["192.0.2.7"], "192.0.2.8", false);
        check(&["fd00::/8"], "fd12::1", true);
        check(&["fd00::/8"], "fe80::1", false);
        check(&["::/0"], "fe80::1", true);
        check(&["*"], "anything", true);
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "a b",
            "*.",
            "*x",
            "http://x",
            "..",
            "10.0.0.0/-1",
        ] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
