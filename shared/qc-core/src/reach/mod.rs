//! Getting through to a relay: names, addresses, proxies, WebSocket. What comes out is a byte stream
//! whose other end was judged; a link does not know how it came about.
//!
//! ```text
//! HOST:PORT -- no_proxy? --> names ----> eyeballs ----> TCP \
//!      \                  system, or     v6 and v4,          --> TLS, ALPN qc/1 -----------> link
//!       \                 last good      250 ms apart       /    \ filtered on the way?
//!        `- proxy -> names -> eyeballs -> CONNECT | SOCKS5 /      `> TLS, http/1.1, GET /.qc/link -> link
//! ```
//!
//! - [`Reach`] opens the stream, [`Dial`] makes a judged connection of it for a `link::Dialer`.
//! - [`Names`] asks the system and keeps the last good addresses in a file, for when DNS is down.
//! - [`websocket`] is the same bytes in binary messages, for both ends.
//!
//! What was dialled is believed only by its certificate, so an old address or a lying name server
//! can keep a node from its relay and do no more. Proxies come from the configuration only: no
//! variable of the environment is read.

mod codes;
mod dial;
mod error;
mod eyeballs;
mod head;
mod http_proxy;
mod last_good;
mod names;
mod no_proxy;
mod open;
mod proxy;
mod socks5;
#[cfg(feature = "testing")]
pub mod testing;
mod way;
pub mod websocket;

pub use crate::model::{BadHostPort as BadTarget, HostPort as Target};
pub use codes::*;
pub use dial::{Dial, LinkStream, WebSocketMode};
pub use error::ReachError;
pub use last_good::{Known, LastGood};
pub use names::{Found, Lookup, Names, Resolve, SystemResolver};
pub use no_proxy::{NoProxy, Pattern};
pub use open::{Reach, Route, Socket};
pub use proxy::{Proxy, ProxyKind};
pub use way::{Way, Ways};

#[cfg(test)]
mod tests;
