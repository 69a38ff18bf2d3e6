//! `[uplink]`: the keys of relay and edge, and what they say, parsed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Shaping, ShapingText};
use crate::config::{Key, Kind, Loaded, Problem, Section, Shape, de};
use crate::model::NodeName;
use crate::reach::{NoProxy, Proxy, WebSocketMode};
use crate::safe_text::safe;

/// `[uplink]` of an edge. A relay's has the same keys and its own sentence.
pub const UPLINK: Section = Section {
    name: "uplink",
    shape: Shape::One,
    required: false,
    doc: "The link to a relay. Outbound only: nothing listens on the WAN side.",
    keys: &[
        Key::new("relay", Kind::List(&Kind::Addr), "Relays as HOST:PORT, tried in this order. Empty: stay alone.")
            .default("[]")
            .example("[\"relay-1.dc.example:7443\", \"relay-2.dc.example:7443\"]"),
        Key::new("name", Kind::NodeName, "Accept only this relay. Without it any that has the role: an edge takes relay and relay-parent, a relay only relay-parent.")
            .example("\"relay-1.hq.acme\""),
        Key::new("heartbeat", Kind::Duration, "Time between heartbeats; after two missing ones the link is stale.")
            .default("\"5s\""),
        Key::new("connect_timeout", Kind::Duration, "Time to reach one relay: name, TCP, proxy, TLS. A WebSocket after it has as long again.")
            .default("\"10s\""),
        Key::new("source", Kind::String, "Own address to come from, IPv4 or IPv6; relays are then dialled in its family only.")
            .example("\"10.1.2.3\""),
        Key::new("keepalive", Kind::Duration, "Idle time after which the kernel asks whether the other side is there. 0s: never.")
            .default("\"30s\""),
        Key::new("proxy", Kind::String, "Proxy: http:// (CONNECT) or socks5://, which looks names up itself. Only this key counts, no variable of the environment.")
            .example("\"http://proxy.corp:3128\""),
        Key::new("proxy_credentials_file", Kind::Path, "File with USER:PASSWORD in one line, for its owner only. It is read for every connection.")
            .example("\"/etc/qc/secrets/proxy\""),
        Key::new("no_proxy", Kind::List(&Kind::String), "Relays that are dialled without the proxy: names, \"*.DOMAIN\", and networks for relays given as addresses.")
            .default("[]")
            .example("[\"*.local\", \"10.0.0.0/8\"]"),
        Key::new("websocket", Kind::Enum(&["never", "fallback", "always"]), "The link inside a WebSocket on the same port: for ways that filter all but ordinary HTTPS.")
            .default("\"fallback\""),
        Key::new("prefer_after", Kind::Duration, "How long a link to a lesser relay stands before those listed before it are tried again.")
            .default("\"10m\""),
        Key::new("reconnect_spread", Kind::Duration, "A lost link is dialled again at some moment of this window, so that a fleet does not return in one second. About 1s for every 1000 edges.")
            .default("\"1s\""),
        Key::new("limit", Kind::String, "The most that is sent, over all lanes: bits a second such as 256kbit or 2Mbit. Alarms pass at once, and the rest waits for it.")
            .example("\"256kbit\""),
        Key::new("catchup", Kind::Integer { min: 1, max: 100 }, "The share of the limit in percent while what waits is older than a minute, so that a return leaves the line to others.")
            .example("30"),
        Key::new("window", Kind::List(&Kind::String), "Times of the day, in the machine's time zone, in which the lanes normal and low are sent. Empty: always.")
            .default("[]")
            .example("[\"22:00-06:00\"]"),
    ],
    variants: &[],
};

/// `[uplink]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UplinkSection {
    /// Relays, in order.
    pub relay: Vec<String>,
    /// The only relay that is accepted.
    #[serde(default, deserialize_with = "de::maybe_parsed")]
    pub name: Option<NodeName>,
    /// Time between heartbeats.
    #[serde(deserialize_with = "de::duration")]
    pub heartbeat: Duration,
    /// Time for one way to one relay.
    #[serde(deserialize_with = "de::duration")]
    pub connect_timeout: Duration,
    /// The own address to come from.
    #[serde(default)]
    pub source: Option<String>,
    /// Idle time before probes of the kernel; zero for none.
    #[serde(deserialize_with = "de::duration")]
    pub keepalive: Duration,
    /// The proxy.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Where its credentials are.
    #[serde(default)]
    pub proxy_credentials_file: Option<PathBuf>,
    /// What goes without it.
    pub no_proxy: Vec<String>,
    /// When the link goes inside a WebSocket.
    #[serde(deserialize_with = "de::parsed")]
    pub websocket: WebSocketMode,
    /// How long a lesser relay is good enough.
    #[serde(deserialize_with = "de::duration")]
    pub prefer_after: Duration,
    /// The window of returns.
    #[serde(deserialize_with = "de::duration")]
    pub reconnect_spread: Duration,
    /// The most that is sent.
    #[serde(default)]
    pub limit: Option<String>,
    /// The share of it for what is old.
    #[serde(default)]
    pub catchup: Option<u8>,
    /// When the lanes normal and low are sent.
    pub window: Vec<String>,
}

impl UplinkSection {
    /// Where to come from, the proxy, and what goes without it; or the key that is wrong, and why.
    pub fn way(&self) -> Result<UplinkWay, (&'static str, String)> {
        let source = self.source.as_deref().map(|source| {
            source.parse().map_err(|_| {
                let why = format!("'{}' is no IPv4 or IPv6 address", safe(source, 80));
                ("source", why)
            })
        });
        let proxy = self.proxy.as_deref();
        let proxy = proxy.map(|proxy| proxy.parse().map_err(|why| ("proxy", why)));
        let patterns = self.no_proxy.iter().map(|text| text.parse());
        let patterns: Result<_, String> = patterns.collect();
        let way = UplinkWay {
            source: source.transpose()?,
            proxy: proxy.transpose()?,
            no_proxy: NoProxy::new(patterns.map_err(|why| ("no_proxy", why))?),
        };
        if way.proxy.is_none() && self.proxy_credentials_file.is_some() {
            let why = "there is no proxy to show it to".to_owned();
            return Err(("proxy_credentials_file", why));
        }
        if self.connect_timeout.is_zero() {
            return Err(("connect_timeout", "it leaves no time".to_owned()));
        }
        Ok(way)
    }

    /// What the link may take; or the key that is wrong, and why.
    pub fn shaping(&self) -> Result<Shaping, (&'static str, String)> {
        let text = ShapingText {
            limit: self.limit.clone(),
            catchup: self.catchup,
            window: self.window.clone(),
        };
        text.parse()
    }

    /// The key that is wrong, and why, at its place in the file.
    pub fn problem(&self, loaded: &Loaded) -> Option<Problem> {
        let (key, why) = self.way().err().or_else(|| self.shaping().err())?;
        let path = format!("uplink.{key}");
        // somebody may have put a password into the address of the proxy
        Some(loaded.problem(&path, "QC1020", why).hidden())
    }
}

/// What a schema cannot say of the way to a relay, parsed.
#[derive(Debug, Clone)]
pub struct UplinkWay {
    /// The own address to come from.
    pub source: Option<IpAddr>,
    /// The proxy.
    pub proxy: Option<Proxy>,
    /// What goes without it.
    pub no_proxy: NoProxy,
}
