//! `key show|rotate|create|destroy`: the same verbs on relay and edge. They ask the daemon; where none
//! runs they do it themselves, under the lock of the state directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::store_place::StorePlace;
use super::{Confirm, Context, Exit, Failure, Table, human_duration};
use crate::admin::api::Reply;
use crate::admin::keys::{KEY_CHANGE_SCHEMA, KEYS_SCHEMA, KeyChange, KeyReport, KeyWish};
use crate::clock::SystemClock;
use crate::model::Tenant;
use crate::node::{KeyOptions, Keys, StoreState, key_report};
use crate::safe_text::safe;
use crate::store::LogOptions;

/// Look at the keys of the store, change them, destroy a tenant's
///
/// The node key wraps the key of every segment. A tenant can have a key of its own beside it, so that its
/// bodies can be made unreadable for good. While the daemon runs it does the work; otherwise the command
/// does it itself, as the user whose files they are.
#[derive(Debug, Args)]
pub struct KeyCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the keys: short names, ages and states, never a key
    Show,
    /// Put a new key in the place of the node key, or add a generation to a tenant's key
    ///
    /// Without --tenant: every segment is wrapped under a new node key, and the old one opens nothing here
    /// any more. Messages go on meanwhile. A crash in the middle is healed by the next start. Keep the new
    /// keys/node.key with your backups: older copies of the store need the key of their time. A key that
    /// is a credential is changed by the service manager; the answer says how.
    ///
    /// With --tenant: what comes from now on is sealed under a new generation; older generations stay,
    /// wrapped anew, for what they have sealed.
    Rotate {
        /// Rotate the key of this tenant instead of the node key
        #[arg(long)]
        tenant: Option<Tenant>,
    },
    /// Make a key for a tenant that has none, for the first time or after a destruction
    Create {
        /// The tenant
        #[arg(long)]
        tenant: Tenant,
    },
    /// Destroy all generations of a tenant's key: its bodies here are unreadable for good
    ///
    /// Nobody can take this back. The keys are overwritten and removed; the bodies stay on disk, sealed,
    /// until retention gives their space back. Envelopes, counters and the ledger stay readable and go on
    /// balancing, and other tenants notice nothing. New messages of the tenant are refused with QC3046
    /// until: key create.
    ///
    /// It does not reach: other nodes, each with keys of its own; backups and snapshots that hold
    /// keys/tenants together with the node key of their time; what was delivered or exported; bodies
    /// stored before the tenant had a key of its own; blocks that the file system or the disk has kept
    /// elsewhere. A rotation of the node key afterwards (key rotate) makes copies of the destroyed keys
    /// worthless, as long as nobody has kept the old node key.
    Destroy {
        /// The tenant
        #[arg(long)]
        tenant: Tenant,

        /// Why; it is kept and shown to whoever tries to read
        #[arg(long, value_name = "TEXT")]
        reason: String,

        /// Do not ask
        #[arg(short = 'y', long)]
        yes: bool,
    },
}

/// Where a store lies, for when no daemon has it open.
struct KeyPlace {
    state: PathBuf,
    keys: KeyOptions,
    /// The sizes of its log.
    options: Box<dyn FnOnce(LogOptions) -> LogOptions>,
}

impl KeyPlace {
    fn load(context: &Context) -> Result<Self, Failure> {
        let place = StorePlace::load(context)?;
        Ok(Self {
            state: place.state().clone(),
            keys: place.keys(context),
            options: Box::new(move |log| place.store.log_options(log)),
        })
    }
}

impl KeyCommand {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let place = || KeyPlace::load(context);
        match &self.verb {
            Verb::Show => show(context, place),
            Verb::Rotate { tenant } => change(context, "rotate", tenant.as_ref(), None, place),
            Verb::Create { tenant } => change(context, "create", Some(tenant), None, place),
            Verb::Destroy {
                tenant,
                reason,
                yes,
            } => {
                if reason.trim().is_empty() {
                    let message = "a destruction wants a reason";
                    return Err(Failure::new(Exit::Usage, "QC3054", message)
                        .help("--reason 'contract ended, ticket 4711'"));
                }
                if !yes {
                    confirm(context, tenant)?;
                }
                change(context, "destroy", Some(tenant), Some(reason), place)
            }
        }
    }
}

fn show(
    context: &Context,
    place: impl FnOnce() -> Result<KeyPlace, Failure>,
) -> Result<(), Failure> {
    let client = context.client()?;
    let asked: Result<Reply<KeyReport>, Failure> = context.block_on(client.get_json("/v1/key"));
    let report = match asked {
        Ok(reply) => reply.data,
        Err(failure) if failure.code == "QC0601" => {
            let place = place()?;
            let clock = SystemClock::default();
            key_report(&place.state, context.program.name, &place.keys, &clock)?
        }
        Err(failure) => return Err(failure),
    };
    let headers = context.headers();
    context.out.result(KEYS_SCHEMA, context.now(), &report, || {
        text(&report, headers)
    })
}

