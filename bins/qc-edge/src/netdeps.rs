//! What an edge needs of the network, from its configuration alone: for the person at the firewall.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use http::Uri;
use qc_core::reach::{Known, Target};
use qc_core::safe_text::safe;
use qc_core::uplink::UplinkWay;
use serde::{Deserialize, Serialize};

use crate::config::EdgeConfig;

/// The longest comment of a rule that nft takes, with room to spare.
const MAX_COMMENT: usize = 110;

/// One dependency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Dependency {
    /// `out` or `in`.
    pub direction: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The other side of what goes out, the own address of what comes in.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// What for.
    pub purpose: String,
    /// The proxy that goes there in place of this machine.
    pub via: Option<String>,
    /// When it was last used, if the daemon knows.
    pub last_used: Option<String>,
    /// What uses it.
    #[serde(skip)]
    pub user: User,
}

/// What uses a dependency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum User {
    /// Nobody who counts.
    #[default]
    Nobody,
    /// Links to these relays, as configured.
    Links(Vec<String>),
    /// A source.
    Source(String),
    /// A sink.
    Sink(String),
}

/// The dependencies of a configuration. `resolvers` are the machine's name servers.
pub(crate) fn of(config: &EdgeConfig, way: &UplinkWay, resolvers: &[IpAddr]) -> Vec<Dependency> {
    let mut all = links(config, way);
    for sink in &config.sink {
        let Some(webhook) = &sink.webhook else {
            continue;
        };
        let Ok(uri) = webhook.url.parse::<Uri>() else {
            continue;
        };
        let is_https = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        all.push(Dependency {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            purpose: format!(
                "sink {} ({})",
                sink.name,
                if is_https { "HTTPS" } else { "HTTP" }
            ),
            user: User::Sink(sink.name.clone()),
            ..outgoing("tcp")
        });
    }
    let is_looked_up = |one: &&Dependency| one.via.is_none() && one.host.parse::<IpAddr>().is_err();
    let looked_up: Vec<_> = all.iter().filter(is_looked_up).collect();
    if !looked_up.is_empty() {
        let unknown = vec!["the name server of this machine".to_owned()];
        let servers: Vec<_> = resolvers.iter().map(ToString::to_string).collect();
        let servers = if servers.is_empty() { unknown } else { servers };
        for (host, protocol) in servers.iter().flat_map(|s| [(s, "udp"), (s, "tcp")]) {
            all.push(Dependency {
                host: host.clone(),
                port: 53,
                purpose: "names (DNS)".to_owned(),
                ..outgoing(protocol)
            });
        }
    }
    for source in &config.source {
        if let Some(webhook) = &source.webhook {
            all.push(Dependency {
                direction: "in".to_owned(),
                protocol: "tcp".to_owned(),
                host: webhook.listen.ip().to_string(),
                port: webhook.listen.port(),
                purpose: format!("source {} (HTTP)", source.name),
                user: User::Source(source.name.clone()),
                ..Dependency::default()
            });
        }
    }
    all
}

fn outgoing(protocol: &str) -> Dependency {
    Dependency {
        direction: "out".to_owned(),
        protocol: protocol.to_owned(),
        ..Dependency::default()
    }
}

fn links(config: &EdgeConfig, way: &UplinkWay) -> Vec<Dependency> {
    let mut all = Vec::new();
    let mut behind = Vec::new();
    for relay in &config.uplink.relay {
        let Ok(target) = relay.parse::<Target>() else {
            continue;
        };
        let proxy = way.proxy.as_ref();
        let proxy = proxy.filter(|_| !way.no_proxy.matches(&target.host));
        if proxy.is_some() {
            behind.push(relay.clone());
        }
        all.push(Dependency {
            host: target.host,
            port: target.port,
            purpose: "link to relay (TLS 1.3)".to_owned(),
            via: proxy.map(ToString::to_string),
            user: User::Links(vec![relay.clone()]),
            ..outgoing("tcp")
        });
    }
    if let (Some(proxy), false) = (&way.proxy, behind.is_empty()) {
        let first = Dependency {
            host: proxy.target.host.clone(),
            port: proxy.target.port,
            purpose: "proxy for links".to_owned(),
            user: User::Links(behind),
            ..outgoing("tcp")
        };
        all.insert(0, first);
    }
    all
}

/// The name servers in the text of `/etc/resolv.conf`.
pub(crate) fn resolvers(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some("nameserver")
            && let Some(address) = words.next()
            && let Ok(address) = address.split('%').next().unwrap_or_default().parse()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Comma-separated values with a header (RFC 4180).
pub(crate) fn csv(all: &[Dependency]) -> String {
    let mut text = "direction,protocol,host,port,purpose,via,last_used\n".to_owned();
    for one in all {
        let port = one.port.to_string();
        let cells = [
            &one.direction,
            &one.protocol,
            &one.host,
            &port,
            &one.purpose,
            one.via.as_deref().unwrap_or_default(),
            one.last_used.as_deref().unwrap_or_default(),
        ];
        let quoted = cells.map(|cell| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.to_owned()
            }
        });
        text.push_str(&quoted.join(","));
        text.push('\n');
    }
    text
}

