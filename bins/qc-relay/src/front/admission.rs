//! Who finds a place at the front door: the counting, without sockets and without time.
//!
//! A stranger is whoever comes from an address that no node has linked from. Strangers share the places
//! that are not reserved, a few for every address, so that however many knock, a node that is known
//! gets in. Everything here is bounded by what is counted.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// The most addresses that are remembered as those of nodes; the one that was quiet longest goes.
const KNOWN: usize = 65_536;
/// A known address may have this share of the places that are for everybody: behind it may be a whole
/// site that returns at once.
const SITE: usize = 4;

/// The limits of `[listen]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections in their handshake.
    pub pending: usize,
    /// Those of one address, and those of one address without a certificate.
    pub per_address: usize,
    /// Places that only known addresses get, of `pending` and of `connections`.
    pub reserved: usize,
    /// Connections of any kind.
    pub connections: usize,
    /// HTTP connections of clients without a certificate.
    pub anonymous: usize,
}

/// Where somebody comes from: an IPv4 address, or the 64 bits of an IPv6 address that a site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Which limit turned a connection away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Handshakes at once.
    Pending,
    /// Handshakes at once from its address.
    Address,
    /// All connections.
    Connections,
    /// HTTP connections without a certificate, at all or from its address.
    Anonymous,
}

impl Limit {
    /// Its name in metrics and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Address => "pending_per_address",
            Self::Connections => "connections",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Places of one kind that are taken.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: BTreeMap<Source, usize>,
}

impl Taken {
    fn of(&self, source: Source) -> usize {
        self.by.get(&source).copied().unwrap_or(0)
    }

    fn take(&mut self, source: Source) {
        self.all += 1;
        *self.by.entry(source).or_default() += 1;
    }

    fn give_back(&mut self, source: Source) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by.remove(&source);
            }
        }
    }
}

/// What is taken, and who is known.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    pending: Taken,
    anonymous: Taken,
    connections: usize,
    known: Known,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: Taken::default(),
            anonymous: Taken::default(),
            connections: 0,
            known: Known::default(),
        }
    }

    /// A connection comes: it gets a place for its handshake, or none.
    pub(crate) fn arrive(&mut self, source: Source) -> Result<(), Limit> {
        let Limits {
            pending,
            per_address,
            reserved,
            connections,
            ..
        } = self.limits;
        let is_known = self.known.has(source);
        let reserve = if is_known { 0 } else { reserved };
        if self.connections >= connections.saturating_sub(reserve) {
            return Err(Limit::Connections);
        }
        if self.pending.all >= pending.saturating_sub(reserve) {
            return Err(Limit::Pending);
        }
        let is_common = self.pending.all < pending.saturating_sub(reserved);
        let most = if is_known && is_common {
            per_address.max(pending / SITE)
        } else {
            per_address
        };
        if self.pending.of(source) >= most {
            return Err(Limit::Address);
        }
        self.pending.take(source);
        self.connections += 1;
        Ok(())
    }

    /// Its handshake is over, whatever came of it.
    pub(crate) fn shook_hands(&mut self, source: Source) {
        self.pending.give_back(source);
    }

    /// It speaks HTTP and showed no certificate.
    pub(crate) fn is_anonymous(&mut self, source: Source) -> Result<(), Limit> {
        let Limits {
            anonymous,
            per_address,
            ..
        } = self.limits;
        if self.anonymous.all >= anonymous || self.anonymous.of(source) >= per_address {
            return Err(Limit::Anonymous);
        }
        self.anonymous.take(source);
        Ok(())
    }

    /// An anonymous one has ended.
    pub(crate) fn anonymous_ended(&mut self, source: Source) {
        self.anonymous.give_back(source);
    }

    /// A connection has ended.
    pub(crate) fn ended(&mut self) {
        self.connections = self.connections.saturating_sub(1);
    }

    /// A node has a link from here.
    pub(crate) fn linked(&mut self, source: Source) {
        self.known.add(source, KNOWN);
    }

    /// Connections in their handshake, and all.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.pending.all, self.connections)
    }
}

/// Addresses that nodes have linked from, and in which order.
#[derive(Debug, Default)]
struct Known {
    turn: u64,
    by_source: BTreeMap<Source, u64>,
    by_turn: BTreeMap<u64, Source>,
}