fn change(
    context: &Context,
    verb: &str,
    tenant: Option<&Tenant>,
    reason: Option<&String>,
    place: impl FnOnce() -> Result<KeyPlace, Failure>,
) -> Result<(), Failure> {
    let wish = KeyWish {
        tenant: tenant.map(ToString::to_string),
        reason: reason.cloned(),
    };
    let client = context.client()?;
    let path = format!("/v1/key/{verb}");
    let asked: Result<Reply<KeyChange>, Failure> = context.block_on(client.post_json(&path, &wish));
    let change = match asked {
        Ok(reply) => reply.data,
        Err(failure) if failure.code == "QC0601" => {
            offline(context, place, async |keys| match (verb, tenant.cloned()) {
                ("create", Some(tenant)) => keys.create_tenant(tenant).await,
                ("destroy", Some(tenant)) => {
                    let reason = reason.map(String::as_str).unwrap_or_default();
                    keys.destroy_tenant(tenant, reason).await
                }
                (_, Some(tenant)) => keys.rotate_tenant(tenant).await,
                (_, None) => keys.rotate().await,
            })?
        }
        // nobody has stopped it: what was asked for may be done a moment later
        Err(failure) if failure.code == "QC0602" => {
            let program = context.program.name;
            return Err(failure.help(format!(
                "the change goes on without you; look before you repeat it: {program} key show"
            )));
        }
        Err(failure) => return Err(failure),
    };
    context
        .out
        .result(KEY_CHANGE_SCHEMA, context.now(), &change, || done(&change))
}

fn offline<T>(
    context: &Context,
    place: impl FnOnce() -> Result<KeyPlace, Failure>,
    work: impl AsyncFnOnce(&Keys) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let place = place()?;
    let program = context.program.name;
    context
        .out
        .note(&format!("{program} does not run: the store is opened here"));
    context.block_on(async {
        let clock = Arc::new(SystemClock::default());
        let store =
            StoreState::open(&place.state, program, place.options, &place.keys, clock).await?;
        let outcome = work(&store.keys).await;
        store.close();
        outcome
    })
}

/// The operator types the tenant's name, or nothing happens.
fn confirm(context: &Context, tenant: &Tenant) -> Result<(), Failure> {
    let confirm = Confirm {
        question: &format!(
            "Every body of tenant {tenant} in this store becomes unreadable,\n\
             and nobody can take that back.\n\
             Type the tenant's name ({tenant}) to go on:"
        ),
        word: Some(tenant.as_str()),
        what: "destroying a key",
        flags: "--yes",
        unasked: "QC3054",
        refused: "QC3054",
    };
    confirm.ask(&context.globals, &context.out)
}

fn text(report: &KeyReport, headers: bool) -> String {
    let node = &report.node;
    let mut lines = vec![format!(
        "node key  {}  {}{}  wraps {} segments",
        node.id,
        match node.source.as_str() {
            "credential" => "a credential".to_owned(),
            "passphrase" => "a file under a passphrase".to_owned(),
            other => format!("a {other} in the clear"),
        },
        match node.age_s {
            None => String::new(),
            Some(0) => ", just made".to_owned(),
            Some(age) => format!(", {} old", human_duration(Duration::from_secs(age))),
        },
        node.segments,
    )];
    if node.other_segments > 0 {
        lines.push(format!(
            "          another key wraps {} segments: the change has not ended",
            node.other_segments
        ));
    }
    if node.lies_open {
        lines.push("          QC3042 a key lies in the clear in the state directory".to_owned());
    }
    lines.push(format!("          {}", safe(&node.path, 300)));
    let mut text = lines.join("\n");
    if !report.tenants.is_empty() {
        let mut table = Table::new(&[
            "TENANT",
            "STATE",
            "KEY",
            ">GENERATION",
            "WRAPPED BY",
            "SINCE",
            "REASON",
        ]);
        for row in &report.tenants {
            table.row([
                safe(&row.tenant, 80),
                row.state.as_str().to_owned(),
                row.id.clone().unwrap_or_else(|| "-".to_owned()),
                row.generation.to_string(),
                if row.custody == "exec" {
                    "its program"
                } else {
                    "node key"
                }
                .to_owned(),
                row.since.clone().unwrap_or_else(|| "-".to_owned()),
                safe(row.reason.as_deref().unwrap_or_default(), 200),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(headers));
    }
    text
}

fn done(change: &KeyChange) -> String {
    let dash = |key: &Option<String>| key.clone().unwrap_or_else(|| "-".to_owned());
    let (old, new) = (dash(&change.old), dash(&change.new));
    match (change.done.as_str(), change.tenant.as_deref()) {
        ("rotated", None) => format!(
            "done: node key {new} in the place of {old}, {} segments wrapped anew",
            change.segments
        ),
        ("rotated", Some(tenant)) => format!(
            "done: {tenant} is sealed by key {new}, generation {}; older generations stay",
            change.generation
        ),
        ("created", Some(tenant)) => format!("done: {tenant} is sealed by key {new}"),
        ("destroyed", Some(tenant)) => format!(
            "done: the key of {tenant} is destroyed, its bodies here are unreadable\n\
             next: key rotate    makes copies of the destroyed key worthless; backups: see qc-store(5)"
        ),
        _ => "unchanged".to_owned(),
    }
}
