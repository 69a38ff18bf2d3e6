//! The words every part of the product shares: names, positions, time and the message itself.
//!
//! Each type is parsed once, at the door, and trusted inside. None of them is serializable by
//! itself: the wire, the admin API and the configuration have twins that convert.

mod envelope;
mod names;
mod part;
mod position;
mod time;

pub use envelope::{AttrValue, Envelope, EnvelopeError, MAX_ATTR_VALUE, MAX_EXTENSIONS, Message};
pub use names::{DataClass, NameError, NodeName, Region, Site, StreamName, Tenant, TrustDomain};
pub use part::Part;
pub use position::{Epoch, Lane, Seq};
pub use time::Timestamp;
