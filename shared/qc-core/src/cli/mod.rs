//! What every binary does alike on a terminal and in a script: failures with stable codes, output
//! that is data on stdout and talk on stderr, progress that is calm on a slow line.

mod codes;
mod config_command;
mod confirm;
#[cfg(feature = "net")]
mod context;
#[cfg(feature = "net")]
mod control;
#[cfg(all(feature = "net", feature = "store"))]
mod disk;
#[cfg(all(feature = "net", feature = "store"))]
mod dlq;
mod flags;
#[cfg(all(feature = "net", feature = "store"))]
mod key_command;
#[cfg(feature = "net")]
mod ledger;
#[cfg(all(feature = "net", feature = "store"))]
mod link;
mod message_args;
mod output;
#[cfg(all(feature = "net", feature = "store"))]
mod probe;
mod progress;
mod run_main;
#[cfg(all(feature = "net", feature = "store"))]
mod store_place;
#[cfg(feature = "net")]
mod uplink_lines;

pub use crate::config::{parse_duration, parse_size};
pub use crate::failure::{ErrorCode, Exit, Failure};
pub use codes::{CODES, Code, ExplainCommand};
pub use config_command::{ConfigCommand, ConfigPlace};
pub use confirm::Confirm;
#[cfg(feature = "net")]
pub use context::{Context, Program};
#[cfg(feature = "net")]
pub use control::{ControlCommand, control_lines, control_name};
#[cfg(all(feature = "net", feature = "store"))]
pub use disk::{DiskCommand, health_lines};
#[cfg(all(feature = "net", feature = "store"))]
pub use dlq::DlqCommand;
pub use flags::{ColorChoice, Globals, OutputFormat};
#[cfg(all(feature = "net", feature = "store"))]
pub use key_command::KeyCommand;
#[cfg(feature = "net")]
pub use ledger::LedgerCommand;
#[cfg(all(feature = "net", feature = "store"))]
pub use link::LinkCommand;
pub use message_args::{Input, MessageArgs};
pub use output::{Output, Table, human_bytes, human_duration};
#[cfg(all(feature = "net", feature = "store"))]
pub use probe::ProbeCommand;
pub use progress::Progress;
pub use run_main::run_main;
#[cfg(all(feature = "net", feature = "store"))]
pub use store_place::store_problems;
#[cfg(feature = "net")]
pub use uplink_lines::uplink_lines;