/// Rules for nft. A name stands with the addresses that were last good; one without any stands as a
/// comment, so that the file loads.
pub(crate) fn nft(all: &[Dependency], known: &BTreeMap<String, Known>) -> String {
    let mut text = "\
# What this edge needs of the network. For the usual table and chains: inet filter, output and input.
# What a proxy reaches in place of this machine is not among them.
"
    .to_owned();
    for one in all.iter().filter(|one| one.via.is_none()) {
        let chain = if one.direction == "in" {
            "input"
        } else {
            "output"
        };
        let rule = |to: &str| {
            let (protocol, port) = (&one.protocol, one.port);
            let comment = comment(one);
            format!(
                "insert rule inet filter {chain} {to}{protocol} dport {port} accept comment \"{comment}\""
            )
        };
        let addresses = one.host.parse().map_or_else(
            |_| {
                known
                    .get(&one.host)
                    .map(|known| known.addresses.clone())
                    .unwrap_or_default()
            },
            |address: IpAddr| vec![address],
        );
        if addresses.is_empty() {
            let host = safe(&one.host, 200);
            let rule = rule("ip daddr ADDRESS ");
            let _infallible = writeln!(
                text,
                "# {host}: no address is known here, put it in:\n# {rule}"
            );
        }
        for address in addresses {
            let to = match address {
                any if any.is_unspecified() => String::new(),
                IpAddr::V4(_) => format!("ip daddr {address} "),
                IpAddr::V6(_) => format!("ip6 daddr {address} "),
            };
            text.push_str(&rule(&to));
            text.push('\n');
        }
    }
    text
}

fn comment(one: &Dependency) -> String {
    let text = format!("qc-edge: {}, {}", one.purpose, one.host);
    let plain = |c: char| {
        if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(plain).take(MAX_COMMENT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SCHEMA;
    use qc_core::config::{Source, load};
    use qc_core::model::Timestamp;

    fn listed(text: &str) -> Vec<Dependency> {
        let text = format!("schema = 1\n{text}");
        let loaded = load(&SCHEMA, vec![Source::new("edge.toml", text)], &[]).unwrap();
        let config = EdgeConfig::from_loaded(&loaded).unwrap();
        let way = config.uplink.way().unwrap();
        of(
            &config,
            &way,
            &resolvers("# x\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nsearch a\n"),
        )
    }

    const FULL: &str = "[uplink]\nrelay = [\"relay-1.dc:7443\", \"[fd00::1]:443\"]\n\
        [[source]]\nname = \"hook\"\nstream = \"acme/x\"\nclass = \"internal\"\n[source.webhook]\nlisten = \"127.0.0.1:8480\"\n\
        [[sink]]\nname = \"erp\"\nstream = \"acme/y\"\n[sink.webhook]\nurl = \"https://erp.example/in\"\n";

    fn lines(all: &[Dependency]) -> Vec<String> {
        csv(all).lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn everything_of_a_configuration_is_listed() {
        assert_eq!(
            lines(&listed(FULL)),
            [
                "out,tcp,relay-1.dc,7443,link to relay (TLS 1.3),,",
                "out,tcp,fd00::1,443,link to relay (TLS 1.3),,",
                "out,tcp,erp.example,443,sink erp (HTTPS),,",
                "out,udp,10.0.0.53,53,names (DNS),,",
                "out,tcp,10.0.0.53,53,names (DNS),,",
                "out,udp,fe80::1,53,names (DNS),,",
                "out,tcp,fe80::1,53,names (DNS),,",
                "in,tcp,127.0.0.1,8480,source hook (HTTP),,",
            ]
        );
        assert_eq!(listed(""), [], "an edge that stays alone needs nothing");
        let by_address = "[uplink]\nrelay = [\"10.0.0.1:443\"]\n";
        assert_eq!(
            lines(&listed(by_address)),
            ["out,tcp,10.0.0.1,443,link to relay (TLS 1.3),,"]
        );
    }

    #[test]
    fn behind_a_proxy_the_relay_is_its_business() {
        let text = "[uplink]\nrelay = [\"relay-1.dc:7443\", \"relay.local:7443\"]\n\
            proxy = \"http://10.0.0.8:3128\"\nno_proxy = [\"*.local\"]\n";
        let all = listed(text);
        assert_eq!(
            lines(&all)[..3],
            [
                "out,tcp,10.0.0.8,3128,proxy for links,,",
                "out,tcp,relay-1.dc,7443,link to relay (TLS 1.3),http://10.0.0.8:3128,",
                "out,tcp,relay.local,7443,link to relay (TLS 1.3),,",
            ]
        );
        let rules = nft(&all, &BTreeMap::new());
        assert!(!rules.contains("relay-1.dc"), "{rules}");
    }

    #[test]
    fn rules_load_whatever_is_known() {
        let known = Known {
            addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::7".parse().unwrap()],
            at: Timestamp::from_millis(1),
        };
        let rules = nft(
            &listed(FULL),
            &BTreeMap::from([("relay-1.dc".to_owned(), known)]),
        );
        for rule in [
            "insert rule inet filter output ip daddr 10.0.0.1 tcp dport 7443 accept comment \"qc-edge: link to relay (TLS 1.3), relay-1.dc\"",
            "insert rule inet filter output ip6 daddr fd00::7 tcp dport 7443 accept comment",
            "insert rule inet filter output ip6 daddr fd00::1 tcp dport 443 accept comment",
            "# erp.example: no address is known here",
            "# insert rule inet filter output ip daddr ADDRESS tcp dport 443 accept comment",
            "insert rule inet filter output ip daddr 10.0.0.53 udp dport 53 accept comment",
            "insert rule inet filter input ip daddr 127.0.0.1 tcp dport 8480 accept comment",
        ] {
            assert!(
                rules.lines().any(|line| line.starts_with(rule)),
                "{rule}\nnot in\n{rules}"
            );
        }
        let loads =
            |line: &str| line.starts_with('#') || line.starts_with("insert rule inet filter ");
        assert!(rules.lines().all(loads), "{rules}");
    }
}
