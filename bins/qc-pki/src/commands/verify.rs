//! `qc-pki verify`

use std::path::PathBuf;

use qc_core::cli::Failure;
use qc_core::model::Timestamp;
use qc_core::pki::{MAX_PEM, Role, Usage, certs_from_pem, verify_peer};
use serde_json::json;

use super::{Context, load_trust, read_file};
use crate::cli::HouseArg;
use crate::failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The chain in PEM, the leaf first
    chain: PathBuf,

    /// The role that is wanted
    #[arg(long, value_parser = |t: &str| t.parse::<Role>())]
    role: Role,

    /// Judge it as a server instead of a client
    #[arg(long)]
    server: bool,

    /// Judge as of this day or moment, such as 2027-03-01
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    at: Option<Timestamp>,

    /// Trust this directory instead of the authority's own
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,

    #[command(flatten)]
    house: HouseArg,
}

fn parse_date(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "not a date such as 2027-03-01 or 2027-03-01T12:00:00Z".to_owned())
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let pem = read_file(&args.chain, u64::try_from(MAX_PEM).unwrap_or(0))?;
    let chain = certs_from_pem(&pem).map_err(|e| failure::cert(&e))?;
    let trust = load_trust(args.trust.as_deref(), &args.house)?;
    let usage = if args.server {
        Usage::Server
    } else {
        Usage::Client
    };
    let at = args.at.unwrap_or(context.now);
    let peer = verify_peer(&chain, &trust, usage, &[args.role], at)
        .map_err(|refusal| failure::peer(&refusal))?;
    let data = json!({
        "node": peer.name.as_str(), "role": peer.role.as_str(), "serial": peer.serial,
        "not_after": peer.not_after.to_string(), "at": at.to_string(),
    });
    context
        .out
        .result("qc.pki-verify/1", context.now, &data, || {
            format!(
                "ok        {}  role {}  until {}",
                peer.name, peer.role, peer.not_after
            )
        })
}
