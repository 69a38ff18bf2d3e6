//! `qc-relay control`: control objects, which go to every node below that they are for.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_core::admin::api::Reply;
use qc_core::admin::control::{
    CONTROL_LIST_SCHEMA, CONTROL_SCHEMA, CONTROL_TAKEN_SCHEMA, ControlDetail, ControlList,
    ControlNode, ControlRow, ControlState, ControlTaken,
};
use qc_core::cli::{Context, Exit, Failure, Table, control_name, human_duration};
use qc_core::control::{Kind, Label, MAX_OBJECT};
use qc_core::safe_text::safe;

/// Apply signed control objects, and see which nodes have them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Apply(Apply),
    List(List),
    Show(Show),
}

/// Judge a control object, put it in force here, and send it to the nodes below
///
/// It goes at once to every node that has a link, and to the others when theirs is up. The same object again
/// is no error and changes nothing; an older one is refused.
#[derive(Debug, clap::Args)]
struct Apply {
    /// The object, as `qc-pki control sign` wrote it, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// List the control objects with how many nodes have applied each
#[derive(Debug, clap::Args)]
#[command(alias = "ls")]
struct List {}

/// Show one control object, node by node
#[derive(Debug, clap::Args)]
struct Show {
    /// What it is about: revocations
    kind: Kind,

    /// Which one, where there are several
    #[arg(value_name = "NAME", default_value = "", hide_default_value = true)]
    label: Label,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Apply(apply) => apply.run(context),
        Verb::List(_) => {
            let shown = context.show("/v1/control", CONTROL_LIST_SCHEMA, list_text);
            shown.map(drop)
        }
        Verb::Show(show) => {
            // neither has a character that a path or query would have to escape
            let path = format!("/v1/control/{}?label={}", show.kind, show.label);
            let text = |detail: &ControlDetail| detail_text(detail, context.headers());
            context.show(&path, CONTROL_SCHEMA, text).map(drop)
        }
    }
}

impl Apply {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let bytes = read(&self.file)?;
        let client = context.client()?;
        let reply: Reply<ControlTaken> =
            context.block_on(client.post_bytes("/v1/control", bytes.into()))?;
        context
            .out
            .result(CONTROL_TAKEN_SCHEMA, context.now(), &reply.data, || {
                let taken = &reply.data;
                let name = control_name(&taken.kind, &taken.label);
                format!(
                    "{} {name} revision {}, signed by {}\nnext      qc-relay control list",
                    safe(&taken.state, 20),
                    taken.revision,
                    safe(&taken.signer, 200)
                )
            })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be read", safe(&file.display().to_string(), 200));
        Failure::new(Exit::NotFound, "QC0017", message).because(&error)
    };
    // one byte more than it may have: the relay says that it is too long
    let most = MAX_OBJECT as u64 + 1;
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
        read.map_err(failed)?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

fn list_text(list: &ControlList) -> String {
    let mut lines: Vec<String> = list.objects.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("no control objects".to_owned());
    }
    if let Some(refusal) = &list.last_refusal {
        lines.push(format!(
            "refused   {} {}: {}",
            safe(refusal.at.as_deref().unwrap_or_default(), 40),
            safe(&refusal.code, 10),
            safe(&refusal.reason, 300)
        ));
    }
    lines.join("\n")
}

/// `revocations rev 12: 41 of 43 nodes, waiting: edge-9.x.y (last seen 3d ago)`
fn line(row: &ControlRow) -> String {
    let name = control_name(&row.kind, &row.label);
    let waits = row.waits_for.iter().map(|node| {
        let node_name = safe(&node.node, 200);
        match (&node.code, node.linked, node.seen_ms) {
            (Some(code), ..) => format!("{node_name} (refused: {})", safe(code, 10)),
            (None, true, _) => format!("{node_name} (linked)"),
            (None, false, Some(ms)) => {
                let age = human_duration(Duration::from_millis(ms));
                format!("{node_name} (last seen {age} ago)")
            }
            (None, false, None) => format!("{node_name} (never seen)"),
        }
    });
    let waits: Vec<String> = waits.collect();
    let more = (row.waiting + row.refused).saturating_sub(waits.len() as u64);
    let waiting = match (waits.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(", waiting: {}", waits.join(", ")),
        (false, more) => format!(", waiting: {} and {more} more", waits.join(", ")),
    };
    let here = if row.in_force {
        ""
    } else {
        ", not for this relay"
    };
    format!(
        "{name} rev {}: {} of {} nodes{here}{waiting}",
        row.revision, row.applied, row.nodes
    )
}

fn detail_text(detail: &ControlDetail, headers: bool) -> String {
    let row = &detail.object;
    let audience = if row.audience.is_empty() {
        "all".to_owned()
    } else {
        safe(&row.audience.join(" "), 400)
    };
    let head = format!(
        "{}\nsigned    {} by {}\naudience  {audience}\nsha256    {}\n",
        line(row),
        safe(&row.created, 40),
        safe(&row.signer, 200),
        safe(&row.digest, 64)
    );
    let mut table = Table::new(&["NODE", "STATE", ">REV", "LINK", ">SEEN", "BELOW", "WHY"]);
    for node in &detail.nodes {
        table.row(node_row(node));
    }
    head + &table.render(headers)
}

fn node_row(node: &ControlNode) -> [String; 7] {
    let state = match node.state {
        ControlState::Applied => "applied",
        ControlState::Refused => "REFUSED",
        ControlState::Waiting => "waiting",
        ControlState::Unknown => "unknown",
    };
    let age = |ms| human_duration(Duration::from_millis(ms));
    let below = node.below_nodes.zip(node.below_applied);
    let why = node.code.as_deref().zip(node.reason.as_deref());
    [
        safe(&node.node, 200),
        state.to_owned(),
        node.revision
            .map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
        if node.linked { "up" } else { "down" }.to_owned(),
        node.seen_ms.map_or_else(|| "never".to_owned(), age),
        below.map_or_else(String::new, |(nodes, applied)| {
            format!("{applied} of {nodes}")
        }),
        why.map_or_else(String::new, |(code, reason)| {
            format!("{} {}", safe(code, 10), safe(reason, 200))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_has_it_and_who_waits() {
        let waits = |node: &str, seen_ms, code: Option<&str>| ControlNode {
            node: node.to_owned(),
            seen_ms,
            code: code.map(str::to_owned),
            ..ControlNode::default()
        };
        let row = ControlRow {
            kind: "revocations".to_owned(),
            revision: 12,
            in_force: true,
            nodes: 43,
            applied: 41,
            waiting: 1,
            refused: 1,
            waits_for: vec![
                waits("edge-9.a.acme", Some(3 * 86_400_000), None),
                waits("edge-8.a.acme", Some(9), Some("QC2168")),
            ],
            ..ControlRow::default()
        };
        assert_eq!(
            line(&row),
            "revocations rev 12: 41 of 43 nodes, waiting: edge-9.a.acme (last seen 3d00h ago), \
             edge-8.a.acme (refused: QC2168)"
        );
        let done = ControlRow {
            waits_for: Vec::new(),
            applied: 43,
            waiting: 0,
            refused: 0,
            ..row
        };
        assert_eq!(line(&done), "revocations rev 12: 43 of 43 nodes");
    }
}
