//! The words every part of the product shares: names, positions, time and the message itself.
//!
//! Each type is parsed once, at the door, and trusted inside. None of them is serializable by
//! itself: the wire, the admin API and the configuration have twins that convert.

mod envelope;
mod host_port;
mod names;
mod part;
mod pattern;
mod position;
mod time;

pub use envelope::{AttrValue, Envelope, EnvelopeError, MAX_ATTR_VALUE, MAX_EXTENSIONS, Message};
pub use host_port::{BadHostPort, HostPort};
pub use names::{DataClass, NameError, NodeName, Region, Site, StreamName, Tenant, TrustDomain};
pub use part::Part;
pub use pattern::NodePattern;
pub use position::{Epoch, Lane, Seq};
pub use time::Timestamp;
