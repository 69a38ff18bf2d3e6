//! `qc-pki revoke`

use std::collections::BTreeMap;

use qc_core::cli::{Exit, Failure};
use qc_core::model::Timestamp;
use qc_core::pki::{Issuance, PkiDir, Revocation};
use qc_core::safe_text::safe;
use serde_json::json;

use super::Context;
use crate::cli::HouseArg;
use crate::{failure, passphrase};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A node or CA (all its live certificates) or a serial
    what: String,

    /// Why
    #[arg(long, value_name = "CAUSE", value_parser = ["unspecified", "key-compromise"], default_value = "unspecified")]
    cause: String,

    #[command(flatten)]
    house: HouseArg,

    #[command(flatten)]
    key: passphrase::OpenArgs,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let entries = house.log().read().map_err(failure::log)?;
    let hit = |entry: &&Issuance| entry.name == args.what || entry.serial == args.what;
    let live = |entry: &&Issuance| {
        Timestamp::parse_rfc3339(&entry.not_after).is_some_and(|end| context.now < end)
    };
    let mut by_ca: BTreeMap<String, Vec<Revocation>> = BTreeMap::new();
    let (mut found, mut revoked) = (0, Vec::new());
    for entry in entries.iter().filter(hit).filter(live) {
        found += 1;
        let known = revoked.contains(&entry.serial)
            || house
                .is_revoked(&entry.ca, &entry.serial)
                .map_err(failure::dir)?;
        if !known {
            revoked.push(entry.serial.clone());
            by_ca.entry(entry.ca.clone()).or_default().push(Revocation {
                serial: entry.serial.clone(),
                at_ms: context.now.as_millis(),
                key_compromise: args.cause == "key-compromise",
            });
        }
    }
    if found == 0 {
        let message = format!(
            "no live certificate of '{}' was issued here",
            safe(&args.what, 80)
        );
        return Err(Failure::new(Exit::NotFound, "QC2156", message).help("qc-pki list"));
    }
    for (ca, serials) in &by_ca {
        let authority = context.unlock(&house, ca, args.key.passphrase_file.as_deref())?;
        let lock = house.lock().map_err(failure::dir)?;
        house
            .resign_crl(&lock, &authority, serials, context.now)
            .map_err(failure::dir)?;
    }
    let cas: Vec<&String> = by_ca.keys().collect();
    let data = json!({ "revoked": revoked, "cas": cas });
    context.out.result("qc.pki-revoked/1", context.now, &data, || {
        if revoked.is_empty() {
            return "unchanged: all of them were revoked before".to_owned();
        }
        format!(
            "revoked   {} certificate(s) of {}\nnext      qc-pki control sign{} --signer DIR --out FILE, \
             then on the relay: qc-relay control apply FILE",
            revoked.len(),
            safe(&args.what, 80),
            args.house.flag()
        )
    })
}
