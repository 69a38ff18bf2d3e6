//! A long-running process: tasks that stop, signals, the service manager, one instance per state
//! directory, ports with clear errors.
//!
//! A daemon's life is one call of [`run_service`]; everything it starts goes through [`Drain`].

mod drain;

#[cfg(feature = "shell")]
mod bind;
#[cfg(feature = "shell")]
mod notify;
#[cfg(feature = "shell")]
mod run;
#[cfg(feature = "shell")]
mod signals;
#[cfg(feature = "shell")]
mod state;

pub use drain::Drain;

#[cfg(feature = "shell")]
pub use bind::listen;
#[cfg(feature = "shell")]
pub use notify::Notify;
#[cfg(feature = "shell")]
pub use run::{Service, ServiceOptions, run_service, runtime};
#[cfg(feature = "shell")]
pub use signals::Signals;
#[cfg(feature = "shell")]
pub use state::StateLock;
