//! Progress of long work: a calm bar on a terminal, a line a step and a heartbeat elsewhere, JSON
//! lines with `--json`.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Globals, OutputFormat};
use crate::clock::{Clock as _, SystemClock};

const HEARTBEAT: Duration = Duration::from_secs(10);

/// Progress of one piece of work, on stderr; silent with `-q`.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: bool,
    json: bool,
    total: u64,
    done: u64,
    label: String,
    last: Instant,
}

impl Progress {
    /// Starts progress over `total` units (0 = unknown) under a `label`.
    pub fn start(globals: &Globals, label: &str, total: u64) -> Self {
        let json = matches!(globals.format(), OutputFormat::Json | OutputFormat::Jsonl);
        let terminal = std::io::stderr().is_terminal() && !json;
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
            json,
            total,
            done: 0,
            label: label.to_owned(),
            last: SystemClock::default().instant(),
        };
        progress.say("started", "");
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
            let count = match self.total {
                0 => format!("  {}", self.done),
                total => format!("  {}/{total}", self.done),
            };
            self.say("running", &count);
        }
    }

    /// Ends with a closing remark, which stays on the screen.
    pub fn finish(self, remark: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            let _nobody_listens = writeln!(std::io::stderr().lock(), "{}  {remark}", self.label);
        }
        self.say("finished", &format!("  {remark}"));
    }

    fn say(&self, state: &str, rest: &str) {
        if self.plain {
            let line = self.line(state, rest);
            let _nobody_listens = writeln!(std::io::stderr().lock(), "{line}");
        }
    }

    fn line(&self, state: &str, rest: &str) -> String {
        if self.json {
            serde_json::json!({
                "schema": "qc.progress/1", "label": self.label, "state": state,
                "done": self.done, "total": self.total,
            })
            .to_string()
        } else {
            format!("{}{rest}", self.label)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_and_for_programs() {
        let mut progress = Progress::start(
            &Globals {
                quiet: true,
                ..Globals::default()
            },
            "drain",
            312,
        );
        progress.set(8);
        assert_eq!(progress.line("running", "  8/312"), "drain  8/312");
        progress.json = true;
        assert_eq!(
            progress.line("running", "  8/312"),
            "{\"schema\":\"qc.progress/1\",\"label\":\"drain\",\"state\":\"running\",\
             \"done\":8,\"total\":312}"
        );
        progress.finish("done");
    }
}
