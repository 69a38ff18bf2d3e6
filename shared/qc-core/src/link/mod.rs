//! The link between two nodes: who may send what, in order, acknowledged when it is on disk.
//!
//! - [`Session`] is the protocol without I/O: frames and calls in, bytes and events out. Every rule
//!   about order, windows and acknowledgements lives there and nowhere else.
//! - [`run`] drives one session over an established, authenticated byte stream and asks a
//!   [`LinkApp`] for everything that is not protocol: what to send, where to store, who may.
//! - [`Dialer`] keeps one link up: relay after relay, with backoff, back to a preferred one when that
//!   is there again, until it is told to stop.
//!
//! Absent on purpose: nothing here opens a socket, reads a certificate, or decides a policy; and
//! nothing here acknowledges a message before the application said that it is on disk.

mod app;
mod calls;
mod channels;
mod codes;
mod course;
mod dialer;
mod driver;
mod gate;
#[cfg(feature = "store")]
mod handed;
mod pending;
mod session;
#[cfg(feature = "store")]
mod starts;
#[cfg(feature = "store")]
mod stored;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "store")]
mod unfinished;

pub use app::{Chunk, LinkApp, LinkState, Listening, OutboundChannel, Peer, PeerHeartbeat, Share};
pub use calls::{CallStream, Caller};
pub use codes::*;
pub use dialer::{
    Connect, ConnectError, Dialer, DialerOptions, DialerState, DialerStatus, Distrust,
};
pub use driver::{Ended, LinkOptions, Stop, run};
#[cfg(feature = "store")]
pub use handed::{Handed, Numbers};
pub use session::{Event, Now, ReadPermit, Session, SessionConfig, Shape, Side};
#[cfg(feature = "store")]
pub use starts::{begin_handed, has_link, keep_unfinished};
#[cfg(feature = "store")]
pub use stored::{draft, received, tell_epoch};
