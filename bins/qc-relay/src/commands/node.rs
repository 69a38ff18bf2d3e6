//! `qc-relay node`: what this relay remembers of the nodes below it, and what the operator calls them.

use std::collections::BTreeMap;
use std::time::Duration;

use qc_core::admin::api::Reply;
use qc_core::cli::{Confirm, Context, Exit, Failure, Table, human_duration};
use qc_core::filter::{Field, Filter, Kind, Value};
use qc_core::model::NodeName;
use qc_core::registry::{LabelKey, LabelValue};
use qc_core::safe_text::safe;

use crate::nodes::{
    LabelWish, NODE_FORGOTTEN_SCHEMA, NODE_LIST_SCHEMA, NODE_SCHEMA, NodeControl, NodeForgotten,
    NodeRow,
};

/// What `--filter` can ask for; a word alone looks into the name.
const FIELDS: &[Field] = &[
    text("node"),
    text("site"),
    text("tenant"),
    text("role"),
    text("link"),
    text("version"),
    text("address"),
    text("label."),
    Field {
        name: "seen",
        kind: Kind::Millis,
    },
];

const fn text(name: &'static str) -> Field {
    Field {
        name,
        kind: Kind::Text,
    }
}

/// Look at what is remembered of the nodes below, and label them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(List),
    Show(Show),
    Label(Label),
    Forget(Forget),
}

/// List the nodes with version, labels and when they were seen last
#[derive(Debug, clap::Args)]
#[command(alias = "ls")]
struct List {
    /// Only what passes this expression, such as 'label.env=prod & seen>3d'
    #[arg(
        long,
        value_name = "EXPR",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,
}

/// Show everything that is remembered of a node
#[derive(Debug, clap::Args)]
struct Show {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,
}

/// Set labels of a node, and take labels away
///
/// Labels are the operator's words for a node, at this relay: no node can give itself one. The same again
/// changes nothing.
#[derive(Debug, clap::Args)]
struct Label {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,

    /// Labels to set (env=prod) and to take away (env-)
    #[arg(required = true, value_name = "KEY=VALUE|KEY-", value_parser = change)]
    changes: Vec<Change>,

    /// Only if the labels have this revision, as `node show` tells it
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

/// Forget a node that will not come again
///
/// One that has a link is refused: it would be known again at once. What streams keep for its consumers stays;
/// `consumer remove` ends that.
#[derive(Debug, clap::Args)]
struct Forget {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,

    /// It is no error if there is no such node
    #[arg(long)]
    if_exists: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// One label, set or taken away.
#[derive(Debug, Clone)]
struct Change(LabelKey, Option<LabelValue>);

fn change(text: &str) -> Result<Change, String> {
    let said = |error: qc_core::registry::LabelError| error.to_string();
    if let Some((key, value)) = text.split_once('=') {
        let value = value.parse().map_err(said)?;
        return Ok(Change(key.parse().map_err(said)?, Some(value)));
    }
    let Some(key) = text.strip_suffix('-') else {
        return Err("a label is KEY=VALUE to set it, KEY- to take it away".to_owned());
    };
    Ok(Change(key.parse().map_err(said)?, None))
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::List(list) => list.run(context),
        Verb::Show(show) => {
            let path = format!("/v1/registry/{}", show.node);
            context.show(&path, NODE_SCHEMA, detail).map(drop)
        }
        Verb::Label(label) => label.run(context),
        Verb::Forget(forget) => forget.run(context),
    }
}

impl List {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let filter = Filter::parse(&self.filter, FIELDS).map_err(|error| {
            Failure::new(Exit::Usage, "QC3061", format!("--filter: {error}"))
                .detail(error.excerpt(&self.filter))
                .help("qc-relay node list --filter 'label.env=prod & link=down & seen>3d'")
        })?;
        let client = context.client()?;
        let reply: Reply<Vec<NodeRow>> = context.block_on(client.get_json("/v1/registry"))?;
        let mut rows = reply.data;
        rows.retain(|row| filter.matches(|field| value(row, field)));
        let shown = || table(&rows).render(context.headers());
        let printed = context
            .out
            .result(NODE_LIST_SCHEMA, context.now(), &rows, shown);
        if rows.is_empty() {
            context.out.note("no such nodes");
        }
        printed
    }
}

fn value<'a>(row: &'a NodeRow, field: &str) -> Value<'a> {
    let some = |text: Option<&'a str>| text.map_or(Value::Missing, Value::Text);
    match field {
        "node" => Value::Text(&row.node),
        "site" => Value::Text(&row.site),
        "tenant" => Value::Text(&row.tenant),
        "role" => some(row.role.as_deref()),
        "link" => Value::Text(link(row)),
        "version" => Value::Text(&row.version),
        "address" => Value::Text(&row.address),
        #[expect(clippy::cast_precision_loss, reason = "milliseconds, to be compared")]
        "seen" => row
            .seen_ms
            .map_or(Value::Missing, |ms| Value::Number(ms as f64)),
        _ => {
            let key = field.strip_prefix("label.");
            some(key.and_then(|key| row.labels.get(key)).map(String::as_str))
        }
    }
}

fn link(row: &NodeRow) -> &'static str {
    if row.linked { "up" } else { "down" }
}

