//! `qc-pki crl resign`

use qc_core::cli::Failure;
use qc_core::pki::PkiDir;
use serde_json::json;

use super::Context;
use crate::cli::HouseArg;
use crate::{failure, passphrase};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Sign the revocation list of a CA again, with the next number
    Resign(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The CA
    #[arg(long, value_name = "CA")]
    ca: String,

    #[command(flatten)]
    house: HouseArg,

    #[command(flatten)]
    key: passphrase::OpenArgs,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let authority = context.unlock(&house, &args.ca, args.key.passphrase_file.as_deref())?;
    let lock = house.lock().map_err(failure::dir)?;
    let crl = house
        .resign_crl(&lock, &authority, &[], context.now)
        .map_err(failure::dir)?;
    let next = crl.next_update.unwrap_or_default();
    let data = json!({
        "ca": args.ca, "number": crl.number, "revoked": crl.revoked.len(),
        "next_update": next.to_string(),
    });
    context.out.result("qc.pki-crl/1", context.now, &data, || {
        format!(
            "{}  list {}  {} revoked  next update {next}",
            args.ca,
            crl.number,
            crl.revoked.len()
        )
    })
}
