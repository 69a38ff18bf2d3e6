//! Progress of long work: a calm bar on a terminal, a line a step and a heartbeat elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Globals;
use crate::clock::{Clock as _, SystemClock};

const HEARTBEAT: Duration = Duration::from_secs(10);

/// Progress of one piece of work, on stderr; silent with `-q`.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: bool,
    total: u64,
    done: u64,
    label: String,
    last: Instant,
}

impl Progress {
    /// Starts progress over `total` units (0 = unknown) under a `label`.
    pub fn start(globals: &Globals, label: &str, total: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !globals.quiet).then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(4));
            let style = ProgressStyle::with_template("{msg}  [{bar:28}] {pos}/{len}  {eta}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("#>."),
            );
            bar.set_message(label.to_owned());
            bar
        });
        let progress = Self {
            bar,
            plain: !terminal && !globals.quiet,
            total,
            done: 0,
            label: label.to_owned(),
            last: SystemClock::default().instant(),
        };
        progress.say("");
        progress
    }

    /// Sets how much is done.
    pub fn set(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if self.plain && self.last.elapsed() >= HEARTBEAT {
            self.last = SystemClock::default().instant();
            self.say(&format!(" {}/{}", self.done, self.total));
        }
    }

    /// Ends with a closing remark, which stays on the screen.
    pub fn finish(self, remark: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            let _nobody_listens = writeln!(std::io::stderr().lock(), "{}  {remark}", self.label);
        }
        self.say(&format!("  {remark}"));
    }

    fn say(&self, rest: &str) {
        if self.plain {
            let _nobody_listens = writeln!(std::io::stderr().lock(), "{}{rest}", self.label);
        }
    }
}
