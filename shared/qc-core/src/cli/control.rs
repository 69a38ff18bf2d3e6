//! `control list` on a node that has nobody below it.

use clap::{Args, Subcommand};

use super::{Context, Failure};
use crate::admin::control::{CONTROL_LIST_SCHEMA, ControlList};
use crate::safe_text::safe;

/// See which signed control objects this node has taken
#[derive(Debug, Args)]
pub struct ControlCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what was applied, and what was refused last
    #[command(alias = "ls")]
    List,
}

impl ControlCommand {
    /// Asks the running daemon and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self.verb {
            Verb::List => {
                let shown = context.show("/v1/control", CONTROL_LIST_SCHEMA, |list| {
                    control_lines(list).join("\n")
                });
                shown.map(drop)
            }
        }
    }
}

/// An object's kind, with its name where there are several: `revocations`, `policy site-a`.
pub fn control_name(kind: &str, label: &str) -> String {
    let gap = if label.is_empty() { "" } else { " " };
    format!("{}{gap}{}", safe(kind, 40), safe(label, 40))
}

/// What a node has taken, a line an object, and what it has refused last.
pub fn control_lines(list: &ControlList) -> Vec<String> {
    let mut lines: Vec<String> = list
        .objects
        .iter()
        .map(|row| {
            format!(
                "control {} revision {}, signed {} by {}",
                control_name(&row.kind, &row.label),
                row.revision,
                safe(&row.created, 40),
                safe(&row.signer, 200)
            )
        })
        .collect();
    if lines.is_empty() {
        let accept = safe(&list.accept.join(", "), 200);
        lines.push(format!("control nothing taken yet; accepts {accept}"));
    }
    if let Some(refusal) = &list.last_refusal {
        lines.push(format!(
            "refused {} {}: {}",
            safe(refusal.at.as_deref().unwrap_or_default(), 40),
            safe(&refusal.code, 10),
            safe(&refusal.reason, 300)
        ));
    }
    lines
}