impl Known {
    fn has(&self, source: Source) -> bool {
        self.by_source.contains_key(&source)
    }

    fn add(&mut self, source: Source, most: usize) {
        self.turn += 1;
        if let Some(before) = self.by_source.insert(source, self.turn) {
            self.by_turn.remove(&before);
        }
        self.by_turn.insert(self.turn, source);
        if self.by_source.len() > most
            && let Some((_, oldest)) = self.by_turn.pop_first()
        {
            self.by_source.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        pending: 32,
        per_address: 4,
        reserved: 8,
        connections: 100,
        anonymous: 6,
    };

    fn from(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    /// As many as get in of `count` that come from here.
    fn flood(admission: &mut Admission, text: &str, count: usize) -> usize {
        let arrived = (0..count).filter(|_| admission.arrive(from(text)).is_ok());
        arrived.count()
    }

    #[test]
    fn an_address_is_what_one_sender_can_choose_from() {
        for (a, b, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(from(a) == from(b), same, "{a} {b}");
        }
    }

    #[test]
    fn strangers_leave_the_reserve_to_those_who_are_known() {
        let mut admission = Admission::new(LIMITS);
        admission.linked(from("10.0.0.1"));
        for last in 1..=40 {
            flood(&mut admission, &format!("192.0.2.{last}"), 9);
        }
        assert_eq!(admission.counts(), (24, 24));
        assert_eq!(admission.arrive(from("198.51.100.7")), Err(Limit::Pending));
        // what is left is shared, too
        assert_eq!(flood(&mut admission, "10.0.0.1", 9), 4);
        assert_eq!(admission.arrive(from("10.0.0.1")), Err(Limit::Address));
        admission.linked(from("10.0.0.2"));
        assert_eq!(flood(&mut admission, "10.0.0.2", 9), 4);
        assert_eq!(admission.arrive(from("10.0.0.2")), Err(Limit::Pending));
    }

    #[test]
    fn one_address_has_a_few_places_and_a_known_site_more() {
        let mut admission = Admission::new(LIMITS);
        assert_eq!(flood(&mut admission, "192.0.2.1", 9), 4);
        assert_eq!(admission.arrive(from("192.0.2.1")), Err(Limit::Address));
        admission.shook_hands(from("192.0.2.1"));
        assert_eq!(flood(&mut admission, "192.0.2.1", 9), 1);
        admission.linked(from("192.0.2.1"));
        assert_eq!(flood(&mut admission, "192.0.2.1", 9), 4);
    }

    #[test]
    fn connections_are_bounded_and_come_back() {
        let mut admission = Admission::new(LIMITS);
        let mut open = 0;
        while admission.arrive(from("192.0.2.1")).is_ok() {
            admission.shook_hands(from("192.0.2.1"));
            open += 1;
        }
        assert_eq!(open, 92);
        admission.linked(from("10.0.0.1"));
        assert_eq!(admission.arrive(from("10.0.0.1")), Ok(()));
        admission.ended();
        admission.ended();
        assert_eq!(admission.arrive(from("192.0.2.9")), Ok(()));
        let stranger = admission.arrive(from("192.0.2.9"));
        assert_eq!(stranger, Err(Limit::Connections));
    }

    #[test]
    fn those_without_a_certificate_are_few() {
        let mut admission = Admission::new(LIMITS);
        let mut knock = |text| admission.is_anonymous(from(text)).is_ok();
        let got: Vec<bool> = (0..5).map(|_| knock("192.0.2.1")).collect();
        assert_eq!(got, [true, true, true, true, false]);
        assert!(knock("192.0.2.2") && knock("192.0.2.3") && !knock("192.0.2.4"));
        admission.anonymous_ended(from("192.0.2.1"));
        assert!(admission.is_anonymous(from("192.0.2.4")).is_ok());
    }

    #[test]
    fn who_was_quiet_longest_is_forgotten() {
        let mut known = Known::default();
        for text in ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"] {
            known.add(from(text), 2);
        }
        let remembered = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| known.has(from(text)));
        assert_eq!(remembered, [true, false, true]);
        assert_eq!((known.by_turn.len(), known.by_source.len()), (2, 2));
    }
}
