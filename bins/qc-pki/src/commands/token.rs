//! `qc-pki token new`

use std::time::Duration;

use qc_core::cli::{Exit, Failure, human_duration, parse_duration};
use qc_core::model::{NodeName, Timestamp};
use qc_core::pki::{CertView, PkiDir, Profile, Role, Token, fingerprint};
use serde_json::json;

use super::Context;
use crate::cli::HouseArg;
use crate::failure;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Invite one node: prints a token that is shown once
    New(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node to invite
    #[arg(value_name = "NODE.SITE.TENANT", value_parser = |t: &str| t.parse::<NodeName>())]
    node: NodeName,

    /// Its role
    #[arg(long, value_parser = |t: &str| t.parse::<Role>())]
    role: Role,

    /// How long the token lives, 7d at most
    #[arg(long, value_name = "DUR", default_value = "24h", value_parser = parse_duration)]
    ttl: Duration,

    /// Host names of its front door, for ordinary HTTP clients
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    front_dns: Vec<String>,

    /// The authority that will enroll it; checked to be able to
    #[arg(long, value_name = "CA")]
    ca: Option<String>,

    #[command(flatten)]
    house: HouseArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let root = root_of(&house, args.ca.as_deref())?;
    check_ceiling(args, &house)?;
    let token = Token {
        node: args.node.clone(),
        role: args.role,
        front_dns: args.front_dns.clone(),
    };
    let lock = house.lock().map_err(failure::dir)?;
    let (text, record) = house
        .tokens()
        .create(&lock, &token, args.ttl, root.spki_sha256, context.now)
        .map_err(|e| failure::token(&e))?;
    drop(lock);
    let expires = Timestamp::from_millis(record.expires_ms);
    let secret = text.reveal();
    let data = json!({
        "token": secret.expose(), "id": record.id, "node": record.node, "role": record.role,
        "front_dns": record.front_dns, "expires": expires.to_string(),
        "pin": fingerprint(&root.spki_sha256),
    });
    // the token alone is the result, so that it can be redirected into a file
    context
        .out
        .result("qc.pki-token/1", context.now, &data, || {
            secret.expose().clone()
        })?;
    if !context.out.is_json() {
        context.out.note(&format!(
            "shown once; for {token}, expires {expires} ({}), 1 use\n\
             next      on the node: qc-pki enroll --url https://HOST:PORT --token-file FILE --dir STATE_DIR",
            human_duration(args.ttl)
        ));
    }
    Ok(())
}

/// The root that the node shall pin: that of the CA named, or the only one there is.
fn root_of(house: &PkiDir, ca: Option<&str>) -> Result<CertView, Failure> {
    if let Some(ca) = ca {
        let files = house.ca(ca).map_err(failure::dir)?;
        let root = files.above.last().unwrap_or(&files.cert);
        return CertView::parse(root).map_err(|e| failure::cert(&e));
    }
    let trust = house.trust().map_err(failure::dir)?;
    let mut roots = trust.root_views();
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.clone()),
        (None, _) => Err(
            Failure::new(Exit::NotFound, "QC2102", "there is no root yet")
                .help("qc-pki init --org NAME --trust-domain DOMAIN"),
        ),
        _ => Err(Failure::new(
            Exit::Usage,
            "QC2149",
            "there are several roots: name the CA with --ca",
        )),
    }
}

/// Finds out now, not at the site, that the CA may not enroll this node.
fn check_ceiling(args: &Args, house: &PkiDir) -> Result<(), Failure> {
    let Some(ca) = &args.ca else {
        return Ok(());
    };
    let files = house.ca(ca).map_err(failure::dir)?;
    let domain = house.domain();
    let may = |what: &Profile| {
        qc_core::pki::Authority::may_issue(ca, domain, &files.cert, what)
            .map_err(|e| failure::authority(&e))
    };
    may(&Profile::Node {
        name: args.node.clone(),
        role: args.role,
    })?;
    if args.front_dns.is_empty() {
        return Ok(());
    }
    may(&Profile::Front {
        dns: args.front_dns.clone(),
    })
}
