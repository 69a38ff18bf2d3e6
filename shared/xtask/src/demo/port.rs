//! Ports that nobody listens on.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that the kernel gives to outgoing connections: while a node is down nobody takes
/// its port by chance.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 1_000;

/// `N` different free ports on loopback. Another program may take one before it is used, which shows
/// as a start that fails, not as a wrong result.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = (0..ATTEMPTS)
            .find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(RANGE))).ok())
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_differ_and_can_be_bound() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, a)).is_ok());
    }
}