fn table(rows: &[NodeRow]) -> Table {
    let mut table = Table::new(&[
        "NODE", "ROLE", "LINK", ">SEEN", "VERSION", "ADDRESS", "LABELS",
    ]);
    for row in rows {
        table.row([
            safe(&row.node, 200),
            safe(row.role.as_deref().unwrap_or("-"), 40),
            link(row).to_owned(),
            row.seen_ms.map_or_else(|| "never".to_owned(), ago),
            dash(&row.version),
            dash(&row.address),
            labels(&row.labels),
        ]);
    }
    table
}

fn ago(ms: u64) -> String {
    format!("{} ago", human_duration(Duration::from_millis(ms)))
}

fn dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        safe(text, 64)
    }
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter();
    let pairs = pairs.map(|(key, value)| format!("{}={}", safe(key, 40), safe(value, 80)));
    pairs.collect::<Vec<_>>().join(" ")
}

fn detail(row: &NodeRow) -> String {
    let seen = match (&row.last_seen, row.seen_ms) {
        (Some(seen), Some(ms)) => format!("{} ({})", safe(seen, 40), ago(ms)),
        _ => "never".to_owned(),
    };
    let mut lines = vec![
        format!("{}  link {}", safe(&row.node, 200), link(row)),
        format!("role      {}", safe(row.role.as_deref().unwrap_or("-"), 40)),
        format!("version   {}", dash(&row.version)),
        format!("address   {}", dash(&row.address)),
        format!("first     {}", safe(&row.first_seen, 40)),
        format!("seen      {seen}"),
        format!(
            "cert      until {}",
            safe(row.cert_not_after.as_deref().unwrap_or("-"), 40)
        ),
        format!(
            "labels    {} (revision {})",
            dash(&labels(&row.labels)),
            row.label_revision
        ),
    ];
    lines.extend(row.control.iter().map(control));
    lines.join("\n")
}

fn control(one: &NodeControl) -> String {
    let (kind, label) = (safe(&one.kind, 40), safe(&one.label, 40));
    let gap = if label.is_empty() { "" } else { " " };
    let what = format!("control   {kind}{gap}{label} revision {}", one.revision);
    match (&one.code, &one.reason) {
        (Some(code), Some(reason)) => {
            format!("{what} REFUSED: {} {}", safe(code, 10), safe(reason, 200))
        }
        _ => format!("{what} applied"),
    }
}

impl Label {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut wish = LabelWish {
            if_revision: self.if_revision,
            ..LabelWish::default()
        };
        for Change(key, value) in &self.changes {
            match value {
                Some(value) => drop(wish.set.insert(key.to_string(), value.to_string())),
                None => wish.unset.push(key.to_string()),
            }
        }
        let client = context.client()?;
        let path = format!("/v1/registry/{}/label", self.node);
        let reply: Reply<NodeRow> = context.block_on(client.post_json(&path, &wish))?;
        context
            .out
            .result(NODE_SCHEMA, context.now(), &reply.data, || {
                let row = &reply.data;
                let (node, revision) = (safe(&row.node, 200), row.label_revision);
                format!(
                    "{node}  {} (revision {revision})",
                    dash(&labels(&row.labels))
                )
            })
    }
}

impl Forget {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        if !self.yes {
            let confirm = Confirm {
                question: &format!("Forget {}, its labels and what it has applied?", self.node),
                word: None,
                what: "forgetting a node",
                flags: "--yes",
                unasked: "QC3312",
                refused: "QC3307",
            };
            confirm.ask(&context.globals, &context.out)?;
        }
        let client = context.client()?;
        let path = format!("/v1/registry/{}/forget", self.node);
        let forgotten = client.post_json::<(), Reply<NodeForgotten>>(&path, &());
        let data = match context.block_on(forgotten) {
            Ok(reply) => reply.data,
            Err(failure) if self.if_exists && failure.code == "QC2226" => NodeForgotten::default(),
            Err(failure) => return Err(failure),
        };
        context
            .out
            .result(NODE_FORGOTTEN_SCHEMA, context.now(), &data, || {
                if data.node.is_empty() {
                    return "unchanged: no such node is known".to_owned();
                }
                format!("forgotten {}", safe(&data.node, 200))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_taken_away() {
        let parsed = |text| change(text).map(|Change(key, value)| (key.to_string(), value));
        assert_eq!(parsed("env=prod").unwrap().1.unwrap().as_str(), "prod");
        assert_eq!(parsed("env-"), Ok(("env".to_owned(), None)));
        assert_eq!(parsed("site-type=a-").unwrap().0, "site-type");
        for bad in ["env", "=x", "env=", "-", "Env=x", "env=a b"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filter_sees_labels_link_and_age() {
        let row = NodeRow {
            node: "edge-1.mill7.acme".to_owned(),
            seen_ms: Some(4 * 86_400_000),
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            ..NodeRow::default()
        };
        for (text, passes) in [
            ("", true),
            ("mill7", true),
            ("label.env=prod & link=down & seen>3d", true),
            ("seen<1h", false),
            ("label.ring=canary", false),
            ("link=up", false),
        ] {
            let filter = Filter::parse(text, FIELDS).unwrap();
            assert_eq!(filter.matches(|field| value(&row, field)), passes, "{text}");
        }
    }
}
