//! What a configuration shows of messages that would go in a circle. Pure.
//!
//! Only what is plain: a relay that dials itself, and a parent that is named where its messages would come
//! back. What a pattern lets in is no proof, and circles of more relays show nowhere in one file:
//! against those stand the origin of a message and its count of relays.

use std::net::{IpAddr, SocketAddr};

use qc_core::model::{HostPort, NodeName};

use crate::hub::access::Direction;

/// The relay of `[uplink]` that is the one that listens at `listen`.
pub(crate) fn own_parent(listen: SocketAddr, relays: &[String]) -> Option<&String> {
    let is_own = |relay: &&String| {
        let Ok(HostPort { host, port }) = relay.parse() else {
            return false;
        };
        let ip = host.parse::<IpAddr>().ok();
        let is_here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let answers = listen.ip().is_unspecified() || listen.ip().is_loopback();
        port == listen.port() && (is_here && answers || ip == Some(listen.ip()))
    };
    relays.iter().find(is_own)
}

/// The list of a stream that lets `parent` do the contrary of what the stream does with it.
pub(crate) fn comes_back(
    uplink: Direction,
    parent: &NodeName,
    publish: &[String],
    subscribe: &[String],
) -> Option<&'static str> {
    let (verb, patterns) = match uplink {
        Direction::Send => ("publish", publish),
        Direction::Receive => ("subscribe", subscribe),
        Direction::None => return None,
    };
    let is_named = patterns.iter().any(|pattern| pattern == parent.as_str());
    is_named.then_some(verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_dials_itself_is_known() {
        for (listen, relay, is_own) in [
            ("0.0.0.0:7443", "hq.example:7443", false),
            ("0.0.0.0:7443", "127.0.0.1:7443", true),
            ("0.0.0.0:7443", "localhost:7443", true),
            ("[::]:7443", "[::1]:7443", true),
            ("192.0.2.1:7443", "192.0.2.1:7443", true),
            ("192.0.2.1:7443", "127.0.0.1:7443", false),
            ("0.0.0.0:7443", "127.0.0.1:7444", false),
        ] {
            let relays = ["other.example:443".to_owned(), relay.to_owned()];
            let found = own_parent(listen.parse().unwrap(), &relays);
            assert_eq!(found.is_some(), is_own, "{listen} {relay}");
        }
    }

    #[test]
    fn only_a_parent_that_is_named_comes_back() {
        let hq = || vec!["relay-1.hq.acme".to_owned()];
        let any = || vec!["*.hq.acme".to_owned()];
        for (uplink, publish, subscribe, expected) in [
            (Direction::Send, hq(), vec![], Some("publish")),
            (Direction::Send, any(), hq(), None),
            (Direction::Receive, vec![], hq(), Some("subscribe")),
            (Direction::Receive, hq(), any(), None),
            (Direction::None, hq(), hq(), None),
        ] {
            let parent = "relay-1.hq.acme".parse().unwrap();
            let found = comes_back(uplink, &parent, &publish, &subscribe);
            assert_eq!(found, expected, "{uplink:?} {publish:?} {subscribe:?}");
        }
    }
}
