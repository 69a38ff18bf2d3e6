//! `qc-edge netdeps`

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use qc_core::admin::api::Reply;
use qc_core::cli::{Context, Failure, Globals, Output, Table};
use qc_core::reach::LastGood;
use qc_core::safe_text::safe;

use crate::config::EdgeConfig;
use crate::netdeps::{self, Dependency};

const SCHEMA: &str = "qc.netdeps/1";
/// The route of the daemon.
pub(crate) const ROUTE: &str = "/v1/netdeps";
/// How long the daemon may take to say when what was last used; all else is in the configuration.
const PATIENCE: Duration = Duration::from_secs(3);
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// List what the configuration needs of the network, for a firewall
///
/// Needs no running edge; if one answers, it tells when what was last used
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print it in this form
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Columns for people
    Table,
    /// Rules for nft -f
    Nft,
    /// Comma-separated values
    Csv,
    /// One JSON object with a versioned schema
    Json,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let config = EdgeConfig::from_loaded(&context.load()?)?;
    let mut all = dependencies(&config)?;
    last_used(context, &mut all);
    let known = || LastGood::read(&config.node.state).unwrap_or_default();
    let out = match args.format {
        Form::Json => &Output::new(
            &Globals {
                json: true,
                output: None,
                ..context.globals.clone()
            },
            context.program.name,
        ),
        _ => &context.out,
    };
    out.result(SCHEMA, context.now(), &all, || match args.format {
        Form::Nft => netdeps::nft(&all, &known()),
        Form::Csv => netdeps::csv(&all),
        Form::Table | Form::Json => table(&all, !out.no_headers()),
    })
}

/// What `config` needs on this machine.
pub(crate) fn dependencies(config: &EdgeConfig) -> Result<Vec<Dependency>, Failure> {
    let way = config.uplink.way().map_err(|(key, why)| {
        let message = format!("uplink.{key}: {why}");
        Failure::new(qc_core::cli::Exit::Config, "QC1020", message)
    })?;
    let text = std::fs::read_to_string(Path::new(RESOLV_CONF)).unwrap_or_default();
    Ok(netdeps::of(config, &way, &netdeps::resolvers(&text)))
}

/// Adds what a running edge knows. That it does not answer is no failure here.
fn last_used(context: &Context, all: &mut [Dependency]) {
    let mut context = context.clone();
    context.globals.timeout = context.globals.timeout.min(PATIENCE);
    let Ok(client) = context.client() else {
        return;
    };
    let reply: Result<Reply<Vec<Dependency>>, _> = context.block_on(client.get_json(ROUTE));
    let Ok(reply) = reply else {
        context
            .out
            .note("the edge does not answer, so nothing is known of when what was last used");
        return;
    };
    for one in all {
        let same = reply.data.iter().find(|other| {
            (&other.host, other.port, &other.protocol) == (&one.host, one.port, &one.protocol)
                && (&other.purpose, &other.via) == (&one.purpose, &one.via)
        });
        one.last_used = same.and_then(|same| same.last_used.clone());
    }
}

fn table(all: &[Dependency], headers: bool) -> String {
    let mut table = Table::new(&[
        "DIRECTION",
        "PROTOCOL",
        "HOST",
        ">PORT",
        "PURPOSE",
        "VIA",
        "LAST USED",
    ]);
    for one in all {
        let or_none = |text: &Option<String>| safe(text.as_deref().unwrap_or("-"), 200);
        table.row([
            one.direction.clone(),
            one.protocol.clone(),
            safe(&one.host, 253),
            one.port.to_string(),
            safe(&one.purpose, 200),
            or_none(&one.via),
            or_none(&one.last_used),
        ]);
    }
    if all.is_empty() {
        return "nothing: no relay, no webhook\n".to_owned();
    }
    table.render(headers)
}
