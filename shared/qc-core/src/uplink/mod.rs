//! The link upward that a configuration asks for: an edge's to its relay, a relay's to its parent.
//!
//! [`UPLINK`] is the section, [`start`] keeps the link up that it describes, and [`Monitor`] is what
//! `status` tells of it, [`probe`] what proves that it is alive. What goes over the link is decided by the [`LinkApp`](crate::link::LinkApp) of
//! the program.

mod monitor;
mod probe;
mod prober;
mod routes;
mod section;
mod shaping;
mod start;
mod steer;

pub use monitor::Monitor;
pub use probe::{Probed, answer_probe, is_probe, probe};
pub use prober::{PROBE_ROUTE, PROBE_SCHEMA, Prober};
pub use routes::router;
pub use section::{UPLINK, UplinkSection, UplinkWay};
pub use shaping::{DayWindow, Rate, Shaping, ShapingText};
pub use start::{Around, start};
pub use steer::{LIMIT_ROUTE, LINK_ROUTE, LINK_SCHEMA, LimitWish, LinkView, Steer, Waiting};
