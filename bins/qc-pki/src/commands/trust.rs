//! `qc-pki trust show`

use std::path::PathBuf;

use qc_core::cli::{Failure, Table};
use qc_core::pki::{CertView, fingerprint, key_words};
use serde_json::json;

use super::{Context, load_trust};
use crate::cli::HouseArg;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show roots, authorities and revocation lists
    Show(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show this trust directory (`trust` of a state directory) instead of the authority's own
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,

    #[command(flatten)]
    house: HouseArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let trust = load_trust(args.trust.as_deref(), &args.house)?;
    let mut table = Table::new(&["KIND", "NAME", "STATE", "UNTIL", "WORDS"]);
    let mut row = |kind: &str, view: &CertView| {
        let state = if view.not_after < context.now {
            "EXPIRED"
        } else {
            "valid"
        };
        table.row([
            kind.to_owned(),
            view.subject.clone(),
            state.to_owned(),
            view.not_after.to_string(),
            key_words(&view.spki_sha256),
        ]);
    };
    trust.root_views().for_each(|view| row("root", view));
    trust.ca_views().for_each(|view| row("ca", view));
    for crl in trust.crl_views() {
        let next = crl.next_update.unwrap_or_default();
        let stale = if next < context.now { "STALE" } else { "valid" };
        table.row([
            "crl".to_owned(),
            format!(
                "{} list {} ({} revoked)",
                crl.issuer,
                crl.number,
                crl.revoked.len()
            ),
            stale.to_owned(),
            next.to_string(),
        ]);
    }
    let cert = |view: &CertView| {
        json!({
            "subject": view.subject, "serial": view.serial,
            "not_after": view.not_after.to_string(), "key": fingerprint(&view.spki_sha256),
        })
    };
    let data = json!({
        "trust_domain": trust.domain().as_str(),
        "roots": trust.root_views().map(cert).collect::<Vec<_>>(),
        "cas": trust.ca_views().map(cert).collect::<Vec<_>>(),
        "crls": trust.crl_views().map(|crl| json!({
            "issuer": crl.issuer, "number": crl.number, "revoked": crl.revoked,
            "next_update": crl.next_update.unwrap_or_default().to_string(),
        })).collect::<Vec<_>>(),
    });
    context
        .out
        .result("qc.pki-trust/1", context.now, &data, || {
            format!(
                "trust domain {}\n{}",
                trust.domain(),
                table.render(!context.out.no_headers())
            )
        })
}
