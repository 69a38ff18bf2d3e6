//! What every binary does alike on a terminal and in a script: failures with stable codes, output
//! that is data on stdout and talk on stderr, progress that is calm on a slow line.

mod flags;
mod output;
mod progress;

pub use crate::failure::{ErrorCode, Exit, Failure};
pub use flags::{ColorChoice, Globals, OutputFormat, parse_duration, parse_size};
pub use output::{Output, Table, human_bytes, human_duration};
pub use progress::Progress;
