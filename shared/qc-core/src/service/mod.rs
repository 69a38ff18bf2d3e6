//! A long-running process: tasks that stop, signals, the service manager, one instance per state
//! directory, ports with clear errors.
//!
//! A daemon's life is one call of [`run_service`]; everything it starts goes through [`Drain`].

mod bind;
mod notify;
mod run;
mod signals;
mod state;

pub use crate::drain::Drain;

pub use bind::listen;
pub use notify::Notify;
pub use run::{Service, ServiceOptions, run_service, runtime};
pub use signals::Signals;
pub use state::StateLock;
