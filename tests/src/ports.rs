//! Ports that stay free while a daemon restarts.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that the kernel gives to outgoing connections, which would take a port while its
/// daemon is down.
const FIRST: u32 = 12_000;
const COUNT: u32 = 18_000;

/// A TCP port of 127.0.0.1 that nobody listens on, another one for every call.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // two test processes at once begin at different places
    let offset = std::process::id().wrapping_mul(97);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(step < COUNT, "no free port on 127.0.0.1");
        let port = FIRST + offset.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
