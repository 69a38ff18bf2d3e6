//! Which addresses a webhook may reach: the connection goes to an address that was checked here, so
//! a name that resolves differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that hand out a machine's credentials, outside the link-local range.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether `address` may be connected to. What is denied by its kind can be listed by itself.
pub(super) fn is_allowed(address: IpAddr, listed: &[IpAddr]) -> bool {
    let address = embedded_v4(address);
    listed.iter().any(|known| embedded_v4(*known) == address) || !is_denied(address)
}

fn is_denied(address: IpAddr) -> bool {
    if METADATA.contains(&address) || address.is_unspecified() || address.is_multicast() {
        return true;
    }
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_broadcast() || v4.octets().first() == Some(&0)
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4.
fn embedded_v4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = match v6.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        | [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        | [0x20, 0x02, a, b, c, d, ..] => Ipv4Addr::new(a, b, c, d),
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if !v6.is_loopback() => {
            Ipv4Addr::new(a, b, c, d)
        }
        _ => return address,
    };
    IpAddr::V4(v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_are_denied_in_every_spelling() {
        for denied in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(!is_allowed(denied.parse().unwrap(), &[]), "{denied}");
        }
        for allowed in [
            "10.0.0.1",
            "127.0.0.1",
            "::1",
            "192.168.1.1",
            "fd00::1",
            "8.8.8.8",
        ] {
            assert!(is_allowed(allowed.parse().unwrap(), &[]), "{allowed}");
        }
        let listed = ["169.254.7.7".parse().unwrap()];
        assert!(is_allowed("::ffff:169.254.7.7".parse().unwrap(), &listed));
        assert!(!is_allowed("169.254.7.8".parse().unwrap(), &listed));
    }
}
